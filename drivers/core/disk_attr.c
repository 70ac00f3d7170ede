// SPDX-License-Identifier: GPL-2.0
/* What configfs shows of a live disk. */
#include <linux/slab.h>
#include <linux/uuid.h>
#include "core.h"
#include "disk_attr.h"

/*
 * A read-only attribute of the live disk, -ENODEV while there is none. The
 * expression may use disk.
 */
#define DISK_ATTR(_name, _fmt, _value)					\
static ssize_t disk_##_name##_show(struct config_item *item, char *page) \
{									\
	struct strata_node *node = strata_node_get_live(to_strata_desc(item)); \
	struct strata_disk *disk;					\
	ssize_t len;							\
									\
	if (!node)							\
		return -ENODEV;						\
	disk = node->disk;						\
	len = sysfs_emit(page, _fmt "\n", _value);			\
	strata_node_put_live(node);					\
	return len;							\
}									\
struct configfs_attribute disk_attr_##_name = {				\
	.ca_name = __stringify(_name),					\
	.ca_mode = 0444,						\
	.ca_owner = THIS_MODULE,					\
	.show = disk_##_name##_show,					\
}

static const char *const unmap_words[] = {
	[STRATA_UNMAP_IGNORED] = "ignored",
	[STRATA_UNMAP_UNSPECIFIED] = "unspecified",
	[STRATA_UNMAP_ZEROES] = "zeroes",
};

static unsigned long long logical_count(const struct strata_disk *disk)
{
	return strata_disk_capacity(disk) / (disk->lba_mask + 1);
}

DISK_ATTR(sector_size, "%u", disk->limits.logical_block_size);
DISK_ATTR(physical_sector_size, "%u", disk->limits.physical_block_size);
DISK_ATTR(sector_count, "%llu", logical_count(disk));
DISK_ATTR(fua, "%d", disk->ops->native_fua);
DISK_ATTR(unmap, "%s", unmap_words[disk->unmap]);
DISK_ATTR(optimal_unmap_sectors, "%u",
	  disk->optimal_unmap_sectors / (disk->lba_mask + 1));
DISK_ATTR(dma_alignment, "%u", disk->limits.dma_alignment + 1);

static ssize_t disk_disk_id_show(struct config_item *item, char *page)
{
	struct strata_node *node = strata_node_get_live(to_strata_desc(item));
	ssize_t len;

	if (!node)
		return -ENODEV;
	if (node->disk->has_id)
		len = sysfs_emit(page, "%pUb\n", node->disk->id);
	else
		len = sysfs_emit(page, "\n");
	strata_node_put_live(node);
	return len;
}

struct configfs_attribute disk_attr_disk_id = {
	.ca_name = "disk_id",
	.ca_mode = 0444,
	.ca_owner = THIS_MODULE,
	.show = disk_disk_id_show,
};

static ssize_t disk_users_show(struct config_item *item, char *page)
{
	struct strata_desc *desc = to_strata_desc(item);
	unsigned int users = 0;

	mutex_lock(&strata_graph_lock);
	if (desc->state == STRATA_LIVE)
		users = desc->node->core.refs - desc->held;
	mutex_unlock(&strata_graph_lock);
	return sysfs_emit(page, "%u\n", users);
}

struct configfs_attribute disk_attr_users = {
	.ca_name = "users",
	.ca_mode = 0444,
	.ca_owner = THIS_MODULE,
	.show = disk_users_show,
};

static ssize_t disk_stats_show(struct config_item *item, char *page)
{
	static const char *const words[STRATA_NR_STATS] = {
		[STRATA_STAT_READ] = "read",
		[STRATA_STAT_WRITE] = "write",
		[STRATA_STAT_FLUSH] = "flush",
		[STRATA_STAT_DISCARD] = "discard",
		[STRATA_STAT_ZEROES] = "write_zeroes",
	};
	struct strata_node *node = strata_node_get_live(to_strata_desc(item));
	struct strata_stats sum;
	ssize_t len = 0;
	int i;

	if (!node)
		return -ENODEV;
	strata_disk_sum_stats(node->disk, &sum);
	strata_node_put_live(node);

	for (i = 0; i < STRATA_NR_STATS; i++)
		len += sysfs_emit_at(page, len, "%s %llu sectors %llu\n",
				     words[i], sum.ios[i], sum.sectors[i]);
	len += sysfs_emit_at(page, len, "refused %llu\n", sum.refused);
	return len;
}

struct configfs_attribute disk_attr_stats = {
	.ca_name = "stats",
	.ca_mode = 0444,
	.ca_owner = THIS_MODULE,
	.show = disk_stats_show,
};

/* A text that counts its length even where there is no room. */
struct text {
	char *buf;
	size_t size;
	size_t len;
};

__printf(2, 3)
static void text_add(struct text *t, const char *fmt, ...)
{
	size_t room = t->size > t->len ? t->size - t->len : 0;
	va_list args;

	va_start(args, fmt);
	t->len += vsnprintf(room ? t->buf + t->len : NULL, room, fmt, args);
	va_end(args);
}

static void text_node(struct text *t, struct strata_node *node,
		      unsigned int indent)
{
	struct strata_node *child;
	char words[64] = "";

	/* A disk that is used twice is shown twice; configfs shows no more. */
	if (t->len > SZ_64K)
		return;
	if (node->type->describe)
		node->type->describe(node, words, sizeof(words));
	text_add(t, "%*s%s", indent * 2, "", strata_desc_name(node->desc));
	if (node->disk)
		text_add(t, " %llu x %u%s", logical_count(node->disk),
			 node->disk->limits.logical_block_size,
			 node->disk->read_only ? " ro" : "");
	text_add(t, "%s%s\n", *words ? " " : "", words);

	list_for_each_entry(child, &node->children, sibling)
		text_node(t, child, indent + 1);
	if (node->below)
		text_node(t, node->below->disk->node, indent + 1);
}

/*
 * configfs asks for the length first, with @buf NULL, and shows that many bytes
 * whatever the second call returns: should the tree have shrunk, newlines.
 */
static ssize_t stack_text(struct strata_node *node, char *buf, size_t size)
{
	struct text t = {};

	text_node(&t, node, 0);
	if (!buf)
		return t.len;

	t.size = t.len + 1;
	t.len = 0;
	t.buf = kvmalloc(t.size, GFP_KERNEL);
	if (!t.buf)
		return -ENOMEM;
	text_node(&t, node, 0);
	t.len = min(t.len, t.size - 1);
	memset(buf, '\n', size);
	memcpy(buf, t.buf, min(t.len, size));
	kvfree(t.buf);
	return size;
}

static ssize_t disk_stack_read(struct config_item *item, void *buf,
			       size_t size)
{
	struct strata_node *node = strata_node_get_live(to_strata_desc(item));
	ssize_t len;

	if (!node)
		return -ENODEV;
	len = stack_text(node, buf, size);
	strata_node_put_live(node);
	return len;
}

struct configfs_bin_attribute disk_attr_stack = {
	.cb_attr = {
		.ca_name = "stack",
		.ca_mode = 0444,
		.ca_owner = THIS_MODULE,
	},
	.cb_max_size = SZ_64K,
	.read = disk_stack_read,
};
