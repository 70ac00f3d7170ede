#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# RAM disks against the model, both sector sizes, also while their size changes.
. "$(dirname "$0")/../common.sh"

must mkmem m512 16M
must mkmem m4096 16M sector_size=4096
must mkmem odd $((1023 * 512))
compare "mem, 512" layered.m512 18000
compare "mem, 4096" layered.m4096 10000
compare "mem, less than the largest block" layered.odd 3000
for size in 512 4096; do
	mkhook "echo \"\$2\" >$strata/disks/layered.m$size/0.ram/size"
	compare "mem, $size, resized" layered.m$size 6000 -r 8 -R 1M:12M -x "$hook"
done
