// SPDX-License-Identifier: GPL-2.0
/* Conformance: what holds for every disk; see conformance.h. */
#include "conformance.h"
#include "fake_disk.h"

/* The last sector that a 63-bit byte offset reaches, and one beyond. */
#define BYTES_MAX	((sector_t)LLONG_MAX >> SECTOR_SHIFT)

struct op_name {
	blk_opf_t opf;
	const char *name;
};

static const struct op_name write_ops[] = {
	{ REQ_OP_WRITE, "write" },
	{ REQ_OP_WRITE | REQ_FUA, "write FUA" },
	{ REQ_OP_WRITE | REQ_PREFLUSH, "write PREFLUSH" },
	{ REQ_OP_WRITE_ZEROES, "write zeroes" },
};

struct range_case {
	sector_t sector;
	unsigned int nr;
};

#define RANGE_CASES 10

/* No value may wrap; @n is a logical block. */
static void range_cases(struct range_case *cases, sector_t capacity,
			unsigned int n)
{
	const sector_t mask = ~(sector_t)(n - 1), max = BYTES_MAX & mask;
	const struct range_case all[RANGE_CASES] = {
		{ U64_MAX & mask, n },
		{ (U64_MAX & mask) - n, 2 * n },
		{ max, n },
		{ max - n, 2 * n },
		{ 1ULL << (64 - SECTOR_SHIFT), n },
		{ 1ULL << 63, n },
		{ capacity, n },
		{ capacity - n, 2 * n },
		{ max - n, n },
		{ capacity + n, n },
	};

	memcpy(cases, all, sizeof(all));
}

static void expect_refused(struct kunit *test, struct strata_disk *disk,
			   const struct op_name *op, const struct range_case *c,
			   void *buf)
{
	enum req_op kind = op->opf & REQ_OP_MASK;
	bool data = kind == REQ_OP_READ || kind == REQ_OP_WRITE;
	struct fake_bio *fb;

	fb = fake_bio_new(test, op->opf, c->sector, data ? buf : NULL,
			  c->nr << SECTOR_SHIFT);
	fake_bio_submit(fb, NULL, disk);
	FAKE_EXPECT_STS_MSG(test, fake_bio_wait(test, fb), BLK_STS_TARGET,
			    "%s of %u sectors at %llu, of %llu", op->name, c->nr,
			    c->sector, strata_disk_capacity(disk));
}

static void check_refused(struct kunit *test, struct strata_disk *disk,
			  void *buf)
{
	const struct op_name read = { REQ_OP_READ, "read" };
	const struct op_name discard = { REQ_OP_DISCARD, "discard" };
	struct range_case cases[RANGE_CASES];
	unsigned int i, j;

	range_cases(cases, strata_disk_capacity(disk), disk->lba_mask + 1);
	for (i = 0; i < RANGE_CASES; i++) {
		expect_refused(test, disk, &read, &cases[i], buf);
		expect_refused(test, disk, &discard, &cases[i], buf);
		for (j = 0; !disk->read_only && j < ARRAY_SIZE(write_ops); j++)
			expect_refused(test, disk, &write_ops[j], &cases[i], buf);
	}
}

static void check_accepted(struct kunit *test, struct strata_disk *disk,
			   void *buf)
{
	unsigned int bytes = disk->limits.logical_block_size;
	sector_t last = strata_disk_capacity(disk) - (disk->lba_mask + 1);

	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_READ, last, buf, bytes),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_READ, 0, NULL, 0),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_flush(test, disk), BLK_STS_OK);
	if (disk->read_only)
		return;
	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_WRITE, last, buf, bytes),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_WRITE | REQ_FUA, last,
				      buf, bytes), BLK_STS_OK);
}

/**
 * strata_conformance_range() - what every disk must say to sectors in range,
 *	at its end, beyond it, and far beyond it
 * @test: the test
 * @disk: a disk of at least 2 logical blocks that nobody else uses now
 *
 * Leaves the disk's content as it was. Spec: storage_tests, the range table.
 */
void strata_conformance_range(struct kunit *test, struct strata_disk *disk)
{
	unsigned int bytes = disk->limits.logical_block_size;
	sector_t last = strata_disk_capacity(disk) - (disk->lba_mask + 1);
	void *before = fake_buffer(test, bytes, 0, 0);
	void *after = fake_buffer(test, bytes, 0, 0);
	void *junk = fake_buffer(test, 2 * bytes, 0, 0xbad);

	KUNIT_ASSERT_GE(test, strata_disk_capacity(disk), 2 * (disk->lba_mask + 1));
	FAKE_ASSERT_STS(test, fake_rw(test, disk, REQ_OP_READ, last, before, bytes),
			BLK_STS_OK);
	check_refused(test, disk, junk);
	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_READ, last, after, bytes),
			BLK_STS_OK);
	KUNIT_EXPECT_MEMEQ_MSG(test, before, after, bytes,
			       "what was refused has changed the last block");
	check_accepted(test, disk, after);
}
EXPORT_SYMBOL_NS_GPL(strata_conformance_range, STRATA);
