/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_GUEST_H
#define STRATA_GUEST_H
/*
 * What transports to a guest share: its memory, its split virtqueues, a worker
 * task that is one of the VMM's, kicks and calls.
 *
 * The guest is hostile, and so is its VMM. What is read of their memory is
 * copied once and judged in the copy. That memory is only ever touched by tasks
 * with the owner's mm: everything else here refuses, because a kernel thread
 * would find another process's memory at the same addresses.
 */
#include <linux/bvec.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/vhost_types.h>
#include <linux/wait.h>

struct eventfd_ctx;
struct strata_guest_table;
struct strata_worker;

/* Regions in a memory table, as vhost has it unless told otherwise. */
#define STRATA_GUEST_REGIONS_MAX	64

/* Bytes that one request may pin: more than the largest virtio-scsi command. */
#define STRATA_GUEST_PIN_MAX		SZ_32M

/**
 * struct strata_guest_seg - a piece of the guest's memory, as the guest says
 * @gpa: guest physical address; any value
 * @len: bytes, not 0 where it comes from a ring; perhaps not all of it exists
 */
struct strata_guest_seg {
	u64 gpa;
	u32 len;
};

/**
 * struct strata_guest_mem - the memory of one guest
 * @mm: the owner's address space, or NULL before there is an owner. Set once
 * @table: the memory table in force, or NULL; written under @lock, read in @srcu
 * @srcu: who uses a table
 * @lock: one change at a time; may be held long, a change waits for users. Not
 *	taken by users of the table
 * @generation: how many tables there have been; under @lock
 */
struct strata_guest_mem {
	struct mm_struct *mm;
	struct strata_guest_table __rcu *table;
	struct srcu_struct srcu;
	struct mutex lock;	/* Changes */
	u64 generation;
};

/**
 * struct strata_guest_view - one memory table, held
 * @mem: the memory
 * @table: the table, which may be empty but not NULL
 * @generation: its number, from 1; another table has another one
 * @idx: for strata_guest_drop()
 *
 * On the stack of the task that took it. Hold it for a bounded time, such as
 * one pass over a ring: a change of the table waits for it.
 */
struct strata_guest_view {
	struct strata_guest_mem *mem;
	const struct strata_guest_table *table;
	u64 generation;
	int idx;
};

int strata_guest_mem_init(struct strata_guest_mem *mem);
void strata_guest_mem_exit(struct strata_guest_mem *mem);
int strata_guest_set_owner(struct strata_guest_mem *mem);
int strata_guest_set_table(struct strata_guest_mem *mem,
			   const struct vhost_memory_region *regions,
			   unsigned int nr);
int strata_guest_set_user_table(struct strata_guest_mem *mem,
				const struct vhost_memory __user *user);

/**
 * strata_guest_is_owner() - does this task have the owner's address space?
 * @mem: the memory
 *
 * Context: any.
 * Return: true if so; false when there is no owner as well.
 */
static inline bool strata_guest_is_owner(const struct strata_guest_mem *mem)
{
	struct mm_struct *mm = READ_ONCE(mem->mm);

	return mm && mm == current->mm;
}

int strata_guest_hold(struct strata_guest_mem *mem,
		      struct strata_guest_view *view);
void strata_guest_drop(struct strata_guest_view *view);

void __user *strata_guest_translate(const struct strata_guest_view *view,
				    u64 gpa, size_t *len);
int strata_guest_copy_in(const struct strata_guest_view *view, void *to,
			 size_t len, const struct strata_guest_seg *segs,
			 unsigned int nr_segs, u64 skip);
int strata_guest_copy_out(const struct strata_guest_view *view,
			  const void *from, size_t len,
			  const struct strata_guest_seg *segs,
			  unsigned int nr_segs, u64 skip);

/**
 * struct strata_guest_pins - memory of the guest, pinned for one request
 * @bvecs: the caller's array. What lies together in memory is one bvec, so one
 *	can be many pages; offsets and lengths are any number of bytes
 * @max: bvecs that @bvecs has room for
 * @nr: bvecs in use; 0 when nothing is pinned
 * @bytes: in all of them
 * @write: the guest's memory is to be written: a read from a disk
 *
 * The caller sets @bvecs, @max and @write and zeroes the rest.
 */
struct strata_guest_pins {
	struct bio_vec *bvecs;
	unsigned int max;
	unsigned int nr;
	size_t bytes;
	bool write;
};

int strata_guest_pin(const struct strata_guest_view *view,
		     struct strata_guest_pins *pins,
		     const struct strata_guest_seg *segs, unsigned int nr_segs);
void strata_guest_unpin(struct strata_guest_pins *pins, bool dirty);

/**
 * struct strata_vring - the device's end of one split virtqueue
 * @mem: the guest's memory; the rings are at user addresses of its owner
 * @lock: all else here, and the device's part of the rings. Taken by the
 *	functions that set something up, held by the caller of those that run
 * @features: negotiated bits: VIRTIO_F_NOTIFY_ON_EMPTY,
 *	VIRTIO_RING_F_INDIRECT_DESC and VIRTIO_RING_F_EVENT_IDX matter here
 * @num: descriptors, a power of two; 0 if not set
 * @desc: the descriptors
 * @avail: what the guest offers
 * @used: what it gets back
 * @last_avail: the next entry of @avail to take, counted without end
 * @avail_idx: the end of @avail when it was last looked at
 * @used_idx: the end of @used that the guest knows
 * @used_new: entries written beyond it
 * @flags: what @used's flags field holds
 * @signal_next: the guest is to hear of the next entry in any case
 * @running: the guest may use it
 * @broken: the guest broke a rule; nothing is done for it until stopped
 *
 * Little endian, as VIRTIO 1 says.
 */
