#!/bin/bash
# Proves: the benchmarks measure between guests into which one can only log in, by the commands of benchmarks.md as written.
# Lab: hosts=1 guests=3 type=pvh suite=all
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"
. "$(dirname "$0")/../btl.sh"

document=Documentation/benchmarks.md
results=$TOP/build/bench
work=$(mktemp -d)

# What was measured before stays.
[ ! -e "$results" ] || mv "$results" "$results.kept"
# shellcheck disable=SC2317 # by trap
put_back()
{
	rm -rf "$work" "$results"
	[ ! -e "$results.kept" ] || mv "$results.kept" "$results"
}
trap put_back EXIT

# Machines of the lab are known to nobody else: ssh and scp, as benchmarks call them, are its own. One
# who names no user is mpi there.
cat > "$work/ssh" <<EOF
#!/bin/bash
PATH='$PATH'
[ "\$1" = -n ] && shift
[[ \$1 == *@* ]] || set -- "mpi@\$1" "\${@:2}"
exec "$TESTS_DIR/lab/lab" ssh "\$@" < /dev/null
EOF
cat > "$work/scp" <<EOF
#!/bin/bash
PATH='$PATH'
[ "\$1" = -q ] && shift
target=\${*: -1}
exec "$TESTS_DIR/lab/lab" push "\${@:1:\$#-1}" "\${target#*@}"
EOF
chmod +x "$work/ssh" "$work/scp"

# measures TABLE COMMAND [SETTING...]: of the document, with the lab's guests; it succeeds, and there is
# the table.
measures()
{
	local name=$1 command=$2 status=0
	shift 2
	check "$document has: $command" grep -q -x -F -e "$command" <<< "$(commands "$document")"
	command=${command//guest/g}
	(cd "$TOP" && env PATH="$work:$PATH" HOSTED="emulated, for a test" RUNS=1 "$@" bash -c "$command") > "$work/out" 2>&1 ||
		status=$?
	cat "$work/out"
	check_equal "$command: status" 0 "$status"
	check "it is said of the machines" grep -q -x 'emulated, for a test' "$results/$name.txt"
	check "... and what they are" grep -q '^\(root@\)\?g1: Linux .*, Xen ' "$results/$name.txt"
	check "there is a plot" [ -s "$results/$name-latency.svg" ]
}

# has FILE TRANSPORT: it was measured.
has()
{
	# shellcheck disable=SC2016 # expanded by awk
	check "$1 has $2" awk -F, -v name="$2" '$1 == name && $2 == "latency" && $6 > 0 { n++ } END { exit !n }' "$results/$1.csv"
}

push_btl g1 g2 g3
load_module g1 g2
for guest in g1 g2; do
	check "devices of libxenvchan in $guest" lab ssh "$guest" modprobe -a xen-evtchn xen-gntdev xen-gntalloc
done

measures "mpi-$SUITE" 'GUESTS=guest1,guest2 LOCAL=guest3 tests/bench/mpi' MOST=64 PAIRS=1 ONLY="xs tcp" \
	MCA='--mca btl_tcp_if_include 10.77.0.0/16'
has "mpi-$SUITE" xs
has "mpi-$SUITE" tcp

measures "raw-$SUITE-pvh" 'GUESTS=root@guest1,root@guest2 LOCAL=root@guest3 tests/bench/raw' MOST=64
for transport in tcp xensocket ring vchan vchan-poll unix; do
	has "raw-$SUITE-pvh" "$transport"
done
for guest in g1 g2; do
	check "rmmod in $guest" lab ssh "$guest" rmmod xensocket
done
