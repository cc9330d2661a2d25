/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause */
/*
 * xensocket: unidirectional byte streams between two domains of one Xen host.
 *
 * The only header shared by the kernel module, user space and the peer domain:
 * addresses, the layout of the shared pages, socket options and ioctls. What
 * the two domains say to each other with it is in Documentation/protocol.md.
 *
 * Transmitter: socket(), bind() to the peer's domid, getsockname() -> offer.
 * Receiver: socket(), connect() to the offer. The offer travels by any means.
 *
 * All integers in shared pages are little-endian, and naturally aligned.
 */
#ifndef _UAPI_XENSOCKET_H
#define _UAPI_XENSOCKET_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The release of all parts; the one place where it stands. */
#define XSOCK_RELEASE		"1.0"

/* Default family number; the one in use is in sysfs, see XSOCK_SYSFS_FAMILY. */
#define AF_XEN_DEFAULT		19
#define XSOCK_SYSFS_FAMILY	"/sys/module/xensocket/parameters/family"
#define XSOCK_DEVICE		"/dev/xensocket"
/* State as text; poll() for POLLPRI waits for changes without holding the module. */
#define XSOCK_SYSFS_STATE	"/sys/class/misc/xensocket/state"

#define XSOCK_VERSION		1
#define XSOCK_COOKIE_SIZE	16
#define XSOCK_PAGE_SIZE		4096

/* Ring sizes in bytes: a power of two; SO_SNDBUF or XSOCK_SO_RING before bind(). */
#define XSOCK_RING_MIN		4096
#define XSOCK_RING_DEFAULT	65536
#define XSOCK_RING_MAX		(16 * 1024 * 1024)

/**
 * struct sockaddr_xen - an address, and an offer
 * @sxen_family: the family number in use
 * @sxen_domid: bind(): domid of the peer that may connect, which cannot be the own
 *	domain. In an offer: domid of the transmitter.
 * @sxen_gref: offer: grant reference of the head page; 0 for bind()
 * @sxen_port: offer: the transmitter's event channel port; 0 for bind()
 * @sxen_version: offer: XSOCK_VERSION; bind() does not look at it
 * @sxen_cookie: offer: random, known to whoever was given the offer
 *
 * An offer is good for one connect(), on the same host, while the transmitter's
 * socket is open and has not been revoked.
 */
struct sockaddr_xen {
	__u16	sxen_family;
	__u16	sxen_domid;
	__u32	sxen_gref;
	__u32	sxen_port;
	__u32	sxen_version;
	__u8	sxen_cookie[XSOCK_COOKIE_SIZE];
};

/* ---- shared pages ---- */

#define XSOCK_HEAD_MAGIC	0x314b5358	/* "XSK1" */
#define XSOCK_HEAD_REFS		1008
#define XSOCK_LIST_REFS		1024

/**
 * struct xsock_head - the page that an offer's grant reference leads to
 * @magic: XSOCK_HEAD_MAGIC
 * @version: XSOCK_VERSION
 * @port: the transmitter's event channel port, equal to the offer's
 * @data_pages: pages of data in the ring, a power of two, 1 to 4096
 * @cookie: equal to the offer's
 * @tx_ref: grant reference of the tx page (read-only)
 * @rx_ref: grant reference of the rx page (writable)
 * @list_pages: 0: @refs are those of the data pages; otherwise the number of
 *	list pages (read-only), whose references are in @refs
 * @taken: 0; written by the receiver, who sees thereby that the page is writable
 * @regions_ref: grant reference of the regions page (writable); 0 if there is none
 * @reserved: 0
 * @refs: grant references
 *
 * Written by the transmitter's kernel before the offer exists, read once by the
 * receiver's kernel. It is not part of the user mapping: a process that could
 * choose references could have the peer map the ring of another user. Therefore
 * it is also granted writable, unlike all that a process of the transmitter's can
 * write, and no receiver accepts an rx page of its own for it. The grant is ended
 * when the receiver has connected.
 */
struct xsock_head {
	__u32	magic;
	__u32	version;
	__u32	port;
	__u32	data_pages;
	__u8	cookie[XSOCK_COOKIE_SIZE];
	__u32	tx_ref;
	__u32	rx_ref;
	__u32	list_pages;
	__u32	taken;
	__u32	regions_ref;
	__u32	reserved[3];
	__u32	refs[XSOCK_HEAD_REFS];
};

/**
 * struct xsock_list - a list page, when the head page is too small
 * @refs: grant references of data pages, in order; the last page may be partly
 *	used. Rules as for struct xsock_head.
 */
struct xsock_list {
	__u32	refs[XSOCK_LIST_REFS];
};

