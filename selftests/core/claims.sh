#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Who may use what together: one image under several copy-on-write disks, but not under
# a writer as well, however it is described.
. "$(dirname "$0")/../common.sh"

must mkfile image 1M
must ln -s "${image:?}" "$image.link"
must ln "$image" "$image.hard"
cleanup rm -f "$image.link" "$image.hard"
must mkloop dev 1M
must ln -s "${dev:?}" "$TMPDIR/dev.link"
cleanup rm -f "$TMPDIR/dev.link"

# shares TYPE PATH OTHER-PATHS...: the rules for one image by several names
shares() {
	local type=$1 path=$2 other
	must strata_mkdisk "$type.one" "path=$path"
	must strata_mkdisk "$type.two" "path=$path"
	must strata_mkdisk "$type.writer" "path=$path"
	must mkmemdiff "$type-a" "$type.one"
	must mkmemdiff "$type-b" "$type.one"
	must mkmemdiff "$type-c" "$type.two"

	ok_if "$type: a memdiff" strata_enable "disks/layered.$type-a"
	ok_if "$type: a second one over the same disk" strata_enable "disks/layered.$type-b"
	ok_if "$type: a third one over another disk of the same image" \
		strata_enable "disks/layered.$type-c"
	is "$type: three live disks, one of them used twice" "2 1" \
		"$(strata_get "disks/$type.one" users) $(strata_get "disks/$type.two" users)"
	for other in "$path" "${@:3}"; do
		strata_set "disks/$type.writer" "path=$other"
		expect_refusal EBUSY "stable image by $type\\.(one|two)" "disks/$type.writer" \
			"$type: a writer of $(basename "$other")"
	done
	strata_set "disks/$type.writer" read_only=1
	ok_if "$type: a reader" strata_enable "disks/$type.writer"
	strata_disable "disks/$type.writer"
	strata_set "disks/$type.writer" read_only=0

	strata_disable "disks/layered.$type-a"
	strata_disable "disks/layered.$type-b"
	strata_disable "disks/layered.$type-c"
	ok_if "$type: the writer, when they are gone" strata_enable "disks/$type.writer"
	expect_refusal EBUSY "for writing by $type\\.writer" "disks/layered.$type-a" \
		"$type: a memdiff over what is written"
	is "$type: which has no part live" 0 "$(strata_get "disks/$type.one" live)"
}

shares file "$image" "$image.link" "$image.hard"
shares blockdev "$dev" "$TMPDIR/dev.link"

# Two writers of one disk
must mkmem m 1M
must strata_make frontends/block.one disk@disks/layered.m
must strata_make frontends/block.two disk@disks/layered.m
must strata_enable frontends/block.one
expect_refusal EBUSY 'layered\.m is in use by block\.one' frontends/block.two "a second writer"
is "leaves one user" 1 "$(strata_get disks/layered.m users)"
strata_set frontends/block.two read_only=1
expect_refusal EBUSY 'layered\.m is in use by block\.one' frontends/block.two "a reader beside a writer"
strata_disable frontends/block.one
strata_set frontends/block.one read_only=1
ok_if "two readers: one" strata_enable frontends/block.one
ok_if "two readers: two" strata_enable frontends/block.two
is "two readers are two users" 2 "$(strata_get disks/layered.m users)"
strata_disable frontends/block.one
strata_disable frontends/block.two

# Shared writers
strata_set disks/layered.m shared=1
strata_set frontends/block.one read_only=0
strata_set frontends/block.two read_only=0
ok_if "two shared writers: one" strata_enable frontends/block.one
ok_if "two shared writers: two" strata_enable frontends/block.two
must mkmemdiff over layered.m
expect_refusal EBUSY 'layered\.m is in use by block\.(one|two)' disks/layered.over \
	"a stable user beside shared writers"
strata_disable frontends/block.one
strata_disable frontends/block.two

# Sharing a disk does not share what it is built on.
must strata_disable disks/file.writer
must strata_mkdisk file.below "path=$image"
for i in 1 2; do
	must strata_mkdisk layered.share$i shared=1
	must mkchild disks/layered.share$i/0.disk disk@disks/file.below
done
ok_if "a shared disk on one that is not" strata_enable disks/layered.share1
expect_refusal EBUSY 'file\.below is in use by layered\.share1' disks/layered.share2 \
	"another shared disk on the same"
must strata_disable disks/layered.share1

# One disk under a plan's two claims
must mkmemdiff twice file.below
must strata_mkdisk layered.top
must mkchild disks/layered.top/0.ram write_through=1
must mkchild disks/layered.top/1.disk disk@disks/file.below
must mkchild disks/layered.top/2.disk disk@disks/layered.twice
expect_refusal EBUSY 'in use' disks/layered.top "one disk as a base and to be written"
is "leaves nothing live" 0 "$(strata_get disks/file.below live)"

# The path claims only last as long as the disks
is "nothing is live any more" 0 "$(strata_get disks/layered.m live)"
strata_set disks/layered.m shared=0
ok_if "a stable user now" strata_enable disks/layered.over
is "what is below is open without write" "layered.m 2048 x 512 ro" \
	"$(strata_get disks/layered.over stack | grep -o 'layered.m 2048 x 512 ro')"
expect_refusal EBUSY 'in use without write' frontends/block.one "and cannot be written"
