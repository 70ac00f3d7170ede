#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Taking /dev/strataN away: refused while it is open, unless forced; then all that was
# using it ends, and the disk goes with its last user.
# timeout: 300
. "$(dirname "$0")/../lib.sh"
require_cmd fio mkfs.ext4

not() { ! "$@"; }
live() { strata_get disks/blockdev.det live; }
gone() { [ "$(live)" = 0 ]; }

null=''
must mknull null size=64
must strata_mkdisk blockdev.det path="$null"

show() {
	strata_enable frontends/block.det || return
	dev=/dev/$(strata_get frontends/block.det device)
	wait_for 5 test -b "$dev"
}

must strata_make frontends/block.det disk@disks/blockdev.det
expect_errno ENODEV "no device before enable" strata_get frontends/block.det device
must show
is "it names its description" det "$(cat "/sys/block/${dev#/dev/}/strata/name")"
exec 7<"$dev"
expect_errno EBUSY "disable while open" strata_disable frontends/block.det
words=$(strata_get frontends/block.det last_error)
[[ $words == *"is open"*force_detach* ]]
is "and why: $words" 0 $?
is "it still works" 0 "$(dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none; echo $?)"
ok_if "force_detach while open" strata_set frontends/block.det force_detach=1
is "the frontend is off" 0 "$(strata_get frontends/block.det enable)"
[ ! -e "/sys/block/${dev#/dev/}" ]
is "the device is gone" 0 $?
is "the disk is held by the opener" 1 "$(live)"
expect_errno EBUSY "so it cannot be shown again" strata_enable frontends/block.det
is "what is open has no data any more" 0 "$(dd bs=4k count=1 status=none <&7 2>/dev/null | wc -c)"
exec 7<&-
ok_if "with the last opener the disk goes" wait_for 10 gone
must show
ok_if "and can be shown again" dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
ok_if "disable when nobody has it open" strata_disable frontends/block.det
is "takes the disk down at once" 0 "$(live)"

# jobs_run: each of them has the device open and something was done.
jobs_run() {
	[ "$(find /proc/[0-9]*/fd -lname "$dev" 2>/dev/null | wc -l)" -ge 4 ] &&
		[ "$(strata_get disks/blockdev.det stats | awk '$1 == "write" { print $2 }')" -gt 100 ]
}

# under_load IOSTATS: force it away from four busy jobs, which must all end.
under_load() {
	local pids=() i pid
	show || return
	echo "$1" >"/sys/block/${dev#/dev/}/queue/iostats"
	for i in 1 2 3 4; do
		(cd "$TMPDIR" && exec fio --name="j$i" --filename="$dev" --direct=$((i % 2)) \
			--allow_file_create=0 --ioengine=io_uring --iodepth=16 --rw=randrw --bs=4k \
			--time_based --runtime=600 --size=16m --thread --minimal 2>&1) &
		pids+=($!)
	done
	wait_for 100 jobs_run || { echo "the jobs do not run"; return 1; }
	strata_set frontends/block.det force_detach=1 || return
	for pid in "${pids[@]}"; do
		wait_for 60 not kill -0 "$pid" || return
	done
	wait_for 10 gone
}

for iostats in 1 0; do
	ok_if "forced under load, iostats $iostats: all jobs end, the disk goes" under_load $iostats
done

# A file system on it: writeback on the way out works, then it is shut down.
must show
must mkfs.ext4 -q "$dev"
mkdir -p "$TMPDIR/mnt"
must mount "$dev" "$TMPDIR/mnt"
cp "$0" "$TMPDIR/mnt/file"
expect_errno EBUSY "disable while mounted" strata_disable frontends/block.det
ok_if "force_detach while mounted" strata_set frontends/block.det force_detach=1
ok_if "umount" umount "$TMPDIR/mnt"
ok_if "then the disk goes" wait_for 10 gone
must mount -o ro "$null" "$TMPDIR/mnt"
ok_if "what was written is there" cmp "$0" "$TMPDIR/mnt/file"
umount "$TMPDIR/mnt"

# The last close and the unloading of the module, close together
must show
exec 7<"$dev"
sleep 1000 &
holder=$!
exec 7<&-
must strata_set frontends/block.det force_detach=1
must strata_remove frontends/block.det
ok_if "the module stays with the opener" not rmmod strata_block
kill $holder
ok_if "and goes after it" wait_for 10 rmmod strata_block
ok_if "the disk went first" gone
