// SPDX-License-Identifier: GPL-2.0-only
/* The socket family: what the calls mean for a socket of either role. */
#include <linux/compat.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/sockios.h>
#include <linux/uaccess.h>
#include <asm/ioctls.h>

#include "xsock.h"

static struct proto xsock_proto = {
	.name		= "XEN",
	.owner		= THIS_MODULE,
	.obj_size	= sizeof(struct xsock),
};

static int xsock_release(struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct xsock_ring *ring;

	if (!sk)
		return 0;
	lock_sock(sk);
	ring = xsock_sk(sk)->ring;
	if (ring)
		xsock_ring_close(ring);
	WRITE_ONCE(xsock_sk(sk)->ring, NULL);
	release_sock(sk);
	sock_orphan(sk);
	sock->sk = NULL;
	sock_put(sk);
	return 0;
}

/* Tells the peer, if it is for him, that a side has been shut down. The ring is locked. */
static void xsock_tell_shutdown(struct xsock_ring *ring, int mode)
{
	u32 bits = 0;

	if (ring->role == XSOCK_ROLE_TX && mode & SEND_SHUTDOWN)
		bits = XSOCK_TX_FIN;
	if (ring->role == XSOCK_ROLE_RX && mode & RCV_SHUTDOWN)
		bits = XSOCK_RX_SHUT;
	if (!bits || !ring->attached)
		return;
	xsock_publish_state(ring, bits);
	xsock_event_send(ring);
}

/*
 * A socket gets its ring: from now on other calls see it. The socket is locked, and has been shut
 * down so far (@shutdown) by its own process.
 */
static void xsock_set_ring(struct sock *sk, struct xsock_ring *ring, int state, int shutdown)
{
	sk->sk_sndbuf = ring->idx.size;
	/* The peer may have come, and gone, already. */
	spin_lock_irq(&ring->ev_lock);
	if (ring->role == XSOCK_ROLE_TX && ring->peer_state & XSOCK_RX_CONNECTED)
		state = TCP_ESTABLISHED;
	WRITE_ONCE(sk->sk_state, state);
	spin_unlock_irq(&ring->ev_lock);
	/* Release: who sees the ring sees it complete; see xsock_ring_of(). */
	smp_store_release(&xsock_sk(sk)->ring, ring);
	/* Before there was anybody to tell. */
	if (shutdown) {
		mutex_lock(&ring->lock);
		xsock_tell_shutdown(ring, shutdown);
		mutex_unlock(&ring->lock);
	}
	xsock_wake_sleepers(sk);
}

static bool xsock_addr_ok(const struct sockaddr_xen *addr, int len, const struct sock *sk)
{
	return len >= (int)sizeof(*addr) && addr->sxen_family == sk->sk_family;
}

/* The size that was asked for. */
static unsigned int xsock_size(struct sock *sk)
{
	/* SO_SNDBUF has gone to the core, which has stored twice the value, and came last. */
	if (sk->sk_userlocks & SOCK_SNDBUF_LOCK)
		return roundup_pow_of_two(clamp(sk->sk_sndbuf / 2, XSOCK_RING_MIN,
						XSOCK_RING_MAX));
	return xsock_sk(sk)->size ? : XSOCK_RING_DEFAULT;
}

static int xsock_bind(struct socket *sock, struct sockaddr_arg *uaddr, int len)
{
	struct sockaddr_xen *addr = (struct sockaddr_xen *)uaddr;
	struct sock *sk = sock->sk;
	struct xsock_ring *ring;
	int err = 0, shutdown;

	if (!xsock_addr_ok(addr, len, sk) || addr->sxen_gref || addr->sxen_port)
		return -EINVAL;
	if (addr->sxen_domid >= DOMID_FIRST_RESERVED)
		return -EADDRNOTAVAIL;
	lock_sock(sk);
	if (xsock_sk(sk)->ring) {
		err = -EINVAL;
		goto out;
	}
	shutdown = READ_ONCE(sk->sk_shutdown);
	ring = xsock_ring_offer(sk, addr->sxen_domid,
				xsock_size(sk) / XSOCK_PAGE_SIZE);
	if (IS_ERR(ring))
		err = PTR_ERR(ring);
	else
		xsock_set_ring(sk, ring, TCP_SYN_SENT, shutdown);
out:
	release_sock(sk);
	return err;
}

