# shellcheck shell=bash
# What a message costs, in counts that are the same on each machine; sourced after lib.sh and
# btl-host.sh, in a suite that has been prepared. Two processes of this machine: rings are
# shared memory made by tests/btl/fakexen.c, everything above is what runs in guests.
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck disable=SC2154 # "programs" and "out" are those of btl-host.sh

# shared_memory: the transport of Open MPI's own inside one machine.
shared_memory()
{
	[ "$SUITE" = bookworm ] && echo vader || echo sm
}

# component_of BTL[:COMPONENT]: the one that is installed for it.
component_of()
{
	[[ $1 == *:* ]] && echo "${1#*:}" || echo btl-fake
}

# instructions BTL[:COMPONENT] SIZE: "SEND RECEIVE", user instructions of a message in count_send and
# in count_receive of tests/mpi/counts.c. SIZE no more than 200: a larger one of Open MPI's shared
# memory is sent when the receiver has looked, and what would be counted is waiting. The least of
# two jobs' counts: now and then Open MPI looks at its sockets meanwhile, some 500 instructions.
instructions()
{
	local messages=16 log=build/$SUITE/counts-log rank sum least=()
	for _ in 1 2; do
		rm -f "$TOP/$log".*
		BTL=${1%%:*},self job "$(component_of "$1")" 2 --mca mpi_yield_when_idle 0 \
			valgrind --tool=callgrind --toggle-collect=count_send --toggle-collect=count_receive \
			--callgrind-out-file=/dev/null --log-file="/src/$log.%q{OMPI_COMM_WORLD_RANK}" \
			"$programs/counts" --size "$2" --messages "$messages" > /dev/null
		grep -a -q '^COUNTS done' <<< "$out" || { printf '%s\n' "$out" >&2; return 1; }
		for rank in 0 1; do
			sum=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$TOP/$log.$rank")
			[ "${least[rank]:=$sum}" -le "$sum" ] || least[rank]=$sum
		done
	done
	echo $((least[0] / messages)) $((least[1] / messages))
}

# progress BTL PEERS: user instructions of one look of rank 0, connected to so many peers, of
# which one is active, when nothing has come.
progress()
{
	local sum
	BTL=$1,self job btl-fake 1 --mca mpi_yield_when_idle 0 valgrind --tool=callgrind \
		--toggle-collect=count_progress --callgrind-out-file=/dev/null "$programs/counts" : \
		-np "$2" --mca btl "$1,self" --mca mpi_yield_when_idle 0 "$programs/counts" > /dev/null
	grep -a -q '^COUNTS done' <<< "$out" || { printf '%s\n' "$out" >&2; return 1; }
	sum=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<< "$out")
	echo $((sum / 1000))
}

# system_calls BTL SIZE: those of 16000 exchanges, of both ranks together. But for epoll_wait() and,
# in Open MPI 4.1, poll(): a process that waits asks for sockets now and then, and who is slowed
# down by strace in doing so makes the other wait.
system_calls()
{
	local trace=build/$SUITE/counts-trace
	rm -rf "${TOP:?}/$trace"
	mkdir -p "$TOP/$trace"
	BTL=$1,self job btl-fake 2 --mca mpi_yield_when_idle 0 strace -ff --seccomp-bpf \
		-e 'trace=!epoll_wait,epoll_pwait,poll' -o "/src/$trace/rank" \
		"$programs/counts" --size "$2" > /dev/null
	grep -a -q '^COUNTS done' <<< "$out" || { printf '%s\n' "$out" >&2; return 1; }
	cat "$TOP/$trace"/rank.* | awk '
		/^write\(-1, "count_pingpong end/ { inside = 0; seen++ }
		inside { calls++ }
		/^write\(-1, "count_pingpong begin/ { inside = 1 }
		END { if (seen != 2) exit 1; print calls + 0 }'
}

# copied BTL SIZE ARGUMENT...: bytes that are copied a byte sent, by library and kernel, in 2000
# messages of a ping-pong.
copied()
{
	local btl=$1 size=$2
	shift 2
	BTL=$btl,self job btl-fake 2 --mca mpi_yield_when_idle 0 "$@" \
		env LD_PRELOAD="/src/build/$SUITE/bench/copies.so" \
		"$programs/counts" --size "$size" --messages 1 > /dev/null
	grep -a -q '^COUNTS done' <<< "$out" || { printf '%s\n' "$out" >&2; return 1; }
	grep -a -o 'COPIES count_pingpong [0-9]*' <<< "$out" | awk -v size="$size" '
		{ sum += $3 }
		END { if (NR != 2) exit 1; printf "%.2f\n", sum / 2000 / size }'
}

# without_single_copy, single_copy: arguments for Open MPI's shared memory.
without_single_copy()
{
	[ "$SUITE" = bookworm ] && echo --mca btl_vader_single_copy_mechanism none ||
		echo --mca smsc ^cma,knem,xpmem
}

single_copy()
{
	[ "$SUITE" = bookworm ] && echo --mca btl_vader_single_copy_mechanism cma || echo --mca smsc cma
}

# prepare_counts: after prepare.
prepare_counts()
{
	lab chroot make -s -C tests/bench OUT="/src/build/$SUITE/bench" || fail "$SUITE: does not compile"
}

# prepare_without_failover: after prepare; a component that does without what failover needs,
# for "instructions" and "latencies".
prepare_without_failover()
{
	local without=build/$SUITE/without-failover
	lab chroot sh -ec "
		rm -rf $without
		mkdir -p $without
		tar -c btl_xs tests/btl userlib kmod | tar -x -C $without
		patch -s -p1 -d $without < tests/bench/without-failover.patch
		make -s -C $without/tests/btl OUT=/src/$without/out" || fail "$SUITE: does not compile without failover"
	without_failover="without-failover/out"
	# shellcheck disable=SC2034 # for job()
	SOURCE["$without_failover"]=$without/tests/btl
}

# latencies TIMES BTL[:COMPONENT]...: half a round trip of 8 bytes for each of them in turns, so
# often; a line "MEDIAN LEAST MOST" for each, microseconds.
latencies()
{
	local times=$1 of i out
	shift
	local -A seen
	for ((i = 0; i < times; i++)); do
		for of; do
			BTL=${of%%:*},self job "$(component_of "$of")" 2 --mca mpi_yield_when_idle 0 \
				"$programs/speed" --least 8 --most 8 > /dev/null
			seen[$of]+=$(sed -n 's/^mpi,latency,8,.*,//p' <<< "$out")$'\n'
		done
	done
	for of; do
		sort -n <<< "${seen[$of]}" | awk 'NF { v[n++] = $1 }
			END { if (!n) exit 1; print v[int(n / 2)], v[0], v[n - 1] }' || return
	done
}
