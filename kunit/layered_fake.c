// SPDX-License-Identifier: GPL-2.0
/* A layer in two phases; see layered_fake.h. */
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "layered_fake.h"

/* A step that has been asked for. */
struct fake_asked {
	struct list_head node;
	enum fake_step step;
	struct strata_layer_io *io;
	struct bio *bio;
};

static struct fake_layer *to_fake(const struct strata_layer *layer)
{
	return container_of(layer, struct fake_layer, layer);
}

/* The run at @sector. Under the lock. */
static void find_run(struct fake_layer *fake, sector_t sector,
		     unsigned int sectors, struct strata_run *run)
{
	u8 state = sector < fake->nr ? fake->state[sector] : STRATA_RUN_ABSENT;
	unsigned int n = 1;

	while (n < sectors && sector + n < fake->nr &&
	       fake->state[sector + n] == state)
		n++;
	*run = (struct strata_run) {
		.kind = state,
		.sectors = sector < fake->nr ? n : sectors,
		.cookie = fake->generation,
		.private = fake,
	};
	if (state == STRATA_RUN_HERE && fake->store) {
		run->kind = STRATA_RUN_REMAP;
		run->disk = fake->store->disk;
		run->sector = sector + fake->shift;
	}
}

static void do_lookup(struct fake_layer *fake, struct strata_layer_io *io)
{
	unsigned int done = 0;

	while (done < io->sectors && io->nr_runs < io->max_runs) {
		struct strata_run *run = &io->runs[io->nr_runs++];

		find_run(fake, io->sector + done, io->sectors - done, run);
		done += run->sectors;
	}
}

static void do_data(struct fake_layer *fake, struct bio *bio, bool write)
{
	while (bio->bi_iter.bi_size) {
		struct bio_vec bv = bio_iter_iovec(bio, bio->bi_iter);
		u8 *mine = fake->data + (bio->bi_iter.bi_sector << SECTOR_SHIFT);

		if (write)
			memcpy_from_bvec(mine, &bv);
		else
			memcpy_to_bvec(&bv, mine);
		bio_advance_iter_single(bio, &bio->bi_iter, bv.bv_len);
	}
}

static void do_begin(struct fake_layer *fake, struct strata_layer_io *io)
{
	sector_t block = round_down(io->sector, FAKE_BLOCK);
	unsigned int head = io->sector - block;

	io->sectors = min(io->sectors, FAKE_BLOCK - head);
	if (!fake->store)
		return;
	io->disk = fake->store->disk;
	io->target = io->sector + fake->shift;
	if (fake->filled[block / FAKE_BLOCK])
		return;
	io->fill[0].sector = block + fake->shift;
	io->fill[0].sectors = head;
	io->fill[1].sector = io->target + io->sectors;
	io->fill[1].sectors = FAKE_BLOCK - head - io->sectors;
}

static void do_end(struct fake_layer *fake, struct strata_layer_io *io)
{
	fake->last_end = io->status;
	if (io->status)
		return;
	memset(fake->state + io->sector, STRATA_RUN_HERE, io->sectors);
	fake->filled[io->sector / FAKE_BLOCK] = true;
}

static void do_insert(struct fake_layer *fake, struct strata_layer_io *io)
{
	unsigned int i;

	if (io->cookie != fake->generation)
		return;
	for (i = 0; i < io->sectors; i++) {
		sector_t sector = io->sector + i;
		const void *data = io->data + (i << SECTOR_SHIFT);

		if (sector >= min_t(sector_t, fake->nr, strata_layer_end(io->layer)) ||
		    fake->state[sector] != STRATA_RUN_ABSENT)
			continue;
		if (fake->store)
			fake_disk_poke(fake->store, sector + fake->shift, data,
				       SECTOR_SIZE);
		else
			memcpy(fake->data + (sector << SECTOR_SHIFT), data,
			       SECTOR_SIZE);
		fake->state[sector] = STRATA_RUN_HERE;
	}
}

