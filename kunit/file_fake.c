// SPDX-License-Identifier: GPL-2.0
/* A file disk on a scripted file; see file_fake.h. */
#include <linux/delay.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <strata/test.h>
#include "fake_disk.h"
#include "file_fake.h"

static struct file_fake *to_fake(struct file *file)
{
	return file->private_data;
}

static void note(struct file_fake *ff, const struct kiocb *iocb,
		 const struct iov_iter *iter)
{
	struct file_entry *e;

	if (ff->nr_log == ARRAY_SIZE(ff->log))
		return;
	e = &ff->log[ff->nr_log];
	e->flags = iocb->ki_flags;
	e->pos = iocb->ki_pos;
	e->count = iov_iter_count(iter);
	e->align = iov_iter_alignment(iter);
	e->worker = current->flags & PF_WQ_WORKER;
	e->outside = !current->bio_list && !current->journal_info &&
		     (current->flags & PF_MEMALLOC_NOIO);
	/* Pairs with file_fake_wait_calls(). */
	smp_store_release(&ff->nr_log, ff->nr_log + 1);
}

static struct file_step next_step(struct file_fake *ff, struct kiocb *iocb,
				  struct iov_iter *iter)
{
	struct file_step step = { .how = FILE_NOW, .ret = FILE_ALL };
	unsigned long flags;

	spin_lock_irqsave(&ff->lock, flags);
	note(ff, iocb, iter);
	if (ff->next_step < ff->nr_steps)
		step = ff->steps[ff->next_step++];
	spin_unlock_irqrestore(&ff->lock, flags);
	return step;
}

static long copy(struct file_fake *ff, struct kiocb *iocb,
		 struct iov_iter *iter, long most)
{
	size_t len = min_t(size_t, iov_iter_count(iter), most);
	char *data = ff->data + iocb->ki_pos;

	if (iov_iter_rw(iter) == WRITE)
		return copy_from_iter(data, len, iter);
	return copy_to_iter(data, len, iter);
}

static enum hrtimer_restart fake_timer(struct hrtimer *timer)
{
	struct file_fake *ff = container_of(timer, struct file_fake, timer);

	ff->queued->ki_complete(ff->queued, ff->queued_ret);
	return HRTIMER_NORESTART;
}

/* Writeback of something has failed with @err, and nobody knows yet. */
void file_fake_lose(struct file_fake *ff, int err)
{
	filemap_set_wb_err(ff->file->f_mapping, err);
}

/* What a file system does when it is asked for durability. */
static int fake_sync(struct file_fake *ff)
{
	bool wait;
	int err = file_check_and_advance_wb_err(ff->file);

	spin_lock_irq(&ff->lock);
	wait = ff->fsync_gates;
	if (wait)
		ff->fsync_gates--;
	spin_unlock_irq(&ff->lock);
	if (wait)
		wait_for_completion_timeout(&ff->gate, FAKE_TIMEOUT);
	return err;
}

/* The answer is @ret, which is told later or was told before. */
static void tell(struct file_fake *ff, struct kiocb *iocb, enum file_how how,
		 long ret)
{
	if (how == FILE_EARLY) {
		iocb->ki_complete(iocb, ret);
		if (READ_ONCE(iocb->ki_filp) != ff->file)
			ff->stale = true;
		return;
	}
	ff->queued = iocb;
	ff->queued_ret = ret;
	hrtimer_start(&ff->timer, 200 * NSEC_PER_USEC, HRTIMER_MODE_REL_HARD);
}

static ssize_t fake_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file_fake *ff = to_fake(iocb->ki_filp);
	struct file_step step = next_step(ff, iocb, iter);
	long ret = step.ret;

	if (step.how == FILE_GATE)
		wait_for_completion_timeout(&ff->gate, FAKE_TIMEOUT);
	if (ret > 0)
		ret = copy(ff, iocb, iter, ret);
	if (step.how == FILE_LOST) {
		file_fake_lose(ff, -EIO);
		fake_sync(ff);
	}
	if (step.how == FILE_IRQ || step.how == FILE_EARLY) {
		tell(ff, iocb, step.how, ret);
		return -EIOCBQUEUED;
	}
	if (ret > 0)
		iocb->ki_pos += ret;
	if (ret > 0 && iocb_is_dsync(iocb))
		return fake_sync(ff) ?: ret;
	return ret;
}

