#!/bin/bash
# Proves: the module can be quiesced, unloaded and another release of it loaded under a running job, which changes to TCP and back, also if the network is bad or away for a while.
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

# bad GUEST SECONDS: every second a fifth of one is lost.
bad()
{
	lab ssh h1 "vif=vif\$(xl domid $1).0; n=0
		while [ \$n -lt $2 ]; do
			bridge link set dev \$vif state 0 && sleep 0.2 &&
				bridge link set dev \$vif state 3 && sleep 0.8 || exit
			n=\$((n + 1))
		done"
}

# other_release: compiles the same module as one of another release; its file is then $OTHER.
other_release()
{
	local dir=build/$SUITE/kmod-other
	rm -rf "${TOP:?}/$dir" && cp -r "$TOP/kmod" "$TOP/$dir" &&
		sed -i 's/^\(#define XSOCK_RELEASE.*\)"\(.*\)"/\1"\2.1"/' "$TOP/$dir/uapi/xensocket.h" &&
		lab chroot make -s -C "$dir" OUT="/src/$dir/out" && OTHER=$TOP/$dir/out/xensocket.ko
}

# release GUEST: of the module that is loaded there.
release()
{
	lab ssh "$1" cat /sys/module/xensocket/version
}

check "another release compiles" other_release
first=$(release g1)
for guest in g1 g2; do
	lab push "$OTHER" "$guest:/tmp" || fail "cannot copy it to $guest"
done
job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
for guest in g1 g2; do
	check "$guest is quiesced" xsctl "$guest" quiesce --wait 60
	eventually 30 "both directions are on TCP" on_path 2 tcp
	job_goes_on "the job goes on over TCP"
	check "nothing reaches $guest for ten seconds" silence "$guest" 10
	job_goes_on "the job goes on after that"
	check "a fifth of ten seconds does not" bad "$guest" 10
	job_goes_on "the job goes on after that, too"
	check "then released" xsctl "$guest" release
	eventually 30 "both directions are back on rings" on_path 2 xs

	check "$guest is quiesced again" xsctl "$guest" quiesce --wait 60
	eventually 30 "both directions are on TCP" on_path 2 tcp
	# Who watches it may be looking just now.
	eventually 10 "nobody keeps the module" lab ssh "$guest" rmmod xensocket
	job_goes_on "the job goes on without it"
	check "insmod of the other release" lab ssh "$guest" insmod /tmp/xensocket.ko
	check_equal "it is another" "$first.1" "$(release "$guest")"
	eventually 30 "both directions are back on rings" on_path 2 xs
	job_goes_on "the job goes on over rings"
done
check_equal "four changes to TCP, each of both ways" 8 "$(turns | grep -c ' resync ')"
job_end g1
