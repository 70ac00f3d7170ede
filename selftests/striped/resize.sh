#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 150
# Members grow and shrink: the disk is as long as the shortest of them allows, says so, and
# keeps what all of them keep.
. "$(dirname "$0")/../common.sh"

# resize MEMBER BYTES
resize() {
	local file=loop$1_file dev=loop$1
	truncate -s "$2" "${!file}" && losetup -c "${!dev}"
}

for i in 0 1; do
	must mkloop "loop$i" 8M
	dev=loop$i
	must strata_mkdisk "blockdev.m$i" "path=${!dev}"
done
must mkstriped s chunk_size=64K blockdev.m0 blockdev.m1
must show dev s disks/striped.s
must uevents_start
must resize 0 12M
ok_if "one member grows" wait_for 10 eval "[ \$(strata_get disks/blockdev.m0 sector_count) = 24576 ]"
is "which changes nothing" 32768 "$(blockdev --getsz "$dev")"
must resize 1 $((12 * 1024 * 1024 + 32768))
ok_if "when the other one has too, the disk does" wait_for 10 has_sectors "$dev" 49152
ok_if "and says so" wait_for 10 uevents_seen RESIZE=1 "${dev#/dev/}"
ok_if "what is new can be written" dd if=/dev/urandom of="$dev" bs=1M seek=16 count=8 oflag=direct status=none
must resize 1 4M
ok_if "it shrinks with the first" wait_for 10 has_sectors "$dev" 16384
expect_errno ENOSPC "what is gone cannot be written" dd if=/dev/zero of="$dev" bs=1M seek=8 count=1 oflag=direct status=none
must resize 1 40K
ok_if "to nothing, when there is no whole chunk" wait_for 10 has_sectors "$dev" 0
must resize 1 12M
ok_if "and back" wait_for 10 has_sectors "$dev" 49152
must strata_remove frontends/block.s

# Sizes that differ are a mistake, unless a size is given
must resize 0 9M
expect_refusal EINVAL 'member 1 has 192 chunks, but member 0 has 144; set sectors' disks/striped.s \
	"members of two sizes"
must strata_set disks/striped.s sectors=32768
must show dev s disks/striped.s
is "a size that was asked for" 32768 "$(blockdev --getsz "$dev")"
must resize 0 20M
must resize 1 20M
ok_if "stays" wait_for 10 eval "[ \$(strata_get disks/blockdev.m1 sector_count) = 40960 ]"
is "when members grow" 32768 "$(blockdev --getsz "$dev")"
must resize 1 6M
ok_if "but not when one is too short" wait_for 10 has_sectors "$dev" 24576
must strata_remove frontends/block.s

# While it is used
must strata_set disks/striped.s sectors=0
must resize 0 8M
must resize 1 8M
flap() {
	while [ ! -e "$TMPDIR/stop.$$" ]; do
		resize 0 5M && resize 1 7M && resize 1 5M && resize 0 8M && resize 1 8M || return
	done
}
cleanup rm -f "$TMPDIR/stop.$$"
must show dev s disks/striped.s
flap &
flapper=$!
ok_if "I/O in front of the end while sizes change" model -n "$(pick 3000 1000)" -l 10M -u unspecified "$dev"
touch "$TMPDIR/stop.$$"
wait $flapper
is "no resize failed" 0 $?
must resize 0 8M
must resize 1 8M
ok_if "the last size stands" wait_for 10 has_sectors "$dev" 32768
ok_if "all of it can be read" dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
