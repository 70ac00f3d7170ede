#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# Links: one each, of the right kind, no cycles, 16 disks deep; stale when they go.
. "$(dirname "$0")/../common.sh"

link() { ln -s "$strata/$2" "$strata/$1"; }
unlink_live() { rm "$strata/$1"; }

must mkmem m 1M
must mkmem n 1M
must mkmemdiff a layered.m
must strata_make frontends/block.f

refused EEXIST 'layered\.m is linked already' disks/layered.a/1.disk "a second link" \
	link disks/layered.a/1.disk/second disks/layered.n
refused EINVAL 'only an item of strata/disks' frontends/block.f "a link to a layer" \
	link frontends/block.f/disk disks/layered.m/0.ram
refused EINVAL 'only an item of strata/disks' frontends/block.f "a link to a frontend" \
	link frontends/block.f/disk frontends/block.f
refused EINVAL 'only an item of strata/disks' frontends/block.f "a link to the directory" \
	link frontends/block.f/disk disks
expect_errno ENOTDIR "a link to an attribute" link frontends/block.f/disk disks/layered.m/enable
expect_errno EPERM "a link out of configfs" ln -s /tmp "$strata"/frontends/block.f/disk
must strata_mkdisk blockdev.b
refused EINVAL 'takes no link' disks/blockdev.b "a link from a backend" \
	link disks/blockdev.b/disk disks/layered.m
refused EINVAL 'takes no link' disks/layered.m/0.ram "a link from a RAM layer" \
	link disks/layered.m/0.ram/disk disks/layered.n
expect_refusal ENOENT 'no disk is linked' frontends/block.f "a frontend without a link"
ok_if "the name of a link is free" link frontends/block.f/whatever disks/layered.a

# Cycles: of one, two and three
must strata_mkdisk layered.x
must mkchild disks/layered.x/0.disk
must strata_mkdisk layered.y
must mkchild disks/layered.y/0.disk disk@disks/layered.x
must strata_mkdisk layered.z
must mkchild disks/layered.z/0.disk disk@disks/layered.y
for other in x y z; do
	refused ELOOP "layered\.$other is built on layered\.x" disks/layered.x/0.disk \
		"layered.x over layered.$other" link disks/layered.x/0.disk/disk disks/layered.$other
done
ok_if "what was refused left nothing behind" link disks/layered.x/0.disk/disk disks/layered.m
ok_if "and the three resolve" strata_enable disks/layered.z
strata_disable disks/layered.z

# A diamond is not a cycle
must strata_mkdisk layered.d
must mkchild disks/layered.d/0.ram
must mkchild disks/layered.d/1.disk disk@disks/layered.y
must mkchild disks/layered.d/2.disk disk@disks/layered.z
ok_if "one disk twice in a stack, stable" strata_enable disks/layered.d
strata_disable disks/layered.d

# Depth: layered.m is 1, d2 .. d16 on top of each other, then one more
below=layered.m
for ((i = 2; i <= 17; i++)); do
	must strata_mkdisk layered.d$i
	must mkchild disks/layered.d$i/0.disk "disk@disks/$below"
	below=layered.d$i
done
ok_if "16 disks on top of each other" strata_enable disks/layered.d16
is "and all of them are in the stack" 16 "$(strata_get disks/layered.d16 stack | grep -c ' x 512')"
strata_disable disks/layered.d16
expect_refusal ELOOP 'more than 16 disks' disks/layered.d17 "17 disks"
is "none of them stays live" 0 "$(cat "$strata"/disks/layered.{m,d*}/live | sort -u)"

# Removing a link is not refused; what is live goes on.
must strata_enable frontends/block.f
dev=/dev/$(strata_get frontends/block.f device)
ok_if "removing a link under a live disk" unlink_live disks/layered.a/1.disk/disk
is "makes the layer stale" 1 "$(strata_get disks/layered.a/1.disk stale)"
is "and its disk" 1 "$(strata_get disks/layered.a stale)"
is "but not the disk that was linked" 0 "$(strata_get disks/layered.m stale)"
ok_if "the device works" model -n 300 -b 64K -s 1 "$dev"
refused EBUSY 'live' disks/layered.a/1.disk "a new link has to wait" \
	link disks/layered.a/1.disk/disk disks/layered.n
expect_errno EBUSY "what it was linked to stays" rmdir "$strata"/disks/layered.m
ok_if "removing the frontend's link" unlink_live frontends/block.f/whatever
is "makes the frontend stale" 1 "$(strata_get frontends/block.f stale)"
ok_if "it can be disabled" strata_disable frontends/block.f
is "and is not stale any more" 00 \
	"$(strata_get frontends/block.f stale)$(strata_get disks/layered.a stale)"
expect_refusal ENOENT 'no disk is linked' frontends/block.f "without its link it stays down"
