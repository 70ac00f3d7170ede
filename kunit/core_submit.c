// SPDX-License-Identifier: GPL-2.0
/* The core's checks on submission, its counters, and where bios end. */
#include <linux/module.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "conformance.h"
#include "fake_disk.h"

#define SECTORS 2048

static const blk_opf_t known_ops[] = {
	REQ_OP_READ,
	REQ_OP_WRITE,
	REQ_OP_WRITE | REQ_FUA,
	REQ_OP_WRITE | REQ_PREFLUSH,
	REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA,
	REQ_OP_DISCARD,
	REQ_OP_WRITE_ZEROES,
	REQ_OP_WRITE_ZEROES | REQ_FUA,
};

static bool has_data(blk_opf_t opf)
{
	enum req_op op = opf & REQ_OP_MASK;

	return op == REQ_OP_READ || op == REQ_OP_WRITE;
}

static struct fake_disk *make(struct kunit *test, unsigned int lba)
{
	const struct fake_config config = {
		.sectors = SECTORS,
		.lba = lba,
		.native_zeroes = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};

	return fake_disk_new(test, &config);
}

static blk_status_t do_op(struct kunit *test, struct strata_disk *disk,
			  blk_opf_t opf, sector_t sector, unsigned int bytes)
{
	void *buf = has_data(opf) && bytes ? fake_buffer(test, bytes, 0, 1) : NULL;

	return fake_rw(test, disk, opf, sector, buf, bytes);
}

static u64 refused(struct strata_disk *disk)
{
	struct strata_stats sum;

	strata_disk_sum_stats(disk, &sum);
	return sum.refused;
}

static void op_filter(struct kunit *test)
{
	static const enum req_op ops[] = {
		REQ_OP_FLUSH, REQ_OP_SECURE_ERASE, REQ_OP_ZONE_APPEND,
		REQ_OP_ZONE_OPEN, REQ_OP_ZONE_CLOSE, REQ_OP_ZONE_FINISH,
		REQ_OP_ZONE_RESET, REQ_OP_ZONE_RESET_ALL, REQ_OP_DRV_IN,
		REQ_OP_DRV_OUT,
	};
	struct fake_disk *fake = make(test, 512);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		FAKE_EXPECT_STS_MSG(test, do_op(test, fake->disk, ops[i], 8, 512),
				    BLK_STS_NOTSUPP, "op %u", ops[i]);
		/* Zone management has no size. */
		FAKE_EXPECT_STS_MSG(test, do_op(test, fake->disk, ops[i], 8, 0),
				    BLK_STS_NOTSUPP, "empty op %u", ops[i]);
	}
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
	KUNIT_EXPECT_EQ(test, refused(fake->disk), 2 * ARRAY_SIZE(ops));
}

static void range(struct kunit *test)
{
	static const struct fake_config configs[] = {
		{ .sectors = SECTORS },
		{ .sectors = SECTORS, .lba = 4096 },
		{ .sectors = SECTORS, .read_only = true },
		{ .sectors = SECTORS, .native_zeroes = true, .native_fua = true,
		  .single_target = true, .unmap = STRATA_UNMAP_ZEROES },
		{ .sectors = SECTORS, .unmap = STRATA_UNMAP_UNSPECIFIED, .lba = 4096 },
		/* As far as a signed offset reaches, almost. */
		{ .sectors = (1ULL << 54) - 64, .native_zeroes = true },
		{ .sectors = (1ULL << 54) - 64, .lba = 4096 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(configs); i++)
		strata_conformance_range(test, fake_disk_new(test, &configs[i])->disk);
}

/* What is out of range touches nothing, not even for its flush. */
static void range_first(struct kunit *test)
{
	struct fake_disk *fake = make(test, 512);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known_ops); i++) {
		FAKE_EXPECT_STS_MSG(test, do_op(test, fake->disk, known_ops[i],
						SECTORS - 1, 1024),
				    BLK_STS_TARGET, "opf %#x", known_ops[i]);
		FAKE_EXPECT_STS_MSG(test, do_op(test, fake->disk, known_ops[i],
						U64_MAX - 1, 1024),
				    BLK_STS_TARGET, "opf %#x", known_ops[i]);
	}
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
	KUNIT_EXPECT_EQ(test, refused(fake->disk), 2 * ARRAY_SIZE(known_ops));
}

