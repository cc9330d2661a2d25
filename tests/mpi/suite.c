/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What MPI programs do, case by case, with the content of every message checked.
 *
 *	suite [--list] [--size BYTES] [--seconds N] [--until FILE] [--path PATH] [--corrupt]
 *	      [CASE...]
 *
 * Each case prints "SUITE ok CASE messages=N bytes=N" on rank 0, where the numbers are
 * sums over what all ranks have received and checked; "SUITE BAD ..." on any rank ends
 * the job with status 1. At the end "SUITE done N". --size limits messages, --seconds is
 * how long the random cases go on (0: a fixed number of rounds). With --until all begins
 * again, with other contents, until rank 0 finds the file. --corrupt damages one byte in
 * each case that sends any, so that the check can be seen to find it. --path is the one on which
 * the cases "counters" and "burst" wait to be. What the component has counted is said at the end:
 * "COUNTERS rank N: NAME=VALUE ...".
 */
#include <fcntl.h>
#include <inttypes.h>
#include <mpi.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counters.h"
#include "options.h"
#include "pattern.h"

#define WORLD MPI_COMM_WORLD

static int rank, size;
static size_t most = 1 << 20;
static double seconds;
static bool corrupt, repeated;
static uint64_t messages, bytes, pass;
static const char *name;
static const char *wanted_path = "tcp";
static struct counters counters;

