// SPDX-License-Identifier: GPL-2.0
/* Layered disks: what is refused, and what is derived from the layers. */
#include <linux/sizes.h>
#include <strata/pr.h>
#include "layered_kit.h"

static void expect_refused(struct kunit *test, const struct kit_config *config,
			   int err, const char *words)
{
	struct kit *kit = kit_try(test, config);

	KUNIT_EXPECT_EQ(test, kit->err, err);
	KUNIT_EXPECT_STREQ(test, kit->desc.error, words);
}

static void no_layers(struct kunit *test)
{
	expect_refused(test, &(struct kit_config) {}, -EINVAL,
		       "there are no layers; make one, such as 0.ram");
}

static void too_many(struct kunit *test)
{
	static const struct kit_layer layers[STRATA_MAX_LAYERS + 1];

	expect_refused(test, &(struct kit_config) {
		.nr = ARRAY_SIZE(layers), .layers = layers }, -E2BIG,
		"17 layers are more than 16");
}

static void read_cache_of_a_disk(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 0);
	struct fake_disk *cache = kit_base(test, 64, 0);

	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(cache, .read_cache = true), DISK(base)) },
		-EINVAL,
		"layer 1 cannot be a read cache: its kind cannot insert what was read");
}

static void sector_sizes(struct kunit *test)
{
	const struct fake_config config = {
		.sectors = 64,
		.lba = SZ_4K,
	};
	struct fake_disk *large = fake_disk_new(test, &config);
	struct fake_disk *small = kit_base(test, 64, 0);

	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(.sector_size = 512), DISK(large)) }, -EINVAL,
		"layer 0 has sectors of 512 bytes, but the bottom layer of 4096");
	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(), RAM(.sector_size = 4096), DISK(small)) }, -EINVAL,
		"layer 1 has sectors of 4096 bytes, but the bottom layer of 512");
	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(.sector_size = 1000, .size = SZ_1M)) }, -EINVAL,
		"sector size 1000 is not 512 or 4096");
	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(.sector_size = 8192, .size = SZ_1M)) }, -EINVAL,
		"sector size 8192 is not 512 or 4096");
}

static void ram_sizes(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 0);

	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM()) }, -EINVAL, "layer 0 needs a size, because nothing is below it");
	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_4K + 512, .sector_size = SZ_4K)) },
		-EINVAL,
		"size 4608 is not a multiple of the sector size 4096");
	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_1M, .write_through = true), DISK(base)) },
		-EINVAL,
		"layer 1 is shorter than layer 0, which writes through to it");
}

static void read_only_layer(struct kunit *test)
{
	const struct fake_config config = {
		.sectors = 64,
		.read_only = true,
	};
	struct fake_disk *ro = fake_disk_new(test, &config);
	struct kit_config top = { LAYERS(DISK(ro)) };
	struct kit_config through = {
		LAYERS(RAM(.write_through = true), DISK(ro)) };

	expect_refused(test, &top, -EROFS,
		       "layer 0 is read-only, but writes go to it");
	expect_refused(test, &through, -EROFS,
		       "layer 1 is read-only, but writes go to it");
	top.read_only = true;
	through.read_only = true;
	kit_new(test, &top);
	kit_new(test, &through);
}

static void useless_write_through(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 0);

	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(), RAM(.write_through = true), DISK(base)) },
		-EINVAL,
		"write_through of layer 1 is of no use: no writes reach it");
	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(.size = SZ_1M, .write_through = true)) }, -EINVAL,
		"write_through of layer 0 is of no use: nothing is below it");
}

/* Of several mistakes the one that is looked for first is told. */
static void order_of_checks(struct kunit *test)
{
	const struct fake_config config = {
		.sectors = 64,
		.read_only = true,
	};
	struct fake_disk *ro = fake_disk_new(test, &config);

	expect_refused(test, &(struct kit_config) {
		LAYERS(DISK(ro, .read_cache = true),
		       RAM(.sector_size = SZ_4K, .write_through = true),
		       RAM(.size = SZ_1M, .sector_size = 512)) }, -EINVAL,
		"layer 1 has sectors of 4096 bytes, but the bottom layer of 512");
	expect_refused(test, &(struct kit_config) {
		LAYERS(DISK(ro), RAM(.write_through = true), RAM(.size = SZ_1M)) },
		-EROFS, "layer 0 is read-only, but writes go to it");
}

