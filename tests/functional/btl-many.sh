#!/bin/bash
# Proves: four and eight ranks in two and three guests have rings between guests and shared memory inside; where the module is missing, comes later or refuses, TCP does.
# Lab: hosts=1 guests=3 type=all suite=all
# Check: none
# Limit: 1500
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

memory=sm
[ "$SUITE" != bookworm ] || memory=vader
JOB_BTL=xs,$memory,self

# paths: each rank's to the others, in the order of ranks, of the last job.
paths()
{
	grep -a '^COUNTERS' <<< "$out" | sort | sed 's/.* paths=//' | paste -s -d ' '
}

push_btl g1 g2 g3

load_module g1
job g1,g2 4 suite --size 65536 random collectives
check_equal "the module in one guest only" 0 "$status"
check_equal "no fragment went over a ring" 0 "$(total xs_frags)"

job_begin g1,g2 4 suite --size 65536 random collectives flood
check "it is on TCP" on_path 0 xs
load_module g2
eventually 60 "the module comes later: all eight directions are on rings" on_path 8 xs
job_goes_on "the job goes on over rings"
job_end g1
check_equal "four ranks: shared memory inside, rings between" \
	"none,xs,none,xs xs,none,xs,none none,xs,none,xs xs,none,xs,none" "$(paths)"

load_module g3
job g1,g2,g3 8 suite --size 65536 sizes random collectives flood
check_equal "eight ranks in three guests" 0 "$status"
check_equal "shared memory inside, rings between" "$(for rank in 0 1 2 3 4 5 6 7; do
	for peer in 0 1 2 3 4 5 6 7; do
		[ $((rank % 3)) = $((peer % 3)) ] && echo none || echo xs
	done | paste -s -d ,
done | paste -s -d ' ')" "$(paths)"

# No page for any ring.
for guest in g1 g2 g3; do
	check "$guest's module refuses" lab ssh "$guest" \
		"echo 0 > /sys/module/xensocket/parameters/max_pages"
done
job g1,g2,g3 3 suite --size 65536 random collectives
check_equal "a job without rings" 0 "$status"
check_equal "all of it went over TCP" 0 "$(total xs_frags)"
check "it is told why" grep -a -q 'for lack of resources' <<< "$out"
