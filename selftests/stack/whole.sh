#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# A whole stack, copy-on-write over delay over encryption over stripes of two devices: what
# enters at the top arrives below, sizes and errors come up, and under load it goes away.
. "$(dirname "$0")/../common.sh"
require_cmd fio dmsetup

# Two devices of which any part can be made to fail: at most 16 MiB, on loop
loop0='' loop1='' dm=''
for i in 0 1; do
	must mkloop "loop$i" 16M
	loop=loop$i
	must mkdm dm "stack$i" "0 16384 linear ${!loop} 0"
	must strata_mkdisk "blockdev.m$i" "path=$dm"
done

# table NUMBER: its new table, on stdin
table() {
	dmsetup suspend "stack$1" && dmsetup load "stack$1" && dmsetup resume "stack$1"
}
# resize SECTORS: of each
resize() {
	table 0 <<<"0 $1 linear $loop0 0" && table 1 <<<"0 $1 linear $loop1 0"
}

disks=(layered.l delay.d crypt.c striped.s blockdev.m0 blockdev.m1)
must mkstriped s chunk_size=16K blockdev.m0 blockdev.m1
must strata_mkdisk crypt.c inner@disks/striped.s "key=$(printf '%02x' {0..63})"
must strata_mkdisk delay.d inner@disks/crypt.c delay_us=300
must mkmemdiff l delay.d
must show dev l disks/layered.l
: "${dev:?}"
is "the stack is a tree" "layered.l 32768 x 512 layers 2, written 1
  0.ram committed 0
  1.disk
    delay.d 32768 x 512 ro delay_us 300
      crypt.c 32768 x 512 ro xts-aes-256
        striped.s 32768 x 512 ro members 2, chunk_size 16384
          0
            blockdev.m0 16384 x 512 ro
          1
            blockdev.m1 16384 x 512 ro" \
	"$(strata_get disks/layered.l stack | sed 's/ dm-[0-9]*$//; s/, by .*//')"

# Copy-on-write: all of it is written, and nothing below
sums() { checksum "$loop0" && checksum "$loop1"; }
before=$(sums)
ok_if "copy-on-write, against the model" model -n "$(pick 3000 1000)" -u zeroes -F "$dev"
is "nothing below has changed" "$before" "$(sums)"
must strata_remove frontends/block.l

# Written through: what is counted at each disk
must strata_set disks/layered.l/0.ram write_through=1
must show dev l disks/layered.l
# count DISK KIND: sectors
count() { strata_get "disks/$1" stats | awk -v kind="$2" '$1 == kind { print $4 }'; }
# arrives KIND SECTORS COMMAND...: the command brings so many sectors to every disk, half of
# them to each member
arrives() {
	local kind=$1 sectors=$2 disk now before=() i=0
	shift 2
	for disk in "${disks[@]}"; do
		before+=("$(count "$disk" "$kind")")
	done
	"$@" || return
	for disk in "${disks[@]}"; do
		now=$(($(count "$disk" "$kind") - before[i++]))
		case $disk in blockdev.*) now=$((now * 2)) ;; esac
		[ $now = "$sectors" ] || { echo "$disk: $now, not $sectors"; return 1; }
	done
}
# flushed COMMAND...: how many of the devices it flushes
flushed() {
	local before=() after=() devices=0 i
	read -r -a before <<<"$(flushes)"
	"$@"
	read -r -a after <<<"$(flushes)"
	for i in 0 1; do
		[ "${after[i]}" -le "${before[i]}" ] || devices=$((devices + 1))
	done
	echo $devices
}
flushes() { awk '{ printf "%d ", $16 }' "/sys/block/${loop0#/dev/}/stat" "/sys/block/${loop1#/dev/}/stat"; }
write() { dd if=/dev/zero of="$dev" oflag=direct status=none "$@"; }
# What udev reads of a new device comes first.
udevadm settle 2>/dev/null
ok_if "a write arrives everywhere" arrives write 256 write bs=128K count=1 conv=notrunc
is "a write is no flush" 0 "$(flushed write bs=4K count=1 conv=notrunc)"
is "a flush goes to both devices" 2 "$(flushed write bs=4K count=1 conv=notrunc,fsync)"
# They have no FUA, so the disk has none either, and the kernel flushes.
is "and so does O_DSYNC" 2 "$(flushed write bs=4K count=1 conv=notrunc oflag=direct,dsync)"
ok_if "zeroes" blkdiscard -f -z -o 64K -l 64K "$dev"
# The layer has those in memory, and cannot promise what discards do below it: without it
must strata_remove frontends/block.l
must show dev c disks/delay.d
disks=("${disks[@]:1}")
ok_if "a discard arrives everywhere" arrives discard 2048 blkdiscard -f -o 1M -l 1M "$dev"
disks=(layered.l "${disks[@]}")
is "zeroes are zeroes below encryption" "$(head -c 65536 /dev/zero | md5sum)" \
	"$(dd if="$dev" bs=64K skip=1 count=1 iflag=direct status=none | md5sum)"
