#!/bin/bash
# Proves: between guests that poll, a message costs no notification and no system call; to wake a process that sleeps costs one notification.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: none
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

for size in 8 4096; do
	job g1,g2 2 --mca mpi_yield_when_idle 0 counts --size $size --messages 2
	check_equal "ping-pong of $size bytes" 0 "$status"
	grep -a '^MODULE' <<< "$out"
	check_equal "notifications of 4000 messages of $size bytes" 0 "$(counted sent)"
	echo "questions whether the peer is there, which are by time: $(counted status)"
done

# With arrivals announced by the kernel they are not 0: so they are counted.
job g1,g2 2 --mca btl_xs_progress event counts --size 8 --messages 1
grep -a '^MODULE' <<< "$out"
check "with arrivals announced 2000 messages cost notifications: $(counted sent)" [ "$(counted sent)" -gt 0 ]

# All that MPI does of itself while it waits and nothing comes (its clock, a look at sockets
# now and then) is the same with and without messages.
job g1,g2 2 --mca mpi_yield_when_idle 0 strace -ff -o /tmp/calls counts --size 8 --messages 1
check_equal "ping-pong under strace" 0 "$status"
idle=$(calls g1 count_progress)
printf 'System calls of 1000 looks when nothing comes:\n%s\n' "$idle"
check "they were seen" grep -q -v unknown <<< "$idle"
for guest in g1 g2; do
	busy=$(calls "$guest" count_pingpong)
	printf '%s: system calls of 2000 messages:\n%s\n' "$guest" "$busy"
	check_equal "$guest: no system call that an idle process does not make, too" "" \
		"$(cut -d' ' -f1 <<< "$busy" | grep -v -x -F "$(cut -d' ' -f1 <<< "$idle")")"
	check_equal "$guest: none of those that move data or wake" "" \
		"$(grep -E '^(ioctl|read|readv|recv|write|writev|send|futex|unknown)' <<< "$busy")"
done

lab ssh g2 "timeout 120 transports serve 7100" &
server=$!
woken=$(lab ssh g1 "timeout 120 transports wake 10.77.1.2 7100")
check "the waking ends well" wait "$server"
echo "$woken"
check_equal "notifications to wake who sleeps at a mapped ring" 1.0000 \
	"$(sed -n 's/^ring,wake,.*,//p' <<< "$woken")"
echo "It uses $(awk -F, '/^ring,wake/ { print $6 }' <<< "$woken") % of a processor meanwhile, for one message each half second"
