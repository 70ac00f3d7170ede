// SPDX-License-Identifier: GPL-2.0
/*
 * A split virtqueue: its setup, what the guest gets back, and who tells whom.
 * VIRTIO 1.2, 2.7.
 */
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/uaccess.h>
#include "vring.h"

/* Where the device says which kick it wants next: after the last used entry. */
static __virtio16 __user *avail_event(struct strata_vring *vq)
{
	return (__virtio16 __user *)&vq->used->ring[vq->num];
}

/* And the guest, which call it wants. */
static __virtio16 __user *used_event(struct strata_vring *vq)
{
	return &vq->avail->ring[vq->num];
}

static int put16(__virtio16 __user *to, u16 v)
{
	return put_user(__cpu_to_virtio16(true, v), to);
}

static int get16(__virtio16 __user *from, u16 *v)
{
	__virtio16 raw;

	if (get_user(raw, from))
		return -EFAULT;
	*v = ring16(raw);
	return 0;
}

/* The guest is not served any more. */
int vring_break(struct strata_vring *vq, int err)
{
	vq->broken = true;
	return err;
}

/* May this task use the rings now? */
int vring_usable(struct strata_vring *vq)
{
	lockdep_assert_held(&vq->lock);
	if (unlikely(!vq->running || vq->broken))
		return -EIO;
	/* Not the guest's fault */
	if (unlikely(!strata_guest_is_owner(vq->mem)))
		return -EPERM;
	return 0;
}

/* Look where @avail ends. Return: 1 if it has more than was taken, 0 if not. */
int vring_look(struct strata_vring *vq)
{
	u16 idx;

	if (get16(&vq->avail->idx, &idx))
		return vring_break(vq, -EFAULT);
	if ((u16)(idx - vq->last_avail) > vq->num)
		return vring_break(vq, -EINVAL);
	vq->avail_idx = idx;
	/* What the index counts was there before it. */
	virt_rmb();
	return idx != vq->last_avail;
}

/**
 * strata_vring_init() - a ring that is not set up
 * @vq: the ring
 * @mem: the guest's memory, which outlives it
 */
void strata_vring_init(struct strata_vring *vq, struct strata_guest_mem *mem)
{
	memset(vq, 0, sizeof(*vq));
	mutex_init(&vq->lock);
	vq->mem = mem;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_init, STRATA);

/**
 * strata_vring_set_num() - VHOST_SET_VRING_NUM
 * @vq: the ring
 * @num: descriptors
 *
 * Context: may sleep.
 * Return: 0; -EBUSY while it runs; -EINVAL if not a power of two up to 0xffff.
 */
