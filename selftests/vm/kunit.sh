#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kunit.sh [NAME]...: build, boot the lab kernel, run the unit tests whose module's name
# contains a NAME.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$vm/deps.sh"
"$vm/build.sh" lab >/dev/null
"$vm/report.sh" kunit "$vm/boot.sh" --kernel lab --timeout 2400 -- selftests/kunit.sh "$@"
