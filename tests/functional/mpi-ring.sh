#!/bin/bash
# Proves: two ranks in two guests exchange messages over netfront, each byte checked.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: none
# Limit: 240
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

push_mpi ring g1 g2
out=$(lab ssh mpi@g1 "$MPIRUN_TCP ring --rounds 200" 2>&1)
status=$?
echo "$out"
check_equal "mpirun succeeds" 0 $status
check_equal "200 rounds of two ranks are 400 messages" "RING OK rounds=200 messages=400" \
	"$(echo "$out" | sed -n 's/\(RING OK .*\) bytes=.*/\1/p')"

# The check itself: one damaged byte must end the job.
out=$(lab ssh mpi@g1 "$MPIRUN_TCP ring --rounds 20 --corrupt 5" 2>&1)
status=$?
echo "$out"
[ "$status" != 0 ] || fail "a damaged byte went unnoticed"
check "a damaged byte is found" grep -q 'RING BAD .* wrong content' <<< "$out"
