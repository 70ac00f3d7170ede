// SPDX-License-Identifier: GPL-2.0
/*
 * The RAM layer: `mem` on its own, `memdiff` over another layer, or a cache.
 * Memory use follows what was written; unmap gives it back.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <strata/type.h>
#include "ram.h"

/**
 * struct ram_desc - the description of a RAM layer
 * @desc: what every description begins with
 * @layer: what every layer's description begins with
 * @size: bytes, or 0 for the size of what is below
 * @sector_size: bytes, or 0 for that of what is below
 * @limit: bytes of memory
 */
struct ram_desc {
	union {
		struct strata_desc desc;
		struct strata_layer_desc layer;
	};
	u64 size;
	u32 sector_size;
	u64 limit;
};

static struct ram_desc *to_ram_desc(struct strata_desc *desc)
{
	return container_of(desc, struct ram_desc, desc);
}

/*
 * Count @bytes of memory about to be used. When only pages that still wait for
 * readers are in the way, waits for those.
 */
blk_status_t ram_charge(struct ram *ram, unsigned long bytes, bool nowait)
{
	long used = atomic_long_read(&ram->committed);

	for (;;) {
		unsigned long limit = READ_ONCE(ram->limit);

		if (unlikely(used + bytes > limit))
			return BLK_STS_NOSPC;
		if (unlikely(used + bytes + atomic_long_read(&ram->dying) > limit)) {
			if (nowait)
				return BLK_STS_AGAIN;
			rcu_barrier();
			used = atomic_long_read(&ram->committed);
		} else if (atomic_long_try_cmpxchg(&ram->committed, &used,
						   used + bytes)) {
			return BLK_STS_OK;
		}
	}
}

void ram_uncharge(struct ram *ram, unsigned long bytes)
{
	atomic_long_sub(bytes, &ram->committed);
}

static int check_size(struct strata_desc *desc, u64 size, u32 sector_size)
{
	if (size % sector_size)
		return strata_fail(desc, -EINVAL,
				   "size %llu is not a multiple of the sector size %u",
				   size, sector_size);
	if (size > LLONG_MAX)
		return strata_fail(desc, -EFBIG, "size %llu is too large",
				   size);
	return 0;
}

static int check_sector_size(struct strata_desc *desc, u32 size)
{
	if (size == SECTOR_SIZE || size == SZ_4K)
		return 0;
	return strata_fail(desc, -EINVAL, "sector size %u is not 512 or 4096",
			   size);
}

static int ram_attach(struct strata_layer *layer,
		      const struct strata_layer *below,
		      struct strata_desc *desc)
{
	struct ram *ram = to_ram(layer);
	int err;

	ram->stacked = below;
	if (!layer->sector_size)
		layer->sector_size = below ? below->sector_size : SECTOR_SIZE;
	layer->physical_size = layer->sector_size;
	layer->optimal_unmap_sectors = layer->sector_size >> SECTOR_SHIFT;
	err = check_sector_size(desc, layer->sector_size);
	if (err)
		return err;
	if (!layer->capacity && !below)
		return strata_fail(desc, -EINVAL,
				   "layer %u needs a size, because nothing is below it",
				   layer->index);
	err = check_size(desc, (u64)layer->capacity << SECTOR_SHIFT,
			 layer->sector_size);
	if (err)
		return err;
	/* Beyond a size of its own there was never anything of what is below. */
	if (layer->capacity && below)
		ram->zero_from = layer->capacity;
	return 0;
}

/* Data that is on its way from below to ram_insert() comes too late now. */
static void outdate_cookies(struct ram *ram)
{
	/* Who has the new cookie sees the new end, and asks below after it. */
	atomic64_inc_return_release(&ram->generation);
}

static void ram_shrunk(struct strata_layer *layer, sector_t end)
{
	struct ram *ram = to_ram(layer);

	outdate_cookies(ram);
	if (layer->capacity && ram->stacked) {
		mutex_lock(&ram->zero_lock);
		WRITE_ONCE(ram->zero_from, min(ram->zero_from, end));
		mutex_unlock(&ram->zero_lock);
	}
	/* A size from below takes what hides the rest of below with it. */
	ram_unhide_from(ram, end);
	ram_drop(ram, end, STRATA_SECTORS_MAX, false);
}

static void ram_below_shrunk(struct strata_layer *layer, sector_t end)
{
	struct ram *ram = to_ram(layer);

	outdate_cookies(ram);
	ram_drop(ram, end, STRATA_SECTORS_MAX, true);
}

