// SPDX-License-Identifier: BSD-3-Clause
/* What a user of AF_UNIX expects, as tables for oracle.c. */
#include "xsocktest.h"
#include "oracle.h"

#define TX_EVENTS	(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP | POLLPRI)
/* A receiver has no room to tell of: POLLOUT is asked for where that is the point. */
#define RX_EVENTS	(POLLIN | POLLRDNORM | POLLRDHUP | POLLPRI)
#define END_EVENTS	(POLLRDHUP | POLLHUP | POLLERR)

/* The deliberate differences, in the words of xensocket(7). */
#define ONE_WAY		"one way only"
#define LOWAT		"poll honours SO_RCVLOWAT"
#define PEEK_WAITS	"MSG_PEEK waits for as much as MSG_WAITALL or SO_RCVLOWAT want"
#define NO_OOB		"no out-of-band data"
#define NO_LISTEN	"an offer is connected to, nobody listens"
#define EDGES		"no edge for room where there was enough"
#define ALWAYS		"SIGPIPE with each EPIPE, also of a send that slept"
#define WAITED		"no SIGIO for bytes that recv() slept for, however soon it wakes"
#define RESET		"ECONNRESET by SO_ERROR only, never by send()"

static const struct step rw[] = {
	rx(RECV, 10, MSG_DONTWAIT),
	rx(RECV, 0, MSG_DONTWAIT),
	rx(READ, 0),
	rx(QUEUED),
	tx(SEND, 100),
	rx(QUEUED),
	rx(RECV, 30, MSG_PEEK),
	rx(RECV, 200, MSG_PEEK),
	rx(RECV, 30),
	rx(RECV, 200, MSG_DONTWAIT),
	rx(RECV, 200, MSG_DONTWAIT),
	tx(SEND, 0),
	tx(WRITE, 0),
	rx(RECV, 1, MSG_DONTWAIT),
	tx(WRITE, 50),
	tx(WRITE, 50),
	rx(READ, 100),
	END
};

/* No bytes asked for: read() says so at once, recv() waits for some all the same. */
static const struct step zero[] = {
	tx(SEND, 5),
	rx(RECV, 0),
	rx(RECV, 0, MSG_PEEK),
	rx(RECV, 0, MSG_WAITALL),
	rx(READ, 0),
	rx(RECV, 5),
	rx(RECV, 0, 0, ASYNC),
	rx(WAITING),
	tx(SEND, 1),
	rx(JOIN),
	rx(RECV, 1),
	tx(SHUT, SHUT_WR),
	rx(RECV, 0),
	rx(READ, 0),
	tx(SEND, 0),
	tx(SEND, 0, MSG_NOSIGNAL),
	tx(WRITE, 0),
	END
};

static const struct step waitall[] = {
	rx(RECV, 100, MSG_WAITALL, ASYNC),
	rx(WAITING),
	tx(SEND, 40),
	rx(WAITING),
	tx(SEND, 60),
	rx(JOIN),
	tx(SEND, 40),
	rx(RECV, 100, MSG_WAITALL | MSG_DONTWAIT),
	tx(SEND, 40),
	rx(RECV, 100, MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT),
	rx(RECV, 100, MSG_WAITALL, ASYNC),
	rx(WAITING),
	tx(SHUT, SHUT_WR),
	rx(JOIN),
	rx(RECV, 100, MSG_WAITALL),
	END
};

static const struct step peek[] = {
	rx(RECV, 10, MSG_PEEK, ASYNC),
	rx(WAITING),
	tx(SEND, 40),
	rx(JOIN),
	rx(RECV, 50, MSG_PEEK),
	rx(RECV, 50, MSG_PEEK | MSG_WAITALL, ASYNC),
	rx(WAITING, RETURNS(1, PEEK_WAITS)),
	tx(SEND, 10),
	rx(JOIN, RETURNS(50, PEEK_WAITS)),
	rx(RECV, 50),
	END
};

