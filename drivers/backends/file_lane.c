// SPDX-License-Identifier: GPL-2.0
/*
 * file: the lanes, a disk's workers. They do what may block, and what comes
 * from where a file system cannot be entered.
 *
 * One lane at a time looks at the queue and asks the file system not to block.
 * Before it does block it gets another one to go on, so there are as many as
 * there is to wait for.
 */
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/export.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include "file.h"

/* Get one more to look at the queue. Called with fd->lock held. */
static void lane_start(struct file_disk *fd)
{
	unsigned int i;

	lockdep_assert_held(&fd->lock);
	if (!fd->idle)
		return;
	i = __ffs(fd->idle);
	__clear_bit(i, &fd->idle);
	fd->active++;
	queue_work(fd->disk->parts, &fd->lanes[i].work);
}

/* Leave a command to the lanes. Any context. */
void file_cmd_queue(struct file_cmd *cmd)
{
	struct file_disk *fd = cmd->fd;
	unsigned long flags;

	spin_lock_irqsave(&fd->lock, flags);
	list_add_tail(&cmd->list, &fd->queue);
	if (!fd->active)
		lane_start(fd);
	spin_unlock_irqrestore(&fd->lock, flags);
}

/*
 * Errors of writeback are told once for all that syncs the file: FUA writes,
 * and flushes at the same time. Only a flush that fails may take them off the
 * flushes after it, so these have a cursor of their own.
 */
static long cmd_flush(struct file_disk *fd)
{
	errseq_t since = READ_ONCE(fd->flushed);
	int err = vfs_fsync_range(fd->file, 0, LLONG_MAX, 1);
	int lost = filemap_check_wb_err(fd->mapping, since);

	if (unlikely(lost)) {
		spin_lock_irq(&fd->lock);
		errseq_check_and_advance(&fd->mapping->wb_err, &fd->flushed);
		spin_unlock_irq(&fd->lock);
	}
	return err ?: lost;
}

static long cmd_range(struct file_cmd *cmd)
{
	struct file *file = cmd->fd->file;
	loff_t pos = file_cmd_pos(cmd);
	loff_t len = file_cmd_left(cmd);

	if (!len)
		return 0;
	if (pos + len > i_size_read(file->f_mapping->host))
		return -ENODATA;
	return vfs_fallocate(file, file_range_mode(cmd->fd, cmd->bio), pos,
			     len);
}

/* Without a native way to zero the bio comes back to map, which writes. */
static void cmd_no_zero_range(struct file_cmd *cmd)
{
	struct strata_disk *disk = cmd->fd->disk;
	struct bio *bio = cmd->bio, *payer = cmd->payer;

	WRITE_ONCE(cmd->fd->no_zero_range, true);
	file_cmd_free(cmd);
	strata_submit_for(NULL, payer, disk, bio);
}

static void cmd_run(struct file_cmd *cmd)
{
	struct file_disk *fd = cmd->fd;
	struct bio *bio = cmd->bio;
	long err;

	if (file_is_transfer(bio)) {
		cmd->final = true;
		file_cmd_enter(cmd, 0);
		return;
	}
	if (bio_op(bio) == REQ_OP_WRITE)
		err = cmd_flush(fd);
	else
		err = cmd_range(cmd);
	if (err == -EOPNOTSUPP && file_is_zero_range(fd, bio))
		cmd_no_zero_range(cmd);
	else
		file_cmd_end(cmd, file_status(err));
}

/*
 * The lane is about to block, or back. When none is left to look at the queue
 * another one starts, so that one slow command does not hold up the others.
 */
static void lane_block(struct file_disk *fd)
{
	spin_lock_irq(&fd->lock);
	fd->active--;
	if (!fd->active && !list_empty(&fd->queue))
		lane_start(fd);
	spin_unlock_irq(&fd->lock);
}

static void lane_unblock(struct file_disk *fd)
{
	spin_lock_irq(&fd->lock);
	fd->active++;
	spin_unlock_irq(&fd->lock);
}

