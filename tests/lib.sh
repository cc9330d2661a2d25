# shellcheck shell=bash
# What functional tests share. A test is one file; its head says what it proves,
# which lab it needs and how long it may take:
#
#   # Proves: one sentence
#   # Lab: hosts=2 guests=2 type=pvh suite=all     (or: none; type may be all)
#   # Check: trixie-pvh            (optional: what of it is in the short selection)
#   # Kernel: debug              (optional, or kcsan: only for guests with this kernel)
#   # Limit: 300
#
# The runner brings up a fresh lab before each test. A test passes if it ends
# with status 0 and has asserted something; 77 means skipped, with the reason in
# the last line of its output.
# SPDX-License-Identifier: BSD-3-Clause

set -u -o pipefail

TESTS_DIR=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
TOP=$(dirname "$TESTS_DIR")
export SUITE=${SUITE:-trixie}
export KERNEL=${KERNEL:-}

# What guests with this kernel load.
# shellcheck disable=SC2034 # for tests
MODULE=$TOP/build/$SUITE/kmod${KERNEL:+-$KERNEL}/xensocket.ko
# How much longer than usual everything may take.
SLOW=${KERNEL:+5}
export SLOW=${SLOW:-1}

lab()
{
	"$TESTS_DIR/lab/lab" "$@"
}

# pass TEXT...: one assertion held.
pass()
{
	printf 'assert ok: %s\n' "$*"
}

# fail TEXT...: one did not; the test ends.
fail()
{
	printf 'assert FAILED: %s\n' "$*"
	exit 1
}

skip()
{
	printf 'skipped: %s\n' "$*"
	exit 77
}

# check TEXT COMMAND...: asserts that a command succeeds.
check()
{
	local text=$1
	shift
	if "$@"; then pass "$text"; else fail "$text (status $?): $*"; fi
}

# check_fails TEXT STATUS COMMAND...: asserts that it fails with this status and
# says exactly one line on stderr, which is left in $STDERR.
check_fails()
{
	local text=$1 want=$2 status=0
	shift 2
	STDERR=$("$@" 2>&1 > /dev/null) || status=$?
	printf '%s\n' "$STDERR"
	[ "$status" = "$want" ] || fail "$text: status $status, wanted $want"
	[ "$(printf '%s\n' "$STDERR" | wc -l)" = 1 ] || fail "$text: more than one line on stderr"
	pass "$text"
}

# check_equal TEXT WANT GOT
check_equal()
{
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
	pass "$1"
}

# eventually SECONDS TEXT COMMAND...: asserts that it succeeds in time.
eventually()
{
	local end=$((SECONDS + $1 * SLOW)) text=$2
	shift 2
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "$text: not within the time"
		sleep 1
	done
	pass "$text"
}

# build: compiles everything for the suite, in its build root.
build()
{
	make -s -C "$TOP" all || fail "it does not compile"
}

# push_mpi PROGRAM GUEST...: builds and puts an MPI program into the guests.
push_mpi()
{
	local program=$1 guest
	shift
	build
	for guest in "$@"; do
		lab push "$TOP/build/$SUITE/mpi/$program" "$guest:/usr/local/bin" ||
			fail "cannot copy $program to $guest"
	done
}

# shellcheck disable=SC2034 # for tests
# MPIRUN_TCP: two ranks in two guests, over TCP on the guests' network.
MPIRUN_TCP="mpirun --host g1,g2 -np 2 --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/16"
