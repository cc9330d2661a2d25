// SPDX-License-Identifier: GPL-2.0-only
/* Sleeping in send() and recv(), until an event, a signal or the end of the time. */
#include <linux/sched/signal.h>

#include "xsock.h"

/* @timeo: in jiffies, 0 if the call may not sleep. */
void xsock_sleep_begin(struct xsock_sleeper *sleeper, long timeo)
{
	init_wait(&sleeper->entry);
	sleeper->entry.func = woken_wake_function;
	sleeper->queued = false;
	sleeper->timeo = timeo;
}

/**
 * xsock_sleep - the ring has been armed, and there is nothing to do
 * @sk: the socket
 * @ring: its ring
 * @sleeper: of this call
 *
 * Returns 0 if the caller shall look again, or the errno that the call ends with.
 */
int xsock_sleep(struct sock *sk, struct xsock_ring *ring, struct xsock_sleeper *sleeper)
{
	if (!sleeper->timeo)
		return -EAGAIN;
	if (!sleeper->queued) {
		/* Look once more, now that wake-ups are noticed. */
		add_wait_queue(sk_sleep(sk), &sleeper->entry);
		sleeper->queued = true;
		return 0;
	}
	if (signal_pending(current))
		return sock_intr_errno(sleeper->timeo);
	xsock_count(&ring->stats.waits, 1);
	/* Who waits for bytes gets them; SIGIO would only interrupt him. */
	if (ring->role == XSOCK_ROLE_RX)
		sk_set_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	sleeper->timeo = wait_woken(&sleeper->entry, TASK_INTERRUPTIBLE | TASK_FREEZABLE,
				    sleeper->timeo);
	if (ring->role == XSOCK_ROLE_RX)
		sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	return 0;
}

void xsock_sleep_end(struct sock *sk, struct xsock_sleeper *sleeper)
{
	if (sleeper->queued)
		remove_wait_queue(sk_sleep(sk), &sleeper->entry);
}
