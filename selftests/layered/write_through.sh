#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# Writes go through layers that say so: to the device below, with flush and FUA, and a
# write is in all of them or it has failed.
. "$(dirname "$0")/../common.sh"

must mkloop base 8M
state=$TMPDIR/state.$$
cleanup rm -f "$state"
must mkmem small 8M limit=1M
must strata_mkdisk blockdev.b "path=${base:?}"
must strata_mkdisk layered.w
must mkchild disks/layered.w/0.ram write_through=1
must mkchild disks/layered.w/1.disk disk@disks/blockdev.b
must show dev w disks/layered.w
: "${dev:?}"

# A discard may read differently in the two, so it is not offered.
is "discards are ignored" ignored "$(strata_get disks/layered.w unmap)"
is "it has the cache of the device below" "write back" \
	"$(cat "/sys/block/${dev#/dev/}/queue/write_cache")"
ok_if "random I/O" model -n "$(pick 4000 2000)" -u ignored -S "$state" "$dev"
ok_if "all of it is on the device below" model -v -S "$state" "$base"
ok_if "all of it is in memory as well" test "$(strata_get disks/layered.w/0.ram committed)" -gt 4000000

# Flush and FUA reach the device below
stat_of() { strata_get disks/blockdev.b stats | awk -v k="$1" '$1 == k { print $2 }'; }
before=$(stat_of flush)
must dd if=/dev/zero of="$dev" oflag=direct bs=4K count=1 conv=notrunc,fsync status=none
ok_if "a flush gets there" test "$(stat_of flush)" -gt "$before"

# A write that fails below has failed, and what is read is what is there
must strata_disable frontends/block.w
must strata_remove disks/layered.w/1.disk
must mkchild disks/layered.w/1.disk disk@disks/layered.small
must strata_enable frontends/block.w
dev=/dev/$(strata_get frontends/block.w device)
ok_if "write what fits below" dd if=/dev/urandom of="$dev" oflag=direct bs=64K count=16 conv=notrunc status=none
expect_errno ENOSPC "no space below" dd if=/dev/urandom of="$dev" oflag=direct bs=64K count=1 seek=20 conv=notrunc status=none

# A cache much smaller than the disk: what finds no room is below alone
must strata_disable frontends/block.w
must strata_remove disks/layered.w/1.disk
must mkchild disks/layered.w/1.disk disk@disks/blockdev.b
must strata_set disks/layered.w/0.ram limit=1M read_cache=1
must strata_enable frontends/block.w
dev=/dev/$(strata_get frontends/block.w device)
rm -f "$state"
ok_if "write all of it" model -f -S "$state" "$dev"
ok_if "random I/O past a full cache" model -n "$(pick 4000 2000)" -u ignored -S "$state" "$dev"
ok_if "all of that is on the device below" model -v -S "$state" "$base"
ok_if "and no more in memory than may be" test "$(strata_get disks/layered.w/0.ram committed)" -le 1048576
