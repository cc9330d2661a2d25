#!/bin/bash
# Proves: what the guides for users and for who runs hosts tell to type does what they say, as written, in guests and in dom0.
# Lab: hosts=2 guests=0 type=pvh suite=all
# Check: none
# Limit: 2700
# shellcheck disable=SC2016 # backquotes are those of documents
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"
. "$(dirname "$0")/../documents.sh"

cd "$TOP" || exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/typed"

# typed DOCUMENT COMMAND [WORD=TEXT]...: asserts that the document has the command, and leaves in
# $line what is to be typed: TEXT for what stands for it.
typed()
{
	local change
	[ "$(commands "Documentation/$1.md" | grep -c -x -F -e "$2")" -gt 0 ] || fail "$1.md does not have: $2"
	printf '%s\n' "$2" >> "$work/typed"
	line=$2
	shift 2
	for change; do
		line=${line/"${change%%=*}"/"${change#*=}"}
	done
}

# at MACHINE DOCUMENT COMMAND [WORD=TEXT]...: it succeeds there; what it says is left in $said.
at()
{
	local machine=$1
	shift
	typed "$@"
	said=$(lab ssh "$machine" "$line" 2>&1 < /dev/null) || { printf '%s\n' "$said"; fail "$1.md, at $machine: $line"; }
	printf '%s\n' "$said"
	pass "$1.md, at $machine: $line"
}

# ends MACHINE STATUS COMMAND: what no document has ends so there.
ends()
{
	local status=0
	said=$(lab ssh "$1" "$3" 2>&1 < /dev/null) || status=$?
	printf '%s\n' "$said"
	check_equal "at $1: $3: status" "$2" "$status"
}

# follows MACHINE FILE DOCUMENT COMMAND [WORD=TEXT]...: it goes on there until the test has seen
# enough of it.
follows()
{
	local machine=$1 file=$2
	shift 2
	typed "$@"
	lab ssh "$machine" "rm -f $file; setsid timeout 2400 $line > $file 2>&1 < /dev/null &" || fail "$machine: $line"
	pass "$1.md, at $machine: $line ... begins"
}

# has MACHINE FILE WORDS: so much of it has come.
has()
{
	lab ssh "$1" cat "$2" | grep -q -e "$3"
}

# says TEXT: the last command has said so.
says()
{
	check "it says: $1" grep -q -e "$1" <<< "$said"
}

# paths: those between the guests, as xs-btlctl list has them: lines "RANK PEER PATH". Ranks 0 to 3
# are in g1, 4 and 5 in g2.
paths()
{
	lab ssh mpi@g1 xs-btlctl list | awk '
		$1 ~ /^[0-9]+$/ {
			n = split($NF, path, ",")
			for (i = 1; i <= n; i++)
				if ((i > 4) != ($1 > 3))
					print $1, i - 1, path[i]
		}'
}

# on PATH [RANK [PEER]]: all are that, or those of a rank, or of a pair, and all others on rings.
on()
{
	paths | awk -v path="$1" -v rank="${2:-}" -v peer="${3:-}" '
		function of(a, b) { return rank == "" || (a == rank && (peer == "" || b == peer)) }
		{
			sub(/[+]$/, "", $3)
			n += $3 == (of($1, $2) || of($2, $1) ? path : "xs")
		}
		END { exit n != 16 }'
}

# As from the packages, or make install: readme and deb-install prove those.
build
lab chroot make -s -C userlib install OUT="/src/build/$SUITE/userlib" DESTDIR=/src/build/guides > "$work/install" ||
	fail "the library is not installed: $(cat "$work/install")"

# Hosts.
for host in h1 h2; do
	lab push Makefile xen-scripts kmod "$host:/root/xensocket" || fail "cannot copy to $host"
	at "$host" dom0 'make install-dom0' "make=cd xensocket; make"
	at "$host" dom0 "echo 'vif.default.script=\"vif-xensocket\"' >> /etc/xen/xl.conf"
	at "$host" dom0 'xs-hostid'
