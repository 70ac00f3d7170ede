// SPDX-License-Identifier: GPL-2.0
/* Bios in a race with the size: never one too far, and never old data. */
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/string.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "core_stack.h"
#include "fake_disk.h"

#define LARGE	512
#define SMALL	256
#define TOP	768	/* bios are tried up to here */
#define ROUNDS	100
#define WRITERS	3

struct race {
	struct kunit *test;
	struct fake_disk *fake;
	struct strata_disk *top;
	bool done;
	atomic_t ok;
	atomic_t refused;
	atomic_t wrong;
	atomic_t beyond;
};

static void watch(struct fake_disk *fake, struct strata_ctx *ctx, struct bio *bio)
{
	struct race *race = fake->context;

	if (bio_end_sector(bio) > LARGE)
		atomic_inc(&race->beyond);
}

static void judge(struct race *race, blk_status_t status, sector_t end)
{
	if (status == BLK_STS_TARGET)
		atomic_inc(&race->refused);
	else if (status || end > LARGE)
		atomic_inc(&race->wrong);
	else
		atomic_inc(&race->ok);
	/* What fits at either size is never refused. */
	if (status && end <= SMALL)
		atomic_inc(&race->wrong);
}

static void write_fn(void *context, unsigned int index)
{
	struct race *race = context;
	struct rnd_state rnd;
	void *buf = kmalloc(8192, GFP_KERNEL);

	prandom_seed_state(&rnd, index);
	while (buf && !READ_ONCE(race->done)) {
		sector_t sector = prandom_u32_state(&rnd) % TOP;
		unsigned int nr = 1 + prandom_u32_state(&rnd) % 16;

		fake_pattern(buf, nr << SECTOR_SHIFT, sector, 1);
		judge(race, fake_rw(race->test, race->top, REQ_OP_WRITE, sector, buf,
				    nr << SECTOR_SHIFT), sector + nr);
	}
	kfree(buf);
}

/* Shrink, see that nothing is left beyond, grow. */
static void flip(struct kunit *test, struct race *race, char *buf)
{
	const size_t bytes = (LARGE - SMALL) << SECTOR_SHIFT;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		strata_disk_resize(race->fake->disk, SMALL);
		KUNIT_EXPECT_EQ(test, strata_disk_capacity(race->top), SMALL);
		fake_disk_peek(race->fake, SMALL, buf, bytes);
		KUNIT_EXPECT_TRUE_MSG(test, !memchr_inv(buf, 0, bytes),
				      "round %u: data beyond the end", i);
		/* Again, after whatever was on its way has arrived. */
		cond_resched();
		fake_disk_peek(race->fake, SMALL, buf, bytes);
		KUNIT_EXPECT_TRUE_MSG(test, !memchr_inv(buf, 0, bytes),
				      "round %u: data arrives beyond the end", i);
		strata_disk_resize(race->fake->disk, LARGE);
		KUNIT_EXPECT_EQ(test, strata_disk_capacity(race->top), LARGE);
		cond_resched();
	}
}

static void run_race(struct kunit *test, struct race *race)
{
	char *buf = fake_buffer(test, (LARGE - SMALL) << SECTOR_SHIFT, 0, 0);
	struct fake_threads *threads;

	race->test = test;
	race->fake->context = race;
	race->fake->hook = watch;
	threads = fake_threads_start(test, WRITERS, write_fn, race);
	flip(test, race, buf);
	WRITE_ONCE(race->done, true);
	KUNIT_ASSERT_TRUE(test, fake_threads_wait(threads));
	KUNIT_EXPECT_EQ(test, atomic_read(&race->wrong), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&race->beyond), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->ok), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->refused), 0);
}

static struct fake_disk *memory(struct kunit *test, enum fake_when when)
{
	const struct fake_config config = { .sectors = LARGE, .max_ops = 1 };
	struct fake_disk *fake = fake_disk_new(test, &config);

	fake_disk_ends(fake, when, 100);
	return fake;
}

static void race_inline(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_INLINE);
	struct race race = { .fake = fake, .top = fake->disk };

	run_race(test, &race);
}

static void race_softirq(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_SOFTIRQ);
	struct race race = { .fake = fake, .top = fake->disk };

	run_race(test, &race);
}

static void race_stack(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_WORKER);
	struct fake_stack_config remap = { .kind = FAKE_REMAP, .below = { fake->disk } };
	struct fake_stack_config split = { .kind = FAKE_STRIPE, .chunk = 3 };
	struct race race = { .fake = fake };

	split.below[0] = fake_stack_new(test, &remap)->disk;
	race.top = fake_stack_new(test, &split)->disk;
	run_race(test, &race);
}

/* Data from before a shrink does not come back with the growth. */
static void no_old_data(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_INLINE);
	struct fake_stack_config remap = { .kind = FAKE_REMAP, .below = { fake->disk } };
	struct fake_stack *stack = fake_stack_new(test, &remap);
	char *buf = fake_buffer(test, LARGE << SECTOR_SHIFT, 0, 1);
	char *want = fake_buffer(test, LARGE << SECTOR_SHIFT, 0, 1);

	FAKE_EXPECT_STS(test, fake_rw(test, stack->disk, REQ_OP_WRITE, 0, buf,
				      LARGE << SECTOR_SHIFT), BLK_STS_OK);
	strata_disk_resize(fake->disk, SMALL + 3);
	FAKE_EXPECT_STS(test, fake_rw(test, stack->disk, REQ_OP_READ, SMALL + 2, buf, 1024),
			BLK_STS_TARGET);
	strata_disk_resize(fake->disk, LARGE);
	FAKE_EXPECT_STS(test, fake_rw(test, stack->disk, REQ_OP_READ, 0, buf,
				      LARGE << SECTOR_SHIFT), BLK_STS_OK);
	memset(want + ((SMALL + 3) << SECTOR_SHIFT), 0, (LARGE - SMALL - 3) << SECTOR_SHIFT);
	KUNIT_EXPECT_TRUE(test, !memcmp(buf, want, LARGE << SECTOR_SHIFT));
}

/* The size is not smaller, for anybody, before what was on its way is done. */
static void drains(struct kunit *test)
{
	struct fake_disk *fake = memory(test, FAKE_WORKER);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE, LARGE - 8,
					   fake_buffer(test, 4096, 0, 1), 4096);

	fake_disk_ends(fake, FAKE_WORKER, 50000);
	fake_bio_submit(fb, NULL, fake->disk);
	strata_disk_resize(fake->disk, SMALL);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake->nr_pages, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(race_inline),
	KUNIT_CASE(race_softirq),
	KUNIT_CASE(race_stack),
	KUNIT_CASE(no_old_data),
	KUNIT_CASE(drains),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-shrink",
	.test_cases = cases,
};

kunit_test_suite(suite);
