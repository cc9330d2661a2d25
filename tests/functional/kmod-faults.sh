#!/bin/bash
# Proves: when memory cannot be had or a hypercall fails, at any point of a call, the call fails cleanly and nothing is lost.
# Lab: hosts=1 guests=2 suite=trixie
# Kernel: debug
# Limit: 400
# shellcheck disable=SC2016 # what is in single quotes is expanded in the guest
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

# failures CALL: how many ways to fail it has, and how many of them matter, of those in $out.
failures()
{
	sed -n "s/^.*# [AB] faults: $1: \([0-9]*\) failures, \([0-9]*\) of them matter/\1 \2/p" <<< "$out" | head -n 1
}

before=$("$TESTS_DIR/holdings" h1)
out=$(xsocktest_run +faults)
status=$?
echo "$out"
check_equal "xsocktest succeeds" 0 "$status"
check_equal "both ends map" 2 "$(grep -c 'faults: mmap: [1-9][0-9]* failures, [1-9]' <<< "$out")"
for call in bind connect expose get; do
	all=$(failures "$call")
	check "$call has needed memory ($all)" [ "${all#* }" -gt 0 ]
done

# From here on there is memory, so that what fails is a hypercall.
for guest in g1 g2; do
	check "only hypercalls can fail in $guest" lab ssh "$guest" 'cd /sys/kernel/debug &&
		echo Y > failslab/cache-filter && echo 99 > fail_page_alloc/min-order &&
		cd fail_function && echo 0 > verbose &&
		for name in event refs map copy; do
			echo xsock_hyper_$name >> inject && printf %#x -28 > xsock_hyper_$name/retval || exit
		done'
done
# shellcheck disable=SC2034 # for xsocktest_run
XSOCK_HYPERCALLS=1
out=$(xsocktest_run +faults)
status=$?
echo "$out"
check_equal "xsocktest succeeds with hypercalls that fail" 0 "$status"
for call in bind connect expose get; do
	all=$(failures "$call")
	check "$call: hypercalls have failed ($all)" [ "${all#* }" -gt 0 ]
done
for guest in g1 g2; do
	lab ssh "$guest" 'echo > /sys/kernel/debug/fail_function/inject' || fail "$guest: functions go on failing"
done
check_given_back "$before" g1 g2
check_module_leaves g1 g2
for guest in g1 g2; do
	check "rmmod xsfail in $guest" lab ssh "$guest" rmmod xsfail
done
