/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_CORE_UEVENT_H
#define STRATA_CORE_UEVENT_H
/* What uevent.c has for strata.ko and for its own test. */
#include <linux/types.h>

/**
 * struct strata_uevent - what one uevent says, as far as we care
 * @change: ACTION=change
 * @block: SUBSYSTEM=block
 * @resize: RESIZE=1
 * @rescan: a RESCAN: look at all devices again
 * @major: MAJOR, 0 when absent
 * @minor: MINOR
 */
struct strata_uevent {
	bool change;
	bool block;
	bool resize;
	bool rescan;
	unsigned int major;
	unsigned int minor;
};

void strata_uevent_parse(struct strata_uevent *event, const char *buf,
			 size_t len);

int strata_uevent_init(void);
void strata_uevent_exit(void);

#endif /* STRATA_CORE_UEVENT_H */
