#!/bin/bash
# Proves: TCP connections between live ranks are cut again and again, on TCP and on rings, and nothing is lost, repeated or out of order; nor are events.
# Lab: none
# Check: none
# Limit: 1500
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

# cut_suite TEXT COMPONENT RANKS ARGUMENT...: as suite, with connections that are cut as CUT says, and
# until that is done, however long it takes here.
cut_suite()
{
	local text=$1 component=$2 ranks=$3
	shift 3
	JOB_LIMIT=300 suite "$text" "$component" "$ranks" "$@"
	CUTS=$(sed -n 's/^CUTS \([0-9]*\)$/\1/p' <<< "$out")
	[ "${CUTS:-0}" -gt 0 ] || fail "$SUITE: $text: nothing was cut"
	positive reconnects
	echo "# $CUTS ends cut, $(total reconnects) reconnects, $(total repeated) repeated"
}

# lost TEXT COMPONENT HOW OPTION...: asserts that a job that is cut is ended, and that this is said, unless
# mpirun has lost that: as said.
lost()
{
	local text="$SUITE: $1" component=$2 how=$3 said='has lost a TCP connection' try
	shift 3
	for try in 1 2 3 4 5 6 7 8; do
		CUT=$how job "$component" 2 "$@" "$programs/suite" --seconds 60 random
		printf '%s\n' "$out"
		case $status in
		0 | 124) fail "$text: status $status" ;;
		esac
		pass "$text: the job ends"
		grep -a -q ORTE_ERROR_LOG <<< "$out" || break
		! grep -a -q "$said" <<< "$out" || break
	done
	check "$text: that is said (try $try)" grep -a -q "$said" <<< "$out"
}

# Jobs whose connections are made again.
mended()
{
	# Again and again, until enough has been cut.
	go=("$programs/suite" --seconds 1 --until /tmp/cut-enough)
	# Sockets that have room for little are cut in the middle of a frame.
	little=(--mca btl_tcp_sndbuf 8192 --mca btl_tcp_rcvbuf 8192)
	export CUT="any 0.3 15"
	cut_suite "TCP alone" btl 2 "${go[@]}" random
	positive repeated
	CUT="near 0.2 15" cut_suite "... the accepting ends" btl 2 "${go[@]}" flood sizes random
	CUT="far 0.2 15" cut_suite "... the connecting ends" btl 2 "${go[@]}" flood sizes random
	CUT="reject 2 4" cut_suite "... of which only the sender hears" btl 2 "${go[@]}" random
	cut_suite "... in the middle of frames" btl 2 "${little[@]}" "${go[@]}" random
	positive repeated
	# A job of which one rank waited for what the other one could not say stood still here.
	CUT="any 0.3 8" cut_suite "... over a long way, and break again at once" btl 2 -x SLOW_CUT=6 \
		-x "LD_PRELOAD=/src/build/$SUITE/btl-slow/slow.so" "${go[@]}" random
	check "$SUITE: they did" grep -a -q '^SLOW [1-9]' <<< "$out"
	CUT="away 1 3" cut_suite "... and there is no address for a while" btl 2 \
		-x "LD_PRELOAD=/src/build/$SUITE/btl-slow/slow.so" "${go[@]}" random
	check_equal "$SUITE: nothing is closed twice" "" "$(grep -a '^TWICE' <<< "$out")"
	cut_suite "... of two connections for each pair" btl 2 --mca btl_tcp_links 2 "${go[@]}" random
	cut_suite "... under threads" btl 2 "${go[@]}" threads random
	CUT="drop 2 1" cut_suite "... and there is no way for a while" btl 2 --mca btl_xs_failover 30 \
		"${go[@]}" random
	CUT="stop 2 1" cut_suite "... while processes are stopped" btl 2 --mca btl_xs_failover 4 \
		"${go[@]}" random
	cut_suite "... between four, with collectives" btl 4 "${go[@]}" random collectives
	cut_suite "rings, and the wire changes each third fragment" btl-fake 3 \
		--mca btl_xs_debug_flip 3 "${go[@]}" random
	positive xs_frags tcp_frags repeated
	FAKEXEN_EPOCH_MS=40 cut_suite "rings that come and go" btl-fake 3 "${go[@]}" random
	positive xs_frags fallbacks
	FAKEXEN_EPOCH_MS=15 cut_suite "... in the middle of frames" btl-fake 2 "${little[@]}" \
		"${go[@]}" random
	positive xs_frags resent repeated
	FAKEXEN_EPOCH_MS=40 cut_suite "... under threads" btl-fake 2 --mca btl_xs_debug_flip 3 \
		"${go[@]}" threads random
	positive xs_frags tcp_frags
	unset CUT

	CUT="any 0.2 0" suite "cut while all goes over rings" btl-fake 2 "$programs/suite" --seconds 5 random

	CUT="any 0.3 0" lab chroot tests/btl/installed btl_xs "/src/build/$SUITE/btl" tests/btl/mended ||
		fail "$SUITE: events"

	lost "cut for good" btl "wall 2 0" --mca btl_xs_failover 4
	lost "... and there are rings, but not for all" btl-fake "wall 2 0" --mca btl_xs_failover 4 \
		--mca btl_xs_debug_flip 3
}

# Connections that come at once, without Open MPI's tcp.
accepted()
{
	lab chroot sh -ec "
		cd btl_xs
		out=/src/build/$SUITE
		gcc \$(make -s flags OUT=\$out/btl) -o \$out/accept ../tests/btl/accept.c btl_xs_accept.c \
			\$(make -s libs OUT=\$out/btl)
		\$out/accept"
}

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare
	lab chroot make -s -C tests/btl OUT="/src/build/$SUITE/btl-slow" slow || fail "$SUITE: does not compile"
	check "$SUITE: connections that come at once are taken up one after the other" accepted
	# With Open MPI 4.1 none are unless the user wants that.
	never=()
	[ "$SUITE" = bookworm ] || { mended; never=(--mca btl_xs_failover 0); }
	# Then tcp does not always say so, and a job may also hang. One cut may do no harm with Open MPI
	# 4.1: if nothing is on its way just then tcp connects again.
	CUT="any 0.3 15" JOB_LIMIT=60 job btl 2 "${never[@]}" "$programs/suite" --seconds 1 \
		--until /tmp/cut-enough random
	check "$SUITE: cut, and not to be mended: status $status" [ "$status" != 0 ]
	check "$SUITE: it was cut" grep -a -q '^CUTS [1-9]' <<< "$out"
done
