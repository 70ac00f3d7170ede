/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_CORE_H
#define STRATA_CORE_H
/* What the files of strata.ko share with each other and with nobody else. */
#include <linux/mutex.h>
#include <strata/desc.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/submit.h>
#include <strata/test.h>
#include <strata/type.h>

#define STRATA_MAX_DEPTH 16

/* main.c */
extern struct configfs_subsystem strata_subsys;

/* desc.c: the tree. The graph mutex orders after configfs's own locks. */
extern struct mutex strata_graph_lock;
extern wait_queue_head_t strata_graph_wait;
extern const struct configfs_item_operations strata_desc_item_ops;
extern const struct config_item_type strata_disks_dir_type;
extern const struct config_item_type strata_frontends_dir_type;
int strata_desc_pin(struct strata_desc *desc);
void strata_desc_unpin(struct strata_desc *desc);
struct config_group *strata_child_make_group(struct config_group *group,
					     const char *name);
void strata_child_drop_item(struct config_group *group,
			    struct config_item *item);
void strata_desc_disconnect(struct config_group *group,
			    struct config_item *item);
void strata_copy_error(struct strata_desc *to, struct strata_desc *from);

/* disk_attr.c, attr.c: attributes the core gives to each class */
extern struct configfs_attribute *strata_disk_attrs[];
extern struct configfs_bin_attribute *strata_disk_bin_attrs[];
extern struct configfs_attribute *strata_layer_attrs[];
extern struct configfs_attribute *strata_frontend_attrs[];

/* disk.c */
sector_t strata_disk_wanted(struct strata_disk *disk);

/* resolve.c */
struct strata_node *strata_resolve(struct strata_desc *desc,
				   enum strata_claim claim,
				   struct strata_desc *asker);
void strata_node_put(struct strata_node *node);
enum strata_claim strata_node_claim(const struct strata_node *node,
				    enum strata_claim wanted);
int strata_disk_hold(struct strata_desc *desc);
int strata_disk_drop(struct strata_desc *desc);

/* frontend.c */
int strata_frontend_enable(struct strata_desc *desc);
int strata_frontend_disable(struct strata_desc *desc, bool force);

/* handle.c */
bool strata_claims_agree(enum strata_claim a, enum strata_claim b);
void strata_fail_handle(struct strata_desc *consumer,
			const struct strata_disk *disk, int err,
			const char *other);
const char *strata_claim_words(enum strata_claim claim);

/* submit.c */
struct strata_sub *strata_core_sub(struct strata_ctx *ctx,
				   struct strata_disk *disk, struct bio *bio,
				   blk_opf_t opf);
void strata_core_sub_failed(struct strata_ctx *ctx, struct strata_disk *disk,
			    struct bio *bio);

/* flush.c */
void strata_preflush(struct strata_ctx *ctx, struct strata_disk *disk,
		     struct bio *bio);
struct bio *strata_preflushed(struct strata_sub *sub);
void strata_fua(struct strata_ctx *ctx, struct strata_disk *disk,
		struct bio *bio);

#endif /* STRATA_CORE_H */
