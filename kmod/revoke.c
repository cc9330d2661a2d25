// SPDX-License-Identifier: GPL-2.0-only
/*
 * Letting go of the peer: on close, on the peer's close, on revocation. And the
 * slow timer that notices a peer which has vanished.
 */
#include <linux/delay.h>
#include <linux/workqueue.h>

#include "xsock.h"
#include "trace.h"

/* How often grants that the peer still maps are tried again. */
#define XSOCK_LINGER_MS		250
/* How often it is checked that the peers of waiting sockets exist. */
#define XSOCK_LIVENESS_MS	500

static bool exiting;
static void xsock_liveness_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(liveness, xsock_liveness_work);

static int xsock_reason_errno(u32 reason)
{
	switch (reason) {
	case XSOCK_REASON_NONE:
		return 0;
	case XSOCK_REASON_GONE:
		return -EHOSTDOWN;
	case XSOCK_REASON_PROTOCOL:
		return -EPROTO;
	default:
		return -ENETRESET;
	}
}

/* ---- receiver: from foreign pages to private ones ---- */

/*
 * Private copies of the pages with published bytes, in the order of the stream, in the
 * place of the foreign ones. Returns the bytes that are kept, which are fewer than were
 * published if there is no memory.
 */
static u64 xsock_copy_data(struct xsock_ring *ring)
{
	u64 used = xsock_used(&ring->idx), kept = 0, at;
	struct page *copy;
	unsigned int i;

	for (; kept < used; kept += PAGE_SIZE - offset_in_page(at)) {
		at = xsock_position(&ring->idx, ring->idx.cons + kept);
		i = at >> PAGE_SHIFT;
		/* The last and the first page may be the same one. */
		if (ring->pages[i] != ring->foreign[2 + i])
			continue;
		/* Charged to nobody: a limit must not cost bytes that had arrived. */
		copy = alloc_page(GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
		if (!copy)
			return kept;
		memcpy(page_address(copy), page_address(ring->pages[i]), PAGE_SIZE);
		ring->pages[i] = copy;
	}
	return used;
}

/*
 * Never pretend that the stream ended here: the end that the peer announced is forgotten,
 * so that the reader finds an error after what was kept.
 */
static void xsock_forget_end(struct xsock_ring *ring)
{
	spin_lock_irq(&ring->ev_lock);
	WRITE_ONCE(ring->peer_state,
		   ring->peer_state & ~(XSOCK_TX_FIN | XSOCK_TX_CLOSED));
	spin_unlock_irq(&ring->ev_lock);
}

/* The copy ends before what was published does. */
static u32 xsock_cut(struct xsock_ring *ring, u64 kept, u32 reason)
{
	xsock_store(&ring->idx.prod, ring->idx.cons + kept);
	return reason == XSOCK_REASON_NONE ? XSOCK_REASON_GONE : reason;
}

/*
 * Before the last look: a transmitter that has published and does not see this yet knows
 * that we shall see what it has published.
 */
static void xsock_announce_leaving(struct xsock_ring *ring)
{
	ring->own_state |= XSOCK_RX_LEAVING;
	xsock_store(&ring->rx->state, ring->own_state);
	/* Pairs with the barrier in xsock_tx_wanted(). */
	xsock_full_barrier();
}

/*
 * Takes a private copy of what is published, and puts it in the place of the
 * foreign pages, in the kernel and in the mappings of user space. Whoever faults
 * meanwhile waits for ring->lock, which is held, and then finds the copy. Returns
 * the reason, which may have become another.
 */
static u32 xsock_absorb(struct xsock_ring *ring, u32 reason)
{
	struct xsock_tx_page *tx = page_address(ring->spare[0]);
	struct xsock_rx_page *rx = page_address(ring->spare[1]);
	unsigned int i;
	u64 kept;

	if (ring->mapping)
		unmap_mapping_range(ring->mapping, 0, 0, 1);

	xsock_announce_leaving(ring);
	/* The last look. A lie leaves what was believed before. */
	if (!xsock_own_look(ring) || !xsock_rx_look(&ring->idx, ring->tx))
		reason = XSOCK_REASON_PROTOCOL;

	kept = xsock_copy_data(ring);
	if (kept < xsock_used(&ring->idx)) {
		reason = xsock_cut(ring, kept, reason);
		xsock_forget_end(ring);
	}
	if (reason == XSOCK_REASON_PROTOCOL)
		/* Who lies may have lied about that. */
		xsock_forget_end(ring);
	for (i = 0; i < ring->npages; i++)
		if (ring->pages[i] == ring->foreign[2 + i])
			ring->pages[i] = ring->spare[2];

	tx->version = XSOCK_VERSION;
	tx->data_pages = ring->npages;
	tx->prod = ring->idx.prod;
	tx->state = ring->peer_state | (reason ? XSOCK_TX_REVOKED : 0);
	tx->reason = reason;
	rx->cons = ring->idx.cons;
	rx->state = ring->own_state;
	rx->reason = reason;
	return reason;
}

static void xsock_detach_rx(struct xsock_ring *ring, u32 *reason, bool closing)
{
	struct xsock_rx_page *foreign = ring->rx;
	u32 bits;

	if (closing) {
		/* Unread bytes are a reset for the transmitter, as in AF_UNIX. */
		bool unread = xsock_own_look(ring) &&
			      xsock_rx_look(&ring->idx, ring->tx) && xsock_used(&ring->idx);

		memset(ring->pages, 0, ring->npages * sizeof(*ring->pages));
		bits = XSOCK_RX_CLOSED | (unread ? XSOCK_RX_RESET : 0);
	} else {
		*reason = xsock_absorb(ring, *reason);
		bits = *reason ? XSOCK_RX_REVOKED : XSOCK_RX_CLOSED;
	}
	ring->own_state |= bits;
	xsock_store(&foreign->reason, *reason);
	/* Release: @reason, and the last cons. */
	xsock_store_release(&foreign->state, ring->own_state);
	ring->tx = page_address(ring->spare[0]);
	ring->rx = page_address(ring->spare[1]);
}

static void xsock_detach_tx(struct xsock_ring *ring, u32 reason, bool closing)
{
	/* Nobody is told that this has happened before no get can begin any more. */
	xsock_regions_end(ring, false);
	xsock_own_look(ring);
	/*
	 * To one who has closed, too: a process there may have written that into its mapped ring,
	 * of which its kernel knows nothing, and would keep our memory as long as it lives.
	 */
	if (closing || !reason)
		ring->own_state |= XSOCK_TX_FIN | XSOCK_TX_CLOSED;
	if (reason)
		ring->own_state |= XSOCK_TX_REVOKED;
	xsock_store(&ring->tx->reason, reason);
	/* Release: @reason, and all bytes published. */
	xsock_store_release(&ring->tx->state, ring->own_state);
}

/* The peer still maps pages of ours: the work ends their grants, and holds the ring. */
static void xsock_linger_start(struct xsock_ring *ring)
{
	spin_lock_irq(&ring->ev_lock);
	ring->lingering = true;
	kref_get(&ring->ref);
	queue_delayed_work(xsock_wq, &ring->linger, msecs_to_jiffies(XSOCK_LINGER_MS));
	spin_unlock_irq(&ring->ev_lock);
}

/**
 * xsock_detach - share nothing with the peer any more
 * @ring: reference held, no lock
 * @reason: XSOCK_REASON_*; _NONE on close, own or the peer's
 *
 * Does nothing if it has been done. When it returns a receiver has given all
 * foreign pages back; a transmitter's grants may linger.
 */
void xsock_detach(struct xsock_ring *ring, u32 reason)
{
	bool tx = ring->role == XSOCK_ROLE_TX;
	bool closing;

	mutex_lock(&ring->lock);
	if (!ring->attached) {
		mutex_unlock(&ring->lock);
		return;
	}

	/*
	 * The handler must not look at the peer's page any more, but it shall have
	 * seen what is there now.
	 */
	spin_lock_irq(&ring->ev_lock);
	xsock_peer_look(ring);
	ring->peer_page = NULL;
	closing = !ring->sk;
	spin_unlock_irq(&ring->ev_lock);

	if (tx)
		xsock_detach_tx(ring, reason, closing);
	else
		xsock_detach_rx(ring, &reason, closing);
	if (!tx) {
		ring->regions = NULL;
		xsock_unmap_ring(ring);
		xsock_set_rx_ref(ring, 0);
	}
	trace_xsock_state(ring, XSOCK_STATE_DETACHED, reason);
	/* After unmapping: the peer can end its grants at once. */
	xsock_event_send(ring);

	spin_lock_irq(&ring->ev_lock);
	ring->reason = reason;
	ring->err = -xsock_reason_errno(reason);
	if (ring->sk && ring->err) {
		WRITE_ONCE(ring->sk->sk_err, ring->err);
		xsock_end(ring->sk, SHUTDOWN_MASK);
	}
	/* Once for each change: what an event has told of needs no second edge. */
	if (ring->sk && (ring->err || ring->untold))
		xsock_wake_all(ring->sk);
	ring->untold = 0;
	spin_unlock_irq(&ring->ev_lock);
	/* Last: who looks for rings that share something waits for the lock, and for us. */
	WRITE_ONCE(ring->attached, false);
	mutex_unlock(&ring->lock);

	if (tx && !xsock_grant_end(ring))
		xsock_linger_start(ring);
	else
		xsock_event_unbind(ring);
}

/* Ends what grants can be ended. True: all are, and the ring is let go. */
static bool xsock_linger_end(struct xsock_ring *ring)
{
	if (!xsock_grant_end(ring)) {
		if (!READ_ONCE(exiting))
			return false;
		xsock_grant_abandon(ring);
	}
	spin_lock_irq(&ring->ev_lock);
	ring->lingering = false;
	spin_unlock_irq(&ring->ev_lock);
	/* The handler may have queued us again meanwhile, without a reference. */
	xsock_event_unbind(ring);
	cancel_delayed_work(&ring->linger);
	xsock_ring_put(ring);
	xsock_linger_over();
	return true;
}

void xsock_linger_work(struct work_struct *work)
{
	struct xsock_ring *ring = container_of(to_delayed_work(work), struct xsock_ring, linger);

	if (!xsock_linger_end(ring))
		queue_delayed_work(xsock_wq, &ring->linger, msecs_to_jiffies(XSOCK_LINGER_MS));
}

/* What the handler and the timer have asked for. */
void xsock_revoke_work(struct work_struct *work)
{
	struct xsock_ring *ring = container_of(work, struct xsock_ring, work);
	u32 closed = ring->role == XSOCK_ROLE_TX ? XSOCK_RX_CLOSED : XSOCK_TX_CLOSED;
	u32 revoked = ring->role == XSOCK_ROLE_TX ? XSOCK_RX_REVOKED : XSOCK_TX_REVOKED;
	u32 reason;
	bool go;

	spin_lock_irq(&ring->ev_lock);
	go = ring->want_reason || ring->peer_state & (closed | revoked);
	if (ring->peer_state & closed)
		reason = XSOCK_REASON_NONE;
	else if (!(ring->peer_state & revoked))
		reason = ring->want_reason;
	else if (ring->peer_reason == XSOCK_REASON_QUIESCE ||
		 ring->peer_reason == XSOCK_REASON_GONE ||
		 ring->peer_reason == XSOCK_REASON_PROTOCOL)
		reason = ring->peer_reason;
	else
		reason = XSOCK_REASON_SUSPEND;
	spin_unlock_irq(&ring->ev_lock);

	if (go)
		xsock_detach(ring, reason);
	else
		xsock_grant_end_handshake(ring);
	xsock_ring_put(ring);
}

/*
 * Revokes every ring that shares something and was attached before so many quiesces had begun.
 * New ones are kept out by the caller.
 */
void xsock_detach_all(u32 reason, u64 before)
{
	struct xsock_ring *ring, *found;

	/* Pairs with the one in xsock_ring_attach(). */
	smp_mb();
	do {
		/* Released meanwhile: what is attached now is meant to be. */
		if (reason == XSOCK_REASON_QUIESCE && !xsock_quiesced())
			break;
		found = NULL;
		mutex_lock(&xsock_rings_lock);
		list_for_each_entry(ring, &xsock_rings, node)
			/* Acquire: @born. */
			if (smp_load_acquire(&ring->attached) && ring->born < before &&
			    kref_get_unless_zero(&ring->ref)) {
				found = ring;
				break;
			}
		mutex_unlock(&xsock_rings_lock);
		if (found) {
			xsock_detach(found, reason);
			xsock_ring_put(found);
		}
	} while (found);
}

/* Shows each ring to @look, without a lock; says whether that was true for one of them. */
static bool xsock_any_ring(bool (*look)(struct xsock_ring *ring))
{
	struct xsock_ring *ring, *previous = NULL;
	bool any = false;

	mutex_lock(&xsock_rings_lock);
	list_for_each_entry(ring, &xsock_rings, node) {
		if (!kref_get_unless_zero(&ring->ref))
			continue;
		/* Referenced, the ring stays on the list while we look at it. */
		mutex_unlock(&xsock_rings_lock);
		if (previous)
			xsock_ring_put(previous);
		previous = ring;
		any |= look(ring);
		mutex_lock(&xsock_rings_lock);
	}
	mutex_unlock(&xsock_rings_lock);
	if (previous)
		xsock_ring_put(previous);
	return any;
}

static bool xsock_linger_hurry(struct xsock_ring *ring)
{
	bool lingering;

	spin_lock_irq(&ring->ev_lock);
	lingering = ring->lingering;
	if (lingering)
		mod_delayed_work(xsock_wq, &ring->linger, 0);
	spin_unlock_irq(&ring->ev_lock);
	return lingering;
}

static bool xsock_linger_still(struct xsock_ring *ring)
{
	return READ_ONCE(ring->lingering) && !xsock_linger_end(ring);
}

static void xsock_linger_wait(bool (*look)(struct xsock_ring *ring), unsigned long timeout_ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(timeout_ms);

	while (xsock_any_ring(look) && time_before(jiffies, end))
		fsleep(10 * USEC_PER_MSEC);
}

/* Waits, for so long at most, until no peer maps anything of ours. */
void xsock_linger_flush(unsigned long timeout_ms)
{
	xsock_linger_wait(xsock_linger_hurry, timeout_ms);
}

/* Likewise for .freeze: does what the works would, which are frozen. */
void xsock_linger_frozen(unsigned long timeout_ms)
{
	xsock_linger_wait(xsock_linger_still, timeout_ms);
}

/* ---- liveness ---- */

/* Is somebody waiting for the peer to do something? */
static bool xsock_waiting(struct xsock_ring *ring)
{
	bool waiting = false;
	struct socket_wq *wq;

	spin_lock_irq(&ring->ev_lock);
	if (ring->sk) {
		rcu_read_lock();
		wq = rcu_dereference(ring->sk->sk_wq);
		/* Or somebody wants a signal. */
		waiting = skwq_has_sleeper(wq) || (wq && READ_ONCE(wq->fasync_list));
		rcu_read_unlock();
	}
	spin_unlock_irq(&ring->ev_lock);
	return waiting;
}

static bool xsock_peer_there(struct xsock_ring *ring)
{
	bool connected = ring->role == XSOCK_ROLE_RX ||
			 READ_ONCE(ring->peer_state) & XSOCK_RX_CONNECTED;

	return connected ? xsock_event_alive(ring) : xsock_domain_alive(ring->peer);
}

static bool xsock_liveness_check(struct xsock_ring *ring)
{
	if (!READ_ONCE(ring->attached))
		return false;
	mutex_lock(&ring->lock);
	xsock_regions_reap(ring);
	if (ring->attached && xsock_waiting(ring) && !xsock_peer_there(ring)) {
		spin_lock_irq(&ring->ev_lock);
		/* It may have said good-bye: that counts, and has its own reason. */
		xsock_peer_look(ring);
		ring->want_reason = XSOCK_REASON_GONE;
		xsock_ring_kick(ring);
		spin_unlock_irq(&ring->ev_lock);
	}
	mutex_unlock(&ring->lock);
	return true;
}

static void xsock_liveness_work(struct work_struct *work)
{
	bool more;

	xsock_strays_reap();
	more = xsock_any_ring(xsock_liveness_check);
	/* Last: a ring that has just been detached may have left some. */
	more |= xsock_strays_left();
	if (more && !READ_ONCE(exiting))
		queue_delayed_work(xsock_wq, &liveness, msecs_to_jiffies(XSOCK_LIVENESS_MS));
}

/* The timer runs while there are sockets, and looks at those that wait. */
void xsock_liveness_start(void)
{
	queue_delayed_work(xsock_wq, &liveness, msecs_to_jiffies(XSOCK_LIVENESS_MS));
}

/* No socket is left; what lingers is given to the grant table. */
void xsock_revoke_exit(void)
{
	WRITE_ONCE(exiting, true);
	cancel_delayed_work_sync(&liveness);
	/* What detaches a ring may be about to have it linger; so does what it queues. */
	flush_workqueue(xsock_wq);
	xsock_linger_flush(1000);
	flush_workqueue(xsock_wq);
	xsock_rude_forget();
}
