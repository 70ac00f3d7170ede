# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by tests instead of lib.sh: stacks that several of them build, and the
# C programs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

_selftests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
model() { "$_selftests/model/model" "$@"; }
replay() { "$_selftests/durability/replay" "$@"; }
fail_nth() { "$_selftests/faults/fail_nth" "$@"; }

[ "$STRATA_KERNEL" != lab ] || lab=1

# pick STOCK LAB: the lab kernel is several times slower
pick() { [ -z "${lab:-}" ] && echo "$1" || echo "$2"; }

# mkchild ITEM [ATTRIBUTE=VALUE | LINK@ITEM]...: goes with its parent.
mkchild() { mkdir "$strata/$1" && strata_set "$@"; }

# mkmem NAME SIZE [ATTRIBUTE=VALUE]...: a RAM disk, disks/layered.NAME.
mkmem() {
	strata_mkdisk "layered.$1" &&
		mkchild "disks/layered.$1/0.ram" "size=$2" "${@:3}"
}

# mkmemdiff NAME BELOW [ATTRIBUTE=VALUE]...: a RAM layer over disks/BELOW.
mkmemdiff() {
	strata_mkdisk "layered.$1" &&
		mkchild "disks/layered.$1/0.ram" "${@:3}" &&
		mkchild "disks/layered.$1/1.disk" "disk@disks/$2"
}

# mkstriped NAME [MEMBER | ATTRIBUTE=VALUE]...: disks/striped.NAME over disks/MEMBER...
mkstriped() {
	local item=disks/striped.$1 i=0 arg
	strata_make "$item" || return
	for arg in "${@:2}"; do
		case $arg in
		*=*) strata_set "$item" "$arg" ;;
		*) mkchild "$item/$((i++))" "disk@disks/$arg" ;;
		esac || return
	done
}

# mkfile VARIABLE SIZE: an empty image on the tmpfs
mkfile() {
	local _file
	_file=$(mktemp "$TMPDIR/image.XXXXXX") && truncate -s "$2" "$_file" || return
	cleanup rm -f "$_file"
	printf -v "$1" %s "$_file"
}

# Show a disk as a block device without the node's name being of interest:
# show VARIABLE NAME DISK
show() {
	strata_mkblock "$2" "$3" && printf -v "$1" %s "$blockdev"
}

# The committed memory of a layer, in sectors of the disk
committed() {
	local bytes
	bytes=$(strata_get "disks/$1" committed) && echo $((bytes / ${2:-512}))
}

# checksum FILE: of what is there, not in the page cache of a device
checksum() { dd if="$1" bs=1M iflag=direct status=none | md5sum | cut -d' ' -f1; }

# Starting a program takes a seventh of a second in the lab kernel, so what is done often
# does without.

# attr ITEM ATTRIBUTE: its value, into $REPLY
attr() {
	# There is no NUL, so it reads to the end, and fails there.
	IFS= read -r -d '' REPLY <"$strata/$1/$2"
	REPLY=${REPLY%$'\n'}
}

# says ITEM ATTRIBUTE=VALUE...
says() {
	local item=$1 arg got=()
	shift
	for arg; do
		attr "$item" "${arg%%=*}"
		got+=("${arg%%=*}=$REPLY")
	done
	is "$item says $*" "$*" "${got[*]}"
}

# refused ERRNO REGEX ITEM DESCRIPTION COMMAND...: the command fails so, and the item's
# last_error says why in words that match.
refused() {
	expect_errno "$1" "$4" "${@:5}"
	attr "$3" last_error
	REPLY=${REPLY//$'\n'/ }
	if [[ $REPLY =~ $2 ]]; then
		ok "$4: in words: ${REPLY:0:120}"
	else
		diag "wanted to match: $2"
		not_ok "$4: in words: $REPLY"
	fi
}

# store ITEM ATTRIBUTE VALUE: in one piece; bash's own echo writes line by line.
store() {
	case $3 in
	*$'\n'*) env printf '%s\n' "$3" >"$strata/$1/$2" ;;
	*) echo "$3" >"$strata/$1/$2" ;;
	esac
}

# bad_value ERRNO REGEX ITEM ATTRIBUTE VALUE: the store is refused, the old value stays.
bad_value() {
	local before
	attr "$3" "$4"
	before=$REPLY
	refused "$1" "$2" "$3" "$4 = ${5@Q}" store "$3" "$4" "$5"
	attr "$3" "$4"
	is "$4 keeps its value" "$before" "$REPLY"
}

# compare DESCRIPTION DISK OPERATIONS [MODEL OPTION]...: show the disk, and compare it with
# the model under random I/O.
compare() {
	local dev log=$TMPDIR/model.$$
	cleanup rm -f "$log"
	if ! show dev compare "disks/$2"; then
		not_ok "$1: it cannot be shown"
		return
	fi
	if model -n "$3" -u "$(strata_get "disks/$2" unmap)" "${@:4}" "$dev" >"$log" 2>&1; then
		diag "$(tail -n 1 "$log")"
		ok "$1"
	else
		cat "$log"
		not_ok "$1"
	fi
	strata_remove frontends/block.compare
}

# mkhook COMMAND: a script for model -x in $hook; in COMMAND, "$2" is the size wanted
mkhook() {
	hook=$TMPDIR/hook.$$
	printf '#!/bin/sh\n%s\n' "$1" >"$hook"
	chmod 755 "$hook"
	cleanup rm -f "$hook"
}

# load DEVICE [FIO OPTION]...: random I/O in the background until an error. $load is its
# pid, $load_log what it says, and $load_log.status its exit status.
load() {
	load_log=$TMPDIR/load.$$
	cleanup rm -f "$load_log" "$load_log.status"
	(
		fio --name=load --filename="$1" --thread --direct=1 --ioengine=io_uring --iodepth=16 \
			--rw=randrw --bs=4k --time_based --runtime=100 --output="$load_log" "${@:2}"
		echo $? >"$load_log.status"
	) >/dev/null 2>&1 &
	# shellcheck disable=SC2034 # for the test
	load=$!
	wait_for 30 _busy "$1"
}
_busy() { [ "$(awk '{ print $1 + $5 }' "/sys/block/${1#/dev/}/stat")" -gt 50 ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }

# Questions for wait_for and ok_if
has_sectors() { [ "$(blockdev --getsz "$1" 2>/dev/null)" = "$2" ]; }
is_down() { [ "$(strata_get "disks/$1" live)" = 0 ]; }
not_unloaded() { ! modprobe -r "$1" 2>/dev/null; }

# find_scsi VARIABLE: the disk of scsi_debug
find_scsi() {
	local _d
	for _d in /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/sd*; do
		[ -b "/dev/${_d##*/}" ] && printf -v "$1" %s "/dev/${_d##*/}"
		return
	done
}
