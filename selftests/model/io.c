// SPDX-License-Identifier: GPL-2.0
/* Random operations on the device, each checked against or told to the image. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include "model.h"

#define MAX_PIECES 4
/* How often an operation that fails may be tried, with -e */
#define MAX_TRIES 10000
/* Half of the operations go to so much of the device, to meet each other. */
#define HOT_SECTORS 2048

static int fd = -1, sync_fd = -1;
static unsigned int lba;	/* sectors of a logical block */
static bool no_nowait, no_punch;

static int open_device(int flags)
{
	int ret = open(opt.device, O_RDWR | O_DIRECT | flags);

	if (ret < 0)
		die("cannot open %s: %s", opt.device, strerror(errno));
	return ret;
}

void io_open(void)
{
	int bytes;

	fd = open_device(0);
	sync_fd = open_device(O_DSYNC);
	/* A file can be filled and verified as well. */
	if (ioctl(fd, BLKSSZGET, &bytes))
		bytes = SECTOR;
	lba = bytes / SECTOR;
}

void io_close(void)
{
	close(fd);
	close(sync_fd);
}

u64 io_size(void)
{
	off_t bytes = lseek(fd, 0, SEEK_END);

	if (bytes < 0)
		die("no size: %s", strerror(errno));
	return bytes / SECTOR;
}

void io_init(struct io *io, unsigned int who, u64 seed)
{
	memset(io, 0, sizeof(*io));
	io->who = who;
	io->rng.state = mix(seed + who);
	/* Room for an odd offset */
	io->buf = aligned_alloc(4096, opt.max_block + 2 * 4096);
	if (!io->buf)
		die("out of memory");
}

void io_exit(struct io *io)
{
	free(io->buf);
}

/* Try again, if errors are expected? */
static bool retry(struct io *io, const char *what, u64 sector,
		  size_t count, unsigned int *tries)
{
	if (opt.errors && ++*tries < MAX_TRIES) {
		io->counts.errors++;
		return true;
	}
	die("%s of %zu sectors at %llu: %s", what, count, sector,
	    strerror(errno));
}

/* Cut a buffer into a few pieces, all multiples of a logical block. */
static int cut(struct io *io, unsigned char *buf, size_t count,
	       struct iovec *vec)
{
	int n = 0;

	while (count) {
		size_t piece = count;

		if (n < MAX_PIECES - 1)
			piece = lba * (1 + rng_below(&io->rng, count / lba));
		vec[n].iov_base = buf;
		vec[n++].iov_len = piece * SECTOR;
		buf += piece * SECTOR;
		count -= piece;
	}
	return n;
}

/* Memory at any logical block of the first page, to meet odd offsets. */
static unsigned char *place(struct io *io)
{
	return io->buf + rng_below(&io->rng, 8 / lba) * lba * SECTOR;
}

static ssize_t transfer_once(int file, const struct iovec *vec, int n,
			     u64 sector, bool write, int flags)
{
	if (write)
		return pwritev2(file, vec, n, sector * SECTOR, flags);
	return preadv2(file, vec, n, sector * SECTOR, flags);
}

/* Without waiting: true if all of it went through. */
static bool transfer_nowait(struct io *io, const struct iovec *vec, int n,
			    u64 sector, size_t count, bool write)
{
	ssize_t ret = transfer_once(fd, vec, n, sector, write, RWF_NOWAIT);

	if (ret == (ssize_t)(count * SECTOR)) {
		io->counts.nowait++;
		return true;
	}
	if (ret < 0 && errno == EOPNOTSUPP)
		no_nowait = true;
	else if (ret < 0 && errno != EAGAIN && !opt.errors)
		die("%s without waiting of %zu sectors at %llu: %s",
		    write ? "write" : "read", count, sector, strerror(errno));
	else
		io->counts.again++;
	return false;
}

static void transfer(struct io *io, unsigned char *buf, u64 sector,
		     size_t count, bool write)
{
	bool sync = write && !opt.no_dsync && !rng_below(&io->rng, 8);
	struct iovec vec[MAX_PIECES];
	unsigned int tries = 0;
	ssize_t ret;
	int n;

	n = cut(io, buf, count, vec);
	if (!sync && !no_nowait && !rng_below(&io->rng, 4) &&
	    transfer_nowait(io, vec, n, sector, count, write))
		return;
	for (;;) {
		ret = transfer_once(sync ? sync_fd : fd, vec, n, sector, write,
				    0);
		if (ret == (ssize_t)(count * SECTOR))
			break;
		if (ret >= 0)
			errno = ENODATA;
		retry(io, write ? "write" : "read", sector, count, &tries);
	}
	io->counts.sync += sync;
}

static void do_read(struct io *io, u64 sector, size_t count)
{
	unsigned char *buf = place(io);

	/* What is not read must not look right. */
	memset(buf, 0xa5, SECTOR);
	memset(buf + (count - 1) * SECTOR, 0xa5, SECTOR);
	transfer(io, buf, sector, count, false);
	image_check(buf, sector, count);
	io->counts.read++;
}

