// SPDX-License-Identifier: GPL-2.0
/* Reservations in a file: slots that are torn, damaged, forged, newer. */
#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/shmem_fs.h>
#include <linux/unaligned.h>
#include "prwrap_kit.h"

/* Where things are in a slot; a file of today must be read for ever. */
#define AT_VERSION	8
#define AT_CRC		12
#define AT_SERIAL	16
#define AT_TYPE		24
#define AT_HOLDER	28
#define AT_PTPL		32
#define AT_NR		36
#define AT_REGS		40
#define REG_SIZE	88
#define REG_NAME	24

#define SIZE		PRWRAP_SLOT_SIZE

static struct prwrap_state *persistent(struct kunit *test, unsigned int nr,
				       unsigned int type)
{
	struct prwrap_state *s = kit_state(test, nr, type);

	s->ptpl = nr > 0;
	s->generation = 0;
	return s;
}

static u8 *encoded(struct kunit *test, const struct prwrap_state *s, u64 serial)
{
	u8 *slot = kunit_kzalloc(test, SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slot);
	prwrap_slot_encode(slot, s, serial);
	return slot;
}

static enum prwrap_found decode(struct kunit *test, const u8 *slot,
				struct prwrap_state *s)
{
	u64 serial;

	return prwrap_slot_decode(slot, s, &serial);
}

/* There and back */
static void round_trip(struct kunit *test)
{
	static const unsigned int nrs[] = { 0, 1, 3, PRWRAP_MAX };
	struct prwrap_state *back = kit_state(test, 0, 0);
	unsigned int type, i;

	for (type = 0; type <= KIT_TYPES; type++)
		for (i = type ? 1 : 0; i < ARRAY_SIZE(nrs); i++) {
			struct prwrap_state *s = persistent(test, nrs[i], type);
			u64 serial = 0;

			if (s->nr > 1)
				memset(s->regs[1].who.host_id, 0xa5, 16);
			if (s->nr > 2 && type && !prwrap_all_regs(type))
				s->holder = 2;
			KUNIT_EXPECT_EQ(test, prwrap_slot_decode(encoded(test, s, 7 + i),
								 back, &serial),
					PRWRAP_GOOD);
			KUNIT_EXPECT_EQ(test, serial, 7 + i);
			KUNIT_EXPECT_MEMEQ(test, back, s, sizeof(*s));
		}
}

static void layout(struct kunit *test)
{
	struct prwrap_state *s = persistent(test, 2, PR_EXCLUSIVE_ACCESS);
	u8 *slot = encoded(test, s, 0x1122334455667788);

	KUNIT_EXPECT_MEMEQ(test, slot, "strataPR", 8);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(slot + AT_VERSION), 1);
	KUNIT_EXPECT_EQ(test, get_unaligned_le64(slot + AT_SERIAL), 0x1122334455667788);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(slot + AT_TYPE), PR_EXCLUSIVE_ACCESS);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(slot + AT_HOLDER), 0);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(slot + AT_PTPL), 1);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(slot + AT_NR), 2);
	KUNIT_EXPECT_EQ(test, get_unaligned_le64(slot + AT_REGS + REG_SIZE), kit_key(1));
	KUNIT_EXPECT_STREQ(test, slot + AT_REGS + REG_SIZE + REG_NAME, "block.1");
}

/* One bit, anywhere */
static void bit_flips(struct kunit *test)
{
	struct prwrap_state *s = persistent(test, 3, PR_WRITE_EXCLUSIVE);
	struct prwrap_state *back = kit_state(test, 0, 0);
	u8 *slot = encoded(test, s, 3);
	unsigned int i;

	for (i = 0; i < SIZE; i++) {
		slot[i] ^= 1 << i % 8;
		if (decode(test, slot, back) != PRWRAP_BAD) {
			KUNIT_FAIL(test, "byte %u may be anything", i);
			return;
		}
		slot[i] ^= 1 << i % 8;
	}
	KUNIT_EXPECT_EQ(test, decode(test, slot, back), PRWRAP_GOOD);
}

