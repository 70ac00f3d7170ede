/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_PRWRAP_KIT_H
#define STRATA_KUNIT_PRWRAP_KIT_H
/* Reservations for tests: nexuses by number, commands in a line. */
#include <kunit/test.h>
#include <linux/string.h>
#include "../drivers/decorators/prwrap.h"

#define KIT_CONFLICT	PR_STS_RESERVATION_CONFLICT
#define KIT_TYPES	PR_EXCLUSIVE_ACCESS_ALL_REGS

/* The nexus number @i, and the key it registers with. */
static inline struct prwrap_who kit_who(unsigned int i)
{
	struct prwrap_who who = {};

	snprintf(who.name, sizeof(who.name), "block.%u", i);
	return who;
}

static inline u64 kit_key(unsigned int i)
{
	return 0x1000 + i;
}

static inline int kit_do(struct prwrap_state *s, enum prwrap_op op,
			 unsigned int i, u64 key, u64 arg, unsigned int type)
{
	const struct prwrap_cmd cmd = {
		.op = op,
		.who = kit_who(i),
		.key = key,
		.arg = arg,
		.type = type,
	};

	return prwrap_apply(s, &cmd);
}

static inline int kit_register(struct prwrap_state *s, unsigned int i, u64 key,
			       u64 new_key)
{
	return kit_do(s, PRWRAP_REGISTER, i, key, new_key, 0);
}

/* Nexuses 0 .. @nr - 1 have registered; 0 has reserved, if there is a @type. */
static inline struct prwrap_state *kit_state(struct kunit *test,
					     unsigned int nr, unsigned int type)
{
	struct prwrap_state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, s);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, kit_register(s, i, 0, kit_key(i)), 0);
	if (type)
		KUNIT_ASSERT_EQ(test, kit_do(s, PRWRAP_RESERVE, 0, kit_key(0),
					     0, type), 0);
	return s;
}

extern struct kunit_suite prwrap_ptpl_suite, prwrap_fence_suite,
			  prwrap_model_suite;

#endif /* STRATA_KUNIT_PRWRAP_KIT_H */
