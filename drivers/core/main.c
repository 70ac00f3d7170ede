// SPDX-License-Identifier: GPL-2.0
/* strata.ko: the configfs subsystem and the module itself. */
#include <linux/module.h>
#include "core.h"
#include "uevent.h"

static const struct config_item_type strata_root_type = {
	.ct_owner = THIS_MODULE,
};

struct configfs_subsystem strata_subsys = {
	.su_group = {
		.cg_item = {
			.ci_namebuf = "strata",
			.ci_type = &strata_root_type,
		},
	},
};

static struct config_group disks_group;
static struct config_group frontends_group;

static int __init strata_init(void)
{
	int err = strata_uevent_init();

	if (err)
		return err;
	config_group_init(&strata_subsys.su_group);
	mutex_init(&strata_subsys.su_mutex);
	config_group_init_type_name(&disks_group, "disks",
				    &strata_disks_dir_type);
	configfs_add_default_group(&disks_group, &strata_subsys.su_group);
	config_group_init_type_name(&frontends_group, "frontends",
				    &strata_frontends_dir_type);
	configfs_add_default_group(&frontends_group, &strata_subsys.su_group);

	err = configfs_register_subsystem(&strata_subsys);
	if (err)
		strata_uevent_exit();
	return err;
}
module_init(strata_init);

static void __exit strata_exit(void)
{
	configfs_unregister_subsystem(&strata_subsys);
	mutex_destroy(&strata_subsys.su_mutex);
	strata_uevent_exit();
}
module_exit(strata_exit);

MODULE_DESCRIPTION("strata: disks from backends, decorators and layers");
MODULE_LICENSE("GPL");
