// SPDX-License-Identifier: GPL-2.0
/* Disks made of other disks; see core_stack.h. */
#include <linux/math64.h>
#include <linux/slab.h>
#include <strata/submit.h>
#include <strata/test.h>
#include "core_stack.h"

static sector_t least_planned(struct fake_stack *stack)
{
	sector_t least = strata_disk_planned(stack->config.below[0]);
	unsigned int i;

	for (i = 1; i < stack->nr; i++)
		least = min(least, strata_disk_planned(stack->config.below[i]));
	return least;
}

static sector_t stack_capacity(struct strata_disk *disk)
{
	struct fake_stack *stack = disk->private;
	sector_t least = least_planned(stack);
	u32 rest;

	switch (stack->config.kind) {
	case FAKE_REMAP:
		return least - min(least, stack->config.offset);
	case FAKE_STRIPE:
		if (stack->nr == 1)
			return least;
		div_u64_rem(least, stack->config.chunk, &rest);
		return (least - rest) * stack->nr;
	default:
		return least;
	}
}

static void stack_shrunk(struct strata_disk *disk, sector_t capacity)
{
	struct fake_stack *stack = disk->private;

	if (stack->shrunk)
		stack->shrunk(stack, capacity);
}

/* Which disk has @sector, where, and for how many sectors more. */
static struct strata_disk *locate(struct fake_stack *stack, sector_t *sector,
				  unsigned int *left)
{
	unsigned int chunk = stack->config.chunk;
	u32 in_chunk, member;
	u64 row;

	row = div_u64_rem(div_u64_rem(*sector, chunk, &in_chunk), stack->nr, &member);
	*left = chunk - in_chunk;
	*sector = row * chunk + in_chunk;
	return stack->config.below[member];
}

static enum strata_map to_all(struct strata_ctx *ctx, struct fake_stack *stack,
			      struct bio *bio)
{
	unsigned int i;

	for (i = 0; i + 1 < stack->nr; i++) {
		struct strata_sub *sub = strata_sub_clone(ctx, stack->disk, bio);

		if (!sub)
			return strata_sub_failed(ctx, bio);
		bio->bi_opf &= ~REQ_NOWAIT;
		sub->bio.bi_opf &= ~REQ_NOWAIT;
		strata_sub_chain(sub, bio);
		strata_sub_queue(ctx, sub, stack->config.below[i]);
	}
	return strata_remap(ctx, stack->config.below[stack->nr - 1]);
}

static enum strata_map map_stripe(struct strata_ctx *ctx,
				  struct fake_stack *stack, struct bio *bio)
{
	struct strata_disk *below;
	struct strata_sub *sub;
	unsigned int left;
	sector_t sector;

	if (!bio_sectors(bio))
		return to_all(ctx, stack, bio);
	for (;;) {
		sector = bio->bi_iter.bi_sector;
		below = locate(stack, &sector, &left);
		if (bio_sectors(bio) <= left)
			break;
		sub = strata_sub_split(ctx, stack->disk, bio, left);
		if (!sub)
			return strata_sub_failed(ctx, bio);
		sub->bio.bi_iter.bi_sector = sector;
		strata_sub_chain(sub, bio);
		strata_sub_queue(ctx, sub, below);
	}
	bio->bi_iter.bi_sector = sector;
	return strata_remap(ctx, below);
}

static enum strata_map map_mirror(struct strata_ctx *ctx,
				  struct fake_stack *stack, struct bio *bio)
{
	u32 member;

	if (bio_op(bio) != REQ_OP_READ)
		return to_all(ctx, stack, bio);
	div_u64_rem(bio->bi_iter.bi_sector >> 3, stack->nr, &member);
	return strata_remap(ctx, stack->config.below[member]);
}

static enum strata_map stack_map(struct strata_ctx *ctx, struct strata_disk *disk,
				 struct bio *bio)
{
	struct fake_stack *stack = disk->private;

	atomic_inc(&stack->maps);
	switch (stack->config.kind) {
	case FAKE_REMAP:
		if (bio_sectors(bio))
			bio->bi_iter.bi_sector += stack->config.offset;
		return strata_remap(ctx, stack->config.below[0]);
	case FAKE_STRIPE:
		return map_stripe(ctx, stack, bio);
	default:
		return map_mirror(ctx, stack, bio);
	}
}

static void fake_stack_free(void *data)
{
	struct fake_stack *stack = data;
	unsigned int i;

	for (i = 0; i < FAKE_BELOW && stack->handles[i]; i++)
		strata_handle_detach(stack->handles[i]);
	strata_disk_free(stack->disk);
	kfree(stack);
}

static void attach_below(struct kunit *test, struct fake_stack *stack)
{
	struct strata_disk *disk = stack->disk, *below;
	struct strata_handle *handle;
	char other[STRATA_NAME_MAX];

	disk->unmap = STRATA_UNMAP_ZEROES;
	for (; stack->nr < FAKE_BELOW; stack->nr++) {
		below = stack->config.below[stack->nr];
		if (!below)
			break;
		handle = strata_handle_attach(below, disk->name, STRATA_CLAIM_SHARED,
					      NULL, NULL, disk, other);
		KUNIT_ASSERT_FALSE(test, IS_ERR(handle));
		stack->handles[stack->nr] = handle;
		KUNIT_ASSERT_EQ(test, strata_disk_stack_limits(disk, below), 0);
		disk->unmap = min(disk->unmap, below->unmap);
		disk->read_only |= below->read_only;
	}
}

/**
 * fake_stack_new() - make a stacked disk
 * @test: the test; the disk goes with it, before those below
 * @config: what it is to be; copied
 *
 * Return: the disk, ready; fails the test rather than return nothing.
 */
struct fake_stack *fake_stack_new(struct kunit *test,
				  const struct fake_stack_config *config)
{
	struct fake_stack *stack = kzalloc(sizeof(*stack), GFP_KERNEL);
	const char *why = NULL;

	KUNIT_ASSERT_NOT_NULL(test, stack);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, fake_stack_free, stack), 0);
	stack->config = *config;
	stack->ops.map = stack_map;
	stack->ops.capacity = stack_capacity;
	stack->ops.shrunk = stack_shrunk;
	stack->ops.native_fua = config->native_fua;
	stack->ops.single_target = config->kind == FAKE_REMAP;

	stack->disk = strata_disk_alloc(config->name ?: "fake.stack");
	KUNIT_ASSERT_NOT_NULL(test, stack->disk);
	stack->disk->private = stack;
	attach_below(test, stack);
	KUNIT_ASSERT_EQ_MSG(test, strata_disk_ready(stack->disk, &stack->ops, &why), 0,
			    "%s", why);
	return stack;
}
EXPORT_SYMBOL_NS_GPL(fake_stack_new, STRATA);
