/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ping-pong and streams over each way that two processes have to each other, one after
 * the other and again and again, so that all are measured under the same conditions:
 * TCP, xensockets by system calls, xensockets by mapped rings; AF_UNIX within one guest.
 * What arrives is compared with what was sent, outside the measured time.
 *
 *	transports serve PORT
 *	transports run ADDRESS PORT RUNS MAXIMUM	between two guests
 *	transports unix RUNS MAXIMUM			between two processes of one
 *
 * Prints CSV: transport,test,bytes,run,repetitions,value,events. The value is half a
 * round trip in microseconds for the test "latency", MB/s for "stream". Events are
 * those that xensockets sent, both ends, for each message.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xensocket.h>

#define LARGEST		(16u << 20)
#define RING		(256u << 10)	/* of the xensockets */
#define WANTED		0.4		/* seconds that one measurement may take */

enum transport { STREAM, SOCKET, RING_MAPPED, TRANSPORTS };
enum test { LATENCY, BANDWIDTH, TESTS };

/* What the client asks the server to do with it; a zero ends. */
struct order {
	uint32_t transport;
	uint32_t test;
	uint32_t bytes;
	uint32_t repetitions;
};

static const char *const test_names[] = { "latency", "stream" };

static int control;		/* stream to the other end, for orders */
static int data;		/* stream to the other end, to be measured */
static struct xsock_pair sockets = { -1, -1 }, rings = { -1, -1 };
static struct xsock_map *tx, *rx;
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
	switch (transport) {
	case STREAM:
		write_all(data, out, n);
		break;
	case SOCKET:
		write_all(sockets.tx, out, n);
		break;
	default:
		ring_write(out, n);
	}
}

static void get(enum transport transport, size_t n)
{
	switch (transport) {
	case STREAM:
		read_all(data, in, n);
		break;
	case SOCKET:
		read_all(sockets.rx, in, n);
		break;
	default:
		ring_read(in, n);
	}
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

	for (i = 0; i < order->repetitions; i++) {
		if (client)
			put(order->transport, order->bytes);
		if (!client)
			get(order->transport, order->bytes);
		if (order->test == BANDWIDTH)
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

static uint64_t events(enum transport transport)
{
	struct xsock_info info;
	uint64_t sum = 0;

	if (transport == STREAM)
		return 0;
	if (xsock_get_info(transport == SOCKET ? sockets.tx : rings.tx, &info) == 0)
		sum += info.events_sent;
	if (xsock_get_info(transport == SOCKET ? sockets.rx : rings.rx, &info) == 0)
		sum += info.events_sent;
	return sum;
}

static void serve(void)
{
	struct order order;
	uint64_t before, sent;

	for (;;) {
		read_all(control, &order, sizeof(order));
		if (!order.repetitions)
			return;
		if (order.transport >= TRANSPORTS || order.test >= TESTS || order.bytes > LARGEST)
			die("order", EPROTO);
		prepare(order.bytes, order.bytes + order.test);
		before = events(order.transport);
		write_all(control, "", 1);
		do_order(&order, false);
		if (memcmp(in, out, order.bytes))
			die("what arrived differs", EIO);
		sent = events(order.transport) - before;
		write_all(control, &sent, sizeof(sent));
	}
}

/* One measurement; returns its seconds. */
static double measure(const struct order *order, uint64_t *sent)
{
	uint64_t theirs;
	char ready;
	double begin;

	prepare(order->bytes, order->bytes + order->test);
	write_all(control, order, sizeof(*order));
	read_all(control, &ready, 1);
	*sent = events(order->transport);
	begin = now();
	do_order(order, true);
	begin = now() - begin;
	*sent = events(order->transport) - *sent;
	read_all(control, &theirs, sizeof(theirs));
	*sent += theirs;
	if (order->test == LATENCY && memcmp(in, out, order->bytes))
		die("what came back differs", EIO);
	return begin;
}

/* How often, so that it takes about the wanted time: found by two short trials. */
static uint32_t repetitions(struct order order)
{
	uint64_t ignored;
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

static void run(const char *const names[TRANSPORTS], int runs, uint32_t maximum)
{
	struct order order = { .repetitions = 0 };
	uint64_t sent;
	double took;
	int i;

	puts("transport,test,bytes,run,repetitions,value,events");
	for (i = 1; i <= runs; i++)
		for (order.test = 0; order.test < TESTS; order.test++)
			for (order.bytes = 1; order.bytes <= maximum; order.bytes *= 8)
				for (order.transport = 0; order.transport < TRANSPORTS; order.transport++) {
					if (!names[order.transport])
						continue;
					order.repetitions = repetitions(order);
					took = measure(&order, &sent) / order.repetitions;
					printf("%s,%s,%u,%d,%u,%.3f,%.4f\n", names[order.transport],
					       test_names[order.test], order.bytes, i, order.repetitions,
					       order.test == LATENCY ? took / 2 * 1e6 : order.bytes / took / 1e6,
					       (double)sent / order.repetitions /
						       (order.test == LATENCY ? 2 : 1));
					fflush(stdout);
				}
	order.repetitions = 0;
	write_all(control, &order, sizeof(order));
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
		tx->spin = rx->spin = 1000000;
	mapped = !err;
	write_all(control, &mapped, 1);
	read_all(control, &theirs, 1);
	return mapped && theirs;
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
	const char *names[TRANSPORTS] = { "tcp", "xensocket", "ring" };

	out = malloc(LARGEST);
	in = malloc(LARGEST);
	if (!out || !in)
		die("memory", ENOMEM);
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		control = tcp(NULL, argv[2]);
		data = tcp(NULL, argv[2]);
		make_xensockets();
		serve();
	} else if (argc == 6 && !strcmp(argv[1], "run")) {
		control = tcp(argv[2], argv[3]);
		data = tcp(argv[2], argv[3]);
		if (!make_xensockets())
			names[RING_MAPPED] = NULL;
		run(names, atoi(argv[4]), (uint32_t)atoi(argv[5]));
	} else if (argc == 4 && !strcmp(argv[1], "unix")) {
		both_unix(atoi(argv[2]), (uint32_t)atoi(argv[3]));
	} else {
		fputs("Usage: transports serve PORT | run ADDRESS PORT RUNS MAXIMUM | unix RUNS MAXIMUM\n",
		      stderr);
		return 2;
	}
	return 0;
}
