#!/bin/bash
# Proves: random system calls of many threads in both guests at once break nothing and leave nothing.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
before=$("$TESTS_DIR/holdings" h1)
# Another seed is another beginning of all choices; the one in use is in the output.
export XSOCK_SEED=${XSOCK_SEED:-1}
# shellcheck disable=SC2034 # for xsocktest_run
[ -z "${FULL:-}" ] || XSOCK_CALLS=10000 XSOCK_LIMIT=700
check_xsocktest +callfuzz
check "a fresh pair of sockets works" xsocktest_run stream
check_given_back "$before" g1 g2
check_module_leaves g1 g2
