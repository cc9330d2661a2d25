# shellcheck shell=bash
# What the machine at hand needs: a handful of Debian packages.
# SPDX-License-Identifier: BSD-3-Clause

# program:package pairs. Everything else lives in the lab's own root file system.
readonly LAB_DEPS="
	mke2fs:e2fsprogs
	mmdebstrap:mmdebstrap
	newuidmap:uidmap
	pgrep:procps
	qemu-system-x86_64:qemu-system-x86
	shellcheck:shellcheck
	socat:socat
	ssh:openssh-client
	unshare:util-linux
"

# deps_missing: names of the packages whose program is not on this machine.
deps_missing()
{
	local pair
	for pair in $LAB_DEPS; do
		command -v "${pair%%:*}" > /dev/null 2>&1 || printf '%s ' "${pair##*:}"
	done
}

deps_install()
{
	# shellcheck disable=SC2086 # a list of packages
	{
		DEBIAN_FRONTEND=noninteractive apt-get -q update
		DEBIAN_FRONTEND=noninteractive apt-get -q -y \
			install --no-install-recommends $1
	}
}

# deps_ensure: installs what is missing; without root, says what to run.
deps_ensure()
{
	local missing
	missing=$(deps_missing)
	[ -n "$missing" ] || return 0
	missing=${missing% }
	command -v apt-get > /dev/null 2>&1 ||
		die "these Debian packages are missing and apt-get is not here: $missing"
	[ "$(id -u)" = 0 ] ||
		die "missing packages; run: sudo apt-get install --no-install-recommends $missing"
	say "installing missing Debian packages: $missing"
	step "install $missing" deps_install "$missing"
	missing=$(deps_missing)
	[ -z "$missing" ] || die "still missing after installation: $missing"
}
