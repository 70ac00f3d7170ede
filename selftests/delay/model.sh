#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Delays against the model: none, some, one that changes all the time, and sizes that do.
. "$(dirname "$0")/../common.sh"

item=disks/delay.d
must mkloop loop 8M
must strata_mkdisk blockdev.b "path=${loop:?}"
must strata_mkdisk delay.d disk@disks/blockdev.b
compare "no delay" delay.d 2000
must strata_set $item delay_us=300
compare "300 us" delay.d 1500 -F

flap() {
	while [ ! -e "$TMPDIR/stop.$$" ]; do
		for us in 0 50 5000 1 20000 400; do
			echo $us >"$strata/$item/delay_us" || return
		done
	done
}
cleanup rm -f "$TMPDIR/stop.$$"
# Live all the time, as nothing can be stored while it goes up or down
must strata_enable $item
flap &
flapper=$!
compare "a delay that changes all the time" delay.d 2000 -F
touch "$TMPDIR/stop.$$"
wait $flapper
is "no store failed" 0 $?
must strata_disable $item

# shellcheck disable=SC2154
mkhook "truncate -s \"\$2\" $loop_file && losetup -c $loop"
must strata_set $item delay_us=200
compare "a device below that is resized" delay.d 1600 -r 8 -R 1M:12M -x "$hook" -F
