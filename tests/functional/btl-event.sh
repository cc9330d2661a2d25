#!/bin/bash
# Proves: where the kernel tells of arrivals, a busy MPI job goes on when either guest leaves the other's host and returns, and when the second follows the first.
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
job_begin g1,g2 2 --mca btl_xs_progress event suite --size 65536 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
for guest in g1 g2; do
	eventually 30 "$guest tells of arrivals" notifies $guest
done
if [ -z "${FULL:-}" ]; then
	travel g2 xs_migrate xl_migrate
	meetings=2
else
	travels g2
	travels g1
	meetings=7
fi
apart xl_migrate g1 h1 h2
together xs_migrate g2 h1 h2
ended=$(stays)
job_end g1
check_stays "$ended" xs $((2 * meetings)) 10
check_stays "$ended" tcp $((2 * meetings)) 10
check_equal "a ring each way for each meeting" $((2 * (meetings + 1))) "$(total probes)"
