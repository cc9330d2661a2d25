/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ping-pong and streams over each way that two processes have to each other, one after
 * the other and again and again, so that all are measured under the same conditions:
 * TCP, xensockets by system calls, xensockets by mapped rings, libxenvchan; AF_UNIX within
 * one guest. What arrives is compared with what was sent, outside the measured time.
 *
 *	transports serve PORT
 *	transports run ADDRESS PORT RUNS MAXIMUM	between two guests
 *	transports wake ADDRESS PORT			likewise, the receiver sleeps
 *	transports unix RUNS MAXIMUM			between two processes of one
 *
 * Prints CSV: transport,test,bytes,run,repetitions,value,events. The value is
 *
 *	latency		half a round trip, microseconds
 *	stream		one direction, MB/s
 *	rate		the same, messages a second
 *	both		both directions at once, MB/s, their sum
 *	wake		share of a processor that a sleeping receiver uses, percent
 *
 * Events are those that xensockets sent, both ends, for each message; "-" where nobody
 * counts them.
 *
 * "ring" never sleeps while it waits, the others do. libxenvchan is there twice: "vchan"
 * sleeps, "vchan-poll" asks again and again, which its interface has as well. (It asks the
 * peer for a notification each time that it finds nothing.)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xensocket.h>

#include "vchan.h"

#define LARGEST		(16u << 20)
#define RING		(256u << 10)	/* of the xensockets, and of libxenvchan */
#define WANTED		0.4		/* seconds that one measurement may take */
#define SPIN		1000000		/* looks at a mapped ring before one sleeps */
#define PAUSE_MS	500		/* between messages to a receiver that sleeps */

enum transport { STREAM, SOCKET, RING_MAPPED, VCHAN, VCHAN_POLL, TRANSPORTS };
enum test { LATENCY, BANDWIDTH, BOTH, WAKE, TESTS };

/* What the client asks the server to do with it; a zero ends. */
struct order {
	uint32_t transport;
	uint32_t test;
	uint32_t bytes;
	uint32_t repetitions;
};

/* What the server says afterwards. */
struct report {
	uint64_t events;	/* sent */
	uint64_t cpu_us;	/* used */
};

static const char *const test_names[] = { "latency", "stream", "both", "wake" };

static int control;		/* stream to the other end, for orders */
static int data;		/* stream to the other end, to be measured */
static struct xsock_pair sockets = { -1, -1 }, rings = { -1, -1 };
static struct xsock_map *tx, *rx;
static struct libxenvchan *vchan;
static unsigned char *out, *in;

