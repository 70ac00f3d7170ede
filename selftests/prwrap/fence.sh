#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# Two hosts share a disk; one takes it away from the other, which has writes in flight on
# a slow device. When preempt-and-abort has returned, they have landed or never will.
. "$(dirname "$0")/kit.sh"
require_cmd dmsetup

seconds=8
null='' slow=''
must mknull null size=16
# Reads at once, writes late
must mkdm slow strata-slow "0 32768 delay $null 0 0 $null 0 ${seconds}000"
must strata_mkdisk blockdev.d path="$slow"
must strata_mkdisk prwrap.p inner@disks/blockdev.d
must mkhost a disks/prwrap.p
must mkhost b disks/prwrap.p

for host in a b; do
	file=$TMPDIR/of-$host
	head -c 4096 /dev/zero | tr '\0' "$host" >"$file"
	cleanup rm -f "$file"
done

# put HOST BLOCK: a block that tells who wrote it
put() {
	local text
	text=$(dd if="$TMPDIR/of-$1" of="${node[$1]}" bs=4k seek="$2" count=1 oflag=direct conv=nocreat 2>&1)
	word "$text" $?
}

# owner BLOCK: on the device itself
owner() { dd if="$null" bs=4k skip="$1" count=1 iflag=direct status=none | head -c 1 | tr '\0' -; }

writing() {
	local reads writes
	read -r reads writes <"/sys/block/${node[$1]#/dev/}/inflight"
	[ "$writes" -ge "$2" ] && [ "$reads" -ge 0 ]
}

got ok a register 0 0xa
got ok b register 0 0xb
got ok b reserve 0xb we
is "a may not write" conflict "$(put a 0)"
is "nothing of it is there" - "$(owner 0)"

# b writes, four at a time, and goes on as long as it can.
log=$TMPDIR/log.b
cleanup rm -f "$log"
for block in 0 1 2 3; do
	put b $block >>"$log" &
done
ok_if "b has writes in flight" wait_for 10 writing b 4
is "which have not landed" "- - - -" "$(owner 0) $(owner 1) $(owner 2) $(owner 3)"
start=$EPOCHREALTIME
pr a abort 0xa 0xb we >"$TMPDIR/abort" &
abort=$!
cleanup rm -f "$TMPDIR/abort"
ok_if "b is out" wait_for 5 grep -qx 'block.a 0x000000000000000a holder' "$strata/$prdisk/pr/registrants"
is "b cannot write any more" conflict "$(put b 4)"
is "and still reads: it is write exclusive" ok "$(io b read)"
ok_if "but the abort goes on" test ! -s "$TMPDIR/abort"
wait $abort
landed="$(owner 0) $(owner 1) $(owner 2) $(owner 3)"
flight=$(xargs <"/sys/block/${node[b]#/dev/}/inflight")
is "the abort" ok "$(cat "$TMPDIR/abort")"
is "when it returned, all had landed" "b b b b" "$landed"
is "and none was in flight" "0 0" "$flight"
diag "the abort took $(awk -v s="$start" -v e="$EPOCHREALTIME" 'BEGIN { print e - s }') s"
wait
is "b heard of no error" "ok,ok,ok,ok" "$(paste -sd, "$log")"

# Takeover: what a writes now stays.
is "a writes" ok "$(put a 0)"
sleep $seconds
is "and it stays" "a b b b" "$(owner 0) $(owner 1) $(owner 2) $(owner 3)"
is "what b was refused is not there" - "$(owner 4)"

# b registers again, writes as registrant, and is fenced again, while it writes.
got ok b register 0 0xb2
got ok a release 0xa we
got ok a reserve 0xa we-ro
put b 5 >"$log" &
ok_if "b writes as a registrant" wait_for 10 writing b 1
got ok a abort 0xa 0xb2 we-ro
is "it had landed" b "$(owner 5)"
wait
is "b cannot write" conflict "$(put b 5)"

# Only those with the key are waited for.
got ok b register 0 0xb3
put a 6 >/dev/null &
ok_if "a has a write in flight" wait_for 10 writing a 1
got ok a abort 0xa 0xb3 we-ro
is "which goes on" - "$(owner 6)"
wait

# In flight while the disk is taken away by force
got ok b register 0 0xb4
put b 7 >/dev/null &
ok_if "b writes" wait_for 10 writing b 1
ok_if "b's frontend goes" store frontends/block.b force_detach 1
got ok a abort 0xa 0xb4 we-ro
is "it had landed" b "$(owner 7)"
wait
