/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_DISK_ATTR_H
#define STRATA_DISK_ATTR_H
/* Attributes of the live disk, listed among those of every disk in attr.c. */
#include <linux/configfs.h>

extern struct configfs_attribute disk_attr_users;
extern struct configfs_attribute disk_attr_sector_size;
extern struct configfs_attribute disk_attr_physical_sector_size;
extern struct configfs_attribute disk_attr_sector_count;
extern struct configfs_attribute disk_attr_disk_id;
extern struct configfs_attribute disk_attr_fua;
extern struct configfs_attribute disk_attr_unmap;
extern struct configfs_attribute disk_attr_optimal_unmap_sectors;
extern struct configfs_attribute disk_attr_dma_alignment;
extern struct configfs_attribute disk_attr_stats;
extern struct configfs_bin_attribute disk_attr_stack;

#endif /* STRATA_DISK_ATTR_H */
