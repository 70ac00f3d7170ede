// SPDX-License-Identifier: GPL-2.0
/*
 * The resolver: from descriptions to live disks, in three steps.
 *
 * (1) Under the graph mutex the tree is walked into a plan, a node for each
 *     description that is not live yet, which becomes BUSY.
 * (2) Without it, in the caller's own context, every node opens its paths.
 * (3) Nodes are made from the bottom up; those of one height in parallel.
 *
 * A description that somebody else is resolving is waited for with nothing
 * held. A node counts its users: nodes above, handles, the user's hold.
 */
#include <linux/export.h>
#include <linux/slab.h>
#include <strata/pr.h>
#include "core.h"
#include "trace.h"

/**
 * struct plan - one resolution
 * @nodes: new nodes, each behind all it depends on
 * @wait: somebody else's description that has to settle first, referenced
 * @failed: the description with the words for the error, referenced; NULL for
 *	the one that is resolved
 */
struct plan {
	struct list_head nodes;
	struct strata_desc *wait;
	struct strata_desc *failed;
};

/* The first failure counts. */
static int plan_fail(struct plan *plan, struct strata_desc *desc, int err)
{
	if (!plan->failed) {
		config_item_get(&desc->group.cg_item);
		plan->failed = desc;
	}
	return err;
}

/* A shared disk's users are one writer for what is below it. */
static enum strata_claim claim_of(const struct strata_desc *desc, bool shared,
				  enum strata_claim wanted)
{
	if (desc->read_only || wanted == STRATA_CLAIM_STABLE)
		return STRATA_CLAIM_STABLE;
	return shared ? STRATA_CLAIM_SHARED : STRATA_CLAIM_WRITE;
}

/* Will the disk have reservations that let writers share it? */
static bool will_have_pr(const struct strata_desc *desc)
{
	lockdep_assert_held(&strata_graph_lock);
	while (desc->type->pr == STRATA_PR_FORWARD && desc->link)
		desc = desc->link;
	return desc->type->pr == STRATA_PR_OWN;
}

/* What it takes to use a disk that is yet to be made in the way @wanted. */
static enum strata_claim desc_claim(const struct strata_desc *desc,
				    enum strata_claim wanted)
{
	return claim_of(desc, desc->shared || will_have_pr(desc), wanted);
}

/* The same of one that is there, whatever has become of its links. */
enum strata_claim strata_node_claim(const struct strata_node *node,
				    enum strata_claim wanted)
{
	const struct strata_pr *pr = node->disk->pr;

	return claim_of(node->desc,
			node->desc->shared || (pr && !pr->single_nexus),
			wanted);
}

static enum strata_claim child_claim(const struct strata_node *node,
				     const struct strata_desc *child)
{
	if (!node->type->child_claim)
		return node->claim;
	return node->type->child_claim(node->desc, child, node->claim);
}

/* The disk that a node is, or is a part of. */
static struct strata_disk *disk_of(const struct strata_node *node)
{
	while (!node->disk)
		node = node->parent;
	return node->disk;
}

static void node_free(struct strata_node *node)
{
	struct strata_desc *desc = node->desc;

	if (node->core.depended)
		strata_desc_unpin(desc);
	strata_disk_free(node->disk);
	kfree(node);
	config_item_put(&desc->group.cg_item);
}

static struct strata_node *node_alloc(struct plan *plan,
				      struct strata_desc *desc,
				      enum strata_claim claim,
				      struct strata_node *parent)
{
	struct strata_node *node = kzalloc(sizeof(*node), GFP_KERNEL);

	if (!node)
		return NULL;
	node->desc = desc;
	node->type = desc->type;
	node->claim = claim;
	node->parent = parent;
	node->index = desc->index;
	INIT_LIST_HEAD(&node->children);
	INIT_LIST_HEAD(&node->sibling);
	INIT_LIST_HEAD(&node->core.plan);
	node->core.plan_of = plan;
	config_item_get(&desc->group.cg_item);
	if (desc->type->class == STRATA_DISK) {
		node->disk = strata_disk_alloc(strata_desc_name(desc));
		if (!node->disk) {
			node_free(node);
			return NULL;
		}
		node->disk->node = node;
	}
	return node;
}

static struct strata_node *visit(struct plan *plan, struct strata_desc *desc,
				 enum strata_claim claim, unsigned int depth,
				 struct strata_node *parent);

