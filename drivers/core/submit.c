// SPDX-License-Identifier: GPL-2.0
/*
 * Submission: the core's checks, the loop that drains what maps hand on, and
 * sub-bios.
 *
 * Work is taken depth first: what a map queued is issued before older work.
 * So when a map runs, no sub-bio of its own disk waits in this submission; those
 * it queues do, and after them it may not block on the pool (STRATA_AGAIN).
 * Below submit_bio() what was issued may wait for this task as well: then a bio
 * that cannot go on is left to the disk's worker, who waits for all.
 */
#include <linux/blkdev.h>
#include <linux/export.h>
#include "core.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static void refuse(struct strata_disk *disk, struct bio *bio,
		   blk_status_t status)
{
	this_cpu_inc(disk->stats->refused);
	strata_end(bio, status);
}

static void account(struct strata_disk *disk, enum strata_stat kind,
		    unsigned int sectors)
{
	struct strata_stats __percpu *stats = disk->stats;

	this_cpu_inc(stats->ios[kind]);
	this_cpu_add(stats->sectors[kind], sectors);
}

/* Is the bio to be given to map? If not, it has been dealt with. */
static bool admit_flush(struct strata_ctx *ctx, struct strata_disk *disk,
			struct bio *bio)
{
	account(disk, STRATA_STAT_FLUSH, 0);
	/* A flush of a read-only disk has nothing to do, and succeeds. */
	if (!disk->read_only)
		return true;
	strata_end(bio, BLK_STS_OK);
	return false;
}

static bool admit_write(struct strata_ctx *ctx, struct strata_disk *disk,
			struct bio *bio)
{
	const struct strata_disk_ops *ops = disk->ops;

	if (unlikely(disk->read_only)) {
		refuse(disk, bio, BLK_STS_IOERR);
		return false;
	}
	if (unlikely((bio->bi_opf & REQ_PREFLUSH) && !ops->single_target)) {
		strata_preflush(ctx, disk, bio);
		return false;
	}
	if (unlikely((bio->bi_opf & REQ_FUA) && !ops->native_fua)) {
		strata_fua(ctx, disk, bio);
		return false;
	}
	account(disk, STRATA_STAT_WRITE, bio_sectors(bio));
	return true;
}

static bool admit_range(struct strata_ctx *ctx, struct strata_disk *disk,
			struct bio *bio)
{
	bool discard = bio_op(bio) == REQ_OP_DISCARD;

	if (disk->read_only) {
		refuse(disk, bio, BLK_STS_IOERR);
		return false;
	}
	/* No device takes FUA here. */
	if (unlikely(bio->bi_opf & REQ_FUA)) {
		strata_fua(ctx, disk, bio);
		return false;
	}
	account(disk, discard ? STRATA_STAT_DISCARD : STRATA_STAT_ZEROES,
		bio_sectors(bio));
	if (discard && disk->unmap == STRATA_UNMAP_IGNORED) {
		strata_end(bio, BLK_STS_OK);
		return false;
	}
	/* A disk may learn that what is below cannot. */
	if (!discard && !READ_ONCE(disk->limits.max_write_zeroes_sectors)) {
		strata_zero_fill(ctx, disk, bio);
		return false;
	}
	return true;
}

static bool known_op(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return true;
	default:
		return false;
	}
}

/* An empty flush has no address, and an empty bio no work. */
static bool admit_empty(struct strata_ctx *ctx, struct strata_disk *disk,
			struct bio *bio)
{
	if (bio_op(bio) == REQ_OP_WRITE && (bio->bi_opf & REQ_PREFLUSH))
		return admit_flush(ctx, disk, bio);
	if (!known_op(bio))
		refuse(disk, bio, BLK_STS_NOTSUPP);
	else if (bio->bi_iter.bi_sector > strata_disk_capacity(disk))
		refuse(disk, bio, BLK_STS_TARGET);
	else if (bio->bi_iter.bi_sector & disk->lba_mask)
		refuse(disk, bio, BLK_STS_INVAL);
	else
		strata_end(bio, BLK_STS_OK);
	return false;
}

/* Is the bio to be given to map? If not, it has been dealt with. */
static __always_inline bool admit(struct strata_ctx *ctx,
				  struct strata_disk *disk, struct bio *bio)
{
	sector_t capacity = strata_disk_capacity(disk);
	sector_t sector = bio->bi_iter.bi_sector;
	unsigned int sectors = bio_sectors(bio);

