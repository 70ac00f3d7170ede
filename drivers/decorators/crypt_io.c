// SPDX-License-Identifier: GPL-2.0
/*
 * crypt: reads and writes.
 *
 * A write is enciphered in the map, into pages of ours, since the caller's are
 * not ours to change; the sub-bio with them goes below. A read goes below as a
 * clone and is deciphered in the caller's memory where it ends, or, where that
 * is a hard interrupt or one that has taken the SIMD registers by surprise, or
 * where it is long, by a worker of high priority. A guest must not see ciphertext, nor exchange it
 * before it is deciphered: its reads go to pages of ours too, and are copied.
 *
 * The cipher is asked for one data unit at a time. It may end a request later;
 * then its callback hands the bio to the worker, which goes on from there.
 */
#include <asm/simd.h>
#include <linux/bio.h>
#include <linux/sched.h>
#include <strata/disk.h>
#include "crypt.h"

/* Deciphering waits for nothing and nobody, so that all disks can share it. */
static struct workqueue_struct *crypt_wq;

static struct skcipher_request *io_request(struct crypt_io *io)
{
	return (struct skcipher_request *)io->request;
}

static struct crypt_io *to_io(struct bio *bio)
{
	return container_of(bio, struct crypt_io, sub.bio);
}

static void give_pages(struct crypt *c, struct bio *bio)
{
	unsigned short i;

	for (i = 0; i < bio->bi_vcnt; i++)
		mempool_free(bio->bi_io_vec[i].bv_page, &c->pages);
}

/* All is done, or has failed. */
static void io_end(struct crypt_io *io)
{
	struct bio *bio = &io->sub.bio, *parent = io->sub.parent;
	blk_status_t status = bio->bi_status;

	if (io->to == bio)
		give_pages(io->sub.owner->private, bio);
	bio_put(bio);
	strata_end(parent, status);
}

static void io_fail(struct crypt_io *io)
{
	io->sub.bio.bi_status = BLK_STS_IOERR;
	io_end(io);
}

/* The cipher. */

/* The data units of one piece of memory on either side, from number @nr on. */
static int crypt_units(struct crypt_io *io, unsigned int unit,
		       unsigned int bytes, u64 nr)
{
	struct skcipher_request *req = io_request(io);
	int err;

	for (; bytes; bytes -= unit) {
		io->tweak[0] = cpu_to_le64(nr++);
		io->tweak[1] = 0;
		/* When the request ends later, all this may be gone by then. */
		io->done += unit;
		err = io->encrypt ? crypto_skcipher_encrypt(req) :
				    crypto_skcipher_decrypt(req);
		if (unlikely(err))
			return err;
		io->src.offset += unit;
		io->dst.offset += unit;
	}
	return 0;
}

/*
 * Encipher or decipher what is left. Return: 0, an error, or, when this goes on
 * elsewhere, what is_pending() knows.
 */
static int crypt_run(struct crypt_io *io, bool may_sleep)
{
	const struct crypt *c = io->sub.owner->private;
	struct bvec_iter from = io->from_iter, to = io->to_iter;
	int err = io->error;

	if (unlikely(io->done)) {
		bio_advance_iter(io->from, &from, io->done);
		if (io->to != io->from)
			bio_advance_iter(io->to, &to, io->done);
	}
	while (!err && from.bi_size) {
		struct bio_vec bv = bio_iter_iovec(io->from, from);
		unsigned int bytes = bv.bv_len;

		sg_set_page(&io->src, bv.bv_page, c->unit, bv.bv_offset);
		if (io->to != io->from) {
			bv = bio_iter_iovec(io->to, to);
			bytes = min(bytes, bv.bv_len);
			sg_set_page(&io->dst, bv.bv_page, c->unit,
				    bv.bv_offset);
			bio_advance_iter_single(io->to, &to, bytes);
		}
		/* Not aligned as dma_alignment says */
		if (unlikely(bytes & (c->unit - 1)))
			return -EINVAL;
		err = crypt_units(io, c->unit, bytes,
				  from.bi_sector >> c->unit_shift);
		if (unlikely(err))
			break;
		bio_advance_iter_single(io->from, &from, bytes);
		if (may_sleep)
			cond_resched();
	}
	return err;
}

static bool is_pending(int err)
{
	return err == -EINPROGRESS || err == -EBUSY;
}

