// SPDX-License-Identifier: GPL-2.0
/*
 * frontends/bench.<name>: issues requests from inside the kernel and tells what
 * one costs. The target is the linked disk, in the context a protocol engine
 * would use it from, or the block device or regular file at `path`, or the
 * cipher of crypt alone.
 *
 *	path	see above
 *	cipher	xts(aes) in data units of so many bytes; 0: no cipher
 *	op	read, write or discard
 *	count	requests in a batch
 *	depth	requests under one plug
 *	fresh	1: no place is visited twice
 *	alloc	1: every bio is allocated, 0: they are embedded
 *	run	reading it measures: nanoseconds a request, the best of 5 batches
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/type.h>
#include "bench.h"

/**
 * struct bench_desc - the description
 * @desc: the core's part
 * @path: see above
 * @cipher: see above
 * @op: see above
 * @count: see above
 * @depth: see above
 * @fresh: see above
 * @alloc: see above
 * @lock: protects @target; held while it is measured
 * @target: what is open while enabled; its @ops are NULL otherwise
 */
struct bench_desc {
	struct strata_desc desc;
	char *path;
	u32 cipher;
	char *op;
	u32 count;
	u32 depth;
	bool fresh;
	bool alloc;
	struct mutex lock; /* protects target */
	struct bench_target target;
};

static struct bench_desc *to_bench_desc(struct strata_desc *desc)
{
	return container_of(desc, struct bench_desc, desc);
}

static int open_disk(struct bench_desc *bd, struct bench_target *target)
{
	struct strata_handle *handle;

	handle = strata_handle_open(&bd->desc, bd->desc.read_only ?
				    STRATA_CLAIM_STABLE : STRATA_CLAIM_WRITE,
				    NULL, bd);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	/* Requests are not counted one by one: the loop waits for its own. */
	WRITE_ONCE(handle->untracked, true);
	target->ops = &bench_disk_ops;
	target->handle = handle;
	target->sectors = strata_disk_capacity(handle->disk);
	return 0;
}

/* Not exclusively: what is measured may be somebody's. */
static struct file *open_bdev(struct bench_desc *bd)
{
	return bdev_file_open_by_path(bd->path, BLK_OPEN_READ | BLK_OPEN_WRITE,
				      NULL, NULL);
}

static int open_path(struct bench_desc *bd, struct bench_target *target)
{
	struct file *file = open_bdev(bd);

	if (!IS_ERR(file)) {
		target->ops = &bench_bdev_ops;
		target->sectors = bdev_nr_sectors(file_bdev(file));
	} else if (PTR_ERR(file) == -ENOTBLK) {
		file = filp_open(bd->path, O_RDWR | O_DIRECT | O_LARGEFILE, 0);
		if (!IS_ERR(file)) {
			target->ops = &bench_file_ops;
			target->sectors = i_size_read(file_inode(file)) >>
					  SECTOR_SHIFT;
		}
	}
	if (IS_ERR(file))
		return strata_fail(&bd->desc, PTR_ERR(file),
				   "%s cannot be opened: error %ld", bd->path,
				   -PTR_ERR(file));
	target->file = file;
	return 0;
}

static int open_cipher(struct bench_desc *bd, struct bench_target *target)
{
	struct bench_cipher *cipher = bench_cipher_new(bd->cipher);

	if (IS_ERR(cipher))
		return strata_fail(&bd->desc, PTR_ERR(cipher),
				   "no xts(aes) in units of %u: error %ld",
				   bd->cipher, -PTR_ERR(cipher));
	target->ops = &bench_cipher_ops;
	target->cipher = cipher;
	/* The page is its own; the place is only a number. */
	target->sectors = S64_MAX >> SECTOR_SHIFT;
	return 0;
}

static int bench_enable(struct strata_desc *desc)
{
	struct bench_desc *bd = to_bench_desc(desc);
	struct bench_target target = {};
	int err;

	if (bd->cipher)
		err = open_cipher(bd, &target);
	else if (bd->path && *bd->path)
		err = open_path(bd, &target);
	else
		err = open_disk(bd, &target);
	if (err)
		return err;
	mutex_lock(&bd->lock);
	bd->target = target;
	mutex_unlock(&bd->lock);
	return 0;
}