static const struct step lowat[] = {
	rx(OPTION, SO_RCVLOWAT, 50),
	rx(EPOLL, EPOLLIN | EPOLLRDHUP),
	tx(SEND, 20),
	rx(POLL, RX_EVENTS, RETURNS(0, LOWAT)),
	rx(SELECT, RETURNS(0, LOWAT)),
	rx(EVENT, RETURNS(0, LOWAT)),
	rx(AWAIT, POLLIN, ASYNC),
	rx(WAITING, RETURNS(1, LOWAT)),
	tx(SEND, 30),
	rx(JOIN),
	rx(POLL, RX_EVENTS),
	rx(EVENT),
	rx(RECV, 100),
	tx(SEND, 20),
	rx(RECV, 100, MSG_DONTWAIT),
	rx(RECV, 100, 0, ASYNC),
	rx(WAITING),
	tx(SEND, 30),
	rx(WAITING),
	tx(SEND, 20),
	rx(JOIN),
	/* Lowered while somebody waits. */
	tx(SEND, 20),
	rx(AWAIT, POLLIN, ASYNC),
	rx(WAITING, RETURNS(1, LOWAT)),
	rx(OPTION, SO_RCVLOWAT, 10),
	rx(JOIN),
	rx(OPTION, SO_RCVLOWAT, 50),
	/* Less than asked for, and the end: readable. */
	tx(SHUT, SHUT_WR),
	rx(POLL, RX_EVENTS),
	rx(RECV, 100),
	rx(RECV, 100),
	END
};

static const struct step timeouts[] = {
	rx(TIMEOUT, SO_RCVTIMEO, 100),
	rx(RECV, 10),
	rx(RECV, 10, MSG_PEEK),
	tx(SEND, 40),
	rx(RECV, 100, MSG_WAITALL),
	rx(RECV, 10),
	rx(TIMEOUT, SO_RCVTIMEO, 0),
	rx(RECV, 10, 0, ASYNC),
	rx(WAITING),
	tx(SEND, 10),
	rx(JOIN),
	tx(TIMEOUT, SO_SNDTIMEO, 100),
	tx(FILL),
	tx(SEND, 1),
	tx(SEND, 1, MSG_DONTWAIT),
	tx(TIMEOUT, SO_SNDTIMEO, 0),
	tx(SEND, 1000000, 0, ASYNC, SOME),
	tx(WAITING),
	rx(RECV, 1000000, MSG_WAITALL),
	rx(CLOSE),
	tx(JOIN),
	END
};

static const struct step sigs_rx[] = {
	rx(RECV, 10, 0, ASYNC),
	rx(SIGNAL, 0),
	rx(JOIN),
	rx(RECV, 10, 0, ASYNC),
	rx(SIGNAL, SA_RESTART),
	tx(SEND, 10),
	rx(JOIN),
	/* With a time limit never restarted. */
	rx(TIMEOUT, SO_RCVTIMEO, 30000),
	rx(RECV, 10, 0, ASYNC),
	rx(SIGNAL, 0),
	rx(JOIN),
	/* What has come counts. */
	tx(SEND, 10),
	rx(RECV, 20, MSG_WAITALL, ASYNC),
	rx(WAITING),
	rx(SIGNAL, 0),
	rx(JOIN),
	END
};

static const struct step sigs_tx[] = {
	tx(FILL),
	tx(SEND, 10, 0, ASYNC),
	tx(SIGNAL, 0),
	tx(JOIN),
	tx(SEND, 10, 0, ASYNC),
	tx(SIGNAL, SA_RESTART),
	rx(DRAIN),
	tx(JOIN),
	rx(DRAIN),
	tx(TIMEOUT, SO_SNDTIMEO, 30000),
	tx(FILL),
	tx(SEND, 10, 0, ASYNC),
	tx(SIGNAL, 0),
	tx(JOIN),
	/* What has been sent counts. */
	rx(DRAIN),
	tx(SEND, 1000000, 0, ASYNC, SOME),
	tx(WAITING),
	tx(SIGNAL, 0),
	tx(JOIN),
	rx(DRAIN),
	END
};

static const struct step blocking[] = {
	tx(SEND, 300000, 0, ASYNC),
	tx(WAITING),
	rx(RECV, 300000, MSG_WAITALL),
	tx(JOIN),
	rx(RECV, 10, 0, ASYNC),
	rx(WAITING),
	tx(SEND, 3),
	rx(JOIN),
	END
};

