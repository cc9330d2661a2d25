// SPDX-License-Identifier: BSD-3-Clause
/*
 * A small stand-in for libFuzzer, for compilers that do not have it: the same targets,
 * mutated inputs, kept if they reach new edges. Deterministic, without a clock, so that
 * a failure comes back. It begins with the inputs that are kept in a directory, and with some
 * of its own.
 *
 *	PROGRAM [-runs=N] [-seed=N] [-corpus=DIR] [-save=DIR]	fuzz
 *	PROGRAM FILE...						run these inputs
 *
 * -save writes the fewest and shortest inputs that it finds to reach all that it has reached.
 *
 * An input that fails is written to PROGRAM.crash.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
void __sanitizer_cov_trace_pc(void);
void __sanitizer_set_death_callback(void (*callback)(void));

#define MAX_LEN 512
#define MAX_CORPUS 4096
#define EDGES (1 << 12)

static uint8_t corpus[MAX_CORPUS][MAX_LEN], current[MAX_LEN];
static size_t lengths[MAX_CORPUS], kept, current_len;
static uint8_t seen[EDGES], now[EDGES];
static uintptr_t previous;
static char crash[4096];
static uint64_t seed = 1;

/* Called at each basic block of the target. Counted from a place of its own: the same each time. */
void __sanitizer_cov_trace_pc(void)
{
	uintptr_t pc = (uintptr_t)__builtin_return_address(0) - (uintptr_t)LLVMFuzzerTestOneInput;

	now[(pc ^ previous >> 1) % EDGES] = 1;
	previous = pc;
}

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* By system calls only: something is broken. */
static void save(void)
{
	int fd = open(crash, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, current, current_len) != (ssize_t)current_len)
		return;
	close(fd);
}

static void aborted(int signal)
{
	(void)signal;
	save();
	_exit(1);
}

static void run_once(void)
{
	memset(now, 0, sizeof(now));
	previous = 0;
	LLVMFuzzerTestOneInput(current, current_len);
}

static void run(void)
{
	int fresh = 0;

	run_once();
	for (size_t k = 0; k < EDGES; k++)
		if (now[k] && !seen[k])
			seen[k] = fresh = 1;
	if (fresh && current_len && kept < MAX_CORPUS) {
		memcpy(corpus[kept], current, current_len);
		lengths[kept++] = current_len;
	}
}

static void mutate(void)
{
	size_t from = rnd() % kept, other = rnd() % kept, at, n;

	current_len = lengths[from];
	memcpy(current, corpus[from], current_len);
	for (int k = rnd() % 6; k >= 0; k--) {
		at = rnd() % current_len;
		n = 1 + rnd() % (current_len - at);
		switch (rnd() % 6) {
		case 0:
			current[at] ^= 1 << rnd() % 8;
			break;
		case 1:
			current[at] = (uint8_t)rnd();
			break;
		case 2:
			current[at] += rnd() % 5 - 2;
			break;
		case 3:
			memset(current + at, rnd() % 2 ? 0 : 0xff, n % 9);
			break;
		case 4:
			/* The end of another one. */
			if (at < lengths[other]) {
				memcpy(current + at, corpus[other] + at, lengths[other] - at);
				current_len = lengths[other];
			}
			break;
		default:
			if (n < current_len)
				current_len = n;
			break;
		}
	}
}

static void first_inputs(void)
{
	current_len = MAX_LEN;
	for (int fill = 0; fill < 256; fill += 5) {
		memset(current, fill, MAX_LEN);
		run();
	}
	for (int k = 0; k < 64; k++) {
		for (size_t at = 0; at < MAX_LEN; at++)
			current[at] = (uint8_t)rnd();
		run();
	}
}

static void read_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, current, sizeof(current));

	if (n < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
	current_len = n;
}

static size_t edges_of(const uint8_t *which)
{
	size_t edges = 0;

	for (size_t k = 0; k < EDGES; k++)
		edges += which[k];
	return edges;
}

/* Inputs that have been kept; all of them, or it is no corpus. */
static void read_corpus(const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort), inputs = 0;
	char path[4096];

	for (int k = 0; k < n; k++) {
		if (names[k]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, names[k]->d_name);
			read_file(path);
			run();
			inputs++;
		}
		free(names[k]);
	}
	if (!inputs) {
		fprintf(stderr, "%s: there are no inputs\n", dir);
		exit(1);
	}
	free(names);
	printf("a corpus of %d inputs reaches %zu edges; ", inputs, edges_of(seen));
}

/* Edges of the current input that are not reached otherwise. */
static size_t news(const uint8_t *reached)
{
	size_t n = 0;

	run_once();
	for (size_t k = 0; k < EDGES; k++)
		n += now[k] && !reached[k];
	return n;
}

static void take_kept(size_t number)
{
	memcpy(current, corpus[number], lengths[number]);
	current_len = lengths[number];
}

/* Cuts off the end of the current input, as far as it still reaches what is new with it. */
static void shorten(const uint8_t *reached, size_t want)
{
	size_t good = current_len;

	for (size_t cut = current_len / 2; cut; cut /= 2)
		while (good > cut) {
			current_len = good - cut;
			if (news(reached) < want)
				break;
			good = current_len;
		}
	current_len = good;
}

static void save_corpus(const char *dir)
{
	static uint8_t reached[EDGES], taken[MAX_CORPUS];
	char path[4096];

	/* Each once: a target with a state of its own may not reach the same each time. */
	for (int file = 1;; file++) {
		size_t best = 0, most = 0, n;
		int fd;

		for (size_t k = 0; k < kept; k++) {
			if (taken[k])
				continue;
			take_kept(k);
			n = news(reached);
			if (n > most) {
				most = n;
				best = k;
			}
		}
		if (!most)
			break;
		taken[best] = 1;
		take_kept(best);
		shorten(reached, most);
		run_once();
		for (size_t k = 0; k < EDGES; k++)
			reached[k] |= now[k];
		snprintf(path, sizeof(path), "%s/%03d", dir, file);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (fd < 0 || write(fd, current, current_len) != (ssize_t)current_len) {
			perror(path);
			exit(1);
		}
		close(fd);
	}
}

int main(int argc, char **argv)
{
	const char *corpus_dir = NULL, *save_dir = NULL;
	unsigned long runs = 100000;
	int files = 0;

	snprintf(crash, sizeof(crash), "%s.crash", argv[0]);
	signal(SIGABRT, aborted);
	__sanitizer_set_death_callback(save);
	for (int a = 1; a < argc; a++) {
		if (sscanf(argv[a], "-runs=%lu", &runs) == 1)
			continue;
		if (sscanf(argv[a], "-seed=%lu", &seed) == 1)
			continue;
		if (!strncmp(argv[a], "-corpus=", 8)) {
			corpus_dir = argv[a] + 8;
			continue;
		}
		if (!strncmp(argv[a], "-save=", 6)) {
			save_dir = argv[a] + 6;
			continue;
		}
		read_file(argv[a]);
		run_once();
		files++;
	}
	if (files)
		return 0;
	seed = seed * 0x9e3779b97f4a7c15ULL | 1;
	if (corpus_dir)
		read_corpus(corpus_dir);
	first_inputs();
	for (unsigned long run_number = 0; run_number < runs; run_number++) {
		mutate();
		run();
	}
	printf("%lu runs, %zu inputs kept, %zu edges\n", runs, kept, edges_of(seen));
	if (save_dir)
		save_corpus(save_dir);
	return edges_of(seen) < 10;
}
