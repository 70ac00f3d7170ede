// SPDX-License-Identifier: GPL-2.0
/* file: the ways into a file system: lanes, plugs, and where there is none. */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/sched/mm.h>
#include "fake_disk.h"
#include "file_fake.h"

/* Blocked ones do not hold the others up, as long as there are lanes. */
static void lanes(struct kunit *test)
{
	static const struct file_step gate = { FILE_GATE, FILE_ALL };
	struct file_fake *ff = file_fake_new(test, false);
	struct file_step steps[FILE_LANES];
	struct fake_bio *fb[FILE_LANES], *last;
	unsigned int i;

	for (i = 0; i < FILE_LANES; i++)
		steps[i] = gate;
	file_fake_script(ff, steps, FILE_LANES - 1);
	for (i = 0; i < FILE_LANES - 1; i++) {
		fb[i] = fake_bio_new(test, REQ_OP_READ | REQ_NOWAIT, 0,
				     fake_buffer(test, 512, 0, 0), 512);
		fake_bio_submit(fb[i], NULL, ff->disk);
	}
	KUNIT_EXPECT_TRUE(test, file_fake_wait_calls(ff, FILE_LANES - 1));
	last = fake_bio_new(test, REQ_OP_READ | REQ_NOWAIT, 0,
			    fake_buffer(test, 512, 0, 0), 512);
	fake_bio_submit(last, NULL, ff->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, last), BLK_STS_OK);
	complete_all(&ff->gate);
	for (i = 0; i < FILE_LANES - 1; i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb[i]), BLK_STS_OK);
}

/* More than there are lanes: they wait, and are not forgotten. */
static void many(struct kunit *test)
{
	static struct file_step steps[FILE_LANES];
	struct file_fake *ff = file_fake_new(test, false);
	struct fake_bio *fb[3 * FILE_LANES];
	unsigned int i;

	for (i = 0; i < FILE_LANES; i++) {
		steps[i].how = FILE_GATE;
		steps[i].ret = FILE_ALL;
	}
	file_fake_script(ff, steps, FILE_LANES);
	for (i = 0; i < ARRAY_SIZE(fb); i++) {
		fb[i] = fake_bio_new(test, REQ_OP_READ | REQ_NOWAIT, 0,
				     fake_buffer(test, 512, 0, 0), 512);
		fake_bio_submit(fb[i], NULL, ff->disk);
	}
	KUNIT_EXPECT_TRUE(test, file_fake_wait_calls(ff, FILE_LANES));
	KUNIT_EXPECT_EQ(test, ff->nr_log, FILE_LANES);
	complete_all(&ff->gate);
	for (i = 0; i < ARRAY_SIZE(fb); i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb[i]), BLK_STS_OK);
	flush_workqueue(ff->disk->parts);
	KUNIT_EXPECT_EQ(test, ff->fd->active, 0);
	KUNIT_EXPECT_EQ(test, hweight_long(ff->fd->idle), FILE_LANES);
}

/* Submit as from inside submit_bio. */
static void submit_inside(struct file_fake *ff, struct fake_bio *fb)
{
	struct bio_list lists[2] = { BIO_EMPTY_LIST, BIO_EMPTY_LIST };

	current->bio_list = lists;
	fake_bio_submit(fb, NULL, ff->disk);
	current->bio_list = NULL;
}

static struct fake_bio *new_read(struct kunit *test)
{
	return fake_bio_new(test, REQ_OP_READ, 0, fake_buffer(test, 512, 0, 0),
			    512);
}

/* From inside submit_bio: not there, but when the plug is finished outside. */
static void plugged(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct fake_bio *a = new_read(test), *b = new_read(test);
	struct blk_plug plug;

	blk_start_plug(&plug);
	submit_inside(ff, a);
	submit_inside(ff, b);
	KUNIT_EXPECT_EQ(test, ff->nr_log, 0);
	blk_finish_plug(&plug);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, a), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, b), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, ff->nr_log, 2);
	KUNIT_EXPECT_FALSE(test, ff->log[0].worker);
	KUNIT_EXPECT_FALSE(test, ff->log[1].worker);
	KUNIT_EXPECT_TRUE(test, ff->log[0].outside);
}

