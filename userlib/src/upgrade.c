/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a connected stream to a pair of xensockets.
 *
 * There are no roles. In each of three rounds both sides send one message of fixed size
 * and then read one:
 *
 *	hello	"I am this domain", or why there is nothing to be had
 *	offer	a transmitter's socket for the other domain, or why not
 *	result	whether the other one's offer could be taken up
 *
 * When a message of a round, own or peer's, has a status other than 0, both sides have
 * seen it and stop after this round. So each of them knows where in the stream the
 * handshake ends, also when it fails. Documentation/upgrade.md has the layout.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"
#include "bytes.h"

#define MESSAGE_SIZE	48
#define MESSAGE_VERSION	1
#define BODY		8	/* offset of what depends on the kind */

static const uint8_t magic[4] = { 'X', 'S', 'K', 'U' };

enum kind { HELLO = 1, OFFER = 2, RESULT = 3 };

/* As the peer hears of it; numbers are part of the protocol. */
enum status {
	ST_OK = 0,
	ST_UNAVAILABLE = 1,	/* no module, or no Xen */
	ST_NOT_ONE_HOST = 2,	/* the offer or the domid is not valid here */
	ST_RESOURCES = 3,
	ST_QUIESCED = 4,
	ST_FAILED = 5,
};

static enum status status_of(int err)
{
	switch (-err) {
	case 0:
		return ST_OK;
	case XSOCK_EUNAVAILABLE:
		return ST_UNAVAILABLE;
	case XSOCK_ENOTONEHOST:
		return ST_NOT_ONE_HOST;
	case XSOCK_EQUIESCED:
		return ST_QUIESCED;
	case ENOBUFS:
	case ENOSPC:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return ST_RESOURCES;
	default:
		return ST_FAILED;
	}
}

/* What went wrong in this domain, as the caller hears of it. */
static int own_error(int err)
{
	switch (-err) {
	case EAFNOSUPPORT:
	case ENOENT:		/* /dev/xensocket */
	case ENXIO:
	case ENODEV:
		return -XSOCK_EUNAVAILABLE;
	case ECONNREFUSED:
	case EHOSTUNREACH:
		return -XSOCK_ENOTONEHOST;
	case ENETDOWN:
	case ENETRESET:
		return -XSOCK_EQUIESCED;
	case 0:
	case EPERM:
	case ENOBUFS:
	case ENOSPC:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case XSOCK_EUNAVAILABLE:
	case XSOCK_EQUIESCED:
	case XSOCK_EVERSION:
		return err;
	default:
		return -XSOCK_EFAILED;
	}
}

static int peer_error(enum status status)
{
	switch (status) {
	case ST_OK:
		return 0;
	case ST_UNAVAILABLE:
		return -XSOCK_EPEERUNAVAILABLE;
	case ST_NOT_ONE_HOST:
		return -XSOCK_ENOTONEHOST;
	case ST_RESOURCES:
		return -XSOCK_EPEERRESOURCES;
	case ST_QUIESCED:
		return -XSOCK_EQUIESCED;
	default:
		return -XSOCK_EPEERFAILED;
	}
}

XSOCK_PUBLIC bool xsock_upgrade_clean(int code)
{
	switch (code < 0 ? -code : code) {
	case 0:
	case XSOCK_ENOTONEHOST:
	case XSOCK_ESAMEDOMAIN:
	case XSOCK_EUNAVAILABLE:
	case XSOCK_EPEERUNAVAILABLE:
	case XSOCK_EQUIESCED:
	case XSOCK_EPEERRESOURCES:
	case XSOCK_EFAILED:
	case XSOCK_EPEERFAILED:
	case XSOCK_EVERSION:
	case ENOBUFS:
	case ENOSPC:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EPERM:
	case EINVAL:
		return true;
	default:
		return false;
	}
}

/* ---- the stream ---- */

/**
 * struct talk - the conversation
 * @stream: descriptor
 * @end: when it must be over, as xsock_now_ms() counts
 */
struct talk {
	int stream;
	int64_t end;
};

