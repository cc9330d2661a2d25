/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring of ranks that checks every byte it receives.
 *
 * In each round every rank sends one message to its right neighbour and
 * receives one from its left. Size and content follow from (sender, round), so
 * that a lost, repeated, reordered or damaged message shows. The job ends after
 * --rounds N, or, with --until FILE, in the round in which rank 0 finds the
 * file. It ends with one line on rank 0:
 *
 *     RING OK rounds=N messages=N bytes=N
 *
 * whose counts are sums over what the ranks received. Exit status 1 and a line
 * "RING BAD ..." say what was wrong.
 */
#include <inttypes.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "options.h"
#include "pattern.h"

enum { TAG = 7 };

static uint64_t message_seed(int sender, uint64_t round)
{
	return mix(((uint64_t)sender << 48) ^ round);
}

static void bad(int rank, uint64_t round, const char *what)
{
	printf("RING BAD rank=%d round=%" PRIu64 " %s\n", rank, round, what);
	fflush(stdout);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

int main(int argc, char **argv)
{
	uint64_t rounds = 100, corrupt = UINT64_MAX, round, mine[2] = { 0 }, all[2];
	const char *until = NULL;
	size_t max = 65536;
	unsigned char *out, *in;
	time_t told = time(NULL);
	struct counters counters;
	int rank, size;
	const struct value values[] = {
		{ "rounds", NUMBER, &rounds },
		{ "until", TEXT, &until },
		{ "max", NUMBER, &max },
		{ "corrupt", NUMBER, &corrupt },	/* damages one byte, to see the check fail */
		{ 0 },
	};

	MPI_Init(&argc, &argv);
	counters_open(&counters);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	if (!options_read(argc, argv, values))
		MPI_Abort(MPI_COMM_WORLD, 2);
	if (until)
		rounds = UINT64_MAX;
	out = malloc(max + 1);
	in = malloc(max + 1);
	if (!out || !in)
		bad(rank, 0, "no memory");

	for (round = 0; round < rounds; round++) {
		int right = (rank + 1) % size, left = (rank + size - 1) % size;
		uint64_t seed = message_seed(rank, round);
		size_t len = pattern_size(seed, max), expect;
		MPI_Status status;
		MPI_Request request;
		int got;

		pattern_fill(out, len, seed);
		if (round == corrupt && len)
			out[len / 2] ^= 0x10;
		else if (round == corrupt)
			corrupt++;
		MPI_Isend(out, (int)len, MPI_BYTE, right, TAG, MPI_COMM_WORLD, &request);
		memset(in, 0xee, max + 1);
		MPI_Recv(in, (int)max, MPI_BYTE, left, TAG, MPI_COMM_WORLD, &status);
		MPI_Wait(&request, MPI_STATUS_IGNORE);

		MPI_Get_count(&status, MPI_BYTE, &got);
		seed = message_seed(left, round);
		expect = pattern_size(seed, max);
		if ((size_t)got != expect)
			bad(rank, round, "wrong length: lost, repeated or reordered");
		if (pattern_check(in, expect, seed) != expect)
			bad(rank, round, "wrong content");
		if (in[expect] != 0xee)
			bad(rank, round, "bytes behind the message were written");
		mine[0]++;
		mine[1] += expect;

		if (until) {
			/* Agreed on in the ring, so that all stop in the same round. */
			int stop = 0;

			if (rank == 0) {
				stop = access(until, F_OK) == 0;
				if (time(NULL) != told) {
					told = time(NULL);
					printf("RING AT %" PRIu64 "\n", round);
					fflush(stdout);
				}
			}
			MPI_Bcast(&stop, 1, MPI_INT, 0, MPI_COMM_WORLD);
			if (stop)
				rounds = round + 1;
		}
	}

	MPI_Reduce(mine, all, 2, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
	if (rank == 0) {
		if (all[0] != rounds * (uint64_t)size)
			bad(rank, round, "wrong number of messages");
		printf("RING OK rounds=%" PRIu64 " messages=%" PRIu64 " bytes=%" PRIu64 "\n",
		       rounds, all[0], all[1]);
	}
	counters_print(&counters, rank);
	free(out);
	free(in);
	MPI_Finalize();
	return 0;
}
