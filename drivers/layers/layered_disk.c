// SPDX-License-Identifier: GPL-2.0
/* The layer kind `disk`: any disk, all of whose sectors are there. */
#include <linux/module.h>
#include <linux/slab.h>
#include <strata/type.h>
#include "layered.h"

static int disk_attach(struct strata_layer *layer,
		       const struct strata_layer *below,
		       struct strata_desc *desc)
{
	const struct strata_disk *disk = layer->disk;

	/* Reservations would be enforced for one layer of several. */
	if (disk->pr)
		return strata_fail(desc, -EINVAL,
				   "layer %u: %s has persistent reservations; put prwrap above this disk instead",
				   layer->index, disk->name);
	return 0;
}

static const struct strata_layer_ops disk_layer_ops = {
	.attach = disk_attach,
};

/**
 * layered_disk_layer() - make a layer of a disk
 * @disk: the disk; the caller holds a handle on it, whose above is the layered
 *	disk
 *
 * Context: process context.
 * Return: the layer, to be freed with kfree(), or NULL.
 */
struct strata_layer *layered_disk_layer(struct strata_disk *disk)
{
	struct strata_layer *layer = kzalloc(sizeof(*layer), GFP_KERNEL);

	if (!layer)
		return NULL;
	layer->ops = &disk_layer_ops;
	layer->disk = disk;
	layer->sector_size = disk->limits.logical_block_size;
	layer->physical_size = disk->limits.physical_block_size;
	layer->unmap = disk->unmap;
	layer->optimal_unmap_sectors = disk->optimal_unmap_sectors;
	layer->read_only = disk->read_only;
	layer->has_id = disk->has_id;
	memcpy(layer->id, disk->id, sizeof(layer->id));
	return layer;
}
EXPORT_SYMBOL_NS_GPL(layered_disk_layer, STRATA);

static int disk_create(struct strata_node *node)
{
	node->live = layered_disk_layer(node->below->disk);
	if (!node->live)
		return strata_fail(node->desc, -ENOMEM, "out of memory");
	return 0;
}

static void disk_destroy(struct strata_node *node)
{
	kfree(node->live);
}

static int disk_describe(struct strata_node *node, char *buf, size_t size)
{
	struct strata_layer *layer = node->live;

	return scnprintf(buf, size, "%s", layer->write_through ?
			 "write_through" : "");
}

STRATA_ATTR(disk, struct strata_layer_desc, read_cache, bool);
STRATA_ATTR(disk, struct strata_layer_desc, write_through, bool);

static struct configfs_attribute *disk_attrs[] = {
	&disk_attr_read_cache,
	&disk_attr_write_through,
	NULL
};

struct strata_type layered_disk_type = {
	.name = "disk",
	.class = STRATA_LAYER,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.attrs = disk_attrs,
	.desc_size = sizeof(struct strata_layer_desc),
	.create = disk_create,
	.destroy = disk_destroy,
	.describe = disk_describe,
	.layer_ops = &disk_layer_ops,
};
