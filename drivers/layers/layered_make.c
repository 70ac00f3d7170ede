// SPDX-License-Identifier: GPL-2.0
/* Making a layered disk of layers: checks, what it derives from them, sizes. */
#include <linux/blkdev.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include "layered.h"

/* What one WRITE_ZEROES may cover where a disk has to write them: it takes time. */
#define LAYERED_MAX_ZEROES_SECTORS (SZ_32M >> SECTOR_SHIFT)

/* Does the size not come from below? That of a disk may be 0. */
static bool has_size(const struct strata_layer *layer)
{
	return layer->disk || READ_ONCE(layer->capacity);
}

/* A layer's own size, as far as layers above are concerned. */
static sector_t own_size(const struct strata_layer *layer)
{
	if (layer->disk)
		return strata_disk_planned(layer->disk);
	return READ_ONCE(layer->capacity);
}

/* The size of a layer: its own, or of the next one below that has one. */
static sector_t layer_size(const struct strata_layer *layer)
{
	for (; layer; layer = layer->below)
		if (has_size(layer))
			return own_size(layer);
	return 0;
}

/* How many layers would be written, were the disk writable? */
static unsigned int write_path(const struct layered *l)
{
	unsigned int n = 1;

	while (n < l->nr_layers && l->layers[n - 1]->write_through)
		n++;
	return n;
}

static int check_layer(struct layered *l, struct strata_layer *layer,
		       struct strata_desc *desc)
{
	unsigned int expected = l->layers[l->nr_layers - 1]->sector_size;
	int err = 0;

	if (layer->ops->attach)
		err = layer->ops->attach(layer, layer->below, desc);
	if (err)
		return err;
	if (layer->read_cache && !layer->ops->insert_absent)
		return strata_fail(desc, -EINVAL,
				   "layer %u cannot be a read cache: its kind cannot insert what was read",
				   layer->index);
	if (!is_power_of_2(layer->sector_size))
		return strata_fail(desc, -EINVAL,
				   "layer %u: sector size %u is not a power of two",
				   layer->index, layer->sector_size);
	/* The bottom layer has been attached first. */
	if (layer->below && layer->sector_size != expected)
		return strata_fail(desc, -EINVAL,
				   "layer %u has sectors of %u bytes, but the bottom layer of %u",
				   layer->index, layer->sector_size, expected);
	return 0;
}

static int check_write_path(struct layered *l, bool read_only,
			    struct strata_desc *desc)
{
	const struct strata_layer *last = l->layers[l->nr_layers - 1];
	bool written = true;
	unsigned int i;

	for (i = 0; i < l->nr_layers; i++) {
		const struct strata_layer *layer = l->layers[i];

		if (written && layer->read_only && !read_only)
			return strata_fail(desc, -EROFS,
					   "layer %u is read-only, but writes go to it",
					   layer->index);
		if (!written && layer->write_through)
			return strata_fail(desc, -EINVAL,
					   "write_through of layer %u is of no use: no writes reach it",
					   layer->index);
		written = written && layer->write_through;
	}
	if (last->write_through)
		return strata_fail(desc, -EINVAL,
				   "write_through of layer %u is of no use: nothing is below it",
				   last->index);
	return 0;
}

/* What is written through a layer has to fit into the one below. */
static int check_sizes(struct layered *l, struct strata_desc *desc)
{
	unsigned int i, n = write_path(l);

	for (i = 0; i + 1 < n; i++)
		if (layer_size(l->layers[i]) > layer_size(l->layers[i + 1]))
			return strata_fail(desc, -EINVAL,
					   "layer %u is shorter than layer %u, which writes through to it",
					   l->layers[i + 1]->index,
					   l->layers[i]->index);
	return 0;
}

static int check_all(struct layered *l, const struct layered_params *params)
{
	unsigned int i = l->nr_layers;
	int err = 0;

	while (i-- && !err)
		err = check_layer(l, l->layers[i], params->desc);
	return err ?: check_write_path(l, params->read_only, params->desc) ?:
	       check_sizes(l, params->desc);
}

/* The fold over the write path: what the layers have in common. */
static void derive_unmap(struct layered *l, struct strata_disk *disk)
{
	enum strata_unmap unmap = STRATA_UNMAP_ZEROES;
	bool through = false;
	unsigned int i, optimal = 1;

	for (i = 0; i < write_path(l); i++) {
		const struct strata_layer *layer = l->layers[i];

		optimal = max(optimal, layer->optimal_unmap_sectors);
		through |= layer->write_through;
		if (unmap == STRATA_UNMAP_ZEROES &&
		    layer->unmap == STRATA_UNMAP_ZEROES)
			continue;
		/* Layers that read differently after it would not be one disk. */
		if (through || unmap == STRATA_UNMAP_IGNORED ||
		    layer->unmap == STRATA_UNMAP_IGNORED)
			unmap = STRATA_UNMAP_IGNORED;
		else
			unmap = STRATA_UNMAP_UNSPECIFIED;
	}
	disk->unmap = unmap;
	disk->optimal_unmap_sectors =
		max(optimal, l->layers[0]->sector_size >> SECTOR_SHIFT);
}

