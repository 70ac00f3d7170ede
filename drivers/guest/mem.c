// SPDX-License-Identifier: GPL-2.0
/*
 * A guest's memory: whose it is, and the table that says where. A table never
 * changes; another one takes its place, and then nobody uses the first any more.
 */
#include <linux/export.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <strata/guest.h>

/**
 * struct region - guest memory that is together in the owner's address space
 * @first: guest address of the first byte
 * @last: and of the last one, so that memory may end where addresses do
 * @uaddr: user address of the first byte
 */
struct region {
	u64 first;
	u64 last;
	unsigned long uaddr;
};

/**
 * struct strata_guest_table - a memory table
 * @generation: its number
 * @nr: how many regions
 * @regions: in order, apart from each other
 */
struct strata_guest_table {
	u64 generation;
	unsigned int nr;
	struct region regions[] __counted_by(nr);
};

/**
 * strata_guest_mem_init() - nobody's memory, and none of it
 * @mem: the memory
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int strata_guest_mem_init(struct strata_guest_mem *mem)
{
	memset(mem, 0, sizeof(*mem));
	mutex_init(&mem->lock);
	return init_srcu_struct(&mem->srcu);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_mem_init, STRATA);

/**
 * strata_guest_mem_exit() - the end
 * @mem: the memory; no view of it is held. What is pinned stays so
 *
 * Context: may sleep; any task.
 */
void strata_guest_mem_exit(struct strata_guest_mem *mem)
{
	kfree(rcu_dereference_protected(mem->table, true));
	cleanup_srcu_struct(&mem->srcu);
	mutex_destroy(&mem->lock);
	if (mem->mm)
		mmdrop(mem->mm);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_mem_exit, STRATA);

/**
 * strata_guest_set_owner() - the memory is this task's
 * @mem: the memory
 *
 * Only the name of the address space is kept. It lives as long as its tasks, of
 * which a worker is one.
 *
 * Context: may sleep.
 * Return: 0, -EBUSY if it has an owner, or -EINVAL for a task without memory.
 */
