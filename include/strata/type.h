/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_TYPE_H
#define STRATA_TYPE_H
/*
 * Types: what can stand before the dot of "type.name" in configfs.
 *
 * A type is registered by its module's init and found by name; mkdir of an
 * unknown one loads strata-disk-<type>, strata-layer-<kind> or
 * strata-frontend-<type>. Module init runs inside that mkdir and must not
 * touch configfs.
 */
#include <linux/device/driver.h>
#include <linux/module.h>
#include <linux/workqueue.h>
#include <strata/desc.h>
#include <strata/handle.h>

struct strata_disk_ops;
struct strata_layer_ops;
struct strata_node;

/**
 * enum strata_class - the three families of types
 * @STRATA_DISK: disks/<type>.<name>
 * @STRATA_LAYER: a subdirectory of a disk, <index>.<kind> or <index>
 * @STRATA_FRONTEND: frontends/<type>.<name>
 */
enum strata_class {
	STRATA_DISK,
	STRATA_LAYER,
	STRATA_FRONTEND,
};

/**
 * enum strata_link - does a description of this type take a link to a disk
 * @STRATA_LINK_NONE: it takes none
 * @STRATA_LINK_DISK: it needs exactly one
 */
enum strata_link {
	STRATA_LINK_NONE,
	STRATA_LINK_DISK,
};

/**
 * enum strata_pr_role - what the disks of a type do with reservations (pr.h)
 * @STRATA_PR_NONE: they have none, and may not use a disk that has some
 * @STRATA_PR_FORWARD: they have those of the disk that they link to; the core
 *	sees to it
 * @STRATA_PR_OWN: create makes them, for all nexuses, and sets disk->pr; below
 *	there may be only such as the device enforces
 */
enum strata_pr_role {
	STRATA_PR_NONE,
	STRATA_PR_FORWARD,
	STRATA_PR_OWN,
};

/**
 * struct strata_type - a disk type, layer kind or frontend type
 * @name: as in configfs, no dot
 * @class: its family
 * @owner: module that holds all of it; pinned by every description
 * @link: whether a description takes a link
 * @pr: for STRATA_DISK: what it does with reservations
 * @attrs: the type's own attributes (STRATA_ATTR), NULL-terminated, or NULL
 * @bin_attrs: the type's own binary attributes, NULL-terminated, or NULL
 * @desc_size: size of the struct that begins with struct strata_desc; the core
 *	allocates it zeroed
 * @init: set defaults in a new description; may be NULL. Must not sleep long:
 *	configfs holds the subsystem's mutex
 * @release: free what the attributes hold (not the description); may be NULL
 * @make_child: mkdir inside a description; returns strata_desc_new_child() or
 *	an ERR_PTR. NULL where subdirectories are not allowed
 * @child_claim: what a node of this type claims of the disk that @child (a
 *	child description, or the description itself for its own link) links
 *	to, when the node itself is used with @mine. NULL: the same claim
 * @open: step 2 of resolving: open paths, in the writer's own context. Keeps
 *	its results in node->opened. May be NULL
 * @close: undo @open. Runs after @destroy, process context. May be NULL
 * @create: step 3: make the live object of what is open and of the nodes
 *	below, all of which are complete. A disk type fills in node->disk, a
 *	layer kind sets node->live. May run on a kernel worker, at the same
 *	time as its siblings
 * @destroy: undo @create; no bio is in flight. Process context. May be NULL
 * @describe: print a few words about the live node for `stack`, without
 *	newline; may be NULL. Returns what scnprintf() returns
 * @disk_ops: for STRATA_DISK
 * @layer_ops: for STRATA_LAYER, known to the type of the parent
 * @enable: for STRATA_FRONTEND: show the linked disk to the guest. Opens the
 *	disk with strata_handle_open()
 * @disable: for STRATA_FRONTEND: take it away. Without @force refuses with
 *	-EBUSY while the guest uses it
 * @core: owned by the core's registry
 *
 * Errors of every call are negative errnos, with strata_fail() saying why.
 */
struct strata_type {
	const char *name;
	enum strata_class class;
	struct module *owner;
	enum strata_link link;
	enum strata_pr_role pr;
	struct configfs_attribute *const *attrs;
	struct configfs_bin_attribute *const *bin_attrs;
	size_t desc_size;
	void (*init)(struct strata_desc *desc);
	void (*release)(struct strata_desc *desc);
	struct strata_desc *(*make_child)(struct strata_desc *parent,
					  const char *name);
	enum strata_claim (*child_claim)(const struct strata_desc *desc,
					 const struct strata_desc *child,
					 enum strata_claim mine);
	int (*open)(struct strata_node *node);
	void (*close)(struct strata_node *node);
	int (*create)(struct strata_node *node);
	void (*destroy)(struct strata_node *node);
	int (*describe)(struct strata_node *node, char *buf, size_t size);
	const struct strata_disk_ops *disk_ops;
	const struct strata_layer_ops *layer_ops;
	int (*enable)(struct strata_desc *desc);
	int (*disable)(struct strata_desc *desc, bool force);
	struct {
		struct list_head node;
		struct config_item_type item_type;
		struct configfs_group_operations group_ops;
		struct configfs_attribute **attrs;
	} core;
};

int strata_type_init(struct strata_type *type);
void strata_type_exit(struct strata_type *type);
int strata_register_type(struct strata_type *type);
void strata_unregister_type(struct strata_type *type);

/**
 * module_strata_type() - a module that is one type
 * @_type: the struct strata_type
 */
#define module_strata_type(_type) \
	module_driver(_type, strata_register_type, strata_unregister_type)

/**
 * struct strata_node - one description being live, or becoming so
 * @desc: the description; pinned
 * @type: its type
 * @claim: how it is used by what is above: decides whether paths are opened
 *	for writing
 * @opened: what @type->open keeps
 * @live: what a layer kind's @type->create made
 * @disk: for STRATA_DISK, made by the core and filled in by @type->create
 * @below: the handle on the linked disk, or NULL
 * @children: nodes of the subdirectories, ordered by index
 * @sibling: in the parent's @children
 * @parent: the node whose subdirectory this is, or NULL
 * @index: the subdirectory's number
 * @core: owned by the resolver
 */
struct strata_node {
	struct strata_desc *desc;
	struct strata_type *type;
	enum strata_claim claim;
	void *opened;
	void *live;
	struct strata_disk *disk;
	struct strata_handle *below;
	struct list_head children;
	struct list_head sibling;
	struct strata_node *parent;
	unsigned int index;
	struct {
		struct list_head plan;
		struct work_struct work;
		unsigned int refs;
		unsigned int peeks;
		const void *plan_of;
		bool visiting;
		unsigned int height;
		unsigned int depth;
		int error;
		bool is_open;
		bool is_created;
		bool depended;
		struct strata_node *link;
	} core;
};

/**
 * strata_node_writable() - may this node be written
 * @node: the node
 *
 * Return: false when a path must be opened without write.
 */
static inline bool strata_node_writable(const struct strata_node *node)
{
	return node->claim != STRATA_CLAIM_STABLE;
}

struct strata_node *strata_node_get_live(struct strata_desc *desc);
void strata_node_put_live(struct strata_node *node);

#endif /* STRATA_TYPE_H */
