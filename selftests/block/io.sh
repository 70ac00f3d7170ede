#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every kind of bio gets through /dev/strataN to a block device and does what it says.
# timeout: 240
. "$(dirname "$0")/../lib.sh"
require_cmd fio blkdiscard

# count KIND: of the disk, from its stats
count() { strata_get disks/blockdev.io stats | awk -v kind="$1" '$1 == kind { print $2 }'; }

# One job; the device is at $dev
run_fio() {
	(cd "$TMPDIR" && fio --name=io --filename="$dev" --direct=1 --minimal --group_reporting "$@")
}

same() {
	cmp <(dd if="$dev" bs=1M count=8 iflag=direct status=none) \
		<(dd if="$null" bs=1M count=8 iflag=direct status=none)
}
zeroes() { ! dd if="$dev" bs=64k count="$1" iflag=direct status=none | tr -d '\0' | grep -q .; }
fill() { dd if=/dev/urandom of="$dev" bs=64k count="$1" oflag=direct status=none; }

null=''
must mknull null size=32 cache_size=1 discard=1
must strata_mkdisk blockdev.io path="$null"
must strata_mkblock io disks/blockdev.io
dev=$blockdev

ok_if "random writes verify, libaio" run_fio --ioengine=libaio --iodepth=16 --rw=randwrite \
	--bsrange=512-64k --size=4m --verify=crc32c
ok_if "random mix verifies, io_uring" run_fio --ioengine=io_uring --iodepth=16 --rw=randrw \
	--bs=4k --size=4m --offset=4m --verify=crc32c
ok_if "writes and trims" run_fio --ioengine=psync --rw=randtrimwrite --bs=64k \
	--size=4m --offset=8m
ok_if "two jobs through the page cache" run_fio --direct=0 --ioengine=psync --numjobs=2 \
	--rw=randwrite --bs=4k --size=2m --offset_increment=2m --verify=crc32c --fsync=100
ok_if "the bytes are where they belong" same

flushes=$(count flush)
dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync status=none
is "fsync is one flush" 1 $(($(count flush) - flushes))
writes=$(count write)
ok_if "O_DSYNC writes" dd if=/dev/zero of="$dev" bs=4k count=4 oflag=direct,dsync status=none
is "each is a write" 4 $(($(count write) - writes))

fill 32
zeroed=$(count write_zeroes)
ok_if "zero out" blkdiscard -z -o 0 -l 1M "$dev"
ok_if "it reads as zero" zeroes 16
[ "$(cat "/sys/block/${dev#/dev/}/queue/write_zeroes_max_bytes")" -gt 0 ]
is "write zeroes is offered" 0 $?
is "and was used" 1 $(($(count write_zeroes) - zeroed))
discards=$(count discard)
ok_if "discard" blkdiscard -o 0 -l 2M "$dev"
[ "$(count discard)" -gt "$discards" ]
is "it went down" 0 $?
is "nothing was refused" 0 "$(count refused)"

# The device below does NOWAIT, so io_uring submits in place, without worker threads.
run_fio --ioengine=io_uring --iodepth=8 --rw=randrw --bs=4k --size=4m --time_based --runtime=3 \
	>/dev/null 2>&1 &
load=$!
workers=0
while kill -0 $load 2>/dev/null; do
	! cat /proc/[0-9]*/task/*/comm 2>/dev/null | grep -q '^iou-wrk' || workers=1
	sleep 0.3
done
ok_if "io_uring" wait $load
is "needs no worker threads" 0 $workers
ok_if "RWF_NOWAIT" run_fio --ioengine=io_uring --nowait=1 --iodepth=8 --rw=randrw --bs=4k --size=4m

must strata_remove frontends/block.io
must strata_make frontends/block.ro read_only=1 disk@disks/blockdev.io
must strata_enable frontends/block.ro
dev=/dev/$(strata_get frontends/block.ro device)
is "read-only is shown" 1 "$(blockdev --getro "$dev")"
ok_if "it can be read" dd if="$dev" of=/dev/null bs=1M count=1 iflag=direct status=none
expect_errno EPERM "and not written" dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none
ok_if "a flush of it succeeds" sync -d "$dev"
