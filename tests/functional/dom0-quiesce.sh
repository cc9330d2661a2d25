#!/bin/bash
# Proves: dom0 and a guest's module agree through xenstore on quiesce, release and the host's identity, whatever is written there.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 1200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"
. "$(dirname "$0")/../dom0.sh"

# node NAME; set_node NAME VALUE: of the guest, in xenstore, seen from dom0.
node()
{
	lab ssh h1 "xenstore-read /local/domain/$domid/data/xensocket/$1 2> /dev/null"
}

set_node()
{
	lab ssh h1 "xenstore-write /local/domain/$domid/data/xensocket/$1 '$2'"
}

node_is()
{
	[ "$(node "$1")" = "$2" ]
}

# fails STATUS WORDS COMMAND: in dom0.
fails()
{
	local status=0
	out=$(lab ssh h1 "$3" 2>&1) || status=$?
	echo "$out"
	check_equal "$3: status" "$1" "$status"
	[[ $out = *$2* ]] || fail "$3 does not say '$2'"
	pass "it says: $2"
}

push_dom0 h1
domid=$(lab ssh h1 xl domid g1)
fails 1 "there is no domain 'nobody'" "xs-migrate nobody h9"
fails 1 "there is no domain '4711'" "xs-save 4711 /tmp/file"
fails 2 "which domain?" "xs-migrate --require"
fails 2 "--wait wants a number" "xs-migrate --wait soon g1 h9"
fails 2 "unknown argument" "xs-hostid --pulbish"
for command in migrate save restore hostid; do
	check "xs-$command --help" lab ssh h1 "xs-$command --help | grep -q ^Usage:"
done
fails 1 "has no xensocket module" "xs-migrate -s false g1 h9"

push_kmod g1
build
lab push "$TOP/build/$SUITE/userlib/xsctl" g1:/root || fail "cannot copy xsctl"
eventually 10 "the module says that it is there" node_is version 1

# A migration that does not come to be: what stands for ssh waits, then fails.
lab ssh h1 'cat > /root/slow && chmod +x /root/slow' <<- 'END'
	#!/bin/sh
	until [ -e /tmp/go ]; do sleep 0.1; done
	exit 1
END
epoch=$(says g1 epoch)
lab ssh h1 "rm -f /tmp/go; xs-migrate -s /root/slow g1 h9" &
migration=$!
quiesced()
{
	[ "$(says g1 state)" = quiesced ]
}
eventually 20 "the guest is quiesced while xl migrate runs" quiesced
check_equal "by the host" host "$(says g1 holders)"
fails 1 "is being moved or saved already" "xs-save g1 /root/no"
check_equal "which changes nothing" "quiesced host" "$(says g1 state) $(says g1 holders)"
check_equal "the epoch has risen" $((epoch + 1)) "$(says g1 epoch)"
check "the user may want it too" xsctl g1 quiesce
check_equal "both" user,host "$(says g1 holders)"
lab ssh h1 touch /tmp/go
status=0
wait "$migration" || status=$?
[ "$status" != 0 ] || fail "a failed migration is reported as done"
pass "the failure of xl migrate is handed on (status $status)"
held()
{
	[ "$(says g1 holders)" = "$1" ]
}
eventually 10 "then the host lets go" held user
check_equal "the user does not" quiesced "$(says g1 state)"
check "until asked" xsctl g1 release
check_equal "now it runs" "running nobody" "$(says g1 state) $(says g1 holders)"
check_equal "the epoch has risen once more" $((epoch + 2)) "$(says g1 epoch)"

# A guest that does not answer.
lab ssh h1 xl pause g1
fails 3 "nothing has been done" "xs-migrate --wait 1 --require -s false g1 h9"
fails 1 "going on without" "xs-migrate --wait 1 -s false g1 h9"
lab ssh h1 xl unpause g1
eventually 10 "it hears of all requests at once" held nobody

# Nobody releases.
set_node request "quiesce 77 3"
eventually 10 "asked by hand" node_is answer "77 quiesced"
eventually 20 "after the time it lets go" node_is answer "77 running"

# Whatever may be written there.
set_node request "quiesce 78 60"
eventually 10 "held" node_is answer "78 quiesced"
words=(quiesce "quiesce 79" "quiesce 79 0" "quiesce 79 86401" "quiesce 79 -1" "quiesce 79 5 5"
	"quiesce x 5" release "release x" "release 79 1" "Release 79" "%s%s%n" "$(printf '%01000d' 0)")
