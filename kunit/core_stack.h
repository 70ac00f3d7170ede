/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_CORE_STACK_H
#define STRATA_KUNIT_CORE_STACK_H
/* Disks made of other disks: remapped, striped and mirrored, for tests. */
#include <kunit/test.h>
#include <strata/disk.h>
#include <strata/handle.h>
#include <strata/submit.h>

#define FAKE_BELOW 4

/**
 * enum fake_kind - how a stacked disk uses those below
 * @FAKE_REMAP: all goes to the one below, at an offset
 * @FAKE_STRIPE: chunks go round all; over one it just splits
 * @FAKE_MIRROR: writes go to all, a read to one of them
 */
enum fake_kind {
	FAKE_REMAP,
	FAKE_STRIPE,
	FAKE_MIRROR,
};

/**
 * struct fake_stack_config - what a stacked disk is to be
 * @name: its name, or NULL
 * @kind: how it uses those below
 * @offset: of a remap, in sectors
 * @chunk: of a stripe, in sectors
 * @native_fua: FUA goes on to those below
 * @below: those below; NULL ends them
 */
struct fake_stack_config {
	const char *name;
	enum fake_kind kind;
	sector_t offset;
	unsigned int chunk;
	bool native_fua;
	struct strata_disk *below[FAKE_BELOW];
};

/**
 * struct fake_stack - a stacked disk
 * @disk: the disk itself
 * @ops: its operations
 * @config: what it was made of
 * @nr: how many disks are below
 * @handles: the handles on them
 * @maps: how often map was called
 * @shrunk: called when a smaller size is published
 * @context: for @shrunk
 */
struct fake_stack {
	struct strata_disk *disk;
	struct strata_disk_ops ops;
	struct fake_stack_config config;
	unsigned int nr;
	struct strata_handle *handles[FAKE_BELOW];
	atomic_t maps;
	void (*shrunk)(struct fake_stack *stack, sector_t capacity);
	void *context;
};

struct fake_stack *fake_stack_new(struct kunit *test,
				  const struct fake_stack_config *config);

#endif /* STRATA_KUNIT_CORE_STACK_H */
