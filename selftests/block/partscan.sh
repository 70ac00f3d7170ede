#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A partition table is a guest's, and looked at only when asked to.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/mbr.sh"
require_cmd partx

loop='' loop_file=''
must mkloop loop 16M
must mkmbr "$loop" 2048 4096
must strata_mkdisk blockdev.part path="$loop"
must strata_mkblock part disks/blockdev.part
dev=$blockdev

sleep 0.5
is "no partitions by default" 0 "$(cat "/sys/block/${dev#/dev/}/partscan")"
[ ! -e "${dev}p1" ]
is "none is there" 0 $?
expect_errno EINVAL "a rescan is refused" blockdev --rereadpt "$dev"
ok_if "partx can add them" partx -a "$dev"
ok_if "it is there" wait_for 5 test -b "${dev}p1"
dd if=/dev/urandom of="${dev}p1" bs=4k count=16 oflag=direct conv=fsync status=none
ok_if "its sectors are those of the image" cmp <(dd if="${dev}p1" bs=4k count=16 iflag=direct status=none) \
	<(dd if="$loop_file" bs=4k skip=256 count=16 status=none)
ok_if "partx can remove them" partx -d "$dev"

expect_errno EBUSY "partscan is fixed while live" strata_set frontends/block.part partscan=1
must strata_disable frontends/block.part
must strata_set frontends/block.part partscan=1
must strata_enable frontends/block.part
dev=/dev/$(strata_get frontends/block.part device)
ok_if "found when asked to" wait_for 5 test -b "${dev}p1"
is "partscan is shown" 1 "$(strata_get frontends/block.part partscan)"
