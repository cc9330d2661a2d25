#!/bin/bash
# Proves: an MPI job over xs finds that its guests share a host, moves to xensockets and delivers everything.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: bookworm-pv
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2

# Without the message about that: Open MPI 4.1's mpirun may die of any (user guide).
job g1,g2 2 --mca btl_xs_warn 0 ring --rounds 50
check_equal "without the module: over TCP" "RING OK rounds=50 messages=100" \
	"$(sed -n 's/\(RING OK .*\) bytes=.*/\1/p' <<< "$out")"
check_equal "no ring was offered" 0 "$(total probes)"

load_module g1 g2
job g1,g2 2 suite --size 262144
check_equal "all cases pass over rings" 0 "$status"
check "they were run" grep -a -q '^SUITE done [1-9]' <<< "$out"
check_equal "one ring each way" 2 "$(total probes)"
[ "$(total xs_frags)" -gt "$(total tcp_frags)" ] || fail "most of it went over TCP"
pass "$(total xs_frags) fragments over rings, $(total tcp_frags) over TCP"

job g1,g2 2 --mca btl_xs_debug_flip 7 suite --size 65536 random wildcard
check_equal "the wire is chosen anew for each 7 fragments" 0 "$status"
for counter in tcp_frags xs_frags; do
	check "... $counter: $(total $counter)" [ "$(total $counter)" -gt 500 ]
done
job g1,g2 2 --mca btl_xs_debug_revoke 50 suite --size 65536 random
check_equal "each 50th fragment is the last of its ring" 0 "$status"
[ "$(total fallbacks)" -gt 1 ] || fail "no ring was given up"

job g1,g2 2 --mca btl_xs_progress event suite --size 65536 random wildcard collectives
check_equal "the kernel tells of arrivals" 0 "$status"
[ "$(total xs_frags)" -gt "$(total tcp_frags)" ] || fail "most of it went over TCP"
pass "$(total xs_frags) fragments over rings, $(total tcp_frags) over TCP"