done
identity=$said

# Guests that are made after that.
for guest in g1 g2; do
	check "guest $guest" lab create "$guest"
done
push_btl g1 g2
for guest in g1 g2; do
	tar -c -C build/guides usr | lab ssh "$guest" 'tar -x -C / --no-same-owner && ldconfig' || fail "cannot copy to $guest"
	lab push "$MODULE" "$guest:/root/build/kmod" || fail "cannot copy to $guest"
	lab push Makefile btl_xs kmod userlib "$guest:/root/xensocket" || fail "cannot copy to $guest"
	at "$guest" user-guide 'insmod build/kmod/xensocket.ko'
	at "$guest" user-guide 'xsctl status'
	says '^state running'
	says '^domid [1-9]'
done
domid=$(sed -n 's/^domid //p' <<< "$said")
at h1 dom0 'xl domid NAME' NAME=g2
check_equal "which is what the guest says" "$domid" "$said"
at h1 dom0 'xs-hostid'
[ "$said" != "$identity" ] || fail "both hosts are the same"
identity=$said
at h1 dom0 'xenstore-ls /local/domain/DOMID/data/xensocket' DOMID="$domid"
says "^host = \"$identity\""
says '^version = "1"'
at g2 dom0 'xsctl status'
says "^host $identity"
at h1 dom0 'xs-hostid --publish'
check "xs-hostid(8): for one domain" lab ssh h1 xs-hostid --publish "$domid"

# The module.
follows g1 /tmp/offer user-guide 'xscat -l DOMID < /etc/hostname' "xscat -l DOMID < /etc/hostname=sh -c 'xscat -l $domid < /etc/hostname'"
eventually 20 "it prints an offer" has g1 /tmp/offer .
at g1 user-guide 'xsctl list'
says "\<$domid\>"
at g2 user-guide 'xscat OFFER' OFFER="$(lab ssh g1 head -n 1 /tmp/offer)"
check_equal "the bytes are those" "$(lab ssh g1 cat /etc/hostname)" "$said"
at g1 user-guide 'rmmod xensocket'
at g1 user-guide 'insmod build/kmod/xensocket.ko NAME=VALUE' NAME=users VALUE=0
# A user may not, and then may.
ends mpi@g1 1 "xscat -l $domid < /dev/null"
at g1 user-guide 'echo 1 > /sys/module/xensocket/parameters/users'
ends mpi@g1 4 "xscat -t 1 -l $domid < /dev/null"
says 'nobody has taken up the offer'
follows g1 /tmp/watch user-guide 'xsctl watch'
eventually 20 "it says what is" has g1 /tmp/watch running
at g1 user-guide 'xsctl quiesce'
eventually 20 "xsctl watch has seen it" has g1 /tmp/watch quiesced
at g1 user-guide 'xsctl status'
says '^state quiesced'
at g1 user-guide 'xsctl release'
at g1 user-guide 'xsctl status'
says '^state running'
lab ssh g1 pkill -x xsctl
for guest in g1 g2; do
	at "$guest" user-guide "echo '* - memlock 65536' > /etc/security/limits.d/xensocket.conf"
	# Logins by the lab's ssh know no PAM.
	at "$guest" user-guide 'ulimit -l' "ulimit -l=su - mpi -c 'ulimit -l'"
	check_equal "it is so for who logs in" 65536 "$said"
done
at mpi@g1 user-guide 'ulimit -n'
at mpi@g1 user-guide 'ulimit -Hn'
says '^[1-9]'

