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

# Starting a program takes a seventh of a second in the lab kernel, and this script would
# start dozens between two tests: it asks bash and /proc where it can.

# Our modules, as /proc/modules names them
declare -A ours=()
while IFS= read -r _module; do
	_module=${_module##*/}
	_module=${_module%.ko}
	ours[${_module//-/_}]=1
done < <(find "/lib/modules/$(uname -r)/updates/" -name '*.ko')

# header FILE NAME: what the comment "# NAME: ..." of a test says
header() {
	local line
	while IFS= read -r line; do
		[[ ! $line =~ ^"# $2:"\ *(.*) ]] || { echo "${BASH_REMATCH[1]}"; return; }
	done <"$1"
}

selected() {
	local name
	[ $# -gt 1 ] || return 0
	for name in "${@:2}"; do
		[[ $1 != *"$name"* ]] || return 0
	done
	return 1
}

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

# loaded [SAY]: puts our modules that are loaded into the array of that name.
loaded() {
	local name at
	loaded=()
	while read -r name _ _ _ _ at _; do
		[ -n "${ours[$name]:-}" ] || continue
		loaded+=("$name")
		# kmemleak has only addresses of what is gone.
		[ -z "${1:-}" ] || echo "$name was at $at" >/dev/kmsg
	done </proc/modules
}

# References drop a little after the last user: insist for a while.
unload() {
	local tries
	loaded say
	for tries in {1..10}; do
		[ ${#loaded[@]} -gt 0 ] || return 0
		[ "$tries" -lt 4 ] || sleep 0.5
		modprobe -r "${loaded[@]}" 2>/dev/null
		loaded
	done
	[ ${#loaded[@]} = 0 ]
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
	for it in "$config"/{disks,frontends}/*/; do
		[ ! -d "$it" ] || echo "left in configfs: ${it#"$config/"}"
	done
	sweep
	unload || echo "still loaded: ${loaded[*]}"
	for it in /sys/block/loop*/loop; do
		[ ! -d "$it" ] || { echo "left loop device: ${it%/loop}, $(<"$it/backing_file")"; losetup -D; }
	done
	for it in /sys/block/dm-*/dm; do
		[ ! -d "$it" ] || { echo "left dm device: $(<"$it/name")"; dmsetup remove_all; }
	done
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
