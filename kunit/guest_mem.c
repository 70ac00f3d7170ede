// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's memory: what a table may say, where it leads, what is pinned and
 * that no pin stays, and that a table's users are gone when the next one is set.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include "fake_disk.h"
#include "guest_kit.h"

#define R(gpa, size, user) \
	{ .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = user }

static int set(struct guest_rig *g, const struct vhost_memory_region *r,
	       unsigned int nr)
{
	return strata_guest_set_table(&g->mem, r, nr);
}

static void tables(struct kunit *test)
{
	static const struct {
		struct vhost_memory_region r[3];
		unsigned int nr;
		int err;
	} cases[] = {
		{ {}, 0, 0 },
		{ { R(0, SZ_4K, SZ_1M) }, 1, 0 },
		/* In any order, side by side, and twice the same memory */
		{ { R(SZ_8K, SZ_4K, SZ_1M), R(0, SZ_8K, SZ_1M) }, 2, 0 },
		/* The guest's last page */
		{ { R(U64_MAX - SZ_4K + 1, SZ_4K, SZ_1M) }, 1, 0 },
		{ { R(0, 0, SZ_1M) }, 1, -EFAULT },
		{ { R(U64_MAX - SZ_4K + 1, SZ_8K, SZ_1M) }, 1, -EFAULT },
		{ { R(0, U64_MAX - SZ_4K + 1, SZ_1M) }, 1, -EFAULT },
		{ { R(0, SZ_4K, 0xffff888000000000) }, 1, -EFAULT },
		{ { R(0, SZ_4K, U64_MAX - SZ_4K + 1) }, 1, -EFAULT },
		{ { R(0, SZ_4K, SZ_1M), { .memory_size = SZ_4K,
		    .flags_padding = 1 } }, 2, -EFAULT },
		{ { R(SZ_2K, SZ_4K, SZ_1M) }, 1, -EINVAL },
		{ { R(0, SZ_4K + 512, SZ_1M) }, 1, -EINVAL },
		{ { R(0, SZ_4K, SZ_1M + 1) }, 1, -EINVAL },
		{ { R(0, SZ_4K, SZ_1M), R(0, SZ_4K, SZ_2M) }, 2, -EINVAL },
		{ { R(SZ_16K, SZ_4K, SZ_2M), R(SZ_4K, SZ_16K, SZ_1M) }, 2, -EINVAL },
		{ { R(0, SZ_64K, SZ_2M), R(SZ_128K, SZ_4K, SZ_2M),
		    R(SZ_4K, SZ_4K, SZ_1M) }, 3, -EINVAL },
	};
	struct guest_rig *g = guest_rig_new(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, set(g, cases[i].r, cases[i].nr),
				    cases[i].err, "case %u", i);
}

static unsigned long translate(const struct strata_guest_view *view, u64 gpa,
			       size_t len)
{
	return (unsigned long)strata_guest_translate(view, gpa, &len);
}

