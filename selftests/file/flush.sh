#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Flush and FUA arrive at the device below the file system, and a cgroup pays for its I/O.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/fs.sh"
require_cmd mkfs.ext4
tracing=/sys/kernel/tracing
event=$tracing/events/block/block_rq_issue

# seen REGEX COMMAND...: during the command the device got a request whose flags match.
seen() {
	local regex=$1
	shift
	echo >$tracing/trace
	echo 1 >$event/enable
	"$@" 2>/dev/null
	echo 0 >$event/enable
	grep -q "block_rq_issue: $number $regex " $tracing/trace || {
		grep "block_rq_issue: $number" $tracing/trace
		return 1
	}
}
# The journal of the file system may flush for itself meanwhile: one clean run of three.
not_seen() {
	for _ in 1 2 3; do
		seen "$@" || return 0
		grep "block_rq_issue: $number $1 " $tracing/trace
	done
	return 1
}

put() { dd if=/dev/zero of="$blockdev" bs=4k count=8 oflag=direct conv=notrunc"$1"; }
fua() { dd if=/dev/zero of="$blockdev" bs=4k count=1 oflag=direct,dsync conv=notrunc; }

mkdir "$TMPDIR/flush"
cleanup rmdir "$TMPDIR/flush"
must mknull null size=128 cache_size=16
must mkfs_quietly ext4 "${null:?}"
# Nothing but ours is to be flushed.
must mount -o noatime,commit=300 "$null" "$TMPDIR/flush"
cleanup _unmount "$TMPDIR/flush"
number=$(lsblk -dno MAJ:MIN "$null" | tr -d ' ' | tr : ,)
for direct in 1 0; do
	must dd if=/dev/zero of="$TMPDIR/flush/image" bs=1M count=16 conv=fsync status=none
	must mkfile flush "$TMPDIR/flush/image" direct=$direct
	must put ''
	ok_if "direct=$direct: a write is no flush" not_seen '[A-Z]*F[A-Z]*' put ''
	ok_if "direct=$direct: flush" seen 'F[A-Z]*' put ,fsync
	ok_if "direct=$direct: FUA" seen 'W\?F[A-Z]*' fua
	must rmfile flush
done

# The flusher's I/O is charged to who dirtied the pages, through all the layers.
group=/sys/fs/cgroup/strata-test
charged() {
	local bytes
	bytes=$(sed -n "s/^${number/,/:} .*wbytes=\([0-9]*\).*/\1/p" $group/io.stat)
	diag "charged: ${bytes:-0} bytes"
	[ "${bytes:-0}" -ge $((4 << 20)) ]
}
if echo '+memory +io' >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null && mkdir $group; then
	cleanup rmdir $group
	must mkfile flush "$TMPDIR/flush/image"
	must mkfs_quietly ext4 "$blockdev"
	mkdir "$TMPDIR/upper"
	cleanup rmdir "$TMPDIR/upper"
	must mount "$blockdev" "$TMPDIR/upper"
	cleanup _unmount "$TMPDIR/upper"
	bash -c "echo \$\$ >$group/cgroup.procs; dd if=/dev/zero of='$TMPDIR/upper/file' bs=64k count=64 2>/dev/null"
	sync -f "$TMPDIR/upper"
	ok_if "the cgroup that dirtied pages pays" charged
	must umount "$TMPDIR/upper"
	must rmfile flush
else
	skip "the cgroup that dirtied pages pays" "no io controller"
fi
