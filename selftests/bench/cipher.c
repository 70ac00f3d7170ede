// SPDX-License-Identifier: GPL-2.0
/*
 * xts(aes) alone, on a page in place: what of crypt's cost nobody can save. One
 * request serves all data units of the page, each with its tweak, as in crypt.
 */
#include <crypto/skcipher.h>
#include <linux/err.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include "bench.h"

/**
 * struct bench_cipher - a key and the one request that all I/O takes in turn
 * @tfm: keyed
 * @request: of @tfm
 * @unit: bytes of a data unit
 * @tweak: of the unit in hand
 */
struct bench_cipher {
	struct crypto_skcipher *tfm;
	struct skcipher_request *request;
	unsigned int unit;
	__le64 tweak[2];
};

static void cipher_submit(struct bench_io *io, sector_t sector)
{
	struct bench_cipher *cipher = io->run->target->cipher;
	struct skcipher_request *request = cipher->request;
	u64 unit = (sector << SECTOR_SHIFT) / cipher->unit;
	struct scatterlist sg;
	int err = 0;

	sg_init_table(&sg, 1);
	sg_set_page(&sg, io->page, cipher->unit, 0);
	skcipher_request_set_crypt(request, &sg, &sg, cipher->unit,
				   cipher->tweak);
	for (; sg.offset < BENCH_BLOCK_SIZE && !err; sg.offset += cipher->unit) {
		cipher->tweak[0] = cpu_to_le64(unit++);
		cipher->tweak[1] = 0;
		err = io->run->op == REQ_OP_READ ?
		      crypto_skcipher_decrypt(request) :
		      crypto_skcipher_encrypt(request);
	}
	bench_done(io->run, err ? BLK_STS_IOERR : BLK_STS_OK);
}

const struct bench_target_ops bench_cipher_ops = {
	.submit = cipher_submit,
};

static int cipher_key(struct bench_cipher *cipher)
{
	u8 key[64];

	/* Halves that are the same are refused. */
	get_random_bytes(key, sizeof(key));
	return crypto_skcipher_setkey(cipher->tfm, key, sizeof(key));
}

/**
 * bench_cipher_new() - xts(aes) with some key of 64 bytes
 * @unit: bytes of a data unit, a divisor of BENCH_BLOCK_SIZE
 *
 * Context: process context, sleeps.
 * Return: it, for bench_cipher_free(), or ERR_PTR(-EINVAL, -ENOMEM, -ENOENT).
 */
struct bench_cipher *bench_cipher_new(unsigned int unit)
{
	struct bench_cipher *cipher;
	int err;

	if (unit < 512 || BENCH_BLOCK_SIZE % unit)
		return ERR_PTR(-EINVAL);
	cipher = kzalloc(sizeof(*cipher), GFP_KERNEL);
	if (!cipher)
		return ERR_PTR(-ENOMEM);
	cipher->unit = unit;
	/* The one crypt gets. Where it can use the SIMD registers, it never ends later. */
	cipher->tfm = crypto_alloc_skcipher("xts(aes)", 0, 0);
	if (IS_ERR(cipher->tfm)) {
		err = PTR_ERR(cipher->tfm);
		cipher->tfm = NULL;
		goto free;
	}
	err = cipher_key(cipher);
	if (err)
		goto free;
	cipher->request = skcipher_request_alloc(cipher->tfm, GFP_KERNEL);
	err = cipher->request ? 0 : -ENOMEM;
	if (err)
		goto free;
	return cipher;

free:
	bench_cipher_free(cipher);
	return ERR_PTR(err);
}

/**
 * bench_cipher_free() - the end of it
 * @cipher: from bench_cipher_new(), or NULL
 */
void bench_cipher_free(struct bench_cipher *cipher)
{
	if (!cipher)
		return;
	skcipher_request_free(cipher->request);
	if (cipher->tfm)
		crypto_free_skcipher(cipher->tfm);
	kfree(cipher);
}
