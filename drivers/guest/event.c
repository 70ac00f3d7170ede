// SPDX-License-Identifier: GPL-2.0
/*
 * Eventfds: kicks come from the guest, calls and errors go to it.
 */
#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/vhost.h>
#include <strata/guest.h>

/* In any context, with the file's wait queue locked. */
static int kick_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
		     void *key)
{
	struct strata_guest_kick *kick =
		container_of(wait, struct strata_guest_kick, wait);

	if (key_to_poll(key) & EPOLLIN)
		strata_worker_queue(kick->worker, kick->item);
	return 0;
}

static void kick_poll(struct file *file, wait_queue_head_t *head,
		      poll_table *table)
{
	struct strata_guest_kick *kick =
		container_of(table, struct strata_guest_kick, table);

	/* A file with several has its input in the first. */
	if (kick->head)
		return;
	kick->head = head;
	add_wait_queue(head, &kick->wait);
}

static void kick_stop(struct strata_guest_kick *kick)
{
	if (kick->head)
		remove_wait_queue(kick->head, &kick->wait);
	kick->head = NULL;
}

static int kick_start(struct strata_guest_kick *kick)
{
	__poll_t mask;

	if (!kick->file || !kick->worker)
		return 0;
	mask = vfs_poll(kick->file, &kick->table);
	if (mask & EPOLLERR) {
		kick_stop(kick);
		return -EINVAL;
	}
	/* It may have been signalled while nobody watched. */
	if (mask & EPOLLIN)
		strata_worker_queue(kick->worker, kick->item);
	return 0;
}

/**
 * strata_guest_kick_init() - a kick that watches nothing
 * @kick: the kick
 * @item: what its signals queue
 */
void strata_guest_kick_init(struct strata_guest_kick *kick,
			    struct strata_worker_item *item)
{
	memset(kick, 0, sizeof(*kick));
	kick->item = item;
	init_waitqueue_func_entry(&kick->wait, kick_wake);
	init_poll_funcptr(&kick->table, kick_poll);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_kick_init, STRATA);

/**
 * strata_guest_kick_set_worker() - who runs the item
 * @kick: the kick
 * @worker: the worker, or NULL to watch no more. Flush the one before: the item
 *	may be queued there still
 *
 * A signal that comes meanwhile may be missed, so queue the item after a change.
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL when the file cannot be watched; it is not, then.
 */
int strata_guest_kick_set_worker(struct strata_guest_kick *kick,
				 struct strata_worker *worker)
{
	kick_stop(kick);
	kick->worker = worker;
	return kick_start(kick);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_kick_set_worker, STRATA);

/**
 * strata_guest_kick_set_file() - what to watch
 * @kick: the kick
 * @file: the file, of which the reference is taken over, or NULL for none
 *
 * On return the file before is not watched; the item may be queued for it.
 *
 * Context: may sleep.
 * Return: as strata_guest_kick_set_worker().
 */
int strata_guest_kick_set_file(struct strata_guest_kick *kick,
			       struct file *file)
{
	kick_stop(kick);
	if (kick->file)
		fput(kick->file);
	kick->file = file;
	return kick_start(kick);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_kick_set_file, STRATA);

/**
 * strata_guest_kick_set_fd() - VHOST_SET_VRING_KICK
 * @kick: the kick
 * @fd: an eventfd of this task's, or VHOST_FILE_UNBIND
 *
 * Context: as strata_guest_kick_set_file().
 * Return: as strata_guest_kick_set_file(), or with all as it was -EBADF or
 * -EINVAL for another file.
 */
int strata_guest_kick_set_fd(struct strata_guest_kick *kick, int fd)
{
	struct file *file = NULL;

	if (fd != VHOST_FILE_UNBIND)
		file = eventfd_fget(fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	return strata_guest_kick_set_file(kick, file);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_kick_set_fd, STRATA);

/**
 * strata_guest_call_init() - a call that nobody hears
 * @call: the call
 */
void strata_guest_call_init(struct strata_guest_call *call)
{
	spin_lock_init(&call->lock);
	call->ctx = NULL;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_call_init, STRATA);

/**
 * strata_guest_call_set_fd() - VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR
 * @call: the call
 * @fd: an eventfd of this task's, or VHOST_FILE_UNBIND for none, as at the end
 *
 * On return the one before is not signalled any more.
 *
 * Context: may sleep.
 * Return: 0, or with all as it was -EBADF or -EINVAL for another file.
 */
int strata_guest_call_set_fd(struct strata_guest_call *call, int fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd != VHOST_FILE_UNBIND)
		ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	spin_lock_irq(&call->lock);
	swap(call->ctx, ctx);
	spin_unlock_irq(&call->lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(strata_guest_call_set_fd, STRATA);

/**
 * strata_guest_call_signal() - signal it, if there is one
 * @call: the call
 *
 * Context: any.
 */
void strata_guest_call_signal(struct strata_guest_call *call)
{
	unsigned long flags;

	spin_lock_irqsave(&call->lock, flags);
	if (call->ctx)
		eventfd_signal(call->ctx);
	spin_unlock_irqrestore(&call->lock, flags);
}
EXPORT_SYMBOL_NS_GPL(strata_guest_call_signal, STRATA);
