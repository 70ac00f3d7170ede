/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_BLOCKDEV_H
#define STRATA_BLOCKDEV_H
/* What the files of strata_blockdev.ko share. */
#include <strata/pr.h>

struct block_device;
struct strata_desc;

/**
 * struct blockdev_pr - reservations that the device keeps itself
 * @pr: as others see them
 * @bdev: the device
 */
struct blockdev_pr {
	struct strata_pr pr;
	struct block_device *bdev;
};

int blockdev_pr_init(struct blockdev_pr *bp, struct block_device *bdev,
		     struct strata_desc *desc);

#endif /* STRATA_BLOCKDEV_H */