static void below_has_pr(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 0);
	struct strata_pr pr = {};

	base->disk->pr = &pr;
	expect_refused(test, &(struct kit_config) {
		LAYERS(RAM(), DISK(base)) }, -EINVAL,
		"layer 1: fake.base has persistent reservations; put prwrap above this disk instead");
	base->disk->pr = NULL;
}

/* Rows: unmap of the top, write_through, of the next, of the disk. */
static const struct {
	enum strata_unmap top;
	bool through;
	enum strata_unmap next;
	enum strata_unmap result;
} unmap_rows[] = {
	{ STRATA_UNMAP_ZEROES, false, STRATA_UNMAP_IGNORED, STRATA_UNMAP_ZEROES },
	{ STRATA_UNMAP_UNSPECIFIED, false, STRATA_UNMAP_ZEROES, STRATA_UNMAP_UNSPECIFIED },
	{ STRATA_UNMAP_IGNORED, false, STRATA_UNMAP_ZEROES, STRATA_UNMAP_IGNORED },
	{ STRATA_UNMAP_ZEROES, true, STRATA_UNMAP_ZEROES, STRATA_UNMAP_ZEROES },
	{ STRATA_UNMAP_ZEROES, true, STRATA_UNMAP_UNSPECIFIED, STRATA_UNMAP_IGNORED },
	{ STRATA_UNMAP_ZEROES, true, STRATA_UNMAP_IGNORED, STRATA_UNMAP_IGNORED },
	{ STRATA_UNMAP_UNSPECIFIED, true, STRATA_UNMAP_ZEROES, STRATA_UNMAP_IGNORED },
	{ STRATA_UNMAP_UNSPECIFIED, true, STRATA_UNMAP_UNSPECIFIED, STRATA_UNMAP_IGNORED },
	{ STRATA_UNMAP_IGNORED, true, STRATA_UNMAP_ZEROES, STRATA_UNMAP_IGNORED },
};

static void unmap_fold(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unmap_rows); i++) {
		struct fake_config config = { .sectors = 64 };
		struct fake_disk *top, *next;
		struct kit *kit;

		config.unmap = unmap_rows[i].top;
		top = fake_disk_new(test, &config);
		config.unmap = unmap_rows[i].next;
		next = fake_disk_new(test, &config);
		kit = kit_new(test, &(struct kit_config) {
			LAYERS(DISK(top, .write_through = unmap_rows[i].through),
			       DISK(next)) });
		KUNIT_EXPECT_EQ_MSG(test, kit->disk->unmap,
				    unmap_rows[i].result, "row %u", i);
		KUNIT_EXPECT_EQ(test, !!kit->disk->limits.max_discard_sectors,
				unmap_rows[i].result != STRATA_UNMAP_IGNORED);
	}
}

static void granularity(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 0);
	struct kit *kit;

	base->disk->optimal_unmap_sectors = 16;
	kit = kit_new(test, &(struct kit_config) { LAYERS(RAM(), DISK(base)) });
	KUNIT_EXPECT_EQ(test, kit->disk->optimal_unmap_sectors, 1);
	kit_drop(test, kit);
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(base)) });
	KUNIT_EXPECT_EQ(test, kit->disk->optimal_unmap_sectors, 16);
	KUNIT_EXPECT_EQ(test, kit->disk->limits.discard_granularity, 8192);
}

static void features(struct kunit *test)
{
	struct fake_disk *base = kit_base(test, 64, 0);
	struct kit *kit;

	base->disk->limits.features |= BLK_FEAT_WRITE_CACHE |
				       BLK_FEAT_ROTATIONAL;
	base->disk->limits.dma_alignment = 511;
	kit = kit_new(test, &(struct kit_config) { LAYERS(RAM(), DISK(base)) });
	KUNIT_EXPECT_FALSE(test, kit->disk->limits.features &
			   (BLK_FEAT_WRITE_CACHE | BLK_FEAT_STABLE_WRITES));
	KUNIT_EXPECT_TRUE(test, kit->disk->limits.features & BLK_FEAT_NOWAIT);
	KUNIT_EXPECT_EQ(test, kit->disk->limits.dma_alignment, 511);
	kit_drop(test, kit);

	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(base)) });
	KUNIT_EXPECT_TRUE(test, kit->disk->limits.features & BLK_FEAT_WRITE_CACHE);
	KUNIT_EXPECT_TRUE(test, kit->disk->limits.features & BLK_FEAT_FUA);
	KUNIT_EXPECT_TRUE(test, kit->disk->limits.features & BLK_FEAT_STABLE_WRITES);
	kit_drop(test, kit);

	base->disk->limits.features &= ~BLK_FEAT_NOWAIT;
	kit = kit_new(test, &(struct kit_config) { LAYERS(RAM(), DISK(base)) });
	KUNIT_EXPECT_FALSE(test, kit->disk->limits.features & BLK_FEAT_NOWAIT);
}

