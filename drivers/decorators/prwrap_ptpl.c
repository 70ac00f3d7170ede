// SPDX-License-Identifier: GPL-2.0
/*
 * Persistence through power loss: two slots of 4 KiB in a file, written in
 * turn. A slot has a checksum and a serial number; the good one with the higher
 * number counts. A write that was cut short leaves the other slot, and so the
 * state before a command that never completed.
 */
#include <linux/build_bug.h>
#include <linux/crc32.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "prwrap.h"

#define SLOT_MAGIC	0x5250617461727473ULL /* "strataPR" */
#define SLOT_VERSION	1

struct slot_reg {
	__le64 key;
	u8 host_id[16];
	char name[STRATA_NAME_MAX];
} __packed;

struct slot {
	__le64 magic;
	__le32 version;
	__le32 crc; /* of all bytes, this one taken as 0 */
	__le64 serial;
	__le32 type;
	__le32 holder;
	__le32 ptpl;
	__le32 nr;
	struct slot_reg regs[PRWRAP_MAX];
	u8 zero[PRWRAP_SLOT_SIZE - 40 - PRWRAP_MAX * sizeof(struct slot_reg)];
} __packed;

static_assert(sizeof(struct slot) == PRWRAP_SLOT_SIZE);

static u32 slot_crc(const struct slot *slot)
{
	const size_t crc_end = offsetofend(struct slot, crc);
	const __le32 zero = 0;
	u32 crc;

	crc = crc32_le(~0, (const u8 *)slot, offsetof(struct slot, crc));
	crc = crc32_le(crc, (const u8 *)&zero, sizeof(zero));
	return ~crc32_le(crc, (const u8 *)slot + crc_end,
			 sizeof(*slot) - crc_end);
}

/**
 * prwrap_slot_encode() - a state as it is in the file
 * @slot: PRWRAP_SLOT_SIZE bytes
 * @state: the state; its generation starts anew after power loss
 * @serial: the slot's number
 */
void prwrap_slot_encode(void *slot, const struct prwrap_state *state,
			u64 serial)
{
	struct slot *s = slot;
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->magic = cpu_to_le64(SLOT_MAGIC);
	s->version = cpu_to_le32(SLOT_VERSION);
	s->serial = cpu_to_le64(serial);
	s->type = cpu_to_le32(state->type);
	s->holder = cpu_to_le32(state->holder);
	s->ptpl = cpu_to_le32(state->ptpl);
	s->nr = cpu_to_le32(state->nr);
	for (i = 0; i < state->nr; i++) {
		const struct prwrap_reg *reg = &state->regs[i];

		s->regs[i].key = cpu_to_le64(reg->key);
		memcpy(s->regs[i].host_id, reg->who.host_id,
		       sizeof(reg->who.host_id));
		memcpy(s->regs[i].name, reg->who.name, sizeof(reg->who.name));
	}
	s->crc = cpu_to_le32(slot_crc(s));
}
EXPORT_SYMBOL_NS_GPL(prwrap_slot_encode, STRATA);

/* A registrant as prwrap_apply() makes them: named, with a key, and once. */
static bool decode_reg(struct prwrap_state *state, const struct slot_reg *from)
{
	struct prwrap_reg *reg = &state->regs[state->nr];
	size_t len = strnlen(from->name, sizeof(from->name));

	if (!from->key || !len || len == sizeof(from->name))
		return false;
	reg->key = le64_to_cpu(from->key);
	memcpy(reg->who.host_id, from->host_id, sizeof(from->host_id));
	memcpy(reg->who.name, from->name, len);
	if (prwrap_find(state, &reg->who) >= 0)
		return false;
	state->nr++;
	return true;
}

static bool decode_reservation(struct prwrap_state *state, const struct slot *s)
{
	state->type = le32_to_cpu(s->type);
	state->holder = le32_to_cpu(s->holder);
	if (!state->type || prwrap_all_regs(state->type))
		return !state->holder && (!state->type || state->nr);
	return strata_pr_valid_type(state->type) && state->holder < state->nr;
}

static bool decode_state(struct prwrap_state *state, const struct slot *s)
{
	unsigned int nr = le32_to_cpu(s->nr), i;

	state->ptpl = le32_to_cpu(s->ptpl);
	if (nr > PRWRAP_MAX || state->ptpl > 1 || (nr && !state->ptpl))
		return false;
	for (i = 0; i < nr; i++)
		if (!decode_reg(state, &s->regs[i]))
			return false;
	return decode_reservation(state, s);
}

/**
 * prwrap_slot_decode() - what a slot holds
 * @slot: PRWRAP_SLOT_SIZE bytes from a file that anybody may have written
 * @state: filled in when it is good, undefined when not
 * @serial: the same
 *
 * Return: whether it is good.
 */
enum prwrap_found prwrap_slot_decode(const void *slot,
				     struct prwrap_state *state, u64 *serial)
{
	const struct slot *s = slot;

	if (!memchr_inv(s, 0, sizeof(*s)))
		return PRWRAP_BLANK;
	if (s->magic != cpu_to_le64(SLOT_MAGIC) ||
	    s->version != cpu_to_le32(SLOT_VERSION) ||
	    le32_to_cpu(s->crc) != slot_crc(s))
		return PRWRAP_BAD;
	memset(state, 0, sizeof(*state));
	*serial = le64_to_cpu(s->serial);
	/* No slot could be newer than the last number there is. */
	if (!decode_state(state, s) || *serial == U64_MAX)
		return PRWRAP_BAD;
	return PRWRAP_GOOD;
}
EXPORT_SYMBOL_NS_GPL(prwrap_slot_decode, STRATA);

