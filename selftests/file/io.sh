#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Data is what was written, on each file system, past the page cache and through it.
# timeout: 300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/fs.sh"
require_cmd fio mkfs.ext4 mkfs.xfs

# SECTORS AT: a write of one pattern, and a look at the image itself.
at_its_place() {
	local dir=$1 want got
	dd if=/dev/urandom of="$TMPDIR/pattern" bs=4k count=9 2>/dev/null
	dd if="$TMPDIR/pattern" of="$blockdev" bs=512 seek=8193 oflag=direct conv=fsync 2>/dev/null
	want=$(sha256sum <"$TMPDIR/pattern")
	got=$(dd if="$dir/image" bs=512 skip=8193 count=72 2>/dev/null | sha256sum)
	[ "$want" = "$got" ]
}

for type in ext4 xfs tmpfs; do
	must mkfs_at dir $type
	for direct in 1 0; do
		what="$type direct=$direct"
		must mkimage "$dir/image" 64
		must mkfile io "$dir/image" direct=$direct
		ok_if "$what: fio verify, libaio" verify "$blockdev"
		ok_if "$what: fio verify, io_uring" verify "$blockdev" --ioengine=io_uring --randseed=8
		ok_if "$what: fio verify, sync, holes" verify "$blockdev" --ioengine=psync --offset=32m
		ok_if "$what: fio verify, page cache above" \
			verify "$blockdev" --ioengine=psync --direct=0 --fsync=50 --size=3m
		ok_if "$what: the bytes are where they belong" at_its_place "$dir"
		is "$what: the file has not grown" $((64 << 20)) "$(stat -c %s "$dir/image")"
		ok_if "$what: it goes away" rmfile io
	done
done
