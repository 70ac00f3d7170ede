#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# fio with verification: random reads, writes, trims and flushes, through io_uring and
# libaio, on a RAM disk, a copy-on-write disk, a device and a file.
. "$(dirname "$0")/../common.sh"

require_cmd fio

# fio_on DEVICE [OPTION]...
fio_on() {
	fio --name=verify --filename="$1" --thread --direct=1 --randrepeat=0 --group_reporting \
		--verify=crc32c --verify_fatal=1 --verify_backlog=256 \
		--bssplit="$block/10:4k/50:16k/30:64k/10" --iodepth=16 --fsync=64 \
		--size="$(pick 12M 4M)" --rw=randrw --output="$TMPDIR/fio.$$" "${@:2}" ||
		{ cat "$TMPDIR/fio.$$"; return 1; }
}
cleanup rm -f "$TMPDIR/fio.$$"

# mixes NAME DISK
mixes() {
	local dev block
	must show dev "$1" "disks/$2"
	block=$(strata_get "disks/$2" sector_size)
	ok_if "$1: io_uring" fio_on "$dev" --ioengine=io_uring
	# Each block is trimmed, then written: that no trim comes late is what is verified.
	ok_if "$1: libaio, trims" fio_on "$dev" --ioengine=libaio --rw=randtrimwrite
	ok_if "$1: two jobs at once" fio_on "$dev" --ioengine=io_uring --numjobs=2 \
		--size=4M --offset_increment=4M --sync=dsync
	strata_remove "frontends/block.$1"
}

must mkmem m 16M
mixes mem layered.m
must mkloop base 16M -b 4096
must strata_mkdisk blockdev.b "path=${base:?}"
must mkmemdiff d blockdev.b
mixes memdiff layered.d
must mkloop dev 16M
must strata_mkdisk blockdev.d "path=${dev:?}"
mixes blockdev blockdev.d
must mkfile image 16M
must strata_mkdisk file.f "path=${image:?}"
mixes file file.f
