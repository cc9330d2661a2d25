// SPDX-License-Identifier: GPL-2.0-only
/* Event channels: binding, sending, receiving, and whether the other end lives. */
#include <linux/interrupt.h>
#include <linux/poll.h>
#include <xen/events.h>
#include <asm/xen/hypercall.h>

#include "xsock.h"

/* Wake whoever sleeps on the socket; @key says what for. Any context. */
static void xsock_wake(struct sock *sk, __poll_t key, int how, int band)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		/* All of them: more than one may wait, each for another amount. */
		__wake_up(&wq->wait, TASK_INTERRUPTIBLE, 0, poll_to_key(key));
	sk_wake_async(sk, how, band);
	rcu_read_unlock();
}

void xsock_wake_all(struct sock *sk)
{
	xsock_wake(sk, EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLRDHUP |
		   EPOLLHUP | EPOLLERR, SOCK_WAKE_WAITD, POLL_HUP);
}

static irqreturn_t xsock_interrupt(int irq, void *data)
{
	struct xsock_ring *ring = data;
	unsigned int eoi = XEN_EOI_FLAG_SPURIOUS;
	unsigned long flags;

	spin_lock_irqsave(&ring->ev_lock, flags);
	ring->stats.events_received++;
	/*
	 * News is what has changed since the last event, not since the last look:
	 * an event whose bytes were read before it came is not the peer's fault.
	 */
	if (ring->peer_page) {
		u64 index = ring->role == XSOCK_ROLE_TX ?
			xsock_load(&((struct xsock_rx_page *)ring->peer_page)->cons) :
			xsock_load(&((struct xsock_tx_page *)ring->peer_page)->prod);

		if (index != ring->last_index)
			eoi = 0;
		ring->last_index = index;
	}
	if (xsock_peer_look(ring))
		eoi = 0;
	if (eoi)
		ring->stats.events_empty++;
	else if (ring->sk)
		xsock_wake(ring->sk, ring->role == XSOCK_ROLE_TX ?
			   EPOLLOUT | EPOLLWRNORM : EPOLLIN | EPOLLRDNORM,
			   ring->role == XSOCK_ROLE_TX ? SOCK_WAKE_SPACE : SOCK_WAKE_WAITD,
			   ring->role == XSOCK_ROLE_TX ? POLL_OUT : POLL_IN);
	if (ring->lingering) {
		/* The peer has let go, it seems. */
		mod_delayed_work(xsock_wq, &ring->linger, 0);
		eoi = 0;
	}
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
		pr_debug(pr_xsock("port %u was not open\n", port));
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
	int err = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);

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
	int err = HYPERVISOR_event_channel_op(EVTCHNOP_bind_interdomain, &bind);

	if (err)
		return err;
	return xsock_event_irq(ring, bind.local_port);
}

void xsock_event_send(struct xsock_ring *ring)
{
	/* By irq, not by port: after a resume the port may be somebody else's. */
	if (ring->irq) {
		notify_remote_via_irq(ring->irq);
		ring->stats.events_sent++;
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

	ring->stats.status_calls++;
	if (HYPERVISOR_event_channel_op(EVTCHNOP_status, &status))
		return false;
	return status.status == EVTCHNSTAT_interdomain;
}

/* Does a domain exist? An impossible port is refused otherwise if it does not. */
bool xsock_domain_alive(u16 domid)
{
	struct evtchn_status status = { .dom = domid, .port = ~0U };

	return HYPERVISOR_event_channel_op(EVTCHNOP_status, &status) != -ESRCH;
}
