// SPDX-License-Identifier: GPL-2.0
/*
 * The disk type `layered`: a stack of layers, 0 on top, each a subdirectory
 * <index>.<kind>.
 */
#include <linux/hex.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <strata/type.h>
#include "layered.h"

/**
 * struct layered_desc - the description of a layered disk
 * @desc: what every description begins with
 * @id: its identity
 * @has_id: @id was given
 */
struct layered_desc {
	struct strata_desc desc;
	uuid_t id;
	bool has_id;
};

static struct layered_desc *to_layered_desc(struct strata_desc *desc)
{
	return container_of(desc, struct layered_desc, desc);
}

static enum strata_map layered_map(struct strata_ctx *ctx,
				   struct strata_disk *disk, struct bio *bio)
{
	struct layered *l = disk->private;

	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return layered_read(ctx, l, bio);
	case REQ_OP_WRITE:
		if (bio->bi_iter.bi_size)
			return layered_write(ctx, l, bio);
		return layered_flush(ctx, l, bio);
	default:
		return layered_unmap(ctx, l, bio);
	}
}

const struct strata_disk_ops layered_disk_ops = {
	.native_fua = true,
	.map = layered_map,
	.capacity = layered_capacity,
	.shrunk = layered_shrunk,
};
EXPORT_SYMBOL_NS_GPL(layered_disk_ops, STRATA);

/* mkdir <index>.<kind> */
static struct strata_desc *layered_make_child(struct strata_desc *parent,
					      const char *name)
{
	const char *dot = strchr(name, '.');
	struct strata_type *type;
	char digits[8];
	unsigned int index;

	if (!dot || dot - name >= sizeof(digits))
		goto invalid;
	strscpy(digits, name, dot - name + 1);
	/* One name for each index, so no sign and no leading zeroes. */
	if (kstrtouint(digits, 10, &index) || digits[0] == '+' ||
	    (digits[0] == '0' && digits[1]))
		goto invalid;
	type = strata_type_get(STRATA_LAYER, dot + 1);
	if (!IS_ERR(type))
		return strata_desc_new_child(parent, type, name, index);
	return ERR_PTR(strata_fail(parent, PTR_ERR(type),
				   "%s: no such kind of layer, and no module for it",
				   name));
invalid:
	return ERR_PTR(strata_fail(parent, -EINVAL,
				   "%s: a layer's name has the form <index>.<kind>, such as 0.ram",
				   name));
}

static const struct strata_layer_desc *
to_layer_desc(const struct strata_desc *desc)
{
	return container_of(desc, struct strata_layer_desc, desc);
}

/*
 * The top layer is used as the disk is. Those that are written through to are
 * this disk's alone, or the layers above would not know what others write.
 */
static enum strata_claim layered_child_claim(const struct strata_desc *desc,
					     const struct strata_desc *child,
					     enum strata_claim mine)
{
	const struct strata_desc *at;

	if (to_layer_desc(child)->read_cache)
		return STRATA_CLAIM_WRITE;
	if (mine == STRATA_CLAIM_STABLE)
		return mine;
	list_for_each_entry(at, &desc->children, sibling) {
		if (at == child)
			return at->sibling.prev == &desc->children ?
			       mine : STRATA_CLAIM_WRITE;
		if (!to_layer_desc(at)->write_through)
			break;
	}
	return STRATA_CLAIM_STABLE;
}

static int layered_node_create(struct strata_node *node)
{
	struct strata_layer *layers[STRATA_MAX_LAYERS];
	struct layered_desc *d = to_layered_desc(node->desc);
	struct layered_params params = {
		.desc = node->desc,
		.name = strata_desc_name(node->desc),
		.read_only = !strata_node_writable(node),
		.id = d->has_id ? &d->id : NULL,
		.layers = layers,
	};
	struct strata_node *child;
	struct layered *l;

	list_for_each_entry(child, &node->children, sibling) {
		struct strata_layer *layer = child->live;

		layer->index = child->index;
		layer->read_cache = to_layer_desc(child->desc)->read_cache;
		layer->write_through =
			to_layer_desc(child->desc)->write_through;
		if (params.nr_layers < ARRAY_SIZE(layers))
			layers[params.nr_layers] = layer;
		params.nr_layers++;
	}
	l = layered_create(node->disk, &params);
	return PTR_ERR_OR_ZERO(l);
}

