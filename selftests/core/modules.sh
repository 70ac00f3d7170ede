#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mkdir loads what it needs, descriptions pin it, and all of it unloads.
. "$(dirname "$0")/../common.sh"

loaded() { lsmod | awk 'NR > 1 { print $1 }' | grep '^strata' | sort | xargs; }
unload() { modprobe -r "$@" 2>&1; }
modules='strata_file strata_blockdev strata_block strata_ram strata_layered strata'

for module in $modules; do
	modprobe -qr "$module"
done
is "nothing is loaded" "" "$(loaded)"
must modprobe strata
is "the core comes alone" strata "$(loaded)"
ok_if "an unknown type loads nothing" eval "! mkdir $strata/disks/nosuch.a 2>/dev/null"
is "really" strata "$(loaded)"

# brings MODULE ITEM
brings() {
	ok_if "mkdir ${2##*/}" mkdir "$strata/$2"
	ok_if "loads $1" grep -q "^$1 " /proc/modules
}
brings strata_blockdev disks/blockdev.a
brings strata_file disks/file.a
brings strata_layered disks/layered.a
brings strata_ram disks/layered.a/0.ram
brings strata_layered disks/layered.a/1.disk
brings strata_block frontends/block.a

expect_in_use() { [[ $(unload "$1") == *"is in use"* ]]; }
for module in $modules; do
	ok_if "$module does not unload" expect_in_use "$module"
done
ok_if "rmdir" rmdir "$strata"/disks/layered.a/{0.ram,1.disk} "$strata"/disks/*.a "$strata"/frontends/block.a

# In use by what is live, even with its description gone? It cannot go.
must mkmem m 1M
must strata_enable disks/layered.m
for module in strata_ram strata_layered strata; do
	ok_if "$module stays while a disk is live" expect_in_use $module
done
must strata_remove disks/layered.m
for module in $modules; do
	ok_if "$module unloads" wait_for 5 modprobe -r "$module"
done
is "nothing is loaded" "" "$(loaded)"
is "configfs has no strata" "" "$(ls -d "$strata" 2>/dev/null)"
for ((i = 0; i < 5; i++)); do
	modprobe strata_layered && modprobe -r strata_layered
done
ok_if "again and again" test ! -d /sys/module/strata_layered
