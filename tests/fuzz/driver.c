// SPDX-License-Identifier: BSD-3-Clause
/*
 * A small stand-in for libFuzzer, for compilers that do not have it: the same targets,
 * mutated inputs, kept if they reach new edges. Deterministic, without a clock, so that
 * a failure comes back. It makes its own first inputs.
 *
 *	PROGRAM [-runs=N] [-seed=N]	fuzz
 *	PROGRAM FILE...			run these inputs
 *
 * An input that fails is written to PROGRAM.crash.
 */
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

/* Called at each basic block of the target. */
void __sanitizer_cov_trace_pc(void)
{
	uintptr_t pc = (uintptr_t)__builtin_return_address(0);

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

static void run(void)
{
	int fresh = 0;

	memset(now, 0, sizeof(now));
	previous = 0;
	LLVMFuzzerTestOneInput(current, current_len);
	for (size_t k = 0; k < EDGES; k++)
		if (now[k] && !seen[k])
			seen[k] = fresh = 1;
	if (fresh && kept < MAX_CORPUS) {
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

static int run_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, current, sizeof(current));

	if (n < 0) {
		perror(path);
		return 1;
	}
	close(fd);
	current_len = n;
	return LLVMFuzzerTestOneInput(current, current_len);
}

int main(int argc, char **argv)
{
	unsigned long runs = 100000;
	size_t edges = 0, k;
	int files = 0;

	snprintf(crash, sizeof(crash), "%s.crash", argv[0]);
	signal(SIGABRT, aborted);
	__sanitizer_set_death_callback(save);
	for (int a = 1; a < argc; a++) {
		if (sscanf(argv[a], "-runs=%lu", &runs) == 1)
			continue;
		if (sscanf(argv[a], "-seed=%lu", &seed) == 1)
			continue;
		if (run_file(argv[a]))
			return 1;
		files++;
	}
	if (files)
		return 0;
	seed = seed * 0x9e3779b97f4a7c15ULL | 1;
	first_inputs();
	for (unsigned long run_number = 0; run_number < runs; run_number++) {
		mutate();
		run();
	}
	for (k = 0; k < EDGES; k++)
		edges += seen[k];
	printf("%lu runs, %zu inputs kept, %zu edges\n", runs, kept, edges);
	return edges < 10;
}
