// SPDX-License-Identifier: GPL-2.0
/*
 * block: any disk as /dev/strataN of this host.
 *
 * Life of a struct block: enable makes it, disable takes the gendisk away.
 * Openers may stay behind a forced disable; then the handle on the disk is
 * closed when the last of them has gone, for by then their I/O has ended.
 * fops->free_disk is the end in both cases.
 */
#include <linux/blkdev.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/pr.h>
#include <strata/submit.h>
#include <strata/type.h>
#include "block.h"

/* What one emulated WRITE_ZEROES may cover: it takes time. */
#define BLOCK_MAX_ZEROES_SECTORS (SZ_32M >> SECTOR_SHIFT)

/**
 * struct block_desc - the description
 * @desc: the core's part
 * @partscan: look for a partition table. Off by default: it is the guest's,
 *	and hostile
 * @block: what is live; only enable and disable look at it
 * @index: N of strataN, or -1
 */
struct block_desc {
	struct strata_desc desc;
	bool partscan;
	struct block *block;
	int index;
};

static DEFINE_IDA(indexes);
static struct workqueue_struct *block_wq;

/* Blocks that free_disk has not seen the end of. */
static atomic_t nr_blocks = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(blocks_gone);

static struct block_desc *to_block_desc(struct strata_desc *desc)
{
	return container_of(desc, struct block_desc, desc);
}

static struct block *gd_to_block(struct gendisk *gd)
{
	return gd->private_data;
}

/* The gendisk's own operations. */

static int block_open(struct gendisk *gd, blk_mode_t mode)
{
	/* Under open_mutex, like block_stop_openers(). */
	return gd_to_block(gd)->closing ? -ENXIO : 0;
}

/* With the last opener all I/O is gone. */
static void block_release(struct gendisk *gd)
{
	struct strata_handle *handle = gd_to_block(gd)->handle;

	if (handle && !disk_openers(gd))
		WRITE_ONCE(handle->untracked, false);
}

static void block_free(struct block *b)
{
	if (b->handle)
		strata_handle_close(b->handle);
	block_io_exit(b);
	ida_free(&indexes, b->index);
	kfree(b->name);
	kfree(b);
	if (atomic_dec_and_test(&nr_blocks))
		wake_up_all(&blocks_gone);
}

static void block_free_work(struct work_struct *work)
{
	block_free(container_of(work, struct block, free_work));
}

/* Called wherever the last reference drops: not the place to end a stack. */
static void block_free_disk(struct gendisk *gd)
{
	struct block *b = gd_to_block(gd);

	mutex_lock(&b->lock);
	b->gd = NULL;
	mutex_unlock(&b->lock);
	queue_work(block_wq, &b->free_work);
}

static const struct block_device_operations block_fops = {
	.owner = THIS_MODULE,
	.open = block_open,
	.release = block_release,
	.submit_bio = block_submit_bio,
	.free_disk = block_free_disk,
};

static const struct block_device_operations block_pr_fops = {
	.owner = THIS_MODULE,
	.open = block_open,
	.release = block_release,
	.submit_bio = block_submit_bio,
	.free_disk = block_free_disk,
	.pr_ops = &block_pr_ops,
};

/* For the udev rule that makes /dev/strata/<name>. */
static ssize_t name_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%s\n", gd_to_block(dev_to_disk(dev))->name);
}
static DEVICE_ATTR_RO(name);

static struct attribute *block_dev_attrs[] = {
	&dev_attr_name.attr,
	NULL
};

static const struct attribute_group block_dev_group = {
	.name = "strata",
	.attrs = block_dev_attrs,
};

static const struct attribute_group *block_dev_groups[] = {
	&block_dev_group,
	NULL
};

/* What the disk tells us. */

/* A size told before there is a gendisk waits for it in @b->capacity. */
static void block_resized(struct strata_handle *handle, sector_t capacity)
{
	struct block *b = handle->owner;

	mutex_lock(&b->lock);
	b->capacity = capacity;
	b->resized = true;
	/* A dead gendisk has size 0, to stop writers. */
	if (b->gd && !test_bit(GD_DEAD, &b->gd->state))
		set_capacity_and_notify(b->gd, capacity);
	mutex_unlock(&b->lock);
}

static void block_dead_work(struct work_struct *work)
{
	struct block *b = container_of(work, struct block, dead_work);

	blk_mark_disk_dead(b->gd);
}

