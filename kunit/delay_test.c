// SPDX-License-Identifier: GPL-2.0
/* The delay disk: who waits, for how long, and that nobody waits for ever. */
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <strata/test.h>
#include <strata/type.h>
#include "../drivers/decorators/delay.h"
#include "conformance.h"
#include "core_stack.h"
#include "fake_disk.h"

#define FLUSH	(REQ_OP_WRITE | REQ_PREFLUSH)
#define MINUTE	(60 * USEC_PER_SEC)

/**
 * struct slow - a delay disk
 * @disk: the disk
 * @d: the same
 * @fake: the disk below
 * @handle: on it
 * @node: stands for the resolver's, for the size
 */
struct slow {
	struct strata_disk *disk;
	struct delay *d;
	struct fake_disk *fake;
	struct strata_handle *handle;
	struct strata_node node;
};

static void slow_free(void *data)
{
	struct slow *slow = data;

	if (!IS_ERR_OR_NULL(slow->d))
		delay_destroy(slow->d);
	if (!IS_ERR_OR_NULL(slow->handle))
		strata_handle_detach(slow->handle);
	strata_disk_free(slow->disk);
	kfree(slow);
}

static struct slow *slow_over(struct kunit *test, struct fake_disk *fake, u32 us)
{
	struct slow *slow = kzalloc(sizeof(*slow), GFP_KERNEL);
	char other[STRATA_NAME_MAX];
	const char *why = NULL;

	KUNIT_ASSERT_NOT_NULL(test, slow);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, slow_free, slow), 0);
	slow->fake = fake;
	slow->disk = strata_disk_alloc("delay.slow");
	KUNIT_ASSERT_NOT_NULL(test, slow->disk);
	slow->handle = strata_handle_attach(fake->disk, "slow", STRATA_CLAIM_WRITE, NULL, NULL,
					    slow->disk, other);
	KUNIT_ASSERT_FALSE(test, IS_ERR(slow->handle));
	slow->node.below = slow->handle;
	slow->disk->node = &slow->node;
	slow->d = delay_create(slow->disk, fake->disk, us);
	KUNIT_ASSERT_FALSE(test, IS_ERR(slow->d));
	KUNIT_ASSERT_EQ_MSG(test, strata_disk_ready(slow->disk, &delay_disk_ops, &why), 0,
			    "%s", why);
	return slow;
}

static struct slow *slow_new(struct kunit *test, u32 us)
{
	const struct fake_config config = {
		.sectors = 4096,
		.native_zeroes = true,
		.native_fua = true,
		.single_target = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};

	return slow_over(test, fake_disk_new(test, &config), us);
}

static struct fake_bio *start(struct kunit *test, struct slow *slow, blk_opf_t opf,
			      sector_t sector)
{
	struct fake_bio *fb = fake_bio_new(test, opf, sector, fake_buffer(test, 512, sector, 1),
					   512);

	fake_bio_submit(fb, NULL, slow->disk);
	return fb;
}

static u64 timed_read(struct kunit *test, struct slow *slow)
{
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_READ, 0, fake_buffer(test, 512, 0, 0),
					   512);
	u64 begun = ktime_get_ns();

	fake_bio_submit(fb, NULL, slow->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	return ktime_get_ns() - begun;
}

/* The bio that the disk below was given last */
static void note_bio(struct fake_disk *fake, struct strata_ctx *ctx, struct bio *bio)
{
	fake->context = bio;
}

static void zero_remaps(struct kunit *test)
{
	static const blk_opf_t ops[] = {
		REQ_OP_READ, REQ_OP_READ | REQ_NOWAIT, REQ_OP_WRITE | REQ_FUA,
		REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA,
	};
	struct slow *slow = slow_new(test, 0);
	unsigned int i;

	slow->fake->hook = note_bio;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		struct fake_bio *fb = start(test, slow, ops[i], 7);

		KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 1);
		KUNIT_EXPECT_PTR_EQ(test, slow->fake->context, (void *)&fb->bio);
		KUNIT_EXPECT_EQ(test, slow->fake->log[i].opf, ops[i]);
		KUNIT_EXPECT_EQ(test, slow->fake->log[i].sector, 7);
		FAKE_EXPECT_STS(test, fb->status, BLK_STS_OK);
	}
	KUNIT_EXPECT_EQ(test, slow->fake->nr_ops, ARRAY_SIZE(ops));
}

