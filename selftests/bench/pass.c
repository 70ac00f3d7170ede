// SPDX-License-Identifier: GPL-2.0
/*
 * disks/pass.<name>: hands every bio to the disk it links to, as it is. What
 * the core takes for a level, with nothing of a type's own.
 */
#include <linux/module.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/submit.h>
#include <strata/type.h>
#include "bench.h"

static int pass_create(struct strata_node *node)
{
	struct strata_disk *below = node->below->disk;
	struct strata_disk *disk = node->disk;

	disk->private = below;
	disk->capacity = strata_disk_capacity(below);
	disk->read_only = below->read_only;
	disk->unmap = below->unmap;
	disk->optimal_unmap_sectors = below->optimal_unmap_sectors;
	return strata_disk_stack_limits(disk, below);
}

static enum strata_map pass_map(struct strata_ctx *ctx,
				struct strata_disk *disk, struct bio *bio)
{
	return strata_remap(ctx, disk->private);
}

static const struct strata_disk_ops pass_disk_ops = {
	.single_target = true,
	.native_fua = true,
	.map = pass_map,
};

struct strata_type bench_pass_type = {
	.name = "pass",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.desc_size = sizeof(struct strata_desc),
	.create = pass_create,
	.disk_ops = &pass_disk_ops,
};

MODULE_ALIAS("strata-disk-pass");
