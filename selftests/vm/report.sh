#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# report.sh PART COMMAND...: run a command that prints KTAP, keep what it printed as
# $STRATA_RESULTS/PART.ktap and count it. A command that fails though all it reported is
# good counts as one failure.
set -euo pipefail
. "$(dirname "$0")/env.sh"

part=$1
shift
mkdir -p "$cache/runs"
results=${STRATA_RESULTS:-$(mktemp -d "$cache/runs/results.XXXXXX")}
ktap=$results/$part.ktap
status=0
"$@" 2>&1 | tee "$ktap" || status=$?
if [ $status != 0 ] && awk -f "$vm/../ktap.awk" "$ktap" >/dev/null; then
	echo "not ok 0 all of it (status $status)" | tee -a "$ktap"
fi
awk -f "$vm/../ktap.awk" "$ktap" || status=1
exit $status
