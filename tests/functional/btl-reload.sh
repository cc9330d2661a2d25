#!/bin/bash
# Proves: the module can be quiesced, unloaded and loaded anew under a running job, which changes to TCP and back, also if the network is away for a while.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2
load_module g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/userlib/xsctl" "$guest:/root" || fail "cannot copy xsctl"
done

# silence GUEST SECONDS: what is sent to it, and what it sends, is lost for so long.
silence()
{
	lab ssh h1 "vif=vif\$(xl domid $1).0
		bridge link set dev \$vif state 0 && sleep $2 && bridge link set dev \$vif state 3"
}

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
for guest in g1 g2; do
	check "$guest is quiesced" xsctl "$guest" quiesce --wait 60
	eventually 30 "both directions are on TCP" on_path 2 tcp
	job_goes_on "the job goes on over TCP"
	check "nothing reaches $guest for ten seconds" silence "$guest" 10
	job_goes_on "the job goes on after that"
	check "then released" xsctl "$guest" release
	eventually 30 "both directions are back on rings" on_path 2 xs

	check "$guest is quiesced again" xsctl "$guest" quiesce --wait 60
	eventually 30 "both directions are on TCP" on_path 2 tcp
	# Who watches it may be looking just now.
	eventually 10 "nobody keeps the module" lab ssh "$guest" rmmod xensocket
	job_goes_on "the job goes on without it"
	load_module "$guest"
	eventually 30 "both directions are back on rings" on_path 2 xs
	job_goes_on "the job goes on over rings"
done
check_equal "four changes to TCP, each of both ways" 8 "$(turns | grep -c ' resync ')"
job_end g1
