#!/bin/bash
# Proves: when a guest's kernel crashes, the other one's sockets say so.
# Lab: hosts=1 guests=2 type=all suite=trixie
# Check: none
# Limit: 200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

faulty=build/$SUITE/faulty${KERNEL:+-$KERNEL}
push_kmod g1 g2
lab chroot make -s -C tests/xen/faulty OUT="/src/$faulty" || fail "it does not compile"
lab push "$TOP/$faulty/faulty.ko" g2:/root || fail "cannot copy to g2"
busy_begin $EHOSTDOWN 0
# Its connection does not come back.
timeout 20 "$TESTS_DIR/lab/lab" ssh g2 "insmod /root/faulty.ko kind=panic" > /dev/null 2>&1 < /dev/null &
busy_end A
# shellcheck disable=SC2016 # expanded in dom0
eventually 30 "the crashed domain is no zombie" \
	lab ssh h1 '[ "$(xl list | awk "NR > 1 { print \$1 }" | xargs)" = "Domain-0 g1" ]'
check_kernel_log g1
check "rmmod" lab ssh g1 "killall -q xsocktest; sleep 1; rmmod xensocket"