static const struct step full[] = {
	tx(POLL, TX_EVENTS),
	tx(SELECT),
	tx(NONBLOCK),
	rx(NONBLOCK),
	rx(RECV, 1),
	tx(FILL),
	tx(POLL, TX_EVENTS),
	tx(SELECT),
	tx(SEND, 1),
	rx(POLL, RX_EVENTS),
	rx(SELECT, RETURNS(1, ONE_WAY)),
	rx(DRAIN),
	tx(POLL, TX_EVENTS),
	tx(SELECT),
	rx(POLL, RX_EVENTS),
	END
};

static const struct step half[] = {
	tx(SEND, 100),
	tx(SHUT, SHUT_WR),
	tx(SEND, 1, MSG_NOSIGNAL),
	tx(SEND, 1),
	tx(POLL, TX_EVENTS),
	tx(ERROR),
	rx(POLL, RX_EVENTS),
	rx(RECV, 50),
	rx(POLL, RX_EVENTS),
	rx(RECV, 100),
	rx(RECV, 100),
	rx(RECV, 100, MSG_PEEK),
	rx(POLL, RX_EVENTS),
	rx(ERROR),
	tx(SHUT, SHUT_WR),
	tx(SHUT, 7),
	rx(SHUT, SHUT_RD),
	rx(POLL, RX_EVENTS),
	rx(CLOSE),
	tx(POLL, TX_EVENTS),
	END
};

static const struct step read_half[] = {
	tx(SEND, 10),
	rx(SHUT, SHUT_RD),
	rx(POLL, RX_EVENTS),
	rx(RECV, 100),
	rx(RECV, 100),
	tx(POLL, TX_EVENTS),
	tx(SEND, 1),
	tx(SEND, 1, MSG_NOSIGNAL),
	tx(SEND, 0),
	tx(ERROR),
	tx(SHUT, SHUT_WR),
	rx(POLL, RX_EVENTS),
	END
};

/* Shut down under somebody who sleeps. */
static const struct step shut_wakes[] = {
	rx(RECV, 10, 0, ASYNC),
	rx(WAITING),
	rx(SHUT, SHUT_RD),
	rx(JOIN),
	tx(SEND, 1),
	END
};

static const struct step shut_wakes_tx[] = {
	tx(FILL),
	tx(SEND, 10, 0, ASYNC),
	tx(WAITING),
	tx(SHUT, SHUT_WR),
	tx(JOIN, .xen = { -1, EPIPE, 1 }, .why = ALWAYS),
	END
};

static const struct step shut_wakes_peer[] = {
	tx(FILL),
	tx(SEND, 10, 0, ASYNC),
	tx(WAITING),
	rx(SHUT, SHUT_RD),
	tx(JOIN, .xen = { -1, EPIPE, 1 }, .why = ALWAYS),
	END
};

static const struct step rx_closes[] = {
	tx(SEND, 10),
	rx(RECV, 10),
	rx(CLOSE),
	tx(POLL, TX_EVENTS),
	tx(SELECT),
	tx(SEND, 1, MSG_NOSIGNAL),
	tx(SEND, 1),
	tx(WRITE, 1),
	tx(SEND, 0),
	tx(ERROR),
	tx(SHUT, SHUT_WR),
	tx(POLL, TX_EVENTS),
	END
};

static const struct step rx_closes_unread[] = {
	tx(SEND, 10),
	rx(CLOSE),
	tx(POLL, TX_EVENTS),
	tx(SEND, 1, MSG_NOSIGNAL),
	tx(SEND, 1),
	tx(ERROR),
	tx(ERROR),
	tx(POLL, TX_EVENTS),
	END
};

static const struct step rx_closes_asleep[] = {
	tx(SEND, 1000000, 0, ASYNC, SOME),
	tx(WAITING),
	rx(CLOSE),
	tx(JOIN),
	tx(SEND, 1),
	END
};

static const struct step rx_resets_asleep[] = {
	tx(FILL),
	tx(SEND, 1, 0, ASYNC),
	tx(WAITING),
	rx(CLOSE),
	tx(JOIN, .xen = { -1, EPIPE, 1 }, .why = RESET),
	tx(ERROR, RETURNS(ECONNRESET, RESET)),
	END
};

