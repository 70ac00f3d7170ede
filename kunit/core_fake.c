// SPDX-License-Identifier: GPL-2.0
/* Does the fake disk itself notice what it is there to notice? */
#include <linux/module.h>
#include "conformance.h"
#include "core_stack.h"
#include "fake_disk.h"

static void store(struct kunit *test)
{
	const struct fake_config config = { .sectors = 64, .native_zeroes = true };
	struct fake_disk *fake = fake_disk_new(test, &config);
	char *buf = fake_buffer(test, 8192, 0, 0), *want = fake_buffer(test, 8192, 3, 1);

	fake_disk_poke(fake, 3, want, 8192);
	FAKE_EXPECT_STS(test, fake_rw(test, fake->disk, REQ_OP_READ, 3, buf, 8192), 0);
	KUNIT_EXPECT_MEMEQ(test, buf, want, 8192);

	FAKE_EXPECT_STS(test, fake_range(test, fake->disk, REQ_OP_WRITE_ZEROES, 4, 14), 0);
	fake_disk_peek(fake, 3, buf, 8192);
	memset(want + 512, 0, 14 * 512);
	KUNIT_EXPECT_MEMEQ(test, buf, want, 8192);
	KUNIT_EXPECT_EQ(test, fake->nr_pages, 2);

	FAKE_EXPECT_STS(test, fake_rw(test, fake->disk, REQ_OP_WRITE, 40, want, 1024), 0);
	fake_disk_peek(fake, 40, buf, 1024);
	KUNIT_EXPECT_MEMEQ(test, buf, want, 1024);
}

static void held(struct kunit *test)
{
	const struct fake_config config = { .sectors = 64 };
	struct fake_disk *fake = fake_disk_new(test, &config);
	struct fake_bio *a = fake_bio_new(test, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0);
	struct fake_bio *b = fake_bio_new(test, REQ_OP_READ, 7,
					  fake_buffer(test, 512, 0, 0), 512);

	fake_disk_ends(fake, FAKE_HELD, 0);
	fake_bio_submit(a, NULL, fake->disk);
	fake_bio_submit(b, NULL, fake->disk);
	KUNIT_EXPECT_TRUE(test, fake_disk_wait_pending(fake, 2));
	KUNIT_EXPECT_EQ(test, atomic_read(&a->ends), 0);
	fake->lifo = true;
	KUNIT_EXPECT_EQ(test, fake_disk_release(fake, 1), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&b->ends), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&a->ends), 0);
	KUNIT_EXPECT_EQ(test, fake_disk_release(fake, 9), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&a->ends), 1);

	KUNIT_EXPECT_EQ(test, fake->max_inflight, 2);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_FLUSH), 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_READ), 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake, REQ_OP_LAST), 2);
	KUNIT_EXPECT_LT(test, fake->log[1].ended, fake->log[0].ended);
}

static void errors(struct kunit *test)
{
	const struct fake_config config = { .sectors = 64 };
	const struct fake_error error = { REQ_OP_READ, 8, 1, BLK_STS_MEDIUM, 1, 1 };
	struct fake_disk *fake = fake_disk_new(test, &config);
	void *buf = fake_buffer(test, 1024, 0, 0);

	fake_disk_fail(fake, &error);
	FAKE_EXPECT_STS(test, fake_rw(test, fake->disk, REQ_OP_WRITE, 8, buf, 512), 0);
	FAKE_EXPECT_STS(test, fake_rw(test, fake->disk, REQ_OP_READ, 9, buf, 512), 0);
	FAKE_EXPECT_STS(test, fake_rw(test, fake->disk, REQ_OP_READ, 8, buf, 512), 0);
	FAKE_EXPECT_STS(test, fake_rw(test, fake->disk, REQ_OP_READ, 7, buf, 1024),
			BLK_STS_MEDIUM);
	FAKE_EXPECT_STS(test, fake_rw(test, fake->disk, REQ_OP_READ, 8, buf, 512), 0);
}

/* Patterns of neighbours, generations and nothing at all are all different. */
static void patterns(struct kunit *test)
{
	char *a = fake_buffer(test, 1024, 1, 1);
	char *b = fake_buffer(test, 1024, 1, 2);
	char *zero = fake_buffer(test, 1024, 0, 0);

	KUNIT_EXPECT_MEMNEQ(test, a, a + 512, 512);
	KUNIT_EXPECT_MEMNEQ(test, a, b, 512);
	KUNIT_EXPECT_MEMNEQ(test, a, zero, 512);
	fake_pattern(b, 512, 2, 1);
	KUNIT_EXPECT_MEMEQ(test, b, a + 512, 512);
}

static void conformance(struct kunit *test)
{
	static const struct fake_config configs[] = {
		{ .name = "fake.512", .sectors = 16 },
		{ .name = "fake.two", .sectors = 2, .native_zeroes = true },
		{ .name = "fake.4096", .sectors = 16, .lba = 4096 },
		{ .name = "fake.ro", .sectors = 16, .read_only = true },
		{ .name = "fake.discard", .sectors = 64, .lba = 4096,
		  .native_fua = true, .unmap = STRATA_UNMAP_ZEROES },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(configs); i++)
		strata_conformance_range(test, fake_disk_new(test, &configs[i])->disk);
}

static void stack_layout(struct kunit *test)
{
	const struct fake_config config = { .sectors = 17 };
	struct fake_disk *a = fake_disk_new(test, &config);
	struct fake_disk *b = fake_disk_new(test, &config);
	struct fake_stack_config stripe = { .kind = FAKE_STRIPE, .chunk = 4,
		.below = { a->disk, b->disk } };
	struct fake_stack_config remap = { .kind = FAKE_REMAP, .offset = 3 };
	struct fake_stack *s = fake_stack_new(test, &stripe), *r;
	char *want = fake_buffer(test, 12 * 512, 2, 1);
	char *got = fake_buffer(test, 12 * 512, 0, 0);

	remap.below[0] = s->disk;
	r = fake_stack_new(test, &remap);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(s->disk), 32);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(r->disk), 29);

	/* Sectors 5 .. 16 of the stripe: 3 on b, 4 on a, 4 on b, 1 on a. */
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE, 2, want, 12 * 512), 0);
	fake_disk_peek(b, 1, got, 3 * 512);
	fake_disk_peek(a, 4, got + 3 * 512, 4 * 512);
	fake_disk_peek(b, 4, got + 7 * 512, 4 * 512);
	fake_disk_peek(a, 8, got + 11 * 512, 512);
	KUNIT_EXPECT_MEMEQ(test, got, want, 12 * 512);
	KUNIT_EXPECT_EQ(test, fake_disk_count(a, REQ_OP_LAST), 2);
	KUNIT_EXPECT_EQ(test, fake_disk_count(b, REQ_OP_LAST), 2);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(store),
	KUNIT_CASE(held),
	KUNIT_CASE(errors),
	KUNIT_CASE(patterns),
	KUNIT_CASE(conformance),
	KUNIT_CASE(stack_layout),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-fake",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: fake disks for KUnit suites");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
