// SPDX-License-Identifier: GPL-2.0
/* Layered disks with read caches: what is cached, when, and what is not. */
#include <linux/sizes.h>
#include "../drivers/layers/ram.h"
#include "layered_kit.h"
#include "status.h"

static unsigned int reads(struct fake_disk *fake)
{
	return fake_disk_count(fake, REQ_OP_READ);
}

/* Five sectors are cached by five reads, and 16 after one of 15 more. */
static void population(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), DISK(base)) });
	sector_t sector;

	for (sector = 0; sector < 10; sector += 2)
		kit_expect(test, kit->disk, sector, 1, 1);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 5);
	kit_expect(test, kit->disk, 1, 15, 1);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 16);
	fake_disk_forget(base);
	kit_expect(test, kit->disk, 0, 16, 1);
	KUNIT_EXPECT_EQ(test, reads(base), 0);
	kit_expect(test, kit->disk, 0, 256, 1);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 256);
}

/* A3: in a cache under a diff layer, a hit behind a miss is read as well. */
static void hit_after_miss(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), RAM(.read_cache = true), DISK(base)) });
	void *evil = fake_buffer(test, SZ_4K, 4, 7);
	char *got = fake_buffer(test, SZ_16K, 0, 0);
	char *want = fake_buffer(test, SZ_16K, 0, 1);

	/* 4 to 11 and 20 to 23 are cached, 8 and 22 are in the diff too. */
	kit_expect(test, kit->disk, 4, 8, 1);
	kit_expect(test, kit->disk, 20, 4, 1);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 1), 12);
	kit_write(test, kit->disk, 8, 1, 2);
	kit_write(test, kit->disk, 22, 1, 2);
	fake_pattern(want + 8 * SECTOR_SIZE, SECTOR_SIZE, 8, 2);
	fake_pattern(want + 22 * SECTOR_SIZE, SECTOR_SIZE, 22, 2);
	/* Should the base be asked for what is cached, that shows. */
	fake_disk_poke(base, 4, evil, SZ_4K);

	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, got,
				      SZ_16K), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, want, SZ_16K);
	/* Not 8 and 22, which the cache is not asked for; both were there. */
	KUNIT_EXPECT_EQ(test, kit_present(kit, 1), 32);
	fake_disk_forget(base);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, got,
				      SZ_16K), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, want, SZ_16K);
	KUNIT_EXPECT_EQ(test, reads(base), 0);
}

static void large_miss(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 4096, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), DISK(base)) });
	unsigned int when;

	for (when = FAKE_INLINE; when < FAKE_HELD; when++) {
		sector_t sector = when * 700;

		fake_disk_ends(base, when, 0);
		kit_expect(test, kit->disk, sector, 700, 1);
		fake_disk_forget(base);
		kit_expect(test, kit->disk, sector, 700, 1);
		KUNIT_EXPECT_EQ(test, reads(base), 0);
	}
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 2800);
}

/* Zeroes from below are worth caching, but not those beyond its end. */
static void zeroes(struct kunit *test)
{
	struct fake_disk *base;
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), RAM(.read_cache = true), RAM(.size = SZ_128K)) });

	kit_expect(test, kit->disk, 10, 20, 0);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 1), 20);

	base = kit_base(test, 64, 1);
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_64K, .read_cache = true), DISK(base)) });
	kit_expect(test, kit->disk, 0, 64, 1);
	kit_expect(test, kit->disk, 64, 64, 0);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 64);
	strata_disk_resize(base->disk, 128);
	kit_write(test, base->disk, 64, 64, 2);
	kit_expect(test, kit->disk, 64, 64, 2);
}

/* Two caches on top of each other both get the data. */
static void two_caches(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), RAM(.read_cache = true),
		       DISK(base)) });

	kit_expect(test, kit->disk, 7, 3, 1);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 3);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 1), 3);
	kit_expect(test, kit->disk, 0, 64, 1);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 64);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 1), 64);
}