	if (unlikely(READ_ONCE(disk->dead))) {
		refuse(disk, bio, BLK_STS_OFFLINE);
		return false;
	}
	if (unlikely(!bio->bi_iter.bi_size))
		return admit_empty(ctx, disk, bio);
	if (unlikely(sector > capacity || sectors > capacity - sector)) {
		refuse(disk, bio, BLK_STS_TARGET);
		return false;
	}
	if (unlikely(((sector << SECTOR_SHIFT) | bio->bi_iter.bi_size) &
		     disk->byte_mask)) {
		refuse(disk, bio, BLK_STS_INVAL);
		return false;
	}

	switch (bio_op(bio)) {
	case REQ_OP_READ:
		account(disk, STRATA_STAT_READ, sectors);
		return true;
	case REQ_OP_WRITE:
		return admit_write(ctx, disk, bio);
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return admit_range(ctx, disk, bio);
	default:
		refuse(disk, bio, BLK_STS_NOTSUPP);
		return false;
	}
}

static void backlog_add(struct strata_disk *disk, struct bio_list *list,
			struct strata_backlog *backlog, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&disk->defer_lock, flags);
	bio_list_add(list, bio);
	/* The worker may end the last bio, and the disk, once unlocked. */
	queue_work(backlog->wq, &backlog->work);
	spin_unlock_irqrestore(&disk->defer_lock, flags);
}

/* There is no memory for @bio's next step at @disk. Leave it to the worker. */
static void leave(struct strata_ctx *ctx, struct strata_disk *disk,
		  struct strata_backlog *backlog, struct bio *bio)
{
	if (bio == ctx->root) {
		backlog_add(disk, &backlog->bios, backlog, bio);
		return;
	}
	strata_sub(bio)->payer = ctx->payer;
	backlog_add(disk, &backlog->subs, backlog, bio);
}

/* As strata_sub_failed(), for a sub-bio of the core's own. */
void strata_core_sub_failed(struct strata_ctx *ctx, struct strata_disk *disk,
			    struct bio *bio)
{
	if (bio->bi_opf & REQ_NOWAIT)
		strata_end(bio, BLK_STS_AGAIN);
	else
		leave(ctx, disk, &disk->deferred, bio);
}

/* Put @bio behind what its map has queued. */
static void requeue(struct strata_ctx *ctx, struct strata_disk *disk,
		    struct bio *bio, bool again)
{
	if (bio == ctx->root) {
		ctx->root_disk = disk;
		ctx->root_again = again;
	} else {
		strata_sub(bio)->disk = disk;
		strata_sub(bio)->again = again;
	}
	bio_list_add(&ctx->fresh, bio);
}

static struct bio *next_bio(struct strata_ctx *ctx, struct strata_disk **disk,
			    bool *again)
{
	struct bio *bio;

	bio_list_merge_head(&ctx->pending, &ctx->fresh);
	bio_list_init(&ctx->fresh);

	bio = bio_list_pop(&ctx->pending);
	if (!bio)
		return NULL;
	if (bio == ctx->root) {
		*disk = ctx->root_disk;
		*again = ctx->root_again;
	} else {
		*disk = strata_sub(bio)->disk;
		*again = strata_sub(bio)->again;
	}
	return bio;
}

/* One disk's share: its checks and its map. */
static __always_inline enum strata_map give(struct strata_ctx *ctx,
					    struct strata_disk *disk,
					    struct bio *bio)
{
	trace_strata_submit(disk, bio);
	if (!admit(ctx, disk, bio))
		return STRATA_SUBMITTED;
	return disk->ops->map(ctx, disk, bio);
}

/* Go on with what maps have queued, until nothing is left. */
static noinline void drain(struct strata_ctx *ctx, struct strata_disk *disk,
			   struct bio *bio, enum strata_map ret)
{
	bool again;

	bio_list_init(&ctx->pending);
	for (;;) {
		if (ret == STRATA_AGAIN && bio_list_empty(&ctx->fresh))
			leave(ctx, disk, &disk->starved, bio);
		else if (ret != STRATA_SUBMITTED)
			requeue(ctx, disk, bio, ret == STRATA_AGAIN);
		bio = next_bio(ctx, &disk, &again);
		if (!bio)
			return;
		do {
			ret = again ? disk->ops->map(ctx, disk, bio) :
				      give(ctx, disk, bio);
			again = false;
			if (ret == STRATA_REMAPPED)
				disk = ctx->next;
		} while (ret == STRATA_REMAPPED &&
			 bio_list_empty(&ctx->fresh));
	}
}

