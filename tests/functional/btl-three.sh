#!/bin/bash
# Proves: of three guests of a job one leaves the host and comes back; only its own traffic changes to TCP.
# Lab: hosts=2 guests=3 type=pvh suite=trixie
# Check: none
# Limit: 700
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2 g3
load_module g1 g2 g3
job_begin g1,g2,g3 3 suite --size 65536 random collectives
eventually 60 "all six directions use rings" on_path 6 xs
check "g3 leaves" lab migrate g3 h2
eventually 30 "four directions are on TCP" on_path 4 tcp
check "the other two stay on rings" on_path 2 xs
job_goes_on "the job goes on"
check "g3 comes back" lab migrate g3 h1
eventually 30 "all six directions use rings again" on_path 6 xs
job_goes_on "the job goes on"
check_equal "each direction from or to g3 was on TCP once" 4 "$(turns | grep -c ' resync ')"
job_end g1
