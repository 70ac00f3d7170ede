# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the tests here: a device whose writes are recorded by dm-log-writes.
#
#   log_start 16M; ... $logged is the device, log_mark NAME; log_stop
#   log_replay COMMAND      see replay.c; $target is the file it writes to
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

# shellcheck disable=SC2034 # the tests use them
_data='' _log='' target='' logged=''

log_start() {
	modprobe -q dm-log-writes
	mkloop _data "$1" && mkloop _log 512M || return
	mkdm logged "strata-log-$$" \
		"0 $(blockdev --getsz "$_data") log-writes $_data $_log" || return
	mkfile target "$1"
}

log_mark() { dmsetup message "strata-log-$$" 0 mark "$1"; }

# Stop recording; fails if the log was too small for all.
log_stop() {
	local entries highest
	sync
	read -r _ _ _ entries highest < <(dmsetup status "strata-log-$$")
	diag "$entries entries"
	dmsetup remove --retry "strata-log-$$" && [ "$highest" -lt $((512 * 2048 - 64)) ]
}

log_replay() { replay "$_log" "$target" "$1"; }
