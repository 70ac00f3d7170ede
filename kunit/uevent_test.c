// SPDX-License-Identifier: GPL-2.0
/* drivers/core/uevent.c: reading a uevent's keys. */
#include <kunit/test.h>
#include <linux/module.h>
#include "../drivers/core/uevent.h"

/* The literal's own NUL ends the last key. */
#define PARSE(event, text) strata_uevent_parse(event, text, sizeof(text))

static void resize(struct kunit *test)
{
	struct strata_uevent event;

	PARSE(&event, "change@/devices/virtual/block/loop0\0"
	      "ACTION=change\0DEVPATH=/devices/virtual/block/loop0\0"
	      "SUBSYSTEM=block\0RESIZE=1\0MAJOR=7\0MINOR=1048575\0"
	      "DEVNAME=loop0\0DEVTYPE=disk\0DISKSEQ=3\0SEQNUM=1000");
	KUNIT_EXPECT_TRUE(test, event.change);
	KUNIT_EXPECT_TRUE(test, event.block);
	KUNIT_EXPECT_TRUE(test, event.resize);
	KUNIT_EXPECT_FALSE(test, event.rescan);
	KUNIT_EXPECT_EQ(test, event.major, 7);
	KUNIT_EXPECT_EQ(test, event.minor, 1048575);
}

static void other_events(struct kunit *test)
{
	struct strata_uevent event;

	PARSE(&event, "add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0RESIZE=10");
	KUNIT_EXPECT_FALSE(test, event.change);
	KUNIT_EXPECT_TRUE(test, event.block);
	KUNIT_EXPECT_FALSE(test, event.resize);

	PARSE(&event, "change@/devices/x\0ACTION=change\0SUBSYSTEM=blocks\0"
	      "XRESIZE=1\0RESIZE=0\0RESIZE");
	KUNIT_EXPECT_TRUE(test, event.change);
	KUNIT_EXPECT_FALSE(test, event.block);
	KUNIT_EXPECT_FALSE(test, event.resize);
}

static void rescan(struct kunit *test)
{
	static const char *const yes[] = {
		"RESCAN=1", "RESCAN=true", "SYNTH_ARG_RESCAN=1",
		"SYNTH_ARG_RESCAN=true",
	};
	static const char *const no[] = {
		"RESCAN=0", "RESCAN=", "RESCAN", "SYNTH_ARG_RESCAN=10",
		"SYNTH_ARG_", "SYNTH_RESCAN=1",
	};
	struct strata_uevent event;
	int i;

	for (i = 0; i < ARRAY_SIZE(yes); i++) {
		strata_uevent_parse(&event, yes[i], strlen(yes[i]));
		KUNIT_EXPECT_TRUE_MSG(test, event.rescan, "%s", yes[i]);
	}
	for (i = 0; i < ARRAY_SIZE(no); i++) {
		strata_uevent_parse(&event, no[i], strlen(no[i]));
		KUNIT_EXPECT_FALSE_MSG(test, event.rescan, "%s", no[i]);
	}
}

static void odd_numbers(struct kunit *test)
{
	struct strata_uevent event;

	PARSE(&event, "MAJOR=\0MINOR=-1");
	KUNIT_EXPECT_EQ(test, event.major, 0);
	KUNIT_EXPECT_EQ(test, event.minor, 0);
	PARSE(&event, "MAJOR=99999999999999999999\0MINOR=8x");
	KUNIT_EXPECT_EQ(test, event.major, 0);
	KUNIT_EXPECT_EQ(test, event.minor, 0);
}

/* Exactly as long as allocated, so that KASAN sees a byte too far. */
static void bounds(struct kunit *test)
{
	static const char text[] = "x@/\0\0\0ACTION=change\0SUBSYSTEM=bl";
	struct strata_uevent event;
	size_t len;

	for (len = 0; len < sizeof(text); len++) {
		char *buf = kunit_kzalloc(test, len + 1, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, buf);
		memcpy(buf, text, len);
		strata_uevent_parse(&event, buf, len);
		KUNIT_EXPECT_FALSE(test, event.block);
		kunit_kfree(test, buf);
	}
}

static struct kunit_case uevent_cases[] = {
	KUNIT_CASE(resize),
	KUNIT_CASE(other_events),
	KUNIT_CASE(rescan),
	KUNIT_CASE(odd_numbers),
	KUNIT_CASE(bounds),
	{}
};

static struct kunit_suite uevent_suite = {
	.name = "strata_uevent",
	.test_cases = uevent_cases,
};

kunit_test_suite(uevent_suite);

MODULE_DESCRIPTION("strata: test of the uevent parser");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
