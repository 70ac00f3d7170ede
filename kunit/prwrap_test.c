// SPDX-License-Identifier: GPL-2.0
/* The rules of reservations: every command, from everybody, under every type. */
#include <kunit/test.h>
#include <linux/module.h>
#include "prwrap_kit.h"

/* Who gives a command, in a state of three registrants */
#define HOLDER		0
#define OTHER		1
#define THIRD		2
#define STRANGER	3

#define NONE	0
#define WRITES	PRWRAP_DENY_WRITE
#define ALL	(PRWRAP_DENY_READ | PRWRAP_DENY_WRITE)

/* What is denied to whom: SPC-4 table 65, and NVMe's figure of the same. */
static void access(struct kunit *test)
{
	static const struct {
		unsigned int holder, registrant, stranger;
	} deny[KIT_TYPES + 1] = {
		[PR_WRITE_EXCLUSIVE] = { NONE, WRITES, WRITES },
		[PR_EXCLUSIVE_ACCESS] = { NONE, ALL, ALL },
		[PR_WRITE_EXCLUSIVE_REG_ONLY] = { NONE, NONE, WRITES },
		[PR_EXCLUSIVE_ACCESS_REG_ONLY] = { NONE, NONE, ALL },
		[PR_WRITE_EXCLUSIVE_ALL_REGS] = { NONE, NONE, WRITES },
		[PR_EXCLUSIVE_ACCESS_ALL_REGS] = { NONE, NONE, ALL },
	};
	unsigned int type;

	for (type = 0; type <= KIT_TYPES; type++) {
		struct prwrap_state *s = kit_state(test, 3, type);
		const struct prwrap_who who[] = {
			kit_who(HOLDER), kit_who(OTHER), kit_who(STRANGER),
		};

		KUNIT_EXPECT_EQ_MSG(test, prwrap_deny(s, &who[0]),
				    deny[type].holder, "type %u", type);
		KUNIT_EXPECT_EQ_MSG(test, prwrap_deny(s, &who[1]),
				    deny[type].registrant, "type %u", type);
		KUNIT_EXPECT_EQ_MSG(test, prwrap_deny(s, &who[2]),
				    deny[type].stranger, "type %u", type);
	}
}

/* What a command does, where type 1 .. 4 have one holder, 5 and 6 many. */
struct rule {
	const char *words;
	enum prwrap_op op;
	unsigned int from;
	u64 key, arg;
	int type;	/* or SAME, DIFFERENT: than that of the reservation */
	struct {
		int err;
		int nr;		/* registrants afterwards */
		int type;	/* or KEPT */
		int generation;	/* how much more */
	} one, all;
};

#define SAME		(-1)
#define DIFFERENT	(-2)
#define KEPT		(-1)

#define K(i)		(0x1000 + (i))
#define REFUSED(err)	{ err, 3, KEPT, 0 }
#define NOTHING		REFUSED(0)

