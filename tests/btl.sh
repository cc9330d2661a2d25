# shellcheck shell=bash
# What tests of the Open MPI component on Xen share; sourced after lib.sh.
# SPDX-License-Identifier: BSD-3-Clause

# push_btl GUEST...: builds all, puts the component where mpirun looks for it, and the MPI
# programs; the module is copied, not loaded.
push_btl()
{
	local guest built=$TOP/build/$SUITE
	build
	for guest in "$@"; do
		lab push "$built/btl/mca_btl_xs.so" "$MODULE" "$TOP/btl_xs/component-path" \
			"$guest:/root" || fail "cannot copy to $guest"
		lab push "$built/mpi/ring" "$built/mpi/suite" "$built/mpi/leave" "$guest:/usr/local/bin" ||
			fail "cannot copy to $guest"
		lab push "$TOP/btl_xs/help-mpi-btl-xs.txt" "$guest:/usr/share/openmpi" ||
			fail "cannot copy to $guest"
		# shellcheck disable=SC2016 # expanded in the guest
		lab ssh "$guest" 'cp /root/mca_btl_xs.so "$(echo /usr/lib/*/openmpi/lib/openmpi[0-9]*)" &&
			/root/component-path fix' || fail "cannot install in $guest"
	done
}

# load_module GUEST...: after push_btl.
load_module()
{
	local guest
	for guest in "$@"; do
		check "insmod in $guest" lab ssh "$guest" insmod /root/xensocket.ko
	done
}

# run_job GUESTS RANKS ARGUMENT...: an MPI job over xs, as a user. Open MPI's op/avx asks
# the processor only, not the hypervisor, whether it may use AVX: not in a PV guest here.
run_job()
{
	local guests=$1 ranks=$2
	shift 2
	lab ssh "mpi@${guests%%,*}" "timeout ${JOB_LIMIT:-300} mpirun --host $guests -np $ranks --map-by node \
		--oversubscribe --mca op ^avx --mca btl ${JOB_BTL:-xs,self} --mca btl_tcp_if_include 10.77.0.0/16 \
		--mca btl_base_verbose 10 $*" 2>&1
}

# job GUESTS RANKS ARGUMENT...: likewise; its output is left in $out.
job()
{
	status=0
	out=$(run_job "$@" | tr -d "\0") || status=$?
	grep -a -E '^(SUITE|RING)|signal|[a-z]_frags=|->' <<< "$out"
	[ "$status" = 0 ] || printf '%s\n' "$out"
}

# total COUNTER: its sum over all ranks and peers of the last job.
total()
{
	grep -a '^COUNTERS' <<< "$out" | grep -o "\<$1=[0-9]*" | awk -F= '{ sum += $2 } END { print sum + 0 }'
}

# positive COUNTER...: asserts that each has counted something.
positive()
{
	local counter
	for counter; do
		check "$counter is $(total "$counter")" [ "$(total "$counter")" -gt 0 ]
	done
}

# What follows is for a job that runs while something happens to its guests. Its output
# comes into the file $JOB.

# job_begin GUESTS RANKS ARGUMENT...: returns when the job's first case has passed.
job_begin()
{
	JOB=$(mktemp)
	lab ssh "mpi@${1%%,*}" rm -f /tmp/stop
	JOB_LIMIT=$((3000 * SLOW)) run_job "$@" --until /tmp/stop > "$JOB" &
	mpirun=$!
	trap job_leave EXIT
	eventually 400 "the job runs" job_passed 0
}

# job_leave: what the job has said, if the test fails.
job_leave()
{
	local status=$?
	[ "$status" = 0 ] || tail -n 60 "$JOB"
	rm -f "$JOB"
	exit "$status"
}

# cases: how many the job has passed.
cases()
{
	grep -a -c '^SUITE ok' "$JOB"
}

# job_passed N: the job has passed more than N cases.
job_passed()
{
	kill -0 "$mpirun" 2> /dev/null || { cat "$JOB"; fail "the job ended by itself"; }
	[ "$(cases)" -gt "$1" ]
}

# job_goes_on TEXT: asserts that it passes two cases more, of which one has begun after this.
job_goes_on()
{
	eventually 400 "$1" job_passed $(($(cases) + 1))
}