struct strata_vring {
	struct strata_guest_mem *mem;
	struct mutex lock;	/* All below */
	u64 features;
	unsigned int num;
	struct vring_desc __user *desc;
	struct vring_avail __user *avail;
	struct vring_used __user *used;
	u16 last_avail;
	u16 avail_idx;
	u16 used_idx;
	u16 used_new;
	u16 flags;
	bool signal_next;
	bool running;
	bool broken;
};

/**
 * struct strata_vring_chain - a buffer that the guest offers
 * @segs: the caller's array: what the device reads, then what it writes
 * @max: segments that @segs has room for
 * @head: the buffer's name, for strata_vring_push()
 * @nr_out: segments for the device to read
 * @nr_in: segments for it to write, after those
 * @out_len: bytes to read, in all segments
 * @in_len: bytes to write, in all segments
 * @truncated: there are more segments than @max; those beyond are counted in
 *	the lengths only
 *
 * The caller sets @segs and @max.
 */
struct strata_vring_chain {
	struct strata_guest_seg *segs;
	unsigned int max;
	u16 head;
	unsigned int nr_out;
	unsigned int nr_in;
	u64 out_len;
	u64 in_len;
	bool truncated;
};

void strata_vring_init(struct strata_vring *vq, struct strata_guest_mem *mem);
int strata_vring_set_num(struct strata_vring *vq, unsigned int num);
int strata_vring_set_addr(struct strata_vring *vq,
			  const struct vhost_vring_addr *addr);
int strata_vring_set_base(struct strata_vring *vq, unsigned int base);
unsigned int strata_vring_get_base(struct strata_vring *vq);
void strata_vring_set_features(struct strata_vring *vq, u64 features);
int strata_vring_start(struct strata_vring *vq);
void strata_vring_stop(struct strata_vring *vq);

int strata_vring_next(struct strata_vring *vq,
		      const struct strata_guest_view *view,
		      struct strata_vring_chain *chain);
int strata_vring_push(struct strata_vring *vq, u16 head, u32 len);
int strata_vring_publish(struct strata_vring *vq);
int strata_vring_disable_kick(struct strata_vring *vq);
int strata_vring_enable_kick(struct strata_vring *vq);

/**
 * struct strata_worker_item - something for a worker to do
 * @node: in the worker's list
 * @flags: bit 0: it is in the list
 * @fn: what to do. @gone: the owner is gone or going and its memory with it:
 *	complete, unpin, free, and queue nothing without end. It runs in the
 *	worker's task, with the owner's memory, or if @gone in any task. It may
 *	sleep, free the item, or queue it again
 *
 * Embedded in what it is about; set up by strata_worker_item_init().
 */
struct strata_worker_item {
	struct llist_node node;
	unsigned long flags;
	void (*fn)(struct strata_worker_item *item, bool gone);
};

void strata_worker_item_init(struct strata_worker_item *item,
			     void (*fn)(struct strata_worker_item *item,
					bool gone));
struct strata_worker *strata_worker_create(const char *name);
bool strata_worker_queue(struct strata_worker *worker,
			 struct strata_worker_item *item);
void strata_worker_flush(struct strata_worker *worker);
void strata_worker_stop(struct strata_worker *worker);

/**
 * struct strata_guest_kick - an eventfd whose signals queue an item
 * @item: the item
 * @worker: who runs it, or NULL for nobody
 * @file: the eventfd, a reference, or NULL
 * @head: the file's wait queue while it is watched
 * @wait: our entry in it
 * @table: how that got there
 *
 * Calls are serialised by their caller. The count of the eventfd is never read.
 */
struct strata_guest_kick {
	struct strata_worker_item *item;
	struct strata_worker *worker;
	struct file *file;
	wait_queue_head_t *head;
	wait_queue_entry_t wait;
	poll_table table;
};

void strata_guest_kick_init(struct strata_guest_kick *kick,
			    struct strata_worker_item *item);
int strata_guest_kick_set_worker(struct strata_guest_kick *kick,
				 struct strata_worker *worker);
int strata_guest_kick_set_file(struct strata_guest_kick *kick,
			       struct file *file);
int strata_guest_kick_set_fd(struct strata_guest_kick *kick, int fd);

/**
 * struct strata_guest_call - an eventfd to signal: a call, or an error
 * @lock: @ctx; taken in any context
 * @ctx: the eventfd, a reference, or NULL
 */
struct strata_guest_call {
	spinlock_t lock;	/* ctx */
	struct eventfd_ctx *ctx;
};

void strata_guest_call_init(struct strata_guest_call *call);
int strata_guest_call_set_fd(struct strata_guest_call *call, int fd);
void strata_guest_call_signal(struct strata_guest_call *call);

#endif /* STRATA_GUEST_H */
