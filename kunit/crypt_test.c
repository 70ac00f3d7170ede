// SPDX-License-Identifier: GPL-2.0
/*
 * The encrypted disk: published vectors, a second implementation of XTS to
 * compare with, and bios of all shapes, ending in all contexts.
 */
#include <crypto/aes.h>
#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/hex.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <strata/test.h>
#include "../drivers/decorators/crypt.h"
#include "conformance.h"
#include "core_stack.h"
#include "fake_disk.h"

/* The key of the XTS-AES-256 vectors in IEEE 1619: digits of e and of pi. */
#define KEY_E	"2718281828459045235360287471352662497757247093699959574966967627"
#define KEY_PI	"3141592653589793238462643383279502884197169399375105820974944592"

static const char key_hex[] = KEY_E KEY_PI;

/* Implementations: what this kernel prefers, the generic one, one that is late. */
#define ALG_GENERIC	"xts(ecb(aes-generic))"
#define ALG_ASYNC	"cryptd(" ALG_GENERIC ")"

/**
 * struct rig_config - what an encrypted disk is to be
 * @alg: the cipher's name in the crypto API, or NULL
 * @lba: bytes in a logical block, or 0
 * @sectors: its size, or 0
 * @read_only: below is
 * @unmap: of below
 */
struct rig_config {
	const char *alg;
	unsigned int lba;
	sector_t sectors;
	bool read_only;
	enum strata_unmap unmap;
};

/**
 * struct rig - an encrypted disk over a fake one
 * @fake: what is below
 * @disk: the disk
 * @c: its cipher
 * @handle: on @fake
 * @data: the data key, for comparison
 * @tweak: the tweak key
 * @unit: bytes in a data unit
 */
struct rig {
	struct fake_disk *fake;
	struct strata_disk *disk;
	struct crypt *c;
	struct strata_handle *handle;
	struct crypto_aes_ctx data;
	struct crypto_aes_ctx tweak;
	unsigned int unit;
};

static void rig_free(void *data)
{
	struct rig *r = data;

	if (!IS_ERR_OR_NULL(r->handle))
		strata_handle_detach(r->handle);
	strata_disk_free(r->disk);
	if (!IS_ERR_OR_NULL(r->c))
		crypt_free(r->c);
	kfree(r);
}

static void make_crypt(struct kunit *test, struct rig *r, const char *alg)
{
	u8 raw[CRYPT_KEY_SIZE];

	KUNIT_ASSERT_EQ(test, hex2bin(raw, key_hex, sizeof(raw)), 0);
	aes_expandkey(&r->data, raw, sizeof(raw) / 2);
	aes_expandkey(&r->tweak, raw + sizeof(raw) / 2, sizeof(raw) / 2);
	r->c = crypt_new(alg ?: CRYPT_ALG, raw);
	if (alg && PTR_ERR_OR_ZERO(r->c) == -ENOENT)
		kunit_skip(test, "no %s", alg);
	KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(r->c), 0);
}

static struct rig *rig_new(struct kunit *test, const struct rig_config *config)
{
	const struct fake_config below = {
		.name = "fake.below",
		.sectors = config->sectors ?: SZ_16M >> SECTOR_SHIFT,
		.lba = config->lba,
		.read_only = config->read_only,
		.native_fua = true,
		.native_zeroes = true,
		.unmap = config->unmap,
	};
	struct fake_disk *fake = fake_disk_new(test, &below);
	struct rig *r = kzalloc(sizeof(*r), GFP_KERNEL);
	char other[STRATA_NAME_MAX];
	const char *why = NULL;

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->fake = fake;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, rig_free, r), 0);
	make_crypt(test, r, config->alg);
	r->disk = strata_disk_alloc("crypt.rig");
	KUNIT_ASSERT_NOT_NULL(test, r->disk);
	r->handle = strata_handle_attach(fake->disk, "crypt.rig",
					 STRATA_CLAIM_WRITE, NULL, NULL,
					 r->disk, other);
	KUNIT_ASSERT_FALSE(test, IS_ERR(r->handle));
	KUNIT_ASSERT_EQ(test, crypt_attach(r->c, r->disk, fake->disk), 0);
	r->disk->capacity = below.sectors;
	KUNIT_ASSERT_EQ(test, strata_disk_ready(r->disk, &crypt_disk_ops, &why), 0);
	r->unit = r->c->unit;
	return r;
}

