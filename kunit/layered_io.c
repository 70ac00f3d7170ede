// SPDX-License-Identifier: GPL-2.0
/* Layered disks: where reads come from and writes, ranges and flushes go to. */
#include <linux/sizes.h>
#include "conformance.h"
#include "../drivers/layers/ram.h"
#include "layered_kit.h"
#include "status.h"

static void conformance(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit;

	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_128K)) });
	strata_conformance_range(test, kit->disk);
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_128K, .sector_size = SZ_4K)) });
	strata_conformance_range(test, kit->disk);
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(base)) });
	strata_conformance_range(test, kit->disk);
	kit = kit_new(test, &(struct kit_config) {
		.read_only = true,
		LAYERS(RAM(.read_cache = true), DISK(base)) });
	strata_conformance_range(test, kit->disk);
}

static void fall_through(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(base)) });

	kit_expect(test, kit->disk, 0, 256, 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_READ), 1);
	kit_write(test, kit->disk, 3, 2, 2);
	kit_write(test, kit->disk, 255, 1, 2);
	kit_expect(test, kit->disk, 0, 3, 1);
	kit_expect(test, kit->disk, 3, 2, 2);
	kit_expect(test, kit->disk, 5, 250, 1);
	kit_expect(test, kit->disk, 255, 1, 2);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_WRITE), 0);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 3);
}

static void nothing_there(struct kunit *test)
{
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), RAM(.size = SZ_1M)) });

	kit_expect(test, kit->disk, 0, 2048, 0);
	kit_write(test, kit->disk, 100, 8, 1);
	kit_expect(test, kit->disk, 0, 100, 0);
	kit_expect(test, kit->disk, 100, 8, 1);
	kit_expect(test, kit->disk, 108, 100, 0);
}

/* 1 MiB whose sectors come from above and below by turns: 2048 runs. */
static void alternating(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 2048, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(base)) });
	char *want = fake_buffer(test, SZ_1M, 0, 1);
	char *got = fake_buffer(test, SZ_1M, 0, 0);
	unsigned int i, starve;

	for (i = 0; i < 2048; i += 2) {
		kit_write(test, kit->disk, i, 1, 2);
		fake_pattern(want + i * SECTOR_SIZE, SECTOR_SIZE, i, 2);
	}
	for (starve = 0; starve < 2; starve++) {
		kit_starve(kit, starve);
		fake_disk_forget(base);
		fake_disk_ends(base, starve ? FAKE_SOFTIRQ : FAKE_INLINE, 0);
		memset(got, 0, SZ_1M);
		EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0,
					      got, SZ_1M), BLK_STS_OK);
		KIT_EXPECT_SAME(test, got, want, SZ_1M);
		KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_READ), 1024);
	}
	kit_starve(kit, false);
}

/* An error of any part is the error of all. */
static void error_of_a_part(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(base)) });
	void *buf = fake_buffer(test, SZ_32K, 0, 0);
	static const sector_t bad[] = { 1, 31, 63 };
	unsigned int i;

	for (i = 0; i < 64; i += 2)
		kit_write(test, kit->disk, i, 1, 2);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_disk_fail(base, &(struct fake_error) {
			.op = REQ_OP_READ, .sector = bad[i], .nr = 1,
			.status = BLK_STS_MEDIUM, .times = 1 });
		EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0,
					      buf, SZ_32K), BLK_STS_MEDIUM);
		fake_disk_fail_none(base);
	}
	kit_expect(test, kit->disk, 63, 1, 1);
}

/* A2: a lower disk that is shorter, also in the middle, reads zero beyond. */
static void shorter_below(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 100, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_128K), DISK(base)) });
	sector_t sector;

	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 256);
	kit_expect(test, kit->disk, 0, 100, 1);
	for (sector = 100; sector < 103; sector++)
		kit_expect(test, kit->disk, sector, 153, 0);
	kit_expect(test, kit->disk, 99, 1, 1);

	/* What is under a short disk does not show past its end. */
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_128K), RAM(.size = SZ_16K),
		       DISK(kit_base(test, 256, 3))) });
	kit_expect(test, kit->disk, 0, 32, 3);
	kit_expect(test, kit->disk, 32, 224, 0);
	kit_expect(test, kit->disk, 33, 1, 0);
}

