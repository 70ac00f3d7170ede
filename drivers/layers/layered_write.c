// SPDX-License-Identifier: GPL-2.0
/*
 * Writes, ranges and flushes: to the layers of the write path, from the top.
 *
 * The common case is done in the map: layers in memory take the data at once,
 * and a disk at the end of the path gets the bio itself. All else is a request
 * that goes from layer to layer and stops at the first error.
 */
#include "layered.h"

/* Begin a request in steps. */
static enum strata_map
write_start(struct strata_ctx *ctx, struct layered *l, struct bio *bio,
	    enum layered_step (*step)(struct layered_req *req,
				      struct strata_ctx *ctx))
{
	struct layered_req *req = layered_req_alloc(l, bio, ctx);

	if (!req)
		return strata_sub_failed(ctx, bio);
	req->step = step;
	return layered_req_start(req, ctx);
}

/*
 * A cache that is full need not fail a write that goes on to what is below: it
 * can do without.
 */
static bool can_skip(const struct strata_layer *layer, blk_status_t status)
{
	return status == BLK_STS_NOSPC && layer->write_through &&
	       layer->ops->forget_now;
}

static blk_status_t skip_full(struct layered_req *req,
			      const struct strata_layer *layer,
			      blk_status_t status)
{
	if (!can_skip(layer, status))
		return status;
	__set_bit(req->write.layer, &req->write.skipped);
	return BLK_STS_OK;
}

/*
 * End a write. Now that what is below has it, or may have, layers that were
 * skipped forget what they had, and what reads in between have put there.
 */
static enum layered_step write_finish(struct layered_req *req)
{
	const struct bio *bio = req->bio;
	unsigned int nr;

	for_each_set_bit(nr, &req->write.skipped, req->l->nr_written) {
		struct strata_layer *layer = req->l->layers[nr];

		layer->ops->forget_now(layer, bio->bi_iter.bi_sector,
				       bio_sectors(bio));
	}
	return layered_req_end(req, req->status);
}

/* Pass the bio on to a disk at the end of the path, or a clone before it. */
static enum layered_step to_disk(struct layered_req *req,
				 struct strata_ctx *ctx,
				 struct strata_disk *disk)
{
	struct layered *l = req->l;
	struct strata_sub *sub;

	if (req->write.layer == l->nr_written - 1 && !req->write.skipped)
		return layered_req_pass(req, ctx, disk);
	sub = strata_sub_clone(LAYERED_CTX(ctx), l->disk, req->bio);
	if (!sub)
		return LAYERED_DEFER;
	req->write.layer++;
	layered_req_sub(req, sub);
	layered_issue(req, ctx, sub, disk);
	return LAYERED_NEXT;
}

static enum layered_step write_step(struct layered_req *req,
				    struct strata_ctx *ctx);

static enum layered_step write_ended(struct layered_req *req,
				     struct strata_ctx *ctx)
{
	struct layered_write *w = &req->write;

	if (req->status)
		return write_finish(req);
	w->done += req->ios[0].io.sectors;
	if (w->done == bio_sectors(req->bio)) {
		w->done = 0;
		w->layer++;
	}
	req->step = write_step;
	return LAYERED_NEXT;
}

/* The data is where the layer wanted it, or is not: let it be present. */
static enum layered_step write_written(struct layered_req *req,
				       struct strata_ctx *ctx)
{
	struct strata_layer_io *io = &req->ios[0].io;

	io->status = req->status;
	atomic_inc(&req->pending);
	req->step = write_ended;
	io->layer->ops->write_end(io);
	return LAYERED_NEXT;
}

static void write_data(struct layered_req *req, struct strata_layer_io *io)
{
	struct strata_ctx none = {};
	struct strata_sub *sub;

	sub = strata_sub_clone(&none, req->l->disk, req->bio);
	bio_trim(&sub->bio, req->write.done, io->sectors);
	layered_req_sub(req, sub);
	if (io->disk) {
		sub->bio.bi_iter.bi_sector = io->target;
		layered_issue(req, NULL, sub, io->disk);
	} else {
		io->layer->ops->write(io, &sub->bio);
	}
}

