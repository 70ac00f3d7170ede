// SPDX-License-Identifier: GPL-2.0
/*
 * The data of a RAM layer: pages in an xarray.
 *
 * The private word of a page says which of its sectors are present, and is
 * the page's lock. Readers take no lock: under RCU they find the page, load
 * the word with acquire and copy what is present. All others hold the lock
 * bit, and publish with the release that drops it. A page without present
 * sectors is marked dead for good, taken out and freed after the readers.
 *
 * Who takes sectors away (unmap, shrink) first stores the reason (a range of
 * zeroes, a smaller end, a new generation), then has a full barrier, then
 * visits the pages. Who brings sectors in first has his page in the xarray,
 * then a full barrier, then looks for a reason not to, under the page's lock.
 * So one of the two sees the other.
 */
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/sched.h>
#include <linux/bit_spinlock.h>
#include "ram.h"

/* Present sectors, one bit each, and those that insert_absent brought. */
#define RAM_PRESENT	GENMASK(PAGE_SECTORS - 1, 0)
#define RAM_CACHED_SHIFT PAGE_SECTORS
#define RAM_DEAD	BIT(BITS_PER_LONG - 2)
#define RAM_LOCK_NR	(BITS_PER_LONG - 1)
static_assert(2 * PAGE_SECTORS <= BITS_PER_LONG - 2);

/* How much one call copies under RCU, so that it does not last too long. */
#define RAM_READ_MAX	(SZ_1M >> SECTOR_SHIFT)

static unsigned long page_lock(struct page *page) __acquires(bitlock)
{
	bit_spin_lock(RAM_LOCK_NR, &page->private);
	return READ_ONCE(page->private) & ~BIT(RAM_LOCK_NR);
}

/* Publish @state with what was stored before, and unlock. */
static void page_unlock(struct page *page, unsigned long state)
	__releases(bitlock)
{
	atomic_long_set_release((atomic_long_t *)&page->private, state);
	preempt_enable();
	__release(bitlock);
}

static unsigned long page_index(sector_t sector)
{
	return sector >> PAGE_SECTORS_SHIFT;
}

static unsigned int page_offset_sectors(sector_t sector)
{
	return sector & (PAGE_SECTORS - 1);
}

static void *sector_address(struct page *page, unsigned int offset)
{
	return page_address(page) + (offset << SECTOR_SHIFT);
}

/* How many of the sectors from @offset on are present, without a gap? */
static unsigned int present_sectors(const struct page *page,
				    unsigned int offset)
{
	/* The data was there before the release in page_unlock(). */
	unsigned long state = smp_load_acquire(&page->private);

	return __ffs(~((state & RAM_PRESENT) >> offset));
}

static __always_inline void
copy_from_bio(struct bio *bio, struct bvec_iter *iter, void *to,
	      unsigned int bytes)
{
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		unsigned int len = min(bv.bv_len, bytes);

		memcpy_from_page(to, bv.bv_page, bv.bv_offset, len);
		bio_advance_iter_single(bio, iter, len);
		to += len;
		bytes -= len;
	}
}

/*
 * Copy the present sectors at the start of @bio, the first of which are in
 * @page. Under RCU.
 */
static noinline unsigned int read_present(struct ram *ram, struct bio *bio,
					  struct page *page,
					  unsigned int sectors)
{
	unsigned int done = 0;

	while (page) {
		unsigned int offset = page_offset_sectors(bio->bi_iter.bi_sector);
		unsigned int n = min(present_sectors(page, offset),
				     sectors - done);

		if (!n)
			break;
		strata_copy_to_bio(bio, sector_address(page, offset),
				   n << SECTOR_SHIFT);
		done += n;
		/* A gap in this page, or no more wanted? */
		if (offset + n < PAGE_SECTORS || done == sectors)
			break;
		page = xa_load(&ram->pages,
			       page_index(bio->bi_iter.bi_sector));
	}
	return done;
}

/*
 * How many of the sectors from @sector on are not present? The first is in
 * @page, if there is one. Under RCU.
 */
