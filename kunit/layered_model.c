// SPDX-License-Identifier: GPL-2.0
/*
 * Layered disks of several shapes against an array of bytes: random operations
 * with a seed that is printed; and the same by several threads at a time, each
 * with blocks of its own.
 */
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>
#include "../drivers/layers/ram.h"
#include "layered_fake.h"
#include "layered_kit.h"
#include "status.h"

/* Of the disk, and of one operation. */
#define SECTORS		2048
#define MAX_SECTORS	128
#define STEPS		1500
#define THREADS		4
#define THREAD_STEPS	300

enum shape {
	SHAPE_MEM,
	SHAPE_MEM_4K,
	SHAPE_DIFF,
	SHAPE_DIFF_SHORT,
	SHAPE_DIFF_CACHE,
	SHAPE_CACHE_THROUGH,
	SHAPE_FULL_THROUGH,
	SHAPE_OWN,
	SHAPE_REMAP,
	SHAPE_FAKE_CACHE,
	SHAPE_ALL,
};

static const char *const shape_names[] = {
	[SHAPE_MEM] = "ram",
	[SHAPE_MEM_4K] = "ram 4096",
	[SHAPE_DIFF] = "ram, disk",
	[SHAPE_DIFF_SHORT] = "ram, shorter disk",
	[SHAPE_DIFF_CACHE] = "ram, ram read cache, disk",
	[SHAPE_CACHE_THROUGH] = "ram read cache through to disk",
	[SHAPE_FULL_THROUGH] = "full ram read cache through to disk",
	[SHAPE_OWN] = "two phases, disk",
	[SHAPE_REMAP] = "two phases on a disk, ram, disk",
	[SHAPE_FAKE_CACHE] = "ram, two phases read cache, disk",
	[SHAPE_ALL] = "ram through to two phases, ram read cache, disk",
};

static void shape_name(const char *const *name, char *desc)
{
	strscpy(desc, *name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(shape, shape_names, shape_name);

/**
 * struct model - a disk and what should be on it
 * @test: the test
 * @disk: the disk
 * @data: what it should have
 * @block: sectors of a logical block
 */
struct model {
	struct kunit *test;
	struct strata_disk *disk;
	u8 *data;
	unsigned int block;
};

static struct fake_layer *two_phases(struct kunit *test, bool on_disk)
{
	struct fake_disk *store = NULL;
	struct fake_layer *fake;

	if (on_disk) {
		store = kit_base(test, SECTORS + 64, 9);
		fake_disk_ends(store, FAKE_WORKER, 0);
	}
	fake = fake_layer_new(test, SECTORS, store);
	fake->worker = !on_disk;
	fake->sync_lookup = on_disk;
	return fake;
}

#define FAKE(_fake, ...) { .layer = &(_fake)->layer, ##__VA_ARGS__ }

static struct kit *make(struct kunit *test, enum shape shape,
			struct fake_disk *base)
{
	const u64 size = SECTORS << SECTOR_SHIFT;
	struct fake_layer *fake;

	switch (shape) {
	case SHAPE_MEM:
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(.size = size)) });
	case SHAPE_MEM_4K:
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(.size = size, .sector_size = SZ_4K)) });
	case SHAPE_DIFF:
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(), DISK(base)) });
	case SHAPE_DIFF_SHORT:
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(.size = size), DISK(base)) });
	case SHAPE_DIFF_CACHE:
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(), RAM(.read_cache = true), DISK(base)) });
	case SHAPE_CACHE_THROUGH:
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(.read_cache = true, .write_through = true),
			       DISK(base)) });
	case SHAPE_FULL_THROUGH:
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(.read_cache = true, .write_through = true,
				   .limit = SZ_64K),
			       DISK(base)) });
	case SHAPE_OWN:
		fake = two_phases(test, false);
		return kit_new(test, &(struct kit_config) {
			LAYERS(FAKE(fake), DISK(base)) });
	case SHAPE_REMAP:
		fake = two_phases(test, true);
		return kit_new(test, &(struct kit_config) {
			LAYERS(FAKE(fake), RAM(), DISK(base)) });
	case SHAPE_FAKE_CACHE:
		fake = two_phases(test, false);
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(), FAKE(fake, .read_cache = true), DISK(base)) });
	default:
		fake = two_phases(test, true);
		return kit_new(test, &(struct kit_config) {
			LAYERS(RAM(.write_through = true), FAKE(fake),
			       RAM(.read_cache = true), DISK(base)) });
	}
}

static void model_free(void *data)
{
	vfree(data);
}

static void model_init(struct kunit *test, struct model *m, enum fake_when when,
		       enum shape shape)
{
	unsigned int sectors = shape == SHAPE_DIFF_SHORT ? 1000 : SECTORS;
	struct fake_disk *base = kit_base(test, sectors, 1);

	fake_disk_ends(base, when, 0);
	m->test = test;
	m->disk = make(test, shape, base)->disk;
	m->block = m->disk->lba_mask + 1;
	KUNIT_ASSERT_EQ(test, strata_disk_capacity(m->disk), SECTORS);
	m->data = vzalloc(SECTORS << SECTOR_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, m->data);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, model_free, m->data), 0);
	if (shape != SHAPE_MEM && shape != SHAPE_MEM_4K)
		fake_pattern(m->data, sectors << SECTOR_SHIFT, 0, 1);
}

/* Sectors of the model: compare with what was read, or change. */
static bool model_read(struct model *m, unsigned int sector, const void *buf,
		       unsigned int bytes)
{
	return !memcmp(m->data + (sector << SECTOR_SHIFT), buf, bytes);
}

