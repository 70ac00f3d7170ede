// SPDX-License-Identifier: GPL-2.0
/* Sub-bios: splitting, cloning, their order, errors and stack use. */
#include <linux/module.h>
#include <linux/sizes.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "core_stack.h"
#include "fake_disk.h"

#define MANY	(SZ_1M >> SECTOR_SHIFT)
#define DEPTH	16

static struct fake_disk *memory(struct kunit *test)
{
	const struct fake_config config = {
		.sectors = MANY,
		.native_zeroes = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};

	return fake_disk_new(test, &config);
}

static struct fake_stack *splitter(struct kunit *test, struct strata_disk *below,
				   unsigned int chunk)
{
	const struct fake_stack_config config = {
		.kind = FAKE_STRIPE, .chunk = chunk, .below = { below },
	};

	return fake_stack_new(test, &config);
}

static struct fake_stack *remapper(struct kunit *test, struct strata_disk *below,
				   sector_t offset)
{
	const struct fake_stack_config config = {
		.kind = FAKE_REMAP, .offset = offset, .below = { below },
	};

	return fake_stack_new(test, &config);
}

static u64 ios(struct strata_disk *disk, enum strata_stat kind)
{
	struct strata_stats sum;

	strata_disk_sum_stats(disk, &sum);
	return sum.ios[kind];
}

/* All parts, ascending, without a gap. */
static void expect_row(struct kunit *test, struct fake_disk *fake,
		       unsigned int first, sector_t sector, unsigned int nr,
		       unsigned int each)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct fake_op *op = &fake->log[first + i];

		if (op->sector == sector + i * each && op->nr == each)
			continue;
		KUNIT_FAIL(test, "part %u is %u at %llu", i, op->nr, op->sector);
		return;
	}
}

static const enum fake_when contexts[] = {
	FAKE_INLINE, FAKE_WORKER, FAKE_SOFTIRQ, FAKE_HARDIRQ,
};

static void expect_data(struct kunit *test, struct fake_disk *fake,
			struct fake_bio *write)
{
	void *want = fake_buffer(test, SZ_1M, 0, 1), *got = fake_buffer(test, SZ_1M, 0, 0);

	FAKE_EXPECT_STS(test, fake_bio_wait(test, write), BLK_STS_OK);
	fake_disk_peek(fake, 0, got, SZ_1M);
	KUNIT_EXPECT_TRUE(test, !memcmp(got, want, SZ_1M));
}

/* A megabyte that alternates with every sector: 2,048 parts. */
static void every_sector(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		struct fake_disk *fake = memory(test);
		struct fake_stack *split = splitter(test, fake->disk, 1);
		struct fake_bio *fb;

		fake_disk_ends(fake, contexts[i], 100);
		fb = fake_bio_new(test, REQ_OP_WRITE, 0,
				  fake_buffer(test, SZ_1M, 0, 1), SZ_1M);
		fake_bio_submit(fb, NULL, split->disk);
		expect_data(test, fake, fb);
		KUNIT_ASSERT_EQ(test, fake->nr_ops, MANY);
		expect_row(test, fake, 0, 0, MANY, 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&split->maps), 1);
		KUNIT_EXPECT_EQ(test, ios(split->disk, STRATA_STAT_WRITE), 1);
		KUNIT_EXPECT_EQ(test, ios(fake->disk, STRATA_STAT_WRITE), MANY);
	}
}

/* The bio ends after all of its parts, whatever their order. */
static void ends_last(struct kunit *test)
{
	struct fake_disk *fake = memory(test);
	struct fake_stack *split = splitter(test, fake->disk, 1);
	unsigned int lifo, i;

	fake_disk_ends(fake, FAKE_HELD, 0);
	for (lifo = 0; lifo < 2; lifo++) {
		struct fake_bio *fb = fake_bio_new(test, REQ_OP_READ, 0,
						   fake_buffer(test, 4096, 0, 0), 4096);

		fake->lifo = lifo;
		fake_bio_submit(fb, NULL, split->disk);
		KUNIT_EXPECT_EQ(test, fake->inflight, 8);
		for (i = 0; i < 8; i++) {
			KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 0);
			KUNIT_EXPECT_EQ(test, fake_disk_release(fake, 1), 1);
		}
		KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 1);
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	}
}

