// SPDX-License-Identifier: GPL-2.0
/* file: one command in and out of the file system. */
#include <linux/blkdev.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "file.h"

static struct kmem_cache *cmd_cache;

static void cmd_complete(struct file_cmd *cmd, long ret);

/*
 * A command for @bio, or NULL if it may not wait for one. The mempool, which
 * costs a third more than the slab below it, is only for when that is empty.
 * Should the task have to sleep, commands in its plug go to the lanes.
 */
struct file_cmd *file_cmd_alloc(struct file_disk *fd, struct bio *bio)
{
	struct file_cmd *cmd;

	cmd = kmem_cache_alloc(cmd_cache, GFP_NOWAIT | __GFP_NOWARN);
	if (likely(cmd)) {
		cmd->reserved = false;
		return cmd;
	}
	cmd = mempool_alloc(&fd->cmds, bio->bi_opf & REQ_NOWAIT ?
			    GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO);
	if (cmd)
		cmd->reserved = true;
	return cmd;
}

/* Any context. */
void file_cmd_free(struct file_cmd *cmd)
{
	if (likely(!cmd->reserved))
		kmem_cache_free(cmd_cache, cmd);
	else
		mempool_free(cmd, &cmd->fd->cmds);
}

/* The bio may be the disk's last: touch neither afterwards. Any context. */
void file_cmd_end(struct file_cmd *cmd, blk_status_t status)
{
	struct bio *bio = cmd->bio;

	file_cmd_free(cmd);
	strata_end(bio, status);
}

static long file_enter_read(struct kiocb *iocb, struct iov_iter *iter)
{
	return iocb->ki_filp->f_op->read_iter(iocb, iter);
}

/*
 * In the page cache, the error of one's own data may be told to another that
 * syncs the file at the same time.
 */
static long file_enter_durably(struct kiocb *iocb, struct iov_iter *iter)
{
	struct address_space *mapping =
		container_of(iocb, struct file_cmd, iocb)->fd->mapping;
	errseq_t since = filemap_sample_wb_err(mapping);
	long ret = iocb->ki_filp->f_op->write_iter(iocb, iter);

	if (ret > 0 && !(iocb->ki_flags & IOCB_DIRECT))
		return filemap_check_wb_err(mapping, since) ?: ret;
	return ret;
}

/*
 * On a frozen file system one that may not block goes to the lanes. The size
 * is looked at because a write would make a file grow back that was cut short.
 */
static long file_enter_write(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	struct super_block *sb = file_inode(file)->i_sb;
	long ret;

	if (iocb->ki_pos + iov_iter_count(iter) >
	    i_size_read(file->f_mapping->host))
		return -ENODATA;
	if (!(iocb->ki_flags & IOCB_NOWAIT)) {
		kiocb_start_write(iocb);
	} else {
		if (!sb_start_write_trylock(sb))
			return -EAGAIN;
		__sb_writers_release(sb, SB_FREEZE_WRITE);
	}
	if (unlikely(iocb->ki_flags & IOCB_DSYNC))
		ret = file_enter_durably(iocb, iter);
	else
		ret = file->f_op->write_iter(iocb, iter);
	if (ret != -EIOCBQUEUED)
		kiocb_end_write(iocb);
	return ret;
}

/*
 * A queued command is used by what completes it, and by the file system that
 * queued it and looks at it once more on its way out. The last of them ends it.
 */
static void cmd_put(struct file_cmd *cmd)
{
	/* There is nobody to race with for the last one. */
	if (atomic_read_acquire(&cmd->users) == 1 ||
	    atomic_dec_and_test(&cmd->users))
		cmd_complete(cmd, cmd->ret);
}

static void cmd_iocb_done(struct kiocb *iocb, long ret)
{
	struct file_cmd *cmd = container_of(iocb, struct file_cmd, iocb);

	if (file_cmd_is_write(cmd))
		kiocb_end_write(iocb);
	cmd->ret = ret;
	cmd_put(cmd);
}

/* Write from @from by way of @page of @size bytes, whole sectors only. */
static long cmd_bounce_from(struct file_cmd *cmd, struct iov_iter *from,
			    struct page *page, size_t size)
{
	long done = 0, ret = 0;
	struct iov_iter iter;
	struct bio_vec bv;
	size_t len;

	do {
		len = copy_from_iter(page_address(page), size, from);
		bvec_set_page(&bv, page, len, 0);
		iov_iter_bvec(&iter, ITER_SOURCE, &bv, 1, len);
		ret = file_enter_write(&cmd->iocb, &iter);
		if (ret > 0)
			done += round_down(ret, cmd->fd->sector);
	} while (ret == len && iov_iter_count(from));
	return done ?: min(ret, 0L);
}

/*
 * Direct I/O cannot take the memory as it is. Nor will the page cache do: it
 * reads a page around what is written and writes all of it back, undoing direct
 * writes to the rest of the page that are under way. So copy, and wait.
 */
