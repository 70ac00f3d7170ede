// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's block uevents, heard on a netlink socket like udev's. The socket
 * exists while something is watched.
 *
 * Netlink loses messages rather than make the sender wait, and says so once
 * (ENOBUFS), when the loss begins. It goes on until the queue is empty; then
 * every watched device may have changed.
 */
#include <linux/export.h>
#include <linux/kdev_t.h>
#include <linux/kstrtox.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <strata/uevent.h>
#include "uevent.h"

/* lib/kobject_uevent.c multicasts to this group. */
#define UEVENT_GROUP_KERNEL 1

/* 2 KiB of keys (UEVENT_BUFFER_SIZE), "action@devpath", and the final NUL. */
#define UEVENT_MESSAGE_SIZE (2048 + 2048)

static struct workqueue_struct *uevent_wq;

/* Held while changed() runs, so that unwatch() waits for it. */
static DEFINE_MUTEX(watch_lock); /* protects all of these */
static LIST_HEAD(watches);
static struct socket *uevent_sock;
static char message[UEVENT_MESSAGE_SIZE];
static bool overrun;

static unsigned int parse_number(const char *digits)
{
	unsigned int n;

	return kstrtouint(digits, 10, &n) ? 0 : n;
}

/* "change <uuid> RESCAN=1" written to a uevent attribute has the prefix. */
static bool is_rescan(const char *key)
{
	if (str_has_prefix(key, "SYNTH_ARG_"))
		key += strlen("SYNTH_ARG_");
	return !strcmp(key, "RESCAN=1") || !strcmp(key, "RESCAN=true");
}

static void parse_key(struct strata_uevent *event, const char *key)
{
	if (!strcmp(key, "ACTION=change"))
		event->change = true;
	else if (!strcmp(key, "SUBSYSTEM=block"))
		event->block = true;
	else if (!strcmp(key, "RESIZE=1"))
		event->resize = true;
	else if (is_rescan(key))
		event->rescan = true;
	else if (str_has_prefix(key, "MAJOR="))
		event->major = parse_number(key + strlen("MAJOR="));
	else if (str_has_prefix(key, "MINOR="))
		event->minor = parse_number(key + strlen("MINOR="));
}

/**
 * strata_uevent_parse() - read a uevent's keys
 * @event: filled in
 * @buf: NUL-separated strings, the first one "action@devpath"
 * @len: their length; buf[len] is NUL
 *
 * Context: any.
 */
void strata_uevent_parse(struct strata_uevent *event, const char *buf,
			 size_t len)
{
	const char *key;

	memset(event, 0, sizeof(*event));
	for (key = buf; key < buf + len; key += strlen(key) + 1)
		parse_key(event, key);
}

#if IS_ENABLED(CONFIG_KUNIT)
EXPORT_SYMBOL_NS_GPL(strata_uevent_parse, STRATA);
#endif

static void notify_dev(dev_t dev)
{
	struct strata_uevent_watch *watch;

	list_for_each_entry(watch, &watches, node)
		if (watch->dev == dev)
			watch->changed(watch);
}

static void notify_all(void)
{
	struct strata_uevent_watch *watch;

	list_for_each_entry(watch, &watches, node)
		watch->changed(watch);
}

static void handle_message(size_t len)
{
	struct strata_uevent event;

	strata_uevent_parse(&event, message, len);
	if (!event.change || !event.block)
		return;
	if (event.rescan)
		notify_all();
	else if (event.resize)
		notify_dev(MKDEV(event.major, event.minor));
}

/* The queue is empty. Return: it may not be so after what was done. */
static bool queue_empty(void)
{
	if (!overrun)
		return false;
	overrun = false;
	notify_all();
	return true;
}

/* Receive and act on one message. Return: there may be more. */
static bool receive_one(void)
{
	struct sockaddr_nl from = {};
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
	};
	struct kvec vec = {
		.iov_base = message,
		.iov_len = sizeof(message) - 1,
	};
	int len;

	lockdep_assert_held(&watch_lock);
	if (!uevent_sock)
		return false;
	len = kernel_recvmsg(uevent_sock, &msg, &vec, 1, vec.iov_len,
			     MSG_DONTWAIT);
	if (len == -ENOBUFS) {
		overrun = true;
		return true;
	}
	if (len < 0)
		return queue_empty();
	/* Any root process can send to the group. */
	if (from.nl_pid)
		return true;
	if (msg.msg_flags & MSG_TRUNC) {
		notify_all();
		return true;
	}
	message[len] = '\0';
	handle_message(len);
	return true;
}

static void uevent_work_fn(struct work_struct *work)
{
	bool more;

	do {
		mutex_lock(&watch_lock);
		more = receive_one();
		mutex_unlock(&watch_lock);
	} while (more);
}

static DECLARE_WORK(uevent_work, uevent_work_fn);

/* A message or an error is there. Runs in the sender's context. */
static void uevent_ready(struct sock *sk)
{
	queue_work(uevent_wq, &uevent_work);
}

static int open_socket(void)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = UEVENT_GROUP_KERNEL,
	};
	struct socket *sock;
	struct sock *sk;
	int err;

	err = sock_create_kern(&init_net, PF_NETLINK, SOCK_DGRAM,
			       NETLINK_KOBJECT_UEVENT, &sock);
	if (err)
		return err;

	sk = sock->sk;
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = uevent_ready;
	sk->sk_error_report = uevent_ready;
	write_unlock_bh(&sk->sk_callback_lock);

	err = kernel_bind(sock, (struct sockaddr *)&addr, sizeof(addr));
	if (err) {
		sock_release(sock);
		return err;
	}
	uevent_sock = sock;
	return 0;
}

/**
 * strata_uevent_watch() - begin to watch a block device
 * @watch: dev and changed are set; stays until strata_uevent_unwatch()
 *
 * A change from here on is not lost, so read the size after this.
 *
 * Context: process context; not from changed().
 * Return: 0 or a negative errno.
 */
int strata_uevent_watch(struct strata_uevent_watch *watch)
{
	int err = 0;

	mutex_lock(&watch_lock);
	if (!uevent_sock)
		err = open_socket();
	if (!err)
		list_add_tail(&watch->node, &watches);
	mutex_unlock(&watch_lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(strata_uevent_watch, STRATA);

/**
 * strata_uevent_unwatch() - end it
 * @watch: from strata_uevent_watch(); changed() does not run when this returns
 *
 * Context: process context, no lock that any changed() takes; not from
 * changed().
 */
void strata_uevent_unwatch(struct strata_uevent_watch *watch)
{
	struct socket *unused = NULL;

	mutex_lock(&watch_lock);
	list_del(&watch->node);
	if (list_empty(&watches))
		swap(unused, uevent_sock);
	mutex_unlock(&watch_lock);
	if (unused)
		sock_release(unused);
}
EXPORT_SYMBOL_NS_GPL(strata_uevent_unwatch, STRATA);

/**
 * strata_uevent_init() - make ready to watch
 *
 * Context: module init.
 * Return: 0 or -ENOMEM.
 */
int strata_uevent_init(void)
{
	uevent_wq = alloc_ordered_workqueue("strata_uevent", 0);
	return uevent_wq ? 0 : -ENOMEM;
}

/**
 * strata_uevent_exit() - undo strata_uevent_init()
 *
 * Context: module exit; nothing is watched any more.
 */
void strata_uevent_exit(void)
{
	destroy_workqueue(uevent_wq);
}
