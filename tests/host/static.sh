#!/bin/bash
# Proves: spelling, manual pages, links and names of files in documents, and what cppcheck finds in C, are in order.
# Lab: none
# Limit: 120
# shellcheck disable=SC2016 # backquotes are those of documents
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

cd "$TOP" || exit
work=$(mktemp -d -p build)
trap 'rm -rf "$TOP/$work"' EXIT

# Words that are no mistakes here: a macro of manual pages, an Open MPI type, two arrays.
spell()
{
	lab chroot codespell --ignore-words-list=bu,convertor,datas "$@"
}

# Pages have no date, which would be that of the last time somebody thought of it.
manuals()
{
	lab chroot sh -c 'for page; do
		mandoc -T lint -W warning "$page"
	done' sh "$@" 2>&1 | grep -v 'missing date, using ""'
}

# options PROGRAM-TEXT PAGE: those that --help names and the page does not.
options()
{
	sed 's/\\-/-/g; s/\\f[A-Z]//g' "$2" > "$work/page"
	grep -o -E -- '^[^/#]*(  |\[|"|, )--[a-z-]+' "$1" | grep -o -E -- '--[a-z-]+$' | sort -u |
		while read -r option; do grep -q -w -e "$option" "$work/page" || echo "$2: no $option"; done
}

# What a heading is called in a link.
anchors()
{
	sed -n '/^```/,/^```/d; s/^#\{1,6\} *//p' "$1" | tr '[:upper:]' '[:lower:]' |
		sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# links DOCUMENT: links that lead nowhere, and files of this project that are not there.
links()
{
	local target file anchor name
	sed '/^```/,/^```/d' "$1" | grep -o ']([^)]*)' | sed 's/^](//; s/)$//' | grep -v '^https\?:' |
		while read -r target; do
			file=${target%%#*} anchor=
			[ "$file" = "$target" ] || anchor=${target#*#}
			name=$(dirname "$1")/$file
			[ -n "$file" ] || name=$1
			if [ ! -e "$name" ]; then
				echo "$1: link to $target"
			elif [ -n "$anchor" ] && ! anchors "$name" | grep -q -x -e "$anchor"; then
				echo "$1: no heading for $target"
			fi
		done
	grep -o '`[^` ]*`' "$1" | tr -d '`' | grep -E '^(\.\./)?(kmod|userlib|btl_xs|xen-scripts|tests|debian|Documentation)/' |
		sed 's,^\.\./,,' | sort -u | while read -r name; do
			compgen -G "$name" > /dev/null || echo "$1: no file $name"
		done
}

# What the first knows of macros is not enough for lists of the kernel's and Open MPI's.
look()
{
	lab chroot cppcheck -q -j 2 --std=c11 --inline-suppr --enable=warning,performance,portability \
		--suppress=normalCheckLevelMaxBranches --suppress=missingIncludeSystem "$@" 2>&1
}

mapfile -t files < <({ git ls-files 2> /dev/null | grep . || find . -path ./build -prune -o -type f -print; } |
	grep -v -e LICENSES/ -e tests/fuzz/corpus/)
check "files are there" [ ${#files[@]} -ge 100 ]
check_equal "${#files[@]} files: spelling" "" "$(spell "${files[@]}")"

mapfile -t pages < <(ls userlib/man/*.[1-8] xen-scripts/man/*.[1-8])
check "pages are there" [ ${#pages[@]} -ge 10 ]
check_equal "${#pages[@]} manual pages" "" "$(manuals "${pages[@]}")"
for program in userlib/tools/xscat.c:xscat.1 userlib/tools/xsctl.c:xsctl.8 userlib/run/xs-run.c:xs-run.1; do
	check_equal "the manual has the options of $(basename "${program%:*}" .c)" "" \
		"$(options "${program%:*}" "userlib/man/${program#*:}")"
done
for program in xs-hostid xs-migrate xs-save; do
	check_equal "the manual has the options of $program" "" \
		"$(options "xen-scripts/$program" "xen-scripts/man/$program.8")"
done

for document in README.md Documentation/*.md; do
	check_equal "$document: links and files" "" "$(links "$document")"
done

check_equal "cppcheck: library, tools, xs-run" "" \
	"$(look -Iuserlib/include -Iuserlib/src userlib/src userlib/tools userlib/run)"
check_equal "cppcheck: module, component" "" \
	"$(look --suppress=uninitvar --suppress=unknownMacro -D__KERNEL__ '-DTRACE_EVENT(...)=' \
		'-DMCA_BASE_COMPONENT_INIT(a,b,c)=' -Iuserlib/include kmod btl_xs)"

# The checks themselves.
printf 'This is \164eh end of [it](nowhere.md) and `tests/nowhere`; see [here](#no-such).\n' > "$work/bad.md"
check "a spelling mistake is found" grep -q 'teh ==> the' <<< "$(spell "$work/bad.md")"
check_equal "links to nowhere are found" 3 "$(links "$work/bad.md" | wc -l)"
printf '.TH BAD 1 "" "x" "x"\n.SH NAME\nbad \\- page\n.NOSUCH\n' > "$work/bad.1"
check "a mistake in a manual page is found" grep -q NOSUCH <<< "$(manuals "$work/bad.1")"
printf '#include <stdlib.h>\nint bad(void)\n{\n\tint *p = malloc(4);\n\n\tfree(p);\n\treturn *p;\n}\n' > "$work/bad.c"
check "a use after free is found" grep -q after.it.is.deallocated <<< "$(look "$work/bad.c")"
printf '\tputs("  -x, --nowhere  bad\\n");\n' > "$work/options.c"
check "an option without a description is found" grep -q -e '--nowhere' \
	<<< "$(options "$work/options.c" userlib/man/xscat.1)"
