// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two threads, one ring, real sleeping: data by position, random sizes, and no
 * wake-up lost. An event is a semaphore; whoever sleeps without ever being woken
 * is caught by the alarm. (A transmitter that waits for t free bytes and a receiver
 * that waits for r would wait for each other if t + r could exceed the size.) Also counts events, which must be far fewer than moves.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ring.h"
#include "tap.h"

#define TOTAL (64ULL << 20)

static struct {
	struct xsock_tx_page tx;
	struct xsock_rx_page rx;
	unsigned char *data;
	uint64_t size;
	uint64_t start;
	sem_t to_rx, to_tx;
	uint64_t events_rx, events_tx, sleeps, moves;
	int broken, wrong;
} s;

static unsigned char pattern(uint64_t offset)
{
	return (unsigned char)((offset * 0x9e3779b97f4a7c15ULL) >> 56);
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void *transmit(void *unused)
{
	struct xsock_idx i = { .size = s.size, .prod = s.start, .cons = s.start };
	uint64_t seed = 88172645463325252ULL;

	(void)unused;
	while (i.prod - s.start < TOTAL) {
		uint64_t n = min(1 + next(&seed) % (s.size * 2), TOTAL - (i.prod - s.start));

		switch (xsock_tx_prepare(&i, &s.tx, &s.rx, 1 + next(&seed) % (s.size / 4))) {
		case XSOCK_BROKEN:
			s.broken = 1;
			return NULL;
		case XSOCK_SLEEP:
			sem_wait(&s.to_tx);
			continue;
		case XSOCK_READY:
			break;
		}
		n = min(n, xsock_free(&i));
		for (uint64_t k = 0; k < n; k++)
			s.data[xsock_position(&i, i.prod + k)] = pattern(i.prod + k);
		if (xsock_tx_publish(&i, &s.tx, &s.rx, n)) {
			s.events_rx++;
			sem_post(&s.to_rx);
		}
	}
	return NULL;
}

static void *receive(void *unused)
{
	struct xsock_idx i = { .size = s.size, .prod = s.start, .cons = s.start };
	uint64_t seed = 1234567;

	(void)unused;
	while (i.cons - s.start < TOTAL) {
		uint64_t left = TOTAL - (i.cons - s.start);
		uint64_t n = min(1 + next(&seed) % (s.size / 4 * 3), left);
		bool watch = next(&seed) & 1;
		enum xsock_prepared p = watch ? xsock_rx_watch(&i, &s.rx, &s.tx, n)
					      : xsock_rx_prepare(&i, &s.rx, &s.tx, n);

		if (p == XSOCK_BROKEN) {
			s.broken = 1;
			return NULL;
		}
		if (p == XSOCK_SLEEP) {
			s.sleeps++;
			sem_wait(&s.to_rx);
			continue;
		}
		n = min(n, xsock_used(&i));
		for (uint64_t k = 0; k < n; k++)
			s.wrong += s.data[xsock_position(&i, i.cons + k)] != pattern(i.cons + k);
		s.moves++;
		if (xsock_rx_consume(&i, &s.rx, &s.tx, n)) {
			s.events_tx++;
			sem_post(&s.to_tx);
		}
	}
	return NULL;
}

static void run(uint64_t size, uint64_t start)
{
	pthread_t t, r;

	memset(&s, 0, sizeof(s));
	s.size = size;
	s.start = s.tx.prod = s.rx.cons = start;
	/* Armed values in the past of @start. */
	s.tx.wake_at = s.rx.wake_at = start;
	s.data = malloc(size);
	sem_init(&s.to_rx, 0, 0);
	sem_init(&s.to_tx, 0, 0);
	alarm(120);
	pthread_create(&t, NULL, transmit, NULL);
	pthread_create(&r, NULL, receive, NULL);
	pthread_join(t, NULL);
	pthread_join(r, NULL);
	alarm(0);
	free(s.data);
	tap(!s.broken && !s.wrong, "%llu MiB through %llu bytes from offset %#llx",
	    TOTAL >> 20, (unsigned long long)size, (unsigned long long)start);
	printf("# %llu reads, %llu sleeps, %llu + %llu events\n",
	       (unsigned long long)s.moves, (unsigned long long)s.sleeps,
	       (unsigned long long)s.events_rx, (unsigned long long)s.events_tx);
	/* A wake-up that was never asked for would show as more events than arms. */
	tap(s.events_rx <= s.moves + s.sleeps, "no more events than times it was armed");
}

int main(void)
{
	run(4096, 0);
	run(65536, 0);
	run(4096, -(TOTAL / 2));
	return tap_done();
}
