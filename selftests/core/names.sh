#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Names of items: what mkdir refuses, with which errno and which words.
. "$(dirname "$0")/../common.sh"

make_dir() { mkdir "$strata/$1"; }

# bad_name ERRNO REGEX DIRECTORY NAME DESCRIPTION
bad_name() { refused "$1" "$2" "$3" "$5" make_dir "$3/$4"; }

must modprobe strata
long=$(printf 'x%.0s' {1..70})
for dir in disks frontends; do
	bad_name ENOENT 'nosuch\.a: .*no such type' $dir nosuch.a "$dir: unknown type"
	bad_name EINVAL '<type>\.<name>' $dir nodot "$dir: a name without a dot"
	bad_name EINVAL '<type>\.<name>' $dir .a "$dir: no type"
	bad_name EINVAL '<type>\.<name>' $dir blockdev. "$dir: no name"
	bad_name ENOENT 'no such type' $dir 'a b.c' "$dir: a type with a space"
	bad_name ENOENT 'no such type' $dir $'a\nb.c' "$dir: a type with a newline"
	bad_name ENAMETOOLONG 'too long' $dir "$long.a" "$dir: a long type"
done
bad_name ENAMETOOLONG 'too long' disks "blockdev.$long" "a long name"
bad_name ENOENT 'no such type' frontends blockdev.a "a disk type is no frontend"
bad_name ENOENT 'no such type' disks block.a "a frontend type is no disk"
bad_name ENOENT 'no such type' disks ram.a "a layer kind is no disk"
expect_errno EPERM "mkdir outside of disks and frontends" make_dir other

ok_if "a name is not a format" strata_mkdisk 'blockdev.%s%n%p'
expect_refusal EINVAL 'path is not set' 'disks/blockdev.%s%n%p' "nor in an error"
ok_if "a name may have dots" strata_mkdisk blockdev.a.b..c
expect_errno EEXIST "a name is taken" make_dir disks/blockdev.a.b..c
name=layered.$(printf 'y%.0s' {1..55})
ok_if "a name of 63 letters" strata_mkdisk "$name"
mkchild "disks/$name/0.ram" size=1M
ok_if "and it resolves" strata_enable "disks/$name"
is "and shows in the stack" "$name 2048 x 512 layers 1, written 1" "$(strata_get "disks/$name" stack | head -n 1)"
expect_errno EPERM "a blockdev has no subdirectories" make_dir disks/blockdev.a.b..c/0.ram

# Layers
must strata_mkdisk layered.l
for name in ram 0 .ram x.ram -1.ram +1.ram 01.ram 4294967296.ram 99999999999999999999.ram 0x1.ram; do
	bad_name EINVAL '<index>\.<kind>' disks/layered.l "$name" "layer name '$name'"
done
bad_name ENOENT 'no such kind' disks/layered.l 0.nosuch "unknown kind of layer"
bad_name ENOENT 'no such kind' disks/layered.l 0. "no kind of layer"
bad_name ENOENT 'no such kind' disks/layered.l 0.layered "a disk type is no layer"
ok_if "layer 0" mkchild disks/layered.l/0.ram
bad_name EEXIST 'index 0 is 0.ram' disks/layered.l 0.disk "a second layer 0"
