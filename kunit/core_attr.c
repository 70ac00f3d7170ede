// SPDX-License-Identifier: GPL-2.0
/* Attribute values: what is taken, what is refused, and what is shown. */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/string.h>
#include <strata/desc.h>
#include <strata/type.h>

struct fake_desc {
	struct strata_desc desc;
	char *path;
	bool direct;
	u32 number;
	u64 size;
	u64 live;
	int changes;
	int refusal;
};

static int live_changed(struct fake_desc *fake)
{
	fake->changes++;
	return fake->refusal;
}

STRATA_ATTR(fake, struct fake_desc, path, str);
STRATA_ATTR(fake, struct fake_desc, direct, bool);
STRATA_ATTR(fake, struct fake_desc, number, u32);
STRATA_ATTR(fake, struct fake_desc, size, u64);
STRATA_ATTR_LIVE(fake, struct fake_desc, live, u64, live_changed);

static struct configfs_attribute *attrs[] = {
	&fake_attr_path,
	&fake_attr_direct,
	&fake_attr_number,
	&fake_attr_size,
	&fake_attr_live,
	NULL
};

static const struct config_item_type item_type = {
	.ct_owner = THIS_MODULE,
	.ct_attrs = attrs,
};

static void free_path(void *data)
{
	struct fake_desc *fake = data;

	kfree(fake->path);
}

/* A description that is in no tree. */
static struct fake_desc *desc_new(struct kunit *test)
{
	struct fake_desc *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	spin_lock_init(&fake->desc.error_lock);
	config_group_init_type_name(&fake->desc.group, "fake.one", &item_type);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_path, fake), 0);
	return fake;
}

static struct config_item *item(struct fake_desc *fake)
{
	return &fake->desc.group.cg_item;
}

/* A page, as configfs gives it to show and store. */
static char *page_new(struct kunit *test)
{
	void *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, offset_in_page(page), 0);
	return page;
}

/* Texts go with their length, since a NUL may be in them. */
#define PARSE(_kind, _fake, _text, _value) \
	strata_parse_##_kind(&(_fake)->desc, _text, sizeof(_text) - 1, _value)
#define STORE(_name, _fake, _text) \
	fake_##_name##_store(item(_fake), _text, sizeof(_text) - 1)
#define TAKEN(_text, _value) { _text, sizeof(_text) - 1, 0, _value }
#define REFUSED(_text) { _text, sizeof(_text) - 1, -EINVAL }

struct number {
	const char *text;
	size_t len;
	int err;
	u64 value;
};

static const struct number numbers[] = {
	TAKEN("0", 0),
	TAKEN("0\n", 0),
	TAKEN("512", 512),
	TAKEN("512\n", 512),
	TAKEN("1k", 1 << 10),
	TAKEN("1K\n", 1 << 10),
	TAKEN("3M", 3 << 20),
	TAKEN("3m", 3 << 20),
	TAKEN("2G", 2ULL << 30),
	TAKEN("1T\n", 1ULL << 40),
	TAKEN("0T", 0),
	TAKEN("0x200", 512),
	TAKEN("0X1f", 31),
	TAKEN("0x10K", 16 << 10),
	TAKEN("18446744073709551615", U64_MAX),
	TAKEN("0xffffffffffffffff", U64_MAX),
	TAKEN("16777215T", 16777215ULL << 40),
	TAKEN("18014398509481983K", 18014398509481983ULL << 10),

	REFUSED(""),
	REFUSED("\n"),
	REFUSED("\n\n"),
	REFUSED(" "),
	REFUSED("K"),
	REFUSED("K\n"),
	REFUSED("-1"),
	REFUSED("-0"),
	REFUSED("+1"),
	REFUSED(" 1"),
	REFUSED("1 "),
	REFUSED("1 K"),
	REFUSED("1\n\n"),
	REFUSED("1\n2"),
	REFUSED("1\t"),
	REFUSED("1\0"),
	REFUSED("1\0x"),
	REFUSED("\0"),
	REFUSED("1KK"),
	REFUSED("1KB"),
	REFUSED("1KiB"),
	REFUSED("1P"),
	REFUSED("1e3"),
	REFUSED("1.5"),
	REFUSED("1.5G"),
	REFUSED("1,000"),
	REFUSED("ff"),
	REFUSED("0x"),
	REFUSED("0xg"),
	REFUSED("x10"),
	REFUSED("08"),
	REFUSED("one"),
	REFUSED("\xff"),
	REFUSED("1\xff"),
	REFUSED("18446744073709551616"),
	REFUSED("99999999999999999999999"),
	REFUSED("0x10000000000000000"),
	REFUSED("16777216T"),
	REFUSED("18446744073709551615K"),
	REFUSED("18014398509481984K"),
	REFUSED("0000000000000000000000000000000000000001"),
};

