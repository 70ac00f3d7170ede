/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MODEL_H
#define MODEL_H
/* What the parts of the model test share. A sector is 512 bytes. */
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u32 u32;
typedef __u64 u64;

#define SECTOR 512
#define MAX_THREADS 64

/* What a discarded sector may read as. */
enum unmap {
	UNMAP_IGNORED,
	UNMAP_UNSPECIFIED,
	UNMAP_ZEROES,
};

struct options {
	const char *device;
	const char *state;
	const char *hook;
	u64 seed;
	unsigned long ops;
	unsigned long rounds;
	unsigned int threads;
	size_t max_block;
	u64 span;
	u64 shrink_to;
	u64 grow_to;
	enum unmap unmap;
	bool fill;
	bool fill_first;
	bool verify;
	bool close;
	bool errors;
	bool no_dsync;
};

extern struct options opt;

[[gnu::noreturn, gnu::format(printf, 1, 2)]]
void die(const char *fmt, ...);

/* A small generator, one a thread (splitmix64). */
struct rng {
	u64 state;
};

static inline u64 mix(u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline u64 rng_next(struct rng *rng)
{
	return mix(rng->state += 0x9e3779b97f4a7c15ull);
}

static inline u64 rng_below(struct rng *rng, u64 limit)
{
	return rng_next(rng) % limit;
}

/* image.c: what every sector of the device must hold. */
void image_alloc(u64 sectors);
void image_load(const char *path);
void image_save(const char *path);
u32 image_new_generation(void);
void image_fill(void *buf, u64 sector, size_t count, u32 generation);
void image_written(u64 sector, size_t count, u32 generation);
void image_zeroed(u64 sector, size_t count);
void image_discarded(u64 sector, size_t count);
void image_check(const void *buf, u64 sector, size_t count);

/* span.c: no two operations on one sector at the same time. */
void span_lock(unsigned int who, u64 sector, size_t count);
void span_unlock(unsigned int who);

/* io.c: operations on the device. */
struct io_counts {
	unsigned long read, write, sync, flush, discard, zero, punch, nowait,
		again, errors;
};

struct io {
	unsigned int who;
	struct rng rng;
	u64 sectors;
	unsigned char *buf;
	struct io_counts counts;
};

void io_open(void);
void io_close(void);
u64 io_size(void);
void io_init(struct io *io, unsigned int who, u64 seed);
void io_exit(struct io *io);
void io_random(struct io *io);
void io_fill(struct io *io, u64 sectors);
void io_verify(struct io *io, u64 sectors);

#endif /* MODEL_H */
