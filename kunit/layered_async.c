// SPDX-License-Identifier: GPL-2.0
/* Layered disks with layers in two phases, which answer later, or fail. */
#include <linux/sizes.h>
#include "../drivers/layers/ram.h"
#include "layered_fake.h"
#include "layered_kit.h"
#include "status.h"

#define SECTORS 512

/* Ways a layer can be: data on a disk or its own, answers at once or later. */
struct way {
	bool store;
	bool worker;
	bool sync_lookup;
	const char *name;
};

static const struct way ways[] = {
	{ false, false, true, "own, at once, lookup" },
	{ false, false, false, "own, at once" },
	{ false, true, false, "own, later" },
	{ true, false, true, "disk, at once, lookup" },
	{ true, false, false, "disk, at once" },
	{ true, true, true, "disk, later, lookup" },
	{ true, true, false, "disk, later" },
};

static void way_name(const struct way *way, char *name)
{
	strscpy(name, way->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(way, ways, way_name);

static struct fake_layer *make(struct kunit *test, const struct way *way)
{
	struct fake_disk *store = NULL;
	struct fake_layer *fake;

	if (way->store) {
		store = kit_base(test, SECTORS + 64, 9);
		fake_disk_ends(store, way->worker ? FAKE_SOFTIRQ : FAKE_INLINE, 0);
	}
	fake = fake_layer_new(test, SECTORS, store);
	fake->worker = way->worker;
	fake->sync_lookup = way->sync_lookup;
	return fake;
}

#define FAKE(_fake, ...) { .layer = &(_fake)->layer, ##__VA_ARGS__ }

static void read(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), FAKE(fake), DISK(base)) });
	char *want = fake_buffer(test, SZ_64K, 0, 1);
	char *got = fake_buffer(test, SZ_64K, 0, 0);
	unsigned int i;

	kit_expect(test, kit->disk, 0, SECTORS, 1);
	for (i = 0; i < 64; i += 4) {
		fake_layer_poke(fake, i, 2, 2);
		fake_pattern(want + i * 512, SZ_1K, i, 2);
	}
	fake->state[10] = STRATA_RUN_ZERO;
	memset(want + 10 * 512, 0, 512);
	kit_write(test, kit->disk, 20, 1, 3);
	fake_pattern(want + 20 * 512, 512, 20, 3);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, got,
				      SZ_64K), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, want, SZ_64K);
	kit_expect(test, kit->disk, 4, 2, 2);
	kit_expect(test, kit->disk, 5, 1, 2);
}

/* Two of them: what one has said is not forgotten when the other is asked. */
static void read_two(struct kunit *test)
{
	struct fake_layer *a = make(test, test->param_value);
	struct fake_layer *b = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(a), FAKE(b), DISK(base)) });
	char *want = fake_buffer(test, SZ_32K, 0, 1);
	char *got = fake_buffer(test, SZ_32K, 0, 0);
	unsigned int i;

	for (i = 0; i < 64; i++) {
		if (i % 3 == 0)
			fake_layer_poke(b, i, 1, 2);
		if (i % 5 == 0)
			fake_layer_poke(a, i, 1, 3);
		if (i % 5 == 0 || i % 3 == 0)
			fake_pattern(want + i * 512, 512, i, i % 5 ? 2 : 3);
	}
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, got,
				      SZ_32K), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, want, SZ_32K);
}

static void write(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(fake), DISK(base)) });
	void *got = fake_buffer(test, SZ_64K, 0, 0);

	/* Four reservations, the first and last of them in part. */
	kit_write(test, kit->disk, 10, 45, 2);
	KUNIT_EXPECT_EQ(test, fake->count[FAKE_BEGIN], 4);
	KUNIT_EXPECT_EQ(test, fake->count[FAKE_END], 4);
	kit_expect(test, kit->disk, 0, 10, 1);
	kit_expect(test, kit->disk, 10, 45, 2);
	kit_expect(test, kit->disk, 55, 9, 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_WRITE), 0);
	if (!fake->store)
		return;
	/* The rest of the reservations was zeroed, and no more than that. */
	fake_disk_peek(fake->store, 32, got, SZ_64K);
	KUNIT_EXPECT_FALSE(test, memchr_inv(got, 0, 10 * 512));
	KUNIT_EXPECT_FALSE(test, memchr_inv(got + 55 * 512, 0, 9 * 512));
	KUNIT_EXPECT_TRUE(test, memchr_inv(got + 64 * 512, 0, 512));
	fake_disk_forget(fake->store);
	kit_write(test, kit->disk, 20, 2, 3);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake->store, REQ_OP_WRITE_ZEROES), 0);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake->store, REQ_OP_WRITE), 1);
	kit_expect(test, kit->disk, 20, 2, 3);
}

