// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of persistent reservations: SPC-4 clause 5.13, with which the
 * reservations chapter of NVMe agrees. Functions of values, without locks or
 * I/O: a command either changes a copy of the state or is refused.
 */
#include <linux/export.h>
#include <linux/string.h>
#include "prwrap.h"

#define CONFLICT PR_STS_RESERVATION_CONFLICT

/* Is every registrant a holder? */
bool prwrap_all_regs(unsigned int type)
{
	return type == PR_WRITE_EXCLUSIVE_ALL_REGS ||
	       type == PR_EXCLUSIVE_ACCESS_ALL_REGS;
}
EXPORT_SYMBOL_NS_GPL(prwrap_all_regs, STRATA);

/* May every registrant do what the holder may? */
static bool registrants_may(unsigned int type)
{
	return type >= PR_WRITE_EXCLUSIVE_REG_ONLY;
}

static bool exclusive_access(unsigned int type)
{
	return type == PR_EXCLUSIVE_ACCESS ||
	       type == PR_EXCLUSIVE_ACCESS_REG_ONLY ||
	       type == PR_EXCLUSIVE_ACCESS_ALL_REGS;
}

/**
 * prwrap_same() - are they one nexus?
 * @a: one
 * @b: the other
 *
 * Return: yes or no.
 */
bool prwrap_same(const struct prwrap_who *a, const struct prwrap_who *b)
{
	bool a_id = memchr_inv(a->host_id, 0, sizeof(a->host_id));
	bool b_id = memchr_inv(b->host_id, 0, sizeof(b->host_id));

	if (a_id || b_id)
		return !memcmp(a->host_id, b->host_id, sizeof(a->host_id));
	return !strncmp(a->name, b->name, sizeof(a->name));
}
EXPORT_SYMBOL_NS_GPL(prwrap_same, STRATA);

/**
 * prwrap_find() - find a registrant
 * @state: the state
 * @who: who
 *
 * Return: its index, or -1 when it has not registered.
 */
int prwrap_find(const struct prwrap_state *state, const struct prwrap_who *who)
{
	unsigned int i;

	for (i = 0; i < state->nr; i++)
		if (prwrap_same(&state->regs[i].who, who))
			return i;
	return -1;
}
EXPORT_SYMBOL_NS_GPL(prwrap_find, STRATA);

/**
 * prwrap_is_holder() - does a registrant hold the reservation?
 * @state: the state
 * @i: the registrant
 *
 * Return: yes or no.
 */
bool prwrap_is_holder(const struct prwrap_state *state, unsigned int i)
{
	return state->type &&
	       (prwrap_all_regs(state->type) || state->holder == i);
}
EXPORT_SYMBOL_NS_GPL(prwrap_is_holder, STRATA);

/**
 * prwrap_deny() - what a nexus may not do
 * @state: the state
 * @who: the nexus
 *
 * SBC-3 and NVMe agree on what a command needs: flush and discard write.
 *
 * Return: PRWRAP_DENY_READ, PRWRAP_DENY_WRITE.
 */
unsigned int prwrap_deny(const struct prwrap_state *state,
			 const struct prwrap_who *who)
{
	int i = prwrap_find(state, who);

	if (!state->type)
		return 0;
	if (i >= 0 && (prwrap_is_holder(state, i) ||
		       registrants_may(state->type)))
		return 0;
	if (exclusive_access(state->type))
		return PRWRAP_DENY_READ | PRWRAP_DENY_WRITE;
	return PRWRAP_DENY_WRITE;
}
EXPORT_SYMBOL_NS_GPL(prwrap_deny, STRATA);

static void drop_reservation(struct prwrap_state *s)
{
	s->type = 0;
	s->holder = 0;
}

/* A reservation goes with the last that holds it. */
static void drop_registrant(struct prwrap_state *s, unsigned int i)
{
	bool one = s->type && !prwrap_all_regs(s->type);

	if (one && s->holder == i)
		drop_reservation(s);
	else if (one && s->holder > i)
		s->holder--;
	s->nr--;
	memmove(&s->regs[i], &s->regs[i + 1],
		(s->nr - i) * sizeof(s->regs[0]));
	memset(&s->regs[s->nr], 0, sizeof(s->regs[0]));
	if (!s->nr)
		drop_reservation(s);
}

static void set_reservation(struct prwrap_state *s, unsigned int type,
			    unsigned int holder)
{
	s->type = type;
	s->holder = prwrap_all_regs(type) ? 0 : holder;
}

static int register_new(struct prwrap_state *s, const struct prwrap_cmd *cmd)
{
	if (s->nr == PRWRAP_MAX)
		return -ENOSPC;
	s->regs[s->nr].who = cmd->who;
	s->regs[s->nr].key = cmd->arg;
	s->nr++;
	s->generation++;
	return 0;
}

