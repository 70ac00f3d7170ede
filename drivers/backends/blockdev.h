/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_BLOCKDEV_H
#define STRATA_BLOCKDEV_H
/* What the files of strata_blockdev.ko share. */
#include <strata/pr.h>

struct block_device;
struct strata_desc;
struct strata_disk;
struct strata_disk_ops;

/**
 * struct blockdev_pr - reservations that the device keeps itself
 * @pr: as others see them
 * @bdev: the device
 */
struct blockdev_pr {
	struct strata_pr pr;
	struct block_device *bdev;
};

/* blockdev_map.c: a disk whose private is its device */
extern const struct strata_disk_ops blockdev_disk_ops;
void blockdev_set_limits(struct strata_disk *disk, struct block_device *bdev);

/* blockdev_pr.c */
int blockdev_pr_init(struct blockdev_pr *bp, struct block_device *bdev,
		     struct strata_desc *desc);

#endif /* STRATA_BLOCKDEV_H */
