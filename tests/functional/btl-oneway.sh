#!/bin/bash
# Proves: a stream one way goes on when the guest that maps its ring leaves and comes back, and when the guest that owns it does, whether the kernel tells of arrivals or the receiver looks.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: none
# Limit: 3600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
push_btl g1 g2
load_module g1 g2

# stream PROGRESS TRAVEL...: a job during which g2 and then g1 travels so.
stream()
{
	local progress=$1 guest ended meetings probes
	shift
	job_begin g1,g2 2 --mca btl_xs_progress "$progress" suite flood
	eventually 30 "both directions use rings" on_path 2 xs
	for guest in g2 g1; do
		"$1" $guest "${@:2}"
	done
	ended=$(stays)
	job_end g1
	meetings=$(($(grep -c ' tcp ' <<< "$ended") / 2))
	check "they have met" [ $meetings -ge 2 ]
	# The way back has a few fragments after each 4000, so only the number of its stays counts.
	check_stays "$ended" xs $((2 * meetings)) 1
	check_stays "$ended" tcp $((2 * meetings)) 1
	check_equal "each stay of the stream carried a part of it" "" "$(awk '/^g1:/ && $4 < 1000' <<< "$ended")"
	# Nobody has told them their hosts: they try, each way once at the start and after each move.
	probes=$(total probes)
	[ "$probes" -le $((2 * (2 * meetings + 1))) ] || fail "$probes rings were offered"
	pass "$probes rings were offered"
}

if [ -z "${FULL:-}" ]; then
	stream event travel xl_migrate xl_migrate
	exit
fi
stream event travels
stream poll travels
