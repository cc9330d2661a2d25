/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that are on their way when their senders are in MPI_Finalize. Each rank sends to all
 * others, stays away from MPI for a while, the longer the higher it is, receives, checks, and
 * ends: rank 0 does so while nobody has looked for what it has sent. Without MPI_T, which keeps
 * components from being closed. Each rank says "LEAVE OK messages=N" before MPI_Finalize.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"

/* Together less than the least that is between two ranks, a socket's or a ring's buffer. */
enum { EACH = 60, LONGEST = 512 };

static uint64_t seed_of(int from, int to, int number)
{
	return mix(mix((uint64_t)from << 32 | (uint32_t)to) ^ (uint64_t)number);
}

static void bad(int rank, int peer, int number, const char *what)
{
	printf("LEAVE BAD rank=%d from=%d message=%d %s\n", rank, peer, number, what);
	fflush(stdout);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

static void send_all(int rank, int peer)
{
	unsigned char buf[LONGEST];
	int i;

	for (i = 0; i < EACH; i++) {
		uint64_t seed = seed_of(rank, peer, i);
		size_t len = pattern_size(seed, LONGEST);

		pattern_fill(buf, len, seed);
		MPI_Send(buf, (int)len, MPI_BYTE, peer, 1, MPI_COMM_WORLD);
	}
}

static void receive_all(int rank, int peer)
{
	unsigned char buf[LONGEST];
	MPI_Status status;
	int i, got;

	for (i = 0; i < EACH; i++) {
		uint64_t seed = seed_of(peer, rank, i);
		size_t len = pattern_size(seed, LONGEST);

		memset(buf, 0xee, sizeof(buf));
		MPI_Recv(buf, sizeof(buf), MPI_BYTE, peer, 1, MPI_COMM_WORLD, &status);
		MPI_Get_count(&status, MPI_BYTE, &got);
		if ((size_t)got != len)
			bad(rank, peer, i, "wrong length: lost, repeated or reordered");
		if (pattern_check(buf, len, seed) != len)
			bad(rank, peer, i, "wrong content");
	}
}

int main(int argc, char **argv)
{
	int rank, size, peer, rounds = 300;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	/* Time to find rings. */
	while (rounds--) {
		MPI_Barrier(MPI_COMM_WORLD);
		usleep(1000);
	}
	for (peer = 0; peer < size; peer++)
		if (peer != rank)
			send_all(rank, peer);
	usleep(300000 * rank);
	for (peer = 0; peer < size; peer++)
		if (peer != rank)
			receive_all(rank, peer);
	printf("LEAVE OK messages=%d\n", EACH * (size - 1));
	fflush(stdout);
	MPI_Finalize();
	return 0;
}
