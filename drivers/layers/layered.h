/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_LAYERED_H
#define STRATA_LAYERED_H
/* The layered disk: what its files share. */
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>
#include <strata/layer.h>
#include <strata/submit.h>

struct layered_req;

/**
 * struct layered - a live layered disk
 * @disk: what it is to all others
 * @reqs: struct layered_req, for requests in more than one step
 * @resize_lock: held while a layer's own size changes
 * @plain_write: a write is done at once in all layers but the last, and there
 *	at once or by passing it on: no request is needed
 * @nr_flush: layers in the write path that a flush has to reach
 * @nr_written: layers in the write path, 0 when the disk is read-only
 * @nr_layers: all layers
 * @layers: from the top
 */
struct layered {
	struct strata_disk *disk;
	mempool_t reqs;
	struct mutex resize_lock; /* held while a layer's own size changes */
	bool plain_write;
	unsigned int nr_flush;
	unsigned int nr_written;
	unsigned int nr_layers;
	struct strata_layer *layers[] __counted_by(nr_layers);
};

/**
 * struct layered_params - what a layered disk is made of
 * @desc: takes the words of a failure
 * @name: the disk's name, for an id of its own
 * @read_only: nobody will write
 * @id: its identity, or NULL
 * @nr_layers: number of @layers
 * @layers: from the top; ops, index, read_cache and write_through are set. They
 *	stay their maker's
 */
struct layered_params {
	struct strata_desc *desc;
	const char *name;
	bool read_only;
	const uuid_t *id;
	unsigned int nr_layers;
	struct strata_layer **layers;
};

extern const struct strata_disk_ops layered_disk_ops;

/* layered_make.c */
struct layered *layered_create(struct strata_disk *disk,
			       const struct layered_params *params);
void layered_destroy(struct layered *l);
sector_t layered_capacity(struct strata_disk *disk);
void layered_shrunk(struct strata_disk *disk, sector_t capacity);

/* layered_id.c */
void layered_derive_id(const u8 base[16], const char *name, u8 id[16]);

/* layered_disk.c: the layer kind `disk` */
extern struct strata_type layered_disk_type;
struct strata_layer *layered_disk_layer(struct strata_disk *disk);

/**
 * struct layered_ahead - an answer of lookup_async that is not used up
 * @layer: whose
 * @sector: first sector of the first run left
 * @runs: the runs left, from @next to @nr
 * @next: first one left
 * @nr: end of them
 */
struct layered_ahead {
	const struct strata_layer *layer;
	sector_t sector;
	struct strata_run runs[8];
	unsigned int next;
	unsigned int nr;
};

/**
 * struct layered_at - how far the search for a run has come
 * @layer: the layer to ask next
 * @sectors: how many sectors all layers above agree on being absent
 * @beyond: they are past the end of a layer
 * @run: the answer
 * @ahead: what is known already, or NULL
 */
struct layered_at {
	unsigned int layer;
	unsigned int sectors;
	bool beyond;
	struct strata_run run;
	struct layered_ahead *ahead;
};

/**
 * struct layered_read - the state of a read in steps
 * @at: the search
 * @ahead: for @at
 * @caches: bit mask of the layers that the run is to be inserted into
 * @cookies: for them, by layer
 * @into: the one of them that it is being inserted into
 * @full: bit mask of caches that had no room for another run of the bio
 * @buf: the run's data, when it is for a cache
 * @order: of @buf
 * @bio: over @buf
 * @vec: of @bio
 */
struct layered_read {
	struct layered_at at;
	struct layered_ahead ahead;
	unsigned long caches;
	u64 cookies[STRATA_MAX_LAYERS];
	unsigned int into;
	unsigned long full;
	void *buf;
	unsigned int order;
	struct bio bio;
	struct bio_vec vec;
};

/**
 * struct layered_write - the state of a write in steps
 * @layer: the layer being written
 * @done: sectors of the bio that it has
 * @skipped: bit mask of the layers that had no room
 */
struct layered_write {
	unsigned int layer;
	unsigned int done;
	unsigned long skipped;
};

/* What became of a step. */
enum layered_step {
	LAYERED_NEXT,	/* go on when all it started has ended */
	LAYERED_DEFER,	/* do it again in the worker */
	LAYERED_GONE,	/* the request is no more */
	LAYERED_PASSED,	/* the same, and the bio goes to ctx->next */
};

/**
 * struct layered_io - a step at a layer, of a request
 * @io: what the layer sees
 * @req: the request
 */
struct layered_io {
	struct strata_layer_io io;
	struct layered_req *req;
};

/**
 * struct layered_req - a request that takes several steps
 * @l: the layered disk
 * @bio: the guest's bio
 * @payer: whose cgroup pays for it; does not end before @bio
 * @step: the next step. @ctx is the submission's in a map, NULL in the worker
 * @work: runs the steps where they cannot go on in place
 * @pending: what the running step has started, and one for itself
 * @status: an error of what it has started
 * @nowait: the map may not sleep
 * @read: for reads
 * @write: for writes and ranges
 * @ios: one a layer in the write path, at least one
 *
 * Whoever drops @pending to zero goes on with the next step, so it is
 * never run twice at a time, and never from within itself.
 */
struct layered_req {
	struct layered *l;
	struct bio *bio;
	struct bio *payer;
	enum layered_step (*step)(struct layered_req *req,
				  struct strata_ctx *ctx);
	struct work_struct work;
	atomic_t pending;
	blk_status_t status;
	bool nowait;
	union {
		struct layered_read read;
		struct layered_write write;
	};
	struct layered_io ios[];
};

static inline size_t layered_req_size(unsigned int nr_ios)
{
	return struct_size_t(struct layered_req, ios, nr_ios);
}

/* layered_req.c */
struct layered_req *layered_req_alloc(struct layered *l, struct bio *bio,
				      struct strata_ctx *ctx);
void layered_req_free(struct layered_req *req);
enum strata_map layered_req_start(struct layered_req *req,
				  struct strata_ctx *ctx);
enum layered_step layered_req_end(struct layered_req *req,
				  blk_status_t status);
enum layered_step layered_req_pass(struct layered_req *req,
				   struct strata_ctx *ctx,
				   struct strata_disk *disk);
struct strata_layer_io *layered_req_io(struct layered_req *req,
				       unsigned int nr,
				       struct strata_layer *layer);
void layered_req_sub(struct layered_req *req, struct strata_sub *sub);
void layered_issue(struct layered_req *req, struct strata_ctx *ctx,
		   struct strata_sub *sub, struct strata_disk *disk);

/* The submission to allocate for, in a map or in the worker. */
#define LAYERED_CTX(ctx) ((ctx) ?: &(struct strata_ctx){})

/* layered_read.c: reads that need no request, and what all reads share */
#define LAYERED_MISS 1
int layered_find(struct layered *l, struct layered_at *at, struct bio *bio);
void layered_zero(struct bio *bio, unsigned int sectors);
enum strata_map layered_read(struct strata_ctx *ctx, struct layered *l,
			     struct bio *bio);

/* layered_fill.c: reads in steps */
enum strata_map layered_read_req(struct strata_ctx *ctx, struct layered *l,
				 struct bio *bio);

/* layered_write.c: writes, ranges and flushes */
enum strata_map layered_write(struct strata_ctx *ctx, struct layered *l,
			      struct bio *bio);
enum strata_map layered_unmap(struct strata_ctx *ctx, struct layered *l,
			      struct bio *bio);
enum strata_map layered_flush(struct strata_ctx *ctx, struct layered *l,
			      struct bio *bio);

#endif /* STRATA_LAYERED_H */
