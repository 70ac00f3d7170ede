// SPDX-License-Identifier: GPL-2.0
/*
 * A virtqueue: what its setup refuses, what is taken from it, every rule that a
 * guest may break, and who is told when.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>
#include "fake_disk.h"
#include "guest_kit.h"

#define NEXT	VRING_DESC_F_NEXT
#define WRITE_	VRING_DESC_F_WRITE
#define TABLE	VRING_DESC_F_INDIRECT

#define EVENT_IDX	BIT_ULL(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT	BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC)
#define ON_EMPTY	BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY)

#define DATA		(RAM_GPA + RAM_DATA)
#define TABLES		(RAM_GPA + RAM_TABLES)

static void setup(struct kunit *test)
{
	static const unsigned int bad_nums[] = { 0, 3, 100, 0xffff, 0x10000, UINT_MAX };
	struct guest_rig *g = guest_rig_new(test);
	struct strata_vring *vq = &g->vq;
	struct vhost_vring_addr addr = {
		.desc_user_addr = g->ram + RAM_DESC,
		.avail_user_addr = g->ram + RAM_AVAIL,
		.used_user_addr = g->ram + RAM_USED,
	}, bad;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, strata_vring_start(vq), -EFAULT);
	for (i = 0; i < ARRAY_SIZE(bad_nums); i++)
		KUNIT_EXPECT_EQ(test, strata_vring_set_num(vq, bad_nums[i]), -EINVAL);
	KUNIT_EXPECT_EQ(test, strata_vring_set_num(vq, 1), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_set_num(vq, 0x8000), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_set_num(vq, 16), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_start(vq), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_vring_set_base(vq, 0x10000), -EINVAL);
	KUNIT_EXPECT_EQ(test, strata_vring_set_base(vq, 0xffff), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_get_base(vq), 0xffff);

	bad = addr;
	bad.flags = 1;
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), -EOPNOTSUPP);
	bad.flags = 2;
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), -EOPNOTSUPP);
	bad = addr;
	bad.desc_user_addr += 8;
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), -EINVAL);
	bad = addr;
	bad.avail_user_addr += 1;
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), -EINVAL);
	bad = addr;
	bad.used_user_addr += 2;
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), -EINVAL);

	/* The kernel's own addresses are found out at the start. */
	bad = addr;
	bad.used_user_addr = 0xffff888000000000;
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_start(vq), -EFAULT);
	bad.used_user_addr = SZ_4K;	/* Not mapped */
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_start(vq), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &addr), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_start(vq), 0);

	KUNIT_EXPECT_EQ(test, strata_vring_start(vq), -EBUSY);
	KUNIT_EXPECT_EQ(test, strata_vring_set_num(vq, 8), -EBUSY);
	KUNIT_EXPECT_EQ(test, strata_vring_set_base(vq, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &addr), 0);
	bad.used_user_addr = 0xffff888000000000;
	KUNIT_EXPECT_EQ(test, strata_vring_set_addr(vq, &bad), -EINVAL);
	KUNIT_EXPECT_PTR_EQ(test, (__force void *)vq->used, (void *)(g->ram + RAM_USED));
	strata_vring_stop(vq);
	KUNIT_EXPECT_EQ(test, strata_vring_set_num(vq, 8), 0);
	KUNIT_EXPECT_EQ(test, guest_push(g, 0, 0), -EIO);
}

static void expect_seg(struct kunit *test, const struct strata_guest_seg *seg,
		       u64 gpa, u32 len)
{
	KUNIT_EXPECT_EQ(test, seg->gpa, gpa);
	KUNIT_EXPECT_EQ(test, seg->len, len);
}

