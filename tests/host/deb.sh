#!/bin/bash
# Proves: Debian packages of all parts are built for each suite, lintian finds nothing, and one version is in all of them.
# Lab: none
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"

cd "$TOP" || exit
version=$(sed -n 's/^#define XSOCK_RELEASE.*"\(.*\)"/\1/p' kmod/uapi/xensocket.h)
check "a version is stated" grep -qxE '[0-9]+(\.[0-9]+)+' <<< "$version"

# has PACKAGE PATTERN...: asserts that the package has files of these names.
has()
{
	local package=$1 files pattern
	shift
	files=$(dpkg-deb -c "$deb/$package"_*.deb) || fail "cannot read $package"
	for pattern in "$@"; do
		check "$SUITE: $package has $pattern" grep -q -E " \./$pattern( -> .*)?\$" <<< "$files"
	done
}

# field PACKAGE NAME
field()
{
	dpkg-deb -f "$deb/$1"_*.deb "$2"
}

# Debian 12 and 13 know of different standards: the older one serves both.
lint()
{
	lab chroot --tools env HOME=/tmp lintian --allow-root --tag-display-limit 0 --display-info \
		--suppress-tags out-of-date-standards-version --fail-on error,warning,info "$@" 2>&1
}

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	deb=build/$SUITE/deb
	# As documents have it.
	case $SUITE in
	trixie) command='make deb' ;;
	bookworm) command='SUITE=bookworm make deb' ;;
	esac
	check "documents have: $command" grep -q -x "$command" <<< "$(commands Documentation/packages.md)"
	check "$command" env -u SUITE bash -c "$command"
	check_equal "$SUITE: the packages" \
		"libxensocket-dev libxensocket1 openmpi-xs xensocket-dkms xensocket-dom0 xensocket-tools" \
		"$(for file in "$deb"/*.deb; do basename "$file" | sed 's/_.*//'; done | grep -v -e -dbgsym | xargs)"
	out=$(lint "$deb"/*.changes) || fail "$SUITE: lintian: $out"
	check_equal "$SUITE: lintian is content" "" "$out"

	has xensocket-dkms "usr/src/xensocket-$version/"{Kbuild,dkms.conf,main.c,uapi/xensocket.h} \
		usr/lib/modules-load.d/xensocket.conf '(usr/)?lib/udev/rules.d/60-xensocket.rules'
	has libxensocket1 "usr/lib/x86_64-linux-gnu/libxensocket.so.$version"
	has libxensocket-dev usr/include/xensocket.h 'usr/lib/.*/libxensocket.pc' \
		usr/share/man/man3/xsock_map.3.gz usr/share/man/man3/xsock_connect.3.gz
	has xensocket-tools usr/bin/xscat usr/bin/xs-run usr/lib/x86_64-linux-gnu/xensocket/xs-run.so usr/sbin/xsctl usr/share/man/man8/xsctl.8.gz \
		usr/share/man/man7/xensocket.7.gz
	has openmpi-xs 'usr/lib/.*/openmpi/lib/openmpi[0-9]+/mca_btl_xs.so' \
		usr/share/openmpi/help-mpi-btl-xs.txt
	has xensocket-dom0 etc/xen/scripts/vif-xensocket usr/sbin/xs-migrate \
		usr/lib/xensocket/functions usr/share/man/man8/xs-restore.8.gz

	for file in "$deb"/*.deb; do
		case $(dpkg-deb -f "$file" Version) in
		"$version~deb1"[0-9]u1) ;;
		*) fail "$SUITE: $file has another version" ;;
		esac
	done
	pass "$SUITE: all are of version $version"
	check_equal "$SUITE: the library says so" "$version" \
		"$(dpkg-deb --fsys-tarfile "$deb"/libxensocket-dev_*.deb |
			tar -x -O --wildcards '*/libxensocket.pc' | sed -n 's/^Version: //p')"
	check_equal "$SUITE: the module's source says so" "$version" \
		"$(dpkg-deb --fsys-tarfile "$deb"/xensocket-dkms_*.deb |
			tar -x -O --wildcards '*/dkms.conf' | sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p')"
	series=5.0
	[ "$SUITE" != bookworm ] || series=4.1
	check "$SUITE: the component is for Open MPI $series only" \
		grep -q -F "openmpi-bin (>= $series), openmpi-bin (<< ${series%.*}.$((${series#*.} + 1)))" \
		<<< "$(field openmpi-xs Depends)"
	# On Debian 13 PMIx's file of parameters is replaced, and only there.
	wanted=0
	[ "$SUITE" != trixie ] || wanted=1
	check_equal "$SUITE: a diversion, if needed" "$wanted" \
		"$(dpkg-deb --info "$deb"/openmpi-xs_*.deb preinst 2> /dev/null | grep -c 'dpkg-divert --package')"
done

# The checks themselves.
! out=$(lab chroot --tools make -f debian/rules override_dh_auto_configure DEB_VERSION=9.9 2>&1) ||
	fail "a changelog of another version was accepted"
check "a changelog of another version is refused" grep -q "debian/changelog is of 9.9" <<< "$out"
bad=build/deb-bad
rm -rf "$bad"
mkdir -p "$bad/DEBIAN" "$bad/usr/bin"
printf 'Package: bad\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: a\n' > "$bad/DEBIAN/control"
dpkg-deb -b "$bad" "$bad.deb" > /dev/null
! out=$(lint "$bad.deb") || fail "lintian accepts a bad package"
check "lintian objects to a bad package" grep -q '^E: bad: no-copyright-file' <<< "$out"
rm -rf "$bad" "$bad.deb"

if git rev-parse --git-dir > /dev/null 2>&1; then
	check "make dist" make dist
	check_equal "the tarball has what the commit has" \
		"$(git ls-tree -r --name-only HEAD | sort)" \
		"$(tar -t -f "build/xensocket-$version.tar.gz" | grep -v '/$' | sed "s,^xensocket-$version/,," | sort)"
fi