/*
 * Data that is written to a layer with an id is that layer's data. An overlay
 * is a disk of its own, or two of them over one base would look like two paths
 * to one disk. What cannot be written is its base.
 */
static void derive_id(struct layered *l, struct strata_disk *disk,
		      const struct layered_params *params)
{
	unsigned int i;

	if (params->id) {
		memcpy(disk->id, params->id, sizeof(disk->id));
		disk->has_id = true;
		return;
	}
	for (i = 0; i < l->nr_layers && !l->layers[i]->has_id; i++)
		;
	if (i == l->nr_layers)
		return;
	disk->has_id = true;
	if (i < l->nr_written || params->read_only)
		memcpy(disk->id, l->layers[i]->id, sizeof(disk->id));
	else
		layered_derive_id(l->layers[i]->id, params->name, disk->id);
}

/* Of layers that are written, which one is the slowest to zero? */
static unsigned int most_zeroes(const struct layered *l)
{
	unsigned int i, most = UINT_MAX;

	for (i = 0; i < l->nr_written; i++) {
		const struct strata_disk *disk = l->layers[i]->disk;

		if (disk)
			most = min(most, disk->limits.max_write_zeroes_sectors ?:
					 LAYERED_MAX_ZEROES_SECTORS);
	}
	return most;
}

static void derive_ranges(struct layered *l, struct strata_disk *disk)
{
	struct queue_limits *lim = &disk->limits;

	lim->max_write_zeroes_sectors = most_zeroes(l);
	lim->discard_alignment = 0;
	lim->discard_granularity = 0;
	lim->max_hw_discard_sectors = 0;
	if (disk->unmap != STRATA_UNMAP_IGNORED) {
		lim->max_hw_discard_sectors = UINT_MAX;
		lim->discard_granularity = disk->optimal_unmap_sectors <<
					   SECTOR_SHIFT;
	}
	lim->max_discard_sectors = lim->max_hw_discard_sectors;
}

static void derive_limits(struct layered *l, struct strata_disk *disk)
{
	struct queue_limits *lim = &disk->limits;
	bool cache = false;
	unsigned int i;

	/* Memory is copied at any alignment; 0 would mean the default, 511. */
	lim->dma_alignment = 3;
	for (i = 0; i < l->nr_layers; i++) {
		const struct strata_layer *layer = l->layers[i];
		const struct strata_disk *below = layer->disk ?: layer->backing;

		/* Alignments that do not agree are hints lost, no more. */
		if (below)
			strata_disk_stack_limits(disk, below);
		if (!layer->written)
			continue;
		if (layer->disk)
			cache |= !!(layer->disk->limits.features &
				    BLK_FEAT_WRITE_CACHE);
		else
			cache |= !!layer->ops->flush;
	}
	lim->logical_block_size = l->layers[0]->sector_size;
	lim->physical_block_size = l->layers[0]->physical_size;
	lim->io_min = max(lim->io_min, lim->physical_block_size);
	lim->alignment_offset = 0;
	lim->flags &= ~BLK_FLAG_MISALIGNED;

	/* What is below the write path has no say in how writes are done. */
	lim->features &= ~(BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA);
	if (cache)
		lim->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	/* Data that is taken from the guest twice has to be the same twice. */
	if (l->nr_written > 1)
		lim->features |= BLK_FEAT_STABLE_WRITES;
	derive_ranges(l, disk);
}

/* Know beforehand what a write and a flush have to do. */
static void plan_writes(struct layered *l, bool read_only)
{
	unsigned int i;

	l->nr_written = read_only ? 0 : write_path(l);
	l->plain_write = true;
	for (i = 0; i < l->nr_written; i++) {
		struct strata_layer *layer = l->layers[i];

		layer->written = true;
		if (layer->disk || layer->ops->flush)
			l->nr_flush++;
		if (layer->disk ? i != l->nr_written - 1 :
				  !layer->ops->write_now)
			l->plain_write = false;
	}
}

static struct layered *layered_alloc(struct strata_disk *disk,
				     const struct layered_params *params)
{
	unsigned int i, n = params->nr_layers;
	struct layered *l = kzalloc(struct_size(l, layers, n), GFP_KERNEL);

	if (!l)
		return NULL;
	l->disk = disk;
	l->nr_layers = n;
	mutex_init(&l->resize_lock);
	for (i = 0; i < n; i++) {
		l->layers[i] = params->layers[i];
		l->layers[i]->stack = disk;
		l->layers[i]->below = i + 1 < n ? params->layers[i + 1] : NULL;
	}
	return l;
}

/**
 * layered_create() - complete a disk that is made of layers
 * @disk: the disk; private, limits, unmap, id and read_only are filled in.
 *	layered_disk_ops are its operations
 * @params: the layers and what else is wanted
 *
 * Context: process context.
 * Return: what layered_destroy() frees, or an ERR_PTR with words in
 * @params->desc.
 */
