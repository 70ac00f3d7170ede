// SPDX-License-Identifier: GPL-2.0
/* The kernel's block uevents: reading them, and hearing real ones. */
#include <linux/blkdev.h>
#include <linux/module.h>
#include <strata/uevent.h>
#include "fake_disk.h"
#include "../drivers/core/uevent.h"

struct message {
	const char *name;
	const char *text;
	size_t len;
	struct strata_uevent want;
};

/* Fields as in struct strata_uevent. */
#define MESSAGE(_name, _text, ...) \
	{ _name, _text, sizeof(_text) - 1, { __VA_ARGS__ } }

#define CHANGE "change@/devices/virtual/block/loop3\0ACTION=change\0SUBSYSTEM=block\0"

static const struct message messages[] = {
	MESSAGE("resize", CHANGE "MAJOR=7\0MINOR=3\0RESIZE=1\0SEQNUM=1\0",
		true, true, true, false, 7, 3),
	MESSAGE("no resize", CHANGE "MAJOR=7\0MINOR=3\0SEQNUM=1\0",
		true, true, false, false, 7, 3),
	MESSAGE("resize 0", CHANGE "RESIZE=0\0", true, true),
	MESSAGE("resize 10", CHANGE "RESIZE=10\0", true, true),
	MESSAGE("resize, no value", CHANGE "RESIZE\0", true, true),
	MESSAGE("rescan", CHANGE "RESCAN=1\0", true, true, false, true),
	MESSAGE("rescan by hand", CHANGE "SYNTH_ARG_RESCAN=1\0", true, true, false, true),
	MESSAGE("rescan true", CHANGE "SYNTH_ARG_RESCAN=true\0", true, true, false, true),
	MESSAGE("rescan 0", CHANGE "RESCAN=0\0", true, true),
	MESSAGE("another argument", CHANGE "SYNTH_ARG_RESIZE=1\0", true, true),
	MESSAGE("add", "add@/x\0ACTION=add\0SUBSYSTEM=block\0RESIZE=1\0",
		false, true, true),
	MESSAGE("not block", "change@/x\0ACTION=change\0SUBSYSTEM=blocks\0RESIZE=1\0",
		true, false, true),
	MESSAGE("words within words", "change@/x\0XACTION=change\0XSUBSYSTEM=block\0"),
	MESSAGE("bad numbers", CHANGE "MAJOR=seven\0MINOR=\0", true, true),
	MESSAGE("worse numbers", CHANGE "MAJOR=-7\0MINOR=4294967296\0", true, true),
	MESSAGE("number and more", CHANGE "MAJOR=7x\0MINOR=3 \0", true, true),
	MESSAGE("largest", CHANGE "MAJOR=4095\0MINOR=1048575\0",
		true, true, false, false, 4095, 1048575),
	MESSAGE("cut", CHANGE "MAJOR=7\0MINOR=12\0RESIZE=", true, true, false, false, 7, 12),
	MESSAGE("cut after", CHANGE "RESIZE=1", true, true, true),
	MESSAGE("nothing", ""),
	MESSAGE("holes", "\0\0\0ACTION=change\0\0\0", true),
	MESSAGE("no keys", "change@/devices/virtual/block/loop3"),
};

KUNIT_ARRAY_PARAM_DESC(message, messages, name);

static void parse(struct kunit *test)
{
	const struct message *m = test->param_value;
	/* On the heap, where a byte too far is noticed. */
	char *copy = kunit_kmalloc(test, m->len + 1, GFP_KERNEL);
	struct strata_uevent got;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, m->text, m->len + 1);
	memset(&got, 0xff, sizeof(got));
	strata_uevent_parse(&got, copy, m->len);
	KUNIT_EXPECT_EQ(test, got.change, m->want.change);
	KUNIT_EXPECT_EQ(test, got.block, m->want.block);
	KUNIT_EXPECT_EQ(test, got.resize, m->want.resize);
	KUNIT_EXPECT_EQ(test, got.rescan, m->want.rescan);
	KUNIT_EXPECT_EQ(test, got.major, m->want.major);
	KUNIT_EXPECT_EQ(test, got.minor, m->want.minor);
}

