#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# selftests.sh stock|lab [--part K/N] [NAME]...: build, boot, run the tests whose path
# contains a NAME, or a part of them.
set -euo pipefail
. "$(dirname "$0")/env.sh"

kernel=${1:?usage: selftests.sh stock|lab [--part K/N] [NAME]...}
shift
name=selftests-$kernel
[ "${1:-}" != --part ] || name+=-${2%/*}
"$vm/deps.sh"
"$vm/build.sh" "$kernel" >/dev/null
# Each test has its own limit; this one is for a VM that is stuck.
"$vm/report.sh" "$name" "$vm/boot.sh" --kernel "$kernel" --timeout 4000 \
	-- selftests/run.sh "$@"
