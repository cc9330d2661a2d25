#!/bin/bash
# Proves: every byte arrives once and in its place: a GiB with FULL=1, some MiB otherwise.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh
# Limit: 7200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
XSOCK_MIB=2 check_xsocktest bulk
if [ -n "${FULL:-}" ]; then
	# Both ways of one way, then 512 MiB each way.
	XSOCK_MIB=1024 XSOCK_LIMIT=5000 check_xsocktest calls maps
	XSOCK_MIB=512 XSOCK_LIMIT=5000 check_xsocktest duplex duplex-maps
	XSOCK_MIB=256 XSOCK_LIMIT=5000 check_xsocktest sixty-four
fi
check_module_leaves g1 g2
