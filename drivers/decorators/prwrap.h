/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_PRWRAP_H
#define STRATA_PRWRAP_H
/* What the files of strata_prwrap.ko share with each other and with its tests. */
#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/pr.h>

struct file;

/* Registrants of one disk; what is shown of them fits a page. */
#define PRWRAP_MAX 32

/**
 * struct prwrap_who - what tells one nexus from another
 * @name: its name, padded with zeroes
 * @host_id: NVMe host identifier; when not zero, it alone counts
 */
struct prwrap_who {
	char name[STRATA_NAME_MAX];
	u8 host_id[16];
};

/**
 * struct prwrap_reg - a registration
 * @who: whose
 * @key: its key, never 0
 */
struct prwrap_reg {
	struct prwrap_who who;
	u64 key;
};

/**
 * struct prwrap_state - all there is to a disk's reservations
 * @generation: PRgeneration
 * @type: enum pr_type, or 0: no reservation
 * @holder: index of the registrant that holds it, or 0 when all do
 * @ptpl: persist through power loss
 * @nr: how many registrants
 * @pad: 0
 * @regs: the registrants in the order they came; zeroes behind them
 *
 * A plain value: two that are the same have the same bytes.
 */
struct prwrap_state {
	u32 generation;
	u32 type;
	u32 holder;
	u32 ptpl;
	u32 nr;
	u32 pad;
	struct prwrap_reg regs[PRWRAP_MAX];
};

/**
 * enum prwrap_op - commands that change the state
 * @PRWRAP_REGISTER: register, change or drop a key
 * @PRWRAP_RESERVE: make a reservation
 * @PRWRAP_RELEASE: give it up
 * @PRWRAP_CLEAR: drop everything
 * @PRWRAP_PREEMPT: remove registrants, take their reservation over
 * @PRWRAP_NR_OPS: how many there are
 */
enum prwrap_op {
	PRWRAP_REGISTER,
	PRWRAP_RESERVE,
	PRWRAP_RELEASE,
	PRWRAP_CLEAR,
	PRWRAP_PREEMPT,
	PRWRAP_NR_OPS,
};

/**
 * struct prwrap_cmd - a command
 * @op: which
 * @who: who gives it
 * @key: RESERVATION KEY: the key that @who has
 * @arg: SERVICE ACTION RESERVATION KEY: the new key, or the victim's
 * @type: type of the reservation, as somebody says
 * @flags: STRATA_PR_* of a registration
 * @abort: a preempt waits for what the victims have in flight
 */
struct prwrap_cmd {
	enum prwrap_op op;
	struct prwrap_who who;
	u64 key;
	u64 arg;
	unsigned int type;
	unsigned int flags;
	bool abort;
};

/* prwrap_state.c: the rules, as functions of values */
#define PRWRAP_DENY_READ	BIT(0)
#define PRWRAP_DENY_WRITE	BIT(1)

int prwrap_apply(struct prwrap_state *state, const struct prwrap_cmd *cmd);
int prwrap_find(const struct prwrap_state *state, const struct prwrap_who *who);
bool prwrap_is_holder(const struct prwrap_state *state, unsigned int i);
unsigned int prwrap_deny(const struct prwrap_state *state,
			 const struct prwrap_who *who);
bool prwrap_same(const struct prwrap_who *a, const struct prwrap_who *b);
bool prwrap_all_regs(unsigned int type);

/* prwrap_ptpl.c: the state in a file */
#define PRWRAP_SLOT_SIZE	4096
#define PRWRAP_SLOTS		2

/**
 * enum prwrap_found - what a slot holds
 * @PRWRAP_GOOD: a state
 * @PRWRAP_BLANK: nothing; it was never written
 * @PRWRAP_BAD: something that is not a whole state
 */
enum prwrap_found {
	PRWRAP_GOOD,
	PRWRAP_BLANK,
	PRWRAP_BAD,
};

/**
 * struct prwrap_ptpl - the file
 * @file: it
 * @serial: of the newest slot; it lives in slot @serial modulo 2
 * @bad: slots found damaged when it was read
 * @blank: slots that were never written
 * @slot: buffer of PRWRAP_SLOT_SIZE
 */