static void do_write(struct io *io, u64 sector, size_t count)
{
	u32 generation = image_new_generation();
	unsigned char *buf = place(io);

	image_fill(buf, sector, count, generation);
	transfer(io, buf, sector, count, true);
	image_written(sector, count, generation);
	io->counts.write++;
}

static void do_range(struct io *io, unsigned long request, const char *what,
		     u64 sector, size_t count)
{
	u64 range[2] = { sector * SECTOR, (u64)count * SECTOR };
	unsigned int tries = 0;

	while (ioctl(fd, request, range))
		retry(io, what, sector, count, &tries);
}

static void do_discard(struct io *io, u64 sector, size_t count)
{
	if (opt.unmap == UNMAP_IGNORED)
		return;
	do_range(io, BLKDISCARD, "discard", sector, count);
	image_discarded(sector, count);
	io->counts.discard++;
}

static void do_zero(struct io *io, u64 sector, size_t count)
{
	do_range(io, BLKZEROOUT, "zeroout", sector, count);
	image_zeroed(sector, count);
	io->counts.zero++;
}

/* Zeroes that may unmap. */
static void do_punch(struct io *io, u64 sector, size_t count)
{
	unsigned int tries = 0;

	while (!no_punch &&
	       fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 sector * SECTOR, count * SECTOR)) {
		if (errno == EOPNOTSUPP)
			no_punch = true;
		else
			retry(io, "punch", sector, count, &tries);
	}
	if (no_punch)
		return;
	image_zeroed(sector, count);
	io->counts.punch++;
}

static void do_flush(struct io *io)
{
	unsigned int tries = 0;

	while (fsync(fd))
		retry(io, "fsync", 0, 0, &tries);
	io->counts.flush++;
}

/* Small ones most of the time, all sizes at some time. */
static size_t random_count(struct io *io)
{
	u64 dice = rng_below(&io->rng, 1000);
	unsigned int shift;
	size_t count;

	if (dice < 660)
		shift = rng_below(&io->rng, 4);		/* to 4 KiB */
	else if (dice < 940)
		shift = 4 + rng_below(&io->rng, 3);	/* to 32 KiB */
	else if (dice < 995)
		shift = 7 + rng_below(&io->rng, 3);	/* to 256 KiB */
	else
		shift = 10 + rng_below(&io->rng, 2);	/* to 1 MiB */
	count = 1 + rng_below(&io->rng, 1ul << shift);
	if (rng_below(&io->rng, 2))
		count = 1ul << shift;
	count = (count + lba - 1) / lba * lba;
	if (count > opt.max_block / SECTOR)
		count = opt.max_block / SECTOR;
	return count < io->sectors ? count : io->sectors;
}

static u64 random_sector(struct io *io, size_t count)
{
	u64 room = (io->sectors - count) / lba + 1;
	u64 hot = HOT_SECTORS / lba;

	/* The end of the device is as good a place as any for mistakes. */
	if (!rng_below(&io->rng, 32))
		return (room - 1) * lba;
	if (rng_below(&io->rng, 2) && hot < room)
		return rng_below(&io->rng, hot) * lba;
	return rng_below(&io->rng, room) * lba;
}

void io_random(struct io *io)
{
	size_t count = random_count(io);
	u64 sector = random_sector(io, count);
	u64 dice = rng_below(&io->rng, 100);

	span_lock(io->who, sector, count);
	if (dice < 45)
		do_read(io, sector, count);
	else if (dice < 86)
		do_write(io, sector, count);
	else if (dice < 92)
		do_discard(io, sector, count);
	else if (dice < 95)
		do_zero(io, sector, count);
	else if (dice < 97)
		do_punch(io, sector, count);
	else
		do_flush(io);
	span_unlock(io->who);
}

static size_t chunk(u64 sector, u64 sectors)
{
	size_t max = opt.max_block / SECTOR;

	return sectors - sector < max ? sectors - sector : max;
}

/* Write all of the device, as one generation. */
void io_fill(struct io *io, u64 sectors)
{
	u32 generation = image_new_generation();
	u64 sector;
	size_t count;

	for (sector = 0; sector < sectors; sector += count) {
		count = chunk(sector, sectors);
		image_fill(io->buf, sector, count, generation);
		if (pwrite(fd, io->buf, count * SECTOR, sector * SECTOR) !=
		    (ssize_t)(count * SECTOR))
			die("cannot fill sector %llu: %s", sector,
			    strerror(errno));
		image_written(sector, count, generation);
	}
	do_flush(io);
}

void io_verify(struct io *io, u64 sectors)
{
	unsigned int tries = 0;
	u64 sector;
	size_t count;

	for (sector = 0; sector < sectors; sector += count) {
		count = chunk(sector, sectors);
		memset(io->buf, 0xa5, count * SECTOR);
		while (pread(fd, io->buf, count * SECTOR, sector * SECTOR) !=
		       (ssize_t)(count * SECTOR))
			retry(io, "read", sector, count, &tries);
		image_check(io->buf, sector, count);
	}
}
