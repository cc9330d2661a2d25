#!/bin/bash
# Proves: subscribers see the events of a running job in their order; one that is stuck, a rank that dies and another user's do no harm.
# Lab: none
# Check: none
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare
	# Open MPI 4 has no events of PMIx's that do no harm.
	[ "$SUITE" = bookworm ] || lab chroot sh -ec "pmix=\$(ls -d /usr/lib/*/pmix2)
		mpicc -Wall -Wextra -Werror -O2 -isystem \$pmix/include -o build/$SUITE/listen tests/btl/listen.c \
			-L\$pmix/lib -lpmix" || fail "$SUITE: does not compile"

	lab chroot tests/btl/installed tests/btl "/src/build/$SUITE/btl-fake" tests/btl/events ||
		fail "$SUITE: events"
	GUESTS=1 lab chroot tests/btl/installed tests/btl "/src/build/$SUITE/btl-fake" tests/btl/events ||
		fail "$SUITE: events of two guests"
done
