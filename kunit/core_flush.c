// SPDX-License-Identifier: GPL-2.0
/* PREFLUSH and FUA: what a disk sees of them, and in which order. */
#include <linux/module.h>
#include "fake_disk.h"

#define FLUSH	(REQ_OP_WRITE | REQ_PREFLUSH)
#define ORDER	3

/* How a bio is to arrive at a disk of a kind. */
struct arrival {
	const char *name;
	blk_opf_t opf;
	bool single_target;
	bool native_fua;
	/* Each bio's operation and flags, 0 for none (a read never comes). */
	blk_opf_t ops[ORDER];
};

static const struct arrival arrivals[] = {
	{ "plain write", REQ_OP_WRITE, false, false, { REQ_OP_WRITE } },
	{ "preflush", FLUSH, false, false, { FLUSH, REQ_OP_WRITE } },
	{ "preflush, native FUA", FLUSH, false, true, { FLUSH, REQ_OP_WRITE } },
	{ "preflush, single target", FLUSH, true, false, { FLUSH } },
	{ "FUA", REQ_OP_WRITE | REQ_FUA, false, false, { REQ_OP_WRITE, FLUSH } },
	{ "FUA, single target", REQ_OP_WRITE | REQ_FUA, true, false,
	  { REQ_OP_WRITE, FLUSH } },
	{ "FUA, native", REQ_OP_WRITE | REQ_FUA, false, true,
	  { REQ_OP_WRITE | REQ_FUA } },
	{ "both", FLUSH | REQ_FUA, false, false, { FLUSH, REQ_OP_WRITE, FLUSH } },
	{ "both, native FUA", FLUSH | REQ_FUA, false, true,
	  { FLUSH, REQ_OP_WRITE | REQ_FUA } },
	{ "both, single target", FLUSH | REQ_FUA, true, false, { FLUSH, FLUSH } },
	{ "both, all native", FLUSH | REQ_FUA, true, true, { FLUSH | REQ_FUA } },
};

KUNIT_ARRAY_PARAM_DESC(arrival, arrivals, name);

static struct fake_disk *make(struct kunit *test, bool single_target,
			      bool native_fua)
{
	const struct fake_config config = {
		.sectors = 64,
		.single_target = single_target,
		.native_fua = native_fua,
		.native_zeroes = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};

	return fake_disk_new(test, &config);
}

static struct fake_bio *write_bio(struct kunit *test, blk_opf_t opf)
{
	return fake_bio_new(test, opf, 3, fake_buffer(test, 2048, 3, 1), 2048);
}

/* The write arrived as it should: each bio after the one before it had ended. */
static void expect_arrival(struct kunit *test, struct fake_disk *fake,
			   const struct arrival *a)
{
	const blk_opf_t mask = REQ_OP_MASK | REQ_PREFLUSH | REQ_FUA;
	unsigned int i, data = 0;

	for (i = 0; i < ORDER && a->ops[i]; i++) {
		struct fake_op *op = &fake->log[i];

		if (i >= fake->nr_ops)
			break;
		KUNIT_EXPECT_TRUE_MSG(test, (op->opf & mask) == a->ops[i],
				      "bio %u has opf %#x", i, (__force u32)op->opf);
		KUNIT_EXPECT_TRUE(test, op->in_task);
		if (i)
			KUNIT_EXPECT_GT(test, op->begun, fake->log[i - 1].ended);
		if (op->nr) {
			data++;
			KUNIT_EXPECT_EQ(test, op->sector, 3);
			KUNIT_EXPECT_EQ(test, op->nr, 4);
		}
	}
	KUNIT_EXPECT_EQ(test, fake->nr_ops, i);
	KUNIT_EXPECT_EQ(test, data, 1);
}

