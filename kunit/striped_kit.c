// SPDX-License-Identifier: GPL-2.0
/* Striped disks over fake ones; see striped_kit.h. */
#include <linux/slab.h>
#include <strata/test.h>
#include "striped_kit.h"

static void stripe_free(void *data)
{
	struct stripe *st = data;
	unsigned int i;

	for (i = 0; i < STRIPES && st->handles[i]; i++)
		strata_handle_detach(st->handles[i]);
	if (!IS_ERR_OR_NULL(st->s))
		striped_destroy(st->s);
	strata_disk_free(st->disk);
	kfree(st);
}

static void make_member(struct kunit *test, struct stripe *st,
			const struct stripe_config *config, unsigned int i)
{
	struct fake_config member = {
		.native_zeroes = true,
		.native_fua = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};

	if (config->members)
		member = config->members[i];
	member.sectors = member.sectors ?: config->sectors ?: 16 * config->chunk;
	member.lba = member.lba ?: config->lba;
	member.max_ops = 1024;
	st->fakes[i] = fake_disk_new(test, &member);
}

/* The members alone, to be changed before stripe_make(). */
struct stripe *stripe_members(struct kunit *test,
			      const struct stripe_config *config)
{
	struct stripe *st = kzalloc(sizeof(*st), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, st);
	KUNIT_ASSERT_LE(test, config->nr, STRIPES);
	st->nr = config->nr;
	st->chunk = config->chunk;
	spin_lock_init(&st->desc.error_lock);
	for (i = 0; i < st->nr; i++)
		make_member(test, st, config, i);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stripe_free, st), 0);
	return st;
}

static void attach_members(struct kunit *test, struct stripe *st,
			   struct strata_disk **members)
{
	char other[STRATA_NAME_MAX];
	unsigned int i;

	for (i = 0; i < st->nr; i++) {
		struct strata_handle *handle;

		members[i] = st->fakes[i]->disk;
		handle = strata_handle_attach(members[i], "stripe",
					      STRATA_CLAIM_WRITE, NULL, NULL,
					      st->disk, other);
		KUNIT_ASSERT_FALSE(test, IS_ERR(handle));
		st->handles[i] = handle;
	}
}

/* Make the disk, or leave in err and desc why that cannot be. */
void stripe_make(struct kunit *test, struct stripe *st,
		 const struct stripe_config *config)
{
	struct strata_disk *members[STRIPES] = {};
	struct striped_params params = {
		.desc = &st->desc,
		.chunk_size = config->chunk << SECTOR_SHIFT,
		.size = config->size,
		.read_only = config->read_only,
		.nr = st->nr,
		.members = members,
	};
	const char *why = NULL;

	st->disk = strata_disk_alloc("striped.kit");
	KUNIT_ASSERT_NOT_NULL(test, st->disk);
	attach_members(test, st, members);
	st->s = striped_create(st->disk, &params);
	st->err = PTR_ERR_OR_ZERO(st->s);
	if (st->err)
		return;
	KUNIT_ASSERT_EQ_MSG(test, strata_disk_ready(st->disk, &striped_disk_ops,
						    &why), 0, "%s", why);
}

struct stripe *stripe_try(struct kunit *test,
			  const struct stripe_config *config)
{
	struct stripe *st = stripe_members(test, config);

	stripe_make(test, st, config);
	return st;
}

struct stripe *stripe_new(struct kunit *test,
			  const struct stripe_config *config)
{
	struct stripe *st = stripe_try(test, config);

	KUNIT_ASSERT_EQ_MSG(test, st->err, 0, "%s", st->desc.error);
	return st;
}

void stripe_end_in(struct stripe *st, enum fake_when when, unsigned int delay_us)
{
	unsigned int i;

	for (i = 0; i < st->nr; i++)
		fake_disk_ends(st->fakes[i], when, delay_us);
}

void stripe_forget(struct stripe *st)
{
	unsigned int i;

	for (i = 0; i < st->nr; i++)
		fake_disk_forget(st->fakes[i]);
}

/* How many bios of a kind have reached all members together? */
unsigned int stripe_count(struct stripe *st, enum req_op op)
{
	unsigned int i, n = 0;

	for (i = 0; i < st->nr; i++)
		n += fake_disk_count(st->fakes[i], op);
	return n;
}
