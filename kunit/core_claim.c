// SPDX-License-Identifier: GPL-2.0
/* Claims on what paths lead to. */
#include <kunit/test.h>
#include <linux/string.h>
#include <strata/desc.h>
#include <strata/handle.h>

static const struct config_item_type item_type = {
	.ct_owner = THIS_MODULE,
};

/* A description that is in no tree. */
static struct strata_desc *desc_new(struct kunit *test, const char *name)
{
	struct strata_desc *desc = kunit_kzalloc(test, sizeof(*desc), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, desc);
	spin_lock_init(&desc->error_lock);
	config_group_init_type_name(&desc->group, name, &item_type);
	return desc;
}

static const struct {
	enum strata_claim claim;
	const char *words;
} claims[] = {
	{ STRATA_CLAIM_STABLE, "as a stable image" },
	{ STRATA_CLAIM_WRITE, "for writing" },
	{ STRATA_CLAIM_SHARED, "for shared writing" },
};

static void matrix(struct kunit *test)
{
	struct strata_desc *first = desc_new(test, "file.first");
	struct strata_desc *second = desc_new(test, "file.second");
	struct strata_path_claim *a, *b;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(claims); i++)
		for (j = 0; j < ARRAY_SIZE(claims); j++) {
			bool agree = i == j && claims[i].claim != STRATA_CLAIM_WRITE;

			a = strata_path_claim(first, MKDEV(8, 1), 12, claims[i].claim);
			KUNIT_ASSERT_FALSE(test, IS_ERR(a));
			b = strata_path_claim(second, MKDEV(8, 1), 12, claims[j].claim);
			KUNIT_EXPECT_EQ_MSG(test, !IS_ERR(b), agree, "%s, then %s",
					    claims[i].words, claims[j].words);
			if (IS_ERR(b)) {
				KUNIT_EXPECT_EQ(test, PTR_ERR(b), -EBUSY);
				KUNIT_EXPECT_NOT_NULL(test, strstr(second->error, "file.first"));
				KUNIT_EXPECT_NOT_NULL(test, strstr(second->error,
								   claims[i].words));
			} else {
				strata_path_unclaim(b);
			}
			strata_path_unclaim(a);
		}
}

/* Another inode, another device, or the device itself are other images. */
static void others(struct kunit *test)
{
	static const struct {
		dev_t dev;
		u64 ino;
	} images[] = {
		{ MKDEV(8, 1), 12 }, { MKDEV(8, 1), 13 }, { MKDEV(8, 2), 12 },
		{ MKDEV(8, 1), 0 }, { MKDEV(8, 1), U64_MAX }, { MKDEV(8, 1), 12 | 1ULL << 32 },
	};
	struct strata_path_claim *all[ARRAY_SIZE(images)], *again;
	struct strata_desc *desc = desc_new(test, "file.one");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(images); i++) {
		all[i] = strata_path_claim(desc, images[i].dev, images[i].ino,
					   STRATA_CLAIM_WRITE);
		KUNIT_ASSERT_FALSE(test, IS_ERR(all[i]));
	}
	/* One description twice is as bad as two. */
	for (i = 0; i < ARRAY_SIZE(images); i++) {
		again = strata_path_claim(desc, images[i].dev, images[i].ino,
					  STRATA_CLAIM_STABLE);
		KUNIT_EXPECT_EQ(test, PTR_ERR(again), -EBUSY);
	}
	for (i = 0; i < ARRAY_SIZE(images); i++)
		strata_path_unclaim(all[i]);
	strata_path_unclaim(NULL);
	again = strata_path_claim(desc, images[0].dev, images[0].ino, STRATA_CLAIM_WRITE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(again));
	strata_path_unclaim(again);
}

/* Of many that agree, the one that is left is the one in the way. */
static void last_of_many(struct kunit *test)
{
	struct strata_path_claim *stable[3], *write;
	static const char *const names[] = { "file.a", "file.b", "file.c" };
	struct strata_desc *writer = desc_new(test, "file.writer");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stable); i++) {
		stable[i] = strata_path_claim(desc_new(test, names[i]), MKDEV(7, 0), 0,
					      STRATA_CLAIM_STABLE);
		KUNIT_ASSERT_FALSE(test, IS_ERR(stable[i]));
	}
	strata_path_unclaim(stable[0]);
	strata_path_unclaim(stable[2]);
	write = strata_path_claim(writer, MKDEV(7, 0), 0, STRATA_CLAIM_WRITE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(write), -EBUSY);
	KUNIT_EXPECT_NOT_NULL(test, strstr(writer->error, "file.b"));
	strata_path_unclaim(stable[1]);
	write = strata_path_claim(writer, MKDEV(7, 0), 0, STRATA_CLAIM_WRITE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(write));
	strata_path_unclaim(write);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(matrix),
	KUNIT_CASE(others),
	KUNIT_CASE(last_of_many),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-path-claim",
	.test_cases = cases,
};

kunit_test_suite(suite);
