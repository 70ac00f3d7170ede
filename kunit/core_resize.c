// SPDX-License-Identifier: GPL-2.0
/* Sizes and death on their way up a stack: who is told, what, and when. */
#include <linux/module.h>
#include <strata/handle.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "core_stack.h"
#include "fake_disk.h"

#define OLD	1000
#define LARGER	2000
#define SMALLER	600
#define MOST	4
#define EVENTS	64

enum news { TOLD, SHRUNK, DEAD };

/* Something that happened, with the sizes of all disks at that time. */
struct event {
	enum news kind;
	struct strata_disk *disk;
	sector_t capacity;
	sector_t sizes[MOST];
	bool dead[MOST];
};

/* A stack: the memory disk first, and each above those it is made of. */
struct tower {
	struct kunit *test;
	struct fake_disk *base;
	struct strata_disk *disks[MOST];
	unsigned int nr;
	struct event events[EVENTS];
	unsigned int nr_events;
};

static void happens(struct tower *t, enum news kind, struct strata_disk *disk,
		    sector_t capacity)
{
	struct event *e = &t->events[t->nr_events];
	unsigned int i;

	if (t->nr_events++ >= EVENTS)
		return;
	e->kind = kind;
	e->disk = disk;
	e->capacity = capacity;
	for (i = 0; i < t->nr; i++) {
		e->sizes[i] = strata_disk_capacity(t->disks[i]);
		e->dead[i] = READ_ONCE(t->disks[i]->dead);
	}
}

static void base_shrunk(struct fake_disk *fake, sector_t capacity)
{
	happens(fake->context, SHRUNK, fake->disk, capacity);
}

static void stack_shrunk(struct fake_stack *stack, sector_t capacity)
{
	happens(stack->context, SHRUNK, stack->disk, capacity);
}

static void on_resized(struct strata_handle *handle, sector_t capacity)
{
	happens(handle->owner, TOLD, handle->disk, capacity);
}

static void on_dead(struct strata_handle *handle)
{
	happens(handle->owner, DEAD, handle->disk, 0);
}

static const struct strata_handle_ops frontend_ops = {
	.resized = on_resized,
	.dead = on_dead,
};

static void detach(void *handle)
{
	strata_handle_detach(handle);
}

/* Each disk has a frontend of its own, too. */
static void add_level(struct tower *t, struct strata_disk *disk)
{
	char other[STRATA_NAME_MAX];
	struct strata_handle *handle;

	t->disks[t->nr++] = disk;
	handle = strata_handle_attach(disk, "block.a", STRATA_CLAIM_SHARED, &frontend_ops, t,
				      NULL, other);
	KUNIT_ASSERT_FALSE(t->test, IS_ERR(handle));
	KUNIT_ASSERT_EQ(t->test, kunit_add_action_or_reset(t->test, detach, handle), 0);
}

static struct tower *make_base(struct kunit *test, unsigned int lba)
{
	const struct fake_config config = { .sectors = OLD, .lba = lba };
	struct tower *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->test = test;
	t->base = fake_disk_new(test, &config);
	t->base->context = t;
	t->base->shrunk = base_shrunk;
	add_level(t, t->base->disk);
	return t;
}

static void add_stack(struct tower *t, const struct fake_stack_config *config)
{
	struct fake_stack *stack = fake_stack_new(t->test, config);

	stack->context = t;
	stack->shrunk = stack_shrunk;
	add_level(t, stack->disk);
}

static void add_remap(struct tower *t, unsigned int below, sector_t offset)
{
	const struct fake_stack_config config = {
		.kind = FAKE_REMAP, .offset = offset, .below = { t->disks[below] },
	};

	add_stack(t, &config);
}

static struct tower *make_chain(struct kunit *test)
{
	struct tower *t = make_base(test, 512);

	add_remap(t, 0, 0);
	add_remap(t, 1, 0);
	add_remap(t, 2, 0);
	return t;
}

