#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Where a disk with reservations can stand: who shares it, what goes on top of it, and that
# nothing gets past it.
. "$(dirname "$0")/kit.sh"

must mkfile image 8M
must strata_mkdisk file.f path="${image:?}" direct=0
must strata_mkdisk prwrap.p inner@disks/file.f

# Without a link
must strata_mkdisk prwrap.lost
expect_refusal ENOENT 'no disk is linked' disks/prwrap.lost "nothing inside"

# What is below has one writer, and that is prwrap.
must mkhost a disks/prwrap.p
must mkhost b disks/prwrap.p
must strata_mkdisk prwrap.q inner@disks/file.f
expect_refusal EBUSY 'file\.f is in use by prwrap\.p' disks/prwrap.q "a second prwrap of one disk"
must strata_mkdisk file.g path="$image" direct=0
must strata_mkdisk prwrap.r inner@disks/file.g
expect_refusal EBUSY 'for writing by file\.f' disks/prwrap.r "and of one image"
must strata_make frontends/block.past disk@disks/file.f
expect_refusal EBUSY 'file\.f is in use by prwrap\.p' frontends/block.past "a host that goes past it"
expect_errno EBUSY "it cannot be removed" rmdir "$strata/$prdisk"
is "stack" "prwrap.p file.f" "$(awk 'NF { print $1 }' "$strata/$prdisk/stack" | xargs)"

# One that only reads would need nobody to write.
must strata_make frontends/block.ro disk@disks/prwrap.p read_only=1
expect_refusal EBUSY 'prwrap\.p is in use by block\.(a|b)' frontends/block.ro "a reader beside writers"

# Disks that make bios of their own, or of several
must mkmemdiff over prwrap.p
expect_refusal EBUSY 'prwrap\.p is in use by' disks/layered.over "an overlay of what is written"
must strata_remove frontends/block.a
must strata_remove frontends/block.b
expect_refusal EINVAL 'prwrap\.p has reservations, which layered\.over cannot keep' disks/layered.over \
	"an overlay of a disk with reservations"
is "leaves nothing live" "0 0" "$(strata_get $prdisk live) $(strata_get disks/file.f live)"
must mkmem other 8M
must strata_mkdisk striped.s
must mkchild disks/striped.s/0 disk@disks/prwrap.p
must mkchild disks/striped.s/1 disk@disks/layered.other
expect_refusal EINVAL 'prwrap\.p has reservations, which striped\.s cannot keep' disks/striped.s \
	"a stripe of one"

# The other way round all is well: they have none, prwrap above has.
must mkmemdiff under file.f
must strata_mkdisk prwrap.top inner@disks/layered.under
must mkhost a disks/prwrap.top
must mkhost b disks/prwrap.top
prdisk=disks/prwrap.top
got ok a register 0 0xa
got ok a reserve 0xa we
is "prwrap over an overlay" "ok conflict" "$(io a write) $(io b write)"
must strata_remove frontends/block.a
must strata_remove frontends/block.b

# Two of them would be two answers, and I/O past the lower one's.
must strata_mkdisk prwrap.twice inner@disks/prwrap.p
expect_refusal EINVAL 'prwrap\.p has reservations of its own' disks/prwrap.twice "prwrap over prwrap"

# A disk without reservations says so.
must mkhost plain disks/file.f
is "none" "EOPNOTSUPP" "$(pr plain register 0 1)"
must strata_remove frontends/block.plain

# What only passes bios on passes reservations on.
prdisk=disks/prwrap.p
must strata_mkdisk delay.d inner@disks/prwrap.p
must strata_mkdisk delay.e inner@disks/prwrap.p
must mkhost a disks/delay.d
must mkhost b disks/delay.e
must mkhost c disks/prwrap.p
for host in a b c; do
	got ok $host register 0 0x$host
done
got ok a reserve 0xa ea
is "hosts on different ways to one disk" "ok conflict conflict" "$(io a write) $(io b write) $(io c read)"
shows registrants "block.a 0x000000000000000a holder,block.b 0x000000000000000b,block.c 0x000000000000000c"
must strata_set disks/delay.e delay_us=2000000
got ok a release 0xa ea
got ok a reserve 0xa we-ro
io b write >/dev/null &
writing() { [ "$(awk '{ print $2 }' "/sys/block/${node[b]#/dev/}/inflight")" = 1 ]; }
ok_if "b has a delayed write in flight" wait_for 10 writing
got ok a abort 0xa 0xb we-ro
is "which has landed" 0 "$(awk '{ print $2 }' "/sys/block/${node[b]#/dev/}/inflight")"
wait
is "b is out" conflict "$(io b write)"
for host in a b c; do
	must strata_remove frontends/block.$host
done

# Encryption does so too: each host has its own way to decipher, the ciphertext is one.
for i in d e; do
	must strata_mkdisk crypt.$i inner@disks/prwrap.p "key=$(printf '%02x' {0..63})"
done
must mkhost a disks/crypt.d
must mkhost b disks/crypt.e
got ok a register 0 0xa
got ok b register 0 0xb
must dd if=/dev/urandom of="${node[a]}" bs=64K count=1 oflag=direct status=none
is "b reads what a wrote" "$(dd if="${node[a]}" bs=64K count=1 iflag=direct status=none | md5sum)" \
	"$(dd if="${node[b]}" bs=64K count=1 iflag=direct status=none | md5sum)"
got ok a reserve 0xa ea-ro
is "registered, b may" "ok ok" "$(io b write) $(io b read)"
got ok b register 0xb 0
is "no more" "conflict conflict" "$(io b write) $(io b read)"
is "a may" "ok ok" "$(io a write) $(io a read)"
got ok a clear 0xa
must strata_remove frontends/block.a
must strata_remove frontends/block.b

# Without reservations it is the disk below.
compare "prwrap against the model" prwrap.p "$(pick 3000 1000)" -F

# Whoever may share what is below could write past it.
must strata_set disks/file.f shared=1
expect_refusal EINVAL 'file\.f is shared' $prdisk "prwrap over a shared disk"
rm "$strata/disks/delay.d/inner"
must strata_set disks/delay.d inner@disks/file.f
must strata_mkdisk prwrap.deep inner@disks/delay.d
expect_refusal EINVAL 'file\.f is shared' disks/prwrap.deep "and over one that stands on it"
must strata_set disks/file.f shared=0