static void alignment(struct kunit *test)
{
	static const struct {
		unsigned int lba;
		sector_t sector;
		unsigned int bytes;
	} bad[] = {
		{ 512, 0, 1 }, { 512, 0, 511 }, { 512, 1, 513 },
		{ 4096, 1, 4096 }, { 4096, 7, 4096 }, { 4096, 0, 512 },
		{ 4096, 8, 3584 }, { 4096, 8, 4608 }, { 4096, 4, 512 },
		{ 4096, 0, 4097 }, { 4096, 0, 100 },
	};
	struct fake_disk *fakes[] = { make(test, 512), make(test, 4096) };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fake_disk *fake = fakes[bad[i].lba == 4096];

		for (j = 0; j < ARRAY_SIZE(known_ops); j++)
			FAKE_EXPECT_STS_MSG(test, do_op(test, fake->disk, known_ops[j],
							bad[i].sector, bad[i].bytes),
					    BLK_STS_INVAL, "case %u, opf %#x", i,
					    known_ops[j]);
	}
	KUNIT_EXPECT_EQ(test, fakes[0]->nr_ops, 0);
	KUNIT_EXPECT_EQ(test, fakes[1]->nr_ops, 0);
}

static void read_only(struct kunit *test)
{
	const struct fake_config config = {
		.sectors = SECTORS, .read_only = true, .native_zeroes = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};
	struct fake_disk *fake = fake_disk_new(test, &config);
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(known_ops); i++)
		FAKE_EXPECT_STS_MSG(test, do_op(test, fake->disk, known_ops[i], 0, 4096),
				    BLK_STS_IOERR, "opf %#x", known_ops[i]);
	KUNIT_EXPECT_EQ(test, refused(fake->disk), ARRAY_SIZE(known_ops) - 1);

	/* There is nothing to flush, so it has succeeded already. */
	FAKE_EXPECT_STS(test, fake_flush(test, fake->disk), BLK_STS_OK);
	FAKE_EXPECT_STS(test, do_op(test, fake->disk, REQ_OP_READ, 0, 4096), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_READ), 1);
}

static void dead(struct kunit *test)
{
	struct fake_disk *fake = make(test, 512);
	unsigned int i;

	strata_disk_mark_dead(fake->disk);
	for (i = 0; i < ARRAY_SIZE(known_ops); i++)
		FAKE_EXPECT_STS_MSG(test, do_op(test, fake->disk, known_ops[i], 0, 4096),
				    BLK_STS_OFFLINE, "opf %#x", known_ops[i]);
	FAKE_EXPECT_STS(test, fake_flush(test, fake->disk), BLK_STS_OFFLINE);
	FAKE_EXPECT_STS(test, do_op(test, fake->disk, REQ_OP_READ, 0, 0), BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

/* No disk type has to know what a request for nothing is. */
static void zero_length(struct kunit *test)
{
	static const blk_opf_t ops[] = {
		REQ_OP_READ, REQ_OP_WRITE, REQ_OP_WRITE | REQ_FUA,
		REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES,
	};
	struct fake_disk *fake = make(test, 4096);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		FAKE_EXPECT_STS(test, do_op(test, fake->disk, ops[i], 0, 0), BLK_STS_OK);
		FAKE_EXPECT_STS(test, do_op(test, fake->disk, ops[i], SECTORS, 0),
				BLK_STS_OK);
		FAKE_EXPECT_STS(test, do_op(test, fake->disk, ops[i], SECTORS + 8, 0),
				BLK_STS_TARGET);
		FAKE_EXPECT_STS(test, do_op(test, fake->disk, ops[i], U64_MAX, 0),
				BLK_STS_TARGET);
		FAKE_EXPECT_STS(test, do_op(test, fake->disk, ops[i], 1, 0),
				BLK_STS_INVAL);
	}
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

static void flush_has_no_address(struct kunit *test)
{
	static const sector_t sectors[] = { 0, 1, SECTORS, SECTORS + 1, U64_MAX };
	struct fake_disk *fake = make(test, 4096);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sectors); i++)
		FAKE_EXPECT_STS(test, do_op(test, fake->disk, REQ_OP_WRITE | REQ_PREFLUSH,
					    sectors[i], 0), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), ARRAY_SIZE(sectors));
}

