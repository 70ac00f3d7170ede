# SPDX-License-Identifier: GPL-2.0
# Read KTAP files; name what failed, with its diagnostics, and what was skipped; end with
# "N passed, N failed, N skipped". Only leaves count: a result with results below it
# counts when it failed though they did not. A plan that was not kept is a failure.

function forget(depth,   d) {
	for (d in count)
		if (d + 0 > depth) {
			delete count[d]; delete plan[d]; delete failures[d]; delete name[d]
		}
}

function path(depth,   d, s) {
	s = part
	for (d = 0; d <= depth; d++)
		if (d in name)
			s = s "/" name[d]
	return s
}

function explain(   i) {
	for (i = (notes > 40 ? notes - 39 : 1); i <= notes; i++)
		print "    " note[i]
	notes = 0
}

function fail(what) {
	failed++
	print "FAILED " what
	explain()
}

# All levels deeper than this one are complete: were their plans kept?
function settle(depth,   d) {
	broken = below = 0
	for (d in count)
		if (d + 0 > depth) {
			below += count[d]
			broken += failures[d]
		}
	for (d in plan)
		if (d + 0 > depth && plan[d] != count[d] + 0) {
			fail(path(d) ": planned " plan[d] ", saw " count[d] + 0)
			broken++
		}
}

function end_file() {
	settle(-1)
	if (part != "" && !below && !broken)
		fail(part ": no result")
	forget(-1)
	notes = 0
}

FNR == 1 {
	end_file()
	part = FILENAME
	sub(/.*\//, "", part)
	sub(/\.ktap$/, "", part)
}

{
	match($0, /^ */)
	depth = RLENGTH
	line = substr($0, depth + 1)
}

line ~ /^1\.\.[0-9]+/ {
	forget(depth)
	plan[depth] = substr(line, 4) + 0
	if (line ~ /# SKIP/)
		why = ": " substr(line, index(line, "SKIP") + 5)
	next
}

line ~ /^# Subtest: / {
	name[depth] = substr(line, 12)
	notes = 0
	next
}

line ~ /^(not )?ok [0-9]+/ {
	settle(depth)
	parent = below || broken
	was_broken = broken
	forget(depth)
	count[depth]++
	what = line
	sub(/^(not )?ok [0-9]+ *(- )?/, "", what)
	# A suite's own line repeats the name of its Subtest line.
	full = !(depth in name) || parent ? part "/" what : path(depth) "/" what
	if (line ~ /^not ok/) {
		failures[depth]++
		if (!parent || !was_broken)
			fail(full)
		else if (notes)
			explain()
	} else if (line ~ /# SKIP/) {
		if (!parent) {
			skipped++
			print "SKIPPED " full why
		}
	} else if (!parent) {
		passed++
	}
	notes = 0
	why = ""
	next
}

line != "" && line !~ /^KTAP version/ { note[++notes] = line }

END {
	end_file()
	if (part == "")
		fail("no result at all")
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed != 0
}
