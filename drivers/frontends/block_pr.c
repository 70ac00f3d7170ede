// SPDX-License-Identifier: GPL-2.0
/* Reservations of /dev/strataN: the host's own I_T nexus on the disk. */
#include <linux/blkdev.h>
#include <linux/pr.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/pr.h>
#include "block.h"

static struct strata_nexus *bdev_nexus(struct block_device *bdev)
{
	struct block *b = bdev->bd_disk->private_data;

	return &b->handle->nexus;
}

static struct strata_pr *bdev_pr(struct block_device *bdev)
{
	struct block *b = bdev->bd_disk->private_data;

	return b->disk->pr;
}

static int block_pr_register(struct block_device *bdev, u64 old_key,
			     u64 new_key, u32 flags)
{
	struct strata_pr *pr = bdev_pr(bdev);
	unsigned int how = 0;

	if (flags & ~PR_FL_IGNORE_KEY)
		return -EOPNOTSUPP;
	if (flags & PR_FL_IGNORE_KEY)
		how |= STRATA_PR_IGNORE_KEY;
	/* The ioctl cannot say it; sd and nvme persist what they can, too. */
	if (pr->ptpl)
		how |= STRATA_PR_PTPL;
	return pr->ops->register_key(pr, bdev_nexus(bdev), old_key, new_key,
				     how);
}

static int block_pr_reserve(struct block_device *bdev, u64 key,
			    enum pr_type type, u32 flags)
{
	struct strata_pr *pr = bdev_pr(bdev);

	if (flags)
		return -EOPNOTSUPP;
	return pr->ops->reserve(pr, bdev_nexus(bdev), key, type);
}

static int block_pr_release(struct block_device *bdev, u64 key,
			    enum pr_type type)
{
	struct strata_pr *pr = bdev_pr(bdev);

	return pr->ops->release(pr, bdev_nexus(bdev), key, type);
}

static int block_pr_preempt(struct block_device *bdev, u64 old_key,
			    u64 new_key, enum pr_type type, bool abort)
{
	struct strata_pr *pr = bdev_pr(bdev);

	return pr->ops->preempt(pr, bdev_nexus(bdev), old_key, new_key, type,
				abort);
}

static int block_pr_clear(struct block_device *bdev, u64 key)
{
	struct strata_pr *pr = bdev_pr(bdev);

	return pr->ops->clear(pr, bdev_nexus(bdev), key);
}

static int block_pr_read_keys(struct block_device *bdev, struct pr_keys *keys)
{
	struct strata_pr *pr = bdev_pr(bdev);

	return pr->ops->read_keys(pr, keys);
}

static int block_pr_read_reservation(struct block_device *bdev,
				     struct pr_held_reservation *rsv)
{
	struct strata_pr *pr = bdev_pr(bdev);

	return pr->ops->read_reservation(pr, rsv);
}

const struct pr_ops block_pr_ops = {
	.pr_register = block_pr_register,
	.pr_reserve = block_pr_reserve,
	.pr_release = block_pr_release,
	.pr_preempt = block_pr_preempt,
	.pr_clear = block_pr_clear,
	.pr_read_keys = block_pr_read_keys,
	.pr_read_reservation = block_pr_read_reservation,
};