/* Bits of xsock_tx_page.state. Bits are set, never cleared. */
#define XSOCK_TX_FIN		0x01	/* no byte follows after @prod */
#define XSOCK_TX_CLOSED		0x02	/* the socket is closed; let go of the pages */
#define XSOCK_TX_REVOKED	0x04	/* cut off for @reason; let go of the pages */

/* Bits of xsock_rx_page.state. Bits are set, never cleared. */
#define XSOCK_RX_CONNECTED	0x01	/* a receiver has mapped the ring */
#define XSOCK_RX_SHUT		0x02	/* will read no more */
#define XSOCK_RX_CLOSED		0x04	/* the socket is closed */
#define XSOCK_RX_RESET		0x08	/* ... and bytes were left unread */
#define XSOCK_RX_REVOKED	0x10	/* cut off for @reason */
#define XSOCK_RX_LEAVING	0x20	/* about to take the last look at @prod */

/* Values of reason: why a socket was revoked. */
#define XSOCK_REASON_NONE	0
#define XSOCK_REASON_SUSPEND	1	/* the domain is saved or migrates: ENETRESET */
#define XSOCK_REASON_QUIESCE	2	/* asked for by the administrator: ENETRESET */
#define XSOCK_REASON_GONE	3	/* the peer's end has disappeared: EHOSTDOWN */
#define XSOCK_REASON_PROTOCOL	4	/* the peer broke the protocol: EPROTO */

/**
 * struct xsock_tx_page - control page of the transmitter
 * @version: XSOCK_VERSION; constant
 * @data_pages: pages of data in the ring; constant, for the transmitter's own
 *	and the receiver's user space. The kernels do not read it.
 * @prod: bytes published since the beginning: the offset in the stream after the
 *	last one. The byte at offset o lies at o modulo the ring's size. Stored with
 *	release semantics after the data.
 * @wake_at: the transmitter asks for an event when the receiver's @cons reaches
 *	this offset ("I sleep until"). One event at the crossing, none after it.
 * @state: XSOCK_TX_* bits, stored with release semantics after @prod
 * @reason: XSOCK_REASON_*, stored before XSOCK_TX_REVOKED is set in @state
 *
 * Written by the transmitter only, its kernel or the process that has mapped it.
 * Granted read-only to the receiver.
 */
struct xsock_tx_page {
	__u32	version;
	__u32	data_pages;
	__u8	pad0[56];
	__u64	prod;
	__u8	pad1[56];
	__u64	wake_at;
	__u8	pad2[56];
	__u32	state;
	__u32	reason;
	__u8	pad3[XSOCK_PAGE_SIZE - 3 * 64 - 8];
};

/**
 * struct xsock_rx_page - control page of the receiver
 * @pad0: 0
 * @cons: bytes consumed since the beginning; the receiver will not look at them
 *	again. Stored with release semantics after the last look.
 * @wake_at: the receiver asks for an event when the transmitter's @prod reaches
 *	this offset. One event at the crossing, none after it.
 * @state: XSOCK_RX_* bits
 * @reason: XSOCK_REASON_*, stored before XSOCK_RX_REVOKED is set in @state
 *
 * Lies in the transmitter's memory; written by the receiver only, its kernel or
 * the process that has mapped it. Granted writable to the receiver.
 */
struct xsock_rx_page {
	__u8	pad0[64];
	__u64	cons;
	__u8	pad1[56];
	__u64	wake_at;
	__u8	pad2[56];
	__u32	state;
	__u32	reason;
	__u8	pad3[XSOCK_PAGE_SIZE - 3 * 64 - 8];
};

/*
 * Regions: memory of the transmitter's process that the receiver's may copy from. The
 * largest one, and how many a ring has at a time.
 */
#define XSOCK_REGION_MAX	(32 * 1024 * 1024)
#define XSOCK_REGIONS		63
#define XSOCK_REGION_LISTS	11

/**
 * struct xsock_slot - a region, or none
 * @id: random, what its handle has; 0: none. Stored with release semantics after the
 *	rest.
 * @length: bytes, 1 to XSOCK_REGION_MAX
 * @offset: of the first byte in the first page
 * @lists: grant references of list pages (struct xsock_list, read-only), which have
 *	those of the region's pages (read-only), in order
 */
struct xsock_slot {
	__u64	id;
	__u64	length;
	__u32	offset;
	__u32	lists[XSOCK_REGION_LISTS];
};

/**
 * struct xsock_regions - the regions page, which kernels alone see
 * @busy: 1 while the receiver's kernel uses what it has found in a slot; the
 *	transmitter's takes the region's grants back when it is 0, or when the receiver
 *	has let go of the ring. Written by the receiver.
 * @slots: written by the transmitter
 *
 * No process can write here, at either end: who chooses references chooses what is
 * copied, of all that one domain has granted the other, for any user.
 */
