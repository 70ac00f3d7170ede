// SPDX-License-Identifier: GPL-2.0
/*
 * fail_nth [-w FILE] OPERATION ARGUMENT... [-- OPERATION ARGUMENT...]
 *
 * Do an operation again and again, and fail the first, second, third ... thing
 * in the kernel that can fail for it (an allocation, a copy from user space),
 * until it comes to an end before the fault. It must fail with a sensible
 * errno or work in spite of the fault; then what stands behind -- undoes it.
 * When it worked without a fault it stays done. Of very many faults only some are
 * tried, by chance.
 *
 * -w FILE: the number of failures that left no words in FILE is printed.
 *
 *	mkdir PATH		rmdir PATH
 *	link TARGET PATH	unlink PATH
 *	store FILE TEXT		load FILE
 *	read DEVICE OFFSET LENGTH	write, discard, zero: likewise
 *	flush DEVICE
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_FAULTS 5000
#define MAX_LENGTH 0x100000
#define DENSE 64
#define SPARSE 8
#define MAX_ERRNO 134

static int fail_fd;
static char *buf;

[[gnu::noreturn, gnu::format(printf, 1, 2)]]
static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("# fail_nth: ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	exit(1);
}

static void set_fault(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	/* One that nothing has run into yet can strike this write itself. */
	if (pwrite(fail_fd, text, len, 0) != len &&
	    pwrite(fail_fd, text, len, 0) != len)
		die("no fault can be set: %s", strerror(errno));
}

/* Return: the fault did happen. If not, it may hit the copy of this answer. */
static bool clear_fault(void)
{
	char text[16] = "1";

	if (pread(fail_fd, text, sizeof(text) - 1, 0) <= 0 && errno != EFAULT)
		die("%s", strerror(errno));
	set_fault(0);
	return !atoi(text);
}