static void chains(struct kunit *test)
{
	struct guest_rig *g = guest_ring_new(test, 8, 0xfffe, 0);
	struct strata_guest_seg segs[8];
	struct strata_vring_chain c = { .segs = segs, .max = 8 };

	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 0);
	/* Backwards through the table */
	guest_desc(g, RAM_DESC, 7, DATA, 51, NEXT, 2);
	guest_desc(g, RAM_DESC, 2, DATA + 51, 4096, NEXT, 1);
	guest_desc(g, RAM_DESC, 1, U64_MAX, U32_MAX, NEXT | WRITE_, 6);
	guest_desc(g, RAM_DESC, 6, 0, 1, WRITE_, 7);
	guest_offer(g, 7);
	guest_desc(g, RAM_DESC, 0, DATA, 8, WRITE_, 0);
	guest_offer(g, 0);
	guest_desc(g, RAM_DESC, 5, DATA, 9, 0, 5);
	guest_offer(g, 5);

	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_EQ(test, c.head, 7);
	KUNIT_EXPECT_EQ(test, c.nr_out, 2);
	KUNIT_EXPECT_EQ(test, c.nr_in, 2);
	KUNIT_EXPECT_EQ(test, c.out_len, 4147);
	KUNIT_EXPECT_EQ(test, c.in_len, 1ULL + U32_MAX);
	KUNIT_EXPECT_FALSE(test, c.truncated);
	expect_seg(test, &segs[0], DATA, 51);
	expect_seg(test, &segs[1], DATA + 51, 4096);
	expect_seg(test, &segs[2], U64_MAX, U32_MAX);
	expect_seg(test, &segs[3], 0, 1);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_EQ(test, c.head, 0);
	KUNIT_EXPECT_EQ(test, c.nr_out, 0);
	KUNIT_EXPECT_EQ(test, c.nr_in, 1);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_EQ(test, c.head, 5);
	KUNIT_EXPECT_EQ(test, c.nr_in, 0);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 0);
	KUNIT_EXPECT_EQ(test, strata_vring_get_base(&g->vq), 1);
}

static void long_chains(struct kunit *test)
{
	struct guest_rig *g = guest_ring_new(test, 8, 0, 0);
	struct strata_guest_seg segs[8];
	struct strata_vring_chain c = { .segs = segs, .max = 8 };
	unsigned int i;

	/* A chain may be the whole table. */
	for (i = 0; i < 8; i++)
		guest_desc(g, RAM_DESC, i, DATA, 1, i < 7 ? NEXT : 0, i + 1);
	guest_offer(g, 0);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_EQ(test, c.nr_out, 8);
	/* And longer than who takes it can store. */
	c.max = 5;
	guest_offer(g, 0);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_TRUE(test, c.truncated);
	KUNIT_EXPECT_EQ(test, c.nr_out, 5);
	KUNIT_EXPECT_EQ(test, c.out_len, 8);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 0);
}

static void indirect(struct kunit *test)
{
	struct guest_rig *g = guest_ring_new(test, 4, 0, INDIRECT);
	struct strata_guest_seg *segs = kunit_kcalloc(test, 64, sizeof(*segs), GFP_KERNEL);
	struct strata_vring_chain c = { .segs = segs, .max = 64 };
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, segs);
	/* Longer than the ring; the flag to write means nothing here. */
	for (i = 0; i < 40; i++)
		guest_desc(g, RAM_TABLES, i, DATA + i, i + 1,
			   (i < 39 ? NEXT : 0) | (i < 30 ? 0 : WRITE_), i + 1);
	guest_desc(g, RAM_DESC, 3, TABLES, 40 * 16, TABLE | WRITE_, 0);
	guest_offer(g, 3);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_EQ(test, c.head, 3);
	KUNIT_EXPECT_EQ(test, c.nr_out, 30);
	KUNIT_EXPECT_EQ(test, c.nr_in, 10);
	KUNIT_EXPECT_EQ(test, c.out_len, 465);
	for (i = 0; i < 40; i++)
		expect_seg(test, &segs[i], DATA + i, i + 1);

	/* After others, and at an odd place; its end is not used. */
	guest_desc(g, RAM_TABLES + 1, 0, DATA, 5, NEXT, 2);
	guest_desc(g, RAM_TABLES + 1, 2, DATA, 6, WRITE_, 0);
	guest_desc(g, RAM_DESC, 0, DATA, 4, NEXT, 1);
	guest_desc(g, RAM_DESC, 1, TABLES + 1, 16 * 16, TABLE, 0);
	guest_offer(g, 0);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_EQ(test, c.nr_out, 2);
	KUNIT_EXPECT_EQ(test, c.nr_in, 1);
	expect_seg(test, &segs[0], DATA, 4);
	expect_seg(test, &segs[1], DATA, 5);
	expect_seg(test, &segs[2], DATA, 6);
}

