// SPDX-License-Identifier: GPL-2.0-only
/* Receiving: from the peer's ring, or from the copy of it, into user memory. */
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "xsock.h"

/* Give space back at least so often: the transmitter can go on meanwhile. */
#define XSOCK_RX_CHUNK	(64 * 1024)

/**
 * struct xsock_want - what a receiving call has got and still wants
 * @peek: leave the bytes where they are
 * @copied: bytes copied so far; all of them still in the ring if @peek
 * @target: do not return with less, if nothing goes wrong
 * @len: take no more
 */
struct xsock_want {
	bool peek;
	size_t copied;
	size_t target;
	size_t len;
};

/* Copies published bytes without faulting. Returns the bytes copied. */
static size_t xsock_rx_copy(struct xsock_ring *ring, struct msghdr *msg, u64 from, size_t len)
{
	size_t done = 0;

	pagefault_disable();
	while (done < len) {
		u64 at = xsock_position(&ring->idx, from + done);
		size_t offset = offset_in_page(at);
		size_t part = min_t(size_t, len - done, PAGE_SIZE - offset);
		/* The bytes: splice() before Linux 6.5 would take the page, which is not ours. */
		size_t n = copy_to_iter(page_address(ring->pages[at >> PAGE_SHIFT]) + offset,
					part, &msg->msg_iter);

		done += n;
		if (n < part)
			break;
	}
	pagefault_enable();
	return done;
}

/*
 * Nothing to read: is the stream over, or what shall be waited for? @fin and @shutdown are of
 * before the look that found nothing: the peer may have sent its last bytes, and ended the
 * stream, after it.
 */
static ssize_t xsock_rx_empty(struct xsock_ring *ring, struct xsock_want *want, bool fin,
			      int shutdown)
{
	u64 more, seen = xsock_used(&ring->idx);

	if (want->copied >= want->target)
		return -ENODATA;
	/* Everything has come: what happened to the socket later does not matter. */
	if (fin)
		return -ENODATA;
	if (!ring->attached)
		return ring->err ? -ring->err : -ENODATA;
	if (shutdown & RCV_SHUTDOWN)
		return -ENODATA;
	/* Somebody who peeks cannot see more than the ring holds. */
	if (seen >= xsock_read_mark(&ring->idx))
		return -ENODATA;
	more = min_t(u64, seen + (want->target - want->copied), xsock_read_mark(&ring->idx));
	switch (xsock_rx_prepare(&ring->idx, ring->rx, ring->tx, more)) {
	case XSOCK_BROKEN:
		return -EPROTO;
	case XSOCK_SLEEP:
		/* Something may have come that is less than asked for. */
		return xsock_used(&ring->idx) > seen ? -EALREADY : 0;
	default:
		return -EALREADY;
	}
}

/*
 * One step of receiving, with the lock of the ring held. Returns the bytes received;
 * 0 if an event will tell when to go on; -ENODATA if the call is over; -EALREADY to
 * try again; -EFAULT if user memory has to be paged in first.
 */
static ssize_t xsock_rx_step(struct sock *sk, struct xsock_ring *ring, struct msghdr *msg,
			     struct xsock_want *want)
{
	size_t skip = want->peek ? want->copied : 0, len;
	int shutdown;
	bool fin;

	/* The end of the stream before the index: nothing can come in between. */
	if (ring->attached)
		xsock_peer_check(ring);
	shutdown = READ_ONCE(sk->sk_shutdown);
	/* Acquire: the handler may have seen it, and what was published before it is there. */
	fin = smp_load_acquire(&ring->peer_state) & XSOCK_TX_FIN;
	if (!xsock_own_look(ring) ||
	    (ring->attached && !xsock_rx_look(&ring->idx, ring->tx)))
		return -EPROTO;

	/* Somebody else may have consumed what was peeked at. */
	skip = min_t(u64, skip, xsock_used(&ring->idx));
	len = min_t(u64, want->len - want->copied, xsock_used(&ring->idx) - skip);
	if (xsock_used(&ring->idx) == skip)
		return xsock_rx_empty(ring, want, fin, shutdown);
	if (!len)
		return -ENODATA;

