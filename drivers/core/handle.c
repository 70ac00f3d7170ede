// SPDX-License-Identifier: GPL-2.0
/* Handles: claims on live disks, admission, freeze and drain. */
#include <linux/export.h>
#include <linux/slab.h>
#include <strata/pr.h>
#include "core.h"

bool strata_claims_agree(enum strata_claim a, enum strata_claim b)
{
	return a == b && a != STRATA_CLAIM_WRITE;
}

const char *strata_claim_words(enum strata_claim claim)
{
	switch (claim) {
	case STRATA_CLAIM_WRITE:
		return "for writing";
	case STRATA_CLAIM_SHARED:
		return "for shared writing";
	default:
		return "as a stable image";
	}
}

static void inflight_drained(struct percpu_ref *ref)
{
	struct strata_handle *handle =
		container_of(ref, struct strata_handle, inflight);

	complete_all(&handle->drained);
}

static struct strata_handle *handle_alloc(const char *name)
{
	struct strata_handle *handle = kzalloc(sizeof(*handle), GFP_KERNEL);

	if (!handle)
		return NULL;
	init_waitqueue_head(&handle->thawed);
	init_completion(&handle->drained);
	mutex_init(&handle->freeze_lock);
	handle->nexus.name = kstrdup(name, GFP_KERNEL);
	if (!handle->nexus.name)
		goto free;
	if (percpu_ref_init(&handle->inflight, inflight_drained,
			    PERCPU_REF_ALLOW_REINIT, GFP_KERNEL))
		goto free;
	return handle;
free:
	kfree(handle->nexus.name);
	kfree(handle);
	return NULL;
}

static void handle_free(struct strata_handle *handle)
{
	percpu_ref_exit(&handle->inflight);
	mutex_destroy(&handle->freeze_lock);
	kfree(handle->nexus.name);
	kfree(handle);
}

/* The user whose claim stands against this one, or NULL. */
static struct strata_handle *find_conflict(struct strata_disk *disk,
					   enum strata_claim claim)
{
	bool alone = disk->pr && disk->pr->single_nexus;
	struct strata_handle *h;

	lockdep_assert_held(&disk->users_lock);
	list_for_each_entry(h, &disk->users, node)
		if (alone || !strata_claims_agree(h->claim, claim))
			return h;
	return NULL;
}

/* Only a frontend issues bios of its own; those of a disk above have a nexus. */
static struct strata_pr *handle_pr(const struct strata_handle *handle)
{
	return handle->above ? NULL : handle->disk->pr;
}

/**
 * strata_handle_attach() - open a handle on a disk that is known to stay
 * @disk: the disk
 * @name: who: becomes the nexus's name
 * @claim: the access claimed; STABLE is all that a read-only disk gives
 * @ops: callbacks, or NULL
 * @owner: for the consumer
 * @above: the disk that consumes, whose size follows, or NULL
 * @other: buffer of STRATA_NAME_MAX bytes for the name of the user in the way
 *	on -EBUSY
 *
 * Context: process context.
 * Return: the handle or an ERR_PTR: -EBUSY, -ENOMEM, -ENAMETOOLONG.
 */