/* What is refused changes nothing and is explained. */
static void expect_refused(struct kunit *test, struct fake_desc *fake, int err,
			   const struct number *n)
{
	KUNIT_EXPECT_LT_MSG(test, err, 0, "'%s' is taken", n->text);
	KUNIT_EXPECT_TRUE_MSG(test, err == n->err || err == -ERANGE, "'%s': %d", n->text,
			      err);
	KUNIT_EXPECT_GT(test, strlen(fake->desc.error), 0);
	fake->desc.error[0] = '\0';
}

static void u64_values(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		const struct number *n = &numbers[i];
		u64 value = 42;
		int err = strata_parse_u64(&fake->desc, n->text, n->len, &value);

		if (n->err)
			expect_refused(test, fake, err, n);
		else
			KUNIT_EXPECT_EQ_MSG(test, err, 0, "'%s'", n->text);
		KUNIT_EXPECT_EQ_MSG(test, value, n->err ? 42 : n->value, "'%s'", n->text);
	}
}

static void u32_values(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		const struct number *n = &numbers[i];
		bool fits = !n->err && n->value <= U32_MAX;
		u32 value = 42;
		int err = strata_parse_u32(&fake->desc, n->text, n->len, &value);

		if (!fits)
			expect_refused(test, fake, err, n);
		else
			KUNIT_EXPECT_EQ_MSG(test, err, 0, "'%s'", n->text);
		KUNIT_EXPECT_EQ_MSG(test, value, fits ? n->value : 42, "'%s'", n->text);
	}
}

static void u32_limit(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);
	u32 value = 0;

	KUNIT_EXPECT_EQ(test, PARSE(u32, fake, "4294967295", &value), 0);
	KUNIT_EXPECT_EQ(test, value, U32_MAX);
	KUNIT_EXPECT_LT(test, PARSE(u32, fake, "4294967296", &value), 0);
	KUNIT_EXPECT_LT(test, PARSE(u32, fake, "4G", &value), 0);
	KUNIT_EXPECT_LT(test, PARSE(u32, fake, "1T", &value), 0);
	KUNIT_EXPECT_EQ(test, value, U32_MAX);
}

static void bool_values(struct kunit *test)
{
	static const struct number values[] = {
		TAKEN("0", 0), TAKEN("1", 1),
		TAKEN("0\n", 0), TAKEN("1\n", 1),
		REFUSED(""), REFUSED("\n"),
		REFUSED("2"), REFUSED("01"),
		REFUSED("10"), REFUSED("-1"),
		REFUSED(" 1"), REFUSED("1 "),
		REFUSED("y"), REFUSED("true"),
		REFUSED("1\0"), REFUSED("1\n\n"),
		REFUSED("\0"), REFUSED("\xb1"),
	};
	struct fake_desc *fake = desc_new(test);
	unsigned int i, before;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		for (before = 0; before < 2; before++) {
			const struct number *n = &values[i];
			bool value = before;
			int err = strata_parse_bool(&fake->desc, n->text, n->len, &value);

			if (n->err)
				expect_refused(test, fake, err, n);
			else
				KUNIT_EXPECT_EQ(test, err, 0);
			KUNIT_EXPECT_EQ(test, value, n->err ? before : n->value);
		}
}

