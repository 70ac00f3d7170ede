// SPDX-License-Identifier: GPL-2.0
/*
 * pr [-f] DEVICE COMMAND [ARGUMENT]...: a command of persistent reservations,
 * and in one word what came of it: ok, conflict, or the name of an errno.
 *
 *	register OLD-KEY NEW-KEY	ignore NEW-KEY		clear KEY
 *	reserve KEY TYPE		release KEY TYPE
 *	preempt KEY VICTIM TYPE		abort KEY VICTIM TYPE
 *
 * TYPE: we ea we-ro ea-ro we-ar ea-ar, or a number.
 *
 * -f: again and again, failing the first, second ... allocation in the kernel,
 * until it comes to an end before the fault; then "faults N" behind what came
 * of it. A failure with anything but ENOMEM or EFAULT ends it at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pr.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_FAULTS 1000

/* Newer headers have it as PR_STS_RESERVATION_CONFLICT. */
#define STS_CONFLICT 0x18

static const char *const types[] = {
	[PR_WRITE_EXCLUSIVE] = "we",
	[PR_EXCLUSIVE_ACCESS] = "ea",
	[PR_WRITE_EXCLUSIVE_REG_ONLY] = "we-ro",
	[PR_EXCLUSIVE_ACCESS_REG_ONLY] = "ea-ro",
	[PR_WRITE_EXCLUSIVE_ALL_REGS] = "we-ar",
	[PR_EXCLUSIVE_ACCESS_ALL_REGS] = "ea-ar",
	NULL
};

struct command {
	const char *name;
	int args;
	int (*run)(int fd, char **args);
};

static __u64 key_of(const char *word)
{
	return strtoull(word, NULL, 0);
}

static __u32 type_of(const char *word)
{
	size_t i;

	for (i = PR_WRITE_EXCLUSIVE; types[i]; i++)
		if (!strcmp(types[i], word))
			return i;
	return strtoul(word, NULL, 0);
}

static int run_register(int fd, char **args)
{
	struct pr_registration r = {
		.old_key = key_of(args[0]),
		.new_key = key_of(args[1]),
	};

	return ioctl(fd, IOC_PR_REGISTER, &r);
}

static int run_ignore(int fd, char **args)
{
	struct pr_registration r = {
		.new_key = key_of(args[0]),
		.flags = PR_FL_IGNORE_KEY,
	};

	return ioctl(fd, IOC_PR_REGISTER, &r);
}

static int run_clear(int fd, char **args)
{
	struct pr_clear c = { .key = key_of(args[0]) };

	return ioctl(fd, IOC_PR_CLEAR, &c);
}

static int reservation(int fd, unsigned long request, char **args)
{
	struct pr_reservation r = {
		.key = key_of(args[0]),
		.type = type_of(args[1]),
	};

	return ioctl(fd, request, &r);
}

static int run_reserve(int fd, char **args)
{
	return reservation(fd, IOC_PR_RESERVE, args);
}

static int run_release(int fd, char **args)
{
	return reservation(fd, IOC_PR_RELEASE, args);
}

static int preemption(int fd, unsigned long request, char **args)
{
	struct pr_preempt p = {
		.old_key = key_of(args[0]),
		.new_key = key_of(args[1]),
		.type = type_of(args[2]),
	};

	return ioctl(fd, request, &p);
}

static int run_preempt(int fd, char **args)
{
	return preemption(fd, IOC_PR_PREEMPT, args);
}

static int run_abort(int fd, char **args)
{
	return preemption(fd, IOC_PR_PREEMPT_ABORT, args);
}

static const struct command commands[] = {
	{ "register", 2, run_register },
	{ "ignore", 1, run_ignore },
	{ "clear", 1, run_clear },
	{ "reserve", 2, run_reserve },
	{ "release", 2, run_release },
	{ "preempt", 3, run_preempt },
	{ "abort", 3, run_abort },
	{}
};

static const struct command *find(const char *name, int args)
{
	size_t i;

	for (i = 0; commands[i].name; i++)
		if (!strcmp(commands[i].name, name) && commands[i].args == args)
			return &commands[i];
	return NULL;
}

static void print(int ret)
{
	if (ret < 0)
		printf("%s", strerrorname_np(errno));
	else if (ret == STS_CONFLICT)
		printf("conflict");
	else if (ret)
		printf("status %#x", ret);
	else
		printf("ok");
}

static bool set_fault(int fd, int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	return pwrite(fd, text, len, 0) == len;
}

/* Was there no such fault? */
static bool fault_left(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) > 0;
}

static int with_faults(const struct command *c, int fd, char **args)
{
	int fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	int n, ret = 0;

	for (n = 1; n < MAX_FAULTS; n++) {
		int err;
		bool left;

		if (!set_fault(fail_fd, n)) {
			perror("fail-nth");
			return 1;
		}
		ret = c->run(fd, args);
		err = errno;
		left = fault_left(fail_fd);
		set_fault(fail_fd, 0);
		errno = err;
		if (left || ret >= 0 || (err != ENOMEM && err != EFAULT))
			break;
	}
	print(ret);
	printf(" faults %d\n", n - 1);
	return 0;
}

int main(int argc, char **argv)
{
	bool faults = argc > 1 && !strcmp(argv[1], "-f");
	const struct command *c;
	int fd;

	argv += 1 + faults;
	argc -= 1 + faults;
	c = argc >= 2 ? find(argv[1], argc - 2) : NULL;
	if (!c) {
		fprintf(stderr, "pr: usage: see pr.c\n");
		return 2;
	}
	fd = open(argv[0], O_RDWR);
	if (fd < 0) {
		perror(argv[0]);
		return 2;
	}
	if (faults)
		return with_faults(c, fd, argv + 2);
	print(c->run(fd, argv + 2));
	printf("\n");
	return 0;
}
