/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_STRIPED_H
#define STRATA_STRIPED_H
/* The striped disk: what its files share. */
#include <linux/log2.h>
#include <linux/math64.h>
#include <strata/disk.h>
#include <strata/submit.h>

struct strata_desc;

#define STRIPED_MIN_CHUNK	SZ_4K
#define STRIPED_MAX_CHUNK	SZ_1G
#define STRIPED_DEFAULT_CHUNK	SZ_128K
#define STRIPED_MAX_MEMBERS	65536

/**
 * struct striped_divisor - a number to divide by; most are powers of two, and
 *	shifts cost less
 * @by: the number
 * @shift: its logarithm, or -1
 */
struct striped_divisor {
	u32 by;
	int shift;
};

static inline struct striped_divisor striped_divisor(u32 by)
{
	return (struct striped_divisor){
		.by = by,
		.shift = is_power_of_2(by) ? ilog2(by) : -1,
	};
}

static __always_inline u64 striped_divide(const struct striped_divisor *d,
					  u64 value, u32 *rest)
{
	if (likely(d->shift >= 0)) {
		*rest = value & (d->by - 1);
		return value >> d->shift;
	}
	return div_u64_rem(value, d->by, rest);
}

/**
 * struct striped - a live striped disk
 * @chunk: sectors in a chunk
 * @nr: number of members
 * @sectors: the size asked for, or 0 for all that fits
 * @members: the members
 */
struct striped {
	struct striped_divisor chunk;
	struct striped_divisor nr;
	sector_t sectors;
	struct strata_disk *members[];
};

/**
 * struct striped_params - what a striped disk is made of
 * @desc: takes the words of a failure
 * @chunk_size: bytes in a chunk, in the range the attribute allows
 * @size: the size asked for in logical sectors, or 0 for all that fits
 * @read_only: nobody will write
 * @nr: number of @members, at most STRIPED_MAX_MEMBERS
 * @members: the caller holds handles on them, whose above is the striped disk
 */
struct striped_params {
	struct strata_desc *desc;
	u32 chunk_size;
	u64 size;
	bool read_only;
	unsigned int nr;
	struct strata_disk *const *members;
};

extern const struct strata_disk_ops striped_disk_ops;

/* striped_make.c */
struct striped *striped_create(struct strata_disk *disk,
			       const struct striped_params *params);
void striped_destroy(struct striped *s);
sector_t striped_capacity(struct strata_disk *disk);

/* striped_map.c */
enum strata_map striped_map(struct strata_ctx *ctx, struct strata_disk *disk,
			    struct bio *bio);

#endif /* STRATA_STRIPED_H */
