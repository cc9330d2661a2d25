#!/bin/bash
# Proves: a PV guest goes on where it was after xl save and xl restore.
# Lab: hosts=1 guests=2 type=pv suite=all
# Check: bookworm-pv
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

# A process counts, and memory holds a file whose sum is known.
# shellcheck disable=SC2016 # expanded in the guest
lab ssh g1 'head -c 8M /dev/urandom > /dev/shm/data
	(i=0; while :; do i=$((i + 1)); echo $i > /dev/shm/count; sleep 0.2; done) > /dev/null 2>&1 < /dev/null &
	echo $! > /dev/shm/pid' || fail "cannot prepare g1"
sum=$(lab ssh g1 sha256sum /dev/shm/data)
boot=$(lab ssh g1 cat /proc/sys/kernel/random/boot_id)

check "xl save" lab save g1
check "the guest is gone while saved" sh -c "! '$TESTS_DIR/lab/lab' ssh h1 xl domid g1 2> /dev/null"
check "xl restore" lab restore g1
eventually 60 "the guest answers again" lab ssh g2 ping -q -c 1 g1
check_equal "it did not boot anew" "$boot" "$(lab ssh g1 cat /proc/sys/kernel/random/boot_id)"
check_equal "memory is what it was" "$sum" "$(lab ssh g1 sha256sum /dev/shm/data)"
count=$(lab ssh g1 cat /dev/shm/count)
counts()
{
	[ "$(lab ssh g1 cat /dev/shm/count)" -gt "$count" ]
}
eventually 30 "the process counts on from $count" counts
