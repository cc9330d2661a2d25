# shellcheck shell=bash
# Guests (DomUs): named g1, g2, ...; the number is also the address 10.77.1.N.
# All machines boot the same read-only disk, so that a guest finds its root on
# either host.
# SPDX-License-Identifier: BSD-3-Clause

# MiB that a guest has unless told otherwise.
# shellcheck disable=SC2034 # used by the lab command
GUEST_MEM_MIB=${LAB_GUEST_MEM:-256}

guest_name_check()
{
	[[ $1 =~ ^g([1-9]|[12][0-9]|3[0-2])$ ]] ||
		usage_error "guests are named g1 to g32, not '$1'"
}

# guests: names of those created in this lab and not destroyed.
guests()
{
	[ -d "$LAB_STATE/guests" ] && (cd "$LAB_STATE/guests" && printf '%s\n' g* | grep -v '\*' | sort -V)
}

guest_type()
{
	cat "$LAB_STATE/guests/$1"
}

# guest_host GUEST: the host on which it lives now.
guest_host()
{
	local h
	for h in $(hosts); do
		remote "$h" "xl domid $1" > /dev/null 2>&1 && { echo "$h"; return 0; }
	done
	return 1
}

# guest_config GUEST TYPE MEM VCPUS: the xl configuration. Without tsc_mode Xen has each rdtsc
# trapped, as QEMU's counter is not said to be invariant: a look at the clock then costs more than a
# message.
guest_config()
{
	local number=${1#g} cpus
	# dom0 has CPU 0 for itself; the guests share the others in turn.
	cpus=$((1 + (number - 1) % (HOST_CPUS - 1)))
	[ "$4" = 1 ] || cpus=1-$((HOST_CPUS - 1))
	cat <<-CONFIG
		name = "$1"
		type = "$2"
		memory = $3
		maxmem = $3
		vcpus = $4
		cpus = "$cpus"
		kernel = "/boot/lab-vmlinux"
		ramdisk = "/boot/lab-initramfs"
		extra = "$LINUX_ARGS lab.role=domu lab.name=$1 lab.ip=10.77.1.$number ${LAB_GUEST_ARGS:-}"
		disk = [ "phy:/dev/vda,xvda,r" ]
		vif = [ "mac=00:16:3e:77:01:$(printf %02x "$number"),bridge=xenbr0" ]
		on_crash = "destroy"
		on_reboot = "destroy"
		tsc_mode = "native"
	CONFIG
}

# guest_create GUEST HOST TYPE MEM VCPUS: starts it and opens its ssh port; does
# not wait for it to answer.
guest_create()
{
	local guest=$1 host=$2 type=$3
	guest_config "$guest" "$type" "$4" "$5" |
		remote "$host" "cat > /etc/xen/$guest.cfg && rm -f /var/log/xen/console/guest-$guest.log* && xl create -q /etc/xen/$guest.cfg"
	mkdir -p "$LAB_STATE/guests"
	echo "$type" > "$LAB_STATE/guests/$guest"
	forward "$guest" "10.77.1.${guest#g}"
}

# guest_wait GUEST HOST: until its init has said that it is ready.
guest_wait()
{
	local guest=$1 host=$2
	# shellcheck disable=SC2016 # expanded in dom0
	remote "$host" 'log=/var/log/xen/console/guest-'"$guest"'.log
		end=$(($(date +%s) + '"$BOOT_SECONDS"'))
		until grep -qsa "^LAB-READY" $log; do
			grep -sa -m1 -E "LAB-FAILED|Kernel panic" $log && exit 1
			xl domid '"$guest"' > /dev/null || { echo "the domain is gone"; exit 1; }
			[ "$(date +%s)" -lt "$end" ] || { echo "no answer in '"$BOOT_SECONDS"' seconds"; exit 1; }
			sleep 1
		done' || die "guest $guest did not boot: $(tail -n 1 "$LAB_LOG" | tr -d '\r')"
}

# guest_boot GUEST HOST TYPE MEM VCPUS: a guest that answers, or none. Runs in a
# step's subshell, whose end the trap is for.
guest_boot()
{
	local guest=$1 host=$2
	# shellcheck disable=SC2064 # the values of now are meant
	trap "guest_failed $guest $host" EXIT
	guest_create "$@"
	guest_wait "$guest" "$host"
	trap - EXIT
}

guest_failed()
{
	set +e
	mkdir -p "$LAB_LOGS/lab-$LAB_NAME"
	remote "$2" "cat /var/log/xen/console/guest-$1.log" \
		> "$LAB_LOGS/lab-$LAB_NAME/$1.console.log" 2> /dev/null
	guest_destroy "$1"
}

# guest_forget GUEST: what the lab keeps about it.
guest_forget()
{
	ssh_close "$1"
	unforward "$1"
	rm -f "$LAB_STATE/guests/$1"
}

guest_destroy()
{
	local host
	if host=$(guest_host "$1"); then
		remote "$host" "xl destroy $1"
	fi
	guest_forget "$1"
}

# guest_migrate GUEST DESTINATION: live, over a plain TCP pipe.
guest_migrate()
{
	local guest=$1 destination=$2 host
	host=$(guest_host "$guest") || die "guest $guest runs on no host"
	[ "$host" != "$destination" ] || die "guest $guest is on $destination already"
	remote "$host" "xl migrate -s /usr/lib/lab/migrate-send $guest $destination"
}

# guest_save GUEST FILE and guest_restore HOST FILE: the file is dom0's.
guest_save()
{
	local host
	host=$(guest_host "$1") || die "guest $1 runs on no host"
	remote "$host" "xl save $1 $2"
}

guest_restore()
{
	remote "$1" "xl restore $2"
}
