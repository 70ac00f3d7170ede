// SPDX-License-Identifier: GPL-2.0
/* Workers: order, contexts, and how they end. Kicks that queue to them. */
#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/vhost.h>
#include "fake_disk.h"
#include "guest_kit.h"

#define JOBS 64

/**
 * struct job - an item that tells how it ran
 * @item: the item
 * @lab: what it belongs to
 * @runs: how often
 * @gone: how often without the owner
 * @order: when it last ran, from 1
 * @again: times to queue itself again
 */
struct job {
	struct strata_worker_item item;
	struct lab *lab;
	atomic_t runs;
	atomic_t gone;
	unsigned int order;
	atomic_t again;
};

/**
 * struct lab - a worker, and jobs for it
 * @worker: the worker
 * @mm: the memory it should have
 * @task: who it was
 * @order: how many jobs have run
 * @inside: jobs that run now
 * @errors: what a job has noticed
 * @gate: what @block waits for
 * @blocked: and says that it does
 * @block: a job, or NULL
 * @jobs: the jobs
 */
struct lab {
	struct strata_worker *worker;
	struct mm_struct *mm;
	struct task_struct *task;
	unsigned int order;
	atomic_t inside;
	atomic_t errors;
	struct completion gate;
	struct completion blocked;
	struct job *block;
	struct job jobs[JOBS];
};

static void job_run(struct strata_worker_item *item, bool gone)
{
	struct job *job = container_of(item, struct job, item);
	struct lab *lab = job->lab;

	if (atomic_inc_return(&lab->inside) != 1)
		atomic_inc(&lab->errors);
	if (gone ? !!current->mm : current->mm != lab->mm)
		atomic_inc(&lab->errors);
	if (!gone)
		lab->task = current;
	if (job == lab->block) {
		complete(&lab->blocked);
		wait_for_completion(&lab->gate);
	}
	job->order = ++lab->order;
	atomic_dec(&lab->inside);
	if (gone)
		atomic_inc(&job->gone);
	atomic_inc(&job->runs);
	if (atomic_dec_if_positive(&job->again) >= 0)
		strata_worker_queue(lab->worker, item);
}

static void lab_end(void *data)
{
	struct lab *lab = data;

	complete_all(&lab->gate);
	strata_worker_stop(lab->worker);
}

static struct lab *lab_new(struct kunit *test)
{
	struct lab *lab = kunit_kzalloc(test, sizeof(*lab), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, lab);
	guest_mmap(test, SZ_64K);
	lab->mm = current->mm;
	init_completion(&lab->gate);
	init_completion(&lab->blocked);
	for (i = 0; i < JOBS; i++) {
		lab->jobs[i].lab = lab;
		strata_worker_item_init(&lab->jobs[i].item, job_run);
	}
	lab->worker = strata_worker_create("strata-lab");
	KUNIT_ASSERT_FALSE(test, IS_ERR(lab->worker));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, lab_end, lab), 0);
	return lab;
}

static void lab_stop(struct kunit *test, struct lab *lab)
{
	kunit_release_action(test, lab_end, lab);
	KUNIT_EXPECT_EQ(test, atomic_read(&lab->errors), 0);
}

static bool queue(struct lab *lab, unsigned int i)
{
	return strata_worker_queue(lab->worker, &lab->jobs[i].item);
}

/* Hold the worker in a job of its own, the last one. */
static void block(struct lab *lab)
{
	lab->block = &lab->jobs[JOBS - 1];
	queue(lab, JOBS - 1);
	wait_for_completion(&lab->blocked);
}

static void unblock(struct lab *lab)
{
	complete(&lab->gate);
}

static void order(struct kunit *test)
{
	struct lab *lab = lab_new(test);
	unsigned int i;

	block(lab);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_TRUE(test, queue(lab, i));
	/* Once is enough until it begins to run. */
	KUNIT_EXPECT_FALSE(test, queue(lab, 3));
	/* One that runs can be queued. */
	KUNIT_EXPECT_TRUE(test, queue(lab, JOBS - 1));
	lab->block = NULL;
	unblock(lab);
	strata_worker_flush(lab->worker);
	for (i = 0; i < 10; i++) {
		KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[i].runs), 1);
		KUNIT_EXPECT_EQ(test, lab->jobs[i].order, i + 2);
		KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[i].gone), 0);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[JOBS - 1].runs), 2);
	KUNIT_EXPECT_PTR_NE(test, lab->task, current);
	lab_stop(test, lab);
}

/* A flush waits for what is before it, and for nothing else. */
static void flushed(void *context, unsigned int index)
{
	struct lab *lab = context;

	strata_worker_flush(lab->worker);
	if (atomic_read(&lab->jobs[0].runs) != 1)
		atomic_inc(&lab->errors);
}

