/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_DISK_H
#define STRATA_DISK_H
/*
 * The disk: a live, reference-counted object that takes bios.
 *
 * Sectors are 512 bytes everywhere, as in the block layer. A disk is made by
 * the resolver (resolve.c) from a description (desc.h), reached by consumers
 * through a handle (handle.h), and given bios with strata_submit() (submit.h).
 */
#include <linux/blkdev.h>
#include <linux/bio.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>

struct strata_ctx;
struct strata_disk;
struct strata_node;
struct strata_pr;

/**
 * enum strata_unmap - what a discarded sector reads as
 * @STRATA_UNMAP_IGNORED: discard is a no-op that still checks its range
 * @STRATA_UNMAP_UNSPECIFIED: the old data, zeroes, or anything in between
 * @STRATA_UNMAP_ZEROES: zeroes, at any alignment
 */
enum strata_unmap {
	STRATA_UNMAP_IGNORED,
	STRATA_UNMAP_UNSPECIFIED,
	STRATA_UNMAP_ZEROES,
};

/**
 * enum strata_map - what a disk's map did with a bio
 * @STRATA_SUBMITTED: the disk keeps the bio (or has ended it)
 * @STRATA_REMAPPED: the bio goes on, as it is now, to the disk that
 *	strata_remap() named
 * @STRATA_AGAIN: what is left of the bio comes back to this map once the
 *	sub-bios queued so far have been issued
 */
enum strata_map {
	STRATA_SUBMITTED,
	STRATA_REMAPPED,
	STRATA_AGAIN,
};

/**
 * enum strata_stat - kinds of submission that are counted
 * @STRATA_STAT_READ: reads
 * @STRATA_STAT_WRITE: writes with data
 * @STRATA_STAT_FLUSH: empty flushes
 * @STRATA_STAT_DISCARD: discards
 * @STRATA_STAT_ZEROES: write zeroes
 * @STRATA_NR_STATS: how many there are
 */
enum strata_stat {
	STRATA_STAT_READ,
	STRATA_STAT_WRITE,
	STRATA_STAT_FLUSH,
	STRATA_STAT_DISCARD,
	STRATA_STAT_ZEROES,
	STRATA_NR_STATS,
};

/**
 * struct strata_stats - one CPU's counters of a disk
 * @ios: bios accepted, by kind
 * @sectors: sectors they covered, by kind
 * @refused: bios ended by the core's own checks
 */
struct strata_stats {
	u64 ios[STRATA_NR_STATS];
	u64 sectors[STRATA_NR_STATS];
	u64 refused;
};

/**
 * struct strata_disk_ops - what a disk type does with bios and sizes
 * @front_pad: bytes before the struct bio of every sub-bio; 0 means that
 *	struct strata_sub (submit.h) alone is enough. A larger one is
 *	offsetof() of sub.bio in a struct that ends in a struct strata_sub.
 * @single_target: every bio goes whole to one device or disk, so that
 *	PREFLUSH with data may pass through. For all others the core makes an
 *	empty flush and then the data of it.
 * @native_fua: map honours REQ_FUA. For all others the core makes a write and
 *	then a flush of it.
 * @map: take a bio that passed the core's checks. Task context, may sleep
 *	unless REQ_NOWAIT. Owns the bio; see enum strata_map.
 * @capacity: the size in sectors that the disk ought to have now, from the
 *	planned sizes below it (strata_disk_planned()). Process context, called
 *	with the disk's users lock held. NULL: the size of the single disk below.
 * @shrunk: the smaller size is published; wait for what was admitted under the
 *	old one and drop data beyond @capacity. Process context. May be NULL.
 */
struct strata_disk_ops {
	unsigned int front_pad;
	bool single_target;
	bool native_fua;
	enum strata_map (*map)(struct strata_ctx *ctx, struct strata_disk *disk,
			       struct bio *bio);
	sector_t (*capacity)(struct strata_disk *disk);
	void (*shrunk)(struct strata_disk *disk, sector_t capacity);
};

/**
 * struct strata_backlog - bios that wait for a disk's worker
 * @bios: those of submitters, without a nexus: who can be fenced is counted by
 *	the submitter
 * @subs: sub-bios
 * @wq: where
 * @work: goes on with them
 */
struct strata_backlog {
	struct bio_list bios;
	struct bio_list subs;
	struct workqueue_struct *wq;
	struct work_struct work;
};

