// SPDX-License-Identifier: BSD-3-Clause
/*
 * Random system calls, in both guests at once: each has some processes, each of them some
 * threads, which work on descriptors that they share. Offers, and handles of exposed memory, go
 * from guest to guest over a board, so that sockets also connect. Nothing is expected of a single call, but
 *
 *	no call returns more bytes than were asked for, bytes that nobody has sent, an errno
 *	that is the module's own affair, or poll bits that nobody has asked for;
 *	indices and sizes that the kernel tells fit each other;
 *	nobody hangs or dies, and all that there was is given back;
 *	each kind of call has also succeeded, if there were many.
 *
 * XSOCK_SEED at end A is the beginning of all choices; what a call finds also depends on what
 * others do meanwhile. XSOCK_CALLS at end A: calls of each thread.
 *
 * There are two rounds. In the second, wild, one mapped rings are scribbled on and used as
 * buffers, so that bytes are no longer looked at.
 */
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "xsocktest.h"

#define PROCESSES	3
#define THREADS		2
#define SLOTS		12
#define OFFERS		16
#define HANDLES		4
#define CALLS_DEFAULT	2500
#define BUFFER		(16 * 1024)
#define PIECES		8

/* Numbers of descriptors in slots begin here. */
#define LOWEST		100

/* Where rings are mapped: nothing else ever is. */
#define SPOTS		6
#define SPOT_PAGES	40
#define PAGE		XSOCK_PAGE_SIZE

/* Calls that wait are interrupted so often. */
#define TICK_NS		15000000

/* More kinds of calls than there are. */
#define KINDS		64
#define ERRNOS		600

/* What the processes of this guest share with the one that started them. */
static struct shared {
	struct sockaddr_xen offered[OFFERS];	/* by us */
	struct sockaddr_xen known[OFFERS];	/* of the other guest */
	struct xsock_handle shown[HANDLES];	/* by us */
	struct xsock_handle seen[HANDLES];	/* of the other guest */
	unsigned long tried[KINDS];
	unsigned long done[KINDS];
	unsigned int why[KINDS][ERRNOS];
	unsigned long sent, received, connected, faults;
	int odd;
	char first[200];
} *all;

/* Of this process. */
static int slots[SLOTS];
static uint8_t *arena;
static int wild;

/* One thread. */
struct caller {
	uint64_t seed;
	int number, calls;
	int pair[2], pipe[2], epoll, device, file;
	uint8_t *data;		/* BUFFER bytes, and nothing behind them */
	uint8_t *marked;	/* likewise: what is sent */
	uint8_t *later;		/* what nobody looks at */
	struct io_uring ring;
	int has_ring, child;
	sigjmp_buf fault;
	volatile sig_atomic_t touching;
};
static __thread struct caller *me;

static const char *kind_name(int kind);

static void odd(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void odd(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!__atomic_fetch_add(&all->odd, 1, __ATOMIC_RELAXED))
		vsnprintf(all->first, sizeof(all->first), format, args);
	va_end(args);
}

static uint64_t pick(uint64_t n)
{
	return (rnd(&me->seed) >> 11) % n;
}

static int once_in(int n)
{
	return !pick(n);
}

static uint8_t mark(int end)
{
	return end == 'A' ? 0xa0 : 0xb0;
}

/* Bytes that the other guest can tell from all others. */
static void fill_marked(uint8_t *data, size_t len)
{
	for (size_t k = 0; k < len; k++)
		data[k] = mark(side) | (k & 15);
}

static void look_at(const uint8_t *data, size_t len)
{
	for (size_t k = 0; !wild && k < len; k++)
		if ((data[k] & 0xf0) != mark('A' + 'B' - side)) {
			odd("byte %zu of %zu is %#x, which nobody has sent", k, len, data[k]);
			return;
		}
}

/* ---- arguments ---- */

static uint64_t boundary(void)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4, 7, 8, 28, 127, 128, 255, 4095, 4096, 4097, 65535, 65536, 1 << 20,
		16 << 20, 0x7fff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~0ULL, ~0ULL >> 1,
		-4096, -2,
	};

	switch (pick(3)) {
	case 0:
		return rnd(&me->seed);
	case 1:
		return pick(10000);
	default:
		return values[pick(sizeof(values) / sizeof(values[0]))];
	}
}

/* Where a call is to find or leave something: mostly in a buffer of ours. */
static void *place_in(uint8_t *ours, size_t *len)
{
	size_t at;

	switch (pick(24)) {
	case 0:
		return NULL;
	case 1:
		return (void *)0xffff888000000000;
	case 2:
		return (void *)(uintptr_t)boundary();
	case 3:
		/* The end of it lies where nothing is. */
		at = pick(64);
		return ours + BUFFER - at;
	case 4:
		if (wild)
			return arena + pick(SPOTS * SPOT_PAGES) * PAGE + pick(PAGE);
		/* fallthrough */
	default:
		at = pick(64);
		if (*len > BUFFER - at)
			*len = BUFFER - at;
		return ours + at;
	}
}

static void *place(size_t *len)
{
	return place_in(me->data, len);
}

static size_t length(void)
{
	switch (pick(8)) {
	case 0:
		return 0;
	case 1:
		return 1 + pick(8);
	case 2:
		return BUFFER - pick(100);
	default:
		return 1 + pick(3000);
	}
}

