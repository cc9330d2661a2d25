/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program without MPI_T, which keeps Open MPI's components from being closed in MPI_Finalize.
 * A message goes around; "BARE OK" is said by rank 0 after MPI_Finalize.
 */
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	int rank, size, sent, got = -1;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	sent = rank;
	MPI_Sendrecv(&sent, 1, MPI_INT, (rank + 1) % size, 1, &got, 1, MPI_INT,
		     (rank + size - 1) % size, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	if (got != (rank + size - 1) % size)
		MPI_Abort(MPI_COMM_WORLD, 1);
	MPI_Finalize();
	if (!rank)
		puts("BARE OK");
	return 0;
}
