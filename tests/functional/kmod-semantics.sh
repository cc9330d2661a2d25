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

# Each change of state is a line for those who trace.
traced=$(lab ssh g1 'cd /sys/kernel/tracing && echo > trace && echo 1 > events/xensocket/enable')
check "tracing is switched on" [ -z "$traced" ]
check "a stream, traced" xsocktest_run stream
traced=$(lab ssh g1 'cd /sys/kernel/tracing && echo 0 > events/xensocket/enable &&
	sed -n "s/.*xsock_state: \(tx\) peer [1-9][0-9]* port [0-9]*: \(.*\) cons [0-9]*$/\1 \2/p" trace')
check_equal "the trace of its life" "tx offered, reason 0, prod 0
tx open, reason 0, prod 0
tx detached, reason 0, prod 8388608" "$traced"

check_kernel_log g1 g2
check_given_back "$before" g1 g2
check "rmmod" lab ssh g1 rmmod xensocket
