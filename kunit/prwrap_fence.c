// SPDX-License-Identifier: GPL-2.0
/* Reservations of a live disk: who is let in, and what a fence waits for. */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <strata/test.h>
#include <strata/type.h>
#include "conformance.h"
#include "fake_disk.h"
#include "prwrap_kit.h"

#define NEXUSES		3
#define SECTORS		256
#define FLUSH		(REQ_OP_WRITE | REQ_PREFLUSH)

/**
 * struct bench - a disk with reservations, over a fake one
 * @test: the test
 * @fake: the disk below
 * @disk: the disk
 * @below: its hold on @fake
 * @node: stands for the resolver's, for the size
 * @p: its reservations
 * @h: a handle of each nexus
 * @file: where they persist, or NULL
 */
struct bench {
	struct kunit *test;
	struct fake_disk *fake;
	struct strata_disk *disk;
	struct strata_handle *below;
	struct strata_node node;
	struct prwrap *p;
	struct strata_handle *h[NEXUSES];
	struct file *file;
};

static void bench_free(void *data)
{
	struct bench *b = data;
	unsigned int i;

	for (i = 0; i < NEXUSES; i++)
		if (!IS_ERR_OR_NULL(b->h[i]))
			strata_handle_detach(b->h[i]);
	if (!IS_ERR_OR_NULL(b->below))
		strata_handle_detach(b->below);
	if (!IS_ERR_OR_NULL(b->p))
		prwrap_destroy(b->p);
	strata_disk_free(b->disk);
	if (b->file)
		fput(b->file);
	kfree(b);
}

static void join(struct bench *b, unsigned int i)
{
	char name[16], other[STRATA_NAME_MAX];

	snprintf(name, sizeof(name), "block.%u", i);
	b->h[i] = strata_handle_attach(b->disk, name, STRATA_CLAIM_SHARED, NULL,
				       NULL, NULL, other);
	KUNIT_ASSERT_FALSE(b->test, IS_ERR(b->h[i]));
}

static void leave(struct bench *b, unsigned int i)
{
	strata_handle_detach(b->h[i]);
	b->h[i] = NULL;
}

static void bench_disk(struct bench *b)
{
	char other[STRATA_NAME_MAX];
	const char *why = "";

	b->disk = strata_disk_alloc("prwrap.kit");
	KUNIT_ASSERT_NOT_NULL(b->test, b->disk);
	b->below = strata_handle_attach(b->fake->disk, "prwrap.kit",
					STRATA_CLAIM_WRITE, NULL, NULL, b->disk,
					other);
	KUNIT_ASSERT_FALSE(b->test, IS_ERR(b->below));
	b->node.below = b->below;
	b->disk->node = &b->node;
	b->p = prwrap_create(b->disk, b->fake->disk, b->file, &why);
	KUNIT_ASSERT_FALSE_MSG(b->test, IS_ERR(b->p), "%s", why);
	KUNIT_ASSERT_EQ_MSG(b->test, strata_disk_ready(b->disk, &prwrap_disk_ops,
						       &why), 0, "%s", why);
}

static struct bench *bench_new(struct kunit *test, bool file)
{
	static const struct fake_config config = {
		.sectors = SECTORS,
		.single_target = true,
		.native_fua = true,
		.native_zeroes = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};
	struct fake_disk *fake = fake_disk_new(test, &config);
	struct bench *b = kzalloc(sizeof(*b), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->test = test;
	b->fake = fake;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, bench_free, b), 0);
	if (file) {
		b->file = shmem_file_setup("ptpl", 0, 0);
		KUNIT_ASSERT_FALSE(test, IS_ERR(b->file));
	}
	bench_disk(b);
	for (i = 0; i < NEXUSES; i++)
		join(b, i);
	return b;
}

/* Commands of nexus @i, with the key that it has registered. */

static const struct strata_pr_ops *ops_of(struct bench *b)
{
	return b->disk->pr->ops;
}

