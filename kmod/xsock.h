/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside of the module: objects and what its files offer each other. Life cycle,
 * locks and references are explained at the top of main.c.
 */
#ifndef _XSOCK_H
#define _XSOCK_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>
#include <linux/sched/user.h>
#include <net/sock.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/interface/event_channel.h>

#include "compat.h"
#include "ring.h"
#include "uapi/xensocket.h"

#define XSOCK_RING_PAGES_MAX	(XSOCK_RING_MAX / XSOCK_PAGE_SIZE)

/* Bits a peer may set in its state; others are ignored. */
#define XSOCK_TX_STATES		(XSOCK_TX_FIN | XSOCK_TX_CLOSED | XSOCK_TX_REVOKED)
#define XSOCK_RX_STATES		(XSOCK_RX_CONNECTED | XSOCK_RX_SHUT | XSOCK_RX_CLOSED | \
				 XSOCK_RX_RESET | XSOCK_RX_REVOKED)

/**
 * struct xsock_stats - counters of one ring, see struct xsock_info
 * @events_sent: under @lock of the ring
 * @events_spared: likewise
 * @events_received: under @ev_lock
 * @events_empty: under @ev_lock
 * @waits: written by sleepers without a lock: an estimate if there are several
 * @status_calls: written by the liveness work only
 * @gets: under @lock of the ring
 * @get_bytes: likewise
 */
struct xsock_stats {
	u64 events_sent;
	u64 events_spared;
	u64 events_received;
	u64 events_empty;
	u64 waits;
	u64 status_calls;
	u64 gets;
	u64 get_bytes;
};

/* For who writes the counter; anybody may read it. */
static inline void xsock_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, READ_ONCE(*counter) + n);
}

/**
 * struct xsock_ring - one direction between two domains; either end of it
 * @node: in xsock_rings, protected by xsock_rings_lock
 * @ref: one for the socket, one for each queued work, one while it lingers
 * @role: XSOCK_ROLE_TX or _RX; constant
 * @peer: domid of the other end; constant
 * @npages: data pages; constant
 * @uid: who pays; constant
 * @user: who pays, for RLIMIT_MEMLOCK; NULL if nothing is charged
 * @charged: pages charged
 *
 * @lock: indices, pages, mappings, detachment. Taken under mmap_lock by page
 *	faults, so nobody may fault in user memory while holding it.
 * @idx: private indices
 * @pages: data pages as they are now: own, foreign, or private copies
 * @tx: tx page as it is now
 * @rx: rx page as it is now
 * @regions: regions page, own or foreign; NULL if there is none, or no more
 * @exposed: (transmitter) regions
 * @nexposed: number of @exposed
 * @mapping: address space of the socket's file, once mapped
 * @mapped: a process has mapped the own control page writable
 * @attached: something is shared with a peer
 * @born: what xsock_quiesces() was before that
 * @own_state: bits published in the own page
 *
 * @ev_lock: what the interrupt handler looks at
 * @sk: the socket, NULL once it has been closed
 * @peer_page: where the peer publishes, NULL when it no longer does. &tx->prod or
 *	&rx->cons and the state are read through it.
 * @peer_state: bits of the peer's state seen so far
 * @untold: ... of which sleepers have not been told: whoever saw them first was no event
 * @last_index: index accepted at the last event, to tell empty ones
 * @ahead: events since somebody last looked at the ring; that resets it without a lock
 * @reason: XSOCK_REASON_* of the revocation
 * @err: errno of the revocation, 0 if there was none
 *
 * @lingering: detached, but the peer still maps granted pages
 *
 * @irq: bound to the event channel; 0 if none
 * @port: own event channel port
 * @refs: (transmitter) grants: head, lists, tx, rx, data, regions
 * @granted: pages of @refs
 * @ngrants: number of @refs
 * @ended: @refs before this have been ended
 * @foreign: (receiver) foreign pages: tx, rx, data, regions if there are any
 * @rx_ref: (receiver) reference by which the rx page is mapped, 0 if it is not; under
 *	xsock_rings_lock
 * @unmap_ops: prepared with the mapping: unmapping must not need memory
 * @nforeign: number of @foreign, 0 when unmapped
 * @spare: (receiver) private tx page, rx page and a page of zeroes, allocated
 *	before they are needed because a suspend must not fail for want of memory
 * @addr: the offer
 * @work: handles what the interrupt handler cannot: letting go
 * @peer_reason: XSOCK_REASON_* that the peer gave with its own revocation
 * @want_reason: XSOCK_REASON_* for @work to revoke with; under @ev_lock
 * @linger: tries again to end grants that the peer still maps
 * @stats: counters
 */
