# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables are set here and used there, and by lib.sh
# Sourced by what measures, after lib.sh: the devices. Each x_on is undone by its x_off, or
# at the end.

# No udevd runs here: let dmsetup make its own nodes.
export DM_DISABLE_UDEV=1

fail() {
	echo "bench: $*" >&2
	exit 1
}

sectors() { blockdev --getsz "$1"; }

iostats() { echo "$2" >"/sys/block/${1#/dev/}/queue/iostats" || fail "iostats of $1"; }

# null_of BLOCK_SIZE: null_blk that completes where it is submitted: $null
null_of() {
	mknull null memory_backed=0 irqmode=0 submit_queues=1 size=1024 "blocksize=$1" ||
		fail null_blk
	# Its timer and its window would show in some figures and not in others.
	echo 0 >"/sys/block/${null#/dev/}/queue/wbt_lat_usec"
}
null_on() { null_of 512; }

# Two of them, each a disk as well: $null1 and $null2, blockdev.m1 and blockdev.m2
members_on() {
	null_on
	null1=$null
	null_on
	null2=$null
	strata_mkdisk blockdev.m1 "path=$null1"
	strata_mkdisk blockdev.m2 "path=$null2"
}
members_off() { strata_remove disks/blockdev.m1 && strata_remove disks/blockdev.m2; }

# striped_on CHUNK_SIZE: striped.pair of both. dm_stripe_on: what dm has for it
striped_on() {
	strata_mkdisk striped.pair "chunk_size=$1"
	strata_make disks/striped.pair/0 disk@disks/blockdev.m1
	strata_make disks/striped.pair/1 disk@disks/blockdev.m2
}
striped_off() { strata_remove disks/striped.pair; }
dm_stripe_on() {
	dm_on "0 $((2 * $(sectors "$null1"))) striped 2 $(($1 / 512)) $null1 0 $null2 0"
}

dm_delay_on() { dm_on "0 $(sectors "$1") delay $1 0 0"; }

# dm_crypt_on DEVICE SECTOR_SIZE: without its work queues
dm_crypt_on() {
	local options="2 no_read_workqueue no_write_workqueue"
	[ "$2" = 512 ] ||
		options="4 no_read_workqueue no_write_workqueue sector_size:$2 iv_large_sectors"
	dm_on "0 $(sectors "$1") crypt aes-xts-plain64 $key 0 $1 0 $options"
}
key=$(printf '%02x' {0..63})

# RAM disks, every page of which is there: $brd, $brd2 for exceptions, $brd3 for a peer
brd_on() {
	modprobe brd rd_nr=3 rd_size=131072 || fail brd
	cleanup wait_for 5 modprobe -r brd
	brd=/dev/ram0 brd2=/dev/ram1 brd3=/dev/ram2
	for ram in $brd $brd2 $brd3; do
		dd if=/dev/zero "of=$ram" bs=1M count=128 oflag=direct status=none
	done
}

# block_on DISK: show it as $block, which counts no statistics yet
block_on() {
	strata_mkblock b "disks/$1" || fail "block over $1"
	block=$blockdev
	iostats "$block" 0
}
block_off() { strata_remove frontends/block.b || fail "the block frontend does not go"; }

# dm_node NAME: by the name that sysfs has for it
dm_node() { echo "/dev/dm-$(dmsetup info -c --noheadings -o minor "$1")"; }

# dm_on TABLE: $dm
dm_on() {
	mkdm dm bench "$1" || fail "dm: $1"
	dm=$(dm_node bench)
}
dm_off() { dmsetup remove --retry bench || fail "dm does not go"; }

# The disk is held, so that what was written stays from one figure to the next.
mem_on() {
	strata_mkdisk layered.mem
	strata_make disks/layered.mem/0.ram size=128M
	strata_enable disks/layered.mem || fail mem
}
mem_off() { strata_remove disks/layered.mem; }

memdiff_on() {
	strata_mkdisk blockdev.brd "path=$brd"
	strata_mkdisk layered.diff
	strata_make disks/layered.diff/0.ram
	strata_make disks/layered.diff/1.disk disk@disks/blockdev.brd
	strata_enable disks/layered.diff || fail memdiff
}
memdiff_off() {
	strata_remove disks/layered.diff
	strata_remove disks/blockdev.brd
}

# snapshot_on ORIGIN: exceptions of 4 KiB that are lost at the end, as those of memdiff
snapshot_on() { dm_on "0 $(sectors "$1") snapshot $1 $brd2 N 8"; }

# A written file on ext4 on $brd: $image
image_on() {
	local dir=/run/bench
	mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$brd" || fail mkfs
	mkdir -p $dir
	mount "$brd" $dir || fail mount
	cleanup umount $dir
	image=$dir/image
	fallocate -l 64M "$image"
	dd if=/dev/zero of="$image" bs=1M count=64 conv=notrunc oflag=direct status=none
	sync
}

loop_on() {
	modprobe -q loop
	loop=$(losetup -f --show --direct-io=on "$image") || fail loop
	cleanup loop_off
	[ "$(cat "/sys/block/${loop#/dev/}/loop/dio")" = 1 ] || fail "loop does no direct I/O"
}
loop_off() {
	[ -n "$loop" ] || return 0
	losetup -d "$loop"
	loop=
}