static void bad(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void bad(const char *format, ...)
{
	va_list args;

	printf("SUITE BAD case=%s rank=%d ", name, rank);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	MPI_Abort(WORLD, 1);
	abort();
}

static void *room(size_t n)
{
	void *buf = malloc(n + 1);

	if (!buf)
		bad("no memory");
	/* So that what has not been written shows. */
	memset(buf, 0xee, n + 1);
	return buf;
}

static uint64_t seed_of(int from, int to, uint64_t number)
{
	return mix(mix((uint64_t)from << 32 | (uint32_t)to) ^ mix(pass) ^ number);
}

/* What @from sends to @to as message @number; rank 0 damages one byte if it is to. */
static void make(void *buf, size_t n, int from, int to, uint64_t number)
{
	pattern_fill(buf, n, seed_of(from, to, number));
	if (corrupt && n && !rank) {
		((unsigned char *)buf)[n / 2] ^= 1;
		corrupt = false;
	}
}

static void check(const void *buf, size_t n, int from, int to, uint64_t number)
{
	size_t at = pattern_check(buf, n, seed_of(from, to, number));

	if (at != n)
		bad("message %" PRIu64 " from %d: wrong content at %zu of %zu", number, from, at, n);
	if (((const unsigned char *)buf)[n] != 0xee)
		bad("message %" PRIu64 " from %d: written behind its end", number, from);
	messages++;
	bytes += n;
}

static int count_of(MPI_Status *status)
{
	int n;

	MPI_Get_count(status, MPI_BYTE, &n);
	return n;
}

/* All ranks go on or stop together. */
static bool again(int round, int rounds, double start)
{
	int more = seconds > 0 ? MPI_Wtime() - start < seconds : round < rounds;

	MPI_Bcast(&more, 1, MPI_INT, 0, WORLD);
	return more;
}

/* All sizes around the limits of protocols, both ways, from nothing to --size. */
static void case_sizes(void)
{
	int peer = rank ^ 1;
	size_t n, near, number = 0;

	for (n = 0; n <= most; n = n ? n * 2 : 1)
		for (near = n > 64 ? n - 64 : n; near <= n + 64 && near <= most; near += 32) {
			unsigned char *out, *in;
			MPI_Status status;

			number++;
			if (peer >= size)
				continue;
			out = room(near);
			in = room(near);
			make(out, near, rank, peer, number);
			MPI_Sendrecv(out, (int)near, MPI_BYTE, peer, 1, in, (int)near, MPI_BYTE, peer,
				     1, WORLD, &status);
			if ((size_t)count_of(&status) != near)
				bad("%d bytes instead of %zu", count_of(&status), near);
			check(in, near, peer, rank, number);
			free(out);
			free(in);
		}
}

/*
 * Non-blocking sends and receives between all pairs in random order, coupled with
 * barriers: some complete before, some across, some after.
 */
static void case_random(void)
{
	enum { EACH = 8 };
	int n = 2 * EACH * size, round, i, peer;
	MPI_Request *requests = room(n * sizeof(*requests));
	unsigned char **buffers = room(n * sizeof(*buffers));
	int *order = room(n * sizeof(*order));
	double start = MPI_Wtime();

	for (round = 0; again(round, 60, start); round++) {
		size_t limit = (size_t)64 << mix(round) % 15;
		uint64_t random = seed_of(rank, size, round);

		if (limit > most)
			limit = most;
		for (i = 0; i < n; i++)
			order[i] = i;
		for (i = n - 1; i > 0; i--) {
			int j = (int)((random = mix(random)) % (i + 1)), t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		for (i = 0; i < n; i++) {
			int which = order[i] / 2 % EACH;
			uint64_t number = (uint64_t)round * EACH + which;
			bool send = order[i] % 2;
			size_t len;

			peer = order[i] / 2 / EACH;
			len = pattern_size(send ? seed_of(rank, peer, number) :
						  seed_of(peer, rank, number), limit);
			buffers[order[i]] = room(len);
			if (send) {
				make(buffers[order[i]], len, rank, peer, number);
				MPI_Isend(buffers[order[i]], (int)len, MPI_BYTE, peer, which, WORLD,
					  &requests[order[i]]);
			} else {
				MPI_Irecv(buffers[order[i]], (int)len, MPI_BYTE, peer, which, WORLD,
					  &requests[order[i]]);
			}
			if (i == n / 2)
				MPI_Barrier(WORLD);
		}
		MPI_Barrier(WORLD);
		for (i = 0; i < n; i++) {
			MPI_Status status;
			int index, which;
			uint64_t number;

			if (mix(round) % 2) {
				MPI_Waitany(n, requests, &index, &status);
			} else {
				index = order[i];
				MPI_Wait(&requests[index], &status);
			}
			peer = index / 2 / EACH;
			which = index / 2 % EACH;
			number = (uint64_t)round * EACH + which;
			if (!(index % 2)) {
				size_t len = pattern_size(seed_of(peer, rank, number), limit);

				if ((size_t)count_of(&status) != len)
					bad("round %d: %d bytes of %zu", round, count_of(&status), len);
				check(buffers[index], len, peer, rank, number);
			}
			free(buffers[index]);
		}
		if (mix(round) % 3 == 0)
			MPI_Barrier(WORLD);
	}
	free(requests);
	free(buffers);
	free(order);
}

/* Many messages one way, without any answer: order and flow control. */
static void case_flood(void)
{
	int number, to = rank ^ 1, count = repeated ? 4000 : 20000;

	if (to >= size)
		return;
	for (number = 0; number < count; number++) {
		size_t len = pattern_size(mix(number), 4096);
		unsigned char *buf = room(len);

		if (rank < to) {
			make(buf, len, rank, to, number);
			MPI_Send(buf, (int)len, MPI_BYTE, to, 2, WORLD);
		} else {
			MPI_Status status;

			if (number == 0)
				sleep(1);	/* far behind */
			MPI_Recv(buf, (int)len, MPI_BYTE, to, 2, WORLD, &status);
			if ((size_t)count_of(&status) != len)
				bad("message %d has %d bytes instead of %zu", number, count_of(&status),
				    len);
			check(buf, len, to, rank, number);
		}
		free(buf);
	}
}

static void case_collectives(void)
{
	double start = MPI_Wtime();
	int round, i;

	for (round = 0; again(round, 20, start); round++) {
		size_t len = pattern_size(mix(round), most / size < 262144 ? most / size : 262144);
		unsigned char *mine = room(len), *all = room(len * size), *back = room(len * size);
		uint64_t *numbers = room(128 * sizeof(*numbers)), *sums = room(128 * sizeof(*sums));
		int root = round % size;

		make(mine, len, root, root, round);
		if (rank != root)
			memset(mine, 0, len);
		MPI_Bcast(mine, (int)len, MPI_BYTE, root, WORLD);
		check(mine, len, root, root, round);

		make(mine, len, rank, 0, round);
		MPI_Allgather(mine, (int)len, MPI_BYTE, all, (int)len, MPI_BYTE, WORLD);
		for (i = 0; i < size; i++)
			if (pattern_check(all + i * len, len, seed_of(i, 0, round)) != len)
				bad("allgather round %d: part of %d", round, i);

		for (i = 0; i < size; i++)
			make(all + i * len, len, rank, i, round);
		MPI_Alltoall(all, (int)len, MPI_BYTE, back, (int)len, MPI_BYTE, WORLD);
		for (i = 0; i < size; i++)
			if (pattern_check(back + i * len, len, seed_of(i, rank, round)) != len)
				bad("alltoall round %d: part of %d", round, i);

		for (i = 0; i < 128; i++)
			numbers[i] = (uint64_t)(rank + 1) * i + round;
		MPI_Allreduce(numbers, sums, 128, MPI_UINT64_T, MPI_SUM, WORLD);
		for (i = 0; i < 128; i++)
			if (sums[i] != (uint64_t)size * (size + 1) / 2 * i + (uint64_t)size * round)
				bad("allreduce round %d: sum %d", round, i);
		MPI_Scan(numbers, sums, 128, MPI_UINT64_T, MPI_SUM, WORLD);
		for (i = 0; i < 128; i++)
			if (sums[i] != (uint64_t)(rank + 1) * (rank + 2) / 2 * i +
				       (uint64_t)(rank + 1) * round)
				bad("scan round %d: sum %d", round, i);
		MPI_Barrier(WORLD);
		messages += 4;
		bytes += 2 * len * size;
		free(mine);
		free(all);
		free(back);
		free(numbers);
		free(sums);
	}
}

/* Derived types: a column of a matrix, a structure with gaps, an indexed one. */
static void case_datatypes(void)
{
	enum { N = 300 };
	int peer = rank ^ 1, i, j, lengths[3] = { 1, 7, 2 }, places[3] = { 0, 3, 20 };
	MPI_Datatype column, blocks, padded;
	struct item {
		char c;
		double d;
		short s;
	} *items, *got;
	MPI_Aint offsets[3] = { offsetof(struct item, c), offsetof(struct item, d),
				offsetof(struct item, s) };
	MPI_Datatype types[3] = { MPI_CHAR, MPI_DOUBLE, MPI_SHORT }, fields;
	int ones[3] = { 1, 1, 1 };
	double (*matrix)[N], (*other)[N];

	if (peer >= size)
		return;
	matrix = room(sizeof(double) * N * N);
	other = room(sizeof(double) * N * N);
	for (i = 0; i < N; i++)
		for (j = 0; j < N; j++) {
			matrix[i][j] = rank * 1e6 + i * 1000 + j;
			other[i][j] = -1;
		}
	MPI_Type_vector(N, 5, N, MPI_DOUBLE, &column);
	MPI_Type_commit(&column);
	MPI_Sendrecv(&matrix[0][7], 1, column, peer, 3, &other[0][9], 1, column, peer, 3, WORLD,
		     MPI_STATUS_IGNORE);
	for (i = 0; i < N; i++)
		for (j = 0; j < N; j++) {
			double want = j >= 9 && j < 14 ? peer * 1e6 + i * 1000 + j - 2 : -1;

			if (other[i][j] != want)
				bad("column: [%d][%d] is %f instead of %f", i, j, other[i][j], want);
		}
	/* Sent as columns, received as a row. */
	MPI_Sendrecv(&matrix[0][0], 1, column, peer, 4, other, 5 * N, MPI_DOUBLE, peer, 4, WORLD,
		     MPI_STATUS_IGNORE);
	for (i = 0; i < 5 * N; i++)
		if (((double *)other)[i] != peer * 1e6 + i / 5 * 1000 + i % 5)
			bad("row: %d", i);
	MPI_Type_free(&column);

	MPI_Type_create_struct(3, ones, offsets, types, &fields);
	MPI_Type_create_resized(fields, 0, sizeof(struct item), &padded);
	MPI_Type_commit(&padded);
	items = room(sizeof(*items) * 20000);
	got = room(sizeof(*got) * 20000);
	for (i = 0; i < 20000; i++)
		items[i] = (struct item){ (char)i, i * 0.5 + peer, (short)(i + rank) };
	MPI_Sendrecv(items, 20000, padded, peer, 5, got, 20000, padded, peer, 5, WORLD,
		     MPI_STATUS_IGNORE);
	for (i = 0; i < 20000; i++)
		if (got[i].c != (char)i || got[i].d != i * 0.5 + rank ||
		    got[i].s != (short)(i + peer))
			bad("structure %d", i);
	MPI_Type_free(&fields);
	MPI_Type_free(&padded);

	MPI_Type_indexed(3, lengths, places, MPI_INT, &blocks);
	MPI_Type_commit(&blocks);
	memset(got, 0, 32 * sizeof(int));
	for (i = 0; i < 32; i++)
		((int *)items)[i] = rank * 100 + i;
	MPI_Sendrecv(items, 1, blocks, peer, 6, got, 1, blocks, peer, 6, WORLD, MPI_STATUS_IGNORE);
	for (i = 0; i < 22; i++)
		if (((int *)got)[i] != (i == 0 || (i >= 3 && i < 10) || i >= 20 ? peer * 100 + i : 0))
			bad("indexed: %d", i);
	MPI_Type_free(&blocks);
	messages += 4;
	bytes += (10 * N) * sizeof(double) + 20000 * 11 + 40;
	free(matrix);
	free(other);
	free(items);
	free(got);
}

/* Probes that tell the size first, from anybody, with any tag. */
static void case_probe(void)
{
	int number, left = 100 * (size - 1);

	if (rank) {
		for (number = 0; number < 100; number++) {
			size_t len = pattern_size(seed_of(rank, 0, number), most < 65536 ? most : 65536);
			unsigned char *buf = room(len);

			make(buf, len, rank, 0, number);
			MPI_Send(buf, (int)len, MPI_BYTE, 0, number, WORLD);
			free(buf);
		}
		return;
	}
	for (; left; left--) {
		MPI_Status status;
		MPI_Message message;
		unsigned char *buf;
		int len, flag = 0;

		if (left % 3 == 0) {
			MPI_Probe(MPI_ANY_SOURCE, MPI_ANY_TAG, WORLD, &status);
			len = count_of(&status);
			buf = room(len);
			MPI_Recv(buf, len, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, WORLD, &status);
		} else if (left % 3 == 1) {
			while (!flag)
				MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, WORLD, &flag, &status);
			len = count_of(&status);
			buf = room(len);
			MPI_Recv(buf, len, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, WORLD, &status);
		} else {
			MPI_Mprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, WORLD, &message, &status);
			len = count_of(&status);
			buf = room(len);
			MPI_Mrecv(buf, len, MPI_BYTE, &message, &status);
		}
		check(buf, len, status.MPI_SOURCE, 0, status.MPI_TAG);
		free(buf);
	}
}

