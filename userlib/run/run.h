/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * xs-run: what its parts share.
 *
 * A program that runs under xs-run has preload.so between itself and the C library, and a
 * helper process beside it. The library asks the helper, by a socket of its own, at three
 * calls: listen(), connect() and accept(). What it may get back is one end of an AF_UNIX
 * pair, which it puts in the place of the program's TCP socket; the helper carries what
 * goes through it over xensockets (pump.c). So the program has a descriptor of the kernel's,
 * for which everything works, and the helper outlives it if there is something left to send.
 *
 * Two helpers agree on a connection over another TCP connection (rendezvous.c), before the
 * program's own is made, and never with a byte on that.
 */
#ifndef RUN_H
#define RUN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <xensocket.h>

/* The helper's abstract address, for the library. */
#define RUN_ENV		"XS_RUN"

enum run_kind { RUN_LISTEN = 1, RUN_CONNECT, RUN_ACCEPT };

/* The library's question; the socket that it is about comes with it. */
struct run_request {
	uint32_t kind;
	struct sockaddr_in6 peer;	/* RUN_CONNECT: where to */
};

/* The answer; the new socket comes with it if there is one. */
struct run_answer {
	uint32_t moved;
};

/*
 * Name of the helper's end of a pair, by which the library can tell whom a program's
 * socket seems to be connected to, without remembering anything.
 */
#define RUN_NAME	"\0xs-run"

struct run_name {
	char magic[8];		/* RUN_NAME */
	uint32_t number;	/* of the connection */
	uint32_t helper;	/* its process */
	struct sockaddr_in6 own, peer;
	uint8_t family;		/* of the program's socket: AF_INET, AF_INET6 */
};

/* All addresses are IPv6, or IPv4 mapped to it. False: another family. */
static inline bool run_address(struct sockaddr_in6 *to, const void *from, socklen_t len)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)from;

	*to = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	if (len >= sizeof(*in) && in->sin_family == AF_INET) {
		to->sin6_port = in->sin_port;
		to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
		__builtin_memcpy(to->sin6_addr.s6_addr + 12, &in->sin_addr, 4);
		return true;
	}
	if (len >= sizeof(*to) && in->sin_family == AF_INET6) {
		__builtin_memcpy(to, from, sizeof(*to));
		return true;
	}
	return false;
}

/* As a socket of @family wants it. */
static inline socklen_t run_sockaddr(struct sockaddr_storage *to, const struct sockaddr_in6 *from,
				     int family)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;

	__builtin_memset(to, 0, sizeof(*to));
	if (family == AF_INET6) {
		__builtin_memcpy(to, from, sizeof(*from));
		return sizeof(*from);
	}
	in->sin_family = AF_INET;
	in->sin_port = from->sin6_port;
	__builtin_memcpy(&in->sin_addr, from->sin6_addr.s6_addr + 12, 4);
	return sizeof(*in);
}

/* ---- helper ---- */

/*
 * Descriptors that the helper may still open. Who is about to open some takes places for them first,
 * and gives them back when they are closed; so the helper never finds itself without one for the
 * program's next question, and knows what it cannot do before a peer relies on it.
 */
bool run_take(int places);
void run_give(int places);

/* Readable for ever once there is no program any more, whose ports others may have then. */
extern int run_over;

/* A connection's: of struct run_pump; and the call on which it is agreed about. */
#define RUN_PUMP_PLACES	4
#define RUN_CALL_PLACES	(RUN_PUMP_PLACES + 1)

/* Says it on standard error if xs-run was called with --verbose. */
void run_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* An address as text; good until the thread's next call but three. */
const char *run_text(const struct sockaddr_in6 *address);
/* Milliseconds, of a clock that nobody sets. */
int64_t run_now_ms(void);
/* Waits until @fd is ready for @events; false after @ms (-1: never). */
bool run_wait(int fd, short events, int ms);
/* All or nothing; false at an error or the end. */
bool run_send(int fd, const void *bytes, size_t len);
bool run_receive(int fd, void *bytes, size_t len, int ms);
/* Where a socket is bound, and with whom connected; either may be NULL. False: it is not. */
bool run_names(int fd, struct sockaddr_in6 *own, struct sockaddr_in6 *peer);
int run_family_of(int fd);
/* A detached thread; false if there is none to be had. */
bool run_thread(void *(*function)(void *), void *argument);

/**
 * struct run_pump - a connection of the program's that has moved
 * @app: the helper's end of the pair
 * @xs: xensockets
 * @tcp: the program's own connection: what is to be said when there is no other way
 * @side: the helpers' connection; the connecting end hears there when the other one
 *	has accepted, the accepting end has -1
 * @name: whom it is with
 */
struct run_pump {
	int app;
	struct xsock_pair xs;
	int tcp;
	int side;
	struct run_name name;
};

/*
 * All that it needs to carry a connection by @xs, before a peer relies on that; the places are the
 * caller's. NULL: there are no means.
 */
struct work *run_pump_prepare(const struct xsock_pair *xs);
/* It is not needed. */
void run_pump_cancel(struct work *work);
/*
 * Starts to carry a connection. Takes over all descriptors but @app, and the places for them, and
 * returns the program's end, or -1 if the kernel has no memory; the descriptors are closed then, and the
 * places are the caller's still. @work is gone in either case.
 */
int run_pump_begin(struct work *work, const struct run_pump *pump, int family);
/* How many there are. */
int run_pumps(void);

/* Where helpers meet for a port; both as the network has them. */
uint16_t run_side_port(uint16_t port);
/* Does the program listen there? */
bool run_listens(uint16_t port);
/* Somebody calls there. */
void run_answer_call(int listener);

/* The connecting end hears about its connection. */
enum run_verdict { RUN_TAKEN, RUN_PLAIN, RUN_LOST };
enum run_verdict run_verdict(int side);

/* Says why a connection stays on TCP; others with @peer do for a while, without being asked for. */
void run_refuse(const struct sockaddr_in6 *peer, const char *why);

/* The three questions. Return the program's new socket, or -1. */
void run_listen(int fd);
int run_connect(int fd, const struct sockaddr_in6 *peer);
int run_accept(int fd);

#endif
