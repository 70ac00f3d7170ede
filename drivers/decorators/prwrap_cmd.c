// SPDX-License-Identifier: GPL-2.0
/*
 * Commands: each is applied to a copy of the state, made persistent, and only
 * then put in force; so one that fails has changed nothing, but a preempt and
 * abort whose caller is killed while it waits for what its victim has in flight.
 * Whoever takes over after that waits for it again. And the disk that they are
 * about, which passes every bio on.
 */
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <strata/submit.h>
#include "prwrap.h"

static struct prwrap *to_prwrap(struct strata_pr *pr)
{
	return container_of(pr, struct prwrap, pr);
}

/* What does not persist is not in the file, whatever was there before. */
static int store(struct prwrap *p, const struct prwrap_state *state)
{
	struct prwrap_state *none;
	int err;

	if (state->ptpl)
		return prwrap_ptpl_store(&p->ptpl, state);
	none = kzalloc(sizeof(*none), GFP_KERNEL);
	if (!none)
		return -ENOMEM;
	err = prwrap_ptpl_store(&p->ptpl, none);
	kfree(none);
	return err;
}

/*
 * A slot that could not be synced may be there all the same, and would count
 * the next time: what is refused now must not be in force then.
 */
static int persist(struct prwrap *p)
{
	int err;

	if (!p->next->ptpl && !p->now->ptpl)
		return 0;
	err = store(p, p->next);
	if (err && store(p, p->now))
		pr_warn_ratelimited("strata: prwrap: the ptpl_file may hold a command that failed with %d\n",
				    err);
	return err;
}

/* Put @p->next in force. */
static int commit(struct prwrap *p, bool abort)
{
	int err = abort ? prwrap_fence_prepare(p) : 0;

	if (err)
		return err;
	err = persist(p);
	if (err) {
		prwrap_fence_drop(p);
		return err;
	}
	swap(p->now, p->next);
	prwrap_publish(p);
	return 0;
}

/* From now on it may write what another one, who was fenced, may still write. */
static bool takes_over(const struct prwrap_cmd *cmd)
{
	return cmd->op == PRWRAP_RESERVE || cmd->op == PRWRAP_PREEMPT;
}

static int run(struct strata_pr *pr, const struct strata_nexus *nexus,
	       struct prwrap_cmd *cmd)
{
	struct prwrap *p = to_prwrap(pr);
	u64 fence;
	int err;

	err = prwrap_who(&cmd->who, nexus);
	if (err)
		return err;
	/* Somebody else's command may wait for a file that is gone. */
	if (mutex_lock_killable(&p->lock))
		return -EINTR;
	memcpy(p->next, p->now, sizeof(*p->next));
	err = prwrap_apply(p->next, cmd);
	if (!err && memcmp(p->next, p->now, sizeof(*p->next)))
		err = commit(p, cmd->abort);
	fence = prwrap_last_fence(p);
	mutex_unlock(&p->lock);
	if (err || !takes_over(cmd))
		return err;
	return prwrap_fence_wait(p, fence);
}

static int prwrap_register(struct strata_pr *pr, struct strata_nexus *nexus,
			   u64 old_key, u64 new_key, unsigned int flags)
{
	struct prwrap_cmd cmd = {
		.op = PRWRAP_REGISTER,
		.key = old_key,
		.arg = new_key,
		.flags = flags,
	};

	if ((flags & STRATA_PR_PTPL) && !pr->ptpl)
		return -EINVAL;
	return run(pr, nexus, &cmd);
}

static int prwrap_reserve(struct strata_pr *pr, struct strata_nexus *nexus,
			  u64 key, enum pr_type type)
{
	struct prwrap_cmd cmd = {
		.op = PRWRAP_RESERVE,
		.key = key,
		.type = type,
	};

	return run(pr, nexus, &cmd);
}

static int prwrap_release(struct strata_pr *pr, struct strata_nexus *nexus,
			  u64 key, enum pr_type type)
{
	struct prwrap_cmd cmd = {
		.op = PRWRAP_RELEASE,
		.key = key,
		.type = type,
	};

	return run(pr, nexus, &cmd);
}

static int prwrap_clear(struct strata_pr *pr, struct strata_nexus *nexus,
			u64 key)
{
	struct prwrap_cmd cmd = {
		.op = PRWRAP_CLEAR,
		.key = key,
	};

	return run(pr, nexus, &cmd);
}

static int prwrap_preempt(struct strata_pr *pr, struct strata_nexus *nexus,
			  u64 key, u64 victim, enum pr_type type, bool abort)
{
	struct prwrap_cmd cmd = {
		.op = PRWRAP_PREEMPT,
		.key = key,
		.arg = victim,
		.type = type,
		.abort = abort,
	};

	return run(pr, nexus, &cmd);
}

static int prwrap_read_keys(struct strata_pr *pr, struct pr_keys *keys)
{
	struct prwrap *p = to_prwrap(pr);
	unsigned int i;

	if (mutex_lock_killable(&p->lock))
		return -EINTR;
	for (i = 0; i < min(keys->num_keys, p->now->nr); i++)
		keys->keys[i] = p->now->regs[i].key;
	keys->num_keys = p->now->nr;
	keys->generation = p->now->generation;
	mutex_unlock(&p->lock);
	return 0;
}