static int flags_of_send(void)
{
	int flags = once_in(4) ? 0 : MSG_DONTWAIT;

	if (once_in(3))
		flags |= MSG_NOSIGNAL;
	if (once_in(8))
		flags |= 1 << pick(31);
	return flags;
}

static int flags_of_recv(void)
{
	static const int some[] = { MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_OOB, MSG_ERRQUEUE,
				    MSG_CMSG_CLOEXEC };
	int flags = once_in(4) ? 0 : MSG_DONTWAIT;

	if (once_in(4))
		flags |= some[pick(sizeof(some) / sizeof(some[0]))];
	if (once_in(16))
		flags |= 1 << pick(31);
	return flags;
}

static int some_fd(void)
{
	if (once_in(200))
		return once_in(2) ? -100 : 1 << 20;
	return __atomic_load_n(&slots[pick(SLOTS)], __ATOMIC_RELAXED);
}

/*
 * Transmitters live in the lower half of the slots, receivers in the upper one, mostly: a
 * call goes to where it makes sense, mostly.
 */
static int some_half(int upper)
{
	int k = once_in(10) ? (int)pick(SLOTS) : (int)pick(SLOTS / 2) + (upper ? SLOTS / 2 : 0);

	return __atomic_load_n(&slots[k], __ATOMIC_RELAXED);
}

/*
 * A descriptor moves in; who has lived there is closed. Its number is one that no others have:
 * somebody may still be about to use the one of a descriptor that has been closed.
 */
static long settle(int fd, int k)
{
	int old, low = fd;

	if (fd < 0)
		return fd;
	fd = fcntl(low, F_DUPFD_CLOEXEC, LOWEST);
	close(low);
	if (fd < 0)
		return fd;
	old = __atomic_exchange_n(&slots[k], fd, __ATOMIC_RELAXED);
	if (old >= 0)
		close(old);
	return 0;
}

/* ---- calls: each returns what the system has, with its errno ---- */

static long do_socket(void)
{
	static const int flags[] = { 0, SOCK_NONBLOCK, SOCK_NONBLOCK, SOCK_CLOEXEC };
	int type = SOCK_STREAM, protocol = 0;

	if (once_in(16))
		type = pick(12);
	if (once_in(16))
		protocol = once_in(2) ? af : (int)boundary();
	return settle(socket(af, type | flags[pick(4)], protocol), pick(SLOTS));
}

static long do_socketpair(void)
{
	int fds[2];

	/* There are none, so nothing need be closed. */
	return socketpair(af, SOCK_STREAM, 0, fds);
}

/* Changes an address into something else, sometimes; returns its length. */
static socklen_t bend(struct sockaddr_xen *addr)
{
	if (once_in(6))
		((uint8_t *)addr)[pick(sizeof(*addr))] ^= 1 << pick(8);
	if (once_in(20))
		addr->sxen_domid = boundary();
	return once_in(16) ? (socklen_t)boundary() : sizeof(*addr);
}

static long do_bind(void)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };
	socklen_t len = once_in(4) ? bend(&addr) : sizeof(addr);
	size_t room = sizeof(addr);

	if (once_in(40))
		return bind(some_half(0), place(&room), len);
	return bind(some_half(0), (struct sockaddr *)&addr, len);
}

/* A fresh transmitter, as it should be: most offers come from here. */
static long do_offer(void)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };
	int size = 4096 << pick(once_in(8) ? 9 : 5), fd, k = pick(SLOTS / 2);
	socklen_t len = sizeof(addr);
	long result;

	fd = socket(af, SOCK_STREAM | (once_in(2) ? SOCK_NONBLOCK : 0), 0);
	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_XEN, XSOCK_SO_RING, &size, sizeof(size));
	result = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	if (!result && !getsockname(fd, (struct sockaddr *)&addr, &len)) {
		if (len != sizeof(addr) || addr.sxen_family != af || addr.sxen_domid != own_domid)
			odd("a strange offer: length %u, domain %u", len, addr.sxen_domid);
		all->offered[pick(OFFERS)] = addr;
	}
	settle(fd, k);
	return result;
}

static long do_connect(void)
{
	struct sockaddr_xen addr = all->known[pick(OFFERS)];
	socklen_t len = once_in(6) ? bend(&addr) : sizeof(addr);
	int k = SLOTS / 2 + pick(SLOTS / 2), fd = -1;
	size_t room = sizeof(addr);
	long result;

	if (once_in(40))
		return connect(some_fd(), place(&room), len);
	if (!once_in(4))
		fd = socket(af, SOCK_STREAM | (once_in(2) ? SOCK_NONBLOCK : 0), 0);
	result = connect(fd < 0 ? some_half(1) : fd, (struct sockaddr *)&addr, len);
	if (!result)
		__atomic_add_fetch(&all->connected, 1, __ATOMIC_RELAXED);
	if (fd >= 0) {
		int err = errno;

		if (!result || once_in(8))
			settle(fd, k);
		else
			close(fd);
		errno = err;
	}
	return result;
}

static long do_name(void)
{
	struct sockaddr_storage addr;
	socklen_t len = once_in(4) ? (socklen_t)boundary() : sizeof(addr);
	size_t room = sizeof(addr);
	void *to = once_in(8) ? place(&room) : &addr;

	if (to == &addr && (int)len > (int)sizeof(addr))
		len = sizeof(addr);
	if (to != &addr && len > room)
		len = room;
	return once_in(2) ? getsockname(some_fd(), to, &len) : getpeername(some_fd(), to, &len);
}