/* XTS by the book: encipher one data unit in place. */
static void encipher(struct rig *r, u64 nr, void *buf, unsigned int bytes)
{
	__le64 tweak[2] = { cpu_to_le64(nr) }, *block = buf;
	u64 lo, hi;

	aes_encrypt(&r->tweak, (u8 *)tweak, (u8 *)tweak);
	for (; bytes; bytes -= AES_BLOCK_SIZE, block += 2) {
		block[0] ^= tweak[0];
		block[1] ^= tweak[1];
		aes_encrypt(&r->data, (u8 *)block, (u8 *)block);
		block[0] ^= tweak[0];
		block[1] ^= tweak[1];
		lo = le64_to_cpu(tweak[0]);
		hi = le64_to_cpu(tweak[1]);
		tweak[1] = cpu_to_le64(hi << 1 | lo >> 63);
		tweak[0] = cpu_to_le64(lo << 1 ^ (hi >> 63 ? 0x87 : 0));
	}
}

/* Is what is below the ciphertext of @plain? */
static void expect_below(struct kunit *test, struct rig *r, sector_t sector,
			 const void *plain, unsigned int bytes)
{
	void *want = kunit_kmalloc(test, r->unit, GFP_KERNEL);
	void *got = kunit_kmalloc(test, r->unit, GFP_KERNEL);
	unsigned int at;

	KUNIT_ASSERT_NOT_NULL(test, want);
	KUNIT_ASSERT_NOT_NULL(test, got);
	for (at = 0; at < bytes; at += r->unit) {
		memcpy(want, plain + at, r->unit);
		encipher(r, ((sector << SECTOR_SHIFT) + at) / r->unit, want,
			 r->unit);
		fake_disk_peek(r->fake, sector + (at >> SECTOR_SHIFT), got,
			       r->unit);
		if (!memcmp(want, got, r->unit))
			continue;
		KUNIT_FAIL(test, "sector %llu + %u is not the ciphertext",
			   sector, at >> SECTOR_SHIFT);
		break;
	}
	kunit_kfree(test, want);
	kunit_kfree(test, got);
}

static void expect_same(struct kunit *test, const void *got, const void *want,
			unsigned int bytes)
{
	unsigned int at;

	for (at = 0; at < bytes; at += SECTOR_SIZE) {
		if (!memcmp(got + at, want + at, SECTOR_SIZE))
			continue;
		KUNIT_FAIL(test, "differs at %u of %u", at, bytes);
		return;
	}
}

/* Write a pattern, look below, read it back. */
static void round_trip(struct kunit *test, struct rig *r,
		       struct strata_disk *disk, sector_t sector, void *buf,
		       unsigned int bytes, blk_opf_t flags)
{
	void *want = vmalloc(bytes);

	KUNIT_ASSERT_NOT_NULL(test, want);
	fake_pattern(want, bytes, sector, 7);
	memcpy(buf, want, bytes);
	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_WRITE, sector, buf, bytes),
			BLK_STS_OK);
	expect_same(test, buf, want, bytes);
	expect_below(test, r, sector, want, min_t(unsigned int, bytes, SZ_32K));
	memset(buf, 0x5a, bytes);
	FAKE_EXPECT_STS(test, fake_rw(test, disk, REQ_OP_READ | flags, sector, buf,
				      bytes), BLK_STS_OK);
	expect_same(test, buf, want, bytes);
	vfree(want);
}

struct vector {
	u64 nr;
	const char *first;	/* 16 bytes */
	const char *last;
	u32 crc;		/* of all, as zlib has it */
};