static const struct rule rules[] = {
	/* Register. The stranger has key 0. */
	{ "new", PRWRAP_REGISTER, STRANGER, 0, K(3), 0,
	  { 0, 4, KEPT, 1 }, { 0, 4, KEPT, 1 } },
	{ "new, with a key", PRWRAP_REGISTER, STRANGER, K(3), K(3), 0,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "nothing to drop", PRWRAP_REGISTER, STRANGER, 0, 0, 0,
	  NOTHING, NOTHING },
	{ "change", PRWRAP_REGISTER, OTHER, K(1), K(9), 0,
	  { 0, 3, KEPT, 1 }, { 0, 3, KEPT, 1 } },
	{ "change, as if new", PRWRAP_REGISTER, OTHER, 0, K(1), 0,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "change, wrong key", PRWRAP_REGISTER, OTHER, K(0), K(9), 0,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "the holder's change", PRWRAP_REGISTER, HOLDER, K(0), K(9), 0,
	  { 0, 3, KEPT, 1 }, { 0, 3, KEPT, 1 } },
	{ "drop", PRWRAP_REGISTER, OTHER, K(1), 0, 0,
	  { 0, 2, KEPT, 1 }, { 0, 2, KEPT, 1 } },
	{ "the holder drops", PRWRAP_REGISTER, HOLDER, K(0), 0, 0,
	  { 0, 2, 0, 1 }, { 0, 2, KEPT, 1 } },

	{ "reserve again", PRWRAP_RESERVE, HOLDER, K(0), 0, SAME,
	  NOTHING, NOTHING },
	{ "reserve otherwise", PRWRAP_RESERVE, HOLDER, K(0), 0, DIFFERENT,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "reserve, by another", PRWRAP_RESERVE, OTHER, K(1), 0, SAME,
	  REFUSED(KIT_CONFLICT), NOTHING },
	{ "reserve, wrong key", PRWRAP_RESERVE, HOLDER, K(1), 0, SAME,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "reserve, by a stranger", PRWRAP_RESERVE, STRANGER, 0, 0, SAME,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "reserve type 0", PRWRAP_RESERVE, HOLDER, K(0), 0, 0,
	  REFUSED(-EINVAL), REFUSED(-EINVAL) },
	{ "reserve type 7", PRWRAP_RESERVE, HOLDER, K(0), 0, 7,
	  REFUSED(-EINVAL), REFUSED(-EINVAL) },

	{ "release", PRWRAP_RELEASE, HOLDER, K(0), 0, SAME,
	  { 0, 3, 0, 0 }, { 0, 3, 0, 0 } },
	{ "release, wrong type", PRWRAP_RELEASE, HOLDER, K(0), 0, DIFFERENT,
	  REFUSED(-EINVAL), REFUSED(-EINVAL) },
	{ "release, wrong key", PRWRAP_RELEASE, HOLDER, K(1), 0, SAME,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "release, by another", PRWRAP_RELEASE, OTHER, K(1), 0, SAME,
	  NOTHING, { 0, 3, 0, 0 } },
	{ "release, by another, wrong type", PRWRAP_RELEASE, OTHER, K(1), 0,
	  DIFFERENT, NOTHING, REFUSED(-EINVAL) },
	{ "release, by a stranger", PRWRAP_RELEASE, STRANGER, 0, 0, SAME,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "release type 0", PRWRAP_RELEASE, HOLDER, K(0), 0, 0,
	  REFUSED(-EINVAL), REFUSED(-EINVAL) },

	{ "clear", PRWRAP_CLEAR, HOLDER, K(0), 0, 0,
	  { 0, 0, 0, 1 }, { 0, 0, 0, 1 } },
	{ "clear, by another", PRWRAP_CLEAR, OTHER, K(1), 0, 0,
	  { 0, 0, 0, 1 }, { 0, 0, 0, 1 } },
	{ "clear, wrong key", PRWRAP_CLEAR, OTHER, K(0), 0, 0,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "clear, by a stranger", PRWRAP_CLEAR, STRANGER, 0, 0, 0,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },

	{ "preempt the holder", PRWRAP_PREEMPT, OTHER, K(1), K(0), DIFFERENT,
	  { 0, 2, DIFFERENT, 1 }, { 0, 2, KEPT, 1 } },
	{ "preempt a registrant", PRWRAP_PREEMPT, OTHER, K(1), K(2), DIFFERENT,
	  { 0, 2, KEPT, 1 }, { 0, 2, KEPT, 1 } },
	{ "preempt oneself, the holder", PRWRAP_PREEMPT, HOLDER, K(0), K(0),
	  DIFFERENT, { 0, 3, DIFFERENT, 1 }, { 0, 2, KEPT, 1 } },
	{ "preempt oneself, a registrant", PRWRAP_PREEMPT, OTHER, K(1), K(1),
	  DIFFERENT, { 0, 2, KEPT, 1 }, { 0, 2, KEPT, 1 } },
	{ "preempt key 0", PRWRAP_PREEMPT, OTHER, K(1), 0, DIFFERENT,
	  REFUSED(-EINVAL), { 0, 1, DIFFERENT, 1 } },
	{ "preempt nobody", PRWRAP_PREEMPT, OTHER, K(1), K(9), SAME,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "preempt, wrong key", PRWRAP_PREEMPT, OTHER, K(9), K(0), SAME,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "preempt, by a stranger", PRWRAP_PREEMPT, STRANGER, 0, K(0), SAME,
	  REFUSED(KIT_CONFLICT), REFUSED(KIT_CONFLICT) },
	{ "preempt to type 0", PRWRAP_PREEMPT, OTHER, K(1), K(0), 0,
	  REFUSED(-EINVAL), { 0, 2, KEPT, 1 } },
	{ "preempt to type 7", PRWRAP_PREEMPT, OTHER, K(1), K(0), 7,
	  REFUSED(-EINVAL), { 0, 2, KEPT, 1 } },
	{ "preempt a registrant, no type", PRWRAP_PREEMPT, HOLDER, K(0), K(1), 0,
	  { 0, 2, KEPT, 1 }, { 0, 2, KEPT, 1 } },
};

