# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by every selftest, which runs as root in the VM. The plan, the cleanup and the
# exit status come by themselves at the end.
#
#   . "$(dirname "$0")/../lib.sh"
#   strata_make disks/blockdev.a path=/dev/loop0
#   ok_if "it resolves" strata_enable disks/blockdev.a
#
# A test's file may say, each on a line of its own:
#   # timeout: 300       seconds, default 120; the lab kernel gets three times that
#   # kernel: lab        only there (or: stock)

set -u
export LC_ALL=C
strata=/sys/kernel/config/strata
: "${TMPDIR:=/tmp}" "${STRATA_KERNEL:=stock}"

# Starting a program takes a seventh of a second in the lab kernel: bash has these itself.
for _name in ln mkdir rm rmdir sleep; do
	enable -f "/usr/lib/bash/$_name" "$_name" || exit
done

# ---- KTAP ----

_results=0 _failures=0 _planned='' _cleanups=()
# One file for all of a test's commands: starting a program is what costs time here.
_output=$(mktemp)

diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

ktap_plan() { _planned=$1; echo "1..$1"; }
ok() { echo "ok $((++_results)) $*"; }
not_ok() { _failures=$((_failures + 1)); echo "not ok $((++_results)) $*"; }
skip() { echo "ok $((++_results)) $1 # SKIP ${2:-}"; }

# Nothing here can run: say why and leave.
skip_all() {
	echo "1..0 # SKIP $*"
	_planned=0
	exit 4
}

# ok_if DESCRIPTION COMMAND...: the command's output is shown only if it fails.
ok_if() {
	local description=$1 output status=0
	shift
	# Not in a subshell: the command may set variables and add cleanups.
	output=$_output
	"$@" >"$output" 2>&1 || status=$?
	if [ $status = 0 ]; then
		ok "$description"
	else
		diag "$* -> $status"
		diag "$(tail -n 20 "$output")"
		not_ok "$description"
	fi
	return $status
}

# is DESCRIPTION WANTED GOT
is() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		diag "wanted: $2"
		diag "got:    $3"
		not_ok "$1"
	fi
}

# A step without which the rest makes no sense.
must() {
	local status=0
	"$@" || status=$?
	[ $status = 0 ] && return
	diag "$* -> $status, giving up"
	not_ok "setup: $1"
	exit 1
}

require_cmd() {
	local cmd
	for cmd; do
		command -v "$cmd" >/dev/null || skip_all "no $cmd"
	done
}

# cleanup COMMAND...: run at the end, last one first, whatever happens.
cleanup() { _cleanups+=("$(printf '%q ' "$@")"); }

_finish() {
	local status=$? i
	trap - EXIT
	for ((i = ${#_cleanups[@]} - 1; i >= 0; i--)); do
		eval "${_cleanups[i]}" || diag "cleanup failed: ${_cleanups[i]}"
	done
	if [ $status != 0 ] && [ $status != 4 ] && [ $_failures = 0 ]; then
		not_ok "the test ran to its end (status $status)"
	fi
	[ -n "$_planned" ] || echo "1..$_results"
	[ $status != 4 ] || exit 4
	exit $((_failures > 0))
}
trap _finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# wait_for SECONDS COMMAND...: poll until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# ---- configfs ----
# ITEM is a path below /sys/kernel/config/strata, such as disks/file.a or
# frontends/block.b or disks/layered.c/0.ram.

# strata_make ITEM [ATTRIBUTE=VALUE | LINK@ITEM]...: removed at the end by itself.
strata_make() {
	local item=$1
	shift
	[ -d $strata ] || modprobe strata || return
	mkdir "$strata/$item" || return
	cleanup _unmake "$item"
	strata_set "$item" "$@"
}

strata_mkdisk() { strata_make "disks/$1" "${@:2}"; }

# strata_set ITEM [ATTRIBUTE=VALUE | LINK@ITEM]...
strata_set() {
	local item=$1 arg
	shift
	for arg; do
		case $arg in
		*=*) echo "${arg#*=}" >"$strata/$item/${arg%%=*}" || return ;;
		*@*) ln -s "$strata/${arg#*@}" "$strata/$item/${arg%%@*}" || return ;;
		*) diag "strata_set: '$arg'"; return 1 ;;
		esac
	done
}

