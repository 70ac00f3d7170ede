// SPDX-License-Identifier: GPL-2.0
/* The layered disk's suites. */
#include <linux/module.h>
#include "layered_kit.h"

kunit_test_suites(&layered_check_suite, &layered_io_suite,
		  &layered_cache_suite, &layered_async_suite,
		  &layered_model_suite);

MODULE_DESCRIPTION("strata: KUnit suites of the layered disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
