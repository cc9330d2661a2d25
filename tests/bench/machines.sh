# shellcheck shell=bash
# The machines of a benchmark: those of a lab of its own, or real guests; sourced after
# lib.sh.
# SPDX-License-Identifier: BSD-3-Clause

# machines_help: what benchmarks say of their machines.
machines_help()
{
	cat <<-HELP
	Without GUESTS a lab is booted. With GUESTS=A,B these machines are used: two guests
	of one Xen host in which xensocket.ko is loaded, and in which this user can log in by
	ssh. LOCAL=C names one with two processors or more, for what runs inside one guest
	(default: A). Programs are copied to /tmp; HOSTED=TEXT is said of the machines.
	HELP
}

# machines NAME TYPE: sets PAIR, LOCAL, ADDRESS (of the second of the pair) and $note;
# on MACHINE COMMAND and copy FILE... MACHINE reach them, as root or as $USER_OF_LAB.
machines()
{
	if [ -n "${GUESTS:-}" ]; then
		machines_given
	else
		machines_lab "$1" "$2"
	fi
}

# shellcheck disable=SC2034,SC2317 # for the benchmarks, which call what is defined here
machines_given()
{
	PAIR=("${GUESTS%%,*}" "${GUESTS#*,}")
	LOCAL=${LOCAL:-${PAIR[0]}}
	on()
	{
		ssh -n "$@"
	}
	copy()
	{
		scp -q "${@:1:$#-1}" "${*: -1}:/tmp"
	}
	ADDRESS=$(on "${PAIR[0]}" "getent ahostsv4 ${PAIR[1]#*@}" | awk '{ print $1; exit }')
	[ -n "$ADDRESS" ] || { echo "${PAIR[0]} does not know ${PAIR[1]}" >&2; exit 1; }
	note=${HOSTED:-Real machines, as far as this program can tell.}
}

# shellcheck disable=SC2034,SC2317 # likewise
machines_lab()
{
	local try type=$2
	# Not to disturb one that is at work.
	export LAB_NAME=$1-$SUITE-$$
	trap 'lab down' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	PAIR=(g1 g2) LOCAL=g3 ADDRESS=10.77.1.2
	on()
	{
		lab ssh "${USER_OF_LAB:-root}@$1" "$2"
	}
	copy()
	{
		lab push "${@:1:$#-1}" "${*: -1}:/tmp"
	}
	lab up --guests 2 --type "$type" || exit
	# Emulated guests with two processors sometimes die while they boot, as the kernel
	# patches its text under their eyes.
	for try in 1 2 3; do
		lab create g3 --type "$type" --vcpus 2 && break
		[ "$try" -lt 3 ] || exit
	done
	note="EMULATED: a lab of QEMU without hardware virtualization, on $(nproc) processors. These are no
figures of real hardware."
}

# machines_describe: on what it runs, a line for each machine.
machines_describe()
{
	local machine
	for machine in "${PAIR[@]}" "$LOCAL"; do
		# shellcheck disable=SC2016 # expanded there
		on "$machine" 'cd /sys/hypervisor/version 2> /dev/null &&
			xen="Xen $(cat major).$(cat minor)$(cat extra)" || xen="no Xen"
			echo "'"$machine"': Linux $(uname -r), $xen, $(nproc) x" \
			"$(sed -n "s/^model name[^:]*: //p; T; q" /proc/cpuinfo)," \
			"clock source $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"'
	done | awk '!seen[$0]++'
	echo "$note"
}
