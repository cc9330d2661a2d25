#!/bin/bash
# Proves: a small message over a ring costs few more instructions than over Open MPI's shared memory, and no system call; a large one is copied twice; idle peers cost next to nothing.
# Lab: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"
# shellcheck source=../bench/counts.sh
. "$TESTS_DIR/bench/counts.sh"

# Two ranks that wait for each other in a loop, under valgrind, and perhaps with others beside them.
export JOB_LIMIT=300
# What takes long, under valgrind, is for each day too much.
sizes=(8)
[ -z "${FULL:-}" ] || sizes+=(192)
for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare
	prepare_counts
	sm=$(shared_memory)
	for size in "${sizes[@]}"; do
		ours=$(instructions xs "$size") || fail "$SUITE: nothing was counted over xs"
		theirs=$(instructions "$sm" "$size") || fail "$SUITE: nothing was counted over $sm"
		echo "$SUITE: to send and to receive $size bytes: xs $ours, $sm $theirs instructions"
		ours=$((${ours/ /+})) theirs=$((${theirs/ /+}))
		[ "$theirs" -gt 100 ] || fail "$SUITE: nothing was counted"
		[ $((ours * 10)) -le $((theirs * 12)) ] ||
			fail "$SUITE: $size bytes cost $ours instructions over xs, $theirs over $sm"
		pass "$SUITE: $size bytes cost $ours instructions over xs, $theirs over $sm"
	done
	if [ -n "${FULL:-}" ]; then
		one=$(progress xs 1) || fail "$SUITE: progress was not counted"
		many=$(progress xs 16) || fail "$SUITE: progress with many peers was not counted"
		check "$SUITE: a look costs $one instructions with one peer, $many with 15 idle ones beside it" \
			[ "$one" -gt 100 -a $((many * 10)) -le $((one * 13)) ]
	fi
	calls=$(system_calls xs 8) || fail "$SUITE: system calls were not counted"
	[ "$calls" -le 50 ] || fail "$SUITE: $calls system calls in 32000 messages"
	pass "$SUITE: $calls system calls, but for looks at sockets while waiting, in 32000 messages"
	copies=$(copied xs 65536) || fail "$SUITE: copies were not counted"
	check "$SUITE: bytes copied a byte sent: $copies, no more than twice and the heads" \
		awk -v n="$copies" 'BEGIN { exit !(n > 0.9 && n < 2.1) }'
done