/* A message of some pieces, with something beside it. */
static void make_message(uint8_t *ours, struct msghdr *msg, struct iovec *pieces, void *beside,
			 size_t *total)
{
	memset(msg, 0, sizeof(*msg));
	*total = 0;
	msg->msg_iov = pieces;
	/* Or more than there may be, not more than there are. */
	msg->msg_iovlen = once_in(50) ? 2000 : pick(PIECES + 1);
	for (int k = 0; k < PIECES; k++) {
		size_t len = length() / 4;

		pieces[k].iov_base = place_in(ours, &len);
		pieces[k].iov_len = len;
		if (k < (int)msg->msg_iovlen)
			*total += len;
	}
	if (once_in(6)) {
		struct cmsghdr *head = beside;

		memset(beside, 0, 64);
		head->cmsg_level = once_in(3) ? (int)boundary() : SOL_SOCKET;
		head->cmsg_type = once_in(3) ? (int)boundary() : SCM_RIGHTS;
		head->cmsg_len = once_in(3) ? boundary() : CMSG_LEN(sizeof(int));
		*(int *)CMSG_DATA(head) = some_fd();
		msg->msg_control = beside;
		msg->msg_controllen = 64;
	}
	if (once_in(20)) {
		size_t room = 28;

		msg->msg_name = place(&room);
		msg->msg_namelen = pick(200);
	}
}

static long sent(long n, size_t most)
{
	if (n > (long)most)
		odd("%ld of %zu bytes sent", n, most);
	if (n > 0)
		__atomic_add_fetch(&all->sent, n, __ATOMIC_RELAXED);
	return n;
}

static long received(long n, size_t most)
{
	if (n > (long)most)
		odd("%ld of %zu bytes received", n, most);
	if (n > 0)
		__atomic_add_fetch(&all->received, n, __ATOMIC_RELAXED);
	return n;
}

static long do_send(void)
{
	size_t len = length(), room = 28;
	void *from = place_in(me->marked, &len);

	switch (pick(6)) {
	case 0:
		return sent(sendto(some_half(0), from, len, flags_of_send(), place(&room), pick(64)), len);
	case 1:
		return sent(write(some_half(0), from, len), len);
	default:
		return sent(send(some_half(0), from, len, flags_of_send()), len);
	}
}

static long do_sendmsg(void)
{
	struct iovec pieces[PIECES], more[PIECES];
	uint64_t beside[8], others[8];
	struct mmsghdr several[2];
	struct msghdr msg;
	size_t len, total;
	long n;

	make_message(me->marked, &msg, pieces, beside, &len);
	switch (pick(4)) {
	case 0:
		make_message(me->marked, &several[1].msg_hdr, more, others, &total);
		several[0].msg_hdr = msg;
		n = sendmmsg(some_half(0), several, 2, flags_of_send());
		if (n > 2)
			odd("%ld of 2 messages sent", n);
		return n;
	case 1:
		return sent(writev(some_half(0), pieces, pick(PIECES + 1)), PIECES * BUFFER);
	default:
		return sent(sendmsg(some_half(0), &msg, flags_of_send()), len);
	}
}

static long do_recv(void)
{
	size_t len = length(), want;
	struct sockaddr_storage addr;
	socklen_t size = sizeof(addr);
	uint8_t *to = place(&len);
	long n;

	want = len;
	switch (pick(4)) {
	case 0:
		n = recvfrom(some_half(1), to, want, flags_of_recv(), (struct sockaddr *)&addr, &size);
		break;
	case 1:
		n = read(some_half(1), to, want);
		break;
	default:
		n = recv(some_half(1), to, want, flags_of_recv());
		break;
	}
	if (received(n, want) > 0 && to >= me->data && to + n <= me->data + BUFFER)
		look_at(to, n);
	return n;
}

/* As far as they have been filled one after the other. */
static void look_at_pieces(const struct msghdr *msg, size_t len)
{
	for (size_t k = 0; len && k < msg->msg_iovlen; k++) {
		const uint8_t *piece = msg->msg_iov[k].iov_base;
		size_t n = msg->msg_iov[k].iov_len < len ? msg->msg_iov[k].iov_len : len;

		/* Elsewhere than in our buffer there is a part of a piece at most. */
		if (piece < me->data || piece + n > me->data + BUFFER)
			return;
		look_at(piece, n);
		len -= n;
	}
}

static long do_recvmsg(void)
{
	struct timespec little = { 0, 1000000 };
	struct iovec pieces[PIECES], more[PIECES];
	uint64_t beside[8], others[8];
	struct mmsghdr several[2];
	struct msghdr msg;
	size_t len, total;
	long n;

	make_message(me->data, &msg, pieces, beside, &len);
	switch (pick(4)) {
	case 0:
		make_message(me->data, &several[1].msg_hdr, more, others, &total);
		several[0].msg_hdr = msg;
		n = recvmmsg(some_half(1), several, 2, flags_of_recv() | MSG_DONTWAIT, &little);
		if (n > 2)
			odd("%ld of 2 messages received", n);
		return n;
	case 1:
		return received(readv(some_half(1), pieces, pick(PIECES + 1)), PIECES * BUFFER);
	default:
		n = recvmsg(some_half(1), &msg, flags_of_recv());
		if (received(n, len) > 0)
			look_at_pieces(&msg, n);
		return n;
	}
}

