#!/bin/bash
# Proves: migrations that fail, or are cut off before or after the guest is suspended, leave its job at work where it was, and on rings.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../dom0.sh"
. "$(dirname "$0")/../btl.sh"

push_dom0 h1 h2
push_btl g1 g2
load_module g1 g2
# What stands for ssh: goes away in the middle of the guest's memory, or when all of that
# has been sent and the guest stands still.
lab ssh h1 'cat > /root/cut && chmod +x /root/cut' <<- 'END'
	#!/bin/sh
	exec timeout 4 /usr/lib/lab/migrate-send "$@"
END
lab ssh h1 'cat > /root/cut-late && chmod +x /root/cut-late' <<- 'END'
	#!/bin/bash
	/usr/lib/lab/migrate-send "$@" <&0 &
	until xl list g2 2> /dev/null | awk 'NR == 2 && $5 ~ /s/ { found = 1 } END { exit !found }'; do
		kill -0 $! || exit
		sleep 0.1
	done
	kill $!
END

# forgotten: the other host has nothing left of a guest that did not arrive. xl destroys
# that there, unless the lab's pipe has ended and taken xl with it.
forgotten()
{
	lab ssh h2 'xl domid g2--incoming > /dev/null 2>&1 || exit 0
		sleep 5
		xl destroy g2--incoming
		exit 1'
}

# fails COMMAND: in dom0 of h1.
fails()
{
	if lab ssh h1 "$1"; then fail "$1 succeeds"; fi
	pass "$1 fails"
	eventually 60 "h2 forgets what has come" forgotten
	check "g2 is where it was" lab ssh h1 xl domid g2
}

# returned N: both directions have left their rings N times and are on rings.
returned()
{
	parted $((2 * $1)) && on_path 2 xs
}

job_begin g1,g2 2 suite --size 262144 random collectives flood sizes
eventually 30 "both directions use rings" on_path 2 xs
fails "xl migrate -s false g2 h2"
fails "xl migrate -s /root/cut g2 h2"
check "rings are as they were" on_path 2 xs
check_equal "no direction left its ring" 0 "$(turns | grep -c ' resync ')"
job_goes_on "the job goes on"
fails "xs-migrate --require --wait 60 -s false g2 h2"
eventually 30 "released, both directions are back on rings" returned 1
job_goes_on "the job goes on"
fails "xs-migrate --require --wait 60 -s /root/cut g2 h2"
eventually 30 "released, both directions are back on rings once more" returned 2
job_goes_on "the job goes on"
fails "xl migrate -s /root/cut-late g2 h2"
eventually 30 "resumed where it was, both directions are back on rings" returned 3
job_goes_on "the job goes on"
apart lab migrate g2 h2
ended=$(stays)
job_end g1
check_stays "$ended" xs 8 10
check_stays "$ended" tcp 6