/* DISCARD and WRITE_ZEROES are one: zeroes, and no memory. */
static blk_status_t ram_unmap(struct strata_layer *layer, blk_opf_t opf,
			      sector_t sector, unsigned int sectors)
{
	struct ram *ram = to_ram(layer);
	sector_t last = sector + sectors - 1;
	blk_status_t status = BLK_STS_OK;

	if (ram->stacked)
		status = ram_hide(ram, sector, last, opf & REQ_NOWAIT);
	if (!status)
		ram_drop(ram, sector, last, false);
	return status;
}

/* What is below was written, and this had no room. Let it show. */
static void ram_forget(struct strata_layer *layer, sector_t sector,
		       unsigned int sectors)
{
	struct ram *ram = to_ram(layer);
	sector_t last = sector + sectors - 1;

	ram_show(ram, sector, last);
	outdate_cookies(ram);
	ram_drop(ram, sector, last, false);
}

static void ram_insert_absent(struct strata_layer_io *io)
{
	strata_layer_io_end(io, ram_insert(to_ram(io->layer), io->sector,
					   io->sectors, io->data, io->cookie));
}

static const struct strata_layer_ops ram_layer_ops = {
	.attach = ram_attach,
	.shrunk = ram_shrunk,
	.below_shrunk = ram_below_shrunk,
	.read_now = ram_read,
	.write_now = ram_write,
	.unmap_now = ram_unmap,
	.forget_now = ram_forget,
	.insert_absent = ram_insert_absent,
};

/**
 * strata_ram_create() - make a RAM layer
 * @size: in bytes, or 0 for that of what is below
 * @sector_size: in bytes, or 0 for that of what is below
 * @limit: bytes of memory it may use
 *
 * The values are checked when the layer is attached.
 *
 * Context: process context.
 * Return: the layer or NULL.
 */
struct strata_layer *strata_ram_create(u64 size, u32 sector_size, u64 limit)
{
	struct ram *ram = kzalloc(sizeof(*ram), GFP_KERNEL);

	if (!ram)
		return NULL;
	ram->layer.ops = &ram_layer_ops;
	ram->layer.capacity = size >> SECTOR_SHIFT;
	ram->layer.sector_size = sector_size;
	ram->layer.unmap = STRATA_UNMAP_ZEROES;
	ram->zero_from = STRATA_SECTORS_MAX;
	ram->limit = min_t(u64, limit, LONG_MAX);
	xa_init(&ram->pages);
	mt_init_flags(&ram->zeroes, MT_FLAGS_USE_RCU);
	mutex_init(&ram->zero_lock);
	return &ram->layer;
}
EXPORT_SYMBOL_NS_GPL(strata_ram_create, STRATA);

/**
 * strata_ram_destroy() - free a RAM layer and all in it
 * @layer: from strata_ram_create(), no longer used
 *
 * Context: process context.
 */
void strata_ram_destroy(struct strata_layer *layer)
{
	struct ram *ram = to_ram(layer);

	ram_free_pages(ram);
	/* Nobody reads it: free it now, not by the walk that RCU would do. */
	mt_clear_in_rcu(&ram->zeroes);
	mtree_destroy(&ram->zeroes);
	mutex_destroy(&ram->zero_lock);
	kfree(ram);
}
EXPORT_SYMBOL_NS_GPL(strata_ram_destroy, STRATA);

static void ram_init(struct strata_desc *desc)
{
	to_ram_desc(desc)->limit = (u64)totalram_pages() / 2 * PAGE_SIZE;
}

static int ram_create(struct strata_node *node)
{
	struct ram_desc *d = to_ram_desc(node->desc);

	/* What is lost in sectors would not be noticed later. */
	if (d->size % SECTOR_SIZE)
		return check_size(node->desc, d->size,
				  d->sector_size ?: SECTOR_SIZE);
	node->live = strata_ram_create(d->size, d->sector_size, d->limit);
	if (!node->live)
		return strata_fail(node->desc, -ENOMEM, "out of memory");
	return 0;
}

static void ram_destroy(struct strata_node *node)
{
	strata_ram_destroy(node->live);
}

static unsigned long committed(struct ram *ram)
{
	return atomic_long_read(&ram->committed);
}

static int ram_describe(struct strata_node *node, char *buf, size_t size)
{
	struct strata_layer *layer = node->live;

	return scnprintf(buf, size, "committed %lu%s%s",
			 committed(to_ram(layer)),
			 layer->read_cache ? " read_cache" : "",
			 layer->write_through ? " write_through" : "");
}