/* What has been spliced in, from a ring, is not to be sent on. */
static void drain(void)
{
	while (read(me->pipe[0], me->later, BUFFER) > 0)
		;
}

static long do_splice(void)
{
	int flags = SPLICE_F_NONBLOCK | (once_in(3) ? SPLICE_F_MORE : 0);
	struct iovec piece;
	off_t at = 0;
	long n;

	switch (pick(5)) {
	case 0:
		if (write(me->pipe[1], me->marked, 1 + pick(6000)) < 0)
			return -1;
		return splice(me->pipe[0], NULL, some_half(0), NULL, length(), flags);
	case 1:
		n = splice(some_half(1), NULL, me->pipe[1], NULL, length(), flags);
		break;
	case 2:
		return sendfile(some_half(0), me->file, &at, length());
	case 3:
		/* Pages of a ring stay with the pipe. */
		piece.iov_base = arena + pick(SPOTS * SPOT_PAGES) * PAGE;
		piece.iov_len = 1 + pick(2 * PAGE);
		n = vmsplice(me->pipe[1], &piece, 1, SPLICE_F_NONBLOCK);
		break;
	default:
		n = 0;
		break;
	}
	drain();
	return n;
}

static long do_poll(void)
{
	static const int bits[] = { POLLIN, POLLOUT, POLLRDHUP, POLLPRI, POLLIN | POLLOUT, 0,
				    POLLIN | POLLRDHUP, POLLRDNORM | POLLWRNORM, -1 };
	struct pollfd fds[4];
	int n = 1 + pick(4), result;

	for (int k = 0; k < n; k++) {
		fds[k].fd = some_fd();
		fds[k].events = bits[pick(sizeof(bits) / sizeof(bits[0]))];
	}
	result = poll(fds, n, once_in(4) ? (int)pick(30) : 0);
	for (int k = 0; k < n && result > 0; k++)
		if (fds[k].revents & ~(fds[k].events | POLLERR | POLLHUP | POLLNVAL))
			odd("poll for %#x says %#x", fds[k].events, fds[k].revents);
	return result;
}

static long do_epoll(void)
{
	static const int how[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT }, events[8];

	if (once_in(3))
		return epoll_wait(me->epoll, events, 8, once_in(4) ? (int)pick(20) : 0);
	if (once_in(2))
		event.events |= EPOLLET;
	if (once_in(4))
		event.events |= EPOLLONESHOT;
	if (once_in(4))
		event.events ^= 1u << pick(32);
	event.data.u64 = 0;
	return epoll_ctl(me->epoll, how[pick(4)], some_fd(), &event);
}

static long do_ioctl(void)
{
	/* By name: there are others that would change the guest's network. */
	static const unsigned long names[] = { FIONREAD, TIOCOUTQ, XSOCK_IOC_WAKE, XSOCK_IOC_WAKE,
		XSOCK_CTL_STATUS, XSOCK_CTL_RELEASE, FIOASYNC, FIONBIO,
		0x8904 /* SIOCGPGRP */, 0x8906 /* SIOCGSTAMP */, 0x8905 /* SIOCATMARK */ };
	size_t room = 64;
	void *at = place(&room);

	if (once_in(10))
		return ioctl(some_fd(), _IO(XSOCK_IOC_MAGIC, pick(256)), at);
	return ioctl(some_fd(), names[pick(sizeof(names) / sizeof(names[0]))], at);
}

/* Of all transmitters, or receivers, the first one with which it succeeds: few are connected. */
static long each_ioctl(int upper, unsigned long name, void *argument)
{
	long result = -1;

	for (int k = 0; result < 0 && k < SLOTS / 2; k++)
		result = ioctl(__atomic_load_n(&slots[k + (upper ? SLOTS / 2 : 0)], __ATOMIC_RELAXED),
			       name, argument);
	return result;
}

/* Memory of ours for the peer; and gone again. */
static long do_expose(void)
{
	struct xsock_exposure exposure = { .length = once_in(8) ? boundary() : length() };
	size_t len = exposure.length, room = sizeof(exposure);
	long result;

	exposure.addr = (uintptr_t)place_in(me->marked, &len);
	if (!once_in(8))
		exposure.length = len;
	if (once_in(40))
		return ioctl(some_half(0), XSOCK_IOC_EXPOSE, place(&room));
	result = each_ioctl(0, XSOCK_IOC_EXPOSE, &exposure);
	if (!result)
		all->shown[pick(HANDLES)] = exposure.handle;
	return result;
}

/* A handle, and sometimes nearly one. */
static struct xsock_handle some_handle(const struct xsock_handle *from)
{
	struct xsock_handle handle = from[pick(HANDLES)];

	if (once_in(6))
		((uint8_t *)&handle)[pick(sizeof(handle))] ^= 1 << pick(8);
	return handle;
}

static long do_conceal(void)
{
	struct xsock_handle handle = some_handle(all->shown);

	return each_ioctl(0, XSOCK_IOC_CONCEAL, &handle);
}

static long do_get(void)
{
	struct xsock_fetch fetch = { .handle = some_handle(all->seen), .length = length() };
	size_t len = fetch.length, room = sizeof(fetch);
	uint8_t *to = place(&len);
	long result;

	fetch.addr = (uintptr_t)to;
	if (!once_in(8))
		fetch.length = pick(len + 1);
	if (once_in(4))
		fetch.offset = once_in(4) ? boundary() : pick(3000);
	if (once_in(40))
		return ioctl(some_half(1), XSOCK_IOC_GET, place(&room));
	result = each_ioctl(1, XSOCK_IOC_GET, &fetch);
	if (!result && fetch.length <= len)
		look_at(to, fetch.length);
	return result;
}

