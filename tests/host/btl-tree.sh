#!/bin/bash
# Proves: the Open MPI component can be configured and built inside Debian's source package of Open MPI, and that works.
# Lab: none
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

for SUITE in ${SUITES:-trixie bookworm}; do
	export SUITE
	out=build/$SUITE/in-tree
	mkdir -p "$TOP/$out"
	# The build root has no names of its own.
	cp /etc/resolv.conf "$TOP/$out"
	rm -f "$TOP/$out/mca_btl_xs.so"
	lab chroot make -s -C tests/mpi "OUT=/src/build/$SUITE/mpi" || fail "$SUITE: does not compile"
	status=0
	lab chroot tests/btl/in-tree "/src/$out" sh -c "ompi_info --param btl xs --level 9 &&
		mpirun --oversubscribe -np 2 --mca btl xs,self build/$SUITE/mpi/ring --rounds 20" \
		> "$TOP/$out/log" 2>&1 || status=$?
	if [ "$status" = 77 ]; then
		echo "skipped: no package mirror"
		exit 77
	fi
	tail -n 40 "$TOP/$out/log"
	check_equal "$SUITE: it is built and runs" 0 "$status"
	check "$SUITE: ompi_info shows it" grep -q 'parameter "btl_xs_progress"' "$TOP/$out/log"
	check "$SUITE: messages have gone over it" grep -q '^COUNTERS rank 1: tcp_frags=[1-9]' "$TOP/$out/log"
done
