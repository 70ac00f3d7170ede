// SPDX-License-Identifier: GPL-2.0
/*
 * Long discards and zeroes as a bounded chain: a work item issues a few bios;
 * the last of them to end queues it again for the next few.
 *
 * The work item never waits for a bio, so the disk's worker is free for what
 * those bios may need of it.
 */
#include <linux/bio.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <strata/submit.h>
#include "range.h"

#define RANGE_BATCH	4	/* bios in flight of one range */
#define ZERO_VECS	BIO_MAX_VECS

static void range_put(struct strata_range *range)
{
	if (atomic_dec_and_test(&range->core.inflight))
		queue_work(range->disk->wq, &range->core.work);
}

/* The first error counts. */
static void range_error(struct strata_range *range, blk_status_t status)
{
	if (status)
		cmpxchg(&range->status, BLK_STS_OK, status);
}

static void range_bio_end(struct bio *bio)
{
	struct strata_range *range = bio->bi_private;

	range_error(range, bio->bi_status);
	bio_put(bio);
	range_put(range);
}

static void range_flush_end(struct bio *bio)
{
	struct strata_range *range = bio->bi_private;

	range_error(range, bio->bi_status);
	bio_uninit(bio);
	range_put(range);
}

/* Most sectors for one bio, a multiple of the logical block. */
static sector_t range_max(const struct strata_range *range)
{
	const struct strata_disk *disk = range->disk;
	sector_t max = UINT_MAX >> SECTOR_SHIFT;

	if ((range->opf & REQ_OP_MASK) == REQ_OP_WRITE)
		max = ZERO_VECS << (PAGE_SHIFT - SECTOR_SHIFT);
	else if ((range->opf & REQ_OP_MASK) == REQ_OP_DISCARD)
		max = min_not_zero(max, (sector_t)disk->limits.max_discard_sectors);
	else
		max = min_not_zero(max, (sector_t)
				   disk->limits.max_write_zeroes_sectors);
	max &= ~(sector_t)disk->lba_mask;
	return max ?: disk->lba_mask + 1;
}

static void add_zero_pages(struct bio *bio, unsigned int bytes)
{
	while (bytes) {
		unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE);

		__bio_add_page(bio, ZERO_PAGE(0), len, 0);
		bytes -= len;
	}
}

/*
 * Only the first part may wait for the pool: the ends of those in flight may
 * need this worker. Return: the part was issued.
 */
static bool issue_part(struct strata_range *range, unsigned int sectors,
		       bool first)
{
	bool zeroes = (range->opf & REQ_OP_MASK) == REQ_OP_WRITE;
	unsigned short vecs = 0;
	struct bio *bio;

	if (zeroes)
		vecs = DIV_ROUND_UP(sectors, PAGE_SIZE >> SECTOR_SHIFT);
	bio = bio_alloc_bioset(NULL, vecs, range->opf & ~REQ_FUA,
			       first ? GFP_NOIO : GFP_NOWAIT | __GFP_NOWARN,
			       zeroes ? &range->disk->zero_bios :
					&range->disk->core_bios);
	if (!bio)
		return false;
	bio->bi_iter.bi_sector = range->sector;
	bio->bi_end_io = range_bio_end;
	bio->bi_private = range;
	if (zeroes)
		add_zero_pages(bio, sectors << SECTOR_SHIFT);
	else
		bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;

	range->sector += sectors;
	range->nr_sects -= sectors;
	atomic_inc(&range->core.inflight);
	if (range->payer)
		bio->bi_ioprio = range->payer->bi_ioprio;
	strata_submit_for(range->nexus, range->payer, range->disk, bio);
	return true;
}

static void issue_flush(struct strata_range *range)
{
	struct bio *bio = &range->core.flush;

	range->core.flushed = true;
	bio_init(bio, NULL, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);
	bio->bi_end_io = range_flush_end;
	bio->bi_private = range;
	atomic_inc(&range->core.inflight);
	strata_submit_for(range->nexus, range->payer, range->disk, bio);
}

static void range_work(struct work_struct *work)
{
	struct strata_range *range =
		container_of(work, struct strata_range, core.work);
	sector_t max = range_max(range);
	unsigned int i;

	if (range->status || (!range->nr_sects &&
			      (!(range->opf & REQ_FUA) || range->core.flushed))) {
		range->end(range);
		return;
	}

	/* One count for this function, so that the work is queued once. */
	atomic_set(&range->core.inflight, 1);
	if (!range->nr_sects)
		issue_flush(range);
	for (i = 0; i < RANGE_BATCH && range->nr_sects; i++)
		if (READ_ONCE(range->status) ||
		    !issue_part(range, min(range->nr_sects, max), !i))
			break;
	range_put(range);
}

void strata_range_start(struct strata_range *range)
{
	range->core.flushed = false;
	INIT_WORK(&range->core.work, range_work);
	queue_work(range->disk->wq, &range->core.work);
}

/**
 * strata_range_submit() - discard or zero a range of any length
 * @range: filled in by the caller, who keeps it until @range->end is called
 *
 * The range is checked as a whole first: out of range does nothing and ends
 * BLK_STS_TARGET, misaligned BLK_STS_INVAL. After an error nothing more is
 * issued.
 *
 * Context: any.
 */
void strata_range_submit(struct strata_range *range)
{
	const struct strata_disk *disk = range->disk;
	sector_t capacity = strata_disk_capacity(disk);
	sector_t nr = range->nr_sects;

	range->status = BLK_STS_OK;
	if (range->sector > capacity || nr > capacity - range->sector)
		range->status = BLK_STS_TARGET;
	else if ((range->sector | nr) & disk->lba_mask)
		range->status = BLK_STS_INVAL;
	strata_range_start(range);
}
EXPORT_SYMBOL_NS_GPL(strata_range_submit, STRATA);
