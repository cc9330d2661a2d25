#!/bin/bash
# Proves: xl save -c of either guest revokes its busy sockets on both sides and harms nothing, nor does anybody who waits keep it from being saved.
# Lab: hosts=1 guests=2 type=all suite=trixie
# Check: none
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
for guest in g1 g2; do
	busy_begin $ENETRESET $ENETRESET
	check "xl save -c $guest" lab ssh h1 "xl save -c $guest /dev/null"
	busy_end A B
	check "fresh sockets work" xsocktest_run stream
done
check_module_leaves g1 g2
