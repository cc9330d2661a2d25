#!/bin/bash
# Proves: a busy MPI job goes on over TCP when a guest leaves its peer's host, and back on rings when they meet again, by xl migrate and by xs-migrate.
# Lab: hosts=2 guests=2 type=pvh suite=trixie
# Check: trixie-pvh
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
push_btl g1 g2
load_module g1 g2

# xs_migrate GUEST FROM TO
xs_migrate()
{
	lab ssh "$2" xs-migrate --require -s /usr/lib/lab/migrate-send "$1" "$3"
}

# apart COMMAND...: runs it, which parts the guests; together COMMAND...: likewise.
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

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
apart lab migrate g2 h2
together xs_migrate g2 h2 h1
meetings=1
if [ -n "${FULL:-}" ]; then
	apart xs_migrate g2 h1 h2
	together lab migrate g2 h1
	# The other way round, and both have moved.
	apart lab migrate g1 h2
	together xs_migrate g2 h1 h2
	meetings=3
fi
# Stays on rings and on TCP in turn, each way; the last has no end yet.
ended=$(stays)
echo "$ended"
job_end g1
for path in xs tcp; do
	check_equal "each stay on $path but the last came to an end" $((2 * meetings)) \
		"$(grep -c " $path " <<< "$ended")"
	check_equal "each stay on $path carried fragments" "" "$(awk -v path="$path" '$3 == path && $4 < 10' <<< "$ended")"
done
