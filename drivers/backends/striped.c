// SPDX-License-Identifier: GPL-2.0
/*
 * The disk type `striped`: chunks go round its members, which are disks of any
 * type, each linked from a subdirectory 0, 1, 2 and so on.
 */
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <strata/type.h>
#include "striped.h"

/**
 * struct striped_desc - the description of a striped disk
 * @desc: what every description begins with
 * @chunk_size: bytes in a chunk
 * @sectors: the size asked for in logical sectors, or 0
 */
struct striped_desc {
	struct strata_desc desc;
	u32 chunk_size;
	u64 sectors;
};

static struct striped_desc *to_striped_desc(struct strata_desc *desc)
{
	return container_of(desc, struct striped_desc, desc);
}

const struct strata_disk_ops striped_disk_ops = {
	.native_fua = true,
	.map = striped_map,
	.capacity = striped_capacity,
};
EXPORT_SYMBOL_NS_GPL(striped_disk_ops, STRATA);

/* A member is its link, and no more. */
static struct strata_type member_type = {
	.name = "member",
	.class = STRATA_LAYER,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.desc_size = sizeof(struct strata_desc),
};

static struct strata_desc *striped_make_child(struct strata_desc *parent,
					      const char *name)
{
	unsigned int index;

	/* One name for each index, so no sign and no leading zeroes. */
	if (kstrtouint(name, 10, &index) || name[0] == '+' ||
	    (name[0] == '0' && name[1]))
		return ERR_PTR(strata_fail(parent, -EINVAL,
					   "%s: a member's name is its number, 0, 1, 2 and so on",
					   name));
	if (index >= STRIPED_MAX_MEMBERS)
		return ERR_PTR(strata_fail(parent, -EINVAL,
					   "%u: the last possible member is %u",
					   index, STRIPED_MAX_MEMBERS - 1));
	/* The core puts what it took for a type it looked up. */
	__module_get(THIS_MODULE);
	return strata_desc_new_child(parent, &member_type, name, index);
}

static void striped_desc_init(struct strata_desc *desc)
{
	to_striped_desc(desc)->chunk_size = STRIPED_DEFAULT_CHUNK;
}

/* The order of members is where the data is: one that is left out is a mistake. */
static int fill_members(struct strata_node *node, struct strata_disk **members)
{
	struct strata_node *child;
	unsigned int nr = 0;

	list_for_each_entry(child, &node->children, sibling) {
		if (child->index != nr)
			return strata_fail(node->desc, -EINVAL,
					   "member %u is missing", nr);
		members[nr++] = child->below->disk;
	}
	return 0;
}

static int striped_node_create(struct strata_node *node)
{
	struct striped_desc *d = to_striped_desc(node->desc);
	unsigned int nr = list_count_nodes(&node->children);
	struct strata_disk **members;
	struct striped_params params = {
		.desc = node->desc,
		.chunk_size = d->chunk_size,
		.size = d->sectors,
		.read_only = !strata_node_writable(node),
		.nr = nr,
	};
	int err;

	members = kvcalloc(nr, sizeof(*members), GFP_KERNEL);
	if (!members && nr)
		return strata_fail(node->desc, -ENOMEM, "out of memory");
	params.members = members;
	err = fill_members(node, members);
	if (!err)
		err = PTR_ERR_OR_ZERO(striped_create(node->disk, &params));
	kvfree(members);
	return err;
}

static void striped_node_destroy(struct strata_node *node)
{
	striped_destroy(node->disk->private);
}

static int striped_describe(struct strata_node *node, char *buf, size_t size)
{
	const struct striped *s = node->disk->private;

	return scnprintf(buf, size, "members %u, chunk_size %u", s->nr.by,
			 s->chunk.by << SECTOR_SHIFT);
}

static ssize_t striped_chunk_size_store(struct config_item *item,
					const char *page, size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	int err = strata_attr_begin(desc, false);
	u32 size;

	if (err)
		return err;
	err = strata_parse_u32(desc, page, count, &size);
	if (!err && (size < STRIPED_MIN_CHUNK || size > STRIPED_MAX_CHUNK ||
		     size % SECTOR_SIZE))
		err = strata_fail(desc, -EINVAL,
				  "chunk_size is a multiple of 512 from 4K to 1G, not %u",
				  size);
	if (!err)
		WRITE_ONCE(to_striped_desc(desc)->chunk_size, size);
	strata_attr_end(desc);
	return err ?: count;
}

STRATA_ATTR_SHOW(striped, chunk_size, u32,
		 STRATA_FIELD(struct striped_desc, chunk_size))
CONFIGFS_ATTR(striped_, chunk_size);
STRATA_ATTR(striped, struct striped_desc, sectors, u64);

static struct configfs_attribute *striped_attrs[] = {
	&striped_attr_chunk_size,
	&striped_attr_sectors,
	NULL
};

static struct strata_type striped_type = {
	.name = "striped",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.attrs = striped_attrs,
	.desc_size = sizeof(struct striped_desc),
	.init = striped_desc_init,
	.make_child = striped_make_child,
	.create = striped_node_create,
	.destroy = striped_node_destroy,
	.describe = striped_describe,
	.disk_ops = &striped_disk_ops,
};

static int __init striped_init(void)
{
	int err = strata_type_init(&member_type);

	if (err)
		return err;
	err = strata_register_type(&striped_type);
	if (err)
		strata_type_exit(&member_type);
	return err;
}
module_init(striped_init);

static void __exit striped_exit(void)
{
	strata_unregister_type(&striped_type);
	strata_type_exit(&member_type);
}
module_exit(striped_exit);

MODULE_ALIAS("strata-disk-striped");
MODULE_DESCRIPTION("strata: a disk striped over others");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
