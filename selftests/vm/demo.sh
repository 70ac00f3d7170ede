#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# demo.sh: build for the stock kernel, boot it and run the tour in it.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$vm/deps.sh"
say "building for Debian's kernel"
"$vm/build.sh" stock >/dev/null
say "booting the VM"
exec "$vm/boot.sh" -- selftests/demo/demo.sh
