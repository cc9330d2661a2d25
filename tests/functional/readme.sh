#!/bin/bash
# Proves: what the README tells a user to do in two guests of a real Xen host works as it stands.
# Lab: hosts=1 guests=0 type=pvh suite=all
# Check: none
# Limit: 3600
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../documents.sh"

# in_readme LINE: asserts that the README has it, so that the two do not part.
in_readme()
{
	check "the README says: $1" grep -qxF "$1" "$TOP/README.md"
}

# both COMMAND: runs it where the source lies, in g1, and then in g2 with what g1 has compiled: the
# compiler is emulated, and slow.
both()
{
	in_readme "$1"
	check "... and so it is in g1" lab ssh g1 "cd /root/xensocket && $1"
	lab ssh g1 tar -C /root -c xensocket | lab ssh g2 tar -C /root -x || fail "cannot copy to g2"
	check "... and so it is in g2" lab ssh g2 "cd /root/xensocket && $1"
}

# Room for a compiler. What the host has built is only the MPI program.
build
check "guest g1" lab create g1 --mem 640
check "guest g2" lab create g2 --mem 640
for guest in g1 g2; do
	lab push "$TOP/Makefile" "$TOP/kmod" "$TOP/userlib" "$TOP/btl_xs" "$guest:/root/xensocket" ||
		fail "cannot copy to $guest"
	lab push "$TOP/build/$SUITE/mpi/ring" "$guest:/usr/local/bin" || fail "cannot copy to $guest"
done
both "make -C kmod"
both "insmod build/kmod/xensocket.ko"
check "the README has: make btl" grep -q -x 'make btl' <<< "$(commands "$TOP/README.md")"
check "... and so it is in g1" lab ssh g1 "cd /root/xensocket && make btl"
both "make install"

in_readme "mpirun --mca btl xs,self --host GUEST,GUEST PROGRAM"
out=$(lab ssh mpi@g1 mpirun --mca btl xs,self --host g1,g2 ring --rounds 50 2>&1) || fail "$out"
check_equal "an MPI program's messages are right" "RING OK rounds=50 messages=100" \
	"$(sed -n 's/\(RING OK .*\) bytes=.*/\1/p' <<< "$out")"
check "... and went over rings" grep -a -q '\<xs_frags=[1-9]' <<< "$out"

in_readme "xscat -l DOMID < data"
in_readme "xscat OFFER > data"
domid=$(lab ssh g2 xsctl status | sed -n 's/^domid //p')
lab ssh g1 "head -c 3000000 /dev/urandom > data
	xscat -l $domid < data > /dev/null 2> offer & until [ -s offer ]; do sleep 0.2; done; cat offer" > "$TOP/build/offer"
offer=$(head -n 1 "$TOP/build/offer")
rm -f "$TOP/build/offer"
check "g2 takes the offer up" lab ssh g2 "xscat $offer > data"
check_equal "what arrived is what was sent" "$(lab ssh g1 sha256sum data)" "$(lab ssh g2 sha256sum data)"
check "the manual pages are there" lab ssh g1 "test -s /usr/local/share/man/man7/xensocket.7"
