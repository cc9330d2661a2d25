/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ping-pong that tells how it fares while things happen to its guests.
 *
 *	timeline --until FILE [--size BYTES] [--every SECONDS]
 *
 * Ranks 0 and 1 exchange a message of that size; each is checked. Rank 0 prints, after
 * each interval,
 *
 *	TIMELINE at=SECONDS round_trips=N median_us=N longest_us=N
 *
 * where at is the time of day and the figures are of the interval: round trips that were
 * completed in it. At the end "TIMELINE OK round_trips=N longest_us=N"; "TIMELINE BAD ..."
 * on either rank ends the job with status 1.
 */
#include <inttypes.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "pattern.h"

enum { SAMPLES = 1 << 16, STOP = 1, GO_ON = 2 };

static int rank;
static double sample[SAMPLES];

static void bad(uint64_t round, const char *what)
{
	printf("TIMELINE BAD rank=%d round=%" PRIu64 " %s\n", rank, round, what);
	fflush(stdout);
	MPI_Abort(MPI_COMM_WORLD, 1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The figures of an interval; @n of its round trips are in sample[]. */
static void tell(uint64_t trips, size_t n, double longest)
{
	struct timespec now;

	if (!n)
		return;
	qsort(sample, n, sizeof(*sample), compare);
	clock_gettime(CLOCK_REALTIME, &now);
	printf("TIMELINE at=%lld.%03ld round_trips=%" PRIu64 " median_us=%.0f longest_us=%.0f\n",
	       (long long)now.tv_sec, now.tv_nsec / 1000000, trips, sample[n / 2] * 1e6,
	       longest * 1e6);
	fflush(stdout);
}

/* Sends or receives message @round, whose tag says whether another one follows. */
static int pass(unsigned char *buf, size_t size, uint64_t round, bool send, int tag)
{
	MPI_Status status;
	int got;

	if (send) {
		pattern_fill(buf, size, mix(round * 2 + rank));
		MPI_Send(buf, (int)size, MPI_BYTE, !rank, tag, MPI_COMM_WORLD);
		return tag;
	}
	memset(buf, 0xee, size);
	MPI_Recv(buf, (int)size, MPI_BYTE, !rank, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
	MPI_Get_count(&status, MPI_BYTE, &got);
	if ((size_t)got != size)
		bad(round, "wrong length");
	if (pattern_check(buf, size, mix(round * 2 + !rank)) != size)
		bad(round, "wrong content: lost, repeated, reordered or damaged");
	return status.MPI_TAG;
}

static void lead(unsigned char *buf, size_t size, const char *until, double every)
{
	double interval = MPI_Wtime(), longest = 0, longest_ever = 0, start, took;
	uint64_t round = 0, trips = 0;
	size_t n = 0;
	int tag;

	do {
		/* Looked at rarely enough not to be measured. */
		tag = round % 64 == 63 && !access(until, F_OK) ? STOP : GO_ON;
		start = MPI_Wtime();
		pass(buf, size, round, true, tag);
		pass(buf, size, round, false, 0);
		took = MPI_Wtime() - start;
		round++;
		trips++;
		if (n < SAMPLES)
			sample[n++] = took;
		if (took > longest)
			longest = took;
		if (longest > longest_ever)
			longest_ever = longest;
		if (start + took - interval >= every) {
			tell(trips, n, longest);
			interval = start + took;
			longest = 0;
			trips = 0;
			n = 0;
		}
	} while (tag == GO_ON);
	printf("TIMELINE OK round_trips=%" PRIu64 " longest_us=%.0f\n", round, longest_ever * 1e6);
}

static void follow(unsigned char *buf, size_t size)
{
	uint64_t round = 0;
	int tag;

	do {
		tag = pass(buf, size, round, false, 0);
		pass(buf, size, round++, true, tag);
	} while (tag == GO_ON);
}

int main(int argc, char **argv)
{
	const char *until = NULL;
	double every = 1;
	size_t size = 8;
	unsigned char *buf;
	int ranks;
	const struct value values[] = {
		{ "until", TEXT, &until },
		{ "size", NUMBER, &size },
		{ "every", REAL, &every },
		{ 0 },
	};

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	if (!options_read(argc, argv, values))
		MPI_Abort(MPI_COMM_WORLD, 2);
	buf = malloc(size + 1);
	if (!until || ranks != 2 || !buf)
		MPI_Abort(MPI_COMM_WORLD, 2);
	if (rank)
		follow(buf, size);
	else
		lead(buf, size, until, every);
	free(buf);
	MPI_Finalize();
	return 0;
}
