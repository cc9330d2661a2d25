#!/bin/bash
# Proves: busy sockets of a guest that is saved and restored are revoked on both sides, and fresh ones work.
# Lab: hosts=1 guests=2 type=all suite=trixie
# Check: none
# Limit: 500
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
for guest in g1 g2; do
	busy_begin $ENETRESET $ENETRESET
	check "xl save of $guest" lab save "$guest"
	check "xl restore of $guest" lab restore "$guest"
	lab ssh h1 "rm -f /var/lib/xen/$guest.save"
	busy_end A B
	check "fresh sockets work" xsocktest_run stream
done
check_module_leaves g1 g2
