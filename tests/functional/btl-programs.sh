#!/bin/bash
# Proves: NetPIPE and HPC Challenge, as Debian packages them, run over xs unmodified and find their data right.
# Lab: hosts=1 guests=2 type=pvh suite=all
# Check: none
# Limit: 1200
# SPDX-License-Identifier: BSD-3-Clause

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../btl.sh"

push_btl g1 g2
load_module g1 g2
lab ssh g1 "command -v hpcc" > /dev/null || skip "no hpcc in the images"

# over_rings FRAGMENTS: asserts that all ranks of the last job together sent so many on rings.
over_rings()
{
	local frags
	frags=$(grep -a -o '\<xs_frags=[0-9]*' <<< "$out" | awk -F= '{ sum += $2 } END { print sum + 0 }')
	[ "$frags" -ge "$1" ] || fail "only $frags fragments went over rings"
	pass "$frags fragments went over rings"
}

# Both ways at once only with receives posted first: MPI need not buffer what two MPI_Send send.
for arguments in "" "-a -2" -S; do
	job g1,g2 2 NPopenmpi -i "$arguments" -n 3 -l 1 -u 262144 -o /tmp/np.out
	check_equal "NetPIPE $arguments ends well" 0 "$status"
	check_equal "... and has found no wrong byte" "" "$(grep -a -i 'integrity check failed\|error' <<< "$out")"
	over_rings 100
done

# Processes in a grid of 2 x 2: two in each guest.
lab ssh mpi@g1 'cat > hpccinf.txt' <<-'INPUT' || fail "cannot write the input of HPC Challenge"
	HPLinpack benchmark input file
	Innovative Computing Laboratory, University of Tennessee
	HPL.out      output file name (if any)
	8            device out (6=stdout,7=stderr,file)
	1            # of problems sizes (N)
	320          Ns
	1            # of NBs
	40           NBs
	0            PMAP process mapping (0=Row-,1=Column-major)
	1            # of process grids (P x Q)
	2            Ps
	2            Qs
	16.0         threshold
	1            # of panel fact
	2            PFACTs (0=left, 1=Crout, 2=Right)
	1            # of recursive stopping criterium
	4            NBMINs (>= 1)
	1            # of panels in recursion
	2            NDIVs
	1            # of recursive panel fact.
	1            RFACTs (0=left, 1=Crout, 2=Right)
	1            # of broadcast
	1            BCASTs (0=1rg,1=1rM,2=2rg,3=2rM,4=Lng,5=LnM)
	1            # of lookahead depth
	1            DEPTHs (>=0)
	2            SWAP (0=bin-exch,1=long,2=mix)
	64           swapping threshold
	0            L1 in (0=transposed,1=no-transposed) form
	0            U  in (0=transposed,1=no-transposed) form
	1            Equilibration (0=no,1=yes)
	8            memory alignment in double (> 0)
	##### This line (no. 32) is ignored (it serves as a separator). ######
	0            Number of additional problem sizes for PTRANS
	1200         values of N
	0            number of additional blocking sizes for PTRANS
	40           values of NB
INPUT
lab ssh mpi@g1 rm -f hpccoutf.txt
JOB_LIMIT=900 job g1,g2 4 hpcc
check_equal "HPC Challenge ends well" 0 "$status"
over_rings 1000
report=$(lab ssh mpi@g1 cat hpccoutf.txt)
check "it has run to its end" grep -q '^Success=1' <<< "$report"
check "the linear system was solved" grep -q 'residual.*PASSED\|||Ax-b||.*PASSED' <<< "$report"
check_equal "none of its checks has failed" "" "$(grep -i 'FAILED$\|: *failed' <<< "$report")"
check "random access was verified" grep -q 'Found 0 errors in [0-9]* locations (passed)' <<< "$report"
