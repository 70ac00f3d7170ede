#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# A read cache keeps what was read, to the sector, and only that.
. "$(dirname "$0")/../common.sh"

# cache SECTOR_SIZE: a cache on top of a read-only stack
cache() {
	local size=$1 name=c$1 base dev state=$TMPDIR/state.$1
	must mkloop base 8M -b "$size"
	cleanup rm -f "$state"
	must model -f -S "$state" "$base"
	must strata_mkdisk "blockdev.$name" "path=$base"
	must strata_mkdisk "layered.$name" read_only=1
	must mkchild "disks/layered.$name/0.ram" read_cache=1
	must mkchild "disks/layered.$name/1.disk" "disk@disks/blockdev.$name"
	must show dev "$name" "disks/layered.$name"
	counts "$name" "$size" "$dev"
	ok_if "$size: the whole disk is right" model -v -S "$state" "$dev"
	is "$size: all of it is cached now" 8388608 \
		"$(strata_get "disks/layered.$name/0.ram" committed)"
	before=$(base_reads "$name")
	ok_if "$size: the whole disk again" model -v -S "$state" "$dev"
	is "$size: without a read of the base" "$before" "$(base_reads "$name")"
}

base_reads() { strata_get "disks/blockdev.$1" stats | awk '$1 == "read" { print $4 }'; }

# Single reads of even sectors, then one over them: only what is missing is read below.
counts() {
	local name=$1 size=$2 dev=$3 start before i
	# What udev reads of a new device comes first.
	udevadm settle 2>/dev/null
	read_lba() {
		dd if="$dev" of="$TMPDIR/read.$$" iflag=direct,skip_bytes bs=$((size * $2)) \
			count=1 skip=$((size * $1)) status=none
	}
	cleanup rm -f "$TMPDIR/read.$$"
	start=$(committed "layered.$name/0.ram" 4096)
	before=$(base_reads "$name")
	for i in 0 2 4 6 8 0 2 4 6 8; do
		must read_lba $((800 + i)) 1
	done
	is "$size: 10 reads of 5 sectors read 5" 5 \
		$((($(base_reads "$name") - before) * 512 / size))
	[ "$size" = 512 ] || is "$size: and leave 5 in the cache" 5 \
		$(($(committed "layered.$name/0.ram" 4096) - start))
	must read_lba 801 15
	is "$size: one of 15 sectors over them reads 11" 16 \
		$((($(base_reads "$name") - before) * 512 / size))
	[ "$size" = 512 ] || is "$size: and leaves 16 in the cache" 16 \
		$(($(committed "layered.$name/0.ram" 4096) - start))
	ok_if "$size: it is what the base has" \
		cmp -n $((15 * size)) -i $((801 * size)):0 "$base" "$TMPDIR/read.$$"
	must read_lba 800 16
	is "$size: the next one reads nothing" 16 \
		$((($(base_reads "$name") - before) * 512 / size))
	ok_if "$size: and is right" cmp -n $((16 * size)) -i $((800 * size)):0 "$base" "$TMPDIR/read.$$"
}

cache 512
cache 4096

# A full cache keeps nobody from writing, and from freeing what was written.
full() {
	local dev ram=disks/layered.full/0.ram state=$TMPDIR/state.full
	must mkloop base 8M
	cleanup rm -f "$state"
	must model -f -S "$state" "$base"
	must strata_mkdisk blockdev.full "path=$base"
	must strata_mkdisk layered.full
	must mkchild "$ram" read_cache=1 limit=1M
	must mkchild disks/layered.full/1.disk disk@disks/blockdev.full
	must show dev full disks/layered.full
	write() { dd if=/dev/urandom of="$dev" oflag=direct bs=64K conv=notrunc status=none "$@"; }

	ok_if "full: the whole disk is right" model -v -S "$state" "$dev"
	is "full: as much is cached as may be" 1048576 "$(strata_get "$ram" committed)"
	ok_if "full: what is written takes its place" write count=16 seek=16
	is "full: and no more" 1048576 "$(strata_get "$ram" committed)"
	expect_errno ENOSPC "full: of what is written" write count=1 seek=64
	ok_if "full: a discard frees it" blkdiscard -o 1M -l 512K "$dev"
	ok_if "full: for something else" write count=7 seek=64
	ok_if "full: zeroes free it too" blkdiscard -z "$dev"
	is "full: all of it" 64 "$(strata_get "$ram" committed)"
	ok_if "full: the base has not changed" model -v -S "$state" "$base"
}

full