static void apply(struct fake_layer *fake, struct fake_asked *asked)
{
	struct strata_layer_io *io = asked->io;

	switch (asked->step) {
	case FAKE_LOOKUP:
		do_lookup(fake, io);
		break;
	case FAKE_READ:
	case FAKE_WRITE:
		do_data(fake, asked->bio, asked->step == FAKE_WRITE);
		break;
	case FAKE_BEGIN:
		do_begin(fake, io);
		break;
	case FAKE_END:
		do_end(fake, io);
		break;
	case FAKE_UNMAP:
		memset(fake->state + io->sector, fake->stacked ?
		       STRATA_RUN_ZERO : STRATA_RUN_ABSENT, io->sectors);
		break;
	case FAKE_INSERT:
		do_insert(fake, io);
		break;
	default:
		break;
	}
}

/* Do a step, and say so. */
static void answer(struct fake_layer *fake, struct fake_asked *asked)
{
	blk_status_t status;

	spin_lock(&fake->lock);
	status = fake->fail[asked->step];
	fake->fail[asked->step] = BLK_STS_OK;
	if (!status)
		apply(fake, asked);
	spin_unlock(&fake->lock);
	if (asked->bio)
		strata_end(asked->bio, status);
	else
		strata_layer_io_end(asked->io, status);
}

static void work(struct work_struct *work)
{
	struct fake_layer *fake = container_of(work, struct fake_layer, work);
	struct fake_asked *asked, *next;
	LIST_HEAD(ready);

	spin_lock(&fake->lock);
	list_for_each_entry_safe(asked, next, &fake->queue, node)
		if (!fake->hold[asked->step])
			list_move_tail(&asked->node, &ready);
	spin_unlock(&fake->lock);
	list_for_each_entry_safe(asked, next, &ready, node) {
		answer(fake, asked);
		kfree(asked);
	}
}

static void ask(struct fake_layer *fake, enum fake_step step,
		struct strata_layer_io *io, struct bio *bio)
{
	struct fake_asked here = { .step = step, .io = io, .bio = bio }, *asked;
	bool wait;

	spin_lock(&fake->lock);
	fake->count[step]++;
	wait = fake->worker || fake->hold[step];
	spin_unlock(&fake->lock);
	if (!wait) {
		answer(fake, &here);
		return;
	}
	asked = kmemdup(&here, sizeof(here), GFP_NOIO | __GFP_NOFAIL);
	spin_lock(&fake->lock);
	list_add_tail(&asked->node, &fake->queue);
	spin_unlock(&fake->lock);
	queue_work(system_unbound_wq, &fake->work);
}

static int fake_attach(struct strata_layer *layer,
		       const struct strata_layer *below,
		       struct strata_desc *desc)
{
	layer->sector_size = below ? below->sector_size : SECTOR_SIZE;
	layer->physical_size = layer->sector_size;
	to_fake(layer)->stacked = below;
	return 0;
}

static void fake_shrunk(struct strata_layer *layer, sector_t end)
{
	struct fake_layer *fake = to_fake(layer);

	spin_lock(&fake->lock);
	fake->generation++;
	if (end < fake->nr)
		memset(fake->state + end, STRATA_RUN_ABSENT, fake->nr - end);
	spin_unlock(&fake->lock);
}

static int fake_lookup(struct strata_layer *layer, sector_t sector,
		       unsigned int sectors, struct strata_run *run)
{
	struct fake_layer *fake = to_fake(layer);

	if (!fake->sync_lookup)
		return -EAGAIN;
	spin_lock(&fake->lock);
	find_run(fake, sector, sectors, run);
	spin_unlock(&fake->lock);
	return 0;
}

static void fake_lookup_async(struct strata_layer_io *io)
{
	ask(to_fake(io->layer), FAKE_LOOKUP, io, NULL);
}

static void fake_read(struct strata_layer *layer, const struct strata_run *run,
		      struct bio *bio)
{
	WARN_ON(run->private != layer || run->sectors != bio_sectors(bio));
	ask(to_fake(layer), FAKE_READ, NULL, bio);
}

static void fake_begin(struct strata_layer_io *io)
{
	ask(to_fake(io->layer), FAKE_BEGIN, io, NULL);
}

static void fake_write(struct strata_layer_io *io, struct bio *bio)
{
	WARN_ON(io->sectors != bio_sectors(bio));
	ask(to_fake(io->layer), FAKE_WRITE, io, bio);
}

