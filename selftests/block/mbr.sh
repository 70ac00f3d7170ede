# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by tests that need a partition table.

# le32 NUMBER: as printf escapes, least significant byte first
le32() {
	printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# mkmbr DEVICE START SECTORS: an MBR with one Linux partition
mkmbr() {
	printf '\x00\xfe\xff\xff\x83\xfe\xff\xff%b%b' "$(le32 "$2")" "$(le32 "$3")" |
		dd of="$1" bs=1 seek=446 conv=notrunc status=none &&
		printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc,fsync status=none
}
