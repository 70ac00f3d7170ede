// SPDX-License-Identifier: GPL-2.0
/*
 * file: a regular file as a disk. Here the image is opened, and asked what its
 * file system can do; file_map.c, file_lane.c and file_io.c move the data.
 *
 * The image is open for reading and writing like any other file, and nothing
 * stops another program from writing it: only strata's own users are kept
 * apart, by the claim. Its size is what it was when it was opened.
 */
#include <linux/blkdev.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <strata/disk.h>
#include <strata/type.h>
#include "file.h"

struct file_desc {
	struct strata_desc desc;
	char *path;
	bool direct;
};

static struct file_desc *to_file_desc(struct strata_desc *desc)
{
	return container_of(desc, struct file_desc, desc);
}

/* Opening. */

static int fail_open(struct file_desc *d, int err)
{
	switch (err) {
	case -ENOENT:
		return strata_fail(&d->desc, err,
				   "%s: no such file or directory", d->path);
	case -EISDIR:
		return strata_fail(&d->desc, err, "%s is a directory", d->path);
	case -EACCES:
	case -EPERM:
		return strata_fail(&d->desc, err, "%s: permission denied",
				   d->path);
	case -EROFS:
		return strata_fail(&d->desc, err,
				   "%s is on a read-only file system; set read_only to use it",
				   d->path);
	case -ETXTBSY:
		return strata_fail(&d->desc, err,
				   "%s is a program that is running",
				   d->path);
	default:
		return strata_fail(&d->desc, err,
				   "%s cannot be opened: error %d", d->path,
				   -err);
	}
}

static int fail_direct(struct file_desc *d)
{
	return strata_fail(&d->desc, -EINVAL,
			   "the file system has no direct I/O for %s; set direct to 0 to use the page cache",
			   d->path);
}

/* Opening devices and pipes has side effects: look before. */
static int check_inode(struct file_desc *d, const struct inode *inode,
		       bool write)
{
	if (S_ISDIR(inode->i_mode))
		return fail_open(d, -EISDIR);
	if (S_ISBLK(inode->i_mode))
		return strata_fail(&d->desc, -EINVAL,
				   "%s is a block device; use a blockdev disk",
				   d->path);
	if (!S_ISREG(inode->i_mode))
		return strata_fail(&d->desc, -EINVAL,
				   "%s is not a regular file", d->path);
	if (!write)
		return 0;
	if (IS_SWAPFILE(inode))
		return strata_fail(&d->desc, -ETXTBSY,
				   "%s is in use as swap space", d->path);
	if (IS_IMMUTABLE(inode) || IS_APPEND(inode))
		return strata_fail(&d->desc, -EPERM,
				   "%s is immutable or append-only", d->path);
	return 0;
}

static int check_path(struct file_desc *d, bool write)
{
	struct path path;
	int err;

	if (!d->path || !*d->path)
		return strata_fail(&d->desc, -EINVAL, "path is not set");
	err = kern_path(d->path, LOOKUP_FOLLOW, &path);
	if (err)
		return fail_open(d, err);
	err = check_inode(d, d_inode(path.dentry), write);
	path_put(&path);
	return err;
}

/* The path may have come to lead elsewhere, and not all can carry a disk. */
static int check_file(struct file_desc *d, struct file *file, bool write)
{
	fmode_t mode = FMODE_CAN_READ | (write ? FMODE_CAN_WRITE : 0);
	int err = check_inode(d, file_inode(file), write);

	if (err)
		return err;
	if ((file->f_mode & mode) != mode || !file->f_op->read_iter ||
	    (write && (!file->f_op->write_iter || !file->f_op->fsync)))
		return strata_fail(&d->desc, -EOPNOTSUPP,
				   "the file system of %s has no I/O for the kernel",
				   d->path);
	return 0;
}

static struct file *open_image(struct file_desc *d, bool write)
{
	int flags = O_LARGEFILE | (write ? O_RDWR : O_RDONLY);
	struct file *file;
	int err = check_path(d, write);

	if (err)
		return ERR_PTR(err);
	file = filp_open(d->path, flags | (d->direct ? O_DIRECT : 0), 0);
	if (IS_ERR(file)) {
		/* The errno with which O_DIRECT is refused */
		if (d->direct && PTR_ERR(file) == -EINVAL)
			return ERR_PTR(fail_direct(d));
		return ERR_PTR(fail_open(d, PTR_ERR(file)));
	}
	err = check_file(d, file, write);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	/* An update of the access time can block where a read must not. */
	spin_lock(&file->f_lock);
	file->f_flags |= O_NOATIME;
	spin_unlock(&file->f_lock);
	return file;
}