/* Not less than was asked for, and no jiffy. Emulation stutters: take the best. */
static void is_exact(struct kunit *test)
{
	static const unsigned int delays[] = { 1, 100, 250, 1000 };
	struct slow *slow = slow_new(test, 0);
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(delays); i++) {
		u64 want = delays[i] * NSEC_PER_USEC, best = U64_MAX;

		delay_set(slow->d, delays[i]);
		for (n = 0; n < 40; n++) {
			u64 took = timed_read(test, slow);

			KUNIT_EXPECT_GE(test, took, want);
			best = min(best, took);
		}
		kunit_info(test, "%u us: %llu ns", delays[i], best);
		KUNIT_EXPECT_LT(test, best, want + NSEC_PER_SEC / HZ);
	}
}

/* Reads, writes and zeroes wait, discards and flushes do not. */
static void who_waits(struct kunit *test)
{
	static const blk_opf_t waits[] = {
		REQ_OP_READ, REQ_OP_WRITE, REQ_OP_WRITE | REQ_FUA, REQ_OP_WRITE | REQ_PREFLUSH,
		REQ_OP_WRITE | REQ_SYNC | REQ_META,
	};
	struct slow *slow = slow_new(test, MINUTE);
	struct fake_bio *held[ARRAY_SIZE(waits)], *zeroes;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits); i++)
		held[i] = start(test, slow, waits[i], i);
	zeroes = fake_bio_new(test, REQ_OP_WRITE_ZEROES, 8, NULL, 4096);
	fake_bio_submit(zeroes, NULL, slow->disk);
	FAKE_EXPECT_STS(test, fake_flush(test, slow->disk), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, slow->disk, REQ_OP_DISCARD, 100, 8), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, slow->fake->nr_ops, 2);

	delay_set(slow->d, 0);
	for (i = 0; i < ARRAY_SIZE(waits); i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, held[i]), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, zeroes), BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, slow->fake->nr_ops, 2 + ARRAY_SIZE(waits) + 1);
	/* In the order in which they came, as they were, and in a thread. */
	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		KUNIT_EXPECT_EQ(test, slow->fake->log[2 + i].opf, waits[i]);
		KUNIT_EXPECT_EQ(test, slow->fake->log[2 + i].sector, i);
		KUNIT_EXPECT_TRUE(test, slow->fake->log[2 + i].in_task);
	}
	KUNIT_EXPECT_EQ(test, fake_op_kind(&slow->fake->log[2 + i]), REQ_OP_WRITE_ZEROES);
}

/* Zeroes that the disk below cannot do are writes there, after one delay. */
static void zeroes_written(struct kunit *test)
{
	const struct fake_config config = { .sectors = 4096 };
	struct slow *slow = slow_over(test, fake_disk_new(test, &config), 100);

	FAKE_EXPECT_STS(test, fake_range(test, slow->disk, REQ_OP_WRITE_ZEROES, 3, 50),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(slow->fake, REQ_OP_WRITE), 1);
}

static void in_parallel(struct kunit *test)
{
	struct fake_bio *fbs[64];
	struct slow *slow = slow_new(test, 50 * USEC_PER_MSEC);
	u64 begun = ktime_get_ns(), took;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fbs); i++)
		fbs[i] = start(test, slow, REQ_OP_READ, i);
	for (i = 0; i < ARRAY_SIZE(fbs); i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fbs[i]), BLK_STS_OK);
	took = ktime_get_ns() - begun;
	KUNIT_EXPECT_GE(test, took, 50 * NSEC_PER_MSEC);
	KUNIT_EXPECT_LT(test, took, ARRAY_SIZE(fbs) * 50 * NSEC_PER_MSEC / 4);
}

/* A change counts for those that wait already, in both directions. */
static void changes_live(struct kunit *test)
{
	struct slow *slow = slow_new(test, MINUTE);
	struct fake_bio *fb = start(test, slow, REQ_OP_READ, 0);
	u64 begun = ktime_get_ns();

	delay_set(slow->d, 20 * USEC_PER_MSEC);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	KUNIT_EXPECT_GE(test, ktime_get_ns() - begun, 15 * NSEC_PER_MSEC);
	KUNIT_EXPECT_LT(test, ktime_get_ns() - begun, 30 * NSEC_PER_SEC);

	delay_set(slow->d, 200 * USEC_PER_MSEC);
	fb = start(test, slow, REQ_OP_READ, 0);
	delay_set(slow->d, MINUTE);
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&fb->done, HZ / 2), 0);
	delay_set(slow->d, 0);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	/* Nothing is left behind that a timer could find. */
	delay_set(slow->d, DELAY_MAX_US);
	delay_set(slow->d, 1);
	KUNIT_EXPECT_LT(test, timed_read(test, slow), 10 * NSEC_PER_SEC);
}

