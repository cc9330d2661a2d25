# shellcheck shell=bash
# What tests of the commands for dom0 share; sourced after lib.sh.
# SPDX-License-Identifier: BSD-3-Clause

# push_dom0 HOST...: installs the commands in the hosts' dom0, the hotplug script as the
# default of all guests.
push_dom0()
{
	local tree host
	tree=$(mktemp -d)
	make -s -C "$TOP" install-dom0 DESTDIR="$tree" || fail "cannot install the commands"
	for host in "$@"; do
		tar -C "$tree" -c . | lab ssh "$host" 'tar -x -m --no-same-owner -C / &&
			{ grep -q vif-xensocket /etc/xen/xl.conf ||
				echo "vif.default.script=\"vif-xensocket\"" >> /etc/xen/xl.conf; }' ||
			fail "cannot copy the commands to $host"
	done
	rm -rf "$tree"
}

# publish_dom0 HOST...: after push_dom0: tells the guests that run where they are, and those
# that arrive. They were made before there was a default, and so with vif-bridge: what
# goes by that name tells them, and then is what it was.
publish_dom0()
{
	local host
	for host in "$@"; do
		lab ssh "$host" 'cd /etc/xen/scripts && mv vif-bridge vif-bridge-alone &&
			cp vif-xensocket vif-bridge &&
			echo XENSOCKET_VIF_SCRIPT=vif-bridge-alone > /etc/xen/xensocket.conf &&
			xs-hostid --publish' || fail "$host does not tell its guests who it is"
	done
}

# xsctl GUEST ARGUMENT...
xsctl()
{
	local guest=$1
	shift
	lab ssh "$guest" /root/xsctl "$@"
}

# says GUEST NAME: a value of xsctl status.
says()
{
	xsctl "$1" status | sed -n "s/^$2 //p"
}
