#!/bin/bash
# Proves: a busy MPI job goes on over TCP when a guest leaves its peer's host, and back on rings when they meet again, by xl migrate and by xs-migrate; no ring is offered in vain.
# Lab: hosts=2 guests=2 type=pvh suite=trixie
# Check: trixie-pvh
# Limit: 2700
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
publish_dom0 h1 h2
push_btl g1 g2
load_module g1 g2

# xs_migrate GUEST FROM TO
xs_migrate()
{
	lab ssh "$2" xs-migrate --require -s /usr/lib/lab/migrate-send "$1" "$3"
}

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
apart lab migrate g2 h2
together xs_migrate g2 h2 h1
meetings=1
if [ -n "${FULL:-}" ]; then
	apart xs_migrate g2 h1 h2
	together lab migrate g2 h1
	# The other way round, and both have moved.
	apart lab migrate g1 h2
	together xs_migrate g2 h1 h2
	meetings=3
fi
ended=$(stays)
job_end g1
check_stays "$ended" $meetings 10
# They know their hosts: nobody tries to reach one who is elsewhere, not even once.
check_equal "a ring each way for each meeting" $((2 * (meetings + 1))) "$(total probes)"
check_equal "none was refused" 0 "$(total refusals)"