struct xsock_ring {
	struct list_head	node;
	struct kref		ref;
	u8			role;
	u16			peer;
	unsigned int		npages;
	kuid_t			uid;
	struct user_struct	*user;
	unsigned long		charged;

	struct mutex		lock;		/* see @lock above */
	struct xsock_idx	idx;
	struct page		**pages;
	struct xsock_tx_page	*tx;
	struct xsock_rx_page	*rx;
	struct xsock_regions	*regions;
	struct list_head	exposed;
	unsigned int		nexposed;
	struct address_space	*mapping;
	bool			mapped;
	bool			attached;
	u64			born;
	u32			own_state;

	spinlock_t		ev_lock;	/* see @ev_lock above */
	struct sock		*sk;
	void			*peer_page;
	u32			peer_state;
	u32			untold;
	u64			last_index;
	unsigned int		ahead;
	u32			reason;
	int			err;
	u32			peer_reason;
	u32			want_reason;
	bool			lingering;

	unsigned int		irq;
	evtchn_port_t		port;

	grant_ref_t		*refs;
	struct page		**granted;
	unsigned int		ngrants;
	unsigned int		ended;

	struct page		**foreign;
	struct gnttab_unmap_grant_ref *unmap_ops;
	unsigned int		nforeign;
	grant_ref_t		rx_ref;
	struct page		*spare[3];

	struct sockaddr_xen	addr;
	struct work_struct	work;
	struct delayed_work	linger;
	struct xsock_stats	stats;
};

/**
 * struct xsock - a socket
 * @sk: must be first
 * @ring: set once by bind() or connect() under the socket lock, then constant
 *	until release()
 * @size: of the ring, in bytes, as asked for; 0 if not
 */
struct xsock {
	struct sock		sk;
	struct xsock_ring	*ring;
	unsigned int		size;
};

static inline struct xsock *xsock_sk(struct sock *sk)
{
	return (struct xsock *)sk;
}

/* The ring of a socket that may be bound or connected at this moment. */
static inline struct xsock_ring *xsock_ring_of(struct sock *sk)
{
	/* Pairs with the release in xsock_set_ring(). */
	return smp_load_acquire(&xsock_sk(sk)->ring);
}

/* main.c */
extern int xsock_family;
extern struct list_head xsock_rings;
extern struct mutex xsock_rings_lock;
extern struct workqueue_struct *xsock_wq;
u16 xsock_own_domid(void);
void xsock_forget_domid(void);

/* af.c */
int xsock_af_register(void);
void xsock_af_unregister(void);

/* wait.c */

/**
 * struct xsock_sleeper - a call that may have to wait
 * @entry: in the wait queue of the socket, once it is @queued
 * @queued: from the first look that found nothing to the end of the call
 * @mode: of the task while it sleeps
 * @timeo: jiffies left
 */
struct xsock_sleeper {
	struct wait_queue_entry	entry;
	bool			queued;
	unsigned int		mode;
	long			timeo;
};

void xsock_sleep_begin(struct xsock_sleeper *sleeper, const struct msghdr *msg, long timeo);
int xsock_sleep(struct sock *sk, struct xsock_ring *ring, struct xsock_sleeper *sleeper);
void xsock_sleep_end(struct sock *sk, struct xsock_sleeper *sleeper);

/* tx.c, rx.c */
int xsock_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);
int xsock_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags);
void xsock_rx_async(struct sock *sk, struct xsock_ring *ring, bool left);

/* ring.c */
/* A process moves its own index through its mapping while we look: how often to try again. */
#define XSOCK_LOOK_TRIES	16

void xsock_ring_put(struct xsock_ring *ring);
struct xsock_ring *xsock_ring_offer(struct sock *sk, u16 peer, unsigned int npages);
struct xsock_ring *xsock_ring_accept(struct sock *sk, const struct sockaddr_xen *addr);
void xsock_ring_kick(struct xsock_ring *ring);
void xsock_peer_look(struct xsock_ring *ring);
void xsock_peer_check(struct xsock_ring *ring);
bool xsock_connected(struct sock *sk, struct xsock_ring *ring);
bool xsock_own_look(struct xsock_ring *ring);
void xsock_publish_state(struct xsock_ring *ring, u32 bits);
void xsock_ring_close(struct xsock_ring *ring);
void xsock_ring_broken(struct xsock_ring *ring);