static void write_through(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(base)) });
	void *buf = fake_buffer(test, SZ_4K, 8, 2);
	void *got = fake_buffer(test, SZ_4K, 8, 0);

	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE | REQ_FUA,
				      8, buf, SZ_4K), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_WRITE), 1);
	KUNIT_EXPECT_TRUE(test, base->log[0].opf & REQ_FUA);
	fake_disk_peek(base, 8, got, SZ_4K);
	KIT_EXPECT_SAME(test, got, buf, SZ_4K);

	fake_disk_forget(base);
	kit_expect(test, kit->disk, 8, 8, 2);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_READ), 0);

	fake_disk_fail(base, &(struct fake_error) {
		.op = REQ_OP_WRITE, .nr = 64, .status = BLK_STS_NOSPC, .times = 1 });
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE, 16, buf,
				      SZ_4K), BLK_STS_NOSPC);
}

/* Two disks get the same data, and a read comes from the first. */
static void two_disks(struct kunit *test)
{
	struct fake_disk *a = kit_base(test, 64, 1), *b = kit_base(test, 64, 2);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(DISK(a, .write_through = true),
		       RAM(.write_through = true), DISK(b)) });
	void *got = fake_buffer(test, SZ_4K, 8, 0);
	void *want = fake_buffer(test, SZ_4K, 8, 3);
	unsigned int when;

	for (when = FAKE_INLINE; when < FAKE_HELD; when++) {
		fake_disk_ends(a, when, 0);
		fake_disk_ends(b, when, 0);
		kit_write(test, kit->disk, 8, 8, 3);
		fake_disk_peek(a, 8, got, SZ_4K);
		KIT_EXPECT_SAME(test, got, want, SZ_4K);
		fake_disk_peek(b, 8, got, SZ_4K);
		KIT_EXPECT_SAME(test, got, want, SZ_4K);
		EXPECT_SAME_STS(test, fake_range(test, kit->disk,
						 REQ_OP_WRITE_ZEROES, 8, 4),
				BLK_STS_OK);
		kit_expect(test, kit->disk, 8, 4, 0);
		fake_disk_peek(b, 8, got, SZ_2K);
		KUNIT_EXPECT_FALSE(test, memchr_inv(got, 0, SZ_2K));
	}

	/* The first error ends it. */
	fake_disk_forget(b);
	fake_disk_fail(a, &(struct fake_error) {
		.op = REQ_OP_WRITE, .nr = 64, .status = BLK_STS_TRANSPORT,
		.times = 1 });
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE, 8, want,
				      SZ_4K), BLK_STS_TRANSPORT);
	KUNIT_EXPECT_EQ(test, fake_disk_count(b, REQ_OP_WRITE), 0);
}

static void flush(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 1);
	struct kit *kit;

	/* Nothing to flush, and nothing below the write path is. */
	kit = kit_new(test, &(struct kit_config) { LAYERS(RAM(), DISK(base)) });
	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_FLUSH), 0);

	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(kit_base(test, 64, 1))) });
	base = kit->made_of[1].disk->private;
	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_FLUSH), 1);
}

static void flush_reaches(struct kunit *test)
{
	struct fake_disk *a = kit_base(test, 64, 1), *b = kit_base(test, 64, 2);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(DISK(a, .write_through = true),
		       RAM(.write_through = true), DISK(b)) });
	struct fake_bio *fb;

	/* Both at the same time. */
	fake_disk_ends(a, FAKE_HELD, 0);
	fake_disk_ends(b, FAKE_HELD, 0);
	fb = fake_bio_new(test, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0);
	fake_bio_submit(fb, NULL, kit->disk);
	KUNIT_EXPECT_TRUE(test, fake_disk_wait_pending(a, 1));
	KUNIT_EXPECT_TRUE(test, fake_disk_wait_pending(b, 1));
	fake_disk_release(b, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 0);
	fake_disk_release(a, 1);
	EXPECT_SAME_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);

	fake_disk_ends(a, FAKE_INLINE, 0);
	fake_disk_ends(b, FAKE_INLINE, 0);
	fake_disk_fail(b, &(struct fake_error) {
		.op = REQ_OP_FLUSH, .nr = 64, .status = BLK_STS_IOERR, .times = 1 });
	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_IOERR);
	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_OK);
}