/* A write that was cut short leaves the front of the new over the old. */
static void torn(struct kunit *test)
{
	struct prwrap_state *s = persistent(test, PRWRAP_MAX, PR_WRITE_EXCLUSIVE);
	struct prwrap_state *back = kit_state(test, 0, 0);
	u8 *old = encoded(test, s, 3), *new, *slot;
	unsigned int cut;

	KUNIT_ASSERT_EQ(test, kit_register(s, 30, kit_key(30), 0), 0);
	new = encoded(test, s, 5);
	slot = kunit_kzalloc(test, SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, slot);
	for (cut = 512; cut < 2560; cut += 512) {
		memcpy(slot, new, cut);
		memcpy(slot + cut, old + cut, SIZE - cut);
		KUNIT_EXPECT_EQ_MSG(test, decode(test, slot, back), PRWRAP_BAD,
				    "cut at %u", cut);
	}
	memset(slot, 0, SIZE);
	memcpy(slot, new, 512);
	KUNIT_EXPECT_EQ(test, decode(test, slot, back), PRWRAP_BAD);
	memset(slot, 0, SIZE);
	KUNIT_EXPECT_EQ(test, decode(test, slot, back), PRWRAP_BLANK);
	slot[SIZE - 1] = 1;
	KUNIT_EXPECT_EQ(test, decode(test, slot, back), PRWRAP_BAD);
}

static void put_crc(u8 *slot)
{
	put_unaligned_le32(0, slot + AT_CRC);
	put_unaligned_le32(~crc32_le(~0, slot, SIZE), slot + AT_CRC);
}

static void expect_forged(struct kunit *test, u8 *slot, const char *what)
{
	struct prwrap_state *back = kit_state(test, 0, 0);

	put_crc(slot);
	KUNIT_EXPECT_EQ_MSG(test, decode(test, slot, back), PRWRAP_BAD, "%s", what);
}

/* The checksum is right, and what it is of makes no sense. */
static void forged(struct kunit *test)
{
	struct prwrap_state *s = persistent(test, 3, PR_WRITE_EXCLUSIVE);
	struct prwrap_state *back = kit_state(test, 0, 0);
	static const struct {
		unsigned int at;
		u32 value;
		const char *what;
	} words[] = {
		{ AT_VERSION, 2, "a later version" },
		{ AT_TYPE, 7, "type 7" },
		{ AT_TYPE, 0, "a holder of nothing" },
		{ AT_TYPE, PR_WRITE_EXCLUSIVE_ALL_REGS, "one holder among all" },
		{ AT_HOLDER, 3, "a holder beyond the registrants" },
		{ AT_HOLDER, U32_MAX, "a holder far beyond" },
		{ AT_PTPL, 2, "a flag of 2" },
		{ AT_PTPL, 0, "registrants that do not persist" },
		{ AT_NR, 4, "a registrant without a key" },
		{ AT_NR, 0, "a holder that is not registered" },
		{ AT_NR, PRWRAP_MAX + 1, "too many registrants" },
		{ AT_NR, U32_MAX, "far too many registrants" },
		{ AT_REGS + REG_NAME, 0, "no name" },
	};
	unsigned int i;
	u8 *slot;

	s->holder = 1;
	slot = encoded(test, s, 3);
	put_crc(slot);
	KUNIT_ASSERT_EQ_MSG(test, decode(test, slot, back), PRWRAP_GOOD,
			    "the test's own checksum");
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		slot = encoded(test, s, 3);
		put_unaligned_le32(words[i].value, slot + words[i].at);
		expect_forged(test, slot, words[i].what);
	}
	slot = encoded(test, s, 3);
	memset(slot + AT_REGS + REG_NAME, 'x', STRATA_NAME_MAX);
	expect_forged(test, slot, "a name without an end");
	slot = encoded(test, s, 3);
	memcpy(slot + AT_REGS + REG_SIZE, slot + AT_REGS, REG_SIZE);
	expect_forged(test, slot, "one registrant twice");
	slot = encoded(test, persistent(test, PRWRAP_MAX, 0), 3);
	memcpy(slot + AT_REGS + PRWRAP_MAX * REG_SIZE, slot + AT_REGS, REG_SIZE);
	slot[AT_REGS + PRWRAP_MAX * REG_SIZE + REG_NAME] = 'x';
	put_unaligned_le32(PRWRAP_MAX + 1, slot + AT_NR);
	expect_forged(test, slot, "one registrant more than there can be");
	slot = encoded(test, s, U64_MAX);
	expect_forged(test, slot, "the last number");
}

/* A file; closed with the test. */

static void put_file(void *file)
{
	fput(file);
}

static struct file *memory_file(struct kunit *test)
{
	struct file *file = shmem_file_setup("ptpl", 0, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_file, file), 0);
	return file;
}

static void write_at(struct kunit *test, struct file *file, const void *data,
		     size_t len, loff_t pos)
{
	KUNIT_ASSERT_EQ(test, kernel_write(file, data, len, &pos), len);
}

