#!/bin/bash
# Proves: paths of a running job can be held on TCP and released, from inside and by command, and nothing is lost.
# Lab: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

SUITES=${SUITES:-trixie bookworm}
# Between guests the like of it is run each day, of Debian 13.
[ -n "${FULL:-}" ] || SUITES=${SUITES#trixie }
for SUITE in $SUITES; do
	export SUITE
	prepare

	suite "held and released from inside" btl-fake 3 "$programs/suite" hold
	positive xs_frags switches fallbacks
	suite "... with a wire that changes" btl-fake 2 --mca btl_xs_debug_flip 3 "$programs/suite" hold
	suite "held from the start" btl-fake 2 --mca btl_xs_hold yes "$programs/suite" random
	check_equal "$SUITE: no ring was offered" 0 "$(total probes)"

	lab chroot tests/btl/installed tests/btl "/src/build/$SUITE/btl-fake" tests/btl/control ||
		fail "$SUITE: commands"
	GUESTS=1 lab chroot tests/btl/installed tests/btl "/src/build/$SUITE/btl-fake" tests/btl/control ||
		fail "$SUITE: commands over guests"
	memory=sm
	[ "$SUITE" != bookworm ] || memory=vader
	BTL=xs,$memory,self lab chroot tests/btl/installed tests/btl "/src/build/$SUITE/btl-fake" \
		tests/btl/control || fail "$SUITE: commands beside shared memory"
done
