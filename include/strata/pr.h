/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_PR_H
#define STRATA_PR_H
/*
 * Persistent reservations, as SPC-4 clause 5.13 and the NVMe base
 * specification's reservations chapter have them: many registrants, each an
 * I_T nexus, and enforcement on every bio.
 */
#include <linux/blk_types.h>
#include <linux/pr.h>

struct strata_nexus;
struct strata_pr;

#define STRATA_PR_IGNORE_KEY	BIT(0)	/* register whatever the old key is */
#define STRATA_PR_APTPL		BIT(1)	/* persist through power loss */

/**
 * struct strata_pr_ops - reservation operations of a disk
 * @register_key: register, change or (new key 0) drop the nexus's key, under
 *	STRATA_PR_IGNORE_KEY and STRATA_PR_APTPL
 * @reserve: make a reservation of @type
 * @release: give up the reservation
 * @clear: drop the reservation and all registrations
 * @preempt: remove the registrants of a victim key and take their reservation
 *	over; with abort returns only when nothing they issued is in flight
 * @read_keys: fill in up to num_keys keys, and the real number
 * @read_reservation: fill in who holds the reservation
 * @begin: may the nexus do this operation now? On BLK_STS_OK the bio is counted against its
 *	registration until @end gets the token. Does not sleep under REQ_NOWAIT
 * @end: the bio that @begin admitted has ended; any context
 *
 * All but @end run in process context and may sleep. They return 0, a negative
 * errno, or a positive enum pr_status; a conflict is
 * PR_STS_RESERVATION_CONFLICT.
 */
struct strata_pr_ops {
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
	blk_status_t (*begin)(struct strata_pr *pr, struct strata_nexus *nexus,
			      blk_opf_t op, void **token);
	void (*end)(struct strata_pr *pr, void *token);
};

/**
 * struct strata_pr - the reservations of a disk; embedded by its provider
 * @ops: the operations
 */
struct strata_pr {
	const struct strata_pr_ops *ops;
};

#endif /* STRATA_PR_H */
