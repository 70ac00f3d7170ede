// SPDX-License-Identifier: GPL-2.0
/*
 * Sectors of a stacked RAM layer that read zero without a page: what was
 * unmapped, and hides what is below. Ranges of sectors in a maple tree, looked
 * at only where a sector is not present, so a write need not change them.
 *
 * The number of ranges is up to the guest; they count against the limit. Each
 * store touches two ranges at most: a store over many has the tree free whole
 * subtrees after a grace period, and what prepares them for that, in 6.12,
 * takes the last of a root's 16 children for metadata and clears its low bytes.
 */
#include <linux/sched/mm.h>
#include "ram.h"

#define HIDDEN xa_mk_value(1)

/*
 * Do the sectors from @sector on, which are not present, hide what is below?
 * Returns how many of them have the same answer. Under RCU.
 */
unsigned int ram_hidden_range(struct ram *ram, sector_t sector,
			      unsigned int sectors, bool *hidden)
{
	/* As ram_hidden(). */
	sector_t from = smp_load_acquire(&ram->zero_from);

	*hidden = sector >= from;
	if (*hidden)
		return sectors;
	sectors = min_t(sector_t, sectors, from - sector);
	if (READ_ONCE(ram->nr_zeroes)) {
		MA_STATE(mas, &ram->zeroes, sector, sector);

		*hidden = mas_walk(&mas);
		if (mas.last - sector < sectors)
			sectors = mas.last - sector + 1;
	}
	return sectors;
}

/*
 * Widen @first to @last over the ranges they touch. Under the zero lock.
 * Return: whether there are any, so that the range replaces another.
 */
static bool zeroes_merge(struct ram *ram, unsigned long *first,
			 unsigned long *last)
{
	MA_STATE(mas, &ram->zeroes, *first ? *first - 1 : 0, *last);
	unsigned long max = *last == ULONG_MAX ? *last : *last + 1;
	bool any = false;

	rcu_read_lock();
	while (mas_find(&mas, max)) {
		*first = min(*first, mas.index);
		*last = max(*last, mas.last);
		any = true;
	}
	rcu_read_unlock();
	return any;
}

static int zeroes_store(struct ram *ram, unsigned long first,
			unsigned long last, void *entry, gfp_t gfp)
{
	MA_STATE(mas, &ram->zeroes, first, last);
	int err;

	mas_lock(&mas);
	err = mas_store_gfp(&mas, entry, gfp);
	mas_unlock(&mas);
	return err;
}

/* There are @more ranges now, or fewer; the limit does not matter any more. */
static void zeroes_account(struct ram *ram, long more)
{
	atomic_long_add(more * RAM_RANGE_BYTES, &ram->committed);
	WRITE_ONCE(ram->nr_zeroes, ram->nr_zeroes + more);
}

/* The first range that has something of @first to @last, if there is one. */
static bool zeroes_find(struct ram *ram, unsigned long *first,
			unsigned long *last)
{
	MA_STATE(mas, &ram->zeroes, *first, *first);
	void *entry;

	rcu_read_lock();
	entry = mas_find(&mas, *last);
	rcu_read_unlock();
	if (!entry)
		return false;
	*first = mas.index;
	*last = mas.last;
	return true;
}

/*
 * Make one range from @first to @last of all that is there, range by range. The
 * first may be new; the caller has seen to its memory, and counts it.
 */
static int zeroes_unite(struct ram *ram, unsigned long first,
			unsigned long last, gfp_t gfp)
{
	unsigned long next = first, stop;
	bool any = false, found;
	int err;

	do {
		stop = last;
		found = zeroes_find(ram, &next, &stop);
		stop = min(stop, last);
		err = zeroes_store(ram, first, stop, HIDDEN, gfp);
		if (err)
			return err;
		if (found && any)
			zeroes_account(ram, -1);
		any |= found;
		next = stop + 1;
		if (gfpflags_allow_blocking(gfp))
			cond_resched();
	} while (stop < last);
	return 0;
}

/* For those who cannot fail. */
static void zeroes_store_wait(struct ram *ram, unsigned long first,
			      unsigned long last, void *entry)
{
	while (zeroes_store(ram, first, last, entry, GFP_NOIO))
		memalloc_retry_wait(GFP_NOIO);
}

