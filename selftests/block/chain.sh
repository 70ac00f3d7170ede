#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A long chain of bios whose first one ends last: all the others end in its completion,
# which must not recurse.
. "$(dirname "$0")/../lib.sh"
require_cmd dmsetup blkdiscard

# As much as one discard can say, 1024 times; the first one waits for all others.
piece=8388600
pieces=1024
delay=4000
[ "$STRATA_KERNEL" != lab ] || delay=15000
loop='' slow=''
must mkloop loop $((piece * pieces * 512))
must mkdm slow strata-slow "$(printf '0 %s delay %s 0 0 %s 0 %s\n%s %s linear %s %s' \
	$piece "$loop" "$loop" $delay $piece $((piece * (pieces - 1))) "$loop" $piece)"
must strata_mkdisk blockdev.slow path="$slow"
must strata_mkblock slow disks/blockdev.slow
stat=/sys/block/${blockdev#/dev/}/stat
read -ra before <"$stat"
ok_if "the chain ends" blkdiscard -f "$blockdev"
is "each part is counted" $pieces $(($(awk '{ print $12 }' "$stat") - before[11]))
is "and every sector once" $((piece * pieces)) $(($(awk '{ print $14 }' "$stat") - before[13]))
is "none is in flight" 0 "$(awk '{ print $9 }' "$stat")"
echo 0 >"${stat%stat}queue/iostats"
ok_if "the same with iostats off" blkdiscard -f "$blockdev"
