// SPDX-License-Identifier: GPL-2.0
/*
 * A driver in the test's thread and a device in a worker, who tell each other
 * only what the ring says they must. Each buffer is to come back once, with the
 * right answer; a lost kick or call is a wait that does not end.
 */
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include "guest_kit.h"

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "of the traffic; 0 for another one each time");

/* Buffers at a time, descriptors for each, buffers in all */
#define SLOTS	16
#define EACH	4
#define BUFFERS	1500

/* Data of a slot: what it asks, what it is answered, and room around */
#define SLOT_SIZE	256
#define QUESTION	0
#define ANSWER		128

/**
 * struct traffic - both ends
 * @g: the guest
 * @rnd: the driver's dice
 * @device_rnd: the device's
 * @free: slots that are not with the device
 * @asked: by slot, what
 * @in: by slot, bytes to write
 * @next_used: the driver's place in the used ring
 * @events: EVENT_IDX is negotiated
 * @worker: the device
 * @item: its work
 * @call: the driver is to look
 * @calls: how many there were
 * @kicks: how many of the driver's
 * @errors: the device's complaints
 */
struct traffic {
	struct guest_rig *g;
	struct rnd_state rnd;
	struct rnd_state device_rnd;
	DECLARE_BITMAP(free, SLOTS);
	u64 asked[SLOTS];
	u32 in[SLOTS];
	u16 next_used;
	bool events;
	struct strata_worker *worker;
	struct strata_worker_item item;
	struct completion call;
	atomic_t calls;
	unsigned int kicks;
	atomic_t errors;
};

static u64 answer_to(u64 question)
{
	return question * 0x9e3779b97f4a7c15ULL ^ 0x5a;
}

/* The device's part for one buffer: as much as there is room for */
static bool serve(struct traffic *t, const struct strata_guest_view *view,
		  const struct strata_vring_chain *c)
{
	u64 question, answers[ANSWER / 8];
	u32 len = c->in_len;
	unsigned int i;

	if (c->truncated || c->out_len != 8 || !len || len > sizeof(answers))
		return false;
	if (strata_guest_copy_in(view, &question, 8, c->segs, c->nr_out, 0))
		return false;
	for (i = 0; i < ARRAY_SIZE(answers); i++)
		answers[i] = answer_to(question);
	if (strata_guest_copy_out(view, answers, len, c->segs + c->nr_out, c->nr_in, 0))
		return false;
	return true;
}

static void publish(struct traffic *t)
{
	int ret = strata_vring_publish(&t->g->vq);

	if (ret < 0)
		atomic_inc(&t->errors);
	if (ret <= 0)
		return;
	atomic_inc(&t->calls);
	complete(&t->call);
}

/* Some buffers, answered in another order and told of together */
static int serve_some(struct traffic *t, const struct strata_guest_view *view)
{
	unsigned int max = 1 + prandom_u32_state(&t->device_rnd) % 6, n, i;
	struct strata_guest_seg segs[8];
	struct strata_vring_chain c = { .segs = segs, .max = ARRAY_SIZE(segs) };
	struct { u16 head; u32 len; } done[6];
	int ret = 0;

	for (n = 0; n < max; n++) {
		ret = strata_vring_next(&t->g->vq, view, &c);
		if (ret <= 0)
			break;
		if (!serve(t, view, &c))
			atomic_inc(&t->errors);
		done[n].head = c.head;
		done[n].len = c.in_len;
	}
	for (i = 0; i < n; i++)
		if (strata_vring_push(&t->g->vq, done[n - 1 - i].head, done[n - 1 - i].len))
			atomic_inc(&t->errors);
	publish(t);
	return ret;
}

static void device_run(struct strata_worker_item *item, bool gone)
{
	struct traffic *t = container_of(item, struct traffic, item);
	struct strata_guest_view view;
	int ret;

	if (gone || strata_guest_hold(&t->g->mem, &view)) {
		atomic_inc(&t->errors);
		return;
	}
	mutex_lock(&t->g->vq.lock);
	do {
		strata_vring_disable_kick(&t->g->vq);
		do
			ret = serve_some(t, &view);
		while (ret > 0);
		if (!ret)
			ret = strata_vring_enable_kick(&t->g->vq);
	} while (ret > 0);
	mutex_unlock(&t->g->vq.lock);
	strata_guest_drop(&view);
	if (ret)
		atomic_inc(&t->errors);
}

