#!/bin/bash
# Proves: what is damaged on its way between guests, on a ring or on TCP, is found by its checksum, counted, told as an event and sent again, and the job gets what was sent; without checksums it does not.
# Lab: hosts=1 guests=2 type=pvh suite=trixie
# Check: trixie-pvh
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

# ended: the subscriber has heard of the end of the rank beside it; what the other one says last may
# be lost with a connection. What has been heard is left in $events.
ended()
{
	events=$(lab ssh mpi@g1 cat events)
	grep -q ' MPI_FINALIZE job=[^ ]* rank=0 ' <<< "$events"
}

# found: "RANK HOST PEER HOST TRANSPORT REASON" of what has come damaged, as subscribers are told,
# each once.
found()
{
	sed -n 's/.* MPI_MSG_CORRUPT job=[^ ]* rank=\([^ ]*\) number=[^ ]* host=\([^ ]*\) peer=\([^ ]*\) peer_host=\([^ ]*\) transport=\([^ ]*\) reason=/\1 \2 \3 \4 \5 /p' \
		<<< "$events" | sort -u
}

# mended RANK TRANSPORT: its path there has been given up, and then come back.
mended()
{
	awk -v rank=" rank=$1 " -v way=" transport=$2 " '
		!index($0, rank) || !index($0, way) { next }
		/ MPI_IFACE_DEAD / { dead = 1 }
		/ MPI_IFACE_RESTORED / && dead { back = 1 }
		END { exit !back }' <<< "$events"
}

# damaged TEXT WAYS OPTION...: what is damaged there does a job with checksums no harm; each is counted,
# and told by the rank that has received it.
damaged()
{
	local text=$1 ways=$2 way want=''
	shift 2
	lab ssh mpi@g1 'setsid xs-events --wait > events 2>&1 < /dev/null & echo $! > events.pid'
	job g1,g2 2 --mca btl_xs_checksum 1 "$@" suite --size 262144 --seconds "$seconds" random sizes collectives
	check_equal "$text: the job ends well" 0 "$status"
	check_equal "$text: nothing was lost, repeated or damaged" "" "$(grep -a 'SUITE BAD' <<< "$out")"
	check_equal "$text: all cases were run" 3 "$(grep -a -c '^SUITE ok' <<< "$out")"
	positive corrupt
	check "$text: the user is told" grep -a -q 'was damaged on its way' <<< "$out"
	eventually 60 "$text: its end has been seen" ended
	lab ssh mpi@g1 'xargs kill < events.pid'
	tail -n 30 <<< "$events"
	for way in $ways; do
		want+="0 g1 1 g2 $way checksum"$'\n'"1 g2 0 g1 $way checksum"$'\n'
	done
	check_equal "$text: who has told of what" "$(sort <<< "${want%$'\n'}")" "$(found)"
	for way in $ways; do
		check "$text: rank 0 has $way again" mended 0 "$way"
		check "$text: rank 1 has $way again" mended 1 "$way"
	done
}

seconds=8
[ -z "${FULL:-}" ] || seconds=20
push_btl g1 g2
lab push "$TOP/build/$SUITE/userlib/xs-events" g1:/usr/local/bin || fail "cannot copy xs-events"
load_module g1 g2

damaged "each 300th fragment on rings" xs --mca btl_xs_debug_corrupt 300
positive xs_frags switches fallbacks resent
check_equal "no connection has broken" 0 "$(total reconnects)"

damaged "each 100th fragment over TCP" tcp --mca btl_xs_enable 0 --mca btl_xs_debug_corrupt_tcp 100
positive reconnects repeated
check_equal "there were no rings" 0 "$(total xs_frags)"

if [ -n "${FULL:-}" ]; then
	damaged "now on rings, now over TCP" "xs tcp" --mca btl_xs_debug_flip 3 --mca btl_xs_debug_corrupt 60 \
		--mca btl_xs_debug_corrupt_tcp 60
	positive xs_frags tcp_frags resent reconnects repeated
fi

# They do damage. Each message here is eight bytes, so nothing but data is hit.
job g1,g2 2 --mca btl_xs_debug_corrupt 100 suite --path xs burst
check "without checksums the job gets wrong data" grep -a -q 'SUITE BAD case=burst' <<< "$out"
check "... and fails: status $status" [ "$status" != 0 ]
