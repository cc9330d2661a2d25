# shellcheck shell=bash
# What tests of the kernel module share; sourced after lib.sh. xsocktest runs its
# cases with end A in g1 (transmitter of the first stream) and end B in g2.
# SPDX-License-Identifier: BSD-3-Clause

# SO_ERROR after the event, as xsocktest is to find it. shellcheck cannot see its use.
# shellcheck disable=SC2034
readonly ENETRESET=102 EHOSTDOWN=112

# push_kmod GUEST...: builds the module, loads it and copies its test programs.
push_kmod()
{
	local guest
	build
	for guest in "$@"; do
		lab push "$MODULE" "$TOP/build/$SUITE/xen/xsocktest" "$guest:/root" ||
			fail "cannot copy to $guest"
		lab ssh "$guest" insmod /root/xensocket.ko || fail "insmod in $guest"
	done
}

# xsocktest_run [CASE...]: output of end A, and of end B with B: before each line; true
# if both ends are content.
xsocktest_run()
{
	local port=$((7000 + RANDOM % 1000)) b output status=0
	output=$(mktemp)
	lab ssh g2 "timeout $((300 * SLOW)) /root/xsocktest serve $port" > "$output" 2>&1 &
	b=$!
	lab ssh g1 "timeout $((300 * SLOW)) /root/xsocktest run 10.77.1.2 $port $*" 2>&1 || status=$?
	wait "$b" || status=$?
	sed 's/^/B: /' "$output"
	rm -f "$output"
	return "$status"
}

# busy_begin WANT-A WANT-B: sockets between the guests, mapped and not, in both
# directions, busy until something happens to a domain. WANT is the SO_ERROR that
# the end is to find then. Returns when traffic flows.
busy_begin()
{
	local port=$((8000 + RANDOM % 1000))
	BUSY=$(mktemp -d)
	lab ssh g2 "XSOCK_EXPECT=$2 timeout $((200 * SLOW)) /root/xsocktest serve $port" > "$BUSY/B" 2>&1 &
	lab ssh g1 "XSOCK_EXPECT=$1 timeout $((200 * SLOW)) /root/xsocktest run 10.77.1.2 $port +busy" > "$BUSY/A" 2>&1 &
	eventually 60 "sockets are busy" busy_says begun A B
	sleep 3
}

# busy_says WORD END...: the ends have come so far.
busy_says()
{
	local word=$1 end
	shift
	for end in "$@"; do
		grep -q "$word" "$BUSY/$end" || return 1
	done
}

# busy_end END...: asserts that these ends found what they were to find.
busy_end()
{
	local end tries
	for end in "$@"; do
		for ((tries = 0; tries < 100 * SLOW; tries++)); do
			busy_says "busy: passed" "$end" && break
			busy_says "busy: FAILED" "$end" && break
			sleep 1
		done
		sed "s/^/$end: /" "$BUSY/$end"
		check "end $end: all that was published could be read, then the right error" \
			busy_says "busy: passed" "$end"
	done
	rm -rf "$BUSY"
}

# check_kernel_log GUEST...: asserts that no kernel has complained.
check_kernel_log()
{
	local guest log
	for guest in "$@"; do
		log=$(lab ssh "$guest" dmesg) || fail "$guest does not answer"
		check_equal "$guest: no complaint in the kernel log" "" \
			"$(grep -E 'WARN|BUG|Oops|xensocket|still in use|g\.e\.|Call Trace|xen-balloon.*fail' <<< "$log" |
				grep -v -E 'loading out-of-tree|module verification')"
	done
}

# check_module_leaves GUEST...: asserts that it goes, and that nobody complained.
check_module_leaves()
{
	local guest
	check_kernel_log "$@"
	for guest in "$@"; do
		check "rmmod in $guest" lab ssh "$guest" rmmod xensocket
	done
}
