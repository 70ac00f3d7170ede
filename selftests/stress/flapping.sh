#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# The size changes all the time under load. I/O in the part that is always there never
# notices; the rest gets errors or zeroes, never old data, and nothing hangs.
. "$(dirname "$0")/../common.sh"

require_cmd fio
seconds=$(pick 5 15)

# flap COMMAND-WITH-SIZE: until stopped
flap() {
	while [ ! -e "$TMPDIR/stop.$$" ]; do
		"$1" 8M && "$1" 24M && "$1" 12M && "$1" 20M || return
	done
}
cleanup rm -f "$TMPDIR/stop.$$" "$TMPDIR/fio.$$"

# survives NAME DISK RESIZE
survives() {
	local dev load flapper
	must show dev "$1" "disks/$2"
	must "$3" 24M
	wait_for 5 eval "[ \$(blockdev --getsz $dev) = 49152 ]"
	rm -f "$TMPDIR/stop.$$"
	flap "$3" &
	flapper=$!
	fio --name=end --filename="$dev" --thread --direct=1 --ioengine=libaio --iodepth=8 --rw=randrw \
		--bs=16k --offset=8M --size=16M --time_based --runtime="$seconds" \
		--continue_on_error=all --output="$TMPDIR/fio.$$" &
	load=$!
	ok_if "$1: I/O in front of the end" model -n "$(pick 4000 2000)" -l 8M "$dev"
	wait $load
	touch "$TMPDIR/stop.$$"
	wait $flapper
	is "$1: no resize failed" 0 $?
	must "$3" 24M
	ok_if "$1: the last size stands" wait_for 10 eval "[ \$(blockdev --getsz $dev) = 49152 ]"
	ok_if "$1: all of it can be read" dd if="$dev" of=/dev/null bs=1M iflag=direct status=none
	must "$3" 8M
	ok_if "$1: and cut off" wait_for 10 eval "[ \$(blockdev --getsz $dev) = 16384 ]"
	must "$3" 24M
	ok_if "$1: and put on" wait_for 10 eval "[ \$(blockdev --getsz $dev) = 49152 ]"
	is "$1: which reads zero" 0 \
		"$(dd if="$dev" bs=1M skip=8 iflag=direct status=none | tr -d '\0' | wc -c)"
	strata_remove "frontends/block.$1"
}

must mkmem m 24M
resize_mem() { echo "$1" >"$strata"/disks/layered.m/0.ram/size; }
survives mem layered.m resize_mem

must mkloop base 24M
# shellcheck disable=SC2154
resize_loop() { truncate -s "$1" "$base_file" && losetup -c "$base"; }
must strata_mkdisk blockdev.b "path=$base"
must mkmemdiff d blockdev.b
survives memdiff layered.d resize_loop

must strata_mkdisk layered.c
must mkchild disks/layered.c/0.ram
must mkchild disks/layered.c/1.ram read_cache=1
must mkchild disks/layered.c/2.disk disk@disks/blockdev.b
survives cached layered.c resize_loop
