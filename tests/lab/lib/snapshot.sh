# shellcheck shell=bash
# A booted lab, kept: the memory of each host as a file and the state of its
# devices beside it. A lab comes up from it in seconds instead of minutes, maps
# the memory privately, and so may be thrown away after each test.
#
#   $LAB_CACHE/snapshot-SUITE-KEY/{h1,h2}.{ram,state}, guests, console logs
# SPDX-License-Identifier: BSD-3-Clause

# snapshot_key: over everything that shapes a booted lab.
snapshot_key()
{
	key "$(basename "$LAB_IMAGE")" "$LAB_QEMU" "$("$LAB_QEMU" --version | head -n 1)" \
		"$QEMU_CPU" "$XEN_ARGS" "$LINUX_ARGS" "$DOM0_ARGS" "$HOST_MEM_MIB" "$HOST_CPUS" \
		"$GUEST_MEM_MIB" "${LAB_GUEST_ARGS:-}" "$(declare -f host_qemu guest_config snapshot_save stop_idle)" "$@"
}

memory_shared()
{
	printf '%s\n' -object \
		"memory-backend-file,id=ram,size=${HOST_MEM_MIB}M,mem-path=$1,share=on"
}

memory_private()
{
	printf '%s\n' -object \
		"memory-backend-file,id=ram,size=${HOST_MEM_MIB}M,mem-path=$1,share=off"
}

memory_plain()
{
	printf '%s\n' -object "memory-backend-ram,id=ram,size=${HOST_MEM_MIB}M"
}

migration_done()
{
	local answer
	answer=$(monitor "$1" info migrate)
	case $answer in
	*"Migration status: failed"*) die "snapshot of $1 failed: $answer" ;;
	*"Migration status: completed"*) return 0 ;;
	esac
	return 1
}

# stop_idle HOST: stops it in a moment in which all its processors are halted.
# Inside a PVH guest QEMU would save a state that it then refuses to load
# ("vCPU set in guest-mode inconsistent with migrated kernel nested state").
stop_idle()
{
	local tries
	for ((tries = 0; tries < 300; tries++)); do
		monitor "$1" stop
		[[ $(monitor "$1" info registers -a) == *HLT=0* ]] || return 0
		monitor "$1" cont
		sleep 0.1
	done
	die "$1 does not come to rest"
}

# snapshot_save DIR HOST...: stops the hosts of this lab for good and keeps them.
snapshot_save()
{
	local dir=$1 host
	shift
	for host in $(machines); do
		ssh_close "$host"
	done
	for host in "$@"; do
		stop_idle "$host"
	done
	for host in "$@"; do
		# The memory is in its file already.
		monitor "$host" migrate_set_capability x-ignore-shared on
		monitor "$host" "migrate -d \\\"exec:cat > $dir/$host.state\\\""
		wait_for 120 migration_done "$host" || die "snapshot of $host did not end"
		cp "$LAB_STATE/$host/console.log" "$dir/$host.console.log"
		host_stop "$host"
		# Most of it is zeros.
		fallocate --dig-holes "$dir/$host.ram"
	done
	rm -rf "$dir/guests"
	[ ! -d "$LAB_STATE/guests" ] || cp -a "$LAB_STATE/guests" "$dir/guests"
}

# snapshot_start DIR HOST...: the hosts go on where they were kept.
snapshot_start()
{
	local dir=$1 host memory
	shift
	rm -rf "$LAB_STATE/guests"
	[ ! -d "$dir/guests" ] || cp -a "$dir/guests" "$LAB_STATE/guests"
	for host in "$@"; do
		mapfile -t memory < <(memory_private "$dir/$host.ram")
		mkdir -p "$LAB_STATE/$host"
		host_qemu "$host" "${memory[@]}" -incoming defer ||
			die "QEMU for $host did not start: $(tail -n 1 "$LAB_LOG")"
		monitor "$host" migrate_set_capability x-ignore-shared on
		monitor "$host" "migrate_incoming \\\"exec:cat $dir/$host.state\\\""
	done
	for host in "$@"; do
		wait_for 60 migration_done "$host" || {
			rm -rf "$dir"
			die "$host did not resume; the kept lab is removed, the next up boots"
		}
	done
	for host in "$@"; do
		monitor "$host" cont
	done
	touch "$dir"
}
