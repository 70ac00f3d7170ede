#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Removal under load: nothing goes without force, and with it all I/O ends.
. "$(dirname "$0")/common.sh"
require_cmd fio

must mkloopcrypt plain 16M
# Completions in interrupts, late
must mknull null size=16 memory_backed=1 irqmode=2 completion_nsec=2000000
must strata_mkdisk blockdev.irq "path=${null:?}"
must mkcrypt irq "$(newkey)" blockdev.irq

for name in plain irq; do
	must show dev $name disks/crypt.$name
	: "${dev:?}"
	must load "$dev" --bssplit=4k/60:64k/40
	refused EBUSY "is open" frontends/block.$name "$name: disable under load" \
		strata_disable frontends/block.$name
	expect_errno EBUSY "$name: rmdir under load" rmdir "$strata/disks/crypt.$name"
	refused EBUSY 'live' disks/crypt.$name "$name: a new key under load" \
		store disks/crypt.$name key "$(newkey)"
	ok_if "$name: the module stays" not_unloaded strata_crypt
	rm "$strata/disks/crypt.$name/inner"
	is "$name: a link that goes is not missed" 1 "$(strata_get disks/crypt.$name stale)"
	ok_if "$name: force_detach" strata_set frontends/block.$name force_detach=1
	ok_if "$name: all I/O ends" wait_for 20 ended "$load"
	is "$name: with an error for who did it" 1 "$(cat "$load_log.status")"
	ok_if "$name: and the disk goes" wait_for 5 is_down crypt.$name
	expect_refusal ENOENT 'no disk is linked' disks/crypt.$name "$name: not without its link"
done

# Coming and going, while it is used
must strata_set disks/crypt.irq inner@disks/blockdev.irq
for _ in $(seq "$(pick 20 8)"); do
	strata_enable frontends/block.irq || break
	dev=/dev/$(strata_get frontends/block.irq device)
	dd if=/dev/zero of="$dev" bs=64k count=4 oflag=direct status=none || break
	strata_disable frontends/block.irq || break
done
is "it comes and goes" 0 "$(strata_get frontends/block.irq live)"
ok_if "and comes" strata_enable frontends/block.irq
