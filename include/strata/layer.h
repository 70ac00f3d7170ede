/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_LAYER_H
#define STRATA_LAYER_H
/*
 * Layers: sources of sectors that know which sectors they have.
 *
 * A layered disk (strata_layered) asks its layers from the top down, layer 0
 * first. A layer comes in one of three forms:
 *
 * - a *disk*: strata_layer.disk is set, every sector within its size is there,
 *   under the same number. No data operation is called.
 * - a layer *in memory*: it answers at once, through read_now, write_now and
 *   unmap_now, without waiting for I/O.
 * - any other layer, in *two phases*: lookup says where data is before it is
 *   read; write_begin reserves, then the data is written, then write_end makes
 *   it present. Each step may be answered later.
 *
 * What must hold for all of them:
 *
 * - Presence is per logical sector. A sector is *absent* (what is below shows),
 *   *zero* (it reads zero and hides what is below) or has data *here*.
 * - A hit takes no lock. Presence is published after the data: whoever sees a
 *   sector present reads the data that made it so, or newer data.
 * - A write ends only when its sectors are present in every layer written.
 * - Two requests for the same sector at the same time may take effect in any
 *   order.
 */
#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/types.h>
#include <strata/desc.h>
#include <strata/disk.h>

struct strata_layer;
struct strata_layer_io;

/* No sector is beyond this one. */
#define STRATA_SECTORS_MAX ((sector_t)-1)

/* More layers than this in one disk are refused. */
#define STRATA_MAX_LAYERS 16

/**
 * enum strata_run_kind - where the sectors of a run are
 * @STRATA_RUN_ABSENT: not in this layer
 * @STRATA_RUN_ZERO: they read zero, whatever is below
 * @STRATA_RUN_HERE: in this layer, which reads them itself. From read_now: it
 *	has read them
 * @STRATA_RUN_REMAP: on a disk, at other sectors perhaps
 */
enum strata_run_kind {
	STRATA_RUN_ABSENT,
	STRATA_RUN_ZERO,
	STRATA_RUN_HERE,
	STRATA_RUN_REMAP,
};

/**
 * struct strata_run - consecutive sectors that are in the same place
 * @kind: which place
 * @sectors: how many; at least one logical sector, and never more than asked
 *	for. Neighbouring runs may be of the same kind
 * @disk: REMAP: the disk. Its limits were merged into the layered disk's
 *	through strata_layer.backing
 * @sector: REMAP: the first sector on @disk. The data stays there for as long
 *	as the sector is not written, unmapped or resized; a layer that moves
 *	data about answers HERE
 * @cookie: ABSENT, in a read cache: for insert_absent
 * @private: HERE: for the layer's read
 */
struct strata_run {
	enum strata_run_kind kind;
	unsigned int sectors;
	struct strata_disk *disk;
	sector_t sector;
	u64 cookie;
	void *private;
};

/**
 * struct strata_fill - sectors around a write that have to become zero with it
 * @sector: first sector on the disk that the data goes to
 * @sectors: how many, or 0
 */
struct strata_fill {
	sector_t sector;
	unsigned int sectors;
};

/**
 * struct strata_layer_io - one step of a request at one layer
 * @layer: the layer
 * @opf: the operation of the guest's bio, REQ_SYNC, REQ_FUA of a write and
 *	REQ_NOUNMAP. Never REQ_NOWAIT: whoever may not wait is not asked to
 * @sector: first sector, of the layered disk
 * @sectors: how many. write_begin may lower it, to what one reservation covers;
 *	the rest is begun when this part has ended
 * @end: called by strata_layer_io_end(), once a step
 * @status: how the step ended. On entry to write_end: how the data was written
 * @runs: lookup_async: room for the answer, which starts at @sector
 * @max_runs: lookup_async: how many fit, at least 1
 * @nr_runs: lookup_async: how many there are, at least 1 on success
 * @disk: write_begin: the disk to write the data to, or NULL when the layer's
 *	write takes it
 * @target: write_begin: where on @disk
 * @fill: write_begin: what has to be zeroed on @disk before write_end. A crash
 *	before write_end may leave any of it done
 * @data: insert_absent: @sectors sectors, contiguous in the kernel's memory
 * @cookie: insert_absent: from the lookup that said ABSENT
 * @private: for the layer, from write_begin to write_end
 */
