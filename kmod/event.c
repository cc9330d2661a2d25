// SPDX-License-Identifier: GPL-2.0-only
/* Event channels: binding, sending, receiving, and whether the other end lives. */
#define pr_fmt(fmt) "xensocket: " fmt

#include <linux/interrupt.h>
#include <xen/events.h>
#include <asm/xen/hypercall.h>

#include "xsock.h"

/*
 * Wake whoever sleeps on the socket. Any context. All of them, since more than one may
 * wait, each for another amount; and without a key that says what for: an event can stand
 * for more than bytes, and who trusts a key (io_uring) would not look at the ring again,
 * which is what arms it for the next event.
 */
void xsock_wake_sleepers(struct sock *sk)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_all(&wq->wait);
	rcu_read_unlock();
}

/* For what others than the process itself have done: SIGIO, too. */
static void xsock_wake(struct sock *sk, int how, int band)
{
	/* First: who sleeps says that he wants none until he is awake. */
	sk_wake_async(sk, how, band);
	xsock_wake_sleepers(sk);
}

/* Tells of fresh bits of the peer's state, or else of its index. */
static void xsock_tell(struct xsock_ring *ring, u32 fresh)
{
	bool tx = ring->role == XSOCK_ROLE_TX;
	u32 over = tx ? XSOCK_RX_CLOSED | XSOCK_RX_REVOKED : XSOCK_TX_CLOSED | XSOCK_TX_REVOKED;

	if (fresh & over)
		xsock_wake(ring->sk, SOCK_WAKE_WAITD, POLL_HUP);
	else if (!tx)
		xsock_wake(ring->sk, SOCK_WAKE_WAITD, POLL_IN);
	else
		/* SIGIO for room only if a send() has missed it; for a receiver always. */
		xsock_wake(ring->sk, fresh & XSOCK_RX_CONNECTED ? SOCK_WAKE_IO : SOCK_WAKE_SPACE,
			   POLL_OUT);
}

void xsock_wake_all(struct sock *sk)
{
	xsock_wake(sk, SOCK_WAKE_WAITD, POLL_HUP);
}

/*
 * So many events with news come at full speed while nobody looks at the ring; a
 * transmitter of single bytes could otherwise keep a processor in the handler.
 */
#define XSOCK_EVENTS_AHEAD	64

/*
 * How far the peer's index may have come. The own one is read after the peer's, so it
 * is not behind what the peer has seen of it.
 */
static u64 xsock_index_limit(struct xsock_ring *ring)
{
	if (ring->role == XSOCK_ROLE_TX)
		return xsock_load(&ring->tx->prod);
	/* The rx page is the peer's memory: believed only if a process counts there. */
	return ring->idx.size + (READ_ONCE(ring->mapped) ? xsock_load(&ring->rx->cons) :
							   READ_ONCE(ring->idx.cons));
}

/*
 * Has the peer moved its index? News is what has changed since the last event, not
 * since the last look: an event whose bytes were read before it came is not the peer's
 * fault. An index that may not be there is no news but the end of the socket, also if
 * nobody looks at it.
 */
static bool xsock_index_moved(struct xsock_ring *ring)
{
	const u64 *seen = ring->role == XSOCK_ROLE_TX ? &ring->idx.cons : &ring->idx.prod;
	u64 index, known, limit, last = ring->last_index;

	if (!ring->peer_page)
		return false;
	/* Before the peer's index, which is not behind what has been seen of it. */
	known = smp_load_acquire(seen);
	/* Acquire: the limit is read after it, too. */
	index = ring->role == XSOCK_ROLE_TX ?
		xsock_load_acquire(&((struct xsock_rx_page *)ring->peer_page)->cons) :
		xsock_load_acquire(&((struct xsock_tx_page *)ring->peer_page)->prod);
	if (index == last)
		return false;
	limit = xsock_index_limit(ring);
	if (index - last > limit - last || index - known > limit - known) {
		if (!ring->want_reason) {
			ring->want_reason = XSOCK_REASON_PROTOCOL;
			xsock_ring_kick(ring);
		}
		return false;
	}
	ring->last_index = index;
	return true;
}

