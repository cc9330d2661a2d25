# shellcheck shell=bash
# NetPIPE between guests g1 and g2; sourced after lib.sh.
# SPDX-License-Identifier: BSD-3-Clause

# netpipe BTL UPPER REPEATS FILE: sizes to UPPER bytes over this transport; what NetPIPE
# has written is left in FILE: bytes, Mbit/s, seconds for half a round trip.
netpipe()
{
	# It prints a line for each size; -n fixes the repetitions, without which it would
	# measure for minutes on an emulated processor.
	lab ssh mpi@g1 "mpirun --host g1,g2 -np 2 --map-by node --mca btl $1,self \
		--mca btl_tcp_if_include 10.77.0.0/16 \
		NPopenmpi -n $3 -l 1 -u $2 -p 0 -o /tmp/np.out > /tmp/np.log 2>&1 ||
		{ cat /tmp/np.log; exit 1; }" >&2 || return
	lab ssh mpi@g1 cat /tmp/np.out > "$4"
}

# netpipe_table TCP-FILE XS-FILE
netpipe_table()
{
	paste "$1" "$2" | awk '
		BEGIN {
			printf "%10s %36s %28s\n", "", "half a round trip [us]      ", "bandwidth [MB/s]"
			printf "%10s %14s %13s %7s %14s %13s\n", "bytes", "tcp", "xs", "tcp/xs", "tcp", "xs"
		}
		$1 != $4 { print "the sizes differ"; exit 1 }
		{
			printf "%10d %14.1f %13.1f %7.1f %14.3f %13.3f\n", $1, $3 * 1e6, $6 * 1e6, $3 / $6,
				$1 / $3 / 1e6, $1 / $6 / 1e6
		}'
}
