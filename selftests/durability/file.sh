#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# Flush and FUA of a file disk reach the device that the file's file system is on: after a
# crash both the outer file system and the one in the file are sound, and all that was
# synced is there.
. "$(dirname "$0")/log.sh"
. "$(dirname "$0")/workload.sh"

work=$TMPDIR/work.$$ outer=$TMPDIR/outer.$$
cleanup rm -rf "$work"
must mkdir "$work" "$outer"
cleanup rmdir "$outer"

must log_start 24M
must mkfs.ext4 -q -b 1024 -J size=1 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$logged"
must mount "$logged" "$outer"
cleanup eval "! mountpoint -q $outer || umount $outer"
must dd if=/dev/zero of="$outer/image" bs=1M count=12 conv=fsync status=none
must strata_mkdisk file.f "path=$outer/image"
must show dev f disks/file.f
ok_if "a file system in a file, written and synced" ext4_work "${dev:?}" "$work"
must strata_disable frontends/block.f
must umount "$outer"
ok_if "all of it was recorded" log_stop
ok_if "both sound at every flush, complete at every mark" \
	log_replay "$(dirname "$0")/check_ext4 $target $work $(pick 6 12) image"
ok_if "at more than 10 flushes" test "$(wc -l <"$work/flushes")" -gt 10
is "at all marks" 8 "$(wc -l <"$work/marks")"