static int xsock_connect(struct socket *sock, struct sockaddr_arg *uaddr, int len, int flags)
{
	struct sockaddr_xen addr;
	struct sock *sk = sock->sk;
	struct xsock_ring *ring;
	int err = 0, shutdown;

	if (!xsock_addr_ok((struct sockaddr_xen *)uaddr, len, sk))
		return -EINVAL;
	memcpy(&addr, uaddr, sizeof(addr));
	if (addr.sxen_version != XSOCK_VERSION || addr.sxen_domid >= DOMID_FIRST_RESERVED)
		return -ECONNREFUSED;
	lock_sock(sk);
	ring = xsock_sk(sk)->ring;
	if (ring) {
		err = ring->role == XSOCK_ROLE_RX ? -EISCONN : -EINVAL;
		goto out;
	}
	shutdown = READ_ONCE(sk->sk_shutdown);
	ring = xsock_ring_accept(sk, &addr);
	if (IS_ERR(ring)) {
		err = PTR_ERR(ring);
	} else {
		sock->state = SS_CONNECTED;
		xsock_set_ring(sk, ring, TCP_ESTABLISHED, shutdown);
		/* What has come before the ring was armed. */
		xsock_rx_async(sk, ring, true);
	}
out:
	release_sock(sk);
	return err;
}

/*
 * Own name of a transmitter: the offer. Name of a receiver's peer: the offer without
 * the cookie. Everything else is a domid at most.
 */
static int xsock_getname(struct socket *sock, struct sockaddr *uaddr, int peer)
{
	struct sockaddr_xen *addr = (struct sockaddr_xen *)uaddr;
	struct sock *sk = sock->sk;
	struct xsock_ring *ring = xsock_ring_of(sk);

	if (peer && !ring)
		return -ENOTCONN;
	memset(addr, 0, sizeof(*addr));
	addr->sxen_family = sk->sk_family;
	addr->sxen_domid = DOMID_INVALID;
	if (ring && ring->role == XSOCK_ROLE_TX) {
		if (!peer) {
			memcpy(addr, &ring->addr, sizeof(*addr));
		} else {
			if (!xsock_connected(sk, ring))
				return -ENOTCONN;
			addr->sxen_domid = ring->peer;
		}
	} else if (ring) {
		if (peer) {
			memcpy(addr, &ring->addr, sizeof(*addr));
			memset(addr->sxen_cookie, 0, XSOCK_COOKIE_SIZE);
		} else {
			addr->sxen_domid = xsock_own_domid();
		}
	}
	return sizeof(*addr);
}

/* Looks at the peer's index. Locked; the own one has been taken over. */
static int xsock_poll_peer(struct xsock_ring *ring, u64 least)
{
	if (ring->role == XSOCK_ROLE_RX)
		return xsock_rx_watch(&ring->idx, ring->rx, ring->tx, least);
	if (!(READ_ONCE(ring->peer_state) & XSOCK_RX_CONNECTED))
		return XSOCK_SLEEP;
	if (!xsock_tx_look(&ring->idx, ring->rx))
		return XSOCK_BROKEN;
	return xsock_tx_prepare(&ring->idx, ring->tx, ring->rx, xsock_write_mark(&ring->idx));
}

/* Can be read or written without waiting? Arms for what is not there. Locked. */
static int xsock_poll_ring(struct sock *sk, struct xsock_ring *ring)
{
	/* The low-water mark, as far as it can be waited for. */
	u64 least = min_t(u64, READ_ONCE(sk->sk_rcvlowat), xsock_read_mark(&ring->idx));
	int tries, ready;

	if (!ring->attached)
		return ring->role == XSOCK_ROLE_RX && xsock_own_look(ring) &&
		       xsock_used(&ring->idx) >= least ? XSOCK_READY : XSOCK_SLEEP;
	xsock_peer_check(ring);
	for (tries = 0; tries < XSOCK_LOOK_TRIES; tries++) {
		if (!xsock_own_look(ring))
			return XSOCK_BROKEN;
		ready = xsock_poll_peer(ring, least);
		if (ready != XSOCK_BROKEN || !ring->mapped)
			return ready;
		/* Another thread uses the mapping, perhaps, and both have moved since. */
	}
	return XSOCK_READY;
}

