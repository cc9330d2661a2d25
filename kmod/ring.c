// SPDX-License-Identifier: GPL-2.0-only
/* Rings: making either end, looking at the peer's pages, closing. */
#include <linux/random.h>
#include <linux/slab.h>
#include <crypto/algapi.h>

#include "xsock.h"
#include "head.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static void xsock_ring_free(struct kref *ref)
{
	struct xsock_ring *ring = container_of(ref, struct xsock_ring, ref);
	unsigned int i;

	if (ring->role == XSOCK_ROLE_TX) {
		xsock_grant_free(ring);
	} else {
		/* Private copies, where there are any; the spare page is no copy. */
		for (i = 0; ring->pages && i < ring->npages; i++)
			if (ring->pages[i] && ring->pages[i] != ring->spare[2])
				__free_page(ring->pages[i]);
		for (i = 0; i < ARRAY_SIZE(ring->spare); i++)
			if (ring->spare[i])
				__free_page(ring->spare[i]);
		kvfree(ring->foreign);
		kvfree(ring->unmap_ops);
	}
	kvfree(ring->pages);
	xsock_uncharge(ring);
	kfree(ring);
}

void xsock_ring_put(struct xsock_ring *ring)
{
	kref_put(&ring->ref, xsock_ring_free);
}

/* A ring without anything shared, within the limits. */
static struct xsock_ring *xsock_ring_alloc(u8 role, u16 peer, unsigned int npages)
{
	struct xsock_ring *ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	int err;

	if (!ring)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&ring->node);
	INIT_LIST_HEAD(&ring->exposed);
	kref_init(&ring->ref);
	mutex_init(&ring->lock);
	spin_lock_init(&ring->ev_lock);
	INIT_WORK(&ring->work, xsock_revoke_work);
	INIT_DELAYED_WORK(&ring->linger, xsock_linger_work);
	ring->role = role;
	ring->peer = peer;
	ring->npages = npages;
	ring->uid = current_uid();
	ring->idx.size = (u64)npages * XSOCK_PAGE_SIZE;
	ring->addr.sxen_version = XSOCK_VERSION;
	ring->pages = kvcalloc(npages, sizeof(*ring->pages), GFP_KERNEL_ACCOUNT);
	err = ring->pages ? xsock_charge(ring, npages + 4) : -ENOMEM;
	if (err) {
		kvfree(ring->pages);
		kfree(ring);
		return ERR_PTR(err);
	}
	return ring;
}

/*
 * The last step of bind() and connect(): from now on the ring can be revoked. A
 * quiesce that began before is seen here, one that begins later sees the ring.
 */
static int xsock_ring_attach(struct xsock_ring *ring, struct sock *sk, void *peer_page)
{
	bool refused;

	mutex_lock(&ring->lock);
	ring->born = xsock_quiesces();
	/* Release: @born, for xsock_detach_all(). */
	smp_store_release(&ring->attached, true);
	/* Pairs with the one in xsock_detach_all(): that sees the ring, or we see the quiesce. */
	smp_mb();
	refused = xsock_quiesced() || xsock_quiesces() != ring->born;
	if (refused) {
		WRITE_ONCE(ring->attached, false);
	} else {
		spin_lock_irq(&ring->ev_lock);
		ring->sk = sk;
		ring->peer_page = peer_page;
		spin_unlock_irq(&ring->ev_lock);
	}
	mutex_unlock(&ring->lock);
	if (!refused) {
		trace_xsock_state(ring, ring->role == XSOCK_ROLE_TX ?
				  XSOCK_STATE_OFFERED : XSOCK_STATE_OPEN, XSOCK_REASON_NONE);
		xsock_liveness_start();
	}
	return refused ? -ENETDOWN : 0;
}

/**
 * xsock_ring_offer - make a transmitter's ring
 * @sk: its socket, locked
 * @peer: domain that may connect
 * @npages: data pages
 */
struct xsock_ring *xsock_ring_offer(struct sock *sk, u16 peer, unsigned int npages)
{
	u16 domid = xsock_own_domid();
	struct xsock_ring *ring;
	int err;

