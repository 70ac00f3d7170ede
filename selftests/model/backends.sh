#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Backends alone against the model: what is written is there when the disk has been taken
# down and made again, and is in the backing.
. "$(dirname "$0")/../common.sh"

state=$TMPDIR/state.$$
cleanup rm -f "$state"

# backend NAME TYPE PATH OPERATIONS [ATTRIBUTE=VALUE]...
backend() {
	local i
	rm -f "$state"
	must strata_mkdisk "$2.$1" "path=$3" "${@:5}"
	for i in 1 2; do
		compare "$1, round $i" "$2.$1" "$4" -S "$state"
	done
	ok_if "$1: it is in the backing" model -v -S "$state" "$3"
}

must mkloop loop 16M
backend loop blockdev "${loop:?}" 3000
must mkloop loop4k 16M -b 4096
backend loop4k blockdev "${loop4k:?}" 2000
must mknull null size=16 memory_backed=1 discard=1
backend null_blk blockdev "${null:?}" 2000
must mkfile image 16M
backend file file "${image:?}" 3000
must mkfile cached 16M
backend buffered file "${cached:?}" 2000 direct=0
