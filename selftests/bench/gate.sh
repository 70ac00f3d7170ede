#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# gate.sh: count the instructions of the inline paths in the stock kernel and compare them,
# in units of what a bare remap costs in the same boot, with recorded.txt, as KTAP. More
# than 5 % over it is a failure.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../vm/env.sh"

"$vm/build.sh" stock >/dev/null
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
if ! "$vm/boot.sh" --icount --timeout 1200 -- selftests/bench/icount.sh inline >"$figures"; then
	sed 's/^/# /' "$figures"
	echo "not ok 1 the bench runs"
	exit 1
fi
awk -v mode=gate -f "$here/paths.awk" "$here/recorded.txt" "$figures"
