#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Install what building and testing need, on Debian 12 or 13. Silent and offline
# when nothing is missing.
set -euo pipefail
. "$(dirname "$0")/env.sh"

packages=(
	# build the modules and the lab kernel
	make gcc libc6-dev flex bison bc libelf-dev libssl-dev perl python3 rsync
	cpio xz-utils kmod
	# the VM
	qemu-system-x86 busybox-static
	# lint
	sparse shellcheck
	# what the tests call inside the VM
	fio dmsetup e2fsprogs xfsprogs sg3-utils util-linux udev iproute2 procps
	bash-builtins
)

[ "${1:-}" = --list ] && { printf '%s\n' "${packages[@]}"; exit; }

missing=()
for package in "${packages[@]}"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
	[ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit

[ "$(id -u)" = 0 ] || die "run as root once, or: apt-get install ${missing[*]}"
say "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