/* From each rank messages come in the order in which they were sent, also if anybody may. */
static void case_wildcard(void)
{
	uint64_t *next = calloc(size, sizeof(*next));
	int number, left = 2000 * (size - 1);

	if (!next)
		bad("no memory");
	for (number = 0; rank && number < 2000; number++) {
		uint64_t value[2] = { number, mix(number + rank) };

		MPI_Send(value, 2, MPI_UINT64_T, 0, 7, WORLD);
	}
	for (; !rank && left; left--) {
		uint64_t value[2];
		MPI_Status status;

		MPI_Recv(value, 2, MPI_UINT64_T, MPI_ANY_SOURCE, 7, WORLD, &status);
		if (value[0] != next[status.MPI_SOURCE] ||
		    value[1] != mix(value[0] + status.MPI_SOURCE))
			bad("from %d: %" PRIu64 " instead of %" PRIu64, status.MPI_SOURCE, value[0],
			    next[status.MPI_SOURCE]);
		next[status.MPI_SOURCE]++;
		messages++;
		bytes += sizeof(value);
	}
	free(next);
}

/* Longer than the receiver has room for: an error, and nothing behind the end. */
static void case_truncate(void)
{
	static const size_t sizes[] = { 100, 5000, 70000, 300000 };
	int peer = rank ^ 1;
	unsigned int i;

	if (peer >= size)
		return;
	MPI_Comm_set_errhandler(WORLD, MPI_ERRORS_RETURN);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned char *buf = room(sizes[i]);
		int error, class;

		if (rank < peer) {
			make(buf, sizes[i], rank, peer, i);
			MPI_Send(buf, (int)sizes[i], MPI_BYTE, peer, 8, WORLD);
		} else {
			MPI_Status status;

			error = MPI_Recv(buf, (int)sizes[i] / 2, MPI_BYTE, peer, 8, WORLD, &status);
			MPI_Error_class(error, &class);
			if (class != MPI_ERR_TRUNCATE)
				bad("%zu bytes: class %d", sizes[i], class);
			if (buf[sizes[i] / 2] != 0xee)
				bad("%zu bytes: written behind the end", sizes[i]);
			messages++;
		}
		free(buf);
	}
	MPI_Comm_set_errhandler(WORLD, MPI_ERRORS_ARE_FATAL);
}

