#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# A read cache in the middle: reads that miss and hit it in one request are whole, what
# is written above never gets into it, and it never hides what is written.
. "$(dirname "$0")/../common.sh"

must mkloop base 8M
state=$TMPDIR/state.$$
cleanup rm -f "$state" "$state.base"
must model -f -S "$state.base" "${base:?}"
cp "$state.base" "$state"
must strata_mkdisk blockdev.b "path=$base"
must strata_mkdisk layered.d
must mkchild disks/layered.d/0.ram
must mkchild disks/layered.d/1.ram read_cache=1
must mkchild disks/layered.d/2.disk disk@disks/blockdev.b
must show dev d disks/layered.d
: "${dev:?}"
udevadm settle 2>/dev/null

read_at() { dd if="$dev" of="$TMPDIR/read.$$" iflag=direct,skip_bytes bs=$(($2 * 512)) \
	count=1 skip=$(($1 * 512)) status=none; }
cleanup rm -f "$TMPDIR/read.$$"

# One request that misses, hits, misses and hits again
must read_at 1003 1
must read_at 1005 2
must read_at 1000 16
ok_if "misses and hits in one read" cmp -n 8192 -i 512000:0 "$base" "$TMPDIR/read.$$"
# The top layer in between as well
must dd if=/dev/zero of="$dev" oflag=direct bs=512 count=1 seek=2002 conv=notrunc status=none
must read_at 2004 1
must read_at 2000 8
cp --sparse=never "$base" "$TMPDIR/want.$$"
cleanup rm -f "$TMPDIR/want.$$"
must dd if=/dev/zero of="$TMPDIR/want.$$" bs=512 count=1 seek=2002 conv=notrunc status=none
ok_if "and the top layer among them" \
	cmp -n 4096 -i $((2000 * 512)):0 "$TMPDIR/want.$$" "$TMPDIR/read.$$"
must blkdiscard "$dev"
before=$(strata_get disks/layered.d/1.ram committed)
must read_at 0 2048
is "what is hidden is not read into the cache" "$before" "$(strata_get disks/layered.d/1.ram committed)"
must strata_disable frontends/block.d
must strata_enable frontends/block.d
dev=/dev/$(strata_get frontends/block.d device)

ok_if "random I/O through all three" model -n "$(pick 4000 2000)" -S "$state" "$dev"
is "nothing of it got to the base" "write 0 flush 0 discard 0 write_zeroes 0" "$(
	strata_get disks/blockdev.b stats |
		awk 'NF == 4 && $1 != "read" { printf "%s%s %s", s, $1, $2; s = " " }')"

# What the cache holds is the base: under a second, empty top it must read as such.
must strata_disable frontends/block.d
must strata_remove disks/layered.d/0.ram
must strata_set disks/layered.d read_only=1
must strata_enable frontends/block.d
dev=/dev/$(strata_get frontends/block.d device)
ok_if "the base as before" model -v -S "$state.base" "$dev"
