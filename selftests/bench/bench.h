/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_BENCH_H
#define STRATA_BENCH_H
/* What the files of strata_bench.ko share: targets, and the loop over them. */
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/types.h>

struct bench_cipher;
struct bench_run;
struct bench_target;
struct strata_desc;
struct strata_handle;
struct strata_type;

#define BENCH_BLOCK_SIZE 4096
#define BENCH_BLOCK_SECTORS (BENCH_BLOCK_SIZE >> SECTOR_SHIFT)

/**
 * struct bench_io - one of the requests that are in flight together
 * @run: the loop it belongs to
 * @bio: where bios are submitted and not allocated
 * @iocb: where a file is called
 * @bvec: its data, all of @page
 * @page: a page of its own
 */
struct bench_io {
	struct bench_run *run;
	union {
		struct bio bio;
		struct kiocb iocb;
	};
	struct bio_vec bvec;
	struct page *page;
};

/**
 * struct bench_target_ops - how a request is issued
 * @submit: issue 4 KiB at @sector; ends in bench_done(), perhaps before this
 *	returns. Process context, under a plug
 */
struct bench_target_ops {
	void (*submit)(struct bench_io *io, sector_t sector);
};

/**
 * struct bench_target - what is measured
 * @ops: how to issue to it
 * @sectors: its size
 * @handle: a strata disk, or NULL
 * @file: a block device or regular file, or NULL
 * @cipher: a cipher, or NULL
 */
struct bench_target {
	const struct bench_target_ops *ops;
	sector_t sectors;
	struct strata_handle *handle;
	struct file *file;
	struct bench_cipher *cipher;
};

/**
 * struct bench_run - one measurement
 * @target: of what
 * @op: REQ_OP_READ, REQ_OP_WRITE or REQ_OP_DISCARD
 * @count: requests in a batch
 * @depth: requests under one plug
 * @fresh: no place is visited twice; else every batch visits the same ones
 * @alloc: a new bio for each request
 * @ios: @depth of them
 * @next: the next sector
 * @inflight: requests issued and not ended, and the loop itself
 * @drained: @inflight is zero
 * @status: of the last request that failed, or BLK_STS_OK
 */
struct bench_run {
	struct bench_target *target;
	enum req_op op;
	unsigned int count;
	unsigned int depth;
	bool fresh;
	bool alloc;
	struct bench_io *ios;
	sector_t next;
	atomic_t inflight;
	struct completion drained;
	blk_status_t status;
};

static inline void bench_put(struct bench_run *run)
{
	if (atomic_dec_and_test(&run->inflight))
		complete(&run->drained);
}

/* A request has ended. Any context. */
static inline void bench_done(struct bench_run *run, blk_status_t status)
{
	if (unlikely(status))
		WRITE_ONCE(run->status, status);
	bench_put(run);
}

/* loop.c */
int bench_measure(struct bench_run *run, u32 *cost);

/* bio.c */
extern const struct bench_target_ops bench_bdev_ops;
extern const struct bench_target_ops bench_disk_ops;

/* file.c */
extern const struct bench_target_ops bench_file_ops;

/* cipher.c */
extern const struct bench_target_ops bench_cipher_ops;
struct bench_cipher *bench_cipher_new(unsigned int unit);
void bench_cipher_free(struct bench_cipher *cipher);

/* pass.c */
extern struct strata_type bench_pass_type;

#endif /* STRATA_BENCH_H */