static int enroll_as(struct bench *b, unsigned int i, u64 key, unsigned int flags)
{
	return ops_of(b)->register_key(b->disk->pr, &b->h[i]->nexus, 0, key,
				       flags | STRATA_PR_IGNORE_KEY);
}

static int enroll(struct bench *b, unsigned int i)
{
	return enroll_as(b, i, kit_key(i), 0);
}

static int reserve(struct bench *b, unsigned int i, unsigned int type)
{
	return ops_of(b)->reserve(b->disk->pr, &b->h[i]->nexus, kit_key(i), type);
}

static int preempt(struct bench *b, unsigned int i, unsigned int victim,
		   bool abort)
{
	return ops_of(b)->preempt(b->disk->pr, &b->h[i]->nexus, kit_key(i),
				  kit_key(victim), PR_EXCLUSIVE_ACCESS, abort);
}

/* What it got by a preempt */
static int give_up(struct bench *b, unsigned int i)
{
	return ops_of(b)->release(b->disk->pr, &b->h[i]->nexus, kit_key(i),
				  PR_EXCLUSIVE_ACCESS);
}

static unsigned int registrants(struct bench *b)
{
	struct pr_keys keys = {};

	KUNIT_EXPECT_EQ(b->test, ops_of(b)->read_keys(b->disk->pr, &keys), 0);
	return keys.num_keys;
}

/* 0 and 1 have registered, 1 holds it: the start of most stories. */
static struct bench *bench_held(struct kunit *test, bool file)
{
	struct bench *b = bench_new(test, file);

	KUNIT_ASSERT_EQ(test, enroll_as(b, 0, kit_key(0),
					file ? STRATA_PR_PTPL : 0), 0);
	KUNIT_ASSERT_EQ(test, enroll(b, 1), 0);
	KUNIT_ASSERT_EQ(test, reserve(b, 1, PR_WRITE_EXCLUSIVE_REG_ONLY), 0);
	return b;
}

/* Bios in the bracket, as a frontend has them. */

/**
 * struct guarded - a bio that was admitted
 * @b: the bench
 * @fb: the bio
 * @end_io: its own bi_end_io
 * @token: for the end of the bracket
 */
struct guarded {
	struct bench *b;
	struct fake_bio *fb;
	bio_end_io_t *end_io;
	void *token;
};

static void guarded_end(struct bio *bio)
{
	struct guarded *g = bio->bi_private;

	bio->bi_private = g->fb;
	g->b->disk->pr->ops->end(g->b->disk->pr, g->token);
	g->end_io(bio);
}

static blk_status_t issue(struct bench *b, unsigned int i, blk_opf_t opf,
			  struct fake_bio **fb)
{
	bool data = opf == REQ_OP_READ || opf == REQ_OP_WRITE;
	struct guarded *g = kunit_kzalloc(b->test, sizeof(*g), GFP_KERNEL);
	void *buf = data ? fake_buffer(b->test, 512, 0, 1) : NULL;
	blk_status_t status;

	KUNIT_ASSERT_NOT_NULL(b->test, g);
	g->b = b;
	status = ops_of(b)->begin(b->disk->pr, &b->h[i]->nexus, opf, &g->token);
	if (status)
		return status;
	g->fb = fake_bio_new(b->test, opf, 0, buf, opf == FLUSH ? 0 : 512);
	g->end_io = g->fb->bio.bi_end_io;
	g->fb->bio.bi_end_io = guarded_end;
	g->fb->bio.bi_private = g;
	*fb = g->fb;
	strata_submit_bio(&b->h[i]->nexus, b->disk, &g->fb->bio);
	return BLK_STS_OK;
}

/* Issue one and wait: how did it end? */
static blk_status_t io(struct bench *b, unsigned int i, blk_opf_t opf)
{
	struct fake_bio *fb;
	blk_status_t status = issue(b, i, opf, &fb);

	return status ?: fake_bio_wait(b->test, fb);
}

