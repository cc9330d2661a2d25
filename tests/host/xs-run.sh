#!/bin/bash
# Proves: programs under xs-run have their connections moved, or left alone, without a byte more or less, on one machine.
# Lab: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	lab chroot make -s -C tests/xsrun "OUT=/src/build/$SUITE/xsrun" || fail "$SUITE: does not compile"
	out=$(lab chroot tests/xsrun/cases "/src/build/$SUITE/xsrun" 2>&1)
	echo "$out"
	check_equal "$SUITE: no case failed" "" "$(grep '^not ok' <<< "$out")"
	check_equal "$SUITE: as many cases as there are" "$(grep -c "^case_is '" "$TESTS_DIR/xsrun/cases")" \
		"$(grep -c '^ok' <<< "$out")"
done
