#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Identities: given, inherited, or derived from the base's and the disk's own name.
. "$(dirname "$0")/../common.sh"

id_of() { strata_get "disks/layered.$1" disk_id; }
base_id=6ba7b810-9dad-11d1-80b4-00c04fd430c8

must mkmem base 1M
is "no id" "" "$(id_of base)"
ok_if "a UUID" strata_set disks/layered.base disk_id=6BA7B810-9DAD-11D1-80B4-00C04FD430C8
ok_if "or its digits" strata_set disks/layered.base disk_id=${base_id//-/}
is "are the same" $base_id "$(id_of base)"
for name in a b; do
	must mkmemdiff $name layered.base
	must strata_enable disks/layered.$name
done
is "the base keeps its id" $base_id "$(id_of base)"
want() { python3 -c 'import sys, uuid; print(uuid.uuid5(uuid.UUID(sys.argv[1]), sys.argv[2]))' "$@"; }
if command -v python3 >/dev/null; then
	is "an overlay's is UUIDv5 of the base's and its name" \
		"$(want $base_id layered.a)" "$(id_of a)"
fi
ok_if "two overlays have two" test "$(id_of a)" != "$(id_of b)"
first=$(id_of a)
must strata_disable disks/layered.a
must strata_enable disks/layered.a
is "which stay the same" "$first" "$(id_of a)"
must strata_disable disks/layered.a
must strata_set disks/layered.a disk_id=00000000-0000-0000-0000-000000000001
must strata_enable disks/layered.a
is "unless one is given" 00000000-0000-0000-0000-000000000001 "$(id_of a)"
must strata_disable disks/layered.b
must strata_set disks/layered.b read_only=1
must strata_enable disks/layered.b
is "a read-only stack is its base" $base_id "$(id_of b)"
