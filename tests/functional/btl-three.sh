#!/bin/bash
# Proves: of three guests of a job one leaves the host, to where it gets another's number; only its own traffic changes to TCP. When the others follow, both at once, all are on rings.
# Lab: hosts=2 guests=3 type=pvh suite=all
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

# domid HOST GUEST
domid()
{
	lab ssh "$1" xl domid "$2"
}

push_btl g1 g2 g3
load_module g1 g2 g3
number=$(domid h1 g1)
job_begin g1,g2,g3 3 suite --size 65536 random collectives
eventually 60 "all six directions use rings" on_path 6 xs
check "g3 leaves" lab migrate g3 h2
# What g2 offers it is granted to g1 then, and what it offers g2 is looked for in g1.
check_equal "it has the number that g1 has on the other host" "$number" "$(domid h2 g3)"
eventually 30 "four directions are on TCP" on_path 4 tcp
check "the other two stay on rings" on_path 2 xs
job_goes_on "the job goes on"
check_equal "each direction from or to g3 was on TCP once" 4 "$(turns | grep -c ' resync ')"
# The lab does one thing at a time, xl need not.
lab ssh h1 xl migrate -s /usr/lib/lab/migrate-send g1 h2 &
migration=$!
check "g2 follows" lab ssh h1 xl migrate -s /usr/lib/lab/migrate-send g2 h2
check "so does g1, meanwhile" wait $migration
eventually 60 "all six directions use rings again" on_path 6 xs
job_goes_on "the job goes on"
ended=$(stays)
job_end g1
check_stays "$ended" xs 6 1
# The job went on while TCP was between g3, rank 2, and the others. Between those two it was
# only while both were on their way, and may have had nothing to carry.
check_stays "$ended" tcp 6
check_stays "$(grep -e '^g3:' -e ',2\] ' <<< "$ended")" tcp 4 1
