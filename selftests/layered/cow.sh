#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# Copy-on-write: memory follows what is written, the base never changes, and what was
# written is gone with the disk.
. "$(dirname "$0")/../common.sh"

# cow TYPE PATH: memdiff over a disk of that type
cow() {
	local type=$1 base=$2 ram=disks/layered.$1/0.ram state=$TMPDIR/state.$1 before dev
	cleanup rm -f "$state" "$state.base"
	must model -f -S "$state.base" "$base"
	cp "$state.base" "$state"
	before=$(checksum "$base")
	must strata_mkdisk "$type.base" "path=$base"
	must mkmemdiff "$type" "$type.base"
	must show dev "$type" "disks/layered.$type"

	ok_if "$type: the disk shows the base" model -v -S "$state" "$dev"
	is "$type: reading takes no memory" 0 "$(strata_get "$ram" committed)"
	ok_if "$type: random I/O" model -n 1500 -S "$state" "$dev"
	is "$type: the base has not changed" "$before" "$(checksum "$base")"
	ok_if "$type: memory is taken" test "$(strata_get "$ram" committed)" -gt 0
	must blkdiscard "$dev"
	ok_if "$type: and given back by a discard" test "$(strata_get "$ram" committed)" -lt 4096
	is "$type: which hides the base" 0 "$(tr -d '\0' <"$dev" | wc -c)"
	is "$type: and does not reach it" "$before" "$(checksum "$base")"
	is "$type: nothing but reads ever did" "write 0 flush 0 discard 0 write_zeroes 0" "$(
		strata_get "disks/$type.base" stats |
			awk 'NF == 4 && $1 != "read" { printf "%s%s %s", s, $1, $2; s = " " }')"

	must strata_disable "frontends/block.$type"
	must strata_enable "frontends/block.$type"
	dev=/dev/$(strata_get "frontends/block.$type" device)
	ok_if "$type: enabled again, it shows the base" model -v -S "$state.base" "$dev"
}

must mkfile image 8M
must mkloop dev 8M
cow file "${image:?}"
cow blockdev "${dev:?}"
