#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# What fsync and O_DSYNC promise, to the sector: the device below has it when they return,
# and it would be missed if it had not.
. "$(dirname "$0")/log.sh"

work=$TMPDIR/work.$$
cleanup rm -rf "$work"

# The command of replay, a mark at a time
cat_check() {
	cat <<-'EOS'
	#!/bin/bash
	# check TARGET DIRECTORY MODEL flush|mark NAME
	[ "$4" = mark ] || exit 0
	echo "$5" >>"$2/marks"
	case $5 in
	synced) "$3" -v -S "$2/state" "$1" ;;
	dsync) cmp -n 65536 -i 0:1048576 "$2/dsync" "$1" ;;
	lost) ! cmp -s -n 65536 -i 0:2097152 "$2/lost" "$1" ;;
	found) cmp -n 65536 -i 0:2097152 "$2/lost" "$1" ;;
	esac
	EOS
}

# promises NAME DISK
promises() {
	local dev
	rm -rf "$work"
	must mkdir "$work"
	cat_check >"$work/check"
	must head -c 65536 /dev/urandom >"$work/dsync"
	must head -c 65536 /dev/urandom >"$work/lost"
	must show dev "$1" "disks/$2"

	# dm-log-writes records a FUA write ahead of plain ones that were done before it,
	# so the two may not overlap.
	must model -d -n 400 -u ignored -S "$work/state" "$dev"
	must sync "$dev"
	must log_mark synced
	must dd if="$work/dsync" of="$dev" bs=16K seek=64 oflag=direct,dsync conv=notrunc status=none
	must log_mark dsync
	must dd if="$work/lost" of="$dev" bs=16K seek=128 oflag=direct conv=notrunc status=none
	must log_mark lost
	must sync "$dev"
	must log_mark found
	must strata_disable "frontends/block.$1"
	must log_stop
	ok_if "$1: fsync and O_DSYNC keep what they promise" \
		log_replay "bash $work/check $target $work $_selftests/model/model"
	is "$1: at all marks" "synced dsync lost found" "$(head -n 4 "$work/marks" | xargs)"
}

must log_start 8M
must strata_mkdisk blockdev.b "path=$logged"
promises blockdev blockdev.b

must log_start 8M
must strata_mkdisk blockdev.t "path=$logged"
must strata_mkdisk layered.t
must mkchild disks/layered.t/0.ram write_through=1
must mkchild disks/layered.t/1.disk disk@disks/blockdev.t
promises write_through layered.t
