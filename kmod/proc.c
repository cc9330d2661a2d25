// SPDX-License-Identifier: GPL-2.0-only
/* What can be seen from outside: socket option, /proc/net/xensocket. */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <net/net_namespace.h>

#include "xsock.h"

static u32 xsock_state_of(const struct xsock_ring *ring)
{
	if (!READ_ONCE(ring->attached))
		return XSOCK_STATE_DETACHED;
	if (ring->role == XSOCK_ROLE_RX || READ_ONCE(ring->peer_state) & XSOCK_RX_CONNECTED)
		return XSOCK_STATE_OPEN;
	return XSOCK_STATE_OFFERED;
}

void xsock_get_info(struct sock *sk, struct xsock_info *info)
{
	struct xsock_ring *ring = xsock_ring_of(sk);

	memset(info, 0, sizeof(*info));
	info->peer = DOMID_INVALID;
	if (!ring)
		return;
	mutex_lock(&ring->lock);
	if (xsock_own_look(ring)) {
		/* What is no index is found out by the next call that moves bytes. */
		if (ring->role == XSOCK_ROLE_TX)
			xsock_tx_look(&ring->idx, ring->rx);
		else
			xsock_rx_look(&ring->idx, ring->tx);
	}
	info->role = ring->role;
	info->state = xsock_state_of(ring);
	info->error = ring->err;
	info->reason = ring->reason;
	info->peer = ring->peer;
	info->mapped = ring->mapped;
	info->size = ring->idx.size;
	info->prod = ring->idx.prod;
	info->cons = ring->idx.cons;
	info->events_sent = READ_ONCE(ring->stats.events_sent);
	info->events_spared = READ_ONCE(ring->stats.events_spared);
	info->events_received = READ_ONCE(ring->stats.events_received);
	info->events_empty = READ_ONCE(ring->stats.events_empty);
	info->waits = READ_ONCE(ring->stats.waits);
	info->status_calls = READ_ONCE(ring->stats.status_calls);
	info->regions = ring->nexposed;
	info->gets = READ_ONCE(ring->stats.gets);
	info->get_bytes = READ_ONCE(ring->stats.get_bytes);
	mutex_unlock(&ring->lock);
}

static void *xsock_seq_start(struct seq_file *seq, loff_t *pos)
{
	mutex_lock(&xsock_rings_lock);
	return seq_list_start_head(&xsock_rings, *pos);
}

static void *xsock_seq_next(struct seq_file *seq, void *v, loff_t *pos)
{
	return seq_list_next(v, &xsock_rings, pos);
}

static void xsock_seq_stop(struct seq_file *seq, void *v)
{
	mutex_unlock(&xsock_rings_lock);
}

/* One line a ring, offsets as last known to the kernel. No cookie, no reference. */
static int xsock_seq_show(struct seq_file *seq, void *v)
{
	static const char * const roles[] = { "-", "tx", "rx" };
	static const char * const states[] = { "new", "offered", "open", "detached" };
	struct xsock_ring *ring;

	if (v == &xsock_rings) {
		seq_puts(seq, "role peer port state linger uid size prod cons err sent spared received empty waits status regions gets got\n");
		return 0;
	}
	ring = list_entry(v, struct xsock_ring, node);
	seq_printf(seq, "%s %u %u %s %d %u %llu %llu %llu %d %llu %llu %llu %llu %llu %llu %u %llu %llu\n",
		   roles[ring->role], ring->peer, ring->port, states[xsock_state_of(ring)],
		   READ_ONCE(ring->lingering),
		   from_kuid_munged(seq_user_ns(seq), ring->uid), ring->idx.size,
		   READ_ONCE(ring->idx.prod), READ_ONCE(ring->idx.cons), READ_ONCE(ring->err),
		   READ_ONCE(ring->stats.events_sent), READ_ONCE(ring->stats.events_spared),
		   READ_ONCE(ring->stats.events_received), READ_ONCE(ring->stats.events_empty),
		   READ_ONCE(ring->stats.waits), READ_ONCE(ring->stats.status_calls),
		   READ_ONCE(ring->nexposed), READ_ONCE(ring->stats.gets),
		   READ_ONCE(ring->stats.get_bytes));
	return 0;
}

static const struct seq_operations xsock_seq_ops = {
	.start	= xsock_seq_start,
	.next	= xsock_seq_next,
	.stop	= xsock_seq_stop,
	.show	= xsock_seq_show,
};

/* Domains know no network namespaces: one list, in the first of them. */
int xsock_proc_init(void)
{
	return proc_create_seq("xensocket", 0444, init_net.proc_net, &xsock_seq_ops) ?
		0 : -ENOMEM;
}

void xsock_proc_exit(void)
{
	remove_proc_entry("xensocket", init_net.proc_net);
}