int strata_vring_set_num(struct strata_vring *vq, unsigned int num)
{
	int err = 0;

	mutex_lock(&vq->lock);
	if (vq->running)
		err = -EBUSY;
	else if (num > 0xffff || !is_power_of_2(num))
		err = -EINVAL;
	else
		vq->num = num;
	mutex_unlock(&vq->lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_set_num, STRATA);

/* With the two event fields: a legacy ring that has none has room for them. */
static bool addresses_ok(unsigned int num, struct vring_desc __user *desc,
			 struct vring_avail __user *avail,
			 struct vring_used __user *used)
{
	return access_ok(desc, num * sizeof(*desc)) &&
	       access_ok(avail, sizeof(*avail) +
			 (num + 1) * sizeof(avail->ring[0])) &&
	       access_ok(used, sizeof(*used) + num * sizeof(used->ring[0]) +
			 sizeof(__virtio16));
}

static int check_addr(const struct vhost_vring_addr *addr)
{
	/* Nothing is logged here, so VHOST_VRING_F_LOG is refused as well. */
	if (addr->flags)
		return -EOPNOTSUPP;
	if (addr->desc_user_addr > ULONG_MAX ||
	    addr->avail_user_addr > ULONG_MAX ||
	    addr->used_user_addr > ULONG_MAX)
		return -EFAULT;
	if (!IS_ALIGNED(addr->desc_user_addr, VRING_DESC_ALIGN_SIZE) ||
	    !IS_ALIGNED(addr->avail_user_addr, VRING_AVAIL_ALIGN_SIZE) ||
	    !IS_ALIGNED(addr->used_user_addr, VRING_USED_ALIGN_SIZE))
		return -EINVAL;
	return 0;
}

/**
 * strata_vring_set_addr() - VHOST_SET_VRING_ADDR
 * @vq: the ring; may be running
 * @addr: user addresses of the owner. The index is the caller's
 *
 * Context: may sleep.
 * Return: 0; -EOPNOTSUPP for flags; -EINVAL for a misaligned address, or while
 * it runs for one that cannot be; -EFAULT for one that is none at all.
 */
int strata_vring_set_addr(struct strata_vring *vq,
			  const struct vhost_vring_addr *addr)
{
	void __user *desc = (void __user *)(unsigned long)addr->desc_user_addr;
	void __user *avail = (void __user *)(unsigned long)addr->avail_user_addr;
	void __user *used = (void __user *)(unsigned long)addr->used_user_addr;
	int err = check_addr(addr);

	if (err)
		return err;
	mutex_lock(&vq->lock);
	/* Before that, the number may not be known. */
	if (vq->running && !addresses_ok(vq->num, desc, avail, used)) {
		err = -EINVAL;
	} else {
		vq->desc = desc;
		vq->avail = avail;
		vq->used = used;
	}
	mutex_unlock(&vq->lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_set_addr, STRATA);

/**
 * strata_vring_set_base() - VHOST_SET_VRING_BASE
 * @vq: the ring
 * @base: the next entry of the available ring to take
 *
 * Context: may sleep.
 * Return: 0; -EBUSY while it runs; -EINVAL for more than 0xffff.
 */
int strata_vring_set_base(struct strata_vring *vq, unsigned int base)
{
	int err = 0;

	mutex_lock(&vq->lock);
	if (vq->running) {
		err = -EBUSY;
	} else if (base > 0xffff) {
		err = -EINVAL;
	} else {
		vq->last_avail = base;
		vq->avail_idx = base;
	}
	mutex_unlock(&vq->lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_set_base, STRATA);

/**
 * strata_vring_get_base() - VHOST_GET_VRING_BASE
 * @vq: the ring
 *
 * Context: may sleep.
 * Return: the next entry of the available ring to take.
 */
unsigned int strata_vring_get_base(struct strata_vring *vq)
{
	unsigned int base;

	mutex_lock(&vq->lock);
	base = vq->last_avail;
	mutex_unlock(&vq->lock);
	return base;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_get_base, STRATA);

/**
 * strata_vring_set_features() - what was negotiated
 * @vq: the ring; may be running
 * @features: the bits; the caller has checked that they were offered
 *
 * Context: may sleep.
 */
void strata_vring_set_features(struct strata_vring *vq, u64 features)
{
	mutex_lock(&vq->lock);
	vq->features = features;
	mutex_unlock(&vq->lock);
}
EXPORT_SYMBOL_NS_GPL(strata_vring_set_features, STRATA);

static int start(struct strata_vring *vq)
{
	if (vq->running)
		return -EBUSY;
	if (!vq->num || !vq->desc || !vq->avail || !vq->used ||
	    !addresses_ok(vq->num, vq->desc, vq->avail, vq->used) ||
	    !strata_guest_is_owner(vq->mem))
		return -EFAULT;
	if (put16(&vq->used->flags, 0) || get16(&vq->used->idx, &vq->used_idx))
		return -EFAULT;
	/* What is there may be of another time, and far from here. */
	if (vring_has(vq, VIRTIO_RING_F_EVENT_IDX) &&
	    put16(avail_event(vq), vq->last_avail))
		return -EFAULT;
	vq->flags = 0;
	vq->used_new = 0;
	vq->avail_idx = vq->last_avail;
	vq->signal_next = true;
	vq->broken = false;
	vq->running = true;
	return 0;
}

/**
 * strata_vring_start() - let the guest use it
 * @vq: the ring. Kicks are enabled; look at it once, for what came before
 *
 * Context: a task with the owner's memory; may sleep.
 * Return: 0; -EBUSY if it runs; -EFAULT if it is not all set up, or its
 * addresses are no memory.
 */
int strata_vring_start(struct strata_vring *vq)
{
	int err;

	mutex_lock(&vq->lock);
	err = start(vq);
	mutex_unlock(&vq->lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_start, STRATA);

/**
 * strata_vring_stop() - take nothing from the guest any more
 * @vq: the ring; may be stopped. Buffers not yet given back never will be
 *
 * Context: may sleep; any task. On return nobody is in a function that runs it.
 */
void strata_vring_stop(struct strata_vring *vq)
{
	mutex_lock(&vq->lock);
	vq->running = false;
	mutex_unlock(&vq->lock);
}
EXPORT_SYMBOL_NS_GPL(strata_vring_stop, STRATA);

/**
 * strata_vring_push() - give a buffer back, with strata_vring_publish()
 * @vq: the ring
 * @head: which, from strata_vring_next()
 * @len: bytes written to it, from its beginning
 *
 * Order is free. Publish before there are more than @vq->num.
 *
 * Context: as strata_vring_next().
 * Return: 0; -EFAULT when it cannot be written, which breaks the ring; -EIO if
 * it is broken or stopped; -EPERM in a task without the owner's memory.
 */
int strata_vring_push(struct strata_vring *vq, u16 head, u32 len)
{
	u16 at = (u16)(vq->used_idx + vq->used_new) & (vq->num - 1);
	struct vring_used_elem elem = {
		.id = __cpu_to_virtio32(true, head),
		.len = __cpu_to_virtio32(true, len),
	};
	int err = vring_usable(vq);

	if (unlikely(err))
		return err;
	if (copy_to_user(&vq->used->ring[at], &elem, sizeof(elem)))
		return vring_break(vq, -EFAULT);
	vq->used_new++;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_push, STRATA);

/* Return: 1 if the guest wants to hear of what came since @old. */
static int wants_call(struct strata_vring *vq, u16 old)
{
	u16 v;

	/* It sees our index before we see whether it waits for that. */
	virt_mb();
	if (vring_has(vq, VIRTIO_F_NOTIFY_ON_EMPTY) &&
	    vq->avail_idx == vq->last_avail) {
		int more = vring_look(vq);

		if (more <= 0)
			return more ?: 1;
	}
	if (!vring_has(vq, VIRTIO_RING_F_EVENT_IDX)) {
		if (get16((__virtio16 __user *)&vq->avail->flags, &v))
			return vring_break(vq, -EFAULT);
		return !(v & VRING_AVAIL_F_NO_INTERRUPT);
	}
	/* It may wait for something from before a stop. */
	if (vq->signal_next) {
		vq->signal_next = false;
		return 1;
	}
	if (get16(used_event(vq), &v))
		return vring_break(vq, -EFAULT);
	return vring_need_event(v, vq->used_idx, old);
}

/**
 * strata_vring_publish() - let the guest see all that was pushed
 * @vq: the ring
 *
 * Context: as strata_vring_next().
 * Return: 1 if it is to be signalled, 0 if not or if there was nothing;
 * otherwise as strata_vring_push().
 */
int strata_vring_publish(struct strata_vring *vq)
{
	u16 old = vq->used_idx;
	int err = vring_usable(vq);

	if (unlikely(err))
		return err;
	if (!vq->used_new)
		return 0;
	/* What it finds by the index is there before the index is. */
	virt_wmb();
	if (put16(&vq->used->idx, old + vq->used_new))
		return vring_break(vq, -EFAULT);
	vq->used_idx = old + vq->used_new;
	vq->used_new = 0;
	return wants_call(vq, old);
}
EXPORT_SYMBOL_NS_GPL(strata_vring_publish, STRATA);

static int set_flags(struct strata_vring *vq, u16 flags)
{
	if (vq->flags == flags)
		return 0;
	if (put16(&vq->used->flags, flags))
		return vring_break(vq, -EFAULT);
	vq->flags = flags;
	return 0;
}

/**
 * strata_vring_disable_kick() - the device is looking anyway
 * @vq: the ring. A hint: kicks may come all the same
 *
 * Context: as strata_vring_next().
 * Return: 0, or as strata_vring_push().
 */
int strata_vring_disable_kick(struct strata_vring *vq)
{
	int err = vring_usable(vq);

	if (unlikely(err))
		return err;
	/* An event that is in the past comes only after all others. */
	if (vring_has(vq, VIRTIO_RING_F_EVENT_IDX))
		return 0;
	return set_flags(vq, VRING_USED_F_NO_NOTIFY);
}
EXPORT_SYMBOL_NS_GPL(strata_vring_disable_kick, STRATA);

/**
 * strata_vring_enable_kick() - ask for a kick before going to sleep
 * @vq: the ring
 *
 * Context: as strata_vring_next().
 * Return: 0 to sleep: what comes now is kicked for; 1 to take what came
 * meanwhile, for which there may be no kick; otherwise as strata_vring_push(),
 * or -EINVAL for an index that jumped, which breaks the ring.
 */
int strata_vring_enable_kick(struct strata_vring *vq)
{
	int err = vring_usable(vq);

	if (unlikely(err))
		return err;
	err = set_flags(vq, 0);
	if (err)
		return err;
	if (vring_has(vq, VIRTIO_RING_F_EVENT_IDX) &&
	    put16(avail_event(vq), vq->last_avail))
		return vring_break(vq, -EFAULT);
	/* It sees that before we see that there is nothing. */
	virt_mb();
	return vring_look(vq);
}
EXPORT_SYMBOL_NS_GPL(strata_vring_enable_kick, STRATA);