static unsigned int resolve_type(int type, unsigned int now)
{
	if (type == SAME)
		return now;
	if (type == DIFFERENT)
		return now % KIT_TYPES + 1;
	return type;
}

static void check_rule(struct kunit *test, const struct rule *rule,
		       unsigned int type)
{
	struct prwrap_state *s = kit_state(test, 3, type);
	struct prwrap_state *before = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	bool all = prwrap_all_regs(type);
	unsigned int want;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, before);
	memcpy(before, s, sizeof(*s));
	err = kit_do(s, rule->op, rule->from, rule->key, rule->arg,
		     resolve_type(rule->type, type));
	KUNIT_EXPECT_EQ_MSG(test, err, all ? rule->all.err : rule->one.err,
			    "%s, under type %u", rule->words, type);
	KUNIT_EXPECT_EQ_MSG(test, s->nr, all ? rule->all.nr : rule->one.nr,
			    "%s, under type %u", rule->words, type);
	want = resolve_type(all ? rule->all.type : rule->one.type, type);
	KUNIT_EXPECT_EQ_MSG(test, s->type, want, "%s, under type %u",
			    rule->words, type);
	KUNIT_EXPECT_EQ_MSG(test, s->generation - before->generation,
			    all ? rule->all.generation : rule->one.generation,
			    "%s, under type %u", rule->words, type);
	if (err)
		KUNIT_EXPECT_MEMEQ_MSG(test, s, before, sizeof(*s),
				       "%s, under type %u: refused, and yet",
				       rule->words, type);
}

static void commands(struct kunit *test)
{
	unsigned int type, i;

	for (type = 1; type <= KIT_TYPES; type++)
		for (i = 0; i < ARRAY_SIZE(rules); i++)
			check_rule(test, &rules[i], type);
}

/* Register and ignore existing key */
static void ignore(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 1, PR_WRITE_EXCLUSIVE);
	struct prwrap_cmd cmd = {
		.op = PRWRAP_REGISTER,
		.flags = STRATA_PR_IGNORE_KEY,
		.key = 0xbad,
		.arg = 0x77,
		.who = kit_who(1),
	};

	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), 0);
	KUNIT_EXPECT_EQ(test, s->regs[1].key, 0x77);
	cmd.who = kit_who(0);
	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), 0);
	KUNIT_EXPECT_EQ(test, s->regs[0].key, 0x77);
	KUNIT_EXPECT_EQ(test, s->type, PR_WRITE_EXCLUSIVE);
	cmd.arg = 0;
	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), 0);
	KUNIT_EXPECT_EQ(test, s->nr, 1);
	KUNIT_EXPECT_EQ(test, s->type, 0);
	KUNIT_EXPECT_EQ(test, s->generation, 4);
	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), 0);
	KUNIT_EXPECT_EQ_MSG(test, s->generation, 4, "there was nothing to drop");
}

