#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the device below answers arrives as it is: no space, medium error, and what it
# cannot do is done for it or not at all.
. "$(dirname "$0")/../lib.sh"
require_cmd dmsetup

# write_at MIB
write_at() { dd if=/dev/zero of="$dev" bs=4k seek=$(($1 * 256)) count=1 oflag=direct status=none; }

if modprobe dm-thin-pool 2>/dev/null || dmsetup targets | grep -q '^thin-pool'; then
	meta='' data='' pool='' thin=''
	must mknull meta size=4
	must mknull data size=4
	must mkdm pool strata-pool "0 8192 thin-pool $meta $data 128 0 1 error_if_no_space"
	must dmsetup message strata-pool 0 'create_thin 0'
	must mkdm thin strata-thin "0 65536 thin $pool 0"
	must strata_mkdisk blockdev.thin path="$thin"
	must strata_mkblock thin disks/blockdev.thin
	dev=$blockdev
	fill() {
		local i
		for i in $(seq 0 31); do
			write_at "$i" || return
		done
		dd if=/dev/zero of="$dev" bs=1M count=8 oflag=direct status=none
	}
	expect_errno ENOSPC "a thin device that is full" fill
	ok_if "what it has can be read" dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	must strata_remove frontends/block.thin
	must strata_remove disks/blockdev.thin
else
	skip "a thin device that is full" "no dm-thin"
fi

null='' bad=''
must mknull null size=64
must mkdm bad strata-bad "$(printf '0 8 linear %s 0\n8 8 error\n16 8192 linear %s 16' "$null" "$null")"
must strata_mkdisk blockdev.bad path="$bad"
must strata_mkblock bad disks/blockdev.bad
expect_errno EIO "a bad block" dd if="$blockdev" of=/dev/null bs=4k skip=1 count=1 iflag=direct status=none
ok_if "its neighbour" dd if="$blockdev" of=/dev/null bs=4k skip=2 count=1 iflag=direct status=none
is "none in flight" 0 "$(awk '{ print $9 }' "/sys/block/${blockdev#/dev/}/stat")"
must strata_remove frontends/block.bad
must strata_remove disks/blockdev.bad
must dmsetup remove --retry strata-bad

# null_blk has no write zeroes, and no discard unless asked.
must strata_mkdisk blockdev.none path="$null"
must strata_mkblock none disks/blockdev.none
dev=$blockdev
must dd if=/dev/urandom of="$dev" bs=1M count=2 oflag=direct status=none
ok_if "write zeroes where there is none" fallocate -z -o 4096 -l 1M "$dev"
is "zeroes" 0 "$(dd if="$null" bs=4k skip=1 count=256 iflag=direct status=none | tr -d '\0' | wc -c)"
is "and not more" 0 "$(dd if="$null" bs=4k skip=257 count=1 iflag=direct status=none | tr -d '\0' | wc -c | awk '{ print $1 < 100 }')"
expect_errno EOPNOTSUPP "discard where there is none" blkdiscard "$dev"
