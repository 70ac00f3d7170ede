// SPDX-License-Identifier: GPL-2.0
/* The RAM layer, by its operations. */
#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "../drivers/layers/ram.h"
#include "fake_disk.h"
#include "status.h"

/**
 * struct bench - a RAM layer on its own
 * @test: the test
 * @layer: the layer
 * @below: what is below it, as far as it asks
 * @desc: for words
 */
struct bench {
	struct kunit *test;
	struct strata_layer *layer;
	struct strata_layer below;
	struct strata_desc desc;
};

static void bench_free(void *data)
{
	struct bench *b = data;

	strata_ram_destroy(b->layer);
	kfree(b);
}

static struct bench *bench_new(struct kunit *test, u64 size, u64 limit,
			       bool stacked)
{
	struct bench *b = kzalloc(sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->test = test;
	b->layer = strata_ram_create(size, 0, limit);
	KUNIT_ASSERT_NOT_NULL(test, b->layer);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, bench_free, b), 0);
	spin_lock_init(&b->desc.error_lock);
	b->below.sector_size = SECTOR_SIZE;
	b->layer->read_cache = true;
	KUNIT_ASSERT_EQ_MSG(test, b->layer->ops->attach(b->layer, stacked ?
							&b->below : NULL,
							&b->desc), 0,
			    "%s", b->desc.error);
	b->layer->end = size ? size >> SECTOR_SHIFT : SZ_1M;
	return b;
}

static unsigned long used(struct bench *b)
{
	return atomic_long_read(&to_ram(b->layer)->committed);
}

static blk_status_t put(struct bench *b, sector_t sector, unsigned int nr,
			u32 seed, blk_opf_t flags)
{
	void *buf = fake_buffer(b->test, nr << SECTOR_SHIFT, sector, seed);
	struct fake_bio *fb = fake_bio_new(b->test, REQ_OP_WRITE | flags, sector,
					   buf, nr << SECTOR_SHIFT);

	return b->layer->ops->write_now(b->layer, &fb->bio);
}

static blk_status_t cut(struct bench *b, sector_t sector, unsigned int nr)
{
	return b->layer->ops->unmap_now(b->layer, REQ_OP_DISCARD, sector, nr);
}

static void end_io(struct strata_layer_io *io)
{
}

static blk_status_t insert(struct bench *b, sector_t sector, unsigned int nr,
			   u32 seed, u64 cookie)
{
	struct strata_layer_io io = {
		.layer = b->layer,
		.sector = sector,
		.sectors = nr,
		.data = fake_buffer(b->test, nr << SECTOR_SHIFT, sector, seed),
		.cookie = cookie,
		.end = end_io,
	};

	b->layer->ops->insert_absent(&io);
	return io.status;
}

/* What does a read of @nr sectors at @sector get first? */
static struct strata_run look(struct bench *b, sector_t sector, unsigned int nr,
			      u32 seed)
{
	void *buf = fake_buffer(b->test, nr << SECTOR_SHIFT, 0, 0x33);
	void *want = fake_buffer(b->test, nr << SECTOR_SHIFT, sector, seed);
	struct fake_bio *fb = fake_bio_new(b->test, REQ_OP_READ, sector, buf,
					   nr << SECTOR_SHIFT);
	struct strata_run run;

	b->layer->ops->read_now(b->layer, &fb->bio, nr, &run);
	if (run.kind == STRATA_RUN_HERE) {
		KUNIT_EXPECT_EQ(b->test, fb->bio.bi_iter.bi_sector,
				sector + run.sectors);
		KUNIT_EXPECT_EQ(b->test, memcmp(buf, want,
						run.sectors << SECTOR_SHIFT), 0);
	} else {
		KUNIT_EXPECT_EQ(b->test, fb->bio.bi_iter.bi_sector, sector);
	}
	return run;
}

static void expect_run(struct bench *b, sector_t sector, unsigned int nr,
		       enum strata_run_kind kind, unsigned int n, u32 seed)
{
	struct strata_run run = look(b, sector, nr, seed);