static void refuse_bio(struct bio *bio)
{
	bio_io_error(bio);
}

static const struct block_device_operations fops = {
	.owner = THIS_MODULE,
	.submit_bio = refuse_bio,
};

static void remove_gendisk(void *data)
{
	struct gendisk *gd = data;

	del_gendisk(gd);
	put_disk(gd);
}

/* A real block device, whose events are real. */
static struct gendisk *add_gendisk(struct kunit *test, unsigned int number)
{
	struct gendisk *gd = blk_alloc_disk(NULL, NUMA_NO_NODE);
	int err;

	KUNIT_ASSERT_FALSE(test, IS_ERR(gd));
	snprintf(gd->disk_name, DISK_NAME_LEN, "stratakunit%u", number);
	gd->fops = &fops;
	gd->flags |= GENHD_FL_NO_PART;
	set_capacity(gd, 8);
	err = add_disk(gd);
	if (err)
		put_disk(gd);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, remove_gendisk, gd), 0);
	return gd;
}

struct ear {
	struct strata_uevent_watch watch;
	struct completion heard;
	struct completion go_on;
	bool slow;
	bool gone;
	atomic_t times;
	atomic_t late;
};

static void changed(struct strata_uevent_watch *watch)
{
	struct ear *ear = container_of(watch, struct ear, watch);

	if (READ_ONCE(ear->gone))
		atomic_inc(&ear->late);
	atomic_inc(&ear->times);
	complete(&ear->heard);
	if (ear->slow)
		wait_for_completion_timeout(&ear->go_on, FAKE_TIMEOUT);
}

static void unwatch(void *ear)
{
	strata_uevent_unwatch(&((struct ear *)ear)->watch);
}

static void ear_init(struct ear *ear, struct gendisk *gd)
{
	memset(ear, 0, sizeof(*ear));
	init_completion(&ear->heard);
	init_completion(&ear->go_on);
	ear->watch.dev = disk_devt(gd);
	ear->watch.changed = changed;
}

static struct ear *listen(struct kunit *test, struct gendisk *gd)
{
	struct ear *ear = kunit_kzalloc(test, sizeof(*ear), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ear);
	ear_init(ear, gd);
	KUNIT_ASSERT_EQ(test, strata_uevent_watch(&ear->watch), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unwatch, ear), 0);
	return ear;
}

static void expect_heard(struct kunit *test, struct ear *ear, int times)
{
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&ear->heard, FAKE_TIMEOUT), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&ear->times), times);
}

static int send(struct gendisk *gd, char *key)
{
	char *envp[2] = { key };

	return kobject_uevent_env(&disk_to_dev(gd)->kobj, KOBJ_CHANGE, envp);
}

/* Events come in order: when b's has come, what was sent before it has, too. */
static void resize(struct kunit *test)
{
	struct gendisk *a = add_gendisk(test, 0), *b = add_gendisk(test, 1);
	struct ear *on_a = listen(test, a), *on_b = listen(test, b);
	struct ear *again = listen(test, a);

	set_capacity_and_notify(a, 16);
	expect_heard(test, on_a, 1);
	expect_heard(test, again, 1);
	set_capacity_and_notify(b, 16);
	expect_heard(test, on_b, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&on_a->times), 1);

	/* Other news of a is none of our business. */
	KUNIT_EXPECT_EQ(test, send(a, "DISK_RO=1"), 0);
	KUNIT_EXPECT_EQ(test, kobject_uevent(&disk_to_dev(a)->kobj, KOBJ_ONLINE), 0);
	set_capacity_and_notify(b, 24);
	expect_heard(test, on_b, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&on_a->times), 1);

	set_capacity_and_notify(a, 8);
	expect_heard(test, on_a, 2);
}

