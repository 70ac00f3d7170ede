// SPDX-License-Identifier: GPL-2.0
/*
 * Random commands from a few nexuses with few keys, compared with a second
 * reading of the standard that is written the other way round: by sets, without
 * an order. `modprobe strata_prwrap_test seed=N` repeats a run.
 */
#include <kunit/test.h>
#include <linux/bitops.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include "prwrap_kit.h"

#define NEXUSES	6
#define KEYS	4
#define STEPS	20000

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "start of the random numbers; 0: a new one each time");

/**
 * struct model - what the state ought to be
 * @key: of each nexus, or 0
 * @holders: a bit for each that holds the reservation
 * @type: of the reservation, or 0
 * @generation: PRgeneration
 */
struct model {
	u64 key[NEXUSES];
	unsigned long holders;
	unsigned int type;
	u32 generation;
};

static unsigned long registered(const struct model *m)
{
	unsigned long set = 0;
	unsigned int i;

	for (i = 0; i < NEXUSES; i++)
		if (m->key[i])
			set |= BIT(i);
	return set;
}

static unsigned long with_key(const struct model *m, u64 key)
{
	unsigned long set = 0;
	unsigned int i;

	for (i = 0; i < NEXUSES; i++)
		if (m->key[i] && m->key[i] == key)
			set |= BIT(i);
	return set;
}

static bool for_all(unsigned int type)
{
	return type == 5 || type == 6;
}

/* Whoever is registered holds what is for all; a reservation needs a holder. */
static void settle(struct model *m)
{
	m->holders &= registered(m);
	if (!m->holders)
		m->type = 0;
	if (for_all(m->type))
		m->holders = registered(m);
}

static void remove(struct model *m, unsigned long set)
{
	unsigned int i;

	for_each_set_bit(i, &set, NEXUSES)
		m->key[i] = 0;
	settle(m);
}

static void take(struct model *m, unsigned int i, unsigned int type)
{
	m->type = type;
	m->holders = BIT(i);
	settle(m);
}

static int model_preempt(struct model *m, unsigned int i, u64 victim,
			 unsigned int type)
{
	unsigned long set = with_key(m, victim);
	bool shared = m->type && for_all(m->type);

	bool takes = !victim || (m->type && !shared && (set & m->holders));

	if (!victim && !shared)
		return -EINVAL;
	if (victim && !set)
		return KIT_CONFLICT;
	if (takes && (type < 1 || type > 6))
		return -EINVAL;
	if (takes) {
		remove(m, (victim ? set : ~0UL) & ~BIT(i));
		take(m, i, type);
	} else {
		remove(m, set);
	}
	m->generation++;
	return 0;
}

static int model_register(struct model *m, unsigned int i,
			  const struct prwrap_cmd *cmd)
{
	if (!(cmd->flags & STRATA_PR_IGNORE_KEY) && m->key[i] != cmd->key)
		return KIT_CONFLICT;
	if (!m->key[i] && !cmd->arg)
		return 0;
	m->key[i] = cmd->arg;
	m->generation++;
	settle(m);
	return 0;
}

static int model_owner(struct model *m, unsigned int i,
		       const struct prwrap_cmd *cmd)
{
	bool holds = m->holders & BIT(i);

	if (!m->key[i] || m->key[i] != cmd->key)
		return KIT_CONFLICT;
	if (cmd->op == PRWRAP_CLEAR) {
		remove(m, ~0UL);
		m->generation++;
		return 0;
	}
	if (cmd->op == PRWRAP_PREEMPT)
		return model_preempt(m, i, cmd->arg, cmd->type);
	if (cmd->type < 1 || cmd->type > 6)
		return -EINVAL;
	if (cmd->op == PRWRAP_RELEASE) {
		if (holds && cmd->type != m->type)
			return -EINVAL;
		if (holds)
			m->holders = 0;
		settle(m);
		return 0;
	}
	if (m->type && (!holds || cmd->type != m->type))
		return KIT_CONFLICT;
	take(m, i, cmd->type);
	return 0;
}

static unsigned int model_deny(const struct model *m, unsigned int i)
{
	bool trusted = m->holders & BIT(i) || (m->type >= 3 && m->key[i]);

	if (!m->type || trusted)
		return 0;
	return m->type & 1 ? PRWRAP_DENY_WRITE :
			     PRWRAP_DENY_READ | PRWRAP_DENY_WRITE;
}