static long do_fcntl(void)
{
	int fd = some_fd();

	switch (pick(5)) {
	case 0:
		return fcntl(fd, F_SETFL, once_in(2) ? O_NONBLOCK : 0);
	case 1:
		return fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
	case 2:
		return fcntl(fd, F_SETOWN, getpid());
	case 3:
		return fcntl(fd, F_SETFL, (int)boundary() & (O_APPEND | O_NONBLOCK | O_ASYNC | O_NOATIME));
	default:
		return fcntl(fd, F_GETFL);
	}
}

/* What the kernel tells of a socket fits together, whatever has been done to it. */
static void look_at_info(const struct xsock_info *info)
{
	if (info->role > XSOCK_ROLE_RX || info->state > XSOCK_STATE_DETACHED)
		odd("role %u, state %u", info->role, info->state);
	if (info->role && (info->size < XSOCK_RING_MIN || info->size > XSOCK_RING_MAX ||
			   info->size & (info->size - 1) || info->prod - info->cons > info->size))
		odd("a ring of %llu bytes, prod %llu, cons %llu", (unsigned long long)info->size,
		    (unsigned long long)info->prod, (unsigned long long)info->cons);
}

static long do_getsockopt(void)
{
	struct xsock_info info = { 0 };
	socklen_t len = sizeof(info);
	size_t room = 256;
	void *to;

	if (once_in(3)) {
		if (getsockopt(some_fd(), SOL_XEN, XSOCK_SO_INFO, &info, &len))
			return -1;
		look_at_info(&info);
		return 0;
	}
	to = place(&room);
	len = once_in(4) ? (socklen_t)boundary() : (socklen_t)pick(room + 1);
	if (len > room)
		len = room;
	switch (pick(3)) {
	case 0:
		return getsockopt(some_fd(), SOL_XEN, pick(5), to, &len);
	case 1:
		return getsockopt(some_fd(), boundary(), pick(100), to, &len);
	default:
		return getsockopt(some_fd(), SOL_SOCKET, pick(90), to, &len);
	}
}

static long do_setsockopt(void)
{
	static const int names[] = { SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVLOWAT, SO_RCVTIMEO,
				     SO_SNDTIMEO, SO_LINGER, SO_KEEPALIVE, SO_PASSCRED };
	uint64_t value[2] = { boundary(), boundary() };
	socklen_t len = once_in(4) ? pick(17) : sizeof(int);
	size_t room = 64;

	switch (pick(6)) {
	case 0:
		return setsockopt(some_fd(), SOL_XEN, pick(5), value, len);
	case 1:
		return setsockopt(some_fd(), SOL_SOCKET, pick(90), value, len);
	case 2:
		return setsockopt(some_fd(), boundary(), pick(100), value, len);
	case 3:
		return setsockopt(some_fd(), SOL_SOCKET, names[pick(9)], place(&room),
				  once_in(2) ? (socklen_t)boundary() : sizeof(int));
	default:
		return setsockopt(some_fd(), SOL_SOCKET, names[pick(9)], value,
				  once_in(2) ? 16 : sizeof(int));
	}
}

static long do_mmap(void)
{
	static const int protections[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_WRITE, PROT_NONE,
					   PROT_READ | PROT_EXEC };
	uint8_t *spot = arena + pick(SPOTS) * SPOT_PAGES * PAGE;
	size_t pages = 1 + pick(SPOT_PAGES);
	off_t first = once_in(20) ? (off_t)(boundary() & ~(PAGE - 1ULL)) : (off_t)pick(6) * PAGE;
	int shared = once_in(20) ? MAP_PRIVATE : MAP_SHARED;
	void *result;

	/* As the library does. */
	if (once_in(2)) {
		pages = 2 + pick(8);
		first = PAGE;
	}
	result = mmap(spot, pages * PAGE, protections[once_in(8) ? pick(5) : pick(2)],
		      shared | MAP_FIXED | (once_in(8) ? MAP_POPULATE : 0), some_fd(), first);
	return result == MAP_FAILED ? -1 : 0;
}

/* The arena is never without a mapping, so that nothing else comes to lie there. */
static long do_munmap(void)
{
	uint8_t *at = arena + pick(SPOTS * SPOT_PAGES) * PAGE;
	size_t len = (1 + pick(8)) * PAGE;

	if (at + len > arena + SPOTS * SPOT_PAGES * PAGE)
		len = arena + SPOTS * SPOT_PAGES * PAGE - at;
	switch (pick(6)) {
	case 0:
		return mprotect(at, len, pick(4));
	case 1:
		return madvise(at, len, once_in(2) ? MADV_DONTNEED : (int)pick(26));
	case 2:
		return msync(at, len, MS_ASYNC << pick(3));
	case 3:
		return mlock(at, len) ? : munlock(at, len);
	default:
		return mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		       MAP_FAILED ? -1 : 0;
	}
}