	KUNIT_EXPECT_EQ_MSG(b->test, run.kind, kind, "%u at %llu", nr, sector);
	KUNIT_EXPECT_EQ_MSG(b->test, run.sectors, n, "%u at %llu", nr, sector);
}

static void presence(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_1M, true);

	expect_run(b, 0, 2048, STRATA_RUN_ABSENT, 2048, 0);
	EXPECT_SAME_STS(test, put(b, 3, 1, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, put(b, 5, 7, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, put(b, 1000, 1, 1, 0), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), 3 * PAGE_SIZE);
	expect_run(b, 0, 8, STRATA_RUN_ABSENT, 3, 0);
	expect_run(b, 2, 1, STRATA_RUN_ABSENT, 1, 0);
	expect_run(b, 3, 8, STRATA_RUN_HERE, 1, 1);
	expect_run(b, 4, 8, STRATA_RUN_ABSENT, 1, 0);
	expect_run(b, 5, 64, STRATA_RUN_HERE, 7, 1);
	expect_run(b, 6, 2, STRATA_RUN_HERE, 2, 1);
	expect_run(b, 12, 2000, STRATA_RUN_ABSENT, 988, 0);
	expect_run(b, 1000, 2000, STRATA_RUN_HERE, 1, 1);
	expect_run(b, 1001, 2000, STRATA_RUN_ABSENT, 2000, 0);
	EXPECT_SAME_STS(test, put(b, 6, 1, 2, 0), BLK_STS_OK);
	expect_run(b, 6, 1, STRATA_RUN_HERE, 1, 2);
	expect_run(b, 7, 5, STRATA_RUN_HERE, 5, 1);
}

static void unmap_frees(struct kunit *test)
{
	struct bench *b = bench_new(test, SZ_1M, SZ_1M, false);

	EXPECT_SAME_STS(test, put(b, 4, 64, 1, 0), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), 9 * PAGE_SIZE);
	EXPECT_SAME_STS(test, cut(b, 10, 30), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), 6 * PAGE_SIZE);
	expect_run(b, 4, 64, STRATA_RUN_HERE, 6, 1);
	expect_run(b, 10, 64, STRATA_RUN_ABSENT, 30, 0);
	expect_run(b, 40, 28, STRATA_RUN_HERE, 28, 1);
	EXPECT_SAME_STS(test, cut(b, 0, 10), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 40, 2000), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), 0);
	expect_run(b, 0, 2048, STRATA_RUN_ABSENT, 2048, 0);
}

static void unmap_hides(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_1M, true);
	struct ram *ram = to_ram(b->layer);

	EXPECT_SAME_STS(test, cut(b, 10, 10), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), RAM_RANGE_BYTES);
	expect_run(b, 0, 100, STRATA_RUN_ABSENT, 10, 0);
	expect_run(b, 10, 100, STRATA_RUN_ZERO, 10, 0);
	expect_run(b, 15, 100, STRATA_RUN_ZERO, 5, 0);
	expect_run(b, 20, 100, STRATA_RUN_ABSENT, 100, 0);

	/* Present beats zero, and zero is there again after it. */
	EXPECT_SAME_STS(test, put(b, 12, 2, 1, 0), BLK_STS_OK);
	expect_run(b, 10, 100, STRATA_RUN_ZERO, 2, 0);
	expect_run(b, 12, 100, STRATA_RUN_HERE, 2, 1);
	expect_run(b, 14, 100, STRATA_RUN_ZERO, 6, 0);
	EXPECT_SAME_STS(test, cut(b, 12, 1), BLK_STS_OK);
	expect_run(b, 10, 3, STRATA_RUN_ZERO, 3, 0);
	expect_run(b, 13, 1, STRATA_RUN_HERE, 1, 1);

	/* Neighbours and overlaps become one range. */
	EXPECT_SAME_STS(test, cut(b, 20, 5), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 5, 5), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ram->nr_zeroes, 1);
	EXPECT_SAME_STS(test, cut(b, 40, 1), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 30, 1), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 0, 1), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ram->nr_zeroes, 4);
	EXPECT_SAME_STS(test, cut(b, 1, 38), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ram->nr_zeroes, 2);
	EXPECT_SAME_STS(test, cut(b, 39, 1), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ram->nr_zeroes, 1);
	KUNIT_EXPECT_EQ(test, used(b), RAM_RANGE_BYTES);
	expect_run(b, 0, 100, STRATA_RUN_ZERO, 41, 0);
}

