#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 90
# What a member answers is what the disk answers; its neighbours do not notice.
. "$(dirname "$0")/../common.sh"
require_cmd dmsetup

must mknull null size=16
: "${null:?}"
must mkmem good 16M
# The second chunk of the member has a bad block.
must mkdm bad strata-bad "$(printf '0 136 linear %s 0\n136 8 error\n144 32624 linear %s 144' "$null" "$null")"
must strata_mkdisk blockdev.bad "path=${bad:?}"
must mkstriped s chunk_size=64K layered.good blockdev.bad
must show dev s disks/striped.s
: "${dev:?}"
# Chunk 1 of member 1 is chunk 3 of the disk; its bad block is the second one.
at=$((3 * 16 + 1))
io() { dd if="$dev" of=/dev/null bs=4k skip="$1" count="$2" iflag=direct status=none; }
put() { dd if=/dev/zero of="$dev" bs="$3" seek="$1" count="$2" oflag=direct conv=notrunc status=none; }
expect_errno EIO "the bad block" io $at 1
ok_if "the one before" io $((at - 1)) 1
ok_if "and behind" io $((at + 1)) 1
expect_errno EIO "a read of all chunks around it" dd if="$dev" of=/dev/null bs=512k count=1 iflag=direct status=none
expect_errno EIO "a write" put $at 1 4k
expect_errno EIO "a write over several chunks" put 0 1 1M
is "none in flight" 0 "$(awk '{ print $9 }' "/sys/block/${dev#/dev/}/stat")"
is "a good row is written" "" "$(put 2 1 1M 2>&1)"
must strata_remove frontends/block.s

# No space is no space
if modprobe dm-thin-pool 2>/dev/null || dmsetup targets | grep -q '^thin-pool'; then
	must mknull meta size=4
	must mknull data size=4
	must mkdm pool strata-pool "0 8192 thin-pool ${meta:?} ${data:?} 128 0 1 error_if_no_space"
	must dmsetup message strata-pool 0 'create_thin 0'
	must mkdm thin strata-thin "0 32768 thin ${pool:?} 0"
	must strata_mkdisk blockdev.thin "path=${thin:?}"
	must mkstriped t chunk_size=64K layered.good blockdev.thin
	must show dev t disks/striped.t
	expect_errno ENOSPC "a member that is full" put 0 24 1M
	must strata_remove frontends/block.t
	must strata_remove disks/striped.t
	must strata_remove disks/blockdev.thin
else
	skip "a member that is full" "no dm-thin"
fi

# A member that is gone takes the disk with it
gone() { [ "$(blockdev --getsz "$dev")" = 0 ]; }
if ! modinfo scsi_debug >/dev/null 2>&1; then
	skip "a member that is pulled" "no scsi_debug"
	exit 0
fi
cleanup wait_for 10 modprobe -r scsi_debug
modprobe -q sd_mod
disk=''
must modprobe scsi_debug dev_size_mb=16
must wait_for 10 find_scsi disk
must strata_mkdisk blockdev.gone "path=$disk"
must mkstriped g chunk_size=64K layered.good blockdev.gone
must show dev g disks/striped.g
must io 0 32
echo 1 >"/sys/block/${disk#/dev/}/device/delete"
ok_if "a member that is pulled is the end of the disk" wait_for 10 gone
is "of all of it" 0 "$(dd if="$dev" bs=4k count=1 status=none 2>/dev/null | wc -c)"
ok_if "which can be taken down" strata_remove frontends/block.g
