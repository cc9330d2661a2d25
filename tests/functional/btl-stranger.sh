#!/bin/bash
# Proves: a guest of a job arrives on a host where another domain has its peer's number, and has a number that another domain has beside its peer: the job goes on over TCP, and the strangers get nothing.
# Lab: hosts=2 guests=3 type=pvh suite=all
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

# domid HOST DOMAIN
domid()
{
	lab ssh "$1" xl domid "$2"
}

# idle NAME: a domain on h2 that only has a number.
idle()
{
	lab ssh h2 "printf '%s\n' 'name = \"$1\"' 'type = \"pvh\"' 'memory = 80' 'vcpus = 1' \
		'kernel = \"/boot/lab-vmlinux\"' > /tmp/idle.cfg && xl create -q -p /tmp/idle.cfg" ||
		fail "h2 has no domain '$1'"
}

push_btl g1 g3
lab push "$MODULE" g2:/root || fail "cannot copy the module"
load_module g1 g2 g3
peer=$(domid h1 g1) stranger=$(domid h1 g2)
check "the stranger's number is greater than the peer's" [ "$stranger" -gt "$peer" ]
number=0
while [ $((number + 1)) -lt "$stranger" ]; do
	idle "idle$number"
	number=$(domid h2 "idle$number")
done
check_equal "on the other host the peer's number is a stranger's" paused \
	"$(lab ssh h2 xl list | awk -v n="$peer" '$2 == n && $1 ~ /^idle/ && $5 ~ /p/ { print "paused" }')"

job_begin g1,g3 2 suite --size 65536 random collectives
eventually 60 "both directions use rings" on_path 2 xs
check "g3 leaves" lab migrate g3 h2
check_equal "it has the stranger's number" "$stranger" "$(domid h2 g3)"
eventually 30 "both directions are on TCP" on_path 2 tcp
job_goes_on "the job goes on over TCP"
check "both are still on TCP" on_path 2 tcp
check_equal "the stranger has no xensocket" 0 "$(lab ssh g2 'tail -n +2 /proc/net/xensocket | wc -l')"
together lab migrate g3 h1
ended=$(stays)
job_end g1
check_stays "$ended" xs 2 10
check_stays "$ended" tcp 2 10
check "they have tried to reach each other" [ "$(total refusals)" -ge 1 ]
