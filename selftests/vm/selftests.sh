#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# selftests.sh stock|lab [NAME]...: build, boot, run the tests whose path contains a NAME.
set -euo pipefail
. "$(dirname "$0")/env.sh"

kernel=${1:?usage: selftests.sh stock|lab [NAME]...}
shift
"$vm/deps.sh"
"$vm/build.sh" "$kernel" >/dev/null
# Each test has its own limit; this one is for a VM that is stuck.
"$vm/report.sh" "selftests-$kernel" "$vm/boot.sh" --kernel "$kernel" --timeout 3000 \
	-- selftests/run.sh "$@"
