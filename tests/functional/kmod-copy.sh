#!/bin/bash
# Proves: a receiver copies what its transmitter has exposed, at all alignments and sizes; stale and forged handles and lies find nothing; what happens in the middle of it leaves neither a wrong byte nor anything locked or granted.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh bookworm-pv
# Limit: 900
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

push_kmod g1 g2
grant_devices g1 g2
before=$("$TESTS_DIR/holdings" h1)
echo "$before"

# pinned GUEST: pages that something has pinned in memory and not let go of.
pinned()
{
	lab ssh "$1" cat /proc/vmstat |
		awk '$1 == "nr_foll_pin_acquired" { n += $2 } $1 == "nr_foll_pin_released" { n -= $2 } END { print n + 0 }'
}

check "pins are counted" grep -q nr_foll_pin_acquired <<< "$(lab ssh g1 cat /proc/vmstat)"
first1=$(pinned g1) first2=$(pinned g2)
check_xsocktest regions
check_xsocktest rx_busy tx_slots
check_kernel_log g1 g2
check_given_back "$before" g1 g2
check_equal "g1 has nothing pinned" "$first1" "$(pinned g1)"
check_equal "g2 has nothing pinned" "$first2" "$(pinned g2)"
check_module_leaves g1 g2