/* What a guest does wrong: descriptors 0 and 1, and two of a table */
struct wrong {
	const char *name;
	u64 features;
	u16 head;
	int err;
	struct {
		u64 gpa;
		u32 len;
		u16 flags;
		u16 next;
	} d[2], t[2];
};

static const struct wrong wrongs[] = {
	{ "head beyond the table", 0, 8, -EINVAL },
	{ "head far beyond", 0, 0xffff, -EINVAL },
	{ "next beyond the table", 0, 0, -EINVAL, { { DATA, 1, NEXT, 8 } } },
	{ "to itself", 0, 0, -EINVAL, { { DATA, 1, NEXT, 0 } } },
	{ "a loop of two", 0, 0, -EINVAL, { { DATA, 1, NEXT, 1 }, { DATA, 1, NEXT, 0 } } },
	{ "empty", 0, 0, -EINVAL, { { DATA, 0, 0, 0 } } },
	{ "empty at the end", 0, 0, -EINVAL, { { DATA, 1, NEXT, 1 }, { DATA, 0, WRITE_, 0 } } },
	{ "read after write", 0, 0, -EINVAL, { { DATA, 1, NEXT | WRITE_, 1 }, { DATA, 1, 0, 0 } } },
	{ "indirect not negotiated", 0, 0, -EINVAL, { { TABLES, 16, TABLE, 0 } },
	  { { DATA, 1, 0, 0 } } },
	{ "indirect of no length", INDIRECT, 0, -EINVAL, { { TABLES, 0, TABLE, 0 } } },
	{ "indirect of odd length", INDIRECT, 0, -EINVAL, { { TABLES, 24, TABLE, 0 } },
	  { { DATA, 1, 0, 0 } } },
	{ "indirect too long", INDIRECT, 0, -EINVAL, { { TABLES, 0x100010, TABLE, 0 } },
	  { { DATA, 1, 0, 0 } } },
	{ "indirect and next", INDIRECT, 0, -EINVAL, { { TABLES, 16, TABLE | NEXT, 1 },
	  { DATA, 1, 0, 0 } }, { { DATA, 1, 0, 0 } } },
	{ "indirect in indirect", INDIRECT, 0, -EINVAL, { { TABLES, 32, TABLE, 0 } },
	  { { TABLES + 16, 16, TABLE, 0 }, { DATA, 1, 0, 0 } } },
	{ "next beyond an indirect table", INDIRECT, 0, -EINVAL, { { TABLES, 32, TABLE, 0 } },
	  { { DATA, 1, NEXT, 2 } } },
	{ "a loop in an indirect table", INDIRECT, 0, -EINVAL, { { TABLES, 32, TABLE, 0 } },
	  { { DATA, 1, NEXT, 1 }, { DATA, 1, NEXT, 0 } } },
	{ "read after write, in two tables", INDIRECT, 0, -EINVAL,
	  { { DATA, 1, WRITE_ | NEXT, 1 }, { TABLES, 16, TABLE, 0 } }, { { DATA, 1, 0, 0 } } },
	{ "indirect table in no memory", INDIRECT, 0, -EFAULT,
	  { { RAM_GPA + RAM_SIZE, 16, TABLE, 0 } } },
	{ "indirect table that ends in no memory", INDIRECT, 0, -EFAULT,
	  { { RAM_GPA + RAM_SIZE - 16, 32, TABLE, 0 } } },
	{ "indirect table around all memory", INDIRECT, 0, -EFAULT,
	  { { U64_MAX - 7, 16, TABLE, 0 } } },
};