static void fake_end(struct strata_layer_io *io)
{
	ask(to_fake(io->layer), FAKE_END, io, NULL);
}

static void fake_flush_layer(struct strata_layer_io *io)
{
	ask(to_fake(io->layer), FAKE_FLUSH, io, NULL);
}

static void fake_unmap(struct strata_layer_io *io)
{
	ask(to_fake(io->layer), FAKE_UNMAP, io, NULL);
}

static void fake_insert(struct strata_layer_io *io)
{
	ask(to_fake(io->layer), FAKE_INSERT, io, NULL);
}

static const struct strata_layer_ops fake_layer_ops = {
	.attach = fake_attach,
	.shrunk = fake_shrunk,
	.below_shrunk = fake_shrunk,
	.lookup = fake_lookup,
	.lookup_async = fake_lookup_async,
	.read = fake_read,
	.write_begin = fake_begin,
	.write = fake_write,
	.write_end = fake_end,
	.flush = fake_flush_layer,
	.unmap = fake_unmap,
	.insert_absent = fake_insert,
};

static void fake_layer_free(void *data)
{
	struct fake_layer *fake = data;

	cancel_work_sync(&fake->work);
	vfree(fake->data);
	vfree(fake->state);
	kfree(fake->filled);
	kfree(fake);
}

/**
 * fake_layer_new() - make a layer
 * @test: the test
 * @sectors: how many it has room for
 * @store: where the data goes, behind a gap, or NULL
 */
struct fake_layer *fake_layer_new(struct kunit *test, unsigned int sectors,
				  struct fake_disk *store)
{
	struct fake_layer *fake = kzalloc(sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	spin_lock_init(&fake->lock);
	INIT_LIST_HEAD(&fake->queue);
	INIT_WORK(&fake->work, work);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, fake_layer_free, fake), 0);
	fake->nr = sectors;
	fake->data = vzalloc(sectors << SECTOR_SHIFT);
	fake->state = vzalloc(sectors);
	fake->filled = kcalloc(DIV_ROUND_UP(sectors, FAKE_BLOCK), sizeof(bool),
			       GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake->data);
	KUNIT_ASSERT_NOT_NULL(test, fake->state);
	KUNIT_ASSERT_NOT_NULL(test, fake->filled);
	fake->store = store;
	fake->shift = store ? 2 * FAKE_BLOCK : 0;
	fake->layer.ops = &fake_layer_ops;
	fake->layer.unmap = STRATA_UNMAP_ZEROES;
	fake->layer.optimal_unmap_sectors = 1;
	fake->layer.backing = store ? store->disk : NULL;
	return fake;
}

/* Give it sectors with the pattern of @seed. */
void fake_layer_poke(struct fake_layer *fake, unsigned int sector,
		     unsigned int nr, u32 seed)
{
	fake_pattern(fake->data + (sector << SECTOR_SHIFT), nr << SECTOR_SHIFT,
		     sector, seed);
	if (fake->store)
		fake_disk_poke(fake->store, sector + fake->shift,
			       fake->data + (sector << SECTOR_SHIFT),
			       nr << SECTOR_SHIFT);
	memset(fake->state + sector, STRATA_RUN_HERE, nr);
}

static bool is_held(struct fake_layer *fake, enum fake_step step)
{
	struct fake_asked *asked;
	bool held = false;

	spin_lock(&fake->lock);
	list_for_each_entry(asked, &fake->queue, node)
		held |= asked->step == step;
	spin_unlock(&fake->lock);
	return held;
}

/* Wait until a step that is to be held has come. */
bool fake_layer_wait_held(struct fake_layer *fake, enum fake_step step)
{
	unsigned long end = jiffies + FAKE_TIMEOUT;

	while (!is_held(fake, step)) {
		if (time_after(jiffies, end))
			return false;
		msleep(20);
	}
	return true;
}

/* Let a step go on, and all later ones. */
void fake_layer_release(struct fake_layer *fake, enum fake_step step)
{
	spin_lock(&fake->lock);
	fake->hold[step] = false;
	spin_unlock(&fake->lock);
	queue_work(system_unbound_wq, &fake->work);
}
