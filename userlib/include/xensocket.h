/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libxensocket: byte streams between two domains of one Xen host.
 *
 * A xensocket is an ordinary descriptor: send(), recv(), poll(), shutdown() and
 * close() work on it. It carries bytes one way, from the side that made an offer
 * to the side that took it up. This library helps with what the socket calls do
 * not do: finding the family, carrying offers, agreeing over an existing
 * connection, and using the ring without system calls.
 *
 * Conventions
 * -----------
 * Functions that return int or ssize_t return 0, a count or a descriptor, and on
 * failure a negative code: -errno, or minus one of XSOCK_E* below. errno itself is
 * not a result. xsock_strerror() has a text for each.
 *
 * Descriptors that are returned belong to the caller, are close-on-exec, and are
 * closed with close(). Nothing is kept in global variables: different threads may
 * call everything at the same time, on different objects. One object (a struct
 * xsock_map, a stream in xsock_upgrade()) is used by one thread at a time; a
 * transmitter's and a receiver's map are different objects.
 *
 * The header can be used from C (gnu11) and C++.
 */
#ifndef XENSOCKET_H
#define XENSOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <xensocket/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XSOCK_LIB_VERSION	XSOCK_RELEASE

/* ---- errors ---- */

/* Beyond all errno values (which end at 4095). Returned negated. */
#define XSOCK_ENOTONEHOST	5001	/* the two ends are not on one Xen host */
#define XSOCK_EUNAVAILABLE	5002	/* xensockets are not available here */
#define XSOCK_EPEERUNAVAILABLE	5003	/* ... not at the peer's end */
#define XSOCK_ESAMEDOMAIN	5004	/* both ends have one domid: nothing to cross */
#define XSOCK_EQUIESCED		5005	/* quiesced, here or at the peer's end */
#define XSOCK_EPEERRESOURCES	5006	/* the peer has run out of memory or limits */
#define XSOCK_EHANDSHAKE	5007	/* the peer does not speak the handshake */
#define XSOCK_EVERSION		5008	/* another version, of an offer or handshake */
#define XSOCK_EFAILED		5009	/* no xensocket could be made, for another reason */
#define XSOCK_EPEERFAILED	5010	/* ... at the peer's end */

/**
 * xsock_strerror - text for a code
 * @code: errno value or XSOCK_E*, of either sign; 0 is "Success"
 *
 * The string is constant and never freed; for an unknown code a general text.
 */
const char *xsock_strerror(int code);

/* ---- family ---- */

/**
 * xsock_family - number of the socket family in use in this domain
 *
 * It is looked up at each call, as the module may be reloaded with another one.
 * Fails with -EAFNOSUPPORT if the module is not loaded.
 */
int xsock_family(void);

/* ---- offers ---- */

/**
 * struct xsock_offer - what a receiver needs in order to connect
 * @domid: domid of the transmitter
 * @gref: grant reference of its head page
 * @port: its event channel port
 * @cookie: random; whoever knows it may connect, so it is a secret
 *
 * Good for one connect, on the same host, while the transmitter's socket is open
 * and not revoked. The family number is no part of it, since each domain may have
 * its own.
 */
struct xsock_offer {
	uint16_t domid;
	uint32_t gref;
	uint32_t port;
	uint8_t cookie[XSOCK_COOKIE_SIZE];
};

/* Size of the byte string. */
#define XSOCK_OFFER_SIZE	32
/* Size of a buffer for the text, with its terminating zero. */
#define XSOCK_OFFER_TEXT	72

/**
 * xsock_offer_create - a transmitter's socket and its offer
 * @peer: domid of the domain that may connect
 * @ring: bytes in the ring, rounded up to a power of two; 0 for the default
 * @flags: 0 or SOCK_NONBLOCK
 * @offer: gets the offer
 *
 * Returns the socket. Fails with -EAFNOSUPPORT (no module), -EHOSTUNREACH (no such
 * domain on this host), -EADDRNOTAVAIL (own domain, or
 * that is not known), -ENETDOWN (quiesced), -ENOBUFS,
 * -ENOSPC or -ENOMEM (limits), -EPERM.
 */
int xsock_offer_create(unsigned int peer, size_t ring, int flags, struct xsock_offer *offer);

/**
 * xsock_connect - a receiver's socket, connected to an offer
 * @offer: the offer
 * @flags: 0 or SOCK_NONBLOCK
 *
 * Returns the socket. -ECONNREFUSED whatever is wrong with the offer: another host,
 * stale, used, or a wrong cookie. Others as for xsock_offer_create().
 */
int xsock_connect(const struct xsock_offer *offer, int flags);

/* The offer as XSOCK_OFFER_SIZE bytes, the same on every machine. */
void xsock_offer_encode(const struct xsock_offer *offer, uint8_t bytes[XSOCK_OFFER_SIZE]);

/**
 * xsock_offer_decode - an offer from bytes that anybody may have written
 * @bytes: the bytes
 * @len: how many there are; all of them belong to the offer
 * @offer: gets the offer; untouched on failure
 *
 * Fails with -XSOCK_EVERSION for an offer of another version, with -EBADMSG for all
 * that is not exactly what xsock_offer_encode() makes.
 */
int xsock_offer_decode(const void *bytes, size_t len, struct xsock_offer *offer);

