/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_GUEST_VRING_H
#define STRATA_GUEST_VRING_H
#include <linux/virtio_byteorder.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <strata/guest.h>

/* Rings are little endian, whatever the host is. */
static inline u16 ring16(__virtio16 v)
{
	return __virtio16_to_cpu(true, v);
}

static inline u32 ring32(__virtio32 v)
{
	return __virtio32_to_cpu(true, v);
}

static inline u64 ring64(__virtio64 v)
{
	return __virtio64_to_cpu(true, v);
}

static inline bool vring_has(const struct strata_vring *vq, unsigned int bit)
{
	return vq->features & BIT_ULL(bit);
}

int vring_break(struct strata_vring *vq, int err);
int vring_usable(struct strata_vring *vq);
int vring_look(struct strata_vring *vq);

#endif /* STRATA_GUEST_VRING_H */