	if (domid == DOMID_INVALID)
		return ERR_PTR(-EADDRNOTAVAIL);
	/*
	 * Never to ourselves: where a PVH guest maps a page that it has granted itself,
	 * Xen takes the page away from where it was, under the feet of its owner.
	 */
	if (peer == domid)
		return ERR_PTR(-EADDRNOTAVAIL);
	ring = xsock_ring_alloc(XSOCK_ROLE_TX, peer, npages);
	if (IS_ERR(ring))
		return ring;
	ring->addr.sxen_family = sk->sk_family;
	ring->addr.sxen_domid = domid;
	get_random_bytes(ring->addr.sxen_cookie, XSOCK_COOKIE_SIZE);
	/* Xen would allocate a port for a domain that does not exist. */
	err = xsock_domain_alive(ring->peer) ? xsock_event_alloc(ring) : -EHOSTUNREACH;
	if (err)
		goto fail;
	ring->addr.sxen_port = ring->port;
	err = xsock_grant_pages(ring);
	if (err)
		goto fail;
	xsock_store(&ring->tx->version, XSOCK_VERSION);
	xsock_store(&ring->tx->data_pages, npages);
	err = xsock_ring_attach(ring, sk, ring->rx);
	if (err)
		goto fail;
	return ring;

fail:
	xsock_event_unbind(ring);
	/* Nobody has been told of the references, still somebody may have guessed. */
	if (!xsock_grant_end(ring))
		xsock_grant_abandon(ring);
	xsock_ring_put(ring);
	return ERR_PTR(err);
}

/*
 * Reads the head page, and makes sure that no process here can have written it: one
 * that has mapped the rx page of another ring could make that look like a head page,
 * and have us map for it whatever the peer has granted to this domain.
 */
static int xsock_head_read(const struct sockaddr_xen *addr, struct xsock_head *head)
{
	struct xsock_ring *other;
	int err;

	/* Rx pages are entered before they are mapped, and leave when they are blank. */
	mutex_lock(&xsock_rings_lock);
	err = xsock_grant_read(addr->sxen_domid, addr->sxen_gref, head);
	list_for_each_entry(other, &xsock_rings, node)
		if (other->peer == addr->sxen_domid && other->rx_ref &&
		    other->rx_ref == addr->sxen_gref)
			err = -ECONNREFUSED;
	mutex_unlock(&xsock_rings_lock);
	if (!err && !xsock_head_ok(head, addr))
		err = -ECONNREFUSED;
	return err;
}

/*
 * Marks the head page, which shows that it is granted writable, as are rx and regions
 * pages only besides. The pages that a transmitter's process can write are granted read-only: one
 * of those could be made to look like a head page, too.
 */
static int xsock_head_take(const struct sockaddr_xen *addr)
{
	static const u32 taken = 1;

	return xsock_grant_write(addr->sxen_domid, addr->sxen_gref,
				 offsetof(struct xsock_head, taken), &taken, sizeof(taken));
}

