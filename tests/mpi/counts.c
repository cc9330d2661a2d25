/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a message costs in instructions and system calls, which is the same on each machine.
 * Ranks 0 and 1; each further one exchanges messages with rank 0, and then sleeps. Nothing is
 * measured here: the parts to be looked at are functions of their own (for valgrind
 * --toggle-collect=NAME), and each begins and ends with a write() of its name to descriptor
 * -1 (for strace).
 *
 *	counts [--size BYTES] [--messages N]
 *
 * count_send		rank 0 sends N messages that fit into what there is
 * count_receive	rank 1 receives N messages that are there
 * count_pingpong	rank 0 and rank 1 exchange messages, 1000 times N each
 * count_progress	rank 0 looks 1000 times whether something has come; nothing has
 *
 * Where there is the kernel module, ranks 0 and 1 also say what it has counted meanwhile in
 * their guests, of all sockets: "MODULE rank R PART sent=N spared=N received=N waits=N status=N".
 * sent and status are hypercalls: notifications, and questions whether a peer is there.
 */
#include <getopt.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

enum { TAG = 3, TAG_END = 4, MOST = 64 };
#define COUNTED __attribute__((noinline, noclone))

#define SOCKETS "/proc/net/xensocket"

/* Columns of the module's table. */
static const char *const columns[] = { "sent", "spared", "received", "waits", "status" };
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static int rank, ranks, messages = 16;
static size_t size = 8;
static unsigned char *out, *in[MOST];
static MPI_Request requests[MOST];

static void mark(const char *name)
{
	if (write(-1, name, strlen(name)) >= 0)
		abort();
}

/* The table's columns, all sockets together; false without a module. */
static int module_read(unsigned long long sum[COLUMNS])
{
	char line[1024], *word, *save;
	FILE *in = fopen(SOCKETS, "re");
	int which[64], n, i, heading = 1;

	memset(sum, 0, COLUMNS * sizeof(sum[0]));
	if (!in)
		return 0;
	for (; fgets(line, sizeof(line), in); heading = 0)
		for (n = 0, word = strtok_r(line, " \n", &save); word && n < 64;
		     word = strtok_r(NULL, " \n", &save), n++)
			if (heading) {
				for (i = 0; i < COLUMNS && strcmp(word, columns[i]); i++)
					;
				which[n] = i;
			} else if (which[n] < COLUMNS) {
				sum[which[n]] += strtoull(word, NULL, 10);
			}
	fclose(in);
	return 1;
}

/* Says what the module has counted since then. */
static void module_tell(const char *part, const unsigned long long before[COLUMNS])
{
	unsigned long long after[COLUMNS];
	char line[512];
	int i, length;

	if (!module_read(after))
		return;
	length = snprintf(line, sizeof(line), "MODULE rank %d %s", rank, part);
	for (i = 0; i < COLUMNS; i++)
		length += snprintf(line + length, sizeof(line) - length, " %s=%llu", columns[i],
				   after[i] - before[i]);
	puts(line);
	fflush(stdout);
}

