// SPDX-License-Identifier: GPL-2.0
/*
 * Reads in steps: layers that answer later, and read caches.
 *
 * What a read cache does not have is read into a buffer of ours, inserted into
 * the cache from there, and then copied to the guest, who could change his own
 * buffer in between. A run that no buffer can be had for is not cached.
 */
#include <linux/bitops.h>
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include "layered.h"

/* The most that is cached at once. */
#define FILL_ORDER get_order(SZ_64K)

static enum layered_step read_step(struct layered_req *req,
				   struct strata_ctx *ctx);

/* Look for the next run. */
static void read_restart(struct layered_req *req)
{
	struct layered_at *at = &req->read.at;

	at->layer = 0;
	at->sectors = bio_sectors(req->bio);
	at->beyond = false;
	req->step = read_step;
}

static void free_buf(struct layered_read *r)
{
	if (r->buf)
		free_pages((unsigned long)r->buf, r->order);
	r->buf = NULL;
	r->caches = 0;
}

static enum layered_step read_fail(struct layered_req *req,
				   blk_status_t status)
{
	free_buf(&req->read);
	return layered_req_end(req, status);
}

static enum layered_step lookup_done(struct layered_req *req,
				     struct strata_ctx *ctx)
{
	struct strata_layer_io *io = &req->ios[0].io;
	struct layered_ahead *ahead = &req->read.ahead;

	if (req->status)
		return read_fail(req, req->status);
	if (WARN_ON_ONCE(!io->nr_runs || io->nr_runs > io->max_runs ||
			 !io->runs[0].sectors))
		return read_fail(req, BLK_STS_IOERR);
	ahead->layer = io->layer;
	ahead->sector = io->sector;
	ahead->next = 0;
	ahead->nr = io->nr_runs;
	req->step = read_step;
	return LAYERED_NEXT;
}

static enum layered_step ask_later(struct layered_req *req, sector_t sector)
{
	struct layered_read *r = &req->read;
	struct strata_layer *layer = req->l->layers[r->at.layer];
	struct strata_layer_io *io = layered_req_io(req, 0, layer);

	io->sector = sector;
	io->sectors = r->at.sectors;
	io->runs = r->ahead.runs;
	io->max_runs = ARRAY_SIZE(r->ahead.runs);
	req->step = lookup_done;
	layer->ops->lookup_async(io);
	return LAYERED_NEXT;
}

/* A run that is to be cached needs a buffer of its own. */
static bool get_buf(struct layered_req *req)
{
	struct layered_read *r = &req->read;
	unsigned int bytes = min_t(unsigned int, r->at.sectors << SECTOR_SHIFT,
				   PAGE_SIZE << FILL_ORDER);
	const gfp_t gfp = GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN;
	struct page *page;

	if (r->buf)
		return true;
	r->order = get_order(bytes);
	page = alloc_pages(gfp, r->order);
	if (!page && r->order) {
		/* Memory is in pieces. A page at a time is slower, no more. */
		r->order = 0;
		bytes = PAGE_SIZE;
		page = alloc_page(gfp);
	}
	if (!page)
		return false;
	r->buf = page_address(page);
	r->at.sectors = bytes >> SECTOR_SHIFT;
	bio_init(&r->bio, NULL, &r->vec, 1, REQ_OP_READ);
	bvec_set_page(&r->vec, page, bytes, 0);
	r->bio.bi_iter.bi_sector = req->bio->bi_iter.bi_sector;
	r->bio.bi_iter.bi_size = bytes;
	return true;
}

/* The layer at hand is a read cache without these sectors. Ask those below. */
static void note_miss(struct layered_req *req)
{
	struct layered_read *r = &req->read;

	if (!test_bit(r->at.layer, &r->full) && get_buf(req)) {
		__set_bit(r->at.layer, &r->caches);
		r->cookies[r->at.layer] = r->at.run.cookie;
	}
	r->at.layer++;
}

static enum layered_step insert_step(struct layered_req *req,
				     struct strata_ctx *ctx);

/*
 * A cache may be full, or fail: the read has what it wants. To be full is
 * nothing to talk about, but what is left of the bio need not be tried.
 */
static enum layered_step insert_done(struct layered_req *req,
				     struct strata_ctx *ctx)
{
	struct strata_layer_io *io = &req->ios[0].io;

	if (req->status == BLK_STS_NOSPC) {
		__set_bit(req->read.into, &req->read.full);
		req->status = BLK_STS_OK;
	} else if (req->status) {
		pr_warn_ratelimited("strata: %s: layer %u cannot cache sector %llu: error %d\n",
				    req->l->disk->name, io->layer->index,
				    io->sector,
				    blk_status_to_errno(req->status));
		req->status = BLK_STS_OK;
	}
	return insert_step(req, ctx);
}

/* Insert the buffer into the caches one by one, then give it to the guest. */
static enum layered_step insert_step(struct layered_req *req,
				     struct strata_ctx *ctx)
{
	struct layered_read *r = &req->read;
	struct strata_layer_io *io;
	unsigned int nr;

	if (r->caches) {
		nr = __ffs(r->caches);
		r->into = nr;
		__clear_bit(nr, &r->caches);
		io = layered_req_io(req, 0, req->l->layers[nr]);
		io->sectors = r->at.run.sectors;
		io->data = r->buf;
		io->cookie = r->cookies[nr];
		req->step = insert_done;
		io->layer->ops->insert_absent(io);
		return LAYERED_NEXT;
	}
	strata_copy_to_bio(req->bio, r->buf,
			   r->at.run.sectors << SECTOR_SHIFT);
	free_buf(r);
	read_restart(req);
	return LAYERED_NEXT;
}