static noinline unsigned int missing_sectors(struct ram *ram, struct page *page,
					     sector_t sector,
					     unsigned int sectors)
{
	unsigned long index = page_index(sector);
	unsigned long last = page_index(sector + sectors - 1);
	unsigned int offset = page_offset_sectors(sector);

	for (;;) {
		if (page) {
			unsigned long present = READ_ONCE(page->private) &
						RAM_PRESENT & ~0UL << offset;
			sector_t start = (sector_t)index <<
					 PAGE_SECTORS_SHIFT;

			if (present)
				return min_t(sector_t, sectors,
					     start + __ffs(present) - sector);
		}
		if (index == last)
			return sectors;
		offset = 0;
		page = xa_find_after(&ram->pages, &index, last, XA_PRESENT);
		if (!page)
			return sectors;
	}
}

/*
 * The first sector was not present; it would be in @page. What are it and those
 * after it? Return: false if it has come since. Under RCU.
 */
static __always_inline bool read_missing(struct ram *ram, struct page *page,
					 sector_t sector, unsigned int sectors,
					 struct strata_run *run)
{
	bool hidden;

	if (unlikely(page || page_index(sector) !=
			     page_index(sector + sectors - 1)))
		sectors = missing_sectors(ram, page, sector, sectors);
	if (unlikely(!sectors))
		return false; /* written in between */
	/* A page that is gone has left its reason in the zeroes. */
	smp_rmb();
	run->sectors = ram_hidden(ram, sector, sectors, &hidden);
	run->kind = hidden ? STRATA_RUN_ZERO : STRATA_RUN_ABSENT;
	return true;
}

/* read_now of struct strata_layer_ops. */
void ram_read(struct strata_layer *layer, struct bio *bio,
	      unsigned int sectors, struct strata_run *run)
{
	struct ram *ram = to_ram(layer);
	sector_t sector = bio->bi_iter.bi_sector;
	struct page *page;

	if (layer->read_cache)
		/* Before data is read from below: outdate_cookies(). */
		run->cookie = atomic64_read_acquire(&ram->generation);

	rcu_read_lock();
	do {
		page = xa_load(&ram->pages, page_index(sector));
		if (page) {
			run->sectors = read_present(ram, bio, page,
						    min(sectors, RAM_READ_MAX));
			if (run->sectors) {
				run->kind = STRATA_RUN_HERE;
				break;
			}
		}
	} while (!read_missing(ram, page, sector, sectors, run));
	rcu_read_unlock();
}

static void free_page_rcu(struct rcu_head *head)
{
	struct page *page = container_of(head, struct page, rcu_head);
	struct ram *ram = (struct ram *)page->index;

	set_page_private(page, 0);
	page->index = 0;
	__free_page(page);
	atomic_long_sub(PAGE_SIZE, &ram->dying);
}

/* Take a dead page out; whoever comes by first. Under RCU. */
static void unlink_page(struct ram *ram, unsigned long index,
			struct page *page)
{
	xa_cmpxchg(&ram->pages, index, page, NULL, 0);
}

/* Free a page that the caller has marked dead. Under RCU. */
static void bury_page(struct ram *ram, unsigned long index, struct page *page)
{
	unlink_page(ram, index, page);
	/* The two overlap for a moment, and so err on the safe side. */
	atomic_long_add(PAGE_SIZE, &ram->dying);
	ram_uncharge(ram, PAGE_SIZE);
	page->index = (unsigned long)ram;
	call_rcu(&page->rcu_head, free_page_rcu);
}

/*
 * Take the sectors of @mask away, or only the cached ones. Under RCU.
 * Returns with the page freed if nothing is left.
 */
static void drop_sectors(struct ram *ram, unsigned long index,
			 struct page *page, unsigned long mask,
			 bool cached_only)
{
	unsigned long state = page_lock(page);
	bool bury;

	if (cached_only)
		mask &= state >> RAM_CACHED_SHIFT;
	state &= ~(mask | mask << RAM_CACHED_SHIFT);
	bury = !(state & (RAM_PRESENT | RAM_DEAD));
	if (bury)
		state |= RAM_DEAD;
	page_unlock(page, state);
	if (bury)
		bury_page(ram, index, page);
}

/* The sectors of page @index that lie from @first to @last. */
static unsigned long sectors_mask(unsigned long index, sector_t first,
				  sector_t last)
{
	unsigned int low = 0, high = PAGE_SECTORS - 1;

	if (index == page_index(first))
		low = page_offset_sectors(first);
	if (index == page_index(last))
		high = page_offset_sectors(last);
	return GENMASK(high, low);
}

