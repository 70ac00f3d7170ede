#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernel: stock
# timeout: 120
# Delays under load: nothing that waits is lost or waited for longer than it takes, whatever
# goes away meanwhile. Through a whole stack.
. "$(dirname "$0")/../common.sh"
require_cmd fio

log=$TMPDIR/fio.$$
cleanup rm -f "$log" "$log.status"
load() {
	(
		fio --name=load --filename="$1" --thread --direct=1 --ioengine=libaio --iodepth=32 \
			--rw=randrw --bsrange=4k-64k --time_based --runtime=100 --output="$log"
		echo $? >"$log.status"
	) >/dev/null 2>&1 &
	load=$!
	wait_for 20 busy "$1"
}
busy() { [ "$(awk '{ print $1 + $5 }' "/sys/block/${1#/dev/}/stat")" -gt 20 ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
not_unloaded() { ! modprobe -r "$1" 2>/dev/null; }
has_sectors() { [ "$(blockdev --getsz "$1")" = "$2" ]; }

# A RAM layer over delay over stripes of two devices; those are what it reads
for i in 0 1; do
	must mkloop "loop$i" 8M
	loop=loop$i
	must strata_mkdisk "blockdev.m$i" "path=${!loop}"
done
must mkstriped s chunk_size=16K blockdev.m0 blockdev.m1
must strata_mkdisk delay.d disk@disks/striped.s delay_us=20000
must strata_mkdisk layered.l
must mkchild disks/layered.l/0.ram write_through=1
must mkchild disks/layered.l/1.disk disk@disks/delay.d
must show dev l disks/layered.l
: "${dev:?}"
# shellcheck disable=SC2154
is "the stack is a tree" "layered.l 32768 x 512 layers 2, written 2
  0.ram committed 0 write_through
  1.disk
    delay.d 32768 x 512 delay_us 20000
      striped.s 32768 x 512 members 2, chunk_size 16384
        0
          blockdev.m0 16384 x 512 $(basename "$loop0")
        1
          blockdev.m1 16384 x 512 $(basename "$loop1")" \
	"$(strata_get disks/layered.l stack)"
# shellcheck disable=SC2154
resize() { for file in "$loop0_file" "$loop1_file"; do truncate -s "$1" "$file"; done
	losetup -c "$loop0" && losetup -c "$loop1"; }
must resize 12M
ok_if "it grows" wait_for 10 has_sectors "$dev" 49152
must resize 6M
ok_if "and shrinks" wait_for 10 has_sectors "$dev" 24576

must load "$dev"
expect_errno EBUSY "rmdir of the delay" rmdir "$strata"/disks/delay.d
ok_if "its module stays" not_unloaded strata_delay
must resize 8M
ok_if "sizes change under load" wait_for 10 has_sectors "$dev" 32768
must strata_set disks/delay.d delay_us=2000000
rm "$strata"/disks/delay.d/disk
is "a link that goes makes it stale" 1 "$(strata_get disks/delay.d stale)"
ok_if "force_detach" strata_set frontends/block.l force_detach=1
ok_if "all I/O ends" wait_for 20 ended "$load"
down() { [ "$(strata_get "disks/$1" live)" = 0 ]; }
for disk in layered.l delay.d striped.s blockdev.m0; do
	ok_if "$disk goes" wait_for 20 down $disk
done
# It may still be on its way
must wait_for 5 strata_set disks/delay.d disk@disks/striped.s
must wait_for 5 strata_set disks/delay.d delay_us=100
ok_if "it can be enabled again" strata_enable frontends/block.l
dev=/dev/$(strata_get frontends/block.l device)
ok_if "and works" model -n 300 -b 64K -f "$dev"
