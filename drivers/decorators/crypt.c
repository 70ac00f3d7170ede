// SPDX-License-Identifier: GPL-2.0
/*
 * crypt: a disk whose sectors are kept enciphered on another. XTS-AES-256 over
 * logical blocks, tweaked by their numbers: the same bytes as dm-crypt's
 * aes-xts-plain64, with sector_size:4096 iv_large_sectors where the blocks are
 * of 4 KiB.
 */
#include <linux/module.h>
#include <linux/string.h>
#include <strata/disk.h>
#include <strata/type.h>
#include "crypt.h"

struct crypt_desc {
	struct strata_desc desc;
	struct crypt_key key;
};

static struct crypt_desc *to_crypt_desc(struct strata_desc *desc)
{
	return container_of(desc, struct crypt_desc, desc);
}

static struct crypt *make_crypt(struct crypt_desc *d)
{
	u8 raw[CRYPT_KEY_SIZE];
	struct crypt *c;
	int err;

	err = crypt_key_get(&d->key, raw, &d->desc);
	if (err)
		return ERR_PTR(err);
	c = crypt_new(CRYPT_ALG, raw);
	memzero_explicit(raw, sizeof(raw));
	if (PTR_ERR_OR_ZERO(c) == -ENOENT)
		strata_fail(&d->desc, -ENOENT, "the kernel has no " CRYPT_ALG);
	else if (PTR_ERR_OR_ZERO(c) == -ENOMEM)
		strata_fail(&d->desc, -ENOMEM, "out of memory");
	else if (IS_ERR(c))
		strata_fail(&d->desc, PTR_ERR(c),
			    "the kernel refuses the cipher or the key: error %ld",
			    -PTR_ERR(c));
	return c;
}

/* The keyrings are the writer's, and a cipher can be a module to be loaded. */
static int crypt_open(struct strata_node *node)
{
	struct crypt *c = make_crypt(to_crypt_desc(node->desc));

	if (IS_ERR(c))
		return PTR_ERR(c);
	node->opened = c;
	return 0;
}

static void crypt_close(struct strata_node *node)
{
	crypt_free(node->opened);
}

static int crypt_create(struct strata_node *node)
{
	struct strata_disk *below = node->below->disk;

	if (!crypt_attach(node->opened, node->disk, below))
		return 0;
	return strata_fail(node->desc, -EINVAL,
			   "the sectors of %s, %u bytes, are larger than a page",
			   below->name, below->limits.logical_block_size);
}

static int crypt_describe(struct strata_node *node, char *buf, size_t size)
{
	const struct crypt *c = node->opened;

	return scnprintf(buf, size, CRYPT_CIPHER ", by %s",
			 crypto_skcipher_driver_name(c->tfm));
}

static void crypt_desc_release(struct strata_desc *desc)
{
	crypt_key_wipe(&to_crypt_desc(desc)->key);
}

/* Attributes. */

static ssize_t crypt_cipher_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, CRYPT_CIPHER "\n");
}

/* There is one, so that there is nothing to remember. */
static ssize_t crypt_cipher_store(struct config_item *item, const char *page,
				  size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	int err = strata_attr_begin(desc, false);

	if (err)
		return err;
	if (!sysfs_streq(page, CRYPT_CIPHER))
		err = strata_fail(desc, -EINVAL,
				  "the cipher is not known; there is " CRYPT_CIPHER);
	strata_attr_end(desc);
	return err ?: count;
}
CONFIGFS_ATTR(crypt_, cipher);

static ssize_t key_store(struct config_item *item, const char *page,
			 size_t count,
			 int (*take)(struct crypt_key *key, const char *data,
				     size_t len, struct strata_desc *desc))
{
	struct strata_desc *desc = to_strata_desc(item);
	int err = strata_attr_begin(desc, false);

	if (!err) {
		err = take(&to_crypt_desc(desc)->key, page, count, desc);
		strata_attr_end(desc);
	}
	/* configfs would give the page back as it is, and is done with it. */
	memzero_explicit((void *)page, count);
	return err ?: count;
}

static ssize_t crypt_key_store(struct config_item *item, const char *page,
			       size_t count)
{
	return key_store(item, page, count, crypt_key_parse);
}
CONFIGFS_ATTR_WO(crypt_, key);

static int take_raw(struct crypt_key *key, const char *data, size_t len,
		    struct strata_desc *desc)
{
	return crypt_key_copy(key, data, len, desc);
}

static ssize_t crypt_key_raw_store(struct config_item *item, const char *page,
				   size_t count)
{
	return key_store(item, page, count, take_raw);
}
CONFIGFS_ATTR_WO(crypt_, key_raw);

static struct configfs_attribute *crypt_attrs[] = {
	&crypt_attr_cipher,
	&crypt_attr_key,
	&crypt_attr_key_raw,
	NULL
};

static struct strata_type crypt_type = {
	.name = "crypt",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.link = STRATA_LINK_DISK,
	.pr = STRATA_PR_FORWARD,
	.attrs = crypt_attrs,
	.desc_size = sizeof(struct crypt_desc),
	.release = crypt_desc_release,
	.open = crypt_open,
	.close = crypt_close,
	.create = crypt_create,
	.describe = crypt_describe,
	.disk_ops = &crypt_disk_ops,
};

static int __init crypt_module_init(void)
{
	int err = crypt_io_init();

	if (err)
		return err;
	err = strata_register_type(&crypt_type);
	if (err)
		crypt_io_exit();
	return err;
}

static void __exit crypt_module_exit(void)
{
	strata_unregister_type(&crypt_type);
	/* A task can be on its way out of a bio's end. */
	synchronize_rcu_tasks();
	crypt_io_exit();
}

module_init(crypt_module_init);
module_exit(crypt_module_exit);

/* Load what the processor has for AES, or the generic code will be found. */
MODULE_SOFTDEP("pre: crypto-aes");
MODULE_ALIAS("strata-disk-crypt");
MODULE_DESCRIPTION("strata: an encrypted disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
