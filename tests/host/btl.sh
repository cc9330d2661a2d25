#!/bin/bash
# Proves: the Open MPI component delivers everything once and in order, with and without rings, on one machine.
# Lab: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare

	suite "TCP alone, without xensockets" btl 2 "$programs/suite"
	check_equal "$SUITE: no ring was offered" 0 "$(total probes)"
	suite "rings" btl-fake 2 "$programs/suite"
	positive xs_frags switches
	suite "known traffic over rings is counted" btl-fake 2 "$programs/suite" --path xs counters

	export FAKEXEN_EPOCH_MS=15
	suite "domains migrate at random" btl-fake 3 "$programs/suite" random flood
	positive fallbacks resent
	suite "... while senders stay away from MPI" btl-fake 2 "$programs/suite" silent
	suite "... under new processes" btl-fake 2 "$programs/suite" spawn
	! grep -a 'failed to TCP connect\|has lost a TCP connection' <<< "$out" ||
		fail "$SUITE: processes that have left were called"
	pass "$SUITE: nobody called processes that had left"
	unset FAKEXEN_EPOCH_MS

	# The check itself.
	job btl-fake 2 "$programs/suite" --corrupt random
	[ "$status" != 0 ] || fail "$SUITE: a damaged byte went unnoticed"
	check "$SUITE: a damaged byte is found" grep -a -q 'SUITE BAD .* wrong content' <<< "$out"
done
