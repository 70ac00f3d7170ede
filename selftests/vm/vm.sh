#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm.sh [stock|lab]: a root shell in the VM, with strata's modules built.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$vm/deps.sh"
"$vm/build.sh" "${1:-stock}" >/dev/null
exec "$vm/boot.sh" --kernel "${1:-stock}" --shell
