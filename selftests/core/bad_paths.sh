#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Paths and images that cannot be disks: an errno and a sentence for each.
. "$(dirname "$0")/../common.sh"

# cannot ERRNO REGEX DISK PATH DESCRIPTION
cannot() {
	strata_set "disks/$3" "path=$4"
	expect_refusal "$1" "$2" "disks/$3" "$5"
	is "$5: it is not live" 0 "$(strata_get "disks/$3" live)"
}

must strata_mkdisk blockdev.b
must strata_mkdisk file.f
must mkloop dev 1M
must mkfile image 1M
image=${image:?}
node=$TMPDIR/node.$$
must mknod "$node" b 240 7
cleanup rm -f "$node"
must ln -s loop "$TMPDIR/loop"
must mkfifo "$TMPDIR/fifo"
cleanup rm -f "$TMPDIR/loop" "$TMPDIR/fifo"

expect_refusal EINVAL 'path is not set' disks/blockdev.b "blockdev: no path"
expect_refusal EINVAL 'path is not set' disks/file.f "file: no path"
for disk in blockdev.b file.f; do
	cannot EINVAL 'path is not set' $disk '' "$disk: an empty path"
	cannot ENOENT 'no such file' $disk /nowhere/at/all "$disk: a missing path"
	cannot ENOTDIR '.' $disk "$image/x" "$disk: a file as a directory"
	cannot ELOOP '.' $disk "$TMPDIR/loop" "$disk: a link to itself"
	cannot ENAMETOOLONG '.' $disk "/$(printf 'x%.0s' {1..300})" "$disk: a long name"
done
cannot ENOTBLK 'directory' blockdev.b /tmp "blockdev: a directory"
cannot ENOTBLK 'not a block device' blockdev.b "$image" "blockdev: a file"
cannot ENOTBLK 'not a block device' blockdev.b /dev/null "blockdev: a character device"
cannot ENXIO 'no such device' blockdev.b "$node" "blockdev: a node without a device"
cannot EISDIR 'directory' file.f /tmp "file: a directory"
cannot EINVAL 'block device' file.f "${dev:?}" "file: a block device"
cannot EINVAL 'not a regular file' file.f /dev/null "file: a character device"
cannot EINVAL 'not a regular file' file.f "$TMPDIR/fifo" "file: a pipe"

# Sizes
truncate -s 0 "$image"
cannot EINVAL 'empty' file.f "$image" "file: size 0"
truncate -s 1000 "$image"
cannot EINVAL '1000 bytes.*multiple of 512' file.f "$image" "file: 1000 bytes"
must mkloop empty 0
cannot EINVAL 'size 0' blockdev.b "${empty:?}" "blockdev: size 0"

# Devices that others hold
must mkfs.ext4 -q "$dev"
must mkdir "$TMPDIR/mnt.$$"
cleanup rmdir "$TMPDIR/mnt.$$"
must mount "$dev" "$TMPDIR/mnt.$$"
cannot EBUSY 'mounted' blockdev.b "$dev" "blockdev: a mounted device"
must umount "$TMPDIR/mnt.$$"
must mkloop ro 1M -r
cannot EROFS 'read-only.*read_only' blockdev.b "${ro:?}" "blockdev: a read-only device"
strata_set disks/blockdev.b read_only=1
ok_if "but with read_only" strata_enable disks/blockdev.b
is "the words are gone" '' "$(strata_get disks/blockdev.b last_error)"