static void layered_node_destroy(struct strata_node *node)
{
	layered_destroy(node->disk->private);
}

static int layered_describe(struct strata_node *node, char *buf, size_t size)
{
	struct layered *l = node->disk->private;

	return scnprintf(buf, size, "layers %u, written %u", l->nr_layers,
			 l->nr_written);
}

/* The id of the live disk, else the one that was given. */
static ssize_t layered_disk_id_show(struct config_item *item, char *page)
{
	struct layered_desc *d = to_layered_desc(to_strata_desc(item));
	struct strata_node *node = strata_node_get_live(&d->desc);
	ssize_t len = 0;

	if (node && node->disk->has_id)
		len = sysfs_emit(page, "%pUb", node->disk->id);
	else if (!node && d->has_id)
		len = sysfs_emit(page, "%pUb", &d->id);
	if (node)
		strata_node_put_live(node);
	return len + sysfs_emit_at(page, len, "\n");
}

static int parse_id(struct layered_desc *d, const char *page, size_t count)
{
	char text[UUID_STRING_LEN + 2] = "";
	uuid_t id;

	if (count >= sizeof(text))
		goto invalid;
	memcpy(text, page, count);
	strim(text);
	if (!*text) {
		d->has_id = false;
		return 0;
	}
	if (strlen(text) == 2 * sizeof(id)) {
		if (hex2bin(id.b, text, sizeof(id)))
			goto invalid;
	} else if (strlen(text) != UUID_STRING_LEN || uuid_parse(text, &id)) {
		goto invalid;
	}
	d->id = id;
	d->has_id = true;
	return 0;
invalid:
	return strata_fail(&d->desc, -EINVAL,
			   "an id is a UUID or 32 hexadecimal digits");
}

static ssize_t layered_disk_id_store(struct config_item *item,
				     const char *page, size_t count)
{
	struct strata_desc *desc = to_strata_desc(item);
	int err = strata_attr_begin(desc, false);

	if (err)
		return err;
	err = parse_id(to_layered_desc(desc), page, count);
	strata_attr_end(desc);
	return err ?: count;
}
CONFIGFS_ATTR(layered_, disk_id);

static struct configfs_attribute *layered_attrs[] = {
	&layered_attr_disk_id,
	NULL
};

static struct strata_type layered_type = {
	.name = "layered",
	.class = STRATA_DISK,
	.owner = THIS_MODULE,
	.attrs = layered_attrs,
	.desc_size = sizeof(struct layered_desc),
	.make_child = layered_make_child,
	.child_claim = layered_child_claim,
	.create = layered_node_create,
	.destroy = layered_node_destroy,
	.describe = layered_describe,
	.disk_ops = &layered_disk_ops,
};

static int __init layered_init(void)
{
	int err = strata_register_type(&layered_disk_type);

	if (err)
		return err;
	err = strata_register_type(&layered_type);
	if (err)
		strata_unregister_type(&layered_disk_type);
	return err;
}
module_init(layered_init);

static void __exit layered_exit(void)
{
	strata_unregister_type(&layered_type);
	strata_unregister_type(&layered_disk_type);
	/* A task can be on its way out of a bio's end. */
	synchronize_rcu_tasks();
}
module_exit(layered_exit);

MODULE_DESCRIPTION("strata: disks made of layers");
MODULE_LICENSE("GPL");
MODULE_ALIAS("strata-disk-layered");
MODULE_ALIAS("strata-layer-disk");
MODULE_IMPORT_NS(STRATA);
