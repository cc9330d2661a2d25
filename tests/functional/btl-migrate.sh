#!/bin/bash
# Proves: a busy MPI job goes on over TCP when a guest leaves its peer's host, and back on rings when they meet again, by xl migrate and by xs-migrate; no ring is offered in vain.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: trixie-pvh
# Limit: 3600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
publish_dom0 h1 h2
push_btl g1 g2
load_module g1 g2

# begin ARGUMENT...: the job, with arguments for mpirun.
begin()
{
	job_begin g1,g2 2 "$*" suite --size 262144 random collectives flood sizes
	eventually 30 "both directions use rings" on_path 2 xs
}

# end MEETINGS: the job, which has met so many times after it had begun.
end()
{
	local ended
	ended=$(stays)
	job_end g1
	check_stays "$ended" xs $((2 * $1)) 10
	check_stays "$ended" tcp $((2 * $1)) 10
	# They know their hosts: nobody tries to reach one who is elsewhere, not even once.
	check_equal "a ring each way for each meeting" $((2 * ($1 + 1))) "$(total probes)"
	check_equal "none was refused" 0 "$(total refusals)"
}

begin
if [ -z "${FULL:-}" ]; then
	travel g2 xl_migrate xs_migrate
	end 1
	exit
fi
travels g2
travels g1
end 6

begin --mca btl_xs_progress event
travels g2
travels g1
# Both move, one after the other.
apart xl_migrate g1 h1 h2
together xs_migrate g2 h1 h2
end 7
