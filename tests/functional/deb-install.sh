#!/bin/bash
# Proves: in fresh guests the packages install, DKMS builds the module, also for a new kernel, what they have works, and purged they leave nothing.
# Lab: hosts=1 guests=0 type=pvh suite=all
# Check: none
# Limit: 3600
# shellcheck disable=SC2016 # what is in single quotes is expanded in the guest
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"
. "$(dirname "$0")/../documents.sh"

# both COMMAND: asserts that it succeeds in both guests, at once.
both()
{
	local guest pids=()
	for guest in g1 g2; do
		lab ssh "$guest" "$1" > "$work/$guest" 2>&1 &
		pids+=($!)
	done
	for guest in g1 g2; do
		wait "${pids[${guest#g} - 1]}" || { cat "$work/$guest"; fail "$guest: $1"; }
		cat "$work/$guest"
		pass "$guest: $1"
	done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build
check "make deb" make -s -C "$TOP" deb
packages="libxensocket1 libxensocket-dev xensocket-tools xensocket-dkms openmpi-xs"
files=()
for package in $packages; do
	files+=("$TOP/build/$SUITE/deb/$package"_*.deb)
done
version=$(sed -n 's/^#define XSOCK_RELEASE.*"\(.*\)"/\1/p' "$TOP/kmod/uapi/xensocket.h")

# Room for a compiler.
check "guest g1" lab create g1 --mem 768
check "guest g2" lab create g2 --mem 768
for guest in g1 g2; do
	lab push "${files[@]}" "$guest:/tmp/deb" || fail "cannot copy to $guest"
	lab push "$TOP/build/$SUITE/mpi/ring" "$guest:/usr/local/bin" || fail "cannot copy to $guest"
done
# The images do without documentation; here it is to be installed, and to go. Names of files,
# groups and diversions, before and after; what dpkg, apt and DKMS keep for themselves is
# none of the packages' (DKMS makes a key when it builds the first module).
state="{ find / -xdev \( -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \
		-o -path '/var/lib/dkms/mok.*' -o -path '/etc/*-' -o -path /home/mpi \) -prune -o -print
	cut -d: -f1 /etc/group; dpkg-divert --list; ls /sys/module | grep xensocket; } | sort"
both "rm -f /etc/dpkg/dpkg.cfg.d/*mmdebstrap*; $state > /tmp/before"

# As packages.md has it: what it says of guests, and the library, which nothing there needs.
answers='APT::Get::Assume-Yes "true"; APT::Install-Recommends "false"; quiet "1";'
in_guest=$(block "$TOP/Documentation/packages.md" 'modprobe xensocket')
check "packages.md says how to install" [ "$(wc -l <<< "$in_guest")" = 2 ]
both "echo '$answers' > /etc/apt/apt.conf.d/answers"
both "cd /tmp/deb && DEBIAN_FRONTEND=noninteractive $(head -n 1 <<< "$in_guest")"
# As the user guide has it, for modprobe.
check "user-guide.md has the line" grep -q -x 'options xensocket NAME=VALUE' <<< "$(commands "$TOP/Documentation/user-guide.md")"
both 'echo options xensocket max_user_sockets=77 > /etc/modprobe.d/xensocket.conf'
both "$(tail -n 1 <<< "$in_guest")"
both '[ "$(cat /sys/module/xensocket/parameters/max_user_sockets)" = 77 ] && rm /etc/modprobe.d/xensocket.conf'
both "cd /tmp/deb && DEBIAN_FRONTEND=noninteractive apt-get install ./libxensocket*.deb"
both "rmmod xensocket"
both "dkms status | grep '^xensocket.*$version.*installed'"
# As at the start of an ordinary guest.
both 'mkdir -p /run/udev && $(ls /usr/lib/systemd/systemd-udevd /lib/systemd/systemd-udevd | head -n 1) --daemon &&
	modprobe "$(grep -v "^#" /usr/lib/modules-load.d/xensocket.conf)" && udevadm settle'