static void many_regions(struct kunit *test)
{
	const unsigned int max = STRATA_GUEST_REGIONS_MAX;
	struct guest_rig *g = guest_rig_new(test);
	struct vhost_memory_region *r;
	struct strata_guest_view view;
	unsigned int i;
	size_t len;

	r = kunit_kcalloc(test, max + 1, sizeof(*r), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r);
	/* Every other page, last first */
	for (i = 0; i <= max; i++) {
		r[i].guest_phys_addr = (max - i) * SZ_8K;
		r[i].memory_size = SZ_4K;
		r[i].userspace_addr = SZ_1M + i * SZ_4K;
	}
	KUNIT_EXPECT_EQ(test, set(g, r, max + 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, strata_guest_hold(&g->mem, &view), -EFAULT);
	KUNIT_EXPECT_EQ(test, set(g, r, max), 0);
	KUNIT_ASSERT_EQ(test, strata_guest_hold(&g->mem, &view), 0);
	KUNIT_EXPECT_EQ(test, view.generation, 1);
	for (i = 0; i < max; i++) {
		u64 gpa = r[i].guest_phys_addr;

		len = SZ_8K;
		KUNIT_EXPECT_EQ(test, (unsigned long)strata_guest_translate(&view, gpa + 5, &len),
				r[i].userspace_addr + 5);
		KUNIT_EXPECT_EQ(test, len, SZ_4K - 5);
		KUNIT_EXPECT_EQ(test, translate(&view, gpa + SZ_4K, 1), 0);
		KUNIT_EXPECT_EQ(test, translate(&view, gpa - 1, 1), 0);
	}
	strata_guest_drop(&view);
}

/* The ioctl's argument, in the owner's memory */
static void user_table(struct kunit *test)
{
	struct guest_rig *g = guest_rig_new(test);
	struct vhost_memory head = { .nregions = 1 };
	struct vhost_memory_region r = R(0, SZ_4K, g->ram);
	struct vhost_memory __user *user = (void __user *)g->ram;

	guest_put(g, sizeof(head), &r, sizeof(r));
	guest_put(g, 0, &head, sizeof(head));
	KUNIT_EXPECT_EQ(test, strata_guest_set_user_table(&g->mem, user), 0);
	head.padding = 1;
	guest_put(g, 0, &head, sizeof(head));
	KUNIT_EXPECT_EQ(test, strata_guest_set_user_table(&g->mem, user), -EOPNOTSUPP);
	head.padding = 0;
	head.nregions = STRATA_GUEST_REGIONS_MAX + 1;
	guest_put(g, 0, &head, sizeof(head));
	KUNIT_EXPECT_EQ(test, strata_guest_set_user_table(&g->mem, user), -E2BIG);
	head.nregions = 1;
	guest_put(g, RAM_SIZE - sizeof(head), &head, sizeof(head));
	user = (void __user *)(g->ram + RAM_SIZE - sizeof(head));
	vm_munmap(g->ram + RAM_SIZE, SZ_4K);
	KUNIT_EXPECT_EQ(test, strata_guest_set_user_table(&g->mem, user), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_guest_set_user_table(&g->mem, NULL), -EFAULT);
}

struct stranger {
	struct guest_rig *g;
	int hold;
	int next;
	int own;
	int start;
};

static void stranger_run(void *context, unsigned int index)
{
	struct stranger *s = context;
	struct strata_vring_chain chain = {};
	struct strata_guest_view view = {};

	s->hold = strata_guest_hold(&s->g->mem, &view);
	mutex_lock(&s->g->vq.lock);
	s->next = strata_vring_next(&s->g->vq, &view, &chain);
	mutex_unlock(&s->g->vq.lock);
	s->own = strata_guest_set_owner(&s->g->mem);
	s->start = strata_vring_start(&s->g->vq);
}

/* Who has not the owner's memory gets nowhere. */
static void owner(struct kunit *test)
{
	struct stranger s = { .g = guest_ring_new(test, 4, 0, 0) };

	KUNIT_EXPECT_EQ(test, strata_guest_set_owner(&s.g->mem), -EBUSY);
	KUNIT_EXPECT_TRUE(test, strata_guest_is_owner(&s.g->mem));
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(fake_threads_start(test, 1, stranger_run, &s)));
	KUNIT_EXPECT_EQ(test, s.hold, -EFAULT);
	KUNIT_EXPECT_EQ(test, s.next, -EPERM);
	KUNIT_EXPECT_EQ(test, s.own, -EINVAL);
	KUNIT_EXPECT_EQ(test, s.start, -EBUSY);
	KUNIT_EXPECT_FALSE(test, s.g->vq.broken);
	strata_vring_stop(&s.g->vq);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(fake_threads_start(test, 1, stranger_run, &s)));
	KUNIT_EXPECT_EQ(test, s.start, -EFAULT);
}

/*
 * Three regions: two are side by side for the guest and apart for the owner,
 * the third is after a hole and comes right after the first for the owner.
 */
