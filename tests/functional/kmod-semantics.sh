#!/bin/bash
# Proves: sockets between two guests do what a Linux user expects, and give everything back.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh bookworm-pv
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
before=$("$TESTS_DIR/holdings" h1)
echo "$before"

check_xsocktest semantics unix

check_kernel_log g1 g2
check_given_back "$before" g1 g2
check "rmmod" lab ssh g1 rmmod xensocket
