# shellcheck shell=bash
# What tests of the Open MPI component on Xen share; sourced after lib.sh.
# SPDX-License-Identifier: BSD-3-Clause

# push_btl GUEST...: builds all, puts the component where mpirun looks for it, and the MPI
# programs; the module is copied, not loaded.
push_btl()
{
	local guest built=$TOP/build/$SUITE
	build
	for guest in "$@"; do
		lab push "$built/btl/mca_btl_xs.so" "$built/kmod/xensocket.ko" "$TOP/btl_xs/component-path" \
			"$guest:/root" || fail "cannot copy to $guest"
		lab push "$built/mpi/ring" "$built/mpi/suite" "$guest:/usr/local/bin" ||
			fail "cannot copy to $guest"
		lab push "$TOP/btl_xs/help-mpi-btl-xs.txt" "$guest:/usr/share/openmpi" ||
			fail "cannot copy to $guest"
		# shellcheck disable=SC2016 # expanded in the guest
		lab ssh "$guest" 'cp /root/mca_btl_xs.so "$(echo /usr/lib/*/openmpi/lib/openmpi[0-9]*)" &&
			/root/component-path fix' || fail "cannot install in $guest"
	done
}

# job GUESTS RANKS ARGUMENT...: an MPI job over xs, as a user; its output is left in $out.
job()
{
	local guests=$1 ranks=$2
	shift 2
	status=0
	out=$(lab ssh "mpi@${guests%%,*}" "timeout 300 mpirun --host $guests -np $ranks --map-by node --oversubscribe \
		--mca btl xs,self --mca btl_tcp_if_include 10.77.0.0/16 --mca btl_base_verbose 10 $*" 2>&1) ||
		status=$?
	grep -a -E '^(SUITE|RING)|signal|[a-z]_frags=|->' <<< "$out"
	[ "$status" = 0 ] || printf '%s\n' "$out"
}

# total COUNTER: its sum over all ranks and peers of the last job.
total()
{
	grep -a '^COUNTERS' <<< "$out" | grep -o "\<$1=[0-9]*" | awk -F= '{ sum += $2 } END { print sum + 0 }'
}
