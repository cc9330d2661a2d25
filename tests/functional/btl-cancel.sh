#!/bin/bash
# Proves: migrations that fail or are cut off half-way leave a job where it was, on rings.
# Lab: hosts=2 guests=2 type=pvh suite=trixie
# Check: none
# Limit: 700
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
push_btl g1 g2
load_module g1 g2
# What stands for ssh: goes away in the middle of the guest's memory.
lab ssh h1 'cat > /root/cut && chmod +x /root/cut' <<- 'END'
	#!/bin/sh
	exec timeout 4 /usr/lib/lab/migrate-send "$@"
END
# fails COMMAND: in dom0 of h1.
fails()
{
	if lab ssh h1 "$1"; then fail "$1 succeeds"; fi
	pass "$1 fails"
}

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
fails "xl migrate -s false g2 h2"
fails "xl migrate -s /root/cut g2 h2"
check "rings are as they were" on_path 2 xs
check_equal "no direction left its ring" 0 "$(turns | grep -c ' resync ')"
job_goes_on "the job goes on"
fails "xs-migrate -s false g2 h2"
eventually 30 "released, both directions are back on rings" on_path 2 xs
fails "xs-migrate -s /root/cut g2 h2"
eventually 30 "released, both directions are back on rings" on_path 2 xs
job_goes_on "the job goes on"
check "a migration that is not cut off succeeds" lab migrate g2 h2
eventually 30 "both directions are on TCP" on_path 2 tcp
job_goes_on "the job goes on"
job_end g1
