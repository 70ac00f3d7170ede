// SPDX-License-Identifier: GPL-2.0
/*
 * prwrap: persistent reservations for any disk, so that several guests can
 * share it as a cluster does. Here is the type: its attributes, what it opens,
 * and what it shows under pr/.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <strata/disk.h>
#include <strata/type.h>
#include "prwrap.h"

/**
 * struct prwrap_desc - the description
 * @desc: the core's part
 * @ptpl_file: where reservations persist, or NULL
 * @pr: the directory pr/
 */
struct prwrap_desc {
	struct strata_desc desc;
	char *ptpl_file;
	struct config_group pr;
};

/**
 * struct prwrap_open - the file
 * @file: it
 * @claim: the claim on it
 */
struct prwrap_open {
	struct file *file;
	struct strata_path_claim *claim;
};

static struct prwrap_desc *to_prwrap_desc(struct strata_desc *desc)
{
	return container_of(desc, struct prwrap_desc, desc);
}

/* The file. */

/* Opening a device or a pipe has side effects: look before. */
static int check_path(struct strata_desc *desc, const char *name)
{
	struct path path;
	int err = kern_path(name, LOOKUP_FOLLOW, &path);
	bool regular;

	if (err)
		return err == -ENOENT ? 0 : strata_fail_path(desc, err, name);
	regular = d_is_reg(path.dentry);
	path_put(&path);
	if (regular)
		return 0;
	return strata_fail(desc, -EINVAL, "%s is not a regular file", name);
}

static int check_file(struct strata_desc *desc, const struct file *file,
		      const char *name)
{
	if (!S_ISREG(file_inode(file)->i_mode))
		return strata_fail(desc, -EINVAL, "%s is not a regular file",
				   name);
	if (!(file->f_mode & FMODE_CAN_READ) ||
	    !(file->f_mode & FMODE_CAN_WRITE) || !file->f_op->read_iter ||
	    !file->f_op->write_iter || !file->f_op->fsync)
		return strata_fail(desc, -EOPNOTSUPP,
				   "the file system of %s has no I/O for the kernel",
				   name);
	return 0;
}

static int claim_file(struct strata_desc *desc, struct prwrap_open *open,
		      const char *name)
{
	struct kstat stat;
	int err = vfs_getattr(&open->file->f_path, &stat, STATX_BASIC_STATS,
			      AT_STATX_SYNC_AS_STAT);

	if (err)
		return strata_fail_path(desc, err, name);
	open->claim = strata_path_claim(desc, stat.dev, stat.ino,
					STRATA_CLAIM_WRITE);
	return PTR_ERR_OR_ZERO(open->claim);
}

static int open_file(struct strata_desc *desc, struct prwrap_open *open,
		     const char *name)
{
	int err = check_path(desc, name);

	if (err)
		return err;
	open->file = filp_open(name, O_RDWR | O_CREAT | O_LARGEFILE, 0600);
	if (IS_ERR(open->file))
		return strata_fail_path(desc, PTR_ERR(open->file), name);
	err = check_file(desc, open->file, name);
	if (!err)
		err = claim_file(desc, open, name);
	if (err)
		fput(open->file);
	return err;
}

static int prwrap_open(struct strata_node *node)
{
	const char *name = to_prwrap_desc(node->desc)->ptpl_file;
	struct prwrap_open *open;
	int err;

	if (!name || !*name)
		return 0;
	open = kzalloc(sizeof(*open), GFP_KERNEL);
	if (!open)
		return strata_fail(node->desc, -ENOMEM, "out of memory");
	err = open_file(node->desc, open, name);
	if (err) {
		kfree(open);
		return err;
	}
	node->opened = open;
	return 0;
}

static void prwrap_close(struct strata_node *node)
{
	struct prwrap_open *open = node->opened;

	if (!open)
		return;
	fput(open->file);
	strata_path_unclaim(open->claim);
	kfree(open);
}

/* The live disk. */

static int prwrap_node_create(struct strata_node *node)
{
	struct prwrap_open *open = node->opened;
	const char *why;
	struct prwrap *p;

	p = prwrap_create(node->disk, node->below->disk,
			  open ? open->file : NULL, &why);
	if (IS_ERR(p))
		return strata_fail(node->desc, PTR_ERR(p), "%s", why);
	if (p->ptpl.bad)
		pr_warn("strata: %s: a slot of %s is damaged, the other one counts\n",
			node->disk->name, to_prwrap_desc(node->desc)->ptpl_file);
	return 0;
}

static void prwrap_node_destroy(struct strata_node *node)
{
	prwrap_destroy(node->disk->private);
}

static int prwrap_describe(struct strata_node *node, char *buf, size_t size)
{
	const char *name = to_prwrap_desc(node->desc)->ptpl_file;

	if (!node->opened)
		return 0;
	return scnprintf(buf, size, "%s", name);
}