static void raise_height(struct strata_node *node,
			 const struct strata_node *below)
{
	if (below->core.plan_of)
		node->core.height = max(node->core.height,
					below->core.height + 1);
}

static int visit_link(struct plan *plan, struct strata_node *node,
		      unsigned int depth)
{
	struct strata_desc *desc = node->desc, *to = desc->link;
	struct strata_node *link;

	if (desc->type->link == STRATA_LINK_NONE)
		return 0;
	if (!to)
		return plan_fail(plan, desc,
				 strata_fail(desc, -ENOENT, "no disk is linked"));
	link = visit(plan, to, desc_claim(to, child_claim(node, desc)),
		     depth + 1, NULL);
	if (IS_ERR(link))
		return PTR_ERR(link);
	link->core.refs++;
	node->core.link = link;
	raise_height(node, link);
	return 0;
}

static int visit_below(struct plan *plan, struct strata_node *node,
		       unsigned int depth)
{
	struct strata_desc *desc = node->desc, *child_desc;
	int err = visit_link(plan, node, depth);

	if (err)
		return err;
	list_for_each_entry(child_desc, &desc->children, sibling) {
		struct strata_node *child;

		child = visit(plan, child_desc, child_claim(node, child_desc),
			      depth, node);
		if (IS_ERR(child))
			return PTR_ERR(child);
		list_add_tail(&child->sibling, &node->children);
		raise_height(node, child);
	}
	return 0;
}

static struct strata_node *visit_fail(struct plan *plan,
				      struct strata_desc *desc, int err)
{
	return ERR_PTR(plan_fail(plan, desc, err));
}

/* Use a node again; one that is without write cannot be written. */
static struct strata_node *visit_again(struct plan *plan,
				       struct strata_desc *desc,
				       enum strata_claim claim)
{
	struct strata_node *node = desc->node;

	if (claim == STRATA_CLAIM_STABLE ||
	    node->claim != STRATA_CLAIM_STABLE)
		return node;
	return visit_fail(plan, desc, strata_fail(desc, -EBUSY,
		"%s is in use without write; disable it and its users first",
		strata_desc_name(desc)));
}

static struct strata_node *visit_busy(struct plan *plan,
				      struct strata_desc *desc,
				      enum strata_claim claim)
{
	struct strata_node *node = desc->node;

	if (!node || node->core.plan_of != plan) {
		plan->wait = desc;
		config_item_get(&desc->group.cg_item);
		return ERR_PTR(-EAGAIN);
	}
	if (!node->core.visiting)
		return visit_again(plan, desc, claim);
	return visit_fail(plan, desc, strata_fail(desc, -ELOOP,
		"%s is built on itself", strata_desc_name(desc)));
}

/* Step 1 for @desc and all below it. */
static struct strata_node *visit(struct plan *plan, struct strata_desc *desc,
				 enum strata_claim claim, unsigned int depth,
				 struct strata_node *parent)
{
	struct strata_node *node;
	int err;

	lockdep_assert_held(&strata_graph_lock);
	if (depth > STRATA_MAX_DEPTH)
		return visit_fail(plan, desc, strata_fail(desc, -ELOOP,
			"more than %d disks on top of each other",
			STRATA_MAX_DEPTH));
	if (desc->state == STRATA_LIVE)
		return visit_again(plan, desc, claim);
	if (desc->state == STRATA_BUSY)
		return visit_busy(plan, desc, claim);

	node = node_alloc(plan, desc, claim, parent);
	if (!node)
		return visit_fail(plan, desc, strata_fail(desc, -ENOMEM,
							  "out of memory"));
	desc->node = node;
	WRITE_ONCE(desc->state, STRATA_BUSY);
	node->core.visiting = true;
	err = visit_below(plan, node, depth);
	node->core.visiting = false;
	list_add_tail(&node->core.plan, &plan->nodes);
	return err ? ERR_PTR(err) : node;
}

/* Step 2 for one node. */
static int node_open(struct plan *plan, struct strata_node *node)
{
	struct strata_desc *desc = node->desc;
	int err;

	strata_fail(desc, 0, "%s", "");
	err = strata_desc_pin(desc);
	if (err)
		return plan_fail(plan, desc, err);
	node->core.depended = true;
	if (node->type->open) {
		err = node->type->open(node);
		if (err)
			return plan_fail(plan, desc, err);
	}
	node->core.is_open = true;
	return 0;
}

