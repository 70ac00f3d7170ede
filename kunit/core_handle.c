// SPDX-License-Identifier: GPL-2.0
/* Handles: claims, admission, freeze and thaw, and what consumers are told. */
#include <linux/module.h>
#include <linux/string.h>
#include <strata/handle.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "fake_disk.h"

#define SECTORS 64

static const enum strata_claim claims[] = {
	STRATA_CLAIM_STABLE, STRATA_CLAIM_WRITE, STRATA_CLAIM_SHARED,
};

static struct fake_disk *memory(struct kunit *test, bool read_only)
{
	const struct fake_config config = { .sectors = SECTORS, .read_only = read_only };

	return fake_disk_new(test, &config);
}

static void detach(void *handle)
{
	strata_handle_detach(handle);
}

static struct strata_handle *attach(struct kunit *test, struct fake_disk *fake,
				    const char *name, enum strata_claim claim,
				    const struct strata_handle_ops *ops, void *owner)
{
	char other[STRATA_NAME_MAX];
	struct strata_handle *handle;

	handle = strata_handle_attach(fake->disk, name, claim, ops, owner, NULL, other);
	KUNIT_ASSERT_FALSE(test, IS_ERR(handle));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, detach, handle), 0);
	return handle;
}

static void fields(struct kunit *test)
{
	static const struct strata_handle_ops ops;
	struct fake_disk *fake = memory(test, false);
	char name[] = "block.one";
	struct strata_handle *h = attach(test, fake, name, STRATA_CLAIM_WRITE, &ops, test);

	name[0] = 'x';
	KUNIT_EXPECT_STREQ(test, h->nexus.name, "block.one");
	KUNIT_EXPECT_PTR_EQ(test, h->disk, fake->disk);
	KUNIT_EXPECT_PTR_EQ(test, h->ops, &ops);
	KUNIT_EXPECT_PTR_EQ(test, h->owner, test);
	KUNIT_EXPECT_FALSE(test, h->read_only);
}

static void matrix(struct kunit *test)
{
	struct fake_disk *fake = memory(test, false);
	char other[STRATA_NAME_MAX];
	unsigned int a, b;

	for (a = 0; a < ARRAY_SIZE(claims); a++)
		for (b = 0; b < ARRAY_SIZE(claims); b++) {
			bool agree = a == b && claims[a] != STRATA_CLAIM_WRITE;
			struct strata_handle *first, *second;

			first = attach(test, fake, "block.first", claims[a], NULL, NULL);
			memset(other, 0, sizeof(other));
			second = strata_handle_attach(fake->disk, "scsi.second", claims[b],
						      NULL, NULL, NULL, other);
			KUNIT_EXPECT_EQ_MSG(test, !IS_ERR(second), agree, "%u, %u",
					    claims[a], claims[b]);
			if (IS_ERR(second)) {
				KUNIT_EXPECT_EQ(test, PTR_ERR(second), -EBUSY);
				KUNIT_EXPECT_STREQ(test, other, "block.first");
			} else {
				strata_handle_detach(second);
			}
			kunit_release_action(test, detach, first);
		}
}

/* The one in the way is named, not just anybody. */
static void names(struct kunit *test)
{
	struct fake_disk *fake = memory(test, false);
	struct strata_handle *a, *b, *h;
	char other[STRATA_NAME_MAX], name[STRATA_NAME_MAX + 6];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	a = attach(test, fake, "block.a", STRATA_CLAIM_SHARED, NULL, NULL);
	b = attach(test, fake, name, STRATA_CLAIM_SHARED, NULL, NULL);
	kunit_release_action(test, detach, a);
	h = strata_handle_attach(fake->disk, "block.c", STRATA_CLAIM_STABLE, NULL, NULL,
				 NULL, other);
	KUNIT_EXPECT_EQ(test, PTR_ERR(h), -EBUSY);
	KUNIT_EXPECT_EQ(test, strlen(other), STRATA_NAME_MAX - 1);
	KUNIT_EXPECT_TRUE(test, str_has_prefix(b->nexus.name, other));
}

/* Nobody can write a read-only disk, so nobody is in the way of anybody. */
static void read_only(struct kunit *test)
{
	struct fake_disk *fake = memory(test, true);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(claims); i++) {
		struct strata_handle *h = attach(test, fake, "block.a", claims[i], NULL,
						 NULL);

		KUNIT_EXPECT_EQ(test, h->claim, STRATA_CLAIM_STABLE);
		KUNIT_EXPECT_TRUE(test, h->read_only);
	}
}

static struct strata_handle *simple(struct kunit *test)
{
	return attach(test, memory(test, false), "block.a", STRATA_CLAIM_WRITE, NULL, NULL);
}

static void freeze_idle(struct kunit *test)
{
	struct strata_handle *h = simple(test);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), 0);
		strata_handle_exit(h);
		KUNIT_EXPECT_EQ(test, strata_handle_freeze(h), 0);
		KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), -EAGAIN);
		strata_handle_thaw(h);
	}
	KUNIT_EXPECT_EQ(test, strata_handle_enter(h, false), 0);
	strata_handle_exit(h);
}