struct strata_handle *strata_handle_attach(struct strata_disk *disk,
					   const char *name,
					   enum strata_claim claim,
					   const struct strata_handle_ops *ops,
					   void *owner,
					   struct strata_disk *above,
					   char *other)
{
	struct strata_handle *handle = handle_alloc(name);
	struct strata_handle *conflict;
	int err;

	if (!handle)
		return ERR_PTR(-ENOMEM);
	handle->disk = disk;
	handle->claim = disk->read_only ? STRATA_CLAIM_STABLE : claim;
	handle->read_only = handle->claim == STRATA_CLAIM_STABLE;
	handle->ops = ops;
	handle->owner = owner;
	handle->above = above;
	err = strata_pr_join(handle_pr(handle), &handle->nexus);
	if (err)
		goto free;

	mutex_lock(&disk->users_lock);
	/* It has not told anybody who came later. */
	if (disk->dead && above)
		WRITE_ONCE(above->dead, true);
	conflict = find_conflict(disk, handle->claim);
	if (conflict)
		strscpy(other, conflict->nexus.name, STRATA_NAME_MAX);
	else
		list_add_tail(&handle->node, &disk->users);
	mutex_unlock(&disk->users_lock);

	if (!conflict)
		return handle;
	err = -EBUSY;
	strata_pr_leave(handle_pr(handle), &handle->nexus);
free:
	handle_free(handle);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_NS_GPL(strata_handle_attach, STRATA);

/**
 * strata_handle_detach() - undo strata_handle_attach()
 * @handle: the handle; nothing submitted under it is in flight. After this
 *	returns no callback runs
 *
 * Context: process context; takes the disk's users lock.
 */
void strata_handle_detach(struct strata_handle *handle)
{
	struct strata_disk *disk = handle->disk;

	mutex_lock(&disk->users_lock);
	list_del(&handle->node);
	mutex_unlock(&disk->users_lock);
	strata_pr_leave(handle_pr(handle), &handle->nexus);
	handle_free(handle);
}
EXPORT_SYMBOL_NS_GPL(strata_handle_detach, STRATA);

/* Say why a handle could not be had. */
void strata_fail_handle(struct strata_desc *consumer,
			const struct strata_disk *disk, int err,
			const char *other)
{
	if (err == -ENAMETOOLONG)
		strata_fail(consumer, err, "the name is too long");
	else if (err != -EBUSY)
		strata_fail(consumer, err, "out of memory");
	else if (disk->pr && disk->pr->single_nexus)
		strata_fail(consumer, err,
			    "%s has reservations for one user alone, which is %s; put prwrap above it",
			    disk->name, other);
	else
		strata_fail(consumer, err, "%s is in use by %s", disk->name,
			    other);
}

/**
 * strata_handle_open() - resolve what a description links to, and hold it
 * @consumer: a frontend's description with one link
 * @claim: the access claimed; a disk that has reservations, or is marked
 *	`shared`, makes WRITE of it SHARED, a read-only one STABLE
 * @ops: callbacks, or NULL
 * @owner: for the consumer
 *
 * Context: process context, in the user's own credentials and namespaces; no
 * lock held.
 * Return: the handle or an ERR_PTR, with words in @consumer's last_error.
 */
struct strata_handle *strata_handle_open(struct strata_desc *consumer,
					 enum strata_claim claim,
					 const struct strata_handle_ops *ops,
					 void *owner)
{
	struct strata_handle *handle;
	struct strata_desc *desc;
	struct strata_node *node;
	char other[STRATA_NAME_MAX];

	mutex_lock(&strata_graph_lock);
	desc = consumer->link;
	if (desc)
		config_item_get(&desc->group.cg_item);
	mutex_unlock(&strata_graph_lock);
	if (!desc)
		return ERR_PTR(strata_fail(consumer, -ENOENT,
					   "no disk is linked"));

	node = strata_resolve(desc, claim, consumer);
	if (IS_ERR(node)) {
		handle = ERR_CAST(node);
		goto put;
	}
	handle = strata_handle_attach(node->disk, strata_desc_name(consumer),
				      strata_node_claim(node, claim), ops,
				      owner, NULL, other);
	if (IS_ERR(handle)) {
		strata_fail_handle(consumer, node->disk, PTR_ERR(handle), other);
		strata_node_put(node);
	}
put:
	config_item_put(&desc->group.cg_item);
	return handle;
}
EXPORT_SYMBOL_NS_GPL(strata_handle_open, STRATA);

/**
 * strata_handle_close() - undo strata_handle_open()
 * @handle: the handle; nothing submitted under it is in flight
 *
 * The disk goes down here if this was its last use.
 *
 * Context: process context, no lock held.
 */
void strata_handle_close(struct strata_handle *handle)
{
	struct strata_node *node = handle->disk->node;

	strata_handle_detach(handle);
	strata_node_put(node);
}
EXPORT_SYMBOL_NS_GPL(strata_handle_close, STRATA);

/* Out of line, for the sake of strata_handle_enter(). */
static noinline int enter_frozen(struct strata_handle *handle, bool nowait)
{
	do {
		if (nowait)
			return -EAGAIN;
		wait_event(handle->thawed, !READ_ONCE(handle->frozen));
	} while (!percpu_ref_tryget_live(&handle->inflight));
	return 0;
}

/**
 * strata_handle_enter() - admit one request
 * @handle: the handle
 * @nowait: do not wait for a thaw
 *
 * For consumers that count their requests; each success is paired with
 * strata_handle_exit() when the request has ended.
 *
 * Context: task context; sleeps while frozen unless @nowait.
 * Return: 0, or -EAGAIN.
 */
int strata_handle_enter(struct strata_handle *handle, bool nowait)
{
	if (likely(percpu_ref_tryget_live(&handle->inflight)))
		return 0;
	return enter_frozen(handle, nowait);
}
EXPORT_SYMBOL_NS_GPL(strata_handle_enter, STRATA);

/**
 * strata_handle_exit() - a request admitted has ended
 * @handle: the handle
 *
 * Context: any.
 */
void strata_handle_exit(struct strata_handle *handle)
{
	percpu_ref_put(&handle->inflight);
}
EXPORT_SYMBOL_NS_GPL(strata_handle_exit, STRATA);

/**
 * strata_handle_freeze() - stop admissions and wait until all has ended
 * @handle: the handle
 *
 * May be nested; as many thaws are needed.
 *
 * Context: process context; sleeps until what was admitted has ended.
 * Return: 0, or -EBUSY when something untracked may be in flight.
 */
int strata_handle_freeze(struct strata_handle *handle)
{
	mutex_lock(&handle->freeze_lock);
	if (!handle->frozen) {
		WRITE_ONCE(handle->frozen, 1);
		percpu_ref_kill(&handle->inflight);
	} else {
		handle->frozen++;
	}
	mutex_unlock(&handle->freeze_lock);
	wait_for_completion(&handle->drained);
	if (!READ_ONCE(handle->untracked))
		return 0;
	strata_handle_thaw(handle);
	return -EBUSY;
}
EXPORT_SYMBOL_NS_GPL(strata_handle_freeze, STRATA);

/**
 * strata_handle_thaw() - undo one strata_handle_freeze()
 * @handle: the handle
 *
 * Context: process context.
 */
void strata_handle_thaw(struct strata_handle *handle)
{
	mutex_lock(&handle->freeze_lock);
	if (!WARN_ON_ONCE(!handle->frozen) && handle->frozen == 1) {
		reinit_completion(&handle->drained);
		percpu_ref_reinit(&handle->inflight);
		WRITE_ONCE(handle->frozen, 0);
		wake_up_all(&handle->thawed);
	} else if (handle->frozen) {
		handle->frozen--;
	}
	mutex_unlock(&handle->freeze_lock);
}
EXPORT_SYMBOL_NS_GPL(strata_handle_thaw, STRATA);
