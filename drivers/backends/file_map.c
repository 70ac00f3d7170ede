// SPDX-License-Identifier: GPL-2.0
/*
 * file: the ways of a bio into the file system.
 *
 * A file system must not be entered from inside submit_bio, because what it
 * submits there waits for the task to come out of it, nor from inside another
 * file system. So a bio takes one of these ways:
 *
 * - An engine's worker, which is in neither, goes straight in.
 * - A bio that user space sent to the block frontend goes in too: nobody above
 *   it holds a lock, and no other bio waits for this submission to end.
 * - Other bios of the block frontend wait for the submitter's plug. When that
 *   is finished outside of any file system they go in from there.
 * - All else, and whatever would block on these ways, goes to the lanes:
 *   workers that may block.
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/export.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "file.h"

/* The task may be inside a file system, or its memory reclaim. */
#define PF_BUSY (PF_MEMALLOC | PF_MEMALLOC_NOFS)

/*
 * Enter the file system from a task that is in none. Where it cannot be asked
 * not to block, that is left to those that hold no lock and do not mind. A
 * user's limit on the size of files is none on the size of disks.
 */
static void cmd_start(struct file_cmd *cmd, bool may_block)
{
	const struct cred *old;

	if (file_cmd_is_write(cmd) && rlimit(RLIMIT_FSIZE) != RLIM_INFINITY) {
		file_cmd_queue(cmd);
	} else if (likely(file_cmd_can_nowait(cmd))) {
		file_cmd_enter(cmd, IOCB_NOWAIT);
	} else if (may_block && cmd->fd->direct) {
		old = override_creds(cmd->fd->file->f_cred);
		file_cmd_enter(cmd, 0);
		revert_creds(old);
	} else {
		file_cmd_queue(cmd);
	}
}

/**
 * struct file_plug - commands of all disks that wait for a task's plug
 * @cb: the block layer's part
 * @cmds: struct file_cmd
 * @ready: @cmds is initialised
 * @lanes: they all have to go to the lanes
 * @running: file_unplug() is at work on this one
 * @listed: @cb is in the task's plug while that is so
 */
struct file_plug {
	struct blk_plug_cb cb;
	struct list_head cmds;
	bool ready;
	bool lanes;
	bool running;
	bool listed;
};

static struct file_cmd *plug_next(struct file_plug *fp)
{
	struct file_cmd *cmd = list_first_entry_or_null(&fp->cmds,
							struct file_cmd, list);

	if (cmd)
		list_del(&cmd->list);
	return cmd;
}

static bool plug_may_enter(const struct file_plug *fp)
{
	return !fp->lanes && !current->bio_list && !current->journal_info &&
	       !(current->flags & (PF_BUSY | PF_MEMALLOC_NOIO));
}

/*
 * The plug is flushed. While one command is in the file system the others stay
 * in the plug, where they are found should the task have to sleep: what it
 * waits for may need them.
 */
static void file_unplug(struct blk_plug_cb *cb, bool from_schedule)
{
	struct file_plug *fp = container_of(cb, struct file_plug, cb);
	struct file_cmd *cmd;

	if (from_schedule || !plug_may_enter(fp)) {
		while ((cmd = plug_next(fp)))
			file_cmd_queue(cmd);
		fp->listed = false;
		if (!fp->running)
			kfree(fp);
		return;
	}
	fp->running = true;
	fp->listed = true;
	list_add(&cb->list, &current->plug->cb_list);
	while ((cmd = plug_next(fp)))
		cmd_start(cmd, false);
	if (fp->listed)
		list_del(&cb->list);
	kfree(fp);
}

/*
 * Leave the command to the task's plug. Callbacks of other drivers that were
 * there before run after ours, and would not be found by a task that sleeps in
 * it; then it had better not go into a file system.
 */
static bool plug_add(struct file_cmd *cmd)
{
	bool first = current->plug && list_empty(&current->plug->cb_list);
	struct file_plug *fp;
	struct blk_plug_cb *cb;

	cb = blk_check_plugged(file_unplug, NULL, sizeof(*fp));
	if (!cb)
		return false;
	fp = container_of(cb, struct file_plug, cb);
	if (!fp->ready) {
		INIT_LIST_HEAD(&fp->cmds);
		fp->lanes = !first;
		fp->ready = true;
	}
	list_add_tail(&cmd->list, &fp->cmds);
	return true;
}

/*
 * Inside submit_bio: is the bio straight from user space? A file system, md,
 * dm or swap above would hold the device exclusively. And is it the only one
 * here? Then nothing needs the list that submit_bio keeps.
 */
static bool is_user_bio(const struct bio *root)
{
	const struct bio_list *lists = current->bio_list;

	return root->bi_bdev && !READ_ONCE(root->bi_bdev->bd_holder) &&
	       bio_list_empty(&lists[0]) && bio_list_empty(&lists[1]) &&
	       !(current->flags & PF_MEMALLOC_NOIO);
}

static void cmd_dispatch(struct file_cmd *cmd, const struct bio *root)
{
	struct bio_list *lists = current->bio_list;
	bool may_block = !(cmd->bio->bi_opf & REQ_NOWAIT);

	if (unlikely(current->journal_info || (current->flags & PF_BUSY))) {
		if (!lists || !plug_add(cmd))
			file_cmd_queue(cmd);
	} else if (!lists) {
		cmd_start(cmd, may_block);
	} else if (is_user_bio(root)) {
		current->bio_list = NULL;
		cmd_start(cmd, may_block);
		current->bio_list = lists;
	} else if (!plug_add(cmd)) {
		file_cmd_queue(cmd);
	}
}

/* A bio without data, or to be zeroed: has map dealt with it? */
static bool map_special(struct strata_ctx *ctx, struct strata_disk *disk,
			struct bio *bio)
{
	const struct file_disk *fd = disk->private;

	if (bio_op(bio) == REQ_OP_READ ||
	    (bio_op(bio) == REQ_OP_WRITE && !op_is_flush(bio->bi_opf))) {
		strata_end(bio, BLK_STS_OK);
		return true;
	}
	if (READ_ONCE(fd->no_zero_range) && file_is_zero_range(fd, bio)) {
		strata_zero_fill(ctx, disk, bio);
		return true;
	}
	return false;
}

/* strata_disk_ops.map */
enum strata_map file_disk_map(struct strata_ctx *ctx, struct strata_disk *disk,
			      struct bio *bio)
{
	struct file_disk *fd = disk->private;
	bool transfer = file_is_transfer(bio);
	struct file_cmd *cmd;

	if (unlikely(!transfer) && map_special(ctx, disk, bio))
		return STRATA_SUBMITTED;
	cmd = file_cmd_alloc(fd, bio);
	if (unlikely(!cmd))
		return strata_end(bio, BLK_STS_AGAIN);
	cmd->fd = fd;
	cmd->bio = bio;
	cmd->payer = ctx->payer;
	cmd->done = 0;
	cmd->tried = false;
	cmd->final = false;
	if (likely(transfer))
		cmd_dispatch(cmd, ctx->root);
	else
		file_cmd_queue(cmd);
	return STRATA_SUBMITTED;
}
EXPORT_SYMBOL_NS_GPL(file_disk_map, STRATA);
