/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_PR_H
#define STRATA_PR_H
/*
 * Persistent reservations, as SPC-4 clause 5.13 and the NVMe base
 * specification's reservations chapter have them: many registrants, each an
 * I_T nexus, and enforcement on every bio.
 *
 * A disk type says in struct strata_type.pr what it does with them. One that
 * only passes bios on sets STRATA_PR_FORWARD and is done: before its create the
 * core sets disk->pr to that of the disk it links to. One that sets nothing
 * has no reservations, and the core refuses to put it on a disk that has.
 *
 * Who opens a handle on a disk with reservations (a frontend) brackets every
 * bio of its guest by begin and end where strata_pr_enforces(). Its handle's
 * nexus has joined already.
 */
#include <linux/blk_types.h>
#include <linux/pr.h>
#include <strata/handle.h>

struct strata_pr;

#define STRATA_PR_IGNORE_KEY	BIT(0)	/* register whatever the old key is */
#define STRATA_PR_PTPL		BIT(1)	/* persist through power loss from now on */
#define STRATA_PR_NO_PTPL	BIT(2)	/* do not, from now on */

/**
 * struct strata_pr_registrant - one registration
 * @key: its key, never 0
 * @name: the nexus's name
 * @host_id: and its NVMe host identifier, or zeroes
 * @holder: it holds the reservation, perhaps together with others
 */
struct strata_pr_registrant {
	u64 key;
	char name[STRATA_NAME_MAX];
	u8 host_id[16];
	bool holder;
};

/**
 * struct strata_pr_status - everything there is to know
 * @generation: counts registrations, clears and preempts; 0 after a restart
 * @type: enum pr_type of the reservation, or 0 while there is none
 * @ptpl: registrations and reservation persist through power loss
 * @nr: in: room in @registrants; out: how many there are
 * @registrants: as many as fit, in the order of registration
 */
struct strata_pr_status {
	u32 generation;
	unsigned int type;
	bool ptpl;
	unsigned int nr;
	struct strata_pr_registrant registrants[];
};

/**
 * struct strata_pr_ops - reservation operations of a disk
 * @join: a nexus is going to use @begin and the commands. Nexuses with the same
 *	host id, or without one and with the same name, are one. May be NULL
 * @leave: it is not any more, and nothing it issued is in flight. Its
 *	registration stays. May be NULL
 * @register_key: register, change or (new key 0) drop the nexus's key, under
 *	STRATA_PR_IGNORE_KEY, STRATA_PR_PTPL and STRATA_PR_NO_PTPL
 * @reserve: make a reservation of @type
 * @release: give up the reservation. -EINVAL when @type is not its type
 * @clear: drop the reservation and all registrations
 * @preempt: remove the registrants of a victim key and take their reservation
 *	over; with abort returns only when nothing they issued is in flight.
 *	-EINTR when the caller is killed before that
 * @read_keys: fill in up to num_keys keys, and the real number
 * @read_reservation: fill in who holds the reservation; type 0: nobody
 * @read_full_status: fill in everything; NULL where that cannot be known
 * @begin: may the nexus do this operation now? On BLK_STS_OK the bio is counted
 *	against the nexus until @end gets the token; else BLK_STS_RESV_CONFLICT.
 *	Task context, never sleeps. NULL where what is below enforces
 * @end: the bio that @begin admitted has ended; any context
 *
 * All commands run in process context and may sleep. They return 0, a negative
 * errno, or a positive enum pr_status; a conflict is
 * PR_STS_RESERVATION_CONFLICT. -EINVAL is a field that makes no sense, -ENOSPC
 * one registration too many, -EINTR that the caller was killed while it waited.
 */
struct strata_pr_ops {
	int (*join)(struct strata_pr *pr, struct strata_nexus *nexus);
	void (*leave)(struct strata_pr *pr, struct strata_nexus *nexus);
	int (*register_key)(struct strata_pr *pr, struct strata_nexus *nexus,
			    u64 old_key, u64 new_key, unsigned int flags);
	int (*reserve)(struct strata_pr *pr, struct strata_nexus *nexus,
		       u64 key, enum pr_type type);
	int (*release)(struct strata_pr *pr, struct strata_nexus *nexus,
		       u64 key, enum pr_type type);
	int (*clear)(struct strata_pr *pr, struct strata_nexus *nexus, u64 key);
	int (*preempt)(struct strata_pr *pr, struct strata_nexus *nexus,
		       u64 key, u64 victim, enum pr_type type, bool abort);
	int (*read_keys)(struct strata_pr *pr, struct pr_keys *keys);
	int (*read_reservation)(struct strata_pr *pr,
				struct pr_held_reservation *rsv);
	int (*read_full_status)(struct strata_pr *pr,
				struct strata_pr_status *status);
	blk_status_t (*begin)(struct strata_pr *pr, struct strata_nexus *nexus,
			      blk_opf_t op, void **token);
	void (*end)(struct strata_pr *pr, void *token);
};

/**
 * struct strata_pr - the reservations of a disk; embedded by its provider
 * @ops: the operations
 * @single_nexus: it cannot tell nexuses apart, so there may be only one; the
 *	core refuses a second handle. Other disks are shared by all that open
 *	them to write
 * @ptpl: it can persist through power loss (STRATA_PR_PTPL)
 */
struct strata_pr {
	const struct strata_pr_ops *ops;
	bool single_nexus;
	bool ptpl;
};

/**
 * strata_pr_enforces() - does every bio need the bracket of begin and end?
 * @pr: the reservations of a disk, or NULL
 *
 * Return: yes or no.
 */
static inline bool strata_pr_enforces(const struct strata_pr *pr)
{
	return pr && pr->ops->begin;
}

/**
 * strata_pr_valid_type() - is it one of the six?
 * @type: a number from a guest or a program
 *
 * Return: yes or no.
 */
static inline bool strata_pr_valid_type(unsigned int type)
{
	return type >= PR_WRITE_EXCLUSIVE &&
	       type <= PR_EXCLUSIVE_ACCESS_ALL_REGS;
}

/**
 * strata_pr_join() - make a nexus known to a disk's reservations
 * @pr: the reservations, or NULL
 * @nexus: the nexus; the core does this for that of a frontend's handle. A
 *	frontend with several nexuses, or one whose host id is set later, does
 *	it for those
 *
 * Context: process context.
 * Return: 0, -ENOMEM or -ENAMETOOLONG; undone by strata_pr_leave().
 */
static inline int strata_pr_join(struct strata_pr *pr,
				 struct strata_nexus *nexus)
{
	return pr && pr->ops->join ? pr->ops->join(pr, nexus) : 0;
}

/**
 * strata_pr_leave() - undo strata_pr_join()
 * @pr: the reservations, or NULL
 * @nexus: the nexus
 *
 * Context: process context.
 */
static inline void strata_pr_leave(struct strata_pr *pr,
				   struct strata_nexus *nexus)
{
	if (pr && pr->ops->leave)
		pr->ops->leave(pr, nexus);
}

#endif /* STRATA_PR_H */
