/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that the peer copies from. */
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

XSOCK_PUBLIC int xsock_expose(int fd, const void *at, size_t length, struct xsock_handle *handle)
{
	struct xsock_exposure expose;

	memset(&expose, 0, sizeof(expose));
	expose.addr = (uintptr_t)at;
	expose.length = length;
	if (ioctl(fd, XSOCK_IOC_EXPOSE, &expose))
		return -errno;
	*handle = expose.handle;
	return 0;
}

XSOCK_PUBLIC int xsock_conceal(int fd, const struct xsock_handle *handle)
{
	return ioctl(fd, XSOCK_IOC_CONCEAL, handle) ? -errno : 0;
}

XSOCK_PUBLIC int xsock_get(int fd, const struct xsock_handle *handle, uint64_t offset, void *to,
			   size_t length)
{
	struct xsock_fetch fetch;

	memset(&fetch, 0, sizeof(fetch));
	fetch.handle = *handle;
	fetch.offset = offset;
	fetch.length = length;
	fetch.addr = (uintptr_t)to;
	return ioctl(fd, XSOCK_IOC_GET, &fetch) ? -errno : 0;
}
