# shellcheck shell=bash
# QEMU: the version of this machine's Debian, with mistakes mended that otherwise kill a
# PVH guest, or what runs in it, now and then.
#
# VMRUN with an interrupt to be injected delivers it and leaves its vector in
# exception_index. If, before anything else sets that, another thread asks the virtual CPU
# to leave its loop, the loop takes it for an exception and delivers it again, whatever
# the guest is doing and whether or not it has interrupts off. The request comes so late
# only if the thread that makes it is interrupted between two instructions: on a busy
# machine. PV guests know no VMRUN.
#
#   $LAB_CACHE/qemu-RELEASE-KEY/qemu-system-x86_64
# SPDX-License-Identifier: BSD-3-Clause

# qemu_make RELEASE TARGET
qemu_make()
{
	local release=$1 target=$2 packages
	packages=$(sed 's/#.*//' "$LAB_DIR/qemu/packages" | xargs | tr ' ' ',')
	mkdir -p "$target.new/tree"
	# shellcheck disable=SC2016 # mmdebstrap gives the hook its argument
	SUITE=$release apt_sources | sed 'p; s/^deb /deb-src /' |
		mmdebstrap --mode="$([ "$(id -u)" = 0 ] && echo root || echo unshare)" \
			--format=tar --variant=minbase \
			--aptopt='Apt::Install-Recommends "false"' \
			--aptopt='Acquire::Languages "none"' \
			--dpkgopt=force-unsafe-io \
			--customize-hook='cd "$1/usr/src" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -q source --download-only qemu' \
			--include="$packages" "$release" - - 3>&- |
		in_namespace tar -x -p --numeric-owner --exclude="./dev/*" -C "$target.new/tree" || return
	cp "$LAB_DIR/qemu/compile" "$target.new/"
	build_root "$target.new/tree" "$target.new" ./compile || return
	in_namespace rm -rf "$target.new/tree"
}

# qemu_ensure: sets LAB_QEMU, the program to run, unless the caller has named one. Where
# it cannot be built, Debian's own has to do.
qemu_ensure()
{
	local release version dir
	[ -z "${LAB_QEMU:-}" ] || return 0
	LAB_QEMU=qemu-system-x86_64
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	version=$("$LAB_QEMU" --version | head -n 1)
	dir=$LAB_CACHE/qemu-$release-$(key "$version" "$LAB_DIR/qemu" "$(declare -f qemu_make)")
	cached "$dir" "QEMU, with a mistake mended" qemu_make_or_not "$release" "$dir"
	touch "$dir"
	[ ! -x "$dir/qemu-system-x86_64" ] || LAB_QEMU=$dir/qemu-system-x86_64
}

# A failure is kept as well: each try takes minutes.
qemu_make_or_not()
{
	# shellcheck disable=SC2034 # build_root must not use the guests' kernel
	if (LAB_KERNEL='' && qemu_make "$@"); then
		"$2.new/qemu-system-x86_64" --version && return
	fi
	echo "QEMU could not be built; Debian's own may lose a PVH guest now and then"
	in_namespace rm -rf "$2.new"
	mkdir -p "$2.new"
}