# turns: what the job has said of its directions so far, in order: lines "SENDER PEER PATH
# FRAGMENT", where FRAGMENT is the number of the first one on that path.
turns()
{
	sed -n 's/.*\[\([^]]*\)\] btl:xs: \(.*\): [A-Z]*: [a-z]* -> \([a-z]*\) at fragment \([0-9]*\).*/\1 \2 \3 \4/p' "$JOB"
}

# on_path N PATH: N directions have PATH as their newest.
on_path()
{
	[ "$(turns | awk '{ last[$1 " " $2] = $3 } END { for (i in last) print last[i] }' |
		grep -c -x "$2")" = "$1" ]
}

# parted N: directions have left their rings N times in all.
parted()
{
	[ "$(turns | grep -c ' resync ')" -ge "$1" ]
}

# apart COMMAND...: runs it, which parts the two guests of a job; together COMMAND...:
# likewise.
apart()
{
	check "$*" "$@"
	eventually 30 "both directions are on TCP" on_path 2 tcp
	job_goes_on "the job goes on over TCP"
}

together()
{
	check "$*" "$@"
	eventually 30 "both directions are back on rings" on_path 2 xs
	job_goes_on "the job goes on over rings"
}

# stays: lines "SENDER PEER PATH FRAGMENTS": how many each stay on xs or tcp carried,
# but for the last.
stays()
{
	turns | awk '
		{ way = $1 " " $2 }
		way in path && $3 != "offered" {
			if (path[way] == "xs" || $3 == "xs")
				print way, path[way], $4 - first[way]
		}
		$3 == "xs" || $3 == "resync" {
			path[way] = $3 == "xs" ? "xs" : "tcp"
			first[way] = $4
		}'
}

# check_stays ENDED PATH COUNT [LEAST]: ENDED is what stays said before the job was asked to
# end: COUNT stays on PATH, xs or tcp, came to an end, each after LEAST fragments or more.
check_stays()
{
	local of
	of=$(awk -v path="$2" '$3 == path' <<< "$1")
	echo "$of"
	check_equal "stays on $2 that came to an end" "$3" "$(grep -c . <<< "$of")"
	[ -z "${4:-}" ] ||
		check_equal "each carried $4 fragments or more" "" "$(awk -v least="$4" 'NF && $4 < least' <<< "$of")"
}

# notifies GUEST: its rings have sent notifications, as they do where a receiver has asked for
# them.
notifies()
{
	# shellcheck disable=SC2016 # expanded by awk
	lab ssh "$1" cat /proc/net/xensocket | awk '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == "sent") at = i }
		NR > 1 { sent += $at }
		END { exit !(sent > 0) }'
}

# xl_migrate GUEST FROM TO: takes a guest from a host to another.
xl_migrate()
{
	lab ssh "$2" xl migrate -s /usr/lib/lab/migrate-send "$1" "$3"
}

# xs_migrate GUEST FROM TO: likewise, by our command; after push_dom0.
xs_migrate()
{
	lab ssh "$2" xs-migrate --require -s /usr/lib/lab/migrate-send "$1" "$3"
}

# travel GUEST WAY BACK: of the two guests of a job one goes from h1 to h2 and returns, by
# xl_migrate or xs_migrate.
travel()
{
	apart "$2" "$1" h1 h2
	together "$3" "$1" h2 h1
}

# travels GUEST: three times, by the one, by the other, and there by the one and back by the
# other.
travels()
{
	travel "$1" xl_migrate xl_migrate
	travel "$1" xs_migrate xs_migrate
	travel "$1" xl_migrate xs_migrate
}

# job_end GUEST: asks the job to end, and asserts that it does, content.
job_end()
{
	lab ssh "mpi@$1" touch /tmp/stop
	status=0
	wait "$mpirun" || status=$?
	out=$(cat "$JOB")
	grep -a -E '^SUITE done|signal|[a-z]_frags=|->' <<< "$out"
	[ "$status" = 0 ] || printf '%s\n' "$out"
	check_equal "the job ends well" 0 "$status"
	check_equal "nothing was lost, repeated or damaged" "" "$(grep -a 'SUITE BAD' <<< "$out")"
	check "cases were counted" grep -a -q '^SUITE done [1-9]' <<< "$out"
}
