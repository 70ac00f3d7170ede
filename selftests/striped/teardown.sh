#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Under load: what is used does not go, links that go change nothing, and what is forced
# ends all I/O.
. "$(dirname "$0")/../common.sh"
require_cmd fio

must mkloop loop 16M
must strata_mkdisk blockdev.b "path=${loop:?}"
must mkmem m 16M
must mkstriped s chunk_size=16K blockdev.b layered.m
must show dev s disks/striped.s
: "${dev:?}"
must load "$dev" --bsrange=4k-256k --fsync=16
refused EBUSY 'striped.s is live' disks/striped.s "a store under load" \
	strata_set disks/striped.s chunk_size=4K
for item in frontends/block.s disks/striped.s disks/striped.s/0 disks/layered.m; do
	expect_errno EBUSY "rmdir $item" rmdir "$strata/$item"
done
ok_if "the module stays" not_unloaded strata_striped
rm "$strata"/disks/striped.s/1/disk
is "a link that goes makes it stale" "1 1" \
	"$(strata_get disks/striped.s stale) $(strata_get disks/striped.s/1 stale)"
ok_if "and no more" eval "sleep 1; kill -0 $load"
ok_if "force_detach" strata_set frontends/block.s force_detach=1
ok_if "all I/O ends" wait_for 20 ended "$load"
is "with an error for who did it" 1 "$(cat "$load_log.status")"
for disk in striped.s blockdev.b layered.m; do
	ok_if "$disk goes" wait_for 5 is_down $disk
done
# It may still be on its way
must wait_for 5 strata_set disks/striped.s/1 disk@disks/layered.m
ok_if "it can be enabled again" strata_enable frontends/block.s
dev=/dev/$(strata_get frontends/block.s device)
ok_if "and works" model -n 300 -b 64K -F "$dev"