static irqreturn_t xsock_interrupt(int irq, void *data)
{
	struct xsock_ring *ring = data;
	unsigned int eoi = XEN_EOI_FLAG_SPURIOUS;
	unsigned long flags;
	bool moved;
	u32 fresh;

	spin_lock_irqsave(&ring->ev_lock, flags);
	xsock_count(&ring->stats.events_received, 1);
	moved = xsock_index_moved(ring);
	/* As with the index: somebody may have seen the state while others sleep. */
	xsock_peer_look(ring);
	fresh = ring->untold;
	ring->untold = 0;
	if (fresh || (moved && READ_ONCE(ring->ahead) < XSOCK_EVENTS_AHEAD))
		eoi = 0;
	WRITE_ONCE(ring->ahead, READ_ONCE(ring->ahead) + 1);
	if (eoi)
		xsock_count(&ring->stats.events_empty, 1);
	if ((moved || fresh) && ring->sk)
		xsock_tell(ring, fresh);
	/* The peer has let go, it seems; who says so again and again is slowed down. */
	if (ring->lingering)
		mod_delayed_work(xsock_wq, &ring->linger, 0);
	spin_unlock_irqrestore(&ring->ev_lock, flags);

	/* Only now may the next one come; empty ones are slowed down. */
	xen_irq_lateeoi(irq, eoi);
	return IRQ_HANDLED;
}

static void xsock_event_close(evtchn_port_t port)
{
	struct evtchn_close close = { .port = port };

	/* Fails only for a port that is not ours; nothing could be done about it. */
	if (HYPERVISOR_event_channel_op(EVTCHNOP_close, &close))
		pr_debug("port %u was not open\n", port);
}

static int xsock_event_irq(struct xsock_ring *ring, evtchn_port_t port)
{
	int irq = bind_evtchn_to_irq_lateeoi(port), err;

	if (irq < 0) {
		xsock_event_close(port);
		return irq;
	}
	err = request_irq(irq, xsock_interrupt, 0, "xensocket", ring);
	if (err) {
		/* Unbinds and closes. A second closing could hit whoever gets the port next. */
		evtchn_put(port);
		return err;
	}
	ring->irq = irq;
	ring->port = port;
	return 0;
}

/* Transmitter: a port to which the peer may bind. */
int xsock_event_alloc(struct xsock_ring *ring)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = ring->peer,
	};
	int err = xsock_hyper_event(EVTCHNOP_alloc_unbound, &alloc);

	if (err)
		return err;
	return xsock_event_irq(ring, alloc.port);
}

/* Receiver: take the transmitter's port. Works once for each port. */
int xsock_event_bind(struct xsock_ring *ring, evtchn_port_t remote)
{
	struct evtchn_bind_interdomain bind = {
		.remote_dom = ring->peer,
		.remote_port = remote,
	};
	int err = xsock_hyper_event(EVTCHNOP_bind_interdomain, &bind);

	if (err)
		return err;
	return xsock_event_irq(ring, bind.local_port);
}

void xsock_event_send(struct xsock_ring *ring)
{
	/* By irq, not by port: after a resume the port may be somebody else's. */
	if (ring->irq) {
		notify_remote_via_irq(ring->irq);
		xsock_count(&ring->stats.events_sent, 1);
	}
}

/* Closes the port, too. Not from the handler, and only once the ring is detached. */
void xsock_event_unbind(struct xsock_ring *ring)
{
	unsigned int irq = ring->irq;

	ring->irq = 0;
	if (irq)
		unbind_from_irqhandler(irq, ring);
}

/* Is the port of an open ring still bound to the peer? Xen does not announce it. */
bool xsock_event_alive(struct xsock_ring *ring)
{
	struct evtchn_status status = { .dom = DOMID_SELF, .port = ring->port };

	xsock_count(&ring->stats.status_calls, 1);
	if (HYPERVISOR_event_channel_op(EVTCHNOP_status, &status))
		return false;
	return status.status == EVTCHNSTAT_interdomain;
}

/* Does a domain exist? If so, a port that cannot be is refused with another error. */
bool xsock_domain_alive(u16 domid)
{
	struct evtchn_status status = { .dom = domid, .port = ~0U };

	return HYPERVISOR_event_channel_op(EVTCHNOP_status, &status) != -ESRCH;
}
