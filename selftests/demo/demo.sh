#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the VM: a tour of copy-on-write disks, from an image with files in it to a table
# of what was seen. Fails when anything is not as it should be.
set -u
export LC_ALL=C
strata=/sys/kernel/config/strata
work=$(mktemp -d "${TMPDIR:-/tmp}/demo.XXXXXX")
image=$work/disk.img mnt=$work/mnt
disk=$strata/disks/layered.demo base=$strata/disks/blockdev.image front=$strata/frontends/block.demo
dev='' loop='' seen='' failed=0
table=()

# step TITLE FUNCTION: do it, remember what was $seen
step() {
	local verdict=ok
	seen=''
	[ $failed = 0 ] || return
	printf '  %s ... ' "$1"
	"$2" >"$work/log" 2>&1 || verdict=FAILED
	echo $verdict
	if [ $verdict != ok ]; then
		sed 's/^/    | /' "$work/log"
		cat "$disk/last_error" "$front/last_error" 2>/dev/null | sed -n 's/^./    | last_error: &/p'
		failed=1
	fi
	table+=("$1|$seen|$verdict")
}

mib() { echo "$(($1 / 1024 / 1024)) MiB"; }
size_of() { blockdev --getsize64 "$1"; }
# Of the image as it was made, however long the file is by now
image_sum() { head -c 33554432 "$image" | sha256sum | cut -c1-16; }
files_sum() { (cd "$mnt" && find . -type f ! -path './lost+found/*' -exec sha256sum {} + | sort -k2 | sha256sum | cut -c1-16); }

make_image() {
	mkdir -p "$mnt" "$work/files/logs" && truncate -s 32M "$image" || return
	cp /etc/passwd /etc/os-release "$work/files/"
	for i in 1 2 3 4 5 6 7 8; do
		head -c $((i * 30000)) /dev/urandom | base64 >"$work/files/logs/day$i" || return
	done
	mkfs.ext4 -q -F -d "$work/files" "$image" || return
	before=$(image_sum)
	seen="ext4, 10 files, sha256 $before"
}

export_disk() {
	modprobe loop && loop=$(losetup -f --show "$image") &&
		modprobe strata &&
		mkdir "$base" "$disk" "$disk/0.ram" "$disk/1.disk" "$front" &&
		echo "$loop" >"$base/path" &&
		ln -s "$base" "$disk/1.disk/disk" &&
		ln -s "$disk" "$front/disk" &&
		enable || return
	seen="/dev/$(cat "$front/device"), $(mib "$(size_of "$dev")"): RAM over $loop"
}

enable() {
	echo 1 >"$front/enable" && dev=/dev/$(cat "$front/device") || return
	for _ in {1..50}; do
		[ ! -b "$dev" ] || return 0
		sleep 0.1
	done
	return 1
}

look() {
	mount "$dev" "$mnt" || return
	files=$(files_sum)
	seen="mounted, $(find "$mnt" -type f | wc -l) files, $(cat "$disk/0.ram/committed") bytes of RAM in use"
}

change() {
	rm "$mnt/logs/day1" && echo hacked >"$mnt/passwd" &&
		dd if=/dev/urandom of="$mnt/new" bs=1M count=4 conv=fsync status=none && sync || return
	after=$(files_sum)
	seen="1 deleted, 1 overwritten, 4 MiB new; $(($(cat "$disk/0.ram/committed") / 1024)) KiB of RAM in use"
	[ "$after" != "$files" ] && [ "$(cat "$disk/0.ram/committed")" -gt 4000000 ]
}

unchanged() {
	local now writes
	now=$(image_sum)
	writes=$(awk '$1 == "write" { print $2 }' "$base/stats")
	seen="sha256 $now as before, $writes writes reached $loop"
	[ "$now" = "$before" ] && [ "$writes" = 0 ]
}

grow() {
	local i old
	old=$(df --output=size -B1 "$mnt" | tail -n 1)
	truncate -s 64M "$image" && losetup -c "$loop" || return
	for i in {1..50}; do
		[ "$(size_of "$dev")" != 67108864 ] || break
		sleep 0.1
	done
	resize2fs "$dev" || return
	seen="$dev: $(mib "$(size_of "$dev")"); its file system grew from $(mib "$old") to $(mib "$(df --output=size -B1 "$mnt" | tail -n 1)")"
	[ "$(size_of "$dev")" = 67108864 ]
}

take_down() {
	umount "$mnt" && echo 0 >"$front/enable" || return
	seen="no disk is live any more, what was changed is forgotten"
	[ "$(cat "$disk/live" "$base/live" | xargs)" = "0 0" ]
}

again() {
	local now
	enable && mount -o ro "$dev" "$mnt" || return
	now=$(files_sum)
	umount "$mnt"
	seen="the files are those of the image again"
	[ "$now" = "$files" ]
}

run_fio() {
	fio --name=demo --filename="$dev" --direct=1 --thread --ioengine=io_uring --iodepth=16 \
		--rw=randrw --bs=4k --size=8M --verify=crc32c --verify_fatal=1 --minimal >"$work/fio" ||
		{ cat "$work/fio"; return 1; }
	seen="$(awk -F';' '{ printf "%d KiB read, %d KiB written, ", $6, $47 }' "$work/fio")all verified"
}

finish() {
	umount "$mnt" 2>/dev/null
	if [ -d "$front" ]; then
		echo 0 >"$front/enable"
		rm -f "$front/disk" "$disk/1.disk/disk"
		rmdir "$front" "$disk/0.ram" "$disk/1.disk" "$disk" "$base"
	fi
	[ -z "$loop" ] || losetup -d "$loop"
	rm -rf "$work"
}
trap finish EXIT

echo "strata on Linux $(uname -r): copy-on-write disks"
echo
step "an image with files in it" make_image
step "export a memdiff over it" export_disk
step "mount it" look
step "change the files" change
step "is the image as it was?" unchanged
step "grow the device below, live" grow
step "unmount, take it down" take_down
step "export it again" again
step "fio, random, with verify" run_fio
step "is the image as it was, still?" unchanged

if [ $failed = 0 ]; then
	printf '\nThe stack, as %s/stack shows it:\n' "$disk"
	sed 's/^/  /' "$disk/stack"
fi
echo
{
	echo 'step|what was seen|'
	printf '%s\n' "${table[@]}"
} | awk -F'|' '{ printf "%-31s %-65s %s\n", $1, $2, $3 }'
exit $failed