static struct tower *make_diamond(struct kunit *test)
{
	struct fake_stack_config config = { .kind = FAKE_MIRROR };
	struct tower *t = make_base(test, 512);

	add_remap(t, 0, 0);
	add_remap(t, 0, 0);
	config.below[0] = t->disks[1];
	config.below[1] = t->disks[2];
	add_stack(t, &config);
	return t;
}

/* The one event of a kind at a disk. */
static struct event *event_of(struct tower *t, enum news kind, unsigned int disk)
{
	struct event *found = NULL;
	unsigned int i;

	for (i = 0; i < t->nr_events; i++) {
		struct event *e = &t->events[i];

		if (e->kind != kind || e->disk != t->disks[disk])
			continue;
		KUNIT_EXPECT_NULL(t->test, found);
		found = e;
	}
	KUNIT_ASSERT_NOT_NULL_MSG(t->test, found, "disk %u: never", disk);
	return found;
}

static void expect_sizes(struct tower *t, sector_t capacity)
{
	unsigned int i;

	for (i = 0; i < t->nr; i++)
		KUNIT_EXPECT_EQ_MSG(t->test, strata_disk_capacity(t->disks[i]), capacity,
				    "disk %u", i);
}

/* Each frontend is told once, when all that it stands on has the new size. */
static void expect_growth(struct tower *t, const bool (*on)[MOST])
{
	unsigned int i, j;

	KUNIT_EXPECT_EQ(t->test, t->nr_events, t->nr);
	for (i = 0; i < t->nr; i++) {
		struct event *e = event_of(t, TOLD, i);

		KUNIT_EXPECT_EQ(t->test, e->capacity, LARGER);
		for (j = 0; j < t->nr; j++)
			if (on[i][j])
				KUNIT_EXPECT_EQ_MSG(t->test, e->sizes[j], LARGER,
						    "disk %u, when %u was told", j, i);
	}
	expect_sizes(t, LARGER);
}

static void expect_one_shrinking(struct tower *t, const bool (*on)[MOST], unsigned int i)
{
	struct event *told = event_of(t, TOLD, i), *shrunk = event_of(t, SHRUNK, i);
	unsigned int j;

	KUNIT_EXPECT_EQ(t->test, told->capacity, SMALLER);
	KUNIT_EXPECT_EQ(t->test, shrunk->capacity, SMALLER);
	KUNIT_EXPECT_TRUE(t->test, told < shrunk);
	for (j = 0; j < t->nr; j++) {
		if (on[i][j])
			KUNIT_EXPECT_EQ_MSG(t->test, told->sizes[j], OLD,
					    "disk %u, when %u was told", j, i);
		if (on[i][j] || on[j][i])
			KUNIT_EXPECT_EQ_MSG(t->test, shrunk->sizes[j],
					    on[j][i] ? SMALLER : OLD,
					    "disk %u, when %u shrank", j, i);
	}
}

/*
 * Each frontend is told once, before its disk and all under it are smaller;
 * each disk drops its data when it is smaller itself, and all above it, and
 * none under it.
 */
static void expect_shrinking(struct tower *t, const bool (*on)[MOST])
{
	unsigned int i;

	KUNIT_EXPECT_EQ(t->test, t->nr_events, 2 * t->nr);
	for (i = 0; i < t->nr; i++)
		expect_one_shrinking(t, on, i);
	expect_sizes(t, SMALLER);
}

/* on[a][b]: a is b, or stands on it. */
static const bool chain_on[MOST][MOST] = {
	{ 1, 0, 0, 0 }, { 1, 1, 0, 0 }, { 1, 1, 1, 0 }, { 1, 1, 1, 1 },
};

static const bool diamond_on[MOST][MOST] = {
	{ 1, 0, 0, 0 }, { 1, 1, 0, 0 }, { 1, 0, 1, 0 }, { 1, 1, 1, 1 },
};

static void grow_chain(struct kunit *test)
{
	struct tower *t = make_chain(test);

	strata_disk_resize(t->disks[0], LARGER);
	expect_growth(t, chain_on);
}