/* What is beyond the end was never written. */
static int read_slot(struct prwrap_ptpl *ptpl, unsigned int i)
{
	loff_t pos = i * PRWRAP_SLOT_SIZE;
	size_t done = 0;

	memset(ptpl->slot, 0, PRWRAP_SLOT_SIZE);
	while (done < PRWRAP_SLOT_SIZE) {
		ssize_t n = kernel_read(ptpl->file, ptpl->slot + done,
					PRWRAP_SLOT_SIZE - done, &pos);

		if (n < 0)
			return n;
		if (!n)
			break;
		done += n;
	}
	return 0;
}

/* Read both slots; the newer good one counts. Return: how many are good. */
static int load(struct prwrap_ptpl *ptpl, struct prwrap_state *state,
		struct prwrap_state *found)
{
	unsigned int i;
	int good = 0;

	for (i = 0; i < PRWRAP_SLOTS; i++) {
		enum prwrap_found what;
		u64 serial;
		int err = read_slot(ptpl, i);

		if (err)
			return err;
		what = prwrap_slot_decode(ptpl->slot, found, &serial);
		/* Our own slots are where their number says. */
		if (what == PRWRAP_GOOD && serial % PRWRAP_SLOTS != i)
			what = PRWRAP_BAD;
		ptpl->bad += what == PRWRAP_BAD;
		ptpl->blank += what == PRWRAP_BLANK;
		if (what != PRWRAP_GOOD)
			continue;
		if (!good++ || serial > ptpl->serial) {
			ptpl->serial = serial;
			memcpy(state, found, sizeof(*state));
		}
	}
	return good;
}

static int write_slot(struct prwrap_ptpl *ptpl, u64 serial)
{
	loff_t pos = (serial % PRWRAP_SLOTS) * PRWRAP_SLOT_SIZE;
	size_t done = 0;

	while (done < PRWRAP_SLOT_SIZE) {
		ssize_t n = kernel_write(ptpl->file, ptpl->slot + done,
					 PRWRAP_SLOT_SIZE - done, &pos);

		if (n <= 0)
			return n ?: -EIO;
		done += n;
	}
	return vfs_fsync(ptpl->file, 0);
}

/**
 * prwrap_ptpl_store() - make a state persistent
 * @ptpl: the file
 * @state: the state
 *
 * Over the older slot, so a failure leaves the newer one. The number goes up
 * only after a success: the next try takes the same slot.
 *
 * Context: process context; waits for the disk that the file is on.
 * Return: 0 when it is there, or a negative errno.
 */
int prwrap_ptpl_store(struct prwrap_ptpl *ptpl,
		      const struct prwrap_state *state)
{
	unsigned int noio = memalloc_noio_save();
	int err;

	prwrap_slot_encode(ptpl->slot, state, ptpl->serial + 1);
	err = write_slot(ptpl, ptpl->serial + 1);
	if (!err)
		ptpl->serial++;
	memalloc_noio_restore(noio);
	return err;
}
EXPORT_SYMBOL_NS_GPL(prwrap_ptpl_store, STRATA);

/*
 * Both slots exist from the start, so that no fence fails for want of space
 * (where the file system writes in place). The next one is the blank one.
 */
static int fill(struct prwrap_ptpl *ptpl, const struct prwrap_state *state)
{
	int err = 0;

	for (; ptpl->blank && !err; ptpl->blank--)
		err = prwrap_ptpl_store(ptpl, state);
	return err;
}

static int load_or_fill(struct prwrap_ptpl *ptpl, struct prwrap_state *state,
			struct prwrap_state *found, const char **why)
{
	int good = load(ptpl, state, found);
	int err;

	if (good < 0) {
		*why = "the ptpl_file cannot be read";
		return good;
	}
	/* Who lost its reservations must not go on as if there were none. */
	if (!good && ptpl->bad) {
		*why = "the ptpl_file is damaged; remove it to start without reservations";
		return -EINVAL;
	}
	err = fill(ptpl, state);
	if (err)
		*why = "the ptpl_file cannot be written";
	return err;
}

/**
 * prwrap_ptpl_init() - read the file
 * @ptpl: filled in
 * @file: the file, open for reading and writing; the caller's until
 *	prwrap_ptpl_exit()
 * @state: zeroes; gets the state in the file, if there is one
 * @why: set to a sentence on failure
 *
 * Context: process context.
 * Return: 0 or a negative errno.
 */
int prwrap_ptpl_init(struct prwrap_ptpl *ptpl, struct file *file,
		     struct prwrap_state *state, const char **why)
{
	struct prwrap_state *found = kzalloc(sizeof(*found), GFP_KERNEL);
	int err = -ENOMEM;

	*ptpl = (struct prwrap_ptpl) { .file = file };
	ptpl->slot = kzalloc(PRWRAP_SLOT_SIZE, GFP_KERNEL);
	if (found && ptpl->slot)
		err = load_or_fill(ptpl, state, found, why);
	else
		*why = "out of memory";
	kfree(found);
	if (err)
		prwrap_ptpl_exit(ptpl);
	return err;
}
EXPORT_SYMBOL_NS_GPL(prwrap_ptpl_init, STRATA);

/**
 * prwrap_ptpl_exit() - undo prwrap_ptpl_init()
 * @ptpl: the file; zeroes are fine
 */
void prwrap_ptpl_exit(struct prwrap_ptpl *ptpl)
{
	kfree(ptpl->slot);
	*ptpl = (struct prwrap_ptpl) {};
}
EXPORT_SYMBOL_NS_GPL(prwrap_ptpl_exit, STRATA);
