// SPDX-License-Identifier: GPL-2.0
/* Long discards and zeroes: the bounded chain. */
#include <linux/module.h>
#include <linux/sizes.h>
#include <strata/range.h>
#include "core_stack.h"
#include "fake_disk.h"

#define GIB		((sector_t)SZ_1G >> SECTOR_SHIFT)
#define BIO_MAX		((sector_t)UINT_MAX >> SECTOR_SHIFT)
#define IN_FLIGHT	4

/* How a range ended. */
struct ending {
	struct completion done;
	blk_status_t status;
	bool in_task;
};

struct ranged {
	struct strata_range range;
	struct ending *ending;
	struct hrtimer timer;
};

/* As an engine may do, free it all at the end. */
static void ranged_end(struct strata_range *range)
{
	struct ranged *r = container_of(range, struct ranged, range);
	struct ending *ending = r->ending;

	ending->status = range->status;
	ending->in_task = in_task() && !irqs_disabled();
	kfree(r);
	complete(&ending->done);
}

static struct ranged *ranged_new(struct kunit *test, struct strata_disk *disk,
				 blk_opf_t opf, sector_t sector, sector_t nr)
{
	struct ranged *r = kzalloc(sizeof(*r), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->ending = kzalloc(sizeof(*r->ending), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r->ending);
	init_completion(&r->ending->done);
	r->range.disk = disk;
	r->range.opf = opf;
	r->range.sector = sector;
	r->range.nr_sects = nr;
	r->range.end = ranged_end;
	return r;
}

static struct ending *start(struct kunit *test, struct strata_disk *disk,
			    blk_opf_t opf, sector_t sector, sector_t nr)
{
	struct ranged *r = ranged_new(test, disk, opf, sector, nr);
	struct ending *ending = r->ending;

	strata_range_submit(&r->range);
	return ending;
}

static blk_status_t finish(struct kunit *test, struct ending *ending)
{
	blk_status_t status;

	if (!wait_for_completion_timeout(&ending->done, FAKE_TIMEOUT)) {
		KUNIT_FAIL(test, "the range does not end");
		return BLK_STS_TIMEOUT;
	}
	KUNIT_EXPECT_TRUE(test, ending->in_task);
	status = ending->status;
	kfree(ending);
	return status;
}

static blk_status_t run(struct kunit *test, struct strata_disk *disk,
			blk_opf_t opf, sector_t sector, sector_t nr)
{
	return finish(test, start(test, disk, opf, sector, nr));
}

static struct fake_disk *sparse(struct kunit *test, sector_t sectors,
				unsigned int lba, unsigned int max)
{
	const struct fake_config config = {
		.sectors = sectors,
		.lba = lba,
		.native_zeroes = true,
		.unmap = STRATA_UNMAP_ZEROES,
		.max_discard = max,
		.max_zeroes = max,
	};

	return fake_disk_new(test, &config);
}

/* The parts, and a flush at the end: all of the range, nothing twice. */
static void expect_parts(struct kunit *test, struct fake_disk *fake, enum req_op op,
			 sector_t sector, sector_t nr, unsigned int most)
{
	unsigned int i, parts = 0;

	for (i = 0; i < fake->nr_ops; i++) {
		struct fake_op *part = &fake->log[i];

		if (fake_op_kind(part) != op)
			continue;
		KUNIT_EXPECT_EQ(test, part->sector, sector);
		KUNIT_EXPECT_LE(test, part->nr, most);
		KUNIT_EXPECT_EQ(test, part->nr & fake->disk->lba_mask, 0);
		KUNIT_EXPECT_FALSE(test, part->opf & REQ_FUA);
		sector += part->nr;
		nr -= part->nr;
		parts++;
	}
	KUNIT_EXPECT_EQ(test, nr, 0);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), fake->nr_ops - parts);
	KUNIT_EXPECT_LE(test, fake->max_inflight, IN_FLIGHT);
}

struct shape {
	const char *name;
	enum req_op op;
	enum fake_when when;
	unsigned int max;
};

static const struct shape shapes[] = {
	{ "discard, inline", REQ_OP_DISCARD, FAKE_INLINE, 0 },
	{ "discard, worker, 1 GiB", REQ_OP_DISCARD, FAKE_WORKER, GIB },
	{ "discard, hardirq, 1 GiB", REQ_OP_DISCARD, FAKE_HARDIRQ, GIB },
	{ "zeroes, inline", REQ_OP_WRITE_ZEROES, FAKE_INLINE, 0 },
	{ "zeroes, softirq, 1 GiB", REQ_OP_WRITE_ZEROES, FAKE_SOFTIRQ, GIB },
	{ "zeroes, hardirq", REQ_OP_WRITE_ZEROES, FAKE_HARDIRQ, 0 },
};

