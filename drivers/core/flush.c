// SPDX-License-Identifier: GPL-2.0
/*
 * PREFLUSH with data and FUA for disks that do not do them themselves: an
 * empty flush and then the data, or the data and then an empty flush.
 */
#include <linux/bio.h>
#include "core.h"

/* Pass the sub-bio's end to its parent. */
static void end_parent(struct bio *bio)
{
	struct bio *parent = strata_sub(bio)->parent;
	blk_status_t status = bio->bi_status;

	bio_put(bio);
	strata_end(parent, status);
}

static void preflush_done(struct bio *bio)
{
	struct strata_sub *sub = strata_sub(bio);

	if (bio->bi_status) {
		end_parent(bio);
		return;
	}
	sub->resume = true;
	strata_defer_sub(sub);
}

/*
 * Flush all of @disk, then submit @bio without its PREFLUSH.
 */
void strata_preflush(struct strata_ctx *ctx, struct strata_disk *disk,
		     struct bio *bio)
{
	struct strata_sub *sub;

	sub = strata_core_sub(ctx, disk, NULL, REQ_OP_WRITE | REQ_PREFLUSH |
			      (bio->bi_opf & (REQ_NOWAIT | REQ_SYNC)));
	if (!sub) {
		strata_core_sub_failed(ctx, disk, bio);
		return;
	}
	bio->bi_opf &= ~REQ_PREFLUSH;
	sub->parent = bio;
	sub->bio.bi_end_io = preflush_done;
	strata_sub_queue(ctx, sub, disk);
}

static void fua_data_done(struct bio *bio)
{
	if (bio->bi_status) {
		end_parent(bio);
		return;
	}
	bio_reset(bio, NULL, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);
	bio->bi_end_io = end_parent;
	strata_defer_sub(strata_sub(bio));
}

/*
 * The flush before the data has ended; in the worker. Return: the bio to be
 * submitted now. Nothing is allocated, for those who hold what there is may
 * wait for this worker: where the data needs a flush after it as well, the
 * sub-bio becomes the clone that strata_fua() would make.
 */
struct bio *strata_preflushed(struct strata_sub *sub)
{
	struct bio *bio = &sub->bio, *data = sub->parent;

	data->bi_opf &= ~REQ_NOWAIT;
	if (!(data->bi_opf & REQ_FUA) || sub->owner->ops->native_fua) {
		bio_put(bio);
		return data;
	}
	/* The pool has no cache to put it into. */
	bio_reset(bio, NULL, data->bi_opf & ~(REQ_FUA | REQ_ALLOC_CACHE));
	bio_set_flag(bio, BIO_CLONED);
	bio->bi_ioprio = data->bi_ioprio;
	bio->bi_iter = data->bi_iter;
	bio->bi_io_vec = data->bi_io_vec;
	bio->bi_end_io = fua_data_done;
	sub->resume = false;
	return bio;
}

/* Write @bio without FUA, then flush all of @disk, then end @bio. As above. */
void strata_fua(struct strata_ctx *ctx, struct strata_disk *disk,
		struct bio *bio)
{
	struct strata_sub *sub = strata_core_sub(ctx, disk, bio, bio->bi_opf);

	if (!sub) {
		strata_core_sub_failed(ctx, disk, bio);
		return;
	}
	sub->bio.bi_opf &= ~REQ_FUA;
	sub->parent = bio;
	sub->bio.bi_end_io = fua_data_done;
	strata_sub_queue(ctx, sub, disk);
}
