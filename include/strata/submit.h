/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_SUBMIT_H
#define STRATA_SUBMIT_H
/*
 * Submitting bios to disks, and what a disk's map may call.
 *
 * Submit in task context, without a spinlock and outside an RCU section; it
 * may sleep unless the bio is REQ_NOWAIT. Never submit from bi_end_io, a timer
 * or softirq: strata_defer() and strata_defer_sub() hand a bio to the disk's
 * worker instead.
 * Completion runs in any context and must not sleep.
 */
#include <linux/bio.h>
#include <linux/sched.h>
#include <strata/disk.h>

struct strata_nexus;

/*
 * In bi_opf: the bio's memory is a guest's, who can look and write while the
 * bio is in flight. Set by the engine that pinned it; sub-bios that share the
 * memory inherit it. Devices do not know it. A bio that comes through the block
 * frontend can have it from a file system, and is then only a little slower.
 */
#define STRATA_REQ_GUEST	REQ_FS_PRIVATE

/**
 * struct strata_ctx - one submission, on the submitter's stack
 * @nexus: who issues the bio, or NULL where no reservation can apply
 * @payer: the bio whose cgroup pays for all this; it ends after all bios here
 * @root: the submitter's own bio; all others here are sub-bios, whose ends it
 *	waits for, so it has not ended while one of them is at hand
 * @root_disk: where @root goes next, while it waits in a queue
 * @root_again: @root comes back to the map that returned STRATA_AGAIN
 * @next: the disk that strata_remap() named
 * @fresh: sub-bios queued by the map that runs now
 * @pending: sub-bios queued by maps before it, deepest first
 */
struct strata_ctx {
	struct strata_nexus *nexus;
	struct bio *payer;
	struct bio *root;
	struct strata_disk *root_disk;
	bool root_again;
	struct strata_disk *next;
	struct bio_list fresh;
	struct bio_list pending;
};

/**
 * struct strata_sub - front pad of every sub-bio
 * @disk: the disk whose map takes the bio next
 * @owner: the disk whose bioset it came from
 * @nexus: who issued the bio it is a part of
 * @payer: whose cgroup pays, or NULL for its own
 * @parent: the bio it is a part of, for the owner's use
 * @again: it comes back to the map that returned STRATA_AGAIN
 * @resume: for strata_defer_sub(): it has done its part, @parent is next
 * @bio: the bio; must stay last
 */
struct strata_sub {
	struct strata_disk *disk;
	struct strata_disk *owner;
	struct strata_nexus *nexus;
	struct bio *payer;
	struct bio *parent;
	bool again;
	bool resume;
	struct bio bio;
};

static inline struct strata_sub *strata_sub(struct bio *bio)
{
	return container_of(bio, struct strata_sub, bio);
}

void strata_submit(struct strata_ctx *ctx, struct strata_disk *disk,
		   struct bio *bio);

/**
 * strata_submit_for() - submit one bio, for which another one's cgroup pays
 * @nexus: who issues it, or NULL
 * @payer: a bio that will not end before @bio has, or NULL for @bio itself
 * @disk: where to
 * @bio: the bio; ended exactly once
 *
 * Context: as strata_submit().
 */
static inline void strata_submit_for(struct strata_nexus *nexus,
				     struct bio *payer,
				     struct strata_disk *disk, struct bio *bio)
{
	struct strata_ctx ctx __uninitialized;

	ctx.nexus = nexus;
	ctx.payer = payer ?: bio;
	strata_submit(&ctx, disk, bio);
}

/**
 * strata_submit_bio() - submit one bio with a context of its own
 * @nexus: who issues it, or NULL
 * @disk: where to
 * @bio: the bio; ended exactly once
 *
 * Context: as strata_submit().
 */
static inline void strata_submit_bio(struct strata_nexus *nexus,
				     struct strata_disk *disk, struct bio *bio)
{
	strata_submit_for(nexus, bio, disk, bio);
}

/**
 * strata_may_wait() - may a map wait for a pool?
 * @ctx: the submission
 *
 * Not when bios that came from a pool wait for this task: those that the map
 * has queued, and those that the block layer keeps until submit_bio() returns.
 *
 * Context: in a map.
 * Return: true when that would not be waiting for this task itself.
 */
static inline bool strata_may_wait(const struct strata_ctx *ctx)
{
	const struct bio_list *lists = current->bio_list;

	return bio_list_empty(&ctx->fresh) &&
	       (!lists || (bio_list_empty(&lists[0]) &&
			   bio_list_empty(&lists[1])));
}

/**
 * strata_remap() - hand the bio on to a disk below
 * @ctx: the submission
 * @disk: the disk below; the bio's sector must already be one of @disk's
 *
 * Context: in a map, as its last act: ``return strata_remap(ctx, below);``
 * Return: STRATA_REMAPPED.
 */
static inline enum strata_map strata_remap(struct strata_ctx *ctx,
					   struct strata_disk *disk)
{
	ctx->next = disk;
	return STRATA_REMAPPED;
}

/**
 * strata_end() - end a bio
 * @bio: the bio
 * @status: how; an error that its sub-bios have left in it stays when this is
 *	BLK_STS_OK
 *
 * Return: STRATA_SUBMITTED, for ``return strata_end(bio, status);`` in a map.
 */
static inline enum strata_map strata_end(struct bio *bio, blk_status_t status)
{
	if (status)
		bio->bi_status = status;
	bio_endio(bio);
	return STRATA_SUBMITTED;
}

struct strata_sub *strata_sub_split(struct strata_ctx *ctx,
				    struct strata_disk *disk, struct bio *bio,
				    unsigned int sectors);
struct strata_sub *strata_sub_clone(struct strata_ctx *ctx,
				    struct strata_disk *disk, struct bio *bio);
struct strata_sub *strata_sub_alloc(struct strata_ctx *ctx,
				    struct strata_disk *disk, blk_opf_t opf,
				    unsigned short nr_vecs);
enum strata_map strata_sub_failed(struct strata_ctx *ctx, struct bio *bio);
void strata_sub_queue(struct strata_ctx *ctx, struct strata_sub *sub,
		      struct strata_disk *disk);
void strata_sub_chain(struct strata_sub *sub, struct bio *parent);

void strata_defer(struct strata_disk *disk, struct bio *bio);
void strata_defer_sub(struct strata_sub *sub);

enum strata_map strata_zero_fill(struct strata_ctx *ctx,
				 struct strata_disk *disk, struct bio *bio);

#endif /* STRATA_SUBMIT_H */