	len = xsock_rx_copy(ring, msg, ring->idx.cons + skip, min_t(size_t, len, XSOCK_RX_CHUNK));
	if (!len)
		return -EFAULT;
	if (!want->peek) {
		bool crossed = xsock_rx_consume(&ring->idx, ring->rx, ring->tx, len);

		if (ring->attached)
			xsock_event_maybe(ring, crossed);
	}
	return len;
}

static ssize_t xsock_rx_some(struct sock *sk, struct xsock_ring *ring, struct msghdr *msg,
			     struct xsock_want *want)
{
	size_t part;
	ssize_t n;

	for (;;) {
		mutex_lock(&ring->lock);
		n = xsock_rx_step(sk, ring, msg, want);
		mutex_unlock(&ring->lock);
		switch (n) {
		case -EPROTO:
			if (!READ_ONCE(ring->attached))
				return n;
			/* What was published before can be read before the error. */
			xsock_ring_broken(ring);
			break;
		case -EALREADY:
			break;
		case -EFAULT:
			/* No room in a pipe, or no memory for it: nothing to be paged in. */
			if (!user_backed_iter(&msg->msg_iter))
				return n;
			part = min_t(size_t, want->len - want->copied, PAGE_SIZE);
			if (fault_in_iov_iter_writeable(&msg->msg_iter, part) == part)
				return n;
			break;
		default:
			return n;
		}
	}
}

/**
 * xsock_rx_async - SIGIO for what is left and for what comes next, if it is wanted
 * @sk: a receiver's
 * @ring: its ring, not locked
 * @left: also for what has been looked at, and left
 *
 * Elsewhere each arrival has a signal, so that who reads one piece for each does not look for more.
 */
void xsock_rx_async(struct sock *sk, struct xsock_ring *ring, bool left)
{
	int ready = XSOCK_SLEEP;
	u64 seen;

	if (!sock_flag(sk, SOCK_FASYNC))
		return;
	mutex_lock(&ring->lock);
	seen = ring->idx.prod;
	if (xsock_own_look(ring))
		ready = xsock_rx_watch(&ring->idx, ring->rx, ring->tx, 1);
	left |= ring->idx.prod != seen;
	mutex_unlock(&ring->lock);
	if (ready == XSOCK_READY && left)
		sk_wake_async(sk, SOCK_WAKE_WAITD, POLL_IN);
}

/* Reading from a transmitter: nothing ever comes. */
static int xsock_rx_wrong_end(struct sock *sk, struct xsock_ring *ring)
{
	if (!xsock_connected(sk, ring))
		return -EINVAL;
	return READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN ? 0 : -EOPNOTSUPP;
}

int xsock_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct sock *sk = sock->sk;
	struct xsock_ring *ring = xsock_ring_of(sk);
	struct xsock_want want = { .peek = flags & MSG_PEEK, .len = len };
	struct xsock_sleeper sleeper;
	ssize_t n;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (!ring)
		return -EINVAL;
	msg->msg_namelen = 0;
	if (ring->role != XSOCK_ROLE_RX)
		return xsock_rx_wrong_end(sk, ring);

	want.target = sock_rcvlowat(sk, flags & MSG_WAITALL, len);
	xsock_sleep_begin(&sleeper, msg, sock_rcvtimeo(sk, flags & MSG_DONTWAIT));
	do {
		n = xsock_rx_some(sk, ring, msg, &want);
		if (!n)
			n = xsock_sleep(sk, ring, &sleeper);
		else if (n > 0)
			want.copied += n;
		/* Who asks for no bytes waits for some none the less: -ENODATA ends it. */
	} while (n >= 0 && (want.copied < len || !len));
	xsock_sleep_end(sk, &sleeper);
	if (want.copied) {
		xsock_rx_async(sk, ring, !want.peek);
		return want.copied;
	}
	return n == -ENODATA ? 0 : n;
}
