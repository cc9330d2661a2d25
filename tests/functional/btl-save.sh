#!/bin/bash
# Proves: a busy MPI job survives save and restore of a guest, and a checkpoint, and is on rings afterwards.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: none
# Limit: 1200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1
push_btl g1 g2
load_module g1 g2

# again N TEXT: there, back, and at work.
again()
{
	eventually 30 "$2: both directions were on TCP" parted $((2 * $1))
	eventually 60 "$2: both directions are back on rings" on_path 2 xs
	job_goes_on "$2: the job goes on"
}

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
check "xl save of g2" lab save g2
sleep 5
check "xl restore" lab restore g2
# There is room for one.
lab ssh h1 rm /var/lib/xen/g2.save
again 1 "restored"
check "xs-save of g1" lab ssh h1 xs-save --require --wait 60 g1 /var/lib/xen/g1.save
check "xs-restore" lab ssh h1 xs-restore /var/lib/xen/g1.save
lab ssh h1 rm /var/lib/xen/g1.save
again 2 "restored after a quiesce"
check "xl save -c: g2 goes on where it was" lab ssh h1 xl save -c g2 /dev/null
again 3 "after a checkpoint"
ended=$(stays)
job_end g1
check_stays "$ended" xs 6 10
# A guest that is back at once may be on rings again before it has sent anything else.
check_stays "$ended" tcp 6
check "some of them carried fragments" [ "$(awk '$3 == "tcp" { sum += $4 } END { print sum + 0 }' <<< "$ended")" -ge 10 ]
