#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The memory of a RAM layer: counted to the sector or the page, given back, and limited.
. "$(dirname "$0")/../common.sh"

must mkmem m 64M
must show dev m disks/layered.m
: "${dev:?}"
ram=disks/layered.m/0.ram
kib() { echo $(($(strata_get $ram committed) / 1024)); }
write() { dd if=/dev/urandom of="$dev" oflag=direct conv=notrunc status=none "$@"; }

is "nothing written, no memory" 0 "$(kib)"
must write bs=1M count=4
is "4 MiB written" 4096 "$(kib)"
must write bs=1M count=4
is "written again" 4096 "$(kib)"
must write bs=4K count=1 seek=4000
is "a page elsewhere" 4100 "$(kib)"
must blkdiscard -o 1M -l 1M "$dev"
is "1 MiB discarded" 3076 "$(kib)"
must blkdiscard -z -o 0 -l 1M "$dev"
is "1 MiB zeroed" 2052 "$(kib)"
must blkdiscard -o 2048K -l 512 "$dev"
is "a sector of a page is no page" 2052 "$(kib)"
must blkdiscard "$dev"
is "all discarded" 0 "$(kib)"

# A limit
must strata_set $ram limit=1M
ok_if "write up to the limit" write bs=64K count=16
is "all of it is used" 1024 "$(kib)"
expect_errno ENOSPC "one page more" write bs=4K count=1 seek=1000
is "takes nothing" 1024 "$(kib)"
ok_if "what is there can be written" write bs=64K count=16
must blkdiscard -o 0 -l 64K "$dev"
ok_if "what is given back can be used" write bs=4K count=16 seek=1000
expect_errno ENOSPC "and no more" write bs=4K count=1 seek=2000
must strata_set $ram limit=2M
ok_if "a higher limit counts at once" write bs=4K count=16 seek=2000
must strata_set $ram limit=64K
expect_errno ENOSPC "a lower one too" write bs=4K count=1 seek=3000
is "but takes nothing away" $((1024 + 64)) "$(kib)"
ok_if "reads go on" dd if="$dev" of=/dev/null iflag=direct bs=1M status=none
ok_if "zeroes need no memory" blkdiscard -z "$dev"
is "and free it" 0 "$(kib)"