static void full(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), RAM(.read_cache = true, .limit = SZ_8K),
		       DISK(base)) });

	kit_expect(test, kit->disk, 0, 256, 1);
	kit_expect(test, kit->disk, 0, 256, 1);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 1), 16);
	KUNIT_EXPECT_EQ(test, kit_committed(kit, 1), SZ_8K);
}

/* What was read does not keep anybody from writing. */
static void full_then_write(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true, .limit = SZ_16K), DISK(base)) });

	kit_expect(test, kit->disk, 0, 256, 1);
	KUNIT_EXPECT_EQ(test, kit_committed(kit, 0), SZ_16K);
	kit_write(test, kit->disk, 100, 12, 2);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 200, 1),
			BLK_STS_OK);
	kit_expect(test, kit->disk, 0, 100, 1);
	kit_expect(test, kit->disk, 100, 12, 2);
	kit_expect(test, kit->disk, 112, 88, 1);
	kit_expect(test, kit->disk, 200, 1, 0);
	kit_expect(test, kit->disk, 201, 55, 1);
}

/* A cache that is full of what was written writes past itself. */
static void full_through(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true),
		       RAM(.read_cache = true, .write_through = true,
			   .limit = SZ_16K),
		       DISK(base)) });
	void *buf = fake_buffer(test, SZ_4K, 64, 3);
	void *got = fake_buffer(test, SZ_4K, 64, 0);

	kit_write(test, kit->disk, 0, 256, 2);
	kit_expect(test, kit->disk, 0, 256, 2);
	kit_expect(test, base->disk, 0, 256, 2);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE | REQ_NOWAIT |
				      REQ_FUA, 64, buf, SZ_4K), BLK_STS_OK);
	fake_disk_peek(base, 64, got, SZ_4K);
	KIT_EXPECT_SAME(test, got, buf, SZ_4K);
	KUNIT_EXPECT_LE(test, kit_committed(kit, 1), SZ_16K);

	/* What the disk says is what happened. */
	fake_disk_fail(base, &(struct fake_error) {
		.op = REQ_OP_WRITE, .nr = 256, .status = BLK_STS_NOSPC, .times = 1 });
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE, 64, buf,
				      SZ_4K), BLK_STS_NOSPC);

	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 100, 1),
			BLK_STS_OK);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_WRITE_ZEROES,
					 102, 1), BLK_STS_OK);
	kit_expect(test, kit->disk, 99, 1, 2);
	kit_expect(test, kit->disk, 100, 1, 0);
	kit_expect(test, kit->disk, 101, 1, 2);
	kit_expect(test, kit->disk, 102, 1, 0);
	kit_expect(test, kit->disk, 103, 1, 2);
	kit_expect(test, base->disk, 100, 1, 0);
}

/* Zeroes that the cache has hide nothing that is written past it. */
static void full_hidden(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 256, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true,
			   .limit = PAGE_SIZE + RAM_RANGE_BYTES),
		       DISK(base)) });

	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 96, 32),
			BLK_STS_OK);
	kit_write(test, kit->disk, 0, 8, 2);
	kit_write(test, kit->disk, 100, 8, 2);
	kit_expect(test, kit->disk, 96, 4, 0);
	kit_expect(test, kit->disk, 100, 8, 2);
	kit_expect(test, kit->disk, 108, 20, 0);
	kit_expect(test, kit->disk, 128, 8, 1);
	kit_write(test, kit->disk, 90, 10, 3);
	kit_write(test, kit->disk, 120, 10, 3);
	kit_expect(test, kit->disk, 90, 10, 3);
	kit_expect(test, kit->disk, 108, 12, 0);
	kit_expect(test, kit->disk, 120, 10, 3);
	KUNIT_EXPECT_EQ(test, to_ram(kit->layers[0])->nr_zeroes, 1);

	/* Nor do those beyond the end that the layer once had. */
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_64K, .write_through = true,
			   .limit = PAGE_SIZE),
		       RAM(.size = SZ_128K)) });
	kit_write(test, kit->disk, 0, 8, 2);
	KUNIT_EXPECT_EQ(test, strata_layer_resize(kit->layers[0], 64,
						  &kit->desc), 0);
	KUNIT_EXPECT_EQ(test, strata_layer_resize(kit->layers[0], 256,
						  &kit->desc), 0);
	kit_write(test, kit->disk, 100, 8, 2);
	kit_expect(test, kit->disk, 60, 40, 0);
	kit_expect(test, kit->disk, 100, 8, 2);
	kit_expect(test, kit->disk, 108, 148, 0);
}

