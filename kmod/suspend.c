// SPDX-License-Identifier: GPL-2.0-only
/*
 * Save, restore, migration. Xen's suspend (drivers/xen/manage.c) freezes processes,
 * calls .freeze of devices, and after the domain runs again .restore, or .thaw if it
 * has not moved (checkpoint). So a platform device is what gets us called; PM
 * notifiers are not called on this path.
 *
 * Our works are frozen with the processes: no interrupt may be given back after .freeze,
 * while the kernel suspends and resumes them all.
 *
 * .freeze must not wait for anything that xenstore or a process has to do, and lets
 * no foreign mapping survive: a PV guest could not be saved with one, a PVH guest
 * would keep a hole. Own grants that a peer still maps are ended when we are back: on
 * another host they mean nothing any more, after a checkpoint it may have let go.
 */
#include <linux/err.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/sched/mm.h>

#include "xsock.h"

/* How long peers get to let go of our pages. A bound, because a save must not hang. */
#define XSOCK_FREEZE_MS	500

static int xsock_freeze(struct device *dev)
{
	/* Disks may sleep already: no memory that would have to be written out. */
	unsigned int flags = memalloc_noio_save();

	xsock_detach_all(XSOCK_REASON_SUSPEND, U64_MAX);
	xsock_linger_frozen(XSOCK_FREEZE_MS);
	xsock_forget_domid();
	memalloc_noio_restore(flags);
	return 0;
}

/* Idempotent: which of .thaw and .restore is called does not say what has happened. */
static int xsock_resumed(struct device *dev)
{
	xsock_forget_domid();
	xsock_rude_forget();
	xsock_host_resumed();
	xsock_linger_flush(0);
	return 0;
}

static const struct dev_pm_ops xsock_pm_ops = {
	.freeze		= xsock_freeze,
	.thaw		= xsock_resumed,
	.restore	= xsock_resumed,
};

static struct platform_driver xsock_driver = {
	.driver = {
		.name	= "xensocket",
		.pm	= &xsock_pm_ops,
		/* Without the device nobody would tell us of a suspend. */
		.suppress_bind_attrs = true,
	},
};

static struct platform_device *xsock_device;

int xsock_suspend_init(void)
{
	int err = platform_driver_register(&xsock_driver);

	if (err)
		return err;
	xsock_device = platform_device_register_simple("xensocket", PLATFORM_DEVID_NONE,
						       NULL, 0);
	if (IS_ERR(xsock_device)) {
		platform_driver_unregister(&xsock_driver);
		return PTR_ERR(xsock_device);
	}
	return 0;
}

void xsock_suspend_exit(void)
{
	platform_device_unregister(xsock_device);
	platform_driver_unregister(&xsock_driver);
}