/* Who may do what, under every type: 0 holds it, 1 has registered, 2 has not. */
static void admission(struct kunit *test)
{
	static const blk_opf_t ops[] = {
		REQ_OP_READ, REQ_OP_WRITE, FLUSH, REQ_OP_DISCARD,
		REQ_OP_WRITE_ZEROES,
	};
	struct bench *b = bench_new(test, false);
	unsigned int type, i, j;

	KUNIT_ASSERT_EQ(test, enroll(b, 0), 0);
	KUNIT_ASSERT_EQ(test, enroll(b, 1), 0);
	for (type = 1; type <= KIT_TYPES; type++) {
		bool ea = type % 2 == 0, registrants_may = type >= 3;

		KUNIT_ASSERT_EQ(test, reserve(b, 0, type), 0);
		for (i = 0; i < NEXUSES; i++)
			for (j = 0; j < ARRAY_SIZE(ops); j++) {
				bool may = !i || (i == 1 && registrants_may) ||
					   (ops[j] == REQ_OP_READ && !ea);

				FAKE_EXPECT_STS_MSG(test, io(b, i, ops[j]),
						    may ? BLK_STS_OK :
							  BLK_STS_RESV_CONFLICT,
						    "type %u, nexus %u, op %u",
						    type, i, j);
			}
		KUNIT_ASSERT_EQ(test, ops_of(b)->release(b->disk->pr,
							 &b->h[0]->nexus,
							 kit_key(0), type), 0);
	}
	for (i = 0; i < NEXUSES; i++)
		FAKE_EXPECT_STS(test, io(b, i, REQ_OP_WRITE), BLK_STS_OK);
}

/* What is refused does not get there. */
static void refused_stays_out(struct kunit *test)
{
	struct bench *b = bench_held(test, false);
	struct fake_bio *fb;

	fake_disk_forget(b->fake);
	FAKE_EXPECT_STS(test, issue(b, 2, REQ_OP_WRITE, &fb), BLK_STS_RESV_CONFLICT);
	KUNIT_EXPECT_EQ(test, b->fake->nr_ops, 0);
}

/* The disk passes everything on as it comes. */
static void passes_on(struct kunit *test)
{
	struct bench *b = bench_new(test, false);
	void *buf = fake_buffer(test, 4096, 8, 7);
	blk_opf_t opf = REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA;

	fake_disk_forget(b->fake);
	FAKE_EXPECT_STS(test, fake_rw(test, b->disk, opf, 8, buf, 4096), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, b->fake->nr_ops, 1);
	KUNIT_EXPECT_EQ(test, (__force u32)(b->fake->log[0].opf & opf), (__force u32)opf);
	KUNIT_EXPECT_EQ(test, b->fake->log[0].sector, 8);
	KUNIT_EXPECT_EQ(test, b->disk->unmap, STRATA_UNMAP_ZEROES);
	strata_disk_resize(b->fake->disk, SECTORS / 2);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(b->disk), SECTORS / 2);
	strata_disk_resize(b->fake->disk, SECTORS * 2);
	KUNIT_EXPECT_EQ(test, strata_disk_capacity(b->disk), SECTORS * 2);
	strata_conformance_range(test, b->disk);
}

/* Commands that wait, in a thread of their own. */

/**
 * struct waiter - a command in progress: a preempt-and-abort, or a reserve
 * @b: the bench
 * @by: who gives it
 * @victim: whose key, or NEXUSES for a reserve
 * @err: what it returned
 * @returned: fake_seq() then
 * @task: the thread
 * @done: it has returned
 */
struct waiter {
	struct bench *b;
	unsigned int by;
	unsigned int victim;
	int err;
	unsigned int returned;
	struct task_struct *task;
	struct completion done;
};

static int waiter_fn(void *data)
{
	struct waiter *w = data;

	allow_signal(SIGKILL);
	if (w->victim == NEXUSES)
		w->err = reserve(w->b, w->by, PR_EXCLUSIVE_ACCESS);
	else
		w->err = preempt(w->b, w->by, w->victim, true);
	w->returned = fake_seq();
	complete(&w->done);
	return 0;
}

