#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Devices that cannot be used are refused in words; partitions and read-only ones can.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../block/mbr.sh"
require_cmd partx

# refused ERRNO REGEX PATH DESCRIPTION
refused() {
	must strata_set disks/blockdev.p "path=$3"
	expect_refusal "$1" "$2" disks/blockdev.p "$4"
}

must strata_mkdisk blockdev.p
expect_refusal EINVAL 'path is not set' disks/blockdev.p "no path"
refused ENOENT 'no such file' /dev/none "a missing file"
refused ENOENT 'no such file' /none/none "a missing directory"
refused ENOTBLK 'is a directory, not a block device' /dev "a directory"
refused ENOTBLK 'not a block device' /dev/null "a character device"
refused ENOTBLK 'not a block device' /etc/passwd "a regular file"
must mknod "$TMPDIR/nodev" b 240 77
refused ENXIO 'no such device' "$TMPDIR/nodev" "a node without a device"

loop='' loop_file=''
must mkloop loop 16M
must mkdir -p "$TMPDIR/nodev.d"
must mount -t tmpfs -o nodev none "$TMPDIR/nodev.d"
cleanup umount "$TMPDIR/nodev.d"
must cp -a "$loop" "$TMPDIR/nodev.d/loop"
refused EACCES 'permission denied' "$TMPDIR/nodev.d/loop" "a node on nodev"

odd=''
must mkloop odd $((4096 * 100 + 512)) --sector-size 512
must strata_set disks/blockdev.p "path=$odd"
ok_if "any number of 512-byte sectors" strata_enable disks/blockdev.p
must strata_disable disks/blockdev.p
must losetup -d "$odd"
refused EINVAL 'size 0' "$odd" "an empty loop device"

zoned=''
if mknull zoned size=64 zoned=1 zone_size=4 2>/dev/null; then
	refused EOPNOTSUPP 'zoned' "$zoned" "a zoned device"
else
	skip "a zoned device" "null_blk has none"
fi
if modinfo scsi_debug >/dev/null 2>&1; then
	modprobe -q sd_mod
	modprobe scsi_debug dev_size_mb=8 dix=1 dif=1
	cleanup wait_for 10 modprobe -r scsi_debug
	sd=''
	find_sd() { sd=$(echo /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/sd*) && [ -e "$sd" ]; }
	wait_for 10 find_sd
	if [ -s "$sd/integrity/format" ] && ! grep -q none "$sd/integrity/format"; then
		refused EOPNOTSUPP 'integrity' "/dev/${sd##*/}" "a device with integrity metadata"
	else
		skip "a device with integrity metadata" "scsi_debug has none"
	fi
fi

must blockdev --setro "$loop"
refused EROFS 'read-only' "$loop" "a read-only device, to write"
must strata_set disks/blockdev.p read_only=1
ok_if "to read" strata_enable disks/blockdev.p
must strata_mkblock p disks/blockdev.p
is "it is read-only up there" 1 "$(blockdev --getro "$blockdev")"
expect_errno EPERM "and not written" dd if=/dev/zero of="$blockdev" bs=4k count=1 oflag=direct status=none
must strata_remove frontends/block.p
must strata_disable disks/blockdev.p
must strata_set disks/blockdev.p read_only=0
must blockdev --setrw "$loop"

must mkmbr "$loop" 2048 8192
must partx -a "$loop"
must wait_for 5 test -b "${loop}p1"
must strata_set disks/blockdev.p "path=${loop}p1"
must strata_mkblock p disks/blockdev.p
is "a partition's size" 8192 "$(blockdev --getsz "$blockdev")"
must dd if=/dev/urandom of="$blockdev" bs=4k seek=1 count=8 oflag=direct status=none
sync
ok_if "its sectors are where they belong" cmp -n 32768 <(dd if="$blockdev" bs=4k skip=1 count=8 iflag=direct status=none) \
	<(dd if="$loop_file" bs=4k skip=257 count=8 status=none)
expect_errno ENOSPC "its end is its end" dd if=/dev/zero of="$blockdev" bs=4k seek=1024 count=1 oflag=direct status=none
must strata_make disks/blockdev.whole path="$loop"
expect_refusal EBUSY 'held by another' disks/blockdev.whole "the whole device beside it"
must strata_remove frontends/block.p
must strata_remove disks/blockdev.p
must partx -d "$loop"