static __poll_t xsock_poll(struct file *file, struct socket *sock, poll_table *wait)
{
	struct sock *sk = sock->sk;
	struct xsock_ring *ring;
	int ready = XSOCK_SLEEP;
	bool transmitter = true;
	__poll_t mask = 0;
	int shutdown;

	sock_poll_wait(file, sock, wait);
	ring = xsock_ring_of(sk);
	if (ring) {
		transmitter = ring->role == XSOCK_ROLE_TX;
		mutex_lock(&ring->lock);
		ready = xsock_poll_ring(sk, ring);
		mutex_unlock(&ring->lock);
		if (ready == XSOCK_BROKEN) {
			xsock_ring_broken(ring);
			mutex_lock(&ring->lock);
			ready = xsock_poll_ring(sk, ring);
			mutex_unlock(&ring->lock);
		}
	} else {
		/* As an AF_UNIX socket that is not connected. */
		mask |= EPOLLHUP | EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	}

	/* All of an end at once: an error is set before what it ends. */
	shutdown = smp_load_acquire(&sk->sk_shutdown);
	if (shutdown == SHUTDOWN_MASK)
		mask |= READ_ONCE(sk->sk_err) ? EPOLLHUP | EPOLLERR : EPOLLHUP;
	if (shutdown & RCV_SHUTDOWN)
		mask |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (!transmitter && ready == XSOCK_READY)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (transmitter && (ready == XSOCK_READY || shutdown & SEND_SHUTDOWN))
		mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	return mask;
}

/* Pollers look again: a lower mark may have been reached. */
static int xsock_set_rcvlowat(struct sock *sk, int value)
{
	WRITE_ONCE(sk->sk_rcvlowat, value ? : 1);
	xsock_wake_sleepers(sk);
	return 0;
}

static int xsock_shutdown(struct socket *sock, int how)
{
	struct sock *sk = sock->sk;
	struct xsock_ring *ring;
	int mode;

	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	/* SHUT_RD, _WR, _RDWR to RCV_SHUTDOWN, SEND_SHUTDOWN, both. */
	mode = how + 1;

	lock_sock(sk);
	ring = xsock_sk(sk)->ring;
	if (!ring) {
		xsock_end(sk, mode);
		goto out;
	}
	mutex_lock(&ring->lock);
	spin_lock_irq(&ring->ev_lock);
	xsock_end(sk, mode);
	spin_unlock_irq(&ring->ev_lock);
	xsock_tell_shutdown(ring, mode);
	mutex_unlock(&ring->lock);
out:
	release_sock(sk);
	xsock_wake_sleepers(sk);
	return 0;
}

/* The number of bytes that can be read, or that the peer has not read yet. */
static int xsock_queued(struct sock *sk, u8 role)
{
	struct xsock_ring *ring = xsock_ring_of(sk);
	u64 used = 0;

	if (!ring || ring->role != role)
		return 0;
	mutex_lock(&ring->lock);
	if (xsock_own_look(ring)) {
		/* What is no index is found out by the next call that moves bytes. */
		if (role == XSOCK_ROLE_TX)
			xsock_tx_look(&ring->idx, ring->rx);
		else if (sock_flag(sk, SOCK_FASYNC))
			/* SIGIO when there is more. */
			xsock_rx_watch(&ring->idx, ring->rx, ring->tx, 1);
		else
			xsock_rx_look(&ring->idx, ring->tx);
		used = xsock_used(&ring->idx);
	}
	mutex_unlock(&ring->lock);
	return used;
}

static int xsock_ioc_wake(struct sock *sk)
{
	struct xsock_ring *ring = xsock_ring_of(sk);
	int err = -ENOTCONN;

	if (!ring)
		return err;
	mutex_lock(&ring->lock);
	if (ring->attached) {
		if (xsock_connected(sk, ring)) {
			xsock_event_send(ring);
			err = 0;
		}
	} else if (ring->err) {
		err = -ring->err;
	}
	mutex_unlock(&ring->lock);
	return err;
}

static int xsock_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct sock *sk = sock->sk;

	switch (cmd) {
	case SIOCINQ:
		return put_user(xsock_queued(sk, XSOCK_ROLE_RX), (int __user *)arg);
	case SIOCOUTQ:
		return put_user(xsock_queued(sk, XSOCK_ROLE_TX), (int __user *)arg);
	case XSOCK_IOC_WAKE:
		return xsock_ioc_wake(sk);
	case XSOCK_IOC_EXPOSE:
		return xsock_ioc_expose(sk, (struct xsock_exposure __user *)arg);
	case XSOCK_IOC_CONCEAL:
		return xsock_ioc_conceal(sk, (const struct xsock_handle __user *)arg);
	case XSOCK_IOC_GET:
		return xsock_ioc_get(sk, (const struct xsock_fetch __user *)arg);
	default:
		return -ENOIOCTLCMD;
	}
}

#ifdef CONFIG_COMPAT
static int xsock_compat_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	return xsock_ioctl(sock, cmd, (unsigned long)compat_ptr(arg));
}
#endif