/* A receive that is cancelled gets nothing; the next one gets the message. */
static void case_cancel(void)
{
	int peer = rank ^ 1, i, flag;

	for (i = 0; peer < size && i < 20; i++) {
		size_t len = 1000 * (i + 1);
		unsigned char *never = room(len), *in = room(len), *out = room(len);
		MPI_Request request;
		MPI_Status status;

		MPI_Irecv(never, (int)len, MPI_BYTE, peer, 9, WORLD, &request);
		MPI_Cancel(&request);
		MPI_Wait(&request, &status);
		MPI_Test_cancelled(&status, &flag);
		if (!flag)
			bad("not cancelled");
		MPI_Sendrecv(NULL, 0, MPI_BYTE, peer, 10, NULL, 0, MPI_BYTE, peer, 10, WORLD,
			     MPI_STATUS_IGNORE);
		make(out, len, rank, peer, i);
		MPI_Sendrecv(out, (int)len, MPI_BYTE, peer, 9, in, (int)len, MPI_BYTE, peer, 9, WORLD,
			     &status);
		check(in, len, peer, rank, i);
		if (never[0] != 0xee)
			bad("a cancelled receive was written");
		free(never);
		free(in);
		free(out);
	}
}

/* Synchronous, ready and buffered sends; persistent requests. */
static void case_modes(void)
{
	int peer = rank ^ 1, i, attached = 4 << 20;
	void *buffer = room(attached);

	MPI_Buffer_attach(buffer, attached);
	for (i = 0; peer < size && i < 60; i++) {
		size_t len = pattern_size(mix(i), most < 300000 ? most : 300000);
		unsigned char *in = room(len), *out = room(len);
		MPI_Request receive, send = MPI_REQUEST_NULL;
		MPI_Status status;

		make(out, len, rank, peer, i);
		MPI_Irecv(in, (int)len, MPI_BYTE, peer, 11, WORLD, &receive);
		MPI_Sendrecv(NULL, 0, MPI_BYTE, peer, 12, NULL, 0, MPI_BYTE, peer, 12, WORLD,
			     MPI_STATUS_IGNORE);
		switch (i % 4) {
		case 0:
			MPI_Issend(out, (int)len, MPI_BYTE, peer, 11, WORLD, &send);
			break;
		case 1:
			MPI_Irsend(out, (int)len, MPI_BYTE, peer, 11, WORLD, &send);
			break;
		case 2:
			MPI_Bsend(out, (int)len, MPI_BYTE, peer, 11, WORLD);
			memset(out, 0, len);
			break;
		default:
			MPI_Send_init(out, (int)len, MPI_BYTE, peer, 11, WORLD, &send);
			MPI_Start(&send);
		}
		MPI_Wait(&send, MPI_STATUS_IGNORE);
		MPI_Wait(&receive, &status);
		if (send != MPI_REQUEST_NULL)
			MPI_Request_free(&send);
		check(in, len, peer, rank, i);
		free(in);
		free(out);
	}
	MPI_Buffer_detach(&buffer, &attached);
	free(buffer);
}

static void one_sided(MPI_Win window, unsigned char *mine, size_t len, uint64_t number)
{
	int right = (rank + 1) % size, left = (rank + size - 1) % size;
	unsigned char *out = room(len), *in = room(len);

	make(out, len, rank, right, number);
	MPI_Win_fence(0, window);
	MPI_Put(out, (int)len, MPI_BYTE, right, 0, (int)len, MPI_BYTE, window);
	MPI_Win_fence(0, window);
	check(mine, len, left, rank, number);
	MPI_Win_fence(0, window);
	MPI_Get(in, (int)len, MPI_BYTE, right, 0, (int)len, MPI_BYTE, window);
	MPI_Win_fence(0, window);
	check(in, len, rank, right, number);
	free(out);
	free(in);
}