static void break_rule(struct kunit *test, struct guest_rig *g,
		       const struct wrong *w)
{
	struct strata_guest_seg segs[8];
	struct strata_vring_chain c = { .segs = segs, .max = 8 };
	unsigned int i;

	guest_ring_restart(g, 8, 100, w->features);
	for (i = 0; i < 2; i++) {
		guest_desc(g, RAM_DESC, i, w->d[i].gpa, w->d[i].len, w->d[i].flags,
			   w->d[i].next);
		guest_desc(g, RAM_TABLES, i, w->t[i].gpa, w->t[i].len, w->t[i].flags,
			   w->t[i].next);
	}
	guest_offer(g, w->head);
	KUNIT_EXPECT_EQ_MSG(test, guest_next(g, &c), w->err, "%s", w->name);
	KUNIT_EXPECT_TRUE_MSG(test, g->vq.broken, "%s", w->name);
	/* All of them are of one byte: no more than a table was followed. */
	KUNIT_EXPECT_LE_MSG(test, c.out_len + c.in_len, 8, "%s", w->name);
	/* It stays so, and the guest gets nothing. */
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), -EIO);
	KUNIT_EXPECT_EQ(test, guest_push(g, 0, 0), -EIO);
	KUNIT_EXPECT_EQ(test, guest_publish(g), -EIO);
	KUNIT_EXPECT_EQ(test, guest_kicks(g, true), -EIO);
	KUNIT_EXPECT_EQ(test, guest_kicks(g, false), -EIO);
	KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED + 2), 100);
}

static void broken_rules(struct kunit *test)
{
	struct guest_rig *g = guest_ring_new(test, 8, 0, 0);
	struct strata_guest_seg seg;
	struct strata_vring_chain c = { .segs = &seg, .max = 1 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrongs); i++)
		break_rule(test, g, &wrongs[i]);
	/* A restart mends it. */
	guest_ring_restart(g, 8, 7, 0);
	guest_desc(g, RAM_DESC, 0, DATA, 1, 0, 0);
	guest_offer(g, 0);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
}

static void index_jumps(struct kunit *test)
{
	static const struct {
		u16 to;
		int ret;
	} cases[] = { { 0xfffc, 0 }, { 0xfffd, 1 }, { 4, 1 }, { 5, -EINVAL },
		      { 0xfffb, -EINVAL }, { 0x7ffc, -EINVAL } };
	struct guest_rig *g = guest_ring_new(test, 8, 0, 0);
	struct strata_guest_seg seg;
	struct strata_vring_chain c = { .segs = &seg, .max = 1 };
	unsigned int i;

	guest_desc(g, RAM_DESC, 0, DATA, 1, 0, 0);
	for (i = 0; i < 8; i++)
		guest_put16(g, RAM_AVAIL + 4 + 2 * i, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		guest_ring_restart(g, 8, 0xfffc, EVENT_IDX);
		guest_put16(g, RAM_AVAIL + 2, cases[i].to);
		KUNIT_EXPECT_EQ_MSG(test, guest_next(g, &c), cases[i].ret, "%u", i);
		guest_ring_restart(g, 8, 0xfffc, EVENT_IDX);
		guest_put16(g, RAM_AVAIL + 2, cases[i].to);
		KUNIT_EXPECT_EQ_MSG(test, guest_kicks(g, true), cases[i].ret, "%u", i);
	}
}

/* Rings in memory that goes away under them */
static void lost_rings(struct kunit *test)
{
	static const unsigned long at[] = { RAM_DESC, RAM_AVAIL, RAM_USED };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct guest_rig *g = guest_ring_new(test, 8, 0, 0);
		struct strata_guest_seg seg;
		struct strata_vring_chain c = { .segs = &seg, .max = 1 };

		guest_desc(g, RAM_DESC, 0, DATA, 1, 0, 0);
		guest_offer(g, 0);
		KUNIT_EXPECT_EQ(test, vm_munmap(g->ram + at[i], SZ_8K), 0);
		if (at[i] == RAM_USED)
			KUNIT_EXPECT_EQ(test, guest_push(g, 0, 0), -EFAULT);
		else
			KUNIT_EXPECT_EQ(test, guest_next(g, &c), -EFAULT);
		KUNIT_EXPECT_TRUE(test, g->vq.broken);
	}
}

