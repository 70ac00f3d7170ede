// SPDX-License-Identifier: GPL-2.0
/* The registry of types, and loading the module of one that is not there. */
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kmod.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "core.h"

static DEFINE_MUTEX(types_lock); /* protects types */
static LIST_HEAD(types);

static const char *const class_prefix[] = {
	[STRATA_DISK] = "strata-disk-",
	[STRATA_LAYER] = "strata-layer-",
	[STRATA_FRONTEND] = "strata-frontend-",
};

static struct strata_type *find(int class, const char *name)
{
	struct strata_type *type;

	lockdep_assert_held(&types_lock);
	list_for_each_entry(type, &types, core.node)
		if (type->class == class && !strcmp(type->name, name))
			return type;
	return NULL;
}

static struct strata_type *find_get(int class, const char *name)
{
	struct strata_type *type;

	mutex_lock(&types_lock);
	type = find(class, name);
	if (type && !try_module_get(type->owner))
		type = NULL;
	mutex_unlock(&types_lock);
	return type;
}

static bool valid_name(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!isalnum(*name) && *name != '_' && *name != '-')
			return false;
	return true;
}

/**
 * strata_type_get() - find a type, loading its module if need be
 * @class: enum strata_class
 * @name: its name
 *
 * Context: process context, waits for modprobe.
 * Return: the type with its module pinned, to be passed to strata_type_put(),
 * or ERR_PTR(-ENOENT).
 */
struct strata_type *strata_type_get(int class, const char *name)
{
	struct strata_type *type;

	if (!valid_name(name))
		return ERR_PTR(-ENOENT);
	type = find_get(class, name);
	if (type)
		return type;
	request_module("%s%s", class_prefix[class], name);
	return find_get(class, name) ?: ERR_PTR(-ENOENT);
}
EXPORT_SYMBOL_NS_GPL(strata_type_get, STRATA);

/**
 * strata_type_put() - give a type back
 * @type: from strata_type_get()
 *
 * Context: any.
 */
void strata_type_put(struct strata_type *type)
{
	module_put(type->owner);
}
EXPORT_SYMBOL_NS_GPL(strata_type_put, STRATA);

static size_t count_attrs(struct configfs_attribute *const *attrs)
{
	size_t n = 0;

	while (attrs && attrs[n])
		n++;
	return n;
}

static bool has_attr(struct configfs_attribute *const *attrs, size_t n,
		     const char *name)
{
	while (n--)
		if (!strcmp(attrs[n]->ca_name, name))
			return true;
	return false;
}

static struct configfs_attribute **common_attrs(enum strata_class class)
{
	switch (class) {
	case STRATA_DISK:
		return strata_disk_attrs;
	case STRATA_LAYER:
		return strata_layer_attrs;
	default:
		return strata_frontend_attrs;
	}
}

/* The type's own attributes, and those of its class that it does not replace. */
static struct configfs_attribute **merge_attrs(const struct strata_type *type)
{
	struct configfs_attribute **common = common_attrs(type->class);
	size_t own = count_attrs(type->attrs), n = own, i;
	struct configfs_attribute **attrs;

	attrs = kcalloc(own + count_attrs(common) + 1, sizeof(*attrs),
			GFP_KERNEL);
	if (!attrs)
		return NULL;
	for (i = 0; i < own; i++)
		attrs[i] = type->attrs[i];
	for (i = 0; common[i]; i++)
		if (!has_attr(attrs, own, common[i]->ca_name))
			attrs[n++] = common[i];
	return attrs;
}

/**
 * strata_type_init() - prepare a type that is not registered by name
 * @type: a layer kind private to one disk type, such as a member of a stripe
 *
 * Context: module init.
 * Return: 0 or -ENOMEM; undone by strata_type_exit().
 */
int strata_type_init(struct strata_type *type)
{
	struct config_item_type *item_type = &type->core.item_type;

	type->core.attrs = merge_attrs(type);
	if (!type->core.attrs)
		return -ENOMEM;
	type->core.group_ops.make_group = strata_child_make_group;
	type->core.group_ops.drop_item = strata_child_drop_item;
	type->core.group_ops.disconnect_notify = strata_desc_disconnect;
	item_type->ct_owner = type->owner;
	item_type->ct_item_ops =
		(struct configfs_item_operations *)&strata_desc_item_ops;
	item_type->ct_group_ops = type->make_child ? &type->core.group_ops :
						     NULL;
	item_type->ct_attrs = type->core.attrs;
	item_type->ct_bin_attrs =
		(struct configfs_bin_attribute **)type->bin_attrs;
	if (type->class == STRATA_DISK && !type->bin_attrs)
		item_type->ct_bin_attrs = strata_disk_bin_attrs;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_type_init, STRATA);

/**
 * strata_type_exit() - undo strata_type_init()
 * @type: the type
 *
 * Context: module exit; no description of the type exists.
 */
void strata_type_exit(struct strata_type *type)
{
	kfree(type->core.attrs);
}
EXPORT_SYMBOL_NS_GPL(strata_type_exit, STRATA);

/**
 * strata_register_type() - make a type known
 * @type: the type; stays until strata_unregister_type()
 *
 * Context: module init. Does not touch configfs.
 * Return: 0, -EEXIST or -ENOMEM.
 */
int strata_register_type(struct strata_type *type)
{
	int err = strata_type_init(type);

	if (err)
		return err;
	mutex_lock(&types_lock);
	if (find(type->class, type->name))
		err = -EEXIST;
	else
		list_add_tail(&type->core.node, &types);
	mutex_unlock(&types_lock);
	if (err)
		strata_type_exit(type);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_register_type, STRATA);

/**
 * strata_unregister_type() - undo strata_register_type()
 * @type: the type
 *
 * Context: module exit; every description pins the module, so none is left.
 */
void strata_unregister_type(struct strata_type *type)
{
	mutex_lock(&types_lock);
	list_del(&type->core.node);
	mutex_unlock(&types_lock);
	strata_type_exit(type);
}
EXPORT_SYMBOL_NS_GPL(strata_unregister_type, STRATA);