static struct guest_rig *patchwork(struct kunit *test,
				   struct strata_guest_view *view)
{
	struct guest_rig *g = guest_rig_new(test);
	const struct vhost_memory_region r[] = {
		R(RAM_GPA, SZ_16K, g->ram),
		R(RAM_GPA + SZ_16K, SZ_16K, g->ram + SZ_64K),
		R(RAM_GPA + SZ_64K, SZ_16K, g->ram + SZ_16K),
	};

	KUNIT_ASSERT_EQ(test, set(g, r, ARRAY_SIZE(r)), 0);
	KUNIT_ASSERT_EQ(test, strata_guest_hold(&g->mem, view), 0);
	return g;
}

static void copies(struct kunit *test)
{
	struct strata_guest_view view;
	struct guest_rig *g = patchwork(test, &view);
	const struct strata_guest_seg segs[] = {
		{ RAM_GPA + 100, 50 }, { RAM_GPA + SZ_16K - 30, 60 },
		{ RAM_GPA + SZ_64K, 90 },
	};
	u8 want[200], got[200];
	unsigned int i;

	for (i = 0; i < sizeof(want); i++)
		want[i] = i + 1;
	KUNIT_EXPECT_EQ(test, strata_guest_copy_out(&view, want, 200, segs, 3, 0), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 200, segs, 3, 0), 0);
	KUNIT_EXPECT_MEMEQ(test, got, want, 200);
	guest_get(g, 100, got, 50);
	guest_get(g, SZ_16K - 30, got + 50, 30);
	guest_get(g, SZ_64K, got + 80, 30);
	guest_get(g, SZ_16K, got + 110, 90);
	KUNIT_EXPECT_MEMEQ(test, got, want, 200);

	for (i = 0; i < 200; i += 7) {
		memset(got, 0, sizeof(got));
		KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 200 - i, segs, 3, i), 0);
		KUNIT_EXPECT_MEMEQ(test, got, want + i, 200 - i);
	}
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 200, segs, 3, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 1, segs, 3, U64_MAX), -EINVAL);
	strata_guest_drop(&view);
}

static void bad_copies(struct kunit *test)
{
	struct strata_guest_view view;
	struct guest_rig *g = patchwork(test, &view);
	const struct strata_guest_seg hole = { RAM_GPA + SZ_32K - 8, 16 };
	const struct strata_guest_seg wrap = { U64_MAX - 3, 8 };
	const struct strata_guest_seg below = { RAM_GPA - 4, 8 };
	u8 got[16];

	KUNIT_EXPECT_EQ(test, view.generation, g->mem.generation);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 1, NULL, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 0, NULL, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 8, &hole, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 9, &hole, 1, 0), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_out(&view, got, 16, &hole, 1, 0), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 1, &wrap, 1, 0), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 1, &wrap, 1, 6), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 4, &below, 1, 4), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, got, 4, &below, 1, 3), -EFAULT);
	strata_guest_drop(&view);
}

/*
 * How often a page of the rig's memory is pinned. Plain references come and go
 * with the kernel's lists; a pin is very many of them.
 */
static int pinned(struct guest_rig *g, unsigned long at)
{
	struct page *page;
	int n;

	if (get_user_pages_fast(g->ram + at, 1, FOLL_WRITE, &page) != 1)
		return -1;
	n = page_ref_count(page) / GUP_PIN_COUNTING_BIAS;
	put_page(page);
	return n;
}

static void touch(struct guest_rig *g)
{
	unsigned long at;

	for (at = 0; at < RAM_SIZE; at += SZ_4K)
		guest_put16(g, at, at >> PAGE_SHIFT);
}

static int all_pinned(struct guest_rig *g)
{
	unsigned long at;
	int n = 0;

	for (at = 0; at < RAM_SIZE; at += SZ_4K)
		n += pinned(g, at);
	return n;
}

