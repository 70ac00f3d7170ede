// SPDX-License-Identifier: GPL-2.0
/*
 * The identity of a layered disk that is not the disk below it: the name-based
 * UUID of RFC 9562, version 5, of the lower id and the upper disk's name.
 */
#include <crypto/sha1.h>
#include <linux/export.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <strata/handle.h>
#include "layered.h"

/*
 * SHA-1 in one go, of the @len bytes in @buf, which has room for the padding.
 * Nothing secret is hashed.
 */
static void sha1_of(u8 *buf, size_t len, u8 digest[SHA1_DIGEST_SIZE])
{
	u32 state[SHA1_DIGEST_WORDS], workspace[SHA1_WORKSPACE_WORDS];
	size_t padded = round_up(len + 1 + sizeof(u64), SHA1_BLOCK_SIZE), i;

	memset(buf + len, 0, padded - len);
	buf[len] = 0x80;
	put_unaligned_be64((u64)len * 8, buf + padded - sizeof(u64));

	sha1_init(state);
	for (i = 0; i < padded; i += SHA1_BLOCK_SIZE)
		sha1_transform(state, buf + i, workspace);
	for (i = 0; i < SHA1_DIGEST_WORDS; i++)
		put_unaligned_be32(state[i], digest + i * sizeof(u32));
}

/**
 * layered_derive_id() - make an id
 * @base: the id of the disk below
 * @name: the upper disk's name
 * @id: the result
 */
void layered_derive_id(const u8 base[16], const char *name, u8 id[16])
{
	u8 buf[16 + NAME_MAX + 2 * SHA1_BLOCK_SIZE], digest[SHA1_DIGEST_SIZE];
	size_t len = strnlen(name, NAME_MAX);

	memcpy(buf, base, 16);
	memcpy(buf + 16, name, len);
	sha1_of(buf, 16 + len, digest);
	memcpy(id, digest, 16);
	id[6] = (id[6] & 0x0f) | 0x50;
	id[8] = (id[8] & 0x3f) | 0x80;
}
EXPORT_SYMBOL_NS_GPL(layered_derive_id, STRATA);
