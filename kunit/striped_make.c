// SPDX-License-Identifier: GPL-2.0
/* What a striped disk is made of: refusals, sizes, limits, unmap. */
#include <linux/module.h>
#include <linux/sizes.h>
#include <strata/pr.h>
#include <strata/test.h>
#include "striped_kit.h"

static void expect_refused(struct kunit *test,
			   const struct stripe_config *config, const char *words)
{
	struct stripe *st = stripe_try(test, config);

	KUNIT_EXPECT_EQ(test, st->err, -EINVAL);
	KUNIT_EXPECT_STREQ(test, st->desc.error, words);
}

static void refusals(struct kunit *test)
{
	const struct fake_config blocks[] = { {}, { .lba = 4096 } };
	const struct fake_config rights[] = { {}, {}, { .read_only = true } };
	const struct fake_config rights2[] = { { .read_only = true }, {} };
	const struct fake_config tiny[] = { {}, { .sectors = 7 } };
	const struct fake_config lengths[] = { {}, { .sectors = 128 + 8 } };

	expect_refused(test, STRIPE(.nr = 0, .chunk = 8),
		       "there are no members; make one, such as 0");
	expect_refused(test, STRIPE(.nr = 1, .chunk = 9, .lba = 4096, .sectors = 128),
		       "chunk_size 4608 is not a multiple of the sector size, 4096 bytes");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .members = blocks),
		       "member 1 has sectors of 4096 bytes, but member 0 of 512");
	expect_refused(test, STRIPE(.nr = 3, .chunk = 8, .members = rights),
		       "member 2 is read-only, but member 0 is not");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .members = rights2),
		       "member 1 is writable, but member 0 is not");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .members = tiny),
		       "member 1 is smaller than a chunk");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .members = lengths),
		       "member 1 has 17 chunks, but member 0 has 16; set sectors to use them nevertheless");
}

static void refuses_pr(struct kunit *test)
{
	static const struct strata_pr_ops ops;
	const struct stripe_config config = { .nr = 2, .chunk = 8 };
	struct stripe *st = stripe_members(test, &config);
	struct strata_pr pr = { .ops = &ops };

	st->fakes[1]->disk->pr = &pr;
	stripe_make(test, st, &config);
	KUNIT_EXPECT_EQ(test, st->err, -EINVAL);
	KUNIT_EXPECT_STREQ(test, st->desc.error,
			   "member 1: fake.disk has persistent reservations; put prwrap above this disk instead");
	st->fakes[1]->disk->pr = NULL;
}

/* Members alike: how much of them is used, in sectors. */
static const struct {
	unsigned int nr, chunk;
	sector_t sectors, size;
} size_rows[] = {
	{ 1, 8, 8, 8 },
	{ 1, 8, 1007, 1000 },
	{ 2, 8, 1007, 2000 },
	{ 3, 9, 1000, 3 * 999 },
	{ 9, 256, 100000, 9 * 99840 },
	{ 4, SZ_1G >> 9, (SZ_1G >> 9) * 5ULL - 1, (SZ_1G >> 9) * 16ULL },
	/* 2^54 sectors are 63 bits of bytes, and one sector less is the most. */
	{ 2, 256, 1ULL << 53, (1ULL << 54) - 512 },
	{ 3, 256, 1ULL << 54, (1ULL << 54) - (1ULL << 54) % 768 },
	{ 8, SZ_1G >> 9, (1ULL << 54) - 1, (1ULL << 54) - SZ_16M },
};

static void sizes(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size_rows); i++) {
		struct stripe *st = stripe_new(test, STRIPE(.nr = size_rows[i].nr,
							    .chunk = size_rows[i].chunk,
							    .sectors = size_rows[i].sectors));

		KUNIT_EXPECT_EQ_MSG(test, strata_disk_capacity(st->disk),
				    size_rows[i].size, "row %u", i);
	}
}

/* The tail of a member may differ, for it is not used. */
static void tails_differ(struct kunit *test)
{
	const struct fake_config members[] = { { .sectors = 87 }, { .sectors = 80 } };
	struct stripe *st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8, .members = members));

	KUNIT_EXPECT_EQ(test, strata_disk_capacity(st->disk), 160);
}

static void size_asked_for(struct kunit *test)
{
	const struct fake_config lengths[] = { { .sectors = 99 }, { .sectors = 500 } };
	struct stripe *st;

	st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8, .sectors = 99, .size = 160));
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(st->disk), 160);
	st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8, .size = 192, .members = lengths));
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(st->disk), 192);
	st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8, .lba = 4096, .sectors = 96, .size = 20));
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(st->disk), 160);

	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .size = 208, .members = lengths),
		       "sectors is 208, but the members have 192");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .sectors = 99, .size = U64_MAX),
		       "sectors is 18446744073709551615, but the members have 192");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .sectors = 99, .size = 168),
		       "sectors is 168, which is not a multiple of 16, a chunk of each member");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .lba = 4096, .sectors = 96, .size = 21),
		       "sectors is 21, which is not a multiple of 2, a chunk of each member");
	expect_refused(test, STRIPE(.nr = 2, .chunk = 8, .lba = 4096, .sectors = 96, .size = 26),
		       "sectors is 26, but the members have 24");
}

