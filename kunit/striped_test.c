// SPDX-License-Identifier: GPL-2.0
/* Bios of a striped disk: where they go, in how many parts, and how they end. */
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "conformance.h"
#include "striped_kit.h"

#define FLUSH	(REQ_OP_WRITE | REQ_PREFLUSH)

static const struct {
	unsigned int nr, chunk;
} shapes[] = {
	{ 1, 8 }, { 2, 8 }, { 2, 256 }, { 3, 9 }, { 5, 24 }, { 9, 11 },
};

static struct stripe *shape(struct kunit *test, unsigned int nr, unsigned int chunk)
{
	return stripe_new(test, STRIPE(.nr = nr, .chunk = chunk));
}

static bool took(const struct fake_op *op, enum req_op kind, sector_t sector, unsigned int nr)
{
	return fake_op_kind(op) == kind && op->sector == sector && op->nr == nr;
}

/* One sector goes where the equation says. */
static void expect_at(struct kunit *test, struct stripe *st, sector_t at, void *buf)
{
	struct fake_disk *member = st->fakes[stripe_member(st, at)];
	unsigned int before = member->nr_ops;

	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_READ, at, buf, 512), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, member->nr_ops, before + 1);
	KUNIT_EXPECT_TRUE_MSG(test, took(&member->log[before], REQ_OP_READ,
					 stripe_sector(st, at), 1),
			      "%u x %u, sector %llu", st->nr, st->chunk, at);
}

static void layout(struct kunit *test)
{
	void *buf = fake_buffer(test, 512, 0, 0);
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct stripe *st = shape(test, shapes[i].nr, shapes[i].chunk);
		sector_t row = st->nr * st->chunk, all = strata_disk_capacity(st->disk);
		const sector_t at[] = {
			0, 1, st->chunk - 1, st->chunk, row - 1, row, row + st->chunk,
			all - row, all - st->chunk - 1, all - 1,
		};

		KUNIT_ASSERT_EQ(test, all, 16 * row);
		for (n = 0; n < ARRAY_SIZE(at); n++)
			expect_at(test, st, min(at[n], all - 1), buf);
		for (n = 0; n < 20; n++)
			expect_at(test, st, get_random_u32_below(all), buf);
		KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_LAST), n + ARRAY_SIZE(at));
	}
}

/* Far from the start, where 32 bits are not enough. */
static void large(struct kunit *test)
{
	struct stripe *st = stripe_new(test, STRIPE(.nr = 3, .chunk = 255, .sectors = 1ULL << 50));
	sector_t all = strata_disk_capacity(st->disk);
	void *buf = fake_buffer(test, 512, 0, 0);

	KUNIT_EXPECT_EQ(test, all, (1ULL << 50) / 255 * 255 * 3);
	expect_at(test, st, all - 1, buf);
	expect_at(test, st, all / 2, buf);
	expect_at(test, st, 1ULL << 33, buf);
	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_READ, all, buf, 512),
			BLK_STS_TARGET);
}

/* A bio that was given to a member. */
struct given {
	struct bio *bio;
	unsigned int n;
};

static void note_bio(struct fake_disk *fake, struct strata_ctx *ctx, struct bio *bio)
{
	struct given *given = fake->context;

	given->bio = bio;
	given->n++;
}

