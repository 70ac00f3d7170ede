// SPDX-License-Identifier: GPL-2.0
/* Sub-bios without memory: what there is in reserve must do, and NOWAIT. */
#include <linux/module.h>
#include <linux/sizes.h>
#include "core_stack.h"
#include "fake_disk.h"

#define SECTORS	2048
#define FLUSH	(REQ_OP_WRITE | REQ_PREFLUSH)
#define LEVELS	3

static struct fake_disk *memory(struct kunit *test, enum fake_when when,
				unsigned int delay_us)
{
	const struct fake_config config = {
		.sectors = SECTORS,
		.native_zeroes = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};
	struct fake_disk *fake = fake_disk_new(test, &config);

	fake_disk_ends(fake, when, delay_us);
	return fake;
}

static struct fake_stack *splitter(struct kunit *test, struct strata_disk *below,
				   unsigned int chunk)
{
	const struct fake_stack_config config = {
		.kind = FAKE_STRIPE, .chunk = chunk, .below = { below },
	};

	return fake_stack_new(test, &config);
}

static void expect_ascending(struct kunit *test, struct fake_disk *fake,
			     unsigned int parts)
{
	unsigned int i;

	KUNIT_ASSERT_EQ(test, fake->nr_ops, parts);
	for (i = 0; i < parts && fake->log[i].sector == i; i++)
		;
	KUNIT_EXPECT_EQ_MSG(test, i, parts, "out of order");
}

static void split_starved(struct kunit *test, enum fake_when when,
			  unsigned int bytes)
{
	struct fake_disk *fake = memory(test, when, 0);
	struct fake_stack *split = splitter(test, fake->disk, 1);
	void *want = fake_buffer(test, bytes, 0, 1), *got = fake_buffer(test, bytes, 0, 0);
	struct strata_stats sum;

	fake_pool_starve(split->disk, true);
	FAKE_EXPECT_STS(test, fake_rw(test, split->disk, REQ_OP_WRITE, 0, want, bytes),
			BLK_STS_OK);
	fake_pool_starve(split->disk, false);

	expect_ascending(test, fake, bytes >> SECTOR_SHIFT);
	fake_disk_peek(fake, 0, got, bytes);
	KUNIT_EXPECT_TRUE(test, !memcmp(got, want, bytes));
	/* It came back for more again and again, and was counted once. */
	KUNIT_EXPECT_GT(test, atomic_read(&split->maps), (bytes >> SECTOR_SHIFT) / 4);
	strata_disk_sum_stats(split->disk, &sum);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_WRITE], 1);
	KUNIT_EXPECT_EQ(test, sum.sectors[STRATA_STAT_WRITE], bytes >> SECTOR_SHIFT);
}

static void starved_inline(struct kunit *test)
{
	split_starved(test, FAKE_INLINE, SZ_1M);
}

static void starved_worker(struct kunit *test)
{
	split_starved(test, FAKE_WORKER, SZ_64K);
}

static void starved_softirq(struct kunit *test)
{
	split_starved(test, FAKE_SOFTIRQ, SZ_64K);
}

/* Every level has nothing but its own reserve. */
static void starved_levels(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_WORKER, 0);
	struct strata_disk *top = fake->disk;
	struct fake_stack *levels[LEVELS];
	unsigned int i;

	for (i = 0; i < LEVELS; i++) {
		levels[i] = splitter(test, top, 1 << 2 * i);
		top = levels[i]->disk;
		fake_pool_starve(top, true);
	}
	FAKE_EXPECT_STS(test, fake_rw(test, top, REQ_OP_WRITE, 0,
				      fake_buffer(test, SZ_64K, 0, 1), SZ_64K), BLK_STS_OK);
	for (i = 0; i < LEVELS; i++)
		fake_pool_starve(levels[i]->disk, false);
	expect_ascending(test, fake, SZ_64K >> SECTOR_SHIFT);
}

/*
 * Below submit_bio() what was issued may wait until it returns: nothing waits
 * for a pool there, and the workers go on.
 */