static int node_attach_below(struct strata_node *node)
{
	struct strata_node *link = node->core.link;
	struct strata_disk *disk = disk_of(node);
	char other[STRATA_NAME_MAX];
	enum strata_claim claim;

	if (!link)
		return 0;
	claim = strata_node_claim(link, child_claim(node, node->desc));
	node->below = strata_handle_attach(link->disk, disk->name, claim, NULL,
					   NULL, disk, other);
	if (!IS_ERR(node->below))
		return 0;
	strata_fail_handle(node->desc, link->disk, PTR_ERR(node->below), other);
	return PTR_ERR_OR_ZERO(xchg(&node->below, NULL));
}

/* The first disk below that others may write to as well, or NULL. */
static const char *shared_below(const struct strata_node *node)
{
	const struct strata_handle *below = node->below;
	const struct strata_node *child;
	const char *name = NULL;

	if (below && below->claim == STRATA_CLAIM_SHARED)
		return below->disk->name;
	/* No deeper than STRATA_MAX_DEPTH */
	if (below && below->disk->node)
		name = shared_below(below->disk->node);
	list_for_each_entry(child, &node->children, sibling)
		name = name ?: shared_below(child);
	return name;
}

/*
 * Reservations go through a disk that passes bios on as they are. One that makes
 * bios of its own, or of several, or whose own reservations are what its guests
 * are asked about, would get past those below.
 */
static int node_stack_pr(struct strata_node *node)
{
	const char *shared;
	struct strata_disk *disk = disk_of(node);
	struct strata_pr *pr = node->below ? node->below->disk->pr : NULL;

	if (node->type->pr == STRATA_PR_OWN) {
		if (strata_pr_enforces(pr))
			return strata_fail(node->desc, -EINVAL,
					   "%s has reservations of its own",
					   node->below->disk->name);
		shared = shared_below(node);
		if (!shared)
			return 0;
		return strata_fail(node->desc, -EINVAL,
				   "%s is shared, so that others could write past the reservations",
				   shared);
	}
	if (!pr)
		return 0;
	if (!node->disk || node->type->pr == STRATA_PR_NONE)
		return strata_fail(node->desc, -EINVAL,
				   "%s has reservations, which %s cannot keep; put prwrap above it instead",
				   node->below->disk->name, disk->name);
	disk->pr = pr;
	return 0;
}

static int disk_ready(struct strata_node *node)
{
	struct strata_disk *disk = node->disk;
	const char *why;
	int err;

	if (node->desc->read_only || node->claim == STRATA_CLAIM_STABLE)
		disk->read_only = true;
	err = strata_disk_ready(disk, node->type->disk_ops, &why);
	if (err)
		return strata_fail(node->desc, err, "%s", why);
	if (strata_disk_capacity(disk))
		return 0;
	return strata_fail(node->desc, -EINVAL, "the size is 0");
}

/* Step 3 for one node. */
static int node_create(struct strata_node *node)
{
	int err = node_attach_below(node);

	if (!err)
		err = node_stack_pr(node);
	if (!err && node->type->create)
		err = node->type->create(node);
	if (err)
		return err;
	node->core.is_created = true;
	return node->disk ? disk_ready(node) : 0;
}

static void node_create_work(struct work_struct *work)
{
	struct strata_node *node =
		container_of(work, struct strata_node, core.work);

	node->core.error = node_create(node);
}

static void node_destroy(struct strata_node *node)
{
	if (node->disk) {
		mutex_lock(&node->disk->users_lock);
		node->disk->ready = false;
		mutex_unlock(&node->disk->users_lock);
	}
	if (node->core.is_created && node->type->destroy)
		node->type->destroy(node);
	if (node->below)
		strata_handle_detach(node->below);
}

static void node_close(struct strata_node *node)
{
	if (node->core.is_open && node->type->close)
		node->type->close(node);
}

static int open_all(struct plan *plan)
{
	struct strata_node *node;

	list_for_each_entry(node, &plan->nodes, core.plan) {
		int err = node_open(plan, node);

		if (err)
			return err;
	}
	return 0;
}

