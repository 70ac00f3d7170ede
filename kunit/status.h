/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_STATUS_H
#define STRATA_KUNIT_STATUS_H
/* Expectations about blk_status_t, which KUnit's own would compare as a number. */
#include <kunit/test.h>
#include <linux/blk_types.h>

#define EXPECT_SAME_STS(test, left, right) \
	KUNIT_EXPECT_EQ(test, (__force u8)(left), (__force u8)(right))

#define ASSERT_SAME_STS(test, left, right) \
	KUNIT_ASSERT_EQ(test, (__force u8)(left), (__force u8)(right))

#endif /* STRATA_KUNIT_STATUS_H */
