#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# The size below is the size above, also under load.
. "$(dirname "$0")/common.sh"
require_cmd losetup

# size_is SECTORS
size_is() { [ "$(blockdev --getsz "$dev")" = "$1" ]; }
loop='' loop_file=''
# shellcheck disable=SC2154
resize() { truncate -s "$1" "$loop_file" && losetup -c "$loop"; }

must mkloopcrypt c 16M
must show dev c disks/crypt.c
: "${dev:?}"
is "its size is that below" 32768 "$(blockdev --getsz "$dev")"
must model -f -S "$TMPDIR/state.$$" "$dev" >/dev/null
cleanup rm -f "$TMPDIR/state.$$"
must resize 24M
ok_if "it grows" wait_for 5 size_is 49152
is "and says so" 49152 "$(strata_get disks/crypt.c sector_count)"
ok_if "what was there is there" model -v -l 16M -S "$TMPDIR/state.$$" "$dev"
ok_if "what is new can be written" dd if=/dev/urandom of="$dev" bs=1M seek=23 count=1 oflag=direct status=none
must resize 8M
ok_if "it shrinks" wait_for 5 size_is 16384
expect_errno ENOSPC "what is gone cannot be written" \
	dd if=/dev/zero of="$dev" bs=1M seek=8 count=1 oflag=direct status=none
ok_if "the rest is there" model -v -l 8M -S "$TMPDIR/state.$$" "$dev"

flap() {
	while [ ! -e "$TMPDIR/stop.$$" ]; do
		resize 20M && resize 12M && resize 9M && resize 16M || return
	done
}
cleanup rm -f "$TMPDIR/stop.$$"
flap &
flapper=$!
ok_if "I/O in front of the end does not notice" model -n "$(pick 3000 1000)" -l 8M -u ignored \
	-S "$TMPDIR/state.$$" "$dev"
touch "$TMPDIR/stop.$$"
wait $flapper
is "no resize failed" 0 $?
must resize 16M
ok_if "the last size stands" wait_for 5 size_is 32768
