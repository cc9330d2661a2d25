#!/bin/bash
# Proves: when a guest is destroyed, the other one's sockets say so and it is let go.
# Lab: hosts=1 guests=2 type=all suite=trixie
# Check: trixie-pvh
# Limit: 200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
busy_begin $EHOSTDOWN 0
check "xl destroy g2" lab ssh h1 xl destroy g2
busy_end A
sleep 2
check_equal "the dead domain is no zombie" "Domain-0 g1" \
	"$(lab ssh h1 "xl list | awk 'NR > 1 { print \$1 }'" | xargs)"
check_kernel_log g1
check "rmmod" lab ssh g1 "killall -q xsocktest; sleep 1; rmmod xensocket"
