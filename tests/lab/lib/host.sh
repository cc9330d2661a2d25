# shellcheck shell=bash
# Xen hosts: one QEMU process each, with a console log, a monitor and up to
# three network cards (outside, bridge between the hosts, migration).
# SPDX-License-Identifier: BSD-3-Clause

# Measured to work under emulation (every change here wants a new trial):
# - monitor: Xen's MWAIT idle takes #GP.  smap, smep: QEMU 7.2 faults far
#   returns of PV guests.  rdtscp: PVH guests die of "SVM Insn len".
# - xsave and all that stands on it: guests lose it over save and restore.
readonly QEMU_CPU=EPYC,check=off,-monitor,-smap,-smep,-rdtscp,-xsave
DOM0_MEM_MIB=${LAB_DOM0_MEM:-1024}
readonly XEN_ARGS="dom0_mem=${DOM0_MEM_MIB}M,max:${DOM0_MEM_MIB}M dom0_max_vcpus=1 dom0_vcpus_pin spec-ctrl=no xpti=no pv-l1tf=no noreboot console=com1 com1=115200,8n1 loglvl=info guest_loglvl=info conring_size=256k"
readonly LINUX_ARGS="mitigations=off net.ifnames=0 console=hvc0 loglevel=4 nowatchdog sysrq_always_enabled"
# Pages that a guest's disk has granted stay mapped, used or not: tests count the others.
readonly DOM0_ARGS="xen_blkback.persistent_grant_unused_seconds=0"

HOST_MEM_MIB=${LAB_HOST_MEM:-3072}
HOST_CPUS=${LAB_HOST_CPUS:-3}
BOOT_SECONDS=${LAB_BOOT_SECONDS:-400}

# monitor HOST COMMAND...: one monitor command; prints QEMU's answer. Events that
# QEMU sends meanwhile are passed over. socat's own status says nothing: QEMU may
# hang up first.
monitor()
{
	local host=$1 answer tries
	shift
	for tries in 1 2 3; do
		answer=$({
			printf '%s\n%s\n' '{"execute":"qmp_capabilities"}' \
				"{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"$*\"}}" |
				socat -t 10 -T 20 - "UNIX-CONNECT:$LAB_STATE/$host/qmp" 2>&1
		} || :)
		case $answer in
		*'{"return": "'*)
			sed -n 's/^{"return": "\(.*\)"}.*$/\1/p' <<< "$answer" |
				sed 's/\\r\\n/\n/g; s/\\"/"/g; /^$/d'
			return
			;;
		esac
		echo "monitor of $host, try $tries of '$*': no answer: $answer" >&2
		[ "$*" != quit ] || return 0
		sleep 0.5
	done
	return 1
}

# host_pid HOST: the id of its QEMU if that runs and is ours.
host_pid()
{
	local pid
	pid=$(cat "$LAB_STATE/$1/pid" 2> /dev/null) || return 1
	ours "$pid" "$1" || return 1
	echo "$pid"
}

host_running()
{
	host_pid "$1" > /dev/null
}

hosts()
{
	local h
	for h in 1 2; do
		[ -d "$LAB_STATE/h$h" ] && echo "h$h"
	done
}

