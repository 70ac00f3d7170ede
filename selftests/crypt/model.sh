#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# Encrypted disks against the model, and with fio's verification. Discards are left out of
# the model: what was discarded reads as noise.
. "$(dirname "$0")/common.sh"
require_cmd fio

log=$TMPDIR/fio.$$ state=$TMPDIR/state.$$
cleanup rm -f "$log" "$state"

# verify DESCRIPTION DISK [OPTION]...
verify() {
	local dev
	must show dev verify "disks/$2"
	ok_if "$1" fio --name=verify --filename="$dev" --thread --direct=1 --randrepeat=0 \
		--verify=crc32c --verify_fatal=1 --verify_backlog=256 --rw=randrw \
		--bssplit="$(strata_get "disks/$2" sector_size)/10:4k/50:16k/30:64k/10" \
		--iodepth=16 --fsync=64 --size="$(pick 8M 3M)" --output="$log" "${@:3}"
	strata_remove frontends/block.verify
}

must mkloopcrypt small 16M
must mkloopcrypt large 16M -b 4096
for name in small large; do
	rm -f "$state"
	# Before anything was written there is noise
	must show dev fill disks/crypt.$name
	must model -f -S "$state" "${dev:?}" >/dev/null
	strata_remove frontends/block.fill
	for i in 1 2; do
		compare "$name blocks, round $i" crypt.$name "$(pick 3000 800)" -u ignored -S "$state"
	done
	verify "$name blocks: io_uring" crypt.$name --ioengine=io_uring
	verify "$name blocks: libaio" crypt.$name --ioengine=libaio --rw=randwrite
done

# In stacks: two ciphers, copy-on-write above, a file below
must mkfile image 8M
must strata_mkdisk file.f "path=${image:?}"
must mkcrypt inner "$(newkey)" file.f
must mkcrypt outer "$(newkey)" crypt.inner
rm -f "$state"
must show dev fill disks/crypt.outer
must model -f -S "$state" "${dev:?}" >/dev/null
strata_remove frontends/block.fill
compare "a cipher over a cipher over a file" crypt.outer "$(pick 2000 500)" -u ignored -S "$state"
must mkmemdiff diff crypt.outer
compare "copy-on-write over that" layered.diff "$(pick 2000 500)" -S "$state"

# Discards go below
must mknull null size=16 memory_backed=1 discard=1
must strata_mkdisk blockdev.null "path=${null:?}"
must mkcrypt null "$(newkey)" blockdev.null
must show dev null disks/crypt.null
must dd if=/dev/zero of="${dev:?}" bs=1M count=16 oflag=direct status=none
is "a discard promises nothing" unspecified "$(strata_get disks/crypt.null unmap)"
must blkdiscard -o 4M -l 4M "$dev"
is "but reaches the device" 0 "$(dd if="$null" bs=1M skip=4 count=4 iflag=direct status=none | tr -d '\0' | wc -c)"
ok_if "zeroes are written, and read" blkdiscard -z -o 4M -l 4M "$dev"
is "as zeroes" 0 "$(dd if="$dev" bs=1M skip=4 count=4 iflag=direct status=none | tr -d '\0' | wc -c)"
ok_if "and are none below" eval "[ \$(dd if=$null bs=1M skip=4 count=4 iflag=direct status=none | tr -d '\\0' | wc -c) -gt 4000000 ]"
