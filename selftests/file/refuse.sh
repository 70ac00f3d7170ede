#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What cannot be a disk is refused with an errno and a sentence.
# timeout: 300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/fs.sh"
require_cmd mkfs.ext4 chattr

# ERRNO REGEX DESCRIPTION [ATTRIBUTE=VALUE]...
refuse() {
	must strata_mkdisk file.bad "${@:4}"
	expect_refusal "$1" "$2" disks/file.bad "$3"
	must strata_remove disks/file.bad
}

must mkfs_at dir ext4 64
loop=
mkloop loop 1M
refuse EINVAL 'path is not set' "no path"
refuse ENOENT 'no such file' "missing" path="$dir/nothing"
refuse EISDIR 'is a directory' "a directory" path="$dir"
mkfifo "$dir/fifo"
refuse EINVAL 'not a regular file' "a fifo" path="$dir/fifo"
refuse EINVAL 'not a regular file' "a character device" path=/dev/null
refuse EINVAL 'use a blockdev disk' "a block device" path="$loop"
: >"$dir/empty"
refuse EINVAL 'is empty' "an empty file" path="$dir/empty"
truncate -s 1000 "$dir/odd"
refuse EINVAL 'not a multiple of 512' "an odd size" path="$dir/odd"
refuse EINVAL 'not a multiple of 512' "an odd size, buffered" path="$dir/odd" direct=0
ln -s loop "$dir/loop"
refuse ELOOP 'cannot be opened' "a symbolic link to itself" path="$dir/loop"

mkimage "$dir/image" 4
chattr +i "$dir/image"
refuse EPERM 'is immutable' "immutable" path="$dir/image"
must strata_mkdisk file.ro path="$dir/image" read_only=1
ok_if "immutable and read-only is fine" strata_enable disks/file.ro
must strata_remove disks/file.ro
chattr -i "$dir/image"
chattr +a "$dir/image"
refuse EPERM 'append-only' "append-only" path="$dir/image"
chattr -a "$dir/image"

dd if=/dev/zero of="$dir/swap" bs=1M count=4 2>/dev/null
chmod 600 "$dir/swap"
mkswap "$dir/swap" >/dev/null
must swapon "$dir/swap"
refuse ETXTBSY 'swap' "swap space" path="$dir/swap"
must swapoff "$dir/swap"

# proc files are regular, and have no size; sysfs files have one, but no read_iter for us.
refuse EINVAL 'direct|empty' "a proc file" path=/proc/version
refuse EINVAL 'empty|direct' "a proc file, buffered" path=/proc/version direct=0 read_only=1

mount -o remount,ro "$dir"
refuse EROFS 'read-only file system' "a read-only file system" path="$dir/image"
must strata_mkdisk file.ro path="$dir/image" read_only=1
ok_if "a read-only file system and a read-only disk" strata_enable disks/file.ro
must strata_remove disks/file.ro
mount -o remount,rw "$dir"

# ramfs has no direct I/O.
must mkfs_at ram ramfs
truncate -s 4M "${ram:?}/image"
refuse EINVAL 'set direct to 0' "no direct I/O" path="$ram/image"
must strata_mkdisk file.ok path="$ram/image" direct=0
ok_if "without it" strata_enable disks/file.ok
expect_errno EBUSY "path while live" strata_set disks/file.ok path=/nowhere
expect_errno EBUSY "direct while live" strata_set disks/file.ok direct=1
must strata_remove disks/file.ok
expect_errno EINVAL "direct=2" strata_mkdisk file.bad direct=2

# One image, two descriptions.
must strata_mkdisk file.a path="$dir/image"
must strata_mkdisk file.b path="$dir/../$(basename "$dir")/image"
must strata_enable disks/file.a
expect_refusal EBUSY 'file\.a' disks/file.b "the same image twice"
must strata_disable disks/file.a
must strata_set disks/file.a read_only=1
must strata_set disks/file.b read_only=1
ok_if "one reader" strata_enable disks/file.a
ok_if "two readers" strata_enable disks/file.b
must strata_disable disks/file.b
must strata_set disks/file.b read_only=0
expect_refusal EBUSY 'file\.a' disks/file.b "a writer beside a reader"
ln "$dir/image" "$dir/hardlink"
must strata_set disks/file.b path="$dir/hardlink"
expect_refusal EBUSY 'file\.a' disks/file.b "a writer through a hard link"
must strata_remove disks/file.a
ok_if "once it is gone" strata_enable disks/file.b
