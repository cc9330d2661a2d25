#!/bin/bash
# Proves: a peer that cannot let go of its mappings holds up no save, and costs nothing afterwards.
# Lab: hosts=1 guests=2 type=all suite=trixie
# Check: none
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
for pair in "g1 g2" "g2 g1"; do
	read -r saved paused <<< "$pair"
	busy_begin $ENETRESET $ENETRESET
	check "xl pause $paused" lab ssh h1 xl pause "$paused"
	check "xl save -c $saved while $paused stands still" lab ssh h1 "xl save -c $saved /dev/null"
	check "xl unpause $paused" lab ssh h1 xl unpause "$paused"
	busy_end A B
	check "fresh sockets work" xsocktest_run stream
done
check_module_leaves g1 g2
