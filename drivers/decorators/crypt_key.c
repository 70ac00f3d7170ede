// SPDX-License-Identifier: GPL-2.0
/*
 * crypt: keys. They come as text, as bytes, or from the writer's keyrings, and
 * no word about a failure repeats any of one.
 */
#include <crypto/algapi.h>
#include <keys/user-type.h>
#include <linux/export.h>
#include <linux/hex.h>
#include <linux/key.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crypt.h"

#define KEYRING_PREFIX ":64:logon:"

/**
 * crypt_key_wipe() - forget a key
 * @key: the key
 */
void crypt_key_wipe(struct crypt_key *key)
{
	kfree(key->name);
	memzero_explicit(key, sizeof(*key));
}
EXPORT_SYMBOL_NS_GPL(crypt_key_wipe, STRATA);

/* With two halves the same XTS tells which blocks are alike. */
static int check_key(const u8 *raw, size_t len, struct strata_desc *desc)
{
	const size_t half = CRYPT_KEY_SIZE / 2;

	if (len != CRYPT_KEY_SIZE)
		return strata_fail(desc, -EINVAL,
				   "the key has %zu bytes; " CRYPT_CIPHER " takes %d",
				   len, CRYPT_KEY_SIZE);
	if (!crypto_memneq(raw, raw + half, half))
		return strata_fail(desc, -EINVAL,
				   "the two halves of the key are the same; they must differ");
	return 0;
}

/**
 * crypt_key_copy() - take a key as bytes
 * @key: replaced on success
 * @raw: the bytes
 * @len: how many
 * @desc: takes the words of a failure
 *
 * Return: 0 or -EINVAL.
 */
int crypt_key_copy(struct crypt_key *key, const u8 *raw, size_t len,
		   struct strata_desc *desc)
{
	int err = check_key(raw, len, desc);

	if (err)
		return err;
	crypt_key_wipe(key);
	memcpy(key->raw, raw, CRYPT_KEY_SIZE);
	key->set = true;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(crypt_key_copy, STRATA);

static int parse_hex(struct crypt_key *key, const char *text, size_t len,
		     struct strata_desc *desc)
{
	u8 raw[CRYPT_KEY_SIZE];
	int err;

	if (len != 2 * CRYPT_KEY_SIZE)
		return strata_fail(desc, -EINVAL,
				   "the key is %d hexadecimal digits or %s<description>, not %zu characters",
				   2 * CRYPT_KEY_SIZE, KEYRING_PREFIX, len);
	if (hex2bin(raw, text, CRYPT_KEY_SIZE))
		err = strata_fail(desc, -EINVAL,
				  "the key has a character that is no hexadecimal digit");
	else
		err = crypt_key_copy(key, raw, CRYPT_KEY_SIZE, desc);
	memzero_explicit(raw, sizeof(raw));
	return err;
}

/* Only the name is taken here: the key is fetched when it is needed. */
static int parse_keyring(struct crypt_key *key, const char *text, size_t len,
			 struct strata_desc *desc)
{
	const size_t prefix = strlen(KEYRING_PREFIX);
	char *name;

	if (len <= prefix || strncmp(text, KEYRING_PREFIX, prefix))
		return strata_fail(desc, -EINVAL,
				   "a key of the kernel's is named %s<description>",
				   KEYRING_PREFIX);
	if (memchr(text, '\0', len) || memchr(text, '\n', len))
		return strata_fail(desc, -EINVAL, "a name is one line of text");
	name = kmemdup_nul(text + prefix, len - prefix, GFP_KERNEL);
	if (!name)
		return strata_fail(desc, -ENOMEM, "out of memory");
	crypt_key_wipe(key);
	key->name = name;
	return 0;
}

/**
 * crypt_key_parse() - take a key as text
 * @key: replaced on success
 * @text: 128 hexadecimal digits, or ":64:logon:" and the description of a key;
 *	nothing forgets the key. A newline at the end is not part of it
 * @len: its length
 * @desc: takes the words of a failure
 *
 * Context: process context.
 * Return: 0, -EINVAL or -ENOMEM.
 */
int crypt_key_parse(struct crypt_key *key, const char *text, size_t len,
		    struct strata_desc *desc)
{
	if (len && text[len - 1] == '\n')
		len--;
	if (!len) {
		crypt_key_wipe(key);
		return 0;
	}
	if (text[0] == ':')
		return parse_keyring(key, text, len, desc);
	return parse_hex(key, text, len, desc);
}
EXPORT_SYMBOL_NS_GPL(crypt_key_parse, STRATA);

static int fail_keyring(struct strata_desc *desc, int err, const char *name)
{
	switch (err) {
	case -ENOKEY:
		return strata_fail(desc, err,
				   "your keyrings have no logon key %s, or it has expired",
				   name);
	case -EKEYREVOKED:
		return strata_fail(desc, err, "the logon key %s is revoked",
				   name);
	case -EACCES:
		return strata_fail(desc, err, "the logon key %s: permission denied",
				   name);
	default:
		return strata_fail(desc, err,
				   "the logon key %s cannot be had: error %d",
				   name, -err);
	}
}

static int get_payload(struct key *key, const char *name,
		       u8 raw[CRYPT_KEY_SIZE], struct strata_desc *desc)
{
	const struct user_key_payload *payload;
	int err;

	down_read(&key->sem);
	payload = user_key_payload_locked(key);
	if (!payload) {
		err = fail_keyring(desc, -EKEYREVOKED, name);
	} else {
		err = check_key(payload->data, payload->datalen, desc);
		if (!err)
			memcpy(raw, payload->data, CRYPT_KEY_SIZE);
	}
	up_read(&key->sem);
	return err;
}

/**
 * crypt_key_get() - have the key itself
 * @key: as described
 * @raw: filled in; the caller wipes it
 * @desc: takes the words of a failure
 *
 * Context: process context, of who wrote `enable`: the keyrings are his.
 * Return: 0; -ENOKEY, -EKEYREVOKED, -EACCES or -EINVAL.
 */
int crypt_key_get(const struct crypt_key *key, u8 raw[CRYPT_KEY_SIZE],
		  struct strata_desc *desc)
{
	struct key *found;
	int err;

	if (key->set) {
		memcpy(raw, key->raw, CRYPT_KEY_SIZE);
		return 0;
	}
	if (!key->name)
		return strata_fail(desc, -ENOKEY,
				   "there is no key; write key or key_raw");
	found = request_key(&key_type_logon, key->name, NULL);
	if (IS_ERR(found))
		return fail_keyring(desc, PTR_ERR(found), key->name);
	err = get_payload(found, key->name, raw, desc);
	key_put(found);
	return err;
}
EXPORT_SYMBOL_NS_GPL(crypt_key_get, STRATA);
