// SPDX-License-Identifier: GPL-2.0
/*
 * The least that a bio driver can do. Loading this module with the paths of two
 * block devices makes /dev/floor_remap, which sends every bio on as it is, and
 * /dev/floor_clone, which sends a clone. Neither checks anything.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/module.h>

static char *remap;
module_param(remap, charp, 0444);
MODULE_PARM_DESC(remap, "block device below floor_remap");

static char *clone;
module_param(clone, charp, 0444);
MODULE_PARM_DESC(clone, "block device below floor_clone");

/**
 * struct floor - one device
 * @gd: the gendisk
 * @file: what is below, open
 * @bdev: the same
 */
struct floor {
	struct gendisk *gd;
	struct file *file;
	struct block_device *bdev;
};

static struct floor floor_remap, floor_clone;
static struct bio_set clones;

static void remap_submit_bio(struct bio *bio)
{
	bio_set_dev(bio, floor_remap.bdev);
	submit_bio_noacct(bio);
}

static const struct block_device_operations remap_fops = {
	.owner = THIS_MODULE,
	.submit_bio = remap_submit_bio,
};

static void end_clone(struct bio *bio)
{
	struct bio *parent = bio->bi_private;

	parent->bi_status = bio->bi_status;
	bio_put(bio);
	bio_endio(parent);
}

static void clone_submit_bio(struct bio *parent)
{
	struct bio *bio = bio_alloc_clone(floor_clone.bdev, parent, GFP_NOIO,
					  &clones);

	bio->bi_end_io = end_clone;
	bio->bi_private = parent;
	submit_bio_noacct(bio);
}

static const struct block_device_operations clone_fops = {
	.owner = THIS_MODULE,
	.submit_bio = clone_submit_bio,
};

static int floor_add_disk(struct floor *f, const char *name,
			  const struct block_device_operations *fops)
{
	struct queue_limits lim;
	int err;

	blk_set_stacking_limits(&lim);
	queue_limits_stack_bdev(&lim, f->bdev, 0, name);
	f->gd = blk_alloc_disk(&lim, NUMA_NO_NODE);
	if (IS_ERR(f->gd))
		return PTR_ERR(f->gd);
	f->gd->fops = fops;
	f->gd->flags |= GENHD_FL_NO_PART;
	strscpy(f->gd->disk_name, name);
	set_capacity(f->gd, bdev_nr_sectors(f->bdev));
	err = add_disk(f->gd);
	if (err)
		put_disk(f->gd);
	return err;
}

static int floor_make(struct floor *f, const char *path, const char *name,
		      const struct block_device_operations *fops)
{
	int err;

	if (!path)
		return -EINVAL;
	f->file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE,
					 NULL, NULL);
	if (IS_ERR(f->file))
		return PTR_ERR(f->file);
	f->bdev = file_bdev(f->file);
	err = floor_add_disk(f, name, fops);
	if (err)
		fput(f->file);
	return err;
}

static void floor_unmake(struct floor *f)
{
	del_gendisk(f->gd);
	put_disk(f->gd);
	fput(f->file);
}

static int __init floor_init(void)
{
	int err = bioset_init(&clones, BIO_POOL_SIZE, 0, 0);

	if (err)
		return err;
	err = floor_make(&floor_remap, remap, "floor_remap", &remap_fops);
	if (err)
		goto exit_bioset;
	err = floor_make(&floor_clone, clone, "floor_clone", &clone_fops);
	if (!err)
		return 0;
	floor_unmake(&floor_remap);
exit_bioset:
	bioset_exit(&clones);
	return err;
}
module_init(floor_init);

static void __exit floor_exit(void)
{
	floor_unmake(&floor_clone);
	floor_unmake(&floor_remap);
	bioset_exit(&clones);
}
module_exit(floor_exit);

MODULE_DESCRIPTION("strata: the cost of a bio driver that does nothing");
MODULE_LICENSE("GPL");