static void flush(struct kunit *test)
{
	struct lab *lab = lab_new(test);
	struct fake_threads *threads;

	strata_worker_flush(lab->worker);
	block(lab);
	queue(lab, 0);
	threads = fake_threads_start(test, 3, flushed, lab);
	msleep(50);
	KUNIT_EXPECT_EQ(test, atomic_read(&threads->running), 3);
	unblock(lab);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(threads));
	atomic_set(&lab->jobs[1].again, 5);
	queue(lab, 1);
	while (atomic_read(&lab->jobs[1].runs) < 6)
		strata_worker_flush(lab->worker);
	lab_stop(test, lab);
}

struct irq_lab {
	struct irq_work work;
	struct lab *lab;
};

static void queue_in_irq(struct irq_work *work)
{
	struct lab *lab = container_of(work, struct irq_lab, work)->lab;

	if (!in_hardirq())
		atomic_inc(&lab->errors);
	queue(lab, 0);
}

static void from_irq(struct kunit *test)
{
	struct irq_lab irq = { .lab = lab_new(test) };
	unsigned int i;

	irq.work = IRQ_WORK_INIT_HARD(queue_in_irq);
	for (i = 1; i <= 20; i++) {
		irq_work_queue(&irq.work);
		irq_work_sync(&irq.work);
		strata_worker_flush(irq.lab->worker);
		KUNIT_EXPECT_EQ(test, atomic_read(&irq.lab->jobs[0].runs), i);
	}
	lab_stop(test, irq.lab);
}

/* Each thread has jobs of its own, and queues them when they have run. */
#define CROWD	4
#define ROUNDS	300

static void crowd_run(void *context, unsigned int index)
{
	struct lab *lab = context;
	unsigned int i, n;

	for (n = 0; n < ROUNDS; n++)
		for (i = index * 8; i < index * 8 + 8; i++)
			while (!queue(lab, i))
				cond_resched();
}

static void crowd(struct kunit *test)
{
	struct lab *lab = lab_new(test);
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, fake_threads_wait(fake_threads_start(test, CROWD, crowd_run, lab)));
	strata_worker_flush(lab->worker);
	for (i = 0; i < CROWD * 8; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[i].runs), ROUNDS);
	lab_stop(test, lab);
}

static void unblock_later(void *context, unsigned int index)
{
	msleep(100);
	unblock(context);
}

/* What has not begun when the worker stops runs without the owner. */
static void stop(struct kunit *test)
{
	struct lab *lab = lab_new(test);
	struct fake_threads *threads;
	unsigned int i;

	block(lab);
	for (i = 0; i < 10; i++)
		queue(lab, i);
	atomic_set(&lab->jobs[4].again, 3);
	threads = fake_threads_start(test, 1, unblock_later, lab);
	/* Not lab_end(): that opens the gate. */
	kunit_remove_action(test, lab_end, lab);
	strata_worker_stop(lab->worker);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(threads));
	for (i = 0; i < 10; i++) {
		KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[i].runs), i == 4 ? 4 : 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[i].gone), i == 4 ? 4 : 1);
		KUNIT_EXPECT_GE(test, lab->jobs[i].order, i + 2);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&lab->errors), 0);
}

/* Kill the worker's task alone: the test's own thread must go on. */
static void kill(struct kunit *test, struct lab *lab)
{
	struct job *probe = &lab->jobs[JOBS - 2];
	unsigned int i;

	strata_worker_queue(lab->worker, &probe->item);
	strata_worker_flush(lab->worker);
	KUNIT_ASSERT_NOT_NULL(test, lab->task);
	KUNIT_EXPECT_EQ(test, send_sig(SIGKILL, lab->task, 1), 0);
	for (i = 0; i < 500 && !atomic_read(&probe->gone); i++) {
		strata_worker_queue(lab->worker, &probe->item);
		msleep(20);
	}
	KUNIT_ASSERT_GT(test, atomic_read(&probe->gone), 0);
}

static void killed(struct kunit *test)
{
	struct lab *lab;
	unsigned int i;

	/* Or the signal is ignored, as it is by kernel threads */
	allow_signal(SIGKILL);
	lab = lab_new(test);
	kill(test, lab);
	KUNIT_EXPECT_FALSE(test, signal_pending(current));
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_TRUE(test, queue(lab, i));
	strata_worker_flush(lab->worker);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[i].gone), 1);
	atomic_set(&lab->jobs[0].again, 10);
	queue(lab, 0);
	lab_stop(test, lab);
	KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[0].gone), 12);
}

/* Killed while others go on queueing: nothing is lost, nothing overlaps. */
static void killed_in_a_crowd(struct kunit *test)
{
	struct fake_threads *threads;
	struct lab *lab;
	unsigned int i;

	allow_signal(SIGKILL);
	lab = lab_new(test);
	queue(lab, 0);
	strata_worker_flush(lab->worker);
	atomic_set(&lab->jobs[0].runs, 0);
	threads = fake_threads_start(test, CROWD, crowd_run, lab);
	msleep(20);
	KUNIT_EXPECT_EQ(test, send_sig(SIGKILL, lab->task, 1), 0);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(threads));
	strata_worker_flush(lab->worker);
	for (i = 0; i < CROWD * 8; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&lab->jobs[i].runs), ROUNDS);
	lab_stop(test, lab);
}