must strata_remove frontends/block.c

# Sizes, also under load, and what is kept
state=$TMPDIR/state.$$
cleanup rm -f "$state"
must show dev l disks/layered.l
must model -f -S "$state" "$dev" >/dev/null
must uevents_start
must resize 24576
ok_if "it grows" wait_for 10 has_sectors "$dev" 49152
ok_if "and says so" wait_for 10 uevents_seen RESIZE=1 "${dev#/dev/}"
ok_if "what was there is there" model -v -l 16M -S "$state" "$dev"
ok_if "what is new can be written" write bs=1M seek=23 count=1 conv=notrunc
must resize 12288
ok_if "it shrinks" wait_for 10 has_sectors "$dev" 24576
expect_errno ENOSPC "what is gone cannot be written" write bs=1M seek=12 count=1 conv=notrunc
ok_if "the rest is there" model -v -l 12M -S "$state" "$dev"
must resize 16384
must wait_for 10 has_sectors "$dev" 32768
must strata_remove frontends/block.l

# Errors: a chunk of the second device, which is one of each two
read_at() { dd if="$dev" of=/dev/null bs=16K iflag=direct status=none skip="$1" count=1; }
must table 1 <<<"0 8192 linear $loop1 0
8192 32 error
8224 8160 linear $loop1 8224"
must show dev l disks/layered.l
ok_if "the chunk before can be read" read_at 512
expect_errno EIO "the bad one cannot" read_at 513
ok_if "the one behind can" read_at 514
ok_if "and the next one of the same device" read_at 515
expect_errno EIO "a write that is to go through" write bs=16K seek=513 count=1 conv=notrunc
must resize 16384
ok_if "all can be read when the device is well" dd if="$dev" of=/dev/null bs=1M iflag=direct status=none

# Under load
must load "$dev" --bsrange=4k-64k
for item in layered.l delay.d crypt.c striped.s blockdev.m1; do
	expect_errno EBUSY "rmdir $item" rmdir "$strata/disks/$item"
done
for module in delay crypt striped layered blockdev; do
	ok_if "strata_$module stays" not_unloaded strata_$module
done
must resize 12288
ok_if "sizes change" wait_for 10 has_sectors "$dev" 24576
must resize 16384
ok_if "and back" wait_for 10 has_sectors "$dev" 32768
rm "$strata"/disks/crypt.c/inner
is "a link that goes makes it stale" 1 "$(strata_get disks/crypt.c stale)"
must strata_set disks/delay.d delay_us=2000000
ok_if "force_detach" strata_set frontends/block.l force_detach=1
ok_if "all I/O ends" wait_for 20 ended "$load"
for disk in "${disks[@]}"; do
	ok_if "$disk goes" wait_for 20 is_down "$disk"
done
must strata_set disks/crypt.c inner@disks/striped.s
must strata_set disks/delay.d delay_us=100
ok_if "it can be enabled again" strata_enable frontends/block.l
dev=/dev/$(strata_get frontends/block.l device)
ok_if "and works" model -n 300 -b 64K -u ignored -F "$dev"
