#!/bin/bash
# Proves: between guests a job's TCP connections are reset, refused or walled off, on TCP and on rings; each time they are made anew, and nothing is lost, repeated or damaged.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: trixie-pvh
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

# Above them nobody else listens; mpirun's own connections are spared.
first=20000 last=29999

BROKEN="a TCP connection has broken"
MENDED="connected again at fragment"

# ctl WANT ARGUMENT...: the job's user runs the tool in g1; it is to end with this status.
ctl()
{
	local want=$1 status=0
	shift
	lab ssh mpi@g1 xs-btlctl "$@" || status=$?
	check_equal "xs-btlctl $*" "$want" "$status"
}

# reset_in GUEST: the kernel there ends the job's connections, and tells their other ends.
reset_in()
{
	lab ssh "$1" "for port in sport dport; do
		ss -K -H -t -n state established \"\$port >= :$first and \$port <= :$last\"; done | grep ."
}

# wall_in GUEST -A|-D TARGET...: what is sent from there on the job's connections ends so, or
# does not any more. A reset that the guest sends to itself, in answer, is not meant.
wall_in()
{
	lab ssh "$1" "for ports in --sport --dport; do
		iptables -w $2 OUTPUT ! -o lo -p tcp \$ports $first:$last -j ${*:3} || exit; done"
}

# times GUEST TEXT: how often its rank has said that.
times()
{
	grep -a -c "\[$1:[0-9]*\] btl:xs: .*: $2" "$JOB"
}

# mark: said() is about what comes after this.
declare -A before
mark()
{
	local guest
	for guest in g1 g2; do
		before[$guest $BROKEN]=$(times $guest "$BROKEN")
		before[$guest $MENDED]=$(times $guest "$MENDED")
	done
}

# said TEXT GUEST...: the ranks of all of these have.
said()
{
	local text=$1 guest
	shift
	for guest; do
		[ "$(times "$guest" "$text")" -gt "${before[$guest $text]}" ] || return
	done
}

# anew: asserts that it has been cut for both, and that both are connected again.
anew()
{
	eventually 60 "both have found it broken" said "$BROKEN" g1 g2
	eventually 60 "both are connected again" said "$MENDED" g1 g2
	job_goes_on "the job goes on"
}

# walled SECONDS: asserts that nobody connects again for so long.
walled()
{
	eventually 60 "g1 has found it broken" said "$BROKEN" g1
	sleep "$1"
	check "there is no way" [ "$(times g1 "$MENDED") $(times g2 "$MENDED")" = \
		"${before[g1 $MENDED]} ${before[g2 $MENDED]}" ]
}

on_rings()
{
	eventually 60 "both directions use rings" on_path 2 xs
	job_goes_on "the job goes on over rings"
}

push_btl g1 g2
load_module g1 g2
lab push "$TOP/build/$SUITE/userlib/xs-btlctl" g1:/usr/local/bin || fail "cannot copy xs-btlctl"
# With Open MPI 4.1 connections are not made anew unless the user wants that.
job_begin g1,g2 2 --mca btl_xs_failover 60 --mca btl_tcp_port_min_v4 $first \
	--mca btl_tcp_port_range_v4 $((last - first + 1)) \
	suite --size 262144 random collectives flood sizes
on_rings

ctl 0 --wait 60 hold
eventually 60 "both directions are on TCP" on_path 2 tcp
job_goes_on "the job goes on over TCP"
resets=g1
[ -z "${FULL:-}" ] || resets="g1 g2"
for guest in $resets; do
	mark
	check "$guest resets it" reset_in "$guest"
	anew
done
mark
check "what g1 sends is answered with a reset" wall_in g1 -A REJECT --reject-with tcp-reset
walled 3
check "... not any more" wall_in g1 -D REJECT --reject-with tcp-reset
anew
mark
# Something is on its way by then, and g2 hears nothing.
check "what g1 sends is lost" wall_in g1 -A DROP
sleep 1
check "g1 resets it" reset_in g1
walled 10
check "... not any more" wall_in g1 -D DROP
anew
ctl 0 --wait 60 release

on_rings
mark
path=$(turns)
check "g1 resets it while all goes over rings" reset_in g1
eventually 60 "both have found it broken" said "$BROKEN" g1 g2
job_goes_on "the job goes on over rings alone"
check_equal "no path has changed" "$path" "$(turns)"
ctl 0 --wait 60 hold
eventually 60 "both directions are on TCP" on_path 2 tcp
anew
ctl 0 --wait 60 release

# Rings that are closed while what is left on them has no other way.
on_rings
mark
check "what g1 sends is answered with a reset" wall_in g1 -A REJECT --reject-with tcp-reset
ctl 0 --ranks 0 hold
walled 3
check "... not any more" wall_in g1 -D REJECT --reject-with tcp-reset
anew
eventually 60 "both directions are on TCP" on_path 2 tcp
job_goes_on "the job goes on over TCP"
ctl 0 --ranks 0 release

on_rings
job_end g1
check_equal "as many connections were made again as was said" \
	"$(($(times g1 "$MENDED") + $(times g2 "$MENDED")))" "$(total reconnects)"
check "$(total repeated) fragments were sent again" [ "$(total repeated)" -gt 0 ]
