// SPDX-License-Identifier: GPL-2.0
/*
 * Random trees of disks, random requests, and a flat array of bytes that knows
 * what every sector must be. `modprobe strata_random_test seed=N` repeats a
 * run.
 */
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include "core_stack.h"
#include "fake_disk.h"

#define LEAVES		6	/* where a tree stops to grow */
#define STACKS		12
#define MOST_LEAVES	24	/* what it can have by then */
#define MOST_STACKS	24
#define DEPTH		4
#define MODEL_SECTORS	8192
#define BIO_SECTORS	2048
#define FLUSH		(REQ_OP_WRITE | REQ_PREFLUSH)

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "start of the random numbers; 0: a new one each time");

/* A tree, and what ought to be in it. */
struct tree {
	struct kunit *test;
	struct rnd_state rnd;
	struct strata_disk *root;
	struct fake_disk *leaves[MOST_LEAVES];
	unsigned int nr_leaves;
	struct fake_stack *stacks[MOST_STACKS];
	unsigned int nr_stacks;
	unsigned int lba;	/* sectors */
	sector_t sectors;	/* that are used */
	char *model;
	atomic_t generation;
	bool failed;
};

/* One thread's part of a tree. */
struct walker {
	struct tree *tree;
	struct rnd_state rnd;
	sector_t first;
	sector_t sectors;
	char *buf;
};

struct request {
	blk_opf_t opf;
	sector_t sector;
	unsigned int nr;
};

static unsigned int draw(struct rnd_state *rnd, unsigned int n)
{
	return prandom_u32_state(rnd) % n;
}

static struct strata_disk *make_leaf(struct tree *t)
{
	struct rnd_state *rnd = &t->rnd;
	const struct fake_config config = {
		.sectors = (128 + draw(rnd, 384)) * 8,
		.lba = t->lba << SECTOR_SHIFT,
		.single_target = draw(rnd, 2),
		.native_fua = draw(rnd, 2),
		.native_zeroes = draw(rnd, 2),
		.unmap = draw(rnd, 4) ? STRATA_UNMAP_ZEROES : STRATA_UNMAP_IGNORED,
	};
	struct fake_disk *fake = fake_disk_new(t->test, &config);

	fake_disk_ends(fake, draw(rnd, FAKE_HELD), draw(rnd, 200));
	fake->lifo = draw(rnd, 2);
	t->leaves[t->nr_leaves++] = fake;
	return fake->disk;
}

static struct strata_disk *make_disk(struct tree *t, unsigned int depth);

static struct strata_disk *make_stack(struct tree *t, unsigned int depth)
{
	static const unsigned int most[] = { 1, 3, 3 };
	struct rnd_state *rnd = &t->rnd;
	enum fake_kind kind = draw(rnd, 3);
	struct fake_stack_config config = {
		.kind = kind,
		.offset = kind == FAKE_REMAP ? draw(rnd, 9) * t->lba : 0,
		.chunk = t->lba << draw(rnd, 6),
		.native_fua = draw(rnd, 2),
	};
	unsigned int i, n = 1 + draw(rnd, most[kind]);
	struct fake_stack *stack;

	for (i = 0; i < n; i++)
		config.below[i] = make_disk(t, depth - 1);
	stack = fake_stack_new(t->test, &config);
	t->stacks[t->nr_stacks++] = stack;
	return stack->disk;
}

static struct strata_disk *make_disk(struct tree *t, unsigned int depth)
{
	bool full = t->nr_leaves >= LEAVES || t->nr_stacks >= STACKS;

	if (!depth || full || (depth < DEPTH && !draw(&t->rnd, 4)))
		return make_leaf(t);
	return make_stack(t, depth);
}

static void free_model(void *model)
{
	vfree(model);
}

static struct tree *make_tree(struct kunit *test, u32 start)
{
	struct tree *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->test = test;
	prandom_seed_state(&t->rnd, start);
	t->lba = draw(&t->rnd, 2) ? 8 : 1;
	t->root = make_disk(t, DEPTH);
	t->sectors = min_t(sector_t, strata_disk_capacity(t->root), MODEL_SECTORS);
	KUNIT_ASSERT_GT(test, t->sectors, 512);
	t->model = vzalloc(t->sectors << SECTOR_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, t->model);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_model, t->model), 0);
	return t;
}

