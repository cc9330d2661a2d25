#!/bin/bash
# Proves: a host or guest that does not boot, a QEMU that dies and a taken port are handled.
# Lab: none suite=trixie
# Check: none
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

LAB=$TESTS_DIR/lab/lab
export LAB_NAME=failures-$$ LAB_QUIET=1
helpers=()
trap 'kill "${helpers[@]}" 2> /dev/null; lab down' EXIT

says()
{
	grep -q -- "$1" <<< "$STDERR" || fail "message does not say '$1': $STDERR"
	pass "the message says: $1"
	log=$(sed -n 's/.*(log: \(.*\))$/\1/p' <<< "$STDERR")
	[ -s "$log" ] || fail "the log that it names is not there: $log"
	pass "it names a log"
}

nothing_runs()
{
	check_equal "nothing is left running" "" "$(pgrep -f "/$LAB_NAME/" | tr '\n' ' ')"
}

check_fails "a host with too little memory" 99 env LAB_NO_SNAPSHOT=1 LAB_HOST_MEM=256 "$LAB" up
says "h1 did not boot: .*Not enough RAM for domain 0"
nothing_runs

# QEMU is killed while the host boots.
(
	until pid=$(pgrep -f "^qemu.*/$LAB_NAME/"); do sleep 0.2; done
	sleep 2
	kill -9 "$pid"
) &
helpers+=($!)
check_fails "QEMU dies while booting" 99 env LAB_NO_SNAPSHOT=1 "$LAB" up
says "QEMU of h1 died while booting"
nothing_runs

check "a lab comes up all the same" lab up
check_fails "a guest whose init fails" 99 env LAB_GUEST_ARGS=lab.role=none "$LAB" create g1
says "guest g1 did not boot: LAB-FAILED unknown role .none."
check_fails "a guest that Xen refuses" 99 "$LAB" create g2 --mem 99999
says "boot guest g2 .*: failed: .*"
check_equal "no trace of either in Xen" "Domain-0" "$(lab ssh h1 "xl list | awk 'NR > 1 { print \$1 }'")"
check_equal "no trace of either in the lab" "" "$(lab status | awk '/^g/ { print $1 }')"

# The port is taken when the lab comes up again.
port=$(lab status | sed -n 's/^h1 .*127.0.0.1://p')
lab down
socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" /dev/null &
helpers+=($!)
sleep 1
check "a lab comes up beside a taken port" lab up
other=$(lab status | sed -n 's/^h1 .*127.0.0.1://p')
[ "$other" != "$port" ] || fail "the port is still $port"
check_equal "ssh takes the new one" h1 "$(lab ssh h1 hostname)"

# A second lab beside it; then QEMU of the first dies under way.
check "a second lab runs beside it" env LAB_NAME="$LAB_NAME-2" "$LAB" up
check_equal "both answer" "h1 h1" "$(lab ssh h1 hostname) $(LAB_NAME=$LAB_NAME-2 lab ssh h1 hostname)"
kill -9 "$(lab status | sed -n 's/^h1 .*pid \([0-9]*\).*/\1/p')"
sleep 1
check_fails "a dead QEMU is noticed" 99 "$LAB" ssh h1 true
check_equal "the other lab still answers" h1 "$(LAB_NAME=$LAB_NAME-2 lab ssh h1 hostname)"
check "the dead lab comes up again" lab up
check "down of the second" env LAB_NAME="$LAB_NAME-2" "$LAB" down
lab down
nothing_runs