/* A read error is the guest's, and nothing is cached. */
static void error(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), DISK(base)) });
	void *buf = fake_buffer(test, SZ_4K, 0, 0);

	fake_disk_fail(base, &(struct fake_error) {
		.op = REQ_OP_READ, .nr = 64, .status = BLK_STS_MEDIUM, .times = 1 });
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, buf,
				      SZ_4K), BLK_STS_MEDIUM);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 0);
	kit_expect(test, kit->disk, 0, 8, 1);
}

/* Start a read of 16 sectors that waits in the base. */
static struct fake_bio *held_read(struct kunit *test, struct kit *kit,
				  struct fake_disk *base, void *buf,
				  blk_opf_t flags)
{
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_READ | flags, 96, buf,
					   SZ_8K);

	fake_disk_ends(base, FAKE_HELD, 0);
	fake_bio_submit(fb, NULL, kit->disk);
	KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(base, 1));
	return fb;
}

static void let_go(struct kunit *test, struct fake_disk *base,
		   struct fake_bio *fb)
{
	fake_disk_release(base, 1);
	EXPECT_SAME_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	fake_disk_ends(base, FAKE_INLINE, 0);
}

/* Data on its way into the cache loses against all that happens meanwhile. */
static void races(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 128, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), DISK(base)) });
	void *buf = fake_buffer(test, SZ_8K, 0, 0);
	struct fake_bio *fb;

	/* A write and an unmap. */
	fb = held_read(test, kit, base, buf, 0);
	kit_write(test, kit->disk, 98, 2, 2);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 104, 3),
			BLK_STS_OK);
	kit_write(test, kit->disk, 110, 1, 2);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 110, 1),
			BLK_STS_OK);
	let_go(test, base, fb);
	kit_expect(test, kit->disk, 96, 2, 1);
	kit_expect(test, kit->disk, 98, 2, 2);
	kit_expect(test, kit->disk, 100, 4, 1);
	kit_expect(test, kit->disk, 104, 3, 0);
	kit_expect(test, kit->disk, 107, 3, 1);
	kit_expect(test, kit->disk, 110, 1, 0);

	/* A shrink, and a growth that brings other data. */
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_WRITE_ZEROES,
					 0, 128), BLK_STS_OK);
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), DISK(base)) });
	fb = held_read(test, kit, base, buf, 0);
	strata_disk_resize(base->disk, 100);
	strata_disk_resize(base->disk, 128);
	let_go(test, base, fb);
	kit_write(test, base->disk, 100, 28, 3);
	kit_expect(test, kit->disk, 96, 4, 1);
	kit_expect(test, kit->disk, 100, 28, 3);
}

/* A write past the cache, while a read puts what was there before into it. */
static void full_races(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 128, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true, .write_through = true,
			   .limit = SZ_4K),
		       DISK(base)) });
	void *data = fake_buffer(test, SZ_8K, 96, 2);
	void *buf = fake_buffer(test, SZ_8K, 0, 0);
	struct fake_bio *write, *read;

	kit_write(test, kit->disk, 0, 8, 2);
	write = fake_bio_new(test, REQ_OP_WRITE, 96, data, SZ_8K);
	fake_disk_ends(base, FAKE_HELD, 0);
	fake_bio_submit(write, NULL, kit->disk);
	KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(base, 1));
	/* There is room again before the write has reached the disk. */
	WRITE_ONCE(to_ram(kit->layers[0])->limit, SZ_1M);
	read = fake_bio_new(test, REQ_OP_READ, 96, buf, SZ_8K);
	fake_bio_submit(read, NULL, kit->disk);
	KUNIT_ASSERT_TRUE(test, fake_disk_wait_pending(base, 2));
	base->lifo = true;
	fake_disk_release(base, 1);
	EXPECT_SAME_STS(test, fake_bio_wait(test, read), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 24);
	fake_disk_release(base, 1);
	EXPECT_SAME_STS(test, fake_bio_wait(test, write), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 8);
	fake_disk_ends(base, FAKE_INLINE, 0);
	kit_expect(test, kit->disk, 96, 16, 2);
}

