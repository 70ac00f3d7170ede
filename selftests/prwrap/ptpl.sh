#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# Reservations that persist: over a reload of the module, with a torn slot, and without a
# whole one.
. "$(dirname "$0")/kit.sh"

file=$TMPDIR/ptpl
cleanup rm -f "$file"

up() {
	strata_mkdisk prwrap.p inner@disks/layered.m ptpl_file="$file" &&
		mkhost a disks/prwrap.p && mkhost b disks/prwrap.p
}

down() {
	strata_remove frontends/block.a && strata_remove frontends/block.b &&
		strata_remove disks/prwrap.p && wait_for 5 modprobe -r strata_prwrap
}

reload() { down && ! grep -q '^strata_prwrap ' /proc/modules && up; }

# serial SLOT: its number
serial() { od -A n -t u8 -j $(($1 * 4096 + 16)) -N 8 "$file" | tr -d ' '; }
newer() { [ "$(serial 0)" -gt "$(serial 1)" ] && echo 0 || echo 1; }

# tear SLOT: what was written last to it ends in the middle
tear() { dd if=/dev/urandom of="$file" bs=512 seek=$(($1 * 8 + 1)) count=7 conv=notrunc status=none; }

must mkmem m 8M
ok_if "the file is made" up
is "of two slots" 8192 "$(stat -c %s "$file")"
is "for root alone" 600 "$(stat -c %a "$file")"
got ok a register 0 0xa
got ok b register 0 0xb
got ok a reserve 0xa ea-ro
shows generation 2
ok_if "reload" reload
shows registrants "block.a 0x000000000000000a holder,block.b 0x000000000000000b"
shows reservation exclusive_access_registrants_only
shows generation 0
must mkhost c disks/prwrap.p
is "it is enforced" "ok ok conflict" "$(io a write) $(io b write) $(io c read)"
must strata_remove frontends/block.c

# A write that was cut short: the state before it
got ok b register 0xb 0
shows registrants "block.a 0x000000000000000a holder"
must down
slot=$(newer)
tear "$slot"
ok_if "up with a torn slot" up
shows registrants "block.a 0x000000000000000a holder,block.b 0x000000000000000b"
ok_if "the kernel's log tells" grep -q "prwrap\.p: a slot of $file is damaged" <(dmesg)
got ok b preempt 0xb 0xa ea
is "the torn slot is the one that was written" "$slot" "$(newer)"
ok_if "reload" reload
shows registrants "block.b 0x000000000000000b holder"
shows reservation exclusive_access
is "it is enforced" "conflict ok" "$(io a read) $(io b write)"

# The older slot is damaged: nothing is lost
must down
tear $((1 - $(newer)))
ok_if "up with a damaged older slot" up
shows registrants "block.b 0x000000000000000b holder"
got ok b clear 0xb
ok_if "reload" reload
shows registrants ""

# Nothing whole is left
got ok a register 0 0xa
must down
tear 0
tear 1
must strata_mkdisk prwrap.p inner@disks/layered.m ptpl_file="$file"
expect_refusal EINVAL 'ptpl_file is damaged' disks/prwrap.p "both slots torn"
must rm "$file"
ok_if "without the file" strata_enable disks/prwrap.p
must strata_remove disks/prwrap.p

# Not every path will do, and a file serves one disk.
for path in "$TMPDIR" "$TMPDIR/none/file" /dev/null; do
	must strata_mkdisk prwrap.bad inner@disks/layered.m ptpl_file="$path"
	case $path in
	*/none/*) expect_refusal ENOENT 'no such file' disks/prwrap.bad "in no directory" ;;
	*) expect_refusal EINVAL 'not a regular file' disks/prwrap.bad "$path" ;;
	esac
	must strata_remove disks/prwrap.bad
done
must up
must mkmem other 8M
must strata_mkdisk prwrap.q inner@disks/layered.other ptpl_file="$file"
expect_refusal EBUSY 'by prwrap\.p' disks/prwrap.q "a file in use"
refused EBUSY 'live' $prdisk "ptpl_file while live" store $prdisk ptpl_file /x

# No room: what cannot persist does not happen.
small=$TMPDIR/small
must mkdir "$small"
cleanup rmdir "$small"
must mount -t tmpfs -o size=8k small "$small"
cleanup umount "$small"
must strata_remove frontends/block.a
must strata_remove frontends/block.b
must strata_set $prdisk ptpl_file="$small/ptpl"
ok_if "two slots fit" strata_enable $prdisk
must mkhost a disks/prwrap.p
got ok a register 0 0xa
is "and nothing more is needed" 8192 "$(stat -c %s "$small/ptpl")"
must strata_remove frontends/block.a
must strata_remove disks/prwrap.p