/* Reads mapped pages, or writes them; what is not there is a signal. */
static long do_touch(void)
{
	volatile uint64_t *at = (volatile uint64_t *)(arena + pick(SPOTS * SPOT_PAGES) * PAGE +
						      (once_in(2) ? pick(4) * 64 : pick(PAGE / 8) * 8));

	if (sigsetjmp(me->fault, 1)) {
		me->touching = 0;
		__atomic_add_fetch(&all->faults, 1, __ATOMIC_RELAXED);
		errno = EFAULT;
		return -1;
	}
	me->touching = 1;
	if (wild && once_in(2))
		*at = once_in(2) ? boundary() : *at + pick(300);
	else
		(void)*at;
	me->touching = 0;
	return 0;
}

static long do_shutdown(void)
{
	return shutdown(some_fd(), once_in(4) ? (int)boundary() : (int)pick(3));
}

static long do_close(void)
{
	int k = pick(SLOTS), fd = __atomic_exchange_n(&slots[k], -1, __ATOMIC_RELAXED);

	return close(fd);
}

static long do_listen(void)
{
	return once_in(2) ? listen(some_fd(), boundary()) : accept4(some_fd(), NULL, NULL, SOCK_NONBLOCK);
}

static long do_dup(void)
{
	if (once_in(2))
		return settle(dup(some_fd()), pick(SLOTS));
	return settle(fcntl(some_fd(), F_DUPFD_CLOEXEC, 0), pick(SLOTS));
}

/* A descriptor goes through an AF_UNIX socket, or stays in it. */
static long do_pass(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} beside;
	char byte = 0;
	struct iovec piece = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &beside,
			      .msg_controllen = sizeof(beside) };
	long n;

	if (once_in(2)) {
		beside.head.cmsg_level = SOL_SOCKET;
		beside.head.cmsg_type = SCM_RIGHTS;
		beside.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&beside.head), &(int){ some_fd() }, sizeof(int));
		return sendmsg(me->pair[0], &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	n = recvmsg(me->pair[1], &msg, MSG_DONTWAIT);
	if (n > 0 && msg.msg_controllen >= CMSG_LEN(sizeof(int)) && beside.head.cmsg_type == SCM_RIGHTS) {
		int fd;

		memcpy(&fd, CMSG_DATA(&beside.head), sizeof(fd));
		settle(fd, pick(SLOTS));
	}
	return n;
}

static long do_uring(void)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	long done = 0;

	/* A ring of io_uring belongs to the process that has made it. */
	if (!me->has_ring || me->child) {
		errno = EAGAIN;
		return -1;
	}
	sqe = io_uring_get_sqe(&me->ring);
	if (sqe) {
		switch (pick(8)) {
		case 0:
			io_uring_prep_poll_add(sqe, some_fd(), POLLIN);
			break;
		case 1:
			io_uring_prep_poll_multishot(sqe, some_fd(), POLLIN | POLLOUT);
			break;
		case 2:
		case 3:
			io_uring_prep_send(sqe, some_half(0), me->marked, 1 + pick(2000), flags_of_send());
			break;
		case 4:
		case 5:
			io_uring_prep_recv(sqe, some_half(1), me->later, 1 + pick(2000), flags_of_recv());
			break;
		case 6:
			io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
			break;
		default:
			io_uring_prep_shutdown(sqe, some_fd(), pick(3));
			break;
		}
		sqe->user_data = 1;
		if (io_uring_submit(&me->ring) < 0)
			return -1;
	}
	while (!io_uring_peek_cqe(&me->ring, &cqe)) {
		done += cqe->res >= 0;
		if (cqe->res < -511)
			odd("io_uring: errno %d", -cqe->res);
		io_uring_cqe_seen(&me->ring, cqe);
	}
	if (!done) {
		errno = EAGAIN;
		return -1;
	}
	return 0;
}