/* Write a slot's chain in one of many shapes. Return: the flag for its head. */
static void write_chain(struct traffic *t, unsigned int slot)
{
	bool table = prandom_u32_state(&t->rnd) & 1;
	unsigned long at = table ? RAM_TABLES + slot * EACH * 16 : RAM_DESC;
	unsigned int first = table ? 0 : slot * EACH, n = 0, outs, ins, i;
	u64 data = RAM_GPA + RAM_DATA + slot * SLOT_SIZE;
	u32 in = 8 * (2 + prandom_u32_state(&t->rnd) % 8);

	outs = 1 + prandom_u32_state(&t->rnd) % 2;
	ins = 1 + prandom_u32_state(&t->rnd) % 2;
	for (i = 0; i < outs; i++, n++)
		guest_desc(t->g, at, first + n, data + QUESTION + i * (8 / outs),
			   8 / outs, VRING_DESC_F_NEXT, first + n + 1);
	for (i = 0; i < ins; i++, n++)
		guest_desc(t->g, at, first + n, data + ANSWER + i * (in / ins), in / ins,
			   VRING_DESC_F_WRITE | (i < ins - 1 ? VRING_DESC_F_NEXT : 0),
			   first + n + 1);
	t->in[slot] = in;
	if (table)
		guest_desc(t->g, RAM_DESC, slot * EACH, RAM_GPA + at, n * 16,
			   VRING_DESC_F_INDIRECT, 0);
}

static bool wants_kick(struct traffic *t, u16 old)
{
	/* The index is there before the question whether it is waited for. */
	virt_mb();
	if (!t->events)
		return !(guest_get16(t->g, RAM_USED) & VRING_USED_F_NO_NOTIFY);
	return vring_need_event(guest_get16(t->g, RAM_USED + 4 + 8 * t->g->vq.num),
				t->g->avail, old);
}

static unsigned int ask(struct traffic *t, unsigned int max)
{
	u16 old = t->g->avail;
	unsigned int n, slot;

	for (n = 0; n < max; n++) {
		slot = find_first_bit(t->free, SLOTS);
		if (slot == SLOTS)
			break;
		__clear_bit(slot, t->free);
		t->asked[slot] = prandom_u32_state(&t->rnd);
		guest_put(t->g, RAM_DATA + slot * SLOT_SIZE + QUESTION, &t->asked[slot], 8);
		write_chain(t, slot);
		guest_offer(t->g, slot * EACH);
	}
	if (n && wants_kick(t, old)) {
		t->kicks++;
		strata_worker_queue(t->worker, &t->item);
	}
	return n;
}

static void check_answer(struct kunit *test, struct traffic *t, u32 head, u32 len)
{
	unsigned int slot = head / EACH, i;
	u64 answer;

	KUNIT_ASSERT_LT(test, slot, SLOTS);
	KUNIT_EXPECT_EQ(test, head % EACH, 0);
	KUNIT_ASSERT_FALSE_MSG(test, test_bit(slot, t->free), "slot %u came twice", slot);
	KUNIT_EXPECT_EQ(test, len, t->in[slot]);
	for (i = 0; i < len; i += 8) {
		guest_get(t->g, RAM_DATA + slot * SLOT_SIZE + ANSWER + i, &answer, 8);
		KUNIT_EXPECT_EQ(test, answer, answer_to(t->asked[slot]));
	}
	__set_bit(slot, t->free);
}

