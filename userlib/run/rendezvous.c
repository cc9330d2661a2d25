/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How two helpers agree about a connection, before it is made.
 *
 * For a port that its program listens on, a helper listens on another one (ports.c).
 * Who wants to connect calls there first:
 *
 *	client					server
 *	ASK port, own address			YES, if this is its client's address, or NO
 *		xsock_upgrade(), see Documentation/upgrade.md
 *	MAIN port				YES
 *		the program's own connection, from that port
 *						TAKEN, when its program has accepted it
 *	CANCEL, if that takes too long		PLAIN, or TAKEN has been sent already
 *
 * A peer that knows nothing of this has the connection refused, or gets 24 bytes on a port of
 * its own; the program's connection carries the program's bytes only. What helpers see of the
 * addresses has to be the same, since by them the server knows the connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/* Limits in ms: a call there; an answer; until the program there accepts. */
#define CALL_MS		1000
#define ANSWER_MS	5000
#define ACCEPT_MS	2000
/*
 * ... and until one that says nothing any more is given up, on whom a connection depends that has been
 * made: his guest may be on its way to another host. Beyond all other limits.
 */
#define GIVE_UP_MS	60000
/* So many calls are answered at once. Who has to wait for that stays on TCP. */
#define CALLS_MAX	256
/* How long, in s, somebody who would not is left alone. */
#define REFUSED_S	30

#define MAGIC		"XSRN"
#define VERSION		2

enum side_kind { ASK = 1, YES, NO, MAIN, TAKEN, CANCEL, PLAIN };

struct side_message {
	uint8_t magic[4];
	uint8_t version;
	uint8_t kind;
	uint16_t port;		/* as the network has it */
	uint8_t address[16];
};

static bool side_send(int fd, enum side_kind kind, uint16_t port, const struct in6_addr *address)
{
	struct side_message message = { .version = VERSION, .kind = (uint8_t)kind, .port = port };

	memcpy(message.magic, MAGIC, sizeof(message.magic));
	if (address)
		memcpy(message.address, address, sizeof(message.address));
	return run_send(fd, &message, sizeof(message));
}

/* 0: none, or no such message. */
static enum side_kind side_receive(int fd, struct side_message *message, int ms)
{
	if (!run_receive(fd, message, sizeof(*message), ms) ||
	    memcmp(message->magic, MAGIC, sizeof(message->magic)) || message->version != VERSION)
		return 0;
	return message->kind;
}

bool run_names(int fd, struct sockaddr_in6 *own, struct sockaddr_in6 *peer)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (own && (getsockname(fd, (struct sockaddr *)&address, &len) ||
		    !run_address(own, &address, len)))
		return false;
	len = sizeof(address);
	return !peer || (!getpeername(fd, (struct sockaddr *)&address, &len) &&
			 run_address(peer, &address, len));
}

int run_family_of(int fd)
{
	socklen_t len = sizeof(int);
	int family = 0;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	return family;
}