/* Follows the smallest member; what is above learns each size but once. */
static void resizes(struct kunit *test)
{
	static const struct {
		unsigned int member;
		sector_t sectors, size;
	} rows[] = {
		{ 0, 160, 384 }, { 1, 160, 384 }, { 2, 160, 480 },
		{ 1, 167, 480 }, { 1, 80, 240 }, { 0, 40, 120 },
		{ 0, 7, 0 }, { 0, 8, 24 }, { 0, 1000, 240 }, { 1, 1000, 480 },
	};
	struct stripe *st = stripe_new(test, STRIPE(.nr = 3, .chunk = 8, .sectors = 128));
	struct stripe *fixed = stripe_new(test, STRIPE(.nr = 3, .chunk = 8, .sectors = 128,
						       .size = 240));
	unsigned int i;

	KUNIT_EXPECT_EQ(test, strata_disk_capacity(st->disk), 384);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		strata_disk_resize(st->fakes[rows[i].member]->disk, rows[i].sectors);
		strata_disk_resize(fixed->fakes[rows[i].member]->disk, rows[i].sectors);
		KUNIT_EXPECT_EQ_MSG(test, strata_disk_capacity(st->disk), rows[i].size,
				    "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, strata_disk_capacity(fixed->disk),
				    min_t(sector_t, rows[i].size, 240), "row %u", i);
	}
}

/* A disk that shrinks has done so before its member does. */
static void sees_old_member(struct fake_disk *fake, sector_t capacity)
{
	struct stripe *st = fake->context;

	st->err = strata_disk_capacity(st->disk) == 3 * 80 ? 1 : -1;
}

static void shrinks_first(struct kunit *test)
{
	struct stripe *st = stripe_new(test, STRIPE(.nr = 3, .chunk = 8, .sectors = 128));

	st->fakes[2]->context = st;
	st->fakes[2]->shrunk = sees_old_member;
	strata_disk_resize(st->fakes[2]->disk, 80);
	KUNIT_EXPECT_EQ(test, st->err, 1);
}

static void dies_with_member(struct kunit *test)
{
	struct stripe *st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8));

	strata_disk_mark_dead(st->fakes[1]->disk);
	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_READ, 0,
				      fake_buffer(test, 512, 0, 0), 512),
			BLK_STS_OFFLINE);
	KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_LAST), 0);
}

static void read_only(struct kunit *test)
{
	const struct fake_config members[] = { { .read_only = true }, { .read_only = true } };
	const struct fake_config mixed[] = { { .read_only = true }, {} };
	struct stripe *st;

	st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8, .members = members));
	KUNIT_EXPECT_TRUE(test, st->disk->read_only);
	st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8, .members = mixed, .read_only = true));
	KUNIT_EXPECT_TRUE(test, st->disk->read_only);
	st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8));
	KUNIT_EXPECT_FALSE(test, st->disk->read_only);
}

#define IGN	STRATA_UNMAP_IGNORED
#define UNSP	STRATA_UNMAP_UNSPECIFIED
#define ZERO	STRATA_UNMAP_ZEROES

static const enum strata_unmap unmap_rows[][4] = {
	{ IGN, IGN, IGN, IGN },
	{ ZERO, ZERO, ZERO, ZERO },
	{ UNSP, UNSP, UNSP, UNSP },
	{ IGN, IGN, ZERO, UNSP },
	{ ZERO, IGN, IGN, UNSP },
	{ ZERO, ZERO, UNSP, UNSP },
	{ UNSP, ZERO, ZERO, UNSP },
	{ UNSP, IGN, IGN, UNSP },
	{ IGN, UNSP, ZERO, UNSP },
};

static void folds_unmap(struct kunit *test)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(unmap_rows); i++) {
		const enum strata_unmap *row = unmap_rows[i];
		struct fake_config members[3] = {};
		struct stripe *st;

		for (j = 0; j < 3; j++)
			members[j].unmap = row[j];
		st = stripe_new(test, STRIPE(.nr = 3, .chunk = 8, .members = members));
		KUNIT_EXPECT_EQ_MSG(test, st->disk->unmap, row[3], "row %u", i);
		KUNIT_EXPECT_EQ(test, !st->disk->limits.max_discard_sectors, row[3] == IGN);
		FAKE_EXPECT_STS(test, fake_range(test, st->disk, REQ_OP_DISCARD, 0, 48),
				BLK_STS_OK);
		for (j = 0; j < 3; j++)
			KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[j], REQ_OP_DISCARD),
					row[j] != IGN);
	}
}