/* What has come back by now. Return: how many. */
static unsigned int collect(struct kunit *test, struct traffic *t)
{
	u16 idx = guest_get16(t->g, RAM_USED + 2);
	unsigned int n = 0;
	struct {
		__le32 id;
		__le32 len;
	} elem;

	/* Entries after the index */
	virt_rmb();
	KUNIT_ASSERT_LE(test, (u16)(idx - t->next_used), SLOTS);
	for (; t->next_used != idx; t->next_used++, n++) {
		guest_get(t->g, RAM_USED + 4 + 8 * (t->next_used & (t->g->vq.num - 1)), &elem,
			  sizeof(elem));
		check_answer(test, t, le32_to_cpu(elem.id), le32_to_cpu(elem.len));
	}
	return n;
}

/* Wait for a call, unless something came before it was asked for. */
static bool wait_call(struct traffic *t)
{
	unsigned long event = RAM_AVAIL + 4 + 2 * t->g->vq.num;
	bool called = true;

	if (t->events)
		guest_put16(t->g, event, t->next_used);
	else
		guest_put16(t->g, RAM_AVAIL, 0);
	/* The wish is there before the last look. */
	virt_mb();
	if (guest_get16(t->g, RAM_USED + 2) == t->next_used)
		called = wait_for_completion_timeout(&t->call, 20 * HZ);
	if (!t->events)
		guest_put16(t->g, RAM_AVAIL, VRING_AVAIL_F_NO_INTERRUPT);
	return called;
}

static void drive(struct kunit *test, struct traffic *t)
{
	unsigned int asked = 0, back = 0, n;

	while (back < BUFFERS) {
		n = min(BUFFERS - asked, 1 + prandom_u32_state(&t->rnd) % SLOTS);
		asked += ask(t, n);
		n = collect(test, t);
		back += n;
		/* Sometimes go on, sometimes wait for more. */
		if (n && prandom_u32_state(&t->rnd) % 4)
			continue;
		if (back == asked)
			continue;
		KUNIT_ASSERT_TRUE_MSG(test, wait_call(t),
				      "no call: asked %u, %u came back, avail %u of %u, used %u",
				      asked, back, t->g->vq.last_avail, t->g->avail,
				      t->g->vq.used_idx);
	}
	KUNIT_EXPECT_EQ(test, back, asked);
	KUNIT_EXPECT_TRUE(test, bitmap_full(t->free, SLOTS));
}

static void worker_end(void *data)
{
	strata_worker_stop(data);
}

static void traffic_run(struct kunit *test, u64 features)
{
	struct traffic *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int s = seed ?: get_random_u32();
	/* So that the indexes wrap on the way */
	u16 base = 0xff00 + s % 0x100;

	KUNIT_ASSERT_NOT_NULL(test, t);
	kunit_info(test, "seed=%u, features %#llx", s, features);
	prandom_seed_state(&t->rnd, s);
	prandom_seed_state(&t->device_rnd, ~s);
	t->events = features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	t->next_used = base;
	bitmap_fill(t->free, SLOTS);
	init_completion(&t->call);
	strata_worker_item_init(&t->item, device_run);
	t->g = guest_ring_new(test, SLOTS * EACH, base,
			      features | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC));
	t->worker = strata_worker_create("strata-traffic");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->worker));
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, worker_end, t->worker), 0);
	guest_put16(t->g, RAM_AVAIL, VRING_AVAIL_F_NO_INTERRUPT);
	drive(test, t);
	kunit_release_action(test, worker_end, t->worker);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->errors), 0);
	KUNIT_EXPECT_FALSE(test, t->g->vq.broken);
	kunit_info(test, "%u kicks and %d calls for %u", t->kicks, atomic_read(&t->calls),
		   BUFFERS);
}

static void by_flags(struct kunit *test)
{
	traffic_run(test, 0);
}

static void by_events(struct kunit *test)
{
	traffic_run(test, BIT_ULL(VIRTIO_RING_F_EVENT_IDX));
}

static void on_empty(struct kunit *test)
{
	traffic_run(test, BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY));
}

static struct kunit_case guest_traffic_cases[] = {
	KUNIT_CASE_SLOW(by_flags),
	KUNIT_CASE_SLOW(by_events),
	KUNIT_CASE_SLOW(on_empty),
	{}
};

struct kunit_suite guest_traffic_suite = {
	.name = "strata_guest_traffic",
	.test_cases = guest_traffic_cases,
};
