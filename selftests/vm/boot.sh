#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# boot.sh [options] [--] command...: run a command as root in a VM that sees this
# machine's files, read-only under a tmpfs, and has strata's modules ready for modprobe.
#
#   --kernel stock|lab   default stock; it must have been built by build.sh
#   --icount             one CPU whose clock counts instructions, for measuring
#   --mem MIB --smp N    default 2048 and 2
#   --timeout SECONDS    default 600
#   --dir DIRECTORY      where the command runs; default a snapshot of what was built
#   --shell              no command: a shell on this terminal
#
# The command's output arrives live and its exit status is ours, but 1 when the VM ended
# in any other way, took too long, or its kernel complained (see splats), and 99 when the
# command succeeded and kmemleak found something. The kernel's messages are kept.
set -euo pipefail
. "$(dirname "$0")/env.sh"

kernel=stock icount='' mem=2048 smp=2 timeout=600 dir='' shell=''
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--icount) icount=1 smp=1 ;;
	--mem) mem=$2; shift ;;
	--smp) smp=$2; shift ;;
	--timeout) timeout=$2; shift ;;
	--dir) dir=$2; shift ;;
	--shell) shell=1 ;;
	--) shift; break ;;
	-*) die "unknown option $1" ;;
	*) break ;;
	esac
	shift
