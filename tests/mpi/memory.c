/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks 0 and 1 talk to each other, all others to nobody: what memory does a job share?
 *
 *	memory --until FILE
 *
 * Rank 0 prints "MEMORY ready" when both have rings, and all end when the file is there, in
 * each machine.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"

enum { TAG = 9, WANTED = 2 };	/* rings of a pair: one each way */

static int rank, ranks;

/* One message each way, with a number of the sender's; the peer's. */
static int swap(int mine)
{
	int theirs;

	MPI_Sendrecv(&mine, 1, MPI_INT, 1 - rank, TAG, &theirs, 1, MPI_INT, 1 - rank, TAG,
		     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	return theirs;
}

static void talk(const char *file)
{
	struct counters counters;
	int ready = 0, mine, theirs, stop;

	counters_open(&counters);
	do {
		mine = (int)counters_rings(&counters);
		theirs = swap(mine);
		if (!ready && mine == WANTED && theirs == WANTED) {
			ready = 1;
			if (rank == 0) {
				puts("MEMORY ready");
				fflush(stdout);
			}
		}
		/* Both end with the same message. */
		stop = access(file, F_OK) == 0;
		stop &= swap(stop);
		usleep(10000);
	} while (!stop);
}

int main(int argc, char **argv)
{
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	if (argc != 3 || strcmp(argv[1], "--until") || ranks < 2)
		MPI_Abort(MPI_COMM_WORLD, 2);
	if (rank < 2)
		talk(argv[2]);
	else
		while (access(argv[2], F_OK))
			usleep(100000);
	MPI_Finalize();
	if (rank == 0)
		puts("MEMORY done");
	return 0;
}