static const blk_opf_t operations[] = {
	REQ_OP_READ, REQ_OP_READ, REQ_OP_READ, REQ_OP_READ, REQ_OP_READ, REQ_OP_READ,
	REQ_OP_WRITE, REQ_OP_WRITE, REQ_OP_WRITE, REQ_OP_WRITE, REQ_OP_WRITE,
	REQ_OP_WRITE | REQ_FUA, FLUSH, FLUSH | REQ_FUA,
	REQ_OP_DISCARD, REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES, REQ_OP_WRITE_ZEROES,
	REQ_OP_WRITE_ZEROES | REQ_FUA, REQ_OP_FLUSH,
};

/* Mostly small, now and then a megabyte. */
static void draw_request(struct walker *w, struct request *r)
{
	unsigned int lba = w->tree->lba, blocks = w->sectors / lba;
	unsigned int most[] = { 4, 16, 64, BIO_SECTORS / lba };
	unsigned int size = draw(&w->rnd, 16);

	r->opf = operations[draw(&w->rnd, ARRAY_SIZE(operations))];
	if (r->opf == REQ_OP_FLUSH) {
		r->opf = FLUSH;
		r->sector = 0;
		r->nr = 0;
		return;
	}
	r->nr = 1 + draw(&w->rnd, min(blocks, most[size ? size % 3 : 3]));
	r->sector = w->first + draw(&w->rnd, blocks - r->nr + 1) * lba;
	r->nr *= lba;
}

static char *model_at(struct tree *t, sector_t sector)
{
	return t->model + (sector << SECTOR_SHIFT);
}

static blk_status_t issue(struct walker *w, const struct request *r)
{
	struct tree *t = w->tree;
	unsigned int bytes = r->nr << SECTOR_SHIFT;
	enum req_op op = r->opf & REQ_OP_MASK;

	if (op == REQ_OP_WRITE && bytes)
		fake_pattern(w->buf, bytes, r->sector, atomic_inc_return(&t->generation));
	if (op == REQ_OP_READ || (op == REQ_OP_WRITE && bytes))
		return fake_rw(t->test, t->root, r->opf, r->sector, w->buf, bytes);
	return fake_range(t->test, t->root, r->opf, r->sector, r->nr);
}

/* Is the answer right? And what is there now? */
static bool compare(struct walker *w, const struct request *r)
{
	struct tree *t = w->tree;
	unsigned int bytes = r->nr << SECTOR_SHIFT;

	switch (r->opf & REQ_OP_MASK) {
	case REQ_OP_READ:
		return !memcmp(w->buf, model_at(t, r->sector), bytes);
	case REQ_OP_WRITE:
		memcpy(model_at(t, r->sector), w->buf, bytes);
		return true;
	case REQ_OP_DISCARD:
		if (t->root->unmap != STRATA_UNMAP_ZEROES)
			return true;
		fallthrough;
	default:
		memset(model_at(t, r->sector), 0, bytes);
		return true;
	}
}

static void complain(struct tree *t, const struct request *r, unsigned int i,
		     const char *what)
{
	if (t->failed)
		return;
	t->failed = true;
	KUNIT_FAIL(t->test, "request %u, opf %#x, %u sectors at %llu: %s", i,
		   (__force u32)r->opf, r->nr, r->sector, what);
}

/* Nothing of @leaf that the bio wrote is volatile now. */
static bool is_durable(struct fake_disk *leaf)
{
	unsigned int i, written = 0;

	for (i = 0; i < leaf->nr_ops; i++)
		if (leaf->log[i].nr && !(leaf->log[i].opf & REQ_FUA))
			written = max(written, leaf->log[i].ended);
	for (i = 0; written && i < leaf->nr_ops; i++)
		if (fake_op_kind(&leaf->log[i]) == REQ_OP_FLUSH &&
		    leaf->log[i].begun > written)
			return true;
	return !written;
}

