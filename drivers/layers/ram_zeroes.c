// SPDX-License-Identifier: GPL-2.0
/*
 * Sectors of a stacked RAM layer that read zero without a page: what was
 * unmapped, and hides what is below. Ranges of sectors in a maple tree, looked
 * at only where a sector is not present, so a write need not change them.
 *
 * The number of ranges is up to the guest; they count against the limit.
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
	sector_t from = READ_ONCE(ram->zero_from);

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
 * Widen @first to @last over the ranges they touch, and count those that one
 * range in their place replaces. Under the zero lock.
 */
static unsigned long merge(struct ram *ram, unsigned long *first,
			   unsigned long *last)
{
	MA_STATE(mas, &ram->zeroes, *first ? *first - 1 : 0, *last);
	unsigned long max = *last == ULONG_MAX ? *last : *last + 1;
	unsigned long nr = 0;

	rcu_read_lock();
	while (mas_find(&mas, max)) {
		*first = min(*first, mas.index);
		*last = max(*last, mas.last);
		nr++;
	}
	rcu_read_unlock();
	return nr;
}

static int store(struct ram *ram, unsigned long first, unsigned long last,
		 void *entry, gfp_t gfp)
{
	MA_STATE(mas, &ram->zeroes, first, last);
	int err;

	mas_lock(&mas);
	err = mas_store_gfp(&mas, entry, gfp);
	mas_unlock(&mas);
	return err;
}

/* Let @first to @last read zero where they are not present. */
static blk_status_t hide_locked(struct ram *ram, unsigned long first,
				unsigned long last, bool nowait)
{
	blk_status_t status;
	unsigned long nr;

	if (first >= ram->zero_from)
		return BLK_STS_OK;
	nr = merge(ram, &first, &last);
	if (!nr) {
		status = ram_charge(ram, RAM_RANGE_BYTES, nowait);
		if (status)
			return status;
	}
	if (store(ram, first, last, HIDDEN, ram_gfp(nowait))) {
		if (!nr)
			ram_uncharge(ram, RAM_RANGE_BYTES);
		return nowait ? BLK_STS_AGAIN : BLK_STS_NOSPC;
	}
	if (nr > 1)
		ram_uncharge(ram, (nr - 1) * RAM_RANGE_BYTES);
	WRITE_ONCE(ram->nr_zeroes, ram->nr_zeroes + 1 - nr);
	return BLK_STS_OK;
}

/*
 * Let the sectors from @first to @last read zero where they are not present.
 * May sleep unless @nowait.
 */
blk_status_t ram_hide(struct ram *ram, sector_t first, sector_t last,
		      bool nowait)
{
	blk_status_t status;

	if (!nowait)
		mutex_lock(&ram->zero_lock);
	else if (!mutex_trylock(&ram->zero_lock))
		return BLK_STS_AGAIN;
	status = hide_locked(ram, first, last, nowait);
	mutex_unlock(&ram->zero_lock);
	return status;
}

/* Forget the ranges from @first on: what is below shows there. May sleep. */
void ram_unhide_from(struct ram *ram, sector_t first)
{
	MA_STATE(mas, &ram->zeroes, first, ULONG_MAX);
	unsigned long nr = 0;

	mutex_lock(&ram->zero_lock);
	rcu_read_lock();
	while (mas_find(&mas, ULONG_MAX))
		if (mas.index >= first)
			nr++;
	rcu_read_unlock();
	if (ram->nr_zeroes)
		while (store(ram, first, ULONG_MAX, NULL, GFP_NOIO))
			memalloc_retry_wait(GFP_NOIO);
	ram_uncharge(ram, nr * RAM_RANGE_BYTES);
	WRITE_ONCE(ram->nr_zeroes, ram->nr_zeroes - nr);
	mutex_unlock(&ram->zero_lock);
}