/* What an earlier part ran into is not forgotten when a later one succeeds. */
static void error_of_sibling(struct kunit *test)
{
	unsigned int bad, c;

	for (c = 0; c < ARRAY_SIZE(contexts); c++) {
		struct fake_disk *fake = memory(test);
		struct fake_stack *split = splitter(test, fake->disk, 2);

		fake_disk_ends(fake, contexts[c], 100);
		for (bad = 0; bad < 4; bad++) {
			const struct fake_error error = { REQ_OP_WRITE, 2 * bad, 2,
							  BLK_STS_MEDIUM, 0, 1 };

			fake_disk_forget(fake);
			fake_disk_fail(fake, &error);
			FAKE_EXPECT_STS_MSG(test, fake_rw(test, split->disk, REQ_OP_WRITE,
							  0, fake_buffer(test, 4096, 0, 1),
							  4096),
					    BLK_STS_MEDIUM, "part %u", bad);
			KUNIT_EXPECT_EQ(test, fake->nr_ops, 4);
		}
	}
}

/* Nor when the later part is one that the core itself ends. */
static void error_then_core(struct kunit *test)
{
	static const enum req_op ops[] = { REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES };
	const struct fake_error error = { REQ_OP_LAST, 0, 8, BLK_STS_MEDIUM, 0, 1 };
	const struct fake_config plain = { .sectors = 8 };
	struct fake_disk *a = memory(test), *b = fake_disk_new(test, &plain);
	const struct fake_stack_config config = {
		.kind = FAKE_STRIPE, .chunk = 2, .below = { a->disk, b->disk },
	};
	struct fake_stack *stripe = fake_stack_new(test, &config);
	unsigned int i;

	/* b ignores discards and has its zeroes written: let both get there. */
	stripe->disk->unmap = STRATA_UNMAP_UNSPECIFIED;
	stripe->disk->limits.max_write_zeroes_sectors = UINT_MAX;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		fake_disk_fail(a, &error);
		FAKE_EXPECT_STS(test, fake_range(test, stripe->disk, ops[i], 0, 4),
				BLK_STS_MEDIUM);
	}
	KUNIT_EXPECT_EQ(test, a->nr_ops, 2);
	KUNIT_EXPECT_EQ(test, fake_disk_count(b, REQ_OP_WRITE), 1);
}

/* Depth first: a part's own parts go before its siblings. */
static void depth_first(struct kunit *test)
{
	struct fake_disk *fake = memory(test);
	struct fake_stack *low = splitter(test, fake->disk, 1);
	struct fake_stack *middle = remapper(test, low->disk, 5);
	struct fake_stack *high = splitter(test, middle->disk, 16);

	FAKE_EXPECT_STS(test, fake_rw(test, high->disk, REQ_OP_WRITE, 0,
				      fake_buffer(test, SZ_32K, 0, 1), SZ_32K),
			BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, fake->nr_ops, 64);
	expect_row(test, fake, 0, 5, 64, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&high->maps), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&low->maps), 4);
	KUNIT_EXPECT_EQ(test, ios(middle->disk, STRATA_STAT_WRITE), 4);
}

/* The bytes of stack between the submitter and the lowest map. */
static long stack_used(struct kunit *test, struct strata_disk *top,
		       struct fake_disk *fake, unsigned int bytes)
{
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_READ, 0,
					   fake_buffer(test, bytes, 0, 0), bytes);

	fake_disk_forget(fake);
	fake_bio_submit(fb, NULL, top);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	return fb->stack - fake->log[fake->nr_ops - 1].stack;
}

static void stack_of_depth(struct kunit *test)
{
	struct fake_disk *fake = memory(test);
	struct strata_disk *top = fake->disk;
	long flat = stack_used(test, top, fake, 4096);
	unsigned int i;

	for (i = 1; i < DEPTH; i++)
		top = remapper(test, top, 1)->disk;
	KUNIT_EXPECT_EQ(test, stack_used(test, top, fake, 4096), flat);
	KUNIT_EXPECT_EQ(test, fake->log[0].sector, DEPTH - 1);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 1);
}