static void used(struct kunit *test)
{
	struct guest_rig *g = guest_ring_new(test, 4, 0xfffe, 0);
	struct {
		__le32 id;
		__le32 len;
	} elem;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, guest_publish(g), 0);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, guest_push(g, 3 - i, i * 0x10001), 0);
	KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED + 2), 0xfffe);
	KUNIT_EXPECT_EQ(test, guest_publish(g), 1);
	KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED + 2), 2);
	for (i = 0; i < 4; i++) {
		guest_get(g, RAM_USED + 4 + 8 * ((0xfffe + i) & 3), &elem, sizeof(elem));
		KUNIT_EXPECT_EQ(test, le32_to_cpu(elem.id), 3 - i);
		KUNIT_EXPECT_EQ(test, le32_to_cpu(elem.len), i * 0x10001);
	}
	/* With nothing new, there is nothing to tell. */
	KUNIT_EXPECT_EQ(test, guest_publish(g), 0);
}

static void flags(struct kunit *test)
{
	struct guest_rig *g = guest_ring_new(test, 4, 0, 0);
	struct strata_guest_seg seg;
	struct strata_vring_chain c = { .segs = &seg, .max = 1 };

	guest_desc(g, RAM_DESC, 0, DATA, 1, 0, 0);
	guest_put16(g, RAM_AVAIL, VRING_AVAIL_F_NO_INTERRUPT);
	guest_push(g, 0, 0);
	KUNIT_EXPECT_EQ(test, guest_publish(g), 0);
	guest_put16(g, RAM_AVAIL, 0);
	guest_push(g, 0, 0);
	KUNIT_EXPECT_EQ(test, guest_publish(g), 1);

	KUNIT_EXPECT_EQ(test, guest_kicks(g, false), 0);
	KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED), VRING_USED_F_NO_NOTIFY);
	/* What comes between the last look and the flag is seen. */
	guest_offer(g, 0);
	KUNIT_EXPECT_EQ(test, guest_kicks(g, true), 1);
	KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED), 0);
	KUNIT_EXPECT_EQ(test, guest_next(g, &c), 1);
	KUNIT_EXPECT_EQ(test, guest_kicks(g, true), 0);

	/* When there is nothing more, flags do not count. */
	strata_vring_set_features(&g->vq, ON_EMPTY);
	guest_put16(g, RAM_AVAIL, VRING_AVAIL_F_NO_INTERRUPT);
	guest_push(g, 0, 0);
	KUNIT_EXPECT_EQ(test, guest_publish(g), 1);
	guest_offer(g, 0);
	guest_push(g, 0, 0);
	KUNIT_EXPECT_EQ(test, guest_publish(g), 0);
}

/* Around the wrap: is the index that the guest waits for among those just used? */
static void event_index(struct kunit *test)
{
	static const u16 bases[] = { 0, 5, 0x7ffe, 0x8000, 0xfffb, 0xffff };
	struct guest_rig *g = guest_ring_new(test, 8, 0, EVENT_IDX);
	unsigned int i, n, j;
	int event;

	for (i = 0; i < ARRAY_SIZE(bases); i++)
		for (n = 1; n <= 8; n++)
			for (event = -3; event < 12; event++) {
				u16 wait = bases[i] + 1 + event;

				guest_ring_restart(g, 8, bases[i], EVENT_IDX);
				guest_put16(g, RAM_AVAIL + 4 + 2 * 8, bases[i]);
				guest_push(g, 0, 0);
				KUNIT_EXPECT_EQ(test, guest_publish(g), 1);
				guest_put16(g, RAM_AVAIL + 4 + 2 * 8, wait);
				for (j = 0; j < n; j++)
					guest_push(g, 0, 0);
				KUNIT_EXPECT_EQ_MSG(test, guest_publish(g),
						    event >= 0 && event < (int)n,
						    "%#x + %u, %#x", bases[i], n, wait);
			}

	/* Kicks: the event is what is taken next, and may be the first one. */
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		guest_ring_restart(g, 8, bases[i], EVENT_IDX);
		KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED + 4 + 8 * 8), bases[i]);
		guest_put16(g, RAM_USED + 4 + 8 * 8, bases[i] + 77);
		KUNIT_EXPECT_EQ(test, guest_kicks(g, true), 0);
		KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED + 4 + 8 * 8), bases[i]);
		KUNIT_EXPECT_EQ(test, guest_kicks(g, false), 0);
		KUNIT_EXPECT_EQ(test, guest_get16(g, RAM_USED), 0);
		guest_offer(g, 0);
		KUNIT_EXPECT_EQ(test, guest_kicks(g, true), 1);
	}
	/* The first signal comes in any case, whatever was before. */
	guest_ring_restart(g, 8, 0, EVENT_IDX);
	guest_put16(g, RAM_AVAIL + 4 + 2 * 8, 1000);
	guest_push(g, 0, 0);
	KUNIT_EXPECT_EQ(test, guest_publish(g), 1);
	guest_push(g, 0, 0);
	KUNIT_EXPECT_EQ(test, guest_publish(g), 0);
}