int strata_guest_set_owner(struct strata_guest_mem *mem)
{
	int err = 0;

	if (!current->mm)
		return -EINVAL;
	mutex_lock(&mem->lock);
	if (mem->mm) {
		err = -EBUSY;
	} else {
		mmgrab(current->mm);
		WRITE_ONCE(mem->mm, current->mm);
	}
	mutex_unlock(&mem->lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_set_owner, STRATA);

static int check_region(const struct vhost_memory_region *r)
{
	void __user *user = (void __user *)(unsigned long)r->userspace_addr;
	u64 size = r->memory_size;

	if (r->flags_padding || !size || size - 1 > U64_MAX - r->guest_phys_addr)
		return -EFAULT;
	if (r->userspace_addr > ULONG_MAX || size > ULONG_MAX ||
	    !access_ok(user, size))
		return -EFAULT;
	if ((r->guest_phys_addr | size | r->userspace_addr) &
	    (VHOST_PAGE_SIZE - 1))
		return -EINVAL;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct region *left = a, *right = b;

	if (left->first == right->first)
		return 0;
	return left->first < right->first ? -1 : 1;
}

static int sort_regions(struct strata_guest_table *table)
{
	unsigned int i;

	sort(table->regions, table->nr, sizeof(table->regions[0]), by_address,
	     NULL);
	for (i = 1; i < table->nr; i++)
		if (table->regions[i].first <= table->regions[i - 1].last)
			return -EINVAL;
	return 0;
}

static struct strata_guest_table *
new_table(const struct vhost_memory_region *regions, unsigned int nr)
{
	struct strata_guest_table *table;
	unsigned int i;
	int err;

	if (nr > STRATA_GUEST_REGIONS_MAX)
		return ERR_PTR(-E2BIG);
	table = kzalloc(struct_size(table, regions, nr), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->nr = nr;
	for (i = 0; i < nr; i++) {
		err = check_region(&regions[i]);
		if (err)
			goto free;
		table->regions[i].first = regions[i].guest_phys_addr;
		table->regions[i].last = regions[i].guest_phys_addr +
					 regions[i].memory_size - 1;
		table->regions[i].uaddr = regions[i].userspace_addr;
	}
	err = sort_regions(table);
	if (!err)
		return table;
free:
	kfree(table);
	return ERR_PTR(err);
}

/**
 * strata_guest_set_table() - where the guest's memory is, from now on
 * @mem: the memory
 * @regions: in any order; guest address, size and user address are multiples of
 *	VHOST_PAGE_SIZE. User memory may be shown at several guest addresses
 * @nr: how many, perhaps none, up to STRATA_GUEST_REGIONS_MAX
 *
 * All or nothing. On return nobody uses the table before this one; pages that
 * were pinned by it may still be.
 *
 * Context: may sleep, until all views are dropped; so not with one held, nor
 * with what is taken inside views, such as a ring's lock.
 * Return: 0; -E2BIG for too many; -EFAULT for a region that is empty, has
 * flags, or is not within the guest's or the owner's address space; -EINVAL for
 * one that is misaligned or overlaps another; -ENOMEM.
 */
int strata_guest_set_table(struct strata_guest_mem *mem,
			   const struct vhost_memory_region *regions,
			   unsigned int nr)
{
	struct strata_guest_table *table = new_table(regions, nr);

	if (IS_ERR(table))
		return PTR_ERR(table);
	mutex_lock(&mem->lock);
	table->generation = ++mem->generation;
	table = rcu_replace_pointer(mem->table, table,
				    lockdep_is_held(&mem->lock));
	if (table)
		synchronize_srcu(&mem->srcu);
	mutex_unlock(&mem->lock);
	kfree(table);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_set_table, STRATA);

/**
 * strata_guest_set_user_table() - VHOST_SET_MEM_TABLE
 * @mem: the memory
 * @user: the ioctl's argument
 *
 * Context: the owner's ioctl; as strata_guest_set_table().
 * Return: as strata_guest_set_table(), or -EFAULT for an argument that cannot be
 * read, -EOPNOTSUPP for one with padding that means something.
 */
int strata_guest_set_user_table(struct strata_guest_mem *mem,
				const struct vhost_memory __user *user)
{
	struct vhost_memory_region *regions;
	struct vhost_memory head;
	int err;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.padding)
		return -EOPNOTSUPP;
	if (head.nregions > STRATA_GUEST_REGIONS_MAX)
		return -E2BIG;
	regions = memdup_array_user(user->regions, head.nregions,
				    sizeof(*regions));
	if (IS_ERR(regions))
		return PTR_ERR(regions);
	err = strata_guest_set_table(mem, regions, head.nregions);
	kfree(regions);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_set_user_table, STRATA);

/**
 * strata_guest_hold() - hold the table in force
 * @mem: the memory
 * @view: is filled in
 *
 * Context: task context; views may be nested. May sleep while it is held.
 * Return: 0, or -EFAULT when this task does not have the owner's memory, or
 * there is no table.
 */
int strata_guest_hold(struct strata_guest_mem *mem,
		      struct strata_guest_view *view)
{
	if (!strata_guest_is_owner(mem))
		return -EFAULT;
	view->mem = mem;
	view->idx = srcu_read_lock(&mem->srcu);
	view->table = srcu_dereference(mem->table, &mem->srcu);
	if (!view->table) {
		srcu_read_unlock(&mem->srcu, view->idx);
		return -EFAULT;
	}
	view->generation = view->table->generation;
	/* For sparse: now the view has it. */
	__release(&mem->srcu);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_hold, STRATA);

/**
 * strata_guest_drop() - hold it no longer
 * @view: what strata_guest_hold() filled in
 *
 * Context: the task that took it.
 */
void strata_guest_drop(struct strata_guest_view *view)
{
	view->table = NULL;
	__acquire(&view->mem->srcu);
	srcu_read_unlock(&view->mem->srcu, view->idx);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_drop, STRATA);

/**
 * strata_guest_translate() - the user address of a byte, and of some after it
 * @view: the table
 * @gpa: guest physical address
 * @len: bytes wanted, not 0; becomes how many of them are together there
 *
 * A loop over pieces must know that @gpa plus its length does not wrap.
 *
 * Context: any, with @view held.
 * Return: the user address, or NULL if the guest has no memory at @gpa.
 */
void __user *strata_guest_translate(const struct strata_guest_view *view,
				    u64 gpa, size_t *len)
{
	const struct region *r = view->table->regions;
	unsigned int nr = view->table->nr, half;

	/* Find the last region that begins at @gpa or before. */
	for (; nr > 1; nr -= half) {
		half = nr / 2;
		if (r[half].first <= gpa)
			r += half;
	}
	if (!nr || gpa < r->first || gpa > r->last)
		return NULL;
	if (*len - 1 > r->last - gpa)
		*len = r->last - gpa + 1;
	return (void __user *)(r->uaddr + (unsigned long)(gpa - r->first));
}
EXPORT_SYMBOL_NS_GPL(strata_guest_translate, STRATA);

MODULE_DESCRIPTION("strata: memory, rings and worker tasks of guests");
MODULE_LICENSE("GPL");
