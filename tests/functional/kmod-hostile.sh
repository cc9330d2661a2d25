#!/bin/bash
# Proves: a peer domain that lies in every way can break its own sockets, and nothing else.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
lab push "$TOP/build/$SUITE/xen/xsfail${KERNEL:+-$KERNEL}/xsfail.ko" g1:/root || fail "cannot copy to g1"
# The victim needs them only to read what a forger would have to guess.
grant_devices g1 g2
before=$("$TESTS_DIR/holdings" h1)
echo "$before"

# shellcheck disable=SC2034 # for xsocktest_run
[ -z "${FULL:-}" ] || XSOCK_ROUNDS=40 XSOCK_LIMIT=600
check_xsocktest hostile
check "a fresh pair of honest sockets works" xsocktest_run stream

if [ -n "$KERNEL" ]; then
	echo "with the debug kernel pages that outlive the module are a report: no +unloaded"
else
	unloaded=$(mktemp)
	xsocktest_run +unloaded > "$unloaded" &
	job=$!
	eventually 60 "the rogue maps a closed ring" grep -q 'unloaded: begun' "$unloaded"
	check "rmmod" lab ssh g1 rmmod xensocket
	check "the module comes back" lab ssh g1 insmod /root/xensocket.ko
	status=0
	wait "$job" || status=$?
	cat "$unloaded"
	rm -f "$unloaded"
	check_equal "the rogue's mappings did not matter" 0 "$status"
fi

check "allocations can fail" lab ssh g1 insmod /root/xsfail.ko
check_xsocktest +lost
check "rmmod xsfail" lab ssh g1 rmmod xsfail

# The other one's log is its own affair: it ended grants that were mapped.
check_kernel_log g1
check_given_back "$before" g1 g2

# The rogue's domain goes in the middle of everything.
gone=$(mktemp)
lab ssh g2 "XSOCK_SLOW=$SLOW timeout $((200 * SLOW)) /root/xsocktest serve 7999" > /dev/null 2>&1 &
lab ssh g1 "XSOCK_SLOW=$SLOW timeout $((200 * SLOW)) /root/xsocktest run 10.77.1.2 7999 +gone" > "$gone" 2>&1 &
eventually 60 "handshakes have been begun" grep -q 'gone: begun' "$gone"
check "xl destroy g2" lab ssh h1 xl destroy g2
eventually 180 "all sockets have noticed" grep -q 'A gone: [pF]' "$gone"
cat "$gone"
check "... with the right error" grep -q 'A gone: passed' "$gone"
rm -f "$gone"
lab ssh g1 "killall -q xsocktest; sleep 1"
check_module_leaves g1
