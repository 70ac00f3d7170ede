// SPDX-License-Identifier: GPL-2.0
/*
 * The image: for every sector, which write it holds the data of. The data of a
 * generation follow from its number and the sector's, so a sector that turns up
 * at the wrong place or time tells where it came from.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

#define WORDS (SECTOR / sizeof(u64))
/* Words 0 and 1 are the sector and the generation, the others a series. */
#define STEP 0x9e3779b97f4a7c15ull

/* Set on a generation: zeroes are as good, the sector was discarded. */
#define MAYBE_ZERO 0x80000000

static u32 *image;
static u64 image_sectors;
static atomic_uint last_generation;

void image_alloc(u64 sectors)
{
	image = calloc(sectors, sizeof(*image));
	if (!image)
		die("out of memory");
	image_sectors = sectors;
}

/* A state that is shorter than the image leaves zeroes behind it. */
void image_load(const char *path)
{
	FILE *file = fopen(path, "rb");
	u32 generation;

	if (!file && errno == ENOENT)
		return;
	if (!file || fread(&generation, sizeof(generation), 1, file) != 1)
		die("cannot read %s", path);
	atomic_store(&last_generation, generation);
	if (!fread(image, sizeof(*image), image_sectors, file) && ferror(file))
		die("cannot read %s", path);
	fclose(file);
}

void image_save(const char *path)
{
	u32 generation = atomic_load(&last_generation);
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(&generation, sizeof(generation), 1, file) != 1 ||
	    fwrite(image, sizeof(*image), image_sectors, file) != image_sectors ||
	    fclose(file))
		die("cannot write %s", path);
}

/* Never 0: that is a sector of zeroes. */
u32 image_new_generation(void)
{
	return atomic_fetch_add(&last_generation, 1) + 1;
}

static u64 series_start(u64 sector, u32 generation)
{
	return mix(((u64)generation << 32) ^ sector);
}

void image_fill(void *buf, u64 sector, size_t count, u32 generation)
{
	u64 *word = buf;
	size_t i;

	for (; count--; sector++, word += WORDS) {
		u64 start = series_start(sector, generation);

		word[0] = sector;
		word[1] = generation;
		for (i = 2; i < WORDS; i++)
			word[i] = start + i * STEP;
	}
}

void image_written(u64 sector, size_t count, u32 generation)
{
	while (count--)
		image[sector++] = generation;
}

void image_zeroed(u64 sector, size_t count)
{
	memset(image + sector, 0, count * sizeof(*image));
}

void image_discarded(u64 sector, size_t count)
{
	if (opt.unmap == UNMAP_ZEROES)
		image_zeroed(sector, count);
	else if (opt.unmap == UNMAP_UNSPECIFIED)
		while (count--)
			image[sector++] |= MAYBE_ZERO;
}

static bool is_zero(const u64 *word)
{
	u64 bits = 0;
	size_t i;

	for (i = 0; i < WORDS; i++)
		bits |= word[i];
	return !bits;
}

static bool is_generation(const u64 *word, u64 sector,
			  u32 generation)
{
	u64 start = series_start(sector, generation);
	u64 bits = (word[0] ^ sector) | (word[1] ^ generation);
	size_t i;

	for (i = 2; i < WORDS; i++)
		bits |= word[i] ^ (start + i * STEP);
	return !bits;
}

static bool is_right(const u64 *word, u64 sector)
{
	u32 state = image[sector], generation = state & ~MAYBE_ZERO;

	if (generation && is_generation(word, sector, generation))
		return true;
	return (!generation || (state & MAYBE_ZERO)) && is_zero(word);
}

/* Say what a wrong sector holds. */
static const char *explain(const u64 *word)
{
	static char text[160];
	size_t i;

	if (is_zero(word))
		return "zeroes";
	if (is_generation(word, word[0], word[1])) {
		snprintf(text, sizeof(text), "sector %llu of write %llu",
			 word[0], word[1]);
		return text;
	}
	for (i = 2; i < WORDS; i++)
		if (word[i] != series_start(word[0], word[1]) + i * STEP)
			break;
	snprintf(text, sizeof(text),
		 "%016llx %016llx ..., torn at byte %zu",
		 word[0], word[1], i * sizeof(*word));
	return text;
}

static void complain(u64 sector, const char *found)
{
	u32 state = image[sector], generation = state & ~MAYBE_ZERO;
	char wanted[32] = "zeroes";

	if (generation)
		snprintf(wanted, sizeof(wanted), "write %u%s", generation,
			 state & MAYBE_ZERO ? " or zeroes" : "");
	die("sector %llu: wanted %s, found %s", sector, wanted, found);
}

void image_check(const void *buf, u64 sector, size_t count)
{
	const u64 *word = buf;

	for (; count--; sector++, word += WORDS)
		if (!is_right(word, sector))
			complain(sector, explain(word));
}