/**
 * strata_submit() - give a bio to a disk
 * @ctx: on the caller's stack; @ctx->nexus and @ctx->payer are set
 * @disk: where to; the caller holds a handle on it
 * @bio: READ, WRITE (PREFLUSH, FUA), an empty PREFLUSH write, DISCARD or
 *	WRITE_ZEROES. bi_bdev is NULL or the submitter's own. It is ended
 *	exactly once, perhaps before this returns; bi_iter, bi_bdev and bi_opf
 *	are undefined afterwards
 *
 * Out of range ends BLK_STS_TARGET, misaligned BLK_STS_INVAL, a write to a
 * read-only disk BLK_STS_IOERR, another operation BLK_STS_NOTSUPP, a disk whose
 * backing is gone BLK_STS_OFFLINE, a NOWAIT bio that would have to wait
 * BLK_STS_AGAIN; zeroes may end BLK_STS_RESOURCE without memory.
 *
 * Context: task context, no spinlock, no RCU section. May sleep unless the bio
 * has REQ_NOWAIT. Stack use does not depend on the depth of the stack.
 */
void strata_submit(struct strata_ctx *ctx, struct strata_disk *disk,
		   struct bio *bio)
{
	enum strata_map ret;

	ctx->root = bio;
	bio_list_init(&ctx->fresh);
	do {
		ret = give(ctx, disk, bio);
		if (likely(ret == STRATA_SUBMITTED &&
			   bio_list_empty(&ctx->fresh)))
			return;
		if (ret == STRATA_REMAPPED)
			disk = ctx->next;
	} while (ret == STRATA_REMAPPED && bio_list_empty(&ctx->fresh));
	drain(ctx, disk, bio, ret);
}
EXPORT_SYMBOL_NS_GPL(strata_submit, STRATA);

static gfp_t sub_gfp(struct strata_ctx *ctx, blk_opf_t opf)
{
	if ((opf & REQ_NOWAIT) || !strata_may_wait(ctx))
		return GFP_NOWAIT | __GFP_NOWARN;
	return GFP_NOIO;
}

static struct strata_sub *sub_init(struct strata_ctx *ctx,
				   struct strata_disk *disk, struct bio *bio)
{
	struct strata_sub *sub;

	if (!bio)
		return NULL;
	sub = strata_sub(bio);
	sub->owner = disk;
	sub->nexus = ctx->nexus;
	sub->payer = ctx->payer;
	sub->parent = NULL;
	sub->again = false;
	sub->resume = false;
	return sub;
}

/*
 * A bio of the core's own for @disk's map: a clone of @bio, or empty. It comes
 * from a pool that the map does not use, for it is held while the map allocates.
 */
struct strata_sub *strata_core_sub(struct strata_ctx *ctx,
				   struct strata_disk *disk, struct bio *bio,
				   blk_opf_t opf)
{
	gfp_t gfp = sub_gfp(ctx, opf);

	if (bio)
		bio = bio_alloc_clone(NULL, bio, gfp, &disk->core_bios);
	else
		bio = bio_alloc_bioset(NULL, 0, opf, gfp, &disk->core_bios);
	return sub_init(ctx, disk, bio);
}

/**
 * strata_sub_alloc() - a new sub-bio
 * @ctx: the submission
 * @disk: the disk whose map runs; the bio comes from its pool
 * @opf: operation and flags
 * @nr_vecs: room for that many bvecs, up to BIO_MAX_VECS
 *
 * Context: in @disk's map.
 * Return: the sub-bio, or NULL; then return strata_sub_failed().
 */
struct strata_sub *strata_sub_alloc(struct strata_ctx *ctx,
				    struct strata_disk *disk, blk_opf_t opf,
				    unsigned short nr_vecs)
{
	return sub_init(ctx, disk, bio_alloc_bioset(NULL, nr_vecs, opf,
						    sub_gfp(ctx, opf),
						    &disk->bios));
}
EXPORT_SYMBOL_NS_GPL(strata_sub_alloc, STRATA);

/**
 * strata_sub_clone() - a sub-bio over the whole of a bio
 * @ctx: the submission
 * @disk: the disk whose map runs
 * @bio: the bio; must not end before the clone does
 *
 * Context: in @disk's map.
 * Return: the clone, sharing @bio's bvecs, or NULL; then return
 * strata_sub_failed().
 */