# Programs that know nothing of it; the network has the addresses of the document, too.
check "g1 is 10.0.0.1" lab ssh g1 'ip address add 10.0.0.1/24 dev eth0'
check "g2 is 10.0.0.2" lab ssh g2 'ip address add 10.0.0.2/24 dev eth0'
follows g1 /tmp/redis xs-run 'xs-run redis-server --bind 10.0.0.1 --protected-mode no'
eventually 60 "redis is ready" has g1 /tmp/redis 'Ready to accept'
at mpi@g2 xs-run 'xs-run -v redis-benchmark -h 10.0.0.1 -q -n 200 -c 5 -t set,get'
check "its connections were moved" [ "$(grep -c '^xs-run: connected' <<< "$said")" -ge 5 ]
at g2 user-guide 'xs-run PROGRAM' PROGRAM='redis-cli -h 10.0.0.1 ping'
check_equal "redis-cli has its answer" PONG "$said"
at g2 ../README 'xs-run redis-cli' 'redis-cli=redis-cli -h 10.0.0.1 set key value'
check_equal "redis-cli has its answer" OK "$said"
lab ssh g1 pkill -x redis-server
# Open MPI 4.1 knows one address of an interface, the last one.
check "g1 is not any more" lab ssh g1 'ip address del 10.0.0.1/24 dev eth0'
check "nor is g2" lab ssh g2 'ip address del 10.0.0.2/24 dev eth0'

# Jobs.
here='--host g1,g2 --mca op ^avx --mca btl_tcp_if_include 10.77.0.0/16'
at mpi@g1 user-guide 'ompi_info --param btl xs --level 9'
says btl_xs_ring_size
at mpi@g1 btl 'ompi_info --param btl xs --level 9'
at g1 user-guide 'btl_xs/component-path status' 'btl_xs=xensocket/btl_xs'
at mpi@g1 user-guide "ompi_info | grep 'btl: xs'"
at mpi@g1 user-guide 'mpirun --mca btl xs,self ...' "...=$here ring --rounds 20"
says 'RING OK rounds=20 messages=40'
says '\<xs_frags=[1-9]'
at mpi@g1 user-guide 'mpirun --mca btl_base_verbose 10 ...' "...=--mca btl xs,self $here ring --rounds 20"
says 'btl:xs: .* -> xs at fragment'
at mpi@g1 user-guide 'mpirun --mca NAME VALUE' NAME=btl_xs_enable "VALUE=false --mca btl xs,self $here ring --rounds 20"
says '\<xs_frags=0'
typed user-guide 'NAME = VALUE' NAME=btl_xs_enable VALUE=false
check "user-guide.md, in ~/.openmpi/mca-params.conf: $line" lab ssh mpi@g1 "mkdir -p .openmpi && echo '$line' > .openmpi/mca-params.conf"
ends mpi@g1 0 "mpirun --mca btl xs,self $here ring --rounds 20"
says '\<xs_frags=0'
check "without it again" lab ssh mpi@g1 rm .openmpi/mca-params.conf
at mpi@g1 control 'mpirun --mca btl_xs_checksum 1 ...' "...=--mca btl xs,self $here suite sizes"
says '^SUITE done [1-9]'
at mpi@g1 events 'mpirun --mca btl_xs_syslog 1' "1=1 --mca btl xs,self $here ring --rounds 20"
# Open MPI 4.1 cannot, and nothing else becomes of it.
at mpi@g1 events 'mpirun --mca btl_xs_pmix 1' "1=1 --mca btl xs,self $here ring --rounds 20"
says 'RING OK rounds=20'

# begin DOCUMENT COMMAND MORE: a job that runs until it is told to end, in the way of btl.sh.
begin()
{
	typed "$1" "$2" "...=$3 --until /tmp/stop"
	JOB=$work/job
	# Not what the last job has said: the process beside may come to its file late.
	: > "$JOB"
	lab ssh mpi@g1 rm -f /tmp/stop
	lab ssh mpi@g1 "timeout 2000 $line" > "$JOB" 2>&1 &
	mpirun=$!
	eventually 400 "$1.md: $2: it runs" job_passed 0
}

