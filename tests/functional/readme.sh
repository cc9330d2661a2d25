#!/bin/bash
# Proves: what the README tells a user to do in two guests of a real Xen host works as it stands.
# Lab: hosts=1 guests=0 type=pvh suite=all
# Check: none
# Limit: 1800
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

# in_readme LINE: asserts that the README has it, so that the two do not part.
in_readme()
{
	check "the README says: $1" grep -qxF "$1" "$TOP/README.md"
}

# both COMMAND: runs it in both guests at once, where the source lies; slow, as the
# compiler is emulated.
both()
{
	local guest pids=()
	in_readme "$1"
	for guest in g1 g2; do
		lab ssh "$guest" "cd /root/xensocket && $1" &
		pids+=($!)
	done
	check "... and so it is in g1" wait "${pids[0]}"
	check "... and so it is in g2" wait "${pids[1]}"
}

# Room for a compiler.
check "guest g1" lab create g1 --mem 640
check "guest g2" lab create g2 --mem 640
for guest in g1 g2; do
	lab push "$TOP/kmod" "$TOP/userlib" "$guest:/root/xensocket" || fail "cannot copy to $guest"
done
both "make -C kmod"
both "insmod build/kmod/xensocket.ko"
both "make -C userlib install"

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
