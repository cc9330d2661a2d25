#!/bin/bash
# Proves: the Open MPI component delivers everything once and in order, with and without rings, on one machine.
# Lab: none
# Check: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

declare -A SOURCE=([btl]=btl_xs [btl-fake]=tests/btl)

# job COMPONENT RANKS ARGUMENT...: an MPI job over xs; its output is left in $out.
job()
{
	local component=$1 ranks=$2
	shift 2
	status=0
	out=$(lab chroot tests/btl/installed "${SOURCE[$component]}" "/src/build/$SUITE/$component" timeout 100 \
		mpirun --oversubscribe -np "$ranks" --mca btl xs,self "$@" \
		2>&1) || status=$?
	grep -a -E '^(SUITE|RING)|signal|[a-z]_frags=' <<< "$out"
}

# suite TEXT COMPONENT RANKS ARGUMENT...: asserts that all cases of the MPI suite pass.
suite()
{
	local text="$SUITE: $1"
	shift
	job "$@"
	[ "$status" = 0 ] || printf '%s\n' "$out"
	check_equal "$text" 0 "$status"
	grep -a -q '^SUITE done [1-9]' <<< "$out" || fail "$text: no case was run"
}

# total COUNTER: its sum over all ranks and peers of the last job.
total()
{
	grep -a '^COUNTERS' <<< "$out" | grep -o "\<$1=[0-9]*" | awk -F= '{ sum += $2 } END { print sum + 0 }'
}

# positive COUNTER...: asserts that each has counted something.
positive()
{
	local counter
	for counter in "$@"; do
		[ "$(total "$counter")" -gt 0 ] || fail "$SUITE: $counter is 0"
		pass "$SUITE: $counter is $(total "$counter")"
	done
}

# said TEXT COMPONENT PATTERN STATUS ARGUMENT...: asserts that a job tells the user, once, and
# goes on (0) or not (1). Debian 12's mpirun loses some of what its processes have to say
# ("ORTE_ERROR_LOG: Data unpack ..."), so there is more than one try.
said()
{
	local text="$SUITE: $1" component=$2 pattern=$3 want=$4 try
	shift 4
	for try in 1 2 3 4 5 6 7 8; do
		job "$component" 2 "$@" "$programs/ring" --rounds 3
		printf '%s\n' "$out"
		check_equal "$text: does the job go on" "$want" "$((status != 0))"
		grep -a -q ORTE_ERROR_LOG <<< "$out" || break
		! grep -a -q "$pattern" <<< "$out" || break
	done
	check_equal "$text is said (try $try)" 1 "$(grep -a -c "$pattern" <<< "$out")"
}

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	programs=build/$SUITE/mpi
	lab chroot sh -ec "
		make -s -C tests/mpi OUT=/src/build/$SUITE/mpi
		make -s -C btl_xs OUT=/src/build/$SUITE/btl
		make -s -C tests/btl OUT=/src/build/$SUITE/btl-fake" || fail "$SUITE: does not compile"
	# Debian 12 forbids this one, but its other one needs hardware.
	onesided=()
	[ "$SUITE" != bookworm ] || onesided=(--mca osc pt2pt)

	info=$(lab chroot tests/btl/installed btl_xs "/src/build/$SUITE/btl" ompi_info --param btl xs --level 9)
	check "$SUITE: ompi_info shows the component" grep -q 'parameter "btl_xs_ring_size"' <<< "$info"

	suite "TCP alone, without xensockets" btl 2 "$programs/suite"
	check_equal "$SUITE: no ring was offered" 0 "$(total probes)"
	suite "known traffic is counted" btl 2 "$programs/suite" counters
	suite "one-sided communication over TCP" btl 3 "${onesided[@]}" "$programs/suite" onesided

	suite "rings" btl-fake 3 "$programs/suite"
	positive xs_frags switches
	suite "known traffic over rings is counted" btl-fake 2 "$programs/suite" --path xs counters
	suite "the wire changes each third fragment" btl-fake 4 --mca btl_xs_debug_flip 3 "$programs/suite"
	positive xs_frags tcp_frags
	suite "each 20th fragment is the last of its ring" btl-fake 2 --mca btl_xs_debug_revoke 20 \
		"$programs/suite" random flood
	positive fallbacks resent

	export FAKEXEN_EPOCH_MS=15
	suite "domains migrate at random" btl-fake 3 "$programs/suite" --seconds 3
	suite "... under threads" btl-fake 2 "$programs/suite" threads
	suite "... under new processes" btl-fake 2 "$programs/suite" spawn
	! grep -a 'failed to TCP connect\|has lost a TCP connection' <<< "$out" ||
		fail "$SUITE: processes that have left were called"
	pass "$SUITE: nobody called processes that had left"
	suite "... under one-sided communication" btl-fake 3 "${onesided[@]}" \
		--mca btl_xs_debug_flip 3 "$programs/suite" onesided
	FAKEXEN_REFUSE=30 FAKEXEN_NOBUFS=30 suite "... with refusals and the smallest ring" btl-fake 3 \
		--mca btl_xs_ring_size 4096 --mca btl_xs_window 20000 "$programs/suite" random flood
	FAKEXEN_PV=1 suite "... where receivers cannot map" btl-fake 2 \
		--mca btl_xs_debug_flip 4 "$programs/suite" --seconds 3
	unset FAKEXEN_EPOCH_MS

	FAKEXEN_LATE_MS=500 suite "the module is loaded when the job runs" btl-fake 2 "$programs/suite" \
		--seconds 3 random
	positive switches tcp_frags

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
	FAKEXEN_NOBUFS=100 job btl-fake 2 --mca btl_xs_warn 0 "$programs/ring" --rounds 3
	! grep -a 'lack of resources' <<< "$out" || fail "$SUITE: btl_xs_warn does not help"
	pass "$SUITE: nothing is said if not wanted"

	# The check itself.
	job btl-fake 2 "$programs/suite" --corrupt random
	[ "$status" != 0 ] || fail "$SUITE: a damaged byte went unnoticed"
	check "$SUITE: a damaged byte is found" grep -a -q 'SUITE BAD .* wrong content' <<< "$out"
done