/* Alignments for direct I/O: those the file system tells, else its device's. */
static int file_learn_direct(struct file_desc *d, struct file_disk *fd,
			     const struct kstat *stat)
{
	struct block_device *bdev = file_inode(fd->file)->i_sb->s_bdev;

	if (stat->result_mask & STATX_DIOALIGN) {
		if (!stat->dio_mem_align || !stat->dio_offset_align)
			return fail_direct(d);
		fd->mem_mask = stat->dio_mem_align - 1;
		fd->sector = max(fd->sector, stat->dio_offset_align);
	} else if (bdev) {
		fd->mem_mask = bdev_dma_alignment(bdev);
		fd->sector = max(fd->sector, bdev_logical_block_size(bdev));
	} else {
		fd->mem_mask = SECTOR_SIZE - 1;
	}
	return 0;
}

static int file_learn_size(struct file_desc *d, struct file_disk *fd,
			   const struct kstat *stat)
{
	fd->size = stat->size;
	if (!fd->size)
		return strata_fail(&d->desc, -EINVAL, "%s is empty", d->path);
	if (fd->size & (SECTOR_SIZE - 1))
		return strata_fail(&d->desc, -EINVAL,
				   "the size of %s, %lld bytes, is not a multiple of 512",
				   d->path, fd->size);
	if (fd->size & (fd->sector - 1))
		return strata_fail(&d->desc, -EINVAL,
				   "the size of %s is not a multiple of %u, which direct I/O needs here; set direct to 0 to use the page cache",
				   d->path, fd->sector);
	return 0;
}

/* A hole behind the end changes nothing, and tells whether there can be any. */
static bool file_can_punch(const struct file_disk *fd)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	return fd->writable && fd->file->f_op->fallocate &&
	       !vfs_fallocate(fd->file, mode, round_up(fd->size, fd->block),
			      fd->block);
}

static void file_learn_nowait(struct file_disk *fd)
{
	fd->nowait_read = fd->file->f_mode & FMODE_NOWAIT;
	fd->nowait_write = fd->nowait_read &&
		(fd->direct || (fd->file->f_op->fop_flags & FOP_BUFFER_WASYNC));
}

static int file_learn(struct file_desc *d, struct file_disk *fd,
		      const struct kstat *stat)
{
	unsigned int blksize;
	int err = 0;

	fd->sector = SECTOR_SIZE;
	fd->direct = d->direct;
	if (fd->direct)
		err = file_learn_direct(d, fd, stat);
	if (!err)
		err = file_learn_size(d, fd, stat);
	if (err)
		return err;

	/* Network file systems tell a transfer size instead, which is no block. */
	blksize = is_power_of_2(stat->blksize) ? stat->blksize : 0;
	fd->physical = clamp(blksize, fd->sector,
			     max_t(unsigned int, fd->sector, PAGE_SIZE));
	fd->block = max_t(unsigned int, fd->sector,
			  i_blocksize(file_inode(fd->file)));
	fd->punch = file_can_punch(fd);
	file_learn_nowait(fd);
	return 0;
}

static int file_claim(struct strata_node *node, struct file_disk *fd)
{
	struct file_desc *d = to_file_desc(node->desc);
	struct kstat stat;
	int err;

	/* On btrfs only stat tells the files of two subvolumes apart. */
	err = vfs_getattr(&fd->file->f_path, &stat,
			  STATX_BASIC_STATS | STATX_DIOALIGN,
			  AT_STATX_SYNC_AS_STAT);
	if (err)
		return fail_open(d, err);
	fd->claim = strata_path_claim(&d->desc, stat.dev, stat.ino,
				      node->claim);
	if (IS_ERR(fd->claim))
		return PTR_ERR(fd->claim);
	err = file_learn(d, fd, &stat);
	if (err)
		strata_path_unclaim(fd->claim);
	return err;
}

