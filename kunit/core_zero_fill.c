// SPDX-License-Identifier: GPL-2.0
/* WRITE_ZEROES on disks that cannot: zeroes by writing. */
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "fake_disk.h"

#define SECTORS		16384
#define PART_MAX	(SZ_1M >> SECTOR_SHIFT)
#define IN_FLIGHT	4

static struct fake_disk *memory(struct kunit *test, unsigned int lba, bool native_fua)
{
	const struct fake_config config = {
		.sectors = SECTORS, .lba = lba, .native_fua = native_fua,
	};

	return fake_disk_new(test, &config);
}

/* Writes of a bounded size and number: all of the range, nothing twice. */
static void expect_writes(struct kunit *test, struct fake_disk *fake,
			  sector_t sector, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < fake->nr_ops; i++) {
		struct fake_op *part = &fake->log[i];

		if (fake_op_kind(part) == REQ_OP_FLUSH)
			continue;
		KUNIT_EXPECT_TRUE(test, fake_op_kind(part) == REQ_OP_WRITE);
		KUNIT_EXPECT_FALSE(test, part->opf & REQ_FUA);
		KUNIT_EXPECT_EQ(test, part->sector, sector);
		KUNIT_EXPECT_LE(test, part->nr, PART_MAX);
		sector += part->nr;
		nr -= part->nr;
	}
	KUNIT_EXPECT_EQ(test, nr, 0);
	KUNIT_EXPECT_LE(test, fake->max_inflight, IN_FLIGHT);
}

/* The sectors read zero, those around them as before. */
static void expect_hole(struct kunit *test, struct fake_disk *fake, char *buf,
			const char *before, sector_t sector, unsigned int nr)
{
	size_t from = sector << SECTOR_SHIFT, to = (sector + nr) << SECTOR_SHIFT;
	size_t size = (size_t)SECTORS << SECTOR_SHIFT;

	fake_disk_peek(fake, 0, buf, size);
	KUNIT_EXPECT_TRUE(test, !memcmp(buf, before, from));
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(buf + from, 0, to - from), NULL);
	KUNIT_EXPECT_TRUE(test, !memcmp(buf + to, before + to, size - to));
}

struct hole {
	const char *name;
	unsigned int lba;
	enum fake_when when;
	sector_t sector;
	unsigned int nr;
};

static const struct hole holes[] = {
	{ "a sector", 512, FAKE_INLINE, 3, 1 },
	{ "odd", 512, FAKE_SOFTIRQ, 7, 3001 },
	{ "all", 512, FAKE_WORKER, 0, SECTORS },
	{ "the last", 512, FAKE_HARDIRQ, SECTORS - 1, 1 },
	{ "a megabyte", 4096, FAKE_INLINE, 8, PART_MAX },
	{ "more", 4096, FAKE_SOFTIRQ, 16, 5 * PART_MAX + 8 },
};

KUNIT_ARRAY_PARAM_DESC(hole, holes, name);

static void fills(struct kunit *test)
{
	const struct hole *h = test->param_value;
	struct fake_disk *fake = memory(test, h->lba, false);
	size_t size = (size_t)SECTORS << SECTOR_SHIFT;
	char *before, *buf;
	struct strata_stats sum;

	before = kvmalloc(size, GFP_KERNEL);
	buf = kvmalloc(size, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, before && buf);
	if (before && buf) {
		fake_pattern(before, size, 0, 1);
		fake_disk_poke(fake, 0, before, size);
		fake_disk_ends(fake, h->when, 100);
		FAKE_EXPECT_STS(test, fake_range(test, fake->disk, REQ_OP_WRITE_ZEROES,
						 h->sector, h->nr), BLK_STS_OK);
		expect_writes(test, fake, h->sector, h->nr);
		KUNIT_EXPECT_EQ(test, fake->nr_ops, DIV_ROUND_UP(h->nr, PART_MAX));
		expect_hole(test, fake, buf, before, h->sector, h->nr);
	}
	kvfree(before);
	kvfree(buf);

	strata_disk_sum_stats(fake->disk, &sum);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_ZEROES], 1);
	KUNIT_EXPECT_EQ(test, sum.sectors[STRATA_STAT_ZEROES], h->nr);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_WRITE], fake->nr_ops);
	KUNIT_EXPECT_EQ(test, sum.sectors[STRATA_STAT_WRITE], h->nr);
}

/* The most one bio can say; the store keeps nothing of it. */
static void four_gib(struct kunit *test)
{
	const unsigned int nr = UINT_MAX >> SECTOR_SHIFT;
	const struct fake_config config = { .sectors = 2ULL * nr };
	struct fake_disk *fake = fake_disk_new(test, &config);

	fake_disk_ends(fake, FAKE_WORKER, 0);
	FAKE_EXPECT_STS(test, fake_range(test, fake->disk, REQ_OP_WRITE_ZEROES, nr, nr),
			BLK_STS_OK);
	expect_writes(test, fake, nr, nr);
	KUNIT_EXPECT_GT(test, fake->max_inflight, 1);
	KUNIT_EXPECT_EQ(test, fake->nr_pages, 0);
}

