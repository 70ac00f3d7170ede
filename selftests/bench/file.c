// SPDX-License-Identifier: GPL-2.0
/*
 * A regular file, called as directly as can be: what strata's own file disk is
 * measured against.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/uio.h>
#include "bench.h"

static void end_iocb(struct kiocb *iocb, long ret)
{
	struct bench_io *io = container_of(iocb, struct bench_io, iocb);

	if (iocb->ki_flags & IOCB_WRITE)
		kiocb_end_write(iocb);
	bench_done(io->run, ret == BENCH_BLOCK_SIZE ? BLK_STS_OK :
		   ret < 0 ? errno_to_blk_status(ret) : BLK_STS_IOERR);
}

static void file_submit(struct bench_io *io, sector_t sector)
{
	struct file *file = io->run->target->file;
	struct kiocb *iocb = &io->iocb;
	struct iov_iter iter;
	ssize_t ret;

	init_sync_kiocb(iocb, file);
	iocb->ki_pos = sector << SECTOR_SHIFT;
	iocb->ki_complete = end_iocb;
	if (io->run->op == REQ_OP_READ) {
		iov_iter_bvec(&iter, ITER_DEST, &io->bvec, 1, BENCH_BLOCK_SIZE);
		ret = vfs_iocb_iter_read(file, iocb, &iter);
	} else {
		iov_iter_bvec(&iter, ITER_SOURCE, &io->bvec, 1,
			      BENCH_BLOCK_SIZE);
		iocb->ki_flags |= IOCB_WRITE;
		kiocb_start_write(iocb);
		ret = vfs_iocb_iter_write(file, iocb, &iter);
	}
	if (ret != -EIOCBQUEUED)
		end_iocb(iocb, ret);
}

const struct bench_target_ops bench_file_ops = {
	.submit = file_submit,
};