/* The cost of a large unmap is what is there, and of many small ones bounded. */
static void unmap_costs(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_64K, true);
	const unsigned int max = UINT_MAX >> SECTOR_SHIFT;
	sector_t sector = 0;
	unsigned int i;

	b->layer->end = STRATA_SECTORS_MAX;
	EXPECT_SAME_STS(test, put(b, 1ULL << 30, 8, 1, 0), BLK_STS_OK);
	for (i = 0; i < 256; i++, sector += max)
		EXPECT_SAME_STS(test, cut(b, sector, max), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), RAM_RANGE_BYTES);
	expect_run(b, 1ULL << 30, 1000, STRATA_RUN_ZERO, 1000, 0);

	b = bench_new(test, 0, SZ_64K, true);
	for (i = 0; cut(b, 2 * i, 1) == BLK_STS_OK; i++)
		;
	KUNIT_EXPECT_EQ(test, i, SZ_64K / RAM_RANGE_BYTES);
	EXPECT_SAME_STS(test, cut(b, 2 * i, 1), BLK_STS_NOSPC);
	expect_run(b, 2 * i, 1, STRATA_RUN_ABSENT, 1, 0);
	/* What fills gaps costs nothing, and gives back. */
	EXPECT_SAME_STS(test, cut(b, 0, 100), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), SZ_64K - 50 * RAM_RANGE_BYTES);
	EXPECT_SAME_STS(test, cut(b, 2 * i, 1), BLK_STS_OK);
}

static void shrink(struct bench *b, sector_t end)
{
	b->layer->capacity = b->layer->capacity ? end : 0;
	WRITE_ONCE(b->layer->end, end);
	/* As the engine does it. */
	smp_mb();
	b->layer->ops->shrunk(b->layer, end);
}

static void grow(struct bench *b, sector_t end)
{
	b->layer->capacity = b->layer->capacity ? end : 0;
	WRITE_ONCE(b->layer->end, end);
}

static void limit(struct kunit *test)
{
	struct bench *b = bench_new(test, SZ_1M, SZ_16K, false);
	unsigned int i;

	EXPECT_SAME_STS(test, put(b, 0, 40, 1, 0), BLK_STS_NOSPC);
	KUNIT_EXPECT_EQ(test, used(b), SZ_16K);
	expect_run(b, 0, 40, STRATA_RUN_HERE, 32, 1);
	EXPECT_SAME_STS(test, put(b, 0, 32, 2, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, put(b, 32, 1, 2, 0), BLK_STS_NOSPC);
	EXPECT_SAME_STS(test, put(b, 32, 1, 2, REQ_NOWAIT), BLK_STS_NOSPC);
	/* What is freed can be used again at once, though readers may linger. */
	for (i = 0; i < 64; i++) {
		EXPECT_SAME_STS(test, cut(b, 0, 32), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, used(b), 0);
		EXPECT_SAME_STS(test, put(b, 0, 32, i + 3, 0), BLK_STS_OK);
	}
	expect_run(b, 0, 32, STRATA_RUN_HERE, 32, i + 2);
}

/* At its limit, a stacked layer frees pages though that takes a range. */
static void limit_stacked(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_16K, true);

	EXPECT_SAME_STS(test, put(b, 0, 32, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 1, 1), BLK_STS_NOSPC);
	EXPECT_SAME_STS(test, cut(b, 100, 8), BLK_STS_NOSPC);
	expect_run(b, 0, 32, STRATA_RUN_HERE, 32, 1);
	EXPECT_SAME_STS(test, cut(b, 5, 12), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), 3 * PAGE_SIZE + RAM_RANGE_BYTES);
	expect_run(b, 0, 32, STRATA_RUN_HERE, 5, 1);
	expect_run(b, 5, 27, STRATA_RUN_ZERO, 12, 0);
	expect_run(b, 17, 15, STRATA_RUN_HERE, 15, 1);
	/* A page goes with the last sector that is there. */
	EXPECT_SAME_STS(test, cut(b, 18, 14), BLK_STS_OK);
	EXPECT_SAME_STS(test, put(b, 203, 1, 1, 0), BLK_STS_OK);
	rcu_barrier();
	to_ram(b->layer)->limit = used(b);
	EXPECT_SAME_STS(test, b->layer->ops->unmap_now(b->layer, REQ_OP_DISCARD |
						       REQ_NOWAIT, 2, 1),
			BLK_STS_NOSPC);
	EXPECT_SAME_STS(test, cut(b, 0, 2), BLK_STS_NOSPC);
	EXPECT_SAME_STS(test, cut(b, 202, 2), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 0, 32), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), 2 * RAM_RANGE_BYTES);
}