struct strata_sub *strata_sub_clone(struct strata_ctx *ctx,
				    struct strata_disk *disk, struct bio *bio)
{
	return sub_init(ctx, disk, bio_alloc_clone(NULL, bio,
						   sub_gfp(ctx, bio->bi_opf),
						   &disk->bios));
}
EXPORT_SYMBOL_NS_GPL(strata_sub_clone, STRATA);

/**
 * strata_sub_split() - split the front off a bio
 * @ctx: the submission
 * @disk: the disk whose map runs
 * @bio: the bio; is advanced by @sectors
 * @sectors: how much, more than 0 and less than the bio has
 *
 * A bio that is served in parts may not end BLK_STS_AGAIN when one of them is
 * issued already, so both halves lose REQ_NOWAIT.
 *
 * Context: in @disk's map.
 * Return: the front, or NULL with @bio as it was; then return
 * strata_sub_failed().
 */
struct strata_sub *strata_sub_split(struct strata_ctx *ctx,
				    struct strata_disk *disk, struct bio *bio,
				    unsigned int sectors)
{
	struct strata_sub *sub = strata_sub_clone(ctx, disk, bio);

	if (!sub)
		return NULL;
	sub->bio.bi_iter.bi_size = sectors << SECTOR_SHIFT;
	sub->bio.bi_opf &= ~REQ_NOWAIT;
	bio->bi_opf &= ~REQ_NOWAIT;
	bio_advance(bio, sub->bio.bi_iter.bi_size);
	return sub;
}
EXPORT_SYMBOL_NS_GPL(strata_sub_split, STRATA);

/**
 * strata_sub_failed() - what to return when no sub-bio was to be had
 * @ctx: the submission
 * @bio: what is left of the bio
 *
 * Context: in a map: ``return strata_sub_failed(ctx, bio);``
 * Return: STRATA_AGAIN to be called again, when the sub-bios queued so far are
 * issued or by the worker, or STRATA_SUBMITTED with the bio ended BLK_STS_AGAIN
 * when it may not wait and nothing of it was issued.
 */
enum strata_map strata_sub_failed(struct strata_ctx *ctx, struct bio *bio)
{
	if (bio->bi_opf & REQ_NOWAIT)
		return strata_end(bio, BLK_STS_AGAIN);
	return STRATA_AGAIN;
}
EXPORT_SYMBOL_NS_GPL(strata_sub_failed, STRATA);

/**
 * strata_sub_queue() - submit a sub-bio as soon as the map that runs returned
 * @ctx: the submission
 * @sub: the sub-bio
 * @disk: where to
 *
 * Context: in a map.
 */
void strata_sub_queue(struct strata_ctx *ctx, struct strata_sub *sub,
		      struct strata_disk *disk)
{
	sub->disk = disk;
	bio_list_add(&ctx->fresh, &sub->bio);
}
EXPORT_SYMBOL_NS_GPL(strata_sub_queue, STRATA);

/**
 * strata_sub_chain() - let a bio end only when its sub-bio has ended
 * @sub: the sub-bio; put when it ends, its error goes to @parent
 * @parent: the bio; still to be ended or remapped by the map
 *
 * Context: any.
 */
void strata_sub_chain(struct strata_sub *sub, struct bio *parent)
{
	bio_chain(&sub->bio, parent);
}
EXPORT_SYMBOL_NS_GPL(strata_sub_chain, STRATA);

/**
 * strata_defer() - submit a bio to a disk from the disk's own worker
 * @disk: the disk; gets the bio without a nexus
 * @bio: the bio; may sleep now, so REQ_NOWAIT is dropped
 *
 * Context: any, completion context included. The caller knows that the disk
 * stays, because a bio admitted to it has not ended.
 */
void strata_defer(struct strata_disk *disk, struct bio *bio)
{
	bio->bi_opf &= ~REQ_NOWAIT;
	backlog_add(disk, &disk->deferred.bios, &disk->deferred, bio);
}
EXPORT_SYMBOL_NS_GPL(strata_defer, STRATA);

/**
 * strata_defer_sub() - submit a sub-bio to its owner from the owner's worker
 * @sub: the sub-bio, or with @sub->resume its parent instead; nexus and payer
 *	are those it was made under. What is submitted needs no bio of the
 *	core's own any more
 *
 * Context: as strata_defer().
 */
void strata_defer_sub(struct strata_sub *sub)
{
	struct strata_disk *disk = sub->owner;

	backlog_add(disk, &disk->resumed.subs, &disk->resumed, &sub->bio);
}
EXPORT_SYMBOL_NS_GPL(strata_defer_sub, STRATA);
