#!/bin/bash
# Proves: a pair of ranks shares less than 160 KiB each way, as the formula says, and ranks that do not talk share nothing.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: none
# Limit: 600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

# The formula of Documentation/benchmarks.md, for a ring of so many pages of data (32 by
# default). The transmitter grants them, two pages of indices and one of regions; the receiver
# keeps three pages for the end of the ring.
granted()
{
	echo $(($1 + 3))
}
taken()
{
	echo $(($(granted "$1") + 3))
}
# What either end accounts for: a receiver may have to copy everything.
charged()
{
	echo $(($1 + 4))
}

push_btl g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/mpi/memory" "$TOP/build/$SUITE/userlib/xsctl" "$guest:/usr/local/bin" ||
		fail "cannot copy to $guest"
done
load_module g1 g2

work=$(mktemp -d)
leave()
{
	local status=$?
	[ "$status" = 0 ] || tail -n 40 "$work/job"
	rm -rf "$work"
	exit "$status"
}
trap leave EXIT

# says GUEST NAME: what the module in the guest says.
says()
{
	lab ssh "$1" xsctl status | sed -n "s/^$2 //p"
}

shares_nothing()
{
	[ "$(says "$1" pages)" = 0 ]
}

# more GUEST WHAT: how much more of it the guest holds than before the job, as tests/holdings
# says, which asks Xen.
more()
{
	local when
	for when in during before; do
		sed -n "s/^$1 $2 //p" "$work/$when"
	done | awk '{ value[NR] = $1 } END { if (NR == 2) print value[1] - value[2]; else print "unknown" }'
}

# shares TEXT PAGES RANKS ARGUMENT...: asserts what a job of that many ranks, of which two talk
# to each other, shares while it runs, with rings of that many pages.
shares()
{
	local text=$1 pages=$2 ranks=$3 guest status=0
	shift 3
	for guest in g1 g2; do
		lab ssh "$guest" rm -f /tmp/stop
		check "$text: before it $guest shares nothing" shares_nothing "$guest"
	done
	"$TESTS_DIR/holdings" h1 > "$work/before"
	# Not what the last job has said: the process beside may come to its file late.
	: > "$work/job"
	run_job g1,g2 "$ranks" "$@" memory --until /tmp/stop > "$work/job" &
	mpirun=$!
	eventually 120 "$text: two ranks have rings" grep -a -q '^MEMORY ready' "$work/job"
	"$TESTS_DIR/holdings" h1 > "$work/during"
	for guest in g1 g2; do
		check_equal "$text: rings that end in $guest" 2 "$(says "$guest" attached)"
		check_equal "$text: pages that $guest accounts for" $((2 * $(charged "$pages"))) \
			"$(says "$guest" pages)"
		check_equal "$text: pages of $guest that are mapped, as Xen counts" "$(granted "$pages")" \
			"$(more "$guest" grants-mapped-by-peers)"
		check_equal "$text: event channels of $guest" 2 "$(more "$guest" event-channels)"
	done
	for guest in g1 g2; do
		lab ssh "$guest" touch /tmp/stop
	done
	wait "$mpirun" || status=$?
	check_equal "$text: the job ends well" 0 "$status"
	for guest in g1 g2; do
		eventually 10 "$text: after it $guest shares nothing" shares_nothing "$guest"
	done
}

kib=$(($(taken 32) * 4))
check "rings of 32 pages take $kib KiB, less than 160" [ "$kib" -lt 160 ]
shares "2 ranks" 32 2
shares "6 ranks, of which 2 talk" 32 6
shares "2 ranks, rings of 16 KiB" 4 2 --mca btl_xs_ring_size 16384
