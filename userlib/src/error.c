/* SPDX-License-Identifier: BSD-3-Clause */
/* Error texts. */
#include <string.h>

#include "internal.h"

static const struct {
	int code;
	const char *text;
} texts[] = {
	{ 0, "Success" },
	{ XSOCK_ENOTONEHOST, "The two ends are not on one Xen host" },
	{ XSOCK_EUNAVAILABLE, "Xensockets are not available in this domain" },
	{ XSOCK_EPEERUNAVAILABLE, "Xensockets are not available in the peer's domain" },
	{ XSOCK_ESAMEDOMAIN, "Both ends have the same domid" },
	{ XSOCK_EQUIESCED, "Xensockets are quiesced, here or at the peer's end" },
	{ XSOCK_EPEERRESOURCES, "The peer has run out of memory or reached a limit" },
	{ XSOCK_EHANDSHAKE, "The peer does not speak the xensocket handshake" },
	{ XSOCK_EVERSION, "Offer, handshake or kernel module of another version" },
	{ XSOCK_EFAILED, "No xensocket could be made" },
	{ XSOCK_EPEERFAILED, "The peer could not make a xensocket" },
	{ EAFNOSUPPORT, "The xensocket module is not loaded" },
	{ ENETRESET, "Revoked by suspend, migration or quiesce" },
	{ EHOSTDOWN, "The peer has disappeared" },
	{ EPROTO, "The peer broke the ring protocol" },
	{ EBADMSG, "Not an offer" },
	{ ECONNREFUSED, "The offer is not valid here: wrong host, stale, or used" },
	{ EHOSTUNREACH, "No such domain on this host" },
	{ EADDRNOTAVAIL, "Not a domid that can be a peer, or the own domid is not known" },
	{ ENETDOWN, "Xensockets are quiesced" },
	{ ENOBUFS, "A limit was reached: locked memory, sockets or pages" },
	{ ENOSPC, "No space left, or no grant references or event channels" },
	{ ESTALE, "No such region of the peer's, any more" },
	{ EREMOTEIO, "The peer's memory cannot be copied" },
	{ EOPNOTSUPP, "Not possible for this socket or in this kind of guest" },
};

/* strerror() and its kin are localized or per thread: ours is for logs. */
XSOCK_PUBLIC const char *xsock_strerror(int code)
{
	const char *text;
	size_t i;

	/* -INT_MIN does not exist, and is no code either. */
	if (code < 0 && code > -100000)
		code = -code;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == code)
			return texts[i].text;
	text = code > 0 ? strerrordesc_np(code) : NULL;
	return text ? text : "Unknown error";
}