/* A bio that fits into a chunk is the member's as it is; so is any to the only member. */
static void remaps(struct kunit *test)
{
	static const struct {
		unsigned int nr, chunk;
		sector_t at;
		unsigned int sectors;
	} rows[] = {
		{ 3, 8, 0, 8 }, { 3, 8, 8, 8 }, { 3, 8, 30, 2 }, { 3, 9, 9, 9 }, { 3, 9, 47, 1 },
		{ 1, 8, 0, 64 }, { 1, 8, 3, 100 }, { 1, 9, 4, 100 },
	};
	static const blk_opf_t ops[] = {
		REQ_OP_READ, REQ_OP_WRITE | REQ_FUA, REQ_OP_DISCARD,
		REQ_OP_WRITE_ZEROES | REQ_NOUNMAP, REQ_OP_READ | REQ_NOWAIT,
	};
	struct stripe *st = NULL;
	struct given given;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(ops); i++) {
		const typeof(*rows) *row = &rows[i / ARRAY_SIZE(ops)];
		blk_opf_t opf = ops[i % ARRAY_SIZE(ops)];
		bool data = (opf & REQ_OP_MASK) <= REQ_OP_WRITE;
		unsigned int bytes = row->sectors << SECTOR_SHIFT;
		struct fake_bio *fb;

		if (i % ARRAY_SIZE(ops) == 0)
			st = shape(test, row->nr, row->chunk);
		stripe_forget(st);
		given = (struct given){};
		for (j = 0; j < st->nr; j++) {
			st->fakes[j]->hook = note_bio;
			st->fakes[j]->context = &given;
		}
		fb = fake_bio_new(test, opf, row->at,
				  data ? fake_buffer(test, bytes, 0, 1) : NULL, bytes);
		fake_bio_submit(fb, NULL, st->disk);
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, given.n, 1);
		KUNIT_EXPECT_PTR_EQ_MSG(test, given.bio, &fb->bio, "round %u", i);
		KUNIT_EXPECT_TRUE(test, took(&st->fakes[stripe_member(st, row->at)]->log[0],
					     opf & REQ_OP_MASK, stripe_sector(st, row->at),
					     row->sectors));
	}
}

/* Compare the members with what was written to the disk, a sector at a time. */
static void expect_spread(struct kunit *test, struct stripe *st, const char *want, size_t bytes)
{
	char *got = fake_buffer(test, 512, 0, 0);
	sector_t at;

	for (at = 0; at < bytes >> SECTOR_SHIFT; at++) {
		fake_disk_peek(st->fakes[stripe_member(st, at)], stripe_sector(st, at), got, 512);
		if (!memcmp(got, want + (at << SECTOR_SHIFT), 512))
			continue;
		KUNIT_FAIL(test, "%u x %u: sector %llu differs", st->nr, st->chunk, at);
		return;
	}
}

/* One part for each chunk that is touched, however the parts end. */
static void splits(struct kunit *test)
{
	static const enum fake_when contexts[] = { FAKE_INLINE, FAKE_WORKER, FAKE_SOFTIRQ,
						   FAKE_HARDIRQ };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct stripe *st = shape(test, shapes[i].nr, shapes[i].chunk);
		size_t bytes = 5 * st->nr * st->chunk << SECTOR_SHIFT;
		char *want = fake_buffer(test, bytes, 0, 1), *got = fake_buffer(test, bytes, 0, 0);
		unsigned int parts = st->nr == 1 ? 1 : 5 * st->nr;

		stripe_end_in(st, contexts[i % 4], 100);
		FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_WRITE, 0, want, bytes),
				BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_WRITE), parts);
		expect_spread(test, st, want, bytes);
		/* A chunk less, half a chunk off. */
		bytes -= st->chunk << SECTOR_SHIFT;
		FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_READ, st->chunk / 2, got,
					      bytes), BLK_STS_OK);
		KUNIT_EXPECT_TRUE(test, !memcmp(got, want + (st->chunk / 2 << SECTOR_SHIFT),
						bytes));
		KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_READ), parts);
		kunit_kfree(test, want);
		kunit_kfree(test, got);
	}
}

/* The sectors of a range on one member, one by one: from, to, and how many. */
struct run {
	sector_t from;
	sector_t to;
	unsigned int n;
};

static void count_runs(const struct stripe *st, sector_t at, unsigned int nr, struct run *runs)
{
	memset(runs, 0, STRIPES * sizeof(*runs));
	for (; nr--; at++) {
		struct run *run = &runs[stripe_member(st, at)];

		if (!run->n++)
			run->from = stripe_sector(st, at);
		run->to = stripe_sector(st, at);
	}
}