both "[ \"\$(cat /sys/module/xensocket/version)\" = $version ]"
both '[ "$(stat -c "%U:%G %a" /dev/xensocket)" = "root:xensocket 664" ]'
both 'xsctl status'
check "a program can be compiled with the library" lab ssh g1 'cd /tmp &&
	printf "#include <stdio.h>\n#include <xensocket.h>\nint main(void)\n{\n\tputs(xsock_strerror(0));\n\treturn 0;\n}\n" > a.c &&
	gcc -o a a.c $(pkg-config --cflags --libs libxensocket) && [ "$(./a)" = Success ] && ldd a | grep libxensocket.so.1'

domid=$(lab ssh g2 xsctl status | sed -n 's/^domid //p')
lab ssh g1 "cd /tmp && head -c 3000000 /dev/urandom > data
	xscat -l $domid < data > /dev/null 2> offer & until [ -s /tmp/offer ]; do sleep 0.2; done; cat /tmp/offer" > "$work/offer"
check "xscat carries data" lab ssh g2 "xscat $(head -n 1 "$work/offer") > /tmp/data"
check_equal "what arrived is what was sent" "$(lab ssh g1 sha256sum /tmp/data)" "$(lab ssh g2 sha256sum /tmp/data)"

job g1,g2 2 ring --rounds 50
check_equal "an MPI job passes" "RING OK rounds=50 messages=100" \
	"$(sed -n 's/\(RING OK .*\) bytes=.*/\1/p' <<< "$out")"
[ "$(total xs_frags)" -gt 0 ] || fail "it did not use xensockets"
pass "$(total xs_frags) fragments went over xensockets"

# A new kernel, as far as DKMS can tell: the hook that its package's installation runs.
check "a new kernel gets the module" lab ssh g1 'old=$(uname -r) new=$(uname -r)-new && mkdir /lib/modules/$new &&
	cp -d /lib/modules/$old/build /lib/modules/$old/modules.* /lib/modules/$new &&
	/etc/kernel/postinst.d/dkms $new && ls /lib/modules/$new/updates/dkms/xensocket.ko*'
check "and an old one loses it" lab ssh g1 'new=$(uname -r)-new && /etc/kernel/prerm.d/dkms $new &&
	! ls /lib/modules/$new/updates/dkms/xensocket.ko* 2> /dev/null && rm -r /lib/modules/$new'

# Twice is not once more.
check "installed again over itself" lab ssh g2 'dpkg -i /tmp/deb/openmpi-xs_*.deb'
both "rmmod xensocket && udevadm control --exit; pids=\$(pidof systemd-udevd) && kill \$pids
	DEBIAN_FRONTEND=noninteractive apt-get purge $packages"
both "rm -rf /tmp/a /tmp/a.c /etc/apt/apt.conf.d/answers; $state > /tmp/after; diff /tmp/before /tmp/after"

lab push "$TOP/build/$SUITE/deb"/xensocket-dom0_*.deb h1:/tmp/deb || fail "cannot copy to h1"
state="find /etc/xen /usr -xdev | sort"
lab ssh h1 "$state > /tmp/before; cp /etc/xen/xl.conf /tmp; echo '$answers' > /etc/apt/apt.conf.d/answers"
while read -r line <&4; do
	check "dom0: $line" lab ssh h1 "cd /tmp/deb && DEBIAN_FRONTEND=noninteractive $line"
done 4< <(block "$TOP/Documentation/packages.md" 'apt-get install ./xensocket-dom0')
check "dom0: the host has an identity" grep -qxE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' <<< "$(lab ssh h1 xs-hostid)"
check "dom0: the hotplug script is there" lab ssh h1 test -x /etc/xen/scripts/vif-xensocket
lab ssh h1 "mv /tmp/xl.conf /etc/xen/xl.conf"
lab push "$TOP/Makefile" "$TOP/xen-scripts" "$TOP/kmod" h1:/tmp/xensocket || fail "cannot copy to h1"
check "dom0: make uninstall-dom0 leaves the package alone" \
	lab ssh h1 'cd /tmp/xensocket && make uninstall-dom0 && [ -x /usr/sbin/xs-migrate ] && [ -x /etc/xen/scripts/vif-xensocket ]'
check "dom0: purged it leaves nothing" lab ssh h1 "apt-get purge xensocket-dom0 && $state > /tmp/after && diff /tmp/before /tmp/after"