/* IEEE 1619, vectors 10 to 14: 00, 01 ... ff, twice. */
static const struct vector vectors_512[] = {
	{ 0xff, "1c3b3a102f770386e4836c99e370cf9b",
	  "c4f36ffda9fcea70b9c6e693e148c151", 0xff9e4679 },
	{ 0xffff, "77a31251618a15e6b92d1d66dffe7b50",
	  "a4f9e27b42af8100cb9d59cef9645803", 0xde7d6063 },
	{ 0xffffff, "e387aaa58ba483afa7e8eb469778317e",
	  "2263a1eef52dd6888c309f5a7d712826", 0x44bdd752 },
	{ 0xffffffff, "bf53d2dade78e822a4d949a9bc6766b0",
	  "4c82f335abb152c4a93411373aaa8220", 0x5f0aa245 },
	{ 0xffffffffff, "64497e5a831e4a932c09be3e5393376d",
	  "d609d273ad5b0d59631c531f6a0a57b9", 0xf7748616 },
};

/* The same, sixteen times, by OpenSSL. */
static const struct vector vector_4096 = {
	5, "ae2d6eefd1d4a383caa92e9ff0240bf4",
	"bd47c446cf2d166331342676f70d3bde", 0x86e48067,
};

static void check_vector(struct kunit *test, struct rig *r,
			 const struct vector *v)
{
	u8 *buf = fake_buffer(test, r->unit, 0, 0), want[AES_BLOCK_SIZE];
	sector_t sector = v->nr * (r->unit >> SECTOR_SHIFT);
	unsigned int i;

	for (i = 0; i < r->unit; i++)
		buf[i] = i;
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE, sector, buf,
				      r->unit), BLK_STS_OK);
	fake_disk_peek(r->fake, sector, buf, r->unit);
	KUNIT_EXPECT_EQ(test, hex2bin(want, v->first, sizeof(want)), 0);
	KUNIT_EXPECT_MEMEQ(test, buf, want, sizeof(want));
	KUNIT_EXPECT_EQ(test, hex2bin(want, v->last, sizeof(want)), 0);
	KUNIT_EXPECT_MEMEQ(test, buf + r->unit - sizeof(want), want, sizeof(want));
	KUNIT_EXPECT_EQ(test, crc32_le(~0, buf, r->unit) ^ ~0, v->crc);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ, sector, buf,
				      r->unit), BLK_STS_OK);
	for (i = 0; i < r->unit && buf[i] == (u8)i; i++)
		;
	KUNIT_EXPECT_EQ(test, i, r->unit);
}

static void vectors(struct kunit *test)
{
	const char *const algs[] = { NULL, ALG_GENERIC };
	struct rig *r;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(algs); i++) {
		const struct rig_config small = { .alg = algs[i], .sectors = 1ULL << 41 };
		const struct rig_config large = { .alg = algs[i], .lba = SZ_4K };

		r = rig_new(test, &small);
		for (j = 0; j < ARRAY_SIZE(vectors_512); j++)
			check_vector(test, r, &vectors_512[j]);
		r = rig_new(test, &large);
		check_vector(test, r, &vector_4096);
	}
}

/* Buffers that begin and end anywhere in a page, and are of many. */
static void shapes(struct kunit *test)
{
	static const unsigned int lbas[] = { SECTOR_SIZE, SZ_1K, SZ_4K };
	static const unsigned int units[] = { 1, 2, 7, 8, 9, 31 };
	unsigned int i, j, at;

	for (i = 0; i < ARRAY_SIZE(lbas); i++) {
		struct rig *r = rig_new(test, &(struct rig_config){ .lba = lbas[i] });
		void *buf = kunit_kmalloc(test, SZ_256K, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, buf);
		for (j = 0; j < ARRAY_SIZE(units); j++)
			for (at = 0; at < SZ_4K; at += max(r->unit, SZ_1K + SECTOR_SIZE))
				round_trip(test, r, r->disk,
					   units[j] * r->unit >> SECTOR_SHIFT,
					   buf + round_down(at, r->unit),
					   units[j] * r->unit, 0);
		kunit_kfree(test, buf);
	}
}