static void below_submit_bio(struct kunit *test)
{
	struct bio_list lists[2] = { BIO_EMPTY_LIST, BIO_EMPTY_LIST };
	struct fake_disk *fake = memory(test, FAKE_HELD, 0);
	struct fake_stack *low = splitter(test, fake->disk, 3);
	struct fake_stack *top = splitter(test, low->disk, 8);
	void *want = fake_buffer(test, SZ_64K, 0, 1), *got = fake_buffer(test, SZ_64K, 0, 0);
	struct bio waiting;
	struct fake_bio *fb[4];
	unsigned int i;

	bio_init(&waiting, NULL, NULL, 0, REQ_OP_READ);
	bio_list_add(&lists[0], &waiting);
	for (i = 0; i < ARRAY_SIZE(fb); i++)
		fb[i] = fake_bio_new(test, REQ_OP_WRITE | REQ_FUA, i * SZ_16K >> SECTOR_SHIFT,
				     want + i * SZ_16K, SZ_16K);
	fake_pool_starve(low->disk, true);
	fake_pool_starve(top->disk, true);
	current->bio_list = lists;
	for (i = 0; i < ARRAY_SIZE(fb); i++)
		fake_bio_submit(fb[i], NULL, top->disk);
	current->bio_list = NULL;
	/* It is the reserve that has been used up. */
	KUNIT_EXPECT_TRUE(test, fake_disk_wait_pending(fake, 1));
	KUNIT_EXPECT_LT(test, fake->nr_ops, SZ_64K >> SECTOR_SHIFT);
	fake_disk_ends(fake, FAKE_INLINE, 0);
	fake_disk_release(fake, UINT_MAX);
	for (i = 0; i < ARRAY_SIZE(fb); i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb[i]), BLK_STS_OK);
	fake_pool_starve(low->disk, false);
	fake_pool_starve(top->disk, false);
	fake_disk_peek(fake, 0, got, SZ_64K);
	KUNIT_EXPECT_EQ(test, memcmp(got, want, SZ_64K), 0);
}

/* Many threads that submit to a disk with starved pools. */
struct crowd {
	struct kunit *test;
	struct strata_disk *disk;
	const blk_opf_t *ops;
	unsigned int nr_ops;
	unsigned int each;
	unsigned int bytes;
	atomic_t errors;
};

static blk_status_t crowd_op(struct crowd *crowd, blk_opf_t opf, sector_t sector)
{
	enum req_op op = opf & REQ_OP_MASK;

	if (op == REQ_OP_READ || op == REQ_OP_WRITE)
		return fake_rw(crowd->test, crowd->disk, opf, sector,
			       fake_buffer(crowd->test, crowd->bytes, sector, 1),
			       crowd->bytes);
	return fake_range(crowd->test, crowd->disk, opf, sector,
			  crowd->bytes >> SECTOR_SHIFT);
}

static void crowd_fn(void *context, unsigned int index)
{
	struct crowd *crowd = context;
	sector_t sector = (sector_t)index * (crowd->bytes >> SECTOR_SHIFT);
	unsigned int i;

	for (i = 0; i < crowd->each; i++)
		if (crowd_op(crowd, crowd->ops[(index + i) % crowd->nr_ops], sector))
			atomic_inc(&crowd->errors);
}

static void run_crowd(struct crowd *crowd, unsigned int threads,
		      struct strata_disk **starved, unsigned int nr_starved)
{
	struct fake_threads *t;
	unsigned int i;
	bool in_time;

	for (i = 0; i < nr_starved; i++)
		fake_pool_starve(starved[i], true);
	t = fake_threads_start(crowd->test, threads, crowd_fn, crowd);
	in_time = fake_threads_wait(t);
	KUNIT_EXPECT_TRUE_MSG(crowd->test, in_time, "no progress without memory");
	for (i = 0; i < nr_starved; i++)
		fake_pool_starve(starved[i], false);
	KUNIT_ASSERT_TRUE(crowd->test, in_time || fake_threads_wait(t));
	KUNIT_EXPECT_EQ(crowd->test, atomic_read(&crowd->errors), 0);
}