static long cmd_bounce(struct file_cmd *cmd)
{
	struct file_disk *fd = cmd->fd;
	unsigned int order = get_order(fd->sector);
	struct page *page = alloc_pages(GFP_NOIO, order);
	struct iov_iter from;
	long ret;

	if (!page)
		return -ENOMEM;
	cmd->done = round_down(cmd->done, fd->sector);
	cmd->iocb.ki_pos = file_cmd_pos(cmd);
	cmd->iocb.ki_complete = NULL;
	file_bio_iter(&from, cmd->bio, cmd->done, 0, 0);
	ret = cmd_bounce_from(cmd, &from, page, PAGE_SIZE << order);
	__free_pages(page, order);
	return ret;
}

/* What cannot be read directly for its alignment comes from the page cache. */
static noinline long cmd_misaligned(struct file_cmd *cmd, struct iov_iter *iter)
{
	if (cmd->iocb.ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	if (file_cmd_is_write(cmd))
		return cmd_bounce(cmd);
	cmd->iocb.ki_flags &= ~IOCB_DIRECT;
	return file_enter_read(&cmd->iocb, iter);
}

static long cmd_transfer(struct file_cmd *cmd)
{
	struct file_disk *fd = cmd->fd;
	struct iov_iter iter;
	bool aligned;

	aligned = file_bio_iter(&iter, cmd->bio, cmd->done, fd->mem_mask,
				fd->sector - 1);
	if (unlikely(!aligned) && fd->direct)
		return cmd_misaligned(cmd, &iter);
	return file_cmd_is_write(cmd) ? file_enter_write(&cmd->iocb, &iter) :
					file_enter_read(&cmd->iocb, &iter);
}

/*
 * Read or write what is left, with @flags 0 or IOCB_NOWAIT. The command ends,
 * or is queued for the lanes when not blocking was in the way. Task context, in
 * which a file system may be entered.
 *
 * About reads and writes the security modules and fanotify had their say when
 * the image was opened: asking them again here would ask about whatever task
 * this happens to be, and could wait for a program that itself needs this disk.
 */
void file_cmd_enter(struct file_cmd *cmd, int flags)
{
	struct bio *bio = cmd->bio;
	struct file *file = cmd->fd->file;
	struct kiocb *iocb = &cmd->iocb;
	unsigned int noio;
	long ret;

	if (flags & IOCB_NOWAIT)
		cmd->tried = true;
	if (file_cmd_is_write(cmd))
		flags |= IOCB_WRITE;
	if (bio->bi_opf & REQ_FUA)
		flags |= IOCB_DSYNC;
	iocb->ki_filp = file;
	iocb->ki_pos = file_cmd_pos(cmd);
	iocb->ki_complete = cmd_iocb_done;
	iocb->private = NULL;
	iocb->ki_flags = file->f_iocb_flags | flags;
	iocb->ki_ioprio = bio->bi_ioprio;
	iocb->ki_waitq = NULL;
	atomic_set(&cmd->users, 2);

	noio = memalloc_noio_save();
	ret = cmd_transfer(cmd);
	memalloc_noio_restore(noio);
	if (ret != -EIOCBQUEUED)
		cmd_complete(cmd, ret);
	else
		cmd_put(cmd);
}

/* Did the attempt fail for what a lane has not: NOWAIT, or signals? */
static bool want_lane(long ret)
{
	switch (ret) {
	case 0:
	case -EAGAIN:
	case -EOPNOTSUPP:
	case -EINTR:
	case -ERESTARTSYS:
		return true;
	default:
		return false;
	}
}

/*
 * Not all was transferred. What is left of a short transfer is tried again, and
 * tells why: nothing more means that the file has been cut short underneath.
 */
static void cmd_uneven(struct file_cmd *cmd, long ret)
{
	if (ret > 0 && ret < file_cmd_left(cmd)) {
		cmd->done += ret;
		cmd->tried = true;
		file_cmd_queue(cmd);
	} else if (!cmd->final && want_lane(ret)) {
		file_cmd_queue(cmd);
	} else {
		file_cmd_end(cmd, file_status(ret < 0 ? ret : -ENODATA));
	}
}

/* Any context. */
static void cmd_complete(struct file_cmd *cmd, long ret)
{
	if (likely(ret == file_cmd_left(cmd)))
		file_cmd_end(cmd, BLK_STS_OK);
	else
		cmd_uneven(cmd, ret);
}

int file_cmds_init(struct file_disk *fd)
{
	return mempool_init_slab_pool(&fd->cmds, FILE_RESERVE, cmd_cache);
}

int __init file_io_init(void)
{
	cmd_cache = KMEM_CACHE(file_cmd, 0);
	return cmd_cache ? 0 : -ENOMEM;
}

void file_io_exit(void)
{
	kmem_cache_destroy(cmd_cache);
}
