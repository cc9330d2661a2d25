#!/bin/bash
# Proves: xl migrate of either guest revokes its busy sockets on both sides; back together, fresh ones work.
# Lab: hosts=2 guests=2 type=pvh suite=trixie
# Check: none
# Limit: 700
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
busy_begin $ENETRESET $ENETRESET
check "xl migrate of g1 to h2" lab migrate g1 h2
busy_end A B
check "on two hosts both ends find that out" libtest_apart
check "g2 follows" lab migrate g2 h2
check "fresh sockets work on the other host" xsocktest_run stream
busy_begin $ENETRESET $ENETRESET
check "xl migrate of g2 back to h1" lab migrate g2 h1
busy_end A B
check_module_leaves g1 g2
