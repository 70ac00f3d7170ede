// SPDX-License-Identifier: GPL-2.0
/*
 * The I/O path of a block frontend. A bio goes on as it is. Only while
 * queue/iostats is on, or the disk has reservations, is its completion hooked:
 * a small record takes its bi_end_io and bi_private, and is put back in place
 * before the bio ends.
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
 * struct block_io - a bio whose completion is hooked
 * @b: the device
 * @end_io: the bio's own bi_end_io
 * @private: and bi_private
 * @bdev: where it was submitted: the device, or a partition
 * @pr_token: from pr->ops->begin
 * @start: when, in jiffies
 * @sectors: how many
 * @op: its operation, REQ_OP_FLUSH for an empty flush
 * @counted: it is in the I/O statistics
 * @bracketed: @pr_token is to be given back
 */
struct block_io {
	struct block *b;
	bio_end_io_t *end_io;
	void *private;
	struct block_device *bdev;
	void *pr_token;
	unsigned long start;
	unsigned int sectors;
	enum req_op op;
	bool counted;
	bool bracketed;
};

static struct kmem_cache *io_cache;

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
	io->counted = true;
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

/* All parts of the bio have ended. What it said before it went is gone. */
static void block_end_io(struct bio *bio)
{
	struct block_io *io = bio->bi_private;
	struct block *b = io->b;
	struct strata_handle *handle = b->handle;
	struct strata_pr *pr = b->disk->pr;

	bio->bi_end_io = io->end_io;
	bio->bi_private = io->private;
	if (io->counted)
		count_end(io);
	if (io->bracketed)
		pr->ops->end(pr, io->pr_token);
	mempool_free(io, &b->ios);
	strata_handle_exit(handle);
	/* Its end may be that of the opener, and so of all this. */
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

static blk_status_t pr_begin(struct block_io *io, struct bio *bio)
{
	struct strata_pr *pr = io->b->disk->pr;
	blk_status_t status;

	status = pr->ops->begin(pr, &io->b->handle->nexus, bio->bi_opf,
				&io->pr_token);
	io->bracketed = status == BLK_STS_OK;
	return status;
}

static struct block_io *io_alloc(struct block *b, struct bio *bio)
{
	bool nowait = bio->bi_opf & REQ_NOWAIT;
	struct block_io *io;

	if (strata_handle_enter(b->handle, nowait))
		return NULL;
	io = mempool_alloc(&b->ios, nowait ? GFP_NOWAIT | __GFP_NOWARN :
			   GFP_NOIO);
	if (!io)
		strata_handle_exit(b->handle);
	return io;
}

/* Return: the bio may go on; if not, it has ended. */
static bool block_hook(struct block *b, struct bio *bio, bool count)
{
	struct block_io *io = io_alloc(b, bio);
	blk_status_t status;

	if (!io) {
		bio_wouldblock_error(bio);
		return false;
	}
	io->b = b;
	io->bdev = bio->bi_bdev;
	io->counted = false;
	io->bracketed = false;
	if (b->disk->pr) {
		status = pr_begin(io, bio);
		if (status) {
			mempool_free(io, &b->ios);
			strata_handle_exit(b->handle);
			strata_end(bio, status);
			return false;
		}
	}
	if (count)
		count_start(io, bio);
	io->end_io = bio->bi_end_io;
	io->private = bio->bi_private;
	bio->bi_end_io = block_end_io;
	bio->bi_private = io;
	return true;
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

/* Return: the bio may go on; if not, it has ended. */
static noinline bool block_hooked(struct block *b, struct bio *bio)
{
	bool count = blk_queue_io_stat(bio->bi_bdev->bd_queue);

	if (!block_check(b, bio))
		return false;
	if (count || b->disk->pr)
		return block_hook(b, bio, count);
	return true;
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
		if (!block_hooked(b, bio))
			return;
	} else if (unlikely(!READ_ONCE(handle->untracked))) {
		WRITE_ONCE(handle->untracked, true);
	}
	strata_submit_bio(&handle->nexus, b->disk, bio);
}

/* mempool_alloc_slab() refuses a cache with a constructor. */
static void *io_pool_alloc(gfp_t gfp, void *cache)
{
	return kmem_cache_alloc(cache, gfp);
}

static void io_pool_free(void *io, void *cache)
{
	kmem_cache_free(cache, io);
}

/* The records of one device. A pool for all would deadlock a pile of them. */
int block_io_init(struct block *b)
{
	return mempool_init(&b->ios, BLOCK_IO_RESERVE, io_pool_alloc,
			    io_pool_free, io_cache);
}

/* Harmless on a zeroed @b. */
void block_io_exit(struct block *b)
{
	mempool_exit(&b->ios);
}

/* With a constructor init_on_alloc leaves the record alone. */
static void io_ctor(void *p)
{
}

int block_io_cache_init(void)
{
	io_cache = kmem_cache_create("strata_block_io", sizeof(struct block_io),
				     0, 0, io_ctor);
	return io_cache ? 0 : -ENOMEM;
}

void block_io_cache_exit(void)
{
	kmem_cache_destroy(io_cache);
}