/**
 * struct strata_disk - a live disk
 * @ops: the type's operations
 * @private: the type's own data
 * @capacity: size in sectors; live, read with strata_disk_capacity()
 * @lba_mask: sectors per logical block minus one
 * @byte_mask: bytes per logical block minus one
 * @read_only: writes of any kind are refused by the core
 * @dead: what is below is gone; all bios end BLK_STS_OFFLINE
 * @stats: per-CPU counters
 * @limits: alignment, sizes and features, in the block layer's own words;
 *	complete and frozen when the disk goes live.
 *	max_write_zeroes_sectors is what the type does natively, the core does
 *	the rest with strata_zero_fill()
 * @unmap: what discard does
 * @optimal_unmap_sectors: best granularity of a discard, at least 1 logical
 *	block, in sectors
 * @id: identity for a guest, valid when @has_id
 * @has_id: @id is set
 * @pr: persistent reservations of this disk, or NULL (pr.h)
 * @name: "type.name", as in configfs
 * @node: the resolver's record of this disk
 * @ready: complete; events from below count. Under @users_lock
 * @bios: sub-bios of this disk's map
 * @core_bios: the core's own bios, which this disk's map is given
 * @zero_bios: parts of strata_zero_fill(), which serve one of those
 * @wq: the disk's own worker, for what cannot be submitted where it completes.
 *	It and the next two are WQ_MEM_RECLAIM, and three because each can rescue
 *	one item at a time: what runs here may wait for the ends of bios, which
 *	may need @steps and @parts
 * @steps: goes on with bios that have been admitted; may wait for @parts
 * @parts: the type's own: items that wait for no pool of this disk
 * @deferred: bios to be given to the disk, which may wait for @core_bios
 * @starved: bios that found nothing in @bios or a pool of the type's own
 * @resumed: sub-bios with a next step; who has @core_bios may wait for it
 * @defer_lock: protects all three; irq-safe
 * @users_lock: protects @users, and every change of @capacity. Ordered child
 *	disk before the disks above it. Each disk has its own lockdep class.
 * @users_key: that class
 * @users: the open handles (handle.h)
 * @planned: capacity to be published next, when smaller than @capacity
 */
struct strata_disk {
	const struct strata_disk_ops *ops;
	void *private;
	sector_t capacity;
	unsigned int lba_mask;
	unsigned int byte_mask;
	bool read_only;
	bool dead;
	struct strata_stats __percpu *stats;

	struct queue_limits limits;
	enum strata_unmap unmap;
	unsigned int optimal_unmap_sectors;
	u8 id[16];
	bool has_id;
	struct strata_pr *pr;
	const char *name;
	struct strata_node *node;
	bool ready;

	struct bio_set bios;
	struct bio_set core_bios;
	struct bio_set zero_bios;
	struct workqueue_struct *wq;
	struct workqueue_struct *steps;
	struct workqueue_struct *parts;
	struct strata_backlog deferred;
	struct strata_backlog starved;
	struct strata_backlog resumed;
	spinlock_t defer_lock; /* protects the backlogs */

	struct mutex users_lock; /* protects users, capacity changes */
	struct lock_class_key users_key;
	struct list_head users;
	sector_t planned;
};

/**
 * strata_disk_capacity() - the live size
 * @disk: the disk
 *
 * Context: any. A check against it is a snapshot; it can change at any time.
 * Return: 512-byte sectors.
 */
static inline sector_t strata_disk_capacity(const struct strata_disk *disk)
{
	return READ_ONCE(disk->capacity);
}

/**
 * strata_disk_planned() - the size that counts for the disks above
 * @disk: the disk below
 *
 * While a disk shrinks, the disks above publish their smaller sizes first.
 *
 * Context: in strata_disk_ops.capacity. It is set before the disks above are
 * asked.
 * Return: 512-byte sectors.
 */
static inline sector_t strata_disk_planned(const struct strata_disk *disk)
{
	return READ_ONCE(disk->planned);
}

void strata_disk_resize(struct strata_disk *disk, sector_t capacity);
void strata_disk_refresh(struct strata_disk *disk);
void strata_disk_mark_dead(struct strata_disk *disk);
int strata_disk_stack_limits(struct strata_disk *disk,
			     const struct strata_disk *below);
void strata_disk_inherit(struct strata_disk *disk,
			 const struct strata_disk *below);
void strata_disk_sum_stats(const struct strata_disk *disk,
			   struct strata_stats *sum);

#endif /* STRATA_DISK_H */