/*
 * Is there memory for a range? Beyond the limit too, where dropping its sectors
 * gives back more than that, or nobody could free anything at the limit.
 */
static blk_status_t zeroes_charge(struct ram *ram, unsigned long first,
				  unsigned long last, bool nowait)
{
	blk_status_t status = ram_charge(ram, RAM_RANGE_BYTES, nowait);

	if (status == BLK_STS_NOSPC && ram_frees_page(ram, first, last)) {
		atomic_long_add(RAM_RANGE_BYTES, &ram->committed);
		return BLK_STS_OK;
	}
	return status;
}

/* Let @first to @last read zero where they are not present. */
static blk_status_t hide_locked(struct ram *ram, unsigned long first,
				unsigned long last, bool nowait)
{
	/* The layer may have shrunk since the request was admitted. */
	sector_t end = strata_layer_end(&ram->layer);
	blk_status_t status;
	bool replaces;

	if (first >= min(ram->zero_from, end))
		return BLK_STS_OK;
	last = min(last, end - 1);
	replaces = zeroes_merge(ram, &first, &last);
	if (!replaces) {
		status = zeroes_charge(ram, first, last, nowait);
		if (status)
			return status;
	}
	if (zeroes_unite(ram, first, last, ram_gfp(nowait))) {
		if (!replaces)
			ram_uncharge(ram, RAM_RANGE_BYTES);
		return nowait ? BLK_STS_AGAIN : BLK_STS_NOSPC;
	}
	if (!replaces)
		WRITE_ONCE(ram->nr_zeroes, ram->nr_zeroes + 1);
	return BLK_STS_OK;
}

/*
 * Let the sectors from @first to @last read zero where they are not present.
 * May sleep unless @nowait.
 */
blk_status_t ram_hide(struct ram *ram, sector_t first, sector_t last,
		      bool nowait)
{
	blk_status_t status, room = BLK_STS_OK;

	for (;;) {
		if (!nowait)
			mutex_lock(&ram->zero_lock);
		else if (!mutex_trylock(&ram->zero_lock))
			return BLK_STS_AGAIN;
		status = hide_locked(ram, first, last, nowait);
		mutex_unlock(&ram->zero_lock);
		/* Once more if nothing was left: others may have made room. */
		if (status != BLK_STS_NOSPC || room)
			return status;
		room = ram_make_room(ram, nowait);
		if (room == BLK_STS_AGAIN)
			return room;
	}
}

/* Take the zeroes from @first to @last away. Under the zero lock. May sleep. */
static void unhide_locked(struct ram *ram, unsigned long first,
			  unsigned long last)
{
	unsigned long index = first, end = last;

	while (zeroes_find(ram, &index, &end)) {
		unsigned long stop = min(end, last);

		zeroes_store_wait(ram, max(index, first), stop, NULL);
		/* A range can leave something on either side. */
		zeroes_account(ram, (index < first) + (end > last) - 1);
		if (stop == last)
			return;
		index = stop + 1;
		end = last;
		cond_resched();
	}
}

/* Forget the ranges from @first on: what is below shows there. May sleep. */
void ram_unhide_from(struct ram *ram, sector_t first)
{
	mutex_lock(&ram->zero_lock);
	unhide_locked(ram, first, ULONG_MAX);
	mutex_unlock(&ram->zero_lock);
}

/* Make a range of the zeroes beyond zero_from, for it to have holes. */
static void bound_zeroes(struct ram *ram)
{
	unsigned long first = ram->zero_from, last = ULONG_MAX;
	unsigned long nr = zeroes_merge(ram, &first, &last);

	while (zeroes_unite(ram, first, last, GFP_NOIO))
		memalloc_retry_wait(GFP_NOIO);
	if (!nr)
		zeroes_account(ram, 1);
	/* Whoever does not find them here any more finds the range. */
	smp_store_release(&ram->zero_from, STRATA_SECTORS_MAX);
}

/*
 * Let what is below show in the sectors from @first to @last that are not
 * present, though it may take the memory of a range. May sleep.
 */
void ram_show(struct ram *ram, sector_t first, sector_t last)
{
	mutex_lock(&ram->zero_lock);
	if (last >= ram->zero_from)
		bound_zeroes(ram);
	unhide_locked(ram, first, last);
	mutex_unlock(&ram->zero_lock);
}
