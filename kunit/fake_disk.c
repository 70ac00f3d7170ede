// SPDX-License-Identifier: GPL-2.0
/* A backend disk for KUnit suites; see fake_disk.h. */
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/slab.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "fake_disk.h"

/* A bio that has not ended. */
struct fake_pending {
	struct list_head node;
	struct fake_disk *fake;
	struct bio *bio;
	unsigned int op;
	unsigned int era;
	blk_status_t status;
};

/**
 * fake_seq() - the next of a row of numbers that orders events of all disks
 *
 * Context: any.
 */
unsigned int fake_seq(void)
{
	static atomic_t seq;

	return atomic_inc_return(&seq);
}
EXPORT_SYMBOL_NS_GPL(fake_seq, STRATA);

/* The store. All under fake->lock. */

static void *page_of(struct fake_disk *fake, sector_t sector, bool make)
{
	unsigned long index = sector >> (PAGE_SHIFT - SECTOR_SHIFT);
	void *page = xa_load(&fake->pages, index);

	if (page || !make)
		return page;
	page = kzalloc(PAGE_SIZE, GFP_ATOMIC);
	if (page && xa_err(xa_store(&fake->pages, index, page, GFP_ATOMIC))) {
		kfree(page);
		page = NULL;
	}
	fake->nr_pages += !!page;
	return page;
}

static size_t page_room(sector_t sector, size_t bytes)
{
	return min_t(size_t, bytes, PAGE_SIZE - offset_in_page(sector << SECTOR_SHIFT));
}

static void store_read(struct fake_disk *fake, sector_t sector, char *to,
		       size_t bytes)
{
	while (bytes) {
		size_t len = page_room(sector, bytes);
		char *page = page_of(fake, sector, false);

		if (page)
			memcpy(to, page + offset_in_page(sector << SECTOR_SHIFT), len);
		else
			memset(to, 0, len);
		to += len;
		bytes -= len;
		sector += len >> SECTOR_SHIFT;
	}
}

static bool store_write(struct fake_disk *fake, sector_t sector,
			const char *from, size_t bytes)
{
	while (bytes) {
		size_t len = page_room(sector, bytes);
		char *page = page_of(fake, sector, true);

		if (!page)
			return false;
		memcpy(page + offset_in_page(sector << SECTOR_SHIFT), from, len);
		from += len;
		bytes -= len;
		sector += len >> SECTOR_SHIFT;
	}
	return true;
}

/* Zero the sectors that lie in pages that exist. */
static void store_zero(struct fake_disk *fake, sector_t sector, sector_t nr)
{
	const unsigned int shift = PAGE_SHIFT - SECTOR_SHIFT;
	sector_t end = sector + nr;
	unsigned long index;
	char *page;

	if (!nr)
		return;
	xa_for_each_range(&fake->pages, index, page, sector >> shift,
			  (end - 1) >> shift) {
		sector_t first = max_t(sector_t, sector, (sector_t)index << shift);
		sector_t last = min_t(sector_t, end, ((sector_t)index + 1) << shift);

		if (last - first == 1 << shift) {
			xa_erase(&fake->pages, index);
			kfree(page);
			fake->nr_pages--;
		} else {
			memset(page + offset_in_page(first << SECTOR_SHIFT), 0,
			       (last - first) << SECTOR_SHIFT);
		}
	}
}

static void store_bvec_read(struct fake_disk *fake, sector_t sector,
			    struct bio_vec *bv)
{
	char *to = bvec_kmap_local(bv);

	store_read(fake, sector, to, bv->bv_len);
	kunmap_local(to);
}

static bool store_bvec_write(struct fake_disk *fake, sector_t sector,
			     struct bio_vec *bv)
{
	char *from = bvec_kmap_local(bv);
	bool ok = store_write(fake, sector, from, bv->bv_len);

	kunmap_local(from);
	return ok;
}

/* A discard that promises nothing zeroes what is easy, and no more. */
static void store_discard(struct fake_disk *fake, sector_t sector, sector_t nr)
{
	const sector_t mask = (PAGE_SIZE >> SECTOR_SHIFT) - 1;
	sector_t first = (sector + mask) & ~mask, last = (sector + nr) & ~mask;

	if (fake->disk->unmap == STRATA_UNMAP_ZEROES)
		store_zero(fake, sector, nr);
	else if (first < last)
		store_zero(fake, first, last - first);
}