/* A discard that does nothing does not do it out of range. */
static void discard_ignored(struct kunit *test)
{
	const struct fake_config config = { .sectors = SECTORS };
	struct fake_disk *fake = fake_disk_new(test, &config);

	FAKE_EXPECT_STS(test, fake_range(test, fake->disk, REQ_OP_DISCARD, 0, SECTORS),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, fake->disk, REQ_OP_DISCARD, 1, SECTORS),
			BLK_STS_TARGET);
	FAKE_EXPECT_STS(test, fake_range(test, fake->disk, REQ_OP_DISCARD, SECTORS, 1),
			BLK_STS_TARGET);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

static void expect_stats(struct kunit *test, struct strata_disk *disk,
			 const struct strata_stats *want)
{
	struct strata_stats got;
	unsigned int i;

	strata_disk_sum_stats(disk, &got);
	for (i = 0; i < STRATA_NR_STATS; i++) {
		KUNIT_EXPECT_EQ_MSG(test, got.ios[i], want->ios[i], "ios of kind %u", i);
		KUNIT_EXPECT_EQ_MSG(test, got.sectors[i], want->sectors[i],
				    "sectors of kind %u", i);
	}
	KUNIT_EXPECT_EQ(test, got.refused, want->refused);
}

static void stats(struct kunit *test)
{
	static const struct {
		blk_opf_t opf;
		sector_t sector;
		unsigned int bytes;
	} ops[] = {
		{ REQ_OP_READ, 0, 512 },
		{ REQ_OP_READ, 8, 65536 },
		{ REQ_OP_WRITE, 3, 4096 },
		{ REQ_OP_WRITE | REQ_PREFLUSH, 0, 0 },
		{ REQ_OP_DISCARD, 0, SECTORS << SECTOR_SHIFT },
		{ REQ_OP_WRITE_ZEROES, 5, 11 << SECTOR_SHIFT },
		/* A flush and the data */
		{ REQ_OP_WRITE | REQ_PREFLUSH, 0, 1024 },
		/* The data and a flush */
		{ REQ_OP_WRITE | REQ_FUA, 0, 2048 },
		/* A flush, the data and a flush */
		{ REQ_OP_WRITE | REQ_FUA | REQ_PREFLUSH, 0, 512 },
		/* Refused */
		{ REQ_OP_READ, SECTORS, 512 },
		{ REQ_OP_WRITE, 0, 100 },
		{ REQ_OP_SECURE_ERASE, 0, 512 },
	};
	const struct strata_stats want = {
		.ios = { 2, 4, 5, 1, 1 },
		.sectors = { 1 + 128, 8 + 2 + 4 + 1, 0, SECTORS, 11 },
		.refused = 3,
	};
	struct fake_disk *fake = make(test, 512);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		do_op(test, fake->disk, ops[i].opf, ops[i].sector, ops[i].bytes);
	expect_stats(test, fake->disk, &want);
}

/* Errors are the submitter's to count, not refusals of the core. */
static void stats_of_errors(struct kunit *test)
{
	const struct fake_error all = { REQ_OP_LAST, 0, U64_MAX, BLK_STS_MEDIUM, 0, UINT_MAX };
	const struct strata_stats want = { .ios = { 1 }, .sectors = { 8 } };
	struct fake_disk *fake = make(test, 512);

	fake_disk_fail(fake, &all);
	FAKE_EXPECT_STS(test, do_op(test, fake->disk, REQ_OP_READ, 0, 4096),
			BLK_STS_MEDIUM);
	expect_stats(test, fake->disk, &want);
}

struct context {
	const char *name;
	enum fake_when when;
	bool in_task;
};

static const struct context contexts[] = {
	{ "inline", FAKE_INLINE, true },
	{ "worker", FAKE_WORKER, true },
	{ "softirq", FAKE_SOFTIRQ, false },
	{ "hardirq", FAKE_HARDIRQ, false },
};

KUNIT_ARRAY_PARAM_DESC(context, contexts, name);

