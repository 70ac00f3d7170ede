/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_BLOCK_H
#define STRATA_BLOCK_H
/* What the files of strata_block.ko share. */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

struct strata_disk;
struct strata_handle;

/**
 * struct block - a live /dev/strataN
 * @disk: the disk; what every bio needs comes first
 * @handle: the hold on it; NULL once closed
 * @read_only: writes are refused
 * @special: not every bio may just go on: read-only, or reservations
 * @ios: records of hooked bios
 * @clones: clones of the links of chains
 * @gd: the gendisk
 * @index: N
 * @name: the description's, without its type
 * @closing: open fails; under the gendisk's open_mutex
 * @lock: protects @capacity, @resized, @dead, @live and the setting of @gd.
 *	Ordered after the users lock of @disk
 * @capacity: the last size told, when @resized
 * @resized: a size was told
 * @dead: the disk is dead
 * @live: @gd is added
 * @dead_work: marks @gd dead
 * @free_work: the end of it all
 */
struct block {
	struct strata_disk *disk;
	struct strata_handle *handle;
	bool read_only;
	bool special;
	mempool_t ios;
	struct bio_set clones;

	struct gendisk *gd;
	int index;
	char *name;
	bool closing;

	struct mutex lock; /* protects capacity .. live, setting gd */
	sector_t capacity;
	bool resized;
	bool dead;
	bool live;
	struct work_struct dead_work;
	struct work_struct free_work;
};

/* block_io.c */
void block_submit_bio(struct bio *bio);
int block_io_init(struct block *b);
void block_io_exit(struct block *b);
int block_io_cache_init(void);
void block_io_cache_exit(void);

/* block_pr.c */
extern const struct pr_ops block_pr_ops;

#endif /* STRATA_BLOCK_H */
