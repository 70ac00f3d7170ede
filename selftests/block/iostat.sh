#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# /sys/block/strataN/stat says what was done, and nothing stays in flight.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/mbr.sh"
require_cmd fio

# stat FIELD: 1 reads, 3 sectors read, 5 writes, 7 sectors written, 9 in flight, 10 ms
# busy, 12 discards, 14 sectors discarded, 16 flushes
field() { awk -v n="$1" '{ print $n }' "$sys/stat"; }
snapshot() { read -ra before <"$sys/stat"; }
since() { echo $(($(field "$1") - before[$1 - 1])); }

null=''
must mknull null size=64 cache_size=1 discard=1 irqmode=2 completion_nsec=5000000
must strata_mkdisk blockdev.stat path="$null"
must strata_make frontends/block.stat partscan=1 disk@disks/blockdev.stat
must strata_enable frontends/block.stat
dev=/dev/$(strata_get frontends/block.stat device)
sys=/sys/block/${dev#/dev/}

is "iostats are on" 1 "$(cat "$sys/queue/iostats")"
snapshot
dd if="$dev" of=/dev/null bs=4k count=10 iflag=direct status=none
is "reads" "10 80" "$(since 1) $(since 3)"
[ "$(since 10)" -ge 25 ]
is "the device was busy for that long" 0 $?
snapshot
dd if=/dev/zero of="$dev" bs=8k count=10 oflag=direct status=none
is "writes" "10 160" "$(since 5) $(since 7)"
snapshot
sync -d "$dev"
dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync status=none
[ "$(since 16)" -ge 1 ]
is "flushes are flushes" 0 $?
is "and no writes" 1 "$(since 5)"
snapshot
blkdiscard -o 1M -l 1M "$dev"
is "discards" "1 2048" "$(since 12) $(since 14)"

# An I/O that takes its time is seen in flight.
slow=''
must mknull slow size=64 irqmode=2 completion_nsec=1000000000
must strata_mkdisk blockdev.slow path="$slow"
must strata_mkblock slow disks/blockdev.slow
slow_stat=/sys/block/${blockdev#/dev/}/stat
in_flight() { [ "$(awk '{ print $9 }' "$slow_stat")" = "$1" ]; }
dd if="$blockdev" of=/dev/null bs=4k count=2 iflag=direct status=none &
ok_if "a slow read is in flight" wait_for 5 in_flight 1
wait $!
ok_if "and then is not" in_flight 0

snapshot
(cd "$TMPDIR" && fio --name=load --filename="$dev" --direct=1 --ioengine=io_uring --iodepth=32 \
	--rw=randrw --bs=4k --io_size=4m --minimal >/dev/null)
is "after a load, as many as fio did" 1024 $(($(since 1) + $(since 5)))
is "none in flight" "0 0" "$(awk '{ print $1, $2 }' "$sys/inflight")"

# Switching it in the middle leaves nothing behind.
(cd "$TMPDIR" && fio --name=load --filename="$dev" --direct=1 --ioengine=io_uring --iodepth=32 \
	--rw=randread --bs=4k --runtime=3 --time_based --minimal >/dev/null) &
load=$!
for value in 0 1 0 1 0 1; do
	sleep 0.4
	echo $value >"$sys/queue/iostats"
done
wait $load
is "switched under load, none in flight" 0 "$(field 9)"
echo 0 >"$sys/queue/iostats"
snapshot
dd if="$dev" of=/dev/null bs=4k count=10 iflag=direct status=none
is "switched off, nothing is counted" 0 "$(since 1)"
echo 1 >"$sys/queue/iostats"

# A partition's I/O is its own and the whole device's.
must mkmbr "$dev" 2048 8192
must blockdev --rereadpt "$dev"
ok_if "a partition" wait_for 5 test -b "${dev}p1"
snapshot
read -ra part <"$sys/${dev#/dev/}p1/stat"
dd if="${dev}p1" of=/dev/null bs=4k count=5 iflag=direct status=none
is "its reads on the device" 5 "$(since 1)"
is "and its own" 5 $(($(awk '{ print $1 }' "$sys/${dev#/dev/}p1/stat") - part[0]))