/* Let others run, every now and then in a long walk under RCU. */
static void walk_pause(unsigned int *visited)
{
	if (++*visited % 64)
		return;
	rcu_read_unlock();
	cond_resched();
	rcu_read_lock();
}

static void drop_range(struct ram *ram, sector_t first, sector_t last,
		       unsigned long which, bool cached_only)
{
	unsigned long index = page_index(first), end = page_index(last);
	unsigned int visited = 0;
	struct page *page;

	rcu_read_lock();
	page = xa_find(&ram->pages, &index, end, XA_PRESENT);
	while (page) {
		drop_sectors(ram, index, page,
			     sectors_mask(index, first, last) & which,
			     cached_only);
		walk_pause(&visited);
		page = xa_find_after(&ram->pages, &index, end, XA_PRESENT);
	}
	rcu_read_unlock();
}

/* Let go of pages that were added and have nothing in them. */
static void drop_empty(struct ram *ram, sector_t first, sector_t last)
{
	drop_range(ram, first, last, 0, false);
}

/* Will a page be freed when the sectors from @first to @last are dropped? */
bool ram_frees_page(struct ram *ram, sector_t first, sector_t last)
{
	unsigned long index = page_index(first), end = page_index(last);
	struct page *page;
	bool frees = false;

	rcu_read_lock();
	page = xa_find(&ram->pages, &index, end, XA_PRESENT);
	/* Only the pages at both ends can have other sectors. */
	while (page && !frees) {
		unsigned long stays = RAM_DEAD |
			(RAM_PRESENT & ~sectors_mask(index, first, last));

		frees = !(READ_ONCE(page->private) & stays);
		page = xa_find_after(&ram->pages, &index, end, XA_PRESENT);
	}
	rcu_read_unlock();
	return frees;
}

/* Free a page if all that is in it was inserted. Under RCU. */
static bool evict_page(struct ram *ram, unsigned long index, struct page *page)
{
	unsigned long state = page_lock(page);
	unsigned long present = state & RAM_PRESENT;
	/* One with nothing in it is about to be written. */
	bool clean = present && !(present & ~(state >> RAM_CACHED_SHIFT));

	page_unlock(page, clean ? RAM_DEAD : state);
	if (clean)
		bury_page(ram, index, page);
	return clean;
}

/*
 * Free a sixteenth of what the layer may have and a bit, from page @index on.
 * RCU has to be waited for after it, so a page at a time would be slow.
 */
static bool evict_from(struct ram *ram, unsigned long index)
{
	unsigned long max = (READ_ONCE(ram->limit) >> (PAGE_SHIFT + 4)) + 64;
	unsigned long left = max;
	unsigned int visited = 0;
	struct page *page;

	rcu_read_lock();
	page = xa_find(&ram->pages, &index, ULONG_MAX, XA_PRESENT);
	while (page && left) {
		left -= evict_page(ram, index, page);
		walk_pause(&visited);
		page = xa_find_after(&ram->pages, &index, ULONG_MAX, XA_PRESENT);
	}
	rcu_read_unlock();
	WRITE_ONCE(ram->hand, page ? index : 0);
	return left < max;
}

/*
 * Give up some of what can be read again from below. The sectors are absent
 * then, as before they were inserted, and cookies that were taken meanwhile
 * stay good. Returns BLK_STS_OK if it is worthwhile to try again.
 */
blk_status_t ram_make_room(struct ram *ram, bool nowait)
{
	if (!READ_ONCE(ram->clean))
		return BLK_STS_NOSPC;
	if (nowait)
		return BLK_STS_AGAIN;
	if (evict_from(ram, READ_ONCE(ram->hand)))
		return BLK_STS_OK;
	/* A whole round without any: no more of them until the next insert. */
	WRITE_ONCE(ram->clean, false);
	/* Whoever inserts behind this look sets it again. */
	smp_mb();
	if (!evict_from(ram, 0))
		return BLK_STS_NOSPC;
	WRITE_ONCE(ram->clean, true);
	return BLK_STS_OK;
}

