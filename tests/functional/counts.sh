#!/bin/bash
# Proves: between guests that poll, a message costs no notification and no system call; to wake a process that sleeps costs one notification.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: trixie-pvh
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2
load_module g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/mpi/counts" "$TOP/build/$SUITE/bench/transports" "$guest:/usr/local/bin" ||
		fail "cannot copy to $guest"
done

# counted NAME: what the module has counted during the ping-pong, in both guests.
counted()
{
	grep -a -o "^MODULE rank [01] count_pingpong.*" <<< "$out" | grep -o "\<$1=[0-9]*" |
		awk -F= '{ sum += $2 } END { if (NR != 2) print "unknown"; else print sum }'
}

# calls GUEST PART: system calls of the part that strace has seen there, "NAME NUMBER".
calls()
{
	# shellcheck disable=SC2016 # expanded by awk
	lab ssh "$1" 'cat /tmp/calls.*' | awk -v part="$2" '
		$0 ~ "^write\\(-1, \"" part " end" { inside = 0; ends++ }
		inside && /^[a-z0-9_]+\(/ { sub(/\(.*/, ""); calls[$0]++ }
		$0 ~ "^write\\(-1, \"" part " begin" { inside = 1 }
		END {
			if (ends != 1) print "unknown", ends + 0
			for (name in calls) print name, calls[name]
		}' | sort
}

sizes=(8 4096 524288)
[ -z "${FULL:-}" ] || sizes=(8 512 4096 65536 524288)
# Of 2000 messages: notifications, and questions whether the peer is there. Both are hypercalls.
for size in "${sizes[@]}"; do
	job g1,g2 2 --mca mpi_yield_when_idle 0 counts --size "$size" --messages 1
	check_equal "ping-pong of $size bytes" 0 "$status"
	grep -a "^MODULE" <<< "$out"
	check_equal "notifications in 2000 messages of $size bytes" 0 "$(counted sent)"
	printf "hypercalls: %8d %14d %14d\n" "$size" "$(counted sent)" "$(counted status)"
done

# With arrivals announced by the kernel they are not 0: so they are counted.
job g1,g2 2 --mca btl_xs_progress event counts --size 8 --messages 1
grep -a '^MODULE' <<< "$out"
check "with arrivals announced 2000 messages cost notifications: $(counted sent)" [ "$(counted sent)" -gt 0 ]

# But for the clock, which here is a system call, and for looks at sockets, which Open MPI 4.1 has
# by poll(): Open MPI has both while it waits, and who is slowed down by strace in doing so makes
# the other wait.
job g1,g2 2 --mca mpi_yield_when_idle 0 strace -ff --seccomp-bpf \
	-e "'trace=!clock_gettime,epoll_wait,epoll_pwait,poll'" -o /tmp/calls counts --size 8 --messages 2
check_equal "ping-pong under strace" 0 "$status"
for guest in g1 g2; do
	busy=$(calls "$guest" count_pingpong)
	printf '%s: system calls in 4000 messages: %s\n' "$guest" "${busy:-none}"
	# shellcheck disable=SC2016 # expanded by awk
	check "$guest: no more than a hundredth of one a message" \
		awk '{ n += $2 } /unknown/ { n = 1000 } END { exit !(n <= 40) }' <<< "$busy"
	check "$guest: the same trace shows those of its start" [ "$(lab ssh "$guest" 'cat /tmp/calls.*' | grep -c '^[a-z]')" -gt 1000 ]
done

lab ssh g2 "timeout 120 transports serve 7100" &
server=$!
woken=$(lab ssh g1 "timeout 120 transports wake 10.77.1.2 7100")
check "the waking ends well" wait "$server"
echo "$woken"
check_equal "notifications to wake who sleeps at a mapped ring" 1.0000 \
	"$(sed -n 's/^ring,wake,.*,//p' <<< "$woken")"
echo "It uses $(awk -F, '/^ring,wake/ { print $6 }' <<< "$woken") % of a processor meanwhile, for one message each half second"
