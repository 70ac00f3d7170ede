// SPDX-License-Identifier: GPL-2.0
/* The life of a disk object, its metadata and its counters. */
#include <linux/blkdev.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include "core.h"

/* Submit what has come until now, in order. */
static void backlog_submit(struct strata_disk *disk,
			   struct strata_backlog *backlog)
{
	struct bio_list bios, subs;
	struct bio *bio;

	spin_lock_irq(&disk->defer_lock);
	bios = backlog->bios;
	subs = backlog->subs;
	bio_list_init(&backlog->bios);
	bio_list_init(&backlog->subs);
	spin_unlock_irq(&disk->defer_lock);

	while ((bio = bio_list_pop(&bios)))
		strata_submit_bio(NULL, disk, bio);
	while ((bio = bio_list_pop(&subs))) {
		struct strata_sub *sub = strata_sub(bio);
		struct strata_nexus *nexus = sub->nexus;
		struct bio *payer = sub->payer;

		if (sub->resume)
			bio = strata_preflushed(sub);
		strata_submit_for(nexus, payer, disk, bio);
	}
}

static void deferred_work(struct work_struct *work)
{
	struct strata_disk *disk =
		container_of(work, struct strata_disk, deferred.work);

	backlog_submit(disk, &disk->deferred);
}

static void starved_work(struct work_struct *work)
{
	struct strata_disk *disk =
		container_of(work, struct strata_disk, starved.work);

	backlog_submit(disk, &disk->starved);
}

static void resumed_work(struct work_struct *work)
{
	struct strata_disk *disk =
		container_of(work, struct strata_disk, resumed.work);

	backlog_submit(disk, &disk->resumed);
}

static void backlog_init(struct strata_backlog *backlog,
			 struct workqueue_struct *wq, work_func_t func)
{
	backlog->wq = wq;
	INIT_WORK(&backlog->work, func);
}

static void free_worker(struct workqueue_struct *wq)
{
	if (wq)
		destroy_workqueue(wq);
}

static void free_workers(struct strata_disk *disk)
{
	free_worker(disk->wq);
	free_worker(disk->steps);
	free_worker(disk->parts);
}

/* Who calls this frees what there is when it fails. */
static int alloc_workers(struct strata_disk *disk)
{
	const unsigned int flags = WQ_MEM_RECLAIM | WQ_UNBOUND;

	disk->wq = alloc_workqueue("strata/%.24s", flags, 0, disk->name);
	disk->steps = alloc_workqueue("strata-s/%.22s", flags, 0, disk->name);
	disk->parts = alloc_workqueue("strata-p/%.22s", flags, 0, disk->name);
	return disk->wq && disk->steps && disk->parts ? 0 : -ENOMEM;
}

/**
 * strata_disk_alloc() - an empty disk
 * @name: "type.name"; copied
 *
 * The limits start as the block layer's stacking defaults: 512-byte blocks, no
 * other restriction, NOWAIT, write zeroes and discard of any size. What a type
 * cannot do it takes away.
 *
 * Context: process context.
 * Return: the disk, or NULL. To be completed and passed to strata_disk_ready(),
 * and freed with strata_disk_free().
 */
struct strata_disk *strata_disk_alloc(const char *name)
{
	struct strata_disk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);

	if (!disk)
		return NULL;
	disk->name = kstrdup(name, GFP_KERNEL);
	disk->stats = alloc_percpu(struct strata_stats);
	if (!disk->name || !disk->stats || alloc_workers(disk))
		goto free;

	blk_set_stacking_limits(&disk->limits);
	/* The stacking default, 511, is stricter than many disks are. */
	disk->limits.dma_alignment = 0;
	disk->limits.features = BLK_FEAT_NOWAIT;
	disk->limits.max_discard_sectors = UINT_MAX;
	disk->limits.max_hw_discard_sectors = UINT_MAX;
	disk->unmap = STRATA_UNMAP_IGNORED;

	spin_lock_init(&disk->defer_lock);
	backlog_init(&disk->deferred, disk->wq, deferred_work);
	backlog_init(&disk->starved, disk->steps, starved_work);
	backlog_init(&disk->resumed, disk->steps, resumed_work);
	lockdep_register_key(&disk->users_key);
	__mutex_init(&disk->users_lock, "strata_disk.users_lock",
		     &disk->users_key);
	INIT_LIST_HEAD(&disk->users);
	return disk;
free:
	free_workers(disk);
	free_percpu(disk->stats);
	kfree(disk->name);
	kfree(disk);
	return NULL;
}
EXPORT_SYMBOL_NS_GPL(strata_disk_alloc, STRATA);

/**
 * strata_disk_free() - free a disk
 * @disk: the disk, or NULL; no handle is open, no bio is in flight
 *
 * Context: process context.
 */
void strata_disk_free(struct strata_disk *disk)
{
	if (!disk)
		return;
	WARN_ON_ONCE(!list_empty(&disk->users));
	free_workers(disk);
	bioset_exit(&disk->zero_bios);
	bioset_exit(&disk->core_bios);
	bioset_exit(&disk->bios);
	mutex_destroy(&disk->users_lock);
	lockdep_unregister_key(&disk->users_key);
	free_percpu(disk->stats);
	kfree(disk->name);
	kfree(disk);
}
EXPORT_SYMBOL_NS_GPL(strata_disk_free, STRATA);