/* A FUA is one flush, after all writes. */
static void fua(struct kunit *test)
{
	unsigned int native, i;

	for (native = 0; native < 2; native++) {
		struct fake_disk *fake = memory(test, 512, native);
		struct fake_op *last;

		fake_disk_ends(fake, FAKE_SOFTIRQ, 100);
		FAKE_EXPECT_STS(test, fake_range(test, fake->disk,
						 REQ_OP_WRITE_ZEROES | REQ_FUA, 0,
						 5 * PART_MAX), BLK_STS_OK);
		expect_writes(test, fake, 0, 5 * PART_MAX);
		KUNIT_ASSERT_EQ(test, fake->nr_ops, 6);
		last = &fake->log[5];
		KUNIT_EXPECT_TRUE(test, fake_op_kind(last) == REQ_OP_FLUSH);
		for (i = 0; i < 5; i++)
			KUNIT_EXPECT_LT(test, fake->log[i].ended, last->begun);
	}
}

static void error_stops(struct kunit *test)
{
	static const enum fake_when contexts[] = { FAKE_INLINE, FAKE_SOFTIRQ };
	const struct fake_error error = { REQ_OP_WRITE, 0, 1, BLK_STS_MEDIUM, 0, 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		struct fake_disk *fake = memory(test, 512, false);

		fake_disk_ends(fake, contexts[i], 100);
		fake_disk_fail(fake, &error);
		FAKE_EXPECT_STS(test, fake_range(test, fake->disk,
						 REQ_OP_WRITE_ZEROES | REQ_FUA, 0,
						 SECTORS), BLK_STS_MEDIUM);
		KUNIT_EXPECT_LE(test, fake->nr_ops, i ? IN_FLIGHT : 1);
		KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 0);
	}
}

static void changes_meanwhile(struct kunit *test)
{
	struct fake_disk *fake = memory(test, 512, false);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE_ZEROES, 0, NULL,
					   SECTORS << SECTOR_SHIFT);

	fake_disk_ends(fake, FAKE_HELD, 0);
	fake_bio_submit(fb, NULL, fake->disk);
	KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(fake, IN_FLIGHT));
	strata_disk_resize(fake->disk, PART_MAX);
	fake_disk_release(fake, UINT_MAX);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_TARGET);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, IN_FLIGHT);
}

/* Does not wait for the writes when it may not: only for memory. */
static void nowait(struct kunit *test)
{
	struct fake_disk *fake = memory(test, 512, false);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE_ZEROES | REQ_NOWAIT, 0, NULL,
					   65536);

	fake_bio_submit(fb, NULL, fake->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	expect_writes(test, fake, 0, 128);
	KUNIT_EXPECT_FALSE(test, fake->log[0].opf & REQ_NOWAIT);
}

static void nowait_without_memory(struct kunit *test)
{
#ifdef CONFIG_FAILSLAB
	struct fake_disk *fake = memory(test, 512, false);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE_ZEROES | REQ_NOWAIT, 0, NULL,
					   65536);

	current->fail_nth = 1;
	fake_bio_submit(fb, NULL, fake->disk);
	current->fail_nth = 0;
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_AGAIN);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
#else
	kunit_skip(test, "needs FAILSLAB");
#endif
}

/* A type that zeroes some of it itself, and asks the core for the rest. */
static enum strata_map fussy_map(struct strata_ctx *ctx, struct strata_disk *disk,
				 struct bio *bio)
{
	struct fake_disk *fake = disk->private;

	if (bio_op(bio) == REQ_OP_WRITE_ZEROES && bio_sectors(bio) < 8)
		return strata_zero_fill(ctx, disk, bio);
	return strata_remap(ctx, fake->disk);
}

static void free_disk(void *disk)
{
	strata_disk_free(disk);
}

static void from_map(struct kunit *test)
{
	static const struct strata_disk_ops ops = { .map = fussy_map };
	const struct fake_config config = { .sectors = SECTORS, .native_zeroes = true };
	struct fake_disk *fake = fake_disk_new(test, &config);
	struct strata_disk *disk = strata_disk_alloc("fake.fussy");
	const char *why;

	KUNIT_ASSERT_NOT_NULL(test, disk);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_disk, disk), 0);
	disk->private = fake;
	disk->capacity = SECTORS;
	KUNIT_ASSERT_EQ(test, strata_disk_ready(disk, &ops, &why), 0);

	FAKE_EXPECT_STS(test, fake_range(test, disk, REQ_OP_WRITE_ZEROES, 0, 64), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_WRITE_ZEROES), 1);
	FAKE_EXPECT_STS(test, fake_range(test, disk, REQ_OP_WRITE_ZEROES | REQ_FUA, 3, 5),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_WRITE), 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 1);
	KUNIT_EXPECT_EQ(test, fake->log[1].sector, 3);
	KUNIT_EXPECT_EQ(test, fake->log[1].nr, 5);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(fills, hole_gen_params),
	KUNIT_CASE(four_gib),
	KUNIT_CASE(fua),
	KUNIT_CASE(error_stops),
	KUNIT_CASE(changes_meanwhile),
	KUNIT_CASE(nowait),
	KUNIT_CASE(nowait_without_memory),
	KUNIT_CASE(from_map),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-zero-fill",
	.test_cases = cases,
};

kunit_test_suite(suite);
