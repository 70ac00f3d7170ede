// SPDX-License-Identifier: GPL-2.0
/*
 * Access to a guest's memory: copies of what is small, pins of what a disk is
 * to read or write itself. Pins are a request's, never kept: what backs the
 * memory may be replaced at any time.
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <strata/guest.h>

/* Pages that are asked for at once. */
#define PIN_BATCH 32

/**
 * struct run - user memory that is together, to be pinned
 * @uaddr: where
 * @len: how much; 0 when there is none yet
 */
struct run {
	unsigned long uaddr;
	size_t len;
};

static bool wraps(const struct strata_guest_seg *seg)
{
	return seg->len && seg->len - 1 > U64_MAX - seg->gpa;
}

static int copy_piece(const struct strata_guest_view *view, void *buf, u64 gpa,
		      size_t len, bool out)
{
	void __user *user;
	size_t n;

	for (; len; len -= n, gpa += n, buf += n) {
		n = len;
		user = strata_guest_translate(view, gpa, &n);
		if (!user)
			return -EFAULT;
		if (out ? copy_to_user(user, buf, n) :
			  copy_from_user(buf, user, n))
			return -EFAULT;
	}
	return 0;
}

static int copy(const struct strata_guest_view *view, void *buf, size_t len,
		const struct strata_guest_seg *segs, unsigned int nr_segs,
		u64 skip, bool out)
{
	unsigned int i;
	size_t n;
	int err;

	for (i = 0; i < nr_segs && len; i++) {
		if (wraps(&segs[i]))
			return -EFAULT;
		if (skip >= segs[i].len) {
			skip -= segs[i].len;
			continue;
		}
		n = min_t(u64, len, segs[i].len - skip);
		err = copy_piece(view, buf, segs[i].gpa + skip, n, out);
		if (err)
			return err;
		skip = 0;
		buf += n;
		len -= n;
	}
	return len ? -EINVAL : 0;
}

/**
 * strata_guest_copy_in() - copy from the guest's memory
 * @view: the table
 * @to: where to; undefined after an error
 * @len: bytes
 * @segs: where from
 * @nr_segs: how many
 * @skip: bytes of @segs to leave out at their beginning
 *
 * Context: the task that holds @view; may sleep.
 * Return: 0; -EINVAL when @segs are too short; -EFAULT where there is no memory.
 */
int strata_guest_copy_in(const struct strata_guest_view *view, void *to,
			 size_t len, const struct strata_guest_seg *segs,
			 unsigned int nr_segs, u64 skip)
{
	return copy(view, to, len, segs, nr_segs, skip, false);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_copy_in, STRATA);

/**
 * strata_guest_copy_out() - copy to the guest's memory
 * @view: the table
 * @from: where from
 * @len: bytes
 * @segs: where to; after an error some of it may be written
 * @nr_segs: how many
 * @skip: bytes of @segs to leave out at their beginning
 *
 * Context: the task that holds @view; may sleep.
 * Return: as strata_guest_copy_in().
 */
int strata_guest_copy_out(const struct strata_guest_view *view,
			  const void *from, size_t len,
			  const struct strata_guest_seg *segs,
			  unsigned int nr_segs, u64 skip)
{
	return copy(view, (void *)from, len, segs, nr_segs, skip, true);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_copy_out, STRATA);

/*
 * Does @page come right after @bv? Only whole pages are joined, so that a
 * bvec's pins are its pages.
 */
static bool follows(const struct bio_vec *bv, const struct page *page)
{
	unsigned int end = bv->bv_offset + bv->bv_len;
	unsigned int pages = end >> PAGE_SHIFT;

	return !offset_in_page(end) && page == nth_page(bv->bv_page, pages) &&
	       page_to_pfn(page) == page_to_pfn(bv->bv_page) + pages &&
	       zone_device_pages_have_same_pgmap(bv->bv_page, page);
}

/* Return: false if there is no room. */
static bool add_page(struct strata_guest_pins *pins, struct page *page,
		     unsigned int offset, unsigned int len)
{
	struct bio_vec *last = pins->nr ? &pins->bvecs[pins->nr - 1] : NULL;

	if (last && !offset && follows(last, page)) {
		last->bv_len += len;
	} else {
		if (pins->nr == pins->max)
			return false;
		bvec_set_page(&pins->bvecs[pins->nr++], page, len, offset);
	}
	pins->bytes += len;
	return true;
}

