#!/bin/bash
# Proves: a data race in a module is reported, and the runner would see it.
# Lab: hosts=1 guests=1 suite=trixie
# Kernel: kcsan
# Limit: 120
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

faulty=build/$SUITE/faulty-$KERNEL
lab chroot make -s -C tests/xen/faulty OUT="/src/$faulty" || fail "it does not compile"
lab push "$TOP/$faulty/faulty.ko" g1:/root || fail "cannot copy to g1"
lab ssh g1 "insmod /root/faulty.ko kind=none && rmmod faulty" || fail "insmod"
check_equal "without a mistake there is no report" "" "$("$TESTS_DIR/reports" g1)"
lab ssh g1 "insmod /root/faulty.ko kind=race; rmmod faulty"
reports=$("$TESTS_DIR/reports" g1)
printf '%s\n' "$reports"
check "a race is reported" grep -q 'BUG: KCSAN: data-race in race' <<< "$reports"
# It has served, and the report is no fault of this test.
lab destroy g1