/* Each member gets its run, and gets it once. */
static bool ran(struct kunit *test, struct stripe *st, enum req_op op, sector_t at,
		unsigned int nr)
{
	static struct run runs[STRIPES];
	blk_status_t status;
	bool ok = true;
	unsigned int i;

	count_runs(st, at, nr, runs);
	stripe_forget(st);
	status = fake_range(test, st->disk, op, at, nr);
	for (i = 0; i < st->nr; i++) {
		const struct fake_disk *member = st->fakes[i];

		ok &= member->nr_ops == !!runs[i].n;
		if (runs[i].n)
			ok &= runs[i].n == runs[i].to - runs[i].from + 1 &&
			      took(&member->log[0], op, runs[i].from, runs[i].n);
	}
	if (!ok || status)
		KUNIT_FAIL(test, "%u x %u, %u sectors at %llu, status %u", st->nr, st->chunk, nr,
			   at, (__force unsigned int)status);
	return ok && !status;
}

/* Every range that there is in a few rows. */
static void all_runs(struct kunit *test)
{
	static const unsigned int nrs[] = { 1, 2, 3, 5 };
	unsigned int i, at, nr;

	for (i = 0; i < ARRAY_SIZE(nrs); i++) {
		struct stripe *st = stripe_new(test, STRIPE(.nr = nrs[i], .chunk = 3,
							    .sectors = 9));
		unsigned int all = strata_disk_capacity(st->disk);

		for (at = 0; at < all; at++)
			for (nr = 1; nr <= all - at; nr++)
				if (!ran(test, st, REQ_OP_DISCARD, at, nr))
					return;
	}
}

static void random_runs(struct kunit *test)
{
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct stripe *st = shape(test, shapes[i].nr, shapes[i].chunk);
		unsigned int all = strata_disk_capacity(st->disk);

		for (n = 0; n < 50; n++) {
			unsigned int at = get_random_u32_below(all);

			if (!ran(test, st, n % 2 ? REQ_OP_DISCARD : REQ_OP_WRITE_ZEROES, at,
				 1 + get_random_u32_below(all - at)))
				return;
		}
	}
}

/* As much as a bio can say, over chunks as large as there are. */
static void large_runs(struct kunit *test)
{
	const unsigned int chunk = SZ_1G >> SECTOR_SHIFT, nr = UINT_MAX >> SECTOR_SHIFT;
	struct stripe *st = stripe_new(test, STRIPE(.nr = 2, .chunk = chunk));
	struct fake_op *a = &st->fakes[0]->log[0], *b = &st->fakes[1]->log[0];

	/* The last sector of chunk 0, chunks 1 to 3, and all but two sectors of chunk 4 */
	FAKE_EXPECT_STS(test, fake_range(test, st->disk, REQ_OP_DISCARD, chunk - 1, nr),
			BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, took(a, REQ_OP_DISCARD, chunk - 1, nr - 2 * chunk));
	KUNIT_EXPECT_TRUE(test, took(b, REQ_OP_DISCARD, 0, 2 * chunk));
	KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_LAST), 2);
}

/* A flush is with all members at the same time, and waits for the last. */
static void flushes_all(struct kunit *test)
{
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct stripe *st = shape(test, shapes[i].nr, shapes[i].chunk);
		struct fake_bio *fb = fake_bio_new(test, FLUSH, 5, NULL, 0);

		stripe_end_in(st, FAKE_HELD, 0);
		fake_bio_submit(fb, NULL, st->disk);
		for (n = 0; n < st->nr; n++) {
			KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[n], REQ_OP_FLUSH), 1);
			KUNIT_EXPECT_EQ(test, st->fakes[n]->nr_pending, 1);
		}
		for (n = st->nr; n--;) {
			KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 0);
			fake_disk_release(st->fakes[n], 1);
		}
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_LAST), st->nr);
	}
}

/* PREFLUSH with data to one member flushes every member first. */
static void flushes_before_data(struct kunit *test)
{
	struct stripe *st = shape(test, 3, 8);
	struct fake_op *data;
	unsigned int i;

	stripe_end_in(st, FAKE_SOFTIRQ, 500);
	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, FLUSH | REQ_FUA, 9,
				      fake_buffer(test, 512, 0, 1), 512), BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, st->fakes[1]->nr_ops, 2);
	data = &st->fakes[1]->log[1];
	KUNIT_EXPECT_TRUE(test, took(data, REQ_OP_WRITE, 1, 1));
	KUNIT_EXPECT_TRUE(test, data->opf & REQ_FUA);
	KUNIT_EXPECT_FALSE(test, data->opf & REQ_PREFLUSH);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[i], REQ_OP_FLUSH), 1);
		KUNIT_EXPECT_LT(test, st->fakes[i]->log[0].ended, data->begun);
	}
	KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_LAST), 4);
}