begin control 'mpirun --mca btl_xs_hold yes ...' "--mca btl xs,self --mca mpi_yield_when_idle 1 \
	--host g1:4,g2:2 -np 6 --bind-to none --mca op ^avx --mca btl_tcp_if_include 10.77.0.0/16 suite --size 4096 random collectives"
follows mpi@g1 /tmp/events events xs-events
follows mpi@g2 /tmp/all events 'xs-events --all --json'
follows mpi@g2 /tmp/json control 'xs-events --json'
follows mpi@g1 /tmp/wait events 'xs-events --wait'
lab push Documentation/events-agent g1:/usr/local/bin || fail "cannot copy to g1"
check "events-agent begins" lab ssh mpi@g1 'setsid timeout 2400 events-agent > /tmp/agent 2>&1 < /dev/null &'
at mpi@g2 control 'xs-btlctl list'
says tcp+
check "all is on TCP" on tcp
at mpi@g1 control 'xs-btlctl release'
eventually 200 "all is on rings" on xs
at mpi@g1 control 'xs-btlctl counters'
says xs_frags
at mpi@g1 hacking 'xs-btlctl --each-peer counters'
says '^3 peer=5 path=xs '
at mpi@g2 control 'xs-btlctl hold'
eventually 60 "all is on TCP" on tcp
at mpi@g2 user-guide 'xs-btlctl release'
eventually 60 "all is on rings" on xs
at mpi@g1 control 'xs-btlctl --ranks 3 hold'
eventually 60 "rank 3 is on TCP, and nothing else" on tcp 3
at mpi@g1 control 'xs-btlctl release'
eventually 60 "all is on rings" on xs
at mpi@g1 control 'xs-btlctl --ranks 3 --peers 5 hold'
eventually 60 "ranks 3 and 5 are on TCP, and nothing else" on tcp 3 5
at mpi@g1 user-guide 'xs-btlctl list'
at mpi@g1 control 'xs-btlctl --wait 60 hold'
check "all is on TCP" on tcp
at mpi@g1 control 'xs-btlctl release'
eventually 60 "all is on rings" on xs

# Shared memory ends, for another module, and for a guest that is saved.
follows mpi@g1 /tmp/quiesced control 'xs-events --events XS_QUIESCED'
sleep 2
at mpi@g1 control 'xs-btlctl --wait 0 quiesce'
all_quiesced()
{
	[ "$(lab ssh g1 grep -c XS_QUIESCED /tmp/quiesced)" = 6 ]
}
eventually 60 "six ranks have said that it is done" all_quiesced
at mpi@g1 control 'xs-btlctl --wait 60 quiesce'
at mpi@g1 events 'xs-btlctl quiesce'
at mpi@g1 control 'xs-btlctl resume'
eventually 60 "all is on rings" on xs
for guest in g1 g2; do
	at "$guest" control 'xsctl --wait 60 quiesce'
	# Who watches it may be looking just now.
	sleep 2
	at "$guest" control 'rmmod xensocket'
	check "all is on TCP" on tcp
	at "$guest" control 'insmod build/kmod/xensocket.ko'
	eventually 60 "all is on rings" on xs
done
at mpi@g1 dom0 'xs-btlctl --wait 60 quiesce'
at h1 dom0 'xs-save DOMAIN FILE' DOMAIN=g1 FILE=/var/lib/xen/g1.save
at h1 dom0 'xs-restore FILE' FILE=/var/lib/xen/g1.save
check "g1 answers again" lab ssh g1 true
at mpi@g1 control 'xs-btlctl resume'
eventually 60 "all is on rings" on xs
job_goes_on "the job goes on"

