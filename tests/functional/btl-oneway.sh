#!/bin/bash
# Proves: a stream one way goes on when the guest that maps its ring leaves and comes back, and when the guest that owns it does, whether the kernel tells of arrivals or the receiver looks.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: none
# Limit: 5400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
push_btl g1 g2
load_module g1 g2

# stream PROGRESS WAY BACK WAY BACK: a job during which first g2, then g1 goes so and returns.
stream()
{
	local ended meetings=2 probes
	job_begin g1,g2 2 --mca btl_xs_progress "$1" suite flood
	eventually 30 "both directions use rings" on_path 2 xs
	[ "$1" = poll ] || eventually 30 "arrivals are told" notifies g1
	job_goes_on "the job goes on over rings"
	if [ -z "${FULL:-}" ]; then
		travel g2 "$2" "$3"
		travel g1 "$4" "$5"
	else
		travels g2
		travels g1
		meetings=6
	fi
	ended=$(stays)
	job_end g1
	# The way back has a few fragments after each 4000, so only the number of its stays counts.
	check_stays "$ended" xs $((2 * meetings))
	check_stays "$ended" tcp $((2 * meetings))
	check_equal "each stay of the stream carried a part of it" "" "$(awk '/^g1:/ && $4 < 1000' <<< "$ended")"
	# Nobody has told them their hosts: they try, each way once at the start and after each move.
	probes=$(total probes)
	[ "$probes" -le $((2 * (2 * meetings + 1))) ] || fail "$probes rings were offered"
	pass "$probes rings were offered"
}

stream event xl_migrate xl_migrate xs_migrate xl_migrate
stream poll xs_migrate xs_migrate xl_migrate xs_migrate
