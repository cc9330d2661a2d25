/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded to the ranks of a job whose connections are cut: the way between them takes long, as
 * between hosts, and connections break at the worst moment.
 *
 * Whoever connects hears that it is connected, but its first frame is on its way for a while; who
 * accepts finds the connection broken when it writes its first one, SLOW_CUT times. "SLOW N" says
 * how often it did. "TWICE N" says how often a descriptor was closed that was none any more.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Longer than the other end leaves the first try to this one. */
#define ON_ITS_WAY_US	300000

enum made { SEEN, CONNECTED, ACCEPTED };

static _Atomic unsigned char sockets[65536];
static atomic_int connections, cuts, twice;

static void note(int fd, const struct sockaddr *addr, enum made made)
{
	if (fd >= 0 && fd < 65536)
		sockets[fd] = addr && addr->sa_family == AF_INET ? made : SEEN;
}

int connect(int fd, const struct sockaddr *addr, socklen_t size)
{
	int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
	int rc = next(fd, addr, size);

	note(fd, !rc || errno == EINPROGRESS ? addr : NULL, CONNECTED);
	return rc;
}

int accept(int fd, struct sockaddr *addr, socklen_t *size)
{
	int (*next)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "accept");
	int accepted = next(fd, addr, size);

	note(accepted, addr, ACCEPTED);
	return accepted;
}

/* Not on the first connection of all: that is none that is made again. */
static void first(int fd, enum made made)
{
	const char *most = getenv("SLOW_CUT");

	if (!connections++)
		return;
	if (made == CONNECTED) {
		usleep(ON_ITS_WAY_US);
	} else if (cuts < (most ? atoi(most) : 0)) {
		cuts++;
		shutdown(fd, SHUT_RDWR);
	}
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	ssize_t (*next)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
	enum made made = fd >= 0 && fd < 65536 ? atomic_exchange(&sockets[fd], SEEN) : SEEN;

	if (made != SEEN)
		first(fd, made);
	return next(fd, iov, n);
}

int close(int fd)
{
	int (*next)(int) = dlsym(RTLD_NEXT, "close");
	int rc = next(fd);

	twice += fd >= 0 && rc && errno == EBADF;
	return rc;
}

static void __attribute__((destructor)) say(void)
{
	if (cuts)
		fprintf(stderr, "SLOW %d\n", cuts);
	if (twice)
		fprintf(stderr, "TWICE %d\n", twice);
}