static struct xsock_ring *xsock_ring_take(struct sock *sk, const struct sockaddr_xen *addr,
					  const struct xsock_head *head)
{
	struct xsock_ring *ring;
	grant_ref_t *refs;
	unsigned int i;
	int err;

	ring = xsock_ring_alloc(XSOCK_ROLE_RX, addr->sxen_domid, head->data_pages);
	if (IS_ERR(ring))
		return ring;
	ring->addr = *addr;
	refs = kvcalloc(2 + ring->npages + 1, sizeof(*refs), GFP_KERNEL);
	err = -ENOMEM;
	if (!refs)
		goto fail;
	for (i = 0; i < ARRAY_SIZE(ring->spare); i++) {
		ring->spare[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!ring->spare[i])
			goto fail;
	}
	err = xsock_read_refs(ring->peer, head, refs);
	if (err)
		goto fail;
	refs[2 + ring->npages] = head->regions_ref;
	/*
	 * The port first: binding works for one receiver only, so that nothing
	 * has been touched if it is another one's. Errors other than a lack of
	 * ports or memory mean that the offer is no longer good.
	 */
	err = xsock_event_bind(ring, addr->sxen_port);
	if (err) {
		if (err != -ENOSPC && err != -ENOMEM)
			err = -ECONNREFUSED;
		goto fail;
	}
	err = xsock_head_take(addr);
	if (err)
		goto fail;
	xsock_set_rx_ref(ring, refs[1]);
	err = xsock_map_ring(ring, refs, head->regions_ref);
	if (err)
		goto fail;
	err = xsock_ring_attach(ring, sk, ring->tx);
	if (err)
		goto fail;
	kvfree(refs);

	mutex_lock(&ring->lock);
	if (ring->attached) {
		/* The first bytes bring an event, and SIGIO, also to who has not looked. */
		xsock_rx_arm(&ring->idx, ring->rx, 1);
		xsock_publish_state(ring, XSOCK_RX_CONNECTED);
		xsock_event_send(ring);
		/* What the transmitter did before we had its port came without event. */
		xsock_peer_check(ring);
	}
	mutex_unlock(&ring->lock);
	return ring;

fail:
	kvfree(refs);
	xsock_event_unbind(ring);
	xsock_unmap_ring(ring);
	xsock_set_rx_ref(ring, 0);
	/* Foreign pages are not ours to free. */
	memset(ring->pages, 0, ring->npages * sizeof(*ring->pages));
	xsock_ring_put(ring);
	return ERR_PTR(err);
}

/**
 * xsock_ring_accept - make a receiver's ring out of an offer
 * @sk: its socket, locked
 * @addr: the offer
 *
 * Whatever is wrong with the offer is -ECONNREFUSED.
 */
struct xsock_ring *xsock_ring_accept(struct sock *sk, const struct sockaddr_xen *addr)
{
	u16 domid = xsock_own_domid();
	struct xsock_head *head;
	struct xsock_ring *ring;
	int err;

	/* For the reason given in xsock_ring_offer(); then nobody knows who we are. */
	if (domid == DOMID_INVALID)
		return ERR_PTR(-EADDRNOTAVAIL);
	if (addr->sxen_domid == domid)
		return ERR_PTR(-ECONNREFUSED);
	head = (struct xsock_head *)get_zeroed_page(GFP_KERNEL);
	if (!head)
		return ERR_PTR(-ENOMEM);
	err = xsock_head_read(addr, head);
	ring = err ? ERR_PTR(err) : xsock_ring_take(sk, addr, head);
	free_page((unsigned long)head);
	return ring;
}

/* Have the work look after the ring. The caller holds a reference or ev_lock. */
void xsock_ring_kick(struct xsock_ring *ring)
{
	kref_get(&ring->ref);
	if (!queue_work(xsock_wq, &ring->work))
		/* Queued already, with a reference of its own: ours is not the last. */
		kref_put(&ring->ref, xsock_ring_free);
}

/**
 * xsock_peer_look - take note of the peer's state
 * @ring: with ev_lock held
 *
 * Maps it to the socket and has the work let go of the peer where that is asked
 * for.
 */
