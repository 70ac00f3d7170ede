/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_CONFORMANCE_H
#define STRATA_KUNIT_CONFORMANCE_H
/* What every disk must do, whatever its type. */

struct kunit;
struct strata_disk;

void strata_conformance_range(struct kunit *test, struct strata_disk *disk);

#endif /* STRATA_KUNIT_CONFORMANCE_H */
