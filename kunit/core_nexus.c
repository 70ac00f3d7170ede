// SPDX-License-Identifier: GPL-2.0
/*
 * Who issues a bio: the nexus must arrive with every bio that serves it. The
 * disk that looks has the shape of a reservation provider.
 */
#include <linux/module.h>
#include <linux/sizes.h>
#include <strata/handle.h>
#include <strata/pr.h>
#include <strata/range.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "core_stack.h"
#include "fake_disk.h"

#define SECTORS	8192

/* A disk that asks its reservations about each bio, and forwards it. */
struct gate {
	struct strata_pr pr;
	struct strata_disk *disk;
	struct strata_disk *below;
	struct strata_nexus *allowed;
	unsigned int begun;
	atomic_t inflight;
};

struct gate_sub {
	void *token;
	struct strata_sub sub;
};

static blk_status_t gate_begin(struct strata_pr *pr, struct strata_nexus *nexus,
			       blk_opf_t op, void **token)
{
	struct gate *gate = container_of(pr, struct gate, pr);

	if (nexus != gate->allowed)
		return BLK_STS_RESV_CONFLICT;
	gate->begun++;
	atomic_inc(&gate->inflight);
	*token = gate;
	return BLK_STS_OK;
}

static void gate_end(struct strata_pr *pr, void *token)
{
	struct gate *gate = container_of(pr, struct gate, pr);

	if (token == gate)
		atomic_dec(&gate->inflight);
}

static const struct strata_pr_ops gate_pr_ops = {
	.begin = gate_begin,
	.end = gate_end,
};

static void gate_bio_end(struct bio *bio)
{
	struct gate_sub *gs = container_of(strata_sub(bio), struct gate_sub, sub);
	struct strata_pr *pr = gs->sub.owner->pr;
	struct bio *parent = gs->sub.parent;
	blk_status_t status = bio->bi_status;

	pr->ops->end(pr, gs->token);
	bio_put(bio);
	strata_end(parent, status);
}

static enum strata_map gate_map(struct strata_ctx *ctx, struct strata_disk *disk,
				struct bio *bio)
{
	struct gate *gate = disk->private;
	struct strata_sub *sub = strata_sub_clone(ctx, disk, bio);
	struct strata_pr *pr = disk->pr;
	blk_status_t status;

	if (!sub)
		return strata_sub_failed(ctx, bio);
	status = pr->ops->begin(pr, ctx->nexus, bio->bi_opf,
				&container_of(sub, struct gate_sub, sub)->token);
	if (status) {
		bio_put(&sub->bio);
		return strata_end(bio, status);
	}
	sub->parent = bio;
	sub->bio.bi_end_io = gate_bio_end;
	strata_sub_queue(ctx, sub, gate->below);
	return STRATA_SUBMITTED;
}

static const struct strata_disk_ops gate_ops = {
	.front_pad = offsetof(struct gate_sub, sub.bio),
	.native_fua = true,
	.map = gate_map,
};

static void gate_free(void *data)
{
	struct gate *gate = data;

	strata_disk_free(gate->disk);
}

static struct gate *gate_new(struct kunit *test, struct fake_disk *fake)
{
	struct gate *gate = kunit_kzalloc(test, sizeof(*gate), GFP_KERNEL);
	const char *why;

	KUNIT_ASSERT_NOT_NULL(test, gate);
	gate->pr.ops = &gate_pr_ops;
	gate->below = fake->disk;
	gate->disk = strata_disk_alloc("fake.gate");
	KUNIT_ASSERT_NOT_NULL(test, gate->disk);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, gate_free, gate), 0);
	gate->disk->private = gate;
	gate->disk->capacity = SECTORS;
	gate->disk->pr = &gate->pr;
	gate->disk->unmap = fake->disk->unmap;
	KUNIT_ASSERT_EQ(test, strata_disk_stack_limits(gate->disk, fake->disk), 0);
	KUNIT_ASSERT_EQ(test, strata_disk_ready(gate->disk, &gate_ops, &why), 0);
	KUNIT_EXPECT_PTR_EQ(test, gate->disk->pr, &gate->pr);
	return gate;
}

static struct strata_nexus me = { .name = "fake.me" };
static struct strata_nexus other = { .name = "fake.other" };

struct scene {
	struct fake_disk *fake;
	struct gate *gate;
	struct fake_stack *top;
};

/* A splitting disk on the gate on a memory disk. */
static struct scene scene(struct kunit *test, bool native_zeroes)
{
	const struct fake_config config = {
		.sectors = SECTORS,
		.native_zeroes = native_zeroes,
		.unmap = STRATA_UNMAP_ZEROES,
	};
	struct fake_stack_config split = { .kind = FAKE_STRIPE, .chunk = 4 };
	struct scene s;