/* The offer as one word of printable ASCII: xen1:DOMID:GREF:PORT:COOKIE */
void xsock_offer_format(const struct xsock_offer *offer, char text[XSOCK_OFFER_TEXT]);

/* As xsock_offer_decode(), from a string, which holds nothing else. */
int xsock_offer_parse(const char *text, struct xsock_offer *offer);

/* ---- upgrade ---- */

/**
 * struct xsock_pair - one xensocket each way
 * @tx: to send to the peer
 * @rx: to receive from the peer
 */
struct xsock_pair {
	int tx;
	int rx;
};

/**
 * xsock_upgrade - a pair of xensockets between the ends of a connected stream
 * @stream: a connected stream socket (TCP, AF_UNIX, ...), blocking or not
 * @ring: bytes in the ring of @pair->tx; 0 for the default
 * @flags: 0 or SOCK_NONBLOCK, for the new sockets
 * @timeout_ms: for all of it, more than 0
 * @pair: gets the sockets; -1 each on failure
 *
 * Both sides call it at the same point of their conversation, when nothing that was
 * sent before is unread. Returns 0 with both directions connected, or a code:
 *
 *  -XSOCK_ENOTONEHOST, -XSOCK_ESAMEDOMAIN, -XSOCK_EUNAVAILABLE,
 *  -XSOCK_EPEERUNAVAILABLE, -XSOCK_EQUIESCED, -XSOCK_EPEERRESOURCES, -XSOCK_EFAILED,
 *  -XSOCK_EPEERFAILED, -XSOCK_EVERSION, -ENOBUFS, -ENOSPC, -ENOMEM, -EMFILE, -ENFILE,
 *  -EPERM:
 *	no xensockets, and the stream stands right behind the handshake on both
 *	sides: both know, and can go on with the stream alone.
 *  -XSOCK_EHANDSHAKE, -ETIMEDOUT, -ECONNRESET (the stream has ended), other errno:
 *	the stream is in an unknown position and has to be closed.
 *  -EINVAL: wrong arguments; nothing has been sent.
 *
 * xsock_upgrade_clean() tells the first kind from the others. @stream stays open and
 * the caller's; its flags are not changed. No byte behind the handshake is read. If the
 * last message is lost (a time-out at one side only), the other side has sockets whose
 * peer is closed.
 *
 * The ring is granted to the domain that the peer says it is, so it is as private as
 * the stream is: who can read or forge the stream can take the offer up.
 */
int xsock_upgrade(int stream, size_t ring, int flags, int timeout_ms,
		  struct xsock_pair *pair);

/* Can the stream be used after xsock_upgrade() returned @code? */
bool xsock_upgrade_clean(int code);

/* ---- control device ---- */

/**
 * xsock_ctl_open - a descriptor of /dev/xensocket
 * @writable: also for quiesce and release, which needs the device's permission
 *
 * The descriptor is readable (poll) when state, epoch, holders or host have changed since the last
 * xsock_ctl_read() or since it was opened. -ENOENT: the module is not loaded.
 */
int xsock_ctl_open(bool writable);

/* Newest status; poll() waits for changes after this one. */
int xsock_ctl_read(int ctl, struct xsock_status *status);

/* Revokes all sockets and refuses new ones; returns at once, see xsock_ctl_read(). */
int xsock_ctl_quiesce(int ctl);

/* Admits new sockets again. */
int xsock_ctl_release(int ctl);

/* What is known of a xensocket. */
int xsock_get_info(int fd, struct xsock_info *info);

/* ---- regions: memory that the peer copies from, once ---- */

/**
 * xsock_expose - let the receiver copy from memory
 * @fd: a connected transmitter
 * @at: any address
 * @length: bytes, 1 to XSOCK_REGION_MAX
 * @handle: gets what names it; it travels to the receiver by any means
 *
 * The memory is locked, and counts as that, until xsock_conceal() or until the socket is
 * closed or revoked. Fails with -ENOTCONN, -EPIPE or the reason of a revocation, -EFAULT,
 * -EINVAL, -ENOBUFS, -ENOSPC or -ENOMEM (limits).
 */
int xsock_expose(int fd, const void *at, size_t length, struct xsock_handle *handle);

/*
 * Ends a region: the receiver copies nothing from there any more. -ESTALE: there is none;
 * those of a socket that was revoked have ended. -EBUSY: the receiver's domain does not
 * let go of it.
 */
int xsock_conceal(int fd, const struct xsock_handle *handle);

/**
 * xsock_get - copy from a region of the transmitter
 * @fd: the receiver of the ring that it was exposed on
 * @handle: its name
 * @offset: in the region
 * @to: where to
 * @length: bytes
 *
 * All of them, and 0 is returned; or it is undefined what is at @to. -ESTALE: the region
 * has ended. -EREMOTEIO: the peer's memory cannot be copied. Or -EINVAL, -EFAULT, -ENOMEM,
 * -EOPNOTSUPP (the peer's module has no regions), the reason of a revocation.
 */
int xsock_get(int fd, const struct xsock_handle *handle, uint64_t offset, void *to,
	      size_t length);

/* ---- mapped ring: see xensocket/map.h ---- */

#include <xensocket/map.h>

#ifdef __cplusplus
}
#endif

#endif /* XENSOCKET_H */