/* One piece of memory that is many pages. */
static void one_piece(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){});
	void *want = fake_buffer(test, SZ_32K, 8, 3);
	struct page *pages = alloc_pages(GFP_KERNEL | __GFP_COMP, get_order(SZ_32K));
	struct fake_bio *fb;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	memcpy(page_address(pages), want, SZ_32K);
	fb = fake_bio_new(test, REQ_OP_WRITE, 8, page_address(pages), SECTOR_SIZE);
	fb->bio.bi_io_vec[0].bv_offset = SECTOR_SIZE;
	fb->bio.bi_io_vec[0].bv_len = SZ_32K - SZ_1K;
	fb->bio.bi_iter.bi_size = SZ_32K - SZ_1K;
	fake_bio_submit(fb, NULL, r->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	expect_below(test, r, 8, want + SECTOR_SIZE, SZ_32K - SZ_1K);
	expect_same(test, page_address(pages), want, SZ_32K);

	memset(page_address(pages), 0, SZ_32K);
	fb = fake_bio_new(test, REQ_OP_READ, 8, page_address(pages), SECTOR_SIZE);
	fb->bio.bi_io_vec[0].bv_offset = SECTOR_SIZE;
	fb->bio.bi_io_vec[0].bv_len = SZ_32K - SZ_1K;
	fb->bio.bi_iter.bi_size = SZ_32K - SZ_1K;
	fake_bio_submit(fb, NULL, r->disk);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	expect_same(test, page_address(pages) + SECTOR_SIZE, want + SECTOR_SIZE,
		    SZ_32K - SZ_1K);
	KUNIT_EXPECT_TRUE(test, mem_is_zero(page_address(pages), SECTOR_SIZE));
	__free_pages(pages, get_order(SZ_32K));
}

/* Parts of bios, as disks above make them: clones that begin in mid-vector. */
static void parts(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){});
	struct fake_stack *splits, *moved;
	void *buf = kunit_kmalloc(test, SZ_64K, GFP_KERNEL), *want;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	splits = fake_stack_new(test, &(struct fake_stack_config){
		.kind = FAKE_STRIPE, .chunk = 3, .below = { r->disk } });
	round_trip(test, r, splits->disk, 5, buf + SECTOR_SIZE, 61 * SECTOR_SIZE, 0);
	round_trip(test, r, splits->disk, 1000, buf, SZ_64K, STRATA_REQ_GUEST);

	r = rig_new(test, &(struct rig_config){});
	moved = fake_stack_new(test, &(struct fake_stack_config){
		.kind = FAKE_REMAP, .offset = 100, .below = { r->disk } });
	want = fake_buffer(test, SZ_16K, 9, 4);
	FAKE_EXPECT_STS(test, fake_rw(test, moved->disk, REQ_OP_WRITE, 9, want,
				      SZ_16K), BLK_STS_OK);
	expect_below(test, r, 109, want, SZ_16K);
	FAKE_EXPECT_STS(test, fake_rw(test, moved->disk, REQ_OP_READ, 9, buf,
				      SZ_16K), BLK_STS_OK);
	expect_same(test, buf, want, SZ_16K);
}

/* The hook of a fake disk: is anything of @context's memory in the bio? */
struct watched {
	void *buf;
	unsigned int bytes;
	unsigned int seen;
	unsigned int bios;
};

static void watch(struct fake_disk *fake, struct strata_ctx *ctx,
		  struct bio *bio)
{
	struct watched *w = fake->context;
	struct bvec_iter iter;
	struct bio_vec bv;

	w->bios++;
	bio_for_each_segment(bv, bio, iter) {
		void *at = page_address(bv.bv_page) + bv.bv_offset;

		w->seen += at >= w->buf && at < w->buf + w->bytes;
	}
}