/*
 * Telling our own users takes the locks of what is on top: a file system's, or
 * those of another stack.
 */
static void block_dead(struct strata_handle *handle)
{
	struct block *b = handle->owner;

	mutex_lock(&b->lock);
	b->dead = true;
	if (b->live)
		queue_work(block_wq, &b->dead_work);
	mutex_unlock(&b->lock);
}

static const struct strata_handle_ops block_handle_ops = {
	.resized = block_resized,
	.dead = block_dead,
};

/* Enable. */

static void set_discard(struct queue_limits *lim, const struct strata_disk *disk)
{
	if (disk->unmap == STRATA_UNMAP_IGNORED) {
		lim->max_hw_discard_sectors = 0;
		return;
	}
	if (!lim->max_hw_discard_sectors)
		lim->max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
	lim->discard_granularity = disk->optimal_unmap_sectors << SECTOR_SHIFT;
}

/* The disk's limits in a shape that a queue takes. */
static void block_limits(struct block *b, struct queue_limits *lim)
{
	const struct strata_disk *disk = b->disk;

	*lim = disk->limits;
	lim->features &= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA |
			 BLK_FEAT_ROTATIONAL | BLK_FEAT_STABLE_WRITES |
			 BLK_FEAT_NOWAIT;
	lim->features |= BLK_FEAT_IO_STAT;
	lim->max_zone_append_sectors = 0;
	lim->max_secure_erase_sectors = 0;
	if (b->read_only) {
		lim->max_hw_discard_sectors = 0;
		lim->max_write_zeroes_sectors = 0;
		return;
	}
	set_discard(lim, disk);
	if (!lim->max_write_zeroes_sectors)
		lim->max_write_zeroes_sectors = BLOCK_MAX_ZEROES_SECTORS;
}

static struct gendisk *block_alloc_disk(struct block *b, bool partscan)
{
	struct queue_limits lim;
	struct gendisk *gd;

	block_limits(b, &lim);
	gd = blk_alloc_disk(&lim, NUMA_NO_NODE);
	if (IS_ERR(gd))
		return gd;
	gd->fops = b->disk->pr ? &block_pr_fops : &block_fops;
	gd->private_data = b;
	snprintf(gd->disk_name, sizeof(gd->disk_name), "strata%d", b->index);
	set_disk_ro(gd, b->read_only);
	/* Partitions can still be added by hand. */
	if (!partscan)
		set_bit(GD_SUPPRESS_PART_SCAN, &gd->state);
	return gd;
}

static void block_set_gd(struct block *b, struct gendisk *gd)
{
	mutex_lock(&b->lock);
	b->gd = gd;
	set_capacity(gd, b->resized ? b->capacity :
		     strata_disk_capacity(b->disk));
	mutex_unlock(&b->lock);
}

/* From here on block_dead() does the work itself. */
static void block_set_live(struct block *b)
{
	mutex_lock(&b->lock);
	b->live = true;
	if (b->dead)
		queue_work(block_wq, &b->dead_work);
	mutex_unlock(&b->lock);
}

static int block_add(struct block *b, struct block_desc *bd)
{
	struct gendisk *gd = block_alloc_disk(b, bd->partscan);
	int err;

	if (IS_ERR(gd))
		return strata_fail(&bd->desc, PTR_ERR(gd),
				   "no block device can be made: error %ld",
				   -PTR_ERR(gd));
	block_set_gd(b, gd);
	err = device_add_disk(NULL, gd, block_dev_groups);
	if (err) {
		mutex_lock(&b->lock);
		b->gd = NULL;
		mutex_unlock(&b->lock);
		put_disk(gd);
		return strata_fail(&bd->desc, err,
				   "the block device cannot be added: error %d",
				   -err);
	}
	block_set_live(b);
	return 0;
}

static struct block *block_new(struct strata_desc *desc)
{
	/* What follows "block." */
	const char *name = strchrnul(strata_desc_name(desc), '.') + 1;
	struct block *b = kzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return NULL;
	mutex_init(&b->lock);
	INIT_WORK(&b->dead_work, block_dead_work);
	INIT_WORK(&b->free_work, block_free_work);
	atomic_inc(&nr_blocks);
	b->index = ida_alloc(&indexes, GFP_KERNEL);
	b->name = kstrdup(name, GFP_KERNEL);
	if (b->index >= 0 && b->name && !block_io_init(b))
		return b;
	block_free(b);
	return NULL;
}

