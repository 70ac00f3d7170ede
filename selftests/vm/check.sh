#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# check.sh: all that can be checked, by two workers, as a VM seldom keeps two CPUs busy.
# The last line is "N passed, N failed, N skipped"; the status tells whether any failed.
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

progress "packages"
"$vm/deps.sh"
for kernel in stock lab; do
	progress "$kernel kernel"
	"$vm/kernel.sh" $kernel >/dev/null
	progress "modules for the $kernel kernel"
	"$vm/build.sh" $kernel >/dev/null
done

# The longest first, so that the workers end at about the same time.
parts=(kunit selftests-lab-{1,2,3} selftests-stock-{1,2} lint gate)
run() {
	case $1 in
	kunit) part kunit "$vm/kunit.sh" ;;
	lint) part lint "$vm/lint.sh" ;;
	gate) part gate "$vm/report.sh" gate "$top/selftests/bench/gate.sh" ;;
	selftests-lab-*) part "$1" "$vm/selftests.sh" lab --part "${1##*-}/3" ;;
	selftests-stock-*) part "$1" "$vm/selftests.sh" stock --part "${1##*-}/2" ;;
	esac
}

# Each takes the next part until there is none: a directory is made by one of them only.
worker() {
	local it
	for it in "${parts[@]}"; do
		! mkdir "$STRATA_RESULTS/$it.taken" 2>/dev/null || run "$it"
	done
}
worker &
other=$!
worker
wait $other
rmdir "$STRATA_RESULTS"/*.taken

# A part is believed only if it left results.
for name in "${parts[@]}"; do
	ktap=$STRATA_RESULTS/$name.ktap
	[ -s "$ktap" ] || echo "not ok 1 $name did not run" >"$ktap"
done
progress "done; details: $STRATA_RESULTS"
cd "$STRATA_RESULTS"
exec awk -f "$top/selftests/ktap.awk" "${parts[@]/%/.ktap}"
