#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A device in use is held exclusively, against others and against ourselves, and one image
# is one image however it is described.
. "$(dirname "$0")/../lib.sh"
require_cmd mkfs.ext4 dmsetup

not() { ! "$@"; }

loop='' loop_file=''
must mkloop loop 64M
must mkfs.ext4 -q "$loop"
mkdir -p "$TMPDIR/mnt"
must strata_mkdisk blockdev.a path="$loop"
must strata_mkdisk blockdev.b path="$loop"

must mount "$loop" "$TMPDIR/mnt"
expect_refusal EBUSY "mounted, or held" disks/blockdev.a "a mounted device"
must umount "$TMPDIR/mnt"

ok_if "enable" strata_enable disks/blockdev.a
ok_if "no mkfs of the device below" not mkfs.ext4 -q -F "$loop"
ok_if "nor can it be mounted" not mount "$loop" "$TMPDIR/mnt"
expect_errno EBUSY "nor given to dm" dmsetup create strata-hold --table "0 8192 linear $loop 0"
expect_refusal EBUSY 'blockdev\.a' disks/blockdev.b "a second writer"
must strata_set disks/blockdev.b read_only=1
expect_refusal EBUSY 'blockdev\.a' disks/blockdev.b "a reader beside a writer"
must strata_disable disks/blockdev.a
must strata_set disks/blockdev.a read_only=1
ok_if "two readers" strata_enable disks/blockdev.a
ok_if "at a time" strata_enable disks/blockdev.b
must strata_mkblock a disks/blockdev.a
one=$blockdev
must strata_mkblock b disks/blockdev.b
ok_if "see the same" cmp -n 1048576 "$one" "$blockdev"
is "both read-only" "1 1" "$(blockdev --getro "$one") $(blockdev --getro "$blockdev")"
must truncate -s 80M "$loop_file"
must losetup -c "$loop"
both_grew() { [ "$(blockdev --getsz "$one") $(blockdev --getsz "$blockdev")" = "163840 163840" ]; }
ok_if "and both grow" wait_for 5 both_grew
ok_if "still held" not mkfs.ext4 -q -F "$loop"
must strata_remove frontends/block.a
must strata_disable disks/blockdev.a
ok_if "held by the one that is left" not mkfs.ext4 -q -F "$loop"
must strata_remove frontends/block.b
must strata_disable disks/blockdev.b
ok_if "let go" mkfs.ext4 -q -F "$loop"

must strata_set disks/blockdev.a read_only=0 shared=1
must strata_set disks/blockdev.b read_only=0 shared=1
ok_if "two that share" strata_enable disks/blockdev.a
ok_if "may both write" strata_enable disks/blockdev.b
must strata_disable disks/blockdev.b
must strata_set disks/blockdev.b shared=0
expect_refusal EBUSY 'blockdev\.a' disks/blockdev.b "one that does not share"
expect_errno EBUSY "path is fixed while live" strata_set disks/blockdev.a path=/dev/null
