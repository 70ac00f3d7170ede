// SPDX-License-Identifier: GPL-2.0
/* Bios and threads that a test starts; see fake_disk.h. */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "fake_disk.h"

static void fake_bio_end(struct bio *bio)
{
	struct fake_bio *fb = container_of(bio, struct fake_bio, bio);

	fb->status = bio->bi_status;
	fb->ended = fake_seq();
	fb->in_task = in_task() && !irqs_disabled();
	if (atomic_inc_return(&fb->ends) == 1)
		complete(&fb->done);
}

static void fake_bio_free(void *data)
{
	struct fake_bio *fb = data;

	/* Its disk still has it: only a test that failed gets here so. */
	if (fb->bio.bi_private && !atomic_read(&fb->ends))
		return;
	bio_uninit(&fb->bio);
	kfree(fb->vecs);
	kfree(fb);
}

static void add_buffer(struct bio *bio, char *buf, unsigned int bytes)
{
	while (bytes) {
		unsigned int offset = offset_in_page(buf);
		unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE - offset);
		struct page *page = is_vmalloc_addr(buf) ? vmalloc_to_page(buf) :
							   virt_to_page(buf);

		__bio_add_page(bio, page, len, offset);
		buf += len;
		bytes -= len;
	}
}

/**
 * fake_bio_new() - make a bio
 * @test: the test; the bio goes with it
 * @opf: operation and flags
 * @sector: where
 * @buf: the data, from kmalloc() or vmalloc(), or NULL
 * @bytes: how much
 */
struct fake_bio *fake_bio_new(struct kunit *test, blk_opf_t opf,
			      sector_t sector, void *buf, unsigned int bytes)
{
	unsigned int vecs = 0;
	struct fake_bio *fb;

	if (buf)
		vecs = DIV_ROUND_UP(offset_in_page(buf) + bytes, PAGE_SIZE);
	fb = kzalloc(sizeof(*fb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fb);
	init_completion(&fb->done);
	fb->vecs = kcalloc(vecs, sizeof(*fb->vecs), GFP_KERNEL);
	bio_init(&fb->bio, NULL, fb->vecs, vecs, opf);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, fake_bio_free, fb), 0);
	KUNIT_ASSERT_NOT_NULL(test, fb->vecs);

	fb->bio.bi_iter.bi_sector = sector;
	fb->bio.bi_end_io = fake_bio_end;
	if (buf)
		add_buffer(&fb->bio, buf, bytes);
	else
		fb->bio.bi_iter.bi_size = bytes;
	return fb;
}
EXPORT_SYMBOL_NS_GPL(fake_bio_new, STRATA);

/**
 * fake_bio_submit() - submit a bio
 * @fb: the bio
 * @nexus: who issues it, or NULL
 * @disk: where to
 */
void fake_bio_submit(struct fake_bio *fb, struct strata_nexus *nexus,
		     struct strata_disk *disk)
{
	fb->bio.bi_private = fb;
	fb->stack = (unsigned long)__builtin_frame_address(0);
	strata_submit_bio(nexus, disk, &fb->bio);
}
EXPORT_SYMBOL_NS_GPL(fake_bio_submit, STRATA);

/**
 * fake_bio_wait() - wait for a bio to end
 * @test: the test; fails if the bio does not end, or ends twice
 * @fb: the bio
 *
 * Return: how it ended, or BLK_STS_TIMEOUT.
 */
blk_status_t fake_bio_wait(struct kunit *test, struct fake_bio *fb)
{
	if (!wait_for_completion_timeout(&fb->done, FAKE_TIMEOUT)) {
		KUNIT_FAIL(test, "the bio does not end");
		return BLK_STS_TIMEOUT;
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&fb->ends), 1);
	return fb->status;
}
EXPORT_SYMBOL_NS_GPL(fake_bio_wait, STRATA);

static blk_status_t run(struct kunit *test, struct strata_disk *disk,
			struct fake_bio *fb)
{
	blk_status_t status;

	fake_bio_submit(fb, NULL, disk);
	status = fake_bio_wait(test, fb);
	kunit_release_action(test, fake_bio_free, fb);
	return status;
}

