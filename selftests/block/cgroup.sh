#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# I/O is charged to the cgroup that does it, at /dev/strataN and at the device below, and
# io.max at either holds it back.
# timeout: 180
. "$(dirname "$0")/../lib.sh"
require_cmd fio

cg=/sys/fs/cgroup/strata-test
root=/sys/fs/cgroup

# charged DEVICE FIELD: from io.stat
charged() {
	awk -v dev="$(cat "/sys/block/${1#/dev/}/dev")" -v field="$2" '
		$1 == dev { for (i = 2; i <= NF; i++) if (split($i, kv, "=") && kv[1] == field) n = kv[2] }
		END { print n + 0 }' "$cg/io.stat"
}

# in_cg COMMAND...
in_cg() { bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cg" "$@"; }

# millis COMMAND...: how long it takes
millis() {
	local start
	start=$(date +%s%N)
	"$@" || return
	echo $((($(date +%s%N) - start) / 1000000))
}

limit() { echo "$(cat "/sys/block/${1#/dev/}/dev") $2" >"$cg/io.max"; }

grep -qw io $root/cgroup.controllers || skip_all "no io controller"
null=''
must mknull null size=64 discard=1
must strata_mkdisk blockdev.cg path="$null"
must strata_mkblock cg disks/blockdev.cg
dev=$blockdev
echo +io >$root/cgroup.subtree_control
must mkdir $cg
cleanup wait_for 5 rmdir $cg

ok_if "direct writes" in_cg dd if=/dev/zero of="$dev" bs=64k count=16 oflag=direct status=none
is "charged at the top" "16 1048576" "$(charged "$dev" wios) $(charged "$dev" wbytes)"
is "and below" "16 1048576" "$(charged "$null" wios) $(charged "$null" wbytes)"
ok_if "direct reads" in_cg dd if="$dev" of=/dev/null bs=4k count=10 iflag=direct status=none
is "charged at the top" "10 40960" "$(charged "$dev" rios) $(charged "$dev" rbytes)"
is "and below" "10 40960" "$(charged "$null" rios) $(charged "$null" rbytes)"
ok_if "discard" in_cg blkdiscard -o 0 -l 1M "$dev"
is "charged below" 1048576 "$(charged "$null" dbytes)"
below=$(charged "$null" wbytes)
ok_if "zeroes" in_cg blkdiscard -z -o 0 -l 1M "$dev"
is "written below, by who asked for them" 1048576 $(($(charged "$null" wbytes) - below))
echo 0 >"/sys/block/${dev#/dev/}/queue/iostats"
# blkdiscard has read as well
top=$(charged "$dev" rios) below=$(charged "$null" rios)
ok_if "reads with iostats off" in_cg dd if="$dev" of=/dev/null bs=4k count=10 iflag=direct status=none
is "are charged as well" "10 10" \
	"$(($(charged "$dev" rios) - top)) $(($(charged "$null" rios) - below))"
echo 1 >"/sys/block/${dev#/dev/}/queue/iostats"

# 2 MiB at 1 MiB/s; the first slice may pass at once.
for where in "$dev" "$null"; do
	limit "$where" "rbps=1048576"
	ms=$(millis in_cg dd if="$dev" of=/dev/null bs=64k count=32 iflag=direct status=none)
	[ "$ms" -ge 1500 ]
	is "io.max at ${where#/dev/} holds reads back ($ms ms)" 0 $?
	limit "$where" "rbps=max wiops=20"
	ms=$(millis in_cg dd if=/dev/zero of="$dev" bs=4k count=40 oflag=direct status=none)
	[ "$ms" -ge 1500 ]
	is "and writes ($ms ms)" 0 $?
	limit "$where" "wiops=max"
done

# What waits in a throttle ends when the device goes.
limit "$dev" "rbps=65536"
in_cg dd if="$dev" of=/dev/null bs=64k count=64 iflag=direct status=none 2>/dev/null &
reader=$!
sleep 0.5
ok_if "force_detach with throttled reads" strata_set frontends/block.cg force_detach=1
ok_if "the reader ends" wait_for 10 sh -c "! kill -0 $reader 2>/dev/null"
wait $reader
ok_if "the disk is let go" wait_for 10 sh -c "[ \$(cat $strata/disks/blockdev.cg/live) = 0 ]"