static int xsock_set_size(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	int size, err = 0;

	if (optlen < sizeof(size))
		return -EINVAL;
	if (copy_from_sockptr(&size, optval, sizeof(size)))
		return -EFAULT;
	size = clamp(size, XSOCK_RING_MIN, XSOCK_RING_MAX);
	lock_sock(sk);
	if (xsock_sk(sk)->ring) {
		err = -EISCONN;
	} else {
		xsock_sk(sk)->size = roundup_pow_of_two(size);
		sk->sk_sndbuf = xsock_sk(sk)->size;
		sk->sk_userlocks &= ~SOCK_SNDBUF_LOCK;
	}
	release_sock(sk);
	return err;
}

static int xsock_setsockopt(struct socket *sock, int level, int name, sockptr_t optval,
			    unsigned int optlen)
{
	if (level == SOL_XEN && name == XSOCK_SO_RING)
		return xsock_set_size(sock->sk, optval, optlen);
	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	/* The size of the ring: exact, and not bound by net.core.wmem_max. */
	if (name == SO_SNDBUF || name == SO_SNDBUFFORCE)
		return xsock_set_size(sock->sk, optval, optlen);
	return sock_setsockopt(sock, level, name, optval, optlen);
}

static int xsock_getsockopt(struct socket *sock, int level, int name, char __user *optval,
			    int __user *optlen)
{
	struct xsock_info info;
	int len, size;
	void *value;

	if (level != SOL_XEN || (name != XSOCK_SO_INFO && name != XSOCK_SO_RING))
		return -ENOPROTOOPT;
	if (get_user(len, optlen))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	if (name == XSOCK_SO_INFO) {
		xsock_get_info(sock->sk, &info);
		value = &info;
		len = min_t(int, len, sizeof(info));
	} else {
		lock_sock(sock->sk);
		size = xsock_sk(sock->sk)->ring ? xsock_sk(sock->sk)->ring->idx.size :
						  xsock_size(sock->sk);
		release_sock(sock->sk);
		value = &size;
		len = min_t(int, len, sizeof(size));
	}
	if (put_user(len, optlen) || copy_to_user(optval, value, len))
		return -EFAULT;
	return 0;
}

/* .family is set from the module parameter before anybody can see it. */
static struct proto_ops xsock_ops __ro_after_init = {
	.owner		= THIS_MODULE,
	.release	= xsock_release,
	.bind		= xsock_bind,
	.connect	= xsock_connect,
	.socketpair	= sock_no_socketpair,
	.accept		= sock_no_accept,
	.getname	= xsock_getname,
	.poll		= xsock_poll,
	.ioctl		= xsock_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= xsock_compat_ioctl,
#endif
	.listen		= sock_no_listen,
	.shutdown	= xsock_shutdown,
	.setsockopt	= xsock_setsockopt,
	.getsockopt	= xsock_getsockopt,
	.sendmsg	= xsock_sendmsg,
	.recvmsg	= xsock_recvmsg,
	.mmap		= xsock_mmap,
	.set_rcvlowat	= xsock_set_rcvlowat,
};

static int xsock_create(struct net *net, struct socket *sock, int protocol, int kern)
{
	struct sock *sk;

	if (sock->type != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	if (protocol && protocol != xsock_family)
		return -EPROTONOSUPPORT;
	if (!kern && !xsock_may_create())
		return -EPERM;
	sk = sk_alloc(net, xsock_family, GFP_KERNEL, &xsock_proto, kern);
	if (!sk)
		return -ENOMEM;
	sock->ops = &xsock_ops;
	sock_init_data(sock, sk);
	sk->sk_family = xsock_family;
	sk->sk_protocol = protocol;
	sk->sk_sndbuf = XSOCK_RING_DEFAULT;
	xsock_own_sol_socket(sock);
	return 0;
}

static struct net_proto_family xsock_family_ops __ro_after_init = {
	.create	= xsock_create,
	.owner	= THIS_MODULE,
};

int __init xsock_af_register(void)
{
	int err;

	/* sock_register() would take AF_UNIX or AF_INET, were they modules. */
	if (xsock_family <= 0 || xsock_family >= AF_MAX)
		return -EINVAL;
	err = proto_register(&xsock_proto, 1);
	if (err)
		return err;
	xsock_ops.family = xsock_family;
	xsock_family_ops.family = xsock_family;
	err = sock_register(&xsock_family_ops);
	if (err)
		proto_unregister(&xsock_proto);
	return err;
}

void xsock_af_unregister(void)
{
	sock_unregister(xsock_family);
	proto_unregister(&xsock_proto);
}