static void ends_anywhere(struct kunit *test)
{
	const struct context *c = test->param_value;
	struct fake_disk *fake = make(test, 512);
	void *want = fake_buffer(test, 65536, 5, 1);
	void *got = fake_buffer(test, 65536, 0, 0);
	struct fake_bio *write, *read;

	fake_disk_ends(fake, c->when, 200);
	write = fake_bio_new(test, REQ_OP_WRITE, 5, want, 65536);
	fake_bio_submit(write, NULL, fake->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, write), BLK_STS_OK);
	read = fake_bio_new(test, REQ_OP_READ, 5, got, 65536);
	fake_bio_submit(read, NULL, fake->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, read), BLK_STS_OK);

	KUNIT_EXPECT_MEMEQ(test, got, want, 65536);
	KUNIT_EXPECT_EQ(test, write->in_task, c->in_task);
	KUNIT_EXPECT_EQ(test, read->in_task, c->in_task);
	KUNIT_EXPECT_TRUE(test, fake->log[0].in_task);
	KUNIT_EXPECT_TRUE(test, fake->log[1].in_task);
}

#define DEFERRED 16

struct deferring {
	struct hrtimer timer;
	struct strata_disk *disk;
	struct fake_bio *fb[DEFERRED];
};

static enum hrtimer_restart defer_all(struct hrtimer *timer)
{
	struct deferring *d = container_of(timer, struct deferring, timer);
	unsigned int i;

	for (i = 0; i < DEFERRED; i++) {
		d->fb[i]->bio.bi_private = d->fb[i];
		strata_defer(d->disk, &d->fb[i]->bio);
	}
	return HRTIMER_NORESTART;
}

/* From a timer to the disk's own worker, in order. */
static void defer(struct kunit *test)
{
	struct deferring *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	static const enum hrtimer_mode modes[] = {
		HRTIMER_MODE_REL_SOFT, HRTIMER_MODE_REL_HARD
	};
	struct fake_disk *fake = make(test, 512);
	unsigned int i, mode;

	KUNIT_ASSERT_NOT_NULL(test, d);
	d->disk = fake->disk;
	for (mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		fake_disk_forget(fake);
		for (i = 0; i < DEFERRED; i++)
			d->fb[i] = fake_bio_new(test, REQ_OP_WRITE | REQ_NOWAIT, 3 * i,
						fake_buffer(test, 512, 3 * i, 7), 512);
		hrtimer_init(&d->timer, CLOCK_MONOTONIC, modes[mode]);
		d->timer.function = defer_all;
		hrtimer_start(&d->timer, ns_to_ktime(100 * NSEC_PER_USEC), modes[mode]);
		for (i = 0; i < DEFERRED; i++)
			FAKE_EXPECT_STS(test, fake_bio_wait(test, d->fb[i]), BLK_STS_OK);
		hrtimer_cancel(&d->timer);

		KUNIT_ASSERT_EQ(test, fake->nr_ops, DEFERRED);
		for (i = 0; i < DEFERRED; i++) {
			KUNIT_EXPECT_TRUE(test, fake->log[i].in_task);
			KUNIT_EXPECT_EQ(test, fake->log[i].sector, 3 * i);
			KUNIT_EXPECT_FALSE(test, fake->log[i].opf & REQ_NOWAIT);
		}
	}
}

static void nowait(struct kunit *test)
{
	struct fake_disk *fake = make(test, 512);

	FAKE_EXPECT_STS(test, do_op(test, fake->disk, REQ_OP_READ | REQ_NOWAIT, 0, 512),
			BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, fake->log[0].opf & REQ_NOWAIT);
	fake->again = true;
	FAKE_EXPECT_STS(test, do_op(test, fake->disk, REQ_OP_READ | REQ_NOWAIT, 0, 512),
			BLK_STS_AGAIN);
	FAKE_EXPECT_STS(test, do_op(test, fake->disk, REQ_OP_READ, 0, 512), BLK_STS_OK);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(op_filter),
	KUNIT_CASE(range),
	KUNIT_CASE(range_first),
	KUNIT_CASE(alignment),
	KUNIT_CASE(read_only),
	KUNIT_CASE(dead),
	KUNIT_CASE(zero_length),
	KUNIT_CASE(flush_has_no_address),
	KUNIT_CASE(discard_ignored),
	KUNIT_CASE(stats),
	KUNIT_CASE(stats_of_errors),
	KUNIT_CASE_PARAM(ends_anywhere, context_gen_params),
	KUNIT_CASE(defer),
	KUNIT_CASE(nowait),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-submit",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of submission");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
