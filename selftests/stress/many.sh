#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 180
# Many disks at a time, looked at while they come and go.
. "$(dirname "$0")/../common.sh"

n=$(pick 100 40)
must mkloop base 4M
must strata_mkdisk blockdev.b "path=${base:?}"
cd "$strata" || exit
cleanup rm -f "$TMPDIR/stop.$$"

# Look at everything, all the time
(
	while [ ! -e "$TMPDIR/stop.$$" ]; do
		cat disks/*/{live,users,stack,stats,sector_count,last_error} frontends/*/device
	done >/dev/null 2>&1
) &
looker=$!
cleanup eval "kill $looker 2>/dev/null || true"

# In one process: mkdir, rmdir and ln of many at once are quicker than one by one.
names=$(seq "$n")
disks=() frontends=()
for i in $names; do
	disks+=("disks/layered.n$i")
	frontends+=("frontends/block.n$i")
done
remove_all() {
	local dir
	cd "$strata" || return
	for dir in "${frontends[@]}"; do [ ! -d "$dir" ] || echo 0 >"$dir/enable"; done
	rm -f frontends/block.n*/disk disks/layered.n*/1.disk/disk
	rmdir frontends/block.n* disks/layered.n*/* disks/layered.n* 2>/dev/null || true
}
cleanup remove_all

ok_if "$n descriptions" mkdir "${disks[@]}" "${disks[@]/%//0.ram}" "${disks[@]/%//1.disk}" "${frontends[@]}"
link_all() {
	local i
	for i in $names; do
		ln -s "$strata/disks/blockdev.b" "disks/layered.n$i/1.disk/disk" || return
		ln -s "$strata/disks/layered.n$i" "frontends/block.n$i/disk" || return
	done
}
ok_if "linked" link_all
enable_all() {
	local i
	for i in $names; do echo 1 >"frontends/block.n$i/enable" || return; done
}
for round in 1 2; do
	ok_if "round $round: all enabled" enable_all
	is "round $round: all over one base" "$n" "$(cat disks/blockdev.b/users)"
	is "round $round: that many devices" "$n" "$(cat frontends/block.n*/device | sort -u | wc -l)"
	ok_if "round $round: the last one works" model -n 200 -F "/dev/$(cat "frontends/block.n$n/device")"
	# In another order than they came, and several at a time
	(for ((i = n; i > n / 2; i--)); do echo 0 >"frontends/block.n$i/enable"; done) &
	half=$!
	for ((i = 1; i <= n / 2; i++)); do echo 0 >"frontends/block.n$i/enable"; done
	wait $half
	is "round $round: all down" 0 "$(cat frontends/block.n*/live disks/layered.n*/live | sort -u)"
	is "round $round: and the base" 0 "$(cat disks/blockdev.b/live)"
done
touch "$TMPDIR/stop.$$"
wait $looker
ok_if "all removed" rm frontends/block.n*/disk disks/layered.n*/1.disk/disk
ok_if "all removed" rmdir frontends/block.n* disks/layered.n*/{0.ram,1.disk} disks/layered.n*
cd /
