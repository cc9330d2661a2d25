#!/bin/bash
# Proves: the Open MPI component beside shared memory, over two networks, under threads, and with ranks that end early.
# Lab: none
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

# paths: each rank's to the others, in the order of ranks, of the last job.
paths()
{
	grep -a '^COUNTERS' <<< "$out" | sort | sed 's/.* paths=//' | paste -s -d ' '
}

# ends TEXT CASE: asserts that a job in which a rank ends early ends, not well.
ends()
{
	job btl-fake 3 "$programs/suite" "$2"
	printf '%s\n' "$out"
	case $status in
	0 | 124) fail "$SUITE: $1: status $status" ;;
	esac
	pass "$SUITE: $1: the job ends"
}

# Programs that leave MPI_T open, as the suite, do not have all taken apart by MPI_Finalize.
# taken_apart TEXT BTLS COMMAND...: below COMMAND one that does not use it ends well.
taken_apart()
{
	local text="$SUITE: $1" btl=$2
	shift 2
	status=0
	out=$(lab chroot tests/btl/installed btl_xs "/src/build/$SUITE/btl" "$@" timeout 100 \
		mpirun --oversubscribe -np 2 --mca btl "$btl" "$programs/bare" 2>&1) || status=$?
	[ "$status" = 0 ] || printf '%s\n' "$out"
	check_equal "$text: MPI_Finalize" 0 "$status"
	check "$text: it has done something" grep -a -q '^BARE OK' <<< "$out"
}

# leaves TEXT COMPONENT ARGUMENT...: ranks that end while what they have sent has not been looked for.
leaves()
{
	local text="$SUITE: $1"
	shift
	job "$1" 3 "${@:2}" "$programs/leave"
	[ "$status" = 0 ] || printf '%s\n' "$out"
	check_equal "$text" 0 "$status"
	check_equal "$text: all has arrived" "3 LEAVE OK messages=120" \
		"$(grep -a -o 'LEAVE OK messages=[0-9]*' <<< "$out" | uniq -c | sed 's/^ *//')"
}

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare
	memory=sm
	[ "$SUITE" != bookworm ] || memory=vader

	# Not all cases: 5.0's sm writes behind the end of a buffer that is too short.
	BTL=xs,$memory,self suite "one guest, shared memory beside xs" btl-fake 3 "$programs/suite" \
		sizes random flood collectives probe wildcard backlog
	check_equal "$SUITE: shared memory has it all" "none,none,none none,none,none none,none,none" \
		"$(paths)"

	export GUESTS=1
	BTL=xs,$memory,self suite "two guests, shared memory beside xs" btl-fake 4 "$programs/suite"
	check_equal "$SUITE: shared memory inside, xs between" \
		"none,xs,none,xs xs,none,xs,none none,xs,none,xs xs,none,xs,none" "$(paths)"
	BTL=xs,$memory,self FAKEXEN_EPOCH_MS=15 suite "... while they migrate, with new processes" btl-fake 2 \
		"$programs/suite" spawn
	BTL=xs,tcp,$memory,self suite "tcp named beside xs" btl-fake 4 "$programs/suite" random flood
	[ "$(total xs_frags)" -gt 0 ] || fail "$SUITE: xs was not used beside tcp"
	unset GUESTS
	taken_apart "xs alone" xs,self env
	taken_apart "tcp beside it" xs,tcp,self env
	taken_apart "tcp before it" xs,tcp,self tests/btl/tcp-first
	taken_apart "shared memory beside it" "xs,$memory,self" env
	leaves "messages under way over TCP when their sender ends" btl
	leaves "messages under way on rings when their sender ends" btl-fake
	FAKEXEN_EPOCH_MS=15 leaves "... while domains migrate" btl-fake --mca btl_xs_debug_flip 2
	export GUESTS=1
	INTERFACES=net0,net1 suite "two networks" btl 4 --mca btl_base_verbose 30 \
		"$programs/suite" sizes random flood
	check "$SUITE: both have been used" grep -a -q 'connect() to 10\.77\.1\.1.* completed' <<< "$out"
	FAKEXEN_EPOCH_MS=15 INTERFACES=net0,net1 suite "... with rings that come and go" btl-fake 4 \
		"$programs/suite" sizes random flood
	unset GUESTS

	FAKEXEN_EPOCH_MS=15 suite "threads, one of them tcp's" btl-fake 2 --mca btl_tcp_progress_thread 1 \
		"$programs/suite" threads
	export FAKEXEN_EPOCH_MS=30
	ends "MPI_Abort in the middle of traffic" abort
	ends "a rank that is just gone" quit
	unset FAKEXEN_EPOCH_MS
done
