# SPDX-License-Identifier: GPL-2.0
# What is measured against what. Reads the lines of icount.sh and fio.sh and, by -v mode=,
#
#   table    prints all figures as tables in reStructuredText
#   record   prints what the gate will compare with
#   gate     compares, as KTAP, with the record named first on the command line
#
# A path's cost is in instructions, over that of its base where it has one.

function known(name) {
	if (name in figure)
		return 1
	print "bench: no figure " name >"/dev/stderr"
	missing = 1
	return 0
}

function over(name, base) { return figure[name] - (base ? figure[base] : 0) }

function signed(n, base) { return base ? sprintf("%+d", n) : n }

# ---- tables ----

function rule(widths,   i, n, w, s) {
	n = split(widths, w)
	for (i = 1; i <= n; i++)
		s = s (i > 1 ? " " : "") substr(equals, 1, w[i])
	print s
}

function row(a, b, c, d, e, f, g) {
	printf "%-44s %7s %7s %7s %7s %7s %3s\n", a, b, c, d, e, f, g
}

# path LABEL FIGURE BASE PEER PEER'S BASE TARGET
function path(label, name, base, peer, peer_base, target,   cost) {
	if (!known(name) || (base && !known(base)) || (peer && !known(peer)))
		return
	cost = over(name, base)
	row(label, figure[name], base ? figure[base] : "-", base ? signed(cost, base) : "-",
	    peer ? signed(over(peer, peer_base), peer_base) : "-",
	    target ? signed(target, base) : "-",
	    target ? (cost <= target ? "yes" : "no") : "-")
}

# level LABEL FIGURE BASE LEVELS PEER PEER'S BASE TARGET: one of several alike
function level(label, name, base, levels, peer, peer_base, target,   cost) {
	if (!known(name) || !known(base) || !known(peer) || !known(peer_base))
		return
	cost = over(name, base) / levels
	row(label, "-", "-", sprintf("%+.0f", cost), sprintf("%+d", over(peer, peer_base)),
	    sprintf("%+d", target), cost <= target ? "yes" : "no")
}

function icount_table(widths) {
	widths = "44 7 7 7 7 7 3"
	rule(widths)
	row("instructions per 4 KiB request", "cost", "base", "over", "peer", "target", "met")
	rule(widths)
	path("bare remap", "floor.remap", "null.read")
	path("bare clone", "floor.clone", "null.read")
	path("block, blockdev; read, iostats 0", "block.null", "null.read", "dm.linear", "null.read", 560)
	path("block, blockdev; write, iostats 0", "block.null.write", "null.write")
	path("block, blockdev; read, iostats 1", "block.null.iostats", "null.read", "dm.linear.iostats",
	     "null.read", 1150)
	path("engine, blockdev; read", "engine.null", "null.read")
	level("engine; each further level", "engine.pass8", "engine.null", 8, "dm.linear2", "dm.linear", 60)
	path("engine, layered with one disk; read", "engine.layered", "engine.null")
	path("block, mem; read", "mem.read", "brd.read", "", "", 500)
	path("block, mem; overwrite", "mem.write", "brd.write")
	path("block, mem; first write", "mem.first")
	path("engine, mem; read", "engine.mem.read")
	path("block, memdiff; read-through", "memdiff.through", "brd.read", "snapshot.through", "brd.read", 900)
	path("block, memdiff; first write", "memdiff.first", "", "snapshot.first")
	path("block, memdiff; overwrite", "memdiff.write", "", "snapshot.write", "", 2500)
	path("block, memdiff; read of what was written", "memdiff.read", "", "snapshot.read")
	path("engine, file; read", "engine.file.read", "vfs.read", "", "", 600)
	path("engine, file; overwrite", "engine.file.write", "vfs.write", "", "", 600)
	path("block, file; read", "block.file.read", "vfs.read", "loop.read", "vfs.read", 1200)
	path("block, file; overwrite", "block.file.write", "vfs.write", "loop.write", "vfs.write", 1200)
	path("engine, striped; read in a chunk", "engine.striped", "engine.member", "", "", 100)
	path("block, striped; read in a chunk", "block.striped", "null.read", "dm.stripe", "null.read")
	path("engine, striped; two members in a plug", "engine.striped.both", "engine.member")
	path("block, striped; two members in a plug", "block.striped.both", "null.read", "dm.stripe.both", "null.read")
	path("engine, delay of 0; read", "engine.delay", "engine.member", "", "", 100)
	path("block, delay of 0; read", "block.delay", "null.read", "dm.delay", "null.read")
	path("engine, prwrap; read", "engine.prwrap", "engine.member")
	level("engine; delay, prwrap, delay: each", "engine.four", "engine.member", 3, "dm.linear2", "dm.linear", 60)
	crypt_paths(512)
	crypt_paths(4096)
	rule(widths)
}

# Whole costs: below that of dm-crypt is the target.
function crypt_paths(size,   op, i, name) {
	for (i = 1; i <= 2; i++) {
		op = i == 1 ? "read" : "write"
		name = size "." op
		path("cipher alone, units of " size "; " op, "cipher" name)
		path("engine, crypt " size "; " op, "engine.crypt" name, "cipher" name)
		path("block, crypt " size "; " op, "block.crypt" name, "null" name, "dm.crypt" name, "null" name,
		     over("dm.crypt" name, "null" name))
	}
}

function ratio(kind, name, device, peer) {
	if (!known(kind "." name "." device) || !known(kind "." name "." peer))
		return 0
	return figure[kind "." name "." device] / figure[kind "." name "." peer]
}

