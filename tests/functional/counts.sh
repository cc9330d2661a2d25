#!/bin/bash
# Proves: between guests that poll, a message costs no notification.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2
load_module g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/mpi/counts" "$guest:/usr/local/bin" || fail "cannot copy to $guest"
done

# counted NAME: what the module has counted during the ping-pong, in both guests.
counted()
{
	grep -a -o "^MODULE rank [01] count_pingpong.*" <<< "$out" | grep -o "\<$1=[0-9]*" |
		awk -F= '{ sum += $2 } END { if (NR != 2) print "unknown"; else print sum }'
}

for size in 8 4096; do
	job g1,g2 2 --mca mpi_yield_when_idle 0 counts --size $size --messages 2
	check_equal "ping-pong of $size bytes" 0 "$status"
	grep -a '^MODULE' <<< "$out"
	check_equal "notifications of 4000 messages of $size bytes" 0 "$(counted sent)"
	echo "questions whether the peer is there, which are by time: $(counted status)"
done

# With arrivals announced by the kernel they are not 0: so they are counted.
job g1,g2 2 --mca btl_xs_progress event counts --size 8 --messages 1
grep -a '^MODULE' <<< "$out"
check "with arrivals announced 2000 messages cost notifications: $(counted sent)" [ "$(counted sent)" -gt 0 ]