/* Ours are the pages below: the caller's keep their data, or see only data. */
static void callers_memory(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){});
	struct watched w = { .bytes = SZ_64K };
	void *want = fake_buffer(test, SZ_64K, 8, 5);
	struct fake_bio *fb;

	w.buf = kunit_kmalloc(test, SZ_64K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w.buf);
	memcpy(w.buf, want, SZ_64K);
	r->fake->hook = watch;
	r->fake->context = &w;
	fake_disk_ends(r->fake, FAKE_HELD, 0);
	fb = fake_bio_new(test, REQ_OP_WRITE, 8, w.buf, SZ_64K);
	fake_bio_submit(fb, NULL, r->disk);
	KUNIT_EXPECT_TRUE(test, fake_disk_wait_pending(r->fake, 1));
	expect_same(test, w.buf, want, SZ_64K);
	/* Now it is the caller's again in all but name. */
	memset(w.buf, 0, SZ_64K);
	fake_disk_release(r->fake, UINT_MAX);
	FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
	expect_below(test, r, 8, want, SZ_64K);
	KUNIT_EXPECT_EQ(test, w.seen, 0);

	fake_disk_ends(r->fake, FAKE_INLINE, 0);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ | STRATA_REQ_GUEST,
				      8, w.buf, SZ_64K), BLK_STS_OK);
	expect_same(test, w.buf, want, SZ_64K);
	KUNIT_EXPECT_EQ(test, w.seen, 0);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ, 8, w.buf, SZ_64K),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, w.seen, SZ_64K / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, w.bios, 3);
}

static unsigned int count_fua(struct fake_disk *fake)
{
	unsigned int i, n = 0;

	for (i = 0; i < fake->nr_ops; i++)
		n += fake->log[i].nr && (fake->log[i].opf & REQ_FUA);
	return n;
}

/* More than the pages that one bio can have. */
static void large(struct kunit *test)
{
	const unsigned int bytes = SZ_2M + SZ_64K + SECTOR_SIZE;
	struct rig *r = rig_new(test, &(struct rig_config){});
	void *buf = vmalloc(bytes);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	round_trip(test, r, r->disk, 16, buf, bytes, 0);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_WRITE), 3);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_READ), 1);
	memset(buf, 0, bytes);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ | STRATA_REQ_GUEST,
				      16, buf, bytes), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_READ), 4);
	round_trip(test, r, r->disk, 16, buf, bytes, STRATA_REQ_GUEST);

	/* Each part is flushed before, and durable after. */
	fake_disk_forget(r->fake);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE | REQ_PREFLUSH |
				      REQ_FUA, 16, buf, bytes), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_WRITE), 3);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_FLUSH), 3);
	KUNIT_EXPECT_EQ(test, count_fua(r->fake), 3);
	vfree(buf);
}

/* Where bios end, and what that means for where ours do. */
static void contexts(struct kunit *test)
{
	static const enum fake_when whens[] = { FAKE_INLINE, FAKE_WORKER,
						FAKE_SOFTIRQ, FAKE_HARDIRQ };
	void *want = fake_buffer(test, SZ_16K, 8, 6);
	void *buf = kunit_kmalloc(test, SZ_16K, GFP_KERNEL);
	struct rig *r = rig_new(test, &(struct rig_config){});
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < ARRAY_SIZE(whens); i++) {
		fake_disk_ends(r->fake, whens[i], 50);
		FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE, 8, want,
					      SZ_16K), BLK_STS_OK);
		expect_below(test, r, 8, want, SZ_16K);
		for (j = 0; j < 2; j++) {
			struct fake_bio *fb;

			memset(buf, 0, SZ_16K);
			fb = fake_bio_new(test, REQ_OP_READ |
					  (j ? STRATA_REQ_GUEST : 0), 8, buf,
					  SZ_16K);
			fake_bio_submit(fb, NULL, r->disk);
			FAKE_EXPECT_STS(test, fake_bio_wait(test, fb), BLK_STS_OK);
			expect_same(test, buf, want, SZ_16K);
			/* A softirq can find the SIMD registers in use. */
			if (whens[i] != FAKE_SOFTIRQ)
				KUNIT_EXPECT_TRUE(test, fb->in_task);
		}
	}
}

