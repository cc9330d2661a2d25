// SPDX-License-Identifier: GPL-2.0-only
/* Sending: from user memory into the own ring. */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "xsock.h"

/* Publish at least so often: the receiver can begin while we go on. */
#define XSOCK_TX_CHUNK	(64 * 1024)

/* Copies into free space without faulting. Returns the bytes copied. */
static size_t xsock_tx_copy(struct xsock_ring *ring, struct msghdr *msg, size_t len)
{
	size_t done = 0;

	pagefault_disable();
	while (done < len) {
		u64 at = xsock_position(&ring->idx, ring->idx.prod + done);
		size_t offset = offset_in_page(at);
		size_t part = min_t(size_t, len - done, PAGE_SIZE - offset);
		size_t n = copy_page_from_iter(ring->pages[at >> PAGE_SHIFT], offset, part,
					       &msg->msg_iter);

		done += n;
		if (n < part)
			break;
	}
	pagefault_enable();
	return done;
}

/*
 * One step of sending, with the lock of the ring held. Returns the bytes sent; 0 if
 * an event will tell when to go on; -EFAULT if user memory has to be paged in first.
 */
static ssize_t xsock_tx_step(struct sock *sk, struct xsock_ring *ring, struct msghdr *msg)
{
	size_t len;

	/* What the peer has done counts, whether its event has come or not. */
	if (ring->attached)
		xsock_peer_check(ring);
	if (ring->err)
		return -ring->err;
	if (!ring->attached || READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)
		return -EPIPE;
	if (!(READ_ONCE(ring->peer_state) & XSOCK_RX_CONNECTED))
		return 0;
	if (!xsock_own_look(ring) || !xsock_tx_look(&ring->idx, ring->rx))
		return -EPROTO;
	if (!xsock_free(&ring->idx)) {
		/* Before the look that finds none: SIGIO when there is room. */
		sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
		switch (xsock_tx_prepare(&ring->idx, ring->tx, ring->rx,
					 xsock_write_mark(&ring->idx))) {
		case XSOCK_BROKEN:
			return -EPROTO;
		case XSOCK_SLEEP:
			/* Some room may have come that is below the mark. */
			if (!xsock_free(&ring->idx))
				return 0;
			break;
		case XSOCK_READY:
			break;
		}
	}
	len = min_t(u64, msg_data_left(msg), xsock_free(&ring->idx));
	len = xsock_tx_copy(ring, msg, min_t(size_t, len, XSOCK_TX_CHUNK));
	if (!len)
		return -EFAULT;
	xsock_event_maybe(ring, xsock_tx_publish(&ring->idx, ring->tx, ring->rx, len));
	return len;
}

/* As xsock_tx_step(), but -EFAULT is final, and so is -EPROTO. */
static ssize_t xsock_tx_some(struct sock *sk, struct xsock_ring *ring, struct msghdr *msg)
{
	size_t part;
	ssize_t n;

	for (;;) {
		mutex_lock(&ring->lock);
		n = xsock_tx_step(sk, ring, msg);
		mutex_unlock(&ring->lock);
		if (n == -EPROTO)
			xsock_ring_broken(ring);
		if (n != -EFAULT)
			return n;
		/* At most a page: more is not needed to go on. */
		part = min_t(size_t, msg_data_left(msg), PAGE_SIZE);
		if (fault_in_iov_iter_readable(&msg->msg_iter, part) == part)
			return -EFAULT;
	}
}

int xsock_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct sock *sk = sock->sk;
	struct xsock_ring *ring = xsock_ring_of(sk);
	struct xsock_sleeper sleeper;
	size_t sent = 0;
	ssize_t n = 0;

	if (msg->msg_flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (msg->msg_namelen)
		return ring && xsock_connected(sk, ring) ? -EISCONN : -EOPNOTSUPP;
	if (!ring)
		return -ENOTCONN;
	if (ring->role != XSOCK_ROLE_TX)
		return -EOPNOTSUPP;

	xsock_sleep_begin(&sleeper, msg, sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT));
	while (sent < len) {
		n = xsock_tx_some(sk, ring, msg);
		if (!n)
			n = xsock_sleep(sk, ring, &sleeper);
		if (n < 0)
			break;
		sent += n;
	}
	xsock_sleep_end(sk, &sleeper);

	if (sent)
		return sent;
	if (!len && READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)
		n = ring->err ? -ring->err : -EPIPE;
	if (n == -EPIPE && !(msg->msg_flags & MSG_NOSIGNAL))
		send_sig(SIGPIPE, current, 0);
	return n;
}
