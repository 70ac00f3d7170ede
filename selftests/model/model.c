// SPDX-License-Identifier: GPL-2.0
/*
 * Random I/O to a block device, compared with a model of it in memory. Exits
 * with 0 when the device behaved, with 1 and a line that says what was wrong.
 *
 * With a state file the model outlives the process, so that a device can be
 * filled, put below another one, taken down, and looked at again.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "model.h"

#define RESIZE_SECONDS 30

struct options opt = {
	.ops = 10000,
	.rounds = 1,
	.threads = 4,
	.max_block = 1 << 20,
	.unmap = UNMAP_ZEROES,
};

static const char usage[] =
	"usage: model [options] DEVICE\n"
	"  -s SEED      printed at the start, random without\n"
	"  -n OPS       in all, default 10000\n"
	"  -t THREADS   default 4\n"
	"  -b BYTES     largest block, default 1 MiB\n"
	"  -l BYTES     keep to that much of the device\n"
	"  -u ZEROES    what discards do: zeroes, unspecified or ignored\n"
	"  -S FILE      load the model from there if it exists, save it at the end\n"
	"  -f           only fill the device\n"
	"  -F           fill the device first; without, it reads as zeroes or as -S says\n"
	"  -v           only verify the device\n"
	"  -r ROUNDS    verify all and run the hook so often in between\n"
	"  -x COMMAND   the hook: COMMAND ROUND BYTES\n"
	"  -c           have the device closed while the hook runs\n"
	"  -R MIN:MAX   the hook resizes the device to BYTES, in that range\n"
	"  -e           errors are expected, try again\n"
	"  -d           no O_DSYNC writes\n";

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	flockfile(stdout);
	printf("# model: %s: ", opt.device ?: "");
	vprintf(fmt, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	_exit(1);
}

static u64 bytes(const char *text)
{
	char *end;
	u64 value = strtoull(text, &end, 0);

	switch (*end) {
	case 'G':
		return value << 30;
	case 'M':
		return value << 20;
	case 'K':
		return value << 10;
	default:
		return value;
	}
}

static enum unmap parse_unmap(const char *word)
{
	if (!strcmp(word, "zeroes"))
		return UNMAP_ZEROES;
	if (!strcmp(word, "unspecified"))
		return UNMAP_UNSPECIFIED;
	if (!strcmp(word, "ignored"))
		return UNMAP_IGNORED;
	die("-u %s?", word);
}

static void parse_option(int c)
{
	switch (c) {
	case 's':
		opt.seed = strtoull(optarg, NULL, 0);
		break;
	case 'n':
		opt.ops = strtoul(optarg, NULL, 0);
		break;
	case 't':
		opt.threads = strtoul(optarg, NULL, 0);
		break;
	case 'b':
		opt.max_block = bytes(optarg);
		break;
	case 'l':
		opt.span = bytes(optarg);
		break;
	case 'u':
		opt.unmap = parse_unmap(optarg);
		break;
	case 'S':
		opt.state = optarg;
		break;
	case 'f':
		opt.fill = true;
		break;
	case 'F':
		opt.fill_first = true;
		break;
	case 'v':
		opt.verify = true;
		break;
	case 'r':
		opt.rounds = strtoul(optarg, NULL, 0);
		break;
	case 'x':
		opt.hook = optarg;
		break;
	case 'c':
		opt.close = true;
		break;
	case 'R':
		opt.shrink_to = bytes(optarg);
		if (!strchr(optarg, ':'))
			die("-R MIN:MAX");
		opt.grow_to = bytes(strchr(optarg, ':') + 1);
		break;
	case 'e':
		opt.errors = true;
		break;
	case 'd':
		opt.no_dsync = true;
		break;
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

static void parse(int argc, char **argv)
{
	int c;

	opt.seed = (u64)time(NULL) << 16 ^ getpid();
	while ((c = getopt(argc, argv, "s:n:t:b:l:u:S:fFvr:x:cR:ed")) != -1)
		parse_option(c);
	if (optind + 1 != argc || !opt.threads || opt.threads > MAX_THREADS ||
	    !opt.rounds || opt.max_block < 4096)
		parse_option('?');
	opt.device = argv[optind];
}

static u64 span_sectors(void)
{
	u64 sectors = io_size();

	if (opt.span && opt.span / SECTOR < sectors)
		return opt.span / SECTOR;
	return sectors;
}

static void *thread(void *arg)
{
	unsigned long ops = opt.ops / opt.rounds / opt.threads;
	struct io *io = arg;

	io->sectors = span_sectors();
	while (ops--)
		io_random(io);
	return NULL;
}

static void run_threads(struct io *ios)
{
	pthread_t ids[MAX_THREADS];
	unsigned int i;

	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&ids[i], NULL, thread, &ios[i]))
			die("no thread");
	for (i = 0; i < opt.threads; i++)
		pthread_join(ids[i], NULL);
}

static void wait_size(u64 sectors)
{
	time_t end = time(NULL) + RESIZE_SECONDS;

	while (io_size() != sectors) {
		if (time(NULL) > end)
			die("has %llu sectors %d s after a resize to %llu",
			    io_size(), RESIZE_SECONDS, sectors);
		usleep(10000);
	}
}

/* What was cut off is gone, what was put on reads as zeroes. */
static void resized(u64 before, u64 after)
{
	wait_size(after);
	if (after < before)
		image_zeroed(after, before - after);
}

