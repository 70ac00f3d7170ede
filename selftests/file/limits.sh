#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What goes wrong underneath: files that shrink, file systems that are full or frozen.
# timeout: 300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/fs.sh"
require_cmd mkfs.ext4 fsfreeze

# get SKIP [COUNT [BLOCK SIZE]], put SEEK [COUNT [BLOCK SIZE]]
get() {
	timeout 120 dd if="$blockdev" of=/dev/null bs="${3:-4k}" skip="$1" count="${2:-1}" \
		iflag=direct 2>&1
}
put() {
	timeout 120 dd if=/dev/zero of="$blockdev" bs="${3:-4k}" seek="$1" count="${2:-1}" \
		oflag=direct conv=notrunc 2>&1
}

must mkfs_at dir ext4 128
for direct in 1 0; do
	what="direct=$direct"
	must mkimage "$dir/image" 16
	must mkfile cut "$dir/image" direct=$direct
	must put 0 16 1M
	truncate -s 8M "$dir/image"
	ok_if "$what: what is left can be read" get 2047
	ok_if "$what: and written" put 2047
	expect_errno ENODATA "$what: a read of what was cut off" get 2048
	expect_errno ENODATA "$what: a write of it" put 3000
	expect_errno ENODATA "$what: a read across the end" \
		timeout 120 dd if="$blockdev" of=/dev/null bs=16k skip=511 count=2 iflag=direct
	expect_errno ENODATA "$what: zeroing there" fallocate -z -o 12M -l 1M "$blockdev"
	is "$what: the file is no longer" $((8 << 20)) "$(stat -c %s "$dir/image")"
	truncate -s 32M "$dir/image"
	ok_if "$what: once it is as long again, so is the disk" get 4095
	is "$what: and no longer" $((16 << 20)) "$(blockdev --getsize64 "$blockdev")"
	must rmfile cut
	rm "$dir/image"
done

# A full file system: the class of the error must arrive.
small=
must mkfs_at small ext4 32
for direct in 1 0; do
	must mkimage "$small/image" 64
	must mkfile full "$small/image" direct=$direct
	expect_errno ENOSPC "direct=$direct: a full file system" put 0 1024 64k
	ok_if "direct=$direct: it can still be read" get 0 64 1M
	ok_if "direct=$direct: discard helps" blkdiscard "$blockdev"
	ok_if "direct=$direct: and then it can be written" put 0 16
	must rmfile full
	rm "$small/image"
done

# A frozen file system: nothing fails, reads go on, writes wait.
must mkimage "$dir/image" 16
must mkfile frozen "$dir/image"
must put 0 16 1M
must fsfreeze -f "$dir"
cleanup fsfreeze -u "$dir"
ok_if "frozen: reads go on" get 5
(put 5; echo $? >"$TMPDIR/frozen") >/dev/null &
writer=$!
sleep 2
ok_if "frozen: a write waits" test ! -e "$TMPDIR/frozen"
ok_if "frozen: reads still go on" get 6
must fsfreeze -u "$dir"
_cleanups=("${_cleanups[@]:0:${#_cleanups[@]}-1}")
wait $writer
is "thawed: the write succeeds" 0 "$(cat "$TMPDIR/frozen")"
must rmfile frozen

# A user's limit on file sizes is no business of the disk's.
must mkfile rlimit "$dir/image"
ok_if "ulimit -f is about files" bash -c "ulimit -f 1; dd if=/dev/zero of=$blockdev bs=4k seek=1000 count=4 oflag=direct conv=notrunc"
must rmfile rlimit

# A device may take any memory: direct I/O still wants whole sectors of it, and what is
# split there would not be one.
dma_alignment() { strata_get disks/file.align dma_alignment; }
modprobe -q sd_mod
if modprobe scsi_debug dev_size_mb=64 2>/dev/null; then
	cleanup wait_for 10 modprobe -r scsi_debug
	scsi_ready() {
		local d
		for d in /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/sd*; do
			disk=/dev/${d##*/}
		done
		[ -b "$disk" ]
	}
	must wait_for 10 scsi_ready
	mkdir "$TMPDIR/align"
	cleanup rmdir "$TMPDIR/align"
	must mkfs_quietly ext4 "$disk"
	must mount "$disk" "$TMPDIR/align"
	cleanup _unmount "$TMPDIR/align"
	diag "the device: $(cat "/sys/block/${disk#/dev/}/queue/dma_alignment")"
	must mkimage "$TMPDIR/align/image" 16
	must mkfile align "$TMPDIR/align/image"
	is "direct=1: memory is in whole sectors" 512 "$(dma_alignment)"
	must rmfile align
	must mkfile align "$TMPDIR/align/image" direct=0
	is "direct=0: it can be anywhere" 4 "$(dma_alignment)"
	is "and /dev/strataN says so" 3 "$(cat "/sys/block/${blockdev#/dev/}/queue/dma_alignment")"
	must rmfile align
else
	skip "alignment of memory" "no scsi_debug"
fi
