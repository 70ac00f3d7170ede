#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the VM booted with --icount: icount.sh [inline] prints what a 4 KiB request
# costs on each path, "icount NAME INSTRUCTIONS", all from one boot. inline: only the
# paths whose figures repeat almost exactly, which gate.sh compares.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/setup.sh"
what=${1:-all}

# figure NAME ARGUMENT...: as strata_make's, for frontends/bench.*
figure() {
	local name=$1 item=frontends/bench.loop cost
	shift
	strata_make $item "$@" || fail "$name"
	strata_enable $item || fail "$name"
	cost=$(strata_get $item run) || fail "$name: $(strata_last_error $item)"
	strata_remove $item
	echo "icount $name $cost"
}

# On null_blk, the least that a device can cost.
null_figures() {
	local i
	figure null.read "path=$null"
	figure null.write "path=$null" op=write
	figure null.alloc "path=$null" alloc=1

	modprobe strata_floor "remap=$null" "clone=$null" || fail strata_floor
	figure floor.remap path=/dev/floor_remap
	figure floor.clone path=/dev/floor_clone
	modprobe -r strata_floor

	strata_mkdisk blockdev.null "path=$null"
	figure engine.null disk@disks/blockdev.null
	block_on blockdev.null
	figure block.null "path=$block"
	figure block.null.write "path=$block" op=write
	iostats "$block" 1
	figure block.null.iostats "path=$block"
	block_off

	# Eight levels, so that a few instructions of one can be told.
	strata_mkdisk pass.1 disk@disks/blockdev.null
	for i in 2 3 4 5 6 7 8; do
		strata_mkdisk pass.$i disk@disks/pass.$((i - 1))
	done
	figure engine.pass8 disk@disks/pass.8

	strata_mkdisk layered.null
	strata_make disks/layered.null/0.disk disk@disks/blockdev.null
	figure engine.layered disk@disks/layered.null
	for i in layered.null pass.{8,7,6,5,4,3,2,1} blockdev.null; do
		strata_remove "disks/$i"
	done
}

dm_figures() {
	dm_on "0 $(sectors "$null") linear $null 0"
	figure dm.linear.iostats "path=$dm"
	iostats "$dm" 0
	figure dm.linear "path=$dm"
	mkdm _ bench2 "0 $(sectors "$dm") linear $dm 0" || fail "dm on dm"
	iostats "$(dm_node bench2)" 0
	figure dm.linear2 "path=$(dm_node bench2)"
	dmsetup remove --retry bench2
	dm_off
}

# What combines or wraps disks; each on the null_blk of blockdev.m1.
striped_figures() {
	local i
	members_on
	figure engine.member disk@disks/blockdev.m1
	# A plugful is in one chunk, on one member; then on both, which costs blk-mq more.
	striped_on $((1 << 20))
	figure engine.striped disk@disks/striped.pair
	block_on striped.pair
	figure block.striped "path=$block"
	block_off
	striped_off
	striped_on $((128 << 10))
	figure engine.striped.both disk@disks/striped.pair
	block_on striped.pair
	figure block.striped.both "path=$block"
	block_off
	striped_off
	strata_mkdisk delay.none disk@disks/blockdev.m1 delay_us=0
	figure engine.delay disk@disks/delay.none
	block_on delay.none
	figure block.delay "path=$block"
	block_off
	strata_remove disks/delay.none
	strata_mkdisk prwrap.none disk@disks/blockdev.m1
	figure engine.prwrap disk@disks/prwrap.none
	strata_remove disks/prwrap.none
	# Four deep
	strata_mkdisk delay.three disk@disks/blockdev.m1
	strata_mkdisk prwrap.two disk@disks/delay.three
	strata_mkdisk delay.one disk@disks/prwrap.two
	figure engine.four disk@disks/delay.one
	for i in delay.one prwrap.two delay.three; do
		strata_remove "disks/$i"
	done
	members_off
}

dm_wrap_figures() {
	dm_stripe_on $((1 << 20))
	iostats "$dm" 0
	figure dm.stripe "path=$dm"
	dm_off
	dm_stripe_on $((128 << 10))
	iostats "$dm" 0
	figure dm.stripe.both "path=$dm"
	dm_off
	dm_delay_on "$null1"
	iostats "$dm" 0
	figure dm.delay "path=$dm"
	dm_off
}

# The cipher is most of it, so it is measured alone as well.
crypt_figures() {
	local size op
	for size in 512 4096; do
		null_of $size
		figure cipher$size.read cipher=$size
		figure cipher$size.write cipher=$size op=write
		figure null$size.read "path=$null"
		figure null$size.write "path=$null" op=write
		strata_mkdisk blockdev.plain "path=$null"
		strata_mkdisk crypt.bench disk@disks/blockdev.plain "key=$key"
		for op in read write; do
			figure engine.crypt$size.$op disk@disks/crypt.bench op=$op
		done
		block_on crypt.bench
		for op in read write; do
			figure block.crypt$size.$op "path=$block" op=$op
		done
		block_off
		strata_remove disks/crypt.bench
		strata_remove disks/blockdev.plain
		[ "$what" = inline ] || dm_crypt_figures $size
	done
}

dm_crypt_figures() {
	local op
	dm_crypt_on "$null" "$1"
	iostats "$dm" 0
	for op in read write; do
		figure "dm.crypt$1.$op" "path=$dm" op=$op
	done
	dm_off
}

# What is in memory, over brd or beside it.
mem_figures() {
	figure brd.read "path=$brd"
	figure brd.write "path=$brd" op=write

	mem_on
	block_on layered.mem
	figure mem.first "path=$block" op=write fresh=1
	figure mem.write "path=$block" op=write
	figure mem.read "path=$block"
	block_off
	figure engine.mem.read disk@disks/layered.mem
	mem_off

	memdiff_on
	block_on layered.diff
	figure memdiff.through "path=$block"
	figure memdiff.first "path=$block" op=write fresh=1
	figure memdiff.write "path=$block" op=write
	figure memdiff.read "path=$block"
	block_off
	memdiff_off
}

snapshot_figures() {
	snapshot_on "$brd"
	iostats "$dm" 0
	figure snapshot.through "path=$dm"
	figure snapshot.first "path=$dm" op=write fresh=1
	figure snapshot.write "path=$dm" op=write
	figure snapshot.read "path=$dm"
	dm_off
}

file_figures() {
	local op
	for op in read write; do
		figure vfs.$op "path=$image" op=$op
	done
	strata_mkdisk file.image "path=$image" direct=1
	for op in read write; do
		figure engine.file.$op disk@disks/file.image op=$op
	done
	block_on file.image
	for op in read write; do
		figure block.file.$op "path=$block" op=$op
	done
	block_off
	strata_remove disks/file.image
}

loop_figures() {
	local op
	loop_on
	for op in read write; do
		figure loop.$op "path=$loop" op=$op
	done
	loop_off
}

null_on
null_figures
[ "$what" = inline ] || dm_figures
striped_figures
[ "$what" = inline ] || dm_wrap_figures
crypt_figures
brd_on
mem_figures
[ "$what" = inline ] || snapshot_figures
image_on
file_figures
[ "$what" = inline ] || loop_figures
