# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the tests here: commands and I/O of several hosts on one prwrap disk.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

_kit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
declare -A node
# The disk whose pr/ is looked at
prdisk=disks/prwrap.p

# mkhost NAME DISK: a block frontend, which is a nexus; its node is ${node[NAME]}
mkhost() {
	strata_mkblock "$1" "$2" && node[$1]=$blockdev
}

# pr HOST COMMAND...: what came of it, in a word
pr() { "$_kit/pr" "${node[$1]}" "${@:2}"; }

# got WANTED HOST COMMAND...: a command and what it must say
got() { is "$2: ${*:3}" "$1" "$(pr "${@:2}")"; }

# shows ATTRIBUTE WANTED: in pr/ of the disk, lines joined by commas
shows() { is "$1" "$2" "$(strata_get "$prdisk/pr" "$1" | paste -sd,)"; }

# word OUTPUT STATUS: ok, conflict (EBADE), or what dd or another tool had to say
word() {
	case $1 in
	*'Invalid exchange'*) echo conflict ;;
	*) [ "$2" = 0 ] && echo ok || echo "$1" ;;
	esac
}

# io HOST read|write|flush|discard|zeroes: what came of it, in a word
io() {
	local dev=${node[$1]} text
	case $2 in
	read) text=$(dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct 2>&1) ;;
	write) text=$(dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=nocreat 2>&1) ;;
	flush) text=$(sync -d "$dev" 2>&1) ;;
	discard) text=$(blkdiscard -o 64K -l 64K "$dev" 2>&1) ;;
	zeroes) text=$(blkdiscard -z -o 64K -l 64K "$dev" 2>&1) ;;
	esac
	word "$text" $?
}
