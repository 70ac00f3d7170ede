#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh: measure in VMs with the stock kernel and print the tables. With RECORD=1 in the
# environment keep them in Documentation/bench.rst, and what gate.sh compares with in
# recorded.txt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../vm/env.sh"
[ "${1:-stock}" = stock ] || die "only the stock kernel is worth measuring"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
figures=$work/figures tables=$work/tables

report() { awk -v "mode=$1" -f "$here/paths.awk" "$figures"; }

# Put the tables between the two comments that mark their place.
record_tables() {
	local page=$top/Documentation/bench.rst
	awk -v "tables=$tables" '
		/^\.\. end of figures/ { skip = 0 }
		!skip
		/^\.\. figures of make bench/ {
			skip = 1
			print ""
			while ((getline line <tables) > 0)
				print line
			print ""
		}' "$page" >"$work/page"
	cat "$work/page" >"$page"
}

record_gate() {
	{
		grep '^#' "$here/recorded.txt"
		report record
	} >"$work/recorded"
	cat "$work/recorded" >"$here/recorded.txt"
}

say "counting instructions, some minutes"
"$vm/boot.sh" --icount --timeout 3000 -- \
	"selftests/bench/icount.sh && selftests/bench/fio.sh virtual" | tee "$figures" >&2
say "fio in real time, some minutes"
"$vm/boot.sh" --timeout 3000 -- selftests/bench/fio.sh wall | tee -a "$figures" >&2

report table | tee "$tables"
if [ "${RECORD:-0}" = 1 ]; then
	record_tables
	record_gate
	say "recorded in Documentation/bench.rst and selftests/bench/recorded.txt"
fi
