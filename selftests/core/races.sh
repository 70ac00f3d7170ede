#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 120
# Several users of one description at the same time: enables, links, mkdir, rmdir.
. "$(dirname "$0")/../common.sh"

enable_of() { echo 1 >"$strata/$1/enable"; }

must mkloop dev 1M
must strata_mkdisk blockdev.s "path=${dev:?}"
must mkmemdiff m blockdev.s

# Concurrent enables: all but one are told that it is enabled.
results=$TMPDIR/results.$$
cleanup rm -f "$results"
for ((i = 0; i < 8; i++)); do
	(enable_of disks/layered.m && echo enabled) >>"$results" 2>&1 &
done
wait
is "of 8 concurrent enables one succeeds" 1 "$(grep -c '^enabled' "$results")"
is "and 7 come second" 7 "$(grep -c 'already in progress' "$results")"
is "one hold in all" "1 0" "$(strata_get disks/layered.m live) $(strata_get disks/layered.m users)"
must strata_disable disks/layered.m
is "which one disable drops" 0 "$(strata_get disks/layered.m live)"

# The same for what is below: 4 disks of one image at once
for i in 1 2 3 4; do
	must mkmemdiff "p$i" blockdev.s
done
for i in 1 2 3 4; do
	enable_of "disks/layered.p$i" &
done
wait
is "4 disks of one image enabled at once" 4 \
	"$(cat "$strata"/disks/layered.p?/live | grep -c 1)"
is "share it" 4 "$(strata_get disks/blockdev.s users)"
for i in 1 2 3 4; do
	strata_disable "disks/layered.p$i" &
done
wait
is "and give it back" 0 "$(strata_get disks/blockdev.s live)"

# A storm: every operation on one disk and one frontend, all at once.
# storm COMMAND...: run it in the background until stop
pids=()
storm() {
	while [ ! -e "$TMPDIR/stop.$$" ]; do "$@"; done >/dev/null 2>&1 &
	pids+=($!)
}
make_and_remove() { mkdir "$strata/disks/layered.t" && rmdir "$strata/disks/layered.t"; }
layer() { mkdir "$strata/disks/layered.t/0.ram" && echo 1M >"$strata/disks/layered.t/0.ram/size"; }
unlayer() { rmdir "$strata/disks/layered.t/0.ram"; }
set_disk() { echo "$1" >"$strata/disks/layered.t/enable"; }
link_t() { ln -s "$strata/disks/layered.t" "$strata/frontends/block.t/disk"; }
unlink_t() { rm "$strata/frontends/block.t/disk"; }
set_frontend() { echo "$1" >"$strata/frontends/block.t/enable"; }
look() { cat "$strata"/disks/*/{live,users,stack,stats,last_error,sector_count}; }

must strata_make frontends/block.t
storm make_and_remove
storm make_and_remove
storm layer
storm unlayer
storm set_disk 1
storm set_disk 0
storm link_t
storm unlink_t
storm set_frontend 1
storm set_frontend 0
storm look
for ((i = 0; i < 3; i++)); do
	storm enable_of disks/layered.m
	storm strata_disable disks/layered.m
done
sleep "$(pick 10 20)"
touch "$TMPDIR/stop.$$"
cleanup rm -f "$TMPDIR/stop.$$"
ok_if "all of the storm comes to an end" timeout 60 tail --pid="${pids[0]}" -f /dev/null
wait "${pids[@]}"
rm -f "$strata/frontends/block.t/disk"
ok_if "the frontend goes down" strata_disable frontends/block.t
must strata_disable disks/layered.m
[ ! -d "$strata"/disks/layered.t ] || ok_if "the disk can be removed" strata_remove disks/layered.t
is "nothing of it is live" 0 "$(cat "$strata"/disks/*/live | sort -u)"
ok_if "and all works as before" strata_enable disks/layered.m