static void run_hook(struct io *io, unsigned long round)
{
	u64 before = io_size(), size = before * SECTOR;
	char command[1024];

	if (opt.grow_to)
		size = opt.shrink_to + 4096 *
			rng_below(&io->rng, (opt.grow_to - opt.shrink_to) / 4096 + 1);
	snprintf(command, sizeof(command), "%s %lu %llu", opt.hook, round,
		 size);
	if (opt.close)
		io_close();
	if (system(command))
		die("%s failed", command);
	if (opt.close)
		io_open();
	if (opt.grow_to)
		resized(before, size / SECTOR);
}

static void run(struct io *ios)
{
	unsigned long round;

	for (round = 1; round <= opt.rounds; round++) {
		run_threads(ios);
		io_verify(&ios[0], span_sectors());
		if (opt.hook && round < opt.rounds)
			run_hook(&ios[0], round);
	}
}

static void fill_and_run(struct io *ios)
{
	if (opt.fill_first)
		io_fill(&ios[0], span_sectors());
	run(ios);
}

static void report(const struct io *ios)
{
	struct io_counts sum = {};
	unsigned int i;

	for (i = 0; i < opt.threads; i++) {
		const struct io_counts *c = &ios[i].counts;

		sum.read += c->read;
		sum.write += c->write;
		sum.sync += c->sync;
		sum.flush += c->flush;
		sum.discard += c->discard;
		sum.zero += c->zero;
		sum.punch += c->punch;
		sum.nowait += c->nowait;
		sum.again += c->again;
		sum.errors += c->errors;
	}
	printf("# model: %s: read %lu write %lu (dsync %lu) fsync %lu discard %lu",
	       opt.device, sum.read, sum.write, sum.sync, sum.flush, sum.discard);
	printf(" zero %lu punch %lu, nowait %lu again %lu, errors %lu\n",
	       sum.zero, sum.punch, sum.nowait, sum.again, sum.errors);
}

int main(int argc, char **argv)
{
	static struct io ios[MAX_THREADS];
	u64 sectors;
	unsigned int i;

	parse(argc, argv);
	printf("# model: %s: seed %llu\n", opt.device, opt.seed);
	fflush(stdout);
	io_open();
	sectors = io_size();
	image_alloc(opt.grow_to / SECTOR > sectors ? opt.grow_to / SECTOR :
		    sectors);
	if (opt.state)
		image_load(opt.state);
	for (i = 0; i < opt.threads; i++)
		io_init(&ios[i], i, opt.seed);

	if (opt.fill)
		io_fill(&ios[0], span_sectors());
	else if (opt.verify)
		io_verify(&ios[0], span_sectors());
	else
		fill_and_run(ios);

	report(ios);
	for (i = 0; i < opt.threads; i++)
		io_exit(&ios[i]);
	io_close();
	if (opt.state && !opt.verify)
		image_save(opt.state);
	return 0;
}