static blk_status_t store_data(struct fake_disk *fake, struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		if (bio_op(bio) == REQ_OP_READ)
			store_bvec_read(fake, sector, &bv);
		else if (!store_bvec_write(fake, sector, &bv))
			return BLK_STS_RESOURCE;
		sector += bv.bv_len >> SECTOR_SHIFT;
	}
	return BLK_STS_OK;
}

/* Gigabytes of zeroes are no more work than one sector. */
static bool is_zero_pages(struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter)
		if (bv.bv_page != ZERO_PAGE(0))
			return false;
	return true;
}

static blk_status_t store_apply(struct fake_disk *fake, struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_WRITE:
		if (!is_zero_pages(bio))
			return store_data(fake, bio);
		store_zero(fake, bio->bi_iter.bi_sector, bio_sectors(bio));
		return BLK_STS_OK;
	case REQ_OP_READ:
		return store_data(fake, bio);
	case REQ_OP_DISCARD:
		store_discard(fake, bio->bi_iter.bi_sector, bio_sectors(bio));
		return BLK_STS_OK;
	case REQ_OP_WRITE_ZEROES:
		store_zero(fake, bio->bi_iter.bi_sector, bio_sectors(bio));
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

/* The log and the errors. */

/**
 * fake_op_kind() - the operation of a logged bio
 * @op: from a fake disk's log
 *
 * Return: REQ_OP_FLUSH for an empty flush, else the bio's own operation.
 */
enum req_op fake_op_kind(const struct fake_op *op)
{
	enum req_op kind = op->opf & REQ_OP_MASK;

	if (kind == REQ_OP_WRITE && !op->nr && (op->opf & REQ_PREFLUSH))
		return REQ_OP_FLUSH;
	return kind;
}
EXPORT_SYMBOL_NS_GPL(fake_op_kind, STRATA);

static bool error_hits(struct fake_error *error, const struct fake_op *op)
{
	if (!error->times)
		return false;
	if (error->op != REQ_OP_LAST && error->op != fake_op_kind(op))
		return false;
	if (op->nr && (op->sector + op->nr <= error->sector ||
		       error->sector + error->nr <= op->sector))
		return false;
	if (error->skip) {
		error->skip--;
		return false;
	}
	error->times--;
	return true;
}

static blk_status_t pick_error(struct fake_disk *fake, const struct fake_op *op)
{
	unsigned int i;

	for (i = 0; i < FAKE_ERRORS; i++)
		if (error_hits(&fake->errors[i], op))
			return fake->errors[i].status;
	return BLK_STS_OK;
}

static void op_begin(struct fake_disk *fake, struct strata_ctx *ctx,
		     struct fake_pending *p)
{
	struct bio *bio = p->bio;
	struct fake_op op = {
		.opf = bio->bi_opf,
		.sector = bio->bi_iter.bi_sector,
		.nr = bio_sectors(bio),
		.nexus = ctx->nexus,
		.stack = (unsigned long)&op,
		.in_task = in_task() && !irqs_disabled(),
	};
	unsigned long flags;

	spin_lock_irqsave(&fake->lock, flags);
	op.begun = fake_seq();
	p->status = pick_error(fake, &op);
	if (op.sector + op.nr > strata_disk_capacity(fake->disk) && op.nr)
		p->status = BLK_STS_TARGET;
	p->era = fake->era;
	fake->in_era[p->era & 1]++;
	p->op = fake->nr_ops++;
	if (p->op < fake->max_ops)
		fake->log[p->op] = op;
	fake->inflight++;
	fake->max_inflight = max(fake->max_inflight, fake->inflight);
	spin_unlock_irqrestore(&fake->lock, flags);
}

static void op_end(struct fake_pending *p)
{
	struct fake_disk *fake = p->fake;
	blk_status_t status = p->status;
	unsigned long flags;

	spin_lock_irqsave(&fake->lock, flags);
	if (!status)
		status = store_apply(fake, p->bio);
	if (p->op < fake->max_ops) {
		fake->log[p->op].ended = fake_seq();
		fake->log[p->op].status = status;
	}
	fake->inflight--;
	fake->in_era[p->era & 1]--;
	wake_up_all(&fake->changed);
	spin_unlock_irqrestore(&fake->lock, flags);
	strata_end(p->bio, status);
}

/* Ending bios, here and there. */

static unsigned int end_pending(struct fake_disk *fake, unsigned int n)
{
	struct fake_pending *p, *next;
	unsigned int done = 0;
	unsigned long flags;
	LIST_HEAD(ready);

	spin_lock_irqsave(&fake->lock, flags);
	while (done < n && !list_empty(&fake->pending)) {
		list_move_tail(fake->lifo ? fake->pending.prev :
					    fake->pending.next, &ready);
		fake->nr_pending--;
		done++;
	}
	spin_unlock_irqrestore(&fake->lock, flags);

	list_for_each_entry_safe(p, next, &ready, node) {
		op_end(p);
		kfree(p);
	}
	return done;
}

static void end_in_work(struct work_struct *work)
{
	end_pending(container_of(work, struct fake_disk, work.work), UINT_MAX);
}

static enum hrtimer_restart end_in_softirq(struct hrtimer *timer)
{
	end_pending(container_of(timer, struct fake_disk, soft), UINT_MAX);
	return HRTIMER_NORESTART;
}

static enum hrtimer_restart end_in_hardirq(struct hrtimer *timer)
{
	end_pending(container_of(timer, struct fake_disk, hard), UINT_MAX);
	return HRTIMER_NORESTART;
}

static void start_timer(struct hrtimer *timer, ktime_t delay,
			enum hrtimer_mode mode)
{
	if (!hrtimer_is_queued(timer))
		hrtimer_start(timer, delay, mode);
}

static void add_pending(struct fake_disk *fake, struct fake_pending *p)
{
	unsigned long flags;

	spin_lock_irqsave(&fake->lock, flags);
	list_add_tail(&p->node, &fake->pending);
	fake->nr_pending++;
	switch (fake->when) {
	case FAKE_WORKER:
		queue_delayed_work(system_unbound_wq, &fake->work,
				   nsecs_to_jiffies(ktime_to_ns(fake->delay)));
		break;
	case FAKE_SOFTIRQ:
		start_timer(&fake->soft, fake->delay, HRTIMER_MODE_REL_SOFT);
		break;
	case FAKE_HARDIRQ:
		start_timer(&fake->hard, fake->delay, HRTIMER_MODE_REL_HARD);
		break;
	default:
		break;
	}
	wake_up_all(&fake->changed);
	spin_unlock_irqrestore(&fake->lock, flags);
}

/* What holds for every bio that a map is given. */
static void check_bio(struct strata_disk *disk, struct bio *bio)
{
	if (!(bio->bi_opf & REQ_NOWAIT))
		might_sleep();
	WARN_ON_ONCE(!in_task());
	/* No test submits a bio that has a device. */
	WARN_ON_ONCE(bio->bi_bdev);
	if (bio->bi_iter.bi_size)
		WARN_ON_ONCE((bio->bi_iter.bi_sector | bio_sectors(bio)) & disk->lba_mask);
	else
		WARN_ON_ONCE(bio_op(bio) != REQ_OP_WRITE ||
			     !(bio->bi_opf & REQ_PREFLUSH));
}

static enum strata_map fake_map(struct strata_ctx *ctx, struct strata_disk *disk,
				struct bio *bio)
{
	struct fake_disk *fake = disk->private;
	struct fake_pending here = { .fake = fake, .bio = bio }, *p;

	check_bio(disk, bio);
	if (fake->hook)
		fake->hook(fake, ctx, bio);
	if (fake->again && (bio->bi_opf & REQ_NOWAIT))
		return strata_end(bio, BLK_STS_AGAIN);
	op_begin(fake, ctx, &here);
	if (fake->when == FAKE_INLINE) {
		op_end(&here);
		return STRATA_SUBMITTED;
	}
	p = kmemdup(&here, sizeof(here), GFP_NOIO | __GFP_NOFAIL);
	add_pending(fake, p);
	return STRATA_SUBMITTED;
}

/* Whatever comes from here on sees the new size: wait for what came before. */
static void fake_shrunk(struct strata_disk *disk, sector_t capacity)
{
	struct fake_disk *fake = disk->private;
	unsigned int old;

	spin_lock_irq(&fake->lock);
	old = fake->era++;
	spin_unlock_irq(&fake->lock);
	wait_event(fake->changed, fake->when == FAKE_HELD ||
		   !READ_ONCE(fake->in_era[old & 1]));
	spin_lock_irq(&fake->lock);
	store_zero(fake, capacity, (sector_t)LLONG_MAX - capacity);
	spin_unlock_irq(&fake->lock);
	if (fake->shrunk)
		fake->shrunk(fake, capacity);
}

/**
 * fake_disk_ends() - say where bios end from now on
 * @fake: the disk; nothing is in flight
 * @when: in which context
 * @delay_us: after how long
 */
void fake_disk_ends(struct fake_disk *fake, enum fake_when when,
		    unsigned int delay_us)
{
	fake->when = when;
	fake->delay = ns_to_ktime((u64)delay_us * NSEC_PER_USEC);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_ends, STRATA);

/**
 * fake_disk_fail() - let some bios fail from now on
 * @fake: the disk
 * @error: which, and how; copied
 */
void fake_disk_fail(struct fake_disk *fake, const struct fake_error *error)
{
	unsigned int i;

	spin_lock_irq(&fake->lock);
	for (i = 0; i < FAKE_ERRORS && fake->errors[i].times; i++)
		;
	if (!WARN_ON(i == FAKE_ERRORS))
		fake->errors[i] = *error;
	spin_unlock_irq(&fake->lock);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_fail, STRATA);

/**
 * fake_disk_fail_none() - undo all fake_disk_fail()
 * @fake: the disk
 */
void fake_disk_fail_none(struct fake_disk *fake)
{
	spin_lock_irq(&fake->lock);
	memset(fake->errors, 0, sizeof(fake->errors));
	spin_unlock_irq(&fake->lock);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_fail_none, STRATA);

/**
 * fake_disk_wait_pending() - wait until so many bios are held
 * @fake: the disk
 * @n: how many
 *
 * Return: false when that did not come in time.
 */
bool fake_disk_wait_pending(struct fake_disk *fake, unsigned int n)
{
	return wait_event_timeout(fake->changed,
				  READ_ONCE(fake->nr_pending) >= n, FAKE_TIMEOUT);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_wait_pending, STRATA);

/**
 * fake_disk_release() - end bios that are held
 * @fake: the disk
 * @n: how many at most
 *
 * Return: how many there were.
 */
unsigned int fake_disk_release(struct fake_disk *fake, unsigned int n)
{
	return end_pending(fake, n);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_release, STRATA);

/**
 * fake_disk_forget() - empty the log
 * @fake: the disk; nothing is in flight
 */
void fake_disk_forget(struct fake_disk *fake)
{
	spin_lock_irq(&fake->lock);
	fake->nr_ops = 0;
	fake->max_inflight = fake->inflight;
	spin_unlock_irq(&fake->lock);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_forget, STRATA);

/**
 * fake_disk_count() - how many bios of a kind there were
 * @fake: the disk
 * @op: the kind, as fake_op_kind() has it, or REQ_OP_LAST for all
 */
unsigned int fake_disk_count(struct fake_disk *fake, enum req_op op)
{
	unsigned int i, n = 0;

	spin_lock_irq(&fake->lock);
	for (i = 0; i < min(fake->nr_ops, fake->max_ops); i++)
		n += op == REQ_OP_LAST || fake_op_kind(&fake->log[i]) == op;
	spin_unlock_irq(&fake->lock);
	return n;
}
EXPORT_SYMBOL_NS_GPL(fake_disk_count, STRATA);

/**
 * fake_disk_peek() - read the store behind the disk's back
 * @fake: the disk
 * @sector: where
 * @buf: filled in
 * @bytes: how much
 */
void fake_disk_peek(struct fake_disk *fake, sector_t sector, void *buf,
		    size_t bytes)
{
	spin_lock_irq(&fake->lock);
	store_read(fake, sector, buf, bytes);
	spin_unlock_irq(&fake->lock);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_peek, STRATA);

/**
 * fake_disk_poke() - write the store behind the disk's back
 * @fake: the disk
 * @sector: where
 * @buf: the data
 * @bytes: how much
 */
void fake_disk_poke(struct fake_disk *fake, sector_t sector, const void *buf,
		    size_t bytes)
{
	spin_lock_irq(&fake->lock);
	WARN_ON(!store_write(fake, sector, buf, bytes));
	spin_unlock_irq(&fake->lock);
}
EXPORT_SYMBOL_NS_GPL(fake_disk_poke, STRATA);

static void *starve_alloc(gfp_t gfp, void *data)
{
	return NULL;
}

/* Elements in reserve are known to KASAN by the pool's alloc: re-admit them. */
static void starve_pool(mempool_t *pool, mempool_alloc_t *alloc)
{
	void *held[BIO_POOL_SIZE];
	unsigned int n = 0;

	while (n < BIO_POOL_SIZE) {
		held[n] = mempool_alloc_preallocated(pool);
		if (!held[n])
			break;
		n++;
	}
	WRITE_ONCE(pool->alloc, alloc);
	while (n)
		mempool_free(held[--n], pool);
}

static void starve_set(struct bio_set *bios, mempool_alloc_t *alloc)
{
	starve_pool(&bios->bio_pool, alloc);
	/* The core's own bios have no bvecs. */
	if (mempool_initialized(&bios->bvec_pool))
		starve_pool(&bios->bvec_pool, alloc);
}

/**
 * fake_pool_starve() - let no memory be had for a disk's bios
 * @disk: any disk
 * @starve: but from the reserve of its pools
 */
void fake_pool_starve(struct strata_disk *disk, bool starve)
{
	mempool_alloc_t *alloc = starve ? starve_alloc : mempool_alloc_slab;

	starve_set(&disk->bios, alloc);
	starve_set(&disk->core_bios, alloc);
	starve_set(&disk->zero_bios, alloc);
}
EXPORT_SYMBOL_NS_GPL(fake_pool_starve, STRATA);

static void fake_disk_free(void *data)
{
	struct fake_disk *fake = data;

	/* Only a test that failed has left anything. */
	fake->when = FAKE_HELD;
	cancel_delayed_work_sync(&fake->work);
	hrtimer_cancel(&fake->soft);
	hrtimer_cancel(&fake->hard);
	end_pending(fake, UINT_MAX);
	strata_disk_free(fake->disk);
	spin_lock_irq(&fake->lock);
	store_zero(fake, 0, LLONG_MAX);
	spin_unlock_irq(&fake->lock);
	xa_destroy(&fake->pages);
	kvfree(fake->log);
	kfree(fake);
}

static void fake_describe(struct fake_disk *fake,
			  const struct fake_config *config)
{
	struct queue_limits *lim = &fake->disk->limits;

	fake->ops.map = fake_map;
	fake->ops.shrunk = fake_shrunk;
	fake->ops.single_target = config->single_target;
	fake->ops.native_fua = config->native_fua;

	fake->disk->private = fake;
	fake->disk->capacity = config->sectors;
	fake->disk->read_only = config->read_only;
	fake->disk->unmap = config->unmap;
	if (config->lba) {
		lim->logical_block_size = config->lba;
		lim->physical_block_size = config->lba;
		lim->io_min = config->lba;
	}
	if (!config->native_zeroes)
		lim->max_write_zeroes_sectors = 0;
	else if (config->max_zeroes)
		lim->max_write_zeroes_sectors = config->max_zeroes;
	if (config->max_discard)
		lim->max_discard_sectors = config->max_discard;
}

/**
 * fake_disk_new() - make a fake disk
 * @test: the test; the disk goes with it, after all that was made later
 * @config: what it is to be
 *
 * Return: the disk, ready; fails the test rather than return nothing.
 */
struct fake_disk *fake_disk_new(struct kunit *test,
				const struct fake_config *config)
{
	struct fake_disk *fake = kzalloc(sizeof(*fake), GFP_KERNEL);
	const char *why = NULL;

	KUNIT_ASSERT_NOT_NULL(test, fake);
	spin_lock_init(&fake->lock);
	xa_init(&fake->pages);
	INIT_LIST_HEAD(&fake->pending);
	init_waitqueue_head(&fake->changed);
	INIT_DELAYED_WORK(&fake->work, end_in_work);
	hrtimer_init(&fake->soft, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	fake->soft.function = end_in_softirq;
	hrtimer_init(&fake->hard, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	fake->hard.function = end_in_hardirq;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, fake_disk_free, fake), 0);

	fake->max_ops = config->max_ops ?: 8192;
	fake->log = kvcalloc(fake->max_ops, sizeof(*fake->log), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake->log);
	fake->disk = strata_disk_alloc(config->name ?: "fake.disk");
	KUNIT_ASSERT_NOT_NULL(test, fake->disk);
	fake_describe(fake, config);
	KUNIT_ASSERT_EQ_MSG(test, strata_disk_ready(fake->disk, &fake->ops, &why), 0,
			    "%s", why);
	return fake;
}
EXPORT_SYMBOL_NS_GPL(fake_disk_new, STRATA);
