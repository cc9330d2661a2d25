/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Ring arithmetic: who may touch which bytes, and who must be woken.
 *
 * The same source is compiled into the kernel module, the library and the host
 * tests. It knows nothing of sockets or pages: only of two control pages and of
 * private copies of the indices.
 *
 * Rules, which everything here keeps:
 *  - An index that another domain (or a process, seen from the kernel) can write
 *    is loaded once, checked, and only the checked private copy is used.
 *  - An own index is kept privately and only ever stored to the shared page.
 *  - Offsets are absolute and 64 bits wide; differences are unsigned.
 */
#ifndef _XSOCK_RING_H
#define _XSOCK_RING_H

#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include "uapi/xensocket.h"

/*
 * virt_*: the other side runs on another CPU also where this kernel has one. Who uses
 * a barrier says what it pairs with.
 */
#define xsock_load(p)			READ_ONCE(*(p))
#define xsock_store(p, v)		WRITE_ONCE(*(p), (v))
#define xsock_load_acquire(p)		virt_load_acquire(p)	/* sees what the release has */
#define xsock_store_release(p, v)	virt_store_release((p), (v)) /* for the acquire */
#define xsock_full_barrier()		virt_mb()		/* store, then look */
#else
#include <stdbool.h>
#ifndef XSOCK_UAPI_INCLUDED
#include "uapi/xensocket.h"
#endif

#define xsock_load(p)			__atomic_load_n((p), __ATOMIC_RELAXED)
#define xsock_store(p, v)		__atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define xsock_load_acquire(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define xsock_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define xsock_full_barrier()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/**
 * struct xsock_idx - one side's private view of a ring
 * @size: bytes in the ring, a power of two
 * @prod: last known offset of publication: own (transmitter) or checked (receiver)
 * @cons: last known offset of consumption: checked (transmitter) or own (receiver)
 *
 * Always prod - cons <= size.
 */
struct xsock_idx {
	__u64 size;
	__u64 prod;
	__u64 cons;
};

static inline __u64 xsock_used(const struct xsock_idx *i)
{
	return i->prod - i->cons;
}

static inline __u64 xsock_free(const struct xsock_idx *i)
{
	return i->size - (i->prod - i->cons);
}

/* Position of a stream offset in the data pages. */
static inline __u64 xsock_position(const struct xsock_idx *i, __u64 offset)
{
	return offset & (i->size - 1);
}

/*
 * Did an index, on its way from @from to @to, reach @at? @at counts if it lies
 * in (from, to]. Holds across the wrap of 64 bits. A hostile @at costs at most
 * one event for each move.
 */
static inline bool xsock_crossed(__u64 from, __u64 to, __u64 at)
{
	return (__u64)(to - at) < (__u64)(to - from);
}

/*
 * Accept a new index of the transmitter's: it may only move forward, and only as
 * far as the ring is free. False: the transmitter lies; nothing has changed.
 */
static inline bool xsock_accept_prod(struct xsock_idx *i, __u64 prod)
{
	if ((__u64)(prod - i->prod) > xsock_free(i))
		return false;
	xsock_store(&i->prod, prod);
	return true;
}

/* Accept a new index of the receiver's: forward, and not past what is there. */
static inline bool xsock_accept_cons(struct xsock_idx *i, __u64 cons)
{
	if ((__u64)(cons - i->cons) > xsock_used(i))
		return false;
	xsock_store(&i->cons, cons);
	return true;
}

/*
 * Take over both indices at once, where the own one may have moved any distance since
 * the last look: a kernel whose process uses the ring through its mapping.
 */
static inline bool xsock_adopt(struct xsock_idx *i, __u64 prod, __u64 cons)
{
	if ((__u64)(prod - cons) > i->size)
		return false;
	xsock_store(&i->prod, prod);
	xsock_store(&i->cons, cons);
	return true;
}

/* Transmitter: look at the receiver's index. False: it broke the protocol. */
static inline bool xsock_tx_look(struct xsock_idx *i, const struct xsock_rx_page *rx)
{
	/* Acquire: what is now free must not be written before this load. */
	return xsock_accept_cons(i, xsock_load_acquire(&rx->cons));
}

/* Receiver: look at the transmitter's index. False: it broke the protocol. */
static inline bool xsock_rx_look(struct xsock_idx *i, const struct xsock_tx_page *tx)
{
	/* Acquire: the data must not be read before this load. */
	return xsock_accept_prod(i, xsock_load_acquire(&tx->prod));
}

/*
 * Transmitter: @n bytes have been written after @i->prod, n <= free. Publishes them, and
 * returns where they begin. xsock_tx_wanted() has to follow.
 */
static inline __u64 xsock_tx_store(struct xsock_idx *i, struct xsock_tx_page *tx, __u64 n)
{
	__u64 old = i->prod;

	xsock_store(&i->prod, old + n);
	/* Release: the data is there before the index says so. */
	xsock_store_release(&tx->prod, old + n);
	return old;
}

/* True: the receiver sleeps and has to be sent an event for what was published from @old on. */
static inline bool xsock_tx_wanted(const struct xsock_idx *i, const struct xsock_rx_page *rx,
				   __u64 old)
{
	/*
	 * Pairs with the barrier in xsock_rx_arm(): either the receiver sees the
	 * new index before it sleeps, or we see what it sleeps for.
	 */
	xsock_full_barrier();
	return xsock_crossed(old, i->prod, xsock_load(&rx->wake_at));
}

/* Both. */
static inline bool xsock_tx_publish(struct xsock_idx *i, struct xsock_tx_page *tx,
				    const struct xsock_rx_page *rx, __u64 n)
{
	return xsock_tx_wanted(i, rx, xsock_tx_store(i, tx, n));
}

