/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_LAYERED_KIT_H
#define STRATA_KUNIT_LAYERED_KIT_H
/* Layered disks without configfs. */
#include <kunit/test.h>
#include <strata/desc.h>
#include "../drivers/layers/layered.h"
#include "fake_disk.h"

/**
 * struct kit_layer - what a layer is to be: the first of @disk, @layer that is
 *	set, else RAM
 * @disk: this disk
 * @layer: this layer, which stays the test's
 * @size: RAM: bytes, or 0
 * @sector_size: RAM: bytes, or 0
 * @limit: RAM: bytes, or 0 for plenty
 * @read_cache: as in configfs
 * @write_through: as in configfs
 */
struct kit_layer {
	struct strata_disk *disk;
	struct strata_layer *layer;
	u64 size;
	u32 sector_size;
	u64 limit;
	bool read_cache;
	bool write_through;
};

/**
 * struct kit_config - what a layered disk is to be
 * @name: its name, or NULL
 * @id: its id, or NULL
 * @read_only: nobody writes
 * @nr: number of @layers
 * @layers: from the top
 */
struct kit_config {
	const char *name;
	const uuid_t *id;
	bool read_only;
	unsigned int nr;
	const struct kit_layer *layers;
};

#define KIT_LAYERS (STRATA_MAX_LAYERS + 1)

/**
 * struct kit - a layered disk, or an attempt at one
 * @nr: number of layers
 * @made_of: what they were made of
 * @disk: the disk; ready when @err is 0
 * @l: its layers
 * @layers: the same, also after a failure
 * @handles: on the disks below
 * @desc: for words
 * @err: why there is no disk
 */
struct kit {
	unsigned int nr;
	struct kit_layer made_of[KIT_LAYERS];
	struct strata_disk *disk;
	struct layered *l;
	struct strata_layer *layers[KIT_LAYERS];
	struct strata_handle *handles[KIT_LAYERS];
	struct strata_desc desc;
	int err;
};

#define RAM(...) { __VA_ARGS__ }
#define DISK(_fake, ...) { .disk = (_fake)->disk, ##__VA_ARGS__ }
#define LAYERS(...) \
	.layers = (struct kit_layer[]){ __VA_ARGS__ }, \
	.nr = sizeof((struct kit_layer[]){ __VA_ARGS__ }) / \
	      sizeof(struct kit_layer)

struct kit *kit_try(struct kunit *test, const struct kit_config *config);
struct kit *kit_new(struct kunit *test, const struct kit_config *config);
void kit_drop(struct kunit *test, struct kit *kit);
void kit_starve(struct kit *kit, bool starve);

struct fake_disk *kit_base(struct kunit *test, sector_t sectors, u32 seed);
void kit_expect(struct kunit *test, struct strata_disk *disk, sector_t sector,
		unsigned int nr, u32 seed);
void kit_write(struct kunit *test, struct strata_disk *disk, sector_t sector,
	       unsigned int nr, u32 seed);

/* As KUNIT_EXPECT_MEMEQ(), but tells where they differ, and no more. */
#define KIT_EXPECT_SAME(_test, _got, _want, _bytes) \
	KUNIT_EXPECT_EQ(_test, kit_differ(_got, _want, _bytes), -1)
int kit_differ(const void *got, const void *want, size_t bytes);

unsigned int kit_present(struct kit *kit, unsigned int layer);
unsigned long kit_committed(struct kit *kit, unsigned int layer);

extern struct kunit_suite layered_check_suite;
extern struct kunit_suite layered_io_suite;
extern struct kunit_suite layered_cache_suite;
extern struct kunit_suite layered_async_suite;
extern struct kunit_suite layered_model_suite;

#endif /* STRATA_KUNIT_LAYERED_KIT_H */
