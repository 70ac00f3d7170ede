// SPDX-License-Identifier: GPL-2.0
/* What transports to a guest share: the suites. */
#include <linux/module.h>
#include "guest_kit.h"

kunit_test_suites(&guest_mem_suite, &guest_vring_suite, &guest_traffic_suite,
		  &guest_worker_suite);

MODULE_DESCRIPTION("strata: KUnit suites of guest memory, rings and workers");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