struct strata_layer_io {
	struct strata_layer *layer;
	blk_opf_t opf;
	sector_t sector;
	unsigned int sectors;
	void (*end)(struct strata_layer_io *io);
	blk_status_t status;
	struct strata_run *runs;
	unsigned int max_runs;
	unsigned int nr_runs;
	struct strata_disk *disk;
	sector_t target;
	struct strata_fill fill[2];
	const void *data;
	u64 cookie;
	void *private;
};

/**
 * strata_layer_io_end() - answer a step
 * @io: the step; not to be touched afterwards
 * @status: how it ended
 *
 * Context: any, also before the operation has returned.
 */
static inline void strata_layer_io_end(struct strata_layer_io *io,
				       blk_status_t status)
{
	io->status = status;
	io->end(io);
}

/**
 * struct strata_layer_ops - what a layer kind does
 *
 * Making and sizes:
 *
 * @attach: complete a layer, once all layers under it are: its sector sizes,
 *	and what else depends on @below (NULL at the bottom). Fails with
 *	strata_fail(). May be NULL. Process context
 * @shrunk: strata_layer.end is now @end. Drop what is beyond, so that after a
 *	later growth it reads zero when the size is the layer's own, and as what
 *	is below when it came from there. Writes and inserts that were admitted
 *	before must not bring data back: the layer compares with strata_layer.end
 *	where it makes sectors present. Process context. May be NULL
 * @below_shrunk: what is below ends at @end now. Forget what insert_absent has
 *	stored beyond. Only for a read cache. Process context. May be NULL
 *
 * A layer in memory. Task context; none of them waits for I/O, and with
 * REQ_NOWAIT in the bio's or @opf's flags none sleeps:
 *
 * @read_now: look at the first sectors of @bio, @sectors at most, which start at
 *	its bi_sector. Fill in kind, sectors and, in a read cache, cookie of
 *	@run. HERE: they have been copied to @bio, which is advanced past them.
 *	Takes no lock
 * @write_now: store all of @bio, which is left as it is. BLK_STS_NOSPC without
 *	memory, BLK_STS_AGAIN if it may not sleep: then as a rule with nothing
 *	changed, but with the first part stored if another request has taken
 *	away the room in between. Who submits the bio again does not care
 * @unmap_now: as unmap
 * @forget_now: what is below was written or unmapped, and write_now or unmap_now
 *	had ended BLK_STS_NOSPC for the same sectors: be without them, that what
 *	is below shows, and let no insert_absent store what was read before.
 *	Never fails, may sleep. NULL: the layer fails writes when it is full,
 *	though they go on to what is below
 *
 * A layer in two phases. Task context, may sleep for memory, but answers what
 * needs I/O later:
 *
 * @lookup: say where the first sectors from @sector are, @sectors at most, in
 *	one run. Never sleeps. Returns 0, or -EAGAIN: then lookup_async is asked
 * @lookup_async: the same, in as many runs as it likes, answered in task
 *	context
 * @read: read a HERE run into @bio, of which it is all, and end it. Sectors
 *	that were unmapped since the lookup may read zero
 * @write_begin: prepare a write
 * @write: store the data: all of @bio, which is the part that @io was reduced
 *	to; end it
 * @write_end: make the sectors of @io present, durably if its opf has REQ_FUA;
 *	or with an error in status, give up the reservation. Not while
 *	strata_layer.end is below
 * @flush: make all that has ended durable. NULL: nothing is ever in between.
 *	Disks that the layer's data was remapped to are flushed by the layer
 *
 * None of them calls strata_submit() before it returns: the caller may be in a
 * map itself.
 *
 * For both:
 *
 * @unmap: WRITE_ZEROES: the sectors read zero from now on and hide what is
 *	below. DISCARD: what strata_layer.unmap says
 * @insert_absent: store data that was read from below. Only for sectors that
 *	are absent still, and were neither written, unmapped nor resized away
 *	since the lookup that gave the cookie; the others are left as they are,
 *	which is a success. NULL: the layer cannot be a read cache
 *
 * Every operation with a struct strata_layer_io is answered by
 * strata_layer_io_end(), perhaps before it returns. A layer in memory has
 * unmap_now and no unmap.
 */
struct strata_layer_ops {
	int (*attach)(struct strata_layer *layer,
		      const struct strata_layer *below,
		      struct strata_desc *desc);
	void (*shrunk)(struct strata_layer *layer, sector_t end);
	void (*below_shrunk)(struct strata_layer *layer, sector_t end);

