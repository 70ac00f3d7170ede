#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# Copy-on-write disks against the model, over each kind of base, none of which may change.
. "$(dirname "$0")/../common.sh"

state=$TMPDIR/state.$$
cleanup rm -f "$state" "$state.base"

# over NAME TYPE PATH OPERATIONS [MODEL OPTION]...
over() {
	local before
	must model -f -S "$state.base" "$3" >/dev/null
	before=$(checksum "$3")
	must strata_mkdisk "$2.$1" "path=$3"
	must mkmemdiff "$1" "$2.$1"
	cp "$state.base" "$state"
	compare "memdiff over $1" "layered.$1" "$4" -S "$state" "${@:5}"
	is "$1 has not changed" "$before" "$(checksum "$3")"
	rm -f "$state.base"
}

must mkfile image 12M
over file file "${image:?}" 10000
must mkloop loop 12M
over loop blockdev "${loop:?}" 10000
must mkloop loop4k 12M -b 4096
over loop4k blockdev "${loop4k:?}" 8000
must mknull null size=12 memory_backed=1
over null_blk blockdev "${null:?}" 8000
must mkbrd brd 12
over brd blockdev "${brd:?}" 8000

# The base grows and shrinks in between
must mkloop live 8M
# shellcheck disable=SC2154
mkhook "truncate -s \"\$2\" $live_file && losetup -c $live"
must model -f -S "$state.base" "$live" >/dev/null
must strata_mkdisk blockdev.live "path=$live"
must mkmemdiff live blockdev.live
cp "$state.base" "$state"
compare "memdiff over a base that is resized" layered.live 6000 -S "$state" -r 8 -R 1M:12M -x "$hook"
