#!/bin/bash
# Proves: guests with several CPUs pass what those with one do.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 2400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

type=$(lab status | awk '$1 == "g1" { print $2 }')
check "a guest with two CPUs" lab create g3 --type "$type" --vcpus 2
check_equal "it has two" 2 "$(lab ssh g3 nproc)"
push_kmod g1 g2 g3
# Each end of it once.
for XSOCK_ENDS in "g3 g1" "g2 g3"; do
	check_xsocktest semantics unix threads
	check_xsocktest bulk
done
check_module_leaves g1 g2 g3
