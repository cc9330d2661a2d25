#!/bin/bash
# Proves: a receiver's kernel that maps what it should copy keeps it, and its owner is told so; the kernel does not complain of that again and again.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: trixie-pvh
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
grant_devices g1 g2
before=$("$TESTS_DIR/holdings" h1)
check_xsocktest +rx_maps
lines=$(lab ssh g1 dmesg | grep -c 'still in use')
check "the kernel complains: $lines times" [ "$lines" -gt 0 ]
check "... but not at each of a thousand tries" [ "$lines" -lt 20 ]
check_given_back "$before" g1 g2
check_kernel_log g2
check "rmmod in g1" lab ssh g1 rmmod xensocket
check_module_leaves g2
# Its log is not to be taken for the next test's.
lab destroy g1
