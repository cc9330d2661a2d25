#!/bin/bash
# Proves: a busy MPI job, whose largest messages are got with one copy, goes on over TCP when a guest leaves its peer's host, and back on rings when it returns, by xl migrate and by xs-migrate; no ring is offered in vain; and a subscriber in the other guest sees all of it, in order.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: trixie-pvh
# Limit: 2700
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
publish_dom0 h1 h2
push_btl g1 g2
lab push "$TOP/build/$SUITE/userlib/xs-events" g1:/usr/local/bin || fail "cannot copy xs-events"
load_module g1 g2

# seen RANK: "NAME PEER" of each event, in order.
seen()
{
	lab ssh mpi@g1 cat events |
		sed -n "s/^[^ ]* \([A-Z_]*\) job=[^ ]* rank=$1 .* peer=\([^ ]*\) .*/\1 \2/p"
}

has_seen()
{
	[ "$(seen "$1" | tail -n 1)" = "$2" ]
}

lab ssh mpi@g1 'setsid xs-events --wait > events 2>&1 < /dev/null & echo $! > events.pid'
job_begin g1,g2 2 --mca btl_xs_get_size 100000 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
eventually 30 "which is an event of either" has_seen 0 "MPI_IFACE_RESTORED 1"
eventually 30 "... and of the other" has_seen 1 "MPI_IFACE_RESTORED 0"
travel g2 xl_migrate xs_migrate
prepared='' meetings=1
if [ -n "${FULL:-}" ]; then
	# Prepared: there are no rings to be revoked, and the guest's own order is certain.
	check "g2's ranks prepare" lab ssh mpi@g1 xs-events --throw NODE_MIGRATE --host g2 --timeout 60
	apart xl_migrate g2 h1 h2
	check "they are released" lab ssh mpi@g1 xs-events --throw JOB_RESUME
	together xl_migrate g2 h2 h1
	prepared=yes meetings=2
fi
ended=$(stays)
job_end g1
positive gets
eventually 30 "the end has been seen" has_seen 0 "MPI_FINALIZE -"
lab ssh mpi@g1 'xargs kill < events.pid; cat events'

zero=$'MPI_INIT -\nMPI_IFACE_RESTORED 1\nMPI_IFACE_DEAD 1\nMPI_IFACE_RESTORED 1'
one=$'MPI_INIT -\nMPI_IFACE_RESTORED 0\nMPI_IFACE_DEAD 0\nMPI_IFACE_RESTORED 0'
if [ -n "$prepared" ]; then
	zero+=$'\nMPI_IFACE_DEAD 1\nJOB_RESUME -\nMPI_IFACE_RESTORED 1'
	one+=$'\nNODE_MIGRATE -\nMPI_IFACE_DEAD 0\nXS_QUIESCED -\nJOB_RESUME -\nXS_RESUMED -\nMPI_IFACE_RESTORED 0'
fi
check_equal "what rank 0 has told" "$zero"$'\nMPI_FINALIZE -' "$(seen 0)"
# Who has been suspended finds its ring revoked, or hears that it has arrived, first. That it
# ends may come too late: rank 0, which tells it, ends too.
check_equal "what rank 1 has told" "$one" "$(seen 1 | grep -v 'MPI_NODE_MIGRATE_DONE\|MPI_FINALIZE')"
check_equal "it has arrived each time" $((${prepared:+2} + 2)) "$(seen 1 | grep -c MPI_NODE_MIGRATE_DONE)"
check_equal "nothing was lost" "" "$(lab ssh mpi@g1 grep XS_EVENTS_LOST events)"
check_stays "$ended" xs $((2 * meetings)) 10
check_stays "$ended" tcp $((2 * meetings)) 10
# They know their hosts: nobody tries to reach one who is elsewhere, not even once.
check_equal "a ring each way for each meeting" $((2 * (meetings + 1))) "$(total probes)"
check_equal "none was refused" 0 "$(total refusals)"
