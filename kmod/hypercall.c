// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can fail in the hypervisor when a ring is made or memory is got, each in a function of its
 * own: the kernel's fault injection (fail_function) has them fail for tests. Messages need
 * none of these.
 */
#include <linux/error-injection.h>
#include <asm/xen/hypercall.h>

#include "xsock.h"

/* An event channel of ours; as HYPERVISOR_event_channel_op(). */
noinline int xsock_hyper_event(int op, void *arg)
{
	return HYPERVISOR_event_channel_op(op, arg);
}
ALLOW_ERROR_INJECTION(xsock_hyper_event, ERRNO);

/* References for grants; as gnttab_alloc_grant_references(). */
noinline int xsock_hyper_refs(unsigned int n, grant_ref_t *head)
{
	return gnttab_alloc_grant_references(n, head) ? -ENOSPC : 0;
}
ALLOW_ERROR_INJECTION(xsock_hyper_refs, ERRNO);

/* Maps foreign pages. Each operation's own status is what counts, if it returns at all. */
noinline int xsock_hyper_map(struct gnttab_map_grant_ref *ops, struct page **pages,
			     unsigned int n)
{
	return gnttab_map_refs(ops, NULL, pages, n);
}
ALLOW_ERROR_INJECTION(xsock_hyper_map, ERRNO);

/* Copies from or to granted pages: all of it, or an error. */
noinline int xsock_hyper_copy(struct gnttab_copy *ops, unsigned int n)
{
	unsigned int i;

	gnttab_batch_copy(ops, n);
	for (i = 0; i < n; i++)
		if (ops[i].status != GNTST_okay)
			return -EFAULT;
	return 0;
}
ALLOW_ERROR_INJECTION(xsock_hyper_copy, ERRNO);
