// SPDX-License-Identifier: GPL-2.0
/* Showing and storing attribute values, and the attributes of all classes. */
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "core.h"
#include "disk_attr.h"

/**
 * strata_attr_begin() - start storing an attribute
 * @desc: the description
 * @live_ok: the attribute may be stored while live
 *
 * On success takes the graph mutex, so that @desc cannot go live, and clears
 * last_error.
 *
 * Context: process context.
 * Return: 0, to be followed by strata_attr_end(), or -EBUSY.
 */
int strata_attr_begin(struct strata_desc *desc, bool live_ok)
{
	int err = 0;

	mutex_lock(&strata_graph_lock);
	if (desc->state == STRATA_BUSY)
		err = strata_fail(desc, -EBUSY, "%s is being enabled or disabled",
				  strata_desc_name(desc));
	else if (desc->state == STRATA_LIVE && !live_ok)
		err = strata_fail(desc, -EBUSY, "%s is live; disable it first",
				  strata_desc_name(desc));
	else
		strata_fail(desc, 0, "%s", "");
	if (err)
		mutex_unlock(&strata_graph_lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_attr_begin, STRATA);

/**
 * strata_attr_end() - undo strata_attr_begin()
 * @desc: the description
 */
void strata_attr_end(struct strata_desc *desc)
{
	mutex_unlock(&strata_graph_lock);
}
EXPORT_SYMBOL_NS_GPL(strata_attr_end, STRATA);

/**
 * strata_show_str() - show a string attribute
 * @field: the value, or NULL for none; changes under the graph mutex
 * @page: where to
 *
 * Context: process context.
 * Return: how many bytes.
 */
ssize_t strata_show_str(char *const *field, char *page)
{
	ssize_t len;

	mutex_lock(&strata_graph_lock);
	len = sysfs_emit(page, "%s\n", *field ?: "");
	mutex_unlock(&strata_graph_lock);
	return len;
}
EXPORT_SYMBOL_NS_GPL(strata_show_str, STRATA);

/**
 * strata_show_bool() - show an attribute that is 0 or 1
 * @field: the value
 * @page: where to
 *
 * Context: any.
 * Return: how many bytes.
 */
ssize_t strata_show_bool(const bool *field, char *page)
{
	return sysfs_emit(page, "%d\n", READ_ONCE(*field));
}
EXPORT_SYMBOL_NS_GPL(strata_show_bool, STRATA);

/**
 * strata_show_u32() - show a number
 * @field: the value
 * @page: where to
 *
 * Context: any.
 * Return: how many bytes.
 */
ssize_t strata_show_u32(const u32 *field, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(*field));
}
EXPORT_SYMBOL_NS_GPL(strata_show_u32, STRATA);

/**
 * strata_show_u64() - show a number or a size
 * @field: the value
 * @page: where to
 *
 * Context: any.
 * Return: how many bytes.
 */
ssize_t strata_show_u64(const u64 *field, char *page)
{
	return sysfs_emit(page, "%llu\n", READ_ONCE(*field));
}
EXPORT_SYMBOL_NS_GPL(strata_show_u64, STRATA);

/* One trailing newline is not part of a value; a NUL or another newline is
 * not part of any.
 */
static int value_len(struct strata_desc *desc, const char *page, size_t count)
{
	/* configfs cuts what does not fit into its page. */
	if (count >= PAGE_SIZE - 1)
		return strata_fail(desc, -EFBIG, "the value is too long");
	if (count && page[count - 1] == '\n')
		count--;
	if (memchr(page, '\0', count) || memchr(page, '\n', count))
		return strata_fail(desc, -EINVAL,
				   "a value is one line of text");
	return count;
}

/**
 * strata_parse_str() - store a string
 * @desc: whose attribute; between strata_attr_begin() and strata_attr_end()
 * @page: one line of text, with or without a newline
 * @count: its length
 * @field: the old value, which is freed; from kmalloc() or NULL
 *
 * Context: process context.
 * Return: 0, -EINVAL, -EFBIG or -ENOMEM, with words and the old value kept.
 */
int strata_parse_str(struct strata_desc *desc, const char *page, size_t count,
		     char **field)
{
	int len = value_len(desc, page, count);
	char *s;

	if (len < 0)
		return len;
	s = kmemdup_nul(page, len, GFP_KERNEL);
	if (!s)
		return strata_fail(desc, -ENOMEM, "out of memory");
	kfree(*field);
	*field = s;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_parse_str, STRATA);

/**
 * strata_parse_bool() - store 0 or 1
 * @desc: whose attribute
 * @page: one line of text
 * @count: its length
 * @field: where to
 *
 * Context: process context.
 * Return: 0, or -EINVAL with words and the old value kept.
 */
int strata_parse_bool(struct strata_desc *desc, const char *page, size_t count,
		      bool *field)
{
	int len = value_len(desc, page, count);

	if (len < 0)
		return len;
	if (len != 1 || (page[0] != '0' && page[0] != '1'))
		return strata_fail(desc, -EINVAL, "the value is 0 or 1");
	WRITE_ONCE(*field, page[0] == '1');
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_parse_bool, STRATA);

static int suffix_shift(char c)
{
	switch (toupper(c)) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	case 'T':
		return 40;
	default:
		return -1;
	}
}

/**
 * strata_parse_u64() - store a number or a size
 * @desc: whose attribute
 * @page: a number as in C, perhaps with a suffix K, M, G or T
 * @count: its length
 * @field: where to
 *
 * Context: process context.
 * Return: 0, or -EINVAL with words and the old value kept.
 */