/* Returns when the victim is out; whether the command has, is to be seen. */
static struct waiter *waiter_start(struct bench *b, unsigned int by,
				   unsigned int victim)
{
	struct waiter *w = kunit_kzalloc(b->test, sizeof(*w), GFP_KERNEL);
	struct prwrap_who who = kit_who(victim);
	unsigned long end = jiffies + FAKE_TIMEOUT;
	bool out;

	KUNIT_ASSERT_NOT_NULL(b->test, w);
	*w = (struct waiter) { .b = b, .by = by, .victim = victim };
	init_completion(&w->done);
	w->task = kthread_run(waiter_fn, w, "waiter");
	KUNIT_ASSERT_FALSE(b->test, IS_ERR(w->task));
	do {
		msleep(20);
		mutex_lock(&b->p->lock);
		out = prwrap_find(b->p->now, &who) < 0;
		mutex_unlock(&b->p->lock);
	} while (!out && time_before(jiffies, end));
	KUNIT_EXPECT_TRUE(b->test, out);
	return w;
}

static bool waiter_waits(struct waiter *w)
{
	msleep(50);
	return !completion_done(&w->done);
}

static void waiter_end(struct waiter *w, int err)
{
	KUNIT_ASSERT_TRUE(w->b->test,
			  wait_for_completion_timeout(&w->done, FAKE_TIMEOUT));
	KUNIT_EXPECT_EQ(w->b->test, w->err, err);
}

/* The order that fencing is about. */
static void abort_waits(struct kunit *test)
{
	struct bench *b = bench_held(test, false);
	struct fake_bio *fb, *mine;
	struct waiter *w;

	fake_disk_ends(b->fake, FAKE_HELD, 0);
	FAKE_ASSERT_STS(test, issue(b, 1, REQ_OP_WRITE, &fb), BLK_STS_OK);
	w = waiter_start(b, 0, 1);
	KUNIT_EXPECT_TRUE(test, waiter_waits(w));
	FAKE_EXPECT_STS_MSG(test, io(b, 1, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT,
			    "it is out from the start");
	FAKE_EXPECT_STS(test, issue(b, 0, REQ_OP_WRITE, &mine), BLK_STS_OK);
	KUNIT_EXPECT_EQ_MSG(test, fake_disk_release(b->fake, 1), 1, "the victim's");
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	waiter_end(w, 0);
	KUNIT_EXPECT_LT(test, b->fake->log[0].ended, w->returned);
	KUNIT_EXPECT_FALSE_MSG(test, completion_done(&mine->done),
			       "nobody waits for those who stay");
	fake_disk_release(b->fake, 1);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, mine), BLK_STS_OK);
}

static void abort_waits_for_irq(struct kunit *test)
{
	struct bench *b = bench_held(test, false);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct fake_bio *fb;

		fake_disk_ends(b->fake, i ? FAKE_HARDIRQ : FAKE_SOFTIRQ, 100000);
		KUNIT_ASSERT_EQ(test, enroll(b, 1), 0);
		FAKE_ASSERT_STS(test, issue(b, 1, REQ_OP_WRITE, &fb), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, preempt(b, 0, 1, true), 0);
		KUNIT_EXPECT_EQ(test, b->fake->inflight, 0);
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
		KUNIT_EXPECT_EQ(test, give_up(b, 0), 0);
	}
}

/* Only those with the key are waited for, and only if asked. */
static void others_go_on(struct kunit *test)
{
	struct bench *b = bench_held(test, false);
	struct fake_bio *two, *one;

	KUNIT_ASSERT_EQ(test, enroll(b, 2), 0);
	fake_disk_ends(b->fake, FAKE_HELD, 0);
	FAKE_ASSERT_STS(test, issue(b, 2, REQ_OP_WRITE, &two), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, preempt(b, 0, 1, true), 0);
	KUNIT_EXPECT_EQ(test, enroll(b, 1), 0);
	KUNIT_EXPECT_EQ(test, preempt(b, 0, 1, false), 0);
	KUNIT_EXPECT_EQ(test, enroll(b, 1), 0);
	KUNIT_EXPECT_EQ(test, preempt(b, 0, 0, false), 0);
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
	KUNIT_EXPECT_EQ(test, give_up(b, 0), 0);
	FAKE_ASSERT_STS(test, issue(b, 1, REQ_OP_WRITE, &one), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, preempt(b, 0, 1, false), 0);
	KUNIT_EXPECT_FALSE(test, completion_done(&one->done));
	KUNIT_EXPECT_FALSE(test, completion_done(&two->done));
	fake_disk_release(b->fake, 2);
	fake_bio_wait(test, one);
	fake_bio_wait(test, two);
}

