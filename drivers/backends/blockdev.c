// SPDX-License-Identifier: GPL-2.0
/*
 * blockdev: a block device as a disk. Bios go on to it as they are.
 *
 * All descriptions of one device share a struct blockdev_dev. It is the holder
 * of their exclusive opens, so that two stable users do not shut each other
 * out, and it is where news of the device arrives: resize and removal.
 */
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <strata/disk.h>
#include <strata/type.h>
#include <strata/uevent.h>
#include "blockdev.h"

/**
 * struct blockdev_desc - the description
 * @desc: the core's part
 * @path: the device
 * @pr: pass reservations through to it
 */
struct blockdev_desc {
	struct strata_desc desc;
	char *path;
	bool pr;
};

/**
 * struct blockdev_dev - a block device that is open
 * @entry: in devs
 * @opens: how many struct blockdev_open there are; under devs_lock
 * @alone: there may be but one, as the device's reservations are passed
 *	through; under devs_lock
 * @watch: the device's uevents
 * @resize: publishes the device's size
 * @gone: tells all users that the device is dead
 * @dead: it is; its number may be another device's now
 * @lock: protects @users. Ordered before the users locks of the disks
 * @users: the live disks, struct blockdev_open
 */
struct blockdev_dev {
	struct list_head entry;
	unsigned int opens;
	bool alone;
	struct strata_uevent_watch watch;
	struct work_struct resize;
	struct work_struct gone;
	bool dead;
	struct mutex lock; /* protects users */
	struct list_head users;
};

/**
 * struct blockdev_open - one description's hold on its device
 * @claim: the claim on the device
 * @dev: the device
 * @file: the exclusive open
 * @pr: the device's reservations, where they are passed through
 * @disk: the live disk, while on the list
 * @entry: in @dev->users
 */
struct blockdev_open {
	struct strata_path_claim *claim;
	struct blockdev_dev *dev;
	struct file *file;
	struct blockdev_pr pr;
	struct strata_disk *disk;
	struct list_head entry;
};

static DEFINE_MUTEX(devs_lock); /* protects devs */
static LIST_HEAD(devs);

static struct blockdev_desc *to_blockdev_desc(struct strata_desc *desc)
{
	return container_of(desc, struct blockdev_desc, desc);
}

/* The whole logical blocks of a device, in sectors. */
static sector_t blockdev_sectors(struct block_device *bdev)
{
	return round_down(bdev_nr_sectors(bdev),
			  bdev_logical_block_size(bdev) >> SECTOR_SHIFT);
}

/* News of a device. */

static void resize_work(struct work_struct *work)
{
	struct blockdev_dev *dev =
		container_of(work, struct blockdev_dev, resize);
	struct blockdev_open *open;

	mutex_lock(&dev->lock);
	list_for_each_entry(open, &dev->users, entry)
		strata_disk_resize(open->disk,
				   blockdev_sectors(file_bdev(open->file)));
	mutex_unlock(&dev->lock);
}

/* Stacks can take long to resize; watches share one worker. */
static void dev_changed(struct strata_uevent_watch *watch)
{
	struct blockdev_dev *dev =
		container_of(watch, struct blockdev_dev, watch);

	queue_work(system_unbound_wq, &dev->resize);
}

static void gone_work(struct work_struct *work)
{
	struct blockdev_dev *dev = container_of(work, struct blockdev_dev, gone);
	struct blockdev_open *open;

	mutex_lock(&dev->lock);
	list_for_each_entry(open, &dev->users, entry)
		strata_disk_mark_dead(open->disk);
	mutex_unlock(&dev->lock);
}

/*
 * The device goes away. Called with bd_holder_lock held, which keeps the holder
 * there; it is to be released here. The users are told by a worker: a stack
 * that shrinks has them locked until its I/O ends, and the driver may not end
 * it before this returns.
 */
static void dev_mark_dead(struct block_device *bdev, bool surprise)
{
	struct blockdev_dev *dev = bdev->bd_holder;

	__module_get(THIS_MODULE);
	WRITE_ONCE(dev->dead, true);
	queue_work(system_unbound_wq, &dev->gone);
	mutex_unlock(&bdev->bd_holder_lock);

	if (!surprise)
		sync_blockdev(bdev);
	module_put(THIS_MODULE);
}

static const struct blk_holder_ops holder_ops = {
	.mark_dead = dev_mark_dead,
};

/* Devices. */

static struct blockdev_dev *dev_find(dev_t devt)
{
	struct blockdev_dev *dev;

	list_for_each_entry(dev, &devs, entry)
		if (dev->watch.dev == devt && !READ_ONCE(dev->dead))
			return dev;
	return NULL;
}

static void dev_free(struct blockdev_dev *dev)
{
	mutex_destroy(&dev->lock);
	kfree(dev);
}

