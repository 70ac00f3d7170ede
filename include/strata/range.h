/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_RANGE_H
#define STRATA_RANGE_H
/*
 * Discard and zero ranges of any length: a bounded chain of bios, for engines
 * whose commands reach beyond what one bio can say (4 GiB).
 */
#include <linux/blk_types.h>
#include <linux/workqueue.h>

struct strata_disk;
struct strata_nexus;
struct strata_range;

/**
 * struct strata_range - one long operation, embedded in the engine's command
 * @disk: where to
 * @nexus: who issues it, or NULL
 * @payer: a bio that does not end before @end is called, whose cgroup pays, or
 *	NULL
 * @opf: REQ_OP_DISCARD or REQ_OP_WRITE_ZEROES, with REQ_FUA for a flush after
 *	the last part, REQ_NOUNMAP as the block layer has it
 * @sector: first sector
 * @nr_sects: how many; 0 is allowed
 * @end: called once, in process context, when all is done
 * @status: the first error, or BLK_STS_OK; valid in @end
 * @core: owned by the core
 */
struct strata_range {
	struct strata_disk *disk;
	struct strata_nexus *nexus;
	struct bio *payer;
	blk_opf_t opf;
	sector_t sector;
	sector_t nr_sects;
	void (*end)(struct strata_range *range);
	blk_status_t status;
	struct {
		struct work_struct work;
		atomic_t inflight;
		bool flushed;
		struct bio flush;
	} core;
};

void strata_range_submit(struct strata_range *range);

#endif /* STRATA_RANGE_H */
