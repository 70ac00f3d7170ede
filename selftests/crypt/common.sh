# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the tests here: keys, and encrypted disks.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

# random BYTES: hexadecimal
random() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }
newkey() { random 64; }

# bytes HEX
bytes() { perl -e 'print pack("H*", $ARGV[0])' "$1"; }

# mkcrypt NAME KEY INNER: disks/crypt.NAME over disks/INNER
mkcrypt() { strata_mkdisk "crypt.$1" "key=$2" "inner@disks/$3"; }

# mkloopcrypt NAME SIZE [LOSETUP ARGUMENTS]...: over a loop device, which is $loop
mkloopcrypt() {
	loop=''
	mkloop loop "${@:2}" &&
		strata_mkdisk "blockdev.$1" "path=$loop" &&
		mkcrypt "$1" "$(newkey)" "blockdev.$1"
}
