/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_LAYERED_FAKE_H
#define STRATA_KUNIT_LAYERED_FAKE_H
/*
 * A layer in two phases: keeps its data on a disk or reads and writes it itself,
 * answers at once or from a worker, and fails or waits where the test wants.
 */
#include <kunit/test.h>
#include <strata/layer.h>
#include "fake_disk.h"

/* What it does; also the names of the places where it can fail. */
enum fake_step {
	FAKE_LOOKUP,
	FAKE_READ,
	FAKE_BEGIN,
	FAKE_WRITE,
	FAKE_END,
	FAKE_FLUSH,
	FAKE_UNMAP,
	FAKE_INSERT,
	FAKE_NR_STEPS,
};

/* Sectors of one reservation, whose rest is to be zeroed. */
#define FAKE_BLOCK 16

/**
 * struct fake_layer - a fake layer
 * @layer: the layer
 * @nr: how many sectors it has room for
 * @store: where the data is, or NULL: in @data
 * @shift: sector 0 is here on @store
 * @data: the data
 * @state: of each sector, enum strata_run_kind; HERE also for what is on @store
 * @filled: blocks that were zeroed around the first write
 * @worker: answer from a worker
 * @sync_lookup: answer lookups in lookup, not in lookup_async
 * @fail: how the next of these steps ends
 * @hold: these steps wait for fake_layer_release()
 * @count: how many there were
 * @last_end: status that the last write_end was called with
 * @stacked: something is below
 * @generation: the cookie
 * @lock: protects what is above
 * @queue: steps that wait for the worker
 * @work: the worker
 */
struct fake_layer {
	struct strata_layer layer;
	unsigned int nr;
	struct fake_disk *store;
	sector_t shift;
	u8 *data;
	u8 *state;
	bool *filled;
	bool worker;
	bool sync_lookup;
	blk_status_t fail[FAKE_NR_STEPS];
	bool hold[FAKE_NR_STEPS];
	unsigned int count[FAKE_NR_STEPS];
	blk_status_t last_end;
	bool stacked;
	u64 generation;
	spinlock_t lock; /* protects the state */
	struct list_head queue;
	struct work_struct work;
};

struct fake_layer *fake_layer_new(struct kunit *test, unsigned int sectors,
				  struct fake_disk *store);
void fake_layer_poke(struct fake_layer *fake, unsigned int sector,
		     unsigned int nr, u32 seed);
bool fake_layer_wait_held(struct fake_layer *fake, enum fake_step step);
void fake_layer_release(struct fake_layer *fake, enum fake_step step);

#endif /* STRATA_KUNIT_LAYERED_FAKE_H */