/* What was read from below makes room for what is written, and only for that. */
static void evicts(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_16K, true);
	u64 cookie = look(b, 0, 1, 0).cookie;

	EXPECT_SAME_STS(test, insert(b, 0, 32, 2, cookie), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), SZ_16K);
	EXPECT_SAME_STS(test, insert(b, 64, 8, 2, cookie), BLK_STS_NOSPC);
	expect_run(b, 0, 32, STRATA_RUN_HERE, 32, 2);
	EXPECT_SAME_STS(test, put(b, 3, 1, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, put(b, 64, 8, 1, REQ_NOWAIT), BLK_STS_AGAIN);
	EXPECT_SAME_STS(test, put(b, 64, 16, 1, REQ_NOWAIT), BLK_STS_AGAIN);
	expect_run(b, 0, 3, STRATA_RUN_HERE, 3, 2);
	expect_run(b, 4, 28, STRATA_RUN_HERE, 28, 2);

	EXPECT_SAME_STS(test, put(b, 64, 24, 1, 0), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), SZ_16K);
	expect_run(b, 64, 24, STRATA_RUN_HERE, 24, 1);
	/* To take a part of a page away would free nothing. */
	expect_run(b, 0, 3, STRATA_RUN_HERE, 3, 2);
	expect_run(b, 3, 1, STRATA_RUN_HERE, 1, 1);
	expect_run(b, 4, 28, STRATA_RUN_HERE, 4, 2);
	expect_run(b, 8, 24, STRATA_RUN_ABSENT, 24, 0);
	EXPECT_SAME_STS(test, put(b, 128, 8, 1, 0), BLK_STS_NOSPC);
	EXPECT_SAME_STS(test, put(b, 128, 8, 1, REQ_NOWAIT), BLK_STS_NOSPC);
	EXPECT_SAME_STS(test, cut(b, 128, 8), BLK_STS_NOSPC);
	expect_run(b, 64, 24, STRATA_RUN_HERE, 24, 1);
}

/* For zeroes as well; and again and again, wherever it stopped before. */
static void evicts_again(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_64K, true);
	u64 cookie = look(b, 0, 1, 0).cookie;
	unsigned int i;

	EXPECT_SAME_STS(test, insert(b, 0, 128, 2, cookie), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 200, 1), BLK_STS_OK);
	KUNIT_EXPECT_LT(test, used(b), SZ_64K);
	expect_run(b, 200, 1, STRATA_RUN_ZERO, 1, 0);
	for (i = 0; i < 8; i++) {
		sector_t at = i % 2 ? 0 : 1024;

		EXPECT_SAME_STS(test, put(b, at, 112, i + 3, 0), BLK_STS_OK);
		expect_run(b, at, 112, STRATA_RUN_HERE, 112, i + 3);
		EXPECT_SAME_STS(test, cut(b, at, 112), BLK_STS_OK);
		cookie = look(b, 100000, 1, 0).cookie;
		EXPECT_SAME_STS(test, insert(b, 4096 + i * 1024, 104, 2, cookie),
				BLK_STS_OK);
	}
}

