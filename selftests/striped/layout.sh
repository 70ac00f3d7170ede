#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# The bytes lie where dm-stripe puts them, both ways; and the members get what they have
# to, and nothing else.
. "$(dirname "$0")/../common.sh"
require_cmd dmsetup

# counted DISK KIND: submissions of a kind
counted() { strata_get "disks/$1" stats | awk -v kind="$2" '$1 == kind { print $2 }'; }

fill() { dd if=/dev/urandom of="$1" bs=1M oflag=direct status=none 2>/dev/null || true; }

for i in 0 1 2; do
	must mkloop "loop$i" 4M
	must strata_mkdisk "blockdev.m$i"
done
# shellcheck disable=SC2154
loops=("$loop0" "$loop1" "$loop2")
for i in 0 1 2; do must strata_set "disks/blockdev.m$i" "path=${loops[i]}"; done

# same N CHUNK: N members, chunks of that many sectors, whole rows of 4 MiB
same() {
	local n=$1 chunk=$2 sectors=$((8192 / $2 * $2 * $1)) table members=() i dev sum
	for ((i = 0; i < n; i++)); do
		table+=" ${loops[i]} 0"
		members+=("blockdev.m$i")
	done
	must mkstriped s "chunk_size=$((chunk * 512))" "${members[@]}"
	must show dev s disks/striped.s
	is "$n x $chunk: its size" $sectors "$(blockdev --getsz "$dev")"
	fill "$dev"
	sum=$(checksum "$dev")
	must strata_remove frontends/block.s
	must mkdm dm strata-same "0 $sectors striped $n $chunk$table"
	# shellcheck disable=SC2154
	is "$n x $chunk: dm-stripe reads what was written" "$sum" "$(checksum "$dm")"
	fill "$dm"
	sum=$(checksum "$dm")
	must dmsetup remove --retry strata-same
	must strata_make frontends/block.s disk@disks/striped.s
	must strata_enable frontends/block.s
	dev=/dev/$(strata_get frontends/block.s device)
	is "$n x $chunk: what dm-stripe wrote is read" "$sum" "$(checksum "$dev")"
	must strata_remove frontends/block.s
	must strata_remove disks/striped.s
}
same 2 256
same 3 8
same 3 24
same 1 2048

# Who gets what: 64 KiB chunks, two members
must mkstriped c chunk_size=64K blockdev.m0 blockdev.m1
must show dev c disks/striped.c
: "${dev:?}"
reads() { echo "$(counted blockdev.m0 read) $(counted blockdev.m1 read)"; }
# read_at BYTES LENGTH: how many more each member was given
read_at() {
	local a b c d
	read -r a b <<<"$(reads)"
	dd if="$dev" of=/dev/null bs="$2" skip=$(($1 / $2)) count=1 iflag=direct status=none
	read -r c d <<<"$(reads)"
	echo $((c - a)) $((d - b))
}
is "inside of a chunk" "1 0" "$(read_at 0 4096)"
is "inside of the next one" "0 1" "$(read_at 65536 65536)"
is "over two of them" "1 1" "$(read_at 131072 131072)"
is "over four: two runs each" "2 2" "$(read_at 0 262144)"
is "io sizes are a chunk and a row" "65536 131072" \
	"$(blockdev --getiomin "$dev") $(blockdev --getioopt "$dev")"
before="$(counted blockdev.m0 discard) $(counted blockdev.m1 discard)"
must blkdiscard -o 4096 -l $((5 << 20)) "$dev"
read -r a b <<<"$before"
is "a discard of many rows is one a member" "$((a + 1)) $((b + 1))" \
	"$(counted blockdev.m0 discard) $(counted blockdev.m1 discard)"
is "and reads zero" 0 "$(dd if="$dev" bs=4k skip=1 count=1280 iflag=direct status=none | tr -d '\0' | wc -c)"
read -r a b <<<"$(counted blockdev.m0 write_zeroes) $(counted blockdev.m1 write_zeroes)"
must fallocate -p -o 0 -l 3M "$dev"
is "so it is with zeroes" "$((a + 1)) $((b + 1))" \
	"$(counted blockdev.m0 write_zeroes) $(counted blockdev.m1 write_zeroes)"
read -r a b <<<"$(counted blockdev.m0 flush) $(counted blockdev.m1 flush)"
must dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct conv=fsync,notrunc status=none
is "a flush reaches both, once" "$((a + 1)) $((b + 1))" \
	"$(counted blockdev.m0 flush) $(counted blockdev.m1 flush)"
is "the stack" "striped.c 16384 x 512 members 2, chunk_size 65536
  0
    blockdev.m0 8192 x 512 $(basename "$loop0")
  1
    blockdev.m1 8192 x 512 $(basename "$loop1")" "$(strata_get disks/striped.c stack)"