static void read_run(struct crypt_io *io, bool may_sleep)
{
	int err = crypt_run(io, may_sleep);
	struct bvec_iter iter;

	if (unlikely(is_pending(err)))
		return;
	if (unlikely(err)) {
		io_fail(io);
		return;
	}
	if (unlikely(io->to == &io->sub.bio)) {
		iter = io->from_iter;
		bio_copy_data_iter(io->sub.parent, &io->to_iter, io->from,
				   &iter);
	}
	io_end(io);
}

/* In a map with its @ctx, or in the worker without. */
static void write_run(struct crypt_io *io, struct strata_ctx *ctx,
		      bool may_sleep)
{
	const struct crypt *c = io->sub.owner->private;
	int err = crypt_run(io, may_sleep);

	if (unlikely(is_pending(err)))
		return;
	if (unlikely(err))
		io_fail(io);
	else if (likely(ctx))
		strata_sub_queue(ctx, &io->sub, c->below);
	else
		strata_submit_for(io->sub.nexus, io->sub.payer, c->below,
				  &io->sub.bio);
}

static void io_work(struct work_struct *work)
{
	struct crypt_io *io = container_of(work, struct crypt_io, work);

	if (io->encrypt)
		write_run(io, NULL, true);
	else
		read_run(io, true);
}

/* A worker that submits may have to wait; none that deciphers waits for it. */
static void io_defer(struct crypt_io *io)
{
	queue_work(io->encrypt ? io->sub.owner->parts : crypt_wq, &io->work);
}

static void request_done(void *data, int err)
{
	struct crypt_io *io = data;

	/* It has only left the backlog. */
	if (err == -EINPROGRESS)
		return;
	io->error = err;
	io_defer(io);
}

/* Bios. */

static void write_end_io(struct bio *bio)
{
	io_end(to_io(bio));
}

/* A longer read would keep a softirq, or a task, from all else for too long. */
#define CRYPT_INLINE_BYTES SZ_128K

static void read_end_io(struct bio *bio)
{
	struct crypt_io *io = to_io(bio);

	if (unlikely(bio->bi_status))
		io_end(io);
	else if (in_hardirq() || irqs_disabled() || !may_use_simd() ||
		 io->from_iter.bi_size > CRYPT_INLINE_BYTES)
		io_defer(io);
	else
		read_run(io, false);
}

/* All but from, to and their parts. */
static void io_init(struct crypt_io *io, struct bio *bio)
{
	const struct crypt *c = io->sub.owner->private;
	struct skcipher_request *req = io_request(io);

	INIT_WORK(&io->work, io_work);
	io->encrypt = op_is_write(bio->bi_opf);
	io->error = 0;
	io->done = 0;
	io->sub.parent = bio;
	io->sub.bio.bi_end_io = io->encrypt ? write_end_io : read_end_io;
	sg_init_table(&io->src, 1);
	sg_init_table(&io->dst, 1);
	skcipher_request_set_tfm(req, c->tfm);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG,
				      request_done, io);
	skcipher_request_set_crypt(req, &io->src,
				   io->encrypt ? &io->dst : &io->src, c->unit,
				   io->tweak);
}

/* The pool first: its pages are warm, and not zeroed. */
static struct page *take_page(struct crypt *c, bool wait)
{
	return mempool_alloc_preallocated(&c->pages) ?:
	       mempool_alloc(&c->pages, wait ? GFP_NOIO :
					       GFP_NOWAIT | __GFP_NOWARN);
}

/* Return: how many bytes there are pages for. */
static unsigned int take_pages(struct crypt *c, struct bio *bio,
			       unsigned int bytes, bool wait)
{
	unsigned int added = 0;

	while (added < bytes) {
		unsigned int len = min_t(unsigned int, bytes - added, PAGE_SIZE);
		struct page *page = take_page(c, wait && !added);

		if (unlikely(!page))
			break;
		__bio_add_page(bio, page, len, 0);
		added += len;
	}
	return added;
}

/*
 * A sub-bio with pages for @bio, or for the front of it if there are no more.
 * Return: NULL when there are none, or not all and @bio may not be split.
 */
static struct crypt_io *io_with_pages(struct strata_ctx *ctx,
				      struct strata_disk *disk,
				      struct bio *bio)
{
	unsigned int bytes = min_t(unsigned int, bio->bi_iter.bi_size,
				   BIO_MAX_VECS << PAGE_SHIFT);
	struct crypt *c = disk->private;
	struct strata_sub *sub;
	unsigned int added;

