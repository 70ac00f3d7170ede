// SPDX-License-Identifier: GPL-2.0
/* Claims on what paths lead to: one image is one image, however described. */
#include <linux/export.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include "core.h"

struct strata_path_claim {
	struct list_head node;
	struct strata_desc *desc;
	dev_t dev;
	u64 ino;
	enum strata_claim claim;
};

static DEFINE_MUTEX(claims_lock); /* protects claims */
static LIST_HEAD(claims);

static struct strata_path_claim *find_conflict(dev_t dev, u64 ino,
					       enum strata_claim claim)
{
	struct strata_path_claim *c;

	list_for_each_entry(c, &claims, node)
		if (c->dev == dev && c->ino == ino &&
		    !strata_claims_agree(c->claim, claim))
			return c;
	return NULL;
}

/**
 * strata_path_claim() - claim an inode or a block device
 * @desc: the description that opens it; stays until strata_path_unclaim()
 * @dev: device of the file system, or the block device itself
 * @ino: inode number, 0 for a block device
 * @claim: the access
 *
 * Context: process context.
 * Return: the claim, or an ERR_PTR: -EBUSY with words that name the other user,
 * or -ENOMEM.
 */
struct strata_path_claim *strata_path_claim(struct strata_desc *desc, dev_t dev,
					    u64 ino, enum strata_claim claim)
{
	struct strata_path_claim *c, *other;

	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return ERR_PTR(strata_fail(desc, -ENOMEM, "out of memory"));
	c->desc = desc;
	c->dev = dev;
	c->ino = ino;
	c->claim = claim;

	mutex_lock(&claims_lock);
	other = find_conflict(dev, ino, claim);
	if (other)
		strata_fail(desc, -EBUSY, "the same image is open %s by %s",
			    strata_claim_words(other->claim),
			    strata_desc_name(other->desc));
	else
		list_add_tail(&c->node, &claims);
	mutex_unlock(&claims_lock);

	if (!other)
		return c;
	kfree(c);
	return ERR_PTR(-EBUSY);
}
EXPORT_SYMBOL_NS_GPL(strata_path_claim, STRATA);

/**
 * strata_path_unclaim() - give a claim up
 * @claim: from strata_path_claim(), or NULL
 *
 * Context: process context.
 */
void strata_path_unclaim(struct strata_path_claim *claim)
{
	if (!claim)
		return;
	mutex_lock(&claims_lock);
	list_del(&claim->node);
	mutex_unlock(&claims_lock);
	kfree(claim);
}
EXPORT_SYMBOL_NS_GPL(strata_path_unclaim, STRATA);
