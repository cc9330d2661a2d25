# shellcheck shell=bash
# What tests of the Open MPI component on one machine share; sourced after lib.sh.
# SPDX-License-Identifier: BSD-3-Clause

declare -A SOURCE=([btl]=btl_xs [btl-fake]=tests/btl)

# job COMPONENT RANKS ARGUMENT...: an MPI job over $BTL (xs,self); its output is left in $out.
# With GUESTS=1 every other rank is in another guest, as far as Open MPI can tell. After
# $JOB_LIMIT seconds (100) it is ended, with the status 124.
job()
{
	local component=$1 ranks=$2 where=(--oversubscribe)
	shift 2
	[ -z "${GUESTS:-}" ] || where=(--host "guest1:4,guest2:4" --map-by node)
	status=0
	out=$(lab chroot tests/btl/installed "${SOURCE[$component]}" "/src/build/$SUITE/$component" timeout "${JOB_LIMIT:-100}" \
		mpirun "${where[@]}" -np "$ranks" --mca btl "${BTL:-xs,self}" "$@" \
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
# ("ORTE_ERROR_LOG: Data unpack ..."), so there is more than one try. The program is ring, or SAID.
said()
{
	local text="$SUITE: $1" component=$2 pattern=$3 want=$4 try
	shift 4
	for try in 1 2 3 4 5 6 7 8; do
		# shellcheck disable=SC2086 # words
		job "$component" 2 "$@" $programs/${SAID:-ring --rounds 3}
		printf '%s\n' "$out"
		check_equal "$text: does the job go on" "$want" "$((status != 0))"
		grep -a -q ORTE_ERROR_LOG <<< "$out" || break
		! grep -a -q "$pattern" <<< "$out" || break
	done
	check_equal "$text is said (try $try)" 1 "$(grep -a -c "$pattern" <<< "$out")"
}

# prepare: compiles all for $SUITE; sets $programs, and $onesided: options for one-sided
# communication.
prepare()
{
	programs=build/$SUITE/mpi
	lab chroot sh -ec "
		make -s -C tests/mpi OUT=/src/build/$SUITE/mpi
		make -s -C btl_xs OUT=/src/build/$SUITE/btl
		make -s -C userlib OUT=/src/build/$SUITE/userlib
		make -s -C tests/btl OUT=/src/build/$SUITE/btl-fake" || fail "$SUITE: does not compile"
	# Debian 12 forbids this one, but its other one needs hardware.
	# shellcheck disable=SC2034 # for tests
	onesided=()
	# shellcheck disable=SC2034
	[ "$SUITE" != bookworm ] || onesided=(--mca osc pt2pt)
}