/* The task sleeps with a plug: the lanes take over. */
static void plug_sleeps(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct fake_bio *a = new_read(test);
	struct blk_plug plug;

	blk_start_plug(&plug);
	submit_inside(ff, a);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, a), BLK_STS_OK);
	blk_finish_plug(&plug);
	KUNIT_EXPECT_EQ(test, ff->nr_log, 1);
	KUNIT_EXPECT_TRUE(test, ff->log[0].worker);
}

struct opener {
	struct work_struct work;
	struct file_fake *ff;
	struct fake_bio *first;
	struct fake_bio *second;
	bool ended;
};

static bool both_ended(struct opener *o)
{
	return completion_done(&o->first->done) &&
	       completion_done(&o->second->done);
}

static void open_gate(struct work_struct *work)
{
	struct opener *o = container_of(work, struct opener, work);
	unsigned int i;

	for (i = 0; i < 500 && !both_ended(o); i++)
		msleep(20);
	o->ended = both_ended(o);
	complete(&o->ff->gate);
}

/* While one blocks in the plug's callback, the others are not stuck behind. */
static void plug_blocks(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct fake_bio *a = new_read(test);
	struct opener o = {
		.ff = ff,
		.first = new_read(test),
		.second = new_read(test),
	};
	struct blk_plug plug;

	FILE_SCRIPT(ff, { FILE_GATE, FILE_ALL });
	INIT_WORK_ONSTACK(&o.work, open_gate);
	blk_start_plug(&plug);
	submit_inside(ff, a);
	submit_inside(ff, o.first);
	submit_inside(ff, o.second);
	queue_work(system_wq, &o.work);
	blk_finish_plug(&plug);
	flush_work(&o.work);
	destroy_work_on_stack(&o.work);
	KUNIT_EXPECT_TRUE(test, o.ended);
	KUNIT_EXPECT_FALSE(test, ff->log[0].worker);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, a), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, o.first), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, o.second), BLK_STS_OK);
}

/* A task that is in a file system, or may be, does not enter another. */
static void busy(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct fake_bio *fb[4];
	unsigned int i, flags;

	for (i = 0; i < ARRAY_SIZE(fb); i++)
		fb[i] = new_read(test);
	flags = memalloc_nofs_save();
	fake_bio_submit(fb[0], NULL, ff->disk);
	memalloc_nofs_restore(flags);
	flags = memalloc_noreclaim_save();
	fake_bio_submit(fb[1], NULL, ff->disk);
	memalloc_noreclaim_restore(flags);
	current->journal_info = ff;
	fake_bio_submit(fb[2], NULL, ff->disk);
	current->journal_info = NULL;
	/* No plug, no way out of submit_bio */
	submit_inside(ff, fb[3]);
	for (i = 0; i < ARRAY_SIZE(fb); i++)
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb[i]), BLK_STS_OK);
	KUNIT_ASSERT_EQ(test, ff->nr_log, ARRAY_SIZE(fb));
	for (i = 0; i < ARRAY_SIZE(fb); i++) {
		KUNIT_EXPECT_TRUE(test, ff->log[i].worker);
		KUNIT_EXPECT_TRUE(test, ff->log[i].outside);
	}
}

/* A plug that is finished in there does not help. */
static void busy_plug(struct kunit *test)
{
	struct file_fake *ff = file_fake_new(test, true);
	struct fake_bio *fb = new_read(test);
	unsigned int flags = memalloc_nofs_save();
	struct blk_plug plug;

	blk_start_plug(&plug);
	submit_inside(ff, fb);
	blk_finish_plug(&plug);
	memalloc_nofs_restore(flags);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	KUNIT_EXPECT_TRUE(test, ff->log[0].worker);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(lanes),
	KUNIT_CASE(many),
	KUNIT_CASE(plugged),
	KUNIT_CASE(plug_sleeps),
	KUNIT_CASE(plug_blocks),
	KUNIT_CASE(busy),
	KUNIT_CASE(busy_plug),
	{}
};

static struct kunit_suite suite = {
	.name = "strata_file_ways",
	.test_cases = cases,
};

kunit_test_suite(suite);