static void unmap(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(base)) });

	KUNIT_EXPECT_EQ(test, kit->disk->unmap, STRATA_UNMAP_ZEROES);
	kit_write(test, kit->disk, 0, 64, 2);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 3, 100),
			BLK_STS_OK);
	kit_expect(test, kit->disk, 0, 3, 2);
	kit_expect(test, kit->disk, 3, 100, 0);
	kit_expect(test, kit->disk, 103, 153, 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_DISCARD), 0);
	kit_write(test, kit->disk, 50, 1, 3);
	kit_expect(test, kit->disk, 49, 1, 0);
	kit_expect(test, kit->disk, 50, 1, 3);
	kit_expect(test, kit->disk, 51, 1, 0);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_WRITE_ZEROES,
					 0, 256), BLK_STS_OK);
	kit_expect(test, kit->disk, 0, 256, 0);
	KUNIT_EXPECT_EQ(test, kit_committed(kit, 0), RAM_RANGE_BYTES);
}

/* A discard that would leave layers different is not done at all. */
static void unmap_ignored(struct kunit *test)
{
	const struct fake_config config = {
		.sectors = 64,
		.unmap = STRATA_UNMAP_UNSPECIFIED,
	};
	struct fake_disk *base = fake_disk_new(test, &config);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(base)) });

	kit_write(test, kit->disk, 0, 16, 1);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 0, 16),
			BLK_STS_OK);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 60, 16),
			BLK_STS_TARGET);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_DISCARD), 0);
	kit_expect(test, kit->disk, 0, 16, 1);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_WRITE_ZEROES,
					 0, 8), BLK_STS_OK);
	kit_expect(test, kit->disk, 0, 8, 0);
	kit_expect(test, kit->disk, 8, 8, 1);
}

static void read_only(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		.read_only = true, LAYERS(RAM(), DISK(base)) });
	void *buf = fake_buffer(test, SZ_4K, 0, 2);

	kit_expect(test, kit->disk, 0, 64, 1);
	KUNIT_EXPECT_NE(test, fake_rw(test, kit->disk, REQ_OP_WRITE, 0, buf,
				      SZ_4K), BLK_STS_OK);
	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_FLUSH), 0);
}

/* A disk whose size comes from below follows it. */
static void resize_below(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(base)) });

	kit_write(test, kit->disk, 200, 16, 2);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 216, 8),
			BLK_STS_OK);
	strata_disk_resize(base->disk, 128);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 128);
	KUNIT_EXPECT_EQ(test, kit_committed(kit, 0), 0);
	strata_disk_resize(base->disk, 256);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 256);
	/* The fake drops what it loses too. */
	kit_expect(test, kit->disk, 0, 128, 1);
	kit_expect(test, kit->disk, 128, 128, 0);
	kit_write(test, base->disk, 210, 8, 3);
	kit_expect(test, kit->disk, 210, 8, 3);
}

/* To have no sectors is a size too: what is further below does not show. */
static void no_sectors(struct kunit *test)
{
	struct fake_disk *a = kit_base(test, 64, 1), *b = kit_base(test, 128, 2);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(a), DISK(b)) });

	kit_expect(test, kit->disk, 0, 64, 1);
	kit_write(test, kit->disk, 8, 8, 3);
	strata_disk_resize(a->disk, 0);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 0);
	KUNIT_EXPECT_EQ(test, kit_committed(kit, 0), 0);
	strata_disk_resize(a->disk, 32);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 32);
	kit_expect(test, kit->disk, 0, 32, 0);
}

