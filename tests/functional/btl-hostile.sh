#!/bin/bash
# Proves: whatever frames a rank in one guest sends a rank in another one, to the component above the real module, that one neither crashes nor loses what is honest, and its guest gives everything back.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

# What leaves rings and commands alone, and what does not.
gentle=data-old,data-far,cover-far,cover-old,answer,bye-too,begin,begun,text,kind,name,other-tag
rough=$gentle,hello,offer,offer-again,request
seed=${SEED:-1}

# attack ATTACKS FRAMES AFTER CUT: options of a job in which rank 1 does that; they are left in
# $options, and each job has the next seed.
attack()
{
	options="--mca btl_xs_debug_flip 3 -x HOSTILE=$1 -x HOSTILE_SEED=$seed -x HOSTILE_FRAMES=$2 -x HOSTILE_AFTER=$3 \
		-x HOSTILE_CUT=$4 -x HOSTILE_SO=/usr/local/lib/hostile.so -x HOSTILE_DONE=/tmp/hostile/done"
	seed=$((seed + 1))
	for guest in g1 g2; do
		lab ssh "mpi@$guest" 'rm -rf /tmp/hostile && mkdir /tmp/hostile' || fail "cannot write in $guest"
	done
}

# victim TEXT STATUS...: rank 0 has ended with one of these; and with how much memory.
victim()
{
	local text=$1 status most
	shift
	status=$(lab ssh mpi@g1 'cat /tmp/hostile/status.0 2> /dev/null || echo none')
	check "$text: the victim has ended with $status" grep -q " $status " <<< " $* "
	most=$(lab ssh mpi@g1 cat /tmp/hostile/memory.0 | sort -n | tail -n 1)
	check "$text: it had $most KiB at most" [ "${most:-200000}" -lt 200000 ]
}

# tried TEXT: each attack was.
tried()
{
	local said
	said=$(lab ssh mpi@g2 cat /tmp/hostile/done)
	printf '%s\n' "$said"
	check "$1: each attack was tried" grep -q -x 'HOSTILE seed=[0-9]*\( [a-z-]*=[1-9][0-9]*\)*' <<< "$said"
}

# bears TEXT ATTACKS OPTION...: the job loses nothing.
bears()
{
	local text="$1, seed $seed"
	attack "$2" 1500 0 0
	# shellcheck disable=SC2086 # words
	job g1,g2 2 $options "${@:3}" hostile-rank /tmp/hostile suite --seconds 2 random flood
	check_equal "$text: the job ends well" 0 "$status"
	check "$text: all of it was done" grep -a -q '^SUITE done 2' <<< "$out"
	victim "$text" 0
	tried "$text"
}

answers()
{
	lab ssh mpi@g1 xs-btlctl --ranks 0 list | grep -q '^ *0 '
}

# survives TEXT ATTACKS FRAMES [CUT]: the job may be lost, but the victim still does what it is asked to.
survives()
{
	local text="$1, seed $seed" mpirun
	attack "$2" "$3" 50 "${4:-0}"
	# shellcheck disable=SC2086 # words
	run_job g1,g2 2 $options hostile-rank /tmp/hostile suite --until /tmp/never random > "$work/out" &
	mpirun=$!
	eventually 120 "$text: it was tried" lab ssh mpi@g2 test -e /tmp/hostile/done
	eventually 60 "$text: the victim answers" answers
	lab ssh mpi@g1 killall -q mpirun prterun
	wait "$mpirun"
	lab ssh mpi@g2 cat /tmp/hostile/done
	victim "$text" 0 1 137 143 none
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
push_btl g1 g2
load_module g1 g2
lab chroot make -s -C tests/btl OUT="/src/build/$SUITE/btl-hostile" hostile || fail "the attacker does not compile"
lab push "$TOP/build/$SUITE/btl-hostile/hostile.so" g2:/usr/local/lib || fail "cannot copy it"
for guest in g1 g2; do
	lab push "$TOP/tests/btl/hostile-rank" "$TOP/build/$SUITE/userlib/xs-btlctl" "$guest:/usr/local/bin" ||
		fail "cannot copy to $guest"
done

bears "over TCP and rings" "$gentle,size"
positive xs_frags
check "what had come before was dropped" [ "$(total duplicates)" -gt 20 ]
check "it is told of" grep -a -q 'a frame of wrong size has been dropped' <<< "$out"
bears "rings that are there, and are not" "$rough,size"
positive probes refusals
# Sizes that are wrong are so for a checksum, too.
bears "checksums" "$rough" --mca btl_xs_checksum 1
positive probes refusals
check_equal "none is wrong" 0 "$(total corrupt)"
survives "it takes leave" bye 1
survives "fragments for nobody, and for xs" data-next 1
survives "what has not arrived has, and rings are taken up by nobody" cover-early,answer-wrong 20
# With Open MPI 4.1 a job ends there, as host-btl-failover sees.
[ "$SUITE" = bookworm ] || survives "connections break" "$rough,size" 20 2
survives "all of it" "$rough,size,data-next,cover-early,answer-wrong,begun-again" 20

job g1,g2 2 suite --size 65536 sizes
check_equal "an honest job passes" 0 "$status"
check "it uses rings" [ "$(total xs_frags)" -gt 0 ]
for guest in g1 g2; do
	check_equal "$guest has no socket any more" 0 "$(lab ssh "$guest" 'tail -n +2 /proc/net/xensocket | wc -l')"
	check "rmmod in $guest" lab ssh "$guest" rmmod xensocket
done
