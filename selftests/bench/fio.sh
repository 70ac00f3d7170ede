#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the VM: fio.sh wall|virtual prints the IOPS of fio for 4 KiB random reads and
# writes, "wall SET.OPERATION.ENGINE.DEPTH.DEVICE IOPS", all from one boot. wall: only
# ratios mean something in emulation, and the host has other things to do, so the devices
# of a set take turns and the best turn counts. virtual: in a VM booted with --icount,
# where a second is 10^9 instructions.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/setup.sh"
kind=${1:?usage: fio.sh wall|virtual}
case $kind in
wall) turns=7 runtime=500ms ;;
virtual) turns=1 runtime=200ms ;;
*) fail "fio.sh $kind" ;;
esac

# turns_of DEVICE=NODE...: a job for each device, and all that again
turns_of() {
	local turn device
	for ((turn = 0; turn < turns; turn++)); do
		for device; do
			printf '[%s]\nfilename=%s\nstonewall\n' "${device%%=*}" "${device#*=}"
		done
	done
}

# measure SET OPERATION ENGINE DEPTH DEVICE=NODE...
measure() {
	local set=$1 op=$2 engine=$3 depth=$4
	shift 4
	turns_of "$@" | fio --output-format=terse --terse-version=3 --thread --direct=1 \
		--ioengine="$engine" --iodepth="$depth" --rw="$op" --bs=4k --size=64M \
		--runtime=$runtime --time_based - >/run/fio.out || fail "fio: $set $op $engine"
	awk -F';' -v "name=$kind $set.$op.$engine.$depth" '
		$5 != 0 { bad = 1 }
		{ iops = $8 + $49; if (iops > best[$3]) best[$3] = iops }
		END { for (d in best) printf "%s.%s %d\n", name, d, best[d]; exit bad }
	' /run/fio.out || fail "fio: an error on $set $op $engine"
}

# What the devices of a set are made of is not shared, as each holds it.
null_set() {
	local bare op depth
	null_on
	bare=$null
	null_on
	dm_on "0 $(sectors "$null") linear $null 0"
	null_on
	strata_mkdisk blockdev.null "path=$null"
	block_on blockdev.null
	for op in randread randwrite; do
		measure null $op io_uring 1 "lean=$block"
		iostats "$block" 1
		measure null $op io_uring 1 "bare=$bare" "dm=$dm" "strata=$block"
		for depth in 1 32; do
			measure null $op libaio $depth "dm=$dm" "strata=$block"
		done
		iostats "$block" 0
	done
	dm_off
	block_off
	strata_remove disks/blockdev.null
}

# member_set NAME DISK: against the dm device that is on, both with statistics
member_set() {
	local op depth
	block_on "$2"
	iostats "$block" 1
	for op in randread randwrite; do
		for depth in 1 32; do
			measure "$1" $op libaio $depth "dm=$dm" "strata=$block"
		done
	done
	block_off
	dm_off
}

# Each on null_blk of its own; dm's are held by dm.
wrap_sets() {
	members_on
	striped_on $((128 << 10))
	null_on
	null1=$null
	null_on
	null2=$null
	dm_stripe_on $((128 << 10))
	member_set striped striped.pair
	striped_off

	strata_mkdisk delay.none disk@disks/blockdev.m1
	dm_delay_on "$null1"
	member_set delay delay.none
	strata_remove disks/delay.none

	strata_mkdisk crypt.bench disk@disks/blockdev.m1 "key=$key"
	dm_crypt_on "$null1" 512
	member_set crypt crypt.bench
	strata_remove disks/crypt.bench
	members_off
}

mem_set() {
	local op depth
	mem_on
	# As brd, which keeps no statistics
	block_on layered.mem
	dd if=/dev/zero "of=$block" bs=1M count=128 oflag=direct status=none
	for op in randread randwrite; do
		for depth in 1 32; do
			measure mem $op libaio $depth "brd=$brd" "strata=$block"
		done
	done
	block_off
	mem_off
}

memdiff_set() {
	local op depth
	memdiff_on
	block_on layered.diff
	iostats "$block" 1
	snapshot_on "$brd3"
	for op in randread randwrite; do
		# Reads fall through. Then all is written once, so that writes overwrite.
		if [ $op = randwrite ]; then
			dd if=/dev/zero "of=$block" bs=4k count=16384 oflag=direct status=none
			dd if=/dev/zero "of=$dm" bs=4k count=16384 oflag=direct status=none
		fi
		for depth in 1 32; do
			measure memdiff $op libaio $depth "snapshot=$dm" "strata=$block"
		done
	done
	block_off
	memdiff_off
	dm_off
}

file_set() {
	local op depth
	image_on
	strata_mkdisk file.image "path=$image" direct=1
	block_on file.image
	iostats "$block" 1
	loop_on
	for op in randread randwrite; do
		for depth in 1 32; do
			measure file $op libaio $depth "loop=$loop" "strata=$block"
		done
	done
	loop_off
	block_off
	strata_remove disks/file.image
}

null_set
wrap_sets
brd_on
mem_set
memdiff_set
file_set