static void grow_diamond(struct kunit *test)
{
	struct tower *t = make_diamond(test);

	strata_disk_resize(t->disks[0], LARGER);
	expect_growth(t, diamond_on);
}

static void shrink_chain(struct kunit *test)
{
	struct tower *t = make_chain(test);

	strata_disk_resize(t->disks[0], SMALLER);
	expect_shrinking(t, chain_on);
}

static void shrink_diamond(struct kunit *test)
{
	struct tower *t = make_diamond(test);

	strata_disk_resize(t->disks[0], SMALLER);
	expect_shrinking(t, diamond_on);
}

static void same_size(struct kunit *test)
{
	struct tower *t = make_chain(test);

	strata_disk_resize(t->disks[0], OLD);
	KUNIT_EXPECT_EQ(test, t->nr_events, 0);
	expect_sizes(t, OLD);
}

/* There are no parts of logical blocks. */
static void rounding(struct kunit *test)
{
	struct tower *t = make_base(test, 4096);

	add_remap(t, 0, 0);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(t->disks[0]), OLD & ~7);
	strata_disk_resize(t->disks[0], LARGER + 7);
	expect_sizes(t, LARGER);
	KUNIT_EXPECT_EQ(test, event_of(t, TOLD, 1)->capacity, LARGER);
	strata_disk_resize(t->disks[0], LARGER + 1);
	KUNIT_EXPECT_EQ(test, t->nr_events, 2);
	strata_disk_resize(t->disks[0], 7);
	expect_sizes(t, 0);
}

/* A disk that is made just now takes what its backing says meanwhile. */
static void not_ready(struct kunit *test)
{
	struct tower *t = make_base(test, 512);
	struct strata_disk *disk = strata_disk_alloc("fake.early");
	const char *why;

	KUNIT_ASSERT_NOT_NULL(test, disk);
	disk->capacity = OLD;
	strata_disk_resize(disk, LARGER);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(disk), LARGER);
	strata_disk_resize(disk, SMALLER + 3);
	disk->limits.logical_block_size = 4096;
	disk->limits.physical_block_size = 4096;
	KUNIT_EXPECT_EQ(test, strata_disk_ready(disk, t->base->disk->ops, &why), 0);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(disk), SMALLER);
	KUNIT_EXPECT_EQ(test, strata_disk_planned(disk), SMALLER);
	strata_disk_free(disk);
}

static sector_t refreshed_capacity(struct strata_disk *disk)
{
	return *(sector_t *)disk->private;
}

/* A disk whose size is made of parts of its own. */
static void refresh(struct kunit *test)
{
	static const struct strata_disk_ops ops = { .capacity = refreshed_capacity };
	struct strata_disk *disk = strata_disk_alloc("fake.parts");
	sector_t size = OLD;
	const char *why;

	KUNIT_ASSERT_NOT_NULL(test, disk);
	disk->private = &size;
	disk->limits.logical_block_size = 4096;
	disk->limits.physical_block_size = 4096;
	KUNIT_EXPECT_EQ(test, strata_disk_ready(disk, &ops, &why), 0);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(disk), OLD & ~7);
	size = LARGER + 5;
	strata_disk_refresh(disk);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(disk), LARGER);
	size = 0;
	strata_disk_refresh(disk);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(disk), 0);
	strata_disk_free(disk);
}

/* Down to nothing, and back. */
static void nothing_left(struct kunit *test)
{
	struct tower *t = make_base(test, 512);
	void *buf = fake_buffer(test, 512, 0, 1);

	add_remap(t, 0, SMALLER);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(t->disks[1]), OLD - SMALLER);
	strata_disk_resize(t->disks[0], SMALLER / 2);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(t->disks[1]), 0);
	FAKE_EXPECT_STS(test, fake_rw(test, t->disks[1], REQ_OP_READ, 0, buf, 512),
			BLK_STS_TARGET);
	FAKE_EXPECT_STS(test, fake_flush(test, t->disks[1]), BLK_STS_OK);
	strata_disk_resize(t->disks[0], LARGER);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(t->disks[1]), LARGER - SMALLER);
	FAKE_EXPECT_STS(test, fake_rw(test, t->disks[1], REQ_OP_WRITE, 0, buf, 512),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, t->base->log[1].sector, SMALLER);
}

