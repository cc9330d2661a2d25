#!/bin/bash
# Proves: the benchmarks that begin with labs of their own, or need none, end with tables, by the commands of the documents.
# Lab: none
# Check: none
# Limit: 3600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"

in_copy benchmarks

# measured FILE NAME: each size that was measured has a figure.
measured()
{
	# shellcheck disable=SC2016 # expanded by awk
	check "$1 has $2" awk -F, -v name="$2" '$1 == name && $2 == "latency" { n++; ok += $6 > 0 } END { exit !n || n != ok }' \
		"build/bench/$1.csv"
}

# With so few runs and such small sizes that the figures mean nothing; between guests that are there
# already bench-hosts measures.
types 'make bench' RUNS=1 MOST=64 PAIRS=1
for name in tcp xs sm-2copies sm-cma; do
	measured here-trixie "$name"
	measured mpi-trixie "$name"
done
for name in tcp xensocket ring vchan unix; do
	measured raw-trixie-pvh "$name"
done
types 'ONLY="xs xs-get" tests/bench/mpi' RUNS=1 MOST=64 PAIRS=1
measured mpi-trixie xs-get
check "and nothing else" [ "$(cut -d, -f1 build/bench/mpi-trixie.csv | sort -u | xargs)" = "xs xs-get" ]
types 'make bench-counts' RUNS=1
says ' *8 *664 *716 *.*' '.* polling .*\|.*[0-9].*'
types 'make bench-migration' ROUNDS=1 SWITCHES=1
says 'tcp  *[0-9].*' 'xl-migrate  *[0-9].*' 'xs-migrate  *[0-9].*' 'xs to TCP  *[0-9].*' 'TCP to xs  *[0-9].*'