static struct blockdev_dev *dev_new(dev_t devt)
{
	struct blockdev_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	INIT_WORK(&dev->resize, resize_work);
	INIT_WORK(&dev->gone, gone_work);
	mutex_init(&dev->lock);
	INIT_LIST_HEAD(&dev->users);
	dev->watch.dev = devt;
	dev->watch.changed = dev_changed;
	err = strata_uevent_watch(&dev->watch);
	if (err) {
		dev_free(dev);
		return ERR_PTR(err);
	}
	list_add(&dev->entry, &devs);
	return dev;
}

/* -EBUSY when it is open, and one of the users wants it @alone. */
static struct blockdev_dev *dev_get(dev_t devt, bool alone)
{
	struct blockdev_dev *dev;

	mutex_lock(&devs_lock);
	dev = dev_find(devt);
	if (!dev)
		dev = dev_new(devt);
	else if (alone || dev->alone)
		dev = ERR_PTR(-EBUSY);
	if (!IS_ERR(dev)) {
		dev->opens++;
		dev->alone = alone;
	}
	mutex_unlock(&devs_lock);
	return dev;
}

static void dev_put(struct blockdev_dev *dev)
{
	bool last;

	mutex_lock(&devs_lock);
	last = !--dev->opens;
	if (last)
		list_del(&dev->entry);
	mutex_unlock(&devs_lock);
	if (!last)
		return;
	strata_uevent_unwatch(&dev->watch);
	cancel_work_sync(&dev->resize);
	cancel_work_sync(&dev->gone);
	dev_free(dev);
}

/* Opening. */

static bool is_directory(const char *name)
{
	struct path path;
	bool dir;

	if (kern_path(name, LOOKUP_FOLLOW, &path))
		return false;
	dir = d_is_dir(path.dentry);
	path_put(&path);
	return dir;
}

static int fail_path(struct strata_desc *desc, int err, const char *path)
{
	switch (err) {
	case -ENOTBLK:
		return strata_fail(desc, err, "%s is %s, not a block device",
				   path, is_directory(path) ? "a directory" :
				   "some other kind of file");
	case -EBUSY:
		return strata_fail(desc, err,
				   "%s is mounted, or held by another driver",
				   path);
	case -EROFS:
		return strata_fail(desc, err,
				   "%s is read-only; set read_only to use it",
				   path);
	default:
		return strata_fail_path(desc, err, path);
	}
}

/* Refuse what the bios of a disk cannot say. */
static int check_bdev(struct strata_desc *desc, struct block_device *bdev,
		      const char *path)
{
	unsigned int block = bdev_logical_block_size(bdev);

	if (bdev_is_zoned(bdev))
		return strata_fail(desc, -EOPNOTSUPP,
				   "%s is a zoned device; these are not supported",
				   path);
	if (blk_get_integrity(bdev->bd_disk))
		return strata_fail(desc, -EOPNOTSUPP,
				   "%s has integrity metadata, which is not supported",
				   path);
	if (!bdev_nr_sectors(bdev))
		return strata_fail(desc, -EINVAL, "%s has size 0", path);
	if (bdev_nr_bytes(bdev) & (block - 1))
		return strata_fail(desc, -EINVAL,
				   "the size of %s is not a multiple of its sector size of %u bytes",
				   path, block);
	return 0;
}

static int open_file(struct strata_node *node, struct blockdev_open *open,
		     const char *path)
{
	bool write = strata_node_writable(node);
	blk_mode_t mode = BLK_OPEN_READ | (write ? BLK_OPEN_WRITE : 0);
	struct block_device *bdev;
	struct file *file;
	int err;

	file = bdev_file_open_by_dev(open->dev->watch.dev, mode, open->dev,
				     &holder_ops);
	if (IS_ERR(file))
		return fail_path(node->desc, PTR_ERR(file), path);

	bdev = file_bdev(file);
	err = write && bdev_read_only(bdev) ?
		fail_path(node->desc, -EROFS, path) :
		check_bdev(node->desc, bdev, path);
	if (err) {
		bdev_fput(file);
		return err;
	}
	open->file = file;
	return 0;
}

static int fail_dev(struct strata_desc *desc, int err, const char *path)
{
	if (err == -EBUSY)
		return strata_fail(desc, err,
				   "%s passes reservations through for one disk alone; put prwrap above that",
				   path);
	return strata_fail(desc, err, "cannot listen to uevents: error %d",
			   -err);
}

