#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Statistics and tracepoints tell what was submitted, no more and no less.
. "$(dirname "$0")/../common.sh"

must mkmem m 8M
must show dev m disks/layered.m
trace=/sys/kernel/tracing

# The difference to the last call, in words
counts() {
	strata_get disks/layered.m stats >"$TMPDIR/after.$$"
	paste -d' ' "$TMPDIR/before.$$" "$TMPDIR/after.$$" | awk '
		NF == 8 && ($6 - $2 || $8 - $4) { printf "%s %d/%d ", $1, $6 - $2, $8 - $4 }
		NF == 4 && $4 - $2 { printf "%s %d ", $1, $4 - $2 }'
	mv "$TMPDIR/after.$$" "$TMPDIR/before.$$"
}
cleanup rm -f "$TMPDIR/before.$$" "$TMPDIR/after.$$"
: "${dev:?}"
# What udev reads of a new device comes first.
udevadm settle 2>/dev/null
sleep 1
strata_get disks/layered.m stats >"$TMPDIR/before.$$"

write() { dd if=/dev/zero of="$dev" oflag=direct conv=notrunc status=none "$@"; }
read_at() { dd if="$dev" of=/dev/null iflag=direct status=none "$@"; }

# -f: blkdiscard does not look for a file system first.
is "nothing yet" "" "$(counts)"
write bs=4K count=3
is "3 writes of 4 KiB" "write 3/24 " "$(counts)"
read_at bs=512 count=5 skip=7
is "5 reads of a sector" "read 5/5 " "$(counts)"
blkdiscard -f -o 64K -l 128K "$dev"
is "a discard of 128 KiB" "discard 1/256 " "$(counts)"
blkdiscard -f -z -o 64K -l 32K "$dev"
is "zeroes over 32 KiB" "write_zeroes 1/64 " "$(counts)"
# A RAM disk has no cache: the block layer itself ends its flushes
cache=$(cat "/sys/block/$(basename "$dev")/queue/write_cache")
is "a RAM disk has no write cache" "write through" "$cache"

# Tracepoints
cleanup eval "echo 0 >$trace/events/strata/enable; echo >$trace/trace"
is "the tracepoints" "strata_resize strata_resolve strata_submit" \
	"$(cd $trace/events/strata && echo strata_*)"
echo >$trace/trace
ok_if "can be enabled" eval "echo 1 >$trace/events/strata/enable"
write bs=4K count=1 seek=2
strata_set disks/layered.m/0.ram size=4M
must mkmem other 1M
strata_enable disks/layered.other
strata_disable disks/layered.other
strata_set disks/layered.other/0.ram size=1000
strata_enable disks/layered.other >/dev/null 2>&1
echo 0 >$trace/events/strata/enable
seen() { grep -cE "$1" $trace/trace; }
is "a write" 1 "$(seen 'strata_submit: layered\.m op 0x[0-9a-f]+1 sector 16 \+ 8')"
is "a resize" 1 "$(seen 'strata_resize: layered\.m 16384 -> 8192 sectors')"
is "a resolution" 1 "$(seen 'strata_resolve: layered\.other error 0')"
is "one that failed" 1 "$(seen 'strata_resolve: layered\.other error -22')"
