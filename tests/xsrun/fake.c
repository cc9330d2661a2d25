/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What xs-run's helper needs of libxensocket, without Xen: AF_UNIX sockets for xensockets,
 * for a test build of it (ld --wrap).
 *
 *	FAKE_UPGRADE=CODE	no upgrade succeeds: XSOCK_E* or errno value
 *	FAKE_CUT=N		the first sending xensocket is cut off after N bytes, as by a migration, or
 *				when they are to end before
 *	FAKE_LOSE=N		... and loses its last N bytes
 *	FAKE_THREAD=N		the N-th thread cannot be had
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xensocket.h>

#include "run.h"

int __real_close(int fd);
int __real_shutdown(int fd, int how);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t len, int flags);

static struct fake {
	enum { NONE, TX, RX } role;
	bool cut;
	long left;		/* until it is cut off; -1: never */
} fakes[4096];

int xsock_family(void)
{
	return AF_UNIX;
}

const char *xsock_strerror(int code)
{
	static __thread char text[32];

	snprintf(text, sizeof(text), "code %d", code);
	return text;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = __real_send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* One round: both say whether all is well so far, and a name, and get the other one's. 0 if it is. */
static int exchange(int stream, int timeout_ms, bool good, char name[16])
{
	char bytes[17] = { (char)good };

	memcpy(bytes + 1, name, 16);
	if (!send_all(stream, bytes, sizeof(bytes)) || !run_receive(stream, bytes, sizeof(bytes), timeout_ms))
		return -ECONNRESET;
	memcpy(name, bytes + 1, 16);
	return !good ? -XSOCK_EFAILED : bytes[0] ? 0 : -XSOCK_EPEERFAILED;
}

/*
 * As the real one, this fails at both ends if it fails at one, also for want of descriptors, and waits
 * for nothing longer than it is told to.
 */
static int handshake(int stream, int timeout_ms, int listener, struct xsock_pair *pair)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX }, peer = own;
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 16;
	char name[16];
	bool good;
	int err;

	good = getrandom(own.sun_path + 1, 15, 0) == 15 && listener >= 0 && pair->tx >= 0 &&
		!bind(listener, (struct sockaddr *)&own, len) && !listen(listener, 1);
	memcpy(name, own.sun_path, 16);
	err = exchange(stream, timeout_ms, good, name);
	if (err)
		return err;
	memcpy(peer.sun_path, name, 16);
	err = exchange(stream, timeout_ms, !connect(pair->tx, (struct sockaddr *)&peer, len), name);
	if (err)
		return err;
	/* The peer has connected. */
	pair->rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return exchange(stream, timeout_ms, pair->rx >= 0, name);
}

int xsock_upgrade(int stream, size_t ring, int flags, int timeout_ms, struct xsock_pair *pair)
{
	static atomic_bool cut;
	int listener, err;

	(void)ring, (void)flags;
	*pair = (struct xsock_pair){ -1, -1 };
	if (getenv("FAKE_UPGRADE"))
		return -atoi(getenv("FAKE_UPGRADE"));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair->tx = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = handshake(stream, timeout_ms, listener, pair);
	__real_close(listener);
	if (err) {
		__real_close(pair->tx);
		__real_close(pair->rx);
		*pair = (struct xsock_pair){ -1, -1 };
		return err;
	}
	fakes[pair->rx] = (struct fake){ .role = RX };
	fakes[pair->tx] = (struct fake){ .role = TX, .left = -1 };
	if (getenv("FAKE_CUT") && !atomic_exchange(&cut, true))
		fakes[pair->tx].left = atol(getenv("FAKE_CUT"));
	return 0;
}

int xsock_get_info(int fd, struct xsock_info *info)
{
	*info = (struct xsock_info){ .reason = fakes[fd].cut ? XSOCK_REASON_SUSPEND : 0, .size = 65536 };
	return 0;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
	struct fake *fake = &fakes[fd];
	long lost, arrive;
	ssize_t n;

	if (fake->role != TX || fake->left < 0)
		return __real_send(fd, bytes, len, flags);
	if (fake->cut) {
		errno = ENETRESET;
		return -1;
	}
	lost = getenv("FAKE_LOSE") ? atol(getenv("FAKE_LOSE")) : 0;
	n = (long)len < fake->left ? (ssize_t)len : fake->left;
	arrive = fake->left - lost;
	if (arrive > n)
		arrive = n;
	if (arrive > 0 && !send_all(fd, bytes, (size_t)arrive))
		return -1;
	fake->left -= n;
	if (!fake->left) {
		fake->cut = true;
		__real_shutdown(fd, SHUT_RDWR);
	}
	return n;
}

int __wrap_shutdown(int fd, int how)
{
	struct fake *fake = &fakes[fd];

	if (fake->role != TX || fake->left < 0)
		return __real_shutdown(fd, how);
	fake->cut = true;
	return __real_shutdown(fd, SHUT_RDWR);
}

/* Who has only ended his stream still listens. */
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags)
{
	ssize_t n = __real_recv(fd, bytes, len, flags);

	if (n || fakes[fd].role != RX || __real_send(fd, "", 1, MSG_NOSIGNAL) == 1)
		return n;
	fakes[fd].cut = true;
	errno = ENETRESET;
	return -1;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
			  void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
			  void *argument)
{
	static atomic_int number;

	if (getenv("FAKE_THREAD") && ++number == atoi(getenv("FAKE_THREAD")))
		return EAGAIN;
	return __real_pthread_create(thread, attributes, function, argument);
}

int __wrap_close(int fd)
{
	if (fd >= 0)
		fakes[fd] = (struct fake){ 0 };
	return __real_close(fd);
}