static void stack_of_fanout(struct kunit *test)
{
	struct fake_disk *fake = memory(test);
	struct strata_disk *top = splitter(test, fake->disk, 1)->disk;
	long two = stack_used(test, top, fake, 1024);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, stack_used(test, top, fake, SZ_64K), two);
	for (i = 2; i < DEPTH; i++)
		top = splitter(test, top, i)->disk;
	KUNIT_EXPECT_EQ(test, stack_used(test, top, fake, SZ_64K), two);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 128);
}

/* Each level counts what it was given, and once. */
static void stats_of_levels(struct kunit *test)
{
	struct fake_disk *fake = memory(test);
	struct fake_stack *low = splitter(test, fake->disk, 4);
	struct fake_stack *high = remapper(test, low->disk, 2);
	struct strata_stats sum;

	FAKE_EXPECT_STS(test, fake_rw(test, high->disk, REQ_OP_READ, 0,
				      fake_buffer(test, 4096, 0, 0), 4096), BLK_STS_OK);
	strata_disk_sum_stats(high->disk, &sum);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_READ], 1);
	KUNIT_EXPECT_EQ(test, sum.sectors[STRATA_STAT_READ], 8);
	strata_disk_sum_stats(low->disk, &sum);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_READ], 1);
	KUNIT_EXPECT_EQ(test, sum.sectors[STRATA_STAT_READ], 8);
	strata_disk_sum_stats(fake->disk, &sum);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_READ], 3);
	KUNIT_EXPECT_EQ(test, sum.sectors[STRATA_STAT_READ], 8);
}

/* Every disk checks for itself. */
static void checked_at_each_level(struct kunit *test)
{
	struct fake_disk *fake = memory(test);
	struct fake_stack *high = remapper(test, fake->disk, 8);
	void *buf = fake_buffer(test, 4096, 0, 1);

	WRITE_ONCE(high->disk->capacity, MANY);
	FAKE_EXPECT_STS(test, fake_rw(test, high->disk, REQ_OP_READ, MANY - 8, buf, 4096),
			BLK_STS_TARGET);
	strata_disk_mark_dead(fake->disk);
	WRITE_ONCE(high->disk->dead, false);
	FAKE_EXPECT_STS(test, fake_rw(test, high->disk, REQ_OP_READ, 0, buf, 4096),
			BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

static void mirror(struct kunit *test)
{
	const struct fake_error error = { REQ_OP_WRITE, 0, 8, BLK_STS_MEDIUM, 0, 1 };
	struct fake_disk *fakes[] = { memory(test), memory(test), memory(test) };
	const struct fake_stack_config config = {
		.kind = FAKE_MIRROR,
		.below = { fakes[0]->disk, fakes[1]->disk, fakes[2]->disk },
	};
	struct fake_stack *stack = fake_stack_new(test, &config);
	void *want = fake_buffer(test, 4096, 0, 3), *got = fake_buffer(test, 4096, 0, 0);
	unsigned int i, bad;

	FAKE_EXPECT_STS(test, fake_rw(test, stack->disk, REQ_OP_WRITE, 4, want, 4096),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_flush(test, stack->disk), BLK_STS_OK);
	for (i = 0; i < 3; i++) {
		fake_disk_peek(fakes[i], 4, got, 4096);
		KUNIT_EXPECT_MEMEQ(test, got, want, 4096);
		KUNIT_EXPECT_EQ(test, fake_disk_count(fakes[i], REQ_OP_FLUSH), 1);
	}
	for (bad = 0; bad < 3; bad++) {
		fake_disk_fail(fakes[bad], &error);
		FAKE_EXPECT_STS(test, fake_rw(test, stack->disk, REQ_OP_WRITE, 0, want,
					      4096), BLK_STS_MEDIUM);
	}
}

/* A type with a front pad of its own, which counts its parts in it. */
struct padded {
	char name[20];
	unsigned int number;
	struct strata_sub sub;
};

struct counting {
	struct strata_disk *below;
	struct bio *bio;
	atomic_t left;
	unsigned int wrong;
};

static void padded_end(struct bio *bio)
{
	struct padded *pad = container_of(strata_sub(bio), struct padded, sub);
	struct counting *counting = pad->sub.owner->private;
	char name[20];

	snprintf(name, sizeof(name), "part %u", pad->number);
	if (strcmp(name, pad->name) || pad->sub.parent != counting->bio)
		counting->wrong++;
	bio_put(bio);
	if (atomic_dec_and_test(&counting->left))
		strata_end(counting->bio, BLK_STS_OK);
}

static enum strata_map padded_map(struct strata_ctx *ctx, struct strata_disk *disk,
				  struct bio *bio)
{
	struct counting *counting = disk->private;
	unsigned int i, n = bio_sectors(bio);

	counting->bio = bio;
	atomic_set(&counting->left, n);
	for (i = 0; i < n; i++) {
		struct strata_sub *sub = strata_sub_clone(ctx, disk, bio);
		struct padded *pad = container_of(sub, struct padded, sub);

		pad->number = i;
		snprintf(pad->name, sizeof(pad->name), "part %u", i);
		sub->parent = bio;
		sub->bio.bi_end_io = padded_end;
		sub->bio.bi_iter.bi_sector += i;
		sub->bio.bi_iter.bi_size = SECTOR_SIZE;
		strata_sub_queue(ctx, sub, counting->below);
	}
	return STRATA_SUBMITTED;
}

static void free_disk(void *disk)
{
	strata_disk_free(disk);
}

static void front_pad(struct kunit *test)
{
	static const struct strata_disk_ops ops = {
		.front_pad = offsetof(struct padded, sub.bio),
		.map = padded_map,
	};
	struct fake_disk *fake = memory(test);
	struct counting counting = { .below = fake->disk };
	struct strata_disk *disk = strata_disk_alloc("fake.padded");
	const char *why;

	KUNIT_ASSERT_NOT_NULL(test, disk);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_disk, disk), 0);
	disk->private = &counting;
	disk->capacity = MANY;
	KUNIT_ASSERT_EQ(test, strata_disk_ready(disk, &ops, &why), 0);
	fake_disk_ends(fake, FAKE_SOFTIRQ, 100);
	fake->lifo = true;
	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_READ, 0,
				      fake_buffer(test, SZ_16K, 0, 0), SZ_16K), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 32);
	KUNIT_EXPECT_EQ(test, counting.wrong, 0);
}

