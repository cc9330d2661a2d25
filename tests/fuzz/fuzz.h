/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One side of the ring as the kernel compiles it, against a peer that is the fuzzer:
 * whenever ring.h loads from memory that the peer can write, the input says what is
 * found there, so that no two loads need agree. Stores are only allowed to the own
 * page, and there only to the fields that are the side's to write.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t fuzz_load(const void *address, size_t size);
static void fuzz_store(const void *address, size_t size, uint64_t value);

#define __KERNEL__
#include "ring.h"
#undef __KERNEL__

#include "input.h"

/* Both pages; one of them is the own one. */
static struct xsock_tx_page tx;
static struct xsock_rx_page rx;
static struct xsock_idx ring;
static bool transmitter;
static uint8_t *ring_data;

/* Of the call under test: loads from the peer's page, the last value of its index, ... */
static unsigned int loads;
static uint64_t peer_index, peer_wake, stored_index, stored_wake;

static bool within(const void *address, const void *page)
{
	return (uintptr_t)address - (uintptr_t)page < XSOCK_PAGE_SIZE;
}

/* A lie, or not: mostly near the values that decide something. */
static uint64_t fuzz_value(uint64_t old)
{
	switch (take(1) % 8) {
	case 0:
		return old;
	case 1:
		return old + take(1);
	case 2:
		return old - take(1);
	case 3:
		return ring.prod + (int8_t)take(1);
	case 4:
		return ring.cons + (int8_t)take(1);
	case 5:
		return ring.cons + ring.size + (int8_t)take(1);
	case 6:
		return ring.cons + take(2) % (ring.size + 1);
	default:
		return take(8);
	}
}

static uint64_t fuzz_load(const void *address, size_t size)
{
	bool peers = within(address, transmitter ? (void *)&rx : (void *)&tx);
	bool own = within(address, transmitter ? (void *)&tx : (void *)&rx);
	uint64_t value = 0;

	must(peers || own);
	must(size == sizeof(uint64_t));
	memcpy(&value, address, size);
	/* The rx page lies in the transmitter's memory: a receiver cannot trust even it. */
	if (peers || !transmitter) {
		value = fuzz_value(value);
		memcpy((void *)(uintptr_t)address, &value, size);
	}
	if (peers)
		loads++;
	if (address == (transmitter ? (void *)&rx.cons : (void *)&tx.prod))
		peer_index = value;
	if (address == (transmitter ? (void *)&rx.wake_at : (void *)&tx.wake_at))
		peer_wake = value;
	return value;
}

static void fuzz_store(const void *address, size_t size, uint64_t value)
{
	bool index = address == (transmitter ? (void *)&tx.prod : (void *)&rx.cons);
	bool wake = address == (transmitter ? (void *)&tx.wake_at : (void *)&rx.wake_at);
	/* What is known of the ring, which others may read meanwhile. */
	bool known = address == &ring.prod || address == &ring.cons;

	must(index || wake || known);
	must(size == sizeof(value));
	memcpy((void *)(uintptr_t)address, &value, size);
	if (index)
		stored_index = value;
	else if (wake)
		stored_wake = value;
}

/* Any beginning of a stream; near the wrap of 64 bits as often as not. */
static void fuzz_begin(const uint8_t *data, size_t len, bool role)
{
	input = data;
	input_left = len;
	transmitter = role;
	ring.size = 4096ULL << take(1) % 3;
	ring.cons = take(1) % 2 ? 0 : -(take(2) % (3 * ring.size));
	ring.prod = ring.cons + take(2) % (ring.size + 1);
	memset(&tx, 0, sizeof(tx));
	memset(&rx, 0, sizeof(rx));
	tx.prod = ring.prod;
	rx.cons = ring.cons;
	/* Exactly so large: a byte beyond it is found by the sanitizer. */
	ring_data = malloc(ring.size);
	must(ring_data);
	memset(ring_data, 0, ring.size);
}

static void fuzz_end(void)
{
	free(ring_data);
}

/* Touches stream bytes page by page, as the kernel does when it copies. */
static void fuzz_touch(uint64_t from, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		uint64_t at = xsock_position(&ring, from + done);
		uint64_t part = XSOCK_PAGE_SIZE - at % XSOCK_PAGE_SIZE;

		if (part > len - done)
			part = len - done;
		for (uint64_t k = 0; k < part; k++)
			ring_data[at + k]++;
		done += part;
	}
}

/*
 * What holds after every call, whatever the peer did: @moved of the peer's index is
 * what may have been accepted, of the own one @own is what was asked for.
 */
static void fuzz_after(const struct xsock_idx *old, uint64_t own)
{
	uint64_t peers = transmitter ? ring.cons - old->cons : ring.prod - old->prod;
	uint64_t ours = transmitter ? ring.prod - old->prod : ring.cons - old->cons;
	int64_t allowed = transmitter ? xsock_used(old) : xsock_free(old);

	must(ring.size == old->size);
	must(ring.prod - ring.cons <= ring.size);
	must(xsock_used(&ring) + xsock_free(&ring) == ring.size);
	must((int64_t)peers >= 0 && (int64_t)peers <= allowed);
	must(ours == own);
}

/* Was the last value of the peer's index one that it might have? As signed distance. */
static bool fuzz_legal(const struct xsock_idx *old)
{
	int64_t step = peer_index - (transmitter ? old->cons : old->prod);

	return step >= 0 && step <= (int64_t)(transmitter ? xsock_used(old) : xsock_free(old));
}

/* A call that moves the own index by @n said whether the peer has to be woken. */
static void fuzz_moved(const struct xsock_idx *old, uint64_t n, bool wakes)
{
	uint64_t from = transmitter ? old->prod : old->cons;
	uint64_t distance = peer_wake - from;

	fuzz_after(old, n);
	must(stored_index == from + n);
	must(loads == 1);
	must(wakes == (distance >= 1 && distance <= n));
}

/* A call that prepared to sleep. @want: how far the peer's index is to come at most. */
static void fuzz_prepared(const struct xsock_idx *old, enum xsock_prepared result, uint64_t want)
{
	uint64_t seen = transmitter ? ring.cons : ring.prod;

	fuzz_after(old, 0);
	must(loads <= XSOCK_ARM_TRIES);
	if (result != XSOCK_BROKEN && loads)
		must(peer_index == seen);
	/* An event will come when the peer does what is waited for, or earlier. */
	if (result == XSOCK_SLEEP)
		must(stored_wake - seen >= 1 && stored_wake - seen <= want);
}

/* The socket is broken, and its last bytes are copied or counted. */
static void fuzz_broken(const struct xsock_idx *believed)
{
	must(!memcmp(&ring, believed, sizeof(ring)));
	fuzz_touch(ring.cons, xsock_used(&ring));
}

/* A mapped ring: both indices are whatever somebody has written. False: broken. */
static bool fuzz_adopt(void)
{
	uint64_t prod = fuzz_value(ring.prod), cons = fuzz_value(ring.cons);
	struct xsock_idx old = ring;
	bool fits = cons + ring.size - prod <= ring.size;

	must(xsock_adopt(&ring, prod, cons) == fits);
	must(ring.size == old.size);
	must(ring.prod == (fits ? prod : old.prod));
	must(ring.cons == (fits ? cons : old.cons));
	/* The own page is where the own index was found. */
	if (transmitter)
		tx.prod = ring.prod;
	else
		rx.cons = ring.cons;
	return fits;
}

#endif