static ssize_t ram_committed_show(struct config_item *item, char *page)
{
	struct strata_node *node = strata_node_get_live(to_strata_desc(item));
	ssize_t len;

	if (!node)
		return -ENODEV;
	len = sysfs_emit(page, "%lu\n", committed(to_ram(node->live)));
	strata_node_put_live(node);
	return len;
}
CONFIGFS_ATTR_RO(ram_, committed);

static int limit_changed(struct ram_desc *d)
{
	struct strata_node *node = strata_node_get_live(&d->desc);

	if (!node)
		return 0;
	WRITE_ONCE(to_ram(node->live)->limit,
		   min_t(u64, READ_ONCE(d->limit), LONG_MAX));
	strata_node_put_live(node);
	return 0;
}

static int resize_layer(struct ram_desc *d, struct strata_layer *layer,
			u64 size)
{
	int err;

	if (!layer->capacity)
		err = strata_fail(&d->desc, -EBUSY,
				  "the size comes from below; set it before enabling");
	else if (!size)
		err = strata_fail(&d->desc, -EINVAL,
				  "a live layer cannot have size 0");
	else
		err = check_size(&d->desc, size, layer->sector_size);
	return err ?: strata_layer_resize(layer, size >> SECTOR_SHIFT,
					  &d->desc);
}

/* Resize the live layer, before the attribute shows the new size. */
static int resize_live(struct ram_desc *d, u64 size)
{
	static DEFINE_MUTEX(lock); /* the last one to resize is shown */
	struct strata_node *node = strata_node_get_live(&d->desc);
	int err;

	/* It has just gone, and may be on its way back with the old size. */
	if (!node)
		return strata_fail(&d->desc, -EBUSY,
				   "%s is being enabled or disabled",
				   strata_desc_name(&d->desc));
	mutex_lock(&lock);
	err = resize_layer(d, node->live, size);
	if (!err)
		WRITE_ONCE(d->size, size);
	mutex_unlock(&lock);
	strata_node_put_live(node);
	return err;
}

static ssize_t ram_size_store(struct config_item *item, const char *page,
			      size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	struct ram_desc *d = to_ram_desc(desc);
	int err = strata_attr_begin(desc, true);
	u64 size;

	if (err)
		return err;
	err = strata_parse_u64(desc, page, count, &size);
	if (!err && READ_ONCE(desc->state) == STRATA_IDLE) {
		WRITE_ONCE(d->size, size);
		strata_attr_end(desc);
		return count;
	}
	strata_attr_end(desc);
	if (!err)
		err = resize_live(d, size);
	return err ?: count;
}

static ssize_t ram_sector_size_store(struct config_item *item,
				     const char *page, size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	int err = strata_attr_begin(desc, false);
	u32 size;

	if (err)
		return err;
	err = strata_parse_u32(desc, page, count, &size);
	if (!err && size)
		err = check_sector_size(desc, size);
	if (!err)
		WRITE_ONCE(to_ram_desc(desc)->sector_size, size);
	strata_attr_end(desc);
	return err ?: count;
}

STRATA_ATTR(ram, struct strata_layer_desc, read_cache, bool);
STRATA_ATTR(ram, struct strata_layer_desc, write_through, bool);
STRATA_ATTR_SHOW(ram, size, u64, STRATA_FIELD(struct ram_desc, size))
CONFIGFS_ATTR(ram_, size);
STRATA_ATTR_SHOW(ram, sector_size, u32,
		 STRATA_FIELD(struct ram_desc, sector_size))
CONFIGFS_ATTR(ram_, sector_size);
STRATA_ATTR_LIVE(ram, struct ram_desc, limit, u64, limit_changed);

static struct configfs_attribute *ram_attrs[] = {
	&ram_attr_read_cache,
	&ram_attr_write_through,
	&ram_attr_size,
	&ram_attr_sector_size,
	&ram_attr_limit,
	&ram_attr_committed,
	NULL
};

static struct strata_type ram_type = {
	.name = "ram",
	.class = STRATA_LAYER,
	.owner = THIS_MODULE,
	.attrs = ram_attrs,
	.desc_size = sizeof(struct ram_desc),
	.init = ram_init,
	.create = ram_create,
	.destroy = ram_destroy,
	.describe = ram_describe,
	.layer_ops = &ram_layer_ops,
};
module_strata_type(ram_type);

MODULE_DESCRIPTION("strata: RAM layer");
MODULE_LICENSE("GPL");
MODULE_ALIAS("strata-layer-ram");
MODULE_IMPORT_NS(STRATA);
