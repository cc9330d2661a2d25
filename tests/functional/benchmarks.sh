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
# Compilers differ; what the README has is to be what it costs.
read -r _ send receive sm_send sm_receive <<< "$(grep -m 1 '^ *8 ' <<< "$said")"
costs=$(sed -n 's/.*8 bytes cost \([0-9]*\) to send and \([0-9]*\) to receive over xs, \([0-9]*\) and \([0-9]*\) over.*/\1 \2 \3 \4/p' README.md)
check "the README says what 8 bytes cost: $costs; it is $send $receive $sm_send $sm_receive" \
	awk -v a="$costs" -v b="$send $receive $sm_send $sm_receive" 'BEGIN {
		n = split(a, said); split(b, is)
		for (i = 1; i <= 4; i++)
			bad += !(is[i] > said[i] * 0.97 && is[i] < said[i] * 1.03)
		exit n != 4 || bad
	}'
says ' *1048576 *[0-9.]* *[0-9.]* *[0-9.]* *[0-9.]*' ' *8 *0 *0'
types 'make bench-migration' ROUNDS=1 SWITCHES=1
says 'tcp  *[0-9].*' 'xl-migrate  *[0-9].*' 'xs-migrate  *[0-9].*' 'xs to TCP  *[0-9].*' 'TCP to xs  *[0-9].*'