/* A cipher that ends its requests later. */
static void late_cipher(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){ .alg = ALG_ASYNC });
	void *buf = kunit_kmalloc(test, SZ_64K, GFP_KERNEL);
	unsigned int when;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (when = FAKE_INLINE; when <= FAKE_HARDIRQ; when++) {
		fake_disk_ends(r->fake, when, 20);
		round_trip(test, r, r->disk, 3, buf + SECTOR_SIZE, SZ_16K, 0);
		round_trip(test, r, r->disk, 64, buf, SZ_16K, STRATA_REQ_GUEST);
	}
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE | REQ_NOWAIT, 0,
				      buf, SZ_64K), BLK_STS_OK);
	expect_below(test, r, 0, buf, SZ_64K);
}

static void *no_page(gfp_t gfp, void *data)
{
	return NULL;
}

/* Let no memory be had but the reserves. */
static void starve(struct rig *r, bool on)
{
	mempool_t *pool = &r->c->pages;
	void *held[64];
	unsigned int n = 0;

	fake_pool_starve(r->disk, on);
	/* Elements in reserve are known to KASAN by the pool's alloc. */
	while (n < ARRAY_SIZE(held)) {
		held[n] = mempool_alloc_preallocated(pool);
		if (!held[n])
			break;
		n++;
	}
	WRITE_ONCE(pool->alloc, on ? no_page : mempool_alloc_pages);
	while (n)
		mempool_free(held[--n], pool);
}

static void without_memory(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){});
	void *buf = kunit_kmalloc(test, SZ_512K, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	fake_disk_ends(r->fake, FAKE_WORKER, 0);
	starve(r, true);
	round_trip(test, r, r->disk, 0, buf, SZ_512K, 0);
	KUNIT_EXPECT_GT(test, fake_disk_count(r->fake, REQ_OP_WRITE), 1);
	round_trip(test, r, r->disk, 0, buf, SZ_512K, STRATA_REQ_GUEST);

	/* All or nothing, for who may not wait. */
	fake_disk_forget(r->fake);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE | REQ_NOWAIT, 0,
				      buf, SZ_512K), BLK_STS_AGAIN);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ | REQ_NOWAIT |
				      STRATA_REQ_GUEST, 0, buf, SZ_512K),
			BLK_STS_AGAIN);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_LAST), 0);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE | REQ_NOWAIT, 0,
				      buf, SZ_4K), BLK_STS_OK);
	starve(r, false);
	KUNIT_EXPECT_EQ(test, r->c->pages.curr_nr, r->c->pages.min_nr);
}

/*
 * In submit_bio, what goes below may stay in the task's list until it returns:
 * nobody may wait for it there.
 */
static void in_submit_bio(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){});
	void *want = fake_buffer(test, SZ_512K, 0, 2);
	void *got = kunit_kmalloc(test, SZ_512K, GFP_KERNEL);
	struct bio_list lists[2] = {};
	struct fake_bio *fb[2];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, got);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE, 0, want, SZ_512K),
			BLK_STS_OK);
	/* For example this one */
	bio_list_add(&lists[0], &fake_bio_new(test, REQ_OP_WRITE, 0, NULL, 0)->bio);
	fb[0] = fake_bio_new(test, REQ_OP_WRITE, 0, want, SZ_512K);
	fb[1] = fake_bio_new(test, REQ_OP_READ | STRATA_REQ_GUEST, 0, got, SZ_512K);
	for (i = 0; i < ARRAY_SIZE(fb); i++) {
		fake_disk_ends(r->fake, FAKE_HELD, 0);
		starve(r, true);
		current->bio_list = lists;
		fake_bio_submit(fb[i], NULL, r->disk);
		current->bio_list = NULL;
		KUNIT_EXPECT_TRUE(test, fake_disk_wait_pending(r->fake, 1));
		KUNIT_EXPECT_EQ(test, atomic_read(&fb[i]->ends), 0);
		fake_disk_ends(r->fake, FAKE_WORKER, 0);
		fake_disk_release(r->fake, UINT_MAX);
		FAKE_EXPECT_STS(test, fake_bio_wait(test, fb[i]), BLK_STS_OK);
		starve(r, false);
	}
	expect_below(test, r, 0, want, SZ_32K);
	expect_same(test, got, want, SZ_512K);
}

