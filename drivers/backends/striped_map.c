// SPDX-License-Identifier: GPL-2.0
/*
 * Bios of a striped disk. Chunk c of the disk is chunk c / n of member c % n.
 *
 * A bio in one chunk goes on as it is. A longer one with data is split at the
 * chunks. One without data reaches each member once: the chunks that a range
 * has on a member are one run there.
 */
#include <linux/bio.h>
#include "striped.h"

/**
 * struct span - a range of sectors, in chunks
 * @first: its first chunk
 * @last: its last chunk
 * @head: sectors of @first before the range
 * @tail: sectors of @last behind it
 */
struct span {
	u64 first;
	u64 last;
	u32 head;
	u32 tail;
};

/* Where on its member a chunk begins. */
static __always_inline sector_t locate(const struct striped *s, u64 chunk,
				       u32 *member)
{
	return striped_divide(&s->nr, chunk, member) * s->chunk.by;
}

static struct span span_of(const struct striped *s, const struct bio *bio)
{
	struct span span;
	u32 at;

	span.first = striped_divide(&s->chunk, bio->bi_iter.bi_sector,
				    &span.head);
	span.last = striped_divide(&s->chunk, bio_end_sector(bio) - 1, &at);
	span.tail = s->chunk.by - 1 - at;
	return span;
}

/*
 * Let @bio be the run that @span has on the member of its chunk number @nth,
 * which is less than the number of members. Return: the member.
 */
static struct strata_disk *set_run(const struct striped *s, struct bio *bio,
				   const struct span *span, u32 nth)
{
	u64 chunk = span->first + nth, sectors;
	u32 member, behind;

	sectors = striped_divide(&s->nr, span->last - chunk, &behind) + 1;
	sectors *= s->chunk.by;
	bio->bi_iter.bi_sector = locate(s, chunk, &member);
	if (!nth) {
		bio->bi_iter.bi_sector += span->head;
		sectors -= span->head;
	}
	if (!behind)
		sectors -= span->tail;
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	return s->members[member];
}

/* A clone that @bio waits for. From now on @bio cannot end BLK_STS_AGAIN. */
static struct strata_sub *clone(struct strata_ctx *ctx,
				struct strata_disk *disk, struct bio *bio)
{
	struct strata_sub *sub = strata_sub_clone(ctx, disk, bio);

	if (!sub)
		return NULL;
	bio->bi_opf &= ~REQ_NOWAIT;
	sub->bio.bi_opf &= ~REQ_NOWAIT;
	sub->bio.bi_iter.bi_idx = 0;
	strata_sub_chain(sub, bio);
	return sub;
}

/*
 * A bio without data has no bvec to be at. Its index says how many members have
 * been served, should the memory for the next one have to be waited for.
 */
static enum strata_map to_runs(struct strata_ctx *ctx, struct strata_disk *disk,
			       struct bio *bio)
{
	const struct striped *s = disk->private;
	const struct span span = span_of(s, bio);
	u32 last = min_t(u64, span.last - span.first, s->nr.by - 1);
	unsigned int *nth = &bio->bi_iter.bi_idx;

	for (; *nth < last; ++*nth) {
		struct strata_sub *sub = clone(ctx, disk, bio);

		if (!sub)
			return strata_sub_failed(ctx, bio);
		strata_sub_queue(ctx, sub, set_run(s, &sub->bio, &span, *nth));
	}
	*nth = 0;
	return strata_remap(ctx, set_run(s, bio, &span, last));
}

/* A flush, to all members at the same time. */
static noinline enum strata_map to_all(struct strata_ctx *ctx,
				       struct strata_disk *disk,
				       struct bio *bio)
{
	const struct striped *s = disk->private;
	unsigned int *nth = &bio->bi_iter.bi_idx;

	for (; *nth < s->nr.by - 1; ++*nth) {
		struct strata_sub *sub = clone(ctx, disk, bio);

		if (!sub)
			return strata_sub_failed(ctx, bio);
		strata_sub_queue(ctx, sub, s->members[*nth]);
	}
	*nth = 0;
	return strata_remap(ctx, s->members[s->nr.by - 1]);
}

/* A bio with data: the chunks in front are split off, the last one is left. */
static enum strata_map to_chunks(struct strata_ctx *ctx,
				 struct strata_disk *disk, struct bio *bio)
{
	const struct striped *s = disk->private;

	for (;;) {
		struct strata_sub *sub;
		u32 in_chunk, member;
		sector_t sector;
		u64 chunk;

		chunk = striped_divide(&s->chunk, bio->bi_iter.bi_sector,
				       &in_chunk);
		sector = locate(s, chunk, &member) + in_chunk;
		if (bio_sectors(bio) <= s->chunk.by - in_chunk) {
			bio->bi_iter.bi_sector = sector;
			return strata_remap(ctx, s->members[member]);
		}
		sub = strata_sub_split(ctx, disk, bio, s->chunk.by - in_chunk);
		if (!sub)
			return strata_sub_failed(ctx, bio);
		sub->bio.bi_iter.bi_sector = sector;
		strata_sub_chain(sub, bio);
		strata_sub_queue(ctx, sub, s->members[member]);
	}
}

static noinline enum strata_map to_many(struct strata_ctx *ctx,
					struct strata_disk *disk,
					struct bio *bio)
{
	const struct striped *s = disk->private;

	if (s->nr.by == 1)
		return strata_remap(ctx, s->members[0]);
	if (bio_has_data(bio))
		return to_chunks(ctx, disk, bio);
	return to_runs(ctx, disk, bio);
}

enum strata_map striped_map(struct strata_ctx *ctx, struct strata_disk *disk,
			    struct bio *bio)
{
	const struct striped *s = disk->private;
	unsigned int sectors = bio_sectors(bio);
	u32 in_chunk, member;
	u64 chunk;

	if (unlikely(!sectors))
		return to_all(ctx, disk, bio);
	chunk = striped_divide(&s->chunk, bio->bi_iter.bi_sector, &in_chunk);
	if (unlikely(sectors > s->chunk.by - in_chunk))
		return to_many(ctx, disk, bio);
	bio->bi_iter.bi_sector = locate(s, chunk, &member) + in_chunk;
	return strata_remap(ctx, s->members[member]);
}