static void str_values(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);

	KUNIT_EXPECT_EQ(test, PARSE(str, fake, "/dev/loop0\n", &fake->path), 0);
	KUNIT_EXPECT_STREQ(test, fake->path, "/dev/loop0");
	KUNIT_EXPECT_EQ(test, PARSE(str, fake, " a b\t", &fake->path), 0);
	KUNIT_EXPECT_STREQ(test, fake->path, " a b\t");

	KUNIT_EXPECT_EQ(test, PARSE(str, fake, "a\nb", &fake->path), -EINVAL);
	KUNIT_EXPECT_EQ(test, PARSE(str, fake, "a\n\n", &fake->path), -EINVAL);
	KUNIT_EXPECT_EQ(test, PARSE(str, fake, "a\0b", &fake->path), -EINVAL);
	KUNIT_EXPECT_EQ(test, PARSE(str, fake, "\0", &fake->path), -EINVAL);
	KUNIT_EXPECT_STREQ(test, fake->path, " a b\t");
	KUNIT_EXPECT_GT(test, strlen(fake->desc.error), 0);

	KUNIT_EXPECT_EQ(test, PARSE(str, fake, "", &fake->path), 0);
	KUNIT_EXPECT_STREQ(test, fake->path, "");
	KUNIT_EXPECT_EQ(test, PARSE(str, fake, "\n", &fake->path), 0);
	KUNIT_EXPECT_STREQ(test, fake->path, "");
}

/* configfs cuts at a page, so what fills one may have lost its end. */
static void too_long(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);
	char *page = page_new(test);
	u64 value = 42;
	bool on = true;

	memset(page, '1', PAGE_SIZE - 1);
	KUNIT_EXPECT_LT(test, strata_parse_str(&fake->desc, page, PAGE_SIZE - 1,
					       &fake->path), 0);
	KUNIT_EXPECT_LT(test, strata_parse_u64(&fake->desc, page, PAGE_SIZE - 1, &value), 0);
	KUNIT_EXPECT_LT(test, strata_parse_bool(&fake->desc, page, PAGE_SIZE - 1, &on), 0);
	KUNIT_EXPECT_NULL(test, fake->path);
	KUNIT_EXPECT_EQ(test, value, 42);
	KUNIT_EXPECT_TRUE(test, on);
	KUNIT_EXPECT_EQ(test, strata_parse_str(&fake->desc, page, PAGE_SIZE - 2,
					       &fake->path), 0);
	KUNIT_EXPECT_EQ(test, strlen(fake->path), PAGE_SIZE - 2);
}

/* What is shown can be stored again and is the same. */
static void shows(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);
	char *page = page_new(test);

	KUNIT_EXPECT_EQ(test, fake_path_show(item(fake), page), 1);
	KUNIT_EXPECT_STREQ(test, page, "\n");
	KUNIT_EXPECT_EQ(test, STORE(path, fake, "/a b\n"), 5);
	KUNIT_EXPECT_EQ(test, fake_path_show(item(fake), page), 5);
	KUNIT_EXPECT_STREQ(test, page, "/a b\n");

	KUNIT_EXPECT_EQ(test, fake_direct_show(item(fake), page), 2);
	KUNIT_EXPECT_STREQ(test, page, "0\n");
	KUNIT_EXPECT_EQ(test, STORE(direct, fake, "1"), 1);
	fake_direct_show(item(fake), page);
	KUNIT_EXPECT_STREQ(test, page, "1\n");

	KUNIT_EXPECT_EQ(test, STORE(number, fake, "4K"), 2);
	fake_number_show(item(fake), page);
	KUNIT_EXPECT_STREQ(test, page, "4096\n");

	KUNIT_EXPECT_EQ(test, STORE(size, fake, "0xffffffffffffffff"), 18);
	fake_size_show(item(fake), page);
	KUNIT_EXPECT_STREQ(test, page, "18446744073709551615\n");
}

/* A longest value, and one line of it. */
static void shows_long(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);
	char *in = page_new(test), *out = page_new(test);

	memset(in, 'p', PAGE_SIZE - 2);
	KUNIT_EXPECT_EQ(test, fake_path_store(item(fake), in, PAGE_SIZE - 2), PAGE_SIZE - 2);
	KUNIT_EXPECT_EQ(test, fake_path_show(item(fake), out), PAGE_SIZE - 1);
	KUNIT_EXPECT_MEMEQ(test, in, out, PAGE_SIZE - 2);
	KUNIT_EXPECT_EQ(test, out[PAGE_SIZE - 2], '\n');
}