/* A file that can be polled, in the place of an eventfd */
struct fake_event {
	wait_queue_head_t head;
	__poll_t mask;
};

static __poll_t fake_poll(struct file *file, poll_table *table)
{
	struct fake_event *event = file->private_data;

	poll_wait(file, &event->head, table);
	return event->mask;
}

static const struct file_operations fake_event_fops = {
	.owner = THIS_MODULE,
	.poll = fake_poll,
};

static struct file *fake_event_file(struct kunit *test, struct fake_event *event)
{
	struct file *file;

	init_waitqueue_head(&event->head);
	event->mask = 0;
	file = anon_inode_getfile("[strata-event]", &fake_event_fops, event, O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	return file;
}

static bool watched(struct fake_event *event)
{
	/* Nobody adds or removes anything meanwhile. */
	return waitqueue_active(&event->head);
}

static unsigned int runs_after(struct lab *lab, struct fake_event *event, __poll_t what)
{
	wake_up_poll(&event->head, what);
	strata_worker_flush(lab->worker);
	return atomic_read(&lab->jobs[0].runs);
}

static void kicks(struct kunit *test)
{
	struct lab *lab = lab_new(test);
	struct fake_event one, two;
	struct file *first = fake_event_file(test, &one);
	struct file *second = fake_event_file(test, &two);
	struct strata_guest_kick kick;

	strata_guest_kick_init(&kick, &lab->jobs[0].item);
	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_file(&kick, get_file(first)), 0);
	/* Nobody is there to run it. */
	KUNIT_EXPECT_FALSE(test, watched(&one));
	KUNIT_EXPECT_EQ(test, runs_after(lab, &one, EPOLLIN), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_worker(&kick, lab->worker), 0);
	KUNIT_EXPECT_EQ(test, runs_after(lab, &one, EPOLLIN), 1);
	KUNIT_EXPECT_EQ(test, runs_after(lab, &one, EPOLLOUT), 1);
	KUNIT_EXPECT_EQ(test, runs_after(lab, &one, EPOLLIN), 2);

	/* A file that was signalled before */
	two.mask = EPOLLIN;
	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_file(&kick, get_file(second)), 0);
	KUNIT_EXPECT_EQ(test, runs_after(lab, &two, EPOLLOUT), 3);
	KUNIT_EXPECT_EQ(test, runs_after(lab, &one, EPOLLIN), 3);
	KUNIT_EXPECT_EQ(test, runs_after(lab, &two, EPOLLIN), 4);

	/* What is no eventfd leaves all as it was. */
	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_fd(&kick, 1000), -EBADF);
	KUNIT_EXPECT_EQ(test, runs_after(lab, &two, EPOLLIN), 5);

	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_worker(&kick, NULL), 0);
	KUNIT_EXPECT_FALSE(test, watched(&two));
	one.mask = EPOLLERR;
	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_worker(&kick, lab->worker), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_file(&kick, get_file(first)), -EINVAL);
	KUNIT_EXPECT_FALSE(test, watched(&one));
	KUNIT_EXPECT_EQ(test, strata_guest_kick_set_fd(&kick, VHOST_FILE_UNBIND), 0);
	KUNIT_EXPECT_EQ(test, file_count(first), 1);
	KUNIT_EXPECT_EQ(test, file_count(second), 1);
	__fput_sync(first);
	__fput_sync(second);
	lab_stop(test, lab);
}

static void calls(struct kunit *test)
{
	struct strata_guest_call call;

	strata_guest_call_init(&call);
	strata_guest_call_signal(&call);
	KUNIT_EXPECT_EQ(test, strata_guest_call_set_fd(&call, 1000), -EBADF);
	KUNIT_EXPECT_NULL(test, call.ctx);
	strata_guest_call_signal(&call);
	KUNIT_EXPECT_EQ(test, strata_guest_call_set_fd(&call, VHOST_FILE_UNBIND), 0);
}

static struct kunit_case guest_worker_cases[] = {
	KUNIT_CASE(order),
	KUNIT_CASE(flush),
	KUNIT_CASE(from_irq),
	KUNIT_CASE_SLOW(crowd),
	KUNIT_CASE(stop),
	KUNIT_CASE(killed),
	KUNIT_CASE_SLOW(killed_in_a_crowd),
	KUNIT_CASE(kicks),
	KUNIT_CASE(calls),
	{}
};

struct kunit_suite guest_worker_suite = {
	.name = "strata_guest_worker",
	.test_cases = guest_worker_cases,
};