static bool same_address(const struct in6_addr *a, const void *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* ---- server ---- */

/**
 * struct pending - a connection that has been agreed about, and not been accepted
 * @next: in the list
 * @client: where it comes from
 * @port: where it goes to
 * @xs: xensockets for it
 * @side: to the client's helper
 * @taken: it has been accepted; not in the list any more
 */
struct pending {
	struct pending *next;
	struct sockaddr_in6 client;
	uint16_t port;
	struct xsock_pair xs;
	int side;
	bool taken;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pending *pendings;
static atomic_int calls;

static bool pending_remove(struct pending *pending)
{
	for (struct pending **p = &pendings; *p; p = &(*p)->next)
		if (*p == pending) {
			*p = pending->next;
			return true;
		}
	return false;
}

static void *serve(void *argument)
{
	struct pending pending = { .side = (int)(intptr_t)argument };
	struct side_message message;
	struct sockaddr_in6 client;
	bool told;
	int err;

	if (side_receive(pending.side, &message, ANSWER_MS) != ASK ||
	    !run_names(pending.side, NULL, &client))
		goto out;
	pending.port = message.port;
	if (!same_address(&client.sin6_addr, message.address) || !run_listens(message.port)) {
		side_send(pending.side, NO, 0, NULL);
		goto out;
	}
	if (!side_send(pending.side, YES, 0, NULL))
		goto out;
	err = xsock_upgrade(pending.side, 0, 0, ANSWER_MS, &pending.xs);
	if (err) {
		run_say("on TCP: %s: %s", run_text(&client), xsock_strerror(err));
		goto out;
	}
	if (side_receive(pending.side, &message, ANSWER_MS) == MAIN) {
		pending.client = client;
		pending.client.sin6_port = message.port;
		pthread_mutex_lock(&lock);
		pending.next = pendings;
		pendings = &pending;
		pthread_mutex_unlock(&lock);
		/* CANCEL, or the end. Or nothing: his guest stands still, and needs an answer later. */
		told = side_send(pending.side, YES, 0, NULL);
		if (told)
			side_receive(pending.side, &message, GIVE_UP_MS);
		pthread_mutex_lock(&lock);
		pending_remove(&pending);
		if (!pending.taken && told)
			side_send(pending.side, PLAIN, 0, NULL);
		pthread_mutex_unlock(&lock);
	}
	if (!pending.taken) {
		close(pending.xs.tx);
		close(pending.xs.rx);
	}
out:
	close(pending.side);
	run_give(pending.taken ? RUN_CALL_PLACES - RUN_PUMP_PLACES : RUN_CALL_PLACES);
	calls--;
	return NULL;
}

void run_answer_call(int listener)
{
	int fd;

	while (calls >= CALLS_MAX && !run_wait(run_over, POLLIN, 10))
		;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			usleep(100000);
		return;
	}
	/* Who is not answered hears of that, and goes on over TCP. */
	if (!run_take(RUN_CALL_PLACES)) {
		close(fd);
		return;
	}
	calls++;
	if (!run_thread(serve, (void *)(intptr_t)fd)) {
		close(fd);
		run_give(RUN_CALL_PLACES);
		calls--;
	}
}

/* Has the client's helper gone, whom serve() has not missed yet? */
static bool gone(int side)
{
	char byte;
	ssize_t n = recv(side, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

int run_accept(int fd)
{
	struct run_pump pump = { .side = -1 };
	struct pending *pending;
	struct work *work;
	int moved = -1;

	if (!run_names(fd, &pump.name.own, &pump.name.peer))
		return -1;
	pthread_mutex_lock(&lock);
	for (pending = pendings; pending; pending = pending->next)
		if (pending->port == pump.name.own.sin6_port &&
		    pending->client.sin6_port == pump.name.peer.sin6_port &&
		    same_address(&pending->client.sin6_addr, &pump.name.peer.sin6_addr) &&
		    !gone(pending->side))
			break;
	pump.tcp = pending ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (pump.tcp < 0) {
		pthread_mutex_unlock(&lock);
		return -1;
	}
	pending_remove(pending);
	pending->taken = true;
	pump.xs = pending->xs;
	work = run_pump_prepare(&pump.xs);
	if (work) {
		moved = run_pump_begin(work, &pump, run_family_of(fd));
	} else {
		close(pump.xs.tx);
		close(pump.xs.rx);
		close(pump.tcp);
	}
	side_send(pending->side, moved < 0 ? PLAIN : TAKEN, 0, NULL);
	pthread_mutex_unlock(&lock);
	if (moved >= 0)
		run_say("accepted: %s: xensockets", run_text(&pump.name.peer));
	else
		run_give(RUN_PUMP_PLACES);
	return moved;
}

/* ---- client ---- */

/* Who did not want, and until when he is left alone. */
static struct refusal {
	struct sockaddr_in6 peer;
	time_t until;
} refusals[64];

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static struct refusal *refusal_of(const struct sockaddr_in6 *peer)
{
	unsigned int sum = peer->sin6_port;

	for (int i = 0; i < 16; i++)
		sum = sum * 31 + peer->sin6_addr.s6_addr[i];
	return &refusals[sum % (sizeof(refusals) / sizeof(refusals[0]))];
}

static bool refused(const struct sockaddr_in6 *peer)
{
	struct refusal *refusal = refusal_of(peer);
	bool yes;

	pthread_mutex_lock(&lock);
	yes = refusal->until > now() && refusal->peer.sin6_port == peer->sin6_port &&
		same_address(&refusal->peer.sin6_addr, &peer->sin6_addr);
	pthread_mutex_unlock(&lock);
	return yes;
}

void run_refuse(const struct sockaddr_in6 *peer, const char *why)
{
	struct refusal *refusal = refusal_of(peer);

	pthread_mutex_lock(&lock);
	refusal->peer = *peer;
	refusal->until = now() + REFUSED_S;
	pthread_mutex_unlock(&lock);
	run_say("on TCP: %s: %s", run_text(peer), why);
}

static bool call(int fd, const struct sockaddr_in6 *to, int family, int ms)
{
	int flags = fcntl(fd, F_GETFL), err = 0;
	struct sockaddr_storage address;
	socklen_t len = run_sockaddr(&address, to, family);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&address, len))
		err = errno;
	if (err == EINPROGRESS) {
		len = sizeof(err);
		if (!run_wait(fd, POLLOUT, ms) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
			err = ETIMEDOUT;
	}
	fcntl(fd, F_SETFL, flags);
	return !err;
}

static bool loopback(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address) ||
		(IN6_IS_ADDR_V4MAPPED(address) &&
		 (address->s6_addr[12] == 127 || !address->s6_addr[12]));
}

/* For which way packets go the rules ask the same of both. */
static bool same_way(int fd, int side)
{
	socklen_t len = IFNAMSIZ, size = sizeof(uint32_t);
	char device[IFNAMSIZ];
	uint32_t mark = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) ||
	    (len && setsockopt(side, SOL_SOCKET, SO_BINDTODEVICE, device, len)))
		return false;
	return !getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &size) &&
		(!mark || !setsockopt(side, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
}

/*
 * A connection from the port that has been announced is taken for ours until the peer's kernel knows
 * that we have gone. He may stand still: then nothing comes from that port for a while.
 */
static void take_back(int side)
{
	int bytes, tries = ANSWER_MS / 10;

	shutdown(side, SHUT_WR);
	/* The end counts as a byte. */
	while (!ioctl(side, SIOCOUTQ, &bytes) && bytes && tries-- && !run_wait(run_over, POLLIN, 10))
		;
}

/* Connected is who is connected, not who will be with his first byte. Returns what was set. */
static int set_fast_open(int fd, int on)
{
	socklen_t len = sizeof(int);
	int was = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &was, &len) || was == on)
		return was;
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
	return was;
}

