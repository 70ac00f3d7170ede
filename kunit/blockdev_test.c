// SPDX-License-Identifier: GPL-2.0
/* blockdev over a device of the test's own: what reaches it, and what it answers. */
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <strata/test.h>
#include "../drivers/backends/blockdev.h"
#include "conformance.h"
#include "core_stack.h"
#include "fake_disk.h"

#define DEVICE_BYTES SZ_64K

/**
 * struct ram_device - a RAM disk that counts, and the strata disk over it
 * @gendisk: it
 * @disk: the strata disk
 * @data: its bytes
 * @zeroes: how many WRITE_ZEROES it was asked for
 * @flushes: bios with PREFLUSH
 * @fua: bios with FUA
 * @reads: reads
 * @shy: it says that it has WRITE_ZEROES, and refuses the first one
 * @added: the gendisk is there
 */
struct ram_device {
	struct gendisk *gendisk;
	struct strata_disk *disk;
	char *data;
	unsigned int zeroes;
	unsigned int flushes;
	unsigned int fua;
	unsigned int reads;
	bool shy;
	bool added;
};

static void transfer(struct ram_device *dev, struct bio *bio)
{
	char *at = dev->data + (bio->bi_iter.bi_sector << SECTOR_SHIFT);
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		if (op_is_write(bio->bi_opf))
			memcpy_from_bvec(at, &bv);
		else
			memcpy_to_bvec(&bv, at);
		at += bv.bv_len;
	}
}

static void device_submit(struct bio *bio)
{
	struct ram_device *dev = bio->bi_bdev->bd_disk->private_data;

	dev->flushes += !!(bio->bi_opf & REQ_PREFLUSH);
	dev->fua += !!(bio->bi_opf & REQ_FUA);
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		dev->reads++;
		fallthrough;
	case REQ_OP_WRITE:
		transfer(dev, bio);
		break;
	case REQ_OP_WRITE_ZEROES:
		dev->zeroes++;
		if (dev->shy) {
			blk_queue_disable_write_zeroes(dev->gendisk->queue);
			bio->bi_status = BLK_STS_NOTSUPP;
			break;
		}
		memset(dev->data + (bio->bi_iter.bi_sector << SECTOR_SHIFT), 0,
		       bio->bi_iter.bi_size);
		break;
	default:
		break;
	}
	bio_endio(bio);
}

static const struct block_device_operations device_fops = {
	.owner = THIS_MODULE,
	.submit_bio = device_submit,
};

static void device_free(void *data)
{
	struct ram_device *dev = data;

	strata_disk_free(dev->disk);
	if (dev->added)
		del_gendisk(dev->gendisk);
	if (!IS_ERR_OR_NULL(dev->gendisk))
		put_disk(dev->gendisk);
	vfree(dev->data);
	kfree(dev);
}

static void make_gendisk(struct kunit *test, struct ram_device *dev,
			 struct queue_limits *lim)
{
	struct gendisk *gendisk = blk_alloc_disk(lim, NUMA_NO_NODE);

	dev->gendisk = gendisk;
	KUNIT_ASSERT_FALSE(test, IS_ERR(gendisk));
	gendisk->fops = &device_fops;
	gendisk->flags |= GENHD_FL_NO_PART;
	gendisk->private_data = dev;
	strscpy(gendisk->disk_name, "strata-kunit", DISK_NAME_LEN);
	set_capacity(gendisk, DEVICE_BYTES >> SECTOR_SHIFT);
	KUNIT_ASSERT_EQ(test, add_disk(gendisk), 0);
	dev->added = true;
}

/* One at a time, because of its name. */
static struct ram_device *device_new(struct kunit *test, const struct queue_limits *limits)
{
	struct ram_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	struct queue_limits lim = *limits;
	const char *why = NULL;

	KUNIT_ASSERT_NOT_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, device_free, dev), 0);
	dev->data = vzalloc(DEVICE_BYTES);
	dev->disk = strata_disk_alloc("blockdev.test");
	KUNIT_ASSERT_TRUE(test, dev->data && dev->disk);
	make_gendisk(test, dev, &lim);
	dev->disk->private = dev->gendisk->part0;
	dev->disk->capacity = DEVICE_BYTES >> SECTOR_SHIFT;
	blockdev_set_limits(dev->disk, dev->gendisk->part0);
	KUNIT_ASSERT_EQ_MSG(test, strata_disk_ready(dev->disk, &blockdev_disk_ops, &why), 0,
			    "%s", why);
	return dev;
}

static const struct queue_limits plain = { .logical_block_size = 512 };
static const struct queue_limits rich = {
	.logical_block_size = 512,
	.physical_block_size = 4096,
	.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA,
	.dma_alignment = 7,
	.max_hw_discard_sectors = 128,
	.discard_granularity = 8192,
	.max_write_zeroes_sectors = 128,
};

static void conforms_512(struct kunit *test)
{
	strata_conformance_range(test, device_new(test, &rich)->disk);
}

static void conforms_4096(struct kunit *test)
{
	static const struct queue_limits lim = {
		.logical_block_size = 4096,
		.features = BLK_FEAT_WRITE_CACHE,
	};

	strata_conformance_range(test, device_new(test, &lim)->disk);
}