struct xsock_regions {
	__u32	busy;
	__u8	pad[60];
	struct xsock_slot slots[XSOCK_REGIONS];
};

/*
 * ---- mapping ----
 *
 * mmap() with MAP_SHARED on the socket's descriptor, at these offsets,
 * counted in pages:
 *
 *	0			rx page
 *	1			tx page
 *	2 to 1+n		the n data pages
 *	2+n to 1+2n		the same data pages again
 *
 * so that a record is contiguous wherever it begins. The transmitter may map
 * all but page 0 writable, the receiver page 0 only: two mappings each, or
 * everything read-only. Where a receiver cannot map (PV guests), mmap() fails
 * with EOPNOTSUPP.
 *
 * Publishing: store the data, store @prod (release), full barrier, load the
 * receiver's @wake_at; if it lies in (old prod, new prod], XSOCK_IOC_WAKE.
 * Sleeping: store the own @wake_at, full barrier, look once more at the peer's
 * index; if nothing has come, poll() the descriptor. Consuming likewise. Changes
 * of state always send an event. One writer at a time: a process that has mapped
 * the ring writable must not use send() or recv() at the same time from another
 * thread.
 *
 * Once the socket has been revoked (state bits of either page, or POLLERR) a
 * receiver's mapping is a private copy with everything that had been published.
 */
#define XSOCK_MMAP_RX_PAGE	0
#define XSOCK_MMAP_TX_PAGE	1
#define XSOCK_MMAP_DATA		2
#define XSOCK_MMAP_PAGES(n)	(2 + 2 * (n))

/* ---- socket options ---- */

#define SOL_XEN			0x5845

/* getsockopt: struct xsock_info; a shorter buffer gets the beginning */
#define XSOCK_SO_INFO		1
/*
 * int: bytes in the ring. Set before bind(); rounded up to a power of two within
 * XSOCK_RING_MIN and _MAX. Equal to SO_SNDBUF, which on kernels without
 * SOCK_CUSTOM_SOCKOPT (6.1) is limited by net.core.wmem_max. The last one counts.
 */
#define XSOCK_SO_RING		2

/* xsock_info.role */
#define XSOCK_ROLE_NONE		0
#define XSOCK_ROLE_TX		1
#define XSOCK_ROLE_RX		2

/* xsock_info.state: how far the socket has come */
#define XSOCK_STATE_NEW		0	/* neither bound nor connected */
#define XSOCK_STATE_OFFERED	1	/* transmitter: nobody has connected yet */
#define XSOCK_STATE_OPEN	2	/* both ends are there */
#define XSOCK_STATE_DETACHED	3	/* nothing is shared any more */

/**
 * struct xsock_info - what can be known of a socket
 * @role: XSOCK_ROLE_*
 * @state: XSOCK_STATE_*
 * @error: errno value of the revocation, 0 if none; not cleared by reading
 * @reason: XSOCK_REASON_*
 * @peer: domid of the peer, 0xffff if none
 * @mapped: 1 if the ring has been mapped writable by a process
 * @reserved: 0
 * @size: bytes in the ring
 * @prod: bytes published
 * @cons: bytes consumed
 * @events_sent: events sent to the peer (each is one hypercall)
 * @events_spared: publications or consumptions that needed none
 * @events_received: events that the peer sent
 * @events_empty: ... of which without news, or too many in a row that nobody looked for
 * @waits: times a system call slept: ring full (transmitter) or empty (receiver)
 * @status_calls: hypercalls to see whether the peer is still there
 * @regions: transmitter: regions that are exposed, or could not be taken back yet
 * @gets: receiver: XSOCK_IOC_GET that have succeeded
 * @get_bytes: ... and bytes that they have copied
 */
struct xsock_info {
	__u32	role;
	__u32	state;
	__u32	error;
	__u32	reason;
	__u16	peer;
	__u16	mapped;
	__u32	reserved;
	__u64	size;
	__u64	prod;
	__u64	cons;
	__u64	events_sent;
	__u64	events_spared;
	__u64	events_received;
	__u64	events_empty;
	__u64	waits;
	__u64	status_calls;
	__u64	regions;
	__u64	gets;
	__u64	get_bytes;
};

/* ---- ioctls on a socket ---- */

#define XSOCK_IOC_MAGIC		0xd7

/* Sends the peer one event: it said that it sleeps. ENOTCONN, or the reason of a
 * revocation, if there is nobody to wake.
 */
#define XSOCK_IOC_WAKE		_IO(XSOCK_IOC_MAGIC, 1)

