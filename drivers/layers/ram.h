/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_RAM_H
#define STRATA_RAM_H
/* The RAM layer: what its files share. */
#include <linux/atomic.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/xarray.h>
#include <strata/layer.h>

/* What one range of zeroes costs in the maple tree, about. */
#define RAM_RANGE_BYTES		64

/**
 * struct ram - a RAM layer
 * @layer: what the engine sees
 * @pages: page number to struct page, whose private word says which of its
 *	sectors are present (ram_pages.c)
 * @stacked: there is a layer below to hide
 * @generation: goes up when what was read from below before may be out of
 *	date; the cookie of inserts
 * @zero_from: sectors from here on that are not present read zero
 * @nr_zeroes: ranges in @zeroes
 * @zeroes: other ranges of sectors that read zero where they are not present
 * @zero_lock: held while @zeroes, @zero_from and @nr_zeroes change
 * @committed: bytes of pages and ranges in use
 * @dying: bytes of pages that are out of @pages and wait for readers
 * @limit: what @committed and @dying may add up to
 * @hand: the page where the next eviction begins
 * @clean: some pages may have nothing but what insert_absent brought
 */
struct ram {
	struct strata_layer layer;
	struct xarray pages;
	bool stacked;
	atomic64_t generation;
	sector_t zero_from;
	unsigned long nr_zeroes;
	struct maple_tree zeroes;
	struct mutex zero_lock; /* held while zero ranges change */
	atomic_long_t committed;
	atomic_long_t dying;
	unsigned long limit;
	unsigned long hand;
	bool clean;
};

static inline struct ram *to_ram(struct strata_layer *layer)
{
	return container_of(layer, struct ram, layer);
}

/* ram.c: a layer without configfs, for the KUnit suite too */
struct strata_layer *strata_ram_create(u64 size, u32 sector_size, u64 limit);
void strata_ram_destroy(struct strata_layer *layer);

blk_status_t ram_charge(struct ram *ram, unsigned long bytes, bool nowait);
void ram_uncharge(struct ram *ram, unsigned long bytes);

static inline gfp_t ram_gfp(bool nowait)
{
	return nowait ? GFP_NOWAIT | __GFP_NOWARN :
			GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN;
}

/* ram_pages.c: data */
void ram_read(struct strata_layer *layer, struct bio *bio,
	      unsigned int sectors, struct strata_run *run);
blk_status_t ram_write(struct strata_layer *layer, struct bio *bio);
blk_status_t ram_insert(struct ram *ram, sector_t sector, unsigned int sectors,
			const void *data, u64 cookie);
void ram_drop(struct ram *ram, sector_t first, sector_t last,
	      bool cached_only);
bool ram_frees_page(struct ram *ram, sector_t first, sector_t last);
blk_status_t ram_make_room(struct ram *ram, bool nowait);
void ram_free_pages(struct ram *ram);

/* ram_zeroes.c: what reads zero without a page */
blk_status_t ram_hide(struct ram *ram, sector_t first, sector_t last,
		      bool nowait);
void ram_unhide_from(struct ram *ram, sector_t first);
void ram_show(struct ram *ram, sector_t first, sector_t last);
unsigned int ram_hidden_range(struct ram *ram, sector_t sector,
			      unsigned int sectors, bool *hidden);

/*
 * Do the sectors from @sector on, which are not present, hide what is below?
 * Returns how many of them have the same answer. Under RCU.
 */
static inline unsigned int ram_hidden(struct ram *ram, sector_t sector,
				      unsigned int sectors, bool *hidden)
{
	/* Zeroes are in a range before they are no longer beyond this. */
	sector_t from = smp_load_acquire(&ram->zero_from);

	if (likely(sector < from && sectors <= from - sector &&
		   !READ_ONCE(ram->nr_zeroes))) {
		*hidden = false;
		return sectors;
	}
	return ram_hidden_range(ram, sector, sectors, hidden);
}

#endif /* STRATA_RAM_H */