KUNIT_ARRAY_PARAM_DESC(shape, shapes, name);

static void beyond_4g(struct kunit *test)
{
	const struct shape *s = test->param_value;
	const sector_t first = 7, nr = 10 * GIB + 11;
	struct fake_disk *fake = sparse(test, 16 * GIB, 512, s->max);
	char *want = fake_buffer(test, 4096, 4, 1), *got = fake_buffer(test, 4096, 0, 0);

	/* Data at both edges, and in the middle. */
	fake_disk_poke(fake, 4, want, 4096);
	fake_disk_poke(fake, first + nr - 5, want, 4096);
	fake_disk_poke(fake, 5 * GIB, want, 4096);
	fake_disk_ends(fake, s->when, 1000);
	FAKE_EXPECT_STS(test, run(test, fake->disk, s->op, first, nr), BLK_STS_OK);

	expect_parts(test, fake, s->op, first, nr, s->max ?: BIO_MAX);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 0);
	if (s->when != FAKE_INLINE)
		KUNIT_EXPECT_GT(test, fake->max_inflight, 1);
	fake_disk_peek(fake, 4, got, 4096);
	KUNIT_EXPECT_MEMEQ(test, got, want, 3 * 512);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(got + 3 * 512, 0, 5 * 512), NULL);
	fake_disk_peek(fake, first + nr - 5, got, 4096);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(got, 0, 5 * 512), NULL);
	KUNIT_EXPECT_MEMEQ(test, got + 5 * 512, want + 5 * 512, 3 * 512);
	KUNIT_EXPECT_LE(test, fake->nr_pages, 3);
}

/* One flush, when all parts have ended. */
static void fua(struct kunit *test)
{
	const struct shape *s = test->param_value;
	struct fake_disk *fake = sparse(test, 16 * GIB, 4096, s->max);
	struct fake_op *last;
	unsigned int i;

	fake_disk_ends(fake, s->when, 1000);
	FAKE_EXPECT_STS(test, run(test, fake->disk, s->op | REQ_FUA, 8, 9 * GIB), BLK_STS_OK);
	expect_parts(test, fake, s->op, 8, 9 * GIB, s->max ?: BIO_MAX);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 1);
	last = &fake->log[fake->nr_ops - 1];
	KUNIT_EXPECT_TRUE(test, fake_op_kind(last) == REQ_OP_FLUSH);
	for (i = 0; i + 1 < fake->nr_ops; i++)
		KUNIT_EXPECT_LT(test, fake->log[i].ended, last->begun);
}

static void fua_fails(struct kunit *test)
{
	const struct fake_error error = { REQ_OP_FLUSH, 0, 0, BLK_STS_MEDIUM, 0, 1 };
	struct fake_disk *fake = sparse(test, GIB, 512, 0);

	fake_disk_fail(fake, &error);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD | REQ_FUA, 0, GIB),
			BLK_STS_MEDIUM);
}

/* An error is the end: no more parts, and no flush. */
static void error_stops(struct kunit *test)
{
	const struct fake_error error = { REQ_OP_DISCARD, 2048, 1, BLK_STS_NOSPC, 0, 1 };
	struct fake_disk *fake = sparse(test, 1024 * 100, 512, 1024);

	fake_disk_ends(fake, FAKE_SOFTIRQ, 100);
	fake_disk_fail(fake, &error);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD | REQ_FUA, 0, 1024 * 100),
			BLK_STS_NOSPC);
	KUNIT_EXPECT_LE(test, fake->nr_ops, 3 + IN_FLIGHT);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 0);
}

static void error_inline_stops(struct kunit *test)
{
	const struct fake_error error = { REQ_OP_DISCARD, 0, 1, BLK_STS_NOSPC, 0, 1 };
	struct fake_disk *fake = sparse(test, 1024 * 100, 512, 1024);

	fake_disk_fail(fake, &error);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, 0, 1024 * 100),
			BLK_STS_NOSPC);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 1);
}