static void case_onesided(void)
{
	size_t longest = most < 200000 ? most : 200000;
	unsigned char *memory = room(longest);
	uint64_t counter = 0, one = 1, before, i;
	MPI_Win window, count;

	MPI_Win_create(memory, longest + 1, 1, MPI_INFO_NULL, WORLD, &window);
	for (i = 0; i < 12; i++) {
		size_t len = pattern_size(mix(i + 77), longest);

		MPI_Barrier(WORLD);
		memory[len] = 0xee;
		one_sided(window, memory, len, i);
	}
	MPI_Win_free(&window);
	MPI_Win_create(&counter, sizeof(counter), sizeof(counter), MPI_INFO_NULL, WORLD, &count);
	for (i = 0; i < 50; i++) {
		MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, count);
		MPI_Fetch_and_op(&one, &before, MPI_UINT64_T, 0, 0, MPI_SUM, count);
		MPI_Win_unlock(0, count);
	}
	MPI_Barrier(WORLD);
	if (!rank) {
		MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, count);
		if (counter != (uint64_t)size * 50)
			bad("counted %" PRIu64, counter);
		MPI_Win_unlock(0, count);
	}
	MPI_Win_free(&count);
	free(memory);
}

/* Threads that send and receive at the same time, each in a communicator of its own. */
struct worker {
	pthread_t thread;
	MPI_Comm comm;
	int number;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	int peer = rank ^ 1, i;

	for (i = 0; peer < size && i < 300; i++) {
		uint64_t number = (uint64_t)w->number << 32 | (uint32_t)i;
		size_t len = pattern_size(seed_of(w->number, 0, i), most < 100000 ? most : 100000);
		unsigned char *in = room(len), *out = room(len);
		MPI_Status status;

		pattern_fill(out, len, seed_of(rank, peer, number));
		MPI_Sendrecv(out, (int)len, MPI_BYTE, peer, i, in, (int)len, MPI_BYTE, peer, i,
			     w->comm, &status);
		if ((size_t)count_of(&status) != len ||
		    pattern_check(in, len, seed_of(peer, rank, number)) != len)
			bad("thread %d, message %d", w->number, i);
		__atomic_add_fetch(&messages, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&bytes, len, __ATOMIC_RELAXED);
		free(in);
		free(out);
	}
	return NULL;
}

static void case_threads(void)
{
	struct worker workers[4];
	int provided, i;

	MPI_Query_thread(&provided);
	if (provided < MPI_THREAD_MULTIPLE)
		bad("no MPI_THREAD_MULTIPLE");
	for (i = 0; i < 4; i++) {
		workers[i].number = i;
		MPI_Comm_dup(WORLD, &workers[i].comm);
	}
	for (i = 0; i < 4; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			bad("no thread");
	for (i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, NULL);
		MPI_Comm_free(&workers[i].comm);
	}
}

/* New processes, which exchange with each of the old ones, and leave. */
static void spawn_talk(MPI_Comm between, int peers)
{
	MPI_Request *requests = room(2 * peers * sizeof(*requests));
	unsigned char **buffers = room(2 * peers * sizeof(*buffers));
	int i;

	for (i = 0; i < peers; i++) {
		size_t len = pattern_size(seed_of(rank, i, 5), 100000);
		size_t other = pattern_size(seed_of(i, rank, 5), 100000);

		buffers[2 * i] = room(other);
		buffers[2 * i + 1] = room(len);
		make(buffers[2 * i + 1], len, rank, i, 5);
		MPI_Irecv(buffers[2 * i], (int)other, MPI_BYTE, i, 13, between, &requests[2 * i]);
		MPI_Isend(buffers[2 * i + 1], (int)len, MPI_BYTE, i, 13, between,
			  &requests[2 * i + 1]);
	}
	MPI_Waitall(2 * peers, requests, MPI_STATUSES_IGNORE);
	for (i = 0; i < peers; i++) {
		check(buffers[2 * i], pattern_size(seed_of(i, rank, 5), 100000), i, rank, 5);
		free(buffers[2 * i]);
		free(buffers[2 * i + 1]);
	}
	free(requests);
	free(buffers);
}

static char *program;

static void case_spawn(void)
{
	char *args[] = { "--child", NULL };
	MPI_Comm between;
	int i;

	MPI_Comm_spawn(program, args, 2, MPI_INFO_NULL, 0, WORLD, &between, MPI_ERRCODES_IGNORE);
	spawn_talk(between, 2);
	MPI_Comm_disconnect(&between);
	/* They end, and life goes on: nobody is to miss them. */
	for (i = 0; i < 300; i++) {
		MPI_Barrier(WORLD);
		usleep(1000);
	}
}

static int child(void)
{
	MPI_Comm parent;
	int peers;

	MPI_Comm_get_parent(&parent);
	name = "spawn";
	MPI_Comm_remote_size(parent, &peers);
	spawn_talk(parent, peers);
	MPI_Comm_disconnect(&parent);
	MPI_Finalize();
	return 0;
}

/* What @count messages of @len bytes are counted as: by the wanted path, none by the other. */
static uint64_t counted(int count, size_t len)
{
	bool ring = !strcmp(wanted_path, "xs");
	const char *frags[2] = { "tcp_frags", "xs_frags" }, *sizes[2] = { "tcp_bytes", "xs_bytes" };
	uint64_t f[2], b[2];
	unsigned char *buf = room(len);
	int i;

	for (i = 0; i < 2; i++) {
		f[i] = counters_get(&counters, frags[i]);
		b[i] = counters_get(&counters, sizes[i]);
	}
	for (i = 0; i < count; i++) {
		make(buf, len, 0, 1, i);
		MPI_Send(buf, (int)len, MPI_BYTE, 1, 15, WORLD);
	}
	for (i = 0; i < 2; i++) {
		f[i] = counters_get(&counters, frags[i]) - f[i];
		b[i] = counters_get(&counters, sizes[i]) - b[i];
	}
	free(buf);
	if (f[ring] != (uint64_t)count || f[!ring] || b[!ring])
		bad("%" PRIu64 " fragments over TCP, %" PRIu64 " over rings, for %d messages", f[0],
		    f[1], count);
	return b[ring];
}

