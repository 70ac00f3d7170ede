// SPDX-License-Identifier: GPL-2.0
/* file: how bios get into a file system and what becomes of its answers. */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "conformance.h"
#include "fake_disk.h"
#include "file_fake.h"

/* A write of 8 sectors at sector 8, and what is in the file then. */
static blk_status_t put(struct kunit *test, struct file_fake *ff)
{
	void *buf = fake_buffer(test, 4096, 8, 1);
	blk_status_t status = fake_rw(test, ff->disk, REQ_OP_WRITE, 8, buf, 4096);

	if (!status)
		KUNIT_EXPECT_EQ(test, memcmp(ff->data + 4096, buf, 4096), 0);
	return status;
}

/* The same for a read. */
static blk_status_t get(struct kunit *test, struct file_fake *ff)
{
	void *buf = fake_buffer(test, 4096, 0, 0);
	blk_status_t status;

	fake_pattern(ff->data + 4096, 4096, 8, 2);
	status = fake_rw(test, ff->disk, REQ_OP_READ, 8, buf, 4096);
	if (!status)
		KUNIT_EXPECT_EQ(test, memcmp(ff->data + 4096, buf, 4096), 0);
	return status;
}

/* The data of a bio, whole, from the middle, split and cloned. */
static void iter(struct kunit *test)
{
	char *buf = fake_buffer(test, 3 * PAGE_SIZE, 0, 1);
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE, 0, buf,
					   3 * PAGE_SIZE);
	char *got = fake_buffer(test, 3 * PAGE_SIZE, 0, 0);
	struct bio *bio = &fb->bio, *clone;
	struct iov_iter it;
	unsigned int done;

	KUNIT_EXPECT_TRUE(test, file_bio_iter(&it, bio, 0, 511, 511));
	KUNIT_EXPECT_EQ(test, iov_iter_count(&it), 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, iov_iter_rw(&it), WRITE);

	bio_advance(bio, 5 * 512);
	clone = bio_alloc_clone(NULL, bio, GFP_KERNEL, &fs_bio_set);
	KUNIT_ASSERT_NOT_NULL(test, clone);
	bio_trim(clone, 1, 14);
	for (done = 0; done < 14 * 512; done += 777) {
		size_t len = 14 * 512 - done;

		file_bio_iter(&it, clone, done, 511, 511);
		KUNIT_EXPECT_EQ(test, iov_iter_count(&it), len);
		memset(got, 0, len);
		KUNIT_EXPECT_EQ(test, copy_from_iter(got, len, &it), len);
		KUNIT_EXPECT_EQ(test, memcmp(got, buf + 6 * 512 + done, len), 0);
	}
	bio_put(clone);
}

/* What direct I/O cannot take is told. */
static void alignment(struct kunit *test)
{
	char *buf = fake_buffer(test, 2 * PAGE_SIZE, 0, 1);
	struct fake_bio *fb;
	struct iov_iter it;

	fb = fake_bio_new(test, REQ_OP_READ, 0, buf + 4, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, file_bio_iter(&it, &fb->bio, 0, 511, 511));
	/* In two bvecs of lengths that are no multiple of 512 */
	KUNIT_EXPECT_FALSE(test, file_bio_iter(&it, &fb->bio, 0, 3, 511));
	KUNIT_EXPECT_TRUE(test, file_bio_iter(&it, &fb->bio, 0, 3, 3));
	fb = fake_bio_new(test, REQ_OP_READ, 0, buf, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, file_bio_iter(&it, &fb->bio, 512, 511, 511));
	KUNIT_EXPECT_FALSE(test, file_bio_iter(&it, &fb->bio, 100, 511, 511));
}

static void status(struct kunit *test)
{
	FAKE_EXPECT_STS(test, file_status(0), BLK_STS_OK);
	FAKE_EXPECT_STS(test, file_status(-EIO), BLK_STS_IOERR);
	FAKE_EXPECT_STS(test, file_status(-ENOSPC), BLK_STS_NOSPC);
	FAKE_EXPECT_STS(test, file_status(-EDQUOT), BLK_STS_NOSPC);
	FAKE_EXPECT_STS(test, file_status(-ENODATA), BLK_STS_MEDIUM);
	FAKE_EXPECT_STS(test, file_status(-EFBIG), BLK_STS_IOERR);
	FAKE_EXPECT_STS(test, file_status(-EROFS), BLK_STS_IOERR);
}

