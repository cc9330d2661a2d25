#!/bin/bash
# Proves: from nothing, a host boots Xen and dom0, and PVH and PV guests reach each other.
# Lab: none suite=all
# Check: none
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

export LAB_NAME=boot-$$ LAB_NO_SNAPSHOT=1
trap 'lab down' EXIT

check "a host with a PVH guest boots" lab up --guests 1 --type pvh
check "a PV guest boots beside it" lab create g2 --type pv
check "a second creation of it is harmless" lab create g2 --type pv
# shellcheck disable=SC2016 # expanded in dom0
check_equal "Xen says what they are" "pvh pv" "$(lab ssh h1 '
	echo $(for g in g1 g2; do xl list -l $g | grep -o -m1 "\"type\": \"[a-z]*\"" | cut -d\" -f4; done)')"
check "the PVH guest reaches the PV guest" lab ssh g1 ping -q -c 3 -W 10 g2
check "the PV guest reaches the PVH guest" lab ssh g2 ping -q -c 3 -W 10 g1
check "both run the suite's release" sh -c "
	for m in h1 g1 g2; do '$TESTS_DIR/lab/lab' ssh \$m grep -qx 'VERSION_CODENAME=$SUITE' /etc/os-release || exit 1; done"
status=$(lab status)
echo "$status"
check_equal "status lists the machines" "h1 g1 g2" "$(echo "$status" | awk 'NR > 2 { printf "%s%s", s, $1; s = " " }')"

state=$(echo "$status" | sed -n 's/.*state in //p')
pid=$(echo "$status" | sed -n 's/^h1 .*pid \([0-9]*\).*/\1/p')
check "down" lab down
[ ! -e "$state" ] || fail "down left $state"
! grep -qs . "/proc/$pid/cmdline" || fail "down left QEMU, process $pid"
left=$(pgrep -f "$state" | tr '\n' ' ')
check_equal "down leaves no process" "" "$left"
