// SPDX-License-Identifier: GPL-2.0
/*
 * delay: a disk that takes its time. Reads and writes wait before they go on
 * to the disk below; flushes and discards do not.
 *
 * Every bio waits for the same time, so the one that came first is due first.
 * When it is, a timer wakes a thread, since a timer may not submit.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <strata/type.h>
#include "delay.h"

/**
 * struct delay_held - a bio that waits
 * @node: in the delay's @held
 * @bio: the bio
 * @nexus: who issued it
 * @payer: whose cgroup pays for it
 * @since: when it came
 */
struct delay_held {
	struct list_head node;
	struct bio *bio;
	struct strata_nexus *nexus;
	struct bio *payer;
	ktime_t since;
};

/* When a bio may go on: by what the delay is now, not by what it was. */
static ktime_t due(const struct delay *d, const struct delay_held *held)
{
	return ktime_add_us(held->since, READ_ONCE(d->us));
}

static struct delay_held *first_held(struct delay *d)
{
	return list_first_entry_or_null(&d->held, struct delay_held, node);
}

/* A time that has passed is as good as any. */
static void start_timer(struct delay *d)
{
	struct delay_held *held = first_held(d);

	lockdep_assert_held(&d->lock);
	if (held)
		hrtimer_start(&d->timer, due(d, held), HRTIMER_MODE_ABS);
}

/* Take what is due. If nothing is, the timer says when the next one will be. */
static bool take_due(struct delay *d, struct list_head *list)
{
	ktime_t now = ktime_get();
	struct delay_held *held;

	spin_lock(&d->lock);
	while ((held = first_held(d)) && ktime_compare(due(d, held), now) <= 0)
		list_move_tail(&held->node, list);
	if (list_empty(list))
		start_timer(d);
	spin_unlock(&d->lock);
	return !list_empty(list);
}

static void submit_held(struct delay *d, struct list_head *list)
{
	struct delay_held *held, *next;
	struct blk_plug plug;

	blk_start_plug(&plug);
	list_for_each_entry_safe(held, next, list, node) {
		struct strata_nexus *nexus = held->nexus;
		struct bio *bio = held->bio, *payer = held->payer;

		list_del(&held->node);
		mempool_free(held, &d->pool);
		strata_submit_for(nexus, payer, d->below, bio);
	}
	blk_finish_plug(&plug);
}

static void delay_work(struct kthread_work *work)
{
	struct delay *d = container_of(work, struct delay, work);
	unsigned int noio = memalloc_noio_save();
	LIST_HEAD(list);

	while (take_due(d, &list))
		submit_held(d, &list);
	memalloc_noio_restore(noio);
}

static enum hrtimer_restart delay_expired(struct hrtimer *timer)
{
	struct delay *d = container_of(timer, struct delay, timer);

	kthread_queue_work(d->worker, &d->work);
	return HRTIMER_NORESTART;
}

static noinline enum strata_map hold(struct strata_ctx *ctx, struct delay *d,
				     struct bio *bio)
{
	bool wait = !(bio->bi_opf & REQ_NOWAIT) && strata_may_wait(ctx);
	struct delay_held *held =
		mempool_alloc(&d->pool, wait ? GFP_NOIO :
					       GFP_NOWAIT | __GFP_NOWARN);
	bool first;

	if (!held)
		return strata_sub_failed(ctx, bio);
	/* It goes on in the thread, which may sleep. */
	bio->bi_opf &= ~REQ_NOWAIT;
	held->bio = bio;
	held->nexus = ctx->nexus;
	held->payer = ctx->payer;

	spin_lock(&d->lock);
	held->since = ktime_get();
	first = list_empty(&d->held);
	list_add_tail(&held->node, &d->held);
	if (first)
		start_timer(d);
	spin_unlock(&d->lock);
	return STRATA_SUBMITTED;
}

/* Zeroes are written too, by one command or by many. */
static bool is_delayed(const struct bio *bio)
{
	return bio->bi_iter.bi_size && bio_op(bio) != REQ_OP_DISCARD;
}

static enum strata_map delay_map(struct strata_ctx *ctx,
				 struct strata_disk *disk, struct bio *bio)
{
	struct delay *d = disk->private;

	if (unlikely(READ_ONCE(d->us)) && is_delayed(bio))
		return hold(ctx, d, bio);
	return strata_remap(ctx, d->below);
}

const struct strata_disk_ops delay_disk_ops = {
	.single_target = true,
	.native_fua = true,
	.map = delay_map,
};
EXPORT_SYMBOL_NS_GPL(delay_disk_ops, STRATA);

/**
 * delay_create() - complete a disk that delays another
 * @disk: the disk; private and all that it inherits are filled in.
 *	delay_disk_ops are its operations
 * @below: the other; the caller holds a handle on it
 * @us: for how long, in microseconds, at most DELAY_MAX_US
 *
 * Context: process context.
 * Return: what delay_destroy() frees, or an ERR_PTR.
 */
