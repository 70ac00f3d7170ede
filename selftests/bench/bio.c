// SPDX-License-Identifier: GPL-2.0
/* Targets that take bios: a block device, and a strata disk as engines use it. */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <strata/handle.h>
#include <strata/submit.h>
#include "bench.h"

static void end_embedded(struct bio *bio)
{
	struct bench_io *io = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_uninit(bio);
	bench_done(io->run, status);
}

static void end_allocated(struct bio *bio)
{
	struct bench_io *io = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_put(bio);
	bench_done(io->run, status);
}

static struct bio *prepare(struct bench_io *io, struct block_device *bdev,
			   sector_t sector)
{
	struct bench_run *run = io->run;
	struct bio *bio;

	if (run->alloc) {
		bio = bio_alloc(bdev, 1, run->op, GFP_NOIO);
		bio->bi_end_io = end_allocated;
	} else {
		bio = &io->bio;
		bio_init(bio, bdev, &io->bvec, 1, run->op);
		bio->bi_end_io = end_embedded;
	}
	bio->bi_private = io;
	bio->bi_iter.bi_sector = sector;
	if (run->op == REQ_OP_DISCARD)
		bio->bi_iter.bi_size = BENCH_BLOCK_SIZE;
	else
		__bio_add_page(bio, io->page, BENCH_BLOCK_SIZE, 0);
	return bio;
}

static void bdev_submit(struct bench_io *io, sector_t sector)
{
	struct block_device *bdev = file_bdev(io->run->target->file);

	submit_bio(prepare(io, bdev, sector));
}

const struct bench_target_ops bench_bdev_ops = {
	.submit = bdev_submit,
};

static void disk_submit(struct bench_io *io, sector_t sector)
{
	struct strata_handle *handle = io->run->target->handle;

	strata_submit_bio(&handle->nexus, handle->disk,
			  prepare(io, NULL, sector));
}

const struct bench_target_ops bench_disk_ops = {
	.submit = disk_submit,
};
