// SPDX-License-Identifier: GPL-2.0
/*
 * Requests in several steps: started in a map, continued by the disk's worker.
 * A step starts things; the next one runs when they all have ended, in place
 * if they did so at once.
 */
#include "layered.h"

#define LAYERED_OPF (REQ_OP_MASK | REQ_FUA | REQ_SYNC | REQ_NOUNMAP)

/* The request is done, and its bio is somebody else's. */
void layered_req_free(struct layered_req *req)
{
	mempool_free(req, &req->l->reqs);
}

/*
 * Run steps for as long as they end at once. In a map with its @ctx, whose
 * return value this is, or in the worker without.
 */
static enum strata_map req_run(struct layered_req *req, struct strata_ctx *ctx)
{
	do {
		atomic_set(&req->pending, 1);
		switch (req->step(req, ctx)) {
		case LAYERED_NEXT:
			break;
		case LAYERED_DEFER:
			queue_work(req->l->disk->parts, &req->work);
			return STRATA_SUBMITTED;
		case LAYERED_GONE:
			return STRATA_SUBMITTED;
		case LAYERED_PASSED:
			return STRATA_REMAPPED;
		}
	} while (atomic_dec_and_test(&req->pending));
	return STRATA_SUBMITTED;
}

static void req_work(struct work_struct *work)
{
	req_run(container_of(work, struct layered_req, work), NULL);
}

/*
 * A request for @bio, which has no NOWAIT any more: the steps do not wait in
 * place. Returns NULL when there is none; then return strata_sub_failed().
 */
struct layered_req *layered_req_alloc(struct layered *l, struct bio *bio,
				      struct strata_ctx *ctx)
{
	bool wait = !(bio->bi_opf & REQ_NOWAIT) && strata_may_wait(ctx);
	struct layered_req *req;

	req = mempool_alloc(&l->reqs, wait ? GFP_NOIO :
					     GFP_NOWAIT | __GFP_NOWARN);
	if (!req)
		return NULL;
	memset(req, 0, layered_req_size(max(l->nr_written, 1U)));
	req->l = l;
	req->bio = bio;
	req->payer = ctx->payer;
	req->nowait = bio->bi_opf & REQ_NOWAIT;
	bio->bi_opf &= ~REQ_NOWAIT;
	INIT_WORK(&req->work, req_work);
	return req;
}

/* Run the first step: in the map, if that may sleep for memory. */
enum strata_map layered_req_start(struct layered_req *req,
				  struct strata_ctx *ctx)
{
	if (!req->nowait)
		return req_run(req, ctx);
	queue_work(req->l->disk->parts, &req->work);
	return STRATA_SUBMITTED;
}

/* The request is done; an error that a part has left on the bio stays. */
enum layered_step layered_req_end(struct layered_req *req,
				  blk_status_t status)
{
	struct bio *bio = req->bio;

	layered_req_free(req);
	if (status)
		bio->bi_status = status;
	bio_endio(bio);
	return LAYERED_GONE;
}

/* The request is done when @disk has done what is left of the bio. */
enum layered_step layered_req_pass(struct layered_req *req,
				   struct strata_ctx *ctx,
				   struct strata_disk *disk)
{
	struct bio *bio = req->bio, *payer = req->payer;

	layered_req_free(req);
	if (ctx) {
		strata_remap(ctx, disk);
		return LAYERED_PASSED;
	}
	strata_submit_for(NULL, payer, disk, bio);
	return LAYERED_GONE;
}

/* One thing that the current step has started has ended. Any context. */
static void req_put(struct layered_req *req, blk_status_t status)
{
	if (unlikely(status))
		WRITE_ONCE(req->status, status);
	if (atomic_dec_and_test(&req->pending))
		queue_work(req->l->disk->parts, &req->work);
}

static void io_end(struct strata_layer_io *io)
{
	struct layered_io *lio = container_of(io, struct layered_io, io);

	req_put(lio->req, io->status);
}

/*
 * Start a step at @layer with one of the request's ios. The caller completes
 * the io and calls the layer.
 */
struct strata_layer_io *layered_req_io(struct layered_req *req,
				       unsigned int nr,
				       struct strata_layer *layer)
{
	struct layered_io *lio = &req->ios[nr];

	atomic_inc(&req->pending);
	lio->req = req;
	lio->io = (struct strata_layer_io) {
		.layer = layer,
		.opf = req->bio->bi_opf & LAYERED_OPF,
		.sector = req->bio->bi_iter.bi_sector,
		.sectors = bio_sectors(req->bio),
		.end = io_end,
	};
	return &lio->io;
}

static void sub_end(struct bio *bio)
{
	struct layered_req *req = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_put(bio);
	req_put(req, status);
}

/* Let the current step wait for a sub-bio, which the caller issues. */
void layered_req_sub(struct layered_req *req, struct strata_sub *sub)
{
	atomic_inc(&req->pending);
	sub->bio.bi_private = req;
	sub->bio.bi_end_io = sub_end;
}

/* Send a sub-bio to @disk: after the map with its @ctx, or at once without. */
void layered_issue(struct layered_req *req, struct strata_ctx *ctx,
		   struct strata_sub *sub, struct strata_disk *disk)
{
	if (ctx)
		strata_sub_queue(ctx, sub, disk);
	else
		strata_submit_for(NULL, req->payer, disk, &sub->bio);
}