#define TOGETHER	4
#define EACH		120

struct together {
	struct bench *b;
	unsigned int round;
	atomic_t failed;
};

static void write_some(void *context, unsigned int index)
{
	struct together *t = context;
	unsigned int i;

	for (i = 0; i < EACH; i += 8)
		if (put(t->b, (index + 1) * 4096 + i, 8, t->round, 0))
			atomic_inc(&t->failed);
}

/* Nobody fails because others were quicker to give up what was left. */
static void evict_together(struct kunit *test)
{
	struct together t = { .b = bench_new(test, 0, SZ_256K, true) };
	struct bench *b = t.b;

	for (t.round = 0; t.round < 32; t.round++) {
		struct fake_threads *threads;
		u64 cookie = look(b, 100000, 1, 0).cookie;

		EXPECT_SAME_STS(test, insert(b, 0, 512, 2, cookie), BLK_STS_OK);
		threads = fake_threads_start(test, TOGETHER, write_some, &t);
		KUNIT_ASSERT_TRUE(test, fake_threads_wait(threads));
		shrink(b, 0);
		grow(b, SZ_1M);
		KUNIT_EXPECT_EQ(test, used(b), 0);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&t.failed), 0);
}

/* All or nothing, for who may not wait. */
static void nowait(struct kunit *test)
{
	struct bench *b = bench_new(test, SZ_1M, SZ_16K, false);

	EXPECT_SAME_STS(test, put(b, 8, 1, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, put(b, 4, 40, 2, REQ_NOWAIT), BLK_STS_NOSPC);
	KUNIT_EXPECT_EQ(test, used(b), PAGE_SIZE);
	expect_run(b, 0, 8, STRATA_RUN_ABSENT, 8, 0);
	expect_run(b, 8, 40, STRATA_RUN_HERE, 1, 1);
	expect_run(b, 9, 40, STRATA_RUN_ABSENT, 40, 0);
	rcu_barrier();
	EXPECT_SAME_STS(test, put(b, 4, 28, 2, REQ_NOWAIT), BLK_STS_OK);
	expect_run(b, 4, 28, STRATA_RUN_HERE, 28, 2);
}

/* A4: a size of its own. What was cut off is zero, until it is written. */
static void resize_own(struct kunit *test)
{
	struct bench *b = bench_new(test, SZ_64K, SZ_1M, true);

	EXPECT_SAME_STS(test, put(b, 0, 128, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 96, 8), BLK_STS_OK);
	shrink(b, 60);
	KUNIT_EXPECT_EQ(test, used(b), 8 * PAGE_SIZE);
	EXPECT_SAME_STS(test, put(b, 59, 2, 2, 0), BLK_STS_TARGET);
	grow(b, 200);
	expect_run(b, 0, 200, STRATA_RUN_HERE, 60, 1);
	expect_run(b, 60, 140, STRATA_RUN_ZERO, 140, 0);
	EXPECT_SAME_STS(test, put(b, 70, 1, 3, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, put(b, 150, 1, 3, 0), BLK_STS_OK);
	expect_run(b, 60, 140, STRATA_RUN_ZERO, 10, 0);
	expect_run(b, 70, 140, STRATA_RUN_HERE, 1, 3);
	expect_run(b, 71, 100, STRATA_RUN_ZERO, 79, 0);
	expect_run(b, 150, 50, STRATA_RUN_HERE, 1, 3);
	expect_run(b, 151, 49, STRATA_RUN_ZERO, 49, 0);
}

/* A size from below. What is below shows where it has come back. */
static void resize_from_below(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_1M, true);

	b->layer->end = 128;
	EXPECT_SAME_STS(test, put(b, 0, 128, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 50, 20), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 80, 8), BLK_STS_OK);
	shrink(b, 60);
	KUNIT_EXPECT_EQ(test, used(b), 7 * PAGE_SIZE + RAM_RANGE_BYTES);
	grow(b, 128);
	expect_run(b, 0, 128, STRATA_RUN_HERE, 50, 1);
	expect_run(b, 50, 78, STRATA_RUN_ZERO, 10, 0);
	expect_run(b, 60, 68, STRATA_RUN_ABSENT, 68, 0);

	/* An unmap that was admitted under the old size hides nothing beyond. */
	shrink(b, 60);
	EXPECT_SAME_STS(test, cut(b, 56, 8), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 60, 1), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 80, 8), BLK_STS_OK);
	grow(b, 128);
	expect_run(b, 50, 78, STRATA_RUN_ZERO, 10, 0);
	expect_run(b, 60, 68, STRATA_RUN_ABSENT, 68, 0);
	KUNIT_EXPECT_EQ(test, to_ram(b->layer)->nr_zeroes, 1);
}

