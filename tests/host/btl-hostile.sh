#!/bin/bash
# Proves: whatever frames a rank of an MPI job sends another one over TCP, and whatever rings it offers, the other one neither crashes nor reads what is not there, and goes on.
# Lab: none
# Check: none
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl-host.sh"

# SEED repeats a run; each job says which one it has.
for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	prepare
	SANITIZE=1 lab chroot make -s -C tests/btl OUT="/src/build/$SUITE/btl-hostile" ||
		fail "$SUITE: does not compile"
	# As "make install" is called there.
	SANITIZE=1 lab chroot tests/btl/installed tests/btl "/src/build/$SUITE/btl-hostile" tests/btl/hostile "${SEED:-1}" ||
		fail "$SUITE: a hostile rank"
done