/*
 * Who has sent does nothing more in MPI until he hears, by another way, that his message has
 * come. Both on one machine.
 */
static void case_silent(void)
{
	enum { ROUNDS = 2000 };
	char path[64], byte = 0;
	int round, fd;

	if (size != 2)
		bad("is for two ranks");
	snprintf(path, sizeof(path), "/tmp/suite.%d", (int)getpid());
	MPI_Bcast(path, sizeof(path), MPI_CHAR, 0, WORLD);
	if (!rank && mkfifo(path, 0600))
		bad("no %s", path);
	MPI_Barrier(WORLD);
	fd = open(path, O_RDWR);
	if (fd < 0)
		bad("no %s", path);
	for (round = 0; round < ROUNDS; round++) {
		unsigned char buf[100 + 1];

		buf[100] = 0xee;
		if (!rank) {
			make(buf, 100, 0, 1, round);
			MPI_Send(buf, 100, MPI_BYTE, 1, 18, WORLD);
			if (read(fd, &byte, 1) != 1)
				bad("no answer");
		} else {
			MPI_Recv(buf, 100, MPI_BYTE, 0, 18, WORLD, MPI_STATUS_IGNORE);
			check(buf, 100, 0, 1, round);
			if (write(fd, &byte, 1) != 1)
				bad("no answer");
		}
		/* Time for what has changed meanwhile. */
		if (round % 10 == 0)
			MPI_Barrier(WORLD);
	}
	close(fd);
	if (!rank)
		unlink(path);
}

/* In the middle of traffic rank 1 ends the job, or itself; nobody comes back from here. */
static void end_early(void (*end)(void))
{
	int peer = rank ^ 1, i;

	for (i = 0; peer < size; i++) {
		size_t len = pattern_size(mix(i), 100000);
		unsigned char *in = room(len), *out = room(len);

		if (i == 200 && rank == 1)
			end();
		make(out, len, rank, peer, i);
		MPI_Sendrecv(out, (int)len, MPI_BYTE, peer, 17, in, (int)len, MPI_BYTE, peer, 17, WORLD,
			     MPI_STATUS_IGNORE);
		check(in, len, peer, rank, i);
		free(in);
		free(out);
	}
}

static void abort_job(void)
{
	MPI_Abort(WORLD, 7);
}

static void quit(void)
{
	_exit(9);
}

static void case_abort(void)
{
	end_early(abort_job);
}

static void case_quit(void)
{
	end_early(quit);
}

/* Until both of two ranks send over the wanted path. */
static void wait_for_path(int peer)
{
	char path[COUNTERS_NAME];
	int there = 0;

	while (!there) {
		int here = !strcmp(counters_path(&counters, peer, path), wanted_path);

		MPI_Allreduce(&here, &there, 1, MPI_INT, MPI_MIN, WORLD);
		usleep(1000);
	}
}

/*
 * Many small messages that have all come before the receiver looks, and nothing behind them: who
 * takes some of them must come back for the others by himself.
 */
static void case_burst(void)
{
	enum { ROUNDS = 20, EACH = 400 };
	int peer = rank ^ 1, round, i;
	uint64_t value;

	if (size != 2)
		bad("is for two ranks");
	wait_for_path(peer);
	for (round = 0; round < ROUNDS; round++) {
		if (!rank) {
			for (i = 0; i < EACH; i++) {
				value = mix(pass) + (uint64_t)(round * EACH + i);
				MPI_Send(&value, 1, MPI_UINT64_T, 1, 20, WORLD);
			}
			MPI_Recv(&value, 1, MPI_UINT64_T, 1, 20, WORLD, MPI_STATUS_IGNORE);
			continue;
		}
		usleep(20000);
		for (i = 0; i < EACH; i++) {
			MPI_Recv(&value, 1, MPI_UINT64_T, 0, 20, WORLD, MPI_STATUS_IGNORE);
			if (value != mix(pass) + (uint64_t)(round * EACH + i))
				bad("round %d: message %d is not the next one", round, i);
			messages++;
			bytes += sizeof(value);
		}
		MPI_Send(&value, 1, MPI_UINT64_T, 0, 20, WORLD);
	}
}

