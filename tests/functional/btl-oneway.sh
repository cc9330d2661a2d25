#!/bin/bash
# Proves: a stream one way, whose arrivals the kernel tells, goes on when the guest that maps its ring leaves and comes back, and when the guest that owns it does.
# Lab: hosts=2 guests=2 type=pvh suite=trixie
# Check: none
# Limit: 2700
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2
load_module g1 g2
job_begin g1,g2 2 --mca btl_xs_progress event suite flood
eventually 30 "both directions use rings" on_path 2 xs
apart lab migrate g2 h2
together lab migrate g2 h1
apart lab migrate g1 h2
together lab migrate g1 h1
ended=$(stays)
job_end g1
# The way back has a few fragments after each 4000, so only the number of its stays counts.
check_stays "$ended" 2 1
check_equal "each stay of the stream carried a part of it" "" "$(awk '/^g1:/ && $4 < 1000' <<< "$ended")"
# Nobody has told them their hosts: they try, each way once at the start and after each move.
probes=$(total probes)
[ "$probes" -le 10 ] || fail "$probes rings were offered"
pass "$probes rings were offered"