static int talk_wait(const struct talk *talk, short events)
{
	struct pollfd pfd = { .fd = talk->stream, .events = events };
	int64_t left = talk->end - xsock_now_ms();

	if (left <= 0)
		return -ETIMEDOUT;
	/* Interrupted or timed out: the loops around come here again. */
	if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

/*
 * What keeps a failed call from being repeated. An error other than "later" gets a name
 * that is no promise about the position: see xsock_upgrade_clean().
 */
static int talk_error(const struct talk *talk, short events)
{
	switch (errno) {
	case EINTR:
		return 0;
	case EAGAIN:
		return talk_wait(talk, events);
	case EPIPE:
		return -ECONNRESET;
	case ENOTSOCK:
	case EBADF:
	case ENOTCONN:
	case ECONNRESET:
		return -errno;
	default:
		return -EIO;
	}
}

static int talk_send(const struct talk *talk, const uint8_t *bytes)
{
	size_t done = 0;

	while (done < MESSAGE_SIZE) {
		ssize_t n = send(talk->stream, bytes + done, MESSAGE_SIZE - done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		int err = n < 0 ? talk_error(talk, POLLOUT) : 0;

		if (err)
			return err;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Exactly one message: what follows in the stream is not ours. */
static int talk_receive(const struct talk *talk, uint8_t *bytes)
{
	size_t done = 0;

	while (done < MESSAGE_SIZE) {
		ssize_t n = recv(talk->stream, bytes + done, MESSAGE_SIZE - done,
				 MSG_DONTWAIT);
		int err = n < 0 ? talk_error(talk, POLLIN) : n ? 0 : -ECONNRESET;

		if (err)
			return err;
		done += n > 0 ? (size_t)n : 0;
		/* Somebody who talks of other things need not be waited for. */
		if (memcmp(bytes, magic, done < sizeof(magic) ? done : sizeof(magic)))
			return -XSOCK_EHANDSHAKE;
	}
	return 0;
}

/**
 * exchange - one round
 * @talk: the conversation
 * @kind: of both messages
 * @status: own
 * @mine: message to send, of which the body may be filled
 * @theirs: gets the peer's
 *
 * Returns the peer's status, or an error if the stream is no good any more.
 */
static int exchange(const struct talk *talk, enum kind kind, enum status status,
		    uint8_t *mine, uint8_t *theirs)
{
	int err;

	memcpy(mine, magic, sizeof(magic));
	mine[4] = MESSAGE_VERSION;
	mine[5] = (uint8_t)kind;
	put_le16(mine + 6, (uint16_t)status);
	err = talk_send(talk, mine);
	if (!err)
		err = talk_receive(talk, theirs);
	if (err)
		return err;
	/* Only the first message may be of another version: later ones come after it. */
	if (theirs[4] != MESSAGE_VERSION)
		return kind == HELLO ? -XSOCK_EVERSION : -XSOCK_EHANDSHAKE;
	if (theirs[5] != kind)
		return -XSOCK_EHANDSHAKE;
	return get_le16(theirs + 6);
}

/* ---- this domain ---- */

static int own_domid(uint16_t *domid)
{
	struct xsock_status status;
	int ctl, err;

	err = xsock_family();
	if (err < 0)
		return err;
	ctl = xsock_ctl_open(false);
	if (ctl < 0)
		return ctl;
	err = xsock_ctl_read(ctl, &status);
	close(ctl);
	if (err)
		return err;
	if (status.state != XSOCK_CTL_RUNNING)
		return -XSOCK_EQUIESCED;
	if (status.domid == 0xffff)
		return -XSOCK_EUNAVAILABLE;
	*domid = status.domid;
	return 0;
}

/* What a round has come to: 0, or the error that ends the handshake. */
static int outcome(int own, int peer)
{
	if (own)
		return own;
	return peer < 0 ? peer : peer_error((enum status)peer);
}

static int handshake(const struct talk *talk, size_t ring, int flags, struct xsock_pair *pair)
{
	uint8_t mine[MESSAGE_SIZE] = { 0 }, theirs[MESSAGE_SIZE];
	struct xsock_offer offer;
	uint16_t domid = 0, peer_domid;
	int own, peer;

	/*
	 * A negative value of @peer comes before what happened here: it says that
	 * nothing is known of the stream any more.
	 */
	own = own_error(own_domid(&domid));
	put_le16(mine + BODY, domid);
	peer = exchange(talk, HELLO, status_of(own), mine, theirs);
	if (peer < 0 || own || peer)
		return peer < 0 ? peer : outcome(own, peer);
	peer_domid = get_le16(theirs + BODY);
	/* Both sides see this. Also guests of different hosts may have one number. */
	if (peer_domid == domid)
		return -XSOCK_ESAMEDOMAIN;

	memset(mine, 0, sizeof(mine));
	pair->tx = xsock_offer_create(peer_domid, ring, flags, &offer);
	own = pair->tx < 0 ? own_error(pair->tx) : 0;
	if (!own)
		xsock_offer_encode(&offer, mine + BODY);
	peer = exchange(talk, OFFER, status_of(own), mine, theirs);
	if (peer < 0 || own || peer)
		return peer < 0 ? peer : outcome(own, peer);
	if (xsock_offer_decode(theirs + BODY, XSOCK_OFFER_SIZE, &offer) ||
	    offer.domid != peer_domid)
		return -XSOCK_EHANDSHAKE;

	memset(mine, 0, sizeof(mine));
	pair->rx = xsock_connect(&offer, flags);
	own = pair->rx < 0 ? own_error(pair->rx) : 0;
	peer = exchange(talk, RESULT, status_of(own), mine, theirs);
	return peer < 0 ? peer : outcome(own, peer);
}

XSOCK_PUBLIC int xsock_upgrade(int stream, size_t ring, int flags, int timeout_ms,
			       struct xsock_pair *pair)
{
	struct talk talk = { .stream = stream };
	int err;

	pair->tx = -1;
	pair->rx = -1;
	/* What would fail after the first message must not be found out then. */
	if (timeout_ms <= 0 || flags & ~SOCK_NONBLOCK || ring > XSOCK_RING_MAX)
		return -EINVAL;
	talk.end = xsock_now_ms() + timeout_ms;
	err = handshake(&talk, ring, flags, pair);
	if (err) {
		if (pair->tx >= 0)
			close(pair->tx);
		if (pair->rx >= 0)
			close(pair->rx);
		pair->tx = -1;
		pair->rx = -1;
	}
	return err;
}
