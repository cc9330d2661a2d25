#!/bin/bash
# Proves: TCP connections between live ranks are cut again and again, on TCP and on rings, and nothing is lost, repeated or out of order.
# Lab: none
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

# cut_suite TEXT COMPONENT RANKS ARGUMENT...: as suite, with connections that are cut as CUT says.
cut_suite()
{
	suite "$@"
	CUTS=$(sed -n 's/^CUTS \([0-9]*\)$/\1/p' <<< "$out")
	[ "${CUTS:-0}" -gt 0 ] || fail "$SUITE: $1: nothing was cut"
	positive reconnects
	echo "# $CUTS ends cut, $(total reconnects) reconnects, $(total repeated) repeated"
}

# lost TEXT HOW OPTION...: asserts that a job that is cut is ended, and that this is said.
lost()
{
	local text="$SUITE: $1" how=$2
	shift 2
	CUT=$how job btl 2 "$@" "$programs/suite" --seconds 60 random
	printf '%s\n' "$out"
	case $status in
	0 | 124) fail "$text: status $status" ;;
	esac
	pass "$text: the job ends"
	check "$text: that is said" grep -a -q 'has lost a TCP connection' <<< "$out"
}

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare

	export CUT="any 0.3"
	cut_suite "TCP alone" btl 2 "$programs/suite" --seconds 6 random
	positive repeated
	CUT="near 0.2" cut_suite "... the accepting ends" btl 2 "$programs/suite" flood sizes
	CUT="far 0.2" cut_suite "... the connecting ends" btl 2 "$programs/suite" flood sizes
	CUT="reject 2" cut_suite "... of which only the sender hears" btl 2 "$programs/suite" \
		--seconds 12 random
	cut_suite "... between four, with collectives" btl 4 "$programs/suite" --seconds 5 random collectives
	cut_suite "rings, and the wire changes each third fragment" btl-fake 3 \
		--mca btl_xs_debug_flip 3 "$programs/suite" --seconds 5 random
	positive xs_frags tcp_frags repeated
	FAKEXEN_EPOCH_MS=40 cut_suite "rings that come and go" btl-fake 3 "$programs/suite" --seconds 5 \
		random
	positive xs_frags fallbacks
	unset CUT

	CUT="any 0.2" suite "cut while all goes over rings" btl-fake 2 "$programs/suite" --seconds 5 random

	lost "cut for good" "wall 2" --mca btl_xs_failover 4
	lost "cut, and not to be mended" "any 1" --mca btl_xs_failover 0
done