# throughput LABEL NAME DEVICE PEER TARGET
function throughput(label, name, device, peer, target,   virtual) {
	virtual = ratio("virtual", name, device, peer)
	row(label, figure["virtual." name "." device], figure["virtual." name "." peer],
		sprintf("%.3f", virtual), sprintf("%.2f", ratio("wall", name, device, peer)),
		target ? sprintf("%.2f", target) : "-",
		target ? (virtual >= target ? "yes" : "no") : "-")
}

function fio_set(set, device, label, peer, target, peer_label,   op, depth, i, j) {
	for (i = 1; i <= 2; i++)
		for (j = 1; j <= 2; j++) {
			op = i == 1 ? "randread" : "randwrite"
			depth = j == 1 ? 1 : 32
			throughput(label "; " op ", depth " depth ", " peer_label,
				   set "." op ".libaio." depth, device, peer, target)
		}
}

function fio_table(widths, i, op, name) {
	widths = "44 7 7 7 7 7 3"
	rule(widths)
	row("fio, 4 KiB, against", "IOPS", "peer", "ratio", "wall", "target", "met")
	rule(widths)
	fio_set("null", "strata", "blockdev", "dm", 1.0, "dm-linear")
	for (i = 1; i <= 2; i++) {
		op = i == 1 ? "randread" : "randwrite"
		name = "null." op ".io_uring.1"
		throughput("blockdev; " op ", io_uring, null_blk", name, "strata", "bare", 0.9)
		throughput("same with iostats 0; " op, name, "lean", "bare", 0.9)
		throughput("dm-linear; " op ", io_uring, null_blk", name, "dm", "bare")
	}
	fio_set("striped", "strata", "striped", "dm", 0, "dm-stripe")
	fio_set("delay", "strata", "delay of 0", "dm", 0, "dm-delay")
	fio_set("crypt", "strata", "crypt", "dm", 0, "dm-crypt")
	fio_set("mem", "strata", "mem", "brd", 1.0, "brd")
	fio_set("memdiff", "strata", "memdiff", "snapshot", 0, "dm-snapshot")
	fio_set("file", "strata", "file", "loop", 1.5, "loop")
	rule(widths)
}

# ---- the gate ----

# Inline paths only: a thread's figures do not repeat well enough. A path that costs about
# as much as its base is taken whole, or 5 % of the difference would be noise.
function gated() {
	gate("block over blockdev, read", "block.null", "null.read")
	gate("block over blockdev, write", "block.null.write", "null.write")
	gate("block over blockdev, read with iostats", "block.null.iostats", "null.read")
	gate("engine over eight levels and blockdev", "engine.pass8", "null.read")
	gate("engine over layered with one disk", "engine.layered", "null.read")
	gate("mem read", "mem.read", "brd.read")
	gate("mem overwrite", "mem.write")
	gate("memdiff read-through", "memdiff.through", "brd.read")
	gate("memdiff overwrite", "memdiff.write")
	gate("striped read in a chunk", "engine.striped", "null.read")
	gate("delay of 0, read", "engine.delay", "null.read")
	gate("delay, prwrap, delay over blockdev", "engine.four", "null.read")
	gate("crypt read, 512", "engine.crypt512.read")
	gate("crypt write, 512", "engine.crypt512.write")
	gate("crypt read, 4096", "engine.crypt4096.read")
	gate("crypt write, 4096", "engine.crypt4096.write")
	gate("file read, engine", "engine.file.read", "vfs.read")
	gate("file overwrite, engine", "engine.file.write", "vfs.write")
	gate("file read, block", "block.file.read", "vfs.read")
	gate("file overwrite, block", "block.file.write", "vfs.write")
}

function gate(label, name, base,   cost, now, before, noise) {
	number++
	if (!known(name) || (base && !known(base)) || !known("floor.remap")) {
		print "not ok " number " " label
		return
	}
	cost = over(name, base)
	if (mode == "record") {
		printf "%-20s %5d %4d\n", name, cost, floor
		return
	}
	if (!(name in recorded)) {
		print "# " name " has no recorded figure"
		print "not ok " number " " label
		missing = 1
		return
	}
	now = cost / floor
	before = recorded[name] / recorded_floor[name]
	printf "# %s: %d, %.3f of a bare remap (%d); recorded %d, %.3f\n", name, cost, now,
	       floor, recorded[name], before
	# A few instructions come and go with the slab pages that a boot gives out.
	noise = 10 / floor
	if (now > before * 1.05 && now > before + noise) {
		missing = 1
		printf "not "
	} else if (now < before * 0.95 && now < before - noise) {
		print "# cheaper than recorded: make bench RECORD=1 keeps it so"
	}
	print "ok " number " " label
}

BEGIN { equals = "============================================================" }

/^#/ { next }
mode == "gate" && FILENAME == ARGV[1] { recorded[$1] = $2; recorded_floor[$1] = $3; next }
$1 == "icount" { figure[$2] = $3 }
$1 == "wall" || $1 == "virtual" { figure[$1 "." $2] = $3 }

END {
	floor = figure["floor.remap"] - figure["null.read"]
	if (mode == "table") {
		icount_table()
		print ""
		fio_table()
	} else if (floor <= 0) {
		print "not ok 1 the bare remap was measured"
		missing = 1
	} else {
		if (mode == "gate")
			print "KTAP version 1"
		gated()
		if (mode == "gate")
			print "1.." number
	}
	exit missing
}