/* Of several errors, the one that came first. */
static void first_error(struct kunit *test)
{
	const struct fake_error errors[] = {
		{ REQ_OP_DISCARD, 0, 1, BLK_STS_NOSPC, 0, 1 },
		{ REQ_OP_DISCARD, 1024, 1, BLK_STS_MEDIUM, 0, 1 },
		{ REQ_OP_DISCARD, 2048, 1, BLK_STS_TIMEOUT, 0, 1 },
	};
	static const blk_status_t want[] = { BLK_STS_NOSPC, BLK_STS_TIMEOUT };
	unsigned int lifo, i;

	for (lifo = 0; lifo < 2; lifo++) {
		struct fake_disk *fake = sparse(test, 1024 * 100, 512, 1024);
		struct ending *wait;

		for (i = 0; i < ARRAY_SIZE(errors); i++)
			fake_disk_fail(fake, &errors[i]);
		fake_disk_ends(fake, FAKE_HELD, 0);
		fake->lifo = lifo;
		wait = start(test, fake->disk, REQ_OP_DISCARD, 0, 3 * 1024);
		KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(fake, 3));
		fake_disk_release(fake, 3);
		FAKE_EXPECT_STS(test, finish(test, wait), want[lifo]);
	}
}

static void out_of_range(struct kunit *test)
{
	const sector_t size = 16 * GIB;
	const struct {
		sector_t sector;
		sector_t nr;
	} bad[] = {
		{ size, 1 }, { size - 1, 2 }, { 0, size + 1 }, { 1, size },
		{ U64_MAX, 1 }, { U64_MAX - 1, 2 }, { 1, U64_MAX }, { U64_MAX, U64_MAX },
		{ 2, U64_MAX - 1 }, { 1ULL << 55, 1 }, { 0, 1ULL << 55 }, { size + 1, 0 },
	};
	struct fake_disk *fake = sparse(test, size, 512, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		FAKE_EXPECT_STS_MSG(test, run(test, fake->disk, REQ_OP_DISCARD | REQ_FUA,
					      bad[i].sector, bad[i].nr),
				    BLK_STS_TARGET, "case %u", i);
		FAKE_EXPECT_STS_MSG(test, run(test, fake->disk, REQ_OP_WRITE_ZEROES,
					      bad[i].sector, bad[i].nr),
				    BLK_STS_TARGET, "case %u", i);
	}
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

static void unaligned(struct kunit *test)
{
	static const struct {
		sector_t sector;
		sector_t nr;
	} bad[] = { { 1, 8 }, { 0, 7 }, { 4, 4 }, { 8, 1 }, { 7, 16 } };
	struct fake_disk *fake = sparse(test, GIB, 4096, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, bad[i].sector,
					  bad[i].nr), BLK_STS_INVAL);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

static void nothing(struct kunit *test)
{
	struct fake_disk *fake = sparse(test, GIB, 512, 0);

	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, 0, 0), BLK_STS_OK);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, GIB, 0), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_WRITE_ZEROES | REQ_FUA, 5, 0),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 1);
}

/* Limits that are not whole blocks, or less than one. */
static void small_limit(struct kunit *test)
{
	static const struct {
		unsigned int max;
		unsigned int part;
	} limits[] = { { 8, 8 }, { 12, 8 }, { 23, 16 }, { 4, 8 }, { 1, 8 } };
	static const enum req_op ops[] = { REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES };
	unsigned int i, op;

	for (i = 0; i < ARRAY_SIZE(limits); i++)
		for (op = 0; op < ARRAY_SIZE(ops); op++) {
			struct fake_disk *fake = sparse(test, 1024, 4096, limits[i].max);

			FAKE_EXPECT_STS(test, run(test, fake->disk, ops[op], 8, 72),
					BLK_STS_OK);
			expect_parts(test, fake, ops[op], 8, 72, limits[i].part);
			KUNIT_EXPECT_EQ(test, fake->nr_ops,
					DIV_ROUND_UP(72, limits[i].part));
		}
}

static void refusals(struct kunit *test)
{
	const struct fake_config ro = { .sectors = GIB, .read_only = true };
	const struct fake_config ignoring = { .sectors = 10 * GIB };
	struct fake_disk *fake = fake_disk_new(test, &ro);

	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, 0, 8), BLK_STS_IOERR);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_WRITE_ZEROES, 0, 8),
			BLK_STS_IOERR);
	strata_disk_mark_dead(fake->disk);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, 0, 8), BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);

	fake = fake_disk_new(test, &ignoring);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, 0, 10 * GIB), BLK_STS_OK);
	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_DISCARD, 1, 10 * GIB),
			BLK_STS_TARGET);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

