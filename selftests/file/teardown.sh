#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Under load and without memory: what is forced away ends its I/O and lets go of the file.
# timeout: 300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/fs.sh"
require_cmd fio mkfs.ext4

log=$TMPDIR/teardown.log
cleanup rm -f "$log"

# load ENGINE DIRECT
load() {
	fio --name=load --filename="$blockdev" --ioengine="$1" --direct="$2" --iodepth=16 \
		--rw=randrw --bs=4k-64k --bs_unaligned=0 --fsync=30 --time_based --runtime=100 \
		--numjobs=2 --output="$log" >/dev/null 2>&1 &
	load=$!
	wait_for 30 busy
}
busy() { [ "$(awk '{ print $1 + $5 }' "/sys/block/${blockdev#/dev/}/stat")" -gt 200 ]; }
ended() { ! kill -0 "$load" 2>/dev/null; }
idle() { [ "$(strata_get disks/file.t live)" = 0 ]; }

must mkfs_at dir ext4 192
for direct in 1 0; do
	for engine in io_uring libaio psync; do
		what="direct=$direct, $engine"
		must mkimage "$dir/image" 64
		must mkfile t "$dir/image" direct=$direct
		must load $engine 1
		ok_if "$what: force_detach under load" strata_set frontends/block.t force_detach=1
		ok_if "$what: all I/O ends" wait_for 30 ended
		wait "$load"
		ok_if "$what: the disk goes with its last opener" wait_for 10 idle
		must rmfile t
		rm "$dir/image"
	done
done
ok_if "nothing holds the file system" umount "$dir"

# Little memory: everything goes on, if slowly.
group=/sys/fs/cgroup/strata-small
small() {
	bash -c "echo \$\$ >$group/cgroup.procs; exec \"\$@\"" small "$@"
}
must mkfs_at dir ext4 320
must mkimage "$dir/image" 192
upper=$(mktemp -d)
cleanup rmdir "$upper"
cleanup _unmount "$upper"
echo '+memory +io' >/sys/fs/cgroup/cgroup.subtree_control
must mkdir $group
cleanup rmdir $group
for direct in 1 0; do
	# A hard limit has no patience with pages that are written twice: with direct=0, as
	# with a buffered loop device, it would kill.
	echo max | tee $group/memory.max >$group/memory.high
	limit=high
	[ $direct = 0 ] || limit=max
	echo 24M >$group/memory.$limit
	must mkfile t "$dir/image" direct=$direct
	must mkfs_quietly ext4 "$blockdev"
	must mount "$blockdev" "$upper"
	ok_if "direct=$direct: 128 MiB written by 24 MiB" \
		small dd if=/dev/urandom of="$upper/big" bs=1M count=128 conv=fsync
	sum=$(sha256sum <"$upper/big")
	must umount "$upper"
	must mount "$blockdev" "$upper"
	is "direct=$direct: and read back" "$sum" "$(small sha256sum <"$upper/big")"
	must umount "$upper"
	must rmfile t
done