/* FUA is with every part; a member that cannot is helped by the core. */
static void fua_of_parts(struct kunit *test)
{
	const struct fake_config members[] = {
		{ .native_fua = true }, { .native_fua = false },
	};
	struct stripe *st = stripe_new(test, STRIPE(.nr = 2, .chunk = 8, .members = members));

	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_WRITE | REQ_FUA, 4,
				      fake_buffer(test, SZ_8K, 0, 1), SZ_8K), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, st->fakes[0]->nr_ops, 2);
	KUNIT_EXPECT_TRUE(test, st->fakes[0]->log[0].opf & st->fakes[0]->log[1].opf & REQ_FUA);
	KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[1], REQ_OP_WRITE), 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(st->fakes[1], REQ_OP_FLUSH), 1);
}

/* What a member says is what is said. */
static void errors(struct kunit *test)
{
	static const blk_status_t all[] = {
		BLK_STS_MEDIUM, BLK_STS_NOSPC, BLK_STS_RESV_CONFLICT, BLK_STS_TIMEOUT,
		BLK_STS_TRANSPORT, BLK_STS_PROTECTION, BLK_STS_RESOURCE, BLK_STS_TARGET,
		BLK_STS_OFFLINE, BLK_STS_IOERR, BLK_STS_NOTSUPP, BLK_STS_INVAL,
	};
	static const enum req_op ops[] = { REQ_OP_READ, REQ_OP_WRITE, REQ_OP_DISCARD,
					   REQ_OP_WRITE_ZEROES, REQ_OP_FLUSH };
	struct stripe *st = shape(test, 3, 8);
	void *buf = fake_buffer(test, SZ_32K, 0, 1);
	unsigned int i, op, bad;

	for (i = 0; i < ARRAY_SIZE(all) * ARRAY_SIZE(ops) * 3; i++) {
		const struct fake_error error = { REQ_OP_LAST, 0, 1000, all[i / 15], 0, 1 };
		blk_status_t status;

		op = ops[i % 5];
		bad = i / 5 % 3;
		stripe_end_in(st, i % 2 ? FAKE_WORKER : FAKE_INLINE, 0);
		fake_disk_fail(st->fakes[bad], &error);
		if (op == REQ_OP_FLUSH)
			status = fake_flush(test, st->disk);
		else if (op <= REQ_OP_WRITE)
			status = fake_rw(test, st->disk, op, 4, buf, SZ_32K);
		else
			status = fake_range(test, st->disk, op, 4, 64);
		FAKE_EXPECT_STS_MSG(test, status, all[i / 15], "op %u, member %u", op, bad);
	}
}

/* With nothing but the reserve all parts still go out, and once. */
static void starved(struct kunit *test)
{
	static const enum fake_when contexts[] = { FAKE_INLINE, FAKE_WORKER, FAKE_SOFTIRQ };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++) {
		struct stripe *st = shape(test, 9, 8);
		size_t bytes = 36 * SZ_4K;
		char *want = fake_buffer(test, bytes, 0, 1);

		stripe_end_in(st, contexts[i], 0);
		fake_pool_starve(st->disk, true);
		FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_WRITE, 0, want, bytes),
				BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_WRITE), 36);
		expect_spread(test, st, want, bytes);
		stripe_forget(st);
		FAKE_EXPECT_STS(test, fake_flush(test, st->disk), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_FLUSH), 9);
		ran(test, st, REQ_OP_DISCARD, 5, 9 * 8 * 3);
		ran(test, st, REQ_OP_WRITE_ZEROES, 17, 101);
		fake_pool_starve(st->disk, false);
	}
}