static void write_fill(struct layered_req *req, struct strata_disk *disk,
		       const struct strata_fill *fill)
{
	struct strata_ctx none = {};
	struct strata_sub *sub;

	if (!fill->sectors)
		return;
	sub = strata_sub_alloc(&none, req->l->disk,
			       REQ_OP_WRITE_ZEROES | REQ_NOUNMAP |
			       (req->bio->bi_opf & REQ_FUA), 0);
	sub->bio.bi_iter.bi_sector = fill->sector;
	sub->bio.bi_iter.bi_size = fill->sectors << SECTOR_SHIFT;
	layered_req_sub(req, sub);
	layered_issue(req, NULL, sub, disk);
}

/*
 * The layer has made room. Always in the worker: each sub-bio is on its way
 * before the next one is allocated.
 */
static enum layered_step write_begun(struct layered_req *req,
				     struct strata_ctx *ctx)
{
	struct strata_layer_io *io = &req->ios[0].io;
	unsigned int left = bio_sectors(req->bio) - req->write.done;

	if (req->status)
		return write_finish(req);
	if (ctx)
		return LAYERED_DEFER;
	if (WARN_ON_ONCE(!io->sectors || io->sectors > left)) {
		req->status = BLK_STS_IOERR;
		io->sectors = 0;
		return write_written(req, ctx);
	}
	req->step = write_written;
	write_data(req, io);
	if (io->disk) {
		write_fill(req, io->disk, &io->fill[0]);
		write_fill(req, io->disk, &io->fill[1]);
	}
	return LAYERED_NEXT;
}

/* Give the next part to a layer in two phases. */
static enum layered_step write_begin(struct layered_req *req,
				     struct strata_layer *layer)
{
	struct strata_layer_io *io = layered_req_io(req, 0, layer);

	io->sector += req->write.done;
	io->sectors -= req->write.done;
	req->step = write_begun;
	layer->ops->write_begin(io);
	return LAYERED_NEXT;
}

static enum layered_step write_step(struct layered_req *req,
				    struct strata_ctx *ctx)
{
	struct layered *l = req->l;

	for (; !req->status; req->write.layer++) {
		struct strata_layer *layer;

		if (req->write.layer == l->nr_written)
			break;
		layer = l->layers[req->write.layer];
		if (layer->disk)
			return to_disk(req, ctx, layer->disk);
		if (!layer->ops->write_now)
			return write_begin(req, layer);
		req->status = skip_full(req, layer,
					layer->ops->write_now(layer, req->bio));
	}
	return write_finish(req);
}

/* A layer in memory could not. From the top once more, if that is of use. */
static noinline enum strata_map
plain_failed(struct strata_ctx *ctx, struct layered *l, struct bio *bio,
	     blk_status_t status, unsigned int nr,
	     enum layered_step (*step)(struct layered_req *req,
				       struct strata_ctx *ctx))
{
	if (can_skip(l->layers[nr], status))
		return write_start(ctx, l, bio, step);
	return strata_end(bio, status);
}

/**
 * layered_write() - serve a write with data, FUA perhaps
 * @ctx: the submission
 * @l: the layered disk
 * @bio: the bio
 *
 * Return: as a map.
 */
enum strata_map layered_write(struct strata_ctx *ctx, struct layered *l,
			      struct bio *bio)
{
	blk_status_t status;
	unsigned int i;

	if (unlikely(!l->plain_write))
		return write_start(ctx, l, bio, write_step);

	for (i = 0; i < l->nr_written; i++) {
		struct strata_layer *layer = l->layers[i];

		if (layer->disk)
			return strata_remap(ctx, layer->disk);
		status = layer->ops->write_now(layer, bio);
		if (unlikely(status))
			return plain_failed(ctx, l, bio, status, i, write_step);
		/* Too late to end BLK_STS_AGAIN. */
		bio->bi_opf &= ~REQ_NOWAIT;
	}
	return strata_end(bio, BLK_STS_OK);
}