void xsock_peer_look(struct xsock_ring *ring)
{
	bool tx = ring->role == XSOCK_ROLE_TX;
	u32 state, fresh, go, shut = 0;
	struct sock *sk = ring->sk;

	if (!ring->peer_page)
		return;
	state = tx ? xsock_load_acquire(&((struct xsock_rx_page *)ring->peer_page)->state) &
		     XSOCK_RX_STATES :
		     xsock_load_acquire(&((struct xsock_tx_page *)ring->peer_page)->state) &
		     XSOCK_TX_STATES;
	fresh = state & ~ring->peer_state;
	if (!fresh)
		return;
	WRITE_ONCE(ring->peer_state, ring->peer_state | fresh);
	ring->untold |= fresh;

	if (tx) {
		go = fresh & (XSOCK_RX_CONNECTED | XSOCK_RX_CLOSED | XSOCK_RX_REVOKED);
		if (fresh & XSOCK_RX_SHUT)
			shut |= SEND_SHUTDOWN;
		if (fresh & XSOCK_RX_CLOSED)
			shut |= SHUTDOWN_MASK;
		if (fresh & XSOCK_RX_CONNECTED)
			trace_xsock_state(ring, XSOCK_STATE_OPEN, XSOCK_REASON_NONE);
		if (sk && fresh & XSOCK_RX_CONNECTED)
			WRITE_ONCE(sk->sk_state, TCP_ESTABLISHED);
		if (sk && ring->peer_state & XSOCK_RX_CLOSED &&
		    ring->peer_state & XSOCK_RX_RESET)
			WRITE_ONCE(sk->sk_err, ECONNRESET);
	} else {
		go = fresh & (XSOCK_TX_CLOSED | XSOCK_TX_REVOKED);
		if (fresh & XSOCK_TX_FIN)
			shut |= RCV_SHUTDOWN;
		if (fresh & XSOCK_TX_CLOSED)
			shut |= SHUTDOWN_MASK;
	}
	if (sk && shut)
		xsock_end(sk, shut);
	if (fresh & (tx ? XSOCK_RX_REVOKED : XSOCK_TX_REVOKED))
		ring->peer_reason =
			tx ? xsock_load(&((struct xsock_rx_page *)ring->peer_page)->reason) :
			     xsock_load(&((struct xsock_tx_page *)ring->peer_page)->reason);
	/* Let go of the ring, or of what was needed for the handshake only. */
	if (go)
		xsock_ring_kick(ring);
}

/* The same without the lock. */
void xsock_peer_check(struct xsock_ring *ring)
{
	spin_lock_irq(&ring->ev_lock);
	xsock_peer_look(ring);
	spin_unlock_irq(&ring->ev_lock);
}

/*
 * Has the receiver come? Looked up, not only what events have told: who has heard of it
 * on another way may be faster than the event.
 */
bool xsock_connected(struct sock *sk, struct xsock_ring *ring)
{
	xsock_peer_check(ring);
	return READ_ONCE(sk->sk_state) == TCP_ESTABLISHED;
}

/**
 * xsock_own_look - take over what a process has done through its mapping
 * @ring: with its lock held
 *
 * The process may have seen more of the peer than we have, so both indices are taken
 * together. False: they do not fit each other; the caller breaks the socket.
 */
bool xsock_own_look(struct xsock_ring *ring)
{
	bool tx = ring->role == XSOCK_ROLE_TX;
	u64 *own = tx ? &ring->tx->prod : &ring->rx->cons;
	u64 *peer = tx ? &ring->rx->cons : &ring->tx->prod;
	u64 mine, theirs;
	int tries;

	/* Somebody looks: events with news are welcome again. */
	WRITE_ONCE(ring->ahead, 0);
	if (!ring->mapped)
		return true;
	for (tries = 0; tries < XSOCK_LOOK_TRIES; tries++) {
		mine = xsock_load_acquire(own);
		theirs = xsock_load_acquire(peer);
		if (tx ? xsock_adopt(&ring->idx, mine, theirs) :
			 xsock_adopt(&ring->idx, theirs, mine))
			return true;
		/* Unless another thread is at work: then what was read need not fit together. */
		if (xsock_load(own) == mine)
			return false;
	}
	return true;
}

/* Sets bits of the own state. The lock of the ring is held; it is attached. */
void xsock_publish_state(struct xsock_ring *ring, u32 bits)
{
	ring->own_state |= bits;
	/* Release: all that was published before is published before. */
	xsock_store_release(ring->role == XSOCK_ROLE_TX ? &ring->tx->state : &ring->rx->state,
			    ring->own_state);
}

/* The peer, or a process through its mapping, broke the protocol. No lock held. */
void xsock_ring_broken(struct xsock_ring *ring)
{
	xsock_detach(ring, XSOCK_REASON_PROTOCOL);
}

/* The socket goes. Drops its reference. */
void xsock_ring_close(struct xsock_ring *ring)
{
	xsock_regions_close(ring);
	spin_lock_irq(&ring->ev_lock);
	ring->sk = NULL;
	spin_unlock_irq(&ring->ev_lock);
	xsock_detach(ring, XSOCK_REASON_NONE);
	xsock_ring_put(ring);
}