static unsigned int first_data(struct tree *t)
{
	unsigned int first = UINT_MAX, i, j;

	for (i = 0; i < t->nr_leaves; i++)
		for (j = 0; j < t->leaves[i]->nr_ops; j++)
			if (t->leaves[i]->log[j].nr)
				first = min(first, t->leaves[i]->log[j].begun);
	return first;
}

/* @leaf was flushed before @data, or along with it. */
static bool is_flushed(struct fake_disk *leaf, unsigned int data)
{
	unsigned int i;

	for (i = 0; i < leaf->nr_ops; i++) {
		struct fake_op *op = &leaf->log[i];

		if (op->opf & REQ_PREFLUSH && (op->nr || op->ended < data))
			return true;
	}
	return false;
}

static void check_flushes(struct tree *t, const struct request *r, unsigned int i)
{
	unsigned int data = first_data(t), leaf;

	for (leaf = 0; leaf < t->nr_leaves; leaf++) {
		if (r->opf & REQ_PREFLUSH && !is_flushed(t->leaves[leaf], data))
			complain(t, r, i, "data before the flush");
		if (r->opf & REQ_FUA && !is_durable(t->leaves[leaf]))
			complain(t, r, i, "not durable");
	}
}

static void forget(struct tree *t)
{
	unsigned int i;

	for (i = 0; i < t->nr_leaves; i++)
		fake_disk_forget(t->leaves[i]);
}

static void starve(struct tree *t, bool on)
{
	unsigned int i;

	for (i = 0; i < t->nr_stacks; i++)
		fake_pool_starve(t->stacks[i]->disk, on);
}

static void walker_init(struct walker *w, struct tree *t, sector_t first,
			sector_t sectors, u32 start)
{
	w->tree = t;
	w->first = first;
	w->sectors = sectors;
	w->buf = fake_buffer(t->test, BIO_SECTORS << SECTOR_SHIFT, 0, 0);
	prandom_seed_state(&w->rnd, start);
}

/* One request after the other; flushes are looked after, too. */
static void walk_alone(struct walker *w, unsigned int n)
{
	struct tree *t = w->tree;
	struct request r;
	unsigned int i;

	for (i = 0; i < n && !t->failed; i++) {
		draw_request(w, &r);
		forget(t);
		if (issue(w, &r))
			complain(t, &r, i, "failed");
		else if (!compare(w, &r))
			complain(t, &r, i, "wrong data");
		check_flushes(t, &r, i);
	}
}

static void walk(struct walker *w, unsigned int n)
{
	struct tree *t = w->tree;
	struct request r;
	unsigned int i;

	for (i = 0; i < n && !READ_ONCE(t->failed); i++) {
		draw_request(w, &r);
		if (issue(w, &r))
			complain(t, &r, i, "failed");
		else if (!compare(w, &r))
			complain(t, &r, i, "wrong data");
	}
}

static void compare_all(struct tree *t)
{
	sector_t sector, step = BIO_SECTORS / 2;
	char *buf = fake_buffer(t->test, step << SECTOR_SHIFT, 0, 0);

	for (sector = 0; sector < t->sectors; sector += step) {
		size_t bytes = min(step, t->sectors - sector) << SECTOR_SHIFT;

		FAKE_EXPECT_STS(t->test, fake_rw(t->test, t->root, REQ_OP_READ, sector, buf,
						 bytes), BLK_STS_OK);
		KUNIT_EXPECT_TRUE_MSG(t->test, !memcmp(buf, model_at(t, sector), bytes),
				      "wrong data around %llu", sector);
	}
}

static const unsigned int rounds[] = { 0, 1, 2, 3 };

static void round_desc(const unsigned int *round, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "tree %u", *round);
}

KUNIT_ARRAY_PARAM(round, rounds, round_desc);

/* Where the random numbers of this tree start. */
static u32 start_of(struct kunit *test)
{
	static u32 start;

	if (!start)
		start = seed ?: get_random_u32();
	kunit_info(test, "seed=%u", start);
	return start + *(const unsigned int *)test->param_value;
}

