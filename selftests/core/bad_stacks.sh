#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 60
# Stacks that cannot be: an errno and a sentence for each.
. "$(dirname "$0")/../common.sh"

# cannot ERRNO REGEX DISK DESCRIPTION
cannot() {
	expect_refusal "$1" "$2" "disks/layered.$3" "$4"
	is "$4: it is not live" 0 "$(strata_get "disks/layered.$3" live)"
}

# Sizes of the RAM layer
must mkmem m 0
ram=disks/layered.m/0.ram
cannot EINVAL 'needs a size' m "size 0 with nothing below"
for size in 513K1 1536M1 -1 0x 1.5M 18446744073709551616 99999999999T M '' ' 1M' $'1M\n2M'; do
	bad_value EINVAL '.' $ram size "$size"
done
bad_value EINVAL 'number' $ram limit -5
bad_value EINVAL '512 or 4096' $ram sector_size 1000
bad_value EINVAL '512 or 4096' $ram sector_size 8192
bad_value EINVAL '512 or 4096' $ram sector_size 256
bad_value EINVAL '512 or 4096' $ram sector_size 1
bad_value ERANGE 'too large' $ram sector_size 4294967808
strata_set $ram size=1000
cannot EINVAL '1000.*multiple' m "a size that is no multiple of 512"
strata_set $ram size=6K sector_size=4096
cannot EINVAL '6144.*multiple.*4096' m "a size that is no multiple of 4096"
strata_set $ram size=0x1000K
ok_if "the size may be hexadecimal, with a suffix" strata_enable disks/layered.m
is "and is a number when read" 4194304 "$(strata_get $ram size)"
is "in sectors of 4096" 1024 "$(strata_get disks/layered.m sector_count)"

# No layers, layers without a disk
must strata_mkdisk layered.none
cannot EINVAL 'no layers' none "no layers"
must mkchild disks/layered.none/0.disk
cannot ENOENT '0\.disk.*no disk is linked' none "a layer without its link"

# Layers that do not fit
must mkmem small 1M sector_size=512
must strata_mkdisk layered.top
must mkchild disks/layered.top/0.ram sector_size=4096 size=1M
must mkchild disks/layered.top/1.disk disk@disks/layered.small
cannot EINVAL 'layer 0.*4096.*512' top "a layer of 4096 over one of 512"
strata_set disks/layered.top/0.ram sector_size=512 size=2M write_through=1
cannot EINVAL 'layer 1 is shorter than layer 0' top "a write-through layer over a shorter one"
strata_set disks/layered.top/0.ram size=0 write_through=0
strata_set disks/layered.top/1.disk write_through=1
cannot EINVAL 'layer 1.*of no use: no writes' top "write-through where no write comes"
strata_set disks/layered.top/0.ram write_through=1
cannot EINVAL 'layer 1.*of no use: nothing is below' top "write-through at the bottom"
strata_set disks/layered.top/1.disk write_through=0
strata_set disks/layered.small read_only=1
cannot EROFS 'layer 1 is read-only' top "writes through to a read-only disk"
strata_set disks/layered.top read_only=1
ok_if "but not in a read-only stack" strata_enable disks/layered.top
strata_disable disks/layered.top
must strata_mkdisk layered.ro
must mkchild disks/layered.ro/0.disk disk@disks/layered.small
must mkchild disks/layered.ro/1.ram size=1M
cannot EROFS 'layer 0 is read-only' ro "a read-only layer on top of a writable stack"
strata_set disks/layered.ro/0.disk read_cache=1
cannot EINVAL 'cannot be a read cache' ro "a disk as a read cache"

# Too many
must strata_mkdisk layered.many
for ((i = 0; i < 17; i++)); do
	must mkchild disks/layered.many/$i.ram size=1M
done
cannot E2BIG '17 layers' many "17 layers"
must strata_remove disks/layered.many/5.ram
ok_if "16 layers, not numbered through" strata_enable disks/layered.many