static const struct step tx_closes[] = {
	tx(SEND, 100),
	tx(CLOSE),
	rx(POLL, RX_EVENTS),
	rx(SELECT, RETURNS(1, ONE_WAY)),
	rx(RECV, 60),
	rx(POLL, RX_EVENTS),
	rx(RECV, 100, MSG_WAITALL),
	rx(RECV, 100),
	rx(RECV, 100),
	rx(POLL, RX_EVENTS),
	rx(ERROR),
	END
};

static const struct step tx_closes_asleep[] = {
	rx(RECV, 10, 0, ASYNC),
	rx(WAITING),
	tx(CLOSE),
	rx(JOIN),
	END
};

/* All bits of an end come at once. */
static const struct step end_bits_rx[] = {
	rx(SPIN, END_EVENTS, ASYNC),
	tx(CLOSE),
	rx(JOIN),
	END
};

static const struct step end_bits_tx[] = {
	tx(SPIN, END_EVENTS, ASYNC),
	rx(CLOSE),
	tx(JOIN),
	END
};

static const struct step end_bits_reset[] = {
	tx(SEND, 10),
	tx(SPIN, END_EVENTS, ASYNC),
	rx(CLOSE),
	tx(JOIN),
	END
};

static const struct step awaits[] = {
	rx(AWAIT, POLLIN, ASYNC),
	rx(WAITING),
	tx(SEND, 1),
	rx(JOIN),
	rx(RECV, 1),
	rx(AWAIT, POLLRDHUP, ASYNC),
	rx(WAITING),
	tx(SEND, 1),
	rx(WAITING),
	tx(SHUT, SHUT_WR),
	rx(JOIN),
	rx(AWAIT, 0, ASYNC),
	rx(WAITING),
	tx(CLOSE),
	rx(JOIN),
	END
};

static const struct step awaits_tx[] = {
	tx(FILL),
	tx(AWAIT, POLLOUT, ASYNC),
	tx(WAITING),
	rx(DRAIN),
	tx(JOIN),
	tx(AWAIT, 0, ASYNC),
	tx(WAITING),
	rx(SHUT, SHUT_RD),
	tx(WAITING),
	rx(CLOSE),
	tx(JOIN),
	END
};

static const struct step ep_level[] = {
	rx(EPOLL, EPOLLIN | EPOLLRDHUP),
	rx(EVENT),
	tx(SEND, 10),
	rx(EVENT),
	rx(EVENT),
	rx(RECV, 9),
	rx(EVENT),
	rx(RECV, 1),
	rx(EVENT),
	tx(EPOLL, EPOLLOUT),
	tx(EVENT),
	tx(EVENT),
	tx(FILL),
	tx(EVENT),
	rx(DRAIN),
	tx(EVENT),
	END
};

static const struct step ep_edge[] = {
	rx(EPOLL, EPOLLIN | EPOLLRDHUP | EPOLLET),
	rx(EVENT),
	tx(SEND, 10),
	rx(EVENT),
	rx(EVENT),
	/* Partial reads: no edge by themselves, one for what comes. */
	rx(RECV, 4),
	rx(EVENT),
	tx(SEND, 1),
	rx(EVENT),
	rx(EVENT),
	tx(SEND, 1),
	tx(SEND, 1),
	rx(EVENT),
	rx(EVENT),
	rx(MODIFY, EPOLLIN | EPOLLET),
	rx(EVENT),
	rx(EVENT),
	rx(DRAIN),
	rx(MODIFY, EPOLLIN | EPOLLET),
	rx(EVENT),
	tx(SEND, 1),
	rx(EVENT),
	END
};

static const struct step ep_edge_tx[] = {
	tx(EPOLL, EPOLLOUT | EPOLLET),
	tx(EVENT),
	tx(EVENT),
	tx(SEND, 10),
	tx(EVENT),
	rx(RECV, 10),
	tx(EVENT, RETURNS(0, EDGES)),
	tx(FILL),
	tx(EVENT),
	rx(DRAIN),
	tx(EVENT),
	tx(EVENT),
	/* Again, and again. */
	tx(FILL),
	tx(EVENT),
	rx(DRAIN),
	tx(EVENT),
	tx(FILL),
	rx(DRAIN),
	tx(EVENT),
	END
};

