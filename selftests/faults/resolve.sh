#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 400
# kernel: lab
# Every allocation that fails while a stack is described, enabled and taken down leaves it
# as it was, with an errno and words.
. "$(dirname "$0")/inject.sh"

must faults_quiet
must mkfile image 2M
must mkloop dev 2M
# Modules are loaded beforehand: what modprobe allocates is no concern of ours.
must mkmem other 1M
must strata_mkdisk file.f "path=${image:?}" direct=0
must strata_mkdisk blockdev.b "path=${dev:?}"
must strata_make frontends/block.f

cd "$strata" || exit
d=disks/layered.d
cleanup strata_remove $d
every "mkdir of a disk" 2 mkdir disks/blockdev.x -- rmdir disks/blockdev.x
every "rmdir" 0 rmdir disks/blockdev.x -- mkdir disks/blockdev.x
must mkdir -p $d
every "mkdir of a layer" 2 mkdir $d/0.ram -- rmdir $d/0.ram
must mkdir $d/1.disk
every "a link" 2 link "$strata/disks/file.f" $d/1.disk/disk -- unlink $d/1.disk/disk
must ln -s "$strata/$d" frontends/block.f/disk
every "a path" 1 store disks/blockdev.b/path "$dev"
every "reading an attribute" 1 load disks/blockdev.b/path
is "the path is what it was" "$dev" "$(cat disks/blockdev.b/path)"

# live of all that is in the stack
lives() { cat disks/file.f/live disks/blockdev.b/live $d/live frontends/block.f/live | xargs; }

every "enable a memdiff over a file" 20 -w $d/last_error store $d/enable 1 -- store $d/enable 0
is "it is live" "1 0 1 0" "$(lives)"
every "reading its stack" 1 load $d/stack
every "reading its statistics" 1 load $d/stats
every "disable it" 0 store $d/enable 0 -- store $d/enable 1
is "all of it is down" "0 0 0 0" "$(lives)"

every "enable a block frontend of it" 50 -w frontends/block.f/last_error \
	store frontends/block.f/enable 1 -- store frontends/block.f/enable 0
is "they are live" "1 0 1 1" "$(lives)"
ok_if "it works" model -n 300 -b 64K "/dev/$(cat frontends/block.f/device)"
every "disable it" 0 store frontends/block.f/enable 0 -- store frontends/block.f/enable 1
is "all of it is down" "0 0 0 0" "$(lives)"

# The same over a device
must rm $d/1.disk/disk
must ln -s "$strata"/disks/blockdev.b $d/1.disk/disk
every "enable a memdiff over a device" 20 -w $d/last_error store $d/enable 1 -- store $d/enable 0
is "it is live" "0 1 1 0" "$(lives)"
every "resize a RAM disk" 0 store disks/layered.other/0.ram/size 2M -- store disks/layered.other/0.ram/size 1M
must strata_disable $d
is "all of it is down" "0 0 0 0" "$(lives)"
must strata_remove frontends/block.f
cd / || exit