/* Open the file; what is in it goes to @back. */
static int load(struct kunit *test, struct prwrap_ptpl *ptpl, struct file *file,
		struct prwrap_state *back)
{
	const char *why = NULL;
	int err;

	memset(back, 0, sizeof(*back));
	err = prwrap_ptpl_init(ptpl, file, back, &why);
	KUNIT_EXPECT_EQ_MSG(test, !!err, !!why, "words go with an error");
	return err;
}

static void expect_loaded(struct kunit *test, struct file *file,
			  const struct prwrap_state *want, unsigned int bad)
{
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct prwrap_ptpl ptpl;

	KUNIT_ASSERT_EQ(test, load(test, &ptpl, file, back), 0);
	KUNIT_EXPECT_EQ(test, ptpl.bad, bad);
	KUNIT_EXPECT_MEMEQ(test, back, want, sizeof(*back));
	prwrap_ptpl_exit(&ptpl);
}

static void fresh(struct kunit *test)
{
	struct prwrap_state *none = kit_state(test, 0, 0);
	struct file *file = memory_file(test);

	expect_loaded(test, file, none, 0);
	KUNIT_EXPECT_EQ(test, i_size_read(file_inode(file)), 2 * SIZE);
	expect_loaded(test, file, none, 0);
	KUNIT_EXPECT_EQ(test, i_size_read(file_inode(file)), 2 * SIZE);
}

/* Slots are written by turns, and the newest counts. */
static void turns(struct kunit *test)
{
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct prwrap_state *s = persistent(test, 1, PR_EXCLUSIVE_ACCESS);
	struct file *file = memory_file(test);
	struct prwrap_ptpl ptpl;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, load(test, &ptpl, file, back), 0);
	for (i = 1; i < 6; i++) {
		u64 serial = ptpl.serial;

		KUNIT_ASSERT_EQ(test, kit_register(s, i, 0, kit_key(i)), 0);
		s->generation = 0;
		KUNIT_EXPECT_EQ(test, prwrap_ptpl_store(&ptpl, s), 0);
		KUNIT_EXPECT_EQ(test, ptpl.serial, serial + 1);
		expect_loaded(test, file, s, 0);
	}
	prwrap_ptpl_exit(&ptpl);
}

/* The newer slot is damaged: the older counts, and is not the next to go. */
static void newer_damaged(struct kunit *test)
{
	struct prwrap_state *one = persistent(test, 1, PR_EXCLUSIVE_ACCESS);
	struct prwrap_state *two = persistent(test, 2, PR_WRITE_EXCLUSIVE);
	struct prwrap_state *three = persistent(test, 3, 0);
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct file *file = memory_file(test);
	struct prwrap_ptpl ptpl;
	u64 serial;

	KUNIT_ASSERT_EQ(test, load(test, &ptpl, file, back), 0);
	KUNIT_ASSERT_EQ(test, prwrap_ptpl_store(&ptpl, one), 0);
	KUNIT_ASSERT_EQ(test, prwrap_ptpl_store(&ptpl, two), 0);
	serial = ptpl.serial;
	prwrap_ptpl_exit(&ptpl);
	write_at(test, file, "torn", 4, serial % 2 * SIZE + 100);

	expect_loaded(test, file, one, 1);
	KUNIT_ASSERT_EQ(test, load(test, &ptpl, file, back), 0);
	KUNIT_EXPECT_EQ(test, ptpl.serial, serial - 1);
	KUNIT_EXPECT_EQ(test, prwrap_ptpl_store(&ptpl, three), 0);
	prwrap_ptpl_exit(&ptpl);
	expect_loaded(test, file, three, 0);
	write_at(test, file, "torn", 4, serial % 2 * SIZE + 100);
	expect_loaded(test, file, one, 1);
}

/* And when the older is, nothing is lost. */
static void older_damaged(struct kunit *test)
{
	struct prwrap_state *two = persistent(test, 2, PR_WRITE_EXCLUSIVE);
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct file *file = memory_file(test);
	struct prwrap_ptpl ptpl;

	KUNIT_ASSERT_EQ(test, load(test, &ptpl, file, back), 0);
	KUNIT_ASSERT_EQ(test, prwrap_ptpl_store(&ptpl, two), 0);
	write_at(test, file, "torn", 4, (ptpl.serial + 1) % 2 * SIZE);
	prwrap_ptpl_exit(&ptpl);
	expect_loaded(test, file, two, 1);
}

