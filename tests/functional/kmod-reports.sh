#!/bin/bash
# Proves: the debug kernel reports each kind of mistake in a module, and the runner would see it.
# Lab: hosts=1 guests=2 suite=trixie
# Kernel: debug
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

faulty=build/$SUITE/faulty-$KERNEL
lab chroot make -s -C tests/xen/faulty OUT="/src/$faulty" || fail "it does not compile"
for guest in g1 g2; do
	lab push "$TOP/$faulty/faulty.ko" "$guest:/root" || fail "cannot copy to $guest"
done
lab ssh g1 "insmod /root/faulty.ko kind=none && rmmod faulty" || fail "insmod"
check_equal "without a mistake there is no report" "" "$("$TESTS_DIR/reports" g1 g2)"

# Lockdep reports once only: one of its kinds in each guest.
for mistakes in "g1 use-after-free leak atomic-sleep" "g2 page-leak lock-order"; do
	read -r guest kinds <<< "$mistakes"
	for kind in $kinds; do
		lab ssh "$guest" "insmod /root/faulty.ko kind=$kind; rmmod faulty"
	done
	reports=$("$TESTS_DIR/reports" "$guest")
	log=$(lab ssh "$guest" dmesg)
	printf '%s\n' "$reports"
	check "$guest: there are reports" [ -n "$reports" ]
	for kind in $kinds; do
		case $kind in
		use-after-free) check "$kind" grep -q 'BUG: KASAN: slab-use-after-free in use_after_free' <<< "$log" ;;
		atomic-sleep) check "$kind" grep -q 'BUG: sleeping function called from invalid context' <<< "$log" ;;
		lock-order) check "$kind" grep -q 'possible circular locking dependency' <<< "$log" ;;
		page-leak) check "$kind" grep -q 'func:page_leak has 4096 allocated at module unload' <<< "$log" ;;
		leak) check "$kind" grep -q 'unreferenced object .*size 256' <<< "$reports" ;;
		esac
	done
	# They have served, and their reports are no fault of this test.
	lab destroy "$guest"
done