# Without cat, for the same reason. An attribute has at least one line.
strata_get() {
	local line none=1
	while IFS= read -r line || [ -n "$line" ]; do
		printf '%s\n' "$line"
		none=0
	done <"$strata/$1/$2"
	return $none
}

strata_enable() {
	echo 1 >"$strata/$1/enable" && return
	strata_last_error "$1"
	return 1
}

strata_disable() { echo 0 >"$strata/$1/enable"; }

strata_last_error() { echo "last_error: $(strata_get "$1" last_error 2>/dev/null)"; }

# strata_mkblock NAME DISK: show a disk as a block device; its node comes in $blockdev.
strata_mkblock() {
	strata_make "frontends/block.$1" "disk@$2" || return
	strata_enable "frontends/block.$1" || return
	blockdev=/dev/$(strata_get "frontends/block.$1" device)
	wait_for 5 test -b "$blockdev"
}

# strata_remove ITEM: links and children first. Fails if a live object refuses.
strata_remove() {
	local dir=$strata/$1 sub
	[ -d "$dir" ] || return 0
	[ ! -e "$dir/enable" ] || echo 0 >"$dir/enable" || return
	for sub in "$dir"/*; do
		[ ! -L "$sub" ] || rm "$sub"
	done
	for sub in "$dir"/*/; do
		# Default groups cannot be removed and go with their parent.
		[ ! -d "$sub" ] || strata_remove "${sub#"$strata/"}" 2>/dev/null
	done
	rmdir "$dir"
}

# What a test removed by itself is no concern of the cleanup.
_unmake() { [ ! -d "$strata/$1" ] || strata_remove "$1"; }

# The words bash uses for an errno when a write, mkdir, ln or rmdir fails.
_errno_text() {
	case $1 in
	EPERM) echo 'Operation not permitted' ;;
	EINTR) echo 'Interrupted system call' ;;
	EALREADY) echo 'Operation already in progress' ;;
	ENOENT) echo 'No such file or directory' ;;
	EIO) echo 'Input/output error' ;;
	ENXIO) echo 'No such device or address' ;;
	E2BIG) echo 'Argument list too long' ;;
	EAGAIN) echo 'Resource temporarily unavailable' ;;
	ENOMEM) echo 'Cannot allocate memory' ;;
	EACCES) echo 'Permission denied' ;;
	ENOTBLK) echo 'Block device required' ;;
	EBUSY) echo 'Device or resource busy' ;;
	EEXIST) echo 'File exists' ;;
	EXDEV) echo 'Invalid cross-device link' ;;
	ENODEV) echo 'No such device' ;;
	ENOTDIR) echo 'Not a directory' ;;
	EISDIR) echo 'Is a directory' ;;
	EINVAL) echo 'Invalid argument' ;;
	ETXTBSY) echo 'Text file busy' ;;
	EFBIG) echo 'File too large' ;;
	ENOSPC) echo 'No space left on device' ;;
	EROFS) echo 'Read-only file system' ;;
	EMLINK) echo 'Too many links' ;;
	EDOM) echo 'Numerical argument out of domain' ;;
	ERANGE) echo 'Numerical result out of range' ;;
	ENAMETOOLONG) echo 'File name too long' ;;
	ENOSYS) echo 'Function not implemented' ;;
	ELOOP) echo 'Too many levels of symbolic links' ;;
	ENODATA) echo 'No data available' ;;
	EOVERFLOW) echo 'Value too large for defined data type' ;;
	EMEDIUMTYPE) echo 'Wrong medium type' ;;
	ENOKEY) echo 'Required key not available' ;;
	EKEYREVOKED) echo 'Key has been revoked' ;;
	ENOTSUP | EOPNOTSUPP) echo 'Operation not supported' ;;
	*) echo "unknown errno $1" ;;
	esac
}