static void freeze_nested(struct kunit *test)
{
	struct strata_handle *h = simple(test);
	unsigned int i;

	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, strata_handle_freeze(h), 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), -EAGAIN);
		strata_handle_thaw(h);
	}
	KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), 0);
	strata_handle_exit(h);
}

static void freeze_fn(void *context, unsigned int index)
{
	strata_handle_freeze(context);
}

/* Wait until a freeze has stopped admissions. */
static void wait_frozen(struct kunit *test, struct strata_handle *h)
{
	unsigned long end = jiffies + FAKE_TIMEOUT;

	while (!strata_handle_enter(h, true)) {
		strata_handle_exit(h);
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, end));
		cond_resched();
	}
}

static void freeze_waits(struct kunit *test)
{
	struct strata_handle *h = simple(test);
	struct fake_threads *t;

	KUNIT_ASSERT_EQ(test, strata_handle_enter(h, false), 0);
	KUNIT_ASSERT_EQ(test, strata_handle_enter(h, false), 0);
	t = fake_threads_start(test, 3, freeze_fn, h);
	wait_frozen(test, h);
	strata_handle_exit(h);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->running), 3);
	strata_handle_exit(h);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(t));
	KUNIT_EXPECT_EQ(test, h->frozen, 3);
	strata_handle_thaw(h);
	strata_handle_thaw(h);
	KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), -EAGAIN);
	strata_handle_thaw(h);
	KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), 0);
	strata_handle_exit(h);
}

struct exiting {
	struct hrtimer timer;
	struct strata_handle *handle;
};

static enum hrtimer_restart exit_in_irq(struct hrtimer *timer)
{
	strata_handle_exit(container_of(timer, struct exiting, timer)->handle);
	return HRTIMER_NORESTART;
}

static void exit_anywhere(struct kunit *test)
{
	static const enum hrtimer_mode modes[] = {
		HRTIMER_MODE_REL_SOFT, HRTIMER_MODE_REL_HARD
	};
	struct exiting *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, e);
	e->handle = simple(test);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		KUNIT_ASSERT_EQ(test, strata_handle_enter(e->handle, false), 0);
		hrtimer_init(&e->timer, CLOCK_MONOTONIC, modes[i]);
		e->timer.function = exit_in_irq;
		hrtimer_start(&e->timer, ns_to_ktime(NSEC_PER_MSEC), modes[i]);
		KUNIT_EXPECT_EQ(test, strata_handle_freeze(e->handle), 0);
		hrtimer_cancel(&e->timer);
		strata_handle_thaw(e->handle);
	}
}

struct entering {
	struct strata_handle *handle;
	bool thawing;
	atomic_t early;
};

static void enter_fn(void *context, unsigned int index)
{
	struct entering *e = context;

	if (strata_handle_enter(e->handle, false))
		atomic_inc(&e->early);
	if (!READ_ONCE(e->thawing))
		atomic_inc(&e->early);
	strata_handle_exit(e->handle);
}

static void enter_waits(struct kunit *test)
{
	struct entering e = { .handle = simple(test) };
	unsigned long end = jiffies + FAKE_TIMEOUT;
	struct fake_threads *t;

	KUNIT_ASSERT_EQ(test, strata_handle_freeze(e.handle), 0);
	t = fake_threads_start(test, 4, enter_fn, &e);
	/* So that some of them wait already. */
	while (!wq_has_sleeper(&e.handle->thawed) && time_before(jiffies, end))
		cond_resched();
	KUNIT_EXPECT_TRUE(test, wq_has_sleeper(&e.handle->thawed));
	WRITE_ONCE(e.thawing, true);
	strata_handle_thaw(e.handle);
	KUNIT_EXPECT_TRUE(test, fake_threads_wait(t));
	KUNIT_EXPECT_EQ(test, atomic_read(&e.early), 0);
}

static void untracked(struct kunit *test)
{
	struct strata_handle *h = simple(test);

	WRITE_ONCE(h->untracked, true);
	KUNIT_EXPECT_EQ(test, strata_handle_freeze(h), -EBUSY);
	KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), 0);
	strata_handle_exit(h);
	WRITE_ONCE(h->untracked, false);
	KUNIT_EXPECT_EQ(test, strata_handle_freeze(h), 0);
	KUNIT_EXPECT_EQ(test, strata_handle_enter(h, true), -EAGAIN);
	strata_handle_thaw(h);
}

#define ROUNDS		200
#define FREEZERS	2

struct contest {
	struct strata_handle *handle;
	atomic_t inside;
	atomic_t frozen;
	atomic_t freezers;
	atomic_t entered;
	atomic_t violations;
};

static void contest_freeze(struct contest *c)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (strata_handle_freeze(c->handle))
			atomic_inc(&c->violations);
		atomic_inc(&c->frozen);
		if (atomic_read(&c->inside))
			atomic_inc(&c->violations);
		cond_resched();
		if (atomic_read(&c->inside))
			atomic_inc(&c->violations);
		atomic_dec(&c->frozen);
		strata_handle_thaw(c->handle);
	}
	atomic_dec(&c->freezers);
}