static int register_again(struct prwrap_state *s, const struct prwrap_cmd *cmd,
			  unsigned int i)
{
	if (cmd->arg)
		s->regs[i].key = cmd->arg;
	else
		drop_registrant(s, i);
	s->generation++;
	return 0;
}

/* SPC-4 5.13.7. Who has not registered has key 0. */
static int apply_register(struct prwrap_state *s, const struct prwrap_cmd *cmd)
{
	int i = prwrap_find(s, &cmd->who), err;
	u64 key = i < 0 ? 0 : s->regs[i].key;

	if (!(cmd->flags & STRATA_PR_IGNORE_KEY) && cmd->key != key)
		return CONFLICT;
	if (i < 0 && !cmd->arg)
		return 0;
	err = i < 0 ? register_new(s, cmd) : register_again(s, cmd, i);
	if (err)
		return err;
	if (cmd->flags & STRATA_PR_PTPL)
		s->ptpl = 1;
	else if (cmd->flags & STRATA_PR_NO_PTPL)
		s->ptpl = 0;
	return 0;
}

/* 5.13.9: again by a holder is fine, if it is the same. */
static int apply_reserve(struct prwrap_state *s, const struct prwrap_cmd *cmd,
			 unsigned int i)
{
	if (!strata_pr_valid_type(cmd->type))
		return -EINVAL;
	if (!s->type)
		set_reservation(s, cmd->type, i);
	else if (!prwrap_is_holder(s, i) || s->type != cmd->type)
		return CONFLICT;
	return 0;
}

/* 5.13.11.2: by somebody who holds nothing it does nothing. */
static int apply_release(struct prwrap_state *s, const struct prwrap_cmd *cmd,
			 unsigned int i)
{
	if (!strata_pr_valid_type(cmd->type))
		return -EINVAL;
	if (!prwrap_is_holder(s, i))
		return 0;
	if (s->type != cmd->type)
		return -EINVAL;
	drop_reservation(s);
	return 0;
}

/* 5.13.11.6 */
static int apply_clear(struct prwrap_state *s)
{
	while (s->nr)
		drop_registrant(s, s->nr - 1);
	s->generation++;
	return 0;
}

static bool is_victim(const struct prwrap_reg *reg, u64 victim)
{
	return !victim || reg->key == victim;
}

static bool has_victim(const struct prwrap_state *s, u64 victim)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (is_victim(&s->regs[i], victim))
			return true;
	return false;
}

/* But not @spare, unless it is -1. */
static void drop_victims(struct prwrap_state *s, u64 victim, int spare)
{
	unsigned int i = s->nr;

	while (i--)
		if (i != spare && is_victim(&s->regs[i], victim))
			drop_registrant(s, i);
}

/*
 * 5.13.11.4. A key names registrants, perhaps several; the holder's names the
 * reservation as well. Where all registrants hold it, key 0 does. Who preempts
 * its own reservation stays registered; who names its own key otherwise does
 * not.
 */
static int apply_preempt(struct prwrap_state *s, const struct prwrap_cmd *cmd,
			 unsigned int i)
{
	bool all = prwrap_all_regs(s->type), take;

	if (!cmd->arg && !all)
		return -EINVAL;
	if (!has_victim(s, cmd->arg))
		return CONFLICT;

	take = all ? !cmd->arg :
		     s->type && s->regs[s->holder].key == cmd->arg;
	/* Who only removes registrations says no type. */
	if (take && !strata_pr_valid_type(cmd->type))
		return -EINVAL;
	drop_victims(s, cmd->arg, take ? (int)i : -1);
	if (take)
		set_reservation(s, cmd->type, prwrap_find(s, &cmd->who));
	s->generation++;
	return 0;
}

/**
 * prwrap_apply() - what a command makes of a state
 * @state: the state; changed only when 0 is returned
 * @cmd: the command
 *
 * Context: any.
 * Return: 0, PR_STS_RESERVATION_CONFLICT, -EINVAL for a type or key that makes
 * no sense, -ENOSPC for one registrant too many.
 */
int prwrap_apply(struct prwrap_state *state, const struct prwrap_cmd *cmd)
{
	int i;

	if (cmd->op == PRWRAP_REGISTER)
		return apply_register(state, cmd);

	i = prwrap_find(state, &cmd->who);
	if (i < 0 || state->regs[i].key != cmd->key)
		return CONFLICT;
	switch (cmd->op) {
	case PRWRAP_RESERVE:
		return apply_reserve(state, cmd, i);
	case PRWRAP_RELEASE:
		return apply_release(state, cmd, i);
	case PRWRAP_CLEAR:
		return apply_clear(state);
	case PRWRAP_PREEMPT:
		return apply_preempt(state, cmd, i);
	default:
		return -EINVAL;
	}
}
EXPORT_SYMBOL_NS_GPL(prwrap_apply, STRATA);
