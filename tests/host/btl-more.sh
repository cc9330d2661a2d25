#!/bin/bash
# Proves: the Open MPI component, on one machine: parameters, failures, threads, one-sided communication, other ways.
# Lab: none
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare

	info=$(lab chroot tests/btl/installed btl_xs "/src/build/$SUITE/btl" ompi_info --param btl xs --level 9) ||
		fail "$SUITE: ompi_info ends with status $?"
	check "$SUITE: ompi_info comes to the end of its list" grep -q 'performance "btl_xs_rings"' <<< "$info"
	check "$SUITE: ompi_info shows the component" grep -q 'parameter "btl_xs_ring_size"' <<< "$info"

	suite "known traffic is counted" btl 2 "$programs/suite" counters
	job btl 3 "$programs/early"
	check_equal "$SUITE: who asked before MPI_Init is told how many values there are" \
		"3 EARLY values=3 written=3" "$(grep -a '^EARLY' <<< "$out" | uniq -c | sed 's/^ *//')"
	suite "one-sided communication over TCP" btl 3 "${onesided[@]}" "$programs/suite" onesided

	suite "rings" btl-fake 3 "$programs/suite"
	positive xs_frags switches
	suite "the wire is chosen anew for each three fragments" btl-fake 4 --mca btl_xs_debug_flip 3 "$programs/suite"
	positive xs_frags tcp_frags
	suite "each 20th fragment is the last of its ring" btl-fake 2 --mca btl_xs_debug_revoke 20 \
		"$programs/suite" random flood
	positive fallbacks resent

	export FAKEXEN_EPOCH_MS=15
	suite "domains migrate at random" btl-fake 3 "$programs/suite" --seconds 3
	suite "... under threads" btl-fake 2 "$programs/suite" threads
	suite "... under one-sided communication" btl-fake 3 "${onesided[@]}" \
		--mca btl_xs_debug_flip 3 "$programs/suite" onesided
	FAKEXEN_REFUSE=30 FAKEXEN_NOBUFS=30 suite "... with refusals and the smallest ring" btl-fake 3 \
		--mca btl_xs_ring_size 4096 --mca btl_xs_window 20000 "$programs/suite" random flood
	FAKEXEN_PV=1 suite "... where receivers cannot map" btl-fake 2 \
		--mca btl_xs_debug_flip 4 "$programs/suite" --seconds 3
	unset FAKEXEN_EPOCH_MS

	FAKEXEN_EVENTS=1 suite "the kernel tells of arrivals" btl-fake 3 --mca btl_xs_progress event \
		"$programs/suite"
	positive xs_frags
	FAKEXEN_EVENTS=1 FAKEXEN_EPOCH_MS=15 suite "... while domains migrate" btl-fake 3 \
		--mca btl_xs_progress event --mca btl_xs_debug_flip 5 "$programs/suite"
	FAKEXEN_EVENTS=1 FAKEXEN_EPOCH_MS=15 suite "... under threads" btl-fake 2 \
		--mca btl_xs_progress event "$programs/suite" threads
	FAKEXEN_PV=1 suite "who cannot map is told, too" btl-fake 2 "$programs/suite" sizes modes
	vain=$(grep -a -o 'FAKEXEN vain=[0-9]*' <<< "$out" | awk -F= '{ sum += $2 } END { print sum + 0 }')
	[ "$vain" -lt "$(total xs_frags)" ] ||
		fail "$SUITE: $(total xs_frags) fragments, but asked $vain times in vain"
	pass "$SUITE: asked $vain times in vain, for $(total xs_frags) fragments"
	FAKEXEN_PV=1 suite "... and comes back for what it has read" btl-fake 2 "$programs/suite" \
		--path xs burst

	FAKEXEN_LATE_MS=500 suite "the module is loaded when the job runs" btl-fake 2 "$programs/suite" \
		--seconds 3 random
	positive switches tcp_frags

	FAKEXEN_APART=1 FAKEXEN_EPOCH_MS=15 suite "dom0 says that they are on different hosts" btl-fake 2 \
		"$programs/suite" random
	check_equal "$SUITE: no ring was offered" 0 "$(total probes)"

	FAKEXEN_REVOKE_MS=20 job btl-fake 3 "$programs/ring" --rounds 500 --max 262144
	check_equal "$SUITE: rings end one by one" "RING OK rounds=500 messages=1500" \
		"$(sed -n 's/\(RING OK .*\) bytes=.*/\1/p' <<< "$out")"

	# What a user can get wrong is said, in one place.
	said "a bad parameter" btl 'Parameter:  btl_xs_ring_size' 0 --mca btl_xs_ring_size 5
	said "no interface" btl 'found no network interface' 1 --mca btl_tcp_if_include nonet0
	FAKEXEN_ABSENT=100 said "no module" btl-fake 'is not loaded' 0
	FAKEXEN_DENIED=1 said "no permission" btl-fake 'must be readable' 0
	FAKEXEN_VERSION=9 said "another module" btl-fake 'have different versions' 0
	FAKEXEN_NOBUFS=100 said "a limit" btl-fake 'for lack of resources' 0
	SAID="suite --seconds 20 flood" FAKEXEN_EPOCH_MS=15 said "no memory" btl-fake 'has no memory for a fragment' 1 \
		--mca btl_xs_free_list_num 1 --mca btl_xs_free_list_inc 1 --mca btl_xs_free_list_max 16
	FAKEXEN_NOBUFS=100 job btl-fake 2 --mca btl_xs_warn 0 "$programs/ring" --rounds 3
	! grep -a 'lack of resources' <<< "$out" || fail "$SUITE: btl_xs_warn does not help"
	pass "$SUITE: nothing is said if not wanted"
done