/* What defines the object cannot be changed under it. */
static void refused_while_live(struct kunit *test)
{
	static const enum strata_state states[] = { STRATA_BUSY, STRATA_LIVE };
	struct fake_desc *fake = desc_new(test);
	unsigned int i;

	fake->number = 7;
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		fake->desc.state = states[i];
		fake->desc.error[0] = '\0';
		KUNIT_EXPECT_EQ(test, STORE(path, fake, "x"), -EBUSY);
		KUNIT_EXPECT_NOT_NULL(test, strstr(fake->desc.error, "fake.one"));
		KUNIT_EXPECT_EQ(test, STORE(number, fake, "8"), -EBUSY);
		KUNIT_EXPECT_EQ(test, STORE(size, fake, "bad"), -EBUSY);
	}
	KUNIT_EXPECT_NULL(test, fake->path);
	KUNIT_EXPECT_EQ(test, fake->number, 7);

	fake->desc.state = STRATA_IDLE;
	KUNIT_EXPECT_EQ(test, STORE(number, fake, "8"), 1);
	KUNIT_EXPECT_STREQ(test, fake->desc.error, "");
	KUNIT_EXPECT_EQ(test, STORE(number, fake, "bad"), -EINVAL);
	KUNIT_EXPECT_GT(test, strlen(fake->desc.error), 0);
}

/* One that is live tells its type, whose word is the last. */
static void live(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);

	fake->desc.state = STRATA_LIVE;
	KUNIT_EXPECT_EQ(test, STORE(live, fake, "5"), 1);
	KUNIT_EXPECT_EQ(test, fake->live, 5);
	KUNIT_EXPECT_EQ(test, fake->changes, 1);
	KUNIT_EXPECT_EQ(test, STORE(live, fake, "five"), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake->changes, 1);
	fake->refusal = -ENOSPC;
	KUNIT_EXPECT_EQ(test, STORE(live, fake, "6"), -ENOSPC);
	KUNIT_EXPECT_EQ(test, fake->changes, 2);
	fake->refusal = 0;
	fake->desc.state = STRATA_BUSY;
	KUNIT_EXPECT_EQ(test, STORE(live, fake, "7"), -EBUSY);
	KUNIT_EXPECT_EQ(test, fake->changes, 2);
}

/* Words are cut to their buffer, and never more than one error's. */
static void words(struct kunit *test)
{
	struct fake_desc *fake = desc_new(test);
	char *page = page_new(test);

	memset(page, 'e', PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, strata_fail(&fake->desc, -EIO, "%s", page), -EIO);
	KUNIT_EXPECT_EQ(test, strlen(fake->desc.error), STRATA_ERROR_SIZE - 1);
	KUNIT_EXPECT_EQ(test, strata_fail(&fake->desc, -ENOENT, "%d", 5), -ENOENT);
	KUNIT_EXPECT_STREQ(test, fake->desc.error, "5");
	KUNIT_EXPECT_EQ(test, strata_fail_path(&fake->desc, -ENOENT, "/a/b"), -ENOENT);
	KUNIT_EXPECT_NOT_NULL(test, strstr(fake->desc.error, "/a/b"));
	KUNIT_EXPECT_EQ(test, strata_fail_path(&fake->desc, -EUCLEAN, page), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, strlen(fake->desc.error), STRATA_ERROR_SIZE - 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(u64_values),
	KUNIT_CASE(u32_values),
	KUNIT_CASE(u32_limit),
	KUNIT_CASE(bool_values),
	KUNIT_CASE(str_values),
	KUNIT_CASE(too_long),
	KUNIT_CASE(shows),
	KUNIT_CASE(shows_long),
	KUNIT_CASE(refused_while_live),
	KUNIT_CASE(live),
	KUNIT_CASE(words),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-attr",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of attribute values");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