/*
 * Receiver: has no further use for the @n bytes after @i->cons, n <= used. True:
 * the transmitter sleeps and has to be sent an event.
 */
static inline bool xsock_rx_consume(struct xsock_idx *i, struct xsock_rx_page *rx,
				    const struct xsock_tx_page *tx, __u64 n)
{
	__u64 old = i->cons;

	xsock_store(&i->cons, old + n);
	/* Release: the last read is done before the transmitter may overwrite. */
	xsock_store_release(&rx->cons, old + n);
	/* Pairs with the barrier in xsock_tx_arm(). */
	xsock_full_barrier();
	return xsock_crossed(old, old + n, xsock_load(&tx->wake_at));
}

/*
 * The offset to ask for when several sleepers share one wake_at: @want, unless
 * an earlier one is still to come. @seen is the index as known now.
 */
static inline __u64 xsock_wake_min(__u64 seen, __u64 armed, __u64 want)
{
	/* Distances from seen + 1, so that what has passed counts as far away. */
	return (__u64)(armed - seen - 1) < (__u64)(want - seen - 1) ? armed : want;
}

/*
 * Receiver: ask for an event when @n bytes (1 to size) are there to be read. The
 * caller must look once more afterwards, before it sleeps.
 */
static inline void xsock_rx_arm(const struct xsock_idx *i, struct xsock_rx_page *rx,
				__u64 n)
{
	__u64 want = i->cons + n;

	xsock_store(&rx->wake_at,
		    xsock_wake_min(i->prod, xsock_load(&rx->wake_at), want));
	/* Pairs with the barrier in xsock_tx_wanted(). */
	xsock_full_barrier();
}

/* Transmitter: ask for an event when @n bytes (1 to size) are free. Look again. */
static inline void xsock_tx_arm(const struct xsock_idx *i, struct xsock_tx_page *tx,
				__u64 n)
{
	__u64 want = i->prod - i->size + n;

	xsock_store(&tx->wake_at,
		    xsock_wake_min(i->cons, xsock_load(&tx->wake_at), want));
	/* Pairs with the barrier in xsock_rx_consume(). */
	xsock_full_barrier();
}

/* What a would-be sleeper is told. */
enum xsock_prepared {
	XSOCK_BROKEN = -1,	/* the peer broke the protocol */
	XSOCK_SLEEP = 0,	/* armed: an event will come */
	XSOCK_READY = 1,	/* no need to sleep */
};

/*
 * Arming when an earlier wake_at is kept, which the peer may have passed in the
 * meantime, is void: so it is repeated until the index stands still. A peer that
 * moves it at each look would keep us here; then there is news anyway.
 */
#define XSOCK_ARM_TRIES	16

/*
 * Both sides may sleep at once, so what they wait for must fit into the ring
 * together: a transmitter waits for at most a quarter of the size, a receiver
 * for at most three quarters.
 */
static inline __u64 xsock_write_mark(const struct xsock_idx *i)
{
	/* Not each byte: a receiver that reads byte by byte would cost events. */
	return i->size / 4;
}

static inline __u64 xsock_read_mark(const struct xsock_idx *i)
{
	return i->size - i->size / 4;
}

/* Receiver: about to sleep until @n bytes (1 to the read mark) are there. */
static inline enum xsock_prepared xsock_rx_prepare(struct xsock_idx *i,
						   struct xsock_rx_page *rx,
						   const struct xsock_tx_page *tx,
						   __u64 n)
{
	int tries;

	for (tries = 0; tries < XSOCK_ARM_TRIES; tries++) {
		__u64 seen = i->prod;

		if (xsock_used(i) >= n)
			return XSOCK_READY;
		xsock_rx_arm(i, rx, n);
		if (!xsock_rx_look(i, tx))
			return XSOCK_BROKEN;
		if (i->prod == seen)
			return XSOCK_SLEEP;
	}
	return XSOCK_READY;
}

/*
 * Receiver: wants an event when @n bytes (1 to the read mark) are there, and if they
 * are, at the next byte beyond those, read or not (edge-triggered pollers). XSOCK_READY:
 * as many can be read now.
 */
static inline enum xsock_prepared xsock_rx_watch(struct xsock_idx *i,
						 struct xsock_rx_page *rx,
						 const struct xsock_tx_page *tx,
						 __u64 n)
{
	int tries;

	for (tries = 0; tries < XSOCK_ARM_TRIES; tries++) {
		__u64 seen = i->prod;

		xsock_rx_arm(i, rx, xsock_used(i) < n ? n : xsock_used(i) + 1);
		if (!xsock_rx_look(i, tx))
			return XSOCK_BROKEN;
		if (i->prod == seen)
			return xsock_used(i) >= n ? XSOCK_READY : XSOCK_SLEEP;
	}
	return XSOCK_READY;
}

/* Transmitter: about to sleep until @n bytes (1 to the write mark) are free. */
static inline enum xsock_prepared xsock_tx_prepare(struct xsock_idx *i,
						   struct xsock_tx_page *tx,
						   const struct xsock_rx_page *rx,
						   __u64 n)
{
	int tries;

	for (tries = 0; tries < XSOCK_ARM_TRIES; tries++) {
		__u64 seen = i->cons;

		if (xsock_free(i) >= n)
			return XSOCK_READY;
		xsock_tx_arm(i, tx, n);
		if (!xsock_tx_look(i, rx))
			return XSOCK_BROKEN;
		if (i->cons == seen)
			return XSOCK_SLEEP;
	}
	return XSOCK_READY;
}

#endif /* _XSOCK_RING_H */