/* Without a reservation */
static void no_reservation(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 3, 0);

	KUNIT_EXPECT_EQ(test, kit_do(s, PRWRAP_RELEASE, 0, K(0), 0,
				     PR_WRITE_EXCLUSIVE), 0);
	KUNIT_EXPECT_EQ(test, kit_do(s, PRWRAP_PREEMPT, 0, K(0), 0,
				     PR_WRITE_EXCLUSIVE), -EINVAL);
	KUNIT_EXPECT_EQ(test, s->generation, 3);
	KUNIT_EXPECT_EQ(test, kit_do(s, PRWRAP_PREEMPT, 0, K(0), K(1),
				     PR_WRITE_EXCLUSIVE), 0);
	KUNIT_EXPECT_EQ_MSG(test, s->type, 0, "there was none to take over");
	KUNIT_EXPECT_EQ(test, s->nr, 2);
	KUNIT_EXPECT_EQ(test, s->generation, 4);
}

/* One key may be that of many: all of them go, and who preempts may stay. */
static void shared_key(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 4, PR_EXCLUSIVE_ACCESS);
	const struct prwrap_who two = kit_who(2), three = kit_who(3);

	KUNIT_ASSERT_EQ(test, kit_register(s, 1, K(1), K(0)), 0);
	KUNIT_ASSERT_EQ(test, kit_register(s, 3, K(3), K(0)), 0);
	KUNIT_EXPECT_EQ(test, kit_do(s, PRWRAP_PREEMPT, 3, K(0), K(0),
				     PR_WRITE_EXCLUSIVE_REG_ONLY), 0);
	KUNIT_EXPECT_EQ(test, s->nr, 2);
	KUNIT_EXPECT_EQ(test, prwrap_find(s, &two), 0);
	KUNIT_EXPECT_EQ(test, prwrap_find(s, &three), 1);
	KUNIT_EXPECT_TRUE(test, prwrap_is_holder(s, 1));
	KUNIT_EXPECT_FALSE(test, prwrap_is_holder(s, 0));
	KUNIT_EXPECT_EQ(test, s->type, PR_WRITE_EXCLUSIVE_REG_ONLY);
}

/* The holder stays the holder while others come and go. */
static void holder_moves(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 4, 0);
	const struct prwrap_who who = kit_who(2);

	KUNIT_ASSERT_EQ(test, kit_do(s, PRWRAP_RESERVE, 2, K(2), 0,
				     PR_EXCLUSIVE_ACCESS), 0);
	KUNIT_EXPECT_EQ(test, kit_register(s, 3, K(3), 0), 0);
	KUNIT_EXPECT_TRUE(test, prwrap_is_holder(s, prwrap_find(s, &who)));
	KUNIT_EXPECT_EQ(test, kit_register(s, 0, K(0), 0), 0);
	KUNIT_EXPECT_TRUE(test, prwrap_is_holder(s, prwrap_find(s, &who)));
	KUNIT_EXPECT_EQ(test, kit_register(s, 0, 0, K(0)), 0);
	KUNIT_EXPECT_TRUE(test, prwrap_is_holder(s, prwrap_find(s, &who)));
	KUNIT_EXPECT_EQ(test, prwrap_deny(s, &who), 0);
	KUNIT_EXPECT_EQ(test, kit_do(s, PRWRAP_PREEMPT, 2, K(2), K(1),
				     PR_EXCLUSIVE_ACCESS), 0);
	KUNIT_EXPECT_TRUE(test, prwrap_is_holder(s, prwrap_find(s, &who)));
}

