#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A device below that changes its size is followed, up to the RESIZE=1 of /dev/strataN.
. "$(dirname "$0")/../lib.sh"
require_cmd dmsetup losetup udevadm

# size_is DEVICE SECTORS
size_is() { [ "$(blockdev --getsz "$1")" = "$2" ]; }

# events DEVICE: how many RESIZE=1 it has sent
events() {
	awk -v RS='' -v device="DEVNAME=/dev/$1" '
		index("\n" $0 "\n", "\nRESIZE=1\n") && index("\n" $0 "\n", "\n" device "\n") { n++ }
		END { print n + 0 }' "$uevents"
}

events_are() { [ "$(events "$1")" = "$2" ]; }

must uevents_start
loop='' loop_file=''
must mkloop loop 16M
must strata_mkdisk blockdev.loop path="$loop"
must strata_mkblock loop disks/blockdev.loop
dev=$blockdev name=${blockdev#/dev/}

must truncate -s 32M "$loop_file"
must losetup -c "$loop"
ok_if "losetup -c grows /dev/$name" wait_for 5 size_is "$dev" 65536
is "and the disk" 65536 "$(strata_get disks/blockdev.loop sector_count)"
ok_if "RESIZE=1" wait_for 5 events_are "$name" 1
ok_if "what is new can be written" dd if=/dev/zero of="$dev" bs=1M seek=31 count=1 oflag=direct status=none
must truncate -s 8M "$loop_file"
must losetup -c "$loop"
ok_if "it shrinks" wait_for 5 size_is "$dev" 16384
expect_errno ENOSPC "what is gone cannot be written" dd if=/dev/zero of="$dev" bs=1M seek=8 count=1 oflag=direct status=none
ok_if "RESIZE=1 again" wait_for 5 events_are "$name" 2

# Not a whole number of 4 KiB blocks
loop4='' loop4_file=''
must mkloop loop4 1M --sector-size 4096
must strata_mkdisk blockdev.loop4 path="$loop4"
must strata_mkblock loop4 disks/blockdev.loop4
must truncate -s $((2048 * 1024 + 1536)) "$loop4_file"
must losetup -c "$loop4"
ok_if "a size is rounded down to whole blocks" wait_for 5 size_is "$blockdev" 4096

dm=''
must mkdm dm strata-resize '0 8192 zero'
must strata_mkdisk blockdev.dm path="$dm"
must strata_mkblock dm disks/blockdev.dm
name=${blockdev#/dev/}
must dmsetup load strata-resize --table '0 16384 zero'
must dmsetup resume strata-resize
ok_if "a dm table reload grows it" wait_for 5 size_is "$blockdev" 16384
ok_if "RESIZE=1" wait_for 5 events_are "$name" 1

# Many changes in a row: the last one counts.
for mib in 17 18 19 20 21 22 23 24; do
	truncate -s ${mib}M "$loop_file" && losetup -c "$loop"
done
ok_if "the last of many changes is seen" wait_for 5 size_is "$dev" 49152
# A size that changed without a word is found by a rescan.
before=$(events "${dev#/dev/}")
must sh -c "echo 'change $(cat /proc/sys/kernel/random/uuid) RESCAN=1' >/sys/block/${loop#/dev/}/uevent"
sleep 0.5
is "a rescan that finds no change says nothing" "$before" "$(events "${dev#/dev/}")"

# Changes while the disk comes and goes
changing() {
	local mib
	for mib in $(seq 16 40); do
		truncate -s "${mib}M" "$loop_file" && losetup -c "$loop"
	done
}
must strata_disable frontends/block.loop
changing &
changer=$!
coming=0
while kill -0 $changer 2>/dev/null; do
	strata_enable frontends/block.loop && strata_disable frontends/block.loop || coming=1
done
wait $changer
is "enabling and disabling while the size changes" 0 $coming
must strata_enable frontends/block.loop
dev=/dev/$(strata_get frontends/block.loop device)
ok_if "ends with the right size" wait_for 5 size_is "$dev" $((40 * 2048))
