#!/bin/bash
# Proves: commands in documents name what there is: programs with their options and commands, targets, tests, packages; and some are run.
# Lab: none
# Limit: 300
# shellcheck disable=SC2016 # backquotes are those of documents
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"

# Documents speak of the default suite, and of no more.
export SUITE=trixie
unset KERNEL FULL TESTS SUITES LAB_REUSE
cd "$TOP" || exit
mkdir -p build
work=$(mktemp -d -p build)
trap 'rm -rf "$TOP/$work"' EXIT

# has TOOL OPTION-OR-COMMAND: does its help know it? Commands begin a line there.
has()
{
	case $2 in
	--help) ;;
	-*) grep -q -E -e "(^|[[ ,])${2%%=*}([] ,=]|\$)" "$work/help.$1" ;;
	*) grep -q -E "^ *$2( |\$)" "$work/help.$1" ;;
	esac
}

# of_tool TOOL WORD...: what it does not know. What follows the program that xs-run starts, or
# that a machine of the lab is to run, is not for it.
of_tool()
{
	local tool=$1 word letter first='' known=''
	shift
	for word; do
		case $word in
		--* | -?) has "$tool" "$word" || echo "$tool has no $word" ;;
		-*)
			for ((letter = 1; letter < ${#word}; letter++)); do
				has "$tool" "-${word:letter:1}" || echo "$tool has no -${word:letter:1}"
			done
			;;
		[0-9]*) ;;
		*)
			[ "$tool" != xs-run ] || break
			[ "$tool" != lab ] || [ -z "$first" ] || break
			first=${first:-$word}
			! has "$tool" "$word" || known=yes
			;;
		esac
	done
	case $tool in
	xsctl | xs-btlctl | lab) [ -z "$first$known" ] || [ -n "$known" ] || echo "$tool has no $first" ;;
	esac
}

# of_make WORD...: targets that are in no makefile. What TESTS and others select has to be there.
of_make()
{
	local word dir=. settings=()
	while [ $# -gt 0 ]; do
		word=$1
		shift
		case $word in
		-C)
			dir=$1
			shift
			[ -e "$dir/Makefile" ] || echo "make: no $dir/Makefile"
			;;
		-*) ;;
		*=*) settings+=("$word") ;;
		*)
			grep -q -s -E "^([a-z0-9-]+ )*$word( [a-z0-9-]+)*:( |\$)" "$dir/Makefile" "$dir"/*.mk ||
				echo "make: $dir has no $word"
			case $word in
			check-debug) settings+=(KERNEL=debug) ;;
			check-races) settings+=(KERNEL=kcsan) ;;
			esac
			;;
		esac
	done
	of_settings "${settings[@]}"
}

# of_settings NAME=VALUE...: variables that nothing heeds, tests that are not there.
of_settings()
{
	local setting
	for setting; do
		grep -r -q -w --exclude=documents.sh -e "${setting%%=*}" Makefile ./*/Makefile tests ||
			echo "nothing heeds $setting"
	done
	[[ " $*" != *" TESTS="* ]] || [ -n "$(env "$@" FULL=1 tests/run --list)" ] ||
		echo "$*: no such test"
}

