#!/bin/bash
# Proves: the library, xscat and xsctl do between two guests what their manuals say.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

build
status=0
out=$(MODULE=$MODULE "$TESTS_DIR/xen/userlib" 2>&1) || status=$?
echo "$out"
check_equal "the script succeeds" 0 "$status"
check_equal "nothing failed" "" "$(grep '^not ok' <<< "$out")"
check_equal "as much was tried as planned" "$(sed -n 's/^1\.\.//p' <<< "$out")" "$(grep -c '^ok' <<< "$out")"