static int open_dev(struct strata_node *node, struct blockdev_open *open)
{
	const char *path = to_blockdev_desc(node->desc)->path;
	bool pr = to_blockdev_desc(node->desc)->pr;
	dev_t devt;
	int err;

	if (!path || !*path)
		return strata_fail(node->desc, -EINVAL, "path is not set");
	err = lookup_bdev(path, &devt);
	if (err)
		return fail_path(node->desc, err, path);

	open->claim = strata_path_claim(node->desc, devt, 0, node->claim);
	if (IS_ERR(open->claim))
		return PTR_ERR(open->claim);

	open->dev = dev_get(devt, pr);
	if (IS_ERR(open->dev)) {
		err = fail_dev(node->desc, PTR_ERR(open->dev), path);
		goto unclaim;
	}
	err = open_file(node, open, path);
	if (err)
		goto put;
	if (pr)
		err = blockdev_pr_init(&open->pr, file_bdev(open->file),
				       node->desc);
	if (!err)
		return 0;
	bdev_fput(open->file);
put:
	dev_put(open->dev);
unclaim:
	strata_path_unclaim(open->claim);
	return err;
}

static int blockdev_open(struct strata_node *node)
{
	struct blockdev_open *open = kzalloc(sizeof(*open), GFP_KERNEL);
	int err;

	if (!open)
		return strata_fail(node->desc, -ENOMEM, "out of memory");
	err = open_dev(node, open);
	if (err) {
		kfree(open);
		return err;
	}
	node->opened = open;
	return 0;
}

static void blockdev_close(struct strata_node *node)
{
	struct blockdev_open *open = node->opened;

	/* Ends the hold: dev_mark_dead() is not called for it any more. */
	bdev_fput(open->file);
	dev_put(open->dev);
	strata_path_unclaim(open->claim);
	kfree(open);
}

/* The disk. */

static int blockdev_create(struct strata_node *node)
{
	struct blockdev_open *open = node->opened;
	struct block_device *bdev = file_bdev(open->file);
	struct strata_disk *disk = node->disk;

	disk->private = bdev;
	disk->read_only = !strata_node_writable(node);
	blockdev_set_limits(disk, bdev);
	if (open->pr.bdev)
		disk->pr = &open->pr.pr;

	/* From here on resize_work() and gone_work() find the disk. */
	mutex_lock(&open->dev->lock);
	if (READ_ONCE(open->dev->dead)) {
		mutex_unlock(&open->dev->lock);
		return strata_fail(node->desc, -ENODEV, "%s is gone",
				   to_blockdev_desc(node->desc)->path);
	}
	disk->capacity = blockdev_sectors(bdev);
	open->disk = disk;
	list_add(&open->entry, &open->dev->users);
	mutex_unlock(&open->dev->lock);
	return 0;
}

static void blockdev_destroy(struct strata_node *node)
{
	struct blockdev_open *open = node->opened;

	mutex_lock(&open->dev->lock);
	list_del(&open->entry);
	mutex_unlock(&open->dev->lock);
}

static int blockdev_describe(struct strata_node *node, char *buf, size_t size)
{
	struct blockdev_open *open = node->opened;

	return scnprintf(buf, size, "%pg", file_bdev(open->file));
}

static void blockdev_desc_release(struct strata_desc *desc)
{
	kfree(to_blockdev_desc(desc)->path);
}

/* One of two words, as a kind of attribute. */
static ssize_t strata_show_pr(const bool *field, char *page)
{
	return sysfs_emit(page, "%s\n", READ_ONCE(*field) ? "passthrough" :
							    "none");
}

static int strata_parse_pr(struct strata_desc *desc, const char *page,
			   size_t count, bool *field)
{
	bool passthrough = sysfs_streq(page, "passthrough");

	if (!passthrough && !sysfs_streq(page, "none"))
		return strata_fail(desc, -EINVAL,
				   "the value is none or passthrough");
	WRITE_ONCE(*field, passthrough);
	return 0;
}

STRATA_ATTR(blockdev, struct blockdev_desc, path, str);
STRATA_ATTR(blockdev, struct blockdev_desc, pr, pr);

static struct configfs_attribute *blockdev_attrs[] = {
	&blockdev_attr_path,
	&blockdev_attr_pr,
	NULL
};

static struct strata_type blockdev_type = {
	.name = "blockdev",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_NONE,
	.attrs = blockdev_attrs,
	.desc_size = sizeof(struct blockdev_desc),
	.release = blockdev_desc_release,
	.open = blockdev_open,
	.close = blockdev_close,
	.create = blockdev_create,
	.destroy = blockdev_destroy,
	.describe = blockdev_describe,
	.disk_ops = &blockdev_disk_ops,
};

static int __init blockdev_init(void)
{
	return strata_register_type(&blockdev_type);
}
module_init(blockdev_init);

static void __exit blockdev_exit(void)
{
	strata_unregister_type(&blockdev_type);
	/* dev_mark_dead() returns here after its module_put(). */
	synchronize_rcu_tasks();
}
module_exit(blockdev_exit);

MODULE_ALIAS("strata-disk-blockdev");
MODULE_DESCRIPTION("strata: a block device as a disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