/* What is zeroed around a durable write is durable too. */
static void write_fua(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(fake), DISK(base)) });
	void *buf = fake_buffer(test, SZ_2K, 4, 2);
	unsigned int zeroes, flushes;

	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE | REQ_FUA, 4,
				      buf, SZ_2K), BLK_STS_OK);
	kit_expect(test, kit->disk, 4, 4, 2);
	if (!fake->store)
		return;
	zeroes = fake_disk_count(fake->store, REQ_OP_WRITE_ZEROES);
	flushes = fake_disk_count(fake->store, REQ_OP_FLUSH);
	KUNIT_EXPECT_EQ(test, zeroes, 2);
	KUNIT_EXPECT_EQ(test, flushes, 2);
	kit_write(test, kit->disk, 20, 4, 2);
	KUNIT_EXPECT_EQ(test, fake_disk_count(fake->store, REQ_OP_FLUSH),
			flushes);
}

/* The guest is told when the sectors are present, not before. */
static void write_order(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(fake), DISK(base)) });
	void *buf = fake_buffer(test, SZ_4K, 0, 2);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE, 0, buf, SZ_4K);

	fake->hold[FAKE_END] = true;
	fake_bio_submit(fb, NULL, kit->disk);
	KUNIT_ASSERT_TRUE(test, fake_layer_wait_held(fake, FAKE_END));
	KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 0);
	kit_expect(test, kit->disk, 0, 8, 1);
	fake_layer_release(fake, FAKE_END);
	EXPECT_SAME_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	kit_expect(test, kit->disk, 0, 8, 2);
}

static void write_errors(struct kunit *test)
{
	static const enum fake_step steps[] = { FAKE_BEGIN, FAKE_WRITE, FAKE_END };
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(fake), DISK(base)) });
	void *buf = fake_buffer(test, SZ_4K, 0, 2);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		enum fake_step step = steps[i];

		if (step == FAKE_WRITE && fake->store)
			fake_disk_fail(fake->store, &(struct fake_error) {
				.op = REQ_OP_WRITE, .nr = SECTORS + 64,
				.status = BLK_STS_NOSPC, .times = 1 });
		else
			fake->fail[step] = BLK_STS_NOSPC;
		fake->last_end = BLK_STS_OK;
		EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE, 0,
					      buf, SZ_4K), BLK_STS_NOSPC);
		EXPECT_SAME_STS(test, fake->last_end, step == FAKE_WRITE ?
				BLK_STS_NOSPC : BLK_STS_OK);
		kit_expect(test, kit->disk, 0, 8, 1);
	}
	kit_write(test, kit->disk, 0, 8, 2);
	kit_expect(test, kit->disk, 0, 8, 2);
	if (!fake->store)
		return;
	fake_disk_fail(fake->store, &(struct fake_error) {
		.op = REQ_OP_WRITE_ZEROES, .nr = SECTORS + 64,
		.status = BLK_STS_IOERR, .times = 1 });
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE, 20, buf,
				      SZ_4K), BLK_STS_IOERR);
	kit_expect(test, kit->disk, 20, 8, 1);
}

static void read_errors(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(fake), DISK(base)) });
	void *buf = fake_buffer(test, SZ_8K, 0, 0);

	fake_layer_poke(fake, 4, 4, 2);
	if (!fake->sync_lookup) {
		fake->fail[FAKE_LOOKUP] = BLK_STS_MEDIUM;
		EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0,
					      buf, SZ_8K), BLK_STS_MEDIUM);
	}
	if (fake->store)
		fake_disk_fail(fake->store, &(struct fake_error) {
			.op = REQ_OP_READ, .nr = SECTORS + 64,
			.status = BLK_STS_MEDIUM, .times = 1 });
	else
		fake->fail[FAKE_READ] = BLK_STS_MEDIUM;
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, buf,
				      SZ_8K), BLK_STS_MEDIUM);
	kit_expect(test, kit->disk, 4, 4, 2);
	kit_expect(test, kit->disk, 8, 4, 1);
}

static void unmap_and_flush(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.write_through = true),
		       FAKE(fake, .write_through = true), DISK(base)) });

	kit_write(test, kit->disk, 0, 32, 2);
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_DISCARD, 4, 8),
			BLK_STS_OK);
	kit_expect(test, kit->disk, 0, 4, 2);
	kit_expect(test, kit->disk, 4, 8, 0);
	KUNIT_EXPECT_EQ(test, fake->state[3], STRATA_RUN_HERE);
	KUNIT_EXPECT_EQ(test, fake->state[4], STRATA_RUN_ZERO);
	kit_expect(test, base->disk, 0, 4, 2);
	kit_expect(test, base->disk, 4, 8, 0);
	fake->fail[FAKE_UNMAP] = BLK_STS_IOERR;
	EXPECT_SAME_STS(test, fake_range(test, kit->disk, REQ_OP_WRITE_ZEROES,
					 0, 8), BLK_STS_IOERR);

	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake->count[FAKE_FLUSH], 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_FLUSH), 1);
	fake->fail[FAKE_FLUSH] = BLK_STS_IOERR;
	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_IOERR);
}