/* Those that wait go on when the disk goes. */
static void drains(struct kunit *test)
{
	struct slow *slow = slow_new(test, DELAY_MAX_US);
	struct fake_bio *fbs[8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fbs); i++)
		fbs[i] = start(test, slow, REQ_OP_WRITE, i);
	KUNIT_EXPECT_EQ(test, slow->fake->nr_ops, 0);
	delay_destroy(slow->d);
	slow->d = NULL;
	KUNIT_EXPECT_EQ(test, slow->fake->nr_ops, ARRAY_SIZE(fbs));
	for (i = 0; i < ARRAY_SIZE(fbs); i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fbs[i]), BLK_STS_OK);
}

static void *no_memory(gfp_t gfp, void *data)
{
	return NULL;
}

/*
 * Let no memory be had but from the pool's reserve, whose elements are known to
 * KASAN by the pool's alloc.
 */
static void starve(struct slow *slow, bool starve)
{
	mempool_t *pool = &slow->d->pool;
	void *held[BIO_POOL_SIZE];
	unsigned int n = 0;

	while (n < BIO_POOL_SIZE) {
		held[n] = mempool_alloc_preallocated(pool);
		if (!held[n])
			break;
		n++;
	}
	WRITE_ONCE(pool->alloc, starve ? no_memory : mempool_kmalloc);
	while (n)
		mempool_free(held[--n], pool);
}

static void nowait(struct kunit *test)
{
	struct slow *slow = slow_new(test, MINUTE);
	struct fake_bio *fbs[BIO_POOL_SIZE];
	unsigned int i;

	/* It waits for its delay, but for nothing else. */
	slow->fake->again = true;
	starve(slow, true);
	for (i = 0; i < ARRAY_SIZE(fbs); i++)
		fbs[i] = start(test, slow, REQ_OP_READ | REQ_NOWAIT, i);
	FAKE_EXPECT_STS(test, fake_rw(test, slow->disk, REQ_OP_READ | REQ_NOWAIT, 0,
				      fake_buffer(test, 512, 0, 0), 512), BLK_STS_AGAIN);
	delay_set(slow->d, 0);
	for (i = 0; i < ARRAY_SIZE(fbs); i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fbs[i]), BLK_STS_OK);
	starve(slow, false);
	KUNIT_EXPECT_EQ(test, slow->fake->nr_ops, ARRAY_SIZE(fbs));
}

/* With nothing but the reserve all still get through. */
static void starved(struct kunit *test)
{
	struct slow *slow = slow_new(test, 1000);
	const struct fake_stack_config config = {
		.kind = FAKE_STRIPE, .chunk = 1, .below = { slow->disk },
	};
	struct fake_stack *above = fake_stack_new(test, &config);
	void *want = fake_buffer(test, SZ_16K, 0, 1), *got = fake_buffer(test, SZ_16K, 0, 0);

	starve(slow, true);
	FAKE_EXPECT_STS(test, fake_rw(test, above->disk, REQ_OP_WRITE, 0, want, SZ_16K),
			BLK_STS_OK);
	starve(slow, false);
	fake_disk_peek(slow->fake, 0, got, SZ_16K);
	KUNIT_EXPECT_MEMEQ(test, got, want, SZ_16K);
	KUNIT_EXPECT_EQ(test, slow->fake->nr_ops, 32);
}

static void keeps_nexus(struct kunit *test)
{
	struct strata_nexus nexus = { .name = "block.n" };
	struct slow *slow = slow_new(test, 500);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_READ, 0, fake_buffer(test, 512, 0, 0),
					   512);

	fake_bio_submit(fb, &nexus, slow->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	KUNIT_EXPECT_PTR_EQ(test, slow->fake->log[0].nexus, &nexus);
}

static void errors(struct kunit *test)
{
	static const blk_status_t all[] = {
		BLK_STS_MEDIUM, BLK_STS_NOSPC, BLK_STS_RESV_CONFLICT, BLK_STS_TIMEOUT,
		BLK_STS_TRANSPORT, BLK_STS_PROTECTION, BLK_STS_OFFLINE, BLK_STS_IOERR,
	};
	struct slow *slow = slow_new(test, 0);
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(all); i++) {
		const struct fake_error error = { REQ_OP_LAST, 0, 8, all[i / 2], 0, 1 };

		delay_set(slow->d, i % 2 * 200);
		fake_disk_fail(slow->fake, &error);
		FAKE_EXPECT_STS(test, fake_rw(test, slow->disk, REQ_OP_WRITE, 0,
					      fake_buffer(test, 512, 0, 1), 512), all[i / 2]);
	}
}