done
[ -n "$shell" ] || [ $# -gt 0 ] || die "no command"
kernel_vars "$kernel"

# Emulation takes both CPUs: a third VM would only make all of them late.
slot() {
	mkdir -p "$cache/runs"
	until { exec 8>"$cache/vm1.lock" && flock -n 8; } ||
		{ exec 8>"$cache/vm2.lock" && flock -n 8; }; do
		sleep 1
	done
}
slot

# One directory a run; those of last week go.
find "$cache/runs" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
run=$(mktemp -d "$cache/runs/$(date +%m%d-%H%M%S)-$kernel.XXXX")

# Hard links to what was built, so that a build may go on while the VM runs.
stage=$modules
if [ -d "$tree/$kernel/lib" ]; then
	lock "$tree/$kernel"
	cp -al "$tree/$kernel/src" "$tree/$kernel/lib" "$run/"
	exec 9>&-
	stage=$run/lib/modules/$release
	: "${dir:=$run/src}"
fi
: "${dir:=$top}"

# The initramfs: busybox, what mounting the root needs, and the command.
initramfs() {
	local root=$run/root module base=${stage%/lib/modules/*}
	mkdir -p "$root"/{bin,dev,proc,lower,rw,root,modules,strata}
	cp /bin/busybox "$root/bin/"
	cp "$vm/init" "$root/init"
	cp "$vm/guest" "$root/strata/"
	chmod 755 "$root/init" "$root/strata/guest"
	: >"$root/modules/list"
	for module in virtio_mmio 9pnet_virtio 9p overlay configfs; do
		modprobe -d "$base" -S "$release" --show-depends "$module" |
			sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done | awk '!seen[$0]++' | while read -r module; do
		cp "$module" "$root/modules/"
		basename "$module" >>"$root/modules/list"
	done
	echo "$stage" >"$root/strata/modules"
	echo "$dir" >"$root/strata/directory"
	if [ -n "$shell" ]; then
		: >"$root/strata/shell"
	else
		{
			echo "export STRATA_KERNEL=$kernel"
			[ $# -eq 1 ] && echo "$1" || printf '%q ' "$@"
		} >"$root/strata/command"
	fi
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$run/initramfs"
	rm -rf "$root"
}

# /dev/kvm may open and still not run a kernel: believe only a boot, once a host boot.
kvm_works() {
	local answer
	answer=$cache/kvm-$(cat /proc/sys/kernel/random/boot_id)
	[ -w /dev/kvm ] || return 1
	if [ ! -f "$answer" ]; then
		rm -f "$cache"/kvm-*
		# In a group, so that bash's word about an abort goes nowhere as well.
		{ timeout 30 qemu-system-x86_64 -accel kvm -cpu host -m 512 -nodefaults \
			-display none -no-reboot -kernel "$image" -append 'panic=-1 console=ttyS0' \
			-serial "file:$run/probe" </dev/null || true; } >/dev/null 2>&1
		if grep -q 'Kernel panic.*Unable to mount root' "$run/probe"; then
			echo yes >"$answer"
		else
			echo no >"$answer"
		fi
	fi
	grep -q yes "$answer"
}

machine() {
	local bus=pci
	if [ -n "$icount" ]; then
		bus=device
		qemu+=(-M 'microvm,rtc=on' -cpu max -accel tcg -icount 'shift=0,sleep=off')
	elif kvm_works; then
		qemu+=(-M q35 -cpu host -accel kvm)
	else
		# Not microvm: on a busy machine its kernel cannot calibrate a clock. Not
		# pc: the lab kernel takes 40 s to make out its interrupt links.
		qemu+=(-M q35 -cpu max -accel 'tcg,thread=multi')
	fi
	qemu+=(
		-m "$mem" -smp "$smp" -nodefaults -no-user-config -display none -no-reboot
		-fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"
		-device "virtio-9p-$bus,fsdev=root,mount_tag=root"
		-serial "file:$run/dmesg"
		-device "virtio-serial-$bus"
		-kernel "$image" -initrd "$run/initramfs"
		# reboot=t: a triple fault, for which every machine type needs no driver
		-append "console=ttyS0 panic=-1 oops=panic reboot=t loglevel=8 \
rcupdate.rcu_cpu_stall_timeout=60 printk.devkmsg=on tsc=reliable random.trust_cpu=on"
	)
}

# The dmesg of a VM that died is cut anywhere: look for the first complaint.
complaint() {
	# grep stops early and tr then dies of it: what counts is what was found.
	tr -d '\r' <"$run/dmesg" | grep -E -m1 -A40 -f "$vm/splats" >"$run/splat" || true
	[ -s "$run/splat" ]
}

initramfs "$@"
qemu=(qemu-system-x86_64)
machine
if [ -n "$shell" ]; then
	qemu+=(-chardev "stdio,id=con,signal=off" -device "virtconsole,chardev=con")
	exec "${qemu[@]}"
fi

# A fifo, because qemu's stdio would tell the guest that the port closed when our stdin
# ends, and opening /dev/stdout would truncate a file.
mkfifo "$run/out"
: >"$run/status"
qemu+=(
	-chardev "file,id=out,path=$run/out" -device "virtserialport,chardev=out,name=output"
	-chardev "file,id=status,path=$run/status"
	-device "virtserialport,chardev=status,name=status"
)
cat "$run/out" &
reader=$!
timeout --kill-after=5 "$timeout" "${qemu[@]}" </dev/null >"$run/qemu.log" 2>&1 &
child=$!
trap 'kill $child 2>/dev/null; die "interrupted; kernel messages: $run/dmesg"' INT TERM
ended=0
wait $child || ended=$?
# Had qemu not started, the reader would wait for a writer; else nobody reads.
(: >"$run/out") &
opener=$!
wait $reader || true
kill $opener 2>/dev/null || true
rm -rf "${run:?}"/{initramfs,out,src,lib}

status=$(sed -n 's/^done //p' "$run/status")
if complaint; then
	say "the kernel complained:"
	cat "$run/splat" >&2
	status=1
elif [ $ended = 124 ] || [ $ended = 137 ]; then
	say "no end after $timeout s; the kernel's last words:"
	tail -n 15 "$run/dmesg" >&2
	status=1
elif [ -z "$status" ]; then
	say "the VM ended without a result:"
	cat "$run/qemu.log" >&2
	tail -n 30 "$run/dmesg" >&2
	status=1
fi
[ "$status" = 0 ] || say "kernel messages: $run/dmesg"
exit "$status"
