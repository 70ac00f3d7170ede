/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_CORE_RANGE_H
#define STRATA_CORE_RANGE_H
#include <strata/range.h>

/* As strata_range_submit(), and REQ_OP_WRITE means writes of the zero page. */
void strata_range_start(struct strata_range *range);

#endif /* STRATA_CORE_RANGE_H */
