# shellcheck shell=bash
# Root file systems and disk images, cached by a key over what they are made of.
#
#   $LAB_CACHE/tree-SUITE-KEY/    root file system as packages made it, the build root
#   $LAB_CACHE/tools-SUITE-KEY/   the same with what builds and checks packages, and draws plots
#   $LAB_CACHE/static-SUITE-KEY/  a small one with the kernel's checks of source code
#   $LAB_CACHE/newer-RELEASE-KEY/ a small one of a release to come, with its kernel's headers
#   $LAB_CACHE/image-SUITE-KEY/   disk.ext4, lab-xen, lab-vmlinuz, lab-initramfs, id_ed25519
# SPDX-License-Identifier: BSD-3-Clause

LAB_CACHE=${LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xensocket-lab}

# Least free space, in MiB, for a tree and its image while they are made.
readonly IMAGE_NEED_MIB=6000

# in_namespace COMMAND...: runs with a private mount table, as root or as a
# mapped root, so that the owners in a root file system come out right.
in_namespace()
{
	if [ "$(id -u)" = 0 ]; then
		unshare --mount "$@"
	else
		unshare --user --map-root-user --map-auto --mount "$@"
	fi
}

# key FILE-OR-TEXT...: twelve hex digits over all inputs, names and contents.
key()
{
	local input
	for input in "$@"; do
		printf '%s\n' "$input"
		if [ -d "$input" ]; then
			(cd "$input" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
		elif [ -f "$input" ]; then
			sha256sum < "$input"
		fi
	done | sed "s#$LAB_DIR##" | sha256sum | cut -c1-12
}

# package_list [FURTHER]: of the suite; with what the further list names.
package_list()
{
	(cd "$LAB_DIR/packages" && sed 's/#.*//' common "$SUITE" "$@") | tr -s ' \n' ',,' |
		sed 's/^,//; s/,$//'
}

# apt_sources: lines for the suite at hand, from the machine's own mirrors.
# LAB_MIRROR (a URI) overrides them.
apt_sources()
{
	local own
	if [ -n "${LAB_MIRROR:-}" ]; then
		echo "deb $LAB_MIRROR $SUITE main"
		return
	fi
	own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# "bookworm-updates" on the machine stands for "trixie-updates" in the lab.
	# shellcheck disable=SC2016 # the format is apt's, not the shell's
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(RELEASE)' \
		'Created-By: Packages' |
		awk -v own="$own" -v suite="$SUITE" '
			$3 == "main" && index($4, own) == 1 {
				sub("^" own, suite, $4)
				if (!seen[$1, $4]++) print "deb", $1, $4, "main"
			}'
}

# tree_make TARGET PACKAGES
tree_make()
{
	local target=$1 packages=$2 sources
	sources=$(apt_sources)
	[ -n "$sources" ] || die "no Debian mirror in this machine's apt configuration; set LAB_MIRROR"
	mkdir -p "$target.new/tree"
	# No initrd of the distribution's: the lab has its own.
	# No device nodes: without root they cannot be made, and /dev is mounted anyway.
	# It hands descriptors to dash, which knows them up to 9 only: leave none open.
	# shellcheck disable=SC2016 # mmdebstrap gives the hooks their argument
	printf '%s\n' "$sources" |
		mmdebstrap --mode="$([ "$(id -u)" = 0 ] && echo root || echo unshare)" \
			--format=tar --variant=minbase \
			--aptopt='Apt::Install-Recommends "false"' \
			--aptopt='Acquire::Languages "none"' \
			--dpkgopt=force-unsafe-io \
			--dpkgopt='path-exclude=/usr/share/doc/*' \
			--dpkgopt='path-exclude=/usr/share/man/*' \
			--dpkgopt='path-exclude=/usr/share/locale/*' \
			--essential-hook='chroot "$1" dpkg-divert --quiet --add --rename /usr/sbin/update-initramfs' \
			--essential-hook='ln -s /bin/true "$1/usr/sbin/update-initramfs"' \
			--include="$packages" "$SUITE" - - 3>&- |
		in_namespace tar -x -p --numeric-owner --exclude="./dev/*" -C "$target.new/tree"
	[ -e "$target.new/tree/usr/sbin/xl" ] || [ -e "$target.new/tree/usr/lib/xen" ] ||
		die "mmdebstrap left no Xen tools"
}

# chroot_in TREE COMMAND...: a chroot with /proc, /dev and /tmp of its own.
# The shell stays the first process of the namespace: make as the first would survive
# SIGTERM and spin. Whoever ends unshare ends them all.
chroot_in()
{
	local tree=$1
	shift
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_namespace --pid --fork --kill-child sh -e -c '
		tree=$1
		shift
		mount -t proc proc "$tree/proc"
		mount --rbind /dev "$tree/dev"
		mount -t tmpfs -o mode=1777 tmp "$tree/tmp"
		chroot "$tree" "$@" || exit
	' sh "$tree" "$@"
}

image_make()
{
	local tree=$1 target=$2 size
	mkdir -p "$target.new"
	# A copy on which preparation works; the tree stays what packages made it.
	in_namespace cp -a --reflink=auto "$tree/tree" "$target.new/tree"
	in_namespace cp -a --no-preserve=ownership "$LAB_DIR/rootfs/." "$target.new/tree/"
	chroot_in "$target.new/tree" /usr/lib/lab/prepare
	size=$(in_namespace du -sm --exclude=./boot/lab-vmlinuz "$target.new/tree" | cut -f1)
	in_namespace mke2fs -q -F -t ext4 -O '^has_journal' -m 0 -L lab \
		-E lazy_itable_init=1 -d "$target.new/tree" \
		"$target.new/disk.ext4" $((size + size / 8 + 64))m
	in_namespace cp "$target.new/tree/boot/lab-xen" "$target.new/tree/boot/lab-vmlinuz" \
		"$target.new/tree/boot/lab-initramfs" "$target.new/"
	in_namespace cat "$target.new/tree/root/.ssh/id_ed25519" > "$target.new/id_ed25519"
	chmod 0600 "$target.new/id_ed25519"
	in_namespace rm -rf "$target.new/tree"
}

# cached DIR TITLE COMMAND...: makes DIR by the command, which fills DIR.new,
# unless it is there; one maker at a time.
cached()
{
	local dir=$1 title=$2 free
	shift 2
	[ -d "$dir" ] && return 0
	cache_lock "$dir"
	if [ ! -d "$dir" ]; then
		cache_prune
		free=$(df -Pm "$LAB_CACHE" | awk 'NR == 2 { print $4 }')
		[ "$free" -ge "$IMAGE_NEED_MIB" ] ||
			die "no space: $LAB_CACHE has $free MiB free, $IMAGE_NEED_MIB are needed"
		in_namespace rm -rf "$dir.new"
		step "$title" "$@"
		mv "$dir.new" "$dir"
	fi
	exec 8>&-
}

# cache_lock DIR: waits until nobody else makes this one; descriptor 8 has the lock.
cache_lock()
{
	mkdir -p "$LAB_CACHE/locks" || die "cannot write to $LAB_CACHE"
	exec 8> "$LAB_CACHE/locks/$(basename "$1")"
	flock 8
}

# cache_prune: removes what nobody has used for a week, and what makers that died
# have left: who still makes something holds its lock.
cache_prune()
{
	local entry
	for entry in "$LAB_CACHE"/*.new; do
		[ ! -e "$entry" ] ||
			(flock -n 7 && in_namespace rm -rf "$entry") 7> "$LAB_CACHE/locks/$(basename "$entry" .new)"
	done
	find "$LAB_CACHE" -mindepth 1 -maxdepth 1 -type d -mtime +7 ! -name locks |
		while read -r entry; do in_namespace rm -rf "$entry"; done
}

# image_ensure: sets LAB_TREE and LAB_IMAGE for the suite, making them if needed.
image_ensure()
{
	local tree_key image_key
	[[ " $(suites) " = *" $SUITE "* ]] || die "unknown suite '$SUITE'; known: $(suites)"
	tree_key=$(key "$SUITE" "$(package_list)" "$(declare -f tree_make)")
	LAB_TREE=$LAB_CACHE/tree-$SUITE-$tree_key
	image_key=$(key "$tree_key" "$LAB_DIR/rootfs" "$(declare -f image_make)")
	LAB_IMAGE=$LAB_CACHE/image-$SUITE-$image_key
	cached "$LAB_TREE" "root file system of Debian $SUITE" tree_make "$LAB_TREE" "$(package_list)"
	cached "$LAB_IMAGE" "disk image of Debian $SUITE" image_make "$LAB_TREE" "$LAB_IMAGE"
	touch "$LAB_TREE" "$LAB_IMAGE"
	kernel_ensure
}

# tools_ensure: sets LAB_TOOLS, a root file system that also builds and checks packages, and
# draws plots.
tools_ensure()
{
	LAB_TOOLS=$LAB_CACHE/tools-$SUITE-$(key "$SUITE" "$(package_list tools)" "$(declare -f tree_make)")
	cached "$LAB_TOOLS" "root file system of Debian $SUITE, with packaging tools and gnuplot" \
		tree_make "$LAB_TOOLS" "$(package_list tools)"
	touch "$LAB_TOOLS"
}

# small_root TARGET PACKAGES OPTION...: a root file system of the suite, of the sources on standard
# input, that no machine boots. The options are for mmdebstrap.
small_root()
{
	local target=$1 packages=$2
	shift 2
	mkdir -p "$target.new/tree"
	mmdebstrap --mode="$([ "$(id -u)" = 0 ] && echo root || echo unshare)" \
		--format=tar --variant=minbase \
		--aptopt='Apt::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$@" --include="$packages" "$SUITE" - - 3>&- |
		in_namespace tar -x -p --numeric-owner --exclude="./dev/*" -C "$target.new/tree"
}

# static_make TARGET: one with checkpatch and the rules for coccinelle out of the kernel's source,
# at /usr/src/linux/scripts, and what runs them.
static_make()
{
	# shellcheck disable=SC2016 # mmdebstrap gives the hook its argument
	apt_sources | small_root "$1" "$(sed 's/#.*//' "$LAB_DIR/static/packages" | xargs | tr ' ' ',')" \
		--customize-hook='chroot "$1" sh -e -c "cd /usr/src && mkdir linux &&
			tar -x -J -f linux-source-*.tar.xz -C linux --strip-components=1 --wildcards \
			\"linux-source-*/scripts/c*\" \"linux-source-*/scripts/spelling.txt\" &&
			rm linux-source-*.tar.xz"'
	[ -e "$1.new/tree/usr/src/linux/scripts/checkpatch.pl" ] || die "mmdebstrap left no kernel source"
}

# static_ensure: sets LAB_CHECKS.
static_ensure()
{
	[[ " $(suites) " = *" $SUITE "* ]] || die "unknown suite '$SUITE'; known: $(suites)"
	LAB_CHECKS=$LAB_CACHE/static-$SUITE-$(key "$SUITE" "$LAB_DIR/static" "$(declare -f small_root static_make)")
	cached "$LAB_CHECKS" "root file system of Debian $SUITE, with the kernel's checks" \
		static_make "$LAB_CHECKS"
	touch "$LAB_CHECKS"
}

# newer_make TARGET: one with what compiles modules for the kernel of a release that is yet to come
# and has no updates. A mirror that has fallen behind will do; what it has is signed all the same.
newer_make()
{
	apt_sources | awk -v release="$SUITE" '$3 == release' |
		small_root "$1" gcc,linux-headers-amd64,make \
			--aptopt='Acquire::Check-Valid-Until "false"'
	compgen -G "$1.new/tree/usr/src/linux-headers-*" > /dev/null || die "mmdebstrap left no kernel headers"
}

# newer_ensure: sets LAB_NEWER. Such a release changes: after a week it is made anew.
newer_ensure()
{
	LAB_NEWER=$LAB_CACHE/newer-$SUITE-$(key "$SUITE" "$(declare -f small_root newer_make)")
	[ -z "$(find "$LAB_NEWER" -maxdepth 0 -mtime +7 2> /dev/null)" ] || in_namespace rm -rf "$LAB_NEWER"
	cached "$LAB_NEWER" "root file system of Debian $SUITE, with its kernel's headers" \
		newer_make "$LAB_NEWER"
}

suites()
{
	(cd "$LAB_DIR/packages" && printf '%s\n' *) | grep -v -x -e common -e tools | xargs
}

# build_root TREE CHECKOUT COMMAND...: runs in the build root with the checkout
# mounted at /src; the tree itself stays read-only. Modules are compiled against the
# guests' kernel, if that is another one than the tree's.
build_root()
{
	local tree=$1 checkout=$2
	shift 2
	[ -z "${LAB_KERNEL:-}" ] || set -- env KDIR=/mnt "$@"
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_namespace --pid --fork --kill-child sh -e -c '
		tree=$1 checkout=$2 kernel=$3
		shift 3
		mkdir -p "$tree/src"
		mount --bind "$tree" "$tree"
		mount -o remount,bind,ro "$tree"
		mount -t proc proc "$tree/proc"
		mount --rbind /dev "$tree/dev"
		mount -t tmpfs -o mode=1777 tmp "$tree/tmp"
		mount --bind "$checkout" "$tree/src"
		[ -z "$kernel" ] || mount --bind "$kernel/build" "$tree/mnt"
		chroot "$tree" /bin/sh -c "cd /src && exec \"\$@\"" sh "$@" || exit
	' sh "$tree" "$checkout" "${LAB_KERNEL:-}" "$@"
}
