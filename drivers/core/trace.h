/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM strata

#if !defined(STRATA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define STRATA_TRACE_H

#include <linux/bio.h>
#include <linux/tracepoint.h>
#include <strata/disk.h>

TRACE_EVENT(strata_submit,
	TP_PROTO(const struct strata_disk *disk, const struct bio *bio),
	TP_ARGS(disk, bio),
	TP_STRUCT__entry(
		__string(disk, disk->name)
		__field(sector_t, sector)
		__field(unsigned int, nr_sects)
		__field(u32, opf)
	),
	TP_fast_assign(
		__assign_str(disk);
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->nr_sects = bio_sectors(bio);
		__entry->opf = (__force u32)bio->bi_opf;
	),
	TP_printk("%s op %#x sector %llu + %u", __get_str(disk), __entry->opf,
		  (unsigned long long)__entry->sector, __entry->nr_sects)
);

TRACE_EVENT(strata_resize,
	TP_PROTO(const struct strata_disk *disk, sector_t old, sector_t new),
	TP_ARGS(disk, old, new),
	TP_STRUCT__entry(
		__string(disk, disk->name)
		__field(sector_t, old)
		__field(sector_t, new)
	),
	TP_fast_assign(
		__assign_str(disk);
		__entry->old = old;
		__entry->new = new;
	),
	TP_printk("%s %llu -> %llu sectors", __get_str(disk),
		  (unsigned long long)__entry->old,
		  (unsigned long long)__entry->new)
);

TRACE_EVENT(strata_resolve,
	TP_PROTO(const char *name, int error),
	TP_ARGS(name, error),
	TP_STRUCT__entry(
		__string(name, name)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->error = error;
	),
	TP_printk("%s error %d", __get_str(name), __entry->error)
);

#endif /* STRATA_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
