#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A file system on a disk whose image is on a file system: whoever enters the lower one at
# the wrong time waits for himself.
# timeout: 400
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/fs.sh"
require_cmd fio mkfs.ext4 mkfs.xfs fstrim

# DIR: many small files, renamed and removed, with syncs in between.
churn() {
	local dir=$1 round i
	for round in 1 2 3; do
		mkdir "$dir/$round" || return
		for i in {1..40}; do
			head -c $((i * 700)) /dev/urandom >"$dir/$round/$i" || return
		done
		sync -f "$dir" || return
		cp -r "$dir/$round" "$dir/copy" || return
		for i in {1..40..3}; do
			mv "$dir/copy/$i" "$dir/copy/m$i" || return
		done
		rm -r "$dir/copy" || return
		fstrim "$dir" || return
	done
}

fsyncs() {
	fio --name=fsyncs --directory="$1" --rw=randrw --bs=4k --size=3m --fsync=4 --numjobs=2 \
		--ioengine=psync --verify=crc32c --verify_fatal=1 --output-format=terse
}

direct_io() {
	fio --name=direct --directory="$1" --rw=randwrite --bs=4k-32k --bs_unaligned=0 --size=6m \
		--direct=1 --ioengine=libaio --iodepth=16 --iodepth_batch=8 --verify=crc32c \
		--verify_fatal=1 --output-format=terse
}

# All three at once; what they wrote is then compared from the medium.
load() {
	local dir=$1 pids=() pid bad=0
	churn "$dir" & pids+=($!)
	fsyncs "$dir" & pids+=($!)
	direct_io "$dir" & pids+=($!)
	for pid in "${pids[@]}"; do
		wait "$pid" || bad=1
	done
	return $bad
}

reread() {
	local dir=$1 sums
	find "$dir" -type f -exec sha256sum {} + >"$TMPDIR/sums" || return
	sync -f "$dir"
	echo 3 >/proc/sys/vm/drop_caches
	sums=$(sha256sum -c --quiet "$TMPDIR/sums") || { echo "$sums"; return 1; }
}

check_fs() {
	case $1 in
	ext4) e2fsck -fn "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	esac
}

lower=

# UPPER LOWER DIRECT
nest() {
	local what="$1 on $2, direct=$3" size=96
	[ "$1" != xfs ] || size=320
	mkimage "$lower/image" $size || return
	mkfile nested "$lower/image" direct="$3" || return
	mkfs_quietly "$1" "$blockdev" || return
	mount "$blockdev" "$upper" || return
	ok_if "$what: load" load "$upper"
	ok_if "$what: the medium has it" reread "$upper"
	ok_if "$what: unmount" umount "$upper"
	ok_if "$what: clean" check_fs "$1" "$blockdev"
	ok_if "$what: it goes away" rmfile nested
}

upper=$(mktemp -d)
cleanup rmdir "$upper"
cleanup _unmount "$upper"
for type in ext4 xfs; do
	must mkfs_at lower $type 640
	must nest ext4 $type 1
	must nest ext4 $type 0
	[ $type = ext4 ] || must nest xfs xfs 1
done
