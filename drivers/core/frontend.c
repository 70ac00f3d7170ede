// SPDX-License-Identifier: GPL-2.0
/* Enabling and disabling frontends: the states around what a type does. */
#include "core.h"

/*
 * Wait until the description is neither enabled nor disabled right now.
 * Called and returns with the graph mutex held, but for -EINTR.
 */
static int wait_settled(struct strata_desc *desc)
{
	while (desc->state == STRATA_BUSY) {
		mutex_unlock(&strata_graph_lock);
		if (wait_event_killable(strata_graph_wait,
					READ_ONCE(desc->state) != STRATA_BUSY))
			return -EINTR;
		mutex_lock(&strata_graph_lock);
	}
	return 0;
}

static void set_state(struct strata_desc *desc, enum strata_state state)
{
	mutex_lock(&strata_graph_lock);
	WRITE_ONCE(desc->state, state);
	if (state == STRATA_IDLE)
		desc->stale = false;
	mutex_unlock(&strata_graph_lock);
	wake_up_all(&strata_graph_wait);
}

/* Move to BUSY from @from; -EALREADY when it is in the other state. */
static int begin(struct strata_desc *desc, enum strata_state from)
{
	int err;

	mutex_lock(&strata_graph_lock);
	err = wait_settled(desc);
	if (err)
		return err;
	if (desc->state == from)
		WRITE_ONCE(desc->state, STRATA_BUSY);
	else
		err = -EALREADY;
	mutex_unlock(&strata_graph_lock);
	return err;
}

int strata_frontend_enable(struct strata_desc *desc)
{
	int err = begin(desc, STRATA_IDLE);

	if (err == -EALREADY)
		return strata_fail(desc, err, "%s is enabled already",
				   strata_desc_name(desc));
	if (err)
		return strata_fail(desc, err, "interrupted");
	strata_fail(desc, 0, "%s", "");
	err = strata_desc_pin(desc);
	if (!err) {
		err = desc->type->enable(desc);
		if (err)
			strata_desc_unpin(desc);
	}
	set_state(desc, err ? STRATA_IDLE : STRATA_LIVE);
	return err;
}

/* Disabling what is not enabled is no error. */
int strata_frontend_disable(struct strata_desc *desc, bool force)
{
	int err = begin(desc, STRATA_LIVE);

	if (err)
		return err == -EALREADY ? 0 : err;
	strata_fail(desc, 0, "%s", "");
	err = desc->type->disable(desc, force);
	set_state(desc, err ? STRATA_LIVE : STRATA_IDLE);
	if (!err)
		strata_desc_unpin(desc);
	return err;
}
