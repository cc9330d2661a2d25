#!/bin/bash
# Proves: the module compiles without a warning of the compiler (W=1) or of sparse, for each suite's kernel.
# Lab: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

for SUITE in ${SUITES:-trixie bookworm}; do
	rm -rf "$TOP/build/$SUITE/kmod-check"
	out=$(lab chroot make -C kmod OUT="/src/build/$SUITE/kmod-check" W=1 C=2 KCFLAGS=-Werror 2>&1) ||
		fail "$SUITE: does not compile: $out"
	printf '%s\n' "$out"
	[ -s "$TOP/build/$SUITE/kmod-check/xensocket.ko" ] || fail "$SUITE: no module"
	warnings=$(grep -E '(warning|error):' <<< "$out")
	check_equal "$SUITE: no warning" "" "$warnings"
	check "$SUITE: sparse has looked" grep -q 'CHECK .*main\.c' <<< "$out"
done