static void pins(struct kunit *test)
{
	struct strata_guest_view view;
	struct guest_rig *g = patchwork(test, &view);
	struct bio_vec bvecs[8];
	struct strata_guest_pins p = { .bvecs = bvecs, .max = 8 };
	/* The first two are together for all, the last one in the same page */
	const struct strata_guest_seg segs[] = {
		{ RAM_GPA + SZ_4K + 512, 1024 }, { RAM_GPA + SZ_4K + 1536, SZ_8K },
		{ RAM_GPA + SZ_16K - 100, 200 }, { RAM_GPA + SZ_16K + 1000, 3 },
	};
	unsigned int i, at = 0, write;
	u8 *want, *got;

	touch(g);
	want = kunit_kmalloc(test, SZ_16K, GFP_KERNEL);
	got = kunit_kmalloc(test, SZ_16K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, want);
	KUNIT_ASSERT_NOT_NULL(test, got);
	for (i = 0; i < SZ_16K; i++)
		want[i] = i * 31 >> 3;
	for (write = 0; write < 2; write++) {
		p.write = write;
		KUNIT_EXPECT_EQ(test, strata_guest_copy_out(&view, want, 9419, segs, 4, 0), 0);
		KUNIT_ASSERT_EQ(test, strata_guest_pin(&view, &p, segs, 4), 0);
		KUNIT_EXPECT_EQ(test, p.bytes, 1024 + SZ_8K + 200 + 3);
		KUNIT_EXPECT_GE(test, p.nr, 4);
		KUNIT_EXPECT_LE(test, p.nr, 6);
		KUNIT_EXPECT_EQ(test, bvecs[0].bv_offset, 512);
		for (i = 0, at = 0; i < p.nr; i++) {
			memcpy(got + at, page_address(bvecs[i].bv_page) + bvecs[i].bv_offset,
			       bvecs[i].bv_len);
			at += bvecs[i].bv_len;
		}
		KUNIT_EXPECT_EQ(test, at, p.bytes);
		KUNIT_EXPECT_MEMEQ(test, got, want, 9419);
		/* 3 pages, 2 at the border, 1 again. */
		KUNIT_EXPECT_EQ(test, all_pinned(g), 6);
		strata_guest_unpin(&p, write);
		KUNIT_EXPECT_EQ(test, p.nr, 0);
		KUNIT_EXPECT_EQ(test, all_pinned(g), 0);
	}
	strata_guest_unpin(&p, true);
	KUNIT_EXPECT_EQ(test, all_pinned(g), 0);
	strata_guest_drop(&view);
}

static void bad_pins(struct kunit *test)
{
	struct strata_guest_view view;
	struct guest_rig *g = patchwork(test, &view);
	struct bio_vec bvecs[8];
	struct strata_guest_pins p = { .bvecs = bvecs, .max = 2 };
	struct strata_guest_seg many[] = {
		{ RAM_GPA, 512 }, { RAM_GPA + SZ_4K, 512 }, { RAM_GPA + SZ_8K, SZ_8K },
	};
	const struct strata_guest_seg hole[] = {
		{ RAM_GPA, SZ_4K }, { RAM_GPA + SZ_8K, SZ_4K }, { RAM_GPA + SZ_32K - 1, 2 },
	};
	const struct strata_guest_seg wrap = { U64_MAX, 2 };
	struct strata_guest_seg large[9];
	unsigned int i;
	u32 word;

	touch(g);
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, many, 3), -E2BIG);
	KUNIT_EXPECT_EQ(test, p.nr, 0);
	KUNIT_EXPECT_EQ(test, all_pinned(g), 0);
	p.max = 8;
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, hole, 3), -EFAULT);
	KUNIT_EXPECT_EQ(test, all_pinned(g), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, &wrap, 1), -EFAULT);
	for (i = 0; i < ARRAY_SIZE(large); i++)
		large[i] = (struct strata_guest_seg){ RAM_GPA, U32_MAX };
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, large, 9), -E2BIG);
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, NULL, 0), 0);
	KUNIT_EXPECT_EQ(test, p.nr, 0);

	/* The table still has it, the owner no more. */
	KUNIT_EXPECT_EQ(test, vm_munmap(g->ram + SZ_8K, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, many, 3), -EFAULT);
	KUNIT_EXPECT_EQ(test, p.nr, 0);
	KUNIT_EXPECT_EQ(test, pinned(g, 0), 0);
	KUNIT_EXPECT_EQ(test, pinned(g, SZ_8K + SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_in(&view, &word, 4, &many[2], 1, 0), -EFAULT);
	strata_guest_drop(&view);
}

