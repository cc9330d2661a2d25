# shellcheck shell=bash
# Commands that documents show; sourced after lib.sh.
# shellcheck disable=SC2016 # backquotes are those of documents
# SPDX-License-Identifier: BSD-3-Clause

# blocks DOCUMENT: the commands of its blocks, a line each, without what is said beside them. An
# empty line ends a block.
blocks()
{
	awk '/^```/ { inside = !inside; if (!inside) print ""; next }
		inside && NF { if (line != "") sub(/^ */, " ") }
		inside && sub(/ *\\$/, "") { line = line $0; next }
		inside && NF { print line $0; line = "" }' "$1" |
		sed 's/^g[0-9][$#] //; s/^ *//; s/   *[^ ].*//'
}

# commands DOCUMENT: those that it shows, in blocks and in backquotes.
commands()
{
	blocks "$1" | grep .
	sed '/^```/,/^```/d' "$1" | grep -o '`[^`]*`' | tr -d '`'
}

# block DOCUMENT COMMAND: the commands of the first block in which one begins so.
block()
{
	blocks "$1" | awk -v begin="$2" '
		NF { lines = lines $0 "\n"; if (index($0, begin) == 1) found = 1; next }
		found { printf "%s", lines; exit }
		{ lines = "" }'
}

# in_copy NAME: goes to a copy of the checkout below build/, so that what is typed there leaves results,
# logs and labs of whoever runs the test alone; its own end with the test.
in_copy()
{
	unset LAB_NAME LAB_REUSE LAB_LOGS KERNEL FULL TESTS SUITES
	COPY=$TOP/build/$1
	rm -rf "$COPY"
	mkdir -p "$COPY"
	tar -c -C "$TOP" --exclude=./build --exclude=./.git . | tar -x -C "$COPY" || fail "cannot copy the checkout"
	cd "$COPY" || exit
	shown=$(for document in README.md Documentation/*.md; do commands "$document"; done)
	trap leave_copy EXIT
}

# shellcheck disable=SC2317 # by trap
leave_copy()
{
	local suite
	for suite in trixie bookworm; do
		SUITE=$suite "$COPY/tests/lab/lab" down
	done
	rm -rf "$COPY"
}

# types COMMAND [NAME=VALUE]...: a document has it; with these in the environment it succeeds in the copy.
# What it says is left in $said.
types()
{
	local command=$1 status=0
	shift
	check "documents have: $command" grep -q -x -F -e "$command" <<< "$shown"
	env "$@" sh -c "$command" < /dev/null > "$COPY/said" 2>&1 || status=$?
	said=$(cat "$COPY/said")
	printf '%s\n' "$said"
	check_equal "$*${1:+ }$command: status" 0 "$status"
}

# says PATTERN...: the last command has said so, each on a line of its own.
says()
{
	local pattern
	for pattern; do
		check "it says: $pattern" grep -q -x -e "$pattern" <<< "$said"
	done
}