/**
 * fake_rw() - read or write, and wait
 * @test: the test
 * @disk: any disk
 * @opf: operation and flags
 * @sector: where
 * @buf: the data
 * @bytes: how much
 *
 * Return: how it ended.
 */
blk_status_t fake_rw(struct kunit *test, struct strata_disk *disk,
		     blk_opf_t opf, sector_t sector, void *buf,
		     unsigned int bytes)
{
	return run(test, disk, fake_bio_new(test, opf, sector, buf, bytes));
}
EXPORT_SYMBOL_NS_GPL(fake_rw, STRATA);

/**
 * fake_range() - discard or write zeroes, and wait
 * @test: the test
 * @disk: any disk
 * @opf: operation and flags
 * @sector: where
 * @nr: how many sectors
 *
 * Return: how it ended.
 */
blk_status_t fake_range(struct kunit *test, struct strata_disk *disk,
			blk_opf_t opf, sector_t sector, unsigned int nr)
{
	return run(test, disk, fake_bio_new(test, opf, sector, NULL,
					    nr << SECTOR_SHIFT));
}
EXPORT_SYMBOL_NS_GPL(fake_range, STRATA);

/**
 * fake_flush() - flush, and wait
 * @test: the test
 * @disk: any disk
 *
 * Return: how it ended.
 */
blk_status_t fake_flush(struct kunit *test, struct strata_disk *disk)
{
	return fake_range(test, disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0);
}
EXPORT_SYMBOL_NS_GPL(fake_flush, STRATA);

/**
 * fake_pattern() - data that tells where it belongs
 * @buf: filled in
 * @bytes: how much
 * @sector: for which sector
 * @seed: and which generation
 *
 * No two sectors or seeds have the same, and none is zero.
 */
void fake_pattern(void *buf, size_t bytes, sector_t sector, u32 seed)
{
	u64 *word = buf;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++) {
		u64 at = (sector << SECTOR_SHIFT) + i * sizeof(*word);

		word[i] = (at ^ ((u64)seed << 40)) * 0x9e3779b97f4a7c15ULL | 1;
	}
}
EXPORT_SYMBOL_NS_GPL(fake_pattern, STRATA);

/**
 * fake_buffer() - a buffer with a pattern
 * @test: the test; the buffer goes with it
 * @bytes: how much
 * @sector: as fake_pattern()
 * @seed: as fake_pattern(); 0 leaves the buffer zero
 */
void *fake_buffer(struct kunit *test, size_t bytes, sector_t sector, u32 seed)
{
	void *buf = kunit_kzalloc(test, bytes, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	if (seed)
		fake_pattern(buf, bytes, sector, seed);
	return buf;
}
EXPORT_SYMBOL_NS_GPL(fake_buffer, STRATA);

static int thread_fn(void *data)
{
	struct fake_threads *threads = data;

	threads->fn(threads->context, atomic_inc_return(&threads->next) - 1);
	if (atomic_dec_and_test(&threads->running))
		complete_all(&threads->done);
	return 0;
}

/**
 * fake_threads_start() - run a function in several threads
 * @test: the test
 * @n: how many
 * @fn: the function; gets a number from 0 on, one each
 * @context: for it
 *
 * Return: for fake_threads_wait().
 */
struct fake_threads *fake_threads_start(struct kunit *test, unsigned int n,
					void (*fn)(void *context, unsigned int index),
					void *context)
{
	struct fake_threads *threads = kunit_kzalloc(test, sizeof(*threads), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, threads);
	threads->fn = fn;
	threads->context = context;
	threads->n = n;
	atomic_set(&threads->running, n);
	init_completion(&threads->done);
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(thread_fn, threads,
							    "fake/%u", i)));
	return threads;
}
EXPORT_SYMBOL_NS_GPL(fake_threads_start, STRATA);

/**
 * fake_threads_wait() - wait until all threads have returned
 * @threads: the threads
 *
 * Return: false when they did not in time.
 */
bool fake_threads_wait(struct fake_threads *threads)
{
	return wait_for_completion_timeout(&threads->done, FAKE_TIMEOUT);
}
EXPORT_SYMBOL_NS_GPL(fake_threads_wait, STRATA);