/*
 * What the core holds while a map works must not be what that map waits for:
 * two writes, each with a bio of the core's, each needing sub-bios.
 */
static void pool_of_core(struct kunit *test, blk_opf_t opf)
{
	struct fake_disk *a = memory(test, FAKE_WORKER, 20000);
	struct fake_disk *b = memory(test, FAKE_WORKER, 20000);
	const struct fake_stack_config config = {
		.kind = FAKE_MIRROR, .below = { a->disk, b->disk },
	};
	struct fake_stack *mirror = fake_stack_new(test, &config);
	struct crowd crowd = {
		.test = test, .disk = mirror->disk, .ops = &opf, .nr_ops = 1,
		.each = 2, .bytes = 4096,
	};

	run_crowd(&crowd, 4, &mirror->disk, 1);
	KUNIT_EXPECT_GE(test, fake_disk_count(a, REQ_OP_FLUSH), 8);
	KUNIT_EXPECT_GE(test, fake_disk_count(b, REQ_OP_FLUSH), 8);
}

static void pool_preflush(struct kunit *test)
{
	pool_of_core(test, FLUSH);
}

static void pool_fua(struct kunit *test)
{
	pool_of_core(test, REQ_OP_WRITE | REQ_FUA);
}

/* What goes on in the disk's worker may not wait for others that do. */
static void pool_both(struct kunit *test)
{
	pool_of_core(test, FLUSH | REQ_FUA);
}

static void pool_fua_zeroes(struct kunit *test)
{
	pool_of_core(test, REQ_OP_WRITE_ZEROES | REQ_FUA);
}

/* The same where the zeroes are writes, which are the core's bios again. */
static void pool_fua_zero_fill(struct kunit *test)
{
	static const blk_opf_t opf = REQ_OP_WRITE_ZEROES | REQ_FUA;
	const struct fake_config config = { .sectors = SECTORS };
	struct fake_disk *fake = fake_disk_new(test, &config);
	struct fake_stack *split = splitter(test, fake->disk, 8);
	struct crowd crowd = {
		.test = test, .disk = split->disk, .ops = &opf, .nr_ops = 1,
		.each = 2, .bytes = SZ_32K,
	};

	fake_disk_ends(fake, FAKE_WORKER, 20000);
	run_crowd(&crowd, 4, &split->disk, 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 8);
}

/* A bit of everything, at several levels, from several threads. */
static void starved_crowd(struct kunit *test)
{
	static const blk_opf_t ops[] = {
		REQ_OP_WRITE, REQ_OP_READ, REQ_OP_WRITE | REQ_FUA, FLUSH,
		FLUSH | REQ_FUA, REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES,
		REQ_OP_WRITE_ZEROES | REQ_FUA,
	};
	struct fake_disk *a = memory(test, FAKE_WORKER, 0);
	struct fake_disk *b = memory(test, FAKE_SOFTIRQ, 100);
	struct fake_stack_config config = {
		.kind = FAKE_MIRROR, .below = { a->disk, b->disk },
	};
	struct fake_stack *mirror = fake_stack_new(test, &config);
	struct fake_stack *low = splitter(test, mirror->disk, 4);
	struct fake_stack *top = splitter(test, low->disk, 16);
	struct strata_disk *starved[] = { mirror->disk, low->disk, top->disk };
	struct crowd crowd = {
		.test = test, .disk = top->disk, .ops = ops,
		.nr_ops = ARRAY_SIZE(ops), .each = ARRAY_SIZE(ops), .bytes = SZ_32K,
	};

	run_crowd(&crowd, 6, starved, ARRAY_SIZE(starved));
}

/* Hold so many of the pool's reserve. */
static struct fake_bio *hold(struct kunit *test, struct fake_stack *split,
			     unsigned int n)
{
	unsigned int bytes = (n + 1) << SECTOR_SHIFT;
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_READ, 0,
					   fake_buffer(test, bytes, 0, 0), bytes);

	fake_pool_starve(split->disk, true);
	fake_bio_submit(fb, NULL, split->disk);
	return fb;
}

