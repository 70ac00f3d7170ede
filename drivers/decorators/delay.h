/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_DELAY_H
#define STRATA_DELAY_H
/* The delay disk, for its own file and its unit tests. */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/spinlock.h>
#include <strata/disk.h>
#include <strata/submit.h>

#define DELAY_MAX_US	(600 * USEC_PER_SEC)

/**
 * struct delay - a live delay disk
 * @below: where bios go on to
 * @us: how long they wait first, in microseconds
 * @lock: protects @held, and the start of @timer. Task context only
 * @held: struct delay_held, in the order in which they came
 * @timer: expires when the first of @held is due
 * @worker: submits what is due
 * @work: the same
 * @pool: of struct delay_held
 */
struct delay {
	struct strata_disk *below;
	u32 us;
	spinlock_t lock; /* protects held, starts of timer */
	struct list_head held;
	struct hrtimer timer;
	struct kthread_worker *worker;
	struct kthread_work work;
	mempool_t pool;
};

extern const struct strata_disk_ops delay_disk_ops;

struct delay *delay_create(struct strata_disk *disk, struct strata_disk *below,
			   u32 us);
void delay_destroy(struct delay *d);
void delay_set(struct delay *d, u32 us);

#endif /* STRATA_DELAY_H */