# expect_errno ERRNO DESCRIPTION COMMAND...: it must fail, and so.
expect_errno() {
	local want description=$2 output status=0
	want=$(_errno_text "$1")
	output=$( ("${@:3}") 2>&1) || status=$?
	if [ $status != 0 ] && [[ $output == *"$want"* ]]; then
		ok "$description: $1"
	else
		diag "${*:3} -> $status: $output"
		not_ok "$description: $1"
	fi
}

# expect_refusal ERRNO REGEX ITEM DESCRIPTION: enabling must fail so, and last_error must
# say why in words that match.
expect_refusal() {
	local words
	expect_errno "$1" "$4" strata_enable "$3"
	words=$(strata_get "$3" last_error)
	if [[ $words =~ $2 ]]; then
		ok "$4: last_error: $words"
	else
		diag "wanted to match: $2"
		not_ok "$4: last_error: $words"
	fi
}

# ---- things to stack on ----
# Each puts its device into the variable named first and takes it away at the end.

# mkloop VARIABLE SIZE [LOSETUP ARGUMENTS]...: on a tmpfs file, which is $VARIABLE_file.
mkloop() {
	local _file _device
	_file=$(mktemp "$TMPDIR/loop.XXXXXX") || return
	truncate -s "$2" "$_file"
	modprobe -q loop
	_device=$(losetup -f --show "${@:3}" "$_file") || return
	cleanup _unloop "$_device" "$_file"
	printf -v "$1" %s "$_device"
	printf -v "$1_file" %s "$_file"
}

_unloop() {
	! losetup "$1" >/dev/null 2>&1 || losetup -d "$1" || return
	rm -f "$2"
}

# mknull VARIABLE [ATTRIBUTE=VALUE]...: null_blk, by default 256 MiB backed by memory.
mknull() {
	local _dir _arg _n=0
	[ -d /sys/kernel/config/nullb ] || modprobe null_blk nr_devices=0 || return
	while ! mkdir "/sys/kernel/config/nullb/nullb$_n" 2>/dev/null; do
		[ $((++_n)) -lt 64 ] || return 1
	done
	_dir=/sys/kernel/config/nullb/nullb$_n
	cleanup _unnull "$_dir"
	for _arg in size=256 memory_backed=1 blocksize=512 "${@:2}" power=1; do
		echo "${_arg#*=}" >"$_dir/${_arg%%=*}" || return
	done
	printf -v "$1" %s "/dev/nullb$_n"
}

_unnull() { [ ! -d "$1" ] || { echo 0 >"$1/power" && rmdir "$1"; }; }

# mkbrd VARIABLE MIB: the one RAM disk.
mkbrd() {
	modprobe brd rd_nr=1 rd_size=$(($2 * 1024)) || return
	cleanup wait_for 5 modprobe -r brd
	printf -v "$1" %s /dev/ram0
}

# mkdm VARIABLE NAME TABLE
mkdm() {
	dmsetup create "$2" --table "$3" || return
	cleanup _undm "$2"
	printf -v "$1" %s "/dev/mapper/$2"
}

_undm() { ! dmsetup info "$1" >/dev/null 2>&1 || dmsetup remove --retry "$1"; }

# udev_start [RULES]...: no udevd runs in the VM unless a test wants links made.
udev_start() {
	mkdir -p /run/udev/rules.d
	[ $# = 0 ] || cp "$@" /run/udev/rules.d/ || return
	/lib/systemd/systemd-udevd --daemon --resolve-names=never >/dev/null 2>&1 || return
	cleanup pkill -x systemd-udevd
}

# Record the kernel's uevents: uevents_start; ...; wait_for 5 uevents_seen RESIZE=1 strata0
uevents_start() {
	uevents=$(mktemp)
	udevadm monitor --kernel --property >"$uevents" 2>/dev/null &
	cleanup kill $!
	wait_for 10 grep -q 'KERNEL - ' "$uevents"
}

# uevents_seen PROPERTY DEVICE: one event has both.
uevents_seen() {
	awk -v RS='' -v property="$1" -v device="DEVNAME=/dev/$2" '
		index("\n" $0 "\n", "\n" property "\n") && index("\n" $0 "\n", "\n" device "\n") { n++ }
		END { exit !n }' "$uevents"
}