/* grant.c */
int xsock_grant_pages(struct xsock_ring *ring);
bool xsock_grant_end(struct xsock_ring *ring);
void xsock_grant_end_handshake(struct xsock_ring *ring);
void xsock_grant_abandon(struct xsock_ring *ring);
void xsock_grant_free(struct xsock_ring *ring);
int xsock_grant_read(u16 domid, grant_ref_t ref, void *copy);
int xsock_grant_write(u16 domid, grant_ref_t ref, unsigned int offset, const void *copy,
		      unsigned int len);
void xsock_set_rx_ref(struct xsock_ring *ring, grant_ref_t ref);
int xsock_map_ring(struct xsock_ring *ring, const grant_ref_t *refs, bool regions);
void xsock_unmap_ring(struct xsock_ring *ring);
void xsock_strays_reap(void);
bool xsock_strays_left(void);

/* hypercall.c */
int xsock_hyper_event(int op, void *arg);
int xsock_hyper_refs(unsigned int n, grant_ref_t *head);
int xsock_hyper_map(struct gnttab_map_grant_ref *ops, struct page **pages, unsigned int n);
int xsock_hyper_copy(struct gnttab_copy *ops, unsigned int n);

/* region.c */
int xsock_ioc_expose(struct sock *sk, struct xsock_exposure __user *arg);
int xsock_ioc_conceal(struct sock *sk, const struct xsock_handle __user *arg);
int xsock_ioc_get(struct sock *sk, const struct xsock_fetch __user *arg);
bool xsock_regions_end(struct xsock_ring *ring, bool gone);
void xsock_regions_close(struct xsock_ring *ring);
void xsock_regions_reap(struct xsock_ring *ring);
void xsock_regions_abandon(struct xsock_ring *ring);
void xsock_rude_forget(void);

/* event.c */
int xsock_event_alloc(struct xsock_ring *ring);
int xsock_event_bind(struct xsock_ring *ring, evtchn_port_t remote);
void xsock_event_send(struct xsock_ring *ring);
void xsock_event_unbind(struct xsock_ring *ring);
bool xsock_event_alive(struct xsock_ring *ring);
bool xsock_domain_alive(u16 domid);
/* Ends directions of the stream, for good; with ev_lock of the socket's ring, if it has one. */
static inline void xsock_end(struct sock *sk, int directions)
{
	/* Release: who finds them ended also finds the error that was set before, if any. */
	smp_store_release(&sk->sk_shutdown, sk->sk_shutdown | directions);
}

void xsock_wake_all(struct sock *sk);
void xsock_wake_sleepers(struct sock *sk);

/* Sends an event if the index has crossed the peer's wake_at. Under ring->lock. */
static inline void xsock_event_maybe(struct xsock_ring *ring, bool crossed)
{
	if (crossed)
		xsock_event_send(ring);
	else
		xsock_count(&ring->stats.events_spared, 1);
}

/* mmap.c */
int xsock_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma);

/* revoke.c */
void xsock_detach(struct xsock_ring *ring, u32 reason);
void xsock_detach_all(u32 reason, u64 before);
void xsock_revoke_work(struct work_struct *work);
void xsock_linger_work(struct work_struct *work);
void xsock_linger_flush(unsigned long timeout_ms);
void xsock_linger_frozen(unsigned long timeout_ms);
void xsock_liveness_start(void);
void xsock_revoke_exit(void);

/* suspend.c */
int xsock_suspend_init(void);
void xsock_suspend_exit(void);

/* control.c */
u32 xsock_control_state(void);
bool xsock_quiesced(void);
u64 xsock_quiesces(void);
void xsock_hold(u32 who);
void xsock_unhold(u32 who);
void xsock_set_host(const uuid_t *uuid);
void xsock_epoch_raise(const uuid_t *uuid);
void xsock_linger_over(void);
int xsock_control_init(void);
void xsock_control_exit(void);

/* host.c */
void xsock_host_kick(void);
void xsock_host_resumed(void);
int xsock_host_init(void);
void xsock_host_exit(void);

/* account.c */
int xsock_charge(struct xsock_ring *ring, unsigned long pages);
void xsock_uncharge(struct xsock_ring *ring);
int xsock_charge_region(struct xsock_ring *ring, unsigned long pages);
void xsock_uncharge_region(struct xsock_ring *ring, unsigned long pages);
bool xsock_may_create(void);

/* proc.c */
void xsock_get_info(struct sock *sk, struct xsock_info *info);
int xsock_proc_init(void);
void xsock_proc_exit(void);

#endif /* _XSOCK_H */
