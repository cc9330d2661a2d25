#!/bin/bash
# Proves: limits of memory, grants and event channels are clean errors, and nothing stays behind.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
before=$("$TESTS_DIR/holdings" h1)
check_xsocktest memlock caps cgroup threads grants channels
[ -z "${FULL:-}" ] || check_xsocktest thousands
check_given_back "$before" g1 g2
check_module_leaves g1 g2
