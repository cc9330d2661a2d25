/* SPDX-License-Identifier: BSD-3-Clause */
/* The family, and sockets of it. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

XSOCK_PUBLIC int xsock_family(void)
{
	char text[16], *end;
	long family;
	ssize_t n;
	int fd;

	fd = open(XSOCK_SYSFS_FAMILY, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EAFNOSUPPORT : -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EAFNOSUPPORT;
	text[n] = 0;
	family = strtol(text, &end, 10);
	if (end == text || family <= 0 || family > USHRT_MAX)
		return -EAFNOSUPPORT;
	return (int)family;
}

/* A fresh socket; *family gets its number. */
static int xsock_socket(int flags, int *family)
{
	int fd;

	if (flags & ~SOCK_NONBLOCK)
		return -EINVAL;
	*family = xsock_family();
	if (*family < 0)
		return *family;
	fd = socket(*family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	return fd < 0 ? -errno : fd;
}

static int xsock_fail(int fd)
{
	int err = errno;

	close(fd);
	return -err;
}

XSOCK_PUBLIC int xsock_offer_create(unsigned int peer, size_t ring, int flags,
			     struct xsock_offer *offer)
{
	struct sockaddr_xen addr;
	socklen_t len = sizeof(addr);
	int fd, family, size;

	if (peer > USHRT_MAX)
		return -EADDRNOTAVAIL;
	if (ring > XSOCK_RING_MAX)
		return -EINVAL;
	fd = xsock_socket(flags, &family);
	if (fd < 0)
		return fd;
	size = (int)ring;
	if (size && setsockopt(fd, SOL_XEN, XSOCK_SO_RING, &size, sizeof(size)))
		return xsock_fail(fd);
	memset(&addr, 0, sizeof(addr));
	addr.sxen_family = (uint16_t)family;
	addr.sxen_domid = (uint16_t)peer;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len))
		return xsock_fail(fd);
	if (len != sizeof(addr) || addr.sxen_version != XSOCK_VERSION) {
		close(fd);
		return -XSOCK_EVERSION;
	}
	offer->domid = addr.sxen_domid;
	offer->gref = addr.sxen_gref;
	offer->port = addr.sxen_port;
	memcpy(offer->cookie, addr.sxen_cookie, sizeof(offer->cookie));
	return fd;
}

XSOCK_PUBLIC int xsock_connect(const struct xsock_offer *offer, int flags)
{
	struct sockaddr_xen addr;
	int fd, family;

	fd = xsock_socket(flags, &family);
	if (fd < 0)
		return fd;
	memset(&addr, 0, sizeof(addr));
	addr.sxen_family = (uint16_t)family;
	addr.sxen_domid = offer->domid;
	addr.sxen_gref = offer->gref;
	addr.sxen_port = offer->port;
	addr.sxen_version = XSOCK_VERSION;
	memcpy(addr.sxen_cookie, offer->cookie, sizeof(addr.sxen_cookie));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return xsock_fail(fd);
	return fd;
}

XSOCK_PUBLIC int xsock_get_info(int fd, struct xsock_info *info)
{
	socklen_t len = sizeof(*info);

	/* An older module gives a shorter one. */
	memset(info, 0, sizeof(*info));
	return getsockopt(fd, SOL_XEN, XSOCK_SO_INFO, info, &len) ? -errno : 0;
}
