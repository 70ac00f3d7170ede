// SPDX-License-Identifier: GPL-2.0
/*
 * The loop: batches of requests, a plugful at a time, and the time that the
 * best batch took. In a VM whose clock counts instructions that is their
 * number.
 */
#include <linux/blkdev.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/tick.h>
#include "bench.h"

#define BENCH_BATCHES 5

/* A hole after each block, so that no two merge. */
#define BENCH_STRIDE (2 * BENCH_BLOCK_SECTORS)

static void burst(struct bench_run *run)
{
	struct blk_plug plug;
	unsigned int i;

	reinit_completion(&run->drained);
	atomic_set(&run->inflight, run->depth + 1);
	blk_start_plug(&plug);
	for (i = 0; i < run->depth; i++) {
		run->target->ops->submit(&run->ios[i], run->next);
		run->next += BENCH_STRIDE;
	}
	blk_finish_plug(&plug);
	bench_put(run);
	wait_for_completion(&run->drained);
}

static u64 idle_us(void)
{
	return get_cpu_idle_time_us(raw_smp_processor_id(), NULL);
}

/*
 * Return: nanoseconds, or U64_MAX when the CPU idled: then the clock did not
 * count instructions.
 */
static u64 batch(struct bench_run *run)
{
	u64 idle = idle_us(), start;
	unsigned int n;

	if (!run->fresh)
		run->next = 0;
	start = ktime_get_ns();
	for (n = 0; n < run->count; n += run->depth)
		burst(run);
	start = ktime_get_ns() - start;
	return idle_us() == idle ? start : U64_MAX;
}

static int check(struct bench_run *run)
{
	u64 need = (u64)run->count * BENCH_STRIDE;

	if (!run->depth || !run->count || run->count % run->depth)
		return -EINVAL;
	if (run->fresh)
		need *= BENCH_BATCHES + 1;
	return need <= run->target->sectors ? 0 : -ENOSPC;
}

static void free_ios(struct bench_run *run)
{
	unsigned int i;

	for (i = 0; i < run->depth; i++)
		if (run->ios[i].page)
			__free_page(run->ios[i].page);
	kvfree(run->ios);
}

static int alloc_ios(struct bench_run *run)
{
	struct bench_io *io;
	unsigned int i;

	run->ios = kvcalloc(run->depth, sizeof(*io), GFP_KERNEL);
	if (!run->ios)
		return -ENOMEM;
	for (i = 0; i < run->depth; i++) {
		io = &run->ios[i];
		io->run = run;
		io->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!io->page) {
			free_ios(run);
			return -ENOMEM;
		}
		bvec_set_page(&io->bvec, io->page, BENCH_BLOCK_SIZE, 0);
	}
	return 0;
}

/**
 * bench_measure() - warm up, then take the best of some batches
 * @run: what to do
 * @cost: nanoseconds a request
 *
 * Context: process context, sleeps.
 * Return: 0, -EINVAL for a count that is no multiple of the depth, -ENOSPC for
 * a target too small, -EAGAIN when the CPU idled in every batch, or the error
 * of a request.
 */
int bench_measure(struct bench_run *run, u32 *cost)
{
	u64 best = U64_MAX;
	unsigned int i;
	int err;

	err = check(run) ?: alloc_ios(run);
	if (err)
		return err;
	init_completion(&run->drained);
	run->next = 0;
	run->status = BLK_STS_OK;

	batch(run);
	for (i = 0; i < BENCH_BATCHES && !run->status; i++)
		best = min(best, batch(run));
	free_ios(run);

	if (run->status)
		return blk_status_to_errno(run->status);
	if (best == U64_MAX)
		return -EAGAIN;
	*cost = div_u64(best + run->count / 2, run->count);
	return 0;
}
