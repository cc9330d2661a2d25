#!/bin/bash
# Proves: the README's targets that need no Xen do as it says: help, install and uninstall into other directories, clean, distclean.
# Lab: none
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

unset LAB_NAME LAB_REUSE KERNEL
export SUITE=trixie
cd "$TOP" || exit
mkdir -p build
work=$(mktemp -d -p build)
trap 'rm -rf "$TOP/$work"' EXIT

check_equal "make alone tells the targets" "$(make help)" "$(make)"
check "... the first of them first" grep -q '^make demo ' <<< "$(make | head -n 1)"
check "make deps" make deps

# files DIRECTORY: those below it, and links.
files()
{
	(cd "$1" && find . ! -type d | sort)
}

# has DIRECTORY FILE...
has()
{
	local file
	for file in "${@:2}"; do
		check "$1 has $file" [ -e "$1/$file" ]
	done
}

# Commands for dom0; the directory is named from where make is called.
check "make install-dom0 DESTDIR= PREFIX=" make -s install-dom0 "DESTDIR=$work/dom0" PREFIX=/opt
has "$work/dom0" opt/sbin/xs-migrate opt/sbin/xs-hostid opt/share/man/man8/xs-save.8 etc/xen/scripts/vif-xensocket
check "make uninstall-dom0 DESTDIR= PREFIX=" make -s uninstall-dom0 "DESTDIR=$work/dom0" PREFIX=/opt
check_equal "takes all of it away" "" "$(files "$work/dom0")"
check "make install-dom0 DESTDIR=" make -s install-dom0 "DESTDIR=$work/dom0"
has "$work/dom0" usr/sbin/xs-migrate usr/lib/xensocket/functions
touch "$work/dom0/usr/sbin/another"
check "make uninstall-dom0 DESTDIR=" make -s uninstall-dom0 "DESTDIR=$work/dom0"
check_equal "... and nothing else" ./usr/sbin/another "$(files "$work/dom0")"

# Library, tools, component: in the build root, from a copy, since what is installed is built by that, as
# on a user's machine.
mkdir "$work/copy"
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$work/copy"
# in_root COMMAND...: there.
in_root()
{
	lab chroot sh -c "cd '$work/copy' && \"\$@\"" sh "$@"
}
check "make install DESTDIR= PREFIX=" in_root make -s install DESTDIR=stage PREFIX=/opt
stage=$work/copy/stage
has "$stage" opt/bin/xscat opt/bin/xs-run opt/sbin/xsctl opt/include/xensocket.h opt/share/man/man7/xensocket.7
check_equal "the library" 1 "$(files "$stage" | grep -c '^\./opt/lib/.*libxensocket\.so\.[0-9]*$')"
check_equal "... and for pkg-config" 1 "$(files "$stage" | grep -c '^\./opt/.*/pkgconfig/libxensocket\.pc$')"
check_equal "the component, where this Open MPI looks" 1 \
	"$(files "$stage" | grep -c '^\./usr/lib/.*/openmpi/lib/openmpi[0-9]*/mca_btl_xs\.so$')"
check "make uninstall DESTDIR= PREFIX=" in_root make -s uninstall DESTDIR=stage PREFIX=/opt
check_equal "takes all of it away" "" "$(files "$stage")"
check "make uninstall, of nothing" in_root make -s uninstall DESTDIR=stage PREFIX=/opt

# Another cache and another lab's state than those of whoever runs this; the user's cache may be
# read-only, and of another owner below.
copy=$TOP/$work/copy
export LAB_CACHE=$copy/cache LAB_RUN=$copy/run LAB_LOGS=$copy/logs
mkdir -p "$LAB_CACHE/tree-trixie-0/etc" "$copy/build/deep"
touch "$copy/build/deep/file" "$LAB_CACHE/tree-trixie-0/etc/file"
check "there is something to remove" [ -e "$copy/build/deep/file" ]
check "make clean" make -C "$copy" clean
check "build has gone" [ ! -e "$copy/build" ]
check "the cache has not" [ -e "$LAB_CACHE/tree-trixie-0/etc/file" ]
mkdir -p "$copy/build/deep"
check "make distclean" make -C "$copy" distclean
check "build has gone" [ ! -e "$copy/build/deep" ]
check "the cache has gone" [ ! -e "$LAB_CACHE" ]
check "sources have not" [ -e "$copy/Makefile" ]
check "nor has another lab's state come" [ -z "$(ls "$LAB_RUN" 2> /dev/null)" ]
check "make distclean, of nothing" make -C "$copy" distclean
