/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_GUEST_KIT_H
#define STRATA_KUNIT_GUEST_KIT_H
/*
 * A guest for the suites of strata_guest: the test's thread gets user memory,
 * and writes it as a guest's driver would.
 */
#include <kunit/test.h>
#include <linux/sizes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <strata/guest.h>

/* Where the guest has its memory, how much, and what is where in that */
#define RAM_GPA		0x100000000ULL
#define RAM_SIZE	SZ_256K
#define RAM_DESC	0
#define RAM_AVAIL	SZ_8K
#define RAM_USED	SZ_16K
#define RAM_TABLES	SZ_32K
#define RAM_DATA	SZ_64K

/**
 * struct guest_rig - a guest with memory and a ring
 * @test: the test
 * @mem: its memory: one region
 * @ram: user address of that
 * @vq: the ring
 * @avail: the guest's count of what it offered
 */
struct guest_rig {
	struct kunit *test;
	struct strata_guest_mem mem;
	unsigned long ram;
	struct strata_vring vq;
	u16 avail;
};

unsigned long guest_mmap(struct kunit *test, size_t size);
struct guest_rig *guest_rig_new(struct kunit *test);
struct guest_rig *guest_ring_new(struct kunit *test, unsigned int num,
				 u16 base, u64 features);
void guest_ring_restart(struct guest_rig *g, unsigned int num, u16 base,
			u64 features);
void guest_put(struct guest_rig *g, unsigned long at, const void *from,
	       size_t len);
void guest_get(struct guest_rig *g, unsigned long at, void *to, size_t len);
void guest_put16(struct guest_rig *g, unsigned long at, u16 v);
u16 guest_get16(struct guest_rig *g, unsigned long at);
void guest_desc(struct guest_rig *g, unsigned long table, unsigned int i,
		u64 gpa, u32 len, u16 flags, u16 next);
void guest_offer(struct guest_rig *g, u16 head);
int guest_next(struct guest_rig *g, struct strata_vring_chain *chain);
int guest_push(struct guest_rig *g, u16 head, u32 len);
int guest_publish(struct guest_rig *g);
int guest_kicks(struct guest_rig *g, bool on);

extern struct kunit_suite guest_mem_suite, guest_vring_suite;
extern struct kunit_suite guest_traffic_suite, guest_worker_suite;

#endif /* STRATA_KUNIT_GUEST_KIT_H */
