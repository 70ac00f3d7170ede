/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_TEST_H
#define STRATA_TEST_H
/*
 * Disks without configfs, for KUnit suites: allocate, fill in what a type's
 * create would (ops, private, capacity, limits, unmap), make ready, submit,
 * free. The resolver makes its disks with the same functions.
 */
#include <strata/handle.h>

struct strata_disk;
struct strata_disk_ops;

struct strata_disk *strata_disk_alloc(const char *name);
int strata_disk_ready(struct strata_disk *disk,
		      const struct strata_disk_ops *ops, const char **why);
void strata_disk_free(struct strata_disk *disk);

struct strata_handle *strata_handle_attach(struct strata_disk *disk,
					   const char *name,
					   enum strata_claim claim,
					   const struct strata_handle_ops *ops,
					   void *owner,
					   struct strata_disk *above,
					   char *other);
void strata_handle_detach(struct strata_handle *handle);

#endif /* STRATA_TEST_H */
