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

# unexplained GUIDE: what a user may meet, and what no row of the guide's tables begins with:
# messages and parameters of the component, parameters of the module, and errors of the module,
# the library and its manual, but for those that no program sees.
unexplained()
{
	local name
	sed -n 's/^| \([^|]*\)|.*/\1/p' "$1" > "$work/rows"
	{
		sed -n 's/^\[\(.*\)\]$/\1/p' btl_xs/help-mpi-btl-xs.txt
		sed -n 's/^module_param\(_named\)\?(\([a-z_]*\),.*/\2/p' kmod/*.c
		sed -n 's/.*mca_btl_xs_\(param\|control_variable\)("\([a-z_]*\)".*/btl_xs_\2/p
			s/.*btl_version, "\([a-z_]*\)",$/btl_xs_\1/p' btl_xs/btl_xs_{component,control,events,pmix}.c
	} | while read -r name; do grep -q -F -e "\`$name\`" "$work/rows" || echo "$1: no $name"; done
	{
		grep -o -h -w -E 'E[A-Z0-9]+' kmod/*.[ch] userlib/src/*.c userlib/include/*.h userlib/man/*.[37] |
			grep -x -F "$errors" | grep -v -x -e EALREADY -e ENODATA -e ESRCH
		sed -n 's/^#define \(XSOCK_E[A-Z]*\)\t.*/\1/p' userlib/include/xensocket.h
	} | sort -u | while read -r name; do grep -q -w -e "$name" "$work/rows" || echo "$1: no $name"; done
}

# unlisted README: targets of "make help", and documents, that it does not name; and targets
# that it names and that do not exist.
unlisted()
{
	local name
	make -s help | sed -n 's/^make \([a-z0-9-]*\) .*/\1/p' > "$work/targets"
	while read -r name; do
		grep -q -E "make $name( |\`|$)" "$1" || echo "$1: no make $name"
	done < "$work/targets"
	grep -o -E '(^|`)make [a-z][a-z0-9-]*' "$1" | sed 's/.* //' | sort -u | grep -v -x -F -f "$work/targets" |
		sed "s,^,$1: there is no make ,"
	for name in Documentation/*.md; do
		grep -q -F "($name)" "$1" || echo "$1: no link to $name"
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
for program in userlib/tools/xscat.c:xscat.1 userlib/tools/xsctl.c:xsctl.8 \
		userlib/tools/xs-btlctl.c:xs-btlctl.1 userlib/tools/xs-events.c:xs-events.1 userlib/run/xs-run.c:xs-run.1; do
	check_equal "the manual has the options of $(basename "${program%:*}" .c)" "" \
		"$(options "${program%:*}" "userlib/man/${program#*:}")"
done
for program in xs-hostid:xs-hostid functions:xs-migrate functions:xs-save; do
	check_equal "the manual has the options of ${program#*:}" "" \
		"$(options "xen-scripts/${program%:*}" "xen-scripts/man/${program#*:}.8")"
done

for document in README.md Documentation/*.md; do
	check_equal "$document: links and files" "" "$(links "$document")"
done

errors=$(lab chroot sh -c "echo '#include <errno.h>' | gcc -E -dM -" | sed -n 's/^#define \(E[A-Z0-9]*\) .*/\1/p')
check "the system's errors are known" [ "$(wc -l <<< "$errors")" -ge 100 ]
check_equal "the user guide explains each message, error and parameter" "" \
	"$(unexplained Documentation/user-guide.md)"
check_equal "the README has each target and each document" "" "$(unlisted README.md)"

check_equal "cppcheck: library, tools, xs-run" "" \
	"$(look -Iuserlib/include -Iuserlib/src userlib/src userlib/tools userlib/job userlib/run)"
check_equal "cppcheck: module, component" "" \
	"$(look --suppress=uninitvar --suppress=unknownMacro -D__KERNEL__ '-DTRACE_EVENT(...)=' \
		'-DMCA_BASE_COMPONENT_INIT(a,b,c)=' -Iuserlib/include kmod btl_xs)"
# Not what needs kernel/ in place of the kernel's headers (tests/fuzz), nor the modules. It takes
# check() of tests/xen for something that ends what it is given.
mapfile -t programs < <(ls tests/{unit,btl,mpi,bench,xsrun,xen}/*.c tests/fuzz/{driver,frames,offers}.c)
check "there are programs" [ "${#programs[@]}" -ge 30 ]
check_equal "cppcheck: ${#programs[@]} programs of the tests" "" \
	"$(look --suppress={nullPointer,ctunullpointer,nullPointerArithmetic}OutOfMemory \
		--suppress={deallocuse,resourceLeak,incorrectStringBooleanError}:'tests/xen/*' \
		-Iuserlib/include -Iuserlib/src -Ikmod "${programs[@]}")"

# It is for measurements, so nothing else would notice.
check "the component without failover can be made" \
	lab chroot patch -p1 -s --dry-run -i tests/bench/without-failover.patch

# The checks themselves.
printf 'This is \164eh end of [it](nowhere.md) and `tests/nowhere`; see [here](#no-such).\n' > "$work/bad.md"
check "a spelling mistake is found" grep -q 'teh ==> the' <<< "$(spell "$work/bad.md")"
check_equal "links to nowhere are found" 3 "$(links "$work/bad.md" | wc -l)"
for name in 'bad value' max_peer_pages btl_xs_window btl_xs_pmix ENOBUFS XSOCK_EVERSION; do
	sed "s/^\(| [^|]*\)$name/\1/" Documentation/user-guide.md > "$work/guide.md"
	check_equal "that the guide says nothing of '$name' is found" "$work/guide.md: no $name" \
		"$(unexplained "$work/guide.md")"
done
sed 's/make fuzz/make fuss/g; s/(Documentation\/lab.md)//g' README.md > "$work/readme.md"
check_equal "what the README lacks is found" 3 "$(unlisted "$work/readme.md" | wc -l)"
printf '.TH BAD 1 "" "x" "x"\n.SH NAME\nbad \\- page\n.NOSUCH\n' > "$work/bad.1"
check "a mistake in a manual page is found" grep -q NOSUCH <<< "$(manuals "$work/bad.1")"
printf '#include <stdlib.h>\nint bad(void)\n{\n\tint *p = malloc(4);\n\n\tfree(p);\n\treturn *p;\n}\n' > "$work/bad.c"
check "a use after free is found" grep -q after.it.is.deallocated <<< "$(look "$work/bad.c")"
printf '\tputs("  -x, --nowhere  bad\\n");\n' > "$work/options.c"
check "an option without a description is found" grep -q -e '--nowhere' \
	<<< "$(options "$work/options.c" userlib/man/xscat.1)"
