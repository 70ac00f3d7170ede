#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh: build for the stock kernel and measure there.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$vm/deps.sh"
"$vm/build.sh" stock >/dev/null
exec "$top/selftests/bench/bench.sh" "$@"
