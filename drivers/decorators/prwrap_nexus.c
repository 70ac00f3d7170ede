// SPDX-License-Identifier: GPL-2.0
/*
 * Enforcement. A nexus that may issue bios has an epoch, which says what it may
 * not do and counts what it has in flight: prwrap_begin() does both in one step,
 * under RCU. A fence gives a nexus a new epoch and closes the old one; a closed
 * epoch admits nothing, and is gone when the last of its bios has ended.
 *
 * Why nothing slips through: a bio is admitted by the epoch whose word it took.
 * If that epoch was closed before, the bio asks the new one; if it is closed
 * later, the fence waits for the bio.
 *
 * Fences are numbered. Who waits for one waits for all epochs that were closed
 * up to then, so also for what a nexus had in flight when it was fenced before.
 */
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait_bit.h>
#include "prwrap.h"

static struct prwrap *to_prwrap(struct strata_pr *pr)
{
	return container_of(pr, struct prwrap, pr);
}

/**
 * prwrap_who() - the identity of a nexus
 * @who: filled in
 * @nexus: the nexus
 *
 * Return: 0, or -ENAMETOOLONG: cut names might be the same.
 */
int prwrap_who(struct prwrap_who *who, const struct strata_nexus *nexus)
{
	memset(who, 0, sizeof(*who));
	if (strlen(nexus->name) >= sizeof(who->name))
		return -ENAMETOOLONG;
	strscpy(who->name, nexus->name, sizeof(who->name));
	memcpy(who->host_id, nexus->host_id, sizeof(who->host_id));
	return 0;
}

/* Epochs. */

static void epoch_free(struct prwrap_epoch *e)
{
	struct prwrap *p = e->p;

	percpu_ref_exit(&e->inflight);
	kfree(e);
	/* prwrap_destroy() waits for this. */
	if (atomic_dec_and_test(&p->nr_epochs))
		wake_up_var(&p->nr_epochs);
}

/* The last bio of a closed epoch has ended; any context. */
static void epoch_drained(struct percpu_ref *ref)
{
	struct prwrap_epoch *e = container_of(ref, struct prwrap_epoch,
					      inflight);
	struct prwrap *p = e->p;
	unsigned long flags;

	spin_lock_irqsave(&p->drain_lock, flags);
	list_del_init(&e->node);
	spin_unlock_irqrestore(&p->drain_lock, flags);
	wake_up_all(&p->drained);
	epoch_free(e);
}

static struct prwrap_epoch *epoch_new(struct prwrap *p)
{
	struct prwrap_epoch *e = kzalloc(sizeof(*e), GFP_KERNEL);

	if (!e)
		return NULL;
	if (percpu_ref_init(&e->inflight, epoch_drained, 0, GFP_KERNEL)) {
		kfree(e);
		return NULL;
	}
	INIT_LIST_HEAD(&e->node);
	e->p = p;
	atomic_inc(&p->nr_epochs);
	return e;
}

static struct prwrap_epoch *epoch_of(struct prwrap *p,
				     const struct prwrap_nexus *n)
{
	return rcu_dereference_protected(n->epoch, lockdep_is_held(&p->lock));
}

/* Nexuses. */

static struct prwrap_nexus *nexus_find(struct prwrap *p,
				       const struct prwrap_who *who)
{
	struct prwrap_nexus *n;

	lockdep_assert_held(&p->lock);
	list_for_each_entry(n, &p->nexuses, node)
		if (prwrap_same(&n->who, who))
			return n;
	return NULL;
}

static struct prwrap_nexus *nexus_new(struct prwrap *p,
				      const struct prwrap_who *who)
{
	struct prwrap_nexus *n = kzalloc(sizeof(*n), GFP_KERNEL);
	struct prwrap_epoch *e = epoch_new(p);

	if (!n || !e) {
		if (e)
			epoch_free(e);
		kfree(n);
		return NULL;
	}
	n->who = *who;
	e->deny = prwrap_deny(p->now, who);
	RCU_INIT_POINTER(n->epoch, e);
	list_add_tail(&n->node, &p->nexuses);
	return n;
}

int prwrap_join(struct strata_pr *pr, struct strata_nexus *nexus)
{
	struct prwrap *p = to_prwrap(pr);
	struct prwrap_nexus *n;
	struct prwrap_who who;
	int err = prwrap_who(&who, nexus);

	if (err)
		return err;
	mutex_lock(&p->lock);
	n = nexus_find(p, &who) ?: nexus_new(p, &who);
	if (n)
		n->users++;
	mutex_unlock(&p->lock);
	nexus->pr = n;
	return n ? 0 : -ENOMEM;
}

void prwrap_leave(struct strata_pr *pr, struct strata_nexus *nexus)
{
	struct prwrap *p = to_prwrap(pr);
	struct prwrap_nexus *n = nexus->pr;
	struct prwrap_epoch *e = NULL;

	nexus->pr = NULL;
	mutex_lock(&p->lock);
	if (!--n->users) {
		list_del(&n->node);
		e = epoch_of(p, n);
	}
	mutex_unlock(&p->lock);
	if (!e)
		return;
	percpu_ref_kill(&e->inflight);
	kfree(n);
}