/* From an engine: straight in, without blocking where that can be had. */
static void straight(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);

	FILE_SCRIPT(ff, { FILE_NOW, FILE_ALL }, { FILE_IRQ, FILE_ALL });
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_OK);
	FAKE_EXPECT_STS(test, get(test, ff), BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, ff->nr_log, 2);
	KUNIT_EXPECT_FALSE(test, ff->log[0].worker);
	KUNIT_EXPECT_FALSE(test, ff->log[1].worker);
	KUNIT_EXPECT_TRUE(test, ff->log[0].outside);
	KUNIT_EXPECT_EQ(test, ff->log[0].pos, 4096);
	KUNIT_EXPECT_EQ(test, ff->log[0].flags, IOCB_DIRECT | IOCB_NOWAIT |
			IOCB_WRITE);
	KUNIT_EXPECT_EQ(test, ff->log[1].flags, IOCB_DIRECT | IOCB_NOWAIT);
}

/* A signal to who issued it, if it may block, is no error of the bio's. */
static void interrupted(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, false);

	FILE_SCRIPT(ff, { FILE_NOW, -EINTR }, { FILE_NOW, FILE_ALL });
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, ff->nr_log, 2);
	KUNIT_EXPECT_FALSE(test, ff->log[0].worker);
	KUNIT_EXPECT_TRUE(test, ff->log[1].worker);
}

/* An engine may block, but a bio that must not does so in a lane. */
static void cannot_nowait(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, false);
	void *buf = fake_buffer(test, 4096, 0, 0);

	FILE_SCRIPT(ff, { FILE_IRQ, FILE_ALL });
	FAKE_EXPECT_STS(test, get(test, ff), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_rw(test, ff->disk, REQ_OP_READ | REQ_NOWAIT,
				      0, buf, 4096), BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, ff->nr_log, 2);
	KUNIT_EXPECT_FALSE(test, ff->log[0].worker);
	KUNIT_EXPECT_TRUE(test, ff->log[1].worker);
	KUNIT_EXPECT_EQ(test, ff->log[0].flags & IOCB_NOWAIT, 0);
	KUNIT_EXPECT_EQ(test, ff->log[1].flags & IOCB_NOWAIT, 0);
}

struct answer {
	const char *name;
	struct file_step steps[3];
	unsigned int calls;
	blk_status_t status;
};

static const struct answer answers[] = {
	{ "again", { { FILE_NOW, -EAGAIN }, { FILE_NOW, FILE_ALL } }, 2, BLK_STS_OK },
	{ "again, told later", { { FILE_IRQ, -EAGAIN }, { FILE_IRQ, FILE_ALL } },
	  2, BLK_STS_OK },
	{ "all, told early", { { FILE_EARLY, FILE_ALL } }, 1, BLK_STS_OK },
	{ "again, told early", { { FILE_EARLY, -EAGAIN }, { FILE_EARLY, FILE_ALL } },
	  2, BLK_STS_OK },
	{ "a part, told early", { { FILE_EARLY, 512 }, { FILE_EARLY, -EIO } },
	  2, BLK_STS_IOERR },
	{ "no such flag", { { FILE_NOW, -EOPNOTSUPP }, { FILE_NOW, FILE_ALL } },
	  2, BLK_STS_OK },
	{ "a signal", { { FILE_NOW, -EINTR }, { FILE_NOW, FILE_ALL } }, 2, BLK_STS_OK },
	{ "nothing yet", { { FILE_NOW, 0 }, { FILE_NOW, FILE_ALL } }, 2, BLK_STS_OK },
	{ "in three parts", { { FILE_NOW, 512 }, { FILE_IRQ, 1000 }, { FILE_NOW, FILE_ALL } },
	  3, BLK_STS_OK },
	{ "the end of the file", { { FILE_NOW, 512 }, { FILE_NOW, 0 } }, 2, BLK_STS_MEDIUM },
	{ "past the end of the file", { { FILE_NOW, 0 }, { FILE_NOW, 0 } }, 2, BLK_STS_MEDIUM },
	{ "space for a part", { { FILE_NOW, 1024 }, { FILE_IRQ, -ENOSPC } }, 2, BLK_STS_NOSPC },
	{ "no space", { { FILE_IRQ, -ENOSPC } }, 1, BLK_STS_NOSPC },
	{ "a bad medium", { { FILE_IRQ, -EIO } }, 1, BLK_STS_IOERR },
	{ "again, but for good", { { FILE_NOW, -EAGAIN }, { FILE_IRQ, -EIO } },
	  2, BLK_STS_IOERR },
	{ "again, and then not at all", { { FILE_NOW, -EAGAIN }, { FILE_NOW, -EAGAIN } },
	  2, BLK_STS_AGAIN },
};

KUNIT_ARRAY_PARAM_DESC(answer, answers, name);

