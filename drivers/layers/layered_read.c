// SPDX-License-Identifier: GPL-2.0
/*
 * Reads. Each run of sectors comes from the topmost layer that has it; what is
 * in memory is copied straight into the bio, what is on a disk is split off
 * as a sub-bio, or, where it is all that is left, the bio itself goes there.
 */
#include <linux/highmem.h>
#include "layered.h"

/* Take the answer from what is known already, if it is there. */
static bool ask_ahead(struct strata_layer *layer, struct layered_at *at,
		      sector_t sector)
{
	struct layered_ahead *ahead = at->ahead;

	if (!ahead || ahead->layer != layer)
		return false;
	while (ahead->next < ahead->nr) {
		struct strata_run *run = &ahead->runs[ahead->next];
		unsigned int skip;

		if (sector < ahead->sector)
			return false;
		if (sector - ahead->sector < run->sectors) {
			skip = sector - ahead->sector;
			at->run = *run;
			at->run.sector += skip;
			at->run.sectors = min(run->sectors - skip, at->sectors);
			return true;
		}
		ahead->sector += run->sectors;
		ahead->next++;
	}
	return false;
}

/* A disk has all sectors up to its end. */
static void ask_disk(struct strata_layer *layer, struct layered_at *at,
		     sector_t sector)
{
	sector_t end = strata_layer_end(layer);

	at->run.sectors = at->sectors;
	at->run.kind = STRATA_RUN_ABSENT;
	if (unlikely(sector >= end))
		return;
	at->run.kind = STRATA_RUN_REMAP;
	at->run.disk = layer->disk;
	at->run.sector = sector;
	if (unlikely(at->sectors > end - sector))
		at->run.sectors = end - sector;
}

static int ask_layer(struct strata_layer *layer, struct layered_at *at,
		     struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	int err;

	if (layer->disk) {
		ask_disk(layer, at, sector);
		return 0;
	}
	if (layer->ops->read_now) {
		layer->ops->read_now(layer, bio, at->sectors, &at->run);
		return 0;
	}
	if (ask_ahead(layer, at, sector))
		return 0;
	err = layer->ops->lookup(layer, sector, at->sectors, &at->run);
	if (err)
		return err;
	if (WARN_ON_ONCE(!at->run.sectors || at->run.sectors > at->sectors))
		return -EIO;
	return 0;
}

/**
 * layered_find() - find the first sectors of a bio
 * @l: the layered disk
 * @at: how far the search has come
 * @bio: what is in memory is copied here, and @bio advanced
 *
 * Return: 0 with the answer in @at->run, which is not ABSENT; LAYERED_MISS
 * when the layer at @at is a read cache and does not have the sectors;
 * -EAGAIN when it has to be asked through lookup_async; or -EIO.
 */
int layered_find(struct layered *l, struct layered_at *at, struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;

	for (; at->layer < l->nr_layers; at->layer++) {
		struct strata_layer *layer = l->layers[at->layer];
		sector_t end;
		int err;

		err = ask_layer(layer, at, bio);
		if (unlikely(err))
			return err;
		at->sectors = at->run.sectors;
		if (at->run.kind != STRATA_RUN_ABSENT)
			return 0;

		/* A layer's end falls before what is beyond it is dropped. */
		smp_rmb();
		end = strata_layer_end(layer);
		if (unlikely(sector >= end)) {
			at->beyond = true;
			break;
		}
		if (unlikely(at->sectors > end - sector))
			at->sectors = end - sector;
		if (layer->read_cache)
			return LAYERED_MISS;
	}
	at->run.kind = STRATA_RUN_ZERO;
	at->run.sectors = at->sectors;
	return 0;
}

/* Zero the first sectors of a bio, and advance it past them. */
void layered_zero(struct bio *bio, unsigned int sectors)
{
	unsigned int bytes = sectors << SECTOR_SHIFT;

	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, bio->bi_iter);
		unsigned int len = min(bv.bv_len, bytes);

		memzero_page(bv.bv_page, bv.bv_offset, len);
		bio_advance_iter_single(bio, &bio->bi_iter, len);
		bytes -= len;
	}
}

/**
 * layered_read() - serve a read
 * @ctx: the submission
 * @l: the layered disk
 * @bio: the bio, perhaps what is left of it
 *
 * Return: as a map.
 */
enum strata_map layered_read(struct strata_ctx *ctx, struct layered *l,
			     struct bio *bio)
{
	while (bio->bi_iter.bi_size) {
		struct layered_at at __uninitialized;
		struct strata_sub *sub;

		at.layer = 0;
		at.sectors = bio_sectors(bio);
		at.beyond = false;
		at.ahead = NULL;
		if (unlikely(layered_find(l, &at, bio)))
			return layered_read_req(ctx, l, bio);

		switch (at.run.kind) {
		case STRATA_RUN_ZERO:
			layered_zero(bio, at.run.sectors);
			break;
		case STRATA_RUN_REMAP:
			if (likely(at.run.sectors == bio_sectors(bio))) {
				bio->bi_iter.bi_sector = at.run.sector;
				return strata_remap(ctx, at.run.disk);
			}
			sub = strata_sub_split(ctx, l->disk, bio,
					       at.run.sectors);
			if (!sub)
				return strata_sub_failed(ctx, bio);
			sub->bio.bi_iter.bi_sector = at.run.sector;
			strata_sub_chain(sub, bio);
			strata_sub_queue(ctx, sub, at.run.disk);
			break;
		default:
			if (!l->layers[at.layer]->ops->read_now)
				return layered_read_req(ctx, l, bio);
			break;
		}
	}
	/* Not strata_end(): a part may have left an error. */
	bio_endio(bio);
	return STRATA_SUBMITTED;
}
