// SPDX-License-Identifier: GPL-2.0
/*
 * Capacity changes and removal, carried from a disk to all that is above it.
 *
 * The users lock of each disk on the way is held while those above change, in
 * the order child before parent, so changes from several disks below one root
 * are seen there one after the other.
 */
#include <linux/export.h>
#include "core.h"
#include "trace.h"

static void set_capacity_locked(struct strata_disk *disk, sector_t capacity);

static void notify_above(struct strata_disk *above)
{
	mutex_lock(&above->users_lock);
	if (above->ready)
		set_capacity_locked(above, strata_disk_wanted(above));
	mutex_unlock(&above->users_lock);
}

static void notify_users(struct strata_disk *disk, sector_t capacity)
{
	struct strata_handle *handle;

	list_for_each_entry(handle, &disk->users, node) {
		if (handle->above)
			notify_above(handle->above);
		else if (handle->ops && handle->ops->resized)
			handle->ops->resized(handle, capacity);
	}
}

static void grow_locked(struct strata_disk *disk, sector_t capacity)
{
	WRITE_ONCE(disk->planned, capacity);
	WRITE_ONCE(disk->capacity, capacity);
	notify_users(disk, capacity);
}

/* Users first, then the size, then what was admitted under the old one. */
static void shrink_locked(struct strata_disk *disk, sector_t capacity)
{
	WRITE_ONCE(disk->planned, capacity);
	notify_users(disk, capacity);
	WRITE_ONCE(disk->capacity, capacity);
	if (disk->ops->shrunk)
		disk->ops->shrunk(disk, capacity);
}

static void set_capacity_locked(struct strata_disk *disk, sector_t capacity)
{
	lockdep_assert_held(&disk->users_lock);

	if (capacity == disk->capacity)
		return;
	trace_strata_resize(disk, disk->capacity, capacity);
	if (capacity > disk->capacity)
		grow_locked(disk, capacity);
	else
		shrink_locked(disk, capacity);
}

/**
 * strata_disk_resize() - the disk's size has changed
 * @disk: a disk whose size is its own
 * @capacity: the new size in sectors; rounded down to logical blocks
 *
 * All disks above follow, and their users are told. A disk that is still being
 * made just takes the size. A disk that shrinks publishes its smaller size when
 * all above have theirs.
 *
 * Context: process context; takes the users locks of @disk and all above it.
 */
void strata_disk_resize(struct strata_disk *disk, sector_t capacity)
{
	mutex_lock(&disk->users_lock);
	if (disk->ready) {
		set_capacity_locked(disk, capacity & ~(sector_t)disk->lba_mask);
	} else {
		disk->capacity = capacity;
		disk->planned = capacity;
	}
	mutex_unlock(&disk->users_lock);
}
EXPORT_SYMBOL_NS_GPL(strata_disk_resize, STRATA);

/**
 * strata_disk_refresh() - compute a disk's size anew
 * @disk: a disk with ops->capacity, whose parts have changed
 *
 * Context: process context, as strata_disk_resize().
 */
void strata_disk_refresh(struct strata_disk *disk)
{
	notify_above(disk);
}
EXPORT_SYMBOL_NS_GPL(strata_disk_refresh, STRATA);

/**
 * strata_disk_mark_dead() - what backs the disk is gone for good
 * @disk: the disk
 *
 * New bios end BLK_STS_OFFLINE, here and on all disks above, whose users are
 * told.
 *
 * Context: process context; takes the users locks of @disk and all above it.
 */
void strata_disk_mark_dead(struct strata_disk *disk)
{
	struct strata_handle *handle;

	mutex_lock(&disk->users_lock);
	if (!disk->dead) {
		WRITE_ONCE(disk->dead, true);
		list_for_each_entry(handle, &disk->users, node) {
			if (handle->above)
				strata_disk_mark_dead(handle->above);
			else if (handle->ops && handle->ops->dead)
				handle->ops->dead(handle);
		}
	}
	mutex_unlock(&disk->users_lock);
}
EXPORT_SYMBOL_NS_GPL(strata_disk_mark_dead, STRATA);
