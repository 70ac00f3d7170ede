#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Who is delayed, by how much, what may be changed while it is, and what may not be said.
. "$(dirname "$0")/../common.sh"
require_cmd fio

item=disks/delay.d
# took COMMAND...: milliseconds
took() {
	local start=${EPOCHREALTIME/./}
	"$@" >/dev/null 2>&1 || return
	echo $(((${EPOCHREALTIME/./} - start) / 1000))
}
# between MIN MAX VALUE
between() { [ "$3" -ge "$1" ] && [ "$3" -lt "$2" ]; }
io() { dd if="$1" of="$2" bs=4k count=1 "${@:3}" status=none; }
read_one() { io "$dev" /dev/null iflag=direct; }
write_one() { io /dev/zero "$dev" oflag=direct conv=notrunc; }

# One that waits for nothing
must mkmem m 16M
must strata_mkdisk delay.d
is "no delay to begin with" 0 "$(strata_get $item delay_us)"
expect_refusal ENOENT 'no disk is linked' $item "no link"
must strata_set $item disk@disks/layered.m
for us in 600000001 4294967295 4294967296; do
	bad_value ERANGE '(at most 600000000|too large)' $item delay_us $us
done
for us in -1 x '' 1.5 ' 1' $'1\n2'; do
	bad_value EINVAL '.' $item delay_us "$us"
done
must show dev d $item
: "${dev:?}"
is "the stack" "delay.d 32768 x 512 delay_us 0
  layered.m 32768 x 512 layers 1, written 1" "$(strata_get $item stack | head -n 2)"
for attribute in sector_size unmap optimal_unmap_sectors dma_alignment disk_id fua; do
	is "$attribute is inherited" "$(strata_get disks/layered.m $attribute)" "$(strata_get $item $attribute)"
done
before=$(took read_one)

# Reads and writes, live
ok_if "two seconds, live" strata_set $item delay_us=2000000
is "is what is shown" 2000000 "$(strata_get $item delay_us)"
ms=$(took read_one)
ok_if "a read takes it ($ms ms, was $before)" between 2000 8000 "$ms"
ms=$(took write_one)
ok_if "a write too ($ms ms)" between 2000 8000 "$ms"
bad_value ERANGE 'at most' $item delay_us 600000001
ms=$(took blkdiscard -f -o 0 -l 1M "$dev")
ok_if "a discard does not ($ms ms)" between 0 1900 "$ms"
# Of the device, which has nothing to write: a flush
ms=$(took sync "$dev")
ok_if "a flush does not ($ms ms)" between 0 1900 "$ms"
fio_log=$TMPDIR/fio.$$
cleanup rm -f "$fio_log"
# fio_read DEPTH COUNT: $ms for so many reads
fio_read() {
	fio --name=read --filename="$dev" --thread --direct=1 --ioengine=libaio --iodepth="$1" \
		--rw=randread --bs=4k --number_ios="$2" --output-format=json --output="$fio_log"
}
# The first number of a key in fio's report, whole
fio_says() { awk -v key="\"$1\"" '$1 == key { gsub(/[^0-9.]/, "", $3); print int($3); exit }' "$fio_log"; }
must fio_read 32 32
ms=$(fio_says runtime)
ok_if "32 reads at a time wait together ($ms ms)" between 2000 20000 "$ms"

# Not a jiffy, which is 4 ms
must strata_set $item delay_us=100
must fio_read 1 200
ns=$(awk '$1 == "\"lat_ns\"" { at = 1 } at && $1 == "\"min\"" { gsub(/[^0-9]/, "", $3); print $3; exit }' "$fio_log")
ok_if "100 us are at least that, and no jiffy ($ns ns at best)" between 100000 4000000 "$ns"

# Lowering it lets go of what waits, and that is what teardown can be helped with
must strata_set $item delay_us=600000000
read_one &
reader=$!
sleep 0.5
ok_if "a read that waits for ten minutes" kill -0 $reader
must strata_set $item delay_us=0
ok_if "does not, once the delay is 0" wait $reader
ms=$(took read_one)
ok_if "and nothing waits any more ($ms ms)" between 0 1900 "$ms"

# The type's usual manners
refused EBUSY 'delay.d is live' $item "read_only while live" strata_set $item read_only=1
expect_errno EBUSY "rmdir while live" rmdir "$strata/$item"
must strata_remove frontends/block.d
strata_set disks/layered.m read_only=1
must strata_enable $item
ok_if "over a read-only disk it is one" grep -q '^delay.d .* ro ' "$strata/$item/stack"
