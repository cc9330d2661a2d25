// SPDX-License-Identifier: BSD-3-Clause
/*
 * The arithmetic of ring.h against a model that is too slow to be wrong: every
 * fill level at every wrap position, also across the wrap of 64 bits; every
 * index a hostile peer could publish around the borders.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "tap.h"

#define SIZE 16ULL

static struct xsock_tx_page tx;
static struct xsock_rx_page rx;

static struct xsock_idx at(uint64_t cons, uint64_t used)
{
	struct xsock_idx i = { .size = SIZE, .cons = cons, .prod = cons + used };

	tx.prod = i.prod;
	rx.cons = i.cons;
	return i;
}

/* Does any single step from @from to @to land on @at? */
static bool crossed_model(uint64_t from, uint64_t to, uint64_t at)
{
	for (uint64_t x = from; x != to;)
		if (++x == at)
			return true;
	return false;
}

static void test_levels(void)
{
	int bad = 0;

	for (int64_t base = -40; base < 40; base++)
		for (uint64_t used = 0; used <= SIZE; used++) {
			struct xsock_idx i = at((uint64_t)base, used);

			bad += xsock_used(&i) != used;
			bad += xsock_free(&i) != SIZE - used;
			bad += xsock_position(&i, i.prod) != ((uint64_t)base + used) % SIZE;
		}
	tap(bad == 0, "used, free and position at every level and wrap position");
}

static void test_hostile_prod(void)
{
	int bad = 0;

	for (int64_t base = -40; base < 40; base++)
		for (uint64_t used = 0; used <= SIZE; used++)
			for (int64_t d = -64; d <= 64; d++) {
				struct xsock_idx i = at((uint64_t)base, used), old = i;
				bool legal = d >= 0 && used + (uint64_t)d <= SIZE;

				tx.prod = i.prod + (uint64_t)d;
				bad += xsock_rx_look(&i, &tx) != legal;
				bad += i.cons != old.cons;
				bad += i.prod != (legal ? tx.prod : old.prod);
				bad += xsock_used(&i) > SIZE;
			}
	tap(bad == 0, "a receiver accepts prod iff it moves forward into free space");
}

static void test_hostile_cons(void)
{
	int bad = 0;

	for (int64_t base = -40; base < 40; base++)
		for (uint64_t used = 0; used <= SIZE; used++)
			for (int64_t d = -64; d <= 64; d++) {
				struct xsock_idx i = at((uint64_t)base, used), old = i;
				bool legal = d >= 0 && (uint64_t)d <= used;

				rx.cons = i.cons + (uint64_t)d;
				bad += xsock_tx_look(&i, &rx) != legal;
				bad += i.prod != old.prod;
				bad += i.cons != (legal ? rx.cons : old.cons);
				bad += xsock_free(&i) > SIZE;
			}
	tap(bad == 0, "a transmitter accepts cons iff it moves forward over used space");
}

static void test_adopt(void)
{
	int bad = 0;

	for (int64_t base = -40; base < 40; base++)
		for (int64_t d = -64; d <= 64; d++) {
			struct xsock_idx i = at(12345, 3);
			bool legal = d >= 0 && (uint64_t)d <= SIZE;

			bad += xsock_adopt(&i, (uint64_t)(base + d), (uint64_t)base) != legal;
			bad += i.cons != (legal ? (uint64_t)base : 12345);
			bad += xsock_used(&i) != (legal ? (uint64_t)d : 3);
		}
	tap(bad == 0, "adopt takes a pair of indices iff it fits the ring");
}

