#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
# kernel: lab
# Allocations and devices that fail under I/O: an error or none, never wrong data.
. "$(dirname "$0")/inject.sh"

must faults_quiet
cleanup faults_stop
state=$TMPDIR/state.$$
cleanup rm -f "$state" "$state.base"

must mkmem m 8M
must mkfile image 8M
must mkloop base 8M
must model -f -S "$state.base" "${base:?}"
must model -f "${image:?}"
must strata_mkdisk blockdev.b "path=$base"
must strata_mkdisk file.f "path=$image"
must mkmemdiff d blockdev.b

# in_turn NAME DISK: one operation at a time, each fault
in_turn() {
	local dev op
	must show dev "$1" "disks/$2"
	for op in read write; do
		every "$1: $op" 1 $op "$dev" 4096 262144
	done
	every "$1: write elsewhere" 1 write "$dev" 2097152 1048576
	[ "$(strata_get "disks/$2" unmap)" = ignored ] ||
		every "$1: discard" 0 discard "$dev" 65536 65536
	every "$1: zeroes" 0 zero "$dev" 8192 65536
	every "$1: flush" 0 flush "$dev"
	strata_remove "frontends/block.$1"
}
in_turn mem layered.m
in_turn memdiff layered.d
in_turn file file.f

# under NAME DISK KIND PERCENT: random ones, in all tasks, while the model compares
under() {
	local dev log=$TMPDIR/model.$$
	cleanup rm -f "$log"
	must show dev "$1" "disks/$2"
	must faults_random "$3" "$4"
	ok_if "$1: random I/O under $3" eval "model -e -n 2000 -b 256K -u '$(
		strata_get "disks/$2" unmap)' -S '$state' '$dev' >'$log' 2>&1 || { cat '$log'; false; }"
	faults_stop
	diag "$(tail -n 1 "$log")"
	ok_if "$1: afterwards all is right" model -v -S "$state" "$dev"
	strata_remove "frontends/block.$1"
}

# Start from zeroes, or from the base
must blkdiscard -z "$base"
for kind in failslab fail_page_alloc; do
	rm -f "$state"
	under "mem" layered.m $kind 5
	rm -f "$state"
	under "memdiff" layered.d $kind 5
done
must truncate -s 0 "$image"
must truncate -s 8M "$image"
rm -f "$state"
under file file.f failslab 5

# A device that fails every tenth bio
echo 1 >"/sys/block/${base#/dev/}/make-it-fail"
cleanup eval "echo 0 >/sys/block/${base#/dev/}/make-it-fail"
errors() { sed -n 's/.*errors \([0-9]*\)$/\1/p' "$TMPDIR/model.$$"; }
for disk in layered.d blockdev.b; do
	rm -f "$state"
	must blkdiscard -z "$base"
	echo 10 >/sys/kernel/debug/fail_make_request/probability
	must show dev dev "disks/$disk"
	: "${dev:?}"
	log=$TMPDIR/model.$$
	ok_if "$disk: random I/O over a device that fails" eval "model -e -n 2000 -b 256K \
		-u '$(strata_get disks/$disk unmap)' -S '$state' '$dev' >'$log' 2>&1 || { cat '$log'; false; }"
	echo 0 >/sys/kernel/debug/fail_make_request/probability
	diag "$(tail -n 1 "$log")"
	ok_if "$disk: which did fail" test "$(errors)" -gt 10
	ok_if "$disk: afterwards all is right" model -v -S "$state" "$dev"
	strata_remove frontends/block.dev
done
