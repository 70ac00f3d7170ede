#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lint.sh: every check that needs no boot, as KTAP.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if [ "${1:-}" != --inner ]; then
	"$vm/deps.sh"
	exec "$vm/report.sh" lint "$0" --inner
fi

cd "$top"
eval "$("$vm/kernel.sh" source)"
source=${source:?}
files=$(find . -path ./.git -prune -o -type f -print | sed 's|^\./||' |
	grep -vE '\.(o|ko|mod|mod\.c|cmd|symvers|order)$|/?\.checkpatch-camelcase' | sort)

matching() { grep -E "$1" <<<"$files"; }

spdx() {
	local file bad=0
	for file in $(matching '\.(c|h|sh|awk|py|config)$|(^|/)(Kbuild|Makefile)$|^\.ci/run$'); do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0' && continue
		echo "$file: no SPDX line"
		bad=1
	done
	return "$bad"
}

house() {
	local entry bad=0
	while read -r entry; do
		case $entry in
		drivers | include | kunit | selftests | tools | Documentation | Kbuild | Makefile) ;;
		README.md | COPYING | dkms.conf | .*) ;;
		*) echo "$entry does not belong at the top"; bad=1 ;;
		esac
	done < <(cut -d/ -f1 <<<"$files" | sort -u)
	return "$bad"
}

# Exceptions, as the kernel's own files of these kinds have them: tracepoint headers are
# laid out like a table, and macros that generate definitions cannot be wrapped.
allowed() {
	if grep -q 'define TRACE_SYSTEM' "$1"; then
		echo OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT
	elif grep -qE '^#define [A-Z_]+_ATTR' "$1"; then
		echo COMPLEX_MACRO,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE
	else
		echo none
	fi
}

checkpatch() {
	# xargs gets the options of a file and the file by turns.
	matching '\.[ch]$|(^|/)(Kbuild|Makefile)$' | while read -r file; do
		printf '%s\n%s\n' "--ignore=$(allowed "$file")" "$file"
	done | xargs -P "$(nproc)" -n 2 "$source/scripts/checkpatch.pl" --quiet --terse \
		--no-summary --file
}

kernel_doc() {
	matching '^(include|drivers)/.*\.[ch]$' |
		xargs -r "$source/scripts/kernel-doc" -none -Wall -Werror
}

# A user program includes these alone.
uapi() {
	local file bad=0
	for file in $(matching '^include/uapi/.*\.h$'); do
		gcc -std=c11 -Wall -Wextra -Werror -Iinclude/uapi -fsyntax-only -x c "$file" || bad=1
	done
	return "$bad"
}

shell() {
	local scripts
	scripts=$(matching . | while read -r file; do
		case $file in *.sh) echo "$file" ;; *.*) ;; *)
			! head -c 30 "$file" | grep -qaE '^#!.*\b(ba)?sh\b' || echo "$file" ;;
		esac
	done)
	# shellcheck disable=SC2086 # one word a file
	shellcheck $scripts .ci/run
}

build() { "$vm/build.sh" "$1" >/dev/null; }
sparse() { "$vm/build.sh" lab --sparse >/dev/null; }

number=0 status=0
try() {
	local name=$1 output
	shift
	number=$((number + 1))
	if output=$("$@" 2>&1); then
		echo "ok $number $name"
	else
		printf '# %s\n' "${output//$'\n'/$'\n# '}"
		echo "not ok $number $name"
		status=1
	fi
}

echo "KTAP version 1"
echo "1..9"
try "SPDX lines" spdx
try "places at the top level" house
try checkpatch checkpatch
try kernel-doc kernel_doc
try "user headers" uapi
try shellcheck shell
try "W=1 build, stock" build stock
try "W=1 build, lab" build lab
try sparse sparse
exit $status