int strata_parse_u64(struct strata_desc *desc, const char *page, size_t count,
		     u64 *field)
{
	int len = value_len(desc, page, count), shift = 0;
	char digits[32];
	u64 value;

	if (len < 0)
		return len;
	if (len && !isxdigit(page[len - 1])) {
		shift = suffix_shift(page[len - 1]);
		len--;
	}
	if (len <= 0 || len >= sizeof(digits) || shift < 0)
		goto invalid;
	strscpy(digits, page, len + 1);
	if (!isdigit(digits[0]) || kstrtou64(digits, 0, &value) ||
	    value > U64_MAX >> shift)
		goto invalid;
	WRITE_ONCE(*field, value << shift);
	return 0;
invalid:
	return strata_fail(desc, -EINVAL,
			   "the value is a number, with K, M, G or T behind it if you like");
}
EXPORT_SYMBOL_NS_GPL(strata_parse_u64, STRATA);

/**
 * strata_parse_u32() - store a number or a size of 32 bits
 * @desc: whose attribute
 * @page: as for strata_parse_u64()
 * @count: its length
 * @field: where to
 *
 * Context: process context.
 * Return: as strata_parse_u64(), or -ERANGE.
 */
int strata_parse_u32(struct strata_desc *desc, const char *page, size_t count,
		     u32 *field)
{
	u64 value;
	int err = strata_parse_u64(desc, page, count, &value);

	if (err)
		return err;
	if (value > U32_MAX)
		return strata_fail(desc, -ERANGE, "the value is too large");
	WRITE_ONCE(*field, value);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_parse_u32, STRATA);

/* Attributes that several classes have. */

STRATA_ATTR_SHOW(desc, read_only, bool, &desc->read_only)
STRATA_ATTR_STORE(desc, read_only, bool, &desc->read_only, false, 0)
CONFIGFS_ATTR(desc_, read_only);

STRATA_ATTR_SHOW(desc, shared, bool, &desc->shared)
STRATA_ATTR_STORE(desc, shared, bool, &desc->shared, false, 0)
CONFIGFS_ATTR(desc_, shared);

STRATA_ATTR_SHOW(desc, stale, bool, &desc->stale)
CONFIGFS_ATTR_RO(desc_, stale);

static ssize_t desc_live_show(struct config_item *item, char *page)
{
	struct strata_desc *desc = to_strata_desc(item);

	return sysfs_emit(page, "%d\n", READ_ONCE(desc->state) == STRATA_LIVE);
}
CONFIGFS_ATTR_RO(desc_, live);

static ssize_t desc_last_error_show(struct config_item *item, char *page)
{
	struct strata_desc *desc = to_strata_desc(item);
	ssize_t len;

	spin_lock(&desc->error_lock);
	len = sysfs_emit(page, "%s\n", desc->error);
	spin_unlock(&desc->error_lock);
	return len;
}
CONFIGFS_ATTR_RO(desc_, last_error);

/* A disk's enable is the user's hold on it. */
static ssize_t disk_enable_show(struct config_item *item, char *page)
{
	return strata_show_bool(&to_strata_desc(item)->held, page);
}

static ssize_t disk_enable_store(struct config_item *item, const char *page,
				 size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	bool on;
	int err = strata_parse_bool(desc, page, count, &on);

	if (err)
		return err;
	err = on ? strata_disk_hold(desc) : strata_disk_drop(desc);
	return err ?: count;
}
CONFIGFS_ATTR(disk_, enable);

/* A frontend's enable shows the disk to its guest. */
static ssize_t frontend_enable_show(struct config_item *item, char *page)
{
	struct strata_desc *desc = to_strata_desc(item);

	return sysfs_emit(page, "%d\n", READ_ONCE(desc->state) == STRATA_LIVE);
}

static ssize_t frontend_enable_store(struct config_item *item,
				     const char *page, size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	bool on;
	int err = strata_parse_bool(desc, page, count, &on);

	if (err)
		return err;
	err = on ? strata_frontend_enable(desc) :
		   strata_frontend_disable(desc, false);
	return err ?: count;
}
CONFIGFS_ATTR(frontend_, enable);

static ssize_t frontend_force_detach_store(struct config_item *item,
					   const char *page, size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	bool on;
	int err = strata_parse_bool(desc, page, count, &on);

	if (!err && !on)
		err = strata_fail(desc, -EINVAL, "only 1 can be written");
	if (!err)
		err = strata_frontend_disable(desc, true);
	return err ?: count;
}
CONFIGFS_ATTR_WO(frontend_, force_detach);

struct configfs_attribute *strata_disk_attrs[] = {
	&desc_attr_read_only,
	&desc_attr_shared,
	&disk_attr_enable,
	&desc_attr_live,
	&disk_attr_users,
	&desc_attr_stale,
	&desc_attr_last_error,
	&disk_attr_sector_size,
	&disk_attr_physical_sector_size,
	&disk_attr_sector_count,
	&disk_attr_disk_id,
	&disk_attr_fua,
	&disk_attr_unmap,
	&disk_attr_optimal_unmap_sectors,
	&disk_attr_dma_alignment,
	&disk_attr_stats,
	NULL
};

struct configfs_bin_attribute *strata_disk_bin_attrs[] = {
	&disk_attr_stack,
	NULL
};

struct configfs_attribute *strata_layer_attrs[] = {
	&desc_attr_stale,
	&desc_attr_last_error,
	NULL
};

struct configfs_attribute *strata_frontend_attrs[] = {
	&desc_attr_read_only,
	&frontend_attr_enable,
	&frontend_attr_force_detach,
	&desc_attr_live,
	&desc_attr_stale,
	&desc_attr_last_error,
	NULL
};
