#!/bin/bash
# Proves: sockets between two guests do what a Linux user expects, and give everything back.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh bookworm-pv
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
before=$("$TESTS_DIR/holdings" h1)
echo "$before"

# shellcheck disable=SC2119 # all cases, not the script's arguments
out=$(xsocktest_run)
status=$?
echo "$out"
check_equal "xsocktest succeeds" 0 "$status"
check_equal "no case failed" "" "$(grep '^not ok' <<< "$out")"
check_equal "as many cases as planned" "$(sed -n 's/^1\.\.//p' <<< "$out")" "$(grep -c '^ok' <<< "$out")"

check_kernel_log g1 g2
check_equal "all is given back while the module is loaded" "$before" "$("$TESTS_DIR/holdings" h1)"
check "rmmod" lab ssh g1 rmmod xensocket
