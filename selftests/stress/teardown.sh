#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Under load: frontends that are open do not go without force, modules stay, and what is
# forced ends all I/O, at once, with nothing left behind.
. "$(dirname "$0")/../common.sh"

require_cmd fio
stop_load() { kill -INT "$(pgrep -P "$load" fio)" && wait "$load"; }
no_device() { [ ! -e "/sys/block/${1#/dev/}" ]; }

must mkloop base 16M
must mkmem m 16M
must strata_mkdisk blockdev.b "path=${base:?}"
must mkmemdiff d blockdev.b
must strata_make frontends/block.f disk@disks/layered.d

# force NAME DISK
for disk in layered.m layered.d; do
	must strata_remove frontends/block.f
	must show dev f disks/$disk
	: "${dev:?}"
	must load "$dev"
	refused EBUSY "${dev#/dev/} is open" frontends/block.f "$disk: disable under load" \
		strata_disable frontends/block.f
	is "$disk: it goes on" 1 "$(strata_get frontends/block.f live)"
	expect_errno EBUSY "$disk: rmdir of the frontend" rmdir "$strata"/frontends/block.f
	expect_errno EBUSY "$disk: rmdir of the disk" rmdir "$strata"/disks/$disk
	for module in strata_block strata_layered strata_ram strata; do
		ok_if "$disk: $module stays" not_unloaded $module
	done
	ok_if "$disk: force_detach" strata_set frontends/block.f force_detach=1
	ok_if "$disk: all I/O ends" wait_for 20 ended "$load"
	is "$disk: with an error for who did it" 1 "$(cat "$load_log.status")"
	ok_if "$disk: the device goes" wait_for 5 no_device "$dev"
	ok_if "$disk: and the disk with its last opener" wait_for 5 is_down $disk
	ok_if "$disk: it can be enabled again" strata_enable frontends/block.f
	dev=/dev/$(strata_get frontends/block.f device)
	ok_if "$disk: and works" model -n 200 -b 16K -F "$dev"
	must strata_disable frontends/block.f
done

# Links and holds go while it runs: nothing happens to it
must strata_enable frontends/block.f
must strata_enable disks/layered.d
dev=/dev/$(strata_get frontends/block.f device)
must load "$dev"
ok_if "the hold goes under load" strata_disable disks/layered.d
rm "$strata"/frontends/block.f/disk "$strata"/disks/layered.d/1.disk/disk
is "and the links" "1 1" "$(strata_get frontends/block.f stale) $(strata_get disks/layered.d stale)"
ok_if "the load does not notice" eval "sleep 1; kill -0 $load"
ok_if "and ends well" stop_load
is "without an error" 0 "$(grep -c 'err=[^ 0]' "$load_log")"
must strata_disable frontends/block.f