static void test_far_values(void)
{
	static const uint64_t far[] = {
		1ULL << 31, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 62, 1ULL << 63,
		(1ULL << 63) + 1, ~0ULL, ~0ULL - SIZE, 0x0101010101010101ULL,
	};
	int bad = 0;

	for (size_t k = 0; k < sizeof(far) / sizeof(far[0]); k++) {
		struct xsock_idx i = at(1000, 5);

		tx.prod = i.prod + far[k];
		bad += xsock_rx_look(&i, &tx);
		rx.cons = i.cons + far[k];
		bad += xsock_tx_look(&i, &rx);
		bad += i.prod != 1005 || i.cons != 1000;
	}
	srandom(1);
	for (int k = 0; k < 1000000; k++) {
		struct xsock_idx i = at((uint64_t)random() << 33, random() % (SIZE + 1));

		tx.prod = (uint64_t)random() << 32 ^ (uint64_t)random() << 13 ^ random();
		rx.cons = (uint64_t)random() << 32 ^ (uint64_t)random() << 13 ^ random();
		xsock_rx_look(&i, &tx);
		bad += xsock_used(&i) > SIZE;
		xsock_tx_look(&i, &rx);
		bad += xsock_used(&i) > SIZE;
	}
	tap(bad == 0, "no value from far away is believed, random ones never break the rule");
}

static void test_crossed(void)
{
	int bad = 0;

	for (int64_t from = -20; from < 20; from++)
		for (uint64_t step = 0; step <= SIZE; step++)
			for (int64_t a = -50; a <= 50; a++)
				bad += xsock_crossed((uint64_t)from, (uint64_t)from + step,
						     (uint64_t)a) !=
				       crossed_model((uint64_t)from, (uint64_t)from + step,
						     (uint64_t)a);
	tap(bad == 0, "crossed: (from, to], across the wrap of 64 bits");
}

static void test_publish_consume(void)
{
	int bad = 0;

	for (int64_t base = -20; base < 20; base++)
		for (uint64_t used = 0; used <= SIZE; used++)
			for (uint64_t n = 1; n <= SIZE; n++) {
				struct xsock_idx i = at((uint64_t)base, used);

				if (n <= SIZE - used) {
					rx.wake_at = i.prod + n;
					bad += !xsock_tx_publish(&i, &tx, &rx, n);
					bad += tx.prod != (uint64_t)base + used + n;
					bad += xsock_tx_publish(&i, &tx, &rx, 0);
				}
				i = at((uint64_t)base, used);
				if (n <= used) {
					tx.wake_at = i.cons + 1;
					bad += !xsock_rx_consume(&i, &rx, &tx, n);
					bad += rx.cons != (uint64_t)base + n;
					bad += xsock_rx_consume(&i, &rx, &tx, 0);
				}
			}
	tap(bad == 0, "publish and consume store the index and wake exactly at the crossing");
}

static void test_no_event_unasked(void)
{
	struct xsock_idx i = { .size = SIZE };
	int events = 0;

	memset(&tx, 0, sizeof(tx));
	memset(&rx, 0, sizeof(rx));
	for (int k = 0; k < 1000; k++) {
		events += xsock_tx_publish(&i, &tx, &rx, 1 + k % SIZE);
		events += xsock_rx_consume(&i, &rx, &tx, 1 + k % SIZE);
	}
	tap(events == 0, "fresh pages: nobody sleeps, no event");
}

static void test_wake_min(void)
{
	struct xsock_idx i = at(100, 0);

	rx.wake_at = 0;
	xsock_rx_arm(&i, &rx, 10);
	tap(rx.wake_at == 110, "a stale wake_at is replaced");
	xsock_rx_arm(&i, &rx, 3);
	tap(rx.wake_at == 103, "an earlier wake_at wins over a later one that is armed");
	xsock_rx_arm(&i, &rx, 10);
	tap(rx.wake_at == 103, "a later one does not push an earlier one away");
	i = at(~0ULL - 4, 0);
	rx.wake_at = 2;
	xsock_rx_arm(&i, &rx, 4);
	tap(rx.wake_at == ~0ULL, "... also across the wrap of 64 bits");

	i = at(100, SIZE);
	tx.wake_at = 0;
	xsock_tx_arm(&i, &tx, 4);
	tap(tx.wake_at == 104, "transmitter: 4 bytes are free when cons is 4 further");
}