/* Put an empty page at @index, unless there is one. */
static blk_status_t add_page(struct ram *ram, unsigned long index, bool nowait)
{
	blk_status_t status = ram_charge(ram, PAGE_SIZE, nowait);
	struct page *page, *old;

	if (status)
		return status;
	page = alloc_page(ram_gfp(nowait));
	if (!page) {
		ram_uncharge(ram, PAGE_SIZE);
		return nowait ? BLK_STS_AGAIN : BLK_STS_NOSPC;
	}
	set_page_private(page, 0);
	old = xa_cmpxchg(&ram->pages, index, NULL, page, ram_gfp(nowait));
	/* See the top: the page is there before reasons are looked for. */
	smp_mb();
	if (!old)
		return BLK_STS_OK;
	ram_uncharge(ram, PAGE_SIZE);
	__free_page(page);
	if (!xa_is_err(old))
		return BLK_STS_OK;
	return nowait ? BLK_STS_AGAIN : BLK_STS_NOSPC;
}

/**
 * struct page_update - a change to the sectors of one page
 * @sector: first sector
 * @sectors: how many; all in one page
 * @bio: where the data is, or NULL
 * @iter: of @bio
 * @data: where it is without @bio
 * @cookie: of an insert
 * @status: the result
 * @empty: the page was left without present sectors
 * @stored: an insert has stored something
 */
struct page_update {
	sector_t sector;
	unsigned int sectors;
	struct bio *bio;
	struct bvec_iter *iter;
	const void *data;
	u64 cookie;
	blk_status_t status;
	bool empty;
	bool stored;
};

/*
 * Call @fn with the page of @update locked, under RCU, adding the page if need
 * be. @fn returns the page's new state.
 */
static __always_inline blk_status_t
update_page(struct ram *ram, struct page_update *update, bool nowait,
	    unsigned long (*fn)(struct ram *ram, struct page_update *update,
				struct page *page, unsigned long state))
{
	unsigned long index = page_index(update->sector);

	for (;;) {
		struct page *page;

		rcu_read_lock();
		page = xa_load(&ram->pages, index);
		if (likely(page)) {
			unsigned long state = page_lock(page);

			if (likely(!(state & RAM_DEAD))) {
				state = fn(ram, update, page, state);
				page_unlock(page, state);
				if (unlikely(!(state & RAM_PRESENT)))
					update->empty = true;
				rcu_read_unlock();
				return update->status;
			}
			page_unlock(page, state);
			unlink_page(ram, index, page);
		}
		rcu_read_unlock();
		update->status = add_page(ram, index, nowait);
		if (update->status)
			return update->status;
	}
}

static __always_inline unsigned long
write_sectors(struct ram *ram, struct page_update *update, struct page *page,
	      unsigned long state)
{
	unsigned int offset = page_offset_sectors(update->sector);
	unsigned long mask = GENMASK(offset + update->sectors - 1, offset);

	if (unlikely(update->sector + update->sectors >
		     strata_layer_end(&ram->layer))) {
		update->status = BLK_STS_TARGET;
		return state;
	}
	copy_from_bio(update->bio, update->iter, sector_address(page, offset),
		      update->sectors << SECTOR_SHIFT);
	update->status = BLK_STS_OK;
	return (state | mask) & ~(mask << RAM_CACHED_SHIFT);
}

/* Have all pages of a bio that may not sleep, before any of it is written. */
static blk_status_t reserve_pages(struct ram *ram, sector_t first,
				  sector_t last)
{
	unsigned long index = page_index(first);
	blk_status_t status = BLK_STS_OK;

	for (; index <= page_index(last) && !status; index++)
		if (!xa_load(&ram->pages, index))
			status = add_page(ram, index, true);
	return status;
}

/* Write what is left of a bio, page by page. */
static __always_inline blk_status_t write_pages(struct ram *ram,
						struct bio *bio,
						struct bvec_iter *iter,
						blk_status_t status)
{
	struct page_update update = { .bio = bio, .iter = iter };
	bool nowait = bio->bi_opf & REQ_NOWAIT;

	while (iter->bi_size && !status) {
		update.sector = iter->bi_sector;
		update.sectors = min(PAGE_SECTORS -
				     page_offset_sectors(iter->bi_sector),
				     iter->bi_size >> SECTOR_SHIFT);
		status = update_page(ram, &update, nowait, write_sectors);
	}
	return status;
}

