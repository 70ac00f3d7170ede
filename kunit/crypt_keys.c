// SPDX-License-Identifier: GPL-2.0
/* The encrypted disk: keys, and ciphers that do not take them. */
#include <kunit/test.h>
#include <linux/hex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "../drivers/decorators/crypt.h"

struct key_case {
	const char *text;
	int err;
	const char *words;
};

#define HALF	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER	"0123456789abcdef0123456789abcdef0123456789abcdefFEDCBA9876543210"
#define WRONG	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg"

static const struct key_case key_cases[] = {
	{ OTHER HALF, 0 },
	{ HALF OTHER "\n", 0 },
	{ ":64:logon:a:b", 0 },
	{ ":64:logon:a\n", 0 },
	{ HALF HALF, -EINVAL, "two halves" },
	{ HALF OTHER "0", -EINVAL, "128 hexadecimal digits" },
	{ OTHER HALF "\n\n", -EINVAL, "128 hexadecimal digits" },
	{ HALF, -EINVAL, "128 hexadecimal digits" },
	{ "x", -EINVAL, "128 hexadecimal digits" },
	{ OTHER WRONG, -EINVAL, "no hexadecimal digit" },
	{ ":", -EINVAL, ":64:logon:" },
	{ ":64:logon:", -EINVAL, ":64:logon:" },
	{ ":64:user:a", -EINVAL, ":64:logon:" },
	{ ":32:logon:a", -EINVAL, ":64:logon:" },
	{ ":064:logon:a", -EINVAL, ":64:logon:" },
	{ ":64:logon:a\nb", -EINVAL, "one line" },
};

static struct strata_desc *words_desc(struct kunit *test)
{
	struct strata_desc *desc = kunit_kzalloc(test, sizeof(*desc), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, desc);
	spin_lock_init(&desc->error_lock);
	return desc;
}

static void keys(struct kunit *test)
{
	struct strata_desc *desc = words_desc(test);
	struct crypt_key key = {};
	u8 raw[CRYPT_KEY_SIZE], got[CRYPT_KEY_SIZE];
	unsigned int i;

	KUNIT_EXPECT_EQ(test, crypt_key_get(&key, got, desc), -ENOKEY);
	for (i = 0; i < ARRAY_SIZE(key_cases); i++) {
		const struct key_case *c = &key_cases[i];

		desc->error[0] = '\0';
		KUNIT_EXPECT_EQ_MSG(test, crypt_key_parse(&key, c->text, strlen(c->text),
							  desc), c->err, "case %u", i);
		if (c->words)
			KUNIT_EXPECT_TRUE_MSG(test, strstr(desc->error, c->words),
					      "case %u: %s", i, desc->error);
		KUNIT_EXPECT_NULL(test, strstr(desc->error, "89abcde"));
	}
	/* Those that were refused have left the last good one. */
	KUNIT_EXPECT_FALSE(test, key.set);
	KUNIT_EXPECT_STREQ(test, key.name, "a");

	KUNIT_EXPECT_EQ(test, crypt_key_parse(&key, OTHER HALF, 128, desc), 0);
	KUNIT_EXPECT_NULL(test, key.name);
	KUNIT_EXPECT_EQ(test, crypt_key_get(&key, got, desc), 0);
	KUNIT_EXPECT_EQ(test, hex2bin(raw, OTHER HALF, sizeof(raw)), 0);
	KUNIT_EXPECT_MEMEQ(test, got, raw, sizeof(raw));

	KUNIT_EXPECT_EQ(test, crypt_key_copy(&key, raw, 63, desc), -EINVAL);
	KUNIT_EXPECT_EQ(test, crypt_key_copy(&key, raw, 65, desc), -EINVAL);
	KUNIT_EXPECT_TRUE(test, key.set);
	KUNIT_EXPECT_EQ(test, crypt_key_parse(&key, "\n", 1, desc), 0);
	KUNIT_EXPECT_TRUE(test, mem_is_zero(&key, sizeof(key)));
	KUNIT_EXPECT_EQ(test, crypt_key_parse(&key, ":64:logon:strata:none", 21, desc), 0);
	KUNIT_EXPECT_EQ(test, crypt_key_get(&key, got, desc), -ENOKEY);
	KUNIT_EXPECT_NOT_NULL(test, strstr(desc->error, "strata:none"));
	crypt_key_wipe(&key);
}

static void ciphers(struct kunit *test)
{
	u8 raw[CRYPT_KEY_SIZE] = { 1 };
	struct crypt *c;

	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(crypt_new("none(aes)", raw)), -ENOENT);
	memset(raw, 7, sizeof(raw));
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(crypt_new(CRYPT_ALG, raw)), -EINVAL);
	raw[0] = 8;
	c = crypt_new(CRYPT_ALG, raw);
	KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(c), 0);
	kunit_info(test, "%s", crypto_skcipher_driver_name(c->tfm));
	crypt_free(c);
}

static struct kunit_case crypt_keys_cases[] = {
	KUNIT_CASE(keys),
	KUNIT_CASE_SLOW(ciphers),
	{}
};

static struct kunit_suite crypt_keys_suite = {
	.name = "strata_crypt_keys",
	.test_cases = crypt_keys_cases,
};

kunit_test_suite(crypt_keys_suite);