/* Someone scribbles over the rings and tables while they are read. */
struct scribbler {
	struct guest_rig *g;
	bool begun;
	bool stop;
};

static void scribble(void *context, unsigned int index)
{
	struct scribbler *s = context;
	u32 state = 0x1234567 + index;
	u16 __user *at;

	kthread_use_mm(s->g->mem.mm);
	while (!READ_ONCE(s->stop)) {
		unsigned long areas[] = { RAM_DESC, RAM_TABLES };

		state = state * 1664525 + 1013904223;
		at = (u16 __user *)(s->g->ram + areas[state >> 31]);
		if (put_user((u16)(state >> 8 & 0x8007), at + (state >> 24 & 0x3f)))
			break;
		WRITE_ONCE(s->begun, true);
		cond_resched();
	}
	kthread_unuse_mm(s->g->mem.mm);
}

static void hostile(struct kunit *test)
{
	struct guest_rig *g = guest_ring_new(test, 8, 0, INDIRECT);
	struct scribbler s = { .g = g };
	struct strata_guest_seg segs[8];
	struct strata_vring_chain c = { .segs = segs, .max = 8 };
	struct fake_threads *threads = fake_threads_start(test, 1, scribble, &s);
	unsigned int i, j, taken = 0;
	u64 out, in;
	int ret;

	for (i = 0; i < 500 && !READ_ONCE(s.begun); i++)
		msleep(20);
	for (i = 0; i < 3000; i++) {
		guest_desc(g, RAM_TABLES, 0, DATA, 3, NEXT, 1);
		guest_desc(g, RAM_TABLES, 1, DATA, 4, WRITE_, 2);
		guest_desc(g, RAM_DESC, 0, DATA, 1, NEXT, 1);
		guest_desc(g, RAM_DESC, 1, DATA, 2, NEXT, 2);
		guest_desc(g, RAM_DESC, 2, TABLES, 64, TABLE, 0);
		guest_offer(g, 0);
		ret = guest_next(g, &c);
		if (ret != 1) {
			KUNIT_EXPECT_TRUE(test, ret == -EINVAL || ret == -EFAULT);
			guest_ring_restart(g, 8, 0, INDIRECT);
			continue;
		}
		/* Whatever it is, it obeys the rules. */
		taken++;
		KUNIT_ASSERT_LE(test, c.nr_out + c.nr_in, 8);
		for (j = 0, out = 0, in = 0; j < c.nr_out + c.nr_in; j++) {
			KUNIT_EXPECT_NE(test, segs[j].len, 0);
			*(j < c.nr_out ? &out : &in) += segs[j].len;
		}
		if (!c.truncated) {
			KUNIT_EXPECT_EQ(test, out, c.out_len);
			KUNIT_EXPECT_EQ(test, in, c.in_len);
		}
	}
	WRITE_ONCE(s.stop, true);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(threads));
	KUNIT_EXPECT_GT(test, taken, 0);
	KUNIT_EXPECT_LT(test, taken, i);
	kunit_info(test, "%u of %u taken", taken, i);
}

static struct kunit_case guest_vring_cases[] = {
	KUNIT_CASE(setup),
	KUNIT_CASE(chains),
	KUNIT_CASE(long_chains),
	KUNIT_CASE(indirect),
	KUNIT_CASE(broken_rules),
	KUNIT_CASE(index_jumps),
	KUNIT_CASE(lost_rings),
	KUNIT_CASE(used),
	KUNIT_CASE(flags),
	KUNIT_CASE(event_index),
	KUNIT_CASE(hostile),
	{}
};

struct kunit_suite guest_vring_suite = {
	.name = "strata_guest_vring",
	.test_cases = guest_vring_cases,
};