/* No sub-bio at once: nothing is issued. */
static void nowait_none(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_HELD, 0);
	struct fake_stack *split = splitter(test, fake->disk, 1);
	struct fake_bio *first = hold(test, split, BIO_POOL_SIZE), *fb;

	KUNIT_EXPECT_EQ(test, fake->nr_ops, BIO_POOL_SIZE + 1);
	fb = fake_bio_new(test, REQ_OP_READ | REQ_NOWAIT, 0,
			  fake_buffer(test, 4096, 0, 0), 4096);
	fake_bio_submit(fb, NULL, split->disk);
	KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 1);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_AGAIN);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, BIO_POOL_SIZE + 1);

	fake_pool_starve(split->disk, false);
	fake_disk_release(fake, UINT_MAX);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, first), BLK_STS_OK);
}

struct submission {
	struct fake_bio *fb;
	struct strata_disk *disk;
};

static void submit_fn(void *context, unsigned int index)
{
	struct submission *s = context;

	fake_bio_submit(s->fb, NULL, s->disk);
}

/* A sub-bio, but not a second one: too late to say no. */
static void nowait_some(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_HELD, 0);
	struct fake_stack *split = splitter(test, fake->disk, 1);
	struct fake_bio *first = hold(test, split, BIO_POOL_SIZE - 1);
	struct submission s = { .disk = split->disk };
	struct fake_threads *t;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, fake->nr_ops, BIO_POOL_SIZE);
	s.fb = fake_bio_new(test, REQ_OP_READ | REQ_NOWAIT, 0,
			    fake_buffer(test, 2048, 0, 0), 2048);
	t = fake_threads_start(test, 1, submit_fn, &s);
	KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(fake, BIO_POOL_SIZE + 1));
	KUNIT_EXPECT_EQ(test, atomic_read(&s.fb->ends), 0);
	fake_pool_starve(split->disk, false);
	while (!atomic_read(&s.fb->ends) && fake_disk_wait_pending(fake, 1))
		fake_disk_release(fake, UINT_MAX);
	KUNIT_ASSERT_TRUE(test, fake_threads_wait(t));
	FAKE_EXPECT_STS(test, fake_bio_wait(test, s.fb), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, first), BLK_STS_OK);

	KUNIT_EXPECT_EQ(test, fake->nr_ops, BIO_POOL_SIZE + 4);
	for (i = BIO_POOL_SIZE; i < fake->nr_ops; i++)
		KUNIT_EXPECT_FALSE(test, fake->log[i].opf & REQ_NOWAIT);
}

/* One part keeps the flag, and the answer of whoever gets it. */
static void nowait_whole(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_INLINE, 0);
	struct fake_stack *split = splitter(test, fake->disk, 8);
	void *buf = fake_buffer(test, 4096, 0, 0);

	FAKE_EXPECT_STS(test, fake_rw(test, split->disk, REQ_OP_READ | REQ_NOWAIT, 0, buf,
				      4096), BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, fake->log[0].opf & REQ_NOWAIT);
	fake->again = true;
	FAKE_EXPECT_STS(test, fake_rw(test, split->disk, REQ_OP_READ | REQ_NOWAIT, 0, buf,
				      4096), BLK_STS_AGAIN);
	/* In two parts neither may say so any more. */
	FAKE_EXPECT_STS(test, fake_rw(test, split->disk, REQ_OP_READ | REQ_NOWAIT, 4, buf,
				      4096), BLK_STS_OK);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(starved_inline),
	KUNIT_CASE(starved_worker),
	KUNIT_CASE(starved_softirq),
	KUNIT_CASE(starved_levels),
	KUNIT_CASE(below_submit_bio),
	KUNIT_CASE(pool_preflush),
	KUNIT_CASE(pool_fua),
	KUNIT_CASE(pool_both),
	KUNIT_CASE(pool_fua_zeroes),
	KUNIT_CASE(pool_fua_zero_fill),
	KUNIT_CASE_SLOW(starved_crowd),
	KUNIT_CASE(nowait_none),
	KUNIT_CASE(nowait_some),
	KUNIT_CASE(nowait_whole),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-pool",
	.test_cases = cases,
};

kunit_test_suite(suite);
