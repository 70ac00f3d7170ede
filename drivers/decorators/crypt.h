/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_CRYPT_H
#define STRATA_CRYPT_H
/* The encrypted disk: what its files share. */
#include <crypto/skcipher.h>
#include <linux/mempool.h>
#include <linux/scatterlist.h>
#include <linux/workqueue.h>
#include <strata/desc.h>
#include <strata/submit.h>

#define CRYPT_KEY_SIZE	64	/* XTS-AES-256: data key, tweak key */

/* The one cipher, as configfs calls it and as the crypto API does. */
#define CRYPT_CIPHER	"xts-aes-256"
#define CRYPT_ALG	"xts(aes)"

/* crypt_key.c */

/**
 * struct crypt_key - a key as it was described
 * @raw: the key, when @set
 * @set: @raw is there
 * @name: description of a logon key in the writer's keyrings, or NULL
 */
struct crypt_key {
	u8 raw[CRYPT_KEY_SIZE];
	bool set;
	char *name;
};

int crypt_key_parse(struct crypt_key *key, const char *text, size_t len,
		    struct strata_desc *desc);
int crypt_key_copy(struct crypt_key *key, const u8 *raw, size_t len,
		   struct strata_desc *desc);
int crypt_key_get(const struct crypt_key *key, u8 raw[CRYPT_KEY_SIZE],
		  struct strata_desc *desc);
void crypt_key_wipe(struct crypt_key *key);

/**
 * struct crypt - a live encrypted disk
 * @tfm: the cipher, with its key
 * @below: where the ciphertext is
 * @pages: for ciphertext that has no place in the caller's memory
 * @unit: bytes in a data unit, which is a logical block
 * @unit_shift: log2 of the sectors in one
 */
struct crypt {
	struct crypto_skcipher *tfm;
	struct strata_disk *below;
	mempool_t pages;
	unsigned int unit;
	unsigned int unit_shift;
};

/* Room for what an implementation of the cipher keeps for a request */
#define CRYPT_REQUEST_SIZE (sizeof(struct skcipher_request) + 384)

/**
 * struct crypt_io - a bio on its way through the cipher; the front pad of our
 *	sub-bios
 * @work: goes on where that cannot be done in place
 * @encrypt: else decrypt
 * @error: of a request that ended later
 * @done: bytes given to the cipher
 * @from: the bio whose data it takes: the caller's, or the sub-bio
 * @from_iter: the part of it; its sectors make the tweaks
 * @to: the bio that gets the result; @from when it is done in place
 * @to_iter: the part of it. Where the sub-bio's data is to be copied to the
 *	caller's, the part of that
 * @src: the data unit in @from
 * @dst: the data unit in @to, if that is another
 * @tweak: its number
 * @request: struct skcipher_request
 * @sub: must stay last
 */
struct crypt_io {
	struct work_struct work;
	bool encrypt;
	int error;
	unsigned int done;
	struct bio *from;
	struct bvec_iter from_iter;
	struct bio *to;
	struct bvec_iter to_iter;
	struct scatterlist src;
	struct scatterlist dst;
	__le64 tweak[2];
	u8 request[CRYPT_REQUEST_SIZE] CRYPTO_MINALIGN_ATTR;
	struct strata_sub sub;
};

extern const struct strata_disk_ops crypt_disk_ops;

/* crypt_disk.c */
struct crypt *crypt_new(const char *alg, const u8 raw[CRYPT_KEY_SIZE]);
void crypt_free(struct crypt *c);
int crypt_attach(struct crypt *c, struct strata_disk *disk,
		 struct strata_disk *below);

/* crypt_io.c */
enum strata_map crypt_map(struct strata_ctx *ctx, struct strata_disk *disk,
			  struct bio *bio);
int crypt_io_init(void);
void crypt_io_exit(void);

#endif /* STRATA_CRYPT_H */
