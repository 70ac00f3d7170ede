#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The attributes of every type: they are there, and what they say is so.
. "$(dirname "$0")/../common.sh"

# has ITEM ATTRIBUTE...: exactly these
has() {
	local file files=() words
	for file in "$strata/$1"/*; do
		[ ! -f "$file" ] || files+=("${file##*/}")
	done
	words=$(printf '%s\n' "${@:2}" | sort)
	is "$1 has its attributes" "${words//$'\n'/ }" "${files[*]}"
}

common='read_only shared enable live users stale last_error sector_size physical_sector_size
	sector_count disk_id fua unmap optimal_unmap_sectors dma_alignment stats stack'
layer='stale last_error read_cache write_through'
frontend='read_only enable force_detach live stale last_error'

must mkmem m 8M
must mkfile image 1M
must mkloop dev 2M -b 4096
must strata_mkdisk file.f "path=${image:?}"
must strata_mkdisk blockdev.b "path=${dev:?}"
must mkmemdiff d blockdev.b
must strata_mkdisk prwrap.p
must strata_make frontends/block.f disk@disks/layered.m

# shellcheck disable=SC2086
{
	has disks last_error
	has frontends last_error
	has disks/layered.m $common
	has disks/layered.m/0.ram $layer size sector_size limit committed
	has disks/layered.d/1.disk $layer
	has disks/file.f $common path direct
	has disks/blockdev.b $common path pr
	has disks/prwrap.p $common ptpl_file
	has disks/prwrap.p/pr registrants reservation generation
	has frontends/block.f $frontend device partscan
}
is "only root looks" "drwxr-xr-x -rw-r--r-- -r--r--r--" "$(cd "$strata"/disks/layered.m &&
	stat -c %A . enable live | xargs)"

# Before and after
says disks/layered.m enable=0 live=0 users=0 stale=0 last_error= read_only=0 shared=0
says disks/layered.m/0.ram size=8388608 sector_size=0 read_cache=0 write_through=0
must strata_enable disks/layered.m
must strata_enable disks/layered.d
must strata_enable disks/file.f
must strata_enable frontends/block.f
says disks/layered.m enable=1 live=1 users=1 stale=0 last_error= sector_size=512 \
	physical_sector_size=512 sector_count=16384 fua=1 unmap=zeroes \
	optimal_unmap_sectors=1 disk_id=
says disks/layered.m/0.ram committed=0
says disks/layered.d sector_size=4096 physical_sector_size=4096 sector_count=512 \
	optimal_unmap_sectors=1 users=0 unmap=zeroes
says disks/blockdev.b enable=0 live=1 users=1 sector_size=4096 sector_count=512 path="$dev"
says disks/file.f sector_size=512 sector_count=2048 unmap=zeroes
says frontends/block.f enable=1 live=1 stale=0
dev=$(strata_get frontends/block.f device)
is "device names a block device of that size" 16384 "$(cat "/sys/block/$dev/size")"
is "which only root may open" "brw------- root" "$(stat -c '%A %U' "/dev/$dev")"
is "udev's name for it" f "$(cat "/sys/block/$dev/strata/name")"

# The stack, line by line
is "the stack of a memdiff" "layered.d 512 x 4096 layers 2, written 1
  0.ram committed 0
  1.disk
    blockdev.b 512 x 4096 ro $(basename "$(strata_get disks/blockdev.b path)")" \
	"$(strata_get disks/layered.d stack)"