printf '%s\n' "${words[@]}" | lab ssh h1 "cat > /tmp/words"
# shellcheck disable=SC2016 # expanded in dom0
out=$(lab ssh h1 "cd /; dir=/local/domain/$domid/data/xensocket"'
	while read -r word; do
		xenstore-write "$dir/answer" "" && xenstore-write "$dir/request" "$word"
		n=0
		until [ "$(xenstore-read "$dir/answer")" = invalid ] || [ "$n" = 200 ]; do
			sleep 0.1
			n=$((n + 1))
		done
		[ "$n" = 200 ] || echo invalid
	done < /tmp/words | wc -l')
check_equal "what is no request is called invalid" "${#words[@]}" "$out"
check_equal "nothing of that has released it" host "$(says g1 holders)"
for word in ./0123-456 "$(printf '%02000d' 0)" "$(printf '%036d' 0)"; do
	set_node host "$word"
done
check_equal "that is no host" unknown "$(says g1 host)"
set_node request "release 80"
eventually 10 "released" node_is answer "80 running"
lab ssh h1 "xenstore-rm /local/domain/$domid/data/xensocket"
set_node request "quiesce 81 60"
eventually 10 "held once more" node_is answer "81 quiesced"
lab ssh h1 "xenstore-rm /local/domain/$domid/data/xensocket/request"
eventually 10 "without a request it runs" held nobody

# A process of the guest's writes all the time.
# shellcheck disable=SC2016 # expanded in the guest
lab ssh g1 'n=1000
	while [ "$n" -lt 1200 ]; do
		xenstore-write data/xensocket/request "quiesce $n 60" data/xensocket/host "$n"
		xenstore-write data/xensocket/request "release $n" data/xensocket/answer "$n"
		n=$((n + 1))
	done' || fail "the guest cannot write"
eventually 20 "then it runs" held nobody
set_node request "quiesce 82 60"
eventually 10 "and obeys the next" node_is answer "82 quiesced"
set_node request "release 82"
eventually 10 "... and the one after it" node_is answer "82 running"

id=$(lab ssh h1 xs-hostid)
check_equal "the host's identity is always the same" "$id" "$(lab ssh h1 xs-hostid)"
check "dom0 tells it" lab ssh h1 xs-hostid --publish
check_equal "the guest knows it" "$id" "$(says g1 host)"

# A new epoch and the host come together: who looks at the one sees the other.
epoch=$(($(says g1 epoch) + 1))
lab ssh g1 '/root/xsctl watch > /tmp/changes 2>&1 < /dev/null & echo $! > /tmp/watcher'
check "xl save -c" lab ssh h1 xl save -c g1 /dev/null
knows()
{
	[ "$(says g1 epoch) $(says g1 host)" = "$epoch $id" ]
}
eventually 10 "after a suspend the guest knows it, too" knows
# shellcheck disable=SC2016 # expanded in the guest
lab ssh g1 'kill $(cat /tmp/watcher); while pgrep -x xsctl > /dev/null; do sleep 0.1; done; cat /tmp/changes'
check_equal "which is one change" 1 "$(lab ssh g1 "grep -c '^epoch $epoch ' /tmp/changes")"
epoch=$(says g1 epoch)
check "xs-save(8): -c, with a configuration" lab ssh h1 'sed "s/lab.role=/lab.saved=yes &/" /etc/xen/g1.cfg > /root/g1.cfg &&
	xs-save -c g1 /var/lib/xen/g1.save /root/g1.cfg'
check "it is released" [ "$(says g1 state) $(says g1 holders)" = "running nobody" ]
check "and was quiesced, saved, released" [ "$(says g1 epoch)" -ge $((epoch + 3)) ]
check_equal "the configuration is saved" lab.saved=yes "$(lab ssh h1 'head -c 65536 /var/lib/xen/g1.save | grep -a -o -m 1 lab.saved=yes; rm /var/lib/xen/g1.save')"
check_module_leaves g1
check_equal "without module, no word of it" "" "$(node version)$(node answer)"

# What was asked of that one is not asked of the next.
set_node request "quiesce 83 60"
check "the module is loaded again" lab ssh g1 insmod /root/xensocket.ko
eventually 10 "it says that it is there" node_is version 1
check_equal "nobody holds it" "running nobody" "$(says g1 state) $(says g1 holders)"
check_equal "the request is gone" "" "$(node request)"
check_module_leaves g1

# What a guest writes there is read by a shell in dom0.
# shellcheck disable=SC2016 # nobody is to expand them
for word in '$(touch /tmp/taken)' '`touch /tmp/taken`' '; touch /tmp/taken' '"; touch /tmp/taken' '*' -n \
	'1 quiesced' "$(printf '%01000d' 0)"; do
	printf '%s\n' "$word" | lab ssh g1 'read -r word
		xenstore-write -- data/xensocket/version "$word" &&
		xenstore-write -- data/xensocket/answer "$word"' || fail "the guest cannot write '$word'"
	lab ssh h1 "rm -f /tmp/taken"
	fails 3 "nothing has been done" "xs-migrate --wait 1 --require -s false g1 h9"
	check "dom0 has not obeyed" lab ssh h1 "[ ! -e /tmp/taken ]"
done
lab ssh h1 "xenstore-rm /local/domain/$domid/data/xensocket"

type=$(lab ssh h1 "xl list -l g1" | sed -n 's/.*"type": "\(pvh\|pv\)".*/\1/p' | head -n 1)
lab destroy g1
check "g1 starts anew" lab create g1 --type "$type"
domid=$(lab ssh h1 xl domid g1)
push_kmod g1
lab push "$TOP/build/$SUITE/userlib/xsctl" g1:/root || fail "cannot copy xsctl"
knows_host()
{
	[ "$(says g1 host)" = "$id" ]
}
eventually 10 "a guest that starts knows it by the hotplug script" knows_host
check "and it has its network" lab ssh g1 true
check_module_leaves g1
