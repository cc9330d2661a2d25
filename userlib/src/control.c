/* SPDX-License-Identifier: BSD-3-Clause */
/* /dev/xensocket */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

XSOCK_PUBLIC int xsock_ctl_open(bool writable)
{
	int fd = open(XSOCK_DEVICE, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

XSOCK_PUBLIC int xsock_ctl_read(int ctl, struct xsock_status *status)
{
	ssize_t n = read(ctl, status, sizeof(*status));

	if (n < 0)
		return -errno;
	return n == sizeof(*status) && status->version == XSOCK_VERSION ? 0 : -XSOCK_EVERSION;
}

XSOCK_PUBLIC int xsock_ctl_quiesce(int ctl)
{
	return ioctl(ctl, XSOCK_CTL_QUIESCE) ? -errno : 0;
}

XSOCK_PUBLIC int xsock_ctl_release(int ctl)
{
	return ioctl(ctl, XSOCK_CTL_RELEASE) ? -errno : 0;
}
