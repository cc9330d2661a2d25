#!/bin/bash
# Proves: between guests commands hold a running job on TCP and release it, and quiesce it for all of its guests to be saved, and restored on another host.
# Lab: hosts=2 guests=2 type=pvh suite=all
# Check: trixie-pvh
# Limit: 2400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

# ctl GUEST WANT ARGUMENT...: the job's user runs the tool in a guest; it is to end with this
# status. What it says is left in $said.
ctl()
{
	local guest=$1 want=$2 status=0
	shift 2
	said=$(lab ssh "mpi@$guest" xs-btlctl "$@" 2>&1) || status=$?
	[ "$status" = "$want" ] || printf '%s\n' "$said"
	check_equal "$guest: xs-btlctl $*" "$want" "$status"
}

# sockets: how many xensockets there are in both guests.
sockets()
{
	local guest n=0
	for guest in g1 g2; do
		n=$((n + $(lab ssh "$guest" 'tail -n +2 /proc/net/xensocket | wc -l'))) || fail "no answer from $guest"
	done
	echo "$n"
}

# gone: no guest runs on h1.
gone()
{
	! lab ssh h1 xl domid g1 2> /dev/null && ! lab ssh h1 xl domid g2 2> /dev/null
}

# carry GUEST: takes what it was saved in to the other host.
carry()
{
	local file=/var/lib/xen/$1.save
	lab ssh h1 cat "$file" | lab ssh h2 "cat > $file" || fail "cannot copy $file"
	check_equal "$1: the image is the same" "$(lab ssh h1 "sha256sum < $file")" "$(lab ssh h2 "sha256sum < $file")"
	lab ssh h1 rm "$file"
}

push_btl g1 g2
load_module g1 g2
for guest in g1 g2; do
	lab push "$TOP/build/$SUITE/userlib/xs-btlctl" "$guest:/usr/local/bin" || fail "cannot copy xs-btlctl"
done
ctl g1 3 list
job_begin g1,g2 2 suite --size 65536 random collectives flood
eventually 30 "both directions use rings" on_path 2 xs

for guest in g1 g2; do
	ctl "$guest" 0 list
	check_equal "both ranks are listed in $guest" "0 1" \
		"$(awk '$1 ~ /^[0-9]+$/ { print $1 }' <<< "$said" | sort | paste -s -d ' ')"
done
status=0
lab ssh g1 setpriv --reuid 12345 --clear-groups xs-btlctl hold || status=$?
check_equal "another user is refused" 5 "$status"

# A second each, from either guest.
seconds=20
[ -z "${FULL:-}" ] || seconds=60
end=$((SECONDS + seconds)) rounds=0
while [ "$SECONDS" -lt "$end" ]; do
	ctl g1 0 --wait 60 hold
	sleep 1
	ctl g2 0 --wait 60 release
	sleep 1
	rounds=$((rounds + 1))
done
eventually 30 "both directions are back on rings" on_path 2 xs
check "... after $rounds holds" parted $((2 * rounds))
job_goes_on "the job goes on"

ctl g1 0 --wait 60 quiesce
eventually 30 "both directions are on TCP" on_path 2 tcp
check_equal "no xensocket is left" 0 "$(sockets)"
if [ -n "${FULL:-}" ]; then
	check "g1 is saved" lab save g1
	carry g1
	check "g2 is saved" lab save g2
	check "no guest of the job runs" gone
	check "g1 is restored on the other host" lab restore g1 h2
	lab ssh h2 rm /var/lib/xen/g1.save
	carry g2
	check "g2 is restored there, too" lab restore g2 h2
	lab ssh h2 rm /var/lib/xen/g2.save
fi
job_goes_on "the job goes on over TCP"
check_equal "it is still quiesced" 0 "$(sockets)"
ctl g2 0 --wait 60 resume
eventually 60 "both directions are back on rings" on_path 2 xs
job_goes_on "the job goes on over rings"
job_end g1
