#!/bin/bash
# Proves: libevent, libuv, io_uring and socat drive the sockets as they drive any others.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
check_xsocktest clients
check_module_leaves g1 g2