struct prwrap_ptpl {
	struct file *file;
	u64 serial;
	unsigned int bad;
	unsigned int blank;
	void *slot;
};

void prwrap_slot_encode(void *slot, const struct prwrap_state *state,
			u64 serial);
enum prwrap_found prwrap_slot_decode(const void *slot,
				     struct prwrap_state *state, u64 *serial);
int prwrap_ptpl_init(struct prwrap_ptpl *ptpl, struct file *file,
		     struct prwrap_state *state, const char **why);
void prwrap_ptpl_exit(struct prwrap_ptpl *ptpl);
int prwrap_ptpl_store(struct prwrap_ptpl *ptpl,
		      const struct prwrap_state *state);

/**
 * struct prwrap - the reservations of one disk
 * @pr: as others see them
 * @inner: the disk they guard
 * @lock: held by a command from its check to what comes of it. Protects @now,
 *	@next, @nexuses and @ptpl. Outside of what a file system takes; never
 *	taken for a bio
 * @now: the state in force
 * @next: room for the one that is to replace it
 * @nexuses: those that have joined, struct prwrap_nexus
 * @ptpl: the file; its file is NULL without one
 * @drain_lock: protects @draining and @fence; irq-safe
 * @draining: epochs that were closed by a fence and have bios in flight, the
 *	oldest first
 * @fence: number of the newest fence
 * @drained: woken when @draining has lost an epoch
 * @nr_epochs: epochs not freed yet
 */
struct prwrap {
	struct strata_pr pr;
	struct strata_disk *inner;
	struct mutex lock; /* see above */
	struct prwrap_state *now;
	struct prwrap_state *next;
	struct list_head nexuses;
	struct prwrap_ptpl ptpl;
	spinlock_t drain_lock; /* protects draining, fence */
	struct list_head draining;
	u64 fence;
	wait_queue_head_t drained;
	atomic_t nr_epochs;
};

/**
 * struct prwrap_epoch - a nexus between two fences
 * @p: whose
 * @deny: PRWRAP_DENY_*: what it may not do
 * @inflight: its bios, and one while the epoch is open
 * @node: in @p->draining
 * @fence: number of the fence that closed it
 */
struct prwrap_epoch {
	struct prwrap *p;
	unsigned int deny;
	struct percpu_ref inflight;
	struct list_head node;
	u64 fence;
};

/**
 * struct prwrap_nexus - a nexus that may issue bios
 * @who: it
 * @users: how many struct strata_nexus of that identity have joined
 * @node: in the nexuses of a struct prwrap
 * @epoch: where its bios are counted
 * @spare: the epoch after the fence that is being prepared
 */
struct prwrap_nexus {
	struct prwrap_who who;
	unsigned int users;
	struct list_head node;
	struct prwrap_epoch __rcu *epoch;
	struct prwrap_epoch *spare;
};

/* prwrap_nexus.c: who issues bios, and what they have in flight */
int prwrap_who(struct prwrap_who *who, const struct strata_nexus *nexus);
int prwrap_join(struct strata_pr *pr, struct strata_nexus *nexus);
void prwrap_leave(struct strata_pr *pr, struct strata_nexus *nexus);
blk_status_t prwrap_begin(struct strata_pr *pr, struct strata_nexus *nexus,
			  blk_opf_t op, void **token);
void prwrap_end(struct strata_pr *pr, void *token);
int prwrap_fence_prepare(struct prwrap *p);
void prwrap_fence_drop(struct prwrap *p);
void prwrap_publish(struct prwrap *p);
u64 prwrap_last_fence(struct prwrap *p);
int prwrap_fence_wait(struct prwrap *p, u64 fence);

/* prwrap_cmd.c: the commands; and making and freeing it all */
struct prwrap *prwrap_create(struct strata_disk *disk,
			     struct strata_disk *inner, struct file *ptpl,
			     const char **why);
void prwrap_destroy(struct prwrap *p);
extern const struct strata_disk_ops prwrap_disk_ops;

#endif /* STRATA_PRWRAP_H */
