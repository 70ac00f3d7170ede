#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Keys: three ways in, none out, and words for those that are none.
. "$(dirname "$0")/common.sh"
require_cmd perl

crypt=disks/crypt.c
key=$(newkey)
half=$(random 32)
must mkloop dev 1M
must strata_mkdisk blockdev.b "path=${dev:?}"

raw() { bytes "$1" | dd of="$strata/$crypt/key_raw" bs=4096 iflag=fullblock status=none; }

# add_key DESCRIPTION HEX: to root's keyring; prints its number
add_key() {
	perl -e 'my ($type, $name, $key) = ("logon", $ARGV[0], pack("H*", $ARGV[1]));
		my $id = syscall(248, $type, $name, $key, length($key), -4);
		die "add_key: $!\n" if $id < 0; print $id' "$1" "$2"
}
# key_ctl OPERATION KEY NUMBER
key_ctl() { perl -e 'syscall(250, $ARGV[0] + 0, $ARGV[1] + 0, $ARGV[2] + 0) >= 0 or die "keyctl: $!\n"' "$@"; }
revoke() { key_ctl 3 "$1" 0; }
expire() { key_ctl 15 "$1" 1; }
forget() { key_ctl 9 "$1" -4; }

must strata_mkdisk crypt.c
is "its attributes" "cipher key key_raw" "$(cd "$strata/$crypt" && echo cipher key*)"
is "the cipher" xts-aes-256 "$(strata_get $crypt cipher)"
ok_if "which can be written back" strata_set $crypt cipher=xts-aes-256
expect_refusal ENOENT 'no disk is linked' $crypt "nothing below"
must strata_set $crypt inner@disks/blockdev.b
expect_refusal ENOKEY 'there is no key' $crypt "no key"

# Refused where they are written
refused EINVAL 'not known; there is xts-aes-256' $crypt "another cipher" \
	store $crypt cipher aes-xts-plain64
is "the cipher is what it was" xts-aes-256 "$(strata_get $crypt cipher)"
refused EINVAL '128 hexadecimal digits.*not 126' $crypt "63 bytes" store $crypt key "${key:2}"
refused EINVAL '128 hexadecimal digits.*not 130' $crypt "65 bytes" store $crypt key "${key}00"
refused EINVAL 'no hexadecimal digit' $crypt "127 digits and a letter" store $crypt key "${key:1}g"
refused EINVAL '128 hexadecimal digits' $crypt "two lines" store $crypt key "$key"$'\n'"$key"
refused EINVAL 'two halves' $crypt "identical halves" store $crypt key "$half$half"
refused EINVAL 'has 63 bytes' $crypt "63 raw bytes" raw "${key:2}"
refused EINVAL 'has 65 bytes' $crypt "65 raw bytes" raw "${key}0a"
refused EINVAL 'two halves' $crypt "identical raw halves" raw "$half$half"
refused EINVAL ':64:logon:<description>' $crypt "another kind of key" store $crypt key :64:user:a:b
refused EINVAL ':64:logon:<description>' $crypt "another length" store $crypt key :32:logon:a:b
refused EINVAL ':64:logon:<description>' $crypt "no description" store $crypt key :64:logon:
refused EINVAL '128 hexadecimal digits' $crypt "a long text" \
	store $crypt key "$(printf '%04000d' 0)"
expect_refusal ENOKEY 'there is no key' $crypt "none of them was taken"

# No way out
must strata_set $crypt "key=$key"
for attribute in key key_raw; do
	expect_errno EACCES "$attribute cannot be read" cat "$strata/$crypt/$attribute"
	is "$attribute is for writing" --w------- "$(stat -c %A "$strata/$crypt/$attribute")"
done
must strata_enable $crypt
refused EBUSY 'live' $crypt "another key while live" store $crypt key "$(newkey)"
refused EBUSY 'live' $crypt "a raw key while live" raw "$(newkey)"
refused EBUSY 'live' $crypt "the cipher while live" store $crypt cipher xts-aes-256
is "the stack says who does it" 1 "$(strata_get $crypt stack | grep -c 'crypt.c.*xts-aes-256, by .*xts')"
is "the key is nowhere" '' "$(grep -rlis -e "${key:0:16}" -e "${key:64:16}" "$strata/$crypt" "$strata/disks/blockdev.b" 2>/dev/null)"
is "nor in the log" 0 "$(dmesg | grep -ci -e "${key:0:16}" -e "${key:64:16}")"

# One key, three ways
data=$TMPDIR/data.$$
cleanup rm -f "$data"
dd if=/dev/urandom of="$data" bs=64k count=1 status=none
must show node f $crypt
dd if="$data" of="${node:?}" bs=64k oflag=direct status=none
# reads DESCRIPTION: the disk has the data
reads() {
	must strata_enable frontends/block.f
	node=/dev/$(strata_get frontends/block.f device)
	ok_if "$1" cmp -n 65536 "$node" "$data"
	must strata_disable frontends/block.f
}
must strata_disable $crypt
must strata_disable frontends/block.f
reads "the key is kept while it is not live"
must store $crypt key "${key^^}"
reads "in capitals"
must store $crypt key ''
expect_refusal ENOKEY 'there is no key' $crypt "an empty line forgets it"
must raw "$key"
reads "as bytes"
id=$(add_key strata:one "$key")
cleanup forget "$id"
must store $crypt key :64:logon:strata:one
reads "from the keyring"

# The kernel's keys are looked at when they are needed
must store $crypt key :64:logon:strata:none
expect_refusal ENOKEY 'no logon key strata:none' $crypt "a key that is not there"
id=$(add_key strata:short "${key:2}")
cleanup forget "$id"
must store $crypt key :64:logon:strata:short
expect_refusal EINVAL 'has 63 bytes' $crypt "a short key"
id=$(add_key strata:twice "$half$half")
cleanup forget "$id"
must store $crypt key :64:logon:strata:twice
expect_refusal EINVAL 'two halves' $crypt "a key with identical halves"
id=$(add_key strata:revoked "$key")
cleanup forget "$id"
must revoke "$id"
must store $crypt key :64:logon:strata:revoked
expect_refusal EKEYREVOKED 'revoked' $crypt "a key that was revoked"
id=$(add_key strata:late "$key")
cleanup forget "$id"
must expire "$id"
sleep 2
must store $crypt key :64:logon:strata:late
expect_refusal ENOKEY 'no logon key strata:late, or it has expired' $crypt "a key that has expired"