static void read_only_memory(struct kunit *test)
{
	struct guest_rig *g = guest_rig_new(test);
	unsigned long rom = kunit_vm_mmap(test, NULL, 0, SZ_16K, PROT_READ,
					  MAP_ANONYMOUS | MAP_PRIVATE, 0);
	const struct vhost_memory_region r = R(0, SZ_16K, rom);
	const struct strata_guest_seg seg = { SZ_2K, SZ_4K };
	struct bio_vec bvecs[4];
	struct strata_guest_pins p = { .bvecs = bvecs, .max = 4 };
	struct strata_guest_view view;

	KUNIT_ASSERT_EQ(test, set(g, &r, 1), 0);
	KUNIT_ASSERT_EQ(test, strata_guest_hold(&g->mem, &view), 0);
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, &seg, 1), 0);
	strata_guest_unpin(&p, false);
	p.write = true;
	KUNIT_EXPECT_EQ(test, strata_guest_pin(&view, &p, &seg, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, strata_guest_copy_out(&view, "x", 1, &seg, 1, 0), -EFAULT);
	strata_guest_drop(&view);
}

static void dirty(struct kunit *test)
{
	struct strata_guest_view view;
	struct guest_rig *g = patchwork(test, &view);
	const struct strata_guest_seg seg = { RAM_GPA + 100, SZ_4K };
	struct bio_vec bvecs[4];
	struct strata_guest_pins p = { .bvecs = bvecs, .max = 4, .write = true };
	struct page *page;

	touch(g);
	KUNIT_ASSERT_EQ(test, strata_guest_pin(&view, &p, &seg, 1), 0);
	page = bvecs[0].bv_page;
	KUNIT_EXPECT_FALSE(test, PageDirty(page));
	get_page(page);
	strata_guest_unpin(&p, false);
	KUNIT_EXPECT_FALSE(test, PageDirty(page));
	KUNIT_ASSERT_EQ(test, strata_guest_pin(&view, &p, &seg, 1), 0);
	strata_guest_unpin(&p, true);
	KUNIT_EXPECT_TRUE(test, PageDirty(page));
	put_page(page);
	strata_guest_drop(&view);
}

