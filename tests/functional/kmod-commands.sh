#!/bin/bash
# Proves: what the documents tell to type with kernels that find mistakes works as written.
# Lab: none suite=trixie
# Kernel: debug kcsan
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

kernel=$KERNEL
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"

in_copy kmod-commands

if [ "$kernel" = kcsan ]; then
	types 'make check-races' TESTS=userlib-trixie-kcsan
	says '1 passed, 0 failed, 0 skipped'
	exit
fi

types "make check-debug TESTS='kmod-hostile-*'"
says 'ok 1 - kmod-hostile-trixie-debug .*' '1 passed, 0 failed, 0 skipped'
types 'make check-debug' TESTS=host-kmod-style
says '1 passed, 0 failed, 0 skipped'
types 'KERNEL=debug make all'
module=build/trixie/kmod-debug/xensocket.ko
check "the module" [ -s "$module" ]

types 'KERNEL=debug tests/lab/lab up --guests 2'
export KERNEL=debug
trap 'tests/lab/lab down; leave_copy' EXIT
check "it is copied to g1" tests/lab/lab push "$module" g1:/root
check "... and loaded there" tests/lab/lab ssh g1 insmod "/root/${module##*/}"
command='echo scan > /sys/kernel/debug/kmemleak'
check "documents have: $command" grep -q -x -F -e "$command" <<< "$shown"
check "in g1: $command" tests/lab/lab ssh g1 "$command"
check_equal "in g1: cat the same file" "" "$(tests/lab/lab ssh g1 "cat ${command##* }" || echo "it fails")"