static void model_write(struct model *m, unsigned int sector, const void *buf,
			unsigned int bytes)
{
	if (buf)
		memcpy(m->data + (sector << SECTOR_SHIFT), buf, bytes);
	else
		memset(m->data + (sector << SECTOR_SHIFT), 0, bytes);
}

/* One operation on sectors from @first to @first + @room. */
static bool step(struct model *m, struct rnd_state *rnd, u8 *buf,
		 unsigned int first, unsigned int room)
{
	unsigned int at = prandom_u32_state(rnd) % (room / m->block);
	unsigned int nr = prandom_u32_state(rnd) % (room / m->block - at) + 1;
	unsigned int sector = first + at * m->block, bytes;
	u32 seed = prandom_u32_state(rnd);

	if (prandom_u32_state(rnd) % 2)
		nr = min(nr, 1 + prandom_u32_state(rnd) % 8);
	nr *= m->block;
	bytes = nr << SECTOR_SHIFT;
	buf += prandom_u32_state(rnd) % 8 * SECTOR_SIZE;

	switch (seed % 32) {
	case 0:
		return fake_flush(m->test, m->disk) == BLK_STS_OK;
	case 1 ... 3:
		model_write(m, sector, NULL, bytes);
		return fake_range(m->test, m->disk, REQ_OP_DISCARD, sector,
				  nr) == BLK_STS_OK;
	case 4 ... 5:
		model_write(m, sector, NULL, bytes);
		return fake_range(m->test, m->disk, REQ_OP_WRITE_ZEROES,
				  sector, nr) == BLK_STS_OK;
	case 6 ... 16:
		fake_pattern(buf, bytes, sector, seed);
		model_write(m, sector, buf, bytes);
		return fake_rw(m->test, m->disk, REQ_OP_WRITE |
			       (seed % 3 ? 0 : REQ_FUA), sector, buf,
			       bytes) == BLK_STS_OK;
	default:
		memset(buf, 0xee, bytes);
		return fake_rw(m->test, m->disk, REQ_OP_READ, sector, buf,
			       bytes) == BLK_STS_OK &&
		       model_read(m, sector, buf, bytes);
	}
}

static enum shape shape_of(struct kunit *test)
{
	return (const char *const *)test->param_value - shape_names;
}

static void one_by_one(struct kunit *test)
{
	u8 *buf = kunit_kmalloc(test, MAX_SECTORS * 512 + SZ_4K, GFP_KERNEL);
	u32 seed = get_random_u32();
	struct rnd_state rnd;
	struct model m;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&rnd, seed);
	model_init(test, &m, seed % FAKE_HELD, shape_of(test));
	for (i = 0; i < STEPS; i++) {
		unsigned int first = prandom_u32_state(&rnd) %
				     (SECTORS - MAX_SECTORS);

		first = round_down(first, m.block);
		KUNIT_ASSERT_TRUE_MSG(test, step(&m, &rnd, buf, first, MAX_SECTORS),
				      "seed %u, step %u", seed, i);
	}
	for (i = 0; i < SECTORS; i += MAX_SECTORS) {
		EXPECT_SAME_STS(test, fake_rw(test, m.disk, REQ_OP_READ, i, buf,
					      MAX_SECTORS * 512), BLK_STS_OK);
		KUNIT_EXPECT_TRUE(test, model_read(&m, i, buf, MAX_SECTORS * 512));
	}
}

/**
 * struct worker - a thread with blocks of its own
 * @m: the model
 * @nr: which thread
 * @seed: of its operations
 * @bad: the first operation that went wrong, plus one
 * @done: it is through
 */
struct worker {
	struct model *m;
	unsigned int nr;
	u32 seed;
	unsigned int bad;
	struct completion done;
};

#define OWN_SECTORS 64

static int work(void *data)
{
	struct worker *w = data;
	u8 *buf = kmalloc(OWN_SECTORS * 512 + SZ_4K, GFP_KERNEL);
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, w->seed);
	for (i = 0; buf && i < THREAD_STEPS && !w->bad; i++) {
		unsigned int block = prandom_u32_state(&rnd) %
				     (SECTORS / OWN_SECTORS / THREADS);

		block = block * THREADS + w->nr;
		if (!step(w->m, &rnd, buf, block * OWN_SECTORS, OWN_SECTORS))
			w->bad = i + 1;
	}
	if (!buf)
		w->bad = 1;
	kfree(buf);
	complete(&w->done);
	return 0;
}

static void side_by_side(struct kunit *test)
{
	struct worker workers[THREADS];
	struct task_struct *task;
	struct model m;
	unsigned int i;

	model_init(test, &m, FAKE_SOFTIRQ, shape_of(test));
	for (i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];

		*w = (struct worker) {
			.m = &m,
			.nr = i,
			.seed = get_random_u32(),
		};
		kunit_info(test, "thread %u: seed %u", i, w->seed);
		init_completion(&w->done);
		task = kthread_run(work, w, "strata_test/%u", i);
		if (IS_ERR(task)) {
			w->bad = 1;
			complete(&w->done);
		}
	}
	for (i = 0; i < THREADS; i++) {
		wait_for_completion(&workers[i].done);
		KUNIT_EXPECT_EQ_MSG(test, workers[i].bad, 0, "thread %u: seed %u",
				    i, workers[i].seed);
	}
}

static struct kunit_case model_cases[] = {
	KUNIT_CASE_PARAM_ATTR(one_by_one, shape_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM_ATTR(side_by_side, shape_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	{}
};

struct kunit_suite layered_model_suite = {
	.name = "strata_layered_model",
	.test_cases = model_cases,
};
