# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the tests here: fault injection of the lab kernel.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

_debug=/sys/kernel/debug
_kinds=(failslab fail_page_alloc fail_make_request fail_usercopy)

# Any allocation may fail, none is to be told of
faults_quiet() {
	local kind
	for kind in "${_kinds[@]}"; do
		echo 0 >"$_debug/$kind/verbose"
		echo 0 >"$_debug/$kind/probability"
		echo -1 >"$_debug/$kind/times"
	done
	for kind in failslab fail_page_alloc; do
		echo N >"$_debug/$kind/ignore-gfp-wait"
	done
	echo N >$_debug/fail_page_alloc/ignore-gfp-highmem
	echo 0 >$_debug/fail_page_alloc/min-order
}

# faults_random KIND PERCENT: whatever our modules ask for, on any task
faults_random() {
	local first last text
	text=$(cat /sys/module/strata*/sections/.text | sort)
	first=${text%%$'\n'*} last=${text##*$'\n'}
	echo "$first" >"$_debug/$1/require-start"
	printf '0x%x\n' $((last + 0x100000)) >"$_debug/$1/require-end"
	echo "$2" >"$_debug/$1/probability"
}

faults_stop() {
	local kind
	for kind in "${_kinds[@]}"; do
		echo 0 >"$_debug/$kind/probability"
		echo 0 >"$_debug/$kind/require-start"
		echo 0xffffffffffffffff >"$_debug/$kind/require-end"
	done
}

# every DESCRIPTION AT-LEAST OPERATION...: each fault in turn, see fail_nth.c; there must
# be a number of them.
every() {
	local log=$TMPDIR/faults.$$ faults
	cleanup rm -f "$log"
	if fail_nth "${@:3}" >"$log" 2>&1; then
		cat "$log"
		faults=$(sed -n 's/.*: faults \([0-9]*\) .*/\1/p' "$log")
		ok_if "$1: $faults faults in turn" test "$faults" -ge "$2"
	else
		cat "$log"
		not_ok "$1: faults in turn"
	fi
}