# host_qemu HOST MEMORY-ARGS...: starts QEMU; arguments after the host's name
# say where its memory is and what it resumes from.
host_qemu()
{
	local host=$1 number=${1#h} dir=$LAB_STATE/$1 other
	shift
	other=$LAB_STATE/h$((3 - number))
	mkdir -p "$dir" "$other.net"
	rm -f "$dir/qmp" "$LAB_STATE/$host.net/"*
	mkdir -p "$LAB_STATE/$host.net"
	local net=10.77.0.0/16 mac=52:54:00:77:0$number
	# shellcheck disable=SC2054 # the commas are QEMU's
	local -a arguments=(
		-name "lab-$LAB_NAME-$host" -L /usr/share/seabios -L /usr/share/qemu
		-machine pc,memory-backend=ram -accel tcg,thread=multi
		-cpu "$QEMU_CPU" -smp "$HOST_CPUS" -m "$HOST_MEM_MIB"
		-nodefaults -display none -no-reboot
		-serial "file:$dir/console.log"
		-qmp "unix:$dir/qmp,server=on,wait=off"
		-kernel "$LAB_IMAGE/lab-xen" -append "$XEN_ARGS"
		-initrd "$LAB_IMAGE/lab-vmlinuz $LINUX_ARGS $DOM0_ARGS lab.role=dom0 lab.name=$host lab.ip=10.77.0.$number,$LAB_IMAGE/lab-initramfs"
		-drive "file=$LAB_IMAGE/disk.ext4,if=none,id=disk,format=raw,readonly=on"
		-device virtio-blk-pci,drive=disk
		-netdev "user,id=outside,restrict=on,ipv6=off,net=$net,host=10.77.255.$number,dns=10.77.255.1$number,dhcpstart=10.77.254.1"
		-device "virtio-net-pci,netdev=outside,mac=$mac:00,romfile="
		-pidfile "$dir/pid" -daemonize
	)
	local wire
	for wire in 1 2; do
		arguments+=(
			-netdev "dgram,id=wire$wire,local.type=unix,local.path=$LAB_STATE/$host.net/$wire,remote.type=unix,remote.path=$other.net/$wire"
			-device "virtio-net-pci,netdev=wire$wire,mac=$mac:0$wire,romfile="
		)
	done
	(exec -a qemu-system-x86_64 "$LAB_QEMU" "${arguments[@]}" "$@" 3>&-)
}

# host_boot HOST MEMORY-ARGS...: starts a host from nothing and waits for its dom0.
host_boot()
{
	local host=$1
	host_qemu "$@" || die "QEMU for $host did not start: $(tail -n 1 "$LAB_LOG")"
	host_wait "$host"
}

console_says()
{
	grep -qsa -E "$2" "$LAB_STATE/$1/console.log"
}

host_wait()
{
	local host=$1 end=$((SECONDS + BOOT_SECONDS))
	until console_says "$host" "^LAB-READY $host"; do
		host_running "$host" || die "QEMU of $host died while booting"
		if console_says "$host" 'LAB-FAILED|Panic on CPU|Kernel panic'; then
			die "$host did not boot: $(grep -a -m1 -A1 -E 'LAB-FAILED|Panic on CPU|Kernel panic' "$LAB_STATE/$host/console.log" | tr -d '\r' | tr '\n' ' ')"
		fi
		[ "$SECONDS" -lt "$end" ] || die "$host did not boot in $BOOT_SECONDS seconds"
		sleep 0.5
	done
}

# forward MACHINE ADDRESS: opens a loopback port to the machine's ssh, through
# the first host's outside network, and enters it into the ssh configuration.
forward()
{
	local machine=$1 address=$2 port answer
	local base=$((20000 + 0x$(printf '%s' "$LAB_NAME" | sha256sum | cut -c1-6) % 20000))
	for ((port = base; port < base + 500; port++)); do
		answer=$(monitor h1 "hostfwd_add outside tcp:127.0.0.1:$port-$address:22")
		[ -z "$answer" ] || continue
		cat >> "$LAB_STATE/ssh_config" <<-CONFIG
			Host $machine
			    Port $port
			    ControlPath $LAB_STATE/cm-%r-$machine
		CONFIG
		return
	done
	die "no free loopback port from $base on for $machine: $answer"
}

# unforward MACHINE: the opposite of forward.
unforward()
{
	local machine=$1 port
	port=$(sed -n "/^Host $machine\$/{n;s/.*Port //p}" "$LAB_STATE/ssh_config")
	[ -n "$port" ] || return 0
	monitor h1 "hostfwd_remove outside tcp:127.0.0.1:$port" > /dev/null
	sed -i "/^Host $machine\$/,+2d" "$LAB_STATE/ssh_config"
}

# ssh_setup: the configuration's common part. One connection a machine is kept
# open: a key exchange costs seconds under emulation.
ssh_setup()
{
	# forward() appends an entry for each machine.
	cat > "$LAB_STATE/ssh_config" <<-CONFIG
		Match all
		    HostName 127.0.0.1
		    IdentityFile $LAB_IMAGE/id_ed25519
		    IdentitiesOnly yes
		    StrictHostKeyChecking no
		    UserKnownHostsFile /dev/null
		    LogLevel ERROR
		    Ciphers chacha20-poly1305@openssh.com
		    KexAlgorithms curve25519-sha256
		    ControlMaster auto
		    ControlPersist yes
		    ConnectTimeout 60
		    ServerAliveInterval 30
		    ServerAliveCountMax 10
		    SendEnv LAB_* OMPI_* XSOCK_*
	CONFIG
}

# remote MACHINE COMMAND...: runs a shell command on a machine.
remote()
{
	local machine=$1
	shift
	ssh -F "$LAB_STATE/ssh_config" -o User=root "$machine" "$@" 3>&-
}

# ours PID HOST: true while that process is this host's QEMU. QEMU removes its
# pid file before it has ended.
ours()
{
	grep -qsF "$LAB_STATE/$2/" "/proc/$1/cmdline"
}

gone()
{
	! ours "$@"
}

# host_stop HOST: ends its QEMU, by the monitor, then by its id.
host_stop()
{
	local host=$1 pid
	pid=$(host_pid "$host") || return 0
	monitor "$host" quit > /dev/null
	wait_for 10 gone "$pid" "$host" && return 0
	kill "$pid" 2> /dev/null
	wait_for 10 gone "$pid" "$host" && return 0
	kill -9 "$pid" 2> /dev/null
	wait_for 10 gone "$pid" "$host" || die "cannot end QEMU of $host (process $pid)"
}