/* Make all nodes of one height: the last one here, the others by workers. */
static int create_height(struct plan *plan, unsigned int height, bool *any)
{
	struct strata_node *node, *mine = NULL;
	int err = 0;

	list_for_each_entry(node, &plan->nodes, core.plan) {
		if (node->core.height != height)
			continue;
		if (mine) {
			INIT_WORK(&mine->core.work, node_create_work);
			queue_work(system_unbound_wq, &mine->core.work);
		}
		mine = node;
	}
	*any = mine;
	if (!mine)
		return 0;
	mine->core.error = node_create(mine);
	list_for_each_entry(node, &plan->nodes, core.plan) {
		if (node->core.height != height)
			continue;
		if (node != mine)
			flush_work(&node->core.work);
		if (node->core.error && !err)
			err = plan_fail(plan, node->desc, node->core.error);
	}
	return err;
}

static int create_all(struct plan *plan)
{
	unsigned int height = 0;
	bool any = true;
	int err = 0;

	while (any && !err)
		err = create_height(plan, height++, &any);
	return err;
}

static void settle(struct strata_desc *desc, enum strata_state state)
{
	lockdep_assert_held(&strata_graph_lock);
	WRITE_ONCE(desc->state, state);
	if (state == STRATA_IDLE) {
		desc->node = NULL;
		desc->stale = false;
	}
}

static void plan_commit(struct plan *plan)
{
	struct strata_node *node, *next;

	mutex_lock(&strata_graph_lock);
	list_for_each_entry_safe(node, next, &plan->nodes, core.plan) {
		list_del_init(&node->core.plan);
		node->core.plan_of = NULL;
		settle(node->desc, STRATA_LIVE);
	}
	mutex_unlock(&strata_graph_lock);
	wake_up_all(&strata_graph_wait);
}

/* Take all nodes of a plan down again, the last made first. */
static void plan_abort(struct plan *plan)
{
	struct strata_node *node, *next;

	list_for_each_entry_reverse(node, &plan->nodes, core.plan)
		node_destroy(node);
	list_for_each_entry_reverse(node, &plan->nodes, core.plan)
		node_close(node);

	list_for_each_entry(node, &plan->nodes, core.plan)
		if (node->core.link && node->core.link->core.plan_of != plan)
			strata_node_put(node->core.link);

	mutex_lock(&strata_graph_lock);
	list_for_each_entry(node, &plan->nodes, core.plan)
		settle(node->desc, STRATA_IDLE);
	mutex_unlock(&strata_graph_lock);
	wake_up_all(&strata_graph_wait);

	list_for_each_entry_safe(node, next, &plan->nodes, core.plan) {
		list_del_init(&node->core.plan);
		node_free(node);
	}
}

/* One attempt; -EAGAIN with @plan->wait set when somebody is in the way. */
static struct strata_node *resolve_once(struct plan *plan,
					struct strata_desc *desc,
					enum strata_claim claim)
{
	struct strata_node *node;
	int err;

	INIT_LIST_HEAD(&plan->nodes);
	plan->wait = NULL;
	plan->failed = NULL;

	mutex_lock(&strata_graph_lock);
	node = visit(plan, desc, desc_claim(desc, claim), 1, NULL);
	if (!IS_ERR(node))
		node->core.refs++;
	mutex_unlock(&strata_graph_lock);
	if (!IS_ERR(node)) {
		err = open_all(plan);
		if (!err)
			err = create_all(plan);
		if (!err) {
			plan_commit(plan);
			return node;
		}
		node = ERR_PTR(err);
	}
	plan_abort(plan);
	return node;
}

static int wait_settled(struct strata_desc *desc)
{
	int err = wait_event_killable(strata_graph_wait,
				      READ_ONCE(desc->state) != STRATA_BUSY);

	config_item_put(&desc->group.cg_item);
	return err ? -EINTR : 0;
}

/**
 * strata_resolve() - make a disk live, or use the live one
 * @desc: the disk's description; the caller keeps it
 * @claim: how it will be used
 * @asker: whose last_error gets the words of a failure, behind the name of
 *	the description that failed
 *
 * Context: process context, in the user's own credentials; no lock held.
 * Return: the node with a reference, for strata_node_put(), or an ERR_PTR.
 */
struct strata_node *strata_resolve(struct strata_desc *desc,
				   enum strata_claim claim,
				   struct strata_desc *asker)
{
	struct strata_node *node;
	struct plan plan;
	int err;

	for (;;) {
		node = resolve_once(&plan, desc, claim);
		if (!plan.wait)
			break;
		err = wait_settled(plan.wait);
		if (err)
			return ERR_PTR(strata_fail(asker, err, "interrupted"));
	}
	trace_strata_resolve(strata_desc_name(desc), PTR_ERR_OR_ZERO(node));
	if (IS_ERR(node)) {
		strata_copy_error(desc, plan.failed ?: desc);
		strata_copy_error(asker, plan.failed ?: desc);
	}
	if (plan.failed)
		config_item_put(&plan.failed->group.cg_item);
	return node;
}