/* What the disk below is, this one is. */
static void inherits(struct kunit *test)
{
	const struct fake_config config = {
		.sectors = 4096,
		.lba = 4096,
		.read_only = true,
		.unmap = STRATA_UNMAP_UNSPECIFIED,
		.max_discard = 800,
		.max_zeroes = 1600,
		.native_zeroes = true,
	};
	struct fake_disk *fake = fake_disk_new(test, &config);
	struct strata_disk *below = fake->disk, *disk;

	below->limits.dma_alignment = 15;
	below->limits.features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_STABLE_WRITES;
	below->limits.features &= ~BLK_FEAT_NOWAIT;
	below->optimal_unmap_sectors = 64;
	below->has_id = true;
	memset(below->id, 0xa5, sizeof(below->id));

	disk = slow_over(test, fake, 0)->disk;
	KUNIT_EXPECT_EQ(test, disk->limits.logical_block_size, 4096);
	KUNIT_EXPECT_EQ(test, disk->limits.physical_block_size, 4096);
	KUNIT_EXPECT_EQ(test, disk->limits.dma_alignment, 15);
	KUNIT_EXPECT_EQ(test, disk->limits.max_discard_sectors, 800);
	KUNIT_EXPECT_EQ(test, disk->limits.max_write_zeroes_sectors, 1600);
	KUNIT_EXPECT_EQ(test, disk->limits.features, below->limits.features);
	KUNIT_EXPECT_EQ(test, disk->unmap, STRATA_UNMAP_UNSPECIFIED);
	KUNIT_EXPECT_EQ(test, disk->optimal_unmap_sectors, 64);
	KUNIT_EXPECT_TRUE(test, disk->read_only && disk->has_id);
	KUNIT_EXPECT_MEMEQ(test, disk->id, below->id, sizeof(disk->id));
}

static void resizes(struct kunit *test)
{
	struct slow *slow = slow_new(test, 1000);
	struct fake_bio *fb;

	strata_disk_resize(slow->fake->disk, 8192);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(slow->disk), 8192);
	/* What waits beyond the new end gets there too late. */
	delay_set(slow->d, MINUTE);
	fb = start(test, slow, REQ_OP_WRITE, 8191);
	strata_disk_resize(slow->fake->disk, 1024);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(slow->disk), 1024);
	delay_set(slow->d, 0);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_TARGET);
	KUNIT_EXPECT_EQ(test, slow->fake->nr_ops, 0);
}

/* Submitters, and somebody who cannot decide how long it is to take. */
struct crowd {
	struct kunit *test;
	struct slow *slow;
	atomic_t errors;
};

static void crowd_fn(void *context, unsigned int index)
{
	struct crowd *crowd = context;
	void *buf = fake_buffer(crowd->test, 512, 0, 1);
	unsigned int i;

	for (i = 0; i < 100; i++) {
		if (!index)
			delay_set(crowd->slow->d, get_random_u32_below(4) * 300);
		else if (fake_rw(crowd->test, crowd->slow->disk, i % 2, i, buf, 512))
			atomic_inc(&crowd->errors);
	}
}

static void under_load(struct kunit *test)
{
	static const enum fake_when contexts[] = { FAKE_INLINE, FAKE_WORKER, FAKE_SOFTIRQ,
						   FAKE_HARDIRQ };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		struct crowd crowd = { .test = test, .slow = slow_new(test, 100) };

		fake_disk_ends(crowd.slow->fake, contexts[i], 50);
		KUNIT_EXPECT_TRUE(test, fake_threads_wait(fake_threads_start(test, 5, crowd_fn,
									     &crowd)));
		KUNIT_EXPECT_EQ(test, atomic_read(&crowd.errors), 0);
		KUNIT_EXPECT_EQ(test, crowd.slow->fake->nr_ops, 400);
	}
}

static void conforms(struct kunit *test)
{
	strata_conformance_range(test, slow_new(test, 0)->disk);
	strata_conformance_range(test, slow_new(test, 100)->disk);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(zero_remaps),
	KUNIT_CASE_SLOW(is_exact),
	KUNIT_CASE(who_waits),
	KUNIT_CASE(zeroes_written),
	KUNIT_CASE(in_parallel),
	KUNIT_CASE(changes_live),
	KUNIT_CASE(drains),
	KUNIT_CASE(nowait),
	KUNIT_CASE(starved),
	KUNIT_CASE(keeps_nexus),
	KUNIT_CASE(errors),
	KUNIT_CASE(inherits),
	KUNIT_CASE(resizes),
	KUNIT_CASE_SLOW(under_load),
	KUNIT_CASE(conforms),
	{}
};

static struct kunit_suite suite = {
	.name = "strata_delay",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: KUnit suite of the delay disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
