#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A copy-on-write disk is not durable and says so by being fast: flushes succeed, and its
# base sees neither them nor a write.
. "$(dirname "$0")/log.sh"

must log_start 12M
must model -f -l 12M "$logged"
read -r _ _ _ before _ < <(dmsetup status "$(basename "$logged")")
must strata_mkdisk blockdev.b "path=$logged"
must mkmemdiff d blockdev.b
must show dev d disks/layered.d
: "${dev:?}"
is "no write cache to flush" "write through" "$(cat "/sys/block/${dev#/dev/}/queue/write_cache")"
must mkfs.ext4 -q "$dev"
mnt=$TMPDIR/mnt.$$
must mkdir "$mnt"
cleanup rmdir "$mnt"
must mount "$dev" "$mnt"
cleanup eval "! mountpoint -q $mnt || umount $mnt"
ok_if "fsync" dd if=/dev/urandom of="$mnt/file" bs=100K count=1 conv=fsync status=none
ok_if "O_DSYNC" dd if=/dev/urandom of="$mnt/file2" bs=100K count=1 oflag=dsync status=none
sum=$(md5sum <"$mnt/file")
must umount "$mnt"
ok_if "fsync of the device" sync "$dev"
must mount "$dev" "$mnt"
is "the file is there" "$sum" "$(md5sum <"$mnt/file")"
must umount "$mnt"
must strata_disable frontends/block.d
read -r _ _ _ after _ < <(dmsetup status "$(basename "$logged")")
ok_if "filling the base was recorded" test "$before" -gt 0
is "nothing since then" "$before" "$after"
must log_stop
