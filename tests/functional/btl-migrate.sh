#!/bin/bash
# Proves: a busy MPI job goes on over TCP when a guest leaves its peer's host, and back on rings when they meet again, by xl migrate and by xs-migrate; no ring is offered in vain.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: none
# Limit: 5400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
publish_dom0 h1 h2
push_btl g1 g2
load_module g1 g2

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
meetings=1
if [ -z "${FULL:-}" ]; then
	travel g2 xl_migrate xs_migrate
else
	travels g2
	travels g1
	meetings=6
fi
ended=$(stays)
job_end g1
check_stays "$ended" xs $((2 * meetings)) 10
check_stays "$ended" tcp $((2 * meetings)) 10
# They know their hosts: nobody tries to reach one who is elsewhere, not even once.
check_equal "a ring each way for each meeting" $((2 * (meetings + 1))) "$(total probes)"
check_equal "none was refused" 0 "$(total refusals)"
