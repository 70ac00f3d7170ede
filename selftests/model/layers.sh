#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# Other stacks of layers against the model.
. "$(dirname "$0")/../common.sh"

state=$TMPDIR/state.$$
cleanup rm -f "$state" "$state.base"
must mkloop base 8M
must model -f -S "$state.base" "${base:?}" >/dev/null
before=$(checksum "$base")
must strata_mkdisk blockdev.b "path=$base"

# stack NAME LAYER...: layers from the top, each KIND[,ATTRIBUTE=VALUE | ,LINK@ITEM]...
stack() {
	local name=$1 layer i=0 parts
	shift
	must strata_mkdisk "layered.$name"
	for layer; do
		IFS=, read -ra parts <<<"$layer"
		must mkchild "disks/layered.$name/$i.${parts[0]}" "${parts[@]:1}"
		i=$((i + 1))
	done
}

stack through ram,size=8M,write_through=1 ram,size=8M
compare "two RAM layers, written through" layered.through 8000
stack hidden ram,size=8M ram,size=8M
compare "two RAM layers, one of them read" layered.hidden 3000

stack cached ram ram,read_cache=1 disk,disk@disks/blockdev.b
cp "$state.base" "$state"
compare "a read cache in the middle" layered.cached 10000 -S "$state"

stack middle ram disk,disk@disks/blockdev.b
stack over ram disk,disk@disks/layered.middle
cp "$state.base" "$state"
compare "copy-on-write over copy-on-write" layered.over 8000 -S "$state"

# Data of the base, and zeroes where it ends
stack longer ram,size=12M disk,disk@disks/blockdev.b
cp "$state.base" "$state"
compare "a layer longer than its base" layered.longer 8000 -S "$state"
stack shorter ram,size=5M disk,disk@disks/blockdev.b
cp "$state.base" "$state"
compare "a layer shorter than its base" layered.shorter 4000 -S "$state"
is "the base has not changed" "$before" "$(checksum "$base")"

# Writes reach the device below through RAM, and it is the same disk without it
must strata_mkdisk blockdev.w "path=$base"
stack device ram,write_through=1 disk,disk@disks/blockdev.w
cp "$state.base" "$state"
compare "RAM written through to a device" layered.device 6000 -S "$state"
ok_if "which has it all" model -v -S "$state" "$base"

# Sizes change under all of it. The cache must not keep what was cut off.
must mkloop live 8M
# shellcheck disable=SC2154
mkhook "truncate -s \"\$2\" $live_file && losetup -c $live"
must model -f -S "$state.live" "$live" >/dev/null
cleanup rm -f "$state.live"
must strata_mkdisk blockdev.live "path=$live"
stack live ram ram,read_cache=1 disk,disk@disks/blockdev.live
cp "$state.live" "$state"
compare "a read cache over a device that is resized" layered.live 5000 -S "$state" \
	-r 8 -R 1M:12M -x "$hook"