/* Open before and close after the faults. */
static int must_open(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static int do_range(int n, char **arg)
{
	__u64 range[2] = { strtoull(arg[2], NULL, 0),
			      strtoull(arg[3], NULL, 0) };
	int fd = must_open(arg[1], O_RDWR | O_DIRECT);
	ssize_t ret;

	if (range[1] > MAX_LENGTH)
		die("%s: too long", arg[3]);
	set_fault(n);
	if (!strcmp(arg[0], "read"))
		ret = pread(fd, buf, range[1], range[0]);
	else if (!strcmp(arg[0], "write"))
		ret = pwrite(fd, buf, range[1], range[0]);
	else
		ret = ioctl(fd, *arg[0] == 'd' ? BLKDISCARD : BLKZEROOUT,
			    range);
	if (ret > 0 && (__u64)ret != range[1]) {
		errno = EIO;
		ret = -1;
	}
	close(fd);
	return ret < 0 ? -errno : 0;
}

static int do_flush(int n, char **arg)
{
	int fd = must_open(arg[1], O_RDWR);
	int ret;

	set_fault(n);
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static int do_store(int n, char **arg)
{
	int fd = must_open(arg[1], O_WRONLY);
	int ret;

	set_fault(n);
	ret = write(fd, arg[2], strlen(arg[2])) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int do_load(int n, char **arg)
{
	int fd = must_open(arg[1], O_RDONLY);
	int ret;

	set_fault(n);
	ret = read(fd, buf, MAX_LENGTH) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int do_path(int n, char **arg)
{
	int ret;

	set_fault(n);
	switch (arg[0][0]) {
	case 'm':
		ret = mkdir(arg[1], 0755);
		break;
	case 'r':
		ret = rmdir(arg[1]);
		break;
	case 'l':
		ret = symlink(arg[1], arg[2]);
		break;
	default:
		ret = unlink(arg[1]);
	}
	return ret ? -errno : 0;
}

static const struct operation {
	const char *name;
	int args;
	int (*run)(int n, char **arg);
} operations[] = {
	{ "mkdir", 1, do_path },
	{ "rmdir", 1, do_path },
	{ "link", 2, do_path },
	{ "unlink", 1, do_path },
	{ "store", 2, do_store },
	{ "load", 1, do_load },
	{ "read", 3, do_range },
	{ "write", 3, do_range },
	{ "discard", 3, do_range },
	{ "zero", 3, do_range },
	{ "flush", 1, do_flush },
	{ }
};

static const struct operation *find(char **arg, int n)
{
	const struct operation *op;

	for (op = operations; op->name; op++)
		if (n > op->args && !strcmp(op->name, arg[0]))
			return op;
	die("what is '%s' with %d arguments?", arg[0], n - 1);
}

static bool is_sensible(int err)
{
	switch (err) {
	case ENOMEM:
	case EFAULT:
	case EIO:
	case EAGAIN:
	case ENOSPC:
		return true;
	default:
		return false;
	}
}

static bool has_words(const char *path)
{
	int fd = must_open(path, O_RDONLY);
	ssize_t len = read(fd, buf, MAX_LENGTH);

	close(fd);
	return len > 1;
}

struct task {
	const struct operation *op, *back;
	char **arg, **back_arg;
	const char *words;
	unsigned int failures[MAX_ERRNO], faults, survived, mute;
};

static void parse(struct task *task, int argc, char **argv)
{
	char **end = argv + argc;
	int i;

	task->arg = argv + 1;
	if (argc > 3 && !strcmp(argv[1], "-w")) {
		task->words = argv[2];
		task->arg += 2;
	}
	task->op = find(task->arg, end - task->arg);
	for (i = 0; task->arg[i]; i++)
		if (!strcmp(task->arg[i], "--") && task->arg[i + 1])
			task->back_arg = task->arg + i + 1;
	if (task->back_arg)
		task->back = find(task->back_arg, end - task->back_arg);
}

static void undo(const struct task *task)
{
	int err;

	if (!task->back)
		return;
	err = task->back->run(0, task->back_arg);
	if (err)
		die("%s: %s", task->back->name, strerror(-err));
}

/* Return: the fault came too late to hit anything, the operation is done. */
static bool try_fault(struct task *task, int n)
{
	int err = -task->op->run(n, task->arg);

	if (!clear_fault()) {
		if (err)
			die("%s without a fault: %s", task->op->name,
			    strerror(err));
		return true;
	}
	task->faults++;
	if (!err) {
		task->survived++;
		undo(task);
		return false;
	}
	if (!is_sensible(err))
		die("%s, fault %d: %s", task->op->name, n, strerror(err));
	task->failures[err]++;
	if (task->words && !has_words(task->words))
		task->mute++;
	return false;
}

static void report(const struct task *task)
{
	int i;

	printf("# fail_nth: %s %s: faults %u survived %u", task->op->name,
	       task->arg[1], task->faults, task->survived);
	for (i = 0; i < MAX_ERRNO; i++)
		if (task->failures[i])
			printf(" %s %u", strerrorname_np(i), task->failures[i]);
	if (task->words)
		printf(" mute %u", task->mute);
	printf("\n");
}

int main(int argc, char **argv)
{
	const char *repeat = getenv("STRATA_SEED");
	unsigned int seed = repeat ? strtoul(repeat, NULL, 0) :
				     (unsigned long)time(NULL);
	struct task task = {};
	int n = 1;

	parse(&task, argc, argv);
	buf = aligned_alloc(4096, MAX_LENGTH);
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (!buf || fail_fd < 0)
		die("no fault injection here");
	memset(buf, 0x5a, MAX_LENGTH);

	/* The first ones each; of many more one in some. */
	srandom(seed);
	while (!try_fault(&task, n)) {
		n += n < DENSE ? 1 : 1 + random() % SPARSE;
		if (n >= MAX_FAULTS)
			die("%s: no end of faults", task.op->name);
	}
	report(&task);
	if (n > DENSE)
		printf("# fail_nth: of %d faults; STRATA_SEED=%u repeats it\n", n - 1, seed);
	return 0;
}