static void test_prepare(void)
{
	struct xsock_idx i = at(0, 3);

	rx.wake_at = 0;
	tap(xsock_rx_prepare(&i, &rx, &tx, 3) == XSOCK_READY && rx.wake_at == 0,
	    "receiver: enough is there, nothing is armed");
	tap(xsock_rx_prepare(&i, &rx, &tx, 4) == XSOCK_SLEEP && rx.wake_at == 4,
	    "receiver: armed at the byte that is missing");
	tx.prod = 5;
	tap(xsock_rx_prepare(&i, &rx, &tx, 4) == XSOCK_READY,
	    "receiver: what came while arming is seen");
	rx.wake_at = 4;
	i = at(0, 3);
	tx.prod = 5;
	tap(xsock_rx_prepare(&i, &rx, &tx, 8) == XSOCK_SLEEP && rx.wake_at == 8,
	    "receiver: a kept wake_at that was passed meanwhile is armed anew");
	tx.prod = 100;
	tap(xsock_rx_prepare(&i, &rx, &tx, 8) == XSOCK_BROKEN, "receiver: a lie is told");

	i = at(0, 3);
	tap(xsock_rx_watch(&i, &rx, &tx, 1) == XSOCK_READY && rx.wake_at == 4,
	    "watch: armed at the next byte although some are there");
	i = at(7, 0);
	tap(xsock_rx_watch(&i, &rx, &tx, 1) == XSOCK_SLEEP && rx.wake_at == 8,
	    "watch: nothing there");
	i = at(0, 3);
	tap(xsock_rx_watch(&i, &rx, &tx, 5) == XSOCK_SLEEP && rx.wake_at == 5,
	    "watch: armed where there will be enough");
	rx.wake_at = 4;
	tap(xsock_rx_watch(&i, &rx, &tx, 5) == XSOCK_SLEEP && rx.wake_at == 4,
	    "watch: somebody else sleeps for less");
	rx.wake_at = 0;
	tap(xsock_rx_watch(&i, &rx, &tx, 3) == XSOCK_READY && rx.wake_at == 4,
	    "watch: enough, armed at the next byte");
	rx.wake_at = 4;
	tx.prod = 4;
	tap(xsock_rx_watch(&i, &rx, &tx, 5) == XSOCK_SLEEP && rx.wake_at == 5,
	    "watch: a kept wake_at that was passed meanwhile is armed anew");
	tx.prod = 3;
	tap(xsock_rx_watch(&i, &rx, &tx, 1) == XSOCK_BROKEN, "watch: a lie is told");

	i = at(0, SIZE);
	tx.wake_at = 0;
	tap(xsock_tx_prepare(&i, &tx, &rx, 4) == XSOCK_SLEEP && tx.wake_at == 4,
	    "transmitter: armed where 4 bytes will be free");
	rx.cons = 4;
	tap(xsock_tx_prepare(&i, &tx, &rx, 4) == XSOCK_READY, "transmitter: room is seen");
	rx.cons = SIZE + 1;
	tap(xsock_tx_prepare(&i, &tx, &rx, SIZE) == XSOCK_BROKEN, "transmitter: a lie is told");
}

static void test_layout(void)
{
	tap(sizeof(struct xsock_tx_page) == 4096 && sizeof(struct xsock_rx_page) == 4096 &&
	    sizeof(struct xsock_head) == 4096 && sizeof(struct xsock_list) == 4096,
	    "every shared structure is a page");
	tap(offsetof(struct xsock_tx_page, prod) == 64 &&
	    offsetof(struct xsock_tx_page, wake_at) == 128 &&
	    offsetof(struct xsock_tx_page, state) == 192 &&
	    offsetof(struct xsock_rx_page, cons) == 64 &&
	    offsetof(struct xsock_rx_page, wake_at) == 128 &&
	    offsetof(struct xsock_rx_page, state) == 192,
	    "fields lie where the protocol says, one cache line each");
	tap(sizeof(struct sockaddr_xen) == 32, "an offer has 32 bytes");
}

int main(void)
{
	test_layout();
	test_levels();
	test_hostile_prod();
	test_hostile_cons();
	test_adopt();
	test_far_values();
	test_crossed();
	test_publish_consume();
	test_no_event_unasked();
	test_wake_min();
	test_prepare();
	return tap_done();
}