/* Begin a write that has ended with @status again, if room can be made. */
static noinline blk_status_t write_full(struct ram *ram, struct bio *bio,
					blk_status_t status)
{
	bool nowait = bio->bi_opf & REQ_NOWAIT;
	struct bvec_iter iter = bio->bi_iter;
	blk_status_t room = BLK_STS_OK;

	while (status == BLK_STS_NOSPC && !room) {
		room = ram_make_room(ram, nowait);
		/* Try even if nothing is left: others have just made room. */
		status = nowait ? room :
				  write_pages(ram, bio, &iter, BLK_STS_OK);
	}
	if (status)
		drop_empty(ram, bio->bi_iter.bi_sector,
			   bio_end_sector(bio) - 1);
	return status;
}

/* write_now of struct strata_layer_ops. */
blk_status_t ram_write(struct strata_layer *layer, struct bio *bio)
{
	struct ram *ram = to_ram(layer);
	struct bvec_iter iter = bio->bi_iter;
	sector_t first = iter.bi_sector, last = bio_end_sector(bio) - 1;
	blk_status_t status = BLK_STS_OK;

	if ((bio->bi_opf & REQ_NOWAIT) && page_index(first) != page_index(last))
		status = reserve_pages(ram, first, last);
	status = write_pages(ram, bio, &iter, status);
	if (unlikely(status))
		status = write_full(ram, bio, status);
	return status;
}

static unsigned long insert_sectors(struct ram *ram,
				    struct page_update *update,
				    struct page *page, unsigned long state)
{
	unsigned int offset = page_offset_sectors(update->sector), i;
	const void *data = update->data;

	update->status = BLK_STS_OK;
	if (atomic64_read(&ram->generation) != update->cookie ||
	    update->sector + update->sectors > strata_layer_end(&ram->layer))
		return state;

	for (i = 0; i < update->sectors; i++, data += SECTOR_SIZE) {
		bool hidden;

		if (state & BIT(offset + i))
			continue;
		ram_hidden(ram, update->sector + i, 1, &hidden);
		if (hidden)
			continue;
		memcpy(sector_address(page, offset + i), data, SECTOR_SIZE);
		state |= BIT(offset + i) | BIT(offset + i + RAM_CACHED_SHIFT);
		update->stored = true;
	}
	return state;
}

/* Store what is absent still, see insert_absent of struct strata_layer_ops. */
blk_status_t ram_insert(struct ram *ram, sector_t sector, unsigned int sectors,
			const void *data, u64 cookie)
{
	struct page_update update = { .sector = sector, .cookie = cookie };
	blk_status_t status = BLK_STS_OK;
	unsigned int done = 0;

	while (done < sectors && !status) {
		update.sector = sector + done;
		update.data = data + ((size_t)done << SECTOR_SHIFT);
		update.sectors = min(PAGE_SECTORS -
				     page_offset_sectors(update.sector),
				     sectors - done);
		done += update.sectors;
		status = update_page(ram, &update, false, insert_sectors);
	}
	if (update.stored) {
		/* See ram_make_room(): it is there before this says so. */
		smp_mb();
		WRITE_ONCE(ram->clean, true);
	}
	if (update.empty)
		drop_empty(ram, sector, sector + sectors - 1);
	return status;
}

/*
 * Take away the sectors from @first to @last, or only those that were inserted
 * into the cache. Costs what is there, not what the range spans. Sleeps only
 * where the scheduler asks for it.
 */
void ram_drop(struct ram *ram, sector_t first, sector_t last, bool cached_only)
{
	/* See the top: the reason is stored before the pages are visited. */
	smp_mb();
	drop_range(ram, first, last, RAM_PRESENT, cached_only);
}

/* Free everything at once; nobody uses the layer any more. */
void ram_free_pages(struct ram *ram)
{
	unsigned long index;
	struct page *page;

	xa_for_each(&ram->pages, index, page) {
		set_page_private(page, 0);
		__free_page(page);
		cond_resched();
	}
	xa_destroy(&ram->pages);
	rcu_barrier();
}