/* The bracket. */

blk_status_t prwrap_begin(struct strata_pr *pr, struct strata_nexus *nexus,
			  blk_opf_t op, void **token)
{
	unsigned int deny = op_is_write(op) ? PRWRAP_DENY_WRITE :
					      PRWRAP_DENY_READ;
	const struct prwrap_nexus *n = nexus->pr;
	struct prwrap_epoch *e;
	bool admitted;

	if (WARN_ON_ONCE(!n))
		return BLK_STS_RESV_CONFLICT;
	/* It fails when the epoch has just been closed; there is a new one. */
	do {
		rcu_read_lock();
		e = rcu_dereference(n->epoch);
		if (unlikely(READ_ONCE(e->deny) & deny)) {
			rcu_read_unlock();
			return BLK_STS_RESV_CONFLICT;
		}
		admitted = percpu_ref_tryget_live(&e->inflight);
		rcu_read_unlock();
	} while (unlikely(!admitted));
	*token = e;
	return BLK_STS_OK;
}

void prwrap_end(struct strata_pr *pr, void *token)
{
	struct prwrap_epoch *e = token;

	percpu_ref_put(&e->inflight);
}

/* Fences. */

/**
 * prwrap_fence_prepare() - get what a fence needs
 * @p: the reservations; those registered in @p->now and not in @p->next are to
 *	be fenced
 *
 * Context: under @p->lock; to be followed by prwrap_publish() or
 * prwrap_fence_drop().
 * Return: 0 or -ENOMEM.
 */
int prwrap_fence_prepare(struct prwrap *p)
{
	struct prwrap_nexus *n;

	lockdep_assert_held(&p->lock);
	list_for_each_entry(n, &p->nexuses, node) {
		if (prwrap_find(p->now, &n->who) < 0 ||
		    prwrap_find(p->next, &n->who) >= 0)
			continue;
		n->spare = epoch_new(p);
		if (n->spare)
			continue;
		prwrap_fence_drop(p);
		return -ENOMEM;
	}
	return 0;
}

/**
 * prwrap_fence_drop() - undo prwrap_fence_prepare()
 * @p: the reservations
 *
 * Context: under @p->lock.
 */
void prwrap_fence_drop(struct prwrap *p)
{
	struct prwrap_nexus *n;

	lockdep_assert_held(&p->lock);
	list_for_each_entry(n, &p->nexuses, node) {
		if (n->spare)
			epoch_free(n->spare);
		n->spare = NULL;
	}
}

static void fence_one(struct prwrap *p, struct prwrap_nexus *n,
		      unsigned int deny)
{
	struct prwrap_epoch *old = epoch_of(p, n);

	n->spare->deny = deny;
	rcu_assign_pointer(n->epoch, n->spare);
	n->spare = NULL;

	spin_lock_irq(&p->drain_lock);
	old->fence = p->fence;
	list_add_tail(&old->node, &p->draining);
	spin_unlock_irq(&p->drain_lock);
	/* Drops the one that has kept it open; may drain it. */
	percpu_ref_kill(&old->inflight);
}

/**
 * prwrap_publish() - make @p->now what is enforced
 * @p: the reservations
 *
 * From here on nobody is admitted whom the state denies. What was admitted
 * before goes on; prwrap_fence_wait() waits for that of those fenced.
 *
 * Context: under @p->lock.
 */
void prwrap_publish(struct prwrap *p)
{
	struct prwrap_nexus *n;

	lockdep_assert_held(&p->lock);
	spin_lock_irq(&p->drain_lock);
	p->fence++;
	spin_unlock_irq(&p->drain_lock);
	list_for_each_entry(n, &p->nexuses, node) {
		unsigned int deny = prwrap_deny(p->now, &n->who);

		if (n->spare)
			fence_one(p, n, deny);
		else
			WRITE_ONCE(epoch_of(p, n)->deny, deny);
	}
}

/**
 * prwrap_last_fence() - the number of the last fence there was
 * @p: the reservations; locked
 *
 * Return: it, for prwrap_fence_wait().
 */
u64 prwrap_last_fence(struct prwrap *p)
{
	u64 fence;

	spin_lock_irq(&p->drain_lock);
	fence = p->fence;
	spin_unlock_irq(&p->drain_lock);
	return fence;
}

static bool has_drained(struct prwrap *p, u64 fence)
{
	struct prwrap_epoch *e;
	bool drained;

	spin_lock_irq(&p->drain_lock);
	e = list_first_entry_or_null(&p->draining, struct prwrap_epoch, node);
	drained = !e || e->fence > fence;
	spin_unlock_irq(&p->drain_lock);
	return drained;
}

/**
 * prwrap_fence_wait() - wait until nothing of those fenced is in flight
 * @p: the reservations
 * @fence: from prwrap_last_fence(); earlier fences are waited for as well
 *
 * Context: process context, no lock held.
 * Return: 0, or -EINTR when the caller is killed before that.
 */
int prwrap_fence_wait(struct prwrap *p, u64 fence)
{
	return wait_event_killable(p->drained, has_drained(p, fence)) ?
	       -EINTR : 0;
}
