// SPDX-License-Identifier: GPL-2.0
/* The disk object: what is validated when it gets ready, and limits. */
#include <linux/module.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "fake_disk.h"

static enum strata_map refuse_map(struct strata_ctx *ctx, struct strata_disk *disk,
				  struct bio *bio)
{
	return strata_end(bio, BLK_STS_IOERR);
}

static const struct strata_disk_ops ops = { .map = refuse_map };

static void free_disk(void *disk)
{
	strata_disk_free(disk);
}

static struct strata_disk *alloc(struct kunit *test, const char *name)
{
	struct strata_disk *disk = strata_disk_alloc(name);

	KUNIT_ASSERT_NOT_NULL(test, disk);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_disk, disk), 0);
	disk->capacity = 1003;
	return disk;
}

static void defaults(struct kunit *test)
{
	struct strata_disk *disk = alloc(test, "fake.default");
	const char *why;

	KUNIT_EXPECT_STREQ(test, disk->name, "fake.default");
	KUNIT_ASSERT_EQ(test, strata_disk_ready(disk, &ops, &why), 0);
	KUNIT_EXPECT_PTR_EQ(test, disk->ops, &ops);
	KUNIT_EXPECT_EQ(test, disk->lba_mask, 0);
	KUNIT_EXPECT_EQ(test, disk->limits.logical_block_size, 512);
	KUNIT_EXPECT_EQ(test, disk->optimal_unmap_sectors, 1);
	KUNIT_EXPECT_EQ(test, disk->unmap, STRATA_UNMAP_IGNORED);
	KUNIT_EXPECT_TRUE(test, disk->limits.features & BLK_FEAT_NOWAIT);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(disk), 1003);
	KUNIT_EXPECT_EQ(test, strata_disk_planned(disk), 1003);
	KUNIT_EXPECT_FALSE(test, disk->read_only);
	KUNIT_EXPECT_FALSE(test, disk->dead);
	KUNIT_EXPECT_FALSE(test, disk->has_id);
	KUNIT_EXPECT_NULL(test, disk->pr);
}

/* A name of any length that configfs allows. */
static void long_name(struct kunit *test)
{
	char name[64];
	struct strata_disk *disk;

	memset(name, 'n', sizeof(name));
	name[63] = '\0';
	disk = alloc(test, name);
	memset(name, 'x', 63);
	KUNIT_EXPECT_EQ(test, strlen(disk->name), 63);
	KUNIT_EXPECT_EQ(test, disk->name[62], 'n');
}

struct sizes {
	unsigned int logical;
	unsigned int physical;
	unsigned int unmap;
	bool good;
};

static const struct sizes all_sizes[] = {
	{ 512, 512, 0, true },
	{ 512, 4096, 0, true },
	{ 4096, 4096, 8, true },
	{ 4096, 16384, 16, true },
	{ 512, 512, 1, true },
	{ 512, 512, 3, true },
	{ 65536, 65536, 128, true },
	{ 0, 512, 0 },
	{ 1, 512, 0 },
	{ 256, 512, 0 },
	{ 511, 512, 0 },
	{ 513, 1024, 0 },
	{ 520, 520, 0 },
	{ 1000, 1024, 0 },
	{ 4095, 4096, 0 },
	{ 512, 256, 0 },
	{ 512, 1000, 0 },
	{ 4096, 512, 0 },
	{ 4096, 0, 0 },
	{ 4096, 4096, 1 },
	{ 4096, 4096, 12 },
};

static void sizes(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all_sizes); i++) {
		const struct sizes *s = &all_sizes[i];
		struct strata_disk *disk = alloc(test, "fake.blocks");
		const char *why = NULL;
		int err;

		disk->limits.logical_block_size = s->logical;
		disk->limits.physical_block_size = s->physical;
		disk->optimal_unmap_sectors = s->unmap;
		err = strata_disk_ready(disk, &ops, &why);
		KUNIT_EXPECT_EQ_MSG(test, err, s->good ? 0 : -EINVAL, "%u, %u, %u",
				    s->logical, s->physical, s->unmap);
		if (err)
			KUNIT_EXPECT_TRUE(test, why && strlen(why) > 10);
		else
			KUNIT_EXPECT_EQ(test, strata_disk_capacity(disk) &
					(s->logical / 512 - 1), 0);
	}
}