static const struct step ep_oneshot[] = {
	rx(EPOLL, EPOLLIN | EPOLLONESHOT),
	tx(SEND, 1),
	rx(EVENT),
	rx(EVENT),
	tx(SEND, 1),
	rx(EVENT),
	rx(MODIFY, EPOLLIN | EPOLLONESHOT),
	rx(EVENT),
	rx(EVENT),
	rx(RECV, 2),
	rx(MODIFY, EPOLLIN | EPOLLONESHOT),
	rx(EVENT),
	tx(SEND, 1),
	rx(EVENT),
	/* Hanging up does not come through, either. */
	tx(CLOSE),
	rx(EVENT),
	rx(MODIFY, EPOLLIN | EPOLLONESHOT),
	rx(EVENT),
	END
};

static const struct step ep_ends[] = {
	rx(EPOLL, EPOLLIN | EPOLLRDHUP | EPOLLET),
	rx(EVENT),
	tx(SHUT, SHUT_WR),
	rx(EVENT),
	rx(EVENT),
	tx(CLOSE),
	rx(EVENT),
	rx(EVENT),
	END
};

static const struct step ep_ends_tx[] = {
	tx(EPOLL, EPOLLOUT | EPOLLRDHUP | EPOLLET),
	tx(EVENT),
	rx(CLOSE),
	tx(EVENT),
	tx(EVENT),
	END
};

static const struct step ep_ends_reset[] = {
	tx(EPOLL, EPOLLIN),
	tx(SEND, 10),
	tx(EVENT),
	rx(CLOSE),
	tx(EVENT),
	tx(ERROR),
	tx(EVENT),
	END
};

static const struct step uring[] = {
	rx(URING, POLLIN | POLLRDHUP),
	rx(COMPLETED),
	tx(SEND, 10),
	rx(COMPLETED),
	rx(COMPLETED),
	rx(URING, POLLIN | POLLRDHUP),
	rx(COMPLETED),
	rx(RECV, 10),
	rx(URING, POLLIN | POLLRDHUP),
	rx(COMPLETED),
	tx(CLOSE),
	rx(COMPLETED),
	END
};

static const struct step uring_tx[] = {
	tx(URING, POLLOUT),
	tx(COMPLETED),
	tx(FILL),
	tx(URING, POLLOUT),
	tx(COMPLETED),
	rx(DRAIN),
	tx(COMPLETED),
	tx(URING, 0),
	rx(CLOSE),
	tx(COMPLETED),
	END
};

/* A completion for each arrival, whatever is read. */
static const struct step multishot[] = {
	rx(MULTISHOT, POLLIN | POLLRDHUP),
	rx(COMPLETED),
	tx(SEND, 10),
	rx(COMPLETED),
	rx(COMPLETED),
	tx(SEND, 10),
	rx(COMPLETED),
	rx(RECV, 5),
	rx(COMPLETED),
	tx(SEND, 10),
	rx(COMPLETED),
	rx(RECV, 100),
	tx(SEND, 10),
	rx(COMPLETED),
	rx(DRAIN),
	rx(COMPLETED),
	tx(SHUT, SHUT_WR),
	rx(COMPLETED),
	tx(CLOSE),
	rx(COMPLETED),
	END
};

