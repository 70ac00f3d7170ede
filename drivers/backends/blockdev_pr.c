// SPDX-License-Identifier: GPL-2.0
/*
 * pr=passthrough: reservations are the device's own. It enforces them, and its
 * pr_ops act for one I_T nexus, which is this host: so there may be only one
 * user (single_nexus).
 */
#include <linux/blkdev.h>
#include <linux/pr.h>
#include <strata/desc.h>
#include "blockdev.h"

static struct block_device *to_bdev(struct strata_pr *pr)
{
	return container_of(pr, struct blockdev_pr, pr)->bdev;
}

static const struct pr_ops *bdev_pr_ops(struct block_device *bdev)
{
	return bdev->bd_disk->fops->pr_ops;
}

/* Whether it persists is for the device to say; sd and nvme ask for it. */
static int pass_register(struct strata_pr *pr, struct strata_nexus *nexus,
			 u64 old_key, u64 new_key, unsigned int flags)
{
	struct block_device *bdev = to_bdev(pr);

	return bdev_pr_ops(bdev)->pr_register(bdev, old_key, new_key,
					      flags & STRATA_PR_IGNORE_KEY ?
					      PR_FL_IGNORE_KEY : 0);
}

static int pass_reserve(struct strata_pr *pr, struct strata_nexus *nexus,
			u64 key, enum pr_type type)
{
	struct block_device *bdev = to_bdev(pr);

	if (!strata_pr_valid_type(type))
		return -EINVAL;
	return bdev_pr_ops(bdev)->pr_reserve(bdev, key, type, 0);
}

static int pass_release(struct strata_pr *pr, struct strata_nexus *nexus,
			u64 key, enum pr_type type)
{
	struct block_device *bdev = to_bdev(pr);

	if (!strata_pr_valid_type(type))
		return -EINVAL;
	/* No registrant has it; NVMe would take it for any. */
	if (!key)
		return PR_STS_RESERVATION_CONFLICT;
	return bdev_pr_ops(bdev)->pr_release(bdev, key, type);
}

static int pass_clear(struct strata_pr *pr, struct strata_nexus *nexus,
		      u64 key)
{
	struct block_device *bdev = to_bdev(pr);

	if (!key)
		return PR_STS_RESERVATION_CONFLICT;
	return bdev_pr_ops(bdev)->pr_clear(bdev, key);
}

static int pass_preempt(struct strata_pr *pr, struct strata_nexus *nexus,
			u64 key, u64 victim, enum pr_type type, bool abort)
{
	struct block_device *bdev = to_bdev(pr);

	if (!strata_pr_valid_type(type))
		return -EINVAL;
	return bdev_pr_ops(bdev)->pr_preempt(bdev, key, victim, type, abort);
}

static int pass_read_keys(struct strata_pr *pr, struct pr_keys *keys)
{
	struct block_device *bdev = to_bdev(pr);

	if (!bdev_pr_ops(bdev)->pr_read_keys)
		return -EOPNOTSUPP;
	return bdev_pr_ops(bdev)->pr_read_keys(bdev, keys);
}

static int pass_read_reservation(struct strata_pr *pr,
				 struct pr_held_reservation *rsv)
{
	struct block_device *bdev = to_bdev(pr);

	if (!bdev_pr_ops(bdev)->pr_read_reservation)
		return -EOPNOTSUPP;
	/* sd leaves it alone when there is none. */
	memset(rsv, 0, sizeof(*rsv));
	return bdev_pr_ops(bdev)->pr_read_reservation(bdev, rsv);
}

static const struct strata_pr_ops pass_ops = {
	.register_key = pass_register,
	.reserve = pass_reserve,
	.release = pass_release,
	.clear = pass_clear,
	.preempt = pass_preempt,
	.read_keys = pass_read_keys,
	.read_reservation = pass_read_reservation,
};

static bool has_pr_ops(struct block_device *bdev)
{
	const struct pr_ops *ops = bdev_pr_ops(bdev);

	return ops && ops->pr_register && ops->pr_reserve && ops->pr_release &&
	       ops->pr_preempt && ops->pr_clear;
}

/**
 * blockdev_pr_init() - the reservations of a device
 * @bp: filled in
 * @bdev: the device, open
 * @desc: takes the words of a failure
 *
 * Context: process context.
 * Return: 0, or -EOPNOTSUPP when it has none, as a partition.
 */
int blockdev_pr_init(struct blockdev_pr *bp, struct block_device *bdev,
		     struct strata_desc *desc)
{
	if (bdev_is_partition(bdev))
		return strata_fail(desc, -EOPNOTSUPP,
				   "%pg is a partition; reservations are of whole devices",
				   bdev);
	if (!has_pr_ops(bdev))
		return strata_fail(desc, -EOPNOTSUPP,
				   "%pg has no reservations; put prwrap above it",
				   bdev);
	*bp = (struct blockdev_pr) {
		.pr = {
			.ops = &pass_ops,
			.single_nexus = true,
			.ptpl = true,
		},
		.bdev = bdev,
	};
	return 0;
}