/* Ranges split like data, though they have none. */
static void splits_ranges(struct kunit *test)
{
	struct fake_disk *fake = memory(test);
	struct fake_stack *split = splitter(test, fake->disk, 8);
	static const enum req_op ops[] = { REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES };
	char *buf = fake_buffer(test, SZ_32K, 0, 0), *want = fake_buffer(test, SZ_32K, 0, 1);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		fake_disk_poke(fake, 0, want, SZ_32K);
		fake_disk_forget(fake);
		FAKE_EXPECT_STS(test, fake_range(test, split->disk, ops[i], 4, 48), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, fake_disk_count(fake, ops[i]), 7);
		fake_disk_peek(fake, 0, buf, SZ_32K);
		KUNIT_EXPECT_MEMEQ(test, buf, want, 4 * 512);
		KUNIT_EXPECT_PTR_EQ(test, memchr_inv(buf + 4 * 512, 0, 48 * 512), NULL);
		KUNIT_EXPECT_MEMEQ(test, buf + 52 * 512, want + 52 * 512, 12 * 512);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE_SLOW(every_sector),
	KUNIT_CASE(ends_last),
	KUNIT_CASE(error_of_sibling),
	KUNIT_CASE(error_then_core),
	KUNIT_CASE(depth_first),
	KUNIT_CASE(stack_of_depth),
	KUNIT_CASE(stack_of_fanout),
	KUNIT_CASE(stats_of_levels),
	KUNIT_CASE(checked_at_each_level),
	KUNIT_CASE(mirror),
	KUNIT_CASE(front_pad),
	KUNIT_CASE(splits_ranges),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-fanout",
	.test_cases = cases,
};

kunit_test_suite(suite);
