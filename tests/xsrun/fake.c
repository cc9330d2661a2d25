/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What xs-run's helper needs of libxensocket, without Xen: AF_UNIX sockets for xensockets,
 * for a test build of it (ld --wrap).
 *
 *	FAKE_UPGRADE=CODE	no upgrade succeeds: XSOCK_E* or errno value
 *	FAKE_CUT=N		the first sending xensocket is cut off after N bytes, as by a migration
 *	FAKE_LOSE=1		... and loses its last byte
 */
#include <errno.h>
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

int __real_close(int fd);
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

static bool whole(int fd, void *bytes, size_t len, bool out)
{
	char *p = bytes;

	while (len) {
		ssize_t n = out ? __real_send(fd, p, len, MSG_NOSIGNAL) : __real_recv(fd, p, len, 0);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

int xsock_upgrade(int stream, size_t ring, int flags, int timeout_ms, struct xsock_pair *pair)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX }, peer = own;
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 16;
	static atomic_bool cut;
	int listener;

	(void)ring, (void)flags, (void)timeout_ms;
	*pair = (struct xsock_pair){ -1, -1 };
	if (getenv("FAKE_UPGRADE"))
		return -atoi(getenv("FAKE_UPGRADE"));
	if (getrandom(own.sun_path + 1, 15, 0) != 15)
		return -EIO;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pair->tx = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&own, len) || listen(listener, 1) ||
	    !whole(stream, own.sun_path, 16, true) || !whole(stream, peer.sun_path, 16, false) ||
	    connect(pair->tx, (struct sockaddr *)&peer, len))
		return -EIO;
	pair->rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	__real_close(listener);
	fakes[pair->rx] = (struct fake){ .role = RX };
	fakes[pair->tx] = (struct fake){ .role = TX, .left = -1 };
	if (getenv("FAKE_CUT") && !atomic_exchange(&cut, true))
		fakes[pair->tx].left = atol(getenv("FAKE_CUT"));
	return 0;
}

int xsock_get_info(int fd, struct xsock_info *info)
{
	*info = (struct xsock_info){ .reason = fakes[fd].cut ? XSOCK_REASON_SUSPEND : 0 };
	return 0;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
	struct fake *fake = &fakes[fd];
	ssize_t n;

	if (fake->role != TX || fake->left < 0)
		return __real_send(fd, bytes, len, flags);
	if (!fake->left) {
		fake->cut = true;
		shutdown(fd, SHUT_RDWR);
		errno = ENETRESET;
		return -1;
	}
	n = (long)len < fake->left ? (ssize_t)len : fake->left;
	if (!whole(fd, (void *)(uintptr_t)bytes,
		   (size_t)n - (n == fake->left && getenv("FAKE_LOSE")), true))
		return -1;
	fake->left -= n;
	return n;
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

int __wrap_close(int fd)
{
	if (fd >= 0)
		fakes[fd] = (struct fake){ 0 };
	return __real_close(fd);
}