/* Where all registrants hold it there is no one key: 0. */
static int prwrap_read_reservation(struct strata_pr *pr,
				   struct pr_held_reservation *rsv)
{
	struct prwrap *p = to_prwrap(pr);
	const struct prwrap_state *s;

	if (mutex_lock_killable(&p->lock))
		return -EINTR;
	s = p->now;
	rsv->generation = s->generation;
	rsv->type = s->type;
	rsv->key = 0;
	if (s->type && !prwrap_all_regs(s->type))
		rsv->key = s->regs[s->holder].key;
	mutex_unlock(&p->lock);
	return 0;
}

static void report(struct strata_pr_registrant *to,
		   const struct prwrap_state *s, unsigned int i)
{
	to->key = s->regs[i].key;
	to->holder = prwrap_is_holder(s, i);
	memcpy(to->name, s->regs[i].who.name, sizeof(to->name));
	memcpy(to->host_id, s->regs[i].who.host_id, sizeof(to->host_id));
}

static int prwrap_read_full_status(struct strata_pr *pr,
				   struct strata_pr_status *status)
{
	struct prwrap *p = to_prwrap(pr);
	unsigned int i;

	if (mutex_lock_killable(&p->lock))
		return -EINTR;
	status->generation = p->now->generation;
	status->type = p->now->type;
	status->ptpl = p->now->ptpl;
	for (i = 0; i < min(status->nr, p->now->nr); i++)
		report(&status->registrants[i], p->now, i);
	status->nr = p->now->nr;
	mutex_unlock(&p->lock);
	return 0;
}

static const struct strata_pr_ops prwrap_pr_ops = {
	.join = prwrap_join,
	.leave = prwrap_leave,
	.register_key = prwrap_register,
	.reserve = prwrap_reserve,
	.release = prwrap_release,
	.clear = prwrap_clear,
	.preempt = prwrap_preempt,
	.read_keys = prwrap_read_keys,
	.read_reservation = prwrap_read_reservation,
	.read_full_status = prwrap_read_full_status,
	.begin = prwrap_begin,
	.end = prwrap_end,
};

/* The disk. */

static enum strata_map prwrap_map(struct strata_ctx *ctx,
				  struct strata_disk *disk, struct bio *bio)
{
	struct prwrap *p = disk->private;

	return strata_remap(ctx, p->inner);
}

/* Flushes and FUA go on as they come: the disk below sees to them. */
const struct strata_disk_ops prwrap_disk_ops = {
	.single_target = true,
	.native_fua = true,
	.map = prwrap_map,
};
EXPORT_SYMBOL_NS_GPL(prwrap_disk_ops, STRATA);

static int open_ptpl(struct prwrap *p, struct file *file, const char **why)
{
	int err = prwrap_ptpl_init(&p->ptpl, file, p->now, why);

	if (err)
		return err;
	p->pr.ptpl = true;
	return 0;
}

static struct prwrap *prwrap_alloc(void)
{
	struct prwrap *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	p->pr.ops = &prwrap_pr_ops;
	mutex_init(&p->lock);
	spin_lock_init(&p->drain_lock);
	INIT_LIST_HEAD(&p->nexuses);
	INIT_LIST_HEAD(&p->draining);
	init_waitqueue_head(&p->drained);
	p->now = kzalloc(sizeof(*p->now), GFP_KERNEL);
	p->next = kzalloc(sizeof(*p->next), GFP_KERNEL);
	if (p->now && p->next)
		return p;
	prwrap_destroy(p);
	return NULL;
}

/**
 * prwrap_create() - reservations for a disk
 * @disk: the disk that is to have them; gets its private data, limits and pr
 * @inner: the disk below, which stays
 * @ptpl: the file they persist in, the caller's until prwrap_destroy(); or NULL
 * @why: set to a sentence on failure
 *
 * Context: process context.
 * Return: them, or an ERR_PTR.
 */
struct prwrap *prwrap_create(struct strata_disk *disk,
			     struct strata_disk *inner, struct file *ptpl,
			     const char **why)
{
	struct prwrap *p = prwrap_alloc();
	int err = 0;

	*why = "out of memory";
	if (!p)
		return ERR_PTR(-ENOMEM);
	p->inner = inner;
	if (ptpl)
		err = open_ptpl(p, ptpl, why);
	if (err) {
		prwrap_destroy(p);
		return ERR_PTR(err);
	}
	strata_disk_inherit(disk, inner);
	disk->private = p;
	disk->pr = &p->pr;
	return p;
}
EXPORT_SYMBOL_NS_GPL(prwrap_create, STRATA);

/**
 * prwrap_destroy() - undo prwrap_create()
 * @p: them; all nexuses have left, no command runs
 *
 * Context: process context; epochs that are closed are waited for.
 */
void prwrap_destroy(struct prwrap *p)
{
	WARN_ON_ONCE(!list_empty(&p->nexuses));
	wait_var_event(&p->nr_epochs, !atomic_read(&p->nr_epochs));
	prwrap_ptpl_exit(&p->ptpl);
	mutex_destroy(&p->lock);
	kfree(p->next);
	kfree(p->now);
	kfree(p);
}
EXPORT_SYMBOL_NS_GPL(prwrap_destroy, STRATA);