/* It was fenced, came back, and is fenced again: its first bio still counts. */
static void fenced_twice(struct kunit *test)
{
	struct bench *b = bench_held(test, false);
	struct waiter *first, *second;
	struct fake_bio *fb;

	fake_disk_ends(b->fake, FAKE_HELD, 0);
	FAKE_ASSERT_STS(test, issue(b, 1, REQ_OP_WRITE, &fb), BLK_STS_OK);
	first = waiter_start(b, 0, 1);
	KUNIT_ASSERT_EQ(test, enroll(b, 1), 0);
	second = waiter_start(b, 0, 1);
	KUNIT_EXPECT_TRUE(test, waiter_waits(second));
	KUNIT_EXPECT_TRUE(test, waiter_waits(first));
	fake_disk_release(b->fake, 1);
	waiter_end(first, 0);
	waiter_end(second, 0);
	KUNIT_EXPECT_LT(test, b->fake->log[0].ended, second->returned);
	fake_bio_wait(test, fb);
}

/* A waiter can be killed. What it fenced stays out, and is waited for by others. */
static void killed(struct kunit *test)
{
	struct bench *b = bench_held(test, false);
	struct waiter *first, *second, *third;
	struct fake_bio *fb;

	fake_disk_ends(b->fake, FAKE_HELD, 0);
	FAKE_ASSERT_STS(test, issue(b, 1, REQ_OP_WRITE, &fb), BLK_STS_OK);
	first = waiter_start(b, 0, 1);
	KUNIT_EXPECT_TRUE(test, waiter_waits(first));
	send_sig(SIGKILL, first->task, 1);
	waiter_end(first, -EINTR);
	KUNIT_EXPECT_EQ(test, registrants(b), 1);
	third = waiter_start(b, 0, NEXUSES);
	KUNIT_EXPECT_TRUE_MSG(test, waiter_waits(third),
			      "who asks for what it took has to wait as well");
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
	KUNIT_ASSERT_EQ(test, enroll(b, 1), 0);
	second = waiter_start(b, 0, 1);
	KUNIT_EXPECT_TRUE(test, waiter_waits(second));
	fake_disk_release(b->fake, 1);
	waiter_end(second, 0);
	waiter_end(third, 0);
	KUNIT_EXPECT_LT(test, b->fake->log[0].ended, second->returned);
	fake_bio_wait(test, fb);
}

static const struct file_operations *real_fops;

static ssize_t real_write(struct kiocb *iocb, struct iov_iter *from)
{
	return real_fops->write_iter(iocb, from);
}

static int no_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return -EIO;
}

static const struct file_operations no_fsync_fops = {
	.write_iter = real_write,
	.fsync = no_fsync,
};

/* What has been refused is not in force after the next start either. */
static void sync_fails(struct kunit *test)
{
	struct prwrap_state *back = kunit_kzalloc(test, sizeof(*back), GFP_KERNEL);
	struct bench *b = bench_held(test, true);
	struct prwrap_ptpl ptpl;
	const char *why;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, back);
	real_fops = b->file->f_op;
	for (i = 0; i < 3; i++) {
		b->file->f_op = &no_fsync_fops;
		KUNIT_EXPECT_EQ(test, preempt(b, 0, 1, false), -EIO);
		b->file->f_op = real_fops;
		KUNIT_EXPECT_EQ(test, registrants(b), i < 2 ? 2 : 3);
		/* In between one that succeeds */
		if (i == 1)
			KUNIT_EXPECT_EQ(test, enroll(b, 2), 0);
	}
	memset(back, 0, sizeof(*back));
	KUNIT_ASSERT_EQ(test, prwrap_ptpl_init(&ptpl, b->file, back, &why), 0);
	KUNIT_EXPECT_EQ(test, back->nr, 3);
	KUNIT_EXPECT_EQ(test, back->type, PR_WRITE_EXCLUSIVE_REG_ONLY);
	prwrap_ptpl_exit(&ptpl);
}

