#!/bin/bash
# Proves: after any of migration, save, quiesce, kill, reload and random calls, in any order, bytes are right, nothing is held, no kernel complains.
# Lab: hosts=2 guests=2 type=pvh suite=trixie
# Limit: 3000
# SPDX-License-Identifier: BSD-3-Clause

# One round has each kind of step once, in an order, with guests and by ways that the seed
# decides. With FULL=1 a round; else the first five steps of one that has one migration among
# them. SOAK_SECONDS=N: rounds until so much time has passed (tests/soak); SOAK_SEED=N: the seed.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"
. "$(dirname "$0")/../dom0.sh"

KINDS=(leave leave-xs save checkpoint quiesce kill reload streams calls)
XSOCK_HOSTS="h1 h2"
most=
[ -n "${FULL:-}${SOAK_SECONDS:-}" ] || most=5
seed=${SOAK_SEED:-${most:+517}}
seed=${seed:-1}
state=$((10#$seed))
host=h1

# draw N: leaves a number below N in $drawn. Not $RANDOM, which others use, too.
draw()
{
	state=$(((state * 1103515245 + 12345) & 0x7fffffff))
	# The upper half: the lowest bits repeat soon.
	drawn=$(((state >> 16) % $1))
}

# draw_guest: leaves one in $guest, the other one in $other.
draw_guest()
{
	draw 2
	guest=g$((drawn + 1)) other=g$((2 - drawn))
}

# shuffled: leaves all kinds in $order.
shuffled()
{
	local left=("${KINDS[@]}")
	order=()
	while [ ${#left[@]} -gt 0 ]; do
		draw ${#left[@]}
		order+=("${left[drawn]}")
		unset "left[drawn]"
		left=("${left[@]}")
	done
}

# away: the host where nobody is.
away()
{
	[ "$host" = h1 ] && echo h2 || echo h1
}

# migrate WAY GUEST FROM TO
migrate()
{
	if [ "$1" = xs ]; then
		check "xs-migrate $2 $4" lab ssh "$3" \
			xs-migrate --require --wait 60 -s /usr/lib/lab/migrate-send "$2" "$4"
		# Where nobody has asked for anything, it lets go of what was asked for.
		eventually 30 "$2 runs there" state_is "$2" running
	else
		check "xl migrate $2 $4" lab migrate "$2" "$4"
	fi
}

state_is()
{
	[ "$(says "$1" state)" = "$2" ]
}

# A guest goes while its sockets are busy; then it comes back, or the other one follows.
step_leave()
{
	local way=${1:-xl} to
	to=$(away)
	busy_begin $ENETRESET $ENETRESET
	migrate "$way" "$guest" "$host" "$to"
	busy_end A B
	check "on two hosts both ends find that out" libtest_apart
	draw 2
	if [ "$drawn" = 0 ]; then
		migrate "$way" "$guest" "$to" "$host"
	else
		migrate "$way" "$other" "$host" "$to"
		host=$to
	fi
}

step_leave-xs()
{
	step_leave xs
}

step_save()
{
	busy_begin $ENETRESET $ENETRESET
	check "xl save $guest" lab save "$guest"
	check "xl restore $guest" lab restore "$guest" "$host"
	lab ssh "$host" "rm -f /var/lib/xen/$guest.save"
	busy_end A B
}

step_checkpoint()
{
	busy_begin $ENETRESET $ENETRESET
	check "xl save -c $guest" lab ssh "$host" "xl save -c $guest /dev/null"
	busy_end A B
}

step_quiesce()
{
	busy_begin $ENETRESET $ENETRESET
	check "xsctl quiesce in $guest" xsctl "$guest" quiesce
	busy_end A B
	eventually 30 "$guest is quiesced" state_is "$guest" quiesced
	check "xsctl release in $guest" xsctl "$guest" release
}

# What error the survivor gets depends on what was unread: that its sockets end, and what they
# have read, is looked at.
step_kill()
{
	local end=A
	[ "$other" = g1 ] || end=B
	busy_begin 0 0
	check "SIGKILL in $guest" lab ssh "$guest" killall -9 xsocktest
	eventually 60 "all sockets of $other have ended" all_ended "$end"
	eventually 30 "nobody holds them" idle "$other"
	sed "s/^/$end: /" "$BUSY/$end"
	check_equal "no byte was wrong, and none missing" "" "$(grep -E 'byte [0-9]+ is |tx->prod' "$BUSY/$end")"
	rm -rf "$BUSY"
}

# all_ended END: as many as +busy makes.
all_ended()
{
	[ "$(grep -c 'of silence$' "$BUSY/$1")" = 6 ]
}

idle()
{
	[ "$(lab ssh "$1" 'pgrep -x xsocktest || echo nobody')" = nobody ]
}

step_reload()
{
	check "rmmod in $guest" lab ssh "$guest" rmmod xensocket
	check "insmod in $guest" lab ssh "$guest" insmod /root/xensocket.ko
}

step_streams()
{
	XSOCK_ENDS="$guest $other" XSOCK_MIB=2 check_xsocktest bulk
}

step_calls()
{
	draw 10000
	# shellcheck disable=SC2097,SC2098 # for xsocktest_run
	XSOCK_ENDS="$guest $other" XSOCK_SEED=$drawn XSOCK_CALLS=600 check_xsocktest +callfuzz
}

# What is to be the case between any two steps.
nothing_wrong()
{
	check "fresh sockets work" xsocktest_run stream
	check_given_back "$before" g1 g2
	check_equal "no guest's kernel complains" "" "$("$TESTS_DIR/reports" g1 g2)"
	# shellcheck disable=SC2086 # a list of hosts
	check_equal "no host's kernel does" "" "$("$TESTS_DIR/reports" $XSOCK_HOSTS)"
}

echo "seed $seed"
push_dom0 h1 h2
publish_dom0 h1 h2
push_kmod g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/userlib/xsctl" "$guest:/root" || fail "cannot copy xsctl"
done
# shellcheck disable=SC2086 # a list of hosts
before=$("$TESTS_DIR/holdings" $XSOCK_HOSTS)
echo "$before"
nothing_wrong

steps=0
while :; do
	shuffled
	for kind in "${order[@]}"; do
		draw_guest
		steps=$((steps + 1))
		echo "== $SECONDS s, step $steps: $kind, $guest on $host"
		"step_$kind"
		nothing_wrong
		[ "$steps" != "$most" ] || break 2
		[ -z "${SOAK_SECONDS:-}" ] || [ "$SECONDS" -lt "$SOAK_SECONDS" ] || break 2
	done
	[ -n "${SOAK_SECONDS:-}" ] || break
done
pass "$steps steps, seed $seed"
check_module_leaves g1 g2
