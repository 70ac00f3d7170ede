/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_FILE_H
#define STRATA_FILE_H
/* file: what its parts share. */
#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/errseq.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include <strata/submit.h>

struct strata_node;
struct strata_path_claim;

/* More bios than this cannot block in the file system at the same time. */
#define FILE_LANES 16

/* Bios that make progress when there is no memory */
#define FILE_RESERVE 64

/**
 * struct file_lane - one worker of a disk: a work item that takes queued bios
 * @work: runs on the disk's own workqueue
 * @fd: the disk
 */
struct file_lane {
	struct work_struct work;
	struct file_disk *fd;
};

/**
 * struct file_disk - an open image and, while live, its disk
 * @file: the image
 * @claim: the claim on it
 * @size: bytes, as they were when it was opened
 * @sector: logical sector size in bytes
 * @physical: physical sector size in bytes
 * @block: what the file system allocates and frees, in bytes
 * @mem_mask: alignment of memory that direct I/O asks for, minus one
 * @direct: past the page cache
 * @writable: opened for writing
 * @punch: the file system can punch holes
 * @nowait_read: it can read without blocking
 * @nowait_write: it can write without blocking
 * @no_zero_range: it said that it cannot zero a range in place
 * @mapping: where errors of writeback are kept
 * @flushed: those of them that a flush has told; changed under @lock
 * @disk: the live disk
 * @cmds: struct file_cmd, in reserve
 * @lock: protects @queue, @active and @idle; irq-safe
 * @queue: commands that wait for a lane
 * @active: lanes that look at @queue, or are about to
 * @idle: a bit for each lane that has nothing to do
 * @lanes: the workers
 */
struct file_disk {
	struct file *file;
	struct strata_path_claim *claim;
	loff_t size;
	unsigned int sector;
	unsigned int physical;
	unsigned int block;
	unsigned int mem_mask;
	bool direct;
	bool writable;
	bool punch;
	bool nowait_read;
	bool nowait_write;
	bool no_zero_range;
	struct address_space *mapping;
	errseq_t flushed;

	struct strata_disk *disk;
	mempool_t cmds;
	spinlock_t lock; /* protects queue, active, idle */
	struct list_head queue;
	unsigned int active;
	unsigned long idle;
	struct file_lane lanes[FILE_LANES];
};

/**
 * struct file_cmd - one bio under way
 * @iocb: what the file system sees
 * @fd: the disk
 * @bio: the bio; its bi_iter stays as it came
 * @payer: the bio whose cgroup pays, which does not end before @bio
 * @users: 2 when the file system gets it: see cmd_put()
 * @ret: what became of it, if it was queued there
 * @done: bytes of @bio that have been transferred
 * @tried: not again without blocking
 * @final: a lane has it, which can wait for all there is to wait for
 * @reserved: it came from the disk's mempool
 * @list: in a plug or in the queue of the lanes
 */
struct file_cmd {
	struct kiocb iocb;
	struct file_disk *fd;
	struct bio *bio;
	struct bio *payer;
	atomic_t users;
	unsigned int done;
	long ret;
	bool tried;
	bool final;
	bool reserved;
	struct list_head list;
};

/**
 * file_bio_iter() - the data of a bio as an iov_iter, from any byte on
 * @iter: filled in
 * @bio: a READ or WRITE
 * @done: bytes to leave out at the start, less than the bio has
 * @mem_mask: wanted alignment of memory, minus one
 * @len_mask: wanted alignment of lengths, minus one
 *
 * Context: any. @iter points into the bvecs of @bio.
 * Return: true if every bvec is aligned as wanted.
 */
static inline bool file_bio_iter(struct iov_iter *iter, struct bio *bio,
				 unsigned int done, unsigned int mem_mask,
				 unsigned int len_mask)
{
	const struct bio_vec *first = __bvec_iter_bvec(bio->bi_io_vec,
						       bio->bi_iter);
	unsigned int skip = bio->bi_iter.bi_bvec_done;
	unsigned int left = bio->bi_iter.bi_size;
	unsigned int mem = 0, lens = 0;
	const struct bio_vec *bv = first;

	/* A clone has no bi_vcnt: count, and look at each on the way. */
	do {
		unsigned int len = min(bv->bv_len - skip, left);

		mem |= bv->bv_offset + skip;
		lens |= len;
		left -= len;
		skip = 0;
		bv++;
	} while (left);

	iov_iter_bvec(iter, op_is_write(bio_op(bio)) ? ITER_SOURCE : ITER_DEST,
		      first, bv - first, bio->bi_iter.bi_size);
	iter->iov_offset = bio->bi_iter.bi_bvec_done;
	if (unlikely(done))
		iov_iter_advance(iter, done);
	return !(mem & mem_mask) && !((lens | done) & len_mask);
}

/**
 * file_status() - what to end a bio with
 * @err: 0 or a negative errno from the file system; -ENODATA where a transfer
 *	met the end of the file
 *
 * A full quota is no less a lack of space than a full device.
 *
 * Context: any.
 * Return: the status.
 */
static inline blk_status_t file_status(long err)
{
	return errno_to_blk_status(err == -EDQUOT ? -ENOSPC : err);
}

static inline bool file_cmd_is_write(const struct file_cmd *cmd)
{
	return op_is_write(bio_op(cmd->bio));
}

static inline loff_t file_cmd_pos(const struct file_cmd *cmd)
{
	return (cmd->bio->bi_iter.bi_sector << SECTOR_SHIFT) + cmd->done;
}

static inline unsigned int file_cmd_left(const struct file_cmd *cmd)
{
	return cmd->bio->bi_iter.bi_size - cmd->done;
}

/* Can the file system be asked not to block on this one? */
static inline bool file_cmd_can_nowait(const struct file_cmd *cmd)
{
	return file_cmd_is_write(cmd) ? cmd->fd->nowait_write :
					cmd->fd->nowait_read;
}

/* A read or write with data; all else is a flush or a range. */
static inline bool file_is_transfer(struct bio *bio)
{
	return (bio_op(bio) == REQ_OP_READ || bio_op(bio) == REQ_OP_WRITE) &&
	       bio->bi_iter.bi_size;
}

/* How a DISCARD or WRITE_ZEROES is said to the file system */
static inline int file_range_mode(const struct file_disk *fd, struct bio *bio)
{
	if (bio_op(bio) == REQ_OP_DISCARD ||
	    (fd->punch && !(bio->bi_opf & REQ_NOUNMAP)))
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
}

static inline bool file_is_zero_range(const struct file_disk *fd,
				      struct bio *bio)
{
	return bio_op(bio) == REQ_OP_WRITE_ZEROES &&
	       (file_range_mode(fd, bio) & FALLOC_FL_ZERO_RANGE);
}

/* file_io.c */
int file_io_init(void);
void file_io_exit(void);
int file_cmds_init(struct file_disk *fd);
void file_cmd_enter(struct file_cmd *cmd, int flags);
struct file_cmd *file_cmd_alloc(struct file_disk *fd, struct bio *bio);
void file_cmd_free(struct file_cmd *cmd);
void file_cmd_end(struct file_cmd *cmd, blk_status_t status);

/* file_lane.c */
void file_cmd_queue(struct file_cmd *cmd);
int file_disk_start(struct file_disk *fd, struct strata_disk *disk);
void file_disk_stop(struct file_disk *fd);

/* file_map.c */
enum strata_map file_disk_map(struct strata_ctx *ctx, struct strata_disk *disk,
			      struct bio *bio);

#endif /* STRATA_FILE_H */