/* Known traffic, and what is counted for it. */
static void case_counters(void)
{
	enum { COUNT = 100, SMALL = 64, LARGER = 1064, LONG = 8000 };
	static unsigned char data[LONG];
	MPI_Request requests[COUNT];
	char path[COUNTERS_NAME];
	int peer = rank ^ 1, i;
	uint64_t small, larger, full;

	if (size != 2)
		bad("is for two ranks");
	wait_for_path(peer);
	if (strcmp(counters_path(&counters, rank, path), "none"))
		bad("path to itself: %s", path);
	full = counters_get(&counters, "ring_full");
	if (!rank) {
		small = counted(COUNT, SMALL);
		larger = counted(COUNT, LARGER);
		/* Each has one head of ob1's. */
		if (larger - small != COUNT * (LARGER - SMALL) || small <= COUNT * SMALL ||
		    small > COUNT * 2 * SMALL || small % COUNT)
			bad("%" PRIu64 " and %" PRIu64 " bytes", small, larger);
		for (i = 0; i < COUNT; i++)
			MPI_Isend(data, LONG, MPI_BYTE, 1, 16, WORLD, &requests[i]);
		MPI_Waitall(COUNT, requests, MPI_STATUSES_IGNORE);
		full = counters_get(&counters, "ring_full") - full;
		if (!full != !!strcmp(wanted_path, "xs"))
			bad("%" PRIu64 " times a ring was full", full);
	} else {
		for (i = 0; i < 2 * COUNT; i++) {
			size_t len = i < COUNT ? SMALL : LARGER;
			unsigned char *buf = room(len);

			MPI_Recv(buf, (int)len, MPI_BYTE, 0, 15, WORLD, MPI_STATUS_IGNORE);
			check(buf, len, 0, 1, i % COUNT);
			free(buf);
		}
		/* Meanwhile nobody reads. */
		usleep(300000);
		for (i = 0; i < COUNT; i++)
			MPI_Recv(data, LONG, MPI_BYTE, 0, 16, WORLD, MPI_STATUS_IGNORE);
	}
	if (counters_get(&counters, "duplicates") || counters_get(&counters, "fallbacks") ||
	    counters_get(&counters, "resent"))
		bad("something else than what was sent has been counted");
}

/* A message of everybody to everybody. */
static void everybody(uint64_t number)
{
	int step;

	for (step = 1; step < size; step++) {
		int to = (rank + step) % size, from = (rank + size - step) % size;
		size_t n = pattern_size(seed_of(rank, to, number), 40000);
		size_t want = pattern_size(seed_of(from, rank, number), 40000);
		unsigned char *out = room(n), *in = room(want);
		MPI_Status status;

		make(out, n, rank, to, number);
		MPI_Sendrecv(out, (int)n, MPI_BYTE, to, 19, in, (int)want, MPI_BYTE, from, 19, WORLD,
			     &status);
		if ((size_t)count_of(&status) != want)
			bad("%d bytes instead of %zu", count_of(&status), want);
		check(in, want, from, rank, number);
		free(out);
		free(in);
	}
}

/* Traffic until it is so on all ranks. */
static void until(bool (*so)(void), const char *what)
{
	static uint64_t number = 1000;
	double start = MPI_Wtime();
	int there = 0;

	while (!there) {
		int here;

		everybody(number++);
		here = so();
		MPI_Allreduce(&here, &there, 1, MPI_INT, MPI_MIN, WORLD);
		if (MPI_Wtime() - start > 60)
			bad("%s: not within a minute", what);
	}
}

static bool path_is(int peer, const char *want)
{
	char path[COUNTERS_NAME];

	return !strcmp(counters_path(&counters, peer, path), want);
}

/* Ranks 0 and 1 on TCP if @apart, all others on rings. */
static bool paths_are(bool apart)
{
	int peer;

	for (peer = 0; peer < size; peer++)
		if (peer != rank && !path_is(peer, apart && peer + rank == 1 ? "tcp" : "xs"))
			return false;
	return counters_rings(&counters) == 2 * (unsigned int)(size - 1 - (apart && rank < 2));
}

static bool pair_is_held(void)
{
	return paths_are(true);
}

static bool nobody_is_held(void)
{
	return paths_are(false);
}

static bool no_rings(void)
{
	return !counters_rings(&counters);
}

static void control(const char *variable, int value)
{
	if (counters_control(variable, value) != MPI_SUCCESS)
		bad("%s cannot be set to %d", variable, value);
}

/* Peers are held on TCP and released, from inside the job. */
static void case_hold(void)
{
	enum { ROUNDS = 100 };
	uint64_t probes, frags;
	int i;

	until(nobody_is_held, "rings at the beginning");
	if (!rank) {
		if (counters_control("hold_peer", size) == MPI_SUCCESS ||
		    counters_control("hold_peer", 0) == MPI_SUCCESS ||
		    counters_control("hold", 2) == MPI_SUCCESS)
			bad("a value without sense is taken");
		control("hold_peer", 1);
		control("hold_peer", 1);
	}
	until(pair_is_held, "a pair is held");
	control("hold", 1);
	until(no_rings, "all are held");
	probes = counters_get(&counters, "probes");
	frags = counters_get(&counters, "xs_frags");
	if (!rank)
		control("release_peer", 1);
	for (i = 0; i < 5; i++)
		everybody(i);
	if (counters_rings(&counters) || counters_get(&counters, "probes") != probes ||
	    counters_get(&counters, "xs_frags") != frags)
		bad("there are rings although all are held");
	control("hold", 0);
	until(nobody_is_held, "all are released");
	/* Each at its own time. */
	for (i = 0; i < ROUNDS; i++) {
		uint64_t choice = mix(pass ^ (uint64_t)(i * size + rank));

		if (choice % 4 == 0)
			control("hold", (int)(choice >> 8 & 1));
		else if (choice % 4 == 1)
			control(choice >> 8 & 1 ? "hold_peer" : "release_peer", (rank + 1) % size);
		everybody(ROUNDS + i);
	}
	control("hold", 0);
	until(nobody_is_held, "all are released at the end");
}

