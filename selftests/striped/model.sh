#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# Striped disks against the model: shapes, sector sizes, members of all kinds.
. "$(dirname "$0")/../common.sh"

state=$TMPDIR/state.$$
cleanup rm -f "$state"

for i in 0 1 2 3 4; do must mkmem "m$i" 4M; done
must mkstriped one chunk_size=128K layered.m0
compare "one member" striped.one 2000
must mkstriped two layered.m0 layered.m1
compare "two, by 128 KiB" striped.two 4000
must mkstriped three chunk_size=12K layered.m0 layered.m1 layered.m2
compare "three, by 12 KiB" striped.three 4000
must mkstriped five chunk_size=4K layered.m{0,1,2,3,4}
compare "five, by 4 KiB" striped.five 4000

must mkloop loop4k 6M -b 4096
must strata_mkdisk blockdev.four "path=${loop4k:?}"
must mkmem f4 6M sector_size=4096
must mkstriped four chunk_size=20K blockdev.four layered.f4
compare "sectors of 4096, by 20 KiB" striped.four 2000

# A disk that ignores discards, one that zeroes, one that promises nothing; a stripe of
# stripes; and all is still there when it was down
must mkfile image 4M
must strata_mkdisk file.f "path=${image:?}"
must mkloop loop 4M
must strata_mkdisk blockdev.b "path=${loop:?}"
must mkstriped inner chunk_size=32K layered.m3 layered.m4 sectors=8192
must mknull null size=4
must strata_mkdisk blockdev.n "path=${null:?}"
must mkstriped outer chunk_size=8K file.f blockdev.b striped.inner blockdev.n
must strata_enable disks/layered.m3
must strata_enable disks/layered.m4
for i in 1 2; do
	compare "stripes of a file, devices and a stripe, round $i" striped.outer 2500 -S "$state"
done