static void contest_enter(struct contest *c, bool nowait)
{
	while (atomic_read(&c->freezers)) {
		if (strata_handle_enter(c->handle, nowait)) {
			cond_resched();
			continue;
		}
		atomic_inc(&c->inside);
		if (atomic_read(&c->frozen))
			atomic_inc(&c->violations);
		atomic_inc(&c->entered);
		cond_resched();
		atomic_dec(&c->inside);
		strata_handle_exit(c->handle);
	}
}

static void contest_fn(void *context, unsigned int index)
{
	if (index < FREEZERS)
		contest_freeze(context);
	else
		contest_enter(context, index & 1);
}

static void contest(struct kunit *test)
{
	struct contest c = { .handle = simple(test) };
	struct fake_threads *t;

	atomic_set(&c.freezers, FREEZERS);
	t = fake_threads_start(test, FREEZERS + 4, contest_fn, &c);
	KUNIT_ASSERT_TRUE(test, fake_threads_wait(t));
	KUNIT_EXPECT_EQ(test, atomic_read(&c.violations), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&c.entered), 0);
	KUNIT_EXPECT_EQ(test, c.handle->frozen, 0);
}

struct last_exit {
	struct work_struct work;
	struct strata_handle *handle;
};

static void last_exit_work(struct work_struct *work)
{
	strata_handle_exit(container_of(work, struct last_exit, work)->handle);
}

/* Who has frozen a handle may free it, while the last exit is on its way out. */
static void freeze_then_free(struct kunit *test)
{
	struct last_exit *last = kunit_kzalloc(test, sizeof(*last), GFP_KERNEL);
	struct fake_disk *fake = memory(test, false);
	char other[STRATA_NAME_MAX];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, last);
	INIT_WORK(&last->work, last_exit_work);
	for (i = 0; i < ROUNDS; i++) {
		last->handle = strata_handle_attach(fake->disk, "block.a",
						    STRATA_CLAIM_WRITE, NULL, NULL, NULL,
						    other);
		KUNIT_ASSERT_FALSE(test, IS_ERR(last->handle));
		strata_handle_enter(last->handle, false);
		queue_work(system_unbound_wq, &last->work);
		strata_handle_freeze(last->handle);
		if (i & 1)
			strata_handle_thaw(last->handle);
		strata_handle_detach(last->handle);
		flush_work(&last->work);
	}
}

/* What a consumer was told last, and how often. */
struct told {
	unsigned int resized;
	unsigned int dead;
	sector_t capacity;
};

static void on_resized(struct strata_handle *handle, sector_t capacity)
{
	struct told *told = handle->owner;

	told->resized++;
	told->capacity = capacity;
}

static void on_dead(struct strata_handle *handle)
{
	struct told *told = handle->owner;

	told->dead++;
}

static const struct strata_handle_ops told_ops = {
	.resized = on_resized,
	.dead = on_dead,
};

static const struct strata_handle_ops no_ops;

static void callbacks(struct kunit *test)
{
	struct fake_disk *fake = memory(test, false);
	struct told a = {}, b = {};
	struct strata_handle *ha;

	ha = attach(test, fake, "block.a", STRATA_CLAIM_SHARED, &told_ops, &a);
	attach(test, fake, "block.quiet", STRATA_CLAIM_SHARED, &no_ops, NULL);
	attach(test, fake, "block.mute", STRATA_CLAIM_SHARED, NULL, NULL);
	attach(test, fake, "block.b", STRATA_CLAIM_SHARED, &told_ops, &b);

	strata_disk_resize(fake->disk, 100);
	KUNIT_EXPECT_EQ(test, a.resized, 1);
	KUNIT_EXPECT_EQ(test, a.capacity, 100);
	KUNIT_EXPECT_EQ(test, b.capacity, 100);
	strata_disk_resize(fake->disk, 10);
	KUNIT_EXPECT_EQ(test, a.resized, 2);
	KUNIT_EXPECT_EQ(test, b.capacity, 10);

	kunit_release_action(test, detach, ha);
	strata_disk_resize(fake->disk, 20);
	strata_disk_mark_dead(fake->disk);
	strata_disk_mark_dead(fake->disk);
	KUNIT_EXPECT_EQ(test, a.resized, 2);
	KUNIT_EXPECT_EQ(test, a.dead, 0);
	KUNIT_EXPECT_EQ(test, b.resized, 3);
	KUNIT_EXPECT_EQ(test, b.dead, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(fields),
	KUNIT_CASE(matrix),
	KUNIT_CASE(names),
	KUNIT_CASE(read_only),
	KUNIT_CASE(freeze_idle),
	KUNIT_CASE(freeze_nested),
	KUNIT_CASE(freeze_waits),
	KUNIT_CASE(exit_anywhere),
	KUNIT_CASE(enter_waits),
	KUNIT_CASE(untracked),
	KUNIT_CASE(contest),
	KUNIT_CASE(freeze_then_free),
	KUNIT_CASE(callbacks),
	{}
};

static struct kunit_suite suite = {
	.name = "strata-handle",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: tests of handles and claims");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
