/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_DESC_H
#define STRATA_DESC_H
/*
 * Descriptions: configfs items that say what a disk, layer or frontend is to
 * be, and the one-line attributes they are made of.
 */
#include <linux/configfs.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct strata_type;
struct strata_node;

/**
 * enum strata_state - where a description stands
 * @STRATA_IDLE: only words; attributes can be changed
 * @STRATA_BUSY: being resolved or taken down
 * @STRATA_LIVE: a live object exists
 */
enum strata_state {
	STRATA_IDLE,
	STRATA_BUSY,
	STRATA_LIVE,
};

#define STRATA_ERROR_SIZE 256

/**
 * struct strata_desc - what every description begins with
 * @group: the configfs item
 * @type: its type
 * @parent: the description whose subdirectory this is, or NULL
 * @children: descriptions of the subdirectories, ordered by @index
 * @sibling: in @parent->children
 * @index: the subdirectory's number
 * @link: the disk description that the one symlink points to, or NULL
 * @stale: a link was removed while live
 * @read_only: the user wants no writes
 * @shared: consumers that write share the disk
 * @held: the user's `enable`
 * @state: see enum strata_state; changed under the graph mutex
 * @node: the live object of a disk or layer while not idle
 * @walk: the last walk of the graph that came by
 * @gone: rmdir has begun
 * @error_lock: protects @error
 * @error: why the last operation failed, one sentence
 *
 * @parent .. @gone are protected by the core's graph mutex. A type's own
 * attribute fields do not change while @state is not STRATA_IDLE, except
 * those marked live.
 */
struct strata_desc {
	struct config_group group;
	struct strata_type *type;
	struct strata_desc *parent;
	struct list_head children;
	struct list_head sibling;
	unsigned int index;
	struct strata_desc *link;
	bool stale;
	bool read_only;
	bool shared;
	bool held;
	enum strata_state state;
	struct strata_node *node;
	unsigned int walk;
	bool gone;
	spinlock_t error_lock; /* protects error */
	char error[STRATA_ERROR_SIZE];
};

static inline struct strata_desc *to_strata_desc(struct config_item *item)
{
	return container_of(to_config_group(item), struct strata_desc, group);
}

static inline const char *strata_desc_name(const struct strata_desc *desc)
{
	return config_item_name((struct config_item *)&desc->group.cg_item);
}

__printf(3, 4)
int strata_fail(struct strata_desc *desc, int err, const char *fmt, ...);

int strata_fail_path(struct strata_desc *desc, int err, const char *path);

struct strata_desc *strata_desc_new_child(struct strata_desc *parent,
					  struct strata_type *type,
					  const char *name,
					  unsigned int index);
struct strata_type *strata_type_get(int class, const char *name);
void strata_type_put(struct strata_type *type);

/*
 * Attributes.
 *
 *	struct file_desc { struct strata_desc desc; char *path; bool direct; };
 *	STRATA_ATTR(file, struct file_desc, path, str);
 *	STRATA_ATTR(file, struct file_desc, direct, bool);
 *	static struct configfs_attribute *file_attrs[] = {
 *		&file_attr_path, &file_attr_direct, NULL };
 *
 * Kinds: str (char *, freed by the type's release), bool, u32, u64 (both take
 * the suffixes K M G T and show plain decimal).
 */
int strata_attr_begin(struct strata_desc *desc, bool live_ok);
void strata_attr_end(struct strata_desc *desc);

ssize_t strata_show_str(char *const *field, char *page);
ssize_t strata_show_bool(const bool *field, char *page);
ssize_t strata_show_u32(const u32 *field, char *page);
ssize_t strata_show_u64(const u64 *field, char *page);
int strata_parse_str(struct strata_desc *desc, const char *page, size_t count,
		     char **field);
int strata_parse_bool(struct strata_desc *desc, const char *page, size_t count,
		      bool *field);
int strata_parse_u32(struct strata_desc *desc, const char *page, size_t count,
		     u32 *field);
int strata_parse_u64(struct strata_desc *desc, const char *page, size_t count,
		     u64 *field);

/* The show half; @_field is an expression that may use desc. */
#define STRATA_ATTR_SHOW(_pfx, _name, _kind, _field)			\
static ssize_t _pfx##_##_name##_show(struct config_item *item, char *page) \
{									\
	struct strata_desc *desc = to_strata_desc(item);		\
									\
	return strata_show_##_kind(_field, page);			\
}

/* The store half; @_after is evaluated without locks after a success. */
#define STRATA_ATTR_STORE(_pfx, _name, _kind, _field, _live, _after)	\
static ssize_t _pfx##_##_name##_store(struct config_item *item,		\
				      const char *page, size_t count)	\
{									\
	struct strata_desc *desc = to_strata_desc(item);		\
	int err = strata_attr_begin(desc, _live);			\
									\
	if (err)							\
		return err;						\
	err = strata_parse_##_kind(desc, page, count, _field);		\
	strata_attr_end(desc);						\
	if (!err)							\
		err = _after;						\
	return err ?: count;						\
}

#define STRATA_FIELD(_struct, _name) \
	(&container_of(desc, _struct, desc)->_name)

/**
 * STRATA_ATTR() - an attribute that is refused with EBUSY while live
 * @_pfx: the type's name
 * @_struct: the type's description, with a member desc and a member @_name
 * @_name: name of the attribute and of the field
 * @_kind: str, bool, u32 or u64
 */
#define STRATA_ATTR(_pfx, _struct, _name, _kind)			\
	STRATA_ATTR_SHOW(_pfx, _name, _kind, STRATA_FIELD(_struct, _name)) \
	STRATA_ATTR_STORE(_pfx, _name, _kind,				\
			  STRATA_FIELD(_struct, _name), false, 0)	\
	CONFIGFS_ATTR(_pfx##_, _name)

/**
 * STRATA_ATTR_LIVE() - an attribute that may be stored while live
 * @_pfx: as STRATA_ATTR()
 * @_struct: as STRATA_ATTR()
 * @_name: as STRATA_ATTR()
 * @_kind: as STRATA_ATTR()
 * @_changed: int (*)(_struct *), called after each store without any lock;
 *	its error is the store's
 */
#define STRATA_ATTR_LIVE(_pfx, _struct, _name, _kind, _changed)		\
	STRATA_ATTR_SHOW(_pfx, _name, _kind, STRATA_FIELD(_struct, _name)) \
	STRATA_ATTR_STORE(_pfx, _name, _kind,				\
			  STRATA_FIELD(_struct, _name), true,		\
			  _changed(container_of(desc, _struct, desc)))	\
	CONFIGFS_ATTR(_pfx##_, _name)

#endif /* STRATA_DESC_H */