static void granularity(struct kunit *test)
{
	static const unsigned int rows[][3] = {
		/* of two members, of the disk */
		{ 1, 1, 1 }, { 4, 8, 8 }, { 8, 2, 8 }, { 16, 1, 32 }, { 1, 64, 128 },
		{ 1 << 22, 1, 1 << 22 },
	};
	const struct stripe_config config = { .nr = 2, .chunk = 8 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stripe *st = stripe_members(test, &config);

		st->fakes[0]->disk->optimal_unmap_sectors = rows[i][0];
		st->fakes[1]->disk->optimal_unmap_sectors = rows[i][1];
		stripe_make(test, st, &config);
		KUNIT_EXPECT_EQ(test, st->err, 0);
		KUNIT_EXPECT_EQ_MSG(test, st->disk->optimal_unmap_sectors, rows[i][2],
				    "row %u", i);
		KUNIT_EXPECT_EQ(test, st->disk->limits.discard_granularity,
				rows[i][2] << SECTOR_SHIFT);
	}
}

static void folds_limits(struct kunit *test)
{
	const struct stripe_config config = { .nr = 3, .chunk = 256, .lba = 4096 };
	struct stripe *st = stripe_members(test, &config);
	struct queue_limits *a = &st->fakes[0]->disk->limits;
	struct queue_limits *b = &st->fakes[1]->disk->limits, *lim;

	a->dma_alignment = 3;
	b->dma_alignment = 63;
	st->fakes[2]->disk->limits.dma_alignment = 7;
	a->max_write_zeroes_sectors = 1000;
	a->max_discard_sectors = 5000;
	b->max_discard_sectors = 3000;
	b->physical_block_size = 16384;
	b->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	stripe_make(test, st, &config);
	KUNIT_ASSERT_EQ(test, st->err, 0);

	lim = &st->disk->limits;
	KUNIT_EXPECT_EQ(test, lim->logical_block_size, 4096);
	KUNIT_EXPECT_EQ(test, lim->physical_block_size, 16384);
	KUNIT_EXPECT_EQ(test, lim->dma_alignment, 63);
	KUNIT_EXPECT_EQ(test, lim->max_write_zeroes_sectors, 1000);
	KUNIT_EXPECT_EQ(test, lim->max_discard_sectors, 3000);
	KUNIT_EXPECT_EQ(test, lim->io_min, SZ_128K);
	KUNIT_EXPECT_EQ(test, lim->io_opt, 3 * SZ_128K);
	KUNIT_EXPECT_TRUE(test, lim->features & BLK_FEAT_WRITE_CACHE);
	KUNIT_EXPECT_TRUE(test, lim->features & BLK_FEAT_NOWAIT);
	KUNIT_EXPECT_FALSE(test, st->disk->has_id);
}

/* One that cannot makes it that all cannot; the core helps it with zeroes. */
static void weakest_member(struct kunit *test)
{
	const struct stripe_config config = { .nr = 2, .chunk = 9 };
	struct stripe *st = stripe_members(test, &config);
	struct queue_limits *lim = &st->fakes[1]->disk->limits;

	lim->features &= ~BLK_FEAT_NOWAIT;
	lim->max_write_zeroes_sectors = 0;
	lim->physical_block_size = 4096;
	stripe_make(test, st, &config);
	KUNIT_ASSERT_EQ(test, st->err, 0);
	KUNIT_EXPECT_FALSE(test, st->disk->limits.features & BLK_FEAT_NOWAIT);
	KUNIT_EXPECT_EQ(test, st->disk->limits.max_write_zeroes_sectors, SZ_32M >> 9);
	/* A chunk of 4608 bytes is no good size for it. */
	KUNIT_EXPECT_EQ(test, st->disk->limits.io_min, 4096);
	KUNIT_EXPECT_EQ(test, st->disk->limits.io_opt, 0);

	FAKE_EXPECT_STS(test, fake_range(test, st->disk, REQ_OP_WRITE_ZEROES, 1, 100),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[0], REQ_OP_WRITE_ZEROES), 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[1], REQ_OP_WRITE_ZEROES), 0);
	KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[1], REQ_OP_WRITE), 1);
}

/* A row of gigabytes is not to be read ahead. */
static void large_rows(struct kunit *test)
{
	struct stripe *st = stripe_new(test, STRIPE(.nr = 4, .chunk = SZ_1G >> 9));

	KUNIT_EXPECT_EQ(test, st->disk->limits.io_min, SZ_1G);
	KUNIT_EXPECT_EQ(test, st->disk->limits.io_opt, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(refusals),
	KUNIT_CASE(refuses_pr),
	KUNIT_CASE_SLOW(sizes),
	KUNIT_CASE(tails_differ),
	KUNIT_CASE(size_asked_for),
	KUNIT_CASE(resizes),
	KUNIT_CASE(shrinks_first),
	KUNIT_CASE(dies_with_member),
	KUNIT_CASE(read_only),
	KUNIT_CASE_SLOW(folds_unmap),
	KUNIT_CASE(granularity),
	KUNIT_CASE(folds_limits),
	KUNIT_CASE(weakest_member),
	KUNIT_CASE(large_rows),
	{}
};

struct kunit_suite striped_make_suite = {
	.name = "strata_striped_make",
	.test_cases = cases,
};