static void lane_run(struct file_disk *fd, struct file_cmd *cmd)
{
	if (file_is_transfer(cmd->bio) && !cmd->tried &&
	    file_cmd_can_nowait(cmd)) {
		file_cmd_enter(cmd, IOCB_NOWAIT);
		return;
	}
	lane_block(fd);
	cmd_run(cmd);
	lane_unblock(fd);
}

#if defined(CONFIG_BLK_CGROUP) && defined(CONFIG_MEMCG)

/* Run a command at the expense of the cgroup that its bio came from. */
static void lane_charge(struct file_disk *fd, struct file_cmd *cmd)
{
	struct cgroup_subsys_state *css = bio_blkcg_css(cmd->payer);
	struct cgroup_subsys_state *memcg_css;
	struct mem_cgroup *old;

	/* The root group is what a worker is in anyway. */
	if (!css || !css->parent) {
		lane_run(fd, cmd);
		return;
	}
	memcg_css = cgroup_get_e_css(css->cgroup, &memory_cgrp_subsys);
	kthread_associate_blkcg(css);
	old = set_active_memcg(mem_cgroup_from_css(memcg_css));
	lane_run(fd, cmd);
	set_active_memcg(old);
	kthread_associate_blkcg(NULL);
	css_put(memcg_css);
}

#else

static void lane_charge(struct file_disk *fd, struct file_cmd *cmd)
{
	lane_run(fd, cmd);
}

#endif

static struct file_cmd *lane_next(struct file_lane *lane)
{
	struct file_disk *fd = lane->fd;
	struct file_cmd *cmd;

	spin_lock_irq(&fd->lock);
	cmd = list_first_entry_or_null(&fd->queue, struct file_cmd, list);
	if (cmd) {
		list_del(&cmd->list);
	} else {
		fd->active--;
		__set_bit(lane - fd->lanes, &fd->idle);
	}
	spin_unlock_irq(&fd->lock);
	return cmd;
}

/*
 * Here allocations, quota and permissions are the opener's business, as they
 * are in a program that opened the file. Writes are throttled by the device
 * below alone: what dirties its pages may be the cleaning of others.
 */
static void lane_work(struct work_struct *work)
{
	struct file_lane *lane = container_of(work, struct file_lane, work);
	unsigned int flags = current->flags;
	const struct cred *old = override_creds(lane->fd->file->f_cred);
	struct file_cmd *cmd;
	struct blk_plug plug;

	current->flags |= PF_LOCAL_THROTTLE | PF_MEMALLOC_NOIO;
	blk_start_plug(&plug);
	while ((cmd = lane_next(lane)))
		lane_charge(lane->fd, cmd);
	blk_finish_plug(&plug);
	current_restore_flags(flags, PF_LOCAL_THROTTLE | PF_MEMALLOC_NOIO);
	revert_creds(old);
}

/* Make @disk, which is not live yet, one on the open @fd: 0 or -ENOMEM. */
int file_disk_start(struct file_disk *fd, struct strata_disk *disk)
{
	unsigned int i;

	fd->disk = disk;
	disk->private = fd;
	spin_lock_init(&fd->lock);
	INIT_LIST_HEAD(&fd->queue);
	/* A file of an overlay has its pages elsewhere. */
	fd->mapping = d_real_inode(fd->file->f_path.dentry)->i_mapping;
	fd->flushed = filemap_sample_wb_err(fd->mapping);
	for (i = 0; i < FILE_LANES; i++) {
		fd->lanes[i].fd = fd;
		INIT_WORK(&fd->lanes[i].work, lane_work);
		__set_bit(i, &fd->idle);
	}
	return file_cmds_init(fd);
}
EXPORT_SYMBOL_NS_GPL(file_disk_start, STRATA);

/* No bio is in flight, but a lane may not have noticed yet. */
void file_disk_stop(struct file_disk *fd)
{
	flush_workqueue(fd->disk->parts);
	mempool_exit(&fd->cmds);
}
EXPORT_SYMBOL_NS_GPL(file_disk_stop, STRATA);