static enum layered_step fill_done(struct layered_req *req,
				   struct strata_ctx *ctx)
{
	if (req->status)
		return read_fail(req, req->status);
	return insert_step(req, ctx);
}

/* Read a run from below into the buffer. */
static enum layered_step fill_buf(struct layered_req *req,
				  struct strata_ctx *ctx)
{
	struct layered_read *r = &req->read;
	struct strata_run *run = &r->at.run;
	struct strata_layer *layer = req->l->layers[r->at.layer];
	struct strata_sub *sub;

	sub = strata_sub_alloc(LAYERED_CTX(ctx), req->l->disk,
			       REQ_OP_READ | (req->bio->bi_opf & REQ_SYNC), 1);
	if (!sub)
		return LAYERED_DEFER;
	__bio_add_page(&sub->bio, virt_to_page(r->buf),
		       run->sectors << SECTOR_SHIFT, 0);
	layered_req_sub(req, sub);
	req->step = fill_done;
	if (run->kind == STRATA_RUN_REMAP) {
		sub->bio.bi_iter.bi_sector = run->sector;
		layered_issue(req, ctx, sub, run->disk);
	} else {
		sub->bio.bi_iter.bi_sector = req->bio->bi_iter.bi_sector;
		layer->ops->read(layer, run, &sub->bio);
	}
	return LAYERED_NEXT;
}

/* The run is for a cache too. */
static enum layered_step cached_run(struct layered_req *req,
				    struct strata_ctx *ctx)
{
	struct layered_read *r = &req->read;
	struct layered_at *at = &r->at;

	if (at->run.kind == STRATA_RUN_ZERO) {
		memset(r->buf, 0, at->run.sectors << SECTOR_SHIFT);
		return insert_step(req, ctx);
	}
	if (at->run.kind == STRATA_RUN_HERE &&
	    req->l->layers[at->layer]->ops->read_now)
		return insert_step(req, ctx);
	return fill_buf(req, ctx);
}

/* The layer reads the run itself, when it likes. */
static enum layered_step read_layer(struct layered_req *req,
				    struct strata_ctx *ctx)
{
	struct strata_run run = req->read.at.run;
	struct strata_layer *layer = req->l->layers[req->read.at.layer];
	struct bio *bio = req->bio;
	struct strata_sub *sub;

	if (run.sectors == bio_sectors(bio)) {
		layered_req_free(req);
		layer->ops->read(layer, &run, bio);
		return LAYERED_GONE;
	}
	sub = strata_sub_split(LAYERED_CTX(ctx), req->l->disk, bio,
			       run.sectors);
	if (!sub)
		return LAYERED_DEFER;
	strata_sub_chain(sub, bio);
	read_restart(req);
	layer->ops->read(layer, &run, &sub->bio);
	return LAYERED_NEXT;
}

/* The run goes to the guest directly. */
static enum layered_step direct_run(struct layered_req *req,
				    struct strata_ctx *ctx)
{
	struct strata_run *run = &req->read.at.run;
	struct bio *bio = req->bio;
	struct strata_sub *sub;

	switch (run->kind) {
	case STRATA_RUN_ZERO:
		layered_zero(bio, run->sectors);
		break;
	case STRATA_RUN_REMAP:
		if (run->sectors == bio_sectors(bio)) {
			bio->bi_iter.bi_sector = run->sector;
			return layered_req_pass(req, ctx, run->disk);
		}
		sub = strata_sub_split(LAYERED_CTX(ctx), req->l->disk, bio,
				       run->sectors);
		if (!sub)
			return LAYERED_DEFER;
		sub->bio.bi_iter.bi_sector = run->sector;
		strata_sub_chain(sub, bio);
		layered_issue(req, ctx, sub, run->disk);
		break;
	default:
		if (!req->l->layers[req->read.at.layer]->ops->read_now)
			return read_layer(req, ctx);
		break;
	}
	read_restart(req);
	return LAYERED_NEXT;
}

/* Find the next run, and do with it what its kind needs. */
static enum layered_step read_step(struct layered_req *req,
				   struct strata_ctx *ctx)
{
	struct layered_read *r = &req->read;
	struct bio *bio = req->bio;
	int ret;

	if (!bio->bi_iter.bi_size)
		return layered_req_end(req, BLK_STS_OK);
	for (;;) {
		ret = layered_find(req->l, &r->at, r->buf ? &r->bio : bio);
		if (ret != LAYERED_MISS)
			break;
		note_miss(req);
	}
	if (ret == -EAGAIN)
		return ask_later(req, bio->bi_iter.bi_sector);
	if (ret)
		return read_fail(req, BLK_STS_IOERR);
	/* What is past an end now may be data when that has grown. */
	if (r->buf && r->at.beyond)
		free_buf(r);
	return r->buf ? cached_run(req, ctx) : direct_run(req, ctx);
}

/**
 * layered_read_req() - serve what is left of a read in steps
 * @ctx: the submission
 * @l: the layered disk
 * @bio: the bio
 *
 * Return: as a map.
 */
enum strata_map layered_read_req(struct strata_ctx *ctx, struct layered *l,
				 struct bio *bio)
{
	struct layered_req *req = layered_req_alloc(l, bio, ctx);

	if (!req)
		return strata_sub_failed(ctx, bio);
	req->read.at.ahead = &req->read.ahead;
	read_restart(req);
	return layered_req_start(req, ctx);
}