static void arrives_when(struct kunit *test, enum fake_when when)
{
	const struct arrival *a = test->param_value;
	struct fake_disk *fake = make(test, a->single_target, a->native_fua);
	struct fake_bio *fb = write_bio(test, a->opf);
	void *want = fake_buffer(test, 2048, 3, 1), *got = fake_buffer(test, 2048, 0, 0);

	fake_disk_ends(fake, when, 100);
	fake_bio_submit(fb, NULL, fake->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	expect_arrival(test, fake, a);
	KUNIT_EXPECT_GT(test, fb->ended, fake->log[fake->nr_ops - 1].ended);
	fake_disk_peek(fake, 3, got, 2048);
	KUNIT_EXPECT_MEMEQ(test, got, want, 2048);
}

static void arrives(struct kunit *test)
{
	arrives_when(test, FAKE_INLINE);
}

static void arrives_from_softirq(struct kunit *test)
{
	arrives_when(test, FAKE_SOFTIRQ);
}

static void arrives_from_hardirq(struct kunit *test)
{
	arrives_when(test, FAKE_HARDIRQ);
}

static void arrives_from_worker(struct kunit *test)
{
	arrives_when(test, FAKE_WORKER);
}

/* Each step that fails ends the write with its error, and is the last. */
static void fails(struct kunit *test)
{
	const struct arrival *a = test->param_value;
	unsigned int steps, step;

	for (steps = 0; steps < ORDER && a->ops[steps]; steps++)
		;
	for (step = 0; step < steps; step++) {
		const struct fake_error error = { REQ_OP_LAST, 0, U64_MAX,
						  BLK_STS_MEDIUM, step, 1 };
		struct fake_disk *fake = make(test, a->single_target, a->native_fua);
		struct fake_bio *fb = write_bio(test, a->opf);

		fake_disk_ends(fake, step & 1 ? FAKE_SOFTIRQ : FAKE_INLINE, 100);
		fake_disk_fail(fake, &error);
		fake_bio_submit(fb, NULL, fake->disk);
		FAKE_EXPECT_STS_MSG(test, fake_bio_wait(test, fb), BLK_STS_MEDIUM,
				    "step %u", step);
		KUNIT_EXPECT_EQ_MSG(test, fake->nr_ops, step + 1, "step %u", step);
	}
}

/* The data waits for the flush, the end for the last of all. */
static void waits(struct kunit *test)
{
	struct fake_disk *fake = make(test, false, false);
	struct fake_bio *fb = write_bio(test, FLUSH | REQ_FUA);
	unsigned int i;

	fake_disk_ends(fake, FAKE_HELD, 0);
	fake_bio_submit(fb, NULL, fake->disk);
	for (i = 1; i <= 3; i++) {
		KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(fake, 1));
		/* What should not come yet would come from the worker. */
		flush_workqueue(fake->disk->steps);
		KUNIT_EXPECT_EQ(test, fake->nr_ops, i);
		KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 0);
		KUNIT_EXPECT_EQ(test, fake_disk_release(fake, 1), 1);
	}
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
}

/* Nothing below takes a FUA with zeroes or a discard: it is a flush for all. */
static void fua_zeroes(struct kunit *test)
{
	static const enum req_op ops[] = { REQ_OP_WRITE_ZEROES, REQ_OP_DISCARD };
	unsigned int i, native;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		for (native = 0; native < 2; native++) {
			struct fake_disk *fake = make(test, native, native);

			fake_disk_ends(fake, FAKE_SOFTIRQ, 100);
			FAKE_EXPECT_STS(test, fake_range(test, fake->disk,
							 ops[i] | REQ_FUA, 8, 16),
					BLK_STS_OK);
			KUNIT_ASSERT_EQ(test, fake->nr_ops, 2);
			KUNIT_EXPECT_TRUE(test, fake_op_kind(&fake->log[0]) == ops[i]);
			KUNIT_EXPECT_FALSE(test, fake->log[0].opf & REQ_FUA);
			KUNIT_EXPECT_TRUE(test, fake_op_kind(&fake->log[1]) == REQ_OP_FLUSH);
			KUNIT_EXPECT_GT(test, fake->log[1].begun, fake->log[0].ended);
		}
}