static void rescan(struct kunit *test)
{
	struct gendisk *a = add_gendisk(test, 0), *b = add_gendisk(test, 1);
	struct ear *on_a = listen(test, a), *on_b = listen(test, b);

	KUNIT_EXPECT_EQ(test, send(a, "RESCAN=1"), 0);
	expect_heard(test, on_a, 1);
	expect_heard(test, on_b, 1);
}

static void unwatched(struct kunit *test)
{
	struct gendisk *a = add_gendisk(test, 0);
	struct ear *gone = listen(test, a), *stays = listen(test, a);

	kunit_release_action(test, unwatch, gone);
	set_capacity_and_notify(a, 16);
	expect_heard(test, stays, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&gone->times), 0);

	/* The last one takes the socket along; it comes back. */
	kunit_release_action(test, unwatch, stays);
	set_capacity_and_notify(a, 24);
	stays = listen(test, a);
	set_capacity_and_notify(a, 32);
	expect_heard(test, stays, 1);
}

/* Who misses events is told that there may have been any. */
static void overflow(struct kunit *test)
{
	struct gendisk *a = add_gendisk(test, 0), *b = add_gendisk(test, 1);
	struct ear *slow = listen(test, a), *other = listen(test, b);
	unsigned int i;

	slow->slow = true;
	set_capacity_and_notify(a, 16);
	expect_heard(test, slow, 1);
	/* Nobody receives now. */
	for (i = 0; i < 2000; i++)
		send(a, "DISK_RO=1");
	KUNIT_EXPECT_EQ(test, atomic_read(&other->times), 0);
	WRITE_ONCE(slow->slow, false);
	complete(&slow->go_on);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&other->heard, FAKE_TIMEOUT), 0);

	/* And after that all is as before. */
	set_capacity_and_notify(b, 16);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&other->heard, FAKE_TIMEOUT), 0);
}

#define ROUNDS 100

struct churn {
	struct gendisk *gd;
	atomic_t watchers;
	atomic_t late;
	atomic_t failed;
};

static void watch_rounds(struct churn *churn)
{
	struct ear *ear = kzalloc(sizeof(*ear), GFP_KERNEL);
	unsigned int i;

	for (i = 0; ear && i < ROUNDS; i++) {
		ear_init(ear, churn->gd);
		if (strata_uevent_watch(&ear->watch)) {
			atomic_inc(&churn->failed);
			break;
		}
		cond_resched();
		strata_uevent_unwatch(&ear->watch);
		WRITE_ONCE(ear->gone, true);
		cond_resched();
		atomic_add(atomic_read(&ear->late), &churn->late);
	}
	kfree(ear);
	atomic_dec(&churn->watchers);
}

static void churn_fn(void *context, unsigned int index)
{
	struct churn *churn = context;
	sector_t size = 8;

	if (index)
		watch_rounds(churn);
	while (!index && atomic_read(&churn->watchers)) {
		size = size % 1024 + 8;
		set_capacity(churn->gd, size);
		send(churn->gd, "RESIZE=1");
	}
}

/* Coming and going while events come: none is told after it has gone. */
static void churn(struct kunit *test)
{
	struct churn churn = { .gd = add_gendisk(test, 0) };
	struct fake_threads *threads;

	atomic_set(&churn.watchers, 3);
	threads = fake_threads_start(test, 4, churn_fn, &churn);
	KUNIT_ASSERT_TRUE(test, fake_threads_wait(threads));
	KUNIT_EXPECT_EQ(test, atomic_read(&churn.late), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&churn.failed), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(parse, message_gen_params),
	KUNIT_CASE(resize),
	KUNIT_CASE(rescan),
	KUNIT_CASE(unwatched),
	KUNIT_CASE(overflow),
	KUNIT_CASE(churn),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-uevent",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of hearing block uevents");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