/* A cache with a size of its own forgets what the disk below it has lost. */
static void below_shrinks(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 128, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_64K, .read_cache = true), DISK(base)) });

	kit_expect(test, kit->disk, 0, 128, 1);
	kit_write(test, kit->disk, 120, 1, 2);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 128);
	strata_disk_resize(base->disk, 100);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(kit->disk), 128);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 101);
	kit_expect(test, kit->disk, 100, 20, 0);
	kit_expect(test, kit->disk, 120, 1, 2);
	strata_disk_resize(base->disk, 128);
	kit_write(test, base->disk, 100, 28, 3);
	kit_expect(test, kit->disk, 100, 20, 3);
	kit_expect(test, kit->disk, 120, 1, 2);
	kit_expect(test, kit->disk, 121, 7, 3);
}

/* A cache that is written through holds what the disk has. */
static void through(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 128, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true, .write_through = true),
		       DISK(base)) });

	kit_expect(test, kit->disk, 0, 32, 1);
	kit_write(test, kit->disk, 10, 10, 2);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 15, 2),
			BLK_STS_OK);
	fake_disk_forget(base);
	kit_expect(test, kit->disk, 0, 10, 1);
	kit_expect(test, kit->disk, 10, 5, 2);
	kit_expect(test, kit->disk, 15, 2, 0);
	kit_expect(test, kit->disk, 17, 3, 2);
	kit_expect(test, kit->disk, 20, 12, 1);
	KUNIT_EXPECT_EQ(test, reads(base), 0);
	kit_expect(test, base->disk, 10, 5, 2);
	kit_expect(test, base->disk, 15, 2, 0);
}

static void nowait(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 128, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), DISK(base)) });
	void *buf = fake_buffer(test, SZ_8K, 96, 0);
	void *want = fake_buffer(test, SZ_8K, 96, 1);
	struct fake_bio *fb;

	fb = held_read(test, kit, base, buf, REQ_NOWAIT);
	let_go(test, base, fb);
	KIT_EXPECT_SAME(test, buf, want, SZ_8K);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 16);
}

/* Caches work for a disk that nobody writes. */
static void read_only(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 128, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		.read_only = true,
		LAYERS(RAM(.read_cache = true), DISK(base)) });

	kit_expect(test, kit->disk, 0, 128, 1);
	fake_disk_forget(base);
	kit_expect(test, kit->disk, 0, 128, 1);
	KUNIT_EXPECT_EQ(test, reads(base), 0);
}

static struct kunit_case cache_cases[] = {
	KUNIT_CASE(population),
	KUNIT_CASE(hit_after_miss),
	KUNIT_CASE(large_miss),
	KUNIT_CASE(zeroes),
	KUNIT_CASE(two_caches),
	KUNIT_CASE(full),
	KUNIT_CASE(full_then_write),
	KUNIT_CASE(full_through),
	KUNIT_CASE(full_hidden),
	KUNIT_CASE(error),
	KUNIT_CASE(races),
	KUNIT_CASE(full_races),
	KUNIT_CASE(below_shrinks),
	KUNIT_CASE(through),
	KUNIT_CASE(nowait),
	KUNIT_CASE(read_only),
	{}
};

struct kunit_suite layered_cache_suite = {
	.name = "strata_layered_cache",
	.test_cases = cache_cases,
};
