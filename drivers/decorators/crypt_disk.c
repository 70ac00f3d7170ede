// SPDX-License-Identifier: GPL-2.0
/* crypt: the live disk, what it is to all others, and its cipher. */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <strata/disk.h>
#include "crypt.h"

/*
 * Pages that each disk keeps. One is enough to get on; these spare most writes
 * the page allocator, which zeroes what it gives.
 */
#define CRYPT_PAGES 32

static struct crypto_skcipher *make_cipher(const char *alg,
					   const u8 raw[CRYPT_KEY_SIZE])
{
	struct crypto_skcipher *tfm;
	int err;

	/* An implementation that allocates could wait for what we write. */
	tfm = crypto_alloc_skcipher(alg, 0, CRYPTO_ALG_ALLOCATES_MEMORY);
	if (IS_ERR(tfm))
		return tfm;
	crypto_skcipher_set_flags(tfm, CRYPTO_TFM_REQ_FORBID_WEAK_KEYS);
	err = crypto_skcipher_setkey(tfm, raw, CRYPT_KEY_SIZE);
	if (!err && sizeof(struct skcipher_request) +
		    crypto_skcipher_reqsize(tfm) > CRYPT_REQUEST_SIZE)
		err = -EOPNOTSUPP;
	if (!err)
		return tfm;
	crypto_free_skcipher(tfm);
	return ERR_PTR(err);
}

/**
 * crypt_new() - prepare a cipher
 * @alg: its name in the crypto API
 * @raw: the key; the caller wipes it
 *
 * Context: process context; may load modules.
 * Return: for crypt_free(), or an ERR_PTR: -ENOENT without such a cipher,
 * -EINVAL for a key it does not take, -ENOMEM.
 */
struct crypt *crypt_new(const char *alg, const u8 raw[CRYPT_KEY_SIZE])
{
	struct crypt *c = kzalloc(sizeof(*c), GFP_KERNEL);
	int err;

	if (!c)
		return ERR_PTR(-ENOMEM);
	c->tfm = make_cipher(alg, raw);
	err = PTR_ERR_OR_ZERO(c->tfm);
	if (err)
		goto free;
	err = mempool_init_page_pool(&c->pages, CRYPT_PAGES, 0);
	if (!err)
		return c;
	crypto_free_skcipher(c->tfm);
free:
	kfree(c);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_NS_GPL(crypt_new, STRATA);

/**
 * crypt_free() - undo crypt_new()
 * @c: no bio is in flight
 *
 * Context: process context.
 */
void crypt_free(struct crypt *c)
{
	mempool_exit(&c->pages);
	/* Wipes the key. */
	crypto_free_skcipher(c->tfm);
	kfree(c);
}
EXPORT_SYMBOL_NS_GPL(crypt_free, STRATA);

static void derive_limits(const struct crypt *c, struct strata_disk *disk)
{
	struct queue_limits *lim = &disk->limits;

	/* A data unit does not cross a page, nor two pieces of memory. */
	lim->dma_alignment = max(lim->dma_alignment, c->unit - 1);
	/* Zeroes below are noise above. */
	lim->max_write_zeroes_sectors = 0;
	/* What goes below is a copy, which nobody changes. */
	lim->features &= ~BLK_FEAT_STABLE_WRITES;
}

/**
 * crypt_attach() - complete a disk
 * @c: from crypt_new()
 * @disk: the disk; private, limits, unmap, id and read_only are filled in.
 *	crypt_disk_ops are its operations
 * @below: where the ciphertext is
 *
 * Context: process context.
 * Return: 0, or -EINVAL when the logical blocks are larger than a page.
 */
int crypt_attach(struct crypt *c, struct strata_disk *disk,
		 struct strata_disk *below)
{
	c->below = below;
	c->unit = below->limits.logical_block_size;
	c->unit_shift = ilog2(c->unit) - SECTOR_SHIFT;
	if (c->unit > PAGE_SIZE)
		return -EINVAL;

	disk->private = c;
	strata_disk_inherit(disk, below);
	derive_limits(c, disk);
	if (disk->unmap == STRATA_UNMAP_ZEROES)
		disk->unmap = STRATA_UNMAP_UNSPECIFIED;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(crypt_attach, STRATA);

const struct strata_disk_ops crypt_disk_ops = {
	.front_pad = offsetof(struct crypt_io, sub.bio),
	.single_target = true,
	.native_fua = true,
	.map = crypt_map,
};
EXPORT_SYMBOL_NS_GPL(crypt_disk_ops, STRATA);