/* What happens to the disk meanwhile ends the range too. */
static void changes_meanwhile(struct kunit *test)
{
	unsigned int dies;

	for (dies = 0; dies < 2; dies++) {
		struct fake_disk *fake = sparse(test, 1024 * 100, 512, 1024);
		struct ending *wait;

		fake_disk_ends(fake, FAKE_HELD, 0);
		wait = start(test, fake->disk, REQ_OP_DISCARD | REQ_FUA, 0, 1024 * 100);
		KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(fake, IN_FLIGHT));
		if (dies)
			strata_disk_mark_dead(fake->disk);
		else
			strata_disk_resize(fake->disk, 1024);
		KUNIT_EXPECT_EQ(test, fake_disk_release(fake, UINT_MAX), IN_FLIGHT);
		FAKE_EXPECT_STS(test, finish(test, wait),
				dies ? BLK_STS_OFFLINE : BLK_STS_TARGET);
		KUNIT_EXPECT_EQ(test, fake->nr_ops, IN_FLIGHT);
	}
}

static enum hrtimer_restart submit_in_irq(struct hrtimer *timer)
{
	strata_range_submit(&container_of(timer, struct ranged, timer)->range);
	return HRTIMER_NORESTART;
}

static void from_hardirq(struct kunit *test)
{
	struct fake_disk *fake = sparse(test, GIB, 512, 0);
	struct ranged *r = ranged_new(test, fake->disk, REQ_OP_DISCARD, 0, GIB);
	struct ending *wait = r->ending;

	hrtimer_init(&r->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	r->timer.function = submit_in_irq;
	fake_disk_ends(fake, FAKE_HELD, 0);
	hrtimer_start(&r->timer, ns_to_ktime(100 * NSEC_PER_USEC), HRTIMER_MODE_REL_HARD);
	KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(fake, 1));
	hrtimer_cancel(&r->timer);
	KUNIT_EXPECT_TRUE(test, fake->log[0].in_task);
	fake_disk_release(fake, UINT_MAX);
	FAKE_EXPECT_STS(test, finish(test, wait), BLK_STS_OK);
}

static void flags(struct kunit *test)
{
	struct fake_disk *fake = sparse(test, GIB, 512, 0);

	FAKE_EXPECT_STS(test, run(test, fake->disk, REQ_OP_WRITE_ZEROES | REQ_NOUNMAP, 0, 8),
			BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, fake->log[0].opf & REQ_NOUNMAP);
}

#define RANGES 6

/* Ranges on a disk that splits, with nothing but the reserves. */
static void pool_of_ranges(struct kunit *test)
{
	struct fake_disk *fake = sparse(test, 1024 * RANGES, 512, 128);
	struct fake_stack_config config = { .kind = FAKE_STRIPE, .chunk = 8 };
	struct ending *waits[RANGES];
	struct fake_stack *split;
	unsigned int i;
	bool in_time;

	config.below[0] = fake->disk;
	split = fake_stack_new(test, &config);
	fake_disk_ends(fake, FAKE_WORKER, 0);
	fake_pool_starve(split->disk, true);
	for (i = 0; i < RANGES; i++)
		waits[i] = start(test, split->disk, REQ_OP_DISCARD | REQ_FUA, 1024 * i, 1024);
	in_time = wait_for_completion_timeout(&waits[RANGES - 1]->done, FAKE_TIMEOUT);
	KUNIT_EXPECT_TRUE_MSG(test, in_time, "no progress without memory");
	if (in_time)
		complete(&waits[RANGES - 1]->done);
	else
		fake_pool_starve(split->disk, false);
	for (i = 0; i < RANGES; i++)
		FAKE_EXPECT_STS(test, finish(test, waits[i]), BLK_STS_OK);
	fake_pool_starve(split->disk, false);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_DISCARD), RANGES * 1024 / 8);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), RANGES);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(beyond_4g, shape_gen_params),
	KUNIT_CASE_PARAM(fua, shape_gen_params),
	KUNIT_CASE(fua_fails),
	KUNIT_CASE(error_stops),
	KUNIT_CASE(error_inline_stops),
	KUNIT_CASE(first_error),
	KUNIT_CASE(out_of_range),
	KUNIT_CASE(unaligned),
	KUNIT_CASE(nothing),
	KUNIT_CASE(small_limit),
	KUNIT_CASE(refusals),
	KUNIT_CASE(changes_meanwhile),
	KUNIT_CASE(from_hardirq),
	KUNIT_CASE(flags),
	KUNIT_CASE(pool_of_ranges),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-range",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of long ranges and of zeroes by writing");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