static void inserts(struct kunit *test)
{
	struct bench *b = bench_new(test, 0, SZ_1M, true);
	u64 cookie;

	b->layer->end = 128;
	EXPECT_SAME_STS(test, put(b, 4, 2, 1, 0), BLK_STS_OK);
	EXPECT_SAME_STS(test, cut(b, 10, 2), BLK_STS_OK);
	cookie = look(b, 0, 4, 0).cookie;
	EXPECT_SAME_STS(test, insert(b, 0, 16, 2, cookie), BLK_STS_OK);
	expect_run(b, 4, 1, STRATA_RUN_HERE, 1, 1);
	expect_run(b, 0, 4, STRATA_RUN_HERE, 4, 2);
	expect_run(b, 6, 100, STRATA_RUN_HERE, 4, 2);
	expect_run(b, 10, 100, STRATA_RUN_ZERO, 2, 0);
	expect_run(b, 12, 4, STRATA_RUN_HERE, 4, 2);
	expect_run(b, 16, 10, STRATA_RUN_ABSENT, 10, 0);

	/* Nothing of it stays when there is nothing to insert. */
	EXPECT_SAME_STS(test, cut(b, 32, 8), BLK_STS_OK);
	EXPECT_SAME_STS(test, insert(b, 32, 8, 2, cookie), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(b), 2 * PAGE_SIZE + 2 * RAM_RANGE_BYTES);

	/* Too late, and too far. */
	shrink(b, 100);
	grow(b, 128);
	EXPECT_SAME_STS(test, insert(b, 40, 8, 2, cookie), BLK_STS_OK);
	expect_run(b, 40, 8, STRATA_RUN_ABSENT, 8, 0);
	cookie = look(b, 40, 8, 0).cookie;
	EXPECT_SAME_STS(test, insert(b, 124, 8, 2, cookie), BLK_STS_OK);
	expect_run(b, 124, 8, STRATA_RUN_HERE, 4, 2);
	expect_run(b, 128, 4, STRATA_RUN_ABSENT, 4, 0);
	EXPECT_SAME_STS(test, insert(b, 40, 8, 2, cookie), BLK_STS_OK);
	expect_run(b, 40, 8, STRATA_RUN_HERE, 8, 2);

	/* What was inserted goes when it is gone below; what was written stays. */
	EXPECT_SAME_STS(test, put(b, 42, 2, 3, 0), BLK_STS_OK);
	b->layer->ops->below_shrunk(b->layer, 41);
	expect_run(b, 40, 8, STRATA_RUN_HERE, 1, 2);
	expect_run(b, 41, 7, STRATA_RUN_ABSENT, 1, 0);
	expect_run(b, 42, 6, STRATA_RUN_HERE, 2, 3);
	expect_run(b, 44, 4, STRATA_RUN_ABSENT, 4, 0);
}

/*
 * Races. A few sectors, all in two pages. The owner writes, unmaps and reads
 * them; others insert what is "below", and read, and shrink what lies behind.
 * The owner never sees a sector from below that he has written or unmapped.
 */
#define RACE_SECTORS	16
#define RACE_STEPS	20000

