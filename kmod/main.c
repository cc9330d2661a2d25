// SPDX-License-Identifier: GPL-2.0-only
/*
 * xensocket: a socket family whose bytes cross between two domains of one Xen
 * host through granted memory.
 *
 * Life cycle
 * ----------
 * A socket (struct xsock) begins without a ring. bind() makes it a transmitter:
 * a ring (struct xsock_ring) is allocated, granted to one peer domain and given
 * an event channel; the offer is what getsockname() says. connect() makes it a
 * receiver: the offered pages are mapped and the event channel is taken. Either
 * happens once in a socket's life. While something is shared with the peer the
 * ring is "attached". It is detached exactly once, by whichever comes first:
 * release(), the peer's closing, revocation (suspend, quiesce, peer gone, broken
 * protocol). Detaching a receiver replaces foreign pages by private copies of
 * what was published. Detaching a transmitter ends its grants; those that the
 * peer still maps are ended later ("lingering"), even after the socket is gone.
 *
 *	new --bind----> offered --peer connects--> open --+--> detached
 *	new --connect-----------------------------> open --+
 *
 * Mapping to sk_state: new TCP_CLOSE, offered TCP_SYN_SENT, open and detached
 * TCP_ESTABLISHED. Mapping to sk_shutdown, with the meaning AF_UNIX gives it:
 * transmitter: SEND after own shutdown or the peer's SHUT, both after the peer's
 * CLOSED or a revocation; receiver: RCV after the peer's FIN or own shutdown,
 * both after the peer's CLOSED or a revocation. sk_err holds the reason of a
 * revocation until it is read, and is set first: who reads sk_shutdown before it
 * finds no error whose end has not come; ring->err holds it for good.
 *
 * Locks, outermost first
 * ----------------------
 *	lock_sock(sk)		bind, connect, shutdown, release
 *	mmap_lock		page faults and mmap() of user space
 *	  ring->lock		indices, pages, mappings, detachment; mutex
 *	    i_mmap_rwsem	zapping user mappings
 *	    ring->ev_lock	what the interrupt handler uses; spinlock, irqs off
 *	  xsock_rings_lock	list of rings, charges, rx_ref; nothing is taken inside but ev_lock
 *	domid_lock		(main.c) reading the own domid
 *	identity_lock		(host.c) reading the host's identity, and setting it
 *	  control_lock		(control.c) quiesced or not, epoch, host
 *	    open_lock		(host.c) whether its work may be queued; nothing is taken inside
 *
 * Page faults take ring->lock under mmap_lock. Therefore nobody touches user
 * memory under ring->lock except with page faults disabled (tx.c, rx.c); this
 * also means that a process cannot hold up a quiesce by a page that never comes.
 *
 * References
 * ----------
 * A ring has one reference for its socket, one for each queued work, and one while it
 * lingers. The socket drops its own in release(). ring->sk is valid under ev_lock and cleared
 * by release() before the socket goes. User mappings hold the file, hence the
 * socket, hence the ring. Works that run later hold a module only through the
 * workqueue, which is destroyed before the module goes.
 *
 * Trust
 * -----
 * Every field that the peer, or a process that has mapped the ring, can write is
 * loaded once, checked, and only the private copy is used (ring.h). A peer that
 * lies gets its socket revoked with EPROTO and no line in the kernel log.
 */
#include <linux/module.h>
#include <xen/xenbus.h>

#include "xsock.h"

int xsock_family = AF_XEN_DEFAULT;
module_param_named(family, xsock_family, int, 0444);
MODULE_PARM_DESC(family, "number of the socket family (default 19)");

LIST_HEAD(xsock_rings);
DEFINE_MUTEX(xsock_rings_lock);	/* protects xsock_rings and charges */
struct workqueue_struct *xsock_wq;

static DEFINE_MUTEX(domid_lock);
static u16 domid = DOMID_INVALID;

/* Own domid, DOMID_INVALID if xenstore does not say. It changes by migration. */
u16 xsock_own_domid(void)
{
	unsigned int value;
	u16 result;

	mutex_lock(&domid_lock);
	if (domid == DOMID_INVALID &&
	    xenbus_scanf(XBT_NIL, "domid", "", "%u", &value) == 1 &&
	    value < DOMID_FIRST_RESERVED)
		domid = value;
	result = domid;
	mutex_unlock(&domid_lock);
	return result;
}

void xsock_forget_domid(void)
{
	mutex_lock(&domid_lock);
	domid = DOMID_INVALID;
	mutex_unlock(&domid_lock);
}

static int __init xsock_init(void)
{
	int err;

	BUILD_BUG_ON(PAGE_SIZE != XSOCK_PAGE_SIZE || XEN_PAGE_SIZE != XSOCK_PAGE_SIZE);
	BUILD_BUG_ON(sizeof(struct xsock_tx_page) != XSOCK_PAGE_SIZE);
	BUILD_BUG_ON(sizeof(struct xsock_rx_page) != XSOCK_PAGE_SIZE);
	BUILD_BUG_ON(sizeof(struct xsock_head) != XSOCK_PAGE_SIZE);
	BUILD_BUG_ON(sizeof(struct xsock_list) != XSOCK_PAGE_SIZE);
	BUILD_BUG_ON(sizeof(struct xsock_regions) != XSOCK_PAGE_SIZE);
	BUILD_BUG_ON(XSOCK_REGION_LISTS * XSOCK_LIST_REFS <=
		     XSOCK_REGION_MAX / XSOCK_PAGE_SIZE);

	if (!xen_domain())
		return -ENODEV;

	xsock_wq = alloc_workqueue("xensocket", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!xsock_wq)
		return -ENOMEM;
	err = xsock_suspend_init();
	if (err)
		goto no_suspend;
	err = xsock_proc_init();
	if (err)
		goto no_proc;
	err = xsock_host_init();
	if (err)
		goto no_host;
	/*
	 * From here on processes may hold the module: if what comes last fails it goes all the
	 * same. The family is what a user may have got wrong.
	 */
	err = xsock_af_register();
	if (err)
		goto no_af;
	err = xsock_control_init();
	if (err)
		goto no_control;
	return 0;

no_control:
	xsock_af_unregister();
	xsock_revoke_exit();
no_af:
	xsock_host_exit();
no_host:
	xsock_proc_exit();
no_proc:
	xsock_suspend_exit();
no_suspend:
	destroy_workqueue(xsock_wq);
	return err;
}

static void __exit xsock_exit(void)
{
	/* No socket is open: sockets and the control device hold the module. */
	xsock_af_unregister();
	xsock_host_exit();
	xsock_control_exit();
	xsock_proc_exit();
	xsock_suspend_exit();
	xsock_revoke_exit();
	destroy_workqueue(xsock_wq);
}

module_init(xsock_init);
module_exit(xsock_exit);

MODULE_DESCRIPTION("Grant table sockets between Xen domains");
MODULE_AUTHOR("xensocket developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(XSOCK_RELEASE);