	void (*read_now)(struct strata_layer *layer, struct bio *bio,
			 unsigned int sectors, struct strata_run *run);
	blk_status_t (*write_now)(struct strata_layer *layer, struct bio *bio);
	blk_status_t (*unmap_now)(struct strata_layer *layer, blk_opf_t opf,
				  sector_t sector, unsigned int sectors);
	void (*forget_now)(struct strata_layer *layer, sector_t sector,
			   unsigned int sectors);

	int (*lookup)(struct strata_layer *layer, sector_t sector,
		      unsigned int sectors, struct strata_run *run);
	void (*lookup_async)(struct strata_layer_io *io);
	void (*read)(struct strata_layer *layer, const struct strata_run *run,
		     struct bio *bio);
	void (*write_begin)(struct strata_layer_io *io);
	void (*write)(struct strata_layer_io *io, struct bio *bio);
	void (*write_end)(struct strata_layer_io *io);
	void (*flush)(struct strata_layer_io *io);
	void (*unmap)(struct strata_layer_io *io);
	void (*insert_absent)(struct strata_layer_io *io);
};

/**
 * struct strata_layer - a layer of a live layered disk; embedded by its kind
 *
 * Set by the kind before attach, or in it:
 *
 * @ops: its operations
 * @disk: the layer is this disk, sector for sector; else NULL
 * @backing: the disk that its REMAP runs and writes lead to, or NULL
 * @capacity: its own size in sectors, or 0 when that comes from below. A kind
 *	changes it with strata_layer_resize(). Not used where @disk is set
 * @sector_size: logical sector size in bytes
 * @physical_size: physical sector size in bytes
 * @unmap: what its unmap does for DISCARD
 * @optimal_unmap_sectors: best granularity of that, in sectors
 * @read_only: it takes no writes; insert_absent may work all the same
 * @has_id: @id is set
 * @id: identity of the data
 *
 * Set before attach by who makes the layered disk:
 *
 * @index: its number, 0 on top
 * @read_cache: insert what was read from below
 * @write_through: writes go on to the layer below
 *
 * Owned by strata_layered:
 *
 * @stack: the layered disk
 * @below: the next layer, or NULL
 * @written: it is in the write path, and the disk is writable
 * @end: its effective size in sectors: its own, or that of the next layer below
 *	that has one. Live. It falls before shrunk is called and rises before
 *	the larger size can be used
 * @below_end: where what shows from below ends
 */
struct strata_layer {
	const struct strata_layer_ops *ops;
	struct strata_disk *disk;
	struct strata_disk *backing;
	sector_t capacity;
	unsigned int sector_size;
	unsigned int physical_size;
	enum strata_unmap unmap;
	unsigned int optimal_unmap_sectors;
	bool read_only;
	bool has_id;
	u8 id[16];

	unsigned int index;
	bool read_cache;
	bool write_through;

	struct strata_disk *stack;
	const struct strata_layer *below;
	bool written;
	sector_t end;
	sector_t below_end;
};

/**
 * strata_layer_end() - the live effective size of a layer
 * @layer: the layer
 *
 * Context: any.
 * Return: 512-byte sectors.
 */
static inline sector_t strata_layer_end(const struct strata_layer *layer)
{
	return READ_ONCE(layer->end);
}

/**
 * strata_copy_to_bio() - copy to the start of a bio, and advance it
 * @bio: the bio
 * @from: the data
 * @bytes: how much; not more than the bio has left
 *
 * Context: any.
 */
static inline void strata_copy_to_bio(struct bio *bio, const void *from,
				      unsigned int bytes)
{
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, bio->bi_iter);
		unsigned int len = min(bv.bv_len, bytes);

		memcpy_to_page(bv.bv_page, bv.bv_offset, from, len);
		bio_advance_iter_single(bio, &bio->bi_iter, len);
		from += len;
		bytes -= len;
	}
}

int strata_layer_resize(struct strata_layer *layer, sector_t capacity,
			struct strata_desc *desc);

/**
 * struct strata_layer_desc - what the description of every layer kind begins
 *	with
 * @desc: the description
 * @read_cache: attribute, see struct strata_layer
 * @write_through: attribute, see struct strata_layer
 *
 * Every kind lists these two among its attributes, as
 * ``STRATA_ATTR(ram, struct strata_layer_desc, read_cache, bool);``. A kind with
 * more of its own puts this and a struct strata_desc named desc into a union, for
 * the attribute macros.
 */
struct strata_layer_desc {
	struct strata_desc desc;
	bool read_cache;
	bool write_through;
};

#endif /* STRATA_LAYER_H */