/* Threads with areas of their own, with and without memory. */
#define CROWD		4
#define CROWD_BYTES	SZ_256K

struct crowd {
	struct kunit *test;
	struct rig *r;
	void *bufs[CROWD];
	atomic_t wrong;
};

static blk_status_t crowd_rw(struct crowd *crowd, blk_opf_t opf, sector_t sector,
			     void *buf, unsigned int bytes)
{
	return fake_rw(crowd->test, crowd->r->disk, opf, sector, buf, bytes);
}

static void crowd_run(void *context, unsigned int index)
{
	struct crowd *crowd = context;
	const sector_t base = index * (2 * CROWD_BYTES >> SECTOR_SHIFT);
	u8 *want = crowd->bufs[index], *got = want + CROWD_BYTES;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 0xc0ffee + index);
	for (i = 0; i < 24; i++) {
		unsigned int bytes = (1 + prandom_u32_state(&rnd) % 511) * SECTOR_SIZE;
		sector_t sector = base + prandom_u32_state(&rnd) % 512;
		blk_opf_t flags = i & 1 ? STRATA_REQ_GUEST : 0;

		fake_pattern(want, bytes, sector, i + 1);
		if (crowd_rw(crowd, REQ_OP_WRITE, sector, want, bytes) ||
		    crowd_rw(crowd, REQ_OP_READ | flags, sector, got, bytes) ||
		    memcmp(got, want, bytes))
			atomic_inc(&crowd->wrong);
	}
}

static void crowds(struct kunit *test)
{
	static const enum fake_when whens[] = { FAKE_WORKER, FAKE_SOFTIRQ,
						FAKE_HARDIRQ };
	struct crowd crowd = { .test = test };
	unsigned int i;

	crowd.r = rig_new(test, &(struct rig_config){});
	for (i = 0; i < CROWD; i++) {
		crowd.bufs[i] = kunit_kmalloc(test, 2 * CROWD_BYTES, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, crowd.bufs[i]);
	}
	for (i = 0; i < ARRAY_SIZE(whens); i++) {
		fake_disk_ends(crowd.r->fake, whens[i], 100);
		starve(crowd.r, i & 1);
		KUNIT_EXPECT_TRUE(test, fake_threads_wait(fake_threads_start(test, CROWD,
									     crowd_run,
									     &crowd)));
	}
	starve(crowd.r, false);
	KUNIT_EXPECT_EQ(test, atomic_read(&crowd.wrong), 0);
}

/* Errors keep their class, and a failing cipher lets nothing out. */
static void errors(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){});
	void *buf = vmalloc(SZ_2M);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	fake_pattern(buf, SZ_2M, 0, 1);
	fake_disk_fail(r->fake, &(struct fake_error){ .op = REQ_OP_LAST,
		       .sector = 3000, .nr = 1, .status = BLK_STS_MEDIUM, .times = 3 });
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE, 0, buf, SZ_2M),
			BLK_STS_MEDIUM);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ, 2999, buf, SZ_4K),
			BLK_STS_MEDIUM);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ | STRATA_REQ_GUEST,
				      0, buf, SZ_2M), BLK_STS_MEDIUM);
	fake_disk_fail_none(r->fake);

	fake_disk_forget(r->fake);
	crypto_skcipher_set_flags(r->c->tfm, CRYPTO_TFM_NEED_KEY);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_WRITE, 0, buf, SZ_2M),
			BLK_STS_IOERR);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_LAST), 0);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ, 0, buf, SZ_4K),
			BLK_STS_IOERR);
	crypto_skcipher_clear_flags(r->c->tfm, CRYPTO_TFM_NEED_KEY);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ, 0, buf, SZ_4K),
			BLK_STS_OK);
	vfree(buf);
}

