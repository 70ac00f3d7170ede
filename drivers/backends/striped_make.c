// SPDX-License-Identifier: GPL-2.0
/* Making a striped disk of members: checks, what it takes from them, sizes. */
#include <linux/blkdev.h>
#include <linux/export.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <strata/desc.h>
#include "striped.h"

/* What 63 bits of bytes are in sectors. */
#define MAX_SECTORS	(LLONG_MAX >> SECTOR_SHIFT)

/* A row larger than this is nobody's best I/O; file systems read ahead twice. */
#define MAX_IO_OPT	SZ_16M

/* What is asked for at once where some member has to write zeroes. */
#define MAX_WRITTEN_ZEROES	(SZ_32M >> SECTOR_SHIFT)

static u64 rows_of(const struct striped *s, const struct strata_disk *member)
{
	u32 tail;

	return striped_divide(&s->chunk, strata_disk_planned(member), &tail);
}

/* Sectors in a row, which is a chunk of each member. */
static u64 row_sectors(const struct striped *s)
{
	return (u64)s->chunk.by * s->nr.by;
}

/* All that fits into whole rows. */
static sector_t all_sectors(const struct striped *s)
{
	u64 rows = div64_u64(MAX_SECTORS, row_sectors(s));
	unsigned int i;

	for (i = 0; i < s->nr.by; i++)
		rows = min(rows, rows_of(s, s->members[i]));
	return rows * row_sectors(s);
}

/**
 * striped_capacity() - the size the disk ought to have
 * @disk: the disk
 *
 * Context: under the disk's users lock.
 * Return: 512-byte sectors.
 */
sector_t striped_capacity(struct strata_disk *disk)
{
	const struct striped *s = disk->private;
	sector_t all = all_sectors(s);

	return s->sectors ? min(s->sectors, all) : all;
}

static int check_member(const struct striped *s,
			const struct striped_params *params, unsigned int i)
{
	const struct strata_disk *member = s->members[i], *first = s->members[0];
	unsigned int lba = member->limits.logical_block_size;

	/* Reservations would be enforced for one member of several. */
	if (member->pr)
		return strata_fail(params->desc, -EINVAL,
				   "member %u: %s has persistent reservations; put prwrap above this disk instead",
				   i, member->name);
	if (lba != first->limits.logical_block_size)
		return strata_fail(params->desc, -EINVAL,
				   "member %u has sectors of %u bytes, but member 0 of %u",
				   i, lba, first->limits.logical_block_size);
	if (member->read_only != first->read_only && !params->read_only)
		return strata_fail(params->desc, -EINVAL,
				   "member %u is %s, but member 0 is not", i,
				   member->read_only ? "read-only" : "writable");
	if (!rows_of(s, member))
		return strata_fail(params->desc, -EINVAL,
				   "member %u is smaller than a chunk", i);
	/* Most likely it is the wrong disk; a size says that it is not. */
	if (!params->size && rows_of(s, member) != rows_of(s, first))
		return strata_fail(params->desc, -EINVAL,
				   "member %u has %llu chunks, but member 0 has %llu; set sectors to use them nevertheless",
				   i, rows_of(s, member), rows_of(s, first));
	return 0;
}

static int check_size(struct striped *s, const struct striped_params *params)
{
	u32 block = s->members[0]->limits.logical_block_size >> SECTOR_SHIFT;
	u64 row = div_u64(row_sectors(s), block);
	u64 all = div_u64(all_sectors(s), block);
	u64 rest;

	if (!params->size)
		return 0;
	if (params->size > all)
		return strata_fail(params->desc, -EINVAL,
				   "sectors is %llu, but the members have %llu",
				   params->size, all);
	div64_u64_rem(params->size, row, &rest);
	if (rest)
		return strata_fail(params->desc, -EINVAL,
				   "sectors is %llu, which is not a multiple of %llu, a chunk of each member",
				   params->size, row);
	s->sectors = params->size * block;
	return 0;
}

static int check(struct striped *s, const struct striped_params *params)
{
	unsigned int lba = s->members[0]->limits.logical_block_size;
	unsigned int i;
	int err = 0;

	if (params->chunk_size % lba)
		return strata_fail(params->desc, -EINVAL,
				   "chunk_size %u is not a multiple of the sector size, %u bytes",
				   params->chunk_size, lba);
	for (i = 0; i < s->nr.by && !err; i++)
		err = check_member(s, params, i);
	return err ?: check_size(s, params);
}

/*
 * The least that is true of all: some that ignore discards among others that do
 * not make it that some sectors keep their data.
 */