static void refused_features(struct kunit *test)
{
	struct strata_disk *zoned = alloc(test, "fake.zoned");
	struct strata_disk *integrity = alloc(test, "fake.integrity");
	const char *why = NULL;

	zoned->limits.features |= BLK_FEAT_ZONED;
	KUNIT_EXPECT_EQ(test, strata_disk_ready(zoned, &ops, &why), -EINVAL);
	KUNIT_EXPECT_NOT_NULL(test, strstr(why, "zoned"));
	integrity->limits.integrity.tuple_size = 8;
	KUNIT_EXPECT_EQ(test, strata_disk_ready(integrity, &ops, &why), -EINVAL);
	KUNIT_EXPECT_NOT_NULL(test, strstr(why, "integrity"));
}

/* A disk is as able as the least of those below. */
static void stacked_limits(struct kunit *test)
{
	const struct fake_config config_a = { .sectors = 64, .native_zeroes = true };
	const struct fake_config config_b = { .sectors = 64, .lba = 4096 };
	struct strata_disk *a = fake_disk_new(test, &config_a)->disk;
	struct strata_disk *b = fake_disk_new(test, &config_b)->disk;
	struct strata_disk *disk = alloc(test, "fake.stacked");

	a->limits.max_hw_sectors = 1024;
	a->limits.max_sectors = 1024;
	b->limits.dma_alignment = 4095;
	b->limits.features &= ~BLK_FEAT_NOWAIT;
	b->limits.features |= BLK_FEAT_WRITE_CACHE;

	KUNIT_EXPECT_EQ(test, strata_disk_stack_limits(disk, a), 0);
	KUNIT_EXPECT_EQ(test, disk->limits.logical_block_size, 512);
	KUNIT_EXPECT_EQ(test, disk->limits.max_sectors, 1024);
	KUNIT_EXPECT_GT(test, disk->limits.max_write_zeroes_sectors, 0);
	KUNIT_EXPECT_TRUE(test, disk->limits.features & BLK_FEAT_NOWAIT);

	KUNIT_EXPECT_EQ(test, strata_disk_stack_limits(disk, b), 0);
	KUNIT_EXPECT_EQ(test, disk->limits.logical_block_size, 4096);
	KUNIT_EXPECT_EQ(test, disk->limits.max_sectors, 1024);
	KUNIT_EXPECT_EQ(test, disk->limits.max_write_zeroes_sectors, 0);
	KUNIT_EXPECT_EQ(test, disk->limits.dma_alignment, 4095);
	KUNIT_EXPECT_FALSE(test, disk->limits.features & BLK_FEAT_NOWAIT);
	KUNIT_EXPECT_TRUE(test, disk->limits.features & BLK_FEAT_WRITE_CACHE);

	/* What is above does not change what is below. */
	KUNIT_EXPECT_EQ(test, a->limits.logical_block_size, 512);
}

/* Counters are per CPU, and their sum is all of them. */
static void stats_sum(struct kunit *test)
{
	struct strata_disk *disk = alloc(test, "fake.stats");
	struct strata_stats sum;
	u64 want = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct strata_stats *s = per_cpu_ptr(disk->stats, cpu);

		s->ios[STRATA_STAT_ZEROES] = cpu + 1;
		s->sectors[STRATA_STAT_READ] = (u64)UINT_MAX * (cpu + 1);
		s->refused = 10 * (cpu + 1);
		want += cpu + 1;
	}
	memset(&sum, 0xff, sizeof(sum));
	strata_disk_sum_stats(disk, &sum);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_ZEROES], want);
	KUNIT_EXPECT_EQ(test, sum.sectors[STRATA_STAT_READ], want * UINT_MAX);
	KUNIT_EXPECT_EQ(test, sum.refused, 10 * want);
	KUNIT_EXPECT_EQ(test, sum.ios[STRATA_STAT_READ], 0);
}

/* Half-made disks can be freed, and none at all. */
static void free_any(struct kunit *test)
{
	strata_disk_free(NULL);
	alloc(test, "fake.never-ready");
}

static struct kunit_case cases[] = {
	KUNIT_CASE(defaults),
	KUNIT_CASE(long_name),
	KUNIT_CASE(sizes),
	KUNIT_CASE(refused_features),
	KUNIT_CASE(stacked_limits),
	KUNIT_CASE(stats_sum),
	KUNIT_CASE(free_any),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-disk",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of the disk object");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
