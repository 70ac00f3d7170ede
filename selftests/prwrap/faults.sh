#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# kernel: lab
# Every allocation that fails while a disk with reservations is enabled, and during each
# of its commands, leaves all as it was.
. "$(dirname "$0")/../faults/inject.sh"
. "$(dirname "$0")/kit.sh"

file=$TMPDIR/ptpl
cleanup rm -f "$file"
must faults_quiet
must mkmem m 8M
must strata_mkdisk prwrap.p inner@disks/layered.m ptpl_file="$file"
must strata_enable $prdisk
must strata_disable $prdisk

cd "$strata" || exit
every "mkdir" 2 mkdir disks/prwrap.x -- rmdir disks/prwrap.x
must rmdir disks/prwrap.x
every "enable" 20 -w $prdisk/last_error store $prdisk/enable 1 -- store $prdisk/enable 0
every "show" 1 load $prdisk/pr/registrants
cd / || exit
must mkhost a disks/prwrap.p
must mkhost b disks/prwrap.p

# faulty HOST COMMAND...: with each fault in turn; then it works, and once only
faulty() {
	local text
	text=$("$_kit/pr" -f "${node[$1]}" "${@:2}")
	diag "$1 ${*:2}: $text"
	is "$1: ${*:2}, with faults" ok "${text%% *}"
}

faulty a register 0 0xa
faulty b register 0 0xb
shows generation 2
faulty b reserve 0xb we
faulty a abort 0xa 0xb we
shows registrants "block.a 0x000000000000000a holder"
shows generation 3
is "b is out" "ok conflict" "$(io a write) $(io b write)"
faulty a release 0xa we
faulty a clear 0xa
shows generation 4
shows registrants ""