/* One piece is read for each signal, and nothing looked for. */
static const struct step asyncio[] = {
	rx(ASYNCIO),
	rx(SIGNALLED),
	tx(SEND, 10),
	rx(SIGNALLED),
	rx(RECV, 10),
	rx(SIGNALLED),
	tx(SEND, 10),
	rx(SIGNALLED),
	tx(SEND, 10),
	rx(RECV, 10),
	rx(SIGNALLED),
	rx(RECV, 10),
	rx(SIGNALLED),
	/* One that only looks how much is there. */
	tx(SEND, 10),
	rx(SIGNALLED),
	rx(QUEUED),
	tx(SEND, 10),
	rx(SIGNALLED),
	rx(DRAIN),
	rx(SIGNALLED),
	/* ... or at what it is. */
	tx(SEND, 10),
	rx(SIGNALLED),
	rx(RECV, 10, MSG_PEEK),
	rx(SIGNALLED),
	tx(SEND, 10),
	rx(SIGNALLED),
	rx(RECV, 30, MSG_PEEK),
	tx(SEND, 10),
	rx(SIGNALLED),
	rx(DRAIN),
	rx(SIGNALLED),
	/* None for a call that waits for just that. */
	rx(RECV, 20, MSG_WAITALL, ASYNC),
	rx(WAITING),
	rx(WAITING),
	tx(SEND, 20),
	rx(JOIN),
	rx(SIGNALLED, RETURNS_ALWAYS(0, WAITED)),
	tx(SHUT, SHUT_WR),
	rx(SIGNALLED),
	tx(CLOSE),
	rx(SIGNALLED),
	END
};

static const struct step asyncio_tx[] = {
	tx(SEND, 10),
	rx(RECV, 10),
	tx(ASYNCIO),
	tx(FILL),
	tx(SIGNALLED),
	rx(DRAIN),
	tx(SIGNALLED),
	tx(SEND, 10),
	rx(RECV, 10),
	tx(SIGNALLED),
	rx(CLOSE),
	tx(SIGNALLED),
	END
};

/* Not for what the process does itself. */
static const struct step asyncio_own[] = {
	rx(ASYNCIO),
	tx(ASYNCIO),
	rx(OPTION, SO_RCVLOWAT, 2),
	rx(SIGNALLED),
	tx(SHUT, SHUT_WR),
	tx(SIGNALLED),
	rx(SIGNALLED),
	rx(SHUT, SHUT_RD),
	rx(SIGNALLED),
	END
};

static const struct step faults[] = {
	tx(BAD_SEND),
	tx(SEND, 10),
	rx(BAD_RECV),
	rx(RECV, 10),
	rx(BAD_RECV),
	END
};

static const struct step directions[] = {
	rx(SEND, 10, MSG_NOSIGNAL, FAILS(EOPNOTSUPP, ONE_WAY)),
	rx(WRITE, 10, FAILS(EOPNOTSUPP, ONE_WAY)),
	rx(POLL, POLLOUT, RETURNS(0, ONE_WAY)),
	tx(POLL, POLLIN | POLLRDHUP, RETURNS(0, ONE_WAY)),
	tx(RECV, 10, MSG_PEEK | MSG_DONTWAIT, FAILS(EOPNOTSUPP, ONE_WAY)),
	tx(SHUT, SHUT_RD),
	tx(SEND, 10),
	rx(SHUT, SHUT_WR),
	tx(SEND, 10),
	rx(RECV, 20),
	END
};

static const struct step oddities[] = {
	tx(SEND, 1, MSG_OOB, FAILS(EOPNOTSUPP, NO_OOB)),
	rx(RECV, 1, MSG_OOB, FAILS(EOPNOTSUPP, NO_OOB)),
	tx(LISTEN, FAILS(EOPNOTSUPP, NO_LISTEN)),
	tx(ACCEPT, FAILS(EOPNOTSUPP, NO_LISTEN)),
	tx(PEERNAME),
	rx(PEERNAME),
	END
};

static const struct step alone[] = {
	tx(FRESH),
	tx(SEND, 1),
	tx(SEND, 0),
	tx(RECV, 1),
	tx(RECV, 0),
	tx(POLL, TX_EVENTS),
	tx(SELECT),
	tx(QUEUED),
	tx(ERROR),
	tx(PEERNAME),
	tx(EPOLL, EPOLLIN | EPOLLOUT),
	tx(EVENT),
	tx(SHUT, SHUT_RDWR),
	tx(POLL, TX_EVENTS),
	END
};

