#!/bin/bash
# Proves: the commands of README and hacking guide that take minutes or hours work as written, with what the environment leaves of them.
# Lab: none
# Check: none
# Limit: 5400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"

in_copy commands

# passes N: so many tests have, and no other was run.
passes()
{
	says "$1 passed, 0 failed, 0 skipped"
}

# Which tests a target chooses if it is not told tests/run --list shows.
types 'make check' TESTS=host-runner
passes 1
types '.ci/run' TESTS=host-runner
passes 1
types 'make check-host' TESTS='host-runner userlib-*'
passes 1
types 'make check-lab' TESTS='host-runner userlib-trixie-pvh'
passes 1
types 'make check-full' TESTS=host-runner
passes 1
types 'make check-full PART=1/8' TESTS='host-runner host-unit'
passes 1
types 'make check-migration' TESTS=dom0-quiesce-trixie-pvh
passes 1
types 'make check TESTS=host-unit'
passes 1
types 'make check TESTS=kmod-semantics-trixie-pvh'
passes 1
types "make check TESTS='kmod-*' SUITES=bookworm" PART=1/40
says '1\.\.1' 'ok 1 - kmod-.*-bookworm-.*'
passes 1
types "make check TESTS='counts-*'" SUITES=trixie
passes 1
types "make check TESTS='memory-*'" SUITES=trixie
passes 1
types 'make check TESTS=host-counts' SUITES=trixie
passes 1
types 'make soak' HOURS=0.01 SEED=517
says 'seed 517' '== .*, step 1: .*' 'assert ok: [0-9]* steps.*'
types 'make demo'
says ' *sha256 equal on both sides: .*'

types 'make all'
check "the module" [ -s build/trixie/kmod/xensocket.ko ]
types 'SUITE=bookworm make all'
check "... for Debian 12" [ -s build/bookworm/kmod/xensocket.ko ]
types 'tests/lab/lab status'
says 'lab .* is down'
# Shells, whose input has ended.
types 'tests/lab/lab chroot --tools'
types 'tests/lab/lab chroot --static'

types 'make coverage'
says 'userlib/src/  *[0-9].*%' 'Of the module nothing has been counted: make check-debug does.'
types 'make check-model'
passes 1
# Of this machine's clang, the README says.
if command -v clang > /dev/null; then
	types 'make fuzz' SECONDS=2
	check_equal "of each target" 4 "$(grep -c '^Done [0-9]* runs in ' <<< "$said")"
else
	echo "no clang on this machine: make fuzz is not tried"
fi
