// SPDX-License-Identifier: GPL-2.0
/* WRITE_ZEROES on a disk that cannot: writes of the zero page. */
#include <linux/bio.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <strata/range.h>
#include <strata/submit.h>
#include "range.h"

struct zero_fill {
	struct strata_range range;
	struct bio *bio;
};

static void zero_fill_end(struct strata_range *range)
{
	struct zero_fill *zf = container_of(range, struct zero_fill, range);
	struct bio *bio = zf->bio;
	blk_status_t status = range->status;

	kfree(zf);
	strata_end(bio, status);
}

/**
 * strata_zero_fill() - serve WRITE_ZEROES with writes of zeroes
 * @ctx: the submission
 * @disk: the disk that the bio is for; it gets plain writes instead, a bounded
 *	number at a time
 * @bio: the WRITE_ZEROES bio, in range; a FUA in it becomes a flush at the end
 *
 * Context: in @disk's map, which returns what this returns, or in the core's
 * own checks before it.
 * Return: STRATA_SUBMITTED. Without memory the bio ends BLK_STS_RESOURCE, or
 * BLK_STS_AGAIN if it may not wait.
 */
enum strata_map strata_zero_fill(struct strata_ctx *ctx,
				 struct strata_disk *disk, struct bio *bio)
{
	bool nowait = bio->bi_opf & REQ_NOWAIT;
	struct zero_fill *zf;

	zf = kzalloc(sizeof(*zf), nowait ? GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO);
	if (!zf)
		return strata_end(bio, nowait ? BLK_STS_AGAIN :
				  BLK_STS_RESOURCE);

	zf->bio = bio;
	zf->range.disk = disk;
	zf->range.nexus = ctx->nexus;
	zf->range.payer = ctx->payer;
	zf->range.opf = REQ_OP_WRITE | (bio->bi_opf & (REQ_FUA | REQ_SYNC));
	zf->range.sector = bio->bi_iter.bi_sector;
	zf->range.nr_sects = bio_sectors(bio);
	zf->range.end = zero_fill_end;
	strata_range_start(&zf->range);
	return STRATA_SUBMITTED;
}
EXPORT_SYMBOL_NS_GPL(strata_zero_fill, STRATA);
