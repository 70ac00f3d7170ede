// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O path of a block frontend. A bio goes on as it is. Only while
 * queue/iostats is on, or the disk has reservations, is its completion hooked:
 * a small record takes its bi_end_io and bi_private, and is put back in place
 * before the bio ends.
 *
 * A link of a chain (bio_chain()) is cloned instead. bio_endio() walks a chain
 * in a loop; were its links hooked, the end of the last one would recurse
 * through all of them, and there can be thousands.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/jiffies.h>
#include <linux/mempool.h>
#include <linux/part_stat.h>
#include <linux/slab.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/pr.h>
#include <strata/submit.h>
#include "block.h"

/* Records in reserve for each device: one suffices to make progress. */
#define BLOCK_IO_RESERVE 16

/**
 * struct block_io - a bio whose completion is ours
 * @b: the device
 * @end_io: the bio's own bi_end_io, when hooked
 * @private: and bi_private
 * @clone: the clone, when cloned
 * @bdev: where it was submitted: the device, or a partition
 * @pr_token: from pr->ops->begin
 * @start: when, in jiffies
 * @sectors: how many
 * @op: its operation, REQ_OP_FLUSH for an empty flush
 * @counted: it is in the I/O statistics
 */
struct block_io {
	struct block *b;
	bio_end_io_t *end_io;
	void *private;
	struct bio *clone;
	struct block_device *bdev;
	void *pr_token;
	unsigned long start;
	unsigned int sectors;
	enum req_op op;
	bool counted;
};

/**
 * struct block_clone - stands for a link of a chain
 * @io: as for others
 * @link: the link
 * @bio: the clone; must stay last
 */
struct block_clone {
	struct block_io io;
	struct bio *link;
	struct bio bio;
};

static struct kmem_cache *io_cache;

/* bio_chain_endio(), which has no name here. */
static bio_end_io_t *chain_end_io;

static enum req_op io_op(struct bio *bio)
{
	if (op_is_flush(bio->bi_opf) && !bio_sectors(bio))
		return REQ_OP_FLUSH;
	return bio_op(bio);
}

/* Flushes are counted as the block layer counts those of a queue. */
static void count_flush(struct block_io *io)
{
	unsigned long duration = READ_ONCE(jiffies) - io->start;

	part_stat_lock();
	part_stat_inc(io->bdev, ios[STAT_FLUSH]);
	part_stat_add(io->bdev, nsecs[STAT_FLUSH], jiffies_to_nsecs(duration));
	part_stat_unlock();
}

static void count_start(struct block_io *io, struct bio *bio)
{
	io->op = io_op(bio);
	io->sectors = bio_sectors(bio);
	io->start = jiffies;
	if (io->op != REQ_OP_FLUSH)
		bdev_start_io_acct(io->bdev, io->op, io->start);
}

static void count_end(struct block_io *io)
{
	if (io->op == REQ_OP_FLUSH)
		count_flush(io);
	else
		bdev_end_io_acct(io->bdev, io->op, io->sectors, io->start);
}

static void io_end(struct block_io *io)
{
	struct strata_pr *pr = io->b->disk->pr;

	if (io->counted)
		count_end(io);
	if (unlikely(strata_pr_enforces(pr)))
		pr->ops->end(pr, io->pr_token);
}