/* What is not data goes on as it is; zeroes are data. */
static void other_ops(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){ .unmap = STRATA_UNMAP_ZEROES });
	void *buf = fake_buffer(test, SZ_16K, 0, 1), *zeroes = fake_buffer(test, SZ_16K, 0, 0);

	KUNIT_EXPECT_EQ(test, r->disk->unmap, STRATA_UNMAP_UNSPECIFIED);
	FAKE_EXPECT_STS(test, fake_flush(test, r->disk), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, r->disk, REQ_OP_DISCARD, 8, 16),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_FLUSH), 1);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_DISCARD), 1);
	KUNIT_EXPECT_EQ(test, r->fake->log[1].sector, 8);
	KUNIT_EXPECT_EQ(test, r->fake->log[1].nr, 16);

	FAKE_EXPECT_STS(test, fake_range(test, r->disk, REQ_OP_WRITE_ZEROES, 8, 32),
			BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, fake_disk_count(r->fake, REQ_OP_WRITE_ZEROES), 0);
	expect_below(test, r, 8, zeroes, SZ_16K);
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ, 8, buf, SZ_16K),
			BLK_STS_OK);
	expect_same(test, buf, zeroes, SZ_16K);

	/* Noise, since nothing was ever enciphered there. */
	FAKE_EXPECT_STS(test, fake_rw(test, r->disk, REQ_OP_READ, 1000, buf, SZ_4K),
			BLK_STS_OK);
	KUNIT_EXPECT_FALSE(test, mem_is_zero(buf, SECTOR_SIZE));
}

static void metadata(struct kunit *test)
{
	struct rig *r = rig_new(test, &(struct rig_config){ .lba = SZ_4K });

	KUNIT_EXPECT_EQ(test, r->disk->limits.dma_alignment, SZ_4K - 1);
	KUNIT_EXPECT_EQ(test, r->disk->limits.max_write_zeroes_sectors, 0);
	KUNIT_EXPECT_EQ(test, r->disk->unmap, STRATA_UNMAP_IGNORED);
	KUNIT_EXPECT_FALSE(test, r->disk->read_only);
	r = rig_new(test, &(struct rig_config){ .read_only = true });
	KUNIT_EXPECT_EQ(test, r->disk->limits.dma_alignment, SECTOR_SIZE - 1);
	KUNIT_EXPECT_TRUE(test, r->disk->read_only);
}

static void conformance(struct kunit *test)
{
	static const struct rig_config configs[] = {
		{}, { .lba = SZ_4K }, { .read_only = true },
		{ .unmap = STRATA_UNMAP_UNSPECIFIED }, { .alg = ALG_GENERIC },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(configs); i++)
		strata_conformance_range(test, rig_new(test, &configs[i])->disk);
}

static struct kunit_case crypt_cases[] = {
	KUNIT_CASE_SLOW(vectors),
	KUNIT_CASE(metadata),
	KUNIT_CASE(shapes),
	KUNIT_CASE(one_piece),
	KUNIT_CASE(parts),
	KUNIT_CASE(callers_memory),
	KUNIT_CASE_SLOW(large),
	KUNIT_CASE(contexts),
	KUNIT_CASE_SLOW(late_cipher),
	KUNIT_CASE_SLOW(without_memory),
	KUNIT_CASE(in_submit_bio),
	KUNIT_CASE_SLOW(crowds),
	KUNIT_CASE(errors),
	KUNIT_CASE(other_ops),
	KUNIT_CASE(conformance),
	{}
};

static struct kunit_suite crypt_suite = {
	.name = "strata_crypt",
	.test_cases = crypt_cases,
};

kunit_test_suite(crypt_suite);

MODULE_DESCRIPTION("strata: KUnit suite of the encrypted disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
