# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the host scripts: where things are, and how to speak.
# shellcheck disable=SC2034 # what is set here is used there

vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(cd "$vm/../.." && pwd -P)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/strata
# The copy of this checkout that is built: another checkout has its own.
tree=$cache/trees/$(printf %s "$top" | sha256sum | cut -c1-12)

export LC_ALL=C

# stdout carries answers to other scripts, so talk goes to stderr.
say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() { say "$*"; exit 1; }

# Parallel callers of a slow step wait for the first one and then find it done.
# The lock's descriptor stays with the script; long-lived children get 9>&-.
lock() {
	mkdir -p "$(dirname "$1")"
	exec 9>"$1.lock"
	flock -n 9 || { say "waiting for another run"; flock 9; }
}

# Sets these for a kernel.
release='' image='' build='' modules=''
kernel_vars() {
	local vars
	vars=$("$vm/kernel.sh" "$1") || exit 1
	eval "$vars"
}
