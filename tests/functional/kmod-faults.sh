#!/bin/bash
# Proves: when memory cannot be had, at any point of a call, the call fails cleanly and nothing is lost.
# Lab: hosts=1 guests=2 suite=trixie
# Kernel: debug
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
for guest in g1 g2; do
	# Its own bookkeeping of allocations warns when it gets no memory.
	lab ssh "$guest" sysctl -q vm.mem_profiling=0 || fail "$guest: allocations stay profiled"
	# It keeps failures out of a place where the kernel itself does not bear them.
	lab push "$TOP/build/$SUITE/xen/xsfail-$KERNEL/xsfail.ko" "$guest:/root" || fail "cannot copy xsfail"
	lab ssh "$guest" insmod /root/xsfail.ko || fail "insmod of xsfail in $guest"
	lab ssh "$guest" 'cd /sys/kernel/debug &&
		echo N | tee failslab/ignore-gfp-wait fail_page_alloc/ignore-gfp-wait &&
		echo 0 | tee failslab/verbose fail_page_alloc/verbose fail_page_alloc/min-order' ||
		fail "no fault injection in $guest"
done
out=$(xsocktest_run +faults)
status=$?
echo "$out"
check_equal "xsocktest succeeds" 0 "$status"
check "bind() has needed memory" grep -q '^# A faults: bind: [1-9][0-9]* allocations, [1-9]' <<< "$out"
check "connect() has needed memory" grep -q '^B: # B faults: connect: [1-9][0-9]* allocations, [1-9]' <<< "$out"
check "mmap() of a transmitter has needed memory" \
	grep -q '^# A faults: mmap: [1-9][0-9]* allocations, [1-9]' <<< "$out"
check "mmap() of a receiver has needed memory" \
	grep -q '^B: # B faults: mmap: [1-9][0-9]* allocations, [1-9]' <<< "$out"
check_module_leaves g1 g2
for guest in g1 g2; do
	check "rmmod xsfail in $guest" lab ssh "$guest" rmmod xsfail
done