static int file_open(struct strata_node *node)
{
	struct file_disk *fd = kzalloc(sizeof(*fd), GFP_KERNEL);
	int err;

	if (!fd)
		return strata_fail(node->desc, -ENOMEM, "out of memory");
	fd->writable = strata_node_writable(node);
	fd->file = open_image(to_file_desc(node->desc), fd->writable);
	if (IS_ERR(fd->file)) {
		err = PTR_ERR(fd->file);
		goto free;
	}
	err = file_claim(node, fd);
	if (err)
		goto close;
	node->opened = fd;
	return 0;
close:
	fput(fd->file);
free:
	kfree(fd);
	return err;
}

static void file_close(struct strata_node *node)
{
	struct file_disk *fd = node->opened;

	fput(fd->file);
	strata_path_unclaim(fd->claim);
	kfree(fd);
}

/* The disk. */

static void file_set_features(struct queue_limits *lim,
			      const struct file_disk *fd)
{
	struct block_device *bdev = file_inode(fd->file)->i_sb->s_bdev;

	/* Whatever could block a submitter is done by the lanes instead. */
	lim->features |= BLK_FEAT_NOWAIT;
	if (fd->writable)
		lim->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	if (fd->direct && mapping_stable_writes(fd->file->f_mapping))
		lim->features |= BLK_FEAT_STABLE_WRITES;
	if (bdev && !bdev_nonrot(bdev))
		lim->features |= BLK_FEAT_ROTATIONAL;
}

static void file_set_limits(struct strata_disk *disk,
			    const struct file_disk *fd)
{
	struct queue_limits *lim = &disk->limits;

	file_set_features(lim, fd);
	lim->logical_block_size = fd->sector;
	lim->physical_block_size = fd->physical;
	lim->io_min = fd->physical;
	/* Direct I/O also wants a sector to be in one piece of memory. */
	lim->dma_alignment = fd->direct ? max(fd->mem_mask, fd->sector - 1) : 3;
	if (!fd->file->f_op->fallocate)
		lim->max_write_zeroes_sectors = 0;
	if (!fd->punch) {
		lim->max_discard_sectors = 0;
		lim->max_hw_discard_sectors = 0;
		return;
	}
	lim->discard_granularity = fd->block;
	disk->unmap = STRATA_UNMAP_ZEROES;
	disk->optimal_unmap_sectors = fd->block >> SECTOR_SHIFT;
}

static int file_create(struct strata_node *node)
{
	struct file_disk *fd = node->opened;

	file_set_limits(node->disk, fd);
	node->disk->capacity = fd->size >> SECTOR_SHIFT;
	if (file_disk_start(fd, node->disk))
		return strata_fail(node->desc, -ENOMEM, "out of memory");
	return 0;
}

static void file_destroy(struct strata_node *node)
{
	file_disk_stop(node->opened);
}

static int file_describe(struct strata_node *node, char *buf, size_t size)
{
	const struct file_desc *d = to_file_desc(node->desc);

	return scnprintf(buf, size, "%s, %s", d->path,
			 d->direct ? "direct" : "buffered");
}

static void file_desc_init(struct strata_desc *desc)
{
	to_file_desc(desc)->direct = true;
}

static void file_desc_release(struct strata_desc *desc)
{
	kfree(to_file_desc(desc)->path);
}

STRATA_ATTR(file, struct file_desc, path, str);
STRATA_ATTR(file, struct file_desc, direct, bool);

static struct configfs_attribute *file_attrs[] = {
	&file_attr_path,
	&file_attr_direct,
	NULL
};

static const struct strata_disk_ops file_disk_ops = {
	.native_fua = true,
	.map = file_disk_map,
};

static struct strata_type file_type = {
	.name = "file",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_NONE,
	.attrs = file_attrs,
	.desc_size = sizeof(struct file_desc),
	.init = file_desc_init,
	.release = file_desc_release,
	.open = file_open,
	.close = file_close,
	.create = file_create,
	.destroy = file_destroy,
	.describe = file_describe,
	.disk_ops = &file_disk_ops,
};

static int __init file_module_init(void)
{
	int err = file_io_init();

	if (err)
		return err;
	err = strata_register_type(&file_type);
	if (err)
		file_io_exit();
	return err;
}

static void __exit file_module_exit(void)
{
	strata_unregister_type(&file_type);
	/* A task can be on its way out of a bio's end, or of the plug callback. */
	synchronize_rcu_tasks();
	file_io_exit();
}

module_init(file_module_init);
module_exit(file_module_exit);

MODULE_ALIAS("strata-disk-file");
MODULE_DESCRIPTION("strata: a regular file as a disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
