// SPDX-License-Identifier: GPL-2.0
/* Layered disks without configfs; see layered_kit.h. */
#include <linux/slab.h>
#include <strata/test.h>
#include "../drivers/layers/ram.h"
#include "layered_kit.h"
#include "status.h"

static bool is_ram(const struct kit_layer *config)
{
	return !config->disk && !config->layer;
}

static void kit_free(void *data)
{
	struct kit *kit = data;
	unsigned int i;

	if (!IS_ERR_OR_NULL(kit->l))
		layered_destroy(kit->l);
	for (i = 0; i < kit->nr; i++) {
		if (kit->made_of[i].disk)
			kfree(kit->layers[i]);
		else if (is_ram(&kit->made_of[i]) && kit->layers[i])
			strata_ram_destroy(kit->layers[i]);
		if (!IS_ERR_OR_NULL(kit->handles[i]))
			strata_handle_detach(kit->handles[i]);
	}
	strata_disk_free(kit->disk);
	kfree(kit);
}

static void make_layer(struct kunit *test, struct kit *kit, unsigned int i,
		       bool read_only)
{
	const struct kit_layer *config = &kit->made_of[i];
	enum strata_claim claim = STRATA_CLAIM_STABLE;
	char other[256];

	if (config->disk) {
		if (!read_only && (!i || kit->made_of[i - 1].write_through))
			claim = STRATA_CLAIM_WRITE;
		kit->handles[i] = strata_handle_attach(config->disk, "kit",
						       claim, NULL, NULL,
						       kit->disk, other);
		KUNIT_ASSERT_FALSE(test, IS_ERR(kit->handles[i]));
		kit->layers[i] = layered_disk_layer(config->disk);
	} else if (config->layer) {
		kit->layers[i] = config->layer;
	} else {
		kit->layers[i] = strata_ram_create(config->size,
						   config->sector_size,
						   config->limit ?: SZ_1G);
	}
	KUNIT_ASSERT_NOT_NULL(test, kit->layers[i]);
	kit->layers[i]->index = i;
	kit->layers[i]->read_cache = config->read_cache;
	kit->layers[i]->write_through = config->write_through;
}

/* Make a layered disk, or leave in err and desc why that cannot be. */
struct kit *kit_try(struct kunit *test, const struct kit_config *config)
{
	struct kit *kit = kzalloc(sizeof(*kit), GFP_KERNEL);
	struct layered_params params;
	const char *why = NULL;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, kit);
	kit->nr = config->nr;
	memcpy(kit->made_of, config->layers, config->nr * sizeof(*config->layers));
	spin_lock_init(&kit->desc.error_lock);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, kit_free, kit), 0);
	kit->disk = strata_disk_alloc(config->name ?: "layered.kit");
	KUNIT_ASSERT_NOT_NULL(test, kit->disk);
	for (i = 0; i < config->nr; i++)
		make_layer(test, kit, i, config->read_only);

	params = (struct layered_params) {
		.desc = &kit->desc,
		.name = config->name ?: "layered.kit",
		.id = config->id,
		.read_only = config->read_only,
		.nr_layers = config->nr,
		.layers = kit->layers,
	};
	kit->l = layered_create(kit->disk, &params);
	kit->err = PTR_ERR_OR_ZERO(kit->l);
	if (kit->err)
		return kit;
	kit->err = strata_disk_ready(kit->disk, &layered_disk_ops, &why);
	KUNIT_ASSERT_EQ_MSG(test, kit->err, 0, "%s", why);
	return kit;
}

/* Make a layered disk. */
struct kit *kit_new(struct kunit *test, const struct kit_config *config)
{
	struct kit *kit = kit_try(test, config);

	KUNIT_ASSERT_EQ_MSG(test, kit->err, 0, "%s", kit->desc.error);
	return kit;
}

/* Let a disk go before the test ends, and what it claims. */
void kit_drop(struct kunit *test, struct kit *kit)
{
	kunit_release_action(test, kit_free, kit);
}

static void *starve_alloc(gfp_t gfp, void *data)
{
	return NULL;
}

/* Let no memory be had for sub-bios and requests but from their reserves. */
void kit_starve(struct kit *kit, bool starve)
{
	mempool_t *pool = &kit->l->reqs;
	void *held[8];
	unsigned int n = 0;

	fake_pool_starve(kit->disk, starve);
	/* Elements in reserve are known to KASAN by the pool's alloc. */
	while (n < ARRAY_SIZE(held)) {
		held[n] = mempool_alloc_preallocated(pool);
		if (!held[n])
			break;
		n++;
	}
	WRITE_ONCE(pool->alloc, starve ? starve_alloc : mempool_kmalloc);
	while (n)
		mempool_free(held[--n], pool);
}

/* A disk below, with the pattern of @seed all over it. */
struct fake_disk *kit_base(struct kunit *test, sector_t sectors, u32 seed)
{
	const struct fake_config config = {
		.name = "fake.base",
		.sectors = sectors,
		.native_zeroes = true,
		.native_fua = true,
		.unmap = STRATA_UNMAP_ZEROES,
	};
	struct fake_disk *fake = fake_disk_new(test, &config);
	void *buf = kunit_kmalloc(test, SZ_4K, GFP_KERNEL);
	sector_t sector;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (sector = 0; seed && sector < sectors; sector += 8) {
		size_t bytes = min_t(sector_t, sectors - sector, 8) << SECTOR_SHIFT;

		fake_pattern(buf, bytes, sector, seed);
		fake_disk_poke(fake, sector, buf, bytes);
	}
	kunit_kfree(test, buf);
	return fake;
}

/* The first sector in which two buffers differ, or -1. */
int kit_differ(const void *got, const void *want, size_t bytes)
{
	size_t at;

	for (at = 0; at < bytes; at += SECTOR_SIZE)
		if (memcmp(got + at, want + at, min_t(size_t, bytes - at, SECTOR_SIZE)))
			return at >> SECTOR_SHIFT;
	return -1;
}

/* Read sectors, and expect the pattern of @seed, or zeroes. */
void kit_expect(struct kunit *test, struct strata_disk *disk, sector_t sector,
		unsigned int nr, u32 seed)
{
	unsigned int bytes = nr << SECTOR_SHIFT;
	void *want = fake_buffer(test, bytes, sector, seed);
	void *got = fake_buffer(test, bytes, sector, 0x5a5a);

	EXPECT_SAME_STS(test, fake_rw(test, disk, REQ_OP_READ, sector, got,
				      bytes), BLK_STS_OK);
	KIT_EXPECT_SAME(test, got, want, bytes);
	kunit_kfree(test, got);
	kunit_kfree(test, want);
}

/* Write the pattern of @seed. */
void kit_write(struct kunit *test, struct strata_disk *disk, sector_t sector,
	       unsigned int nr, u32 seed)
{
	void *buf = fake_buffer(test, nr << SECTOR_SHIFT, sector, seed);

	EXPECT_SAME_STS(test, fake_rw(test, disk, REQ_OP_WRITE, sector, buf,
				      nr << SECTOR_SHIFT), BLK_STS_OK);
	kunit_kfree(test, buf);
}

/* How many sectors does a RAM layer have? */
unsigned int kit_present(struct kit *kit, unsigned int layer)
{
	struct ram *ram = to_ram(kit->layers[layer]);
	unsigned int nr = 0;
	unsigned long index;
	struct page *page;

	xa_for_each(&ram->pages, index, page)
		nr += hweight8(page->private);
	return nr;
}

unsigned long kit_committed(struct kit *kit, unsigned int layer)
{
	return atomic_long_read(&to_ram(kit->layers[layer])->committed);
}