/* All registrants hold it until the last has gone. */
static void last_of_all(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 3, PR_WRITE_EXCLUSIVE_ALL_REGS);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, s->type, PR_WRITE_EXCLUSIVE_ALL_REGS);
		KUNIT_EXPECT_TRUE(test, prwrap_is_holder(s, s->nr - 1));
		KUNIT_EXPECT_EQ(test, kit_register(s, i, K(i), 0), 0);
	}
	KUNIT_EXPECT_EQ(test, s->type, 0);
}

static void full(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, PRWRAP_MAX, 0);

	KUNIT_EXPECT_EQ(test, kit_register(s, PRWRAP_MAX, 0, 1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, s->generation, PRWRAP_MAX);
	KUNIT_EXPECT_EQ(test, kit_register(s, 5, K(5), K(6)), 0);
	KUNIT_EXPECT_EQ(test, kit_register(s, 5, K(6), 0), 0);
	KUNIT_EXPECT_EQ(test, kit_register(s, PRWRAP_MAX, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, kit_do(s, PRWRAP_CLEAR, 0, K(0), 0, 0), 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(s->regs, 0, sizeof(s->regs)));
}

static void generation_wraps(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 1, 0);

	s->generation = U32_MAX;
	KUNIT_EXPECT_EQ(test, kit_register(s, 0, K(0), K(1)), 0);
	KUNIT_EXPECT_EQ(test, s->generation, 0);
}

/* A host id is the host, whatever its controllers are called. */
static void identity(struct kunit *test)
{
	struct prwrap_who a = kit_who(1), b = kit_who(1), c = kit_who(2);

	KUNIT_EXPECT_TRUE(test, prwrap_same(&a, &b));
	KUNIT_EXPECT_FALSE(test, prwrap_same(&a, &c));
	b.host_id[15] = 1;
	KUNIT_EXPECT_FALSE(test, prwrap_same(&a, &b));
	c.host_id[15] = 1;
	KUNIT_EXPECT_TRUE(test, prwrap_same(&b, &c));
	c.host_id[0] = 1;
	KUNIT_EXPECT_FALSE(test, prwrap_same(&b, &c));
}

/* What was said last about persistence counts, if it was said by a registration. */
static void ptpl_flag(struct kunit *test)
{
	struct prwrap_state *s = kit_state(test, 1, 0);
	struct prwrap_cmd cmd = {
		.op = PRWRAP_REGISTER,
		.who = kit_who(1),
		.arg = 5,
		.flags = STRATA_PR_PTPL,
	};

	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), 0);
	KUNIT_EXPECT_EQ(test, s->ptpl, 1);
	cmd.key = 4;
	cmd.flags = STRATA_PR_NO_PTPL;
	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), KIT_CONFLICT);
	KUNIT_EXPECT_EQ(test, s->ptpl, 1);
	cmd.key = 5;
	cmd.flags = 0;
	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), 0);
	KUNIT_EXPECT_EQ(test, s->ptpl, 1);
	cmd.flags = STRATA_PR_NO_PTPL;
	KUNIT_EXPECT_EQ(test, prwrap_apply(s, &cmd), 0);
	KUNIT_EXPECT_EQ(test, s->ptpl, 0);
}

static struct kunit_case prwrap_cases[] = {
	KUNIT_CASE(access),
	KUNIT_CASE(commands),
	KUNIT_CASE(ignore),
	KUNIT_CASE(no_reservation),
	KUNIT_CASE(shared_key),
	KUNIT_CASE(holder_moves),
	KUNIT_CASE(last_of_all),
	KUNIT_CASE(full),
	KUNIT_CASE(generation_wraps),
	KUNIT_CASE(identity),
	KUNIT_CASE(ptpl_flag),
	{}
};

static struct kunit_suite prwrap_suite = {
	.name = "strata_prwrap",
	.test_cases = prwrap_cases,
};

kunit_test_suites(&prwrap_suite, &prwrap_ptpl_suite, &prwrap_fence_suite,
		  &prwrap_model_suite);

MODULE_DESCRIPTION("strata: tests of persistent reservations");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
