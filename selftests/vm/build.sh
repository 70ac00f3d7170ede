#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build.sh stock|lab [--sparse]: copy the checkout's sources into the cache, a copy a
# kernel, build the modules and the C tests there, and print the copy's directory:
#
#   src/                    the sources and objects; tests run from here
#   lib/modules/<release>/  that kernel's modules with ours under updates/, for modprobe
#
# Only what changed is compiled. A warning is an error. --sparse checks with sparse
# instead of compiling.
set -euo pipefail
. "$(dirname "$0")/env.sh"

kernel=${1:?usage: build.sh stock|lab [--sparse]}
mode=${2:-}
kernel_vars "$kernel"
dir=$tree/$kernel
src=$dir/src
lock "$dir"
mkdir -p "$src"

touch "$tree"
find "$cache/trees" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + 2>/dev/null || true

# rsync --delete would take the objects too: delete what was copied and is gone.
sync_sources() {
	(cd "$top" && find . -name .git -prune -o -type f ! -name '*.o' ! -name '*.ko' \
		! -name '*.mod' ! -name '*.mod.c' ! -name '.*.cmd' ! -name '*.symvers' \
		! -name modules.order -print | sort) >"$dir/manifest.new"
	if [ -f "$dir/manifest" ]; then
		comm -23 "$dir/manifest" "$dir/manifest.new" |
			(cd "$src" && tr '\n' '\0' | xargs -0 -r rm -f)
	fi
	rsync -a --files-from="$dir/manifest.new" "$top/" "$src/"
	mv "$dir/manifest.new" "$dir/manifest"
}

kbuild() {
	make -s -C "$build" "M=$src" -j"$(nproc)" TESTS=1 "$@" modules
}

warned() {
	grep -E '^[^ ]+\.[chS]:.*(warning|error)|WARNING: modpost|ERROR: modpost' "$1"
}

compile() {
	# KASAN's red zones make frames of innocent functions big.
	if ! kbuild W=1 KCFLAGS="-Werror -Wframe-larger-than=2048" >"$dir/log" 2>&1; then
		grep -v 'Skipping BTF' "$dir/log" >&2
		die "$kernel: the modules do not build"
	fi
	if warned "$dir/log" >&2; then
		# Warnings of a step that is now up to date would not come again.
		find "$src" \( -name '*.mod.c' -o -name '*.symvers' -o -name '*.o' \) -delete
		die "$kernel: the modules build with warnings"
	fi
	[ ! -f "$src/selftests/Makefile" ] ||
		make -s -C "$src/selftests" -j"$(nproc)" >&2 || die "the C tests do not build"
}

# KUnit's macros compare everything as integers, blk_status_t as well. The
# dollars are for the make that visits the directory.
# shellcheck disable=SC2016
checks='-D__CHECK_ENDIAN__ $$(if $$(filter %/kunit,$$(obj)),-Wno-bitwise)'

sparse() {
	kbuild C=2 CF="$checks" >"$dir/sparse.log" 2>&1 ||
		{ cat "$dir/sparse.log" >&2; die "sparse does not run"; }
	! grep -E "^($src/|[a-z])[^ ]*\.[ch]:[0-9]+:[0-9]+: " "$dir/sparse.log" >&2 ||
		die "sparse complains"
}

# A mirror of the kernel's module directory that ours is added to.
stage() {
	local stage=$dir/lib/modules/$release new=$dir/stage.new module
	rm -rf "$new"
	mkdir -p "$new/updates"
	ln -s "$modules/kernel" "$new/kernel"
	ln -s "$modules"/modules.{order,builtin,builtin.modinfo} "$new/"
	# Only what this build made: a module that was renamed leaves its old file behind.
	while read -r module; do
		module=${module%.o}.ko
		module=${module#"$src/"}
		install -D -m 644 "$src/$module" "$new/updates/$module"
	done <"$src/modules.order"
	rm -rf "${dir:?}/lib"
	mkdir -p "$dir/lib/modules"
	mv "$new" "$stage"
	depmod -b "$dir" "$release"
}

sync_sources
if [ "$mode" = --sparse ]; then
	sparse
else
	compile
	stage
fi
echo "$dir"