/* Long ones, one way at a time: guests have little memory. */
static void case_large(void)
{
	static const size_t sizes[] = { 4 << 20, (16 << 20) + 1, 64 << 20 };
	int peer = rank ^ 1, turn;
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (turn = 0; turn < 2; turn++) {
			unsigned char *buf;
			MPI_Status status;

			if (peer >= size)
				continue;
			buf = room(sizes[i]);
			if ((rank & 1) == turn) {
				make(buf, sizes[i], rank, peer, i);
				MPI_Send(buf, (int)sizes[i], MPI_BYTE, peer, 21, WORLD);
			} else {
				MPI_Recv(buf, (int)sizes[i], MPI_BYTE, peer, 21, WORLD, &status);
				if ((size_t)count_of(&status) != sizes[i])
					bad("%d bytes instead of %zu", count_of(&status), sizes[i]);
				check(buf, sizes[i], peer, rank, i);
			}
			free(buf);
		}
}

/* Messages that wait for who comes later. */
static void case_backlog(void)
{
	MPI_Request request;
	int peer, i;

	for (i = 0; i < 200; i++)
		for (peer = 0; peer < size; peer++) {
			uint64_t value = mix(i + rank);

			if (peer == rank)
				continue;
			MPI_Isend(&value, 1, MPI_UINT64_T, peer, 14, WORLD, &request);
			MPI_Wait(&request, MPI_STATUS_IGNORE);
		}
	for (peer = 0; peer < size; peer++)
		for (i = 0; peer != rank && i < 200; i++) {
			uint64_t value;

			if (!i)
				usleep(1000 * (rank + 1));
			MPI_Recv(&value, 1, MPI_UINT64_T, peer, 14, WORLD, MPI_STATUS_IGNORE);
			if (value != mix(i + peer))
				bad("message %d of %d", i, peer);
			messages++;
			bytes += sizeof(value);
		}
}

static const struct {
	const char *name;
	void (*run)(void);
	bool asked;	/* only if named: not every run can have it */
} cases[] = {
	{ "sizes", case_sizes, false },
	{ "random", case_random, false },
	{ "flood", case_flood, false },
	{ "collectives", case_collectives, false },
	{ "datatypes", case_datatypes, false },
	{ "probe", case_probe, false },
	{ "wildcard", case_wildcard, false },
	{ "truncate", case_truncate, false },
	{ "cancel", case_cancel, false },
	{ "modes", case_modes, false },
	{ "backlog", case_backlog, false },
	{ "onesided", case_onesided, true },
	{ "threads", case_threads, true },
	{ "spawn", case_spawn, true },
	{ "counters", case_counters, true },
	{ "burst", case_burst, true },
	{ "hold", case_hold, true },
	{ "silent", case_silent, true },
	{ "large", case_large, true },
	{ "abort", case_abort, true },
	{ "quit", case_quit, true },
};

enum { CASES = sizeof(cases) / sizeof(*cases) };

static void run(int which)
{
	uint64_t mine[2], all[2];
	bool damage = corrupt;

	name = cases[which].name;
	messages = bytes = 0;
	cases[which].run();
	mine[0] = messages;
	mine[1] = bytes;
	MPI_Reduce(mine, all, 2, MPI_UINT64_T, MPI_SUM, 0, WORLD);
	/* The next case may receive from anybody. */
	MPI_Barrier(WORLD);
	if (damage && !corrupt)
		bad("a damaged byte was not found");
	if (rank)
		return;
	if (!all[0])
		bad("nothing was received");
	printf("SUITE ok %s messages=%" PRIu64 " bytes=%" PRIu64 "\n", name, all[0], all[1]);
	fflush(stdout);
}

static bool named(int argc, char **argv, const char *what)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strcmp(argv[i], what))
			return true;
	return false;
}

/* Whether to begin again; all ranks together. */
static bool another(const char *until)
{
	int more = until && (rank || access(until, F_OK) != 0);

	MPI_Bcast(&more, 1, MPI_INT, 0, WORLD);
	pass++;
	return more;
}

int main(int argc, char **argv)
{
	bool threads = named(argc, argv, "threads");
	bool is_child = false, names = false;
	const char *until = NULL;
	int i, provided, ran = 0;
	const struct value values[] = {
		{ "list", FLAG, &names },
		{ "size", NUMBER, &most },
		{ "seconds", REAL, &seconds },
		{ "until", TEXT, &until },
		{ "path", TEXT, &wanted_path },
		{ "corrupt", FLAG, &corrupt },
		{ "child", FLAG, &is_child },
		{ 0 },
	};

	program = argv[0];
	if (!options_read(argc, argv, values))
		return 2;
	repeated = until;
	if (names) {
		for (i = 0; i < CASES; i++)
			puts(cases[i].name);
		return 0;
	}
	for (i = optind; i < argc; i++) {
		int j;

		for (j = 0; j < CASES && strcmp(argv[i], cases[j].name); j++)
			;
		if (j == CASES) {
			fprintf(stderr, "suite: no case '%s'\n", argv[i]);
			return 2;
		}
	}
	MPI_Init_thread(NULL, NULL, threads ? MPI_THREAD_MULTIPLE : MPI_THREAD_SINGLE, &provided);
	MPI_Comm_rank(WORLD, &rank);
	MPI_Comm_size(WORLD, &size);
	if (is_child)
		return child();
	counters_open(&counters);
	do {
		for (i = 0; i < CASES; i++)
			if (optind < argc ? named(argc - optind, argv + optind, cases[i].name) :
					    !cases[i].asked) {
				run(i);
				ran++;
			}
	} while (another(until));
	counters_print(&counters, rank);
	if (!rank)
		printf("SUITE done %d\n", ran);
	MPI_Finalize();
	return 0;
}
