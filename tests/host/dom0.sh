#!/bin/bash
# Proves: the commands for dom0 quiesce and release the right domain, whatever xl, the guest and signals do, above a xenstore that is played.
# Lab: none
# Limit: 300
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

work=$(mktemp -d)
cd "$work" || exit
guest=
trap '[ -z "$guest" ] || kill "$guest"; rm -rf "$work"' EXIT
make -s -C "$TOP" install-dom0 DESTDIR="$work/root" || fail "cannot install the commands"
sed -i "s,/usr/lib/xensocket/,$work/root&,; s,:/usr/sbin:,:$work/stubs:$work/root/usr/sbin:,; s,/run/xensocket-,$work/run-,; s,/etc/xen/xensocket.conf,$work/conf," \
	root/usr/sbin/* root/usr/lib/xensocket/functions root/etc/xen/scripts/vif-xensocket
export PATH=$work/stubs:$work/root/usr/sbin:$PATH WORK=$work
store=$work/store/local/domain
mkdir stubs "$work/store"

# Xenstore is a directory. What a test wants to happen at a write, "$work/at-write" does.
cat > stubs/xenstore-read <<- 'END'
	#!/bin/sh
	[ "$1" != domid ] || { [ ! -e "$WORK/away" ] && echo 0; exit; }
	if [ -d "$WORK/store$1" ]; then echo; else cat "$WORK/store$1" 2> /dev/null; fi
END
cat > stubs/xenstore-write <<- 'END'
	#!/bin/sh
	mkdir -p "$(dirname "$WORK/store$1")" && printf '%s\n' "$2" > "$WORK/new.$$" || exit
	[ ! -e "$WORK/at-write" ] || . "$WORK/at-write"
	mv "$WORK/new.$$" "$WORK/store$1"
END
cat > stubs/xenstore-list <<- 'END'
	#!/bin/sh
	ls "$WORK/store$1"
END
# xl knows g1, which is domain 5, and one named 7, which is 8; 7 is another one. What it does to
# them, "$work/xl" does.
cat > stubs/xl <<- 'END'
	#!/bin/sh
	case $1,$2 in
	domid,g1) echo 5 ;;
	domid,7) echo 8 ;;
	domname,5 | domname,7 | domname,8 | domname,0) echo name ;;
	domid,* | domname,*) exit 1 ;;
	*)
		printf '<%s>' "$@" > "$WORK/arguments"
		. "$WORK/xl"
		;;
	esac
END
cat > root/etc/xen/scripts/vif-bridge <<- 'END'
	#!/bin/sh
	printf '<%s>' "$@" "$XENBUS_PATH" > "$WORK/vif"
END
chmod +x stubs/* root/etc/xen/scripts/vif-bridge

# The guests' modules, of which those answer that may.
play()
{
	local domain word id rest
	local -A last=()
	while sleep 0.02; do
		for domain in 5 7 8; do
			[ ! -e mute ] || continue
			read -r word id rest < "$store/$domain/data/xensocket/request" || continue
			[ "$word $id" != "${last[$domain]:-}" ] || continue
			last[$domain]="$word $id"
			[ "$word" != quiesce ] ||
				{ echo "$id quiesced" > answer && mv answer "$store/$domain/data/xensocket/answer"; }
		done
	done 2> /dev/null
}

# anew [STATUS]: domains that have the module and were asked nothing; xl ends with STATUS.
anew()
{
	# A guest may just be answering there.
	until rm -rf "$store"; do :; done 2> /dev/null
	rm -f mute at-write
	for domain in 5 7 8; do
		mkdir -p "$store/$domain/data/xensocket"
		echo 1 > "$store/$domain/data/xensocket/version"
	done
	mkdir "$store/0"
	echo "cp -r \"$store\" \"$work/seen\"; exit ${1:-0}" > xl
	rm -rf seen arguments
}

# node DOMAIN NAME [DIRECTORY]
node()
{
	cat "${3:-$store}/$1/data/xensocket/$2" 2> /dev/null
}

# ends TEXT STATUS COMMAND...
ends()
{
	local text=$1 want=$2 status=0
	shift 2
	timeout 60 "$@" > out 2>&1 || status=$?
	cat out
	check_equal "$text: status" "$want" "$status"
}

# released DOMAIN: what it was asked for was taken back, by its id.
released()
{
	local asked
	asked=$(node "$1" request seen)
	check_equal "domain $1 was asked to quiesce" "quiesce 3600" "${asked/ [0-9]* / }"
	check_equal "... and released" "release $(cut -d ' ' -f 2 <<< "$asked")" "$(node "$1" request)"
}

play &
guest=$!

anew 7
ends "a migration that fails" 7 xs-migrate --wait 20 g1 h2 -s 'ssh -v'
check_equal "arguments" "<migrate><g1><h2><-s><ssh -v>" "$(cat arguments)"
check_equal "it had quiesced" quiesced "$(node 5 answer seen | cut -d ' ' -f 2)"
released 5

anew
echo "rm -r $store/5" >> xl
sed -i 's/; exit 0//' xl
ends "a migration" 0 xs-migrate --wait 20 g1 h2
check_equal "nothing is written for a domain that has gone" "" "$(ls "$store/5" 2> /dev/null)"

anew
sed -i "s,; exit 0,; echo 'quiesce 1 3600' > $store/5/data/xensocket/request; exit 3," xl
ends "another one has asked meanwhile" 3 xs-save --wait 20 g1 file
check_equal "that stands" "quiesce 1 3600" "$(node 5 request)"

for words in "-es g1 8 h2" "-C g1 8 h2" "8 h2 -s g1" "-sg1 8 h2" "--debug -e 8 h2" "--wait 20 08 h2"; do
	anew 1
	# shellcheck disable=SC2086 # words
	ends "xs-migrate $words" 1 xs-migrate $words
	released 8
	check_equal "no other" "" "$(node 5 request)"
done
anew 1
ends "a number is no name" 1 xs-migrate 7 h2
released 7
check_equal "who has that name is asked nothing" "" "$(node 8 request)"
anew
for words in "g1 h2 --wait" "5 h2 --wait" "--wait 010 g1 h2" "--wait -1 g1 h2" "--wait 99999999 g1 h2" "--require"; do
	# shellcheck disable=SC2086 # likewise
	ends "xs-migrate $words" 2 xs-migrate $words
done
for domain in nobody 9 0 00 007x; do
	ends "there is none to migrate: $domain" 1 xs-migrate $domain h2
done
check "xl has not been called" [ ! -e arguments ]

# Guests that do not answer, or with nonsense.
for answer in '' '1 quiesced' '(' '!' '-n' '*' ' quiesced' "$(printf '%04000d' 0)"; do
	anew
	touch mute
	printf '%s\n' "$answer" > "$store/5/data/xensocket/answer"
	ends "answer '${answer:0:20}'" 3 xs-migrate --wait 0 --require g1 h2
	check "xl has not been called" [ ! -e arguments ]
	check_equal "taken back" release "$(node 5 request | cut -d ' ' -f 1)"
done
check "the user is told" grep -q -x "xs-migrate: 'g1' does not quiesce within 0 s: nothing has been done" out
ends "without --require" 0 xs-migrate --wait 0 g1 h2
check "the user is told" grep -q -x "xs-migrate: 'g1' does not quiesce within 0 s: going on without" out
check_equal "xl has been called" "<migrate><g1><h2>" "$(cat arguments)"
for command in 'xs-migrate --require g1 h2:3:nothing has been done' 'xs-migrate g1 h2:0:going on without'; do
	IFS=: read -r words want end <<< "$command"
	anew
	echo exit 1 > at-write
	# shellcheck disable=SC2086 # likewise
	ends "xenstore takes nothing: $words" "$want" $words
	check "the user is told" grep -q -x "xs-migrate: 'g1' cannot be asked, xenstore does not take it: $end" out
done
anew
touch away
ends "there is no xenstore" 1 xs-migrate g1 h2
check "the user is told" grep -q -x 'xs-migrate: xenstore does not answer: is this root, in dom0?' out
rm away
anew 4
rm "$store/5/data/xensocket/version"
ends "no module" 4 xs-migrate --require g1 h2
check_equal "it is asked nothing" "" "$(node 5 request)"

# Signals: while it waits for the guest, and for xl; and once more when it releases.
asked()
{
	[ "$(node 5 request | cut -d ' ' -f 1)" = quiesce ]
}
for signal in HUP:129 INT:130 QUIT:131 PIPE:141 TERM:143; do
	anew
	touch mute
	# The first two are ignored by what a shell runs in the background.
	env --default-signal=INT,QUIT,PIPE xs-migrate --wait 60 g1 h2 &
	eventually 20 "it has asked" asked
	echo "[ \"\${2#release}\" = \"\$2\" ] || kill -TERM \$PPID" > at-write
	kill "-${signal%:*}" $!
	status=0
	wait $! || status=$?
	check_equal "SIG${signal%:*}: status" "${signal#*:}" "$status"
	check_equal "... and released" release "$(node 5 request | cut -d ' ' -f 1)"
done
anew
echo "touch $work/running; until [ -e $work/go ]; do sleep 0.1; done; exit 1" > xl
xs-migrate --wait 20 g1 h2 &
eventually 20 "xl runs" [ -e running ]
asked=$(node 5 request)
ends "a second one meanwhile" 1 xs-save g1 file
check "the user is told" grep -q -x "xs-save: 'g1' is being moved or saved already" out
check_equal "the first's request stands" "$asked" "$(node 5 request)"
touch go
status=0
wait $! || status=$?
check_equal "the first: status" 1 "$status"
check_equal "... and released" release "$(node 5 request | cut -d ' ' -f 1)"

rm -f running go
env --default-signal=INT,QUIT,PIPE xs-migrate --wait 20 g1 h2 &
eventually 20 "xl runs" [ -e running ]
kill -TERM $!
touch go
status=0
wait $! || status=$?
check_equal "ended while xl ran: status" 143 "$status"
check_equal "... and released" release "$(node 5 request | cut -d ' ' -f 1)"

# The host's identity.
anew
callers=()
for i in 1 2 3 4 5 6; do
	xs-hostid > "id.$i" &
	callers+=($!)
done
wait "${callers[@]}"
check_equal "who asks at once is told the same" 1 "$(cat id.? | sort -u | wc -l)"
check "a UUID" grep -q -x '[0-9a-f]\{8\}\(-[0-9a-f]\{4\}\)\{3\}-[0-9a-f]\{12\}' id.1
ends "publish" 0 xs-hostid --publish
check_equal "to all" "$(cat id.1 id.1 id.1)" "$(node 5 host; node 7 host; node 8 host)"
ends "no such domain" 1 xs-hostid --publish 9
check_equal "it does not come into being by that" "" "$(ls -d "$store/9" 2> /dev/null)"
printf '%s\n' '*' > "$store/5/data/xensocket/host"
# With what a cron job has for a PATH.
less=$(sed 's,[^:]*/sbin:\?,,g; s,[^:]*/stubs:\?,,g' <<< "$PATH")
PATH=$less XENBUS_PATH=backend/vif/5/0 ends "a guest starts" 0 "$work/root/etc/xen/scripts/vif-xensocket" online type_if=vif
check_equal "it is told" "$(cat id.1)" "$(node 5 host)"
check_equal "its interface is the other script's" "<online><type_if=vif><backend/vif/5/0>" "$(cat vif)"
ends "restore" 0 xs-restore file
check_equal "arguments" "<restore><file>" "$(cat arguments)"
anew 6
ends "a restore that fails" 6 xs-restore file
anew
printf '#!/bin/sh\nexit 1\n' > stubs/xenstore-list
ends "a restore, of which nobody can be told" 0 xs-restore file