static void answered(struct kunit *test)
{
	const struct answer *a = test->param_value;
	struct file_fake *ff = file_fake_new(test, true);
	unsigned int i;

	file_fake_script(ff, a->steps, a->calls);
	FAKE_EXPECT_STS(test, put(test, ff), a->status);
	KUNIT_ASSERT_EQ(test, ff->nr_log, a->calls);
	for (i = 1; i < a->calls; i++) {
		KUNIT_EXPECT_TRUE(test, ff->log[i].worker);
		KUNIT_EXPECT_EQ(test, ff->log[i].flags & IOCB_NOWAIT, 0);
		KUNIT_EXPECT_EQ(test, ff->log[i].pos + ff->log[i].count, 8192);
	}
	file_fake_script(ff, a->steps, a->calls);
	FAKE_EXPECT_STS(test, get(test, ff), a->status);
	KUNIT_EXPECT_EQ(test, ff->nr_log, a->calls);
	KUNIT_EXPECT_FALSE(test, ff->stale);
}

/* Memory that direct I/O cannot take is read into from the page cache. */
static void misaligned_read(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	char *buf = fake_buffer(test, 8192, 0, 3);

	fake_pattern(ff->data, 4096, 0, 5);
	FILE_SCRIPT(ff, { FILE_NOW, FILE_ALL });
	FAKE_EXPECT_STS(test, fake_rw(test, ff->disk, REQ_OP_READ, 0, buf + 8,
				      4096), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, memcmp(ff->data, buf + 8, 4096), 0);
	KUNIT_ASSERT_EQ(test, ff->nr_log, 1);
	KUNIT_EXPECT_TRUE(test, ff->log[0].worker);
	KUNIT_EXPECT_EQ(test, ff->log[0].flags, 0);
}

/* It is not written from there: that would undo others' writes to the page. */
static void misaligned_write(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	char *buf = fake_buffer(test, 16384, 0, 3);
	unsigned int i;

	FILE_SCRIPT(ff, { FILE_NOW, FILE_ALL }, { FILE_NOW, 1536 });
	FAKE_EXPECT_STS(test, fake_rw(test, ff->disk, REQ_OP_WRITE, 2, buf + 8,
				      10240), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, memcmp(ff->data + 1024, buf + 8, 10240), 0);
	KUNIT_ASSERT_GT(test, ff->nr_log, 1);
	for (i = 0; i < ff->nr_log; i++) {
		KUNIT_EXPECT_TRUE(test, ff->log[i].worker);
		KUNIT_EXPECT_EQ(test, ff->log[i].flags,
				IOCB_WRITE | IOCB_DIRECT);
		KUNIT_EXPECT_EQ(test, ff->log[i].align & 511, 0);
	}
}

/* The same when it is the file system that transfers half a sector. */
static void half_a_sector(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);

	FILE_SCRIPT(ff, { FILE_NOW, 700 }, { FILE_NOW, FILE_ALL });
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, ff->nr_log, 2);
	KUNIT_EXPECT_EQ(test, ff->log[1].pos, 4096 + 512);
	KUNIT_EXPECT_EQ(test, ff->log[1].align & 511, 0);
	FILE_SCRIPT(ff, { FILE_NOW, 700 }, { FILE_NOW, 100 });
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_MEDIUM);
	FILE_SCRIPT(ff, { FILE_NOW, 700 }, { FILE_NOW, -ENOSPC });
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_NOSPC);
}

static void fua(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	void *buf = fake_buffer(test, 512, 0, 3);

	FILE_SCRIPT(ff, { FILE_NOW, FILE_ALL });
	FAKE_EXPECT_STS(test, fake_rw(test, ff->disk, REQ_OP_WRITE | REQ_FUA, 0,
				      buf, 512), BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, ff->log[0].flags & IOCB_DSYNC);
}

/* A file that was cut short is not made to grow back. */
static void cut_short(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct inode *inode = file_inode(ff->file);

	FILE_SCRIPT(ff, { FILE_NOW, FILE_ALL });
	i_size_write(inode, 8191);
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_MEDIUM);
	FAKE_EXPECT_STS(test, fake_range(test, ff->disk, REQ_OP_WRITE_ZEROES, 8, 8),
			BLK_STS_MEDIUM);
	KUNIT_EXPECT_EQ(test, ff->nr_log, 0);
	KUNIT_EXPECT_EQ(test, ff->ranges, 0);
	i_size_write(inode, FILE_FAKE_BYTES);
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_OK);
}

/* One that was told by a flush is not told again. */
static void flush_error(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);

	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_OK);
	file_fake_lose(ff, -ENOSPC);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_NOSPC);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_OK);
	file_fake_lose(ff, -ENOSPC);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_NOSPC);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_OK);
}

static struct fake_bio *start_flush(struct kunit *test, struct file_fake *ff)
{
	struct fake_bio *fb = fake_bio_new(test, REQ_OP_WRITE | REQ_PREFLUSH, 0,
					   NULL, 0);