/* Zeroes that a disk has to write are asked for a bit at a time. */
static void zeroes(struct kunit *test)
{
	const struct fake_config none = { .sectors = 64 };
	const struct fake_config some = {
		.sectors = 64,
		.native_zeroes = true,
		.max_zeroes = 1024,
	};
	struct fake_disk *cannot = fake_disk_new(test, &none);
	struct fake_disk *can = fake_disk_new(test, &some);
	struct kit *kit;

	kit = kit_new(test, &(struct kit_config) { LAYERS(RAM(), DISK(cannot)) });
	KUNIT_EXPECT_EQ(test, kit->disk->limits.max_write_zeroes_sectors,
			UINT_MAX);
	kit_drop(test, kit);
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(cannot)) });
	KUNIT_EXPECT_EQ(test, kit->disk->limits.max_write_zeroes_sectors,
			SZ_32M >> SECTOR_SHIFT);
	kit_drop(test, kit);
	kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(can)) });
	KUNIT_EXPECT_EQ(test, kit->disk->limits.max_write_zeroes_sectors, 1024);
}

/* RFC 9562 has the name-based UUIDs; this one was made with another program. */
static void derived_id(struct kunit *test)
{
	static const char base[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	static const char want[] = "2ed6657d-e927-568b-95e1-2665a8aea6a2";
	char got[UUID_STRING_LEN + 1];
	uuid_t id;
	u8 made[16];

	KUNIT_ASSERT_EQ(test, uuid_parse(base, &id), 0);
	layered_derive_id(id.b, "www.example.com", made);
	snprintf(got, sizeof(got), "%pUb", made);
	KUNIT_EXPECT_STREQ(test, got, want);
}

static void ids(struct kunit *test)
{
	static const uuid_t own = UUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
	struct fake_disk *base = kit_base(test, 64, 0);
	struct kit *a, *b;

	a = kit_new(test, &(struct kit_config) { LAYERS(RAM(), DISK(base)) });
	KUNIT_EXPECT_FALSE(test, a->disk->has_id);
	kit_drop(test, a);

	base->disk->has_id = true;
	memset(base->disk->id, 0x11, 16);
	a = kit_new(test, &(struct kit_config) {
		.name = "layered.a", LAYERS(RAM(), DISK(base)) });
	b = kit_new(test, &(struct kit_config) {
		.name = "layered.b", LAYERS(RAM(), DISK(base)) });
	KUNIT_EXPECT_TRUE(test, a->disk->has_id && b->disk->has_id);
	KUNIT_EXPECT_MEMNEQ(test, a->disk->id, b->disk->id, 16);
	KUNIT_EXPECT_MEMNEQ(test, a->disk->id, base->disk->id, 16);
	kit_drop(test, a);
	kit_drop(test, b);

	a = kit_new(test, &(struct kit_config) {
		.read_only = true, LAYERS(RAM(), DISK(base)) });
	KUNIT_EXPECT_MEMEQ(test, a->disk->id, base->disk->id, 16);
	kit_drop(test, a);
	a = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true), DISK(base)) });
	KUNIT_EXPECT_MEMEQ(test, a->disk->id, base->disk->id, 16);
	kit_drop(test, a);
	b = kit_new(test, &(struct kit_config) {
		.id = &own, .read_only = true, LAYERS(RAM(), DISK(base)) });
	KUNIT_EXPECT_MEMEQ(test, b->disk->id, &own, 16);
}

static struct kunit_case check_cases[] = {
	KUNIT_CASE(no_layers),
	KUNIT_CASE(too_many),
	KUNIT_CASE(read_cache_of_a_disk),
	KUNIT_CASE(sector_sizes),
	KUNIT_CASE(ram_sizes),
	KUNIT_CASE(read_only_layer),
	KUNIT_CASE(useless_write_through),
	KUNIT_CASE(order_of_checks),
	KUNIT_CASE(below_has_pr),
	KUNIT_CASE(unmap_fold),
	KUNIT_CASE(granularity),
	KUNIT_CASE(features),
	KUNIT_CASE(zeroes),
	KUNIT_CASE(derived_id),
	KUNIT_CASE(ids),
	{}
};

struct kunit_suite layered_check_suite = {
	.name = "strata_layered_check",
	.test_cases = check_cases,
};
