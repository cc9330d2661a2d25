// SPDX-License-Identifier: GPL-2.0-only
/* Sleeping in send() and recv(), until an event, a signal or the end of the time. */
#include <linux/sched/signal.h>

#include "xsock.h"

/*
 * For a call with @msg. @timeo: in jiffies, 0 if it may not sleep. A call of splice()'s holds
 * the lock of a pipe, for which others wait that cannot be frozen: it ends when the guest is to
 * be suspended, and begins anew after that. What a user waits for in recv() or send() goes on
 * where it was.
 */
void xsock_sleep_begin(struct xsock_sleeper *sleeper, const struct msghdr *msg, long timeo)
{
	init_wait(&sleeper->entry);
	sleeper->entry.func = woken_wake_function;
	sleeper->queued = false;
	sleeper->mode = TASK_INTERRUPTIBLE;
	if (user_backed_iter(&msg->msg_iter))
		sleeper->mode |= TASK_FREEZABLE;
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
	sleeper->timeo = wait_woken(&sleeper->entry, sleeper->mode, sleeper->timeo);
	if (ring->role == XSOCK_ROLE_RX)
		sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	return 0;
}

void xsock_sleep_end(struct sock *sk, struct xsock_sleeper *sleeper)
{
	if (sleeper->queued)
		remove_wait_queue(sk_sleep(sk), &sleeper->entry);
}
