#!/bin/bash
# Proves: the module compiles without a warning for the kernels of Debian's releases to come, with their own compiler; nothing runs on them.
# Lab: none
# Check: none
# Limit: 1200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

cd "$TOP" || exit

# compile RELEASE SOURCES: what the compiler says of it; the module lies in OUT.
compile()
{
	rm -rf "$OUT"
	lab chroot --newer "$1" make -C "$2" OUT="/src/$OUT" W=1 KCFLAGS=-Werror 2>&1
}

for release in forky sid; do
	out=$(lab chroot --newer "$release" true 2>&1) || {
		! grep -q "Failed to fetch" <<< "$out" || skip "Debian $release cannot be had"
		fail "$release: $out"
	}
	# shellcheck disable=SC2016 # expanded in the root
	linux=$(lab chroot --newer "$release" sh -c 'echo /usr/lib/modules/*')
	linux=${linux##*/}
	check "Debian $release has a newer kernel than the suites: $linux" \
		[ "$(printf '%s\n' "$linux" 6.13 | sort -V | head -n 1)" = 6.13 ]
	OUT=build/newer/$release
	out=$(compile "$release" kmod) || fail "$release: does not compile: $out"
	printf '%s\n' "$out"
	check_equal "Debian $release, Linux $linux: no warning" "" "$(grep -E '(warning|error):' <<< "$out")"
	check "... and a module for it" grep -q -a -F "vermagic=$linux " "$OUT/xensocket.ko"

	# The check itself: a kernel before 6.19 has another type there.
	work=build/newer/bad
	rm -rf "$work"
	mkdir -p "$work"
	cp -r kmod "$work"
	sed -i 's/sockaddr_unsized/sockaddr/' "$work/kmod/compat.h"
	OUT=build/newer/bad/out
	! out=$(compile "$release" "$work/kmod") || fail "$release: a wrong type is not found"
	check "a type that this kernel has not is found" grep -q 'error: initialization of .* from incompatible pointer type' <<< "$out"
done