/* Enough for some rounds of pinning, and for pages to be joined */
static void long_pins(struct kunit *test)
{
	struct guest_rig *g = guest_rig_new(test);
	const struct vhost_memory_region r = R(RAM_GPA, RAM_SIZE, g->ram);
	const struct strata_guest_seg seg = { RAM_GPA + 100, RAM_SIZE - 200 };
	struct strata_guest_pins p = { .max = RAM_SIZE / PAGE_SIZE, .write = true };
	struct strata_guest_view view;
	unsigned int i;
	u64 pages = 0;

	touch(g);
	p.bvecs = kunit_kcalloc(test, p.max, sizeof(*p.bvecs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p.bvecs);
	KUNIT_ASSERT_EQ(test, set(g, &r, 1), 0);
	KUNIT_ASSERT_EQ(test, strata_guest_hold(&g->mem, &view), 0);
	KUNIT_ASSERT_EQ(test, strata_guest_pin(&view, &p, &seg, 1), 0);
	KUNIT_EXPECT_EQ(test, p.bytes, seg.len);
	kunit_info(test, "%lu pages in %u bvecs", RAM_SIZE / PAGE_SIZE, p.nr);
	for (i = 0; i < p.nr; i++) {
		unsigned int end = p.bvecs[i].bv_offset + p.bvecs[i].bv_len;
		unsigned int at;

		/* Each page says which it is. */
		for (at = 0; at < end; at += PAGE_SIZE, pages++) {
			u16 *mark = page_address(p.bvecs[i].bv_page) + at;

			KUNIT_EXPECT_EQ(test, *mark, pages);
		}
	}
	KUNIT_EXPECT_EQ(test, pages, RAM_SIZE / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, pinned(g, SZ_16K), 1);
	strata_guest_unpin(&p, true);
	KUNIT_EXPECT_EQ(test, pinned(g, SZ_16K), 0);
	strata_guest_drop(&view);
}

struct owner_thread {
	struct kunit *test;
	struct strata_guest_mem mem;
	struct strata_guest_pins pins;
	struct bio_vec bvecs[8];
	struct completion pinned;
	int err;
};

/* An owner that ends, and its memory with it */
static int owner_run(void *data)
{
	struct owner_thread *o = data;
	unsigned long ram = guest_mmap(o->test, SZ_64K);
	const struct vhost_memory_region r = R(0, SZ_64K, ram);
	const struct strata_guest_seg seg = { 512, SZ_16K };
	struct strata_guest_view view;

	o->err = strata_guest_set_owner(&o->mem) ?:
		 strata_guest_set_table(&o->mem, &r, 1) ?:
		 strata_guest_hold(&o->mem, &view);
	if (!o->err) {
		o->err = strata_guest_pin(&view, &o->pins, &seg, 1);
		strata_guest_drop(&view);
	}
	complete(&o->pinned);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void after_death(struct kunit *test)
{
	struct owner_thread *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);
	struct task_struct *task;
	struct page *page;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, o);
	o->test = test;
	o->pins.bvecs = o->bvecs;
	o->pins.max = ARRAY_SIZE(o->bvecs);
	o->pins.write = true;
	init_completion(&o->pinned);
	KUNIT_ASSERT_EQ(test, strata_guest_mem_init(&o->mem), 0);
	task = kthread_run(owner_run, o, "strata-owner");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&o->pinned);
	kthread_stop(task);
	KUNIT_ASSERT_EQ(test, o->err, 0);
	KUNIT_ASSERT_GT(test, o->pins.nr, 0);
	/* The address space may take a moment. Then only ours are left. */
	page = o->bvecs[0].bv_page;
	get_page(page);
	for (i = 0; i < 100 && folio_mapcount(page_folio(page)); i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, folio_mapcount(page_folio(page)), 0);
	memset(page_address(page), 0x5a, PAGE_SIZE);
	KUNIT_EXPECT_GE(test, page_ref_count(page), GUP_PIN_COUNTING_BIAS);
	strata_guest_unpin(&o->pins, true);
	KUNIT_EXPECT_LT(test, page_ref_count(page), GUP_PIN_COUNTING_BIAS);
	put_page(page);
	strata_guest_mem_exit(&o->mem);
}

/* Two tables by turns; what one does not lead to is full of poison. */
#define READERS		3
#define VALUE_A		0xaaaaaaaaaaaaaaaaULL
#define VALUE_B		0xbbbbbbbbbbbbbbbbULL
#define POISON		0x5050505050505050ULL

struct swap {
	struct guest_rig *g;
	atomic_t wrong;
	atomic_t reads;
	bool stop;
};

static void swap_read(void *context, unsigned int index)
{
	const struct strata_guest_seg seg = { RAM_GPA + index * 64, 8 };
	struct swap *s = context;
	struct strata_guest_view view;
	u64 first, second;

	kthread_use_mm(s->g->mem.mm);
	while (!READ_ONCE(s->stop)) {
		if (strata_guest_hold(&s->g->mem, &view)) {
			atomic_inc(&s->wrong);
			break;
		}
		if (strata_guest_copy_in(&view, &first, 8, &seg, 1, 0) ||
		    strata_guest_copy_in(&view, &second, 8, &seg, 1, 0) ||
		    (first != VALUE_A && first != VALUE_B) || first != second)
			atomic_inc(&s->wrong);
		strata_guest_drop(&view);
		atomic_inc(&s->reads);
		cond_resched();
	}
	kthread_unuse_mm(s->g->mem.mm);
}

