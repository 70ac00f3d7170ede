#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 90
# Live sizes: of the layer itself, and of what is below, up to the uevent of the device.
# What was cut off is gone for good, what is put on reads zero, data go on being data.
. "$(dirname "$0")/../common.sh"

zeroes() { [ -z "$(dd if="$1" bs=512 skip="$2" count="$3" iflag=direct status=none | tr -d '\0')" ]; }
sectors_of() { blockdev --getsz "$1"; }
has_sectors() { [ "$(sectors_of "$1")" = "$2" ]; }
fill() { dd if=/dev/urandom of="$1" bs=512 seek="$2" count="$3" oflag=direct conv=notrunc status=none; }
keep() { dd if="$1" bs=512 skip="$2" count="$3" iflag=direct status=none | md5sum; }

# A RAM disk: shrink, grow, write, read (A4)
must mkmem m 4M
must show dev m disks/layered.m
: "${dev:?}"
ram=disks/layered.m/0.ram
must fill "$dev" 0 8192
low=$(keep "$dev" 0 4096)
ok_if "shrink to half" strata_set $ram size=2M
is "at once" 4096 "$(sectors_of "$dev")"
is "half of the memory is free" 2097152 "$(strata_get $ram committed)"
ok_if "grow again" strata_set $ram size=4M
is "at once" 8192 "$(sectors_of "$dev")"
ok_if "what was cut off reads zero" zeroes "$dev" 4096 4096
is "what was not is the same" "$low" "$(keep "$dev" 0 4096)"
must fill "$dev" 5000 100
data=$(keep "$dev" 5000 100)
ok_if "data there do not read zero" eval "! zeroes $dev 5000 100"
must fill "$dev" 4990 5
is "nor does a write before them make them" "$data" "$(keep "$dev" 5000 100)"
must fill "$dev" 5200 1
is "nor one behind them" "$data" "$(keep "$dev" 5000 100)"
ok_if "their neighbours still do" zeroes "$dev" 5100 100
must blkdiscard -o $((8000 * 512)) -l $((192 * 512)) "$dev"
must fill "$dev" 8100 50
data=$(keep "$dev" 8100 50)
ok_if "after a discard of the tail too" eval "! zeroes $dev 8100 50"
is "and again" "$data" "$(keep "$dev" 8100 50)"
for size in 0 1000 -1 ''; do
	bad_value EINVAL '.' $ram size "$size"
done
is "a size that is refused changes nothing" 8192 "$(sectors_of "$dev")"

# From below: a loop device grows and shrinks under memdiff
must mkloop base 4M
must fill "${base:?}" 0 8192
must strata_mkdisk blockdev.b "path=$base"
must mkmemdiff d blockdev.b
must show dev d disks/layered.d
must uevents_start
must fill "$dev" 8000 192
data=$(keep "$dev" 8000 192)
# shellcheck disable=SC2154
resize_base() { truncate -s "$1" "$base_file" && losetup -c "$base"; }
must resize_base 6M
ok_if "a loop device that grows" wait_for 10 has_sectors "$dev" 12288
ok_if "says so through the copy-on-write disk" wait_for 10 uevents_seen RESIZE=1 "${dev#/dev/}"
ok_if "the new part reads zero" zeroes "$dev" 8192 4096
is "the old one is there" "$data" "$(keep "$dev" 8000 192)"
must fill "$dev" 12000 288
must resize_base 3M
ok_if "it shrinks" wait_for 10 has_sectors "$dev" 6144
ok_if "and frees the memory" wait_for 10 test "$(strata_get disks/layered.d/0.ram committed)" -lt 4096
must resize_base 8M
ok_if "and grows" wait_for 10 has_sectors "$dev" 16384
ok_if "what was written beyond is gone" zeroes "$dev" 6144 10240
is "the sizes of all levels agree" "16384 16384" \
	"$(strata_get disks/blockdev.b sector_count) $(strata_get disks/layered.d sector_count)"

# A layer with a size of its own does not follow
must strata_disable frontends/block.d
must strata_set disks/layered.d/0.ram size=5M
must strata_enable frontends/block.d
dev=/dev/$(strata_get frontends/block.d device)
is "a size of its own" 10240 "$(sectors_of "$dev")"
must resize_base 3M
ok_if "the base shrinks below it" wait_for 10 eval "[ \$(strata_get disks/blockdev.b sector_count) = 6144 ]"
is "which changes nothing" 10240 "$(sectors_of "$dev")"
ok_if "but for the data: at the end of the base (A2)" zeroes "$dev" 6144 1
ok_if "one behind it" zeroes "$dev" 6145 1
ok_if "all behind it" zeroes "$dev" 6144 4096
ok_if "across it" eval "dd if=$dev bs=512 skip=6100 count=100 iflag=direct status=none | wc -c | grep -qx 51200"
