// SPDX-License-Identifier: GPL-2.0
/*
 * replay LOG TARGET COMMAND: write what a dm-log-writes device recorded to the
 * target, in the order in which it was safe, and after every flush or FUA that
 * something was written before, and at every mark, run
 *
 *	COMMAND flush <entry>
 *	COMMAND mark <name>
 *
 * Prints what it did and fails as soon as the command does. The format is in
 * the kernel's Documentation/admin-guide/device-mapper/log-writes.rst and
 * drivers/md/dm-log-writes.c.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC 0x6a736677736872ull
#define LOG_VERSION 1
#define MAX_SECTOR 4096

enum {
	LOG_FLUSH = 1,
	LOG_FUA = 2,
	LOG_DISCARD = 4,
	LOG_MARK = 8,
};

struct log_super {
	__le64 magic;
	__le64 version;
	__le64 nr_entries;
	__le32 sector_size;
};

struct log_entry {
	__le64 sector;
	__le64 nr_sectors;
	__le64 flags;
	__le64 data_len;
};

static int log_fd, target_fd;
static const char *command;
static size_t sector_size;
static bool dirty;
static unsigned long writes, flushes, fuas, marks, discards, checks;

[[gnu::noreturn, gnu::format(printf, 1, 2)]]
static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("# replay: ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	exit(1);
}

static void read_log(void *buf, size_t len, off_t at)
{
	if (pread(log_fd, buf, len, at) != (ssize_t)len)
		die("cannot read the log at %lld", (long long)at);
}

static void copy(off_t from, off_t to, size_t len)
{
	static char buf[1 << 16];

	while (len) {
		size_t part = len < sizeof(buf) ? len : sizeof(buf);

		read_log(buf, part, from);
		if (pwrite(target_fd, buf, part, to) != (ssize_t)part)
			die("cannot write the target: %s", strerror(errno));
		from += part;
		to += part;
		len -= part;
	}
}

/* What was discarded may be anything: make it look like nothing it was. */
static void scribble(off_t to, size_t len)
{
	static char buf[1 << 16];

	memset(buf, 0xdd, sizeof(buf));
	while (len) {
		size_t part = len < sizeof(buf) ? len : sizeof(buf);

		if (pwrite(target_fd, buf, part, to) != (ssize_t)part)
			die("cannot write the target: %s", strerror(errno));
		to += part;
		len -= part;
	}
}

static void run(const char *what, const char *name)
{
	char line[8192];

	snprintf(line, sizeof(line), "%s %s '%s'", command, what, name);
	checks++;
	fflush(stdout);
	if (system(line))
		die("%s %s: failed", what, name);
}

/* Apply the entry at @at; return where the next one is. */
static off_t apply(unsigned long number, off_t at)
{
	char block[MAX_SECTOR + 1];
	const struct log_entry *entry = (void *)block;
	size_t len, name_len;
	__u64 flags;
	off_t to;

	read_log(block, sector_size, at);
	block[sector_size] = 0;
	at += sector_size;
	flags = le64toh(entry->flags);
	to = le64toh(entry->sector) * sector_size;
	len = le64toh(entry->nr_sectors) * sector_size;

	if (flags & LOG_MARK) {
		name_len = le64toh(entry->data_len);
		if (name_len > sector_size - sizeof(*entry))
			die("entry %lu is no log entry", number);
		block[sizeof(*entry) + name_len] = 0;
		marks++;
		run("mark", block + sizeof(*entry));
		return at;
	}
	if (flags & LOG_DISCARD) {
		discards++;
		scribble(to, len);
		dirty = true;
		return at;
	}
	if (len) {
		writes++;
		copy(at, to, len);
		dirty = true;
	}
	flushes += !!(flags & LOG_FLUSH);
	fuas += !!(flags & LOG_FUA);
	if (dirty && (flags & (LOG_FLUSH | LOG_FUA))) {
		snprintf(block, sizeof(block), "%lu", number);
		run("flush", block);
		dirty = false;
	}
	return at + len;
}

int main(int argc, char **argv)
{
	struct log_super super;
	unsigned long i;
	off_t at;

	if (argc != 4) {
		fprintf(stderr, "usage: replay LOG TARGET COMMAND\n");
		return 2;
	}
	log_fd = open(argv[1], O_RDONLY);
	target_fd = open(argv[2], O_RDWR);
	command = argv[3];
	if (log_fd < 0 || target_fd < 0)
		die("cannot open %s or %s", argv[1], argv[2]);

	read_log(&super, sizeof(super), 0);
	if (le64toh(super.magic) != LOG_MAGIC ||
	    le64toh(super.version) != LOG_VERSION)
		die("%s is no log", argv[1]);
	sector_size = le32toh(super.sector_size);
	if (sector_size > MAX_SECTOR)
		die("sectors of %zu bytes", sector_size);

	at = sector_size;
	for (i = 0; i < le64toh(super.nr_entries); i++)
		at = apply(i, at);
	printf("# replay: %lu writes, %lu discards, %lu flushes, %lu FUA, %lu marks, %lu checks\n",
	       writes, discards, flushes, fuas, marks, checks);
	return 0;
}