static void derive_unmap(const struct striped *s, struct strata_disk *disk)
{
	unsigned int max = UINT_MAX >> SECTOR_SHIFT, best = 1, i;
	struct queue_limits *lim = &disk->limits;

	disk->unmap = s->members[0]->unmap;
	for (i = 0; i < s->nr.by; i++) {
		const struct strata_disk *member = s->members[i];

		if (member->unmap != disk->unmap)
			disk->unmap = STRATA_UNMAP_UNSPECIFIED;
		best = max(best, member->optimal_unmap_sectors);
		if (member->unmap != STRATA_UNMAP_IGNORED)
			max = min_not_zero(max, member->limits.max_discard_sectors);
	}
	/* A member gets a longer run only from all the rows it is in. */
	if (best > s->chunk.by && (u64)best * s->nr.by <= UINT_MAX >> SECTOR_SHIFT)
		best *= s->nr.by;
	disk->optimal_unmap_sectors = best;

	if (disk->unmap == STRATA_UNMAP_IGNORED)
		max = 0;
	lim->max_discard_sectors = max;
	lim->max_hw_discard_sectors = max;
	lim->discard_granularity = max ? best << SECTOR_SHIFT : 0;
	lim->discard_alignment = 0;
}

/* Each member gets its run of zeroes, and the core writes what it cannot do. */
static unsigned int max_zeroes(const struct striped *s)
{
	unsigned int max = UINT_MAX, i;

	for (i = 0; i < s->nr.by; i++) {
		const struct queue_limits *lim = &s->members[i]->limits;

		max = min(max, READ_ONCE(lim->max_write_zeroes_sectors) ?:
			       MAX_WRITTEN_ZEROES);
	}
	return max;
}

/* A chunk is the least good I/O, a row the best. */
static void derive_io_sizes(const struct striped *s, struct queue_limits *lim)
{
	u64 chunk = (u64)s->chunk.by << SECTOR_SHIFT;
	u64 row = row_sectors(s) << SECTOR_SHIFT;

	lim->io_opt = 0;
	if (chunk & (lim->physical_block_size - 1))
		return;
	lim->io_min = max_t(u64, lim->io_min, chunk);
	if (row <= MAX_IO_OPT)
		lim->io_opt = row;
}

static void derive_limits(const struct striped *s, struct strata_disk *disk)
{
	struct queue_limits *lim = &disk->limits;
	unsigned int i;
	int err = 0;

	for (i = 0; i < s->nr.by; i++)
		err = strata_disk_stack_limits(disk, s->members[i]) ?: err;
	/* Alignments that do not agree are hints lost, no more. */
	if (err) {
		lim->alignment_offset = 0;
		lim->flags &= ~BLK_FLAG_MISALIGNED;
	}
	/* Boundaries of a member that are none of ours. */
	if (lim->chunk_sectors && s->chunk.by % lim->chunk_sectors)
		lim->chunk_sectors = 0;
	lim->max_write_zeroes_sectors = max_zeroes(s);
	derive_io_sizes(s, lim);
}

/**
 * striped_create() - complete a disk that is striped over others
 * @disk: the disk; private, limits, unmap and read_only are filled in.
 *	striped_disk_ops are its operations
 * @params: the members and what else is wanted
 *
 * Context: process context.
 * Return: what striped_destroy() frees, or an ERR_PTR with words in
 * @params->desc.
 */
struct striped *striped_create(struct strata_disk *disk,
			       const struct striped_params *params)
{
	struct striped *s;
	int err;

	if (!params->nr)
		return ERR_PTR(strata_fail(params->desc, -EINVAL,
					   "there are no members; make one, such as 0"));
	s = kvzalloc(struct_size(s, members, params->nr), GFP_KERNEL);
	if (!s)
		return ERR_PTR(strata_fail(params->desc, -ENOMEM,
					   "out of memory"));
	s->chunk = striped_divisor(params->chunk_size >> SECTOR_SHIFT);
	s->nr = striped_divisor(params->nr);
	memcpy(s->members, params->members,
	       params->nr * sizeof(*params->members));

	err = check(s, params);
	if (err) {
		kvfree(s);
		return ERR_PTR(err);
	}
	disk->private = s;
	disk->read_only = params->read_only || s->members[0]->read_only;
	derive_limits(s, disk);
	derive_unmap(s, disk);
	return s;
}
EXPORT_SYMBOL_NS_GPL(striped_create, STRATA);

/**
 * striped_destroy() - undo striped_create()
 * @s: from striped_create(); no bio is in flight
 *
 * Context: process context.
 */
void striped_destroy(struct striped *s)
{
	kvfree(s);
}
EXPORT_SYMBOL_NS_GPL(striped_destroy, STRATA);
