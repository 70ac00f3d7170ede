#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the VM: run.sh [--part K/N] [NAME]... runs selftests/<area>/<name>.sh whose path
# contains a NAME (all without), as nested KTAP; of those, with --part, every Nth from the
# Kth on. After each, nothing of strata may be left, every module must unload and the
# kernel must not have complained.
# shellcheck disable=SC2031 # lib.sh is sourced in a subshell on purpose
set -u
cd "$(dirname "$0")" || exit
kernel=${STRATA_KERNEL:-stock}
config=/sys/kernel/config/strata
# Names of our modules, as lsmod prints them
ours=$(find "/lib/modules/$(uname -r)/updates/" -name '*.ko' -printf '%f\n' | sed 's/\.ko$//; s/-/_/g')

header() { sed -n "s/^# $2: *//p" "$1" | head -n1; }

selected() {
	local name
	[ $# -gt 1 ] || return 0
	for name in "${@:2}"; do
		[[ $1 != *"$name"* ]] || return 0
	done
	return 1
}

# Items left in configfs, innermost last; default groups have a parent in the list.
left_items() { find $config/{disks,frontends} -mindepth 1 -maxdepth 1 -type d 2>/dev/null; }

# So that the next test starts clean.
sweep() {
	local item
	for item in "$config"/{frontends,disks}/*/; do
		[ -d "$item" ] || continue
		(
			. ./lib.sh
			trap - EXIT
			strata_remove "${item#"$config/"}"
		) 2>/dev/null
	done
}

loaded() { lsmod | awk 'NR > 1 { print $1 }' | grep -xF "$ours" | tr '\n' ' '; }

# References drop a little after the last user: insist for a while.
unload() {
	local tries module at
	# kmemleak has only addresses of what is gone.
	grep -wF "$ours" /proc/modules | while read -r module _ _ _ _ at _; do
		echo "$module was at $at" >/dev/kmsg
	done
	for tries in 1 2 3 4 5 6 7 8 9 10; do
		for module in $(loaded); do
			modprobe -r "$module" 2>/dev/null
		done
		[ -n "$(loaded)" ] || return 0
		[ "$tries" -lt 3 ] || sleep 0.5
	done
	return 1
}

# The first complaint since the marker.
complaint() {
	dmesg | awk -v marker="$1" '
		index($0, marker) { text = ""; next }
		{ text = text $0 "\n" }
		END { printf "%s", text }' | grep -E -m1 -A30 -f vm/splats
}

# What a test must not leave behind, a line each
leftovers() {
	local marker=$1 it
	for it in $(left_items); do
		echo "left in configfs: ${it#"$config/"}"
	done
	sweep
	unload || echo "still loaded: $(loaded)"
	losetup -n -l -O NAME,BACK-FILE 2>/dev/null | sed 's/^/left loop device: /'
	dmsetup ls 2>/dev/null | grep -v '^No devices' | sed 's/^/left dm device: /'
	losetup -D
	dmsetup remove_all
	it=$(complaint "$marker")
	[ -z "$it" ] || printf 'kernel complained:\n%s\n' "$it"
}

run_one() {
	local test=$1 number=$2 limit want marker status left pid printer start=$SECONDS
	limit=$(header "$test" timeout)
	limit=${limit:-120}
	[ "$kernel" != lab ] || limit=$((limit * 3))
	want=$(header "$test" kernel)
	if [ -n "$want" ] && [ "$want" != "$kernel" ]; then
		echo "ok $number $test # SKIP needs the $want kernel"
		return
	fi
	marker="selftest $number $test starts"
	echo "$marker" >/dev/kmsg
	echo "    # Subtest: $test"
	sed -u 's/^/    /' "$out" &
	printer=$!
	# A session of its own, so that what it leaves running can be found and ended.
	setsid timeout --kill-after=20 "$limit" "./$test" >"$out" 2>&1 </dev/null &
	pid=$!
	wait "$pid"
	status=$?
	pkill -KILL -s "$pid"
	wait "$printer"
	left=$(leftovers "$marker")
	echo "    # took $((SECONDS - start)) s"
	[ $status != 124 ] && [ $status != 137 ] || left="no end after $limit s${left:+
$left}"
	if [ -n "$left" ]; then
		printf '%s\n' "$left" | sed 's/^/    # /'
		# A leaf of its own, as the test's own results may all be good.
		echo "not ok $number $test"
		return 1
	fi
	case $status in
	0) echo "ok $number $test" ;;
	4) echo "ok $number $test # SKIP" ;;
	*) echo "not ok $number $test"; return 1 ;;
	esac
}

part=1 parts=1
if [ "${1:-}" = --part ]; then
	part=${2%/*} parts=${2#*/}
	shift 2
fi
tests=() matched=0
for test in */*.sh; do
	case $test in vm/* | bench/* | demo/*) continue ;; esac
	{ [ -x "$test" ] && selected "$test" "$@"; } || continue
	[ $((matched++ % parts)) != $((part - 1)) ] || tests+=("${test%.sh}")
done
[ ${#tests[@]} -gt 0 ] || { echo "no test matches: $*" >&2; exit 1; }

out=$(mktemp -u)
mkfifo "$out"
echo "KTAP version 1"
echo "1..${#tests[@]}"
number=0 bad=0
for test in "${tests[@]}"; do
	run_one "$test.sh" $((++number)) || bad=1
done
exit $bad
