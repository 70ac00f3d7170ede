/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_UEVENT_H
#define STRATA_UEVENT_H
/*
 * Listening to the kernel's own block uevents, which is how the capacity
 * changes of a block device below are learnt.
 */
#include <linux/list.h>
#include <linux/types.h>

/**
 * struct strata_uevent_watch - interest in one block device
 * @dev: its number
 * @changed: the device said RESIZE=1 or RESCAN, or events were lost and
 *	anything may have happened. Process context, may sleep. Never called
 *	after strata_uevent_unwatch() returned
 * @node: owned by the core
 */
struct strata_uevent_watch {
	dev_t dev;
	void (*changed)(struct strata_uevent_watch *watch);
	struct list_head node;
};

int strata_uevent_watch(struct strata_uevent_watch *watch);
void strata_uevent_unwatch(struct strata_uevent_watch *watch);

#endif /* STRATA_UEVENT_H */
