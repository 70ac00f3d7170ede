# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced: what is done to an ext4 on a device under test, with a mark after each step
# that is on the disk for good.

# ext4_work DEVICE DIRECTORY
ext4_work() {
	local dev=$1 dir=$2 mnt=$2/mnt i
	mkdir -p "$mnt"
	mkfs.ext4 -q -b 1024 -J size=1 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$dev" || return
	log_mark mkfs
	mount "$dev" "$mnt" || return
	for i in 1 2 3 4; do
		dd if=/dev/urandom of="$mnt/file$i" bs=$((i * 5000)) count=1 conv=fsync status=none
		# The file is safe, its name in the directory as well
		ext4_mark "$mnt" "$dir" "new$i"
	done
	dd if=/dev/urandom of="$mnt/file1" bs=3000 count=1 conv=notrunc,fsync status=none
	ext4_mark "$mnt" "$dir" overwritten
	mv "$mnt/file2" "$mnt/file3" && rm "$mnt/file4" && sync -f "$mnt"
	ext4_mark "$mnt" "$dir" renamed
	mkdir "$mnt/many"
	for i in {1..12}; do
		echo "$i" >"$mnt/many/$i"
	done
	sync -f "$mnt"
	ext4_mark "$mnt" "$dir" many
	dd if=/dev/urandom of="$mnt/direct" bs=64K count=4 oflag=direct,dsync status=none
	ext4_mark "$mnt" "$dir" direct
	umount "$mnt"
}

ext4_mark() {
	(cd "$1" && find . -type f -exec sha256sum {} +) >"$2/$3"
	log_mark "$3"
}
