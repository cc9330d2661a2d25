/* SPDX-License-Identifier: GPL-2.0-only */
/* All that differs between kernel versions: runs on Linux 6.1 to 6.12, compiles for later ones. */
#ifndef _XSOCK_COMPAT_H
#define _XSOCK_COMPAT_H

#include <linux/mm.h>
#include <linux/net.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_mod(struct vm_area_struct *vma, vm_flags_t set,
				vm_flags_t clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#endif

/* proto_ops.bind and .connect. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define sockaddr_arg sockaddr
#else
#define sockaddr_arg sockaddr_unsized
#endif

/*
 * SOL_SOCKET options come to the family first, if it asks for that. Where it cannot,
 * the core clamps SO_SNDBUF to net.core.wmem_max and stores twice the value.
 */
static inline void xsock_own_sol_socket(struct socket *sock)
{
#ifdef SOCK_CUSTOM_SOCKOPT
	set_bit(SOCK_CUSTOM_SOCKOPT, &sock->flags);
#endif
}

#endif /* _XSOCK_COMPAT_H */