/* All that stands on a dead disk is dead, and each frontend is told once. */
static void expect_dead(struct tower *t, const bool (*on)[MOST], unsigned int first)
{
	void *buf = fake_buffer(t->test, 512, 0, 1);
	unsigned int i, told = 0;

	for (i = 0; i < t->nr; i++) {
		KUNIT_EXPECT_EQ_MSG(t->test, t->disks[i]->dead, on[i][first], "disk %u", i);
		FAKE_EXPECT_STS_MSG(t->test, fake_rw(t->test, t->disks[i], REQ_OP_READ, 0, buf,
						     512),
				    on[i][first] ? BLK_STS_OFFLINE : BLK_STS_OK,
				    "disk %u", i);
		if (!on[i][first])
			continue;
		KUNIT_EXPECT_TRUE(t->test, event_of(t, DEAD, i)->dead[i]);
		told++;
	}
	KUNIT_EXPECT_EQ(t->test, t->nr_events, told);
}

static void dead_chain(struct kunit *test)
{
	struct tower *t = make_chain(test);

	strata_disk_mark_dead(t->disks[1]);
	strata_disk_mark_dead(t->disks[1]);
	expect_dead(t, chain_on, 1);
}

static void dead_diamond(struct kunit *test)
{
	struct tower *t = make_diamond(test);

	strata_disk_mark_dead(t->disks[0]);
	expect_dead(t, diamond_on, 0);
	/* Not that it mattered any more, but it must not crash. */
	strata_disk_resize(t->disks[0], SMALLER);
	expect_sizes(t, SMALLER);
}

/* Two disks below one, each with a size of its own mind. */
struct rivals {
	struct fake_disk *fakes[2];
};

static void rival_fn(void *context, unsigned int index)
{
	struct rivals *rivals = context;
	struct strata_disk *disk = rivals->fakes[index & 1]->disk;
	unsigned int i;

	for (i = 0; i < 300; i++) {
		sector_t size = 100 + (i * 37 + index * 11) % 900;

		strata_disk_resize(disk, size);
	}
}

static void two_at_once(struct kunit *test)
{
	const struct fake_config config = { .sectors = OLD };
	struct fake_stack_config mirror = { .kind = FAKE_MIRROR };
	struct fake_stack_config remap = { .kind = FAKE_REMAP, .offset = 7 };
	struct fake_stack *low, *high;
	struct fake_threads *threads;
	struct rivals rivals;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		rivals.fakes[i] = fake_disk_new(test, &config);
		mirror.below[i] = rivals.fakes[i]->disk;
	}
	low = fake_stack_new(test, &mirror);
	remap.below[0] = low->disk;
	high = fake_stack_new(test, &remap);
	threads = fake_threads_start(test, 4, rival_fn, &rivals);
	KUNIT_ASSERT_TRUE(test, fake_threads_wait(threads));
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(low->disk),
			min(strata_disk_capacity(rivals.fakes[0]->disk),
			    strata_disk_capacity(rivals.fakes[1]->disk)));
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(high->disk),
			strata_disk_capacity(low->disk) - 7);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(grow_chain),
	KUNIT_CASE(grow_diamond),
	KUNIT_CASE(shrink_chain),
	KUNIT_CASE(shrink_diamond),
	KUNIT_CASE(same_size),
	KUNIT_CASE(rounding),
	KUNIT_CASE(not_ready),
	KUNIT_CASE(refresh),
	KUNIT_CASE(nothing_left),
	KUNIT_CASE(dead_chain),
	KUNIT_CASE(dead_diamond),
	KUNIT_CASE(two_at_once),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-resize",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of sizes");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