const struct test_case unix_cases[] = {
	{ .name = "u-rw", .says = "reading, peeking, nothing there", .steps = rw },
	{ .name = "u-zero", .says = "no bytes at all", .steps = zero },
	{ .name = "u-waitall", .says = "MSG_WAITALL", .steps = waitall },
	{ .name = "u-peek", .says = "MSG_PEEK", .steps = peek },
	{ .name = "u-lowat", .says = "SO_RCVLOWAT", .steps = lowat },
	{ .name = "u-timeouts", .says = "SO_RCVTIMEO, SO_SNDTIMEO", .steps = timeouts },
	{ .name = "u-signals-rx", .says = "EINTR, SA_RESTART in recv", .steps = sigs_rx },
	{ .name = "u-signals-tx", .says = "EINTR, SA_RESTART in send", .steps = sigs_tx },
	{ .name = "u-blocking", .says = "calls that wait", .steps = blocking },
	{ .name = "u-full", .says = "O_NONBLOCK, no room", .steps = full },
	{ .name = "u-half", .says = "SHUT_WR of the transmitter", .steps = half },
	{ .name = "u-read-half", .says = "SHUT_RD of the receiver", .steps = read_half },
	{ .name = "u-shut-rx", .says = "SHUT_RD under a sleeping recv", .steps = shut_wakes },
	{ .name = "u-shut-tx", .says = "SHUT_WR under a sleeping send", .steps = shut_wakes_tx },
	{ .name = "u-shut-peer", .says = "SHUT_RD of the peer of a sleeping send",
	  .steps = shut_wakes_peer },
	{ .name = "u-close-rx", .says = "close of the receiver, EPIPE, SIGPIPE",
	  .steps = rx_closes },
	{ .name = "u-unread", .says = "... with bytes unread", .steps = rx_closes_unread },
	{ .name = "u-close-sent", .says = "... under a send that has sent something",
	  .steps = rx_closes_asleep },
	{ .name = "u-close-full", .says = "... under one that has not",
	  .steps = rx_resets_asleep },
	{ .name = "u-close-tx", .says = "close of the transmitter", .steps = tx_closes },
	{ .name = "u-close-sleep", .says = "... under a sleeping recv",
	  .steps = tx_closes_asleep },
	{ .name = "u-bits-rx", .says = "all bits of a close at once: receiver",
	  .steps = end_bits_rx, .times = 10 },
	{ .name = "u-bits-tx", .says = "... transmitter", .steps = end_bits_tx, .times = 10 },
	{ .name = "u-bits-reset", .says = "... with bytes unread", .steps = end_bits_reset,
	  .times = 10 },
	{ .name = "u-await", .says = "poll() that waits: receiver", .steps = awaits },
	{ .name = "u-await-tx", .says = "... transmitter", .steps = awaits_tx },
	{ .name = "u-level", .says = "epoll, level-triggered", .steps = ep_level },
	{ .name = "u-edge", .says = "epoll, edge-triggered receiver", .steps = ep_edge },
	{ .name = "u-edge-tx", .says = "epoll, edge-triggered transmitter",
	  .steps = ep_edge_tx },
	{ .name = "u-oneshot", .says = "EPOLLONESHOT", .steps = ep_oneshot },
	{ .name = "u-ends", .says = "edges of the end: receiver", .steps = ep_ends },
	{ .name = "u-ends-tx", .says = "... transmitter", .steps = ep_ends_tx },
	{ .name = "u-ends-reset", .says = "... with bytes unread", .steps = ep_ends_reset },
	{ .name = "u-uring", .says = "io_uring POLL_ADD: receiver", .steps = uring },
	{ .name = "u-uring-tx", .says = "... transmitter", .steps = uring_tx },
	{ .name = "u-multishot", .says = "... multishot", .steps = multishot },
	{ .name = "u-sigio", .says = "O_ASYNC: receiver", .steps = asyncio },
	{ .name = "u-sigio-tx", .says = "... transmitter", .steps = asyncio_tx },
	{ .name = "u-sigio-own", .says = "... what is one's own doing", .steps = asyncio_own },
	{ .name = "u-faults", .says = "EFAULT", .steps = faults },
	{ .name = "u-directions", .says = "the other way", .steps = directions },
	{ .name = "u-oddities", .says = "what AF_XEN does not do", .steps = oddities },
	{ .name = "u-alone", .says = "neither bound nor connected", .steps = alone },
	{ .name = 0 },
};