struct race {
	struct bench *b;
	unsigned int wrong;
	bool stop;
	atomic_t running;
	struct completion done;
};

#define BELOW_SEED 0xb

struct race_buf {
	u8 data[SECTOR_SIZE];
	struct bio bio;
	struct bio_vec vec;
};

static struct bio *race_bio(struct race_buf *rb, blk_opf_t opf, sector_t sector)
{
	bio_init(&rb->bio, NULL, &rb->vec, 1, opf);
	__bio_add_page(&rb->bio, virt_to_page(rb->data), SECTOR_SIZE,
		       offset_in_page(rb->data));
	rb->bio.bi_iter.bi_sector = sector;
	return &rb->bio;
}

static struct strata_run race_look(struct race *race, struct race_buf *rb,
				   sector_t sector)
{
	struct strata_layer *layer = race->b->layer;
	struct strata_run run;

	layer->ops->read_now(layer, race_bio(rb, REQ_OP_READ, sector), 1, &run);
	return run;
}

static bool race_is(struct race_buf *rb, sector_t sector, u32 seed)
{
	u8 want[16];

	fake_pattern(want, sizeof(want), sector, seed);
	return !memcmp(rb->data, want, sizeof(want));
}

static void race_end(struct race *race, struct race_buf *rb)
{
	kfree(rb);
	if (atomic_dec_and_test(&race->running))
		complete(&race->done);
}

static int race_insert(void *data)
{
	struct race *race = data;
	struct strata_layer *layer = race->b->layer;
	struct race_buf *rb = kzalloc(sizeof(*rb), GFP_KERNEL | __GFP_NOFAIL);
	sector_t sector = 0;

	while (!READ_ONCE(race->stop)) {
		struct strata_run run = race_look(race, rb, sector);
		struct strata_layer_io io = {
			.layer = layer,
			.sector = sector,
			.sectors = 1,
			.data = rb->data,
			.cookie = run.cookie,
			.end = end_io,
		};

		if (run.kind == STRATA_RUN_ABSENT) {
			fake_pattern(rb->data, SECTOR_SIZE, sector, BELOW_SEED);
			layer->ops->insert_absent(&io);
		}
		sector = (sector + 1) % RACE_SECTORS;
		cond_resched();
	}
	race_end(race, rb);
	return 0;
}

/* Sectors 8 to 15 go and come back: nothing in them is ever the owner's. */
static int race_shrink(void *data)
{
	struct race *race = data;

	while (!READ_ONCE(race->stop)) {
		shrink(race->b, 8);
		grow(race->b, RACE_SECTORS);
		cond_resched();
	}
	race_end(race, NULL);
	return 0;
}

static bool race_step(struct race *race, struct race_buf *rb, sector_t sector,
		      u32 seed)
{
	struct strata_layer *layer = race->b->layer;
	struct strata_run run;

	fake_pattern(rb->data, SECTOR_SIZE, sector, seed);
	if (layer->ops->write_now(layer, race_bio(rb, REQ_OP_WRITE, sector)))
		return false;
	run = race_look(race, rb, sector);
	if (run.kind != STRATA_RUN_HERE || !race_is(rb, sector, seed))
		return false;
	if (cut(race->b, sector, 1))
		return false;
	run = race_look(race, rb, sector);
	return run.kind == STRATA_RUN_ZERO;
}

static void races(struct kunit *test)
{
	int (*const threads[])(void *) = { race_insert, race_insert, race_shrink };
	struct race race = { .b = bench_new(test, 0, SZ_1M, true) };
	struct race_buf *rb = kunit_kzalloc(test, sizeof(*rb), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, rb);
	race.b->layer->end = RACE_SECTORS;
	init_completion(&race.done);
	atomic_set(&race.running, ARRAY_SIZE(threads));
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		if (IS_ERR(kthread_run(threads[i], &race, "strata_test/%u", i)))
			race_end(&race, NULL);
	for (i = 0; i < RACE_STEPS; i++) {
		race.wrong += !race_step(&race, rb, i % 8, i + BELOW_SEED + 1);
		cond_resched();
	}
	WRITE_ONCE(race.stop, true);
	wait_for_completion(&race.done);
	KUNIT_EXPECT_EQ(test, race.wrong, 0);
	/* All that is behind came from below, if it is there. */
	for (i = 8; i < RACE_SECTORS; i++)
		if (race_look(&race, rb, i).kind == STRATA_RUN_HERE)
			KUNIT_EXPECT_TRUE(test, race_is(rb, i, BELOW_SEED));
	shrink(race.b, 0);
	KUNIT_EXPECT_EQ(test, used(race.b), 0);
}