static void fill(struct guest_rig *g, unsigned long at, u64 v)
{
	u64 buf[64];

	memset64(buf, v, ARRAY_SIZE(buf));
	guest_put(g, at, buf, sizeof(buf));
}

static void swaps(struct kunit *test)
{
	struct guest_rig *g = guest_rig_new(test);
	const struct vhost_memory_region a = R(RAM_GPA, SZ_4K, g->ram);
	const struct vhost_memory_region b = R(RAM_GPA, SZ_4K, g->ram + SZ_8K);
	struct swap s = { .g = g };
	struct fake_threads *threads;
	unsigned int i;

	fill(g, 0, VALUE_A);
	KUNIT_ASSERT_EQ(test, set(g, &a, 1), 0);
	threads = fake_threads_start(test, READERS, swap_read, &s);
	for (i = 0; i < 50; i++) {
		fill(g, SZ_8K, VALUE_B);
		KUNIT_EXPECT_EQ(test, set(g, &b, 1), 0);
		fill(g, 0, POISON);
		fill(g, 0, VALUE_A);
		KUNIT_EXPECT_EQ(test, set(g, &a, 1), 0);
		fill(g, SZ_8K, POISON);
	}
	WRITE_ONCE(s.stop, true);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(threads));
	KUNIT_EXPECT_EQ(test, atomic_read(&s.wrong), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&s.reads), 0);
	KUNIT_EXPECT_EQ(test, g->mem.generation, 101);
	kunit_info(test, "%d reads", atomic_read(&s.reads));
}

struct setter {
	struct guest_rig *g;
	struct completion done;
};

static void set_empty(void *context, unsigned int index)
{
	struct setter *s = context;

	strata_guest_set_table(&s->g->mem, NULL, 0);
	complete(&s->done);
}

/* A new table waits for who has the old one, and he keeps it. */
static void drains(struct kunit *test)
{
	struct strata_guest_view view, other;
	struct guest_rig *g = patchwork(test, &view);
	struct setter s = { .g = g };
	struct fake_threads *threads;

	init_completion(&s.done);
	threads = fake_threads_start(test, 1, set_empty, &s);
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&s.done, HZ / 5), 0);
	KUNIT_EXPECT_EQ(test, translate(&view, RAM_GPA, 1), g->ram);
	KUNIT_ASSERT_EQ(test, strata_guest_hold(&g->mem, &other), 0);
	KUNIT_EXPECT_EQ(test, other.generation, view.generation + 1);
	KUNIT_EXPECT_EQ(test, translate(&other, RAM_GPA, 1), 0);
	strata_guest_drop(&other);
	KUNIT_EXPECT_FALSE(test, completion_done(&s.done));
	strata_guest_drop(&view);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&s.done, 10 * HZ), 0);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(threads));
}

static struct kunit_case guest_mem_cases[] = {
	KUNIT_CASE(tables),
	KUNIT_CASE(many_regions),
	KUNIT_CASE(user_table),
	KUNIT_CASE(owner),
	KUNIT_CASE(copies),
	KUNIT_CASE(bad_copies),
	KUNIT_CASE(pins),
	KUNIT_CASE(bad_pins),
	KUNIT_CASE(read_only_memory),
	KUNIT_CASE(dirty),
	KUNIT_CASE(long_pins),
	KUNIT_CASE(after_death),
	KUNIT_CASE(swaps),
	KUNIT_CASE(drains),
	{}
};

struct kunit_suite guest_mem_suite = {
	.name = "strata_guest_mem",
	.test_cases = guest_mem_cases,
};
