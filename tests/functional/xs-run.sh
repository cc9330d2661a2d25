#!/bin/bash
# Proves: redis, iperf3 and other programs, unchanged, talk over xensockets between two guests under xs-run, and go on over TCP when those are cut off.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 600
# shellcheck disable=SC2016 # what is in single quotes is expanded in the guest
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

# serve PORT PROGRAM...: in g1, under xs-run unless RUN is empty, until served.
RUN="/root/xs-run -v"
serve()
{
	local port=$1
	shift
	lab ssh g1 "rm -f /tmp/server /tmp/got; timeout 200 $RUN $* > /tmp/server 2>&1 & echo \$! > /tmp/server.pid
		for i in \$(seq 200); do ss -l -t -n | grep -q ':$port ' && exit; sleep 0.1; done; exit 1" ||
		fail "no server: $*"
}

# served: ends it, and leaves what its helper has said in $said.
served()
{
	lab ssh g1 'kill "$(cat /tmp/server.pid)"; while pgrep -x xs-run > /dev/null; do sleep 0.1; done' 2> /dev/null
	said=$(lab ssh g1 cat /tmp/server)
	printf '%s\n' "$said"
}

# call PROGRAM...: in g2, likewise; its output is left in $called.
call()
{
	called=$(lab ssh g2 "timeout 200 $RUN $*" 2>&1) || { echo "$called"; fail "g2: $*"; }
	printf '%s\n' "$called"
}

moved()
{
	[ "$(grep -c "^xs-run: $1: " <<< "$2")" -ge "$3" ]
}

redis()
{
	serve 6379 redis-server --bind 10.77.1.1 --protected-mode no --save "''" --appendonly no
	call redis-benchmark -h 10.77.1.1 -c 5 -n 500 -d 1000 -t set,get -q --csv
	check_equal "redis answers" value \
		"$(lab ssh g2 "$RUN redis-cli -h 10.77.1.1 set key value > /dev/null; redis-cli -h 10.77.1.1 get key" 2> /dev/null)"
	served
}

build
for guest in g1 g2; do
	lab push "$MODULE" "$TOP/build/$SUITE/userlib/xs-run" "$TOP/build/$SUITE/userlib/xs-run.so" \
		"$TOP/build/$SUITE/userlib/xsctl" "$guest:/root" || fail "cannot copy to $guest"
done

RUN='' redis
echo "redis over TCP: $(grep -a 'SET\|GET' <<< "$called")"
redis
check "without the module all of it is TCP" test -z "$(grep 'xs-run: \(connected\|accepted\)' <<< "$called$said")"

for guest in g1 g2; do
	check "insmod in $guest" lab ssh "$guest" insmod /root/xensocket.ko
done
redis
echo "redis over xensockets: $(grep -a 'SET\|GET' <<< "$called")"
check "the server's helper saw redis-benchmark and redis-cli" moved accepted "$said" 6
check "so did the client's" moved connected "$called" 5
check "nothing went over TCP" test -z "$(grep 'xs-run: \(on TCP\|back\|lost\)' <<< "$called$said")"

for way in "" -R; do
	serve 5201 iperf3 -s -1
	call iperf3 -c 10.77.1.1 -n 8M $way
	served
	check "iperf3 $way: two connections over xensockets" moved connected "$called" 2
	check "... all bytes of it" grep -qE 'done: .*(sent|received) 8[0-9]{6} \+ 0' <<< "$called"
done

# Only one end has it.
serve 5201 iperf3 -s -1
RUN='' call iperf3 -c 10.77.1.1 -n 1M
served
check "a foreign client is served" test -z "$(grep 'xs-run: accepted' <<< "$said")"
RUN='' serve 5201 iperf3 -s -1
call iperf3 -c 10.77.1.1 -n 1M
served
check "a foreign server serves" grep -q 'on TCP: 10.77.1.1:5201: nobody answers there' <<< "$called"

# Cut off in the middle, by either end; what is checked is the content.
for guest in g1 g2; do
	lab ssh g2 'head -c 3000000 /dev/urandom > /tmp/data; rm -f /tmp/go'
	serve 5000 socat -u TCP-LISTEN:5000 OPEN:/tmp/got,creat
	lab ssh g2 "{ cat /tmp/data; until [ -e /tmp/go ]; do sleep 0.1; done; cat /tmp/data; } |
		timeout 200 $RUN socat -u - TCP:10.77.1.1:5000" > "$TOP/build/xs-run-client" 2>&1 &
	client=$!
	eventually 60 "half of it is there" lab ssh g1 '[ "$(stat -c %s /tmp/got)" = 3000000 ]'
	check "$guest cuts off" lab ssh "$guest" '/root/xsctl --wait 20 quiesce && /root/xsctl release && /root/xsctl status'
	lab ssh g2 touch /tmp/go
	check "the client ends well" wait $client
	served
	cat "$TOP/build/xs-run-client"
	check "one half over xensockets, one over TCP" grep -q 'received 3000000 + 3000000 bytes' <<< "$said"
	check_equal "all has arrived" "$(lab ssh g2 'cat /tmp/data /tmp/data | sha256sum')" \
		"$(lab ssh g1 'sha256sum < /tmp/got')"
	# In full flight.
	serve 5201 iperf3 -s -1
	lab ssh "$guest" 'sleep 4; /root/xsctl --wait 20 quiesce && /root/xsctl release' &
	call iperf3 -c 10.77.1.1 -t 8
	check "$guest has cut off" wait $!
	served
	check "busy: back to TCP" moved 'back to TCP' "$called" 1
	check "busy: nothing was lost" test -z "$(grep 'lost:' <<< "$called$said")"
done
rm -f "$TOP/build/xs-run-client"
