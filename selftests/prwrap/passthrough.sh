#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# blockdev pr=passthrough: the reservations of a SCSI device that LIO makes of memory, and
# shows twice, to two hosts. strata is one of them, sg_persist the other.
. "$(dirname "$0")/kit.sh"
require_cmd sg_persist
target=/sys/kernel/config/target
for module in sd_mod target_core_mod tcm_loop; do
	modprobe -q $module || skip_all "no $module"
done

# LIO keeps what persists there.
must mkdir -p /var/target/pr

core=$target/core/rd_mcp_0/strata
must mkdir -p "$core"
unmake_core() { rmdir $core "${core%/*}"; }
cleanup unmake_core
echo rd_pages=2048 >$core/control
echo strata-pr >$core/wwn/vpd_unit_serial
echo 1 >$core/enable

# mkpath VARIABLE NUMBER: one more host's view of it
mkpath() {
	local wwn=naa.600140500000000$2
	local tpg=$target/loopback/$wwn/tpgt_1 before host
	before=$(ls /sys/block)
	mkdir -p "$tpg" && echo "naa.600140510000000$2" >"$tpg/nexus" || return
	mkdir "$tpg/lun/lun_0" && ln -s "$core" "$tpg/lun/lun_0/disk" || return
	cleanup unmake_path "$tpg"
	found() { new=$(comm -13 <(echo "$before") <(ls /sys/block) | grep '^sd'); }
	if ! wait_for 5 found; then
		for host in /sys/class/scsi_host/*/scan; do
			echo '- - -' >"$host"
		done
		wait_for 10 found || return
	fi
	wait_for 5 test -b "/dev/$new" && printf -v "$1" %s "/dev/$new"
}

unmake_path() {
	rm "$1/lun/lun_0/disk" && rmdir "$1/lun/lun_0" "$1" "${1%/*}"
}

mine='' theirs=''
must mkpath mine 1
must mkpath theirs 2

# The other host; 6 is a unit attention, of which there is one for each event.
other() {
	local status=6
	for _ in 1 2 3 4; do
		[ $status = 6 ] || break
		sg_persist -n "$@" "$theirs" 2>/dev/null
		status=$?
	done
	return $status
}

keys() { other -i -k | grep -o '0x[0-9a-f]*$' | xargs; }
holder() { other -i -r | sed -n 's/.*Key=\(0x[0-9a-f]*\).*/\1/p'; }

must strata_mkdisk blockdev.d path="$mine"
is "pr is none by default" none "$(strata_get disks/blockdev.d pr)"
bad_value EINVAL 'none or passthrough' disks/blockdev.d pr all
must mkhost a disks/blockdev.d
got EOPNOTSUPP a register 0 0xa
must strata_remove frontends/block.a

must strata_set disks/blockdev.d pr=passthrough
is "it is shown as it was written" passthrough "$(strata_get disks/blockdev.d pr)"
must mkhost a disks/blockdev.d
refused EBUSY 'live' disks/blockdev.d "pr while live" store disks/blockdev.d pr none
got ok a register 0 0xa
is "the device has the key" 0xa "$(keys)"
got conflict a register 0xb 0xc
got ok a reserve 0xa we
is "and the reservation" 0xa "$(holder)"
got EINVAL a reserve 0xa 9
is "the holder writes" ok "$(io a write)"
got ok a release 0xa we

# The device enforces what the other host has.
must other -o --register --param-sark=0xb
must other -o --reserve --param-rk=0xb --prout-type=3
is "the other has it for itself" "conflict conflict" "$(io a read) $(io a write)"
got conflict a reserve 0xa we
got ok a preempt 0xa 0xb ea
is "taken over" "0xa 0xa ok" "$(keys) $(holder) $(io a write)"
# Not an abort: asked for that by tcm_loop, LIO of 6.12 waits for itself.
must other -o --register --param-sark=0xb
got ok a preempt 0xa 0xb ea
is "and again" 0xa "$(keys)"
got ok a clear 0xa
is "cleared" "" "$(keys)"

# One nexus
strata_set frontends/block.a enable=0
must strata_set disks/blockdev.d shared=1
must strata_enable frontends/block.a
must strata_make frontends/block.b disk@disks/blockdev.d
expect_refusal EBUSY 'one user alone, which is block\.a; put prwrap above' frontends/block.b "a second host"
must strata_mkdisk blockdev.e path="$mine" shared=1
expect_refusal EBUSY 'put prwrap above' disks/blockdev.e "a second disk of the device"
must strata_mkdisk layered.l
must mkchild disks/layered.l/0.ram
must mkchild disks/layered.l/1.disk disk@disks/blockdev.d
strata_set frontends/block.a enable=0
expect_refusal EINVAL 'blockdev\.d has reservations' disks/layered.l "an overlay"

# As its words say
must strata_mkdisk prwrap.p inner@disks/blockdev.d
expect_refusal EINVAL 'blockdev\.d is shared' disks/prwrap.p "while others could write past it"
must strata_set disks/blockdev.d shared=0
must mkhost c disks/prwrap.p
must mkhost d disks/prwrap.p
got ok c register 0 0xc
got ok c reserve 0xc we
is "prwrap above it" "ok conflict" "$(io c write) $(io d write)"
is "which the device knows nothing of" "" "$(keys)"
must strata_remove frontends/block.c
must strata_remove frontends/block.d
must strata_remove disks/prwrap.p

# A device that has none
null=''
must mknull null size=8
must strata_mkdisk blockdev.n path="$null" pr=passthrough
expect_refusal EOPNOTSUPP 'has no reservations; put prwrap above' disks/blockdev.n "null_blk"
# The SCSI devices go before the target does.
for item in frontends/block.a frontends/block.b disks/layered.l disks/blockdev.e disks/blockdev.d; do
	must strata_remove $item
done