/* All parts of the bio have ended. What it said before it went is gone. */
static void block_end_io(struct bio *bio)
{
	struct block_io *io = bio->bi_private;
	struct block *b = io->b;
	struct strata_handle *handle = b->handle;

	bio->bi_end_io = io->end_io;
	bio->bi_private = io->private;
	io_end(io);
	mempool_free(io, &b->ios);
	strata_handle_exit(handle);
	/* This may be the end of the opener, and so of all this. */
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

static void block_clone_end_io(struct bio *bio)
{
	struct block_clone *clone = container_of(bio, struct block_clone, bio);
	struct strata_handle *handle = clone->io.b->handle;
	struct bio *link = clone->link;
	blk_status_t status = bio->bi_status;

	io_end(&clone->io);
	bio_put(bio);
	strata_handle_exit(handle);
	/* It may have another link's error already. */
	if (status)
		link->bi_status = status;
	bio_endio(link);
}

static struct block_io *io_clone(struct block *b, struct bio *bio, gfp_t gfp)
{
	struct block_clone *clone;
	struct bio *copy = bio_alloc_clone(bio->bi_bdev, bio, gfp, &b->clones);

	if (!copy)
		return NULL;
	copy->bi_end_io = block_clone_end_io;
	clone = container_of(copy, struct block_clone, bio);
	clone->link = bio;
	clone->io.clone = copy;
	return &clone->io;
}

static struct block_io *io_alloc(struct block *b, struct bio *bio)
{
	gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct block_io *io;

	if (!(bio->bi_opf & REQ_NOWAIT))
		gfp = GFP_NOIO;
	if (unlikely(bio->bi_end_io == chain_end_io))
		return io_clone(b, bio, gfp);
	/* As the pool would, without its detours. */
	io = kmem_cache_alloc(io_cache, GFP_NOWAIT | __GFP_NOWARN |
			      __GFP_NOMEMALLOC | __GFP_NORETRY);
	if (unlikely(!io))
		io = mempool_alloc(&b->ios, gfp);
	if (likely(io))
		io->clone = NULL;
	return io;
}

static void io_free(struct block_io *io)
{
	if (io->clone)
		bio_put(io->clone);
	else
		mempool_free(io, &io->b->ios);
}

static struct bio *io_hook(struct block_io *io, struct bio *bio)
{
	if (unlikely(io->clone))
		return io->clone;
	io->end_io = bio->bi_end_io;
	io->private = bio->bi_private;
	bio->bi_end_io = block_end_io;
	bio->bi_private = io;
	return bio;
}

static blk_status_t pr_begin(struct block_io *io, struct bio *bio)
{
	struct strata_pr *pr = io->b->disk->pr;

	if (likely(!strata_pr_enforces(pr)))
		return BLK_STS_OK;
	return pr->ops->begin(pr, &io->b->handle->nexus, bio->bi_opf,
			      &io->pr_token);
}

/* Return: the bio to go on with; NULL if it has ended. */
static struct bio *block_hook(struct block *b, struct bio *bio, bool count)
{
	blk_status_t status = BLK_STS_AGAIN;
	struct block_io *io;

	if (strata_handle_enter(b->handle, bio->bi_opf & REQ_NOWAIT))
		goto end;
	io = io_alloc(b, bio);
	if (!io)
		goto exit;
	io->b = b;
	io->bdev = bio->bi_bdev;
	io->counted = count;
	status = pr_begin(io, bio);
	if (status)
		goto free;
	if (count)
		count_start(io, bio);
	return io_hook(io, bio);
free:
	io_free(io);
exit:
	strata_handle_exit(b->handle);
end:
	strata_end(bio, status);
	return NULL;
}

/* Return: the bio may go on; if not, it has ended. */
static bool block_check(struct block *b, struct bio *bio)
{
	if (likely(!b->read_only) || !op_is_write(bio->bi_opf))
		return true;
	if (io_op(bio) == REQ_OP_FLUSH)
		strata_end(bio, BLK_STS_OK);
	else
		bio_io_error(bio);
	return false;
}

/*
 * From here on bios are not counted, so the handle cannot be frozen; but not
 * while it is. Return: the bio may go on; if not, it has ended.
 */
static noinline bool block_untrack(struct block *b, struct bio *bio)
{
	struct strata_handle *handle = b->handle;

	if (strata_handle_enter(handle, bio->bi_opf & REQ_NOWAIT)) {
		strata_end(bio, BLK_STS_AGAIN);
		return false;
	}
	WRITE_ONCE(handle->untracked, true);
	strata_handle_exit(handle);
	return true;
}

/* Return: the bio to go on with; NULL if it has ended. */
static noinline struct bio *block_special(struct block *b, struct bio *bio)
{
	bool count = blk_queue_io_stat(bio->bi_bdev->bd_queue);

	if (!block_check(b, bio))
		return NULL;
	if (count || strata_pr_enforces(b->disk->pr))
		return block_hook(b, bio, count);
	if (!READ_ONCE(b->handle->untracked) && !block_untrack(b, bio))
		return NULL;
	return bio;
}

/**
 * block_submit_bio() - fops->submit_bio
 * @bio: the bio, with its sector on the whole device
 *
 * Context: as submit_bio(); the queue's usage counter is held.
 */
void block_submit_bio(struct bio *bio)
{
	struct block *b = bio->bi_bdev->bd_disk->private_data;
	struct strata_handle *handle = b->handle;

	if (unlikely(b->special) || blk_queue_io_stat(bio->bi_bdev->bd_queue)) {
		bio = block_special(b, bio);
		if (!bio)
			return;
	} else if (unlikely(!READ_ONCE(handle->untracked)) &&
		   !block_untrack(b, bio)) {
		return;
	}
	strata_submit_bio(&handle->nexus, b->disk, bio);
}

static void *io_pool_alloc(gfp_t gfp, void *data)
{
	return kmem_cache_alloc(io_cache, gfp);
}

static void io_pool_free(void *io, void *data)
{
	kmem_cache_free(io_cache, io);
}

/*
 * The records of one device. Pools for all would deadlock a pile of them. Not
 * mempool_alloc_slab(): that wants no constructor.
 */
int block_io_init(struct block *b)
{
	int err = mempool_init(&b->ios, BLOCK_IO_RESERVE, io_pool_alloc,
			       io_pool_free, NULL);

	if (err)
		return err;
	return bioset_init(&b->clones, BIO_POOL_SIZE,
			   offsetof(struct block_clone, bio), 0);
}

/* Harmless on a zeroed @b. */
void block_io_exit(struct block *b)
{
	bioset_exit(&b->clones);
	mempool_exit(&b->ios);
}

/* With a constructor init_on_alloc leaves the record alone. */
static void io_ctor(void *io)
{
}

static void find_chain_end_io(void)
{
	struct bio link, parent;

	bio_init(&link, NULL, NULL, 0, REQ_OP_READ);
	bio_init(&parent, NULL, NULL, 0, REQ_OP_READ);
	bio_chain(&link, &parent);
	chain_end_io = link.bi_end_io;
	bio_uninit(&parent);
	bio_uninit(&link);
}

int block_io_cache_init(void)
{
	find_chain_end_io();
	io_cache = kmem_cache_create("strata_block_io", sizeof(struct block_io),
				     0, 0, io_ctor);
	return io_cache ? 0 : -ENOMEM;
}

void block_io_cache_exit(void)
{
	kmem_cache_destroy(io_cache);
}
