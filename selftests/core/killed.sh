#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# An enable that waits for somebody else's can be killed. The first one hangs in a file
# system that is frozen.
. "$(dirname "$0")/../common.sh"

enable_of() { exec bash -c "echo 1 >$strata/$1/enable"; }
asleep() { grep -q '^State:[[:space:]]*[DS]' "/proc/$1/status"; }
gone() { [ ! -d "/proc/$1" ]; }

must mkloop dev 16M
must mkfs.ext4 -q "${dev:?}"
mnt=$TMPDIR/mnt.$$
must mkdir "$mnt"
cleanup rmdir "$mnt"
must mount "$dev" "$mnt"
cleanup umount "$mnt"
must truncate -s 1M "$mnt/image"
must strata_mkdisk file.f "path=$mnt/image" direct=0
must strata_make frontends/block.f disk@disks/file.f
must fsfreeze -f "$mnt"

words=$TMPDIR/words.$$
cleanup rm -f "$words"
enable_of disks/file.f 2>>"$words" &
first=$!
sleep 1
ok_if "the first enable hangs" asleep $first
is "it is not live yet" 0 "$(strata_get disks/file.f live)"
expect_errno EBUSY "no attribute can be stored meanwhile" strata_set disks/file.f direct=1

# waiter_dies ITEM: one more enable, of ITEM, and kill it
waiter_dies() {
	local waiter
	# Nobody's child, so that bash does not tell of its end
	waiter=$(enable_of "$1" >/dev/null 2>&1 & echo $!)
	sleep 1
	ok_if "an enable of $1 waits" asleep "$waiter"
	kill -9 "$waiter"
	ok_if "and is killed" wait_for 5 gone "$waiter"
}
waiter_dies disks/file.f
waiter_dies frontends/block.f
ok_if "the first one still hangs" asleep $first

enable_of disks/file.f 2>>"$words" &
second=$!
sleep 0.5
must fsfreeze -u "$mnt"
failed=0
wait $first || failed=$((failed + 1))
wait $second || failed=$((failed + 1))
is "thawed, one of the two succeeds" 1 $failed
is "and the other comes second" 1 "$(grep -c 'already in progress' "$words")"
is "it is live, without users" "1 0" "$(strata_get disks/file.f live) $(strata_get disks/file.f users)"
ok_if "the frontend can be enabled as if nothing had been" strata_enable frontends/block.f
ok_if "and disabled" strata_disable frontends/block.f
ok_if "and the disk too" strata_disable disks/file.f
is "the file system is free" 0 "$(strata_get disks/file.f live)"
