#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh: measure in VMs with the stock kernel and print the tables. With RECORD=1 in the
# environment also keep the figures that gate.sh compares with.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../vm/env.sh"
[ "${1:-stock}" = stock ] || die "only the stock kernel is worth measuring"

figures=$(mktemp)
trap 'rm -f "$figures"' EXIT

say "counting instructions: about 5 minutes"
"$vm/boot.sh" --icount --timeout 3000 -- \
	"selftests/bench/icount.sh && selftests/bench/fio.sh virtual" | tee -a "$figures" >&2
say "fio in real time: about 5 minutes"
"$vm/boot.sh" --timeout 3000 -- selftests/bench/fio.sh wall | tee -a "$figures" >&2

awk -v mode=table -f "$here/paths.awk" "$figures"
if [ "${RECORD:-0}" = 1 ]; then
	{
		sed -n '/^#/p' "$here/recorded.txt"
		awk -v mode=record -f "$here/paths.awk" "$figures"
	} >"$figures.new"
	cat "$figures.new" >"$here/recorded.txt"
	rm -f "$figures.new"
	say "recorded in ${here#"$top/"}/recorded.txt"
fi