/* What may not wait ends at once, with nothing issued; what fits goes on. */
static void nowait(struct kunit *test)
{
	struct stripe *st = shape(test, 2, 8);
	void *buf = fake_buffer(test, SZ_16K, 0, 1);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE, 0, buf, 3 * SZ_4K);

	stripe_end_in(st, FAKE_HELD, 0);
	fake_pool_starve(st->disk, true);
	/* This one holds the reserve, which is two. */
	fake_bio_submit(fb, NULL, st->disk);
	stripe_forget(st);
	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_READ | REQ_NOWAIT, 0, buf, SZ_16K),
			BLK_STS_AGAIN);
	FAKE_EXPECT_STS(test, fake_range(test, st->disk, REQ_OP_DISCARD | REQ_NOWAIT, 0, 32),
			BLK_STS_AGAIN);
	FAKE_EXPECT_STS(test, fake_range(test, st->disk, FLUSH | REQ_NOWAIT, 0, 0),
			BLK_STS_AGAIN);
	KUNIT_EXPECT_EQ(test, stripe_count(st, REQ_OP_LAST), 0);
	fake_disk_release(st->fakes[0], 2);
	fake_disk_release(st->fakes[1], 1);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	fake_pool_starve(st->disk, false);

	stripe_end_in(st, FAKE_INLINE, 0);
	st->fakes[0]->again = true;
	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_READ | REQ_NOWAIT, 0, buf, SZ_4K),
			BLK_STS_AGAIN);
	/* In parts it waits, for one may have been issued when the next cannot be. */
	FAKE_EXPECT_STS(test, fake_rw(test, st->disk, REQ_OP_READ | REQ_NOWAIT, 0, buf, SZ_16K),
			BLK_STS_OK);
}

/* Random operations against a flat image. */
static void model(struct kunit *test)
{
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct stripe *st = shape(test, shapes[i].nr, shapes[i].chunk);
		unsigned int all = strata_disk_capacity(st->disk);
		char *image = kvzalloc(all << SECTOR_SHIFT, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, image);
		for (n = 1; n <= 60; n++) {
			unsigned int at = get_random_u32_below(all);
			unsigned int nr = 1 + get_random_u32_below(min(all - at, 600U));
			char *buf = fake_buffer(test, nr << SECTOR_SHIFT, at, n);
			char *part = image + (at << SECTOR_SHIFT);
			blk_status_t status;

			switch (n % 4) {
			case 0:
				status = fake_range(test, st->disk, REQ_OP_DISCARD, at, nr);
				memset(part, 0, nr << SECTOR_SHIFT);
				break;
			case 1:
				status = fake_rw(test, st->disk, REQ_OP_READ, at, buf,
						 nr << SECTOR_SHIFT);
				KUNIT_EXPECT_TRUE(test, !memcmp(buf, part, nr << SECTOR_SHIFT));
				break;
			default:
				status = fake_rw(test, st->disk, REQ_OP_WRITE, at, buf,
						 nr << SECTOR_SHIFT);
				memcpy(part, buf, nr << SECTOR_SHIFT);
			}
			FAKE_EXPECT_STS(test, status, BLK_STS_OK);
			kunit_kfree(test, buf);
		}
		expect_spread(test, st, image, all << SECTOR_SHIFT);
		kvfree(image);
	}
}

static void conforms(struct kunit *test)
{
	static const unsigned int blocks[] = { 512, 4096 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		strata_conformance_range(test, shape(test, shapes[i].nr, shapes[i].chunk)->disk);
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		struct stripe *st = stripe_new(test, STRIPE(.nr = 3, .chunk = 24,
							    .lba = blocks[i]));

		strata_conformance_range(test, st->disk);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE_SLOW(layout),
	KUNIT_CASE(large),
	KUNIT_CASE_SLOW(remaps),
	KUNIT_CASE_SLOW(splits),
	KUNIT_CASE_SLOW(all_runs),
	KUNIT_CASE_SLOW(random_runs),
	KUNIT_CASE(large_runs),
	KUNIT_CASE_SLOW(flushes_all),
	KUNIT_CASE(flushes_before_data),
	KUNIT_CASE(fua_of_parts),
	KUNIT_CASE_SLOW(errors),
	KUNIT_CASE_SLOW(starved),
	KUNIT_CASE(nowait),
	KUNIT_CASE_SLOW(model),
	KUNIT_CASE_SLOW(conforms),
	{}
};

static struct kunit_suite suite = {
	.name = "strata_striped",
	.test_cases = cases,
};

kunit_test_suites(&suite, &striped_make_suite);

MODULE_DESCRIPTION("strata: KUnit suites of the striped disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
