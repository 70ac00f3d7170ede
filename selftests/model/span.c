// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges in use: an operation waits for those that overlap it, as what they
 * leave behind would be unknown otherwise. Neighbours run side by side.
 */
#include <pthread.h>
#include "model.h"

struct span {
	u64 first;
	u64 end;
};

static struct span spans[MAX_THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static bool overlaps(u64 first, u64 end)
{
	unsigned int i;

	for (i = 0; i < opt.threads; i++)
		if (first < spans[i].end && spans[i].first < end)
			return true;
	return false;
}

void span_lock(unsigned int who, u64 sector, size_t count)
{
	pthread_mutex_lock(&lock);
	while (overlaps(sector, sector + count))
		pthread_cond_wait(&changed, &lock);
	spans[who].first = sector;
	spans[who].end = sector + count;
	pthread_mutex_unlock(&lock);
}

void span_unlock(unsigned int who)
{
	pthread_mutex_lock(&lock);
	spans[who].first = 0;
	spans[who].end = 0;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}