/* Without one good slot nobody can tell who was fenced. */
static void both_damaged(struct kunit *test)
{
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct file *file = memory_file(test);
	struct prwrap_ptpl ptpl;

	expect_loaded(test, file, back, 0);
	write_at(test, file, "torn", 4, 0);
	write_at(test, file, "torn", 4, SIZE);
	KUNIT_EXPECT_EQ(test, load(test, &ptpl, file, back), -EINVAL);
	KUNIT_EXPECT_NULL(test, ptpl.slot);
}

/* A slot in the other's place is not a slot. */
static void swapped(struct kunit *test)
{
	struct prwrap_state *s = persistent(test, 2, PR_WRITE_EXCLUSIVE);
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct file *file = memory_file(test);
	struct prwrap_ptpl ptpl;

	write_at(test, file, encoded(test, s, 4), SIZE, SIZE);
	KUNIT_EXPECT_EQ(test, load(test, &ptpl, file, back), -EINVAL);
	write_at(test, file, encoded(test, s, 4), SIZE, 0);
	expect_loaded(test, file, s, 1);
}

/* A write that fails uses no number up, and leaves the newest slot alone. */
/* A crash between the first two writes leaves a hole. */
static void hole(struct kunit *test)
{
	struct prwrap_state *none = kit_state(test, 0, 0);
	struct file *file = memory_file(test);
	u8 *slot = kunit_kzalloc(test, SIZE, GFP_KERNEL);
	loff_t pos = 0;

	KUNIT_ASSERT_NOT_NULL(test, slot);
	write_at(test, file, encoded(test, none, 1), SIZE, SIZE);
	expect_loaded(test, file, none, 0);
	KUNIT_ASSERT_EQ(test, kernel_read(file, slot, SIZE, &pos), SIZE);
	KUNIT_EXPECT_TRUE_MSG(test, memchr_inv(slot, 0, SIZE), "it is still there");
}

static void write_fails(struct kunit *test)
{
	struct prwrap_state *one = persistent(test, 1, PR_EXCLUSIVE_ACCESS);
	struct prwrap_state *two = persistent(test, 2, PR_WRITE_EXCLUSIVE);
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct file *file = memory_file(test);
	struct prwrap_ptpl ptpl;
	u64 serial;

	KUNIT_ASSERT_EQ(test, load(test, &ptpl, file, back), 0);
	KUNIT_ASSERT_EQ(test, prwrap_ptpl_store(&ptpl, one), 0);
	serial = ptpl.serial;
	file->f_mode &= ~FMODE_CAN_WRITE;
	KUNIT_EXPECT_LT(test, prwrap_ptpl_store(&ptpl, two), 0);
	KUNIT_EXPECT_EQ(test, ptpl.serial, serial);
	expect_loaded(test, file, one, 0);
	file->f_mode |= FMODE_CAN_WRITE;
	KUNIT_EXPECT_EQ(test, prwrap_ptpl_store(&ptpl, two), 0);
	prwrap_ptpl_exit(&ptpl);
	expect_loaded(test, file, two, 0);
}

static void cannot_read(struct kunit *test)
{
	struct prwrap_state *back = kit_state(test, 0, 0);
	struct file *file = memory_file(test);
	struct prwrap_ptpl ptpl;

	file->f_mode &= ~FMODE_CAN_READ;
	KUNIT_EXPECT_LT(test, load(test, &ptpl, file, back), 0);
	file->f_mode |= FMODE_CAN_READ;
	file->f_mode &= ~FMODE_CAN_WRITE;
	KUNIT_EXPECT_LT(test, load(test, &ptpl, file, back), 0);
	file->f_mode |= FMODE_CAN_WRITE;
}

static struct kunit_case prwrap_ptpl_cases[] = {
	KUNIT_CASE(round_trip),
	KUNIT_CASE(layout),
	KUNIT_CASE(bit_flips),
	KUNIT_CASE(torn),
	KUNIT_CASE(forged),
	KUNIT_CASE(fresh),
	KUNIT_CASE(turns),
	KUNIT_CASE(newer_damaged),
	KUNIT_CASE(older_damaged),
	KUNIT_CASE(both_damaged),
	KUNIT_CASE(swapped),
	KUNIT_CASE(hole),
	KUNIT_CASE(write_fails),
	KUNIT_CASE(cannot_read),
	{}
};

struct kunit_suite prwrap_ptpl_suite = {
	.name = "strata_prwrap_ptpl",
	.test_cases = prwrap_ptpl_cases,
};
