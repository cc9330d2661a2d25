#!/bin/bash
# Proves: a small message over a ring costs few more instructions than over Open MPI's shared memory, and no system call.
# Lab: none
# Check: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"
# shellcheck source=../bench/counts.sh
. "$TESTS_DIR/bench/counts.sh"

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare
	sm=$(shared_memory)
	for size in 8 512; do
		ours=0 theirs=0
		for part in count_send count_receive; do
			a=$(instructions xs $part $size) || fail "$SUITE: $part was not counted over xs"
			b=$(instructions "$sm" $part $size) || fail "$SUITE: $part was not counted over $sm"
			echo "$SUITE: $part of $size bytes: xs $a, $sm $b instructions"
			ours=$((ours + a)) theirs=$((theirs + b))
		done
		[ "$theirs" -gt 100 ] || fail "$SUITE: nothing was counted"
		[ $((ours * 10)) -le $((theirs * 12)) ] ||
			fail "$SUITE: $size bytes cost $ours instructions over xs, $theirs over $sm"
		pass "$SUITE: $size bytes cost $ours instructions over xs, $theirs over $sm"
	done
	# Sockets are looked at each 10 ms, whatever is going on.
	calls=$(system_calls xs 8) || fail "$SUITE: system calls were not counted"
	[ "$calls" -le 320 ] || fail "$SUITE: $calls system calls in 32000 messages"
	pass "$SUITE: $calls system calls in 32000 messages"
done
