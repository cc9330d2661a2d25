# shellcheck shell=bash
# A job that goes on while tests do something to it, above the fake kernel module; sourced
# after lib.sh, in the build root, below "installed".
# SPDX-License-Identifier: BSD-3-Clause
#
# With GUESTS=1 the job is in two guests, as far as Open MPI can tell. It is over $BTL (xs,self).

programs=/src/build/$SUITE/mpi
ctl=/src/build/$SUITE/userlib/xs-btlctl
job=/tmp/job

# begin RANKS CASE...: a job that goes on until "end", of $PROGRAM if that is set.
begin()
{
	local ranks=$1 where=(--oversubscribe)
	shift
	[ -z "${GUESTS:-}" ] || where=(--host "guest1:4,guest2:4" --map-by node)
	rm -f /tmp/stop
	: > "$job"
	# shellcheck disable=SC2086 # a list
	timeout -k 5 100 mpirun "${where[@]}" -np "$ranks" --mca btl "${BTL:-xs,self}" ${OPTIONS:-} \
		"${PROGRAM:-$programs/suite}" --until /tmp/stop "$@" > "$job" 2>&1 &
	mpirun=$!
	eventually 60 "$SUITE: the job runs" passed 1
}

passed()
{
	[ "$(grep -a -c '^SUITE ok' "$job")" -ge "$1" ]
}

# end: the job has lost nothing.
end()
{
	local status=0
	touch /tmp/stop
	wait "$mpirun" || status=$?
	[ "$status" = 0 ] || cat "$job"
	check_equal "$SUITE: the job ends well" 0 "$status"
	check "$SUITE: all of its cases passed" grep -a -q '^SUITE done [1-9]' "$job"
}

# list: lines "RANK HELD RINGS PATHS".
list()
{
	"$ctl" list | awk '$1 ~ /^[0-9]+$/ { print $1, $5, $6, $7 }'
}

listed()
{
	[ "$(list)" = "$1" ]
}

# is TEXT WANT: the list becomes this.
is()
{
	eventually 20 "$SUITE: $1" listed "$2"
}

pid_of()
{
	"$ctl" list | awk -v rank="$1" '$1 == rank { print $3 }'
}