static bool agree_on(const struct model *m, const struct prwrap_state *s,
		     unsigned int i)
{
	const struct prwrap_who who = kit_who(i);
	int at = prwrap_find(s, &who);

	if (prwrap_deny(s, &who) != model_deny(m, i))
		return false;
	if (at < 0)
		return !m->key[i];
	return s->regs[at].key == m->key[i] &&
	       prwrap_is_holder(s, at) == !!(m->holders & BIT(i));
}

static bool agree(const struct model *m, const struct prwrap_state *s)
{
	unsigned int i;

	if (s->generation != m->generation || s->type != m->type ||
	    s->nr != hweight_long(registered(m)))
		return false;
	for (i = 0; i < NEXUSES; i++)
		if (!agree_on(m, s, i))
			return false;
	return true;
}

/* The state comes back from a file as it went there. */
static bool survives(struct kunit *test, struct prwrap_state *s, void *slot,
		     struct prwrap_state *back)
{
	u64 serial;

	s->ptpl = s->nr > 0;
	prwrap_slot_encode(slot, s, s->generation);
	if (prwrap_slot_decode(slot, back, &serial) != PRWRAP_GOOD)
		return false;
	back->generation = s->generation;
	return serial == s->generation && !memcmp(s, back, sizeof(*s));
}

static u32 draw(struct rnd_state *rnd, u32 n)
{
	return prandom_u32_state(rnd) % n;
}

/* Mostly with the right key, or all would be refused. */
static void draw_cmd(struct rnd_state *rnd, const struct model *m,
		     struct prwrap_cmd *cmd, unsigned int *nexus)
{
	static const enum prwrap_op ops[] = {
		PRWRAP_REGISTER, PRWRAP_REGISTER, PRWRAP_REGISTER,
		PRWRAP_REGISTER, PRWRAP_RESERVE, PRWRAP_RESERVE,
		PRWRAP_RELEASE, PRWRAP_PREEMPT, PRWRAP_PREEMPT, PRWRAP_CLEAR,
	};
	unsigned int i = draw(rnd, NEXUSES);

	memset(cmd, 0, sizeof(*cmd));
	cmd->op = ops[draw(rnd, ARRAY_SIZE(ops))];
	/* Otherwise there is hardly ever anything to do. */
	if (cmd->op == PRWRAP_CLEAR && draw(rnd, 4))
		cmd->op = PRWRAP_REGISTER;
	cmd->who = kit_who(i);
	cmd->key = draw(rnd, 8) ? m->key[i] : draw(rnd, KEYS);
	cmd->arg = draw(rnd, KEYS + 1);
	cmd->type = m->type && draw(rnd, 3) ? m->type : draw(rnd, KIT_TYPES + 2);
	cmd->flags = draw(rnd, 4) ? 0 : STRATA_PR_IGNORE_KEY;
	*nexus = i;
}

static void random_commands(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 0, 0), *back = kit_state(test, 0, 0);
	void *slot = kunit_kzalloc(test, PRWRAP_SLOT_SIZE, GFP_KERNEL);
	u32 start = seed ?: get_random_u32();
	unsigned int step, nexus, done = 0;
	struct model m = {};
	struct rnd_state rnd;

	KUNIT_ASSERT_NOT_NULL(test, slot);
	kunit_info(test, "seed=%u", start);
	prandom_seed_state(&rnd, start);
	for (step = 0; step < STEPS; step++) {
		struct prwrap_cmd cmd;
		int got, want;

		draw_cmd(&rnd, &m, &cmd, &nexus);
		if (cmd.op == PRWRAP_REGISTER)
			want = model_register(&m, nexus, &cmd);
		else
			want = model_owner(&m, nexus, &cmd);
		got = prwrap_apply(s, &cmd);
		done += !got;
		if (got != want || !agree(&m, s)) {
			KUNIT_FAIL(test, "seed=%u step %u: %d, should be %d",
				   start, step, got, want);
			kunit_info(test, "op %u of nexus %u: %llu %llu %u %u",
				   cmd.op, nexus, cmd.key, cmd.arg, cmd.type,
				   cmd.flags);
			return;
		}
		if (step % 64 == 0 && !survives(test, s, slot, back)) {
			KUNIT_FAIL(test, "seed=%u step %u: lost in a slot",
				   start, step);
			return;
		}
	}
	kunit_info(test, "%u of %u commands were accepted", done, STEPS);
}

static struct kunit_case prwrap_model_cases[] = {
	KUNIT_CASE(random_commands),
	{}
};

struct kunit_suite prwrap_model_suite = {
	.name = "strata_prwrap_model",
	.test_cases = prwrap_model_cases,
};
