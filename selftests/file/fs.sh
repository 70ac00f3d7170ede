# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the tests here: file systems to keep images on, and disks of images.

# mkfs_at VARIABLE TYPE [MIB]: a fresh file system; its mount point comes in $VARIABLE.
mkfs_at() {
	local _dir _dev
	_dir=$(mktemp -d) || return
	cleanup rmdir "$_dir"
	if [ "$2" = tmpfs ] || [ "$2" = ramfs ]; then
		mount -t "$2" -o "size=${3:-512}m" "$2" "$_dir" || return
	else
		mknull _dev "size=${3:-512}" discard=1 || return
		mkfs_quietly "$2" "$_dev" || return
		mount "$_dev" "$_dir" || return
	fi
	cleanup _unmount "$_dir"
	printf -v "$1" %s "$_dir"
}

mkfs_quietly() {
	case $1 in
	ext4) mkfs.ext4 -q -F "$2" ;;
	xfs) mkfs.xfs -q -f "$2" ;;
	*) return 1 ;;
	esac
}

_unmount() { ! mountpoint -q "$1" || umount "$1"; }

# mkimage FILE MIB: a sparse file.
mkimage() { truncate -s "$2M" "$1"; }

# mkfile NAME FILE [ATTRIBUTE=VALUE]...: FILE as a block device, in $blockdev.
mkfile() {
	strata_mkdisk "file.$1" "path=$2" "${@:3}" &&
		strata_mkblock "$1" "disks/file.$1"
}

# rmfile NAME
rmfile() { strata_remove "frontends/block.$1" && strata_remove "disks/file.$1"; }

# verify FILE [FIO OPTION]...: random writes of mixed sizes, read back and compared.
verify() {
	local file=$1
	shift
	fio --name=verify --filename="$file" --rw=randwrite --bsrange=512-64k --bs_unaligned=0 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --ioengine=libaio --iodepth=16 \
		--direct=1 --size=6m --randseed=7 --output-format=terse --terse-version=3 "$@"
}

# bytes FILE [DD OPTION]...: a checksum of what the file's own disk would give back.
bytes() { dd if="$1" iflag=direct bs=64k "${@:2}" 2>/dev/null | sha256sum | cut -d' ' -f1; }