/* A registration is the nexus's, whether a handle is open or not. */
static void comes_back(struct kunit *test)
{
	struct bench *b = bench_held(test, false);

	leave(b, 1);
	KUNIT_EXPECT_EQ(test, registrants(b), 2);
	FAKE_EXPECT_STS(test, io(b, 2, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
	join(b, 1);
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_OK);
	leave(b, 1);
	KUNIT_EXPECT_EQ(test, preempt(b, 0, 1, true), 0);
	join(b, 1);
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
}

/* Two handles of one name are one nexus, and fenced as one. */
static void two_handles(struct kunit *test)
{
	struct bench *b = bench_held(test, false);
	struct strata_handle *first = b->h[1];
	struct fake_bio *fb;
	struct waiter *w;

	join(b, 1);
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_OK);
	fake_disk_ends(b->fake, FAKE_HELD, 0);
	FAKE_ASSERT_STS(test, issue(b, 1, REQ_OP_WRITE, &fb), BLK_STS_OK);
	swap(b->h[1], first);
	w = waiter_start(b, 0, 1);
	KUNIT_EXPECT_TRUE(test, waiter_waits(w));
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
	fake_disk_release(b->fake, 1);
	waiter_end(w, 0);
	fake_bio_wait(test, fb);
	strata_handle_detach(first);
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
}

static void long_name(struct kunit *test)
{
	struct bench *b = bench_new(test, false);
	char name[STRATA_NAME_MAX + 1], other[STRATA_NAME_MAX];
	struct strata_handle *h;

	memset(name, 'n', sizeof(name));
	name[STRATA_NAME_MAX] = '\0';
	h = strata_handle_attach(b->disk, name, STRATA_CLAIM_SHARED, NULL, NULL,
				 NULL, other);
	KUNIT_EXPECT_EQ(test, PTR_ERR(h), -ENAMETOOLONG);
}

/* What cannot persist does not happen. */
static void cannot_persist(struct kunit *test)
{
	struct bench *b = bench_held(test, true);
	struct fake_bio *fb;

	fake_disk_ends(b->fake, FAKE_HELD, 0);
	FAKE_ASSERT_STS(test, issue(b, 1, REQ_OP_WRITE, &fb), BLK_STS_OK);
	b->file->f_mode &= ~FMODE_CAN_WRITE;
	KUNIT_EXPECT_LT(test, preempt(b, 0, 1, true), 0);
	KUNIT_EXPECT_LT(test, enroll(b, 2), 0);
	KUNIT_EXPECT_EQ_MSG(test, reserve(b, 1, PR_WRITE_EXCLUSIVE_REG_ONLY), 0,
			    "what changes nothing needs no file");
	KUNIT_EXPECT_EQ(test, registrants(b), 2);
	fake_disk_release(b->fake, 1);
	fake_bio_wait(test, fb);
	fake_disk_ends(b->fake, FAKE_INLINE, 0);
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_OK);
	FAKE_EXPECT_STS(test, io(b, 2, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
	b->file->f_mode |= FMODE_CAN_WRITE;
	KUNIT_EXPECT_EQ(test, preempt(b, 0, 1, true), 0);
	FAKE_EXPECT_STS(test, io(b, 0, REQ_OP_WRITE), BLK_STS_OK);
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);
}

/* Take the disk down and make it again. */
static void power_loss(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < NEXUSES; i++)
		leave(b, i);
	strata_handle_detach(b->below);
	prwrap_destroy(b->p);
	strata_disk_free(b->disk);
	b->below = NULL;
	b->p = NULL;
	b->disk = NULL;
	bench_disk(b);
	for (i = 0; i < NEXUSES; i++)
		join(b, i);
}