/* As if nobody had called: the program's own connect() is to find out what there is. */
static void forget_call(int fd)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	connect(fd, &nobody, sizeof(nobody));
}

/* run_connect(), with places for a call. */
static int agree(int fd, const struct sockaddr_in6 *peer)
{
	struct run_pump pump = { .side = -1, .xs = { -1, -1 }, .tcp = -1, .name.peer = *peer };
	struct sockaddr_in6 there = *peer, own, bound;
	struct sockaddr_storage address;
	struct side_message message;
	struct work *work = NULL;
	int family = run_family_of(fd), off = 0, fast_open, err, moved;
	socklen_t len;

	/* Without the module there is nothing to be asked. */
	if (xsock_family() < 0 || !run_names(fd, &bound, NULL))
		return -1;
	there.sin6_port = run_side_port(peer->sin6_port);
	pump.side = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pump.side < 0)
		return -1;
	if (!same_way(fd, pump.side))
		goto failed;
	if (!IN6_IS_ADDR_UNSPECIFIED(&bound.sin6_addr) && !same_address(&bound.sin6_addr,
			"\0\0\0\0\0\0\0\0\0\0\377\377\0\0\0")) {
		own = bound;
		own.sin6_port = 0;
		len = run_sockaddr(&address, &own, family);
		if (bind(pump.side, (struct sockaddr *)&address, len))
			goto failed;
	}
	if (!call(pump.side, &there, family, CALL_MS) || !run_names(pump.side, &own, NULL)) {
		run_refuse(peer, "nobody answers there");
		goto failed;
	}
	if (!side_send(pump.side, ASK, peer->sin6_port, &own.sin6_addr) ||
	    side_receive(pump.side, &message, ANSWER_MS) != YES) {
		run_refuse(peer, "it does not want");
		goto failed;
	}
	err = xsock_upgrade(pump.side, 0, 0, ANSWER_MS, &pump.xs);
	if (err) {
		run_refuse(peer, xsock_strerror(err));
		goto failed;
	}
	/* Known before it is connected: the server tells it by its port. */
	if (!bound.sin6_port) {
		own.sin6_port = 0;
		len = run_sockaddr(&address, &own, family);
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &off, sizeof(off));
		if (bind(fd, (struct sockaddr *)&address, len) || !run_names(fd, &bound, NULL))
			goto failed;
	}
	pump.tcp = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	work = run_pump_prepare(&pump.xs);
	if (pump.tcp < 0 || !work || !side_send(pump.side, MAIN, bound.sin6_port, NULL))
		goto failed;
	if (side_receive(pump.side, &message, ANSWER_MS) != YES) {
		take_back(pump.side);
		goto failed;
	}
	fast_open = set_fast_open(fd, 0);
	if (!call(fd, peer, family, ANSWER_MS) || !run_names(fd, &pump.name.own, NULL)) {
		forget_call(fd);
		set_fast_open(fd, fast_open);
		goto failed;
	}
	moved = run_pump_begin(work, &pump, family);
	if (moved >= 0)
		run_say("connected: %s: xensockets", run_text(peer));
	else
		forget_call(fd);
	return moved;
failed:
	if (work)
		run_pump_cancel(work);
	if (pump.tcp >= 0)
		close(pump.tcp);
	close(pump.side);
	if (pump.xs.tx >= 0) {
		close(pump.xs.tx);
		close(pump.xs.rx);
	}
	return -1;
}

int run_connect(int fd, const struct sockaddr_in6 *peer)
{
	int moved;

	/* Nor is there within one domain. */
	if ((loopback(&peer->sin6_addr) && !getenv("XS_RUN_LOOPBACK")) || refused(peer))
		return -1;
	if (!run_take(RUN_CALL_PLACES)) {
		run_say("on TCP: %s: no descriptors left", run_text(peer));
		return -1;
	}
	moved = agree(fd, peer);
	if (moved < 0)
		run_give(RUN_CALL_PLACES);
	return moved;
}

enum run_verdict run_verdict(int side)
{
	struct side_message message;

	if (!run_wait(side, POLLIN, ACCEPT_MS))
		side_send(side, CANCEL, 0, NULL);
	switch (side_receive(side, &message, GIVE_UP_MS)) {
	case TAKEN:
		return RUN_TAKEN;
	case PLAIN:
		return RUN_PLAIN;
	default:
		return RUN_LOST;
	}
}
