// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptions: the configfs tree, its links, and words for what went wrong.
 *
 * strata_graph_lock protects the shape of the tree and the state of every
 * description. It is taken inside configfs's own locks, and never held over
 * I/O, opening, request_module() or the end of a disk.
 */
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "core.h"

DEFINE_MUTEX(strata_graph_lock); /* protects the graph of descriptions */
DECLARE_WAIT_QUEUE_HEAD(strata_graph_wait);

/**
 * strata_fail() - say why something failed
 * @desc: whose last_error it becomes
 * @err: a negative errno
 * @fmt: one sentence without a full stop, as for printf
 *
 * Context: process context.
 * Return: @err.
 */
int strata_fail(struct strata_desc *desc, int err, const char *fmt, ...)
{
	va_list args;

	spin_lock(&desc->error_lock);
	va_start(args, fmt);
	vscnprintf(desc->error, sizeof(desc->error), fmt, args);
	va_end(args);
	spin_unlock(&desc->error_lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_fail, STRATA);

/**
 * strata_fail_path() - say why a path could not be opened
 * @desc: whose last_error it becomes
 * @err: a negative errno
 * @path: the path
 *
 * Context: process context.
 * Return: @err.
 */
int strata_fail_path(struct strata_desc *desc, int err, const char *path)
{
	static const struct {
		int err;
		const char *words;
	} known[] = {
		{ -ENOENT, "no such file or directory" },
		{ -EACCES, "permission denied" },
		{ -EPERM, "operation not permitted" },
		{ -EISDIR, "is a directory" },
		{ -ENOTDIR, "not a directory" },
		{ -EROFS, "read-only file system" },
		{ -EBUSY, "device or resource busy" },
		{ -ELOOP, "too many levels of symbolic links" },
		{ -ENAMETOOLONG, "file name too long" },
		{ -ETXTBSY, "text file busy" },
		{ -ENXIO, "no such device or address" },
		{ -ENOMEM, "out of memory" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].err == err)
			return strata_fail(desc, err, "%s: %s", path,
					   known[i].words);
	return strata_fail(desc, err, "%s: error %d", path, -err);
}
EXPORT_SYMBOL_NS_GPL(strata_fail_path, STRATA);

/* Give @to the words of @from, behind its name. Takes the graph mutex. */
void strata_copy_error(struct strata_desc *to, struct strata_desc *from)
{
	char words[STRATA_ERROR_SIZE];

	if (to == from)
		return;
	guard(mutex)(&strata_graph_lock);
	spin_lock(&from->error_lock);
	strscpy(words, from->error, sizeof(words));
	spin_unlock(&from->error_lock);
	if (from->parent == to)
		strata_fail(to, 0, "%s: %s", strata_desc_name(from), words);
	else if (from->parent)
		strata_fail(to, 0, "%s/%s: %s", strata_desc_name(from->parent),
			    strata_desc_name(from), words);
	else
		strata_fail(to, 0, "%s: %s", strata_desc_name(from), words);
}

/*
 * Keep the item from being removed while it is live. configfs may look at the
 * item only before rmdir takes it out of the tree, and after mkdir, which holds
 * none of our locks then, has put it in.
 */
int strata_desc_pin(struct strata_desc *desc)
{
	guard(mutex)(&strata_graph_lock);
	if (desc->gone || !READ_ONCE(desc->group.cg_item.ci_group))
		return strata_fail(desc, -ENOENT,
				   "%s is being made or removed",
				   strata_desc_name(desc));
	return configfs_depend_item_unlocked(&strata_subsys,
					     &desc->group.cg_item);
}

void strata_desc_unpin(struct strata_desc *desc)
{
	configfs_undepend_item(&desc->group.cg_item);
}

static struct strata_desc *desc_alloc(struct strata_type *type,
				      const char *name)
{
	struct strata_desc *desc = kzalloc(type->desc_size, GFP_KERNEL);

	if (!desc)
		return NULL;
	desc->type = type;
	INIT_LIST_HEAD(&desc->children);
	INIT_LIST_HEAD(&desc->sibling);
	spin_lock_init(&desc->error_lock);
	config_group_init_type_name(&desc->group, name, &type->core.item_type);
	/* A long name is allocated, and nobody says when that fails. */
	if (!config_item_name(&desc->group.cg_item)) {
		kfree(desc);
		return NULL;
	}
	if (type->init)
		type->init(desc);
	return desc;
}

static void desc_release(struct config_item *item)
{
	struct strata_desc *desc = to_strata_desc(item);
	struct strata_type *type = desc->type;

	if (type->release)
		type->release(desc);
	kfree(desc);
	strata_type_put(type);
}

static int insert_child(struct strata_desc *parent, struct strata_desc *child)
{
	struct strata_desc *at;

	guard(mutex)(&strata_graph_lock);
	if (parent->state != STRATA_IDLE)
		return strata_fail(parent, -EBUSY, "%s is live; disable it first",
				   strata_desc_name(parent));
	list_for_each_entry(at, &parent->children, sibling) {
		if (at->index == child->index)
			return strata_fail(parent, -EEXIST,
					   "index %u is %s already",
					   child->index, strata_desc_name(at));
		if (at->index > child->index)
			break;
	}
	list_add_tail(&child->sibling, &at->sibling);
	child->parent = parent;
	return 0;
}

/**
 * strata_desc_new_child() - make the description of a subdirectory
 * @parent: the description it is inside of
 * @type: from strata_type_get(); its reference goes to the child, and is put
 *	here on failure
 * @name: name of the directory
 * @index: its number among its siblings
 *
 * Context: in a type's make_child.
 * Return: the child, or an ERR_PTR: -EBUSY when @parent is live, -EEXIST,
 * -ENOMEM.
 */
struct strata_desc *strata_desc_new_child(struct strata_desc *parent,
					  struct strata_type *type,
					  const char *name, unsigned int index)
{
	struct strata_desc *child = desc_alloc(type, name);
	int err;

	if (!child) {
		strata_type_put(type);
		return ERR_PTR(strata_fail(parent, -ENOMEM, "out of memory"));
	}
	child->index = index;
	err = insert_child(parent, child);
	if (!err)
		return child;
	config_item_put(&child->group.cg_item);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_NS_GPL(strata_desc_new_child, STRATA);

struct config_group *strata_child_make_group(struct config_group *group,
					     const char *name)
{
	struct strata_desc *parent = to_strata_desc(&group->cg_item);
	struct strata_desc *child = parent->type->make_child(parent, name);

	return IS_ERR(child) ? ERR_CAST(child) : &child->group;
}

/* configfs has refused to come here while the item was live. */
void strata_desc_disconnect(struct config_group *group,
			    struct config_item *item)
{
	struct strata_desc *desc = to_strata_desc(item);

	mutex_lock(&strata_graph_lock);
	desc->gone = true;
	mutex_unlock(&strata_graph_lock);
}

/* As above. */
void strata_child_drop_item(struct config_group *group,
			    struct config_item *item)
{
	struct strata_desc *child = to_strata_desc(item);

	mutex_lock(&strata_graph_lock);
	list_del_init(&child->sibling);
	child->parent = NULL;
	mutex_unlock(&strata_graph_lock);
	config_item_put(item);
}

/*
 * Is @goal reachable from @desc? Each description is visited once a @walk. A
 * chain deeper than can ever be resolved counts as one that comes back.
 */
static bool reaches(struct strata_desc *desc, const struct strata_desc *goal,
		    unsigned int walk, unsigned int depth)
{
	struct strata_desc *child;

	if (desc == goal || depth > 4 * STRATA_MAX_DEPTH)
		return true;
	if (desc->walk == walk)
		return false;
	desc->walk = walk;
	if (desc->link && reaches(desc->link, goal, walk, depth + 1))
		return true;
	list_for_each_entry(child, &desc->children, sibling)
		if (reaches(child, goal, walk, depth + 1))
			return true;
	return false;
}

static struct strata_desc *root_of(struct strata_desc *desc)
{
	while (desc->parent)
		desc = desc->parent;
	return desc;
}

static int allow_link(struct config_item *src, struct config_item *target)
{
	struct strata_desc *desc = to_strata_desc(src);
	static unsigned int walk; /* under the graph mutex */
	struct strata_desc *disk;

	if (desc->type->link == STRATA_LINK_NONE)
		return strata_fail(desc, -EINVAL, "%s takes no link",
				   strata_desc_name(desc));
	if (target->ci_type->ct_item_ops != &strata_desc_item_ops ||
	    to_strata_desc(target)->type->class != STRATA_DISK)
		return strata_fail(desc, -EINVAL,
				   "only an item of strata/disks can be linked");
	disk = to_strata_desc(target);

	guard(mutex)(&strata_graph_lock);
	if (desc->state != STRATA_IDLE)
		return strata_fail(desc, -EBUSY, "%s is live; disable it first",
				   strata_desc_name(desc));
	if (desc->link)
		return strata_fail(desc, -EEXIST, "%s is linked already",
				   strata_desc_name(desc->link));
	if (reaches(disk, root_of(desc), ++walk, 0))
		return strata_fail(desc, -ELOOP, "%s is built on %s",
				   strata_desc_name(disk),
				   strata_desc_name(root_of(desc)));
	desc->link = disk;
	return 0;
}

/* Cannot be refused: the live object keeps its own reference. */
static void drop_link(struct config_item *src, struct config_item *target)
{
	struct strata_desc *desc = to_strata_desc(src);

	mutex_lock(&strata_graph_lock);
	desc->link = NULL;
	if (desc->state != STRATA_IDLE) {
		desc->stale = true;
		root_of(desc)->stale = true;
	}
	mutex_unlock(&strata_graph_lock);
}

const struct configfs_item_operations strata_desc_item_ops = {
	.release = desc_release,
	.allow_link = allow_link,
	.drop_link = drop_link,
};

/* The directories disks and frontends, with words for a failed mkdir. */
struct strata_dir {
	enum strata_class class;
	spinlock_t lock; /* protects error */
	char error[STRATA_ERROR_SIZE];
};

static struct strata_dir disks_dir = {
	.class = STRATA_DISK,
	.lock = __SPIN_LOCK_UNLOCKED(disks_dir.lock),
};

static struct strata_dir frontends_dir = {
	.class = STRATA_FRONTEND,
	.lock = __SPIN_LOCK_UNLOCKED(frontends_dir.lock),
};

static struct config_group *dir_fail(struct strata_dir *dir, int err,
				     const char *name, const char *why)
{
	spin_lock(&dir->lock);
	scnprintf(dir->error, sizeof(dir->error), "%s: %s", name, why);
	spin_unlock(&dir->lock);
	return ERR_PTR(err);
}

/* mkdir <type>.<name> */
static struct config_group *dir_make_group(struct strata_dir *dir,
					   const char *name)
{
	const char *dot = strchr(name, '.');
	struct strata_type *type;
	struct strata_desc *desc;
	char kind[32];

	if (!dot || dot == name || !dot[1])
		return dir_fail(dir, -EINVAL, name,
				"a name has the form <type>.<name>");
	if (strlen(name) >= STRATA_NAME_MAX || dot - name >= sizeof(kind))
		return dir_fail(dir, -ENAMETOOLONG, name, "the name is too long");
	strscpy(kind, name, dot - name + 1);
	type = strata_type_get(dir->class, kind);
	if (IS_ERR(type))
		return dir_fail(dir, PTR_ERR(type), name,
				"no such type, and no module for it");
	desc = desc_alloc(type, name);
	if (desc)
		return &desc->group;
	strata_type_put(type);
	return dir_fail(dir, -ENOMEM, name, "out of memory");
}

static struct config_group *disks_make_group(struct config_group *group,
					     const char *name)
{
	return dir_make_group(&disks_dir, name);
}

static struct config_group *frontends_make_group(struct config_group *group,
						 const char *name)
{
	return dir_make_group(&frontends_dir, name);
}

static ssize_t dir_error_show(struct strata_dir *dir, char *page)
{
	ssize_t len;

	spin_lock(&dir->lock);
	len = sysfs_emit(page, "%s\n", dir->error);
	spin_unlock(&dir->lock);
	return len;
}

static ssize_t disks_last_error_show(struct config_item *item, char *page)
{
	return dir_error_show(&disks_dir, page);
}
CONFIGFS_ATTR_RO(disks_, last_error);

static ssize_t frontends_last_error_show(struct config_item *item, char *page)
{
	return dir_error_show(&frontends_dir, page);
}
CONFIGFS_ATTR_RO(frontends_, last_error);

static struct configfs_attribute *disks_dir_attrs[] = {
	&disks_attr_last_error,
	NULL
};

static struct configfs_attribute *frontends_dir_attrs[] = {
	&frontends_attr_last_error,
	NULL
};

static struct configfs_group_operations disks_group_ops = {
	.make_group = disks_make_group,
	.disconnect_notify = strata_desc_disconnect,
};

static struct configfs_group_operations frontends_group_ops = {
	.make_group = frontends_make_group,
	.disconnect_notify = strata_desc_disconnect,
};

const struct config_item_type strata_disks_dir_type = {
	.ct_owner = THIS_MODULE,
	.ct_group_ops = &disks_group_ops,
	.ct_attrs = disks_dir_attrs,
};

const struct config_item_type strata_frontends_dir_type = {
	.ct_owner = THIS_MODULE,
	.ct_group_ops = &frontends_group_ops,
	.ct_attrs = frontends_dir_attrs,
};