struct layered *layered_create(struct strata_disk *disk,
			       const struct layered_params *params)
{
	struct strata_desc *desc = params->desc;
	unsigned int n = params->nr_layers;
	struct layered *l;
	int err;

	if (!n)
		return ERR_PTR(strata_fail(desc, -EINVAL,
					   "there are no layers; make one, such as 0.ram"));
	if (n > STRATA_MAX_LAYERS)
		return ERR_PTR(strata_fail(desc, -E2BIG,
					   "%u layers are more than %d", n,
					   STRATA_MAX_LAYERS));
	l = layered_alloc(disk, params);
	if (!l)
		return ERR_PTR(strata_fail(desc, -ENOMEM, "out of memory"));

	err = check_all(l, params);
	if (err)
		goto free;
	disk->private = l;
	disk->read_only = params->read_only;
	plan_writes(l, params->read_only);
	derive_unmap(l, disk);
	derive_limits(l, disk);
	derive_id(l, disk, params);
	err = mempool_init_kmalloc_pool(&l->reqs, 4,
					layered_req_size(max(l->nr_written,
							     1U)));
	if (!err)
		return l;
	strata_fail(desc, err, "out of memory");
free:
	mutex_destroy(&l->resize_lock);
	kfree(l);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_NS_GPL(layered_create, STRATA);

/**
 * layered_destroy() - undo layered_create()
 * @l: from layered_create(); no bio is in flight
 *
 * Context: process context.
 */
void layered_destroy(struct layered *l)
{
	mempool_exit(&l->reqs);
	mutex_destroy(&l->resize_lock);
	kfree(l);
}
EXPORT_SYMBOL_NS_GPL(layered_destroy, STRATA);

/*
 * Bring each layer's end, and the end of what shows from below it, up to date.
 * While the disk itself is about to shrink, only let them grow.
 */
static void update_ends(struct layered *l, bool shrink)
{
	sector_t end = 0, below_end = STRATA_SECTORS_MAX;
	unsigned int i = l->nr_layers;

	while (i--) {
		struct strata_layer *layer = l->layers[i];
		sector_t old = layer->end, old_below = layer->below_end;

		if (has_size(layer))
			end = own_size(layer);
		if (end > old || (end < old && shrink))
			WRITE_ONCE(layer->end, end);
		if (below_end > old_below || shrink)
			layer->below_end = below_end;

		/* The ends come first: what is dropped is not asked for. */
		smp_mb();
		if (layer->end < old && layer->ops->shrunk)
			layer->ops->shrunk(layer, end);
		if (layer->below_end < old_below && layer->read_cache &&
		    layer->ops->below_shrunk)
			layer->ops->below_shrunk(layer, below_end);
		/* A disk hides all that is below it. */
		below_end = layer->disk ? end : min(end, below_end);
	}
}

/**
 * layered_capacity() - the size the disk ought to have
 * @disk: the disk
 *
 * Called for each change of a layer's size, also one that leaves the disk's as
 * it is: then this is where the layers follow.
 *
 * Context: under the disk's users lock.
 * Return: 512-byte sectors.
 */
sector_t layered_capacity(struct strata_disk *disk)
{
	struct layered *l = disk->private;
	sector_t capacity = layer_size(l->layers[0]);

	update_ends(l, capacity >= strata_disk_capacity(disk));
	return capacity;
}

/**
 * layered_shrunk() - the disk has published a smaller size
 * @disk: the disk
 * @capacity: the size
 *
 * Nothing has to be waited for: layers compare with their end where they make
 * sectors present. A read that was on its way to a disk below, in range here
 * though that disk has shrunk meanwhile, ends BLK_STS_TARGET there: as from a
 * device that gets smaller under its user. To hold it back would cost each read.
 *
 * Context: under the disk's users lock.
 */
void layered_shrunk(struct strata_disk *disk, sector_t capacity)
{
	update_ends(disk->private, true);
}

/**
 * strata_layer_resize() - give a layer another size of its own
 * @layer: a layer of a live disk, with a size of its own
 * @capacity: the new size in sectors, a multiple of its sector size
 * @desc: takes the words of a failure
 *
 * The disk and all above it have their new sizes when this returns.
 *
 * Context: process context, no lock held.
 * Return: 0 or -EINVAL.
 */
int strata_layer_resize(struct strata_layer *layer, sector_t capacity,
			struct strata_desc *desc)
{
	struct layered *l = layer->stack->private;
	sector_t old;
	int err;

	mutex_lock(&l->resize_lock);
	old = layer->capacity;
	WRITE_ONCE(layer->capacity, capacity);
	err = check_sizes(l, desc);
	if (err)
		WRITE_ONCE(layer->capacity, old);
	else
		strata_disk_refresh(layer->stack);
	mutex_unlock(&l->resize_lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_layer_resize, STRATA);