static void persists(struct kunit *test)
{
	struct bench *b = bench_held(test, true);
	struct pr_held_reservation rsv;

	power_loss(b);
	KUNIT_EXPECT_EQ(test, registrants(b), 2);
	ops_of(b)->read_reservation(b->disk->pr, &rsv);
	KUNIT_EXPECT_EQ(test, (int)rsv.type, PR_WRITE_EXCLUSIVE_REG_ONLY);
	KUNIT_EXPECT_EQ(test, rsv.key, kit_key(1));
	KUNIT_EXPECT_EQ_MSG(test, rsv.generation, 0, "SPC-4 6.13.2");
	FAKE_EXPECT_STS(test, io(b, 1, REQ_OP_WRITE), BLK_STS_OK);
	FAKE_EXPECT_STS(test, io(b, 2, REQ_OP_WRITE), BLK_STS_RESV_CONFLICT);

	/* Switched off, nothing is left. */
	KUNIT_EXPECT_EQ(test, enroll_as(b, 0, kit_key(0), STRATA_PR_NO_PTPL), 0);
	KUNIT_EXPECT_EQ(test, registrants(b), 2);
	power_loss(b);
	KUNIT_EXPECT_EQ(test, registrants(b), 0);
	FAKE_EXPECT_STS(test, io(b, 2, REQ_OP_WRITE), BLK_STS_OK);
}

/* Without a file there is nothing to promise. */
static void no_file(struct kunit *test)
{
	struct bench *b = bench_held(test, false);

	KUNIT_EXPECT_EQ(test, enroll_as(b, 2, 5, STRATA_PR_PTPL), -EINVAL);
	KUNIT_EXPECT_EQ(test, enroll_as(b, 2, 5, STRATA_PR_NO_PTPL), 0);
	power_loss(b);
	KUNIT_EXPECT_EQ(test, registrants(b), 0);
}

