#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs in the VM: kunit.sh [NAME]... loads every built test module whose name contains a
# NAME and prints its suites' results as nested KTAP. insmod succeeds whatever the tests
# say, so the results come from debugfs.
set -u
results=/sys/kernel/debug/kunit
modules=()
while read -r module; do
	[ $# -eq 0 ] && modules+=("$module")
	for name; do
		[[ $module != *"$name"* ]] || { modules+=("$module"); break; }
	done
done < <(find "/lib/modules/$(uname -r)/updates/kunit" -name '*.ko' -printf '%f\n' | sed 's/\.ko$//' | sort)
[ ${#modules[@]} -gt 0 ] || { echo "no KUnit module matches: $*" >&2; exit 1; }

# Print the results of the suites a module brought; a reason if it has not run all right.
run_suites() {
	local before after suite suites text count=0
	before=$(ls $results)
	modprobe "$1" || { echo "# cannot load $1"; return 1; }
	after=$(ls $results)
	[ "$before" != "$after" ] || { echo "# $1 brought no suite"; return 1; }
	mapfile -t suites < <(comm -13 <(echo "$before" | sort) <(echo "$after" | sort))
	echo "    KTAP version 1"
	echo "    1..${#suites[@]}"
	for suite in "${suites[@]}"; do
		count=$((count + 1))
		# Each file counts from 1 anew, under a header of its own.
		text=$(sed -e '/^KTAP version 1$/d' -e '/^1\.\.1$/d' \
			-e "s/^\(not \)\?ok 1 /\1ok $count /" "$results/$suite/results")
		echo "    ${text//$'\n'/$'\n    '}"
		echo "$text" | grep -qE '^ +(not )?ok [0-9]' || { echo "# $suite reports no test"; bad=1; }
		! echo "$text" | grep -qE '^not ok' || bad=1
	done
	return $bad
}

echo "KTAP version 1"
echo "1..${#modules[@]}"
number=0 status=0
for module in "${modules[@]}"; do
	number=$((number + 1)) bad=0
	echo "kunit $module" >/dev/kmsg
	run_suites "$module" || bad=1
	modprobe -r "$module" || { echo "# $module does not unload"; bad=1; }
	if [ $bad = 0 ]; then
		echo "ok $number $module"
	else
		echo "not ok $number $module"
		status=1
	fi
done
exit $status