static struct tree *start_walker(struct kunit *test, struct walker *w, u32 twist)
{
	u32 start = start_of(test) ^ twist;
	struct tree *t = make_tree(test, start);

	walker_init(w, t, 0, t->sectors, start);
	return t;
}

static void alone(struct kunit *test)
{
	struct walker w;
	struct tree *t = start_walker(test, &w, 0);

	walk_alone(&w, 250);
	compare_all(t);
}

/* The same with nothing but the reserves. */
static void starved(struct kunit *test)
{
	struct walker w;
	struct tree *t = start_walker(test, &w, 0x5555);

	starve(t, true);
	walk_alone(&w, 60);
	starve(t, false);
	compare_all(t);
}

#define WALKERS 4

static void walk_fn(void *context, unsigned int index)
{
	struct walker *walkers = context;

	walk(&walkers[index], 80);
}

/* Several at once, each on sectors of its own. */
static void together(struct kunit *test)
{
	u32 start = start_of(test) ^ 0xaaaa;
	struct tree *t = make_tree(test, start);
	sector_t each = t->sectors / WALKERS & ~7ULL;
	struct walker walkers[WALKERS];
	struct fake_threads *threads;
	unsigned int i;

	for (i = 0; i < WALKERS; i++)
		walker_init(&walkers[i], t, i * each, each, start + i);
	threads = fake_threads_start(test, WALKERS, walk_fn, walkers);
	KUNIT_ASSERT_TRUE(test, fake_threads_wait(threads));
	compare_all(t);
}

static bool any_error(struct tree *t)
{
	unsigned int i, j;

	for (i = 0; i < t->nr_leaves; i++)
		for (j = 0; j < t->leaves[i]->nr_ops; j++)
			if (t->leaves[i]->log[j].status)
				return true;
	return false;
}

/* A bio fails exactly when one of those that served it did. */
static void errors(struct kunit *test)
{
	struct fake_error error = { REQ_OP_LAST, 0, U64_MAX, BLK_STS_MEDIUM, 0, 1 };
	struct walker w;
	struct tree *t = start_walker(test, &w, 0xffff);
	struct request r;
	unsigned int i;

	for (i = 0; i < 100 && !t->failed; i++) {
		struct fake_disk *leaf = t->leaves[draw(&w.rnd, t->nr_leaves)];
		blk_status_t status;

		error.skip = draw(&w.rnd, 8);
		draw_request(&w, &r);
		forget(t);
		fake_disk_fail(leaf, &error);
		status = issue(&w, &r);
		fake_disk_fail_none(leaf);
		if (status && status != BLK_STS_MEDIUM)
			complain(t, &r, i, "another error");
		if (!status == any_error(t))
			complain(t, &r, i, status ? "no reason" : "error lost");
	}
}

/* Past the end nothing happens, wherever that is in the tree. */
static void beyond(struct kunit *test)
{
	struct walker w;
	struct tree *t = start_walker(test, &w, 0x1234);
	sector_t size = strata_disk_capacity(t->root);
	unsigned int i, op;

	for (op = 0; op < ARRAY_SIZE(operations); op++)
		for (i = 0; i < 3; i++) {
			struct request r = {
				.opf = operations[op],
				.sector = size - i * t->lba,
				.nr = (i + 1) * t->lba,
			};

			if (r.opf == REQ_OP_FLUSH)
				continue;
			FAKE_EXPECT_STS(test, issue(&w, &r), BLK_STS_TARGET);
		}
	for (i = 0; i < t->nr_leaves; i++)
		KUNIT_EXPECT_EQ(test, t->leaves[i]->nr_ops, 0);
}

#define SLOW ((struct kunit_attributes){ .speed = KUNIT_SPEED_SLOW })

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM_ATTR(alone, round_gen_params, SLOW),
	KUNIT_CASE_PARAM_ATTR(starved, round_gen_params, SLOW),
	KUNIT_CASE_PARAM_ATTR(together, round_gen_params, SLOW),
	KUNIT_CASE_PARAM_ATTR(errors, round_gen_params, SLOW),
	KUNIT_CASE_PARAM_ATTR(beyond, round_gen_params, SLOW),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-random",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: random trees of disks against a flat model");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