static void read_only_flush(struct kunit *test)
{
	const struct fake_config config = { .sectors = 64, .read_only = true };
	struct fake_disk *fake = fake_disk_new(test, &config);
	struct strata_stats sum;

	FAKE_EXPECT_STS(test, fake_flush(test, fake->disk), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
	strata_disk_sum_stats(fake->disk, &sum);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_FLUSH], 1);
	KUNIT_EXPECT_EQ(test, sum.refused, 0);
}

/* Whoever may not wait is told so before anything was done, and only then. */
static void nowait_again(struct kunit *test)
{
	static const blk_opf_t ops[] = { REQ_OP_WRITE | REQ_FUA, FLUSH,
					 FLUSH | REQ_FUA };
	struct fake_disk *fake = make(test, false, false);
	unsigned int i;

	fake->again = true;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		struct fake_bio *fb = write_bio(test, ops[i] | REQ_NOWAIT);

		fake_bio_submit(fb, NULL, fake->disk);
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_AGAIN);
	}
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 0);
}

/* As the disk is ready for a first bio that may not wait, and then no more. */
static void again_after_first(struct fake_disk *fake, struct strata_ctx *ctx,
			      struct bio *bio)
{
	if (fake->nr_ops)
		fake->again = true;
}

static void nowait_first_only(struct kunit *test, blk_opf_t opf)
{
	struct fake_disk *fake = make(test, false, false);
	struct fake_bio *fb = write_bio(test, opf | REQ_NOWAIT);
	unsigned int i;

	fake->hook = again_after_first;
	fake_disk_ends(fake, FAKE_SOFTIRQ, 100);
	fake_bio_submit(fb, NULL, fake->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, fake->log[0].opf & REQ_NOWAIT);
	for (i = 1; i < fake->nr_ops; i++)
		KUNIT_EXPECT_FALSE_MSG(test, fake->log[i].opf & REQ_NOWAIT, "bio %u", i);
}

static void preflush_nowait(struct kunit *test)
{
	nowait_first_only(test, FLUSH);
}

static void fua_nowait(struct kunit *test)
{
	nowait_first_only(test, REQ_OP_WRITE | REQ_FUA);
}

/* The disk dies between the flush and the data. */
static void dies_between(struct kunit *test)
{
	struct fake_disk *fake = make(test, false, false);
	struct fake_bio *fb = write_bio(test, FLUSH);

	fake_disk_ends(fake, FAKE_HELD, 0);
	fake_bio_submit(fb, NULL, fake->disk);
	strata_disk_mark_dead(fake->disk);
	KUNIT_EXPECT_EQ(test, fake_disk_release(fake, 1), 1);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 1);
}

/* The disk shrinks between the flush and the data. */
static void shrinks_between(struct kunit *test)
{
	struct fake_disk *fake = make(test, false, false);
	struct fake_bio *fb = write_bio(test, FLUSH);

	fake_disk_ends(fake, FAKE_HELD, 0);
	fake_bio_submit(fb, NULL, fake->disk);
	strata_disk_resize(fake->disk, 3);
	KUNIT_EXPECT_EQ(test, fake_disk_release(fake, 1), 1);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_TARGET);
	KUNIT_EXPECT_EQ(test, fake->nr_ops, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(arrives, arrival_gen_params),
	KUNIT_CASE_PARAM(arrives_from_worker, arrival_gen_params),
	KUNIT_CASE_PARAM(arrives_from_softirq, arrival_gen_params),
	KUNIT_CASE_PARAM(arrives_from_hardirq, arrival_gen_params),
	KUNIT_CASE_PARAM(fails, arrival_gen_params),
	KUNIT_CASE(waits),
	KUNIT_CASE(fua_zeroes),
	KUNIT_CASE(read_only_flush),
	KUNIT_CASE(nowait_again),
	KUNIT_CASE(preflush_nowait),
	KUNIT_CASE(fua_nowait),
	KUNIT_CASE(dies_between),
	KUNIT_CASE(shrinks_between),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-flush",
	.test_cases = cases,
};

kunit_test_suite(suite);
