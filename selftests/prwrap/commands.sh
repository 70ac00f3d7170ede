#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# The commands of persistent reservations through /dev/strataN, what each lets whom do,
# and what pr/ shows.
. "$(dirname "$0")/kit.sh"

# A disk that has flushes
must mkfile image 8M
must strata_mkdisk file.f path="${image:?}" direct=0
must strata_mkdisk prwrap.p inner@disks/file.f
must strata_make frontends/block.a disk@disks/prwrap.p
expect_errno ENODEV "nothing to show while it is not live" cat "$strata/$prdisk/pr/generation"
must strata_remove frontends/block.a
for host in a b c; do
	ok_if "host $host shares the disk, unasked" mkhost $host disks/prwrap.p
done
is "they are its users" 3 "$(strata_get $prdisk users)"
is "its size is that below" "$(strata_get disks/file.f sector_count)" "$(strata_get $prdisk sector_count)"
is "it does with a discard what is done below" "$(strata_get disks/file.f unmap)" "$(strata_get $prdisk unmap)"
shows registrants ""
shows reservation none
shows generation 0

# Registrations
got conflict a reserve 0 we
got conflict a register 1 0xa
got ok a register 0 0xa
got conflict a register 0 0xaa
got ok a register 0xa 0xaa
got ok a register 0xaa 0xa
got ok b ignore 0xb
got ok c register 0 0
shows registrants "block.a 0x000000000000000a,block.b 0x000000000000000b"
shows generation 4
got EINVAL a reserve 0xa 0
got EINVAL a reserve 0xa 7
got conflict a reserve 0xb we

# may HOST WORDS...: what came of a read, a write and a flush
may() { is "$type: host $1" "${*:2}" "$(io "$1" read) $(io "$1" write) $(io "$1" flush)"; }

for type in we ea we-ro ea-ro we-ar ea-ar; do
	got ok a reserve 0xa $type
	may a ok ok ok
	case $type in
	we) may b ok conflict conflict; may c ok conflict conflict ;;
	ea) may b conflict conflict conflict; may c conflict conflict conflict ;;
	we-*) may b ok ok ok; may c ok conflict conflict ;;
	ea-*) may b ok ok ok; may c conflict conflict conflict ;;
	esac
	case $type in
	*-ar) shows registrants "block.a 0x000000000000000a holder,block.b 0x000000000000000b holder"
		got ok b reserve 0xb $type ;;
	*) shows registrants "block.a 0x000000000000000a holder,block.b 0x000000000000000b"
		got conflict b reserve 0xb $type ;;
	esac
	got conflict c release 0 $type
	got EINVAL a release 0xa "$([ $type = we ] && echo ea || echo we)"
	got ok a release 0xa $type
	may c ok ok ok
done
shows generation 4

got ok a reserve 0xa we
shows reservation write_exclusive
is "a discard is a write" conflict "$(io b discard)"
is "so are zeroes" conflict "$(io b zeroes)"
is "not of the holder" "ok ok" "$(io a discard) $(io a zeroes)"

# Preempt, clear
got conflict b preempt 0xb 0xdead we
got EINVAL b preempt 0xb 0 we
got conflict c preempt 0 0xa we
got ok b preempt 0xb 0xa ea-ar
shows registrants "block.b 0x000000000000000b holder"
shows reservation exclusive_access_all_registrants
shows generation 5
got ok a register 0 0xa
got ok a preempt 0xa 0 we
shows registrants "block.a 0x000000000000000a holder"
got ok b ignore 0xb
got ok b clear 0xb
shows registrants ""
shows reservation none
shows generation 9

# A registration outlives the host's handle, and goes with the disk.
got ok a register 0 0xa
got ok b register 0 0xb
got ok b reserve 0xb ea
must strata_disable frontends/block.b
shows registrants "block.a 0x000000000000000a,block.b 0x000000000000000b holder"
is "the one that is away keeps the others out" conflict "$(io a read)"
must mkhost b2 disks/prwrap.p
is "another name is another host" conflict "$(io b2 read)"
ok_if "it comes back" strata_enable frontends/block.b
node[b]=/dev/$(strata_get frontends/block.b device)
is "and is who it was" ok "$(io b write)"
for host in a b b2 c; do
	must strata_remove frontends/block.$host
done
is "the disk is down" 0 "$(strata_get $prdisk live)"
must mkhost a disks/prwrap.p
shows registrants ""
is "without ptpl_file nothing is left" ok "$(io a write)"
