#!/bin/bash
# Proves: large messages between guests are got with one copy, and a quiesce and release in the middle of gets, in either guest, costs no byte.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 1200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

get=(--mca btl_xs_get_size 20000)
push_btl g1 g2
load_module g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/userlib/xsctl" "$guest:/root" || fail "cannot copy xsctl"
done

job g1,g2 2 "${get[@]}" suite --size 3000000 sizes random datatypes
check_equal "all cases pass" 0 "$status"
check "they were run" grep -a -q '^SUITE done 3' <<< "$out"
positive gets get_bytes
check_equal "none has failed" 0 "$(total gets_failed)"

job g1,g2 2 suite --size 3000000 random
check_equal "by default it passes, too" 0 "$status"
check_equal "by default nothing is got" 0 "$(total gets)"

job_begin g1,g2 2 "${get[@]}" suite --size 3000000 random sizes
eventually 30 "both directions use rings" on_path 2 xs
for guest in g1 g2; do
	for round in 1 2 3; do
		check "$guest is quiesced, round $round" xsctl "$guest" quiesce --wait 60
		eventually 30 "both directions are on TCP" on_path 2 tcp
		check "then released" xsctl "$guest" release
		eventually 30 "both directions are back on rings" on_path 2 xs
		job_goes_on "the job goes on over rings"
	done
done
job_end g1
positive gets fallbacks
for guest in g1 g2; do
	check_equal "$guest has no socket any more" 0 "$(lab ssh "$guest" 'tail -n +2 /proc/net/xensocket | wc -l')"
	check "rmmod in $guest" lab ssh "$guest" rmmod xensocket
done
