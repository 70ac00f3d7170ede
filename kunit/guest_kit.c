// SPDX-License-Identifier: GPL-2.0
/* A guest for the suites of strata_guest. */
#include <linux/mman.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "guest_kit.h"

/* Memory of the test's own address space, which it gets with the first. */
unsigned long guest_mmap(struct kunit *test, size_t size)
{
	unsigned long at = kunit_vm_mmap(test, NULL, 0, size,
					 PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_NE(test, at, 0);
	KUNIT_ASSERT_LT(test, at, (unsigned long)TASK_SIZE);
	return at;
}

static void rig_free(void *data)
{
	struct guest_rig *g = data;

	strata_guest_mem_exit(&g->mem);
	kfree(g);
}

/* With an owner, and no table */
struct guest_rig *guest_rig_new(struct kunit *test)
{
	struct guest_rig *g = kzalloc(sizeof(*g), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, g);
	g->test = test;
	KUNIT_ASSERT_EQ(test, strata_guest_mem_init(&g->mem), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, rig_free, g), 0);
	g->ram = guest_mmap(test, RAM_SIZE);
	KUNIT_ASSERT_EQ(test, strata_guest_set_owner(&g->mem), 0);
	strata_vring_init(&g->vq, &g->mem);
	return g;
}

void guest_ring_restart(struct guest_rig *g, unsigned int num, u16 base,
			u64 features)
{
	const struct vhost_vring_addr addr = {
		.desc_user_addr = g->ram + RAM_DESC,
		.avail_user_addr = g->ram + RAM_AVAIL,
		.used_user_addr = g->ram + RAM_USED,
	};

	strata_vring_stop(&g->vq);
	guest_put16(g, RAM_AVAIL, 0);
	guest_put16(g, RAM_AVAIL + 2, base);
	guest_put16(g, RAM_USED + 2, base);
	g->avail = base;
	KUNIT_ASSERT_EQ(g->test, strata_vring_set_num(&g->vq, num), 0);
	KUNIT_ASSERT_EQ(g->test, strata_vring_set_base(&g->vq, base), 0);
	KUNIT_ASSERT_EQ(g->test, strata_vring_set_addr(&g->vq, &addr), 0);
	strata_vring_set_features(&g->vq, features);
	KUNIT_ASSERT_EQ(g->test, strata_vring_start(&g->vq), 0);
}

/* With a table, and a ring that runs; both its ends are at @base. */
struct guest_rig *guest_ring_new(struct kunit *test, unsigned int num,
				 u16 base, u64 features)
{
	struct guest_rig *g = guest_rig_new(test);
	const struct vhost_memory_region region = {
		.guest_phys_addr = RAM_GPA,
		.memory_size = RAM_SIZE,
		.userspace_addr = g->ram,
	};

	KUNIT_ASSERT_EQ(test, strata_guest_set_table(&g->mem, &region, 1), 0);
	guest_ring_restart(g, num, base, features);
	return g;
}

void guest_put(struct guest_rig *g, unsigned long at, const void *from,
	       size_t len)
{
	if (copy_to_user((void __user *)(g->ram + at), from, len))
		KUNIT_FAIL(g->test, "cannot write at %#lx", at);
}

void guest_get(struct guest_rig *g, unsigned long at, void *to, size_t len)
{
	if (copy_from_user(to, (void __user *)(g->ram + at), len))
		KUNIT_FAIL(g->test, "cannot read at %#lx", at);
}

void guest_put16(struct guest_rig *g, unsigned long at, u16 v)
{
	__le16 raw = cpu_to_le16(v);

	guest_put(g, at, &raw, sizeof(raw));
}

u16 guest_get16(struct guest_rig *g, unsigned long at)
{
	__le16 raw = 0;

	guest_get(g, at, &raw, sizeof(raw));
	return le16_to_cpu(raw);
}

/* Write a descriptor, of the ring's table or an indirect one. */
void guest_desc(struct guest_rig *g, unsigned long table, unsigned int i,
		u64 gpa, u32 len, u16 flags, u16 next)
{
	struct {
		__le64 addr;
		__le32 len;
		__le16 flags;
		__le16 next;
	} raw = {
		.addr = cpu_to_le64(gpa),
		.len = cpu_to_le32(len),
		.flags = cpu_to_le16(flags),
		.next = cpu_to_le16(next),
	};

	guest_put(g, table + i * sizeof(raw), &raw, sizeof(raw));
}

void guest_offer(struct guest_rig *g, u16 head)
{
	guest_put16(g, RAM_AVAIL + 4 + 2 * (g->avail & (g->vq.num - 1)), head);
	/* The entry is there before the index. */
	virt_wmb();
	guest_put16(g, RAM_AVAIL + 2, ++g->avail);
}

int guest_next(struct guest_rig *g, struct strata_vring_chain *chain)
{
	struct strata_guest_view view;
	int ret = strata_guest_hold(&g->mem, &view);

	if (ret)
		return ret;
	mutex_lock(&g->vq.lock);
	ret = strata_vring_next(&g->vq, &view, chain);
	mutex_unlock(&g->vq.lock);
	strata_guest_drop(&view);
	return ret;
}

int guest_push(struct guest_rig *g, u16 head, u32 len)
{
	int ret;

	mutex_lock(&g->vq.lock);
	ret = strata_vring_push(&g->vq, head, len);
	mutex_unlock(&g->vq.lock);
	return ret;
}

int guest_publish(struct guest_rig *g)
{
	int ret;

	mutex_lock(&g->vq.lock);
	ret = strata_vring_publish(&g->vq);
	mutex_unlock(&g->vq.lock);
	return ret;
}

int guest_kicks(struct guest_rig *g, bool on)
{
	int ret;

	mutex_lock(&g->vq.lock);
	ret = on ? strata_vring_enable_kick(&g->vq) :
		   strata_vring_disable_kick(&g->vq);
	mutex_unlock(&g->vq.lock);
	return ret;
}
