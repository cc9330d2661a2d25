# shellcheck shell=bash
# KERNEL=debug: guests with a kernel that finds mistakes in a module (KASAN, lockdep,
# kmemleak, ...), KERNEL=kcsan: data races in it. Built once from Debian's kernel source.
# dom0 keeps Debian's kernel.
#
#   $LAB_CACHE/source-SUITE-KEY/  root file system with compiler and kernel source
#   $LAB_CACHE/kernel-SUITE-KEY/  boot/, modules/ and build/, as debug/compile leaves them
#   $LAB_CACHE/KERNEL-SUITE-KEY/  the ordinary image with that kernel for the guests
# SPDX-License-Identifier: BSD-3-Clause

KERNEL=${KERNEL:-}
# How long a machine may take to accept a connection, before that is tried anew.
SSH_SECONDS=15

case $KERNEL in
"") ;;
debug)
	# An eighth of the memory for KASAN, freed memory in quarantine, a stack trace for
	# each allocation; and dom0 has to hold the saved guests.
	LAB_GUEST_MEM=${LAB_GUEST_MEM:-512}
	LAB_DOM0_MEM=${LAB_DOM0_MEM:-1408}
	LAB_HOST_MEM=${LAB_HOST_MEM:-4096}
	LAB_BOOT_SECONDS=${LAB_BOOT_SECONDS:-1600}
	# shellcheck disable=SC2034 # used by the lab command
	SSH_SECONDS=90
	;;
kcsan)
	LAB_BOOT_SECONDS=${LAB_BOOT_SECONDS:-1600}
	;;
*) usage_error "unknown kernel '$KERNEL'; KERNEL is debug, kcsan or empty" ;;
esac

# source_make TARGET: a root file system to compile a kernel in.
source_make()
{
	local target=$1 packages
	packages=$(sed 's/#.*//' "$LAB_DIR/debug/packages" | xargs | tr ' ' ',')
	mkdir -p "$target.new/tree"
	apt_sources |
		mmdebstrap --mode="$([ "$(id -u)" = 0 ] && echo root || echo unshare)" \
			--format=tar --variant=minbase \
			--aptopt='Apt::Install-Recommends "false"' \
			--aptopt='Acquire::Languages "none"' \
			--dpkgopt=force-unsafe-io \
			--include="$packages" "$SUITE" - - 3>&- |
		in_namespace tar -x -p --numeric-owner -C "$target.new/tree"
}

# kernel_make SOURCE TARGET
kernel_make()
{
	local source=$1 target=$2
	mkdir -p "$target.new"
	cp "$LAB_DIR/debug/compile" "$target.new/"
	kernel_config > "$target.new/config"
	build_root "$source/tree" "$target.new" ./compile
}

# kernel_config: the options of the kernel and the suite at hand, as text.
kernel_config()
{
	local options
	for options in config "config-$KERNEL" "config-$KERNEL-$SUITE"; do
		[ ! -e "$LAB_DIR/debug/$options" ] || cat "$LAB_DIR/debug/$options"
	done
}

# kernel_image_make IMAGE KERNEL TARGET: a copy of the image in which the guests' kernel
# is another one.
kernel_image_make()
{
	local image=$1 kernel=$2 target=$3 version file size
	version=$(cat "$kernel/version")
	size=$(du -sm "$kernel/boot" | cut -f1)
	cp -r --sparse=always "$image" "$target.new"
	truncate -s "+$((size + 16))M" "$target.new/disk.ext4"
	resize2fs -f "$target.new/disk.ext4"
	{
		echo "cd /boot"
		echo "rm lab-vmlinux"
		echo "write $kernel/boot/lab-vmlinux lab-vmlinux"
		echo "mkdir /usr/lib/modules/$version"
		echo "cd /usr/lib/modules/$version"
		for file in "$kernel"/modules/*; do
			echo "write $file $(basename "$file")"
		done
	} | debugfs -w -f - "$target.new/disk.ext4"
	# Its status does not say whether it has worked.
	debugfs -R "cat /boot/lab-vmlinux" "$target.new/disk.ext4" |
		cmp - "$kernel/boot/lab-vmlinux"
	debugfs -R "cat /usr/lib/modules/$version/modules.builtin.bin" "$target.new/disk.ext4" |
		cmp - "$kernel/modules/modules.builtin.bin"
}

# kernel_ensure: with a KERNEL, puts the image with that kernel into the place of
# the ordinary one; LAB_KERNEL is what modules are compiled against.
kernel_ensure()
{
	local source_key kernel_key image_key source kernel image
	[ -n "$KERNEL" ] || return 0
	source_key=$(key "$SUITE" "$LAB_DIR/debug/packages" "$(declare -f source_make)")
	kernel_key=$(key "$source_key" "$LAB_DIR/debug/compile" "$(kernel_config)" \
		"$(declare -f kernel_make)")
	image_key=$(key "$(basename "$LAB_IMAGE")" "$kernel_key" "$(declare -f kernel_image_make)")
	source=$LAB_CACHE/source-$SUITE-$source_key
	kernel=$LAB_CACHE/kernel-$SUITE-$kernel_key
	image=$LAB_CACHE/$KERNEL-$SUITE-$image_key
	cached "$source" "kernel source of Debian $SUITE" source_make "$source"
	cached "$kernel" "$KERNEL kernel of Debian $SUITE" kernel_make "$source" "$kernel"
	cached "$image" "disk image with the $KERNEL kernel" \
		kernel_image_make "$LAB_IMAGE" "$kernel" "$image"
	touch "$source" "$kernel" "$image"
	# shellcheck disable=SC2034 # build_root has use for it
	LAB_KERNEL=$kernel
	LAB_IMAGE=$image
}