/* A disk with a size of its own does not, and reads what is there. */
static void resize_below_own_size(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_128K), DISK(base)) });

	kit_write(test, kit->disk, 200, 8, 2);
	strata_disk_resize(base->disk, 128);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 256);
	kit_expect(test, kit->disk, 120, 8, 1);
	kit_expect(test, kit->disk, 128, 72, 0);
	kit_expect(test, kit->disk, 200, 8, 2);
	strata_disk_resize(base->disk, 300);
	kit_write(test, base->disk, 140, 8, 3);
	kit_expect(test, kit->disk, 140, 8, 3);
}

/* A4: what was cut off is zero when the disk grows again, and can be written. */
static void resize_own(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 512, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_128K), DISK(base)) });
	struct strata_layer *ram = kit->layers[0];

	kit_write(test, kit->disk, 100, 100, 2);
	KUNIT_EXPECT_EQ(test, strata_layer_resize(ram, 128, &kit->desc), 0);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 128);
	kit_expect(test, kit->disk, 100, 28, 2);
	KUNIT_EXPECT_EQ(test, strata_layer_resize(ram, 400, &kit->desc), 0);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 400);
	kit_expect(test, kit->disk, 0, 100, 1);
	kit_expect(test, kit->disk, 100, 28, 2);
	kit_expect(test, kit->disk, 128, 272, 0);
	kit_write(test, kit->disk, 150, 1, 3);
	kit_expect(test, kit->disk, 149, 1, 0);
	kit_expect(test, kit->disk, 150, 1, 3);
	kit_expect(test, kit->disk, 151, 249, 0);

	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_64K, .write_through = true),
		       RAM(.size = SZ_64K)) });
	KUNIT_EXPECT_EQ(test, strata_layer_resize(kit->layers[0], 256,
						  &kit->desc), -EINVAL);
	KUNIT_EXPECT_STREQ(test, kit->desc.error,
			   "layer 1 is shorter than layer 0, which writes through to it");
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 128);
	KUNIT_EXPECT_EQ(test, strata_layer_resize(kit->layers[1], 256,
						  &kit->desc), 0);
	KUNIT_EXPECT_EQ(test, strata_layer_resize(kit->layers[0], 256,
						  &kit->desc), 0);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 256);
}

/* Nobody who may not wait is let wait, and nothing is half done. */
static void nowait(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.limit = SZ_8K), DISK(base)) });
	void *buf = fake_buffer(test, SZ_32K, 0, 2);

	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE | REQ_NOWAIT,
				      0, buf, SZ_4K), BLK_STS_OK);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ | REQ_NOWAIT,
				      8, buf, SZ_4K), BLK_STS_OK);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE | REQ_NOWAIT,
				      8, buf, SZ_16K), BLK_STS_NOSPC);
	kit_expect(test, kit->disk, 8, 32, 1);
	KUNIT_EXPECT_EQ(test, kit_committed(kit, 0), PAGE_SIZE);

	/* Split, with nothing but the reserve, and that in use. */
	kit_write(test, kit->disk, 10, 1, 2);
	base->again = true;
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ | REQ_NOWAIT,
				      16, buf, SZ_4K), BLK_STS_AGAIN);
	base->again = false;
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ | REQ_NOWAIT,
				      8, buf, SZ_4K), BLK_STS_OK);
}

static struct kunit_case io_cases[] = {
	KUNIT_CASE(conformance),
	KUNIT_CASE(fall_through),
	KUNIT_CASE(nothing_there),
	KUNIT_CASE_SLOW(alternating),
	KUNIT_CASE(error_of_a_part),
	KUNIT_CASE(shorter_below),
	KUNIT_CASE(write_through),
	KUNIT_CASE(two_disks),
	KUNIT_CASE(flush),
	KUNIT_CASE(flush_reaches),
	KUNIT_CASE(unmap),
	KUNIT_CASE(unmap_ignored),
	KUNIT_CASE(read_only),
	KUNIT_CASE(resize_below),
	KUNIT_CASE(no_sectors),
	KUNIT_CASE(resize_below_own_size),
	KUNIT_CASE(resize_own),
	KUNIT_CASE(nowait),
	{}
};

struct kunit_suite layered_io_suite = {
	.name = "strata_layered_io",
	.test_cases = io_cases,
};