static void exchange(int other)
{
	if (rank < other) {
		MPI_Send(out, size, MPI_BYTE, other, TAG, MPI_COMM_WORLD);
		MPI_Recv(in[0], size, MPI_BYTE, other, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	} else {
		MPI_Recv(in[0], size, MPI_BYTE, other, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		MPI_Send(out, size, MPI_BYTE, other, TAG, MPI_COMM_WORLD);
	}
}

static void COUNTED count_pingpong(void)
{
	int i;

	mark("count_pingpong begin");
	for (i = 0; i < 1000 * messages; i++)
		exchange(1 - rank);
	mark("count_pingpong end");
}

static void look(int times)
{
	int i, flag;

	for (i = 0; i < times; i++)
		MPI_Iprobe(1, TAG, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
}

static void COUNTED count_progress(void)
{
	mark("count_progress begin");
	look(1000);
	mark("count_progress end");
}

static void COUNTED count_send(void)
{
	int i;

	mark("count_send begin");
	for (i = 0; i < messages; i++)
		MPI_Send(out, size, MPI_BYTE, 1, TAG, MPI_COMM_WORLD);
	mark("count_send end");
}

static void COUNTED count_receive(void)
{
	mark("count_receive begin");
	MPI_Waitall(messages, requests, MPI_STATUSES_IGNORE);
	mark("count_receive end");
}

/* Not MPI_Barrier(): who waits for it looks at what has come. */
static void rest(double seconds)
{
	struct timespec time = { seconds, (seconds - (int)seconds) * 1e9 };

	nanosleep(&time, NULL);
}

/* Further ranks: each gets its transport to rank 0, and then hardly runs. */
static void others_begin(void)
{
	int i, other;

	for (i = 0; i < 400; i++)
		for (other = 2; other < ranks; other++)
			if (rank == 0 || rank == other)
				exchange(rank == 0 ? other : 0);
}

static void others_wait(void)
{
	MPI_Request end;
	int done = 0;

	MPI_Irecv(NULL, 0, MPI_BYTE, 0, TAG_END, MPI_COMM_WORLD, &end);
	while (!done) {
		rest(0.05);
		MPI_Test(&end, &done, MPI_STATUS_IGNORE);
	}
}

static void others_end(void)
{
	int other;

	for (other = 2; other < ranks; other++)
		MPI_Send(NULL, 0, MPI_BYTE, other, TAG_END, MPI_COMM_WORLD);
}

/* Ranks 0 and 1, until their transport has settled: rings are made, buffers set up. */
static void settle(MPI_Comm pair)
{
	double begin = MPI_Wtime();
	int i, mine, done;

	do {
		for (i = 0; i < 500; i++)
			exchange(1 - rank);
		mine = MPI_Wtime() - begin > 2;
		MPI_Allreduce(&mine, &done, 1, MPI_INT, MPI_MIN, pair);
	} while (!done);
}

static void count_all(MPI_Comm pair)
{
	unsigned long long before[COLUMNS];
	int i;

	settle(pair);
	module_read(before);
	/* Both have read before either begins, and each has come to its end before it reads. */
	MPI_Barrier(pair);
	count_pingpong();
	MPI_Barrier(pair);
	module_tell("count_pingpong", before);

	/* Until rings that nothing comes over have gone cold. */
	if (rank == 0)
		look(20000);
	exchange(1 - rank);
	if (rank == 0)
		count_progress();

	if (rank == 1)
		for (i = 0; i < messages; i++)
			MPI_Irecv(in[i], size, MPI_BYTE, 0, TAG, MPI_COMM_WORLD, &requests[i]);
	MPI_Barrier(pair);
	if (rank == 0) {
		rest(0.5);
		count_send();
	} else {
		rest(2.5);
		count_receive();
	}
	for (i = 0; i < messages; i++)
		if (rank == 1 && memcmp(in[i], out, size)) {
			printf("COUNTS BAD message %d: wrong content\n", i);
			MPI_Abort(MPI_COMM_WORLD, 1);
		}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "messages", required_argument, NULL, 'm' },
		{ 0 },
	};
	MPI_Comm pair;
	int i, opt;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	MPI_Comm_split(MPI_COMM_WORLD, rank < 2, rank, &pair);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			size = strtoul(optarg, NULL, 0);
			break;
		case 'm':
			messages = atoi(optarg);
			break;
		default:
			MPI_Abort(MPI_COMM_WORLD, 2);
		}
	}
	if (messages < 1 || messages > MOST)
		MPI_Abort(MPI_COMM_WORLD, 2);
	out = malloc(size + 1);
	pattern_fill(out, size, 42);
	for (i = 0; i < messages; i++)
		in[i] = calloc(size + 1, 1);

	others_begin();
	if (rank < 2)
		count_all(pair);
	if (rank == 0)
		others_end();
	if (rank > 1)
		others_wait();
	MPI_Comm_free(&pair);
	MPI_Finalize();
	if (rank == 0)
		printf("COUNTS done messages=%d size=%zu\n", messages, size);
	return 0;
}