static int pin_run(struct strata_guest_pins *pins, const struct run *run)
{
	unsigned long at = run->uaddr & PAGE_MASK;
	unsigned int offset = offset_in_page(run->uaddr);
	struct page *pages[PIN_BATCH];
	size_t left = run->len;
	int i, got;

	while (left) {
		got = min_t(size_t, DIV_ROUND_UP(offset + left, PAGE_SIZE),
			    PIN_BATCH);
		got = pin_user_pages_fast(at, got, pins->write ? FOLL_WRITE : 0,
					  pages);
		if (got <= 0)
			return got ?: -EFAULT;
		at += (unsigned long)got << PAGE_SHIFT;
		for (i = 0; i < got; i++, offset = 0) {
			size_t n = min_t(size_t, left, PAGE_SIZE - offset);

			if (!add_page(pins, pages[i], offset, n)) {
				unpin_user_pages(pages + i, got - i);
				return -E2BIG;
			}
			left -= n;
		}
	}
	return 0;
}

/* Add a piece to the run, or pin the run and begin another. */
static int add_piece(struct strata_guest_pins *pins, struct run *run,
		     unsigned long uaddr, size_t len)
{
	int err;

	if (run->len && uaddr == run->uaddr + run->len) {
		run->len += len;
		return 0;
	}
	err = pin_run(pins, run);
	run->uaddr = uaddr;
	run->len = len;
	return err;
}

static int pin_segs(const struct strata_guest_view *view,
		    struct strata_guest_pins *pins,
		    const struct strata_guest_seg *segs, unsigned int nr_segs)
{
	struct run run = {};
	void __user *user;
	unsigned int i;
	size_t left, n;
	u64 gpa;
	int err;

	for (i = 0; i < nr_segs; i++) {
		gpa = segs[i].gpa;
		for (left = segs[i].len; left; left -= n, gpa += n) {
			n = left;
			user = strata_guest_translate(view, gpa, &n);
			if (!user)
				return -EFAULT;
			err = add_piece(pins, &run, (unsigned long)user, n);
			if (err)
				return err;
		}
	}
	return pin_run(pins, &run);
}

/**
 * strata_guest_pin() - pin a request's memory
 * @view: the table; may be dropped while the memory is pinned
 * @pins: where to, with nothing pinned
 * @segs: what, up to STRATA_GUEST_PIN_MAX bytes
 * @nr_segs: how many
 *
 * The guest goes on reading and writing its memory. Pins are for the time of
 * an I/O, not longer.
 *
 * Context: the task that holds @view; may sleep.
 * Return: 0; -E2BIG for too many bytes or bvecs; -EFAULT where there is no
 * memory, or none to be written; another error that pinning met, such as -EINTR
 * in a task that is killed or -ENOMEM. Then nothing is pinned.
 */
int strata_guest_pin(const struct strata_guest_view *view,
		     struct strata_guest_pins *pins,
		     const struct strata_guest_seg *segs, unsigned int nr_segs)
{
	unsigned int i;
	u64 bytes = 0;
	int err;

	for (i = 0; i < nr_segs; i++) {
		if (wraps(&segs[i]))
			return -EFAULT;
		bytes += segs[i].len;
		if (bytes > STRATA_GUEST_PIN_MAX)
			return -E2BIG;
	}
	err = pin_segs(view, pins, segs, nr_segs);
	if (err)
		strata_guest_unpin(pins, false);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_pin, STRATA);

/**
 * strata_guest_unpin() - the request is done with its memory
 * @pins: what; harmless if there is nothing
 * @dirty: it was written
 *
 * Context: may sleep; any task, even after the owner and all its memory are
 * gone.
 */
void strata_guest_unpin(struct strata_guest_pins *pins, bool dirty)
{
	unsigned int i;

	for (i = 0; i < pins->nr; i++) {
		const struct bio_vec *bv = &pins->bvecs[i];

		unpin_user_page_range_dirty_lock(bv->bv_page,
						 DIV_ROUND_UP(bv->bv_offset + bv->bv_len,
							      PAGE_SIZE), dirty);
	}
	pins->nr = 0;
	pins->bytes = 0;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_unpin, STRATA);
