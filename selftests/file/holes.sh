#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Discard gives space back and reads zero, at any alignment; zeroing is zeroing; where the
# file system can do neither, nothing is promised.
# timeout: 200
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/fs.sh"
require_cmd blkdiscard xfs_io mkfs.ext4 mkfs.xfs

mib=$((1 << 20))

fill() { tr '\0' 'x' </dev/zero | dd of="$blockdev" bs=1M count=16 oflag=direct iflag=fullblock 2>/dev/null; }
allocated() { stat -c '%b * %B' "$1" | { read -r sum; echo $((sum)); }; }

# OFFSET LENGTH CHARACTER: are all these bytes this character?
all() {
	[ "$(dd if="$blockdev" bs=512 skip=$(($1 / 512)) count=$(($2 / 512)) iflag=direct 2>/dev/null |
		tr -d "$3" | wc -c)" = 0 ]
}

# WHAT OFFSET LENGTH: zero from OFFSET, and x around it
only() {
	ok_if "$1: zeroes" all "$2" "$3" '\0'
	ok_if "$1: the bytes before are still there" all $(($2 - 4096)) 4096 x
	ok_if "$1: and those behind" all $(($2 + $3)) 4096 x
}

for type in ext4 xfs tmpfs; do
	must mkfs_at dir $type
	image=$dir/image
	must mkimage "$image" 16
	must mkfile holes "$image" direct=$((RANDOM % 2))
	is "$type: unmap" zeroes "$(strata_get disks/file.holes unmap)"
	fill
	sync -f "$dir"
	full=$(allocated "$image")

	ok_if "$type: blkdiscard" blkdiscard -o $((2 * mib)) -l $((4 * mib)) "$blockdev"
	only "$type: discard" $((2 * mib)) $((4 * mib))
	sync -f "$dir"
	got=$((full - $(allocated "$image")))
	ok_if "$type: discard gives back $got bytes" test $got -ge $((4 * mib - 65536))

	ok_if "$type: discard of single sectors" blkdiscard -o $((8 * mib + 512)) -l 1536 "$blockdev"
	only "$type: single sectors" $((8 * mib + 512)) 1536

	ok_if "$type: zeroout" blkdiscard -z -o $((9 * mib + 1024)) -l $((mib + 512)) "$blockdev"
	only "$type: zeroout" $((9 * mib + 1024)) $((mib + 512))

	before=$(allocated "$image")
	ok_if "$type: write zeroes that may unmap" fallocate -p -o $((12 * mib)) -l $((2 * mib)) "$blockdev"
	only "$type: may unmap" $((12 * mib)) $((2 * mib))
	sync -f "$dir"
	ok_if "$type: it does" test $((before - $(allocated "$image"))) -ge $((2 * mib - 65536))
	is "$type: the size is what it was" $((16 * mib)) "$(stat -c %s "$image")"
	must rmfile holes

	must mkfile holes "$image" read_only=1
	is "$type: unmap of a read-only disk" ignored "$(strata_get disks/file.holes unmap)"
	expect_errno EOPNOTSUPP "$type: discard of a read-only disk" blkdiscard "$blockdev"
	must rmfile holes
done