static void set_tree_state(struct strata_node *node, enum strata_state state)
{
	struct strata_node *child;

	settle(node->desc, state);
	list_for_each_entry(child, &node->children, sibling)
		set_tree_state(child, state);
}

/* The whole of a dead disk, top first; then its paths; then what is below. */
static void destroy_tree(struct strata_node *node)
{
	struct strata_node *child;

	node_destroy(node);
	list_for_each_entry(child, &node->children, sibling)
		destroy_tree(child);
	node_close(node);
	if (node->core.link)
		strata_node_put(node->core.link);
}

static void free_tree(struct strata_node *node)
{
	struct strata_node *child, *next;

	list_for_each_entry_safe(child, next, &node->children, sibling)
		free_tree(child);
	node_free(node);
}

/**
 * strata_node_put() - drop a use of a live node
 * @node: the node; of a disk
 *
 * The last use takes the disk down, and what only it used.
 *
 * Context: process context, no lock held.
 */
void strata_node_put(struct strata_node *node)
{
	bool last;

	mutex_lock(&strata_graph_lock);
	last = !--node->core.refs;
	if (last)
		set_tree_state(node, STRATA_BUSY);
	mutex_unlock(&strata_graph_lock);
	if (!last)
		return;

	/* Those who look at an attribute are soon gone. */
	wait_event(strata_graph_wait, !READ_ONCE(node->core.peeks));
	destroy_tree(node);
	mutex_lock(&strata_graph_lock);
	set_tree_state(node, STRATA_IDLE);
	mutex_unlock(&strata_graph_lock);
	wake_up_all(&strata_graph_wait);
	free_tree(node);
}

static struct strata_node *root_node(struct strata_node *node)
{
	while (node->parent)
		node = node->parent;
	return node;
}

/**
 * strata_node_get_live() - look at a live object for a moment
 * @desc: a disk's or layer's description
 *
 * It is no use of the disk, but its last user waits for those who look.
 *
 * Context: process context, no lock held.
 * Return: its node, kept live until strata_node_put_live(), or NULL.
 */
struct strata_node *strata_node_get_live(struct strata_desc *desc)
{
	struct strata_node *node = NULL;

	mutex_lock(&strata_graph_lock);
	if (desc->state == STRATA_LIVE && desc->node) {
		node = desc->node;
		root_node(node)->core.peeks++;
	}
	mutex_unlock(&strata_graph_lock);
	return node;
}
EXPORT_SYMBOL_NS_GPL(strata_node_get_live, STRATA);

/**
 * strata_node_put_live() - undo strata_node_get_live()
 * @node: the node
 *
 * Context: process context, no lock held.
 */
void strata_node_put_live(struct strata_node *node)
{
	bool last;

	node = root_node(node);
	mutex_lock(&strata_graph_lock);
	last = !--node->core.peeks;
	mutex_unlock(&strata_graph_lock);
	if (last)
		wake_up_all(&strata_graph_wait);
}
EXPORT_SYMBOL_NS_GPL(strata_node_put_live, STRATA);

static int already_held(struct strata_desc *desc)
{
	return strata_fail(desc, -EALREADY, "%s is enabled already",
			   strata_desc_name(desc));
}

/* The user's hold: resolve, and keep it. */
int strata_disk_hold(struct strata_desc *desc)
{
	struct strata_node *node;
	bool held;

	if (READ_ONCE(desc->held))
		return already_held(desc);
	node = strata_resolve(desc, STRATA_CLAIM_WRITE, desc);
	if (IS_ERR(node))
		return PTR_ERR(node);

	mutex_lock(&strata_graph_lock);
	held = desc->held;
	WRITE_ONCE(desc->held, true);
	mutex_unlock(&strata_graph_lock);
	if (!held)
		return 0;
	strata_node_put(node);
	return already_held(desc);
}

/* Dropping a hold that is not there is no error. */
int strata_disk_drop(struct strata_desc *desc)
{
	struct strata_node *node = NULL;

	mutex_lock(&strata_graph_lock);
	if (desc->held)
		node = desc->node;
	WRITE_ONCE(desc->held, false);
	mutex_unlock(&strata_graph_lock);
	if (node)
		strata_node_put(node);
	return 0;
}