/**
 * struct xsock_handle - names a region, for both ends
 * @id: as in struct xsock_slot
 * @slot: its index
 * @reserved: 0
 *
 * It travels by any means, and is good on the ring that it was made for.
 */
struct xsock_handle {
	__u64	id;
	__u32	slot;
	__u32	reserved;
};

/**
 * struct xsock_exposure - memory that the receiver may copy from
 * @addr: any address
 * @length: 1 to XSOCK_REGION_MAX
 * @handle: is returned
 */
struct xsock_exposure {
	__u64	addr;
	__u64	length;
	struct xsock_handle handle;
};

/* Connected transmitter: exposes memory, which counts as locked, until XSOCK_IOC_CONCEAL
 * or until the socket is closed or revoked. What is written there meanwhile the receiver
 * may see or not. ENOTCONN; EPIPE or the reason of a revocation; EINVAL, EFAULT; ENOBUFS
 * (limits), ENOSPC (regions, grant references), ENOMEM.
 */
#define XSOCK_IOC_EXPOSE	_IOWR(XSOCK_IOC_MAGIC, 2, struct xsock_exposure)

/* Takes a region back: the receiver cannot copy from it any more. ESTALE: there is none of
 * this name. One that has ended with its ring is no error. EBUSY: the receiver's domain does
 * not let go of it, as an honest one would.
 */
#define XSOCK_IOC_CONCEAL	_IOW(XSOCK_IOC_MAGIC, 3, struct xsock_handle)

/**
 * struct xsock_fetch - copies from a region
 * @handle: of the region
 * @offset: in the region
 * @length: bytes; 0 is fine
 * @addr: where to
 */
struct xsock_fetch {
	struct xsock_handle handle;
	__u64	offset;
	__u64	length;
	__u64	addr;
};

/* Receiver: all bytes, or an error, and then it is undefined what is at @addr. ESTALE (no
 * such region, any more), EREMOTEIO (the peer's memory cannot be copied, or not to there, as
 * into a mapping of another ring), or the reason of a revocation; EINVAL, EFAULT, ENOMEM; EINTR
 * (killed); EOPNOTSUPP (the peer has no regions).
 */
#define XSOCK_IOC_GET		_IOW(XSOCK_IOC_MAGIC, 4, struct xsock_fetch)

/* ---- /dev/xensocket ---- */

#define XSOCK_CTL_RUNNING	0
#define XSOCK_CTL_QUIESCING	1	/* no new sockets; some not revoked yet */
#define XSOCK_CTL_QUIESCED	2	/* all are revoked; what peers still map lingers */

/* holders: who wants it quiesced. It runs again when nobody does. */
#define XSOCK_HELD_BY_USER	1	/* XSOCK_CTL_QUIESCE */
#define XSOCK_HELD_BY_HOST	2	/* dom0, through xenstore */

/**
 * struct xsock_status - state of the module
 * @version: XSOCK_VERSION
 * @state: XSOCK_CTL_*
 * @epoch: rises at each resume (migration, restore, checkpoint), quiesce, release
 * @sockets: bound or connected sockets
 * @attached: ... of which still share pages with a peer
 * @lingering: rings of closed or revoked transmitters that a peer still maps
 * @pages: pages accounted for by all of them
 * @domid: own domid, 0xffff if unknown
 * @holders: XSOCK_HELD_BY_*; 0 in XSOCK_CTL_RUNNING
 * @reserved: 0
 * @host: identity of the host, a UUID; all zero if dom0 does not tell
 *
 * read() gives one of these (at once, the newest). poll() says POLLIN when @epoch,
 * @state, @holders or @host has changed since the last read() of the descriptor, or since it
 * was opened; and, in XSOCK_CTL_QUIESCED, when @lingering has.
 */
struct xsock_status {
	__u32	version;
	__u32	state;
	__u64	epoch;
	__u32	sockets;
	__u32	attached;
	__u32	lingering;
	__u32	pages;
	__u16	domid;
	__u16	holders;
	__u32	reserved;
	__u8	host[16];
};

/* As read(), without touching what poll() says. */
#define XSOCK_CTL_STATUS	_IOR(XSOCK_IOC_MAGIC, 16, struct xsock_status)
/* Refuses new sockets (ENETDOWN) and revokes all others. Returns at once; wait
 * by poll() for XSOCK_CTL_QUIESCED. The descriptor must be open for writing.
 */
#define XSOCK_CTL_QUIESCE	_IO(XSOCK_IOC_MAGIC, 17)
/* Admits new sockets again, unless the host wants it quiesced. The descriptor must be
 * open for writing.
 */
#define XSOCK_CTL_RELEASE	_IO(XSOCK_IOC_MAGIC, 18)

#endif /* _UAPI_XENSOCKET_H */
