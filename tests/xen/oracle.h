/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables of steps that are run on a pair of AF_UNIX sockets, used one way, and on a
 * pair of AF_XEN sockets. Nothing in a table says what is right: AF_UNIX does. Where
 * AF_XEN does something else on purpose, the step says why, and what; it fails too
 * if there is no such difference.
 */
#ifndef ORACLE_H
#define ORACLE_H

enum op {
	SEND,		/* bytes, flags */
	RECV,		/* bytes, flags */
	WRITE,		/* bytes: by write() */
	READ,		/* bytes: by read() */
	BAD_SEND,	/* from where there is no memory */
	BAD_RECV,
	FILL,		/* send without blocking until it fails */
	DRAIN,		/* receive without blocking until it ends */
	POLL,		/* events: poll(), at once */
	AWAIT,		/* events: poll() until something comes */
	SPIN,		/* events: poll() at once, again and again until something comes */
	SELECT,		/* at once: 1 readable, 2 writable, 4 exceptional */
	EPOLL,		/* events: adds the socket to a new epoll descriptor */
	MODIFY,		/* events */
	EVENT,		/* epoll_wait(): events, or 0 if none comes */
	URING,		/* events: io_uring, POLL_ADD, once */
	MULTISHOT,	/* events: ... again and again */
	COMPLETED,	/* its completion: events, or 0 if none comes */
	SHUT,		/* how */
	CLOSE,
	OPTION,		/* name, number at level SOL_SOCKET */
	TIMEOUT,	/* name, milliseconds */
	NONBLOCK,
	ASYNCIO,	/* O_ASYNC: SIGIO to this thread */
	SIGNALLED,	/* has SIGIO come since the last time? */
	ERROR,		/* SO_ERROR */
	QUEUED,		/* FIONREAD */
	LISTEN,
	ACCEPT,
	PEERNAME,
	FRESH,		/* another socket instead, neither bound nor connected */
	/* For the call that a step with .async has begun: */
	WAITING,	/* does it sleep? */
	SIGNAL,		/* SA_RESTART or 0: signals; does it still sleep? */
	JOIN,		/* its outcome */
};

/**
 * struct outcome - what a step gave
 * @ret: what was returned; -1 with @err
 * @err: errno
 * @pipes: SIGPIPEs that came
 */
struct outcome {
	int ret;
	int err;
	int pipes;
};

/**
 * struct step - one call
 * @end: 'T' transmitter, 'R' receiver, 0 behind the last step
 * @name: of @op
 * @op: which
 * @a: argument
 * @b: argument
 * @async: in a thread; the outcome comes with JOIN
 * @some: how many bytes does not matter, but whether
 * @xen: AF_XEN's outcome,
 * @why: ... which is not AF_UNIX's for this reason
 * @chance: ... or which AF_UNIX's may be, by chance
 */
struct step {
	char end;
	const char *name;
	enum op op;
	int a;
	int b;
	int async;
	int some;
	struct outcome xen;
	const char *why;
	int chance;
};

#define tx(what, ...)	{ .end = 'T', .name = #what, .op = what, ##__VA_ARGS__ }
#define rx(what, ...)	{ .end = 'R', .name = #what, .op = what, ##__VA_ARGS__ }
#define END		{ .end = 0 }
#define ASYNC		.async = 1
#define SOME		.some = 1
/* AF_XEN returns this, or fails with that errno, for a reason. */
#define RETURNS(n, reason)	.xen = { .ret = (n) }, .why = (reason)
/* ... and so does AF_UNIX, unless it loses a race against itself. */
#define RETURNS_ALWAYS(n, reason)	RETURNS(n, reason), .chance = 1
#define FAILS(e, reason)	.xen = { .ret = -1, .err = (e) }, .why = (reason)

#endif
