#!/bin/bash
# Proves: a job over TCP survives xl migrate of one rank's guest to the second host and back.
# Lab: hosts=2 guests=2 type=pvh suite=trixie
# Check: none
# Limit: 480
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

push_mpi ring g1 g2
job=$(mktemp)
trap 'rm -f "$job"' EXIT
lab ssh mpi@g1 "$MPIRUN_TCP ring --until /tmp/stop" > "$job" 2>&1 &
mpirun=$!

# round: the last round that the job has reported.
round()
{
	sed -n 's/^RING AT //p' "$job" | tail -n 1
}

# goes_on FROM: true when the job has passed 20 rounds more.
goes_on()
{
	local now
	now=$(round)
	kill -0 "$mpirun" 2> /dev/null || { cat "$job"; fail "the job ended by itself"; }
	[ "${now:-0}" -gt $(($1 + 20)) ]
}

where()
{
	lab status | awk '$1 == "g2" { print $3 }'
}

eventually 60 "the job runs" goes_on 0
for to in h2 h1; do
	before=$(round)
	check "xl migrate of the busy guest to $to" lab migrate g2 "$to"
	check_equal "the guest is there" "$to" "$(where)"
	[ "$(round)" -ge "$before" ] || fail "rounds went backwards"
	eventually 90 "the job goes on after it" goes_on "$(round)"
done
lab ssh mpi@g1 touch /tmp/stop
status=0
wait "$mpirun" || status=$?
tail -n 3 "$job"
check_equal "the job ends well" 0 "$status"
check "every message arrived once, in order, unharmed" grep -q '^RING OK ' "$job"