	/* The pages are nobody else's. */
	sub = strata_sub_alloc(ctx, disk, bio->bi_opf & ~STRATA_REQ_GUEST,
			       DIV_ROUND_UP(bytes, PAGE_SIZE));
	if (unlikely(!sub))
		return NULL;
	added = take_pages(c, &sub->bio, bytes, strata_may_wait(ctx) &&
			   !(bio->bi_opf & REQ_NOWAIT));
	if (unlikely(added < bytes &&
		     (!added || (bio->bi_opf & REQ_NOWAIT)))) {
		give_pages(c, &sub->bio);
		bio_put(&sub->bio);
		return NULL;
	}
	sub->bio.bi_iter.bi_sector = bio->bi_iter.bi_sector;
	sub->bio.bi_ioprio = bio->bi_ioprio;
	sub->bio.bi_write_hint = bio->bi_write_hint;
	return to_io(&sub->bio);
}

/* Is there more of @bio than this sub-bio has? Then it comes back for it. */
static enum strata_map io_rest(struct crypt_io *io, struct bio *bio)
{
	unsigned int bytes = io->sub.bio.bi_iter.bi_size;

	if (likely(bytes == bio->bi_iter.bi_size))
		return STRATA_SUBMITTED;
	bio_inc_remaining(bio);
	/* A bio that is served in parts may not fail for want of memory. */
	io->sub.bio.bi_opf &= ~REQ_NOWAIT;
	bio->bi_opf &= ~REQ_NOWAIT;
	bio_advance(bio, bytes);
	return STRATA_AGAIN;
}

static enum strata_map crypt_write(struct strata_ctx *ctx,
				   struct strata_disk *disk, struct bio *bio)
{
	bool may_sleep = !(bio->bi_opf & REQ_NOWAIT);
	struct crypt_io *io = io_with_pages(ctx, disk, bio);
	enum strata_map ret;

	if (unlikely(!io))
		return strata_sub_failed(ctx, bio);
	io_init(io, bio);
	io->to = &io->sub.bio;
	io->to_iter = io->sub.bio.bi_iter;
	io->from = bio;
	io->from_iter = bio->bi_iter;
	io->from_iter.bi_size = io->to_iter.bi_size;
	ret = io_rest(io, bio);
	write_run(io, ctx, may_sleep);
	return ret;
}

/* A guest's read, deciphered where it cannot look. */
static noinline enum strata_map read_aside(struct strata_ctx *ctx,
					   struct strata_disk *disk,
					   struct bio *bio)
{
	struct crypt_io *io = io_with_pages(ctx, disk, bio);
	const struct crypt *c = disk->private;
	enum strata_map ret;

	if (!io)
		return strata_sub_failed(ctx, bio);
	io_init(io, bio);
	io->from = &io->sub.bio;
	io->to = &io->sub.bio;
	io->from_iter = io->sub.bio.bi_iter;
	io->to_iter = bio->bi_iter;
	ret = io_rest(io, bio);
	strata_sub_queue(ctx, &io->sub, c->below);
	return ret;
}

static enum strata_map crypt_read(struct strata_ctx *ctx,
				  struct strata_disk *disk, struct bio *bio)
{
	const struct crypt *c = disk->private;
	struct strata_sub *sub;
	struct crypt_io *io;

	if (unlikely(bio->bi_opf & STRATA_REQ_GUEST))
		return read_aside(ctx, disk, bio);
	sub = strata_sub_clone(ctx, disk, bio);
	if (unlikely(!sub))
		return strata_sub_failed(ctx, bio);
	io = to_io(&sub->bio);
	io_init(io, bio);
	io->from = bio;
	io->to = bio;
	io->from_iter = bio->bi_iter;
	strata_sub_queue(ctx, sub, c->below);
	return STRATA_SUBMITTED;
}

/* strata_disk_ops.map */
enum strata_map crypt_map(struct strata_ctx *ctx, struct strata_disk *disk,
			  struct bio *bio)
{
	const struct crypt *c = disk->private;

	if (bio_op(bio) == REQ_OP_READ)
		return crypt_read(ctx, disk, bio);
	if (bio_op(bio) == REQ_OP_WRITE && bio->bi_iter.bi_size)
		return crypt_write(ctx, disk, bio);
	return strata_remap(ctx, c->below);
}

int crypt_io_init(void)
{
	crypt_wq = alloc_workqueue("strata_crypt", WQ_MEM_RECLAIM | WQ_HIGHPRI,
				   0);
	return crypt_wq ? 0 : -ENOMEM;
}

void crypt_io_exit(void)
{
	destroy_workqueue(crypt_wq);
}