# There, faster than ssh in an emulated processor, and back over ssh.
at h1 dom0 'xs-migrate DOMAIN HOST' 'DOMAIN=-s /usr/lib/lab/migrate-send g2' HOST=h2
eventually 60 "all is on TCP" on tcp
job_goes_on "the job goes on over TCP"
at h2 dom0 'xs-migrate DOMAIN HOST' DOMAIN=g2 HOST=h1
eventually 60 "all is on rings" on xs
job_goes_on "the job goes on over rings"
for document in events control; do
	at mpi@g1 $document 'xs-events --throw NODE_MIGRATE --host g2'
	eventually 60 "all is on TCP" on tcp
	at mpi@g1 events 'xs-events --throw EVENT' EVENT=JOB_RESUME
	eventually 60 "all is on rings" on xs
done

# xs-migrate is killed, so nobody releases the guest.
domid=$(lab ssh h1 xl domid g2)
lab ssh h1 'printf "#!/bin/sh\nexec sleep 1000\n" > slow && chmod +x slow
	xs-migrate -s /root/slow g2 h9 > /dev/null 2>&1 & sleep '$((5 * SLOW))'; kill -9 $!; pkill -x sleep'
at g2 user-guide 'xsctl status'
says '^state quiesced'
says '^holders host'
at h1 dom0 'xenstore-rm /local/domain/DOMID/data/xensocket/request' DOMID="$domid"
check "g2 is released" lab ssh g2 'until xsctl status | grep -q "^state running"; do sleep 1; done'
eventually 60 "all is on rings" on xs
job_end g1
eventually 30 "xs-events has ended with its job" lab ssh mpi@g1 '! pgrep -x -u mpi -f xs-events'
lab ssh mpi@g1 'pkill -x xs-events; cat /tmp/events'
for kind in MPI_IFACE_RESTORED MPI_IFACE_DEAD NODE_MIGRATE XS_QUIESCED XS_RESUMED MPI_NODE_MIGRATE_DONE MPI_FINALIZE; do
	check "xs-events: $kind" has g1 /tmp/events " $kind job="
	check "--wait: $kind" has g1 /tmp/wait " $kind job="
	check "--json: $kind" has g2 /tmp/json "\"$kind\""
done
for word in quiesced resumed moved slow fast; do
	check "events-agent: $word" has g1 /tmp/agent "^$word "
done
check "--all: what was before it" has g2 /tmp/all '"MPI_INIT"'
check "the others do not know that" [ "$(lab ssh g2 grep -c MPI_INIT /tmp/json)" = 0 ]

# Away with it.
typed packages 'make -C btl_xs uninstall'
check "packages.md, at g1: $line" lab ssh g1 "cd xensocket && $line"
typed user-guide "ompi_info | grep 'btl: xs'"
check "there is no component" [ -z "$(lab ssh g1 "$line")" ]
at g1 user-guide 'make uninstall' 'make=cd xensocket; make'
check_equal "there is nothing of library and tools" "" "$(lab ssh g1 find /usr/local -name "'*xens*'" -o -name "'xs*'")"
at g1 user-guide 'make -C kmod clean' 'make=cd xensocket; make'
for host in h1 h2; do
	at "$host" ../README 'make uninstall-dom0' "make=cd xensocket; make"
	check_equal "there is nothing of it" "" "$(lab ssh "$host" 'ls /usr/sbin | grep ^xs-; ls /etc/xen/scripts /usr/lib | grep xensocket')"
done

# What else these guides have. What the README and packages.md have, too, readme and deb-install
# type; these only name something.
elsewhere=$(for document in README.md Documentation/packages.md; do commands "$document"; done
	printf '%s\n' 'xscat -m' 'xl migrate' 'xl restore' 'kill -9')
for document in user-guide xs-run control events dom0; do
	check_equal "$document.md has no more" "" "$(commands "Documentation/$document.md" |
		grep -E '^([A-Z_]+=[^ ]+ )*(make|mpirun|ompi_info|x(s-|sc|l|enstore-)[a-z]*|(ins|rm)mod|modprobe|echo|ulimit|kill) [^:]' |
		grep -v ── | grep -v -x -F -e "$elsewhere" | grep -v -x -F -f "$work/typed")"
done
