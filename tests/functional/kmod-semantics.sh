#!/bin/bash
# Proves: sockets between two guests do what a Linux user expects, and give everything back.
# Lab: hosts=1 guests=2 type=all suite=all
# Check: trixie-pvh bookworm-pv
# Limit: 400
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../kmod.sh"

# holdings GUEST: what the domain holds of Xen, as Xen and the guest count it.
holdings()
{
	# Grants to dom0 do not count: the block device's come and go.
	# shellcheck disable=SC2016 # expanded in dom0
	lab ssh h1 'id=$(xl domid '"$1"')
		echo "event channels: $(/usr/lib/xen-*/bin/lsevtchn $id | wc -l)"
		xl dmesg -c > /dev/null
		xl debug-keys g
		xl dmesg | awk -v domain="d$id" "
			/grant-table for remote/ { on = \$5 == domain }
			on && /\[0x/ && \$3 != 0 { n++ }
			END { print \"grants mapped by peers: \" n + 0 }"'
	# shellcheck disable=SC2016 # expanded in the guest
	lab ssh "$1" 'echo "interrupts: $(grep -c xen-dyn /proc/interrupts)"'
}

push_kmod g1 g2
before="$(holdings g1) $(holdings g2)"
echo "$before"

check_xsocktest semantics unix

check_kernel_log g1 g2
check_equal "all is given back while the module is loaded" "$before" "$(holdings g1) $(holdings g2)"
check "rmmod" lab ssh g1 rmmod xensocket
