// SPDX-License-Identifier: GPL-2.0
/* blockdev: limits and bios. A bio goes on to the device as it is. */
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <strata/disk.h>
#include <strata/submit.h>
#include "blockdev.h"

/**
 * blockdev_set_limits() - what the disk can do, as its device can
 * @disk: the disk that is being made
 * @bdev: the device, which stays open
 *
 * Context: process context.
 */
void blockdev_set_limits(struct strata_disk *disk, struct block_device *bdev)
{
	struct queue_limits *lim = &disk->limits;
	unsigned int block = bdev_logical_block_size(bdev);

	queue_limits_stack_bdev(lim, bdev, 0, disk->name);

	if (!bdev_max_discard_sectors(bdev)) {
		lim->max_discard_sectors = 0;
		lim->max_hw_discard_sectors = 0;
		return;
	}
	disk->unmap = STRATA_UNMAP_UNSPECIFIED;
	disk->optimal_unmap_sectors =
		round_up(lim->discard_granularity, block) >> SECTOR_SHIFT;
}
EXPORT_SYMBOL_NS_GPL(blockdev_set_limits, STRATA);

/*
 * As bio_set_dev() when the device changes, but for the cgroup. A bio that was
 * counted at another device is counted here too, bytes included.
 */
static void set_bdev(struct bio *bio, struct block_device *bdev)
{
	bio->bi_flags &= ~(BIT(BIO_CGROUP_ACCT) | BIT(BIO_REMAPPED) |
			   BIT(BIO_BPS_THROTTLED));
	bio->bi_bdev = bdev;
}

/* A sub-bio has no cgroup yet. */
static noinline void submit_sub(struct bio *bio, struct bio *payer,
				struct block_device *bdev)
{
	struct cgroup_subsys_state *css = bio_blkcg_css(payer);

	set_bdev(bio, bdev);
	if (css)
		bio_associate_blkg_from_css(bio, css);
	else
		bio_associate_blkg(bio);
	submit_bio_noacct(bio);
}

/*
 * A device may turn out not to write zeroes when it is first asked to, and say
 * so in its limits from then on. The core does it from then on.
 */
static void zeroes_ended(struct bio *bio)
{
	struct strata_sub *sub = strata_sub(bio);
	struct strata_disk *disk = sub->owner;
	struct bio *parent = sub->parent;
	blk_status_t status = bio->bi_status;

	if (status == BLK_STS_NOTSUPP ||
	    (status && !bdev_write_zeroes_sectors(disk->private))) {
		WRITE_ONCE(disk->limits.max_write_zeroes_sectors, 0);
		sub->resume = true;
		strata_defer_sub(sub);
		return;
	}
	bio_put(bio);
	strata_end(parent, status);
}

static noinline enum strata_map write_zeroes(struct strata_ctx *ctx,
					     struct strata_disk *disk,
					     struct bio *bio)
{
	struct strata_sub *sub;

	if (!bdev_write_zeroes_sectors(disk->private))
		return strata_zero_fill(ctx, disk, bio);
	sub = strata_sub_clone(ctx, disk, bio);
	if (!sub)
		return strata_sub_failed(ctx, bio);
	sub->parent = bio;
	sub->bio.bi_end_io = zeroes_ended;
	submit_sub(&sub->bio, ctx->payer, disk->private);
	return STRATA_SUBMITTED;
}

/* The core has served what the limits say that the device does not do. */
static enum strata_map blockdev_map(struct strata_ctx *ctx,
				    struct strata_disk *disk, struct bio *bio)
{
	if (unlikely(bio_op(bio) == REQ_OP_WRITE_ZEROES))
		return write_zeroes(ctx, disk, bio);
	if (unlikely(bio != ctx->payer)) {
		submit_sub(bio, ctx->payer, disk->private);
		return STRATA_SUBMITTED;
	}
	set_bdev(bio, disk->private);
	bio_associate_blkg(bio);
	submit_bio_noacct(bio);
	return STRATA_SUBMITTED;
}

const struct strata_disk_ops blockdev_disk_ops = {
	.single_target = true,
	.native_fua = true,
	.map = blockdev_map,
};
EXPORT_SYMBOL_NS_GPL(blockdev_disk_ops, STRATA);
