#!/bin/bash
# Proves: a connection under xs-run goes on over TCP when its guest migrates, without a byte lost; new ones move when it is back.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: none
# Limit: 900
# shellcheck disable=SC2016 # what is in single quotes is expanded in the guest
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

# transfer: begins to copy from g2 to g1, without end until told; returns in full flight.
transfer()
{
	lab ssh g1 'rm -f /tmp/sum; timeout 600 /root/xs-run -v socat -u TCP-LISTEN:5000 EXEC:sha256sum > /tmp/sum 2> /tmp/server &
		for i in $(seq 200); do ss -l -t -n | grep -q ":5000 " && exit; sleep 0.1; done; exit 1' || fail "no server"
	lab ssh g2 'rm -f /tmp/stop /tmp/client; head -c 100000 /dev/urandom > /tmp/data
		sh -c "until [ -e /tmp/stop ]; do cat /tmp/data; sleep 0.01; done | tee /tmp/pipe | sha256sum > /tmp/sum" \
			> /dev/null 2>&1 &
		timeout 600 /root/xs-run -v socat -u OPEN:/tmp/pipe TCP:10.77.1.1:5000 > /dev/null 2> /tmp/client &' \
		> /dev/null 2>&1 || fail "no client"
}

# ended: tells it, and asserts that all has arrived; what the client's helper said is in $said.
ended()
{
	lab ssh g2 'touch /tmp/stop; for i in $(seq 600); do grep -q "^xs-run: done" /tmp/client && break; sleep 0.2; done; sleep 1'
	said=$(lab ssh g2 cat /tmp/client)
	printf '%s\n' "$said"
	lab ssh g1 cat /tmp/server
	check_equal "all has arrived" "$(lab ssh g2 cat /tmp/sum)" "$(lab ssh g1 cat /tmp/sum)"
	check "it is a sum" grep -q '^[0-9a-f]\{64\}' <<< "$(lab ssh g1 cat /tmp/sum)"
}

build
for guest in g1 g2; do
	lab push "$MODULE" "$TOP/build/$SUITE/userlib/xs-run" "$TOP/build/$SUITE/userlib/xs-run.so" \
		"$guest:/root" || fail "cannot copy to $guest"
	check "insmod in $guest" lab ssh "$guest" insmod /root/xensocket.ko
done
lab ssh g2 mkfifo /tmp/pipe || fail "no pipe"

transfer
eventually 60 "it is on xensockets" lab ssh g2 'grep -q "^xs-run: connected" /tmp/client'
sleep 3
check "g2 migrates" lab migrate g2 h2
eventually 120 "it is back on TCP" lab ssh g2 'grep -q "^xs-run: back to TCP" /tmp/client'
sleep 3
ended
check "both ways have been used" grep -q 'sent [1-9][0-9]* + [1-9][0-9]*, ' <<< "$said"

transfer
eventually 60 "on another host: TCP" lab ssh g2 'grep -q "^xs-run: on TCP" /tmp/client'
ended

check "g2 comes back" lab migrate g2 h1
# It is left alone for a while by who has been refused.
sleep 31
transfer
eventually 60 "at home: xensockets" lab ssh g2 'grep -q "^xs-run: connected" /tmp/client'
ended
check "to its end" grep -q 'sent [1-9][0-9]* + 0, ' <<< "$said"