# of_line WORD...: of one command.
of_line()
{
	local name settings=()
	while [[ ${1:-} =~ ^[A-Z_]+=. ]]; do
		settings+=("$1")
		shift
	done
	name=${1:-}
	[ $# -gt 1 ] || return 0
	shift
	case $name in
	make) of_make "${settings[@]}" "$@" ;;
	lab | tests/lab/lab | tests/run | xsctl | xscat | xs-run | xs-btlctl | xs-events | xs-hostid | \
		xs-migrate | xs-save | xs-restore)
		of_tool "${name##*/}" "$@"
		of_settings "${settings[@]}"
		;;
	mpirun)
		grep -o -e '--mca btl_xs_[a-z_]*' <<< "$*" | sed 's/.*btl_xs_//' | while read -r name; do
			grep -q -F "\"$name\"" btl_xs/*.c || echo "mpirun: no parameter btl_xs_$name"
		done
		;;
	apt-get)
		grep -o '\./[a-z0-9-]*_' <<< "$*" | tr -d './_' | while read -r name; do
			grep -q -x "Package: $name" debian/control || echo "apt-get: no package $name"
		done
		;;
	esac
}

# wrong DOCUMENT: what its commands, and names of tests in it, speak of and what is not there.
wrong()
{
	local line words name
	commands "$1" > "$work/commands"
	while read -r line; do
		# Quotes, redirections and dots at the end are the shell's and the reader's.
		line=${line%%[<>|]*}
		line=${line%...}
		read -r -a words <<< "${line//[\'\"]/}"
		of_line "${words[@]}" | sed "s,^,$1: ,"
	done < <(grep -v ── "$work/commands")
	grep -x -E '(host|kmod|dom0|mpi)-[a-z0-9-]+' "$work/commands" | sort -u | while read -r name; do
		[ -e "tests/host/${name#host-}.sh" ] || [ -e "tests/functional/${name%%-trixie*}.sh" ] ||
			echo "$1: no test $name"
	done
}

version=$(sed -n 's/^#define XSOCK_RELEASE.*"\(.*\)"/\1/p' kmod/uapi/xensocket.h)

# What each tool says of itself. Those for dom0 have it in their text.
tools="xsctl xscat xs-run xs-btlctl xs-events"
lab chroot make -s -C userlib OUT="/src/build/$SUITE/userlib" || fail "the tools do not compile"
for tool in $tools; do
	lab chroot "build/$SUITE/userlib/$tool" --help > "$work/help.$tool" || fail "$tool --help"
	check_equal "$tool --version" "$tool (libxensocket) $version" "$(lab chroot "build/$SUITE/userlib/$tool" --version)"
done
for tool in xs-hostid xs-migrate xs-save xs-restore; do
	cat "xen-scripts/$tool" xen-scripts/functions > "$work/help.$tool"
done
tests/lab/lab --help > "$work/help.lab"
tests/run --help > "$work/help.run"
for tool in mpi raw; do
	check "tests/bench/$tool --help" grep -q '^Usage: ' <<< "$("tests/bench/$tool" --help)"
done
check "btl_xs/component-path --help" grep -q '^Usage: ' <<< "$(btl_xs/component-path --help)"

for document in README.md Documentation/*.md; do
	check_equal "$document: its commands are there" "" "$(wrong "$document")"
done

# What takes seconds in the build root, as written. Of the hacking guide there is more in documents, and
# what takes longer host-btl does.
lab chroot make -s -C tests/xen OUT="/src/build/$SUITE/xen" || fail "the module's cases do not compile"
cat Documentation/hacking.md Documentation/kernel-module.md > "$work/both.md"
commands "$work/both.md" |
	grep -x -e 'tests/run --list' -e 'tests/lab/lab chroot' -e 'xsocktest differences' -e 'tests/lab/lab chroot make -C userlib .*' \
		-e 'tests/lab/lab chroot make -C tests/unit .*' \
		-e 'tests/lab/lab chroot build/.*/xsocktest list' > "$work/run"
check_equal "there are commands to run" 7 "$(sort -u "$work/run" | wc -l)"
while read -r line <&4; do
	line=${line/#xsocktest/tests/lab/lab chroot build/$SUITE/xen/xsocktest}
	check "hacking.md: $line" bash -c "$line" < /dev/null
done 4< "$work/run"

# Tests type what documents tell to type: word by word, or block by block, or above.
grep -h -o -E "\<(as_written|block) \"?([$]TOP/)?[A-Za-z/-]*\.md\"? '[^']*'" tests/*/*.sh | tr -d '"' |
	sed 's,[$]TOP/,,' | while read -r _ document line; do
	line=${line#\'}
	block "$document" "${line%\'}"
done > "$work/typed"
check "tests take blocks" grep -q -x 'tests/lab/lab ssh g1 ping -c 1 g2' "$work/typed"
cat "$work/run" >> "$work/typed"
cat tests/functional/*.sh tests/host/*.sh > "$work/tests"

# untyped DOCUMENT: what no test has.
untyped()
{
	local line
	commands "$1" | grep -v ── | grep -v -x -F -f "$work/typed" | sort -u |
		grep -E '^([A-Z_]+=("[^"]*"|[^ ]+) )*(\.ci/run|gdb|pgrep|(make|mpirun|ompi_info|x(s-|sc|l|enstore-)[a-z]*|(ins|rm)mod|modprobe|echo|ulimit|kill|apt-get|tests/(run|holdings|reports|bench/[a-z]*|lab/lab)) [^:])' |
		while read -r line; do
			grep -q -F -e "$line" "$work/tests" || echo "$1: $line"
		done
}

for document in README.md Documentation/*.md; do
	check_equal "$document: some test types what it has" "" "$(untyped "$document")"
done

# The checks themselves.
printf '`make che''ck-nothing`, `xsctl sta''te`, `make check`\n' > "$work/bad.md"
check_equal "what no test types is found" 2 "$(untyped "$work/bad.md" | wc -l)"
cat > "$work/bad.md" <<- 'END'
	```
	make nowhere                              no target
	make -C nowhere all
	make check TESTS=host-nowhere
	NOWHERE=1 make check
	tests/lab/lab up --nowhere 1 --guests 2
	tests/lab/lab chroot \
	    nowhere --nowhere
	LAB_REUSE=1 tests/run --nowhere
	mpirun --mca btl_xs_nowhere 1 PROGRAM
	apt-get install ./nowhere_*.deb
	```
	`xsctl nowhere`, `xscat -mx OFFER`, `xs-btlctl --nowhere hold`, `xs-hostid --nowhere`,
	`xs-run --nowhere PROGRAM --else`, `tests/lab/lab nowhere`, `host-nowhere`, `xs-btlctl --wait 60 hold`.
END
check_equal "what is not there is found" 16 "$(wrong "$work/bad.md" | tee /dev/stderr | grep -c -i -e nowhere -e 'xscat has no -x')"
check_equal "... and nothing else" 16 "$(wrong "$work/bad.md" | wc -l)"
