#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The queue limits of what is below arrive at /dev/strataN.
. "$(dirname "$0")/../lib.sh"

null=''
# same LIMIT...: equal here and below
same() {
	local limit
	for limit; do
		is "$limit" "$(cat "/sys/block/${null#/dev/}/queue/$limit")" \
			"$(cat "/sys/block/${dev#/dev/}/queue/$limit")"
	done
}

# handed NAME [NULL_BLK ATTRIBUTE=VALUE]...
handed() {
	must mknull null size=64 "${@:2}"
	must strata_mkdisk "blockdev.$1" path="$null"
	must strata_mkblock "$1" "disks/blockdev.$1"
	dev=$blockdev
}

handed plain
same logical_block_size physical_block_size write_cache fua rotational stable_writes \
	discard_max_bytes max_segments virt_boundary_mask dma_alignment
is "no discard" ignored "$(strata_get disks/blockdev.plain unmap)"
is "its size" "$(blockdev --getsz "$null")" "$(blockdev --getsz "$dev")"

handed full blocksize=4096 cache_size=1 discard=1 fua=1
same logical_block_size physical_block_size write_cache fua discard_max_bytes \
	discard_granularity minimum_io_size
is "discard" unspecified "$(strata_get disks/blockdev.full unmap)"
is "sector size" 4096 "$(strata_get disks/blockdev.full sector_size)"
is "fua" 1 "$(strata_get disks/blockdev.full fua)"
expect_errno EINVAL "512 bytes are refused" dd if="$dev" of=/dev/null bs=512 count=1 iflag=direct status=none