static int fake_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return fake_sync(to_fake(file));
}

static long fake_fallocate(struct file *file, int mode, loff_t pos, loff_t len)
{
	struct file_fake *ff = to_fake(file);

	ff->ranges++;
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		return -EIO;
	if ((mode & FALLOC_FL_ZERO_RANGE) && ff->no_zero_range)
		return -EOPNOTSUPP;
	memset(ff->data + pos, 0, len);
	return 0;
}

static const struct file_operations fake_fops = {
	.owner = THIS_MODULE,
	.read_iter = fake_iter,
	.write_iter = fake_iter,
	.fsync = fake_fsync,
	.fallocate = fake_fallocate,
};

static const struct strata_disk_ops fake_ops = {
	.native_fua = true,
	.map = file_disk_map,
};

static void file_fake_free(void *data)
{
	struct file_fake *ff = data;

	if (ff->fd && ff->fd->disk)
		file_disk_stop(ff->fd);
	strata_disk_free(ff->disk);
	hrtimer_cancel(&ff->timer);
	if (ff->file) {
		ff->file->f_op = ff->real;
		ff->file->private_data = NULL;
		fput(ff->file);
	}
	kfree(ff->fd);
	vfree(ff->data);
	kfree(ff);
}

static void make_file(struct kunit *test, struct file_fake *ff, bool nowait)
{
	struct file *file = shmem_file_setup("strata", FILE_FAKE_BYTES, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	ff->file = file;
	ff->real = file->f_op;
	file->f_op = &fake_fops;
	file->private_data = ff;
	file->f_iocb_flags |= IOCB_DIRECT;
	if (nowait)
		file->f_mode |= FMODE_NOWAIT;
}

/**
 * file_fake_new() - a file and its disk
 * @test: the test; both go with it
 * @nowait: the file system can be asked not to block
 */
struct file_fake *file_fake_new(struct kunit *test, bool nowait)
{
	struct file_fake *ff = kzalloc(sizeof(*ff), GFP_KERNEL);
	const char *why;

	KUNIT_ASSERT_NOT_NULL(test, ff);
	spin_lock_init(&ff->lock);
	init_completion(&ff->gate);
	hrtimer_init(&ff->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	ff->timer.function = fake_timer;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, file_fake_free, ff), 0);

	ff->data = vzalloc(FILE_FAKE_BYTES);
	ff->fd = kzalloc(sizeof(*ff->fd), GFP_KERNEL);
	ff->disk = strata_disk_alloc("file.fake");
	KUNIT_ASSERT_TRUE(test, ff->data && ff->fd && ff->disk);
	make_file(test, ff, nowait);

	ff->fd->file = ff->file;
	ff->fd->size = FILE_FAKE_BYTES;
	ff->fd->sector = SECTOR_SIZE;
	ff->fd->mem_mask = 3;
	ff->fd->direct = true;
	ff->fd->writable = true;
	ff->fd->punch = true;
	ff->fd->nowait_read = nowait;
	ff->fd->nowait_write = nowait;
	KUNIT_ASSERT_EQ(test, file_disk_start(ff->fd, ff->disk), 0);
	ff->disk->capacity = FILE_FAKE_BYTES >> SECTOR_SHIFT;
	ff->disk->unmap = STRATA_UNMAP_ZEROES;
	KUNIT_ASSERT_EQ(test, strata_disk_ready(ff->disk, &fake_ops, &why), 0);
	return ff;
}

/* The answers to the calls to come. @steps stays the caller's. */
void file_fake_script(struct file_fake *ff, const struct file_step *steps,
		      unsigned int nr)
{
	spin_lock_irq(&ff->lock);
	ff->steps = steps;
	ff->nr_steps = nr;
	ff->next_step = 0;
	ff->nr_log = 0;
	spin_unlock_irq(&ff->lock);
}

/* Wait until the file system has been called @nr times since the script. */
bool file_fake_wait_calls(struct file_fake *ff, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		/* Pairs with note(). */
		if (smp_load_acquire(&ff->nr_log) >= nr)
			return true;
		msleep(20);
	}
	return false;
}