static void die(const char *what, int error)
{
	fprintf(stderr, "transports: %s: %s\n", what, xsock_strerror(error));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void write_all(int fd, const void *from, size_t n)
{
	const char *at = from;
	ssize_t done;

	for (; n; at += done, n -= (size_t)done) {
		done = send(fd, at, n, MSG_NOSIGNAL);
		if (done <= 0)
			die("send", errno);
	}
}

static void read_all(int fd, void *to, size_t n)
{
	char *at = to;
	ssize_t done;

	for (; n; at += done, n -= (size_t)done) {
		done = recv(fd, at, n, 0);
		if (done <= 0)
			die("recv", done ? errno : ECONNRESET);
	}
}

static void ring_write(const void *from, size_t n)
{
	const char *at = from;
	void *to;
	ssize_t room;

	while (n) {
		room = xsock_map_reserve(tx, 1, &to);
		if (room == -EAGAIN) {
			xsock_map_wait(tx, n < RING / 4 ? n : RING / 4, -1);
			continue;
		}
		if (room < 0)
			die("ring, sending", (int)room);
		if ((size_t)room > n)
			room = (ssize_t)n;
		memcpy(to, at, (size_t)room);
		xsock_map_commit(tx, (size_t)room);
		at += room;
		n -= (size_t)room;
	}
}

static void ring_read(void *to, size_t n)
{
	char *at = to;
	const void *from;
	ssize_t have;

	while (n) {
		have = xsock_map_peek(rx, 1, &from);
		if (have == -EAGAIN) {
			xsock_map_wait(rx, 1, -1);
			continue;
		}
		if (have <= 0)
			die("ring, receiving", have ? (int)have : ECONNRESET);
		if ((size_t)have > n)
			have = (ssize_t)n;
		memcpy(at, from, (size_t)have);
		xsock_map_consume(rx, (size_t)have);
		at += have;
		n -= (size_t)have;
	}
}

static void put(enum transport transport, size_t n)
{
	size_t done = 0;

	switch (transport) {
	case STREAM:
		write_all(data, out, n);
		break;
	case SOCKET:
		write_all(sockets.tx, out, n);
		break;
	case RING_MAPPED:
		ring_write(out, n);
		break;
	default:
		while (done < n)
			done += vchan_write(vchan, out + done, n - done, transport == VCHAN);
	}
}

static void get(enum transport transport, size_t n)
{
	size_t done = 0;

	switch (transport) {
	case STREAM:
		read_all(data, in, n);
		break;
	case SOCKET:
		read_all(sockets.rx, in, n);
		break;
	case RING_MAPPED:
		ring_read(in, n);
		break;
	default:
		while (done < n)
			done += vchan_read(vchan, in + done, n - done, transport == VCHAN);
	}
}

/* ---- both directions at once: what can be done without sleeping ---- */

static size_t moved(ssize_t result, const char *what)
{
	if (result < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		die(what, errno);
	return result < 0 ? 0 : (size_t)result;
}

static size_t ring_put_some(const void *from, size_t n)
{
	void *to;
	ssize_t room = xsock_map_reserve(tx, 1, &to);

	if (room == -EAGAIN)
		return 0;
	if (room < 0)
		die("ring, sending", (int)room);
	if ((size_t)room < n)
		n = (size_t)room;
	memcpy(to, from, n);
	xsock_map_commit(tx, n);
	return n;
}

static size_t ring_get_some(void *to, size_t n)
{
	const void *from;
	ssize_t have = xsock_map_peek(rx, 1, &from);

	if (have == -EAGAIN)
		return 0;
	if (have <= 0)
		die("ring, receiving", have ? (int)have : ECONNRESET);
	if ((size_t)have < n)
		n = (size_t)have;
	memcpy(to, from, n);
	xsock_map_consume(rx, n);
	return n;
}

static size_t put_some(enum transport transport, const void *from, size_t n)
{
	switch (transport) {
	case STREAM:
	case SOCKET:
		return moved(send(transport == STREAM ? data : sockets.tx, from, n,
				  MSG_NOSIGNAL | MSG_DONTWAIT), "send");
	case RING_MAPPED:
		return ring_put_some(from, n);
	default:
		return vchan_write(vchan, from, n, false);
	}
}

static size_t get_some(enum transport transport, void *to, size_t n)
{
	ssize_t have;

	switch (transport) {
	case STREAM:
	case SOCKET:
		have = recv(transport == STREAM ? data : sockets.rx, to, n, MSG_DONTWAIT);
		if (!have)
			die("recv", ECONNRESET);
		return moved(have, "recv");
	case RING_MAPPED:
		return ring_get_some(to, n);
	default:
		return vchan_read(vchan, to, n, false);
	}
}

/* Until there may be something to do. */
static void sleep_for(enum transport transport, bool putting, bool getting)
{
	struct pollfd fds[2] = {
		{ .fd = putting ? (transport == STREAM ? data : sockets.tx) : -1, .events = POLLOUT },
		{ .fd = getting ? (transport == STREAM ? data : sockets.rx) : -1, .events = POLLIN },
	};

	if (transport == VCHAN)
		vchan_sleep(vchan);
	else if (transport == STREAM || transport == SOCKET)
		poll(fds, 2, -1);
}

static void both_ways(enum transport transport, size_t bytes, uint64_t messages)
{
	uint64_t all = bytes * messages, put = 0, got = 0;
	size_t n, done;

	while (put < all || got < all) {
		done = 0;
		if (put < all) {
			n = put_some(transport, out + put % bytes, bytes - put % bytes);
			put += n;
			done += n;
		}
		if (got < all) {
			n = get_some(transport, in + got % bytes, bytes - got % bytes);
			got += n;
			done += n;
		}
		if (!done)
			sleep_for(transport, put < all, got < all);
	}
}

/* Until the receiver has said that it sleeps, and some time more. */
static void let_sleep(void)
{
	while (!xsock_crossed(tx->idx.prod, tx->idx.prod + 1, xsock_load(&tx->rx->wake_at)))
		usleep(1000);
	usleep(PAUSE_MS * 1000);
}

/* The bytes of both ends are equal, and differ from one measurement to the next. */
static void prepare(size_t n, unsigned int seed)
{
	size_t i;

	for (i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		out[i] = (unsigned char)(seed >> 16);
	}
	memset(in, 0, n);
}

/* Both ends of a latency test; a stream goes from client to server. */
static void do_order(const struct order *order, bool client)
{
	uint32_t i;

	if (order->test == BOTH) {
		both_ways(order->transport, order->bytes, order->repetitions);
		return;
	}
	for (i = 0; i < order->repetitions; i++) {
		if (client && order->test == WAKE)
			let_sleep();
		if (client)
			put(order->transport, order->bytes);
		if (!client)
			get(order->transport, order->bytes);
		if (order->test != LATENCY)
			continue;
		if (client)
			get(order->transport, order->bytes);
		else
			put(order->transport, order->bytes);
	}
	/* A stream has arrived when the server says so. */
	if (order->test == BANDWIDTH && client)
		get(order->transport, 1);
	if (order->test == BANDWIDTH && !client)
		put(order->transport, 1);
}

static bool events_counted(enum transport transport)
{
	return transport == SOCKET || transport == RING_MAPPED;
}

static uint64_t events(enum transport transport)
{
	struct xsock_info info;
	uint64_t sum = 0;

	if (!events_counted(transport))
		return 0;
	if (xsock_get_info(transport == SOCKET ? sockets.tx : rings.tx, &info) == 0)
		sum += info.events_sent;
	if (xsock_get_info(transport == SOCKET ? sockets.rx : rings.rx, &info) == 0)
		sum += info.events_sent;
	return sum;
}

/* Processor time of this process. */
static uint64_t cpu_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void serve(void)
{
	struct report report;
	struct order order;

	for (;;) {
		read_all(control, &order, sizeof(order));
		if (!order.repetitions)
			return;
		if (order.transport >= TRANSPORTS || order.test >= TESTS || order.bytes > LARGEST)
			die("order", EPROTO);
		prepare(order.bytes, order.bytes + order.test);
		if (rx)
			rx->spin = order.test == WAKE ? 0 : SPIN;
		report.events = events(order.transport);
		report.cpu_us = cpu_us();
		write_all(control, "", 1);
		do_order(&order, false);
		report.cpu_us = cpu_us() - report.cpu_us;
		if (memcmp(in, out, order.bytes))
			die("what arrived differs", EIO);
		report.events = events(order.transport) - report.events;
		write_all(control, &report, sizeof(report));
	}
}

/* One measurement; returns its seconds. The report is of both ends. */
static double measure(const struct order *order, struct report *report)
{
	uint64_t sent;
	char ready;
	double begin;

	prepare(order->bytes, order->bytes + order->test);
	write_all(control, order, sizeof(*order));
	read_all(control, &ready, 1);
	sent = events(order->transport);
	begin = now();
	do_order(order, true);
	begin = now() - begin;
	sent = events(order->transport) - sent;
	read_all(control, report, sizeof(*report));
	report->events += sent;
	if ((order->test == LATENCY || order->test == BOTH) && memcmp(in, out, order->bytes))
		die("what came back differs", EIO);
	return begin;
}

/* How often, so that it takes about the wanted time: found by two short trials. */
static uint32_t repetitions(struct order order)
{
	struct report ignored;
	double each;

	order.repetitions = 2;
	each = measure(&order, &ignored) / 2;
	if (each < WANTED / 20) {
		order.repetitions = (uint32_t)(WANTED / 20 / (each + 1e-9)) + 2;
		if (order.repetitions > 2000)
			order.repetitions = 2000;
		each = measure(&order, &ignored) / order.repetitions;
	}
	each = WANTED / (each + 1e-9);
	return each < 4 ? 4 : each > 200000 ? 200000 : (uint32_t)each;
}

static void print(const char *name, const char *test, const struct order *order, int number,
		  double value, double messages, const struct report *report)
{
	printf("%s,%s,%u,%d,%u,%.3f,", name, test, order->bytes, number, order->repetitions, value);
	if (events_counted(order->transport))
		printf("%.4f\n", (double)report->events / messages);
	else
		puts("-");
	fflush(stdout);
}

/* One measurement of one transport, and what follows from it. */
static void run_one(const char *name, struct order order, int number)
{
	const char *test = test_names[order.test];
	struct report report;
	double took, n;

	order.repetitions = repetitions(order);
	n = order.repetitions;
	took = measure(&order, &report) / n;
	switch (order.test) {
	case LATENCY:
		print(name, test, &order, number, took / 2 * 1e6, 2 * n, &report);
		break;
	case BOTH:
		print(name, test, &order, number, 2 * order.bytes / took / 1e6, 2 * n, &report);
		break;
	default:
		print(name, test, &order, number, order.bytes / took / 1e6, n, &report);
		print(name, "rate", &order, number, 1 / took, n, &report);
	}
}

static void leave(void)
{
	const struct order order = { .repetitions = 0 };

	write_all(control, &order, sizeof(order));
}

static void heading(void)
{
	puts("transport,test,bytes,run,repetitions,value,events");
}

static void run(const char *const names[TRANSPORTS], int runs, uint32_t maximum)
{
	struct order order = { .repetitions = 0 };
	int i;

	heading();
	for (i = 1; i <= runs; i++)
		for (order.test = LATENCY; order.test <= BOTH; order.test++)
			for (order.bytes = 1; order.bytes <= maximum; order.bytes *= 8)
				for (order.transport = 0; order.transport < TRANSPORTS; order.transport++)
					if (names[order.transport])
						run_one(names[order.transport], order, i);
	leave();
}

/* Messages to a receiver that sleeps: what one costs to wake it, and to let it sleep. */
static void wake(void)
{
	struct order order = { RING_MAPPED, WAKE, 1, 2 };
	struct report report;
	double took;

	heading();
	measure(&order, &report);
	order.repetitions = 10;
	took = measure(&order, &report);
	print("ring", "wake", &order, 1, (double)report.cpu_us / took / 1e4, order.repetitions,
	      &report);
	leave();
}

/*
 * The same at both ends: two pairs of xensockets, of which one is mapped if both ends
 * can. Returns whether it is.
 */
static bool make_xensockets(void)
{
	char mapped, theirs;
	int err = xsock_upgrade(control, RING, 0, 60000, &sockets);

	if (!err)
		err = xsock_upgrade(control, RING, 0, 60000, &rings);
	if (err)
		die("no xensockets", err);
	err = xsock_map_open(rings.tx, &tx);
	if (!err)
		err = xsock_map_open(rings.rx, &rx);
	if (err && err != -EOPNOTSUPP)
		die("cannot map", err);
	if (!err)
		tx->spin = rx->spin = SPIN;
	mapped = !err;
	write_all(control, &mapped, 1);
	read_all(control, &theirs, 1);
	return mapped && theirs;
}

static uint16_t own_domid(void)
{
	struct xsock_status status;
	int ctl = xsock_ctl_open(false), err = ctl < 0 ? ctl : xsock_ctl_read(ctl, &status);

	if (err < 0)
		die("own domain", err);
	close(ctl);
	return status.domid;
}

#define NOBODY	0xffff

/* Returns whether there is a libxenvchan pair: the client wants one, and both may have it. */
static bool make_vchan(bool client, bool wanted)
{
	uint16_t own = wanted ? own_domid() : NOBODY, peer;
	char there = 0;

	write_all(control, &own, sizeof(own));
	read_all(control, &peer, sizeof(peer));
	if (own == NOBODY || peer == NOBODY)
		return false;
	if (!client) {
		vchan = vchan_offer(own, peer, RING);
		there = vchan != NULL;
		write_all(control, &there, 1);
		if (there)
			read_all(control, &there, 1);
	} else {
		read_all(control, &there, 1);
		if (there) {
			vchan = vchan_connect(peer);
			there = vchan != NULL;
			write_all(control, &there, 1);
		}
	}
	return there;
}

static int tcp(const char *address, const char *port)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1, i;
	static int listener = -1;

	if (fd < 0)
		die("socket", errno);
	if (address) {
		if (inet_pton(AF_INET, address, &in4.sin_addr) != 1)
			die(address, EINVAL);
		for (i = 0; connect(fd, (struct sockaddr *)&in4, sizeof(in4)); i++) {
			if (errno != ECONNREFUSED || i == 100)
				die("connect", errno);
			usleep(100000);
		}
	} else {
		if (listener < 0) {
			listener = fd;
			setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
			if (bind(listener, (struct sockaddr *)&in4, sizeof(in4)) ||
			    listen(listener, 2))
				die("listen", errno);
		} else {
			close(fd);
		}
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			die("accept", errno);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void both_unix(int runs, uint32_t maximum)
{
	const char *const names[TRANSPORTS] = { "unix" };
	int controls[2], datas[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, controls) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, datas))
		die("socketpair", errno);
	if (fork() == 0) {
		control = controls[0];
		data = datas[0];
		close(controls[1]);
		close(datas[1]);
		serve();
		exit(0);
	}
	control = controls[1];
	data = datas[1];
	close(controls[0]);
	close(datas[0]);
	run(names, runs, maximum);
	wait(NULL);
}

int main(int argc, char **argv)
{
	const char *names[TRANSPORTS] = { "tcp", "xensocket", "ring", "vchan", "vchan-poll" };
	bool client = argc >= 4 && (!strcmp(argv[1], "run") || !strcmp(argv[1], "wake"));

	out = malloc(LARGEST);
	in = malloc(LARGEST);
	if (!out || !in)
		die("memory", ENOMEM);
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		control = tcp(NULL, argv[2]);
		data = tcp(NULL, argv[2]);
		make_xensockets();
		make_vchan(false, true);
		serve();
	} else if (client && argc == (strcmp(argv[1], "run") ? 4 : 6)) {
		control = tcp(argv[2], argv[3]);
		data = tcp(argv[2], argv[3]);
		if (!make_xensockets())
			names[RING_MAPPED] = NULL;
		if (!make_vchan(true, argc == 6))
			names[VCHAN] = names[VCHAN_POLL] = NULL;
		if (argc == 6)
			run(names, atoi(argv[4]), (uint32_t)atoi(argv[5]));
		else if (names[RING_MAPPED])
			wake();
		else
			die("no mapped ring", EOPNOTSUPP);
	} else if (argc == 4 && !strcmp(argv[1], "unix")) {
		both_unix(atoi(argv[2]), (uint32_t)atoi(argv[3]));
	} else {
		fputs("Usage: transports serve PORT | run ADDRESS PORT RUNS MAXIMUM | "
		      "wake ADDRESS PORT | unix RUNS MAXIMUM\n",
		      stderr);
		return 2;
	}
	if (vchan)
		vchan_close(vchan);
	return 0;
}