/* As a read cache in the middle: spec A3, and inserts that fail. */
static void cache(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(), FAKE(fake, .read_cache = true), DISK(base)) });

	fake->fail[FAKE_INSERT] = BLK_STS_NOSPC;
	kit_expect(test, kit->disk, 8, 8, 1);
	KUNIT_EXPECT_EQ(test, fake->state[8], STRATA_RUN_ABSENT);
	kit_expect(test, kit->disk, 8, 8, 1);
	KUNIT_EXPECT_EQ(test, fake->state[8], STRATA_RUN_HERE);
	kit_expect(test, kit->disk, 24, 2, 1);
	kit_expect(test, kit->disk, 0, 64, 1);
	KUNIT_EXPECT_EQ(test, fake->state[0], STRATA_RUN_HERE);
	KUNIT_EXPECT_EQ(test, fake->state[63], STRATA_RUN_HERE);
	fake_disk_forget(base);
	kit_expect(test, kit->disk, 0, 64, 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(base, REQ_OP_READ), 0);
}

/* Under a cache: the layer reads into the cache's buffer. */
static void under_a_cache(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(RAM(.read_cache = true), FAKE(fake),
		       RAM(.size = SECTORS * SECTOR_SIZE)) });

	fake_layer_poke(fake, 100, 100, 2);
	kit_expect(test, kit->disk, 100, 100, 2);
	kit_expect(test, kit->disk, 90, 10, 0);
	KUNIT_EXPECT_EQ(test, kit_present(kit, 0), 110);
	kit_expect(test, kit->disk, 100, 100, 2);
}

/* Many runs of each, while sub-bios come from the reserve alone. */
static void starved(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(fake), DISK(base)) });
	char *want = fake_buffer(test, SECTORS * 512, 0, 1);
	char *got = fake_buffer(test, SECTORS * 512, 0, 0);
	unsigned int i;

	for (i = 0; i < SECTORS; i += 2) {
		fake_layer_poke(fake, i, 1, 2);
		fake_pattern(want + i * 512, 512, i, 2);
	}
	fake_disk_ends(base, FAKE_SOFTIRQ, 0);
	kit_starve(kit, true);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, got,
				      SECTORS * 512), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, want, SECTORS * 512);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE, 0, want,
				      SECTORS * 512), BLK_STS_OK);
	EXPECT_SAME_STS(test, fake_flush(test, kit->disk), BLK_STS_OK);
	kit_starve(kit, false);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ, 0, got,
				      SECTORS * 512), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, want, SECTORS * 512);
}

static void nowait(struct kunit *test)
{
	struct fake_layer *fake = make(test, test->param_value);
	struct fake_disk *base = kit_base(test, SECTORS, 1);
	struct kit *kit = kit_new(test, &(struct kit_config) {
		LAYERS(FAKE(fake), DISK(base)) });
	void *buf = fake_buffer(test, SZ_4K, 0, 2);
	void *got = fake_buffer(test, SZ_4K, 0, 0);

	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_WRITE | REQ_NOWAIT,
				      0, buf, SZ_4K), BLK_STS_OK);
	EXPECT_SAME_STS(test, fake_rw(test, kit->disk, REQ_OP_READ | REQ_NOWAIT,
				      0, got, SZ_4K), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, buf, SZ_4K);
}

static struct kunit_case async_cases[] = {
	KUNIT_CASE_PARAM(read, way_gen_params),
	KUNIT_CASE_PARAM(read_two, way_gen_params),
	KUNIT_CASE_PARAM(write, way_gen_params),
	KUNIT_CASE_PARAM(write_fua, way_gen_params),
	KUNIT_CASE_PARAM(write_order, way_gen_params),
	KUNIT_CASE_PARAM(write_errors, way_gen_params),
	KUNIT_CASE_PARAM(read_errors, way_gen_params),
	KUNIT_CASE_PARAM(unmap_and_flush, way_gen_params),
	KUNIT_CASE_PARAM(cache, way_gen_params),
	KUNIT_CASE_PARAM(under_a_cache, way_gen_params),
	KUNIT_CASE_PARAM(starved, way_gen_params),
	KUNIT_CASE_PARAM(nowait, way_gen_params),
	{}
};

struct kunit_suite layered_async_suite = {
	.name = "strata_layered_async",
	.test_cases = async_cases,
};