struct delay *delay_create(struct strata_disk *disk, struct strata_disk *below,
			   u32 us)
{
	struct delay *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int err = -ENOMEM;

	if (!d)
		return ERR_PTR(err);
	d->below = below;
	d->us = us;
	spin_lock_init(&d->lock);
	INIT_LIST_HEAD(&d->held);
	hrtimer_init(&d->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	d->timer.function = delay_expired;
	kthread_init_work(&d->work, delay_work);
	err = mempool_init_kmalloc_pool(&d->pool, BIO_POOL_SIZE,
					sizeof(struct delay_held));
	if (err)
		goto free;
	d->worker = kthread_create_worker(0, "strata/%.24s", disk->name);
	if (IS_ERR(d->worker)) {
		err = PTR_ERR(d->worker);
		goto exit_pool;
	}
	/* Who waits for a CPU waits for longer than was asked for. */
	set_user_nice(d->worker->task, MIN_NICE);
	disk->private = d;
	strata_disk_inherit(disk, below);
	return d;
exit_pool:
	mempool_exit(&d->pool);
free:
	kfree(d);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_NS_GPL(delay_create, STRATA);

/**
 * delay_destroy() - undo delay_create()
 * @d: from delay_create(); no bio comes any more. What is held goes on at once
 *
 * Context: process context.
 */
void delay_destroy(struct delay *d)
{
	/* All of it is due now: once through, and nothing is left. */
	delay_set(d, 0);
	kthread_queue_work(d->worker, &d->work);
	kthread_flush_worker(d->worker);
	WARN_ON_ONCE(!list_empty(&d->held));
	hrtimer_cancel(&d->timer);
	kthread_destroy_worker(d->worker);
	mempool_exit(&d->pool);
	kfree(d);
}
EXPORT_SYMBOL_NS_GPL(delay_destroy, STRATA);

/**
 * delay_set() - change the delay of a live disk
 * @d: the disk
 * @us: the delay in microseconds, at most DELAY_MAX_US; counts also for what
 *	is held already
 *
 * Context: process context.
 */
void delay_set(struct delay *d, u32 us)
{
	spin_lock(&d->lock);
	WRITE_ONCE(d->us, us);
	start_timer(d);
	spin_unlock(&d->lock);
}
EXPORT_SYMBOL_NS_GPL(delay_set, STRATA);

/**
 * struct delay_desc - the description
 * @desc: what every description begins with
 * @delay_us: the delay in microseconds; live
 */
struct delay_desc {
	struct strata_desc desc;
	u32 delay_us;
};

static struct delay_desc *to_delay_desc(struct strata_desc *desc)
{
	return container_of(desc, struct delay_desc, desc);
}

static int delay_node_create(struct strata_node *node)
{
	struct delay *d;

	d = delay_create(node->disk, node->below->disk,
			 to_delay_desc(node->desc)->delay_us);
	if (IS_ERR(d))
		return strata_fail(node->desc, PTR_ERR(d),
				   "no thread can be started: error %ld",
				   -PTR_ERR(d));
	return 0;
}

static void delay_node_destroy(struct strata_node *node)
{
	delay_destroy(node->disk->private);
}

static int delay_describe(struct strata_node *node, char *buf, size_t size)
{
	const struct delay *d = node->disk->private;

	return scnprintf(buf, size, "delay_us %u", READ_ONCE(d->us));
}

static ssize_t delay_delay_us_store(struct config_item *item, const char *page,
				    size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	int err = strata_attr_begin(desc, true);
	u32 us;

	if (err)
		return err;
	err = strata_parse_u32(desc, page, count, &us);
	if (!err && us > DELAY_MAX_US)
		err = strata_fail(desc, -ERANGE,
				  "delay_us is at most %lu, ten minutes",
				  DELAY_MAX_US);
	if (!err) {
		WRITE_ONCE(to_delay_desc(desc)->delay_us, us);
		/* Nothing goes up or down under the graph mutex. */
		if (desc->state == STRATA_LIVE)
			delay_set(desc->node->disk->private, us);
	}
	strata_attr_end(desc);
	return err ?: count;
}

STRATA_ATTR_SHOW(delay, delay_us, u32,
		 STRATA_FIELD(struct delay_desc, delay_us))
CONFIGFS_ATTR(delay_, delay_us);

static struct configfs_attribute *delay_attrs[] = {
	&delay_attr_delay_us,
	NULL
};

static struct strata_type delay_type = {
	.name = "delay",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.pr = STRATA_PR_FORWARD,
	.attrs = delay_attrs,
	.desc_size = sizeof(struct delay_desc),
	.create = delay_node_create,
	.destroy = delay_node_destroy,
	.describe = delay_describe,
	.disk_ops = &delay_disk_ops,
};
module_strata_type(delay_type);

MODULE_ALIAS("strata-disk-delay");
MODULE_DESCRIPTION("strata: a disk that takes its time");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
