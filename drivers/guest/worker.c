// SPDX-License-Identifier: GPL-2.0
/*
 * A worker: a task that is one of the VMM's threads in all but what it runs, so
 * that it has the guest's memory, and its time and I/O are the VMM's. It dies
 * with the VMM. Whoever has not noticed goes on queueing items, which a kernel
 * worker then completes.
 */
#include <linux/export.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <strata/guest.h>

/* In an item's flags */
#define ITEM_QUEUED 0

/**
 * struct strata_worker - a worker
 * @items: what is to be done, last first
 * @task: who does it; until strata_worker_stop(), also when the task has ended
 * @killed: it has ended, or is about to, and @rest does it. Set once
 * @rest: the kernel worker's
 */
struct strata_worker {
	struct llist_head items;
	struct vhost_task *task;
	bool killed;
	struct work_struct rest;
};

/**
 * struct flush - what strata_worker_flush() queues
 * @item: the item
 * @done: it has run, and all before it
 */
struct flush {
	struct strata_worker_item item;
	struct completion done;
};

/* Return: false if there was nothing to do. */
static bool run_items(struct strata_worker *worker, bool gone)
{
	struct llist_node *first = llist_del_all(&worker->items);
	struct strata_worker_item *item, *next;

	if (!first)
		return false;
	__set_current_state(TASK_RUNNING);
	first = llist_reverse_order(first);
	llist_for_each_entry_safe(item, next, first, node) {
		clear_bit(ITEM_QUEUED, &item->flags);
		/* Who finds it queued knows that what he did before is seen. */
		smp_mb__after_atomic();
		item->fn(item, gone);
		cond_resched();
	}
	return true;
}

/* The task's loop, in which it looks for signals and sleeps, is around this. */
static bool worker_run(void *data)
{
	return run_items(data, false);
}

static void worker_rest(struct work_struct *work)
{
	struct strata_worker *worker =
		container_of(work, struct strata_worker, rest);

	while (run_items(worker, true))
		;
}

/* The VMM is killed or exits; the task is about to end. */
static void worker_killed(void *data)
{
	struct strata_worker *worker = data;

	WRITE_ONCE(worker->killed, true);
	/* Either who queues sees that, or @rest sees what was queued. */
	smp_mb();
	queue_work(system_unbound_wq, &worker->rest);
}

/**
 * strata_worker_item_init() - set up an item
 * @item: the item
 * @fn: what to do, see &struct strata_worker_item
 */
void strata_worker_item_init(struct strata_worker_item *item,
			     void (*fn)(struct strata_worker_item *item,
					bool gone))
{
	item->flags = 0;
	item->fn = fn;
}
EXPORT_SYMBOL_NS_GPL(strata_worker_item_init, STRATA);

/**
 * strata_worker_create() - a worker for this task's memory
 * @name: the task's name
 *
 * Context: the owner, who is charged for what the worker does; may sleep.
 * Return: the worker, or an error as of fork(2).
 */
struct strata_worker *strata_worker_create(const char *name)
{
	struct strata_worker *worker = kzalloc(sizeof(*worker),
					       GFP_KERNEL_ACCOUNT);
	struct vhost_task *task;

	if (!worker)
		return ERR_PTR(-ENOMEM);
	init_llist_head(&worker->items);
	INIT_WORK(&worker->rest, worker_rest);
	task = vhost_task_create(worker_run, worker_killed, worker, name);
	if (IS_ERR(task)) {
		kfree(worker);
		return ERR_CAST(task);
	}
	worker->task = task;
	vhost_task_start(task);
	return worker;
}
EXPORT_SYMBOL_NS_GPL(strata_worker_create, STRATA);

/* Pairs with worker_killed(): llist_add(), before this, is a full barrier. */
static void wake(struct strata_worker *worker)
{
	if (unlikely(READ_ONCE(worker->killed)))
		queue_work(system_unbound_wq, &worker->rest);
	else
		vhost_task_wake(worker->task);
}

/**
 * strata_worker_queue() - have an item run once from now
 * @worker: the worker
 * @item: the item; runs after those queued before it. An item has one worker
 *	at a time
 *
 * Context: any.
 * Return: false if it was queued already and has not begun to run.
 */
bool strata_worker_queue(struct strata_worker *worker,
			 struct strata_worker_item *item)
{
	if (test_and_set_bit(ITEM_QUEUED, &item->flags))
		return false;
	/* Once in the list it may run, and let the worker be stopped. */
	rcu_read_lock();
	/* If there are others before it, whoever queued the first one wakes. */
	if (llist_add(&item->node, &worker->items))
		wake(worker);
	rcu_read_unlock();
	return true;
}
EXPORT_SYMBOL_NS_GPL(strata_worker_queue, STRATA);

static void flush_run(struct strata_worker_item *item, bool gone)
{
	complete(&container_of(item, struct flush, item)->done);
}

/**
 * strata_worker_flush() - wait for all that is queued
 * @worker: the worker; not from one of its items, nor with anything held that
 *	they wait for
 *
 * Items that were queued again while they ran are not waited for.
 *
 * Context: may sleep; any task but the worker's.
 */
void strata_worker_flush(struct strata_worker *worker)
{
	struct flush flush;

	strata_worker_item_init(&flush.item, flush_run);
	init_completion(&flush.done);
	strata_worker_queue(worker, &flush.item);
	wait_for_completion(&flush.done);
}
EXPORT_SYMBOL_NS_GPL(strata_worker_flush, STRATA);

/**
 * strata_worker_stop() - the end of a worker
 * @worker: the worker; nobody but items that run queues anything any more. What
 *	is queued and has not begun runs as if the owner were gone
 *
 * Flush before for the guest to see the results.
 *
 * Context: as strata_worker_flush().
 */
void strata_worker_stop(struct strata_worker *worker)
{
	/* For those who are still queueing what has already run. */
	synchronize_rcu();
	vhost_task_stop(worker->task);
	/* Now only the kernel worker runs items, one at a time. */
	WRITE_ONCE(worker->killed, true);
	do {
		queue_work(system_unbound_wq, &worker->rest);
		flush_work(&worker->rest);
		cancel_work_sync(&worker->rest);
	} while (!llist_empty(&worker->items));
	kfree(worker);
}
EXPORT_SYMBOL_NS_GPL(strata_worker_stop, STRATA);
