#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# check.sh: all that can be checked. Two lanes, as a VM seldom keeps two CPUs busy. The
# last line is "N passed, N failed, N skipped"; the status tells whether any failed.
set -euo pipefail
. "$(dirname "$0")/env.sh"

start=$SECONDS
mkdir -p "$cache/runs"
STRATA_RESULTS=$(mktemp -d "$cache/runs/check.XXXXXX")
export STRATA_RESULTS

progress() { echo "[$((SECONDS - start)) s] $*"; }

# part NAME COMMAND...: its results land in NAME.ktap; its talk in NAME.log.
part() {
	local name=$1 log=$STRATA_RESULTS/$1.log verdict
	shift
	progress "$name ..."
	"$@" >"$log" 2>&1 </dev/null || true
	verdict=$(tail -n 1 "$log")
	# A part that never got to count has no results; say why, and fail below.
	[ -f "$STRATA_RESULTS/$name.ktap" ] || { tail -n 40 "$log"; verdict="did not run"; }
	progress "$name: $verdict"
}

gate=$top/selftests/bench/gate.sh
parts=(lint kunit selftests-stock selftests-lab)
# Those that have been seen to pass there; make selftests KERNEL=lab runs all.
lab_tests=(block/ blockdev/ core/ durability/ faults/io file/holes file/io file/limits file/refuse
	model/layers model/memdiff stress/flapping)
[ ! -x "$gate" ] || parts+=(gate)

progress "packages"
"$vm/deps.sh"
for kernel in stock lab; do
	progress "$kernel kernel"
	"$vm/kernel.sh" $kernel >/dev/null
	progress "modules for the $kernel kernel"
	"$vm/build.sh" $kernel >/dev/null
done

lane_lab() {
	part kunit "$vm/kunit.sh"
	part selftests-lab "$vm/selftests.sh" lab "${lab_tests[@]}"
}
lane_stock() {
	part lint "$vm/lint.sh"
	part selftests-stock "$vm/selftests.sh" stock
	[ ! -x "$gate" ] || part gate "$vm/report.sh" gate "$gate"
}
lane_lab &
lane=$!
lane_stock
wait $lane

# A part is believed only if it left results.
for name in "${parts[@]}"; do
	ktap=$STRATA_RESULTS/$name.ktap
	[ -s "$ktap" ] || echo "not ok 1 $name did not run" >"$ktap"
done
progress "done; details: $STRATA_RESULTS"
cd "$STRATA_RESULTS"
exec awk -f "$top/selftests/ktap.awk" "${parts[@]/%/.ktap}"