static void full_status(struct kunit *test)
{
	struct bench *b = bench_held(test, true);
	struct strata_pr_status *s;
	DEFINE_RAW_FLEX(struct pr_keys, keys, keys, 1);

	s = kunit_kzalloc(test, struct_size(s, registrants, 2), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_ASSERT_EQ(test, enroll(b, 2), 0);
	s->nr = 2;
	KUNIT_EXPECT_EQ(test, ops_of(b)->read_full_status(b->disk->pr, s), 0);
	KUNIT_EXPECT_EQ(test, s->nr, 3);
	KUNIT_EXPECT_EQ(test, s->generation, 3);
	KUNIT_EXPECT_EQ(test, s->type, PR_WRITE_EXCLUSIVE_REG_ONLY);
	KUNIT_EXPECT_TRUE(test, s->ptpl);
	KUNIT_EXPECT_STREQ(test, s->registrants[0].name, "block.0");
	KUNIT_EXPECT_FALSE(test, s->registrants[0].holder);
	KUNIT_EXPECT_STREQ(test, s->registrants[1].name, "block.1");
	KUNIT_EXPECT_EQ(test, s->registrants[1].key, kit_key(1));
	KUNIT_EXPECT_TRUE(test, s->registrants[1].holder);

	keys->num_keys = 1;
	KUNIT_EXPECT_EQ(test, ops_of(b)->read_keys(b->disk->pr, keys), 0);
	KUNIT_EXPECT_EQ(test, keys->num_keys, 3);
	KUNIT_EXPECT_EQ(test, keys->generation, 3);
	KUNIT_EXPECT_EQ(test, keys->keys[0], kit_key(0));
}

/* One that cannot tell nexuses apart takes one. */
static void single_nexus(struct kunit *test)
{
	static const struct strata_pr_ops ops;
	struct strata_pr pr = { .ops = &ops, .single_nexus = true };
	static const struct fake_config config = { .sectors = SECTORS };
	struct fake_disk *fake = fake_disk_new(test, &config);
	char other[STRATA_NAME_MAX];
	struct strata_handle *h[2];

	KUNIT_EXPECT_FALSE(test, strata_pr_enforces(&pr));
	fake->disk->pr = &pr;
	h[0] = strata_handle_attach(fake->disk, "block.0", STRATA_CLAIM_SHARED,
				    NULL, NULL, NULL, other);
	KUNIT_ASSERT_FALSE(test, IS_ERR(h[0]));
	h[1] = strata_handle_attach(fake->disk, "block.1", STRATA_CLAIM_SHARED,
				    NULL, NULL, NULL, other);
	KUNIT_EXPECT_EQ(test, PTR_ERR(h[1]), -EBUSY);
	KUNIT_EXPECT_STREQ(test, other, "block.0");
	strata_handle_detach(h[0]);
}

/* Two nexuses hammer; a third fences them by turns. Nothing slips through. */

#define ROUNDS 40

struct hammer {
	struct bench *b;
	atomic_t inside[NEXUSES];
	atomic_t admitted;
	bool stop;
};

static void hammer_fn(void *context, unsigned int index)
{
	struct hammer *h = context;
	struct strata_pr *pr = h->b->disk->pr;
	unsigned int i = 1 + index % 2;
	void *token;

	while (!READ_ONCE(h->stop)) {
		if (pr->ops->begin(pr, &h->b->h[i]->nexus, REQ_OP_WRITE, &token)) {
			cond_resched();
			continue;
		}
		atomic_inc(&h->inside[i]);
		atomic_inc(&h->admitted);
		fsleep(20);
		atomic_dec(&h->inside[i]);
		pr->ops->end(pr, token);
	}
}

static void hammer(struct kunit *test)
{
	struct bench *b = bench_new(test, false);
	struct hammer *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);
	struct fake_threads *threads;
	unsigned int round;

	KUNIT_ASSERT_NOT_NULL(test, h);
	h->b = b;
	KUNIT_ASSERT_EQ(test, enroll(b, 0), 0);
	KUNIT_ASSERT_EQ(test, reserve(b, 0, PR_WRITE_EXCLUSIVE_REG_ONLY), 0);
	threads = fake_threads_start(test, 4, hammer_fn, h);
	for (round = 0; round < ROUNDS; round++) {
		unsigned int i = 1 + round % 2, before;

		KUNIT_EXPECT_EQ(test, enroll(b, i), 0);
		before = atomic_read(&h->admitted);
		while (atomic_read(&h->admitted) - before < 4)
			cond_resched();
		KUNIT_EXPECT_EQ(test, preempt(b, 0, i, true), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&h->inside[i]), 0);
		usleep_range(100, 200);
		KUNIT_EXPECT_EQ(test, atomic_read(&h->inside[i]), 0);
	}
	WRITE_ONCE(h->stop, true);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(threads));
	kunit_info(test, "%d admitted in %d rounds", atomic_read(&h->admitted), ROUNDS);
}

static struct kunit_case prwrap_fence_cases[] = {
	KUNIT_CASE(admission),
	KUNIT_CASE(refused_stays_out),
	KUNIT_CASE(passes_on),
	KUNIT_CASE(abort_waits),
	KUNIT_CASE(abort_waits_for_irq),
	KUNIT_CASE(others_go_on),
	KUNIT_CASE(fenced_twice),
	KUNIT_CASE(killed),
	KUNIT_CASE(sync_fails),
	KUNIT_CASE(comes_back),
	KUNIT_CASE(two_handles),
	KUNIT_CASE(long_name),
	KUNIT_CASE(cannot_persist),
	KUNIT_CASE(persists),
	KUNIT_CASE(no_file),
	KUNIT_CASE(full_status),
	KUNIT_CASE(single_nexus),
	KUNIT_CASE_SLOW(hammer),
	{}
};

struct kunit_suite prwrap_fence_suite = {
	.name = "strata_prwrap_fence",
	.test_cases = prwrap_fence_cases,
};
