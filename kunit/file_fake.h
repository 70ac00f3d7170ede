/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STRATA_KUNIT_FILE_FAKE_H
#define STRATA_KUNIT_FILE_FAKE_H
/*
 * A file disk on a file whose file system does what a test says: answers at
 * once, later, never before it is told to, or only in part.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/spinlock.h>
#include "../drivers/backends/file.h"

#define FILE_FAKE_BYTES 65536

/**
 * enum file_how - how a read or write is answered
 * @FILE_NOW: at once
 * @FILE_IRQ: later, from a hard interrupt
 * @FILE_GATE: when file_fake.gate is completed, with the caller waiting
 * @FILE_EARLY: before it says that it is queued, looking at the kiocb after that
 * @FILE_LOST: at once; then writeback fails, which another fsync is told
 */
enum file_how {
	FILE_NOW,
	FILE_IRQ,
	FILE_GATE,
	FILE_EARLY,
	FILE_LOST,
};

/**
 * struct file_step - the answer to one read or write
 * @how: when
 * @ret: an errno, or how many bytes are transferred at most
 */
struct file_step {
	enum file_how how;
	long ret;
};

#define FILE_ALL LONG_MAX

/* FILE_SCRIPT(ff, { how, ret }, ...): what it answers next */
#define FILE_SCRIPT(ff, ...) do {					\
	static const struct file_step steps_[] = { __VA_ARGS__ };	\
	file_fake_script(ff, steps_, ARRAY_SIZE(steps_));		\
} while (0)

/**
 * struct file_entry - what the file system saw of one call
 * @flags: ki_flags
 * @pos: where
 * @count: how much
 * @align: bits of all addresses and lengths in memory
 * @worker: from a workqueue
 * @outside: neither in submit_bio nor in a file system, nor allowed to do I/O
 *	for memory
 */
struct file_entry {
	int flags;
	loff_t pos;
	size_t count;
	unsigned long align;
	bool worker;
	bool outside;
};

/**
 * struct file_fake - the file and its disk
 * @file: the file
 * @real: what it did before
 * @fd: the file disk's own
 * @disk: the disk
 * @data: the file's bytes
 * @lock: protects the rest; irq-safe
 * @steps: answers to come; once there are none, all is done at once
 * @nr_steps: how many
 * @next_step: the next one
 * @log: calls there were
 * @nr_log: how many
 * @gate: see FILE_GATE
 * @timer: see FILE_IRQ
 * @queued: what @timer ends
 * @queued_ret: how
 * @stale: after it was completed a kiocb was not what it had been
 * @fsync_gates: how many fsyncs to come wait for @gate, having looked for errors
 * @no_zero_range: it has no FALLOC_FL_ZERO_RANGE
 * @ranges: how many holes and zero ranges it was asked for
 */
struct file_fake {
	struct file *file;
	const struct file_operations *real;
	struct file_disk *fd;
	struct strata_disk *disk;
	char *data;

	spinlock_t lock; /* protects all below */
	const struct file_step *steps;
	unsigned int nr_steps;
	unsigned int next_step;
	struct file_entry log[64];
	unsigned int nr_log;
	struct completion gate;
	struct hrtimer timer;
	struct kiocb *queued;
	long queued_ret;
	bool stale;
	unsigned int fsync_gates;
	bool no_zero_range;
	unsigned int ranges;
};

struct file_fake *file_fake_new(struct kunit *test, bool nowait);
void file_fake_script(struct file_fake *ff, const struct file_step *steps,
		      unsigned int nr);
bool file_fake_wait_calls(struct file_fake *ff, unsigned int nr);
void file_fake_lose(struct file_fake *ff, int err);

#endif /* STRATA_KUNIT_FILE_FAKE_H */
