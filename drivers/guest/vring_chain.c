// SPDX-License-Identifier: GPL-2.0
/*
 * Taking buffers from a virtqueue: a buffer is a chain of descriptors in the
 * ring's table, of which the last may refer to a table elsewhere (indirect).
 * Each descriptor is judged and used in a copy, so it does not matter what the
 * guest does to it meanwhile. VIRTIO 1.2, 2.7.5.
 */
#include <linux/export.h>
#include <linux/uaccess.h>
#include "vring.h"

/* Descriptors copied at once: a usual chain is short, and in a row. */
#define DESC_BATCH 8

/* Entries in an indirect table: what 16 bits can link. */
#define INDIRECT_MAX (U16_MAX + 1U)

/**
 * struct descs - a table of descriptors
 * @view: memory to find an indirect table in, NULL for the ring's own
 * @user: address of the ring's own
 * @seg: where the indirect one is
 * @nr: descriptors in it
 * @seen: how many have been followed, to find loops
 * @first: number of the first one in @buf
 * @copied: how many there are in @buf
 * @buf: copies
 */
struct descs {
	const struct strata_guest_view *view;
	struct vring_desc __user *user;
	struct strata_guest_seg seg;
	unsigned int nr;
	unsigned int seen;
	unsigned int first;
	unsigned int copied;
	struct vring_desc buf[DESC_BATCH];
};

static int fetch(struct descs *t, unsigned int i)
{
	unsigned int n = min_t(unsigned int, t->nr - i, DESC_BATCH);
	size_t bytes = n * sizeof(t->buf[0]);

	t->first = i;
	t->copied = n;
	if (t->view)
		return strata_guest_copy_in(t->view, t->buf, bytes, &t->seg, 1,
					    i * sizeof(t->buf[0]));
	return copy_from_user(t->buf, t->user + i, bytes) ? -EFAULT : 0;
}

/* Descriptor @i, once; @d stays until the next one is asked for. */
static int get_desc(struct descs *t, unsigned int i,
		    const struct vring_desc **d)
{
	int err;

	if (unlikely(i >= t->nr || t->seen++ == t->nr))
		return -EINVAL;
	/*
	 * Before or after those in @buf? What a chain goes back to is copied
	 * anew, and used then only.
	 */
	if (i - t->first >= t->copied) {
		err = fetch(t, i);
		if (err)
			return err;
	}
	*d = &t->buf[i - t->first];
	return 0;
}

static int add_seg(struct strata_vring_chain *c, const struct vring_desc *d,
		   u16 flags)
{
	const struct strata_guest_seg seg = {
		.gpa = ring64(d->addr),
		.len = ring32(d->len),
	};
	bool in = flags & VRING_DESC_F_WRITE;

	/* The device reads first, then writes; empty pieces are not allowed. */
	if (!seg.len || (!in && c->in_len))
		return -EINVAL;
	if (in)
		c->in_len += seg.len;
	else
		c->out_len += seg.len;
	if (c->nr_out + c->nr_in == c->max) {
		c->truncated = true;
		return 0;
	}
	c->segs[c->nr_out + c->nr_in] = seg;
	if (in)
		c->nr_in++;
	else
		c->nr_out++;
	return 0;
}

/*
 * Make @t the table that @d, in @t, refers to. It is the end of the chain, and
 * what its flags say about writing is to be ignored.
 */
static int indirect(struct strata_vring *vq, struct descs *t,
		    const struct strata_guest_view *view,
		    const struct vring_desc *d, u16 flags)
{
	u32 len = ring32(d->len);

	if (t->view || (flags & VRING_DESC_F_NEXT) ||
	    !vring_has(vq, VIRTIO_RING_F_INDIRECT_DESC))
		return -EINVAL;
	if (!len || len % sizeof(*d) || len / sizeof(*d) > INDIRECT_MAX)
		return -EINVAL;
	t->seg.gpa = ring64(d->addr);
	t->seg.len = len;
	t->view = view;
	t->nr = len / sizeof(*d);
	t->seen = 0;
	t->copied = 0;
	return 0;
}

static int walk(struct strata_vring *vq, const struct strata_guest_view *view,
		struct strata_vring_chain *c)
{
	struct descs t __uninitialized;
	const struct vring_desc *d;
	unsigned int i = c->head;
	u16 flags;
	int err;

	t.view = NULL;
	t.user = vq->desc;
	t.nr = vq->num;
	t.seen = 0;
	t.copied = 0;
	t.first = 0;
	for (;;) {
		err = get_desc(&t, i, &d);
		if (err)
			return err;
		flags = ring16(d->flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			err = indirect(vq, &t, view, d, flags);
			i = 0;
		} else {
			err = add_seg(c, d, flags);
			if (!(flags & VRING_DESC_F_NEXT))
				return err;
			i = ring16(d->next);
		}
		if (err)
			return err;
	}
}

/* Return: 1 with the next head in @head, 0 if there is none. */
static int next_head(struct strata_vring *vq, u16 *head)
{
	__virtio16 raw;
	int more;

	if (vq->avail_idx == vq->last_avail) {
		more = vring_look(vq);
		if (more <= 0)
			return more;
	}
	if (get_user(raw, &vq->avail->ring[vq->last_avail & (vq->num - 1)]))
		return vring_break(vq, -EFAULT);
	*head = ring16(raw);
	return 1;
}

/**
 * strata_vring_next() - take the next buffer that the guest offers
 * @vq: the ring
 * @view: the guest's memory, for indirect tables
 * @chain: is filled in. Its segments are what the guest said; whether there is
 *	such memory is found out by using them
 *
 * Context: with @vq->lock held, in the task that holds @view; may sleep.
 * Return: 1; 0 if there is none; -EINVAL or -EFAULT when the guest broke a rule
 * of VIRTIO, or its rings are no memory: then the ring is broken, and its error
 * eventfd is to be signalled; -EIO if it is broken already or stopped; -EPERM in
 * a task without the owner's memory.
 */
int strata_vring_next(struct strata_vring *vq,
		      const struct strata_guest_view *view,
		      struct strata_vring_chain *chain)
{
	int err = vring_usable(vq);

	if (unlikely(err))
		return err;
	err = next_head(vq, &chain->head);
	if (err <= 0)
		return err;
	chain->nr_out = 0;
	chain->nr_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	chain->truncated = false;
	err = walk(vq, view, chain);
	if (unlikely(err))
		return vring_break(vq, err);
	vq->last_avail++;
	return 1;
}
EXPORT_SYMBOL_NS_GPL(strata_vring_next, STRATA);