static enum layered_step unmap_step(struct layered_req *req,
				    struct strata_ctx *ctx)
{
	struct layered *l = req->l;
	struct bio *bio = req->bio;
	blk_status_t status;

	for (; !req->status; req->write.layer++) {
		struct strata_layer *layer;

		if (req->write.layer == l->nr_written)
			break;
		layer = l->layers[req->write.layer];
		if (layer->disk)
			return to_disk(req, ctx, layer->disk);
		if (!layer->ops->unmap_now) {
			req->write.layer++;
			layer->ops->unmap(layered_req_io(req, 0, layer));
			return LAYERED_NEXT;
		}
		status = layer->ops->unmap_now(layer, bio->bi_opf,
					       bio->bi_iter.bi_sector,
					       bio_sectors(bio));
		req->status = skip_full(req, layer, status);
	}
	return write_finish(req);
}

/**
 * layered_unmap() - serve DISCARD and WRITE_ZEROES
 * @ctx: the submission
 * @l: the layered disk
 * @bio: the bio
 *
 * Return: as a map.
 */
enum strata_map layered_unmap(struct strata_ctx *ctx, struct layered *l,
			      struct bio *bio)
{
	blk_status_t status;
	unsigned int i;

	if (!l->plain_write)
		return write_start(ctx, l, bio, unmap_step);

	for (i = 0; i < l->nr_written; i++) {
		struct strata_layer *layer = l->layers[i];

		if (layer->disk)
			return strata_remap(ctx, layer->disk);
		status = layer->ops->unmap_now(layer, bio->bi_opf,
					       bio->bi_iter.bi_sector,
					       bio_sectors(bio));
		if (status)
			return plain_failed(ctx, l, bio, status, i, unmap_step);
		bio->bi_opf &= ~REQ_NOWAIT;
	}
	return strata_end(bio, BLK_STS_OK);
}

static enum layered_step flush_done(struct layered_req *req,
				    struct strata_ctx *ctx)
{
	return layered_req_end(req, req->status);
}

/* Flush all layers of the write path at the same time. */
static enum layered_step flush_step(struct layered_req *req,
				    struct strata_ctx *ctx)
{
	struct layered *l = req->l;
	struct strata_ctx none = {};
	struct strata_sub *sub;
	unsigned int i;

	/* Each sub-bio is on its way before the next one is allocated. */
	if (ctx)
		return LAYERED_DEFER;
	req->step = flush_done;
	for (i = 0; i < l->nr_written; i++) {
		struct strata_layer *layer = l->layers[i];

		if (layer->disk) {
			sub = strata_sub_alloc(&none, l->disk, REQ_OP_WRITE |
					       REQ_PREFLUSH | REQ_SYNC, 0);
			layered_req_sub(req, sub);
			layered_issue(req, NULL, sub, layer->disk);
		} else if (layer->ops->flush) {
			layer->ops->flush(layered_req_io(req, i, layer));
		}
	}
	return LAYERED_NEXT;
}

/**
 * layered_flush() - serve an empty flush
 * @ctx: the submission
 * @l: the layered disk
 * @bio: the bio
 *
 * Return: as a map.
 */
enum strata_map layered_flush(struct strata_ctx *ctx, struct layered *l,
			      struct bio *bio)
{
	unsigned int i;

	if (!l->nr_flush)
		return strata_end(bio, BLK_STS_OK);
	if (l->nr_flush > 1)
		return write_start(ctx, l, bio, flush_step);
	for (i = 0; i < l->nr_written; i++)
		if (l->layers[i]->disk)
			return strata_remap(ctx, l->layers[i]->disk);
	return write_start(ctx, l, bio, flush_step);
}
