#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 200
# On disk it is what dm-crypt makes, to the last byte, both ways.
. "$(dirname "$0")/common.sh"
require_cmd dmsetup perl

key=$(newkey)
data=$TMPDIR/data.$$ state=$TMPDIR/state.$$
cleanup rm -f "$data" "$state"
dd if=/dev/urandom of="$data" bs=1M count=8 status=none

# dm_on DEVICE BLOCK: $dm
dm_on() {
	local options=''
	[ "$2" = 512 ] || options=" 2 sector_size:$2 iv_large_sectors"
	dmsetup create strata-crypt --table \
		"0 $(blockdev --getsz "$1") crypt aes-xts-plain64 $key 0 $1 0$options" || return
	dm=/dev/mapper/strata-crypt
}
dm_off() { dmsetup remove --retry strata-crypt; }
cleanup eval "! dmsetup info strata-crypt >/dev/null 2>&1 || dmsetup remove --retry strata-crypt"

copy() { dd if="$1" of="$2" bs="${3:-1M}" oflag=direct conv=fsync,notrunc status=none; }
same() { cmp -n $((8 << 20)) "$1" "$2"; }
differ() { ! cmp -s -n "${3:-512}" "$1" "$2"; }

# both_ways BLOCK
both_ways() {
	local ours ours_file theirs theirs_file dev
	must mkloop ours 8M -b "$1"
	must mkloop theirs 8M -b "$1"
	must strata_mkdisk "blockdev.b$1" "path=$ours"
	must mkcrypt "c$1" "$key" "blockdev.b$1"
	must show dev "f$1" "disks/crypt.c$1"

	# Blocks and odd multiples of them make bios of all kinds
	must copy "$data" "$dev" $((3 * $1))
	must strata_disable "frontends/block.f$1"
	must dm_on "$theirs" "$1"
	must copy "$data" "$dm"
	must dm_off
	ok_if "$1: both write the same bytes" same "$ours_file" "$theirs_file"
	ok_if "$1: which are not the data" differ "$ours_file" "$data"
	must dm_on "$ours" "$1"
	ok_if "$1: dm-crypt reads what strata wrote" same "$dm" "$data"
	must dm_off
	must strata_set "disks/blockdev.b$1" "path=$theirs"
	must strata_enable "frontends/block.f$1"
	dev=/dev/$(strata_get "frontends/block.f$1" device)
	ok_if "$1: strata reads what dm-crypt wrote" same "$dev" "$data"

	# By turns on one image
	rm -f "$state"
	must model -f -S "$state" "$dev"
	ok_if "$1: strata writes at random" model -n "$(pick 1500 500)" -u ignored -S "$state" "$dev"
	must strata_disable "frontends/block.f$1"
	must dm_on "$theirs" "$1"
	ok_if "$1: dm-crypt goes on" model -n "$(pick 1500 500)" -u ignored -S "$state" "$dm"
	must dm_off
	must strata_enable "frontends/block.f$1"
	dev=/dev/$(strata_get "frontends/block.f$1" device)
	ok_if "$1: and strata again" model -n "$(pick 1500 500)" -u ignored -S "$state" "$dev"
	must strata_remove "frontends/block.f$1"
	must dm_on "$theirs" "$1"
	ok_if "$1: dm-crypt sees it all" model -v -S "$state" "$dm"
	must dm_off
}

both_ways 512
both_ways 4096

# Another key, and another kind of block, read noise
must mkloop other 8M
must copy "$data" "${other:?}"
must strata_mkdisk blockdev.o "path=$other"
must mkcrypt o "$(newkey)" blockdev.o
must show dev o disks/crypt.o
ok_if "another key reads noise" differ "${dev:?}" "$data"
