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
