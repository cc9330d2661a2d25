// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may have how much. Xen puts no limit on what a domain grants to which
 * other: the module has to.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>

#include "xsock.h"

static bool users = true;
module_param(users, bool, 0644);
MODULE_PARM_DESC(users, "users without CAP_NET_ADMIN may create sockets (default: yes)");

static unsigned int max_user_sockets = 4096;
module_param(max_user_sockets, uint, 0644);
MODULE_PARM_DESC(max_user_sockets, "bound or connected sockets of one user (default 4096)");

static unsigned int max_peer_pages = 131072;
module_param(max_peer_pages, uint, 0644);
MODULE_PARM_DESC(max_peer_pages, "pages shared with one domain (default 131072)");

static unsigned int max_pages = 262144;
module_param(max_pages, uint, 0644);
MODULE_PARM_DESC(max_pages, "pages of all sockets (default 262144)");

bool xsock_may_create(void)
{
	return READ_ONCE(users) || capable(CAP_NET_ADMIN);
}

/* Within RLIMIT_MEMLOCK, as perf and io_uring count: by user, not by process. */
static int xsock_charge_user(struct user_struct *user, unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;

	if (atomic_long_add_return(pages, &user->locked_vm) > limit &&
	    !capable(CAP_IPC_LOCK)) {
		atomic_long_sub(pages, &user->locked_vm);
		return -ENOBUFS;
	}
	return 0;
}

/* Within the limits of the module. Under xsock_rings_lock; @ring need not be on the list. */
static bool xsock_pages_fit(struct xsock_ring *ring, unsigned long pages)
{
	unsigned long all = pages, peers = pages;
	struct xsock_ring *other;

	list_for_each_entry(other, &xsock_rings, node) {
		all += other->charged;
		if (other->peer == ring->peer)
			peers += other->charged;
	}
	return all <= READ_ONCE(max_pages) && peers <= READ_ONCE(max_peer_pages);
}

/*
 * Puts a new ring on the list, if the limits allow it; it counts from then on.
 * A receiver pays as much as a transmitter, since it may have to copy everything.
 */
int xsock_charge(struct xsock_ring *ring, unsigned long pages)
{
	struct user_struct *user = current_user();
	unsigned int sockets = 1;
	struct xsock_ring *other;
	int err;

	err = xsock_charge_user(user, pages);
	if (err)
		return err;
	mutex_lock(&xsock_rings_lock);
	list_for_each_entry(other, &xsock_rings, node)
		if (uid_eq(other->uid, ring->uid))
			sockets++;
	if (!xsock_pages_fit(ring, pages) || sockets > READ_ONCE(max_user_sockets)) {
		err = -ENOBUFS;
	} else {
		ring->user = get_uid(user);
		ring->charged = pages;
		list_add_tail(&ring->node, &xsock_rings);
	}
	mutex_unlock(&xsock_rings_lock);
	if (err)
		atomic_long_sub(pages, &user->locked_vm);
	return err;
}

/* Memory that a ring exposes is its user's, too. */
int xsock_charge_region(struct xsock_ring *ring, unsigned long pages)
{
	int err = xsock_charge_user(ring->user, pages);

	if (err)
		return err;
	mutex_lock(&xsock_rings_lock);
	if (xsock_pages_fit(ring, pages))
		ring->charged += pages;
	else
		err = -ENOBUFS;
	mutex_unlock(&xsock_rings_lock);
	if (err)
		atomic_long_sub(pages, &ring->user->locked_vm);
	return err;
}

void xsock_uncharge_region(struct xsock_ring *ring, unsigned long pages)
{
	mutex_lock(&xsock_rings_lock);
	ring->charged -= pages;
	mutex_unlock(&xsock_rings_lock);
	atomic_long_sub(pages, &ring->user->locked_vm);
}

void xsock_uncharge(struct xsock_ring *ring)
{
	if (!ring->user)
		return;
	mutex_lock(&xsock_rings_lock);
	list_del_init(&ring->node);
	mutex_unlock(&xsock_rings_lock);
	atomic_long_sub(ring->charged, &ring->user->locked_vm);
	free_uid(ring->user);
	ring->user = NULL;
	ring->charged = 0;
}
