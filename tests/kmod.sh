# shellcheck shell=bash
# What tests of the kernel module share; sourced after lib.sh. xsocktest runs its
# cases with end A in one guest (transmitter of the first stream) and end B in another.
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

# grant_devices GUEST...: those by which a process grants and maps pages, and sends events.
grant_devices()
{
	local guest
	for guest in "$@"; do
		check "$guest has devices for grants" lab ssh "$guest" modprobe -a xen-gntdev xen-gntalloc xen-evtchn
	done
}

# xsocktest_run NAME...: runs cases or groups of them. Prints the output of end A, and of
# end B with B: before each line; true if both ends are content. XSOCK_ENDS are the two
# guests (g1 g2), XSOCK_MIB is for bulk cases, XSOCK_ROUNDS for hostile ones, XSOCK_SEED and
# XSOCK_CALLS for callfuzz, XSOCK_HYPERCALLS for faults, XSOCK_LIMIT the time in s (300).
xsocktest_run()
{
	local port=$((7000 + RANDOM % 1000)) limit=${XSOCK_LIMIT:-300} a b end output status=0
	read -r a b <<< "${XSOCK_ENDS:-g1 g2}"
	output=$(mktemp)
	lab ssh "$b" "XSOCK_SLOW=$SLOW ${XSOCK_HYPERCALLS:+XSOCK_HYPERCALLS=1} \
		timeout $((limit * SLOW)) /root/xsocktest serve $port" > "$output" 2>&1 &
	end=$!
	lab ssh "$a" "XSOCK_MIB=${XSOCK_MIB:-8} XSOCK_ROUNDS=${XSOCK_ROUNDS:-1} \
		${XSOCK_SEED:+XSOCK_SEED=$XSOCK_SEED} ${XSOCK_CALLS:+XSOCK_CALLS=$XSOCK_CALLS} \
		${XSOCK_HYPERCALLS:+XSOCK_HYPERCALLS=1} XSOCK_SLOW=$SLOW timeout $((limit * SLOW)) \
		/root/xsocktest run 10.77.1.${b#g} $port $*" 2>&1 || status=$?
	wait "$end" || status=$?
	sed 's/^/B: /' "$output"
	rm -f "$output"
	return "$status"
}

# failed_cases: of xsocktest's output, what failed and the assertions that did, in one line.
failed_cases()
{
	grep -a -E '^not ok|^(B: )?# [AB] [a-z0-9-]+: [^ ]*:[0-9]+: ' | tr '\n' ';'
}

# check_xsocktest NAME...: asserts that these cases or groups pass.
check_xsocktest()
{
	local out status=0
	out=$(xsocktest_run "$@") || status=$?
	echo "$out"
	check_equal "$*: no case failed" "" "$(failed_cases <<< "$out")"
	check_equal "$*: xsocktest succeeds" 0 "$status"
	check_equal "$*: as many cases as planned" "$(sed -n 's/^1\.\.//p' <<< "$out")" \
		"$(grep -c '^ok' <<< "$out")"
}

# busy_begin WANT-A WANT-B: sockets between the guests, mapped and not, in both
# directions, busy until something happens to a domain. WANT is the SO_ERROR that
# the end is to find then. Returns when traffic flows.
busy_begin()
{
	local port=$((8000 + RANDOM % 1000))
	BUSY=$(mktemp -d)
	lab ssh g2 "XSOCK_SLOW=$SLOW XSOCK_EXPECT=$2 timeout $((620 * SLOW)) /root/xsocktest serve $port" > "$BUSY/B" 2>&1 &
	lab ssh g1 "XSOCK_SLOW=$SLOW XSOCK_EXPECT=$1 timeout $((620 * SLOW)) /root/xsocktest run 10.77.1.2 $port +busy" > "$BUSY/A" 2>&1 &
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

# held_otherwise BEFORE NOW GUEST...: of what these guests hold more or less. Fewer
# references to grants are none, as in the runner: who has moved has new ones for its
# network and its disk.
held_otherwise()
{
	local before=$1 now=$2 guest
	shift 2
	for guest in "$@"; do
		awk -v guest="$guest" '
			$1 != guest { next }
			FILENAME == "-" { now[$2] = $3; next }
			{ before[$2] = $3 }
			END {
				for (what in before) {
					if (what == "grant-references" && now[what] != "" && now[what] < before[what])
						continue
					if (now[what] != before[what])
						print guest, what ": " before[what] " before, " now[what] " now"
				}
				for (what in now)
					if (!(what in before))
						print guest, what ": " now[what] " now"
			}' <(echo "$before") - <<< "$now"
	done
}

# check_given_back BEFORE GUEST...: asserts that the guests hold what tests/holdings said
# BEFORE, on the hosts $XSOCK_HOSTS (h1). The runner compares, too, but when the module has
# gone.
check_given_back()
{
	local before=$1 guest now otherwise tries
	shift
	for guest in "$@"; do
		check "$guest: it is known what it held" grep -q "^$guest grant-references [0-9]" <<< "$before"
	done
	# What a peer maps is given back some time after that has let go.
	for ((tries = 0; tries < 10 * SLOW; tries++)); do
		# shellcheck disable=SC2086 # a list of hosts
		now=$("$TESTS_DIR/holdings" ${XSOCK_HOSTS:-h1})
		otherwise=$(held_otherwise "$before" "$now" "$@")
		[ -n "$otherwise" ] || break
		sleep 1
	done
	check_equal "$*: all is given back while the module is loaded" "" "$otherwise"
}

# libtest_apart: an upgrade between the guests says at both ends that they are not on
# one host, and leaves the TCP connection as it was.
libtest_apart()
{
	local port=$((7000 + RANDOM % 1000)) server status=0
	lab push "$TOP/build/$SUITE/xen/libtest" g1:/root || return
	lab push "$TOP/build/$SUITE/xen/libtest" g2:/root || return
	lab ssh g2 "timeout $((100 * SLOW)) /root/libtest serve $port apart" &
	server=$!
	lab ssh g1 "timeout $((100 * SLOW)) /root/libtest run 10.77.1.2 $port apart" || status=$?
	wait "$server" || status=$?
	return "$status"
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