static int block_hold(struct block *b, struct strata_desc *desc)
{
	struct strata_handle *handle;

	handle = strata_handle_open(desc, desc->read_only ?
				    STRATA_CLAIM_STABLE : STRATA_CLAIM_WRITE,
				    &block_handle_ops, b);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	b->handle = handle;
	b->disk = handle->disk;
	b->read_only = handle->read_only || handle->disk->read_only;
	b->special = b->read_only || strata_pr_enforces(b->disk->pr);
	if (READ_ONCE(b->disk->dead))
		return strata_fail(desc, -ENODEV, "what backs %s is gone",
				   b->disk->name);
	return 0;
}

static int block_enable(struct strata_desc *desc)
{
	struct block_desc *bd = to_block_desc(desc);
	struct block *b = block_new(desc);
	int err;

	if (!b)
		return strata_fail(desc, -ENOMEM, "out of memory");
	err = block_hold(b, desc);
	if (!err)
		err = block_add(b, bd);
	if (err) {
		block_free(b);
		return err;
	}
	bd->block = b;
	WRITE_ONCE(bd->index, b->index);
	return 0;
}

/* Disable. */

static bool block_is_open(struct block *b)
{
	bool open;

	/* The last opener writes its cache back under this lock. */
	mutex_lock(&b->gd->open_mutex);
	open = disk_openers(b->gd);
	mutex_unlock(&b->gd->open_mutex);
	return open;
}

/* No one opens it from here on, unless there are openers and @force is not. */
static bool block_stop_openers(struct block *b, bool force)
{
	mutex_lock(&b->gd->open_mutex);
	if (force || !disk_openers(b->gd))
		b->closing = true;
	mutex_unlock(&b->gd->open_mutex);
	return b->closing;
}

static int block_disable(struct strata_desc *desc, bool force)
{
	struct block_desc *bd = to_block_desc(desc);
	struct block *b = bd->block;

	if (!block_stop_openers(b, force))
		return strata_fail(desc, -EBUSY,
				   "%s is open; unmount it or use force_detach",
				   b->gd->disk_name);
	bd->block = NULL;
	WRITE_ONCE(bd->index, -1);

	disable_work_sync(&b->dead_work);
	del_gendisk(b->gd);
	if (!block_is_open(b)) {
		strata_handle_close(b->handle);
		b->handle = NULL;
	}
	put_disk(b->gd);
	return 0;
}

/* The type. */

static ssize_t block_device_show(struct config_item *item, char *page)
{
	struct block_desc *bd = to_block_desc(to_strata_desc(item));
	int index = READ_ONCE(bd->index);

	if (index < 0)
		return -ENODEV;
	return sysfs_emit(page, "strata%d\n", index);
}
CONFIGFS_ATTR_RO(block_, device);

STRATA_ATTR(block, struct block_desc, partscan, bool);

static struct configfs_attribute *block_attrs[] = {
	&block_attr_device,
	&block_attr_partscan,
	NULL
};

static void block_desc_init(struct strata_desc *desc)
{
	to_block_desc(desc)->index = -1;
}

static struct strata_type block_type = {
	.name = "block",
	.class = STRATA_FRONTEND,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.attrs = block_attrs,
	.desc_size = sizeof(struct block_desc),
	.init = block_desc_init,
	.enable = block_enable,
	.disable = block_disable,
};

static int __init block_init(void)
{
	int err = block_io_cache_init();

	if (err)
		return err;
	block_wq = alloc_workqueue("strata_block", WQ_UNBOUND, 0);
	if (!block_wq) {
		err = -ENOMEM;
		goto exit_cache;
	}
	err = strata_register_type(&block_type);
	if (!err)
		return 0;
	destroy_workqueue(block_wq);
exit_cache:
	block_io_cache_exit();
	return err;
}
module_init(block_init);

/*
 * An opener's module reference goes shortly before its reference to the
 * gendisk, so free_disk can run as late as this; the last wait is for it to
 * have returned.
 */
static void __exit block_exit(void)
{
	strata_unregister_type(&block_type);
	wait_event(blocks_gone, !atomic_read(&nr_blocks));
	destroy_workqueue(block_wq);
	synchronize_rcu_tasks();
	block_io_cache_exit();
	ida_destroy(&indexes);
}
module_exit(block_exit);

MODULE_ALIAS("strata-frontend-block");
MODULE_DESCRIPTION("strata: a disk as a block device of this host");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