	s.fake = fake_disk_new(test, &config);
	fake_disk_ends(s.fake, FAKE_SOFTIRQ, 100);
	s.gate = gate_new(test, s.fake);
	s.gate->allowed = &me;
	split.below[0] = s.gate->disk;
	s.top = fake_stack_new(test, &split);
	return s;
}

struct issue {
	const char *name;
	blk_opf_t opf;
	bool native_zeroes;
};

static const struct issue issues[] = {
	{ "read", REQ_OP_READ },
	{ "write", REQ_OP_WRITE },
	{ "FUA", REQ_OP_WRITE | REQ_FUA },
	{ "preflush", REQ_OP_WRITE | REQ_PREFLUSH },
	{ "both", REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA },
	{ "discard", REQ_OP_DISCARD },
	{ "discard FUA", REQ_OP_DISCARD | REQ_FUA },
	{ "zeroes", REQ_OP_WRITE_ZEROES, true },
	{ "zeroes FUA", REQ_OP_WRITE_ZEROES | REQ_FUA, true },
	{ "zero fill", REQ_OP_WRITE_ZEROES },
	{ "zero fill FUA", REQ_OP_WRITE_ZEROES | REQ_FUA },
};

KUNIT_ARRAY_PARAM_DESC(issue, issues, name);

static struct fake_bio *issue_bio(struct kunit *test, const struct issue *issue)
{
	enum req_op op = issue->opf & REQ_OP_MASK;
	void *buf = NULL;

	if (op == REQ_OP_READ || op == REQ_OP_WRITE)
		buf = fake_buffer(test, SZ_8K, 0, 1);
	return fake_bio_new(test, issue->opf, 2, buf, SZ_8K);
}

static void nexus_arrives(struct kunit *test)
{
	const struct issue *issue = test->param_value;
	struct scene s = scene(test, issue->native_zeroes);
	struct fake_bio *fb = issue_bio(test, issue);
	unsigned int i;

	fake_bio_submit(fb, &me, s.top->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	KUNIT_EXPECT_GE(test, s.fake->nr_ops, 5);
	for (i = 0; i < s.fake->nr_ops; i++)
		KUNIT_EXPECT_PTR_EQ(test, s.fake->log[i].nexus, &me);
	KUNIT_EXPECT_EQ(test, s.gate->begun, s.fake->nr_ops);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.gate->inflight), 0);
}

static void conflict(struct kunit *test)
{
	const struct issue *issue = test->param_value;
	struct scene s = scene(test, issue->native_zeroes);
	struct fake_bio *fb = issue_bio(test, issue);

	fake_bio_submit(fb, &other, s.top->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_RESV_CONFLICT);
	KUNIT_EXPECT_EQ(test, s.fake->nr_ops, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.gate->inflight), 0);
}

struct ranged {
	struct strata_range range;
	struct completion done;
};

static void range_end(struct strata_range *range)
{
	complete(&container_of(range, struct ranged, range)->done);
}

static void nexus_of_range(struct kunit *test)
{
	static const struct issue ranges[] = {
		{ "discard", REQ_OP_DISCARD | REQ_FUA, true },
		{ "zeroes", REQ_OP_WRITE_ZEROES | REQ_FUA, true },
		{ "zero fill", REQ_OP_WRITE_ZEROES | REQ_FUA, false },
	};
	struct ranged *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, r);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct scene s = scene(test, ranges[i].native_zeroes);

		init_completion(&r->done);
		r->range.disk = s.top->disk;
		r->range.nexus = &me;
		r->range.opf = ranges[i].opf;
		r->range.sector = 0;
		r->range.nr_sects = 64;
		r->range.end = range_end;
		strata_range_submit(&r->range);
		KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&r->done, FAKE_TIMEOUT),
				0);
		FAKE_EXPECT_STS(test, r->range.status, BLK_STS_OK);
		for (j = 0; j < s.fake->nr_ops; j++)
			KUNIT_EXPECT_PTR_EQ(test, s.fake->log[j].nexus, &me);
		KUNIT_EXPECT_EQ(test, fake_disk_count(s.fake, REQ_OP_FLUSH), 1);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(nexus_arrives, issue_gen_params),
	KUNIT_CASE_PARAM(conflict, issue_gen_params),
	KUNIT_CASE(nexus_of_range),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-nexus",
	.test_cases = cases,
};

kunit_test_suite(suite);
