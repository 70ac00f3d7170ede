#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# Flush and FUA reach the block device below, alone and under a RAM layer that is written
# through: every state the device may be found in after a crash is a sound file system with
# all that was synced.
. "$(dirname "$0")/log.sh"
. "$(dirname "$0")/workload.sh"

work=$TMPDIR/work.$$
cleanup rm -rf "$work"

# crash NAME DISK: an ext4 on the disk, whose device is $logged
crash() {
	local dev
	rm -rf "$work"
	must mkdir "$work"
	must show dev "$1" "disks/$2"
	ok_if "$1: a file system, written and synced" ext4_work "$dev" "$work"
	must strata_disable "frontends/block.$1"
	ok_if "$1: all of it was recorded" log_stop
	ok_if "$1: sound at every flush, complete at every mark" \
		log_replay "$(dirname "$0")/check_ext4 $target $work $(pick 1 5) -"
	ok_if "$1: at more than 10 flushes" test "$(wc -l <"$work/flushes")" -gt 10
	is "$1: at all marks" 8 "$(wc -l <"$work/marks")"
}

must log_start 12M
must strata_mkdisk blockdev.alone "path=$logged"
crash alone blockdev.alone

must log_start 12M
must strata_mkdisk blockdev.b "path=$logged"
must strata_mkdisk layered.through
must mkchild disks/layered.through/0.ram write_through=1
must mkchild disks/layered.through/1.disk disk@disks/blockdev.b
crash through layered.through
