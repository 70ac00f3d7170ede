/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_HANDLE_H
#define STRATA_HANDLE_H
/*
 * Handles: how a consumer (a frontend, or a disk above) holds a disk.
 *
 * A handle keeps the disk live, claims a kind of access, names the nexus and
 * is told about resize and removal. Several handles may be open on one disk
 * as far as their claims agree.
 */
#include <linux/blk_types.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/types.h>
#include <linux/wait.h>

#define STRATA_NAME_MAX 64

struct strata_desc;
struct strata_disk;
struct strata_handle;

/**
 * enum strata_claim - what a consumer demands of a disk
 * @STRATA_CLAIM_STABLE: it reads, and nobody writes
 * @STRATA_CLAIM_WRITE: it alone writes
 * @STRATA_CLAIM_SHARED: it writes, and so do others that claim the same
 */
enum strata_claim {
	STRATA_CLAIM_STABLE,
	STRATA_CLAIM_WRITE,
	STRATA_CLAIM_SHARED,
};

/**
 * struct strata_nexus - who issues a request: the I_T nexus of SPC-4, the host
 *	of NVMe
 * @name: the frontend item's "type.name"; stable over reboots of the guest
 * @host_id: the NVMe host identifier, zero where there is none
 * @pr: what the disk's reservations keep for it, from strata_pr_join() on
 */
struct strata_nexus {
	const char *name;
	u8 host_id[16];
	void *pr;
};

/**
 * struct strata_handle_ops - what a consumer is told
 * @resized: the disk has @capacity sectors now, or, while it shrinks, will have
 *	as soon as this returns. Process context, under the disk's users lock:
 *	do not open or close handles of that disk. Calls may be coalesced
 * @dead: the disk is gone for good; new I/O fails. Process context, as above
 */
struct strata_handle_ops {
	void (*resized)(struct strata_handle *handle, sector_t capacity);
	void (*dead)(struct strata_handle *handle);
};

/**
 * struct strata_handle - a consumer's hold on a disk
 * @disk: the disk; submit to it with strata_submit()
 * @nexus: identity of the issuer
 * @claim: the access claimed
 * @read_only: this consumer must not write, whatever the disk allows
 * @ops: callbacks, or NULL
 * @owner: for the consumer
 * @above: the disk that holds it, or NULL for a frontend
 * @node: in the disk's users
 * @inflight: what strata_handle_enter() admitted
 * @freeze_lock: protects @frozen
 * @frozen: how many freezes stand; admissions are stopped
 * @thawed: woken when they go on
 * @drained: @inflight has reached zero since the freeze
 * @untracked: the consumer has submitted without strata_handle_enter(), so what
 *	is in flight cannot be counted; it clears this when it knows that
 *	nothing is
 */
struct strata_handle {
	struct strata_disk *disk;
	struct strata_nexus nexus;
	enum strata_claim claim;
	bool read_only;
	const struct strata_handle_ops *ops;
	void *owner;
	struct strata_disk *above;
	struct list_head node;
	struct percpu_ref inflight;
	struct mutex freeze_lock; /* protects frozen */
	unsigned int frozen;
	wait_queue_head_t thawed;
	struct completion drained;
	bool untracked;
};

struct strata_handle *strata_handle_open(struct strata_desc *consumer,
					 enum strata_claim claim,
					 const struct strata_handle_ops *ops,
					 void *owner);
void strata_handle_close(struct strata_handle *handle);

int strata_handle_enter(struct strata_handle *handle, bool nowait);
void strata_handle_exit(struct strata_handle *handle);
int strata_handle_freeze(struct strata_handle *handle);
void strata_handle_thaw(struct strata_handle *handle);

/*
 * Claims on what a path leads to, so that two descriptions of one image are
 * seen as the one image they are.
 */
struct strata_path_claim;

struct strata_path_claim *strata_path_claim(struct strata_desc *desc, dev_t dev,
					    u64 ino, enum strata_claim claim);
void strata_path_unclaim(struct strata_path_claim *claim);

#endif /* STRATA_HANDLE_H */
