#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The device below disappears, idle and under load: every I/O ends, new ones fail, and all
# can be taken down.
# timeout: 300
. "$(dirname "$0")/../common.sh"
. "$(dirname "$0")/../file/fs.sh"
require_cmd fio mkfs.ext4 fsfreeze

# Take the device away.
pull() { echo 1 >"/sys/block/${disk#/dev/}/device/delete"; }

# A new SCSI disk, in $disk
mkscsi() {
	modprobe -q sd_mod
	modprobe scsi_debug dev_size_mb=64 || return
	wait_for 10 find_scsi disk
}

rmscsi() { [ ! -d /sys/module/scsi_debug ] || wait_for 10 modprobe -r scsi_debug; }

size_is() { [ "$(blockdev --getsz "$1" 2>/dev/null)" = "$2" ]; }
not() { ! "$@"; }

modinfo scsi_debug >/dev/null 2>&1 || skip_all "no scsi_debug"
cleanup rmscsi
must strata_make disks/blockdev.dead
must strata_make frontends/block.dead disk@disks/blockdev.dead

disk=''
must mkscsi
must strata_set disks/blockdev.dead path="$disk"
must strata_enable frontends/block.dead
dev=/dev/$(strata_get frontends/block.dead device)
must dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
must pull
ok_if "idle: the device is marked dead" wait_for 5 size_is "$dev" 0
is "no data comes from it" 0 "$(dd if="$dev" bs=4k count=1 status=none 2>/dev/null | wc -c)"
expect_errno ENOSPC "and none goes to it" dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none
ok_if "it can be disabled" strata_disable frontends/block.dead
expect_errno ENOENT "and not be enabled again" strata_enable frontends/block.dead
ok_if "the driver lets go" rmscsi

# A stack that is made when it is gone already
must mkscsi
must strata_set disks/blockdev.dead path="$disk"
must strata_enable disks/blockdev.dead
must mkmemdiff late blockdev.dead
must strata_make frontends/block.late disk@disks/layered.late
must pull
refused_late() { ! strata_enable frontends/block.late || { strata_disable frontends/block.late; return 1; }; }
ok_if "held: nothing can be built on it" wait_for 5 refused_late
expect_refusal ENODEV 'what backs layered\.late is gone' frontends/block.late "held: in words"
must strata_remove frontends/block.late
must strata_remove disks/layered.late
must strata_disable disks/blockdev.dead
ok_if "held: the driver lets go" rmscsi

# load DEVICE: jobs that would not end by themselves, in $pids. They run when this returns.
load() {
	local i
	pids=()
	for i in 1 2 3 4; do
		(cd "$TMPDIR" && exec fio --name="j$i" --filename="$1" --direct=$((i % 2)) \
			--allow_file_create=0 --ioengine=io_uring --iodepth=16 --rw=randrw --bs=4k \
			--time_based --runtime=600 --size=16m --thread >/dev/null 2>&1) &
		pids+=($!)
	done
	wait_for 100 jobs_run "$1" "$(done_by)"
}

# Writes so far of the device below
done_by() { awk '{ print $5 }' "/sys/block/${disk#/dev/}/stat"; }

jobs_run() {
	[ "$(find /proc/[0-9]*/fd -lname "$1" 2>/dev/null | wc -l)" -ge 4 ] &&
		[ $(($(done_by) - $2)) -gt 100 ]
}

all_ended() {
	local pid
	for pid in "${pids[@]}"; do
		wait_for 60 not kill -0 "$pid" || return
	done
}

for iostats in 1 0; do
	must mkscsi
	must strata_set disks/blockdev.dead path="$disk"
	must strata_enable frontends/block.dead
	dev=/dev/$(strata_get frontends/block.dead device)
	must wait_for 5 test -b "$dev"
	echo $iostats >"/sys/block/${dev#/dev/}/queue/iostats"
	must load "$dev"
	must pull
	ok_if "iostats $iostats, under load: all jobs end" all_ended
	ok_if "it is marked dead" wait_for 5 size_is "$dev" 0
	is "nothing in flight" 0 "$(awk '{ print $9 }' "/sys/block/${dev#/dev/}/stat")"
	ok_if "it can be disabled" wait_for 10 strata_disable frontends/block.dead 2>/dev/null
	ok_if "the driver lets go" rmscsi
done

# While a stack is made: a frozen file system below another disk of it holds that up.
held_up() { grep -q percpu_rwsem "/proc/$1/stack"; }
dir=
must mkfs_at dir ext4 64
must mkimage "$dir/image" 16
must strata_mkdisk file.dead "path=$dir/image"
must strata_mkdisk layered.dead
must strata_make disks/layered.dead/0.disk disk@disks/blockdev.dead write_through=1
must strata_make disks/layered.dead/1.disk disk@disks/file.dead
must mkscsi
must strata_set disks/blockdev.dead path="$disk"
must fsfreeze -f "$dir"
cleanup sh -c "fsfreeze -u '$dir' 2>/dev/null || :"
(strata_enable disks/layered.dead >"$TMPDIR/words"; echo $? >>"$TMPDIR/words") 2>/dev/null &
enabler=$!
ok_if "a stack is being made" wait_for 10 held_up $enabler
must pull
must fsfreeze -u "$dir"
wait $enabler
is "the device goes meanwhile: refused" 1 "$(tail -n 1 "$TMPDIR/words")"
ok_if "and why" grep -q "$disk is gone" "$TMPDIR/words"
is "nothing of it is live" 00 \
	"$(strata_get disks/blockdev.dead live)$(strata_get disks/file.dead live)"
ok_if "the driver lets go" rmscsi

# One strata on another: removal climbs both.
must mkscsi
must strata_set disks/blockdev.dead path="$disk"
must strata_enable frontends/block.dead
dev=/dev/$(strata_get frontends/block.dead device)
must wait_for 5 test -b "$dev"
must strata_mkdisk blockdev.upper path="$dev"
must strata_mkblock upper disks/blockdev.upper
upper=$blockdev
must load "$upper"
must pull
ok_if "a pile of two: all jobs end" all_ended
ok_if "the upper one is dead" wait_for 5 size_is "$upper" 0
ok_if "the upper one can be removed" wait_for 10 strata_remove frontends/block.upper
ok_if "and its disk" wait_for 10 strata_remove disks/blockdev.upper
ok_if "and the lower one" wait_for 10 strata_disable frontends/block.dead
