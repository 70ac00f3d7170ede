#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernel.sh stock|lab|source: make sure that kernel is in the cache, and print
# where its parts are as shell assignments.
#
#   stock   Debian's 6.12, unpacked; what users run
#   lab     built from linux-source-6.12 with lab.config; finds bugs
#   source  the unpacked linux-source-6.12 alone
#
# What the cache has is used without asking the network. Delete it to update.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# Download packages into the current directory.
fetch() {
	apt-get -qq download "$@" 2>/dev/null && return
	say "refreshing apt's lists"
	apt-get -qq update || true
	apt-get -qq download "$@"
}

# Sets $work, a directory on the cache's file system that dies with this script.
scratch() {
	work=$(mktemp -d "$cache/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
}

# Print what a package depends on and matches.
depends() {
	apt-cache depends "$1" 2>/dev/null | grep -oE "Depends: $2\$" | cut -d' ' -f2
}

# The metapackage is called linux-image-6.12-amd64 on Debian 12, linux-image-amd64 on 13.
stock_image() {
	local meta
	for meta in linux-image-6.12-amd64 linux-image-amd64; do
		depends $meta 'linux-image-6\.12\..*-amd64' && return
	done
	return 1
}

# Modules no VM of ours can use; without them depmod takes a second, not twenty.
prune_modules() {
	local kernel=$1/kernel dir
	rm -rf "$kernel/sound"
	for dir in gpu media iio staging infiniband usb hwmon input net bluetooth \
		comedi mmc mtd w1 hid leds power rtc thermal pinctrl platform video; do
		rm -rf "$kernel/drivers/$dir"
	done
	# Loading them uncompressed is quicker under emulation.
	find "$kernel" -name '*.ko.xz' -print0 | xargs -0 -r -n 64 -P "$(nproc)" xz -d
}

unpack_stock() {
	local dir=$1 image release version headers kbuild build deb
	image=$(stock_image) || { apt-get -qq update; image=$(stock_image); } ||
		die "apt knows no linux-image-6.12 for amd64; is the security archive in its sources?"
	release=${image#linux-image-}
	version=$(apt-cache show "$image" | sed -n 's/^Version: //p' | head -n1)
	headers=linux-headers-$release
	kbuild=$(depends "$headers" 'linux-kbuild-6\.12.*')
	say "fetching $image $version"
	fetch "$image=$version" "$headers=$version" "$kbuild=$version" \
		"linux-headers-${release%-amd64}-common=$version"
	for deb in *.deb; do
		dpkg -x "$deb" "$dir"
	done
	# Debian 13 ships the modules below /usr, where its /lib leads; depmod -b wants /lib.
	[ -d "$dir/lib" ] || { mkdir "$dir/lib" && mv "$dir/usr/lib/modules" "$dir/lib/"; }
	prune_modules "$dir/lib/modules/$release"
	depmod -b "$dir" "$release"
	build=$dir/usr/src/$headers
	sed -i "s|/usr/src|\$(dir \$(lastword \$(MAKEFILE_LIST)))..|" "$build/Makefile"
	# Debian ships BTF here; without it kbuild does not ask for pahole.
	rm -f "$build/vmlinux"
	echo "$release" >"$dir/release"
}

stock() {
	local dir=$cache/stock release
	lock "$dir"
	if [ ! -f "$dir/release" ]; then
		scratch
		(cd "$work" && unpack_stock "$work/root")
		rm -rf "$dir"
		mv "$work/root" "$dir"
	fi
	release=$(cat "$dir/release")
	cat <<-END
	release='$release'
	image='$dir/boot/vmlinuz-$release'
	build='$dir/usr/src/linux-headers-$release'
	modules='$dir/lib/modules/$release'
	END
}

unpack_source() {
	local tarball=/usr/src/linux-source-6.12.tar.xz
	if [ ! -f $tarball ]; then
		say "fetching linux-source-6.12"
		fetch linux-source-6.12
		dpkg -x linux-source-6.12_*.deb .
		tarball=.$tarball
	fi
	say "unpacking the kernel source"
	tar -xf $tarball
}

ensure_source() {
	local dir=$cache/source
	[ -f "$dir/Makefile" ] && return
	scratch
	(cd "$work" && unpack_source)
	mv "$work/linux-source-6.12" "$dir"
}

# A symbol that lost a dependency vanishes without a word: compare.
check_config() {
	local line bad=0
	while read -r line; do
		case $line in
		"# CONFIG_"*" is not set")
			line=${line#\# }
			grep -q "^${line% is not set}=" "$1" || continue ;;
		CONFIG_*)
			grep -qxF -- "$line" "$1" && continue ;;
		*)
			continue ;;
		esac
		say "lab.config: '$line' did not survive olddefconfig"
		bad=1
	done <"$vm/lab.config"
	return $bad
}

build_lab() {
	local dir=$1 make ticker bad=0
	make=(make -s -C "$cache/source" "O=$dir")
	mkdir -p "$dir"
	"${make[@]}" tinyconfig >/dev/null 2>&1
	cat "$vm/lab.config" >>"$dir/.config"
	# The warnings are about tinyconfig's values being overridden.
	"${make[@]}" olddefconfig >/dev/null 2>&1
	check_config "$dir/.config"
	say "building the lab kernel, about 10 minutes on two cores; log: $dir.log"
	while sleep 60; do
		say "$(grep -c '^  CC' "$dir.log") of about 2150 files compiled"
	done 9>&- &
	ticker=$!
	make -C "$cache/source" "O=$dir" -j"$(nproc)" vmlinux modules >"$dir.log" 2>&1 || bad=1
	kill $ticker
	[ $bad = 0 ] || { tail -n 30 "$dir.log" >&2; die "the lab kernel does not build"; }
	"${make[@]}" modules_install INSTALL_MOD_PATH="$dir/root" >>"$dir.log" 2>&1
	cp "$dir/include/config/kernel.release" "$dir/release"
}

lab() {
	local version dir release
	lock "$cache/source"
	ensure_source
	version=$(make -s -C "$cache/source" kernelversion)
	dir=$cache/lab-$version-$(grep -v '^$' "$vm/lab.config" | sha256sum | cut -c1-12)
	lock "$dir"
	[ -f "$dir/release" ] || build_lab "$dir"
	touch "$dir"
	# Old fragments' kernels are big.
	find "$cache" -maxdepth 1 -name 'lab-*' -type d -mtime +30 -exec rm -rf {} +
	release=$(cat "$dir/release")
	cat <<-END
	release='$release'
	image='$dir/vmlinux'
	build='$dir'
	modules='$dir/root/lib/modules/$release'
	END
}

mkdir -p "$cache"
case ${1:-} in
stock) stock ;;
lab) lab ;;
source)
	lock "$cache/source"
	ensure_source
	echo "source='$cache/source'" ;;
*) die "usage: kernel.sh stock|lab|source" ;;
esac
