#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# What may not be changed while it is live, and what may.
. "$(dirname "$0")/../common.sh"

remove_dir() { rmdir "$strata/$1"; }
make_dir() { mkdir "$strata/$1"; }

must mkfile image 1M
must mkloop dev 1M
must strata_mkdisk file.f "path=${image:?}"
must strata_mkdisk blockdev.b "path=${dev:?}"
must mkmemdiff m file.f
must strata_make frontends/block.f disk@disks/layered.m

ok_if "enable" strata_enable disks/layered.m
refused EALREADY 'layered\.m is enabled already' disks/layered.m "enabling twice" \
	strata_set disks/layered.m enable=1
is "still live" 1 "$(strata_get disks/layered.m live)"
ok_if "enable a frontend" strata_enable frontends/block.f
refused EALREADY 'block\.f is enabled already' frontends/block.f "enabling a frontend twice" \
	strata_set frontends/block.f enable=1
must strata_enable disks/blockdev.b

for bad in 2 -1 '' yes 10 $'1\n1' ' 1'; do
	refused EINVAL '0 or 1' disks/layered.m "enable = $(printf %q "$bad")" \
		strata_set disks/layered.m "enable=$bad"
done

# busy ITEM ATTRIBUTE VALUE
busy() { bad_value EBUSY "${1##*/} is live" "$1" "$2" "$3"; }

busy disks/file.f path "$image"
busy disks/file.f direct 0
busy disks/file.f read_only 1
busy disks/file.f shared 1
busy disks/blockdev.b path "$dev"
busy disks/layered.m read_only 1
busy disks/layered.m shared 1
busy disks/layered.m disk_id 00112233445566778899aabbccddeeff
busy disks/layered.m/0.ram sector_size 4096
busy disks/layered.m/0.ram read_cache 1
busy disks/layered.m/0.ram write_through 1
busy disks/layered.m/1.disk write_through 1
busy frontends/block.f read_only 1
busy frontends/block.f partscan 1
refused EBUSY 'comes from below' disks/layered.m/0.ram "a size for a layer that has it from below" \
	strata_set disks/layered.m/0.ram size=1M
ok_if "the limit is live" strata_set disks/layered.m/0.ram limit=1M

# Nothing that is used can be removed
for item in disks/file.f disks/blockdev.b disks/layered.m disks/layered.m/0.ram \
	disks/layered.m/1.disk frontends/block.f; do
	expect_errno EBUSY "rmdir $item" remove_dir $item
done
refused EBUSY 'layered\.m is live' disks/layered.m "a new layer" make_dir disks/layered.m/2.ram

# A hold and a user are two things
is "one user" 1 "$(strata_get disks/layered.m users)"
ok_if "drop the hold of a disk in use" strata_disable disks/layered.m
is "it stays live" 1 "$(strata_get disks/layered.m live)"
is "but is not enabled" 0 "$(strata_get disks/layered.m enable)"
ok_if "dropping it again is no error" strata_disable disks/layered.m
expect_errno EBUSY "rmdir of a disk that only a frontend uses" remove_dir disks/layered.m
ok_if "disable the frontend" strata_disable frontends/block.f
is "now it is down" 0 "$(strata_get disks/layered.m live)"
ok_if "disabling it again is no error" strata_disable frontends/block.f
expect_errno ENODEV "a disk that is not live has no size" strata_get disks/layered.m sector_count
expect_errno ENODEV "nor statistics" strata_get disks/layered.m stats
expect_errno ENODEV "nor a stack" strata_get disks/layered.m stack
expect_errno ENODEV "a frontend that is not live has no device" strata_get frontends/block.f device
ok_if "attributes can be changed again" strata_set disks/file.f direct=0
is "and are" 0 "$(strata_get disks/file.f direct)"
expect_errno EBUSY "rmdir of a disk that is linked" remove_dir disks/file.f
must strata_remove disks/layered.m/1.disk
ok_if "rmdir of one that is not" remove_dir disks/file.f

# Values that are no values
printf '/dev/null\0more' >"$TMPDIR/nul.$$"
cleanup rm -f "$TMPDIR/nul.$$"
store_nul() { cat "$TMPDIR/nul.$$" >"$strata"/disks/blockdev.b/path; }
must strata_disable disks/blockdev.b
refused EINVAL 'one line' disks/blockdev.b "a NUL in a path" store_nul
bad_value EINVAL 'one line' disks/blockdev.b path $'/dev/null\nmore'
long=$(printf 'x%.0s' {1..4000})
ok_if "a path of 4000 letters" strata_set disks/blockdev.b "path=/$long"
is "is kept" "/$long" "$(strata_get disks/blockdev.b path)"
expect_refusal ENAMETOOLONG '.' disks/blockdev.b "but leads nowhere"
head -c 100000 /dev/zero | tr '\0' x >"$TMPDIR/nul.$$"
store_huge() { dd if="$TMPDIR/nul.$$" of="$strata"/disks/blockdev.b/path bs=100000; }
expect_errno EFBIG "a value of 100000 letters" store_huge
bad_value EINVAL '0 or 1' disks/blockdev.b read_only maybe
bad_value EINVAL 'UUID' disks/layered.m disk_id 00112233
bad_value EINVAL 'UUID' disks/layered.m disk_id 0011223344556677-8899-aabb-ccdd-eeff
bad_value EINVAL 'UUID' disks/layered.m disk_id "$long"
