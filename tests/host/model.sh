#!/bin/bash
# Proves: in the model of the switch between TCP and rings each fragment is delivered once, in order, whatever is revoked when and whoever leaves.
# Lab: none
# Limit: 1200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

work=$TOP/build/model
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit

# search NAME OPTION...: searches all states of a variant of the model; ends at a mistake.
search()
{
	local name=$1
	shift
	lab chroot sh -ec 'cd build/model && spin -a "$@" ../../tests/model/switch.pml &&
		gcc -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c &&
		./pan -m1000000' sh "$@" > "$name" 2>&1 || { cat "$name"; fail "$name: the search did not end"; }
	cat "$name"
}

# finds NAME ASSERTION OPTION...: a variant with a mistake, which is to be found.
finds()
{
	local name=$1 assertion=$2
	shift 2
	search "$name" "$@"
	check "$name: the mistake is found" grep -q -F "assertion violated ($assertion" "$name"
}

# verify NAME OPTION...: a variant in which there is to be none.
verify()
{
	local name=$1
	shift
	search "$name" "$@"
	check "$name: no error in $(sed -n 's/ *\([0-9]*\) states, stored/\1/p' "$name") states" \
		grep -q 'errors: 0$' "$name"
	if grep -q 'not completed\|max search depth too small' "$name"; then
		fail "$name: not all states were searched"
	fi
	# What no state reaches proves nothing.
	check_equal "$name: all of the model is reached" "" \
		"$(grep 'switch.pml:[0-9]*, state' "$name" | grep -v '"-end-"')"
}

# Its messages and paths are the component's: none has been renamed, and no path added, on one side only.
names=$(sed -n 's/^mtype = { \(.*\) };.*/\1/p' "$TOP/tests/model/switch.pml" | tr -s ', ' '\n')
check "the model has names" [ "$(wc -w <<< "$names")" -ge 10 ]
for name in $names; do
	grep -q -w -e "MCA_BTL_XS_$name" -e "MCA_BTL_XS_PATH_$name" "$TOP"/btl_xs/btl_xs_{wire,path,endpoint}.h ||
		fail "the component knows no $name"
done
pass "the component has the model's names"
check_equal "the model has the component's paths" "" \
	"$(sed -n 's/^ *MCA_BTL_XS_PATH_\([A-Z]*\)\>.*/\1/p' "$TOP"/btl_xs/btl_xs_{path,endpoint}.h |
		grep -v -x -F -e STATES -e "$names")"

finds blind 'rx_next==' -DN=2 -DRINGS=1 -DBLIND
finds silent '(tx_retained==0)' -DN=2 -DRINGS=1 -DSILENT
finds endfirst ' !(ring[rx_ring].rx_revoked)' -DN=2 -DRINGS=1 -DENDFIRST
finds swallows 'rx_next==' -DN=2 -DRINGS=1 -DSWALLOWS
verify mapped -DN=2
verify reading -DN=2 -DREADS
verify patient -DN=2 -DPATIENT
if [ -n "${FULL:-}" ]; then
	verify mapped-3 -DN=3
	verify reading-3 -DN=3 -DREADS
	verify patient-3 -DN=3 -DPATIENT
	verify more-fragments -DN=4
	verify more-rings -DN=3 -DRINGS=3
fi
