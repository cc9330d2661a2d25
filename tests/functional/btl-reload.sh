#!/bin/bash
# Proves: the module can be quiesced, unloaded and loaded anew under a running job, which changes to TCP and back.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 500
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2
load_module g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/userlib/xsctl" "$guest:/root" || fail "cannot copy xsctl"
done

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
for guest in g1 g2; do
	check "$guest is quiesced" xsctl "$guest" quiesce --wait 20
	eventually 30 "both directions are on TCP" on_path 2 tcp
	job_goes_on "the job goes on over TCP"
	check "then released" xsctl "$guest" release
	eventually 30 "both directions are back on rings" on_path 2 xs

	check "$guest is quiesced again" xsctl "$guest" quiesce --wait 20
	eventually 30 "both directions are on TCP" on_path 2 tcp
	check "nobody keeps the module" lab ssh "$guest" rmmod xensocket
	job_goes_on "the job goes on without it"
	load_module "$guest"
	eventually 30 "both directions are back on rings" on_path 2 xs
	job_goes_on "the job goes on over rings"
done
check_equal "four changes to TCP, each of both ways" 8 "$(turns | grep -c ' resync ')"
job_end g1
