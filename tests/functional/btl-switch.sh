#!/bin/bash
# Proves: a migration in the middle of the switch to a ring, of the guest that offers one or of the guest that is offered one, leaves the job on TCP and able to switch again.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

# rank GUEST SIGNAL: sends a signal to the rank there: STOP or CONT.
rank()
{
	lab ssh "$1" "kill -$2 \$(pgrep -x suite)" || fail "no rank in $1"
}

# has_offered GUEST: the newest that its rank has said is that it has offered a ring.
has_offered()
{
	[ "$(turns | awk -v from="^$1:" '$1 ~ from { path = $3 } END { print path }')" = offered ]
}

# has_taken_up GUEST: it has connected to a ring.
has_taken_up()
{
	xsctl "$1" list | grep -q '^ *rx .* open '
}

push_btl g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/userlib/xsctl" "$guest:/root" || fail "cannot copy xsctl"
done
load_module g1
job_begin g1,g2 2 suite --size 65536 random collectives

# g2 offers a ring and does not hear that it has been taken up before it leaves.
rank g1 STOP
load_module g2
eventually 30 "g2 offers a ring" has_offered g2
rank g2 STOP
rank g1 CONT
eventually 30 "g1 takes it up" has_taken_up g1
check "g2 leaves" lab migrate g2 h2
check "it has heard nothing" has_offered g2
rank g2 CONT
eventually 30 "both directions are on TCP" on_path 2 tcp
job_goes_on "the job goes on"
together lab migrate g2 h1
# Nobody was on a ring yet when it left, or g2 was for a moment: the answer may have come along.
first=$(stays | wc -l)

# g1 offers a ring, and g2 does not see the offer before it has left.
check "g1 is quiesced" xsctl g1 quiesce --wait 60
eventually 30 "both directions are on TCP" on_path 2 tcp
rank g2 STOP
check "g1 is released" xsctl g1 release
eventually 30 "g1 offers a ring" has_offered g1
check "g2 leaves" lab migrate g2 h2
check "nobody has answered" has_offered g1
rank g2 CONT
eventually 30 "both directions are on TCP" on_path 2 tcp
job_goes_on "the job goes on"
together lab migrate g2 h1
ended=$(stays | tail -n +$((first + 1)))
job_end g1
check_stays "$ended" xs 2 10
check_stays "$ended" tcp 2 10
