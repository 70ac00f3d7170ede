/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_STRIPED_KIT_H
#define STRATA_KUNIT_STRIPED_KIT_H
/* Striped disks over fake ones, without configfs. */
#include <kunit/test.h>
#include <strata/desc.h>
#include "../drivers/backends/striped.h"
#include "fake_disk.h"

#define STRIPES	9

/**
 * struct stripe_config - what a striped disk is to be
 * @nr: number of members
 * @chunk: sectors in a chunk
 * @sectors: of each member; 0 means 16 chunks
 * @size: logical sectors asked for, or 0
 * @lba: bytes in a logical block; 0 means 512
 * @read_only: nobody writes
 * @members: what each is to be, where they are not all alike; @sectors and @lba
 *	count for those that do not say
 */
struct stripe_config {
	unsigned int nr;
	unsigned int chunk;
	sector_t sectors;
	u64 size;
	unsigned int lba;
	bool read_only;
	const struct fake_config *members;
};

#define STRIPE(...)	(&(struct stripe_config){ __VA_ARGS__ })

/**
 * struct stripe - a striped disk, or an attempt at one
 * @disk: the disk; ready when @err is 0
 * @s: the same
 * @fakes: the members
 * @handles: on them
 * @nr: how many
 * @chunk: sectors in a chunk
 * @desc: for words
 * @err: why there is no disk
 */
struct stripe {
	struct strata_disk *disk;
	struct striped *s;
	struct fake_disk *fakes[STRIPES];
	struct strata_handle *handles[STRIPES];
	unsigned int nr;
	unsigned int chunk;
	struct strata_desc desc;
	int err;
};

struct stripe *stripe_members(struct kunit *test,
			      const struct stripe_config *config);
void stripe_make(struct kunit *test, struct stripe *st,
		 const struct stripe_config *config);
struct stripe *stripe_try(struct kunit *test,
			  const struct stripe_config *config);
struct stripe *stripe_new(struct kunit *test,
			  const struct stripe_config *config);
void stripe_end_in(struct stripe *st, enum fake_when when,
		   unsigned int delay_us);
void stripe_forget(struct stripe *st);
unsigned int stripe_count(struct stripe *st, enum req_op op);

/* Where a sector is, by the book. */
static inline unsigned int stripe_member(const struct stripe *st, sector_t at)
{
	return at / st->chunk % st->nr;
}

static inline sector_t stripe_sector(const struct stripe *st, sector_t at)
{
	return at / st->chunk / st->nr * st->chunk + at % st->chunk;
}

extern struct kunit_suite striped_make_suite;

#endif /* STRATA_KUNIT_STRIPED_KIT_H */