	fake_bio_submit(fb, NULL, ff->disk);
	/* For those that stop at the gate; it is no more than a delay. */
	msleep(50);
	return fb;
}

/* An error that one flush is told is told to those that ran with it. */
static void flush_together(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct fake_bio *first, *second;

	ff->fsync_gates = 1;
	/* It waits at the gate, having seen no error. */
	first = start_flush(test, ff);
	file_fake_lose(ff, -ENOSPC);
	second = start_flush(test, ff);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, second), BLK_STS_NOSPC);
	complete_all(&ff->gate);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, first), BLK_STS_NOSPC);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_OK);
}

/* Also before the first of them has come back with it. */
static void flush_behind(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct fake_bio *first, *second;

	ff->fsync_gates = 1;
	file_fake_lose(ff, -ENOSPC);
	/* It waits at the gate with the error. */
	first = start_flush(test, ff);
	second = start_flush(test, ff);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, second), BLK_STS_NOSPC);
	complete_all(&ff->gate);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, first), BLK_STS_NOSPC);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_OK);
}

static blk_status_t put_fua(struct kunit *test, struct file_fake *ff)
{
	return fake_rw(test, ff->disk, REQ_OP_WRITE | REQ_FUA, 0,
		       fake_buffer(test, 512, 0, 3), 512);
}

/* A FUA write that is told the error of another write is no flush. */
static void flush_after_fua(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);

	file_fake_lose(ff, -EIO);
	FAKE_EXPECT_STS(test, put_fua(test, ff), BLK_STS_IOERR);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_IOERR);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_OK);
}

/* In the page cache: its own error may be told to another one. */
static void fua_lost(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, false);

	ff->fd->direct = false;
	ff->file->f_iocb_flags &= ~IOCB_DIRECT;
	FAKE_EXPECT_STS(test, put_fua(test, ff), BLK_STS_OK);
	FILE_SCRIPT(ff, { FILE_LOST, FILE_ALL });
	FAKE_EXPECT_STS(test, put_fua(test, ff), BLK_STS_IOERR);
	FAKE_EXPECT_STS(test, fake_flush(test, ff->disk), BLK_STS_IOERR);
	FAKE_EXPECT_STS(test, put_fua(test, ff), BLK_STS_OK);
}

/* Zeroing keeps the space where that was asked for, if need be by writing. */
static void zeroes(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct strata_disk *disk = ff->disk;
	unsigned int writes;

	ff->no_zero_range = true;
	FAKE_EXPECT_STS(test, put(test, ff), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, disk, REQ_OP_WRITE_ZEROES, 8, 4),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, disk, REQ_OP_DISCARD, 12, 2),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ff->ranges, 2);
	writes = ff->nr_log;
	FAKE_EXPECT_STS(test, fake_range(test, disk, REQ_OP_WRITE_ZEROES |
					 REQ_NOUNMAP, 14, 2), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ff->ranges, 3);
	KUNIT_EXPECT_GT(test, ff->nr_log, writes);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(ff->data + 4096, 0, 4096), NULL);
	/* It is not asked again. */
	FAKE_EXPECT_STS(test, fake_range(test, disk, REQ_OP_WRITE_ZEROES |
					 REQ_NOUNMAP, 14, 2), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ff->ranges, 3);
}

/* Nothing to do is done at once. */
static void empty(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);

	FAKE_EXPECT_STS(test, fake_range(test, ff->disk, REQ_OP_READ, 8, 0),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, ff->disk, REQ_OP_WRITE, 8, 0),
			BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, ff->disk, REQ_OP_DISCARD, 8, 0),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ff->nr_log + ff->ranges, 0);
}

static void conformance(struct kunit *test)
{
	strata_conformance_range(test, file_fake_new(test, true)->disk);
	strata_conformance_range(test, file_fake_new(test, false)->disk);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(conformance),
	KUNIT_CASE(iter),
	KUNIT_CASE(alignment),
	KUNIT_CASE(status),
	KUNIT_CASE(straight),
	KUNIT_CASE(interrupted),
	KUNIT_CASE(cannot_nowait),
	KUNIT_CASE_PARAM(answered, answer_gen_params),
	KUNIT_CASE(misaligned_read),
	KUNIT_CASE(misaligned_write),
	KUNIT_CASE(half_a_sector),
	KUNIT_CASE(fua),
	KUNIT_CASE(cut_short),
	KUNIT_CASE(flush_error),
	KUNIT_CASE(flush_together),
	KUNIT_CASE(flush_behind),
	KUNIT_CASE(flush_after_fua),
	KUNIT_CASE(fua_lost),
	KUNIT_CASE(zeroes),
	KUNIT_CASE(empty),
	{}
};

static struct kunit_suite suite = {
	.name = "strata_file",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of the file disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