/* What the module tells: its device, its list of sockets. */
static long do_device(void)
{
	static const unsigned long names[] = { XSOCK_CTL_STATUS, XSOCK_CTL_RELEASE,
					       _IO(XSOCK_IOC_MAGIC, 20), XSOCK_IOC_WAKE };
	size_t room = 256;
	long n;
	int fd;

	switch (pick(4)) {
	case 0:
		return read(me->device, place(&room), pick(room));
	case 1:
		return ioctl(me->device, names[pick(4)], place(&room));
	case 2:
		fd = open(XSOCK_DEVICE, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fd;
		n = poll_bits(fd, POLLIN | POLLPRI, 0);
		close(fd);
		return n;
	default:
		fd = open("/proc/net/xensocket", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fd;
		while ((n = read(fd, me->later, 1 + pick(BUFFER))) > 0)
			;
		close(fd);
		return n;
	}
}

/* Everything is cut off, and begins anew. By one thread, that nobody kills. */
static long do_quiesce(void)
{
	long result;

	if (me->number || me->child || !once_in(2)) {
		errno = EAGAIN;
		return -1;
	}
	result = ioctl(me->device, XSOCK_CTL_QUIESCE);
	usleep(pick(20000));
	if (ioctl(me->device, XSOCK_CTL_RELEASE))
		odd("release: %s", strerror(errno));
	return result;
}

static void some_calls(int n);

/* A child with the same descriptors, which does this and that, and goes, or is killed. */
static long do_fork(void)
{
	struct itimerval tick = { { 0, 15000 }, { 0, 15000 } };
	int status, kills = once_in(2);
	pid_t pid;

	if (me->child) {
		errno = EAGAIN;
		return -1;
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		me->child = 1;
		setitimer(ITIMER_REAL, &tick, NULL);
		some_calls(kills ? 100000000 : 10);
		_exit(0);
	}
	if (pid < 0)
		return -1;
	if (kills) {
		usleep(pick(30000));
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && (!kills || WTERMSIG(status) != SIGKILL))
		odd("a child has died of signal %d", WTERMSIG(status));
	/* It may have been about to. */
	drain();
	return 0;
}

/*
 * The kinds of calls, and how often they are made. @own: only the family decides what comes
 * out, so that an errno of the module's inside would be seen. @least: in a hundred calls of
 * the kind, so many succeed in any case; 0: some do, -1: perhaps none.
 */
static const struct kind {
	const char *name;
	long (*call)(void);
	int often;
	int own;
	int least;
} kinds[] = {
	{ "offer", do_offer, 10, 1, 20 },
	{ "connect", do_connect, 20, 1, 0 },
	{ "socket", do_socket, 4, 1, 20 },
	{ "bind", do_bind, 4, 1, 0 },
	{ "name", do_name, 5, 1, 0 },
	{ "send", do_send, 60, 1, 0 },
	{ "sendmsg", do_sendmsg, 30, 1, 0 },
	{ "recv", do_recv, 60, 1, 0 },
	{ "recvmsg", do_recvmsg, 30, 1, 0 },
	{ "splice", do_splice, 10, 0, 0 },
	{ "poll", do_poll, 20, 1, 20 },
	{ "epoll", do_epoll, 20, 1, 10 },
	{ "ioctl", do_ioctl, 15, 1, 0 },
	{ "expose", do_expose, 20, 1, 0 },
	{ "conceal", do_conceal, 8, 1, -1 },
	{ "get", do_get, 30, 1, -1 },
	{ "fcntl", do_fcntl, 10, 1, 20 },
	{ "getsockopt", do_getsockopt, 15, 0, 10 },
	{ "setsockopt", do_setsockopt, 10, 0, 0 },
	{ "mmap", do_mmap, 15, 1, 0 },
	{ "munmap", do_munmap, 6, 0, 10 },
	{ "touch", do_touch, 30, 0, 0 },
	{ "shutdown", do_shutdown, 3, 1, 0 },
	{ "close", do_close, 6, 1, 10 },
	{ "dup", do_dup, 4, 1, 10 },
	{ "pass", do_pass, 10, 0, 0 },
	{ "io_uring", do_uring, 10, 0, 0 },
	{ "device", do_device, 6, 0, 0 },
	{ "fork", do_fork, 2, 0, 10 },
	{ "quiesce", do_quiesce, 1, 0, 0 },
	{ "listen", do_listen, 1, 1, -1 },
	{ "socketpair", do_socketpair, 1, 1, -1 },
};
#define COUNT	((int)(sizeof(kinds) / sizeof(kinds[0])))

static const char *kind_name(int kind)
{
	return kinds[kind].name;
}

/* Codes by which functions of the module, or of the kernel, tell each other something. */
static int inner(int err)
{
	return err == ENODATA || err == EALREADY || err >= 512;
}

static void one_call(void)
{
	static int sum;
	int k, left, err;
	long result;

	if (!sum)
		for (k = left = 0; k < COUNT; k++)
			__atomic_store_n(&sum, left += kinds[k].often, __ATOMIC_RELAXED);
	left = pick(sum);
	for (k = 0; left >= kinds[k].often; k++)
		left -= kinds[k].often;
	errno = 0;
	result = kinds[k].call();
	err = errno;
	__atomic_add_fetch(&all->tried[k], 1, __ATOMIC_RELAXED);
	if (result >= 0) {
		__atomic_add_fetch(&all->done[k], 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_add_fetch(&all->why[k][err < ERRNOS ? err : 0], 1, __ATOMIC_RELAXED);
	if (err >= 512 || (kinds[k].own && inner(err)))
		odd("%s: errno %d", kind_name(k), err);
}

static void some_calls(int n)
{
	while (n--)
		one_call();
}

/* ---- threads and processes ---- */

static void ticked(int signal)
{
	(void)signal;
}

static void faulted(int number)
{
	if (me && me->touching)
		siglongjmp(me->fault, 1);
	signal(number, SIG_DFL);
}

/* Memory that ends where nothing is. */
static uint8_t *buffer(void)
{
	uint8_t *at = mmap(NULL, BUFFER + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(at + BUFFER, PAGE, PROT_NONE);
	return at;
}

static void *caller(void *arg)
{
	struct itimerspec tick = { { 0, TICK_NS }, { 0, TICK_NS } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	timer_t timer;

	me = arg;
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &tick, NULL))
		odd("no timer: %s", strerror(errno));
	some_calls(me->calls);
	timer_delete(timer);
	if (me->has_ring)
		io_uring_queue_exit(&me->ring);
	return NULL;
}

static void make_caller(struct caller *c, uint64_t seed, int number, int calls)
{
	memset(c, 0, sizeof(*c));
	c->seed = seed;
	c->number = number;
	c->calls = calls;
	c->data = buffer();
	c->marked = buffer();
	c->later = buffer();
	fill_marked(c->marked, BUFFER);
	mprotect(c->marked, BUFFER, PROT_READ);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, c->pair) || pipe2(c->pipe, O_NONBLOCK))
		odd("no pipe: %s", strerror(errno));
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->device = open(XSOCK_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	c->file = memfd_create("data", MFD_CLOEXEC);
	if (write(c->file, c->marked, BUFFER) != BUFFER)
		odd("no file: %s", strerror(errno));
	c->has_ring = !io_uring_queue_init(8, &c->ring, 0);
}

/* Never returns. */
static void process(uint64_t seed, int number, int calls)
{
	struct sigaction tick = { .sa_handler = ticked }, fault = { .sa_handler = faulted };
	static struct caller callers[THREADS];
	pthread_t threads[THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(ctl);
	alarm(0);
	sigaction(SIGUSR1, &tick, NULL);
	sigaction(SIGALRM, &tick, NULL);
	sigaction(SIGIO, &tick, NULL);
	sigaction(SIGURG, &tick, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	arena = mmap(NULL, SPOTS * SPOT_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int k = 0; k < SLOTS; k++)
		slots[k] = -1;
	for (int k = 0; k < THREADS; k++) {
		uint64_t own = seed + 0x9e3779b97f4a7c15ULL * (number * THREADS + k + 1);

		rnd(&own);
		make_caller(&callers[k], own | 1, number * THREADS + k, calls);
	}
	for (int k = 0; k < THREADS; k++)
		pthread_create(&threads[k], NULL, caller, &callers[k]);
	for (int k = 0; k < THREADS; k++)
		pthread_join(threads[k], NULL);
	_exit(0);
}

/* Starts the processes, and carries offers both ways until those of both ends have done. */
static void one_round(uint64_t seed, int calls)
{
	int running_here = 0, running_there = 1, status;
	pid_t pid;

	memset(all, 0, sizeof(*all));
	fflush(stdout);
	for (int k = 0; k < PROCESSES; k++) {
		pid = fork();
		if (!pid)
			process(seed, k, calls);
		running_here += check(pid > 0);
	}
	while (running_here || running_there) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			running_here--;
			same(status, 0);
		}
		ctl_write(&running_here, sizeof(running_here));
		ctl_write(all->offered, sizeof(all->offered));
		ctl_read(&running_there, sizeof(running_there));
		ctl_read(all->known, sizeof(all->known));
		ctl_write(all->shown, sizeof(all->shown));
		ctl_read(all->seen, sizeof(all->seen));
		usleep(2000);
	}
}

static void tell_kind(int k)
{
	int most = 0, err = 0;

	for (int e = 0; e < ERRNOS; e++)
		if (all->why[k][e] > (unsigned int)most) {
			most = all->why[k][e];
			err = e;
		}
	printf("# %c callfuzz: %s: %lu of %lu", side, kind_name(k), all->done[k], all->tried[k]);
	if (most)
		printf(", mostly %s", strerrorname_np(err) ? : "?");
	printf("\n");
}

/*
 * Has it done what it was to do? What a few calls meet is chance, the more so between guests that
 * are slow: of these is asked only that they have been made, and that no result was odd.
 */
static void look_at_round(int calls)
{
	const bool many = calls >= CALLS_DEFAULT;
	unsigned long tried = 0, done = 0;

	for (int k = 0; k < COUNT; k++) {
		tell_kind(k);
		tried += all->tried[k];
		done += all->done[k];
		if (!many)
			continue;
		/* Of a kind that is rare all may have failed. */
		if (kinds[k].least > 0 && all->tried[k] > 50)
			check(all->done[k] * 100 >= all->tried[k] * kinds[k].least);
		if (!kinds[k].least && all->tried[k] > 50 && !check(all->done[k] > 0))
			printf("# %c callfuzz: %s has never succeeded\n", side, kind_name(k));
		/* A handle is good on one ring of many, and not for long. */
		if (kinds[k].call == do_get && all->tried[k] > 500)
			check(all->done[k] > 0);
	}
	printf("# %c callfuzz: %s: %lu calls, %lu connections, %lu bytes sent, %lu received, %lu faults\n",
	       side, wild ? "wild" : "tame", tried, all->connected, all->sent, all->received, all->faults);
	check(tried >= (unsigned long)PROCESSES * THREADS * calls);
	check(done > 0);
	if (many)
		check(all->connected >= 5 && all->sent > 10000 && all->received > 10000);
	if (!same(all->odd, 0))
		printf("# %c callfuzz: %s\n", side, all->first);
}

void callfuzz(void)
{
	const char *text = getenv("XSOCK_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
	struct xsock_status status;
	int calls = CALLS_DEFAULT, dev;

	text = getenv("XSOCK_CALLS");
	if (text)
		calls = atoi(text);
	if (side == 'A') {
		ctl_write(&seed, sizeof(seed));
		ctl_write(&calls, sizeof(calls));
		printf("# A callfuzz: seed %llu\n", (unsigned long long)seed);
	} else {
		ctl_read(&seed, sizeof(seed));
		ctl_read(&calls, sizeof(calls));
	}
	check(calls > 0);
	/* A call that takes 20 ms on the average is a hang. */
	alarm(patience(120 + calls / 20));
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(all != MAP_FAILED);
	for (wild = 0; wild < 2; wild++) {
		one_round((seed << 2 | (wild << 1) | (side == 'B')) + 1, calls);
		look_at_round(calls);
		sync_ends();
	}
	munmap(all, sizeof(*all));
	/* Nobody has it quiesced any more. */
	dev = open(XSOCK_DEVICE, O_RDONLY | O_CLOEXEC);
	same(read(dev, &status, sizeof(status)), sizeof(status));
	same(status.state, XSOCK_CTL_RUNNING);
	close(dev);
}
