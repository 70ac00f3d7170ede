/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_FAKE_DISK_H
#define STRATA_KUNIT_FAKE_DISK_H
/*
 * A backend disk for KUnit suites: a sparse memory store that remembers every
 * bio it was given, ends bios where the test wants it to, and fails on demand;
 * and bios to submit to any disk.
 */
#include <kunit/test.h>
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <strata/disk.h>
#include <strata/submit.h>

/* Emulation is slow: far more than anything takes, less than KUnit allows. */
#define FAKE_TIMEOUT	(60 * HZ)

/* Compare how bios ended; a blk_status_t is not a number to sparse. */
#define FAKE_EXPECT_STS(test, got, want) \
	KUNIT_EXPECT_EQ(test, (__force u8)(got), (__force u8)(want))
#define FAKE_EXPECT_STS_MSG(test, got, want, fmt, ...) \
	KUNIT_EXPECT_EQ_MSG(test, (__force u8)(got), (__force u8)(want), fmt, \
			    ##__VA_ARGS__)
#define FAKE_ASSERT_STS(test, got, want) \
	KUNIT_ASSERT_EQ(test, (__force u8)(got), (__force u8)(want))

/**
 * enum fake_when - where a fake disk ends its bios
 * @FAKE_INLINE: in map
 * @FAKE_WORKER: in a work item
 * @FAKE_SOFTIRQ: in a softirq
 * @FAKE_HARDIRQ: in a hard interrupt
 * @FAKE_HELD: not until fake_disk_release()
 */
enum fake_when {
	FAKE_INLINE,
	FAKE_WORKER,
	FAKE_SOFTIRQ,
	FAKE_HARDIRQ,
	FAKE_HELD,
};

/**
 * struct fake_op - one bio that a fake disk was given
 * @opf: its bi_opf
 * @sector: where
 * @nr: how many sectors
 * @nexus: who issued it
 * @status: how it ended
 * @begun: fake_seq() when it came
 * @ended: fake_seq() just before it was ended, or 0
 * @stack: a stack address in map
 * @in_task: map ran in task context with interrupts on
 */
struct fake_op {
	blk_opf_t opf;
	sector_t sector;
	unsigned int nr;
	struct strata_nexus *nexus;
	blk_status_t status;
	unsigned int begun;
	unsigned int ended;
	unsigned long stack;
	bool in_task;
};

/**
 * struct fake_error - bios that are to fail
 * @op: this operation; REQ_OP_FLUSH is an empty flush, REQ_OP_LAST any
 * @sector: first sector of the bad range
 * @nr: its length
 * @status: how they fail
 * @skip: how many to let pass first
 * @times: how many to fail
 */
struct fake_error {
	enum req_op op;
	sector_t sector;
	sector_t nr;
	blk_status_t status;
	unsigned int skip;
	unsigned int times;
};

#define FAKE_ERRORS 4

/**
 * struct fake_config - what a fake disk is to be
 * @name: its name, or NULL
 * @sectors: its size
 * @lba: bytes in a logical block; 0 means 512
 * @read_only: as in struct strata_disk
 * @single_target: as in struct strata_disk_ops
 * @native_fua: as in struct strata_disk_ops
 * @native_zeroes: it does WRITE_ZEROES itself
 * @unmap: what a discard does
 * @max_zeroes: most sectors of one WRITE_ZEROES; 0 means no limit
 * @max_discard: most sectors of one discard; 0 means no limit
 * @max_ops: how many bios to remember; 0 means 8192
 */
struct fake_config {
	const char *name;
	sector_t sectors;
	unsigned int lba;
	bool read_only;
	bool single_target;
	bool native_fua;
	bool native_zeroes;
	enum strata_unmap unmap;
	unsigned int max_zeroes;
	unsigned int max_discard;
	unsigned int max_ops;
};

/**
 * struct fake_disk - a fake disk
 * @disk: the disk itself
 * @ops: its operations
 * @when: where bios end; may be changed while nothing is in flight
 * @delay: how long they take, when not inline
 * @lifo: bios that wait end last come first
 * @again: a bio with REQ_NOWAIT ends BLK_STS_AGAIN
 * @hook: called in map, before anything else
 * @context: for @hook
 * @shrunk: called when a smaller size is published
 * @lock: protects all that follows; irq-safe
 * @pages: the data: pages by their number; absent means zeroes
 * @nr_pages: how many
 * @log: the bios it was given
 * @nr_ops: how many; those beyond @max_ops are not in @log
 * @max_ops: room in @log
 * @errors: what is to fail
 * @pending: bios that wait for their end
 * @nr_pending: how many
 * @inflight: how many have come and not ended yet
 * @max_inflight: the most there ever were
 * @era: how often it has shrunk
 * @in_era: bios not ended yet that came in even and in odd eras
 * @changed: woken when a bio comes or ends
 * @work: ends bios
 * @soft: ends bios
 * @hard: ends bios
 */
struct fake_disk {
	struct strata_disk *disk;
	struct strata_disk_ops ops;
	enum fake_when when;
	ktime_t delay;
	bool lifo;
	bool again;
	void (*hook)(struct fake_disk *fake, struct strata_ctx *ctx,
		     struct bio *bio);
	void *context;
	void (*shrunk)(struct fake_disk *fake, sector_t capacity);

	spinlock_t lock; /* protects all below */
	struct xarray pages;
	unsigned int nr_pages;
	struct fake_op *log;
	unsigned int nr_ops;
	unsigned int max_ops;
	struct fake_error errors[FAKE_ERRORS];
	struct list_head pending;
	unsigned int nr_pending;
	unsigned int inflight;
	unsigned int max_inflight;
	unsigned int era;
	unsigned int in_era[2];
	wait_queue_head_t changed;
	struct delayed_work work;
	struct hrtimer soft;
	struct hrtimer hard;
};

unsigned int fake_seq(void);

struct fake_disk *fake_disk_new(struct kunit *test,
				const struct fake_config *config);
void fake_disk_ends(struct fake_disk *fake, enum fake_when when,
		    unsigned int delay_us);
void fake_disk_fail(struct fake_disk *fake, const struct fake_error *error);
void fake_disk_fail_none(struct fake_disk *fake);
bool fake_disk_wait_pending(struct fake_disk *fake, unsigned int n);
unsigned int fake_disk_release(struct fake_disk *fake, unsigned int n);

void fake_disk_forget(struct fake_disk *fake);
enum req_op fake_op_kind(const struct fake_op *op);
unsigned int fake_disk_count(struct fake_disk *fake, enum req_op op);

void fake_disk_peek(struct fake_disk *fake, sector_t sector, void *buf,
		    size_t bytes);
void fake_disk_poke(struct fake_disk *fake, sector_t sector, const void *buf,
		    size_t bytes);

void fake_pool_starve(struct strata_disk *disk, bool starve);

/**
 * struct fake_bio - a bio to be submitted by a test
 * @bio: the bio
 * @vecs: its bvecs
 * @done: it has ended
 * @status: how
 * @ends: how often; anything but 1 is wrong
 * @ended: fake_seq() then
 * @in_task: then in task context with interrupts on
 * @stack: a stack address when it was submitted
 */
struct fake_bio {
	struct bio bio;
	struct bio_vec *vecs;
	struct completion done;
	blk_status_t status;
	atomic_t ends;
	unsigned int ended;
	bool in_task;
	unsigned long stack;
};

struct fake_bio *fake_bio_new(struct kunit *test, blk_opf_t opf,
			      sector_t sector, void *buf, unsigned int bytes);
void fake_bio_submit(struct fake_bio *fb, struct strata_nexus *nexus,
		     struct strata_disk *disk);
blk_status_t fake_bio_wait(struct kunit *test, struct fake_bio *fb);

blk_status_t fake_rw(struct kunit *test, struct strata_disk *disk,
		     blk_opf_t opf, sector_t sector, void *buf,
		     unsigned int bytes);
blk_status_t fake_range(struct kunit *test, struct strata_disk *disk,
			blk_opf_t opf, sector_t sector, unsigned int nr);
blk_status_t fake_flush(struct kunit *test, struct strata_disk *disk);

void fake_pattern(void *buf, size_t bytes, sector_t sector, u32 seed);
void *fake_buffer(struct kunit *test, size_t bytes, sector_t sector, u32 seed);

/**
 * struct fake_threads - kernel threads that run one function
 * @fn: the function
 * @context: for it
 * @n: how many
 * @next: the next one's number
 * @running: how many have not returned
 * @done: none
 */
struct fake_threads {
	void (*fn)(void *context, unsigned int index);
	void *context;
	unsigned int n;
	atomic_t next;
	atomic_t running;
	struct completion done;
};

struct fake_threads *fake_threads_start(struct kunit *test, unsigned int n,
					void (*fn)(void *context, unsigned int index),
					void *context);
bool fake_threads_wait(struct fake_threads *threads);

#endif /* STRATA_KUNIT_FAKE_DISK_H */