/* The directory pr/. */

static const char *const type_words[] = {
	[0] = "none",
	[PR_WRITE_EXCLUSIVE] = "write_exclusive",
	[PR_EXCLUSIVE_ACCESS] = "exclusive_access",
	[PR_WRITE_EXCLUSIVE_REG_ONLY] = "write_exclusive_registrants_only",
	[PR_EXCLUSIVE_ACCESS_REG_ONLY] = "exclusive_access_registrants_only",
	[PR_WRITE_EXCLUSIVE_ALL_REGS] = "write_exclusive_all_registrants",
	[PR_EXCLUSIVE_ACCESS_ALL_REGS] = "exclusive_access_all_registrants",
};

static ssize_t show_registrant(char *page, ssize_t at,
			       const struct strata_pr_registrant *r)
{
	ssize_t len = sysfs_emit_at(page, at, "%s 0x%016llx", r->name, r->key);

	if (memchr_inv(r->host_id, 0, sizeof(r->host_id)))
		len += sysfs_emit_at(page, at + len, " %*phN",
				     (int)sizeof(r->host_id), r->host_id);
	return len + sysfs_emit_at(page, at + len, "%s\n",
				   r->holder ? " holder" : "");
}

static ssize_t show_registrants(char *page, const struct strata_pr_status *s)
{
	ssize_t len = 0;
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		len += show_registrant(page, len, &s->registrants[i]);
	return len;
}

static ssize_t show_generation(char *page, const struct strata_pr_status *s)
{
	return sysfs_emit(page, "%u\n", s->generation);
}

static ssize_t show_reservation(char *page, const struct strata_pr_status *s)
{
	return sysfs_emit(page, "%s\n", type_words[s->type]);
}

/* Ask the live disk, and show a part of the answer. */
static ssize_t show_status(struct config_item *item, char *page,
			   ssize_t (*show)(char *page,
					   const struct strata_pr_status *s))
{
	struct prwrap_desc *pd = container_of(to_config_group(item),
					      struct prwrap_desc, pr);
	struct strata_pr_status *s;
	struct strata_node *node;
	ssize_t len;

	s = kzalloc(struct_size(s, registrants, PRWRAP_MAX), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	node = strata_node_get_live(&pd->desc);
	if (node) {
		s->nr = PRWRAP_MAX;
		node->disk->pr->ops->read_full_status(node->disk->pr, s);
		len = show(page, s);
		strata_node_put_live(node);
	} else {
		len = -ENODEV;
	}
	kfree(s);
	return len;
}

#define PR_ATTR(_name)							\
static ssize_t pr_##_name##_show(struct config_item *item, char *page)	\
{									\
	return show_status(item, page, show_##_name);			\
}									\
CONFIGFS_ATTR_RO(pr_, _name)

PR_ATTR(registrants);
PR_ATTR(reservation);
PR_ATTR(generation);

static struct configfs_attribute *pr_dir_attrs[] = {
	&pr_attr_registrants,
	&pr_attr_reservation,
	&pr_attr_generation,
	NULL
};

static const struct config_item_type pr_dir_type = {
	.ct_owner = THIS_MODULE,
	.ct_attrs = pr_dir_attrs,
};

/* The type. */

static void prwrap_desc_init(struct strata_desc *desc)
{
	struct prwrap_desc *pd = to_prwrap_desc(desc);

	config_group_init_type_name(&pd->pr, "pr", &pr_dir_type);
	configfs_add_default_group(&pd->pr, &desc->group);
}

static void prwrap_desc_release(struct strata_desc *desc)
{
	kfree(to_prwrap_desc(desc)->ptpl_file);
}

STRATA_ATTR(prwrap, struct prwrap_desc, ptpl_file, str);

static struct configfs_attribute *prwrap_attrs[] = {
	&prwrap_attr_ptpl_file,
	NULL
};

static struct strata_type prwrap_type = {
	.name = "prwrap",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.pr = STRATA_PR_OWN,
	.attrs = prwrap_attrs,
	.desc_size = sizeof(struct prwrap_desc),
	.init = prwrap_desc_init,
	.release = prwrap_desc_release,
	.open = prwrap_open,
	.close = prwrap_close,
	.create = prwrap_node_create,
	.destroy = prwrap_node_destroy,
	.describe = prwrap_describe,
	.disk_ops = &prwrap_disk_ops,
};

static int __init prwrap_init(void)
{
	return strata_register_type(&prwrap_type);
}
module_init(prwrap_init);

static void __exit prwrap_exit(void)
{
	strata_unregister_type(&prwrap_type);
	/* An epoch may have drained in an RCU callback, which is here still. */
	rcu_barrier();
}
module_exit(prwrap_exit);

MODULE_ALIAS("strata-disk-prwrap");
MODULE_DESCRIPTION("strata: persistent reservations for any disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
