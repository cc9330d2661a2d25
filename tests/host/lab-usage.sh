#!/bin/bash
# Proves: wrong use of the lab command is answered by one clear line and a status.
# Lab: none
# Limit: 120
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"

LAB=$TESTS_DIR/lab/lab
export LAB_NAME=usage-$$
work=$(mktemp -d)
chmod 0755 "$work"
trap 'rm -rf "$work"' EXIT

says()
{
	grep -q -- "$1" <<< "$STDERR" || fail "message does not say '$1': $STDERR"
	pass "the message says: $1"
}

check_fails "unknown command" 2 "$LAB" frobnicate
says "unknown command 'frobnicate'"
check_fails "unknown argument" 2 "$LAB" up --host 3
says "unknown argument '--host'"
check_fails "too many hosts" 2 "$LAB" up --hosts 3
says "takes 1 or 2, not '3'"
check_fails "missing value" 2 "$LAB" up --hosts
check_fails "missing release" 2 "$LAB" chroot --newer
says "Name a release"
check_fails "no such type" 2 "$LAB" create g1 --type hvm
says "takes pv or pvh, not 'hvm'"
check_fails "no such guest name" 2 "$LAB" create web
says "named g1 to g32, not 'web'"
check_fails "no lab" 99 "$LAB" ssh g1 true
says "is not up; run: lab up"
check_fails "unknown suite" 99 env SUITE=warty LAB_CACHE="$work/cache" "$LAB" images
says "unknown suite 'warty'"
check "down without a lab is fine" "$LAB" down
check_equal "status without a lab" "lab $LAB_NAME is down" "$("$LAB" status)"
check_equal "help goes to stdout" "Usage: lab COMMAND [ARGUMENT]..." "$("$LAB" --help | head -n 1)"

# A machine without QEMU, for a user who may not install it.
mkdir "$work/bin"
for program in /usr/bin/* /bin/* /usr/sbin/*; do
	case ${program##*/} in
	qemu-system-x86_64 | sudo) ;;
	*) [ -e "$work/bin/${program##*/}" ] || ln -s "$program" "$work/bin/" ;;
	esac
done
as_user=()
[ "$(id -u)" != 0 ] || as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
cp -r "$TESTS_DIR" "$work/tests"
mkdir -m 0777 "$work/build" "$work/run"
chmod -R a+rX "$work"
chown 65534 "$work/run" 2> /dev/null
check_fails "missing package without root" 99 "${as_user[@]}" env PATH="$work/bin" HOME="$work" \
	LAB_RUN="$work/run" LAB_LOGS="$work/run" \
	"$work/tests/lab/lab" deps
says "run: sudo apt-get install --no-install-recommends qemu-system-x86"

# A full disk: a file system that is really too small.
check_fails "no disk space" 99 unshare --mount --map-root-user sh -c \
	"mount -t tmpfs -o size=10m tmp /mnt && LAB_RUN=/mnt/run LAB_CACHE=/mnt/cache exec '$LAB' images"
says "no space: /mnt/cache has .* MiB free"
