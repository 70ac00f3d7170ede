#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 90
# Striped disks that cannot be, and those that are made nevertheless.
. "$(dirname "$0")/../common.sh"

make_dir() { mkdir "$strata/$1"; }
# cannot REGEX DISK DESCRIPTION
cannot() {
	expect_refusal EINVAL "$1" "disks/striped.$2" "$3"
	is "$3: it is not live" 0 "$(strata_get "disks/striped.$2" live)"
}

must mkmem a 1M
must mkmem b 1M
must mkmem c 2M
must mkmem f 1M sector_size=4096
must mkstriped s
item=disks/striped.s
is "chunk_size is 128 KiB" 131072 "$(strata_get $item chunk_size)"
is "sectors is 0" 0 "$(strata_get $item sectors)"
for size in 0 1 512 4095 4097 2K 1073742336 2G 4294967296 -4096 0x '' 4K5 ' 4K' $'4K\n8K'; do
	bad_value "$([ "$size" = 4294967296 ] && echo ERANGE || echo EINVAL)" '.' $item chunk_size "$size"
done
for size in 4096 1G 4608 128K 0x2000; do
	ok_if "chunk_size = $size" strata_set $item chunk_size=$size
done
for size in -1 x 1.5 18446744073709551616 ''; do
	bad_value EINVAL 'number' $item sectors "$size"
done

# Names of members
for name in 00 01 +1 -1 a 1.disk 0x1 4294967296 ' 0'; do
	refused EINVAL "a member's name is its number" $item "mkdir $name" make_dir "$item/$name"
done
refused EINVAL 'the last possible member is 65535' $item "mkdir 65536" make_dir $item/65536

cannot 'no members' s "no members"
must mkchild $item/0
expect_refusal ENOENT '^0: no disk is linked' $item "a member without its link"
must strata_set $item/0 disk@disks/layered.a
expect_errno EEXIST "one member twice" make_dir $item/0
refused EINVAL 'takes no link' $item "a link beside the members" \
	ln -s "$strata/disks/layered.b" "$strata/$item/disk"
must mkchild $item/2 disk@disks/layered.b
cannot 'member 1 is missing' s "a member that was left out"
must mkchild $item/1 disk@disks/layered.b
expect_refusal EBUSY 'layered.b is in use by striped.s' $item "one disk as two members"
must strata_remove $item/2
must strata_set $item chunk_size=1M
ok_if "a chunk as large as the members" strata_enable $item
is "is one row" 4096 "$(strata_get $item sector_count)"
for attr in chunk_size=4096 sectors=8; do
	bad_value EBUSY 'striped.s is live' $item "${attr%=*}" "${attr#*=}"
done
refused EBUSY 'striped.s is live' $item "another member" make_dir $item/2
expect_errno EBUSY "rmdir of a member" rmdir "$strata/$item/1"
strata_disable $item
strata_set $item chunk_size=2M
cannot 'member 0 is smaller than a chunk' s "a chunk larger than the members"

# Members that do not fit
strata_set $item chunk_size=64K
must mkchild $item/2 disk@disks/layered.c
cannot 'member 2 has 32 chunks, but member 0 has 16; set sectors' s "members of two sizes"
strata_set $item sectors=6145
cannot 'sectors is 6145, but the members have 6144' s "more than there is"
strata_set $item sectors=6000
cannot 'sectors is 6000.*multiple of 384' s "a size that is not whole rows"
strata_set $item sectors=18446744073709551615
cannot 'the members have 6144' s "a size beyond all bounds"
strata_set $item sectors=5760
ok_if "a size of whole rows" strata_enable $item
is "is the size" 5760 "$(strata_get $item sector_count)"
strata_disable $item
must strata_remove $item/2
strata_set $item sectors=0
must mkchild $item/2 disk@disks/layered.f
cannot 'member 2 has sectors of 4096 bytes, but member 0 of 512' s "two sector sizes"
must strata_remove $item/2
strata_set disks/layered.b read_only=1
cannot 'member 1 is read-only, but member 0 is not' s "one member that is read-only"
strata_set $item read_only=1
ok_if "which is good enough to read" strata_enable $item
strata_disable $item
strata_set $item read_only=0
strata_set disks/layered.a read_only=1
ok_if "two that are" strata_enable $item
ok_if "make a disk that is" grep -q '^striped.s .* ro ' "$strata/$item/stack"
strata_disable $item
must mkstriped f chunk_size=4608 layered.f
cannot 'chunk_size 4608 is not a multiple of the sector size, 4096 bytes' f \
	"a chunk that is not whole sectors"
must mkstriped loop
must mkchild disks/striped.loop/0 disk@disks/striped.s
must mkchild $item/2
refused ELOOP 'striped.loop is built on striped.s' $item/2 "a cycle" \
	ln -s "$strata/disks/striped.loop" "$strata/$item/2/disk"