static int bench_disable(struct strata_desc *desc, bool force)
{
	struct bench_desc *bd = to_bench_desc(desc);
	struct bench_target target;

	mutex_lock(&bd->lock);
	target = bd->target;
	bd->target = (struct bench_target){};
	mutex_unlock(&bd->lock);
	if (target.handle)
		strata_handle_close(target.handle);
	if (target.file)
		fput(target.file);
	bench_cipher_free(target.cipher);
	return 0;
}

static int parse_op(struct bench_desc *bd, enum req_op *op)
{
	if (!bd->op || sysfs_streq(bd->op, "read"))
		*op = REQ_OP_READ;
	else if (sysfs_streq(bd->op, "write"))
		*op = REQ_OP_WRITE;
	else if (sysfs_streq(bd->op, "discard") &&
		 (bd->target.ops == &bench_bdev_ops ||
		  bd->target.ops == &bench_disk_ops))
		*op = REQ_OP_DISCARD;
	else
		return strata_fail(&bd->desc, -EINVAL,
				   "%s is no operation for this target", bd->op);
	return 0;
}

/* Called with the lock held. */
static int measure(struct bench_desc *bd, u32 *cost)
{
	struct bench_run run = {
		.target = &bd->target,
		.count = bd->count,
		.depth = bd->depth,
		.fresh = bd->fresh,
		.alloc = bd->alloc,
	};
	int err;

	if (!bd->target.ops)
		return strata_fail(&bd->desc, -ENODEV, "%s is not enabled",
				   strata_desc_name(&bd->desc));
	err = parse_op(bd, &run.op);
	if (err)
		return err;
	err = bench_measure(&run, cost);
	if (err)
		return strata_fail(&bd->desc, err, "the loop failed: error %d",
				   -err);
	return 0;
}

static ssize_t bench_run_show(struct config_item *item, char *page)
{
	struct bench_desc *bd = to_bench_desc(to_strata_desc(item));
	u32 cost;
	int err;

	mutex_lock(&bd->lock);
	err = measure(bd, &cost);
	mutex_unlock(&bd->lock);
	return err ?: sysfs_emit(page, "%u\n", cost);
}
CONFIGFS_ATTR_RO(bench_, run);

STRATA_ATTR(bench, struct bench_desc, path, str);
STRATA_ATTR(bench, struct bench_desc, cipher, u32);
STRATA_ATTR(bench, struct bench_desc, op, str);
STRATA_ATTR(bench, struct bench_desc, count, u32);
STRATA_ATTR(bench, struct bench_desc, depth, u32);
STRATA_ATTR(bench, struct bench_desc, fresh, bool);
STRATA_ATTR(bench, struct bench_desc, alloc, bool);

static struct configfs_attribute *bench_attrs[] = {
	&bench_attr_path,
	&bench_attr_cipher,
	&bench_attr_op,
	&bench_attr_count,
	&bench_attr_depth,
	&bench_attr_fresh,
	&bench_attr_alloc,
	&bench_attr_run,
	NULL
};

static void bench_desc_init(struct strata_desc *desc)
{
	struct bench_desc *bd = to_bench_desc(desc);

	bd->count = 2048;
	bd->depth = 32;
	mutex_init(&bd->lock);
}

static void bench_desc_release(struct strata_desc *desc)
{
	struct bench_desc *bd = to_bench_desc(desc);

	mutex_destroy(&bd->lock);
	kfree(bd->path);
	kfree(bd->op);
}

static struct strata_type bench_type = {
	.name = "bench",
	.class = STRATA_FRONTEND,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.attrs = bench_attrs,
	.desc_size = sizeof(struct bench_desc),
	.init = bench_desc_init,
	.release = bench_desc_release,
	.enable = bench_enable,
	.disable = bench_disable,
};

static int __init bench_init(void)
{
	int err = strata_register_type(&bench_type);

	if (err)
		return err;
	err = strata_register_type(&bench_pass_type);
	if (err)
		strata_unregister_type(&bench_type);
	return err;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	strata_unregister_type(&bench_pass_type);
	strata_unregister_type(&bench_type);
}
module_exit(bench_exit);

MODULE_ALIAS("strata-frontend-bench");
MODULE_DESCRIPTION("strata: what a request costs, measured inside the kernel");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