/* Writers side by side with unmaps of the same page: no page is lost. */
static int race_churn(void *data)
{
	struct race *race = data;
	struct race_buf *rb = kzalloc(sizeof(*rb), GFP_KERNEL | __GFP_NOFAIL);
	struct strata_layer *layer = race->b->layer;
	u32 rnd = get_random_u32();

	while (!READ_ONCE(race->stop)) {
		sector_t sector = rnd % RACE_SECTORS;

		rnd = next_pseudo_random32(rnd);
		if (rnd & BIT(30))
			cut(race->b, sector, 1 + rnd % (RACE_SECTORS - sector));
		else
			layer->ops->write_now(layer, race_bio(rb, REQ_OP_WRITE,
							      sector));
		cond_resched();
	}
	race_end(race, rb);
	return 0;
}

static void churn(struct kunit *test)
{
	struct race race = { .b = bench_new(test, SZ_8K, SZ_16K, false) };
	unsigned int i;

	init_completion(&race.done);
	atomic_set(&race.running, 3);
	for (i = 0; i < 3; i++)
		if (IS_ERR(kthread_run(race_churn, &race, "strata_test/%u", i)))
			race_end(&race, NULL);
	schedule_timeout_uninterruptible(3 * HZ);
	WRITE_ONCE(race.stop, true);
	wait_for_completion(&race.done);
	EXPECT_SAME_STS(test, cut(race.b, 0, RACE_SECTORS), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, used(race.b), 0);
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, atomic_long_read(&to_ram(race.b->layer)->dying), 0);
}

/*
 * Trees of many ranges, of all shapes that growing gives them, which go all at
 * once or under one range: no node of them is freed twice, or not at all.
 */
static void many_zeroes(struct kunit *test)
{
	unsigned int n, i;

	for (n = 32; n < 192; n++) {
		struct bench *b = bench_new(test, 0, SZ_1M, true);

		for (i = 0; i < n; i++)
			EXPECT_SAME_STS(test, cut(b, 2 * i, 1), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, used(b), n * RAM_RANGE_BYTES);
		if (n % 2)
			continue;
		EXPECT_SAME_STS(test, cut(b, 0, 2 * n), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, used(b), RAM_RANGE_BYTES);
		expect_run(b, 0, 2 * n, STRATA_RUN_ZERO, 2 * n, 0);
	}
}

static struct kunit_case ram_cases[] = {
	KUNIT_CASE(presence),
	KUNIT_CASE(unmap_frees),
	KUNIT_CASE(unmap_hides),
	KUNIT_CASE(unmap_costs),
	KUNIT_CASE_SLOW(limit),
	KUNIT_CASE(limit_stacked),
	KUNIT_CASE(evicts),
	KUNIT_CASE_SLOW(evicts_again),
	KUNIT_CASE_SLOW(evict_together),
	KUNIT_CASE(nowait),
	KUNIT_CASE(resize_own),
	KUNIT_CASE(resize_from_below),
	KUNIT_CASE(inserts),
	KUNIT_CASE_SLOW(races),
	KUNIT_CASE_SLOW(churn),
	KUNIT_CASE_SLOW(many_zeroes),
	{}
};

static struct kunit_suite ram_suite = {
	.name = "strata_ram",
	.test_cases = ram_cases,
};

kunit_test_suite(ram_suite);

MODULE_DESCRIPTION("strata: KUnit suite of the RAM layer");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