static void limits_plain(struct kunit *test)
{
	const struct strata_disk *disk = device_new(test, &plain)->disk;

	KUNIT_EXPECT_EQ(test, disk->limits.logical_block_size, 512);
	KUNIT_EXPECT_EQ(test, disk->limits.max_discard_sectors, 0);
	KUNIT_EXPECT_EQ(test, disk->limits.max_write_zeroes_sectors, 0);
	KUNIT_EXPECT_EQ(test, disk->unmap, STRATA_UNMAP_IGNORED);
	KUNIT_EXPECT_FALSE(test, disk->limits.features & (BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA));
}

static void limits_rich(struct kunit *test)
{
	const struct strata_disk *disk = device_new(test, &rich)->disk;

	KUNIT_EXPECT_EQ(test, disk->limits.physical_block_size, 4096);
	KUNIT_EXPECT_EQ(test, disk->limits.dma_alignment, 7);
	KUNIT_EXPECT_EQ(test, disk->unmap, STRATA_UNMAP_UNSPECIFIED);
	KUNIT_EXPECT_EQ(test, disk->optimal_unmap_sectors, 16);
	KUNIT_EXPECT_TRUE(test, disk->limits.features & BLK_FEAT_WRITE_CACHE);
	KUNIT_EXPECT_TRUE(test, disk->limits.features & BLK_FEAT_FUA);
}

static void flags_go_on(struct kunit *test)
{
	struct ram_device *dev = device_new(test, &rich);
	void *buf = fake_buffer(test, 4096, 8, 1);

	FAKE_EXPECT_STS(test, fake_rw(test, dev->disk, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 8,
				      buf, 4096), BLK_STS_OK);
	KUNIT_EXPECT_MEMEQ(test, dev->data + 4096, buf, 4096);
	KUNIT_EXPECT_EQ(test, dev->flushes, 1);
	KUNIT_EXPECT_EQ(test, dev->fua, 1);
	FAKE_EXPECT_STS(test, fake_flush(test, dev->disk), BLK_STS_OK);
	KUNIT_EXPECT_EQ(test, dev->flushes, 2);
}

/* Write something, zero the middle of it, and see. */
static void zero_middle(struct kunit *test, struct ram_device *dev)
{
	char *want = fake_buffer(test, 4096, 8, 2);

	FAKE_EXPECT_STS(test, fake_rw(test, dev->disk, REQ_OP_WRITE, 8, want, 4096), BLK_STS_OK);
	FAKE_EXPECT_STS(test, fake_range(test, dev->disk, REQ_OP_WRITE_ZEROES, 10, 3),
			BLK_STS_OK);
	memset(want + 1024, 0, 1536);
	KUNIT_EXPECT_MEMEQ(test, dev->data + 4096, want, 4096);
}

static void zeroes_native(struct kunit *test)
{
	struct ram_device *dev = device_new(test, &rich);

	zero_middle(test, dev);
	KUNIT_EXPECT_EQ(test, dev->zeroes, 1);
}

static void zeroes_written(struct kunit *test)
{
	struct ram_device *dev = device_new(test, &plain);

	zero_middle(test, dev);
	KUNIT_EXPECT_EQ(test, dev->zeroes, 0);
}

/* As SCSI disks do: they are believed until they refuse, and then no more. */
static void zeroes_refused(struct kunit *test)
{
	struct ram_device *dev = device_new(test, &rich);

	dev->shy = true;
	zero_middle(test, dev);
	KUNIT_EXPECT_EQ(test, dev->zeroes, 1);
	KUNIT_EXPECT_EQ(test, dev->disk->limits.max_write_zeroes_sectors, 0);
	zero_middle(test, dev);
	KUNIT_EXPECT_EQ(test, dev->zeroes, 1);
}

/* Sub-bios, whose cgroup is that of the bio they serve. */
static void from_above(struct kunit *test)
{
	struct ram_device *dev = device_new(test, &rich);
	const struct fake_stack_config config = {
		.kind = FAKE_STRIPE,
		.chunk = 4,
		.below = { dev->disk },
	};
	struct fake_stack *above = fake_stack_new(test, &config);
	void *buf = fake_buffer(test, 16384, 4, 3), *got = fake_buffer(test, 16384, 0, 0);

	FAKE_EXPECT_STS(test, fake_rw(test, above->disk, REQ_OP_WRITE, 4, buf, 16384),
			BLK_STS_OK);
	KUNIT_EXPECT_MEMEQ(test, dev->data + 2048, buf, 16384);
	FAKE_EXPECT_STS(test, fake_rw(test, above->disk, REQ_OP_READ, 4, got, 16384), BLK_STS_OK);
	KUNIT_EXPECT_MEMEQ(test, got, buf, 16384);
	KUNIT_EXPECT_GT(test, dev->reads, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(conforms_512),
	KUNIT_CASE(conforms_4096),
	KUNIT_CASE(limits_plain),
	KUNIT_CASE(limits_rich),
	KUNIT_CASE(flags_go_on),
	KUNIT_CASE(zeroes_native),
	KUNIT_CASE(zeroes_written),
	KUNIT_CASE(zeroes_refused),
	KUNIT_CASE(from_above),
	{}
};

static struct kunit_suite suite = {
	.name = "strata_blockdev",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("strata: KUnit suite of the blockdev disk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(STRATA);