static const char *check_limits(const struct strata_disk *disk)
{
	const struct queue_limits *lim = &disk->limits;

	if (!is_power_of_2(lim->logical_block_size) ||
	    lim->logical_block_size < SECTOR_SIZE)
		return "the sector size is not a power of two of at least 512";
	if (!is_power_of_2(lim->physical_block_size) ||
	    lim->physical_block_size < lim->logical_block_size)
		return "the physical sector size is not a power of two of at least the sector size";
	if (lim->features & BLK_FEAT_ZONED)
		return "zoned devices are not supported";
	if (lim->integrity.tuple_size)
		return "devices with integrity metadata are not supported";
	if (disk->optimal_unmap_sectors & disk->lba_mask)
		return "the discard granularity is not a multiple of the sector size";
	return NULL;
}

/* The size the disk ought to have now. Under its users lock. */
sector_t strata_disk_wanted(struct strata_disk *disk)
{
	sector_t capacity = disk->capacity;

	if (disk->ops->capacity)
		capacity = disk->ops->capacity(disk);
	else if (disk->node && disk->node->below)
		capacity = strata_disk_planned(disk->node->below->disk);
	return capacity & ~(sector_t)disk->lba_mask;
}

/*
 * Three pools, since a bio from one is held while the next one serves it. They
 * need no rescuers: who waits for one has no bios waiting (strata_may_wait()).
 */
static int init_pools(struct strata_disk *disk, unsigned int pad)
{
	unsigned int core_pad = offsetof(struct strata_sub, bio);
	int err;

	err = bioset_init(&disk->bios, BIO_POOL_SIZE, pad, BIOSET_NEED_BVECS);
	if (!err)
		err = bioset_init(&disk->core_bios, BIO_POOL_SIZE, core_pad, 0);
	if (!err)
		err = bioset_init(&disk->zero_bios, BIO_POOL_SIZE, core_pad,
				  BIOSET_NEED_BVECS);
	return err;
}

/**
 * strata_disk_ready() - check what a type filled in, and freeze it
 * @disk: the disk; private, limits, unmap, id, read_only and, where the type
 *	has no ops->capacity and nothing below, capacity are set
 * @ops: the type's operations
 * @why: set to a sentence on failure
 *
 * Context: process context.
 * Return: 0, -EINVAL or -ENOMEM.
 */
int strata_disk_ready(struct strata_disk *disk,
		      const struct strata_disk_ops *ops, const char **why)
{
	unsigned int pad = ops->front_pad ?: offsetof(struct strata_sub, bio);
	int err;

	disk->ops = ops;
	disk->lba_mask = (disk->limits.logical_block_size >> SECTOR_SHIFT) - 1;
	disk->byte_mask = disk->limits.logical_block_size - 1;
	if (!disk->optimal_unmap_sectors)
		disk->optimal_unmap_sectors = disk->lba_mask + 1;
	*why = check_limits(disk);
	if (*why)
		return -EINVAL;

	*why = "out of memory";
	err = init_pools(disk, pad);
	if (err)
		return err;

	mutex_lock(&disk->users_lock);
	disk->capacity = strata_disk_wanted(disk);
	disk->planned = disk->capacity;
	disk->ready = true;
	mutex_unlock(&disk->users_lock);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_disk_ready, STRATA);

/**
 * strata_disk_stack_limits() - narrow a disk's limits by those of a disk below
 * @disk: the disk that is being made
 * @below: a disk whose sectors become sectors of @disk, at the same alignment
 *
 * By the block layer's rules for stacking; to be called for each disk below.
 *
 * Context: in a type's create.
 * Return: 0, or -EINVAL when the alignments do not agree.
 */
int strata_disk_stack_limits(struct strata_disk *disk,
			     const struct strata_disk *below)
{
	struct queue_limits lim = below->limits;

	return blk_stack_limits(&disk->limits, &lim, 0) ? -EINVAL : 0;
}
EXPORT_SYMBOL_NS_GPL(strata_disk_stack_limits, STRATA);

/**
 * strata_disk_inherit() - be to disks above what the one disk below is
 * @disk: the disk that is being made
 * @below: a disk whose sectors are those of @disk, one by one
 *
 * Takes over limits, what discards do, the identity and read_only. What is not
 * so for @disk is for the type to change.
 *
 * Context: in a type's create.
 */
void strata_disk_inherit(struct strata_disk *disk,
			 const struct strata_disk *below)
{
	disk->limits = below->limits;
	disk->read_only = below->read_only;
	disk->unmap = below->unmap;
	disk->optimal_unmap_sectors = below->optimal_unmap_sectors;
	disk->has_id = below->has_id;
	memcpy(disk->id, below->id, sizeof(disk->id));
}
EXPORT_SYMBOL_NS_GPL(strata_disk_inherit, STRATA);

/**
 * strata_disk_sum_stats() - add up the counters of all CPUs
 * @disk: the disk
 * @sum: filled in
 *
 * Context: any.
 */
void strata_disk_sum_stats(const struct strata_disk *disk,
			   struct strata_stats *sum)
{
	int cpu, i;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const struct strata_stats *s = per_cpu_ptr(disk->stats, cpu);

		for (i = 0; i < STRATA_NR_STATS; i++) {
			sum->ios[i] += READ_ONCE(s->ios[i]);
			sum->sectors[i] += READ_ONCE(s->sectors[i]);
		}
		sum->refused += READ_ONCE(s->refused);
	}
}
EXPORT_SYMBOL_NS_GPL(strata_disk_sum_stats, STRATA);
