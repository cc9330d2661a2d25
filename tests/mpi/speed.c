/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast messages are between pairs of ranks (0 and 1, 2 and 3, ...), all pairs at once.
 * Lines "NAME,TEST,BYTES,RUN,PAIRS,VALUE" on rank 0:
 *
 *	latency		half a round trip, microseconds, mean over the pairs
 *	stream		one direction, MB/s, sum over the pairs
 *	both		both directions at once, MB/s, sum
 *	rate		one direction, messages a second, sum
 *
 *	speed [--name NAME] [--run N] [--least BYTES] [--most BYTES] [--factor N] [--seconds S]
 *
 * From one size to the next by the factor (4); each test of a size takes about the seconds
 * (0.2), large ones longer.
 */
#include <getopt.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

enum { TAG = 5, WINDOW = 32, WINDOW_BYTES = 8 << 20 };

static int rank, ranks, peer;
static size_t size;
static int window;		/* messages at a time */
static unsigned char *out, *in;	/* so many messages each */
static MPI_Request requests[2 * WINDOW];

/* Fewer large ones at a time: guests have little memory. */
static int window_of(size_t bytes)
{
	size_t n = bytes ? WINDOW_BYTES / bytes : WINDOW;

	return n < 1 ? 1 : n > WINDOW ? WINDOW : (int)n;
}

static void latency(int times)
{
	int i;

	for (i = 0; i < times; i++)
		if (rank < peer) {
			MPI_Send(out, size, MPI_BYTE, peer, TAG, MPI_COMM_WORLD);
			MPI_Recv(in, size, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		} else {
			MPI_Recv(in, size, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
			MPI_Send(out, size, MPI_BYTE, peer, TAG, MPI_COMM_WORLD);
		}
}

/* Windows of messages; who has only received answers each with an empty one. */
static void windows(int times, int sends, int receives)
{
	int i, j, n;

	for (i = 0; i < times; i++) {
		n = 0;
		for (j = 0; receives && j < window; j++)
			MPI_Irecv(in + j * size, size, MPI_BYTE, peer, TAG, MPI_COMM_WORLD,
				  &requests[n++]);
		for (j = 0; sends && j < window; j++)
			MPI_Isend(out + j * size, size, MPI_BYTE, peer, TAG, MPI_COMM_WORLD,
				  &requests[n++]);
		MPI_Waitall(n, requests, MPI_STATUSES_IGNORE);
		if (!sends)
			MPI_Send(NULL, 0, MPI_BYTE, peer, TAG, MPI_COMM_WORLD);
		if (!receives)
			MPI_Recv(NULL, 0, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	}
}

static void stream(int times)
{
	windows(times, rank < peer, rank > peer);
}

static void both(int times)
{
	windows(times, 1, 1);
}

/* Seconds of one time, the longest of all pairs. */
static double take(void (*test)(int), int times)
{
	double begin, mine, all;

	MPI_Barrier(MPI_COMM_WORLD);
	begin = MPI_Wtime();
	test(times);
	mine = MPI_Wtime() - begin;
	MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
	return all / times;
}

/* Often enough to take @seconds. */
static double measure(void (*test)(int), double seconds)
{
	double once = take(test, size > WINDOW_BYTES / WINDOW ? 1 : 3);
	int times = seconds / once < 3 ? 3 : seconds / once > 200000 ? 200000 : seconds / once;

	MPI_Bcast(&times, 1, MPI_INT, 0, MPI_COMM_WORLD);
	return take(test, times);
}

/* What has come last is what was sent. */
static void check(int messages)
{
	int i;

	for (i = 0; i < messages; i++)
		if (pattern_check(in + i * size, size, peer * 1000 + i) != size) {
			printf("SPEED BAD rank %d: wrong content\n", rank);
			MPI_Abort(MPI_COMM_WORLD, 1);
		}
	memset(in, 0, messages * size);
}

/* All that is measured of one size. */
static void measure_all(const char *name, int run, int pairs, double seconds)
{
	double value;
	int i;

	window = window_of(size);
	for (i = 0; i < window; i++)
		pattern_fill(out + i * size, size, rank * 1000 + i);
	memset(in, 0, window * size);
	value = measure(latency, seconds);
	check(1);
	if (rank == 0)
		printf("%s,latency,%zu,%d,%d,%.4f\n", name, size, run, pairs, value / 2 * 1e6);
	value = measure(stream, seconds);
	if (rank > peer)
		check(window);
	if (rank == 0)
		printf("%s,stream,%zu,%d,%d,%.3f\n%s,rate,%zu,%d,%d,%.0f\n", name, size, run,
		       pairs, window * size * pairs / value / 1e6, name, size, run, pairs,
		       window * pairs / value);
	value = measure(both, seconds);
	check(window);
	if (rank == 0)
		printf("%s,both,%zu,%d,%d,%.3f\n", name, size, run, pairs,
		       2 * window * size * pairs / value / 1e6);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "run", required_argument, NULL, 'r' },
		{ "least", required_argument, NULL, 'l' },
		{ "most", required_argument, NULL, 'm' },
		{ "factor", required_argument, NULL, 'f' },
		{ "seconds", required_argument, NULL, 's' },
		{ 0 },
	};
	size_t least = 1, most = 1 << 20, factor = 4, room;
	const char *name = "mpi";
	double seconds = 0.2;
	int run = 1, opt;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'n':
			name = optarg;
			break;
		case 'r':
			run = atoi(optarg);
			break;
		case 'l':
			least = strtoul(optarg, NULL, 0);
			break;
		case 'm':
			most = strtoul(optarg, NULL, 0);
			break;
		case 'f':
			factor = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seconds = strtod(optarg, NULL);
			break;
		default:
			MPI_Abort(MPI_COMM_WORLD, 2);
		}
	}
	if (ranks % 2 || !least || factor < 2) {
		fprintf(stderr, "speed: an even number of ranks, sizes from 1 on, a factor from 2 on\n");
		MPI_Abort(MPI_COMM_WORLD, 2);
	}
	peer = rank ^ 1;
	/* The most that the messages of a window ever take. */
	room = most > WINDOW_BYTES ? most : WINDOW_BYTES;
	out = malloc(room);
	in = malloc(room);
	if (!out || !in)
		MPI_Abort(MPI_COMM_WORLD, 1);
	/* Until each pair has found its way. */
	size = 1;
	window = window_of(size);
	measure(latency, 1);

	for (size = least; size <= most; size *= factor)
		measure_all(name, run, ranks / 2, seconds);
	MPI_Finalize();
	return 0;
}
