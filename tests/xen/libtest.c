/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library with its two ends in two guests of one host: upgrade of a TCP connection,
 * both modes of transfer checked by position, hostile handshakes, revocation. Each end
 * prints TAP. Run as root: it quiesces.
 *
 *	libtest serve PORT MIB
 *	libtest run ADDRESS PORT MIB
 *
 * With "apart" for MIB the guests are on two hosts, and both ends have to find that out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xensocket.h>

#define PERIOD	65521		/* prime: no ring's size is near a multiple */
#define CHUNK	100000
#define MESSAGE	48		/* of the handshake */

static uint8_t pattern[PERIOD + CHUNK];
static int count, failed, stream;
static bool server;
static uint64_t total;

static bool tap(bool ok, const char *format, ...)
{
	va_list args;

	failed += !ok;
	printf("%sok %d - %s: ", ok ? "" : "not ", ++count, server ? "server" : "client");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	return ok;
}

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_pattern(void)
{
	uint32_t x = 2463534242u;
	size_t i;

	for (i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		pattern[i] = (uint8_t)(x >> 11);
	}
	/* So far on that any piece is contiguous. */
	for (; i < sizeof(pattern); i++)
		pattern[i] = pattern[i - PERIOD];
}

static bool fits(const void *data, uint64_t offset, size_t len)
{
	return !memcmp(data, pattern + offset % PERIOD, len);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Each thread has a seed of its own. */
static size_t draw(unsigned int *seed, size_t max)
{
	/* Small and large ones, and those around the sizes of pages. */
	switch (rand_r(seed) % 4) {
	case 0:
		return 1 + (size_t)rand_r(seed) % (max < 16 ? max : 16);
	case 1:
		max = max < 4097 ? max : 4097;
		return max - (size_t)rand_r(seed) % (max < 3 ? max : 3);
	default:
		return 1 + (size_t)rand_r(seed) % max;
	}
}

/* ---- the stream between both ends ---- */

static void say(const void *data, size_t len)
{
	if (send(stream, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("control stream");
}

static void hear(void *data, size_t len)
{
	if (recv(stream, data, len, MSG_WAITALL) != (ssize_t)len)
		die("control stream");
}

static void sync_ends(void)
{
	uint8_t mark = 0x5a;

	say(&mark, 1);
	hear(&mark, 1);
	if (mark != 0x5a) {
		errno = EPROTO;
		die("out of step");
	}
}

/* Upgrades; and what is sent right behind the handshake arrives. */
static bool upgraded(size_t ring, struct xsock_pair *pair, int should)
{
	char behind[6] = "";
	int err;

	sync_ends();
	err = xsock_upgrade(stream, ring, 0, 20000, pair);
	if (!xsock_upgrade_clean(err)) {
		errno = -err;
		die(xsock_strerror(err));
	}
	say("behind", 6);
	hear(behind, 6);
	tap(err == should && (pair->tx >= 0) == !err && (pair->rx >= 0) == !err,
	    "upgrade with a ring of %zu: %s", ring, xsock_strerror(err));
	tap(!memcmp(behind, "behind", 6), "... and the stream goes on");
	return !err && !should;
}

/* ---- transfer ---- */

/**
 * struct job - one direction
 * @fd: socket
 * @map: mapped, or NULL for socket calls
 * @seed: for random sizes
 * @done: bytes that went well
 * @end: what came after the last one
 */
struct job {
	int fd;
	struct xsock_map *map;
	unsigned int seed;
	uint64_t done;
	int end;
};

static int send_some(struct job *job, size_t len)
{
	size_t at = job->done % PERIOD;
	ssize_t n;
	void *to;

	if (!job->map) {
		n = send(job->fd, pattern + at, len, MSG_NOSIGNAL);
		return n < 0 ? -errno : (int)n;
	}
	n = xsock_map_reserve(job->map, 1, &to);
	if (n == -EAGAIN) {
		/* Any amount that one may wait for. */
		n = xsock_map_wait(job->map, draw(&job->seed, job->map->idx.size / 4), 20000);
		return n == 1 ? 0 : n ? (int)n : -ETIMEDOUT;
	}
	if (n < 0)
		return (int)n;
	if ((size_t)n < len)
		len = (size_t)n;
	memcpy(to, pattern + at, len);
	xsock_map_commit(job->map, len);
	return (int)len;
}

static void *sender(void *argument)
{
	struct job *job = argument;
	int n = 0;

	while (job->done < total && n >= 0) {
		size_t len = draw(&job->seed, CHUNK);

		if (len > total - job->done)
			len = total - job->done;
		n = send_some(job, len);
		job->done += n > 0 ? (uint64_t)n : 0;
	}
	job->end = n < 0 ? n : 0;
	shutdown(job->fd, SHUT_WR);
	return NULL;
}

/* Bytes that were right, 0 at the end, or an error; -EBADMSG for wrong ones. */
static int receive_some(struct job *job)
{
	static uint8_t buffer[CHUNK];
	size_t len = draw(&job->seed, CHUNK), least;
	const void *from;
	ssize_t n;
	bool ok;

	if (!job->map) {
		n = recv(job->fd, buffer, len, 0);
		if (n <= 0)
			return n ? -errno : 0;
		return fits(buffer, job->done, (size_t)n) ? (int)n : -EBADMSG;
	}
	least = draw(&job->seed, job->map->idx.size - job->map->idx.size / 4);
	while ((n = xsock_map_peek(job->map, least, &from)) == -EAGAIN) {
		n = xsock_map_wait(job->map, least, 20000);
		if (n != 1)
			return n ? (int)n : -ETIMEDOUT;
	}
	if (n <= 0)
		return (int)n;
	if ((size_t)n < least && job->done + (uint64_t)n != total)
		return -EMSGSIZE;	/* less than asked for, and not the end */
	if ((size_t)n > len)
		n = (ssize_t)len;
	ok = fits(from, job->done, (size_t)n);
	xsock_map_consume(job->map, (size_t)n);
	return ok ? (int)n : -EBADMSG;
}

/* Both directions at once. */
static void transfer(size_t ring, bool mapped)
{
	struct job tx = { .seed = 1 }, rx = { .seed = 2 };
	struct xsock_pair pair;
	pthread_t thread;
	int n, err;

	if (!upgraded(ring, &pair, 0))
		return;
	tx.fd = pair.tx;
	rx.fd = pair.rx;
	if (mapped) {
		err = xsock_map_open(tx.fd, &tx.map);
		tap(!err, "map the transmitter: %s", xsock_strerror(err));
		err = xsock_map_open(rx.fd, &rx.map);
		/* A PV guest's receiver cannot: then it is the calls that are checked. */
		tap(!err || (err == -EOPNOTSUPP && !access("/proc/xen", F_OK) &&
			     system("grep -qx PV /sys/hypervisor/guest_type") == 0),
		    "map the receiver: %s", xsock_strerror(err));
	}
	pthread_create(&thread, NULL, sender, &tx);
	while ((n = receive_some(&rx)) > 0)
		rx.done += (uint64_t)n;
	pthread_join(thread, NULL);
	tap(tx.done == total && !tx.end, "%s, ring %zu: sent %llu bytes: %s",
	    tx.map ? "mapped" : "calls", ring, (unsigned long long)tx.done,
	    xsock_strerror(tx.end));
	tap(rx.done == total && !n, "%s, ring %zu: received %llu bytes: %s",
	    rx.map ? "mapped" : "calls", ring, (unsigned long long)rx.done,
	    xsock_strerror(n));
	xsock_map_close(tx.map);
	xsock_map_close(rx.map);
	close(pair.tx);
	close(pair.rx);
}

/* ---- waiting ---- */

static void ignore_signal(int number)
{
	(void)number;
}

static void waiting(void)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct itimerspec once = { { 0, 0 }, { 0, 200 * 1000000 } };
	struct xsock_map *tx, *rx;
	struct xsock_pair pair;
	const void *from;
	timer_t timer;
	long start, took;
	void *to;
	int n;

	if (!upgraded(4096, &pair, 0))
		return;
	if (xsock_map_open(pair.tx, &tx))
		die("map");
	n = xsock_map_open(pair.rx, &rx);
	tap(xsock_map_wait(tx, 1025, 0) == -EINVAL && xsock_map_wait(tx, 0, 0) == -EINVAL,
	    "waiting for more than can be promised is refused");
	tap(xsock_map_reserve(tx, 4096, &to) == 4096 &&
	    xsock_map_reserve(tx, 4097, &to) == -EINVAL, "a whole ring, and no more");
	/* Nothing comes: the time-out, and a signal. */
	if (!n) {
		start = now_ms();
		n = xsock_map_wait(rx, 1, 300);
		took = now_ms() - start;
		tap(n == 0 && took >= 300 && took < 3000, "time-out while empty");
		sigaction(SIGALRM, &action, NULL);
		timer_create(CLOCK_MONOTONIC, NULL, &timer);
		timer_settime(timer, 0, &once, NULL);
		tap(xsock_map_wait(rx, 1, 10000) == -EINTR, "a signal interrupts");
		timer_delete(timer);
		sync_ends();
		memcpy(to, pattern, 4096);
		xsock_map_commit(tx, 100);
		tap(xsock_map_wait(rx, 100, 10000) == 1, "a hundred bytes come");
		start = now_ms();
		n = xsock_map_wait(rx, 101, 300);
		took = now_ms() - start;
		tap(n == 0 && took >= 300 && took < 3000,
		    "time-out while some, but not enough, are there");
		sync_ends();
		xsock_map_commit(tx, 1);
		tap(xsock_map_wait(rx, 101, 10000) == 1 &&
		    xsock_map_peek(rx, 101, &from) == 101 && fits(from, 0, 101),
		    "... and the missing one");
		/* Both calls and the mapping, in turn. */
		sync_ends();
		tap(send(pair.tx, pattern + 101, 9, 0) == 9 && !xsock_map_resync(tx) &&
		    xsock_map_reserve(tx, 1, &to) >= 4096 - 110, "send() in between");
		memcpy(to, pattern + 110, 10);
		xsock_map_commit(tx, 10);
		tap(xsock_map_wait(rx, 120, 10000) == 1 &&
		    xsock_map_peek(rx, 120, &from) >= 120 && fits(from, 0, 120),
		    "... and its bytes");
		/* Full: no room before the peer consumes, which it does after the sync. */
		while (xsock_map_reserve(tx, 1, &to) > 0)
			xsock_map_commit(tx, 1);
		start = now_ms();
		n = xsock_map_wait(tx, 1, 300);
		took = now_ms() - start;
		tap(n == 0 && took >= 300 && took < 3000, "time-out while full");
		sync_ends();
		xsock_map_consume(rx, 120);
		xsock_map_peek(rx, 2000, &from);
		xsock_map_consume(rx, 2000);
		tap(xsock_map_wait(tx, 1024, 10000) == 1, "room comes");
	} else {
		int i;

		tap(n == -EOPNOTSUPP, "a PV guest: no mapped receiver, nothing to wait for");
		for (i = 0; i < 4; i++)
			sync_ends();
	}
	sync_ends();
	xsock_map_close(tx);
	xsock_map_close(rx);
	close(pair.tx);
	close(pair.rx);
}

/* ---- hostile handshakes, from a thread in this guest ---- */

static void message(uint8_t *bytes, int kind, int status)
{
	memset(bytes, 0, MESSAGE);
	memcpy(bytes, "XSKU\1", 5);
	bytes[5] = (uint8_t)kind;
	bytes[6] = (uint8_t)status;
}

/* What upgrade says to a peer that claims to be @domid and sends these messages. */
static int against(unsigned int domid, uint8_t (*bytes)[MESSAGE], int messages, bool end,
		   long *took)
{
	struct xsock_pair pair;
	uint8_t hello[MESSAGE];
	long start = now_ms();
	int fd[2], err, i;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		die("socketpair");
	message(hello, 1, 0);
	hello[8] = (uint8_t)domid;
	hello[9] = (uint8_t)(domid >> 8);
	if (send(fd[1], hello, MESSAGE, 0) != MESSAGE)
		die("send");
	for (i = 0; i < messages; i++)
		if (send(fd[1], bytes[i], MESSAGE, 0) != MESSAGE)
			die("send");
	if (end)
		shutdown(fd[1], SHUT_WR);
	err = xsock_upgrade(fd[0], 0, 0, 500, &pair);
	*took = now_ms() - start;
	if (pair.tx != -1 || pair.rx != -1)
		err = 1;
	close(fd[0]);
	close(fd[1]);
	return err;
}

static void *upgrade_self(void *fd)
{
	struct xsock_pair pair;

	return (void *)(intptr_t)xsock_upgrade(*(int *)fd, 0, 0, 5000, &pair);
}

static void hostile(unsigned int peer)
{
	struct xsock_offer offer = { .domid = (uint16_t)peer, .gref = 12345, .port = 77 };
	uint8_t bytes[2][MESSAGE];
	struct xsock_pair pair;
	pthread_t thread;
	void *result;
	int fd[2], err;
	long took;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		die("socketpair");
	pthread_create(&thread, NULL, upgrade_self, &fd[1]);
	err = xsock_upgrade(fd[0], 0, 0, 5000, &pair);
	pthread_join(thread, &result);
	tap(err == -XSOCK_ESAMEDOMAIN && (intptr_t)result == err, "both ends here: %s",
	    xsock_strerror(err));
	close(fd[0]);
	close(fd[1]);

	err = against(30000, bytes, 0, true, &took);
	tap(err == -ECONNRESET, "no such domain, and no answer: %s", xsock_strerror(err));
	message(bytes[0], 2, 0);
	xsock_offer_encode(&offer, bytes[0] + 8);
	err = against(30000, bytes, 1, true, &took);
	tap(err == -XSOCK_ENOTONEHOST, "no such domain on this host: %s", xsock_strerror(err));
	err = against(0xffff, bytes, 1, true, &took);
	tap(err == -XSOCK_EFAILED, "a domid that is none: %s", xsock_strerror(err));
	err = against(peer, bytes, 0, false, &took);
	tap(err == -ETIMEDOUT && took >= 500 && took < 5000, "silence after the first message");
	err = against(peer, bytes, 1, false, &took);
	tap(err == -ETIMEDOUT && took >= 500 && took < 5000, "silence after the second");
	message(bytes[1], 3, 0);
	err = against(peer, bytes, 2, true, &took);
	tap(err == -XSOCK_ENOTONEHOST, "an offer that leads nowhere: %s", xsock_strerror(err));
	message(bytes[1], 3, 2);
	err = against(peer, bytes, 2, true, &took);
	tap(err == -XSOCK_ENOTONEHOST, "neither end could connect: %s", xsock_strerror(err));
	message(bytes[0], 2, 3);
	err = against(peer, bytes, 1, false, &took);
	tap(err == -XSOCK_EPEERRESOURCES && took < 500, "the peer has no memory: %s",
	    xsock_strerror(err));
	message(bytes[0], 2, 0);
	err = against(peer, bytes, 1, false, &took);
	tap(err == -XSOCK_EHANDSHAKE, "no offer in the offer: %s", xsock_strerror(err));
	offer.domid++;
	xsock_offer_encode(&offer, bytes[0] + 8);
	err = against(peer, bytes, 1, false, &took);
	tap(err == -XSOCK_EHANDSHAKE, "the offer of a third domain: %s", xsock_strerror(err));
}

/* ---- quiesce ---- */

static void wait_state(int ctl, uint32_t state)
{
	struct pollfd pfd = { .fd = ctl, .events = POLLIN };
	struct xsock_status status;
	int tries;

	for (tries = 0; tries < 20; tries++) {
		if (xsock_ctl_read(ctl, &status))
			die("status");
		if (status.state == state)
			break;
		poll(&pfd, 1, 1000);
	}
	tap(status.state == state, "state %u, awaited by poll", state);
}

static void revoked(void)
{
	struct xsock_map *tx, *rx = NULL;
	struct xsock_pair pair;
	uint8_t buffer[6000];
	const void *from;
	int ctl, err;
	ssize_t n;
	void *to;

	if (!upgraded(0, &pair, 0))
		return;
	if (xsock_map_open(pair.tx, &tx))
		die("map");
	err = xsock_map_open(pair.rx, &rx);
	if (err && err != -EOPNOTSUPP)
		die("map");
	xsock_map_reserve(tx, 5000, &to);
	memcpy(to, pattern, 5000);
	xsock_map_commit(tx, 5000);
	sync_ends();
	ctl = xsock_ctl_open(true);
	if (ctl < 0)
		die("control device");
	if (server) {
		err = xsock_ctl_quiesce(ctl);
		tap(!err, "quiesce: %s", xsock_strerror(err));
		wait_state(ctl, XSOCK_CTL_QUIESCED);
	}
	sync_ends();
	if (rx) {
		tap(xsock_map_wait(rx, 5001, 20000) == 1, "woken for the revocation");
		n = xsock_map_peek(rx, 1, &from);
		tap(n == 5000 && fits(from, 0, 5000), "what was published is there: %zd", n);
		xsock_map_consume(rx, 5000);
		n = xsock_map_peek(rx, 1, &from);
	} else {
		n = recv(pair.rx, buffer, sizeof(buffer), MSG_WAITALL);
		tap(n == 5000 && fits(buffer, 0, 5000), "what was published is there: %zd", n);
		n = recv(pair.rx, buffer, 1, 0) < 0 ? -errno : 0;
	}
	tap(n == -ENETRESET, "then: %s", xsock_strerror((int)n));
	while ((err = xsock_map_wait(tx, 1024, 20000)) == 1 &&
	       (n = xsock_map_reserve(tx, 1, &to)) > 0)
		usleep(1000);
	tap(err == 1 && n == -ENETRESET, "the transmitter: %s", xsock_strerror((int)n));
	xsock_map_close(tx);
	xsock_map_close(rx);
	close(pair.tx);
	close(pair.rx);
	upgraded(0, &pair, -XSOCK_EQUIESCED);
	if (server) {
		err = xsock_ctl_release(ctl);
		tap(!err, "release: %s", xsock_strerror(err));
		wait_state(ctl, XSOCK_CTL_RUNNING);
	}
	close(ctl);
	if (upgraded(0, &pair, 0)) {
		close(pair.tx);
		close(pair.rx);
	}
	sync_ends();
}

/*
 * Ends on two hosts: both learn it, by the same word, and the stream is as good as it
 * was. Domids of two hosts may be equal by chance.
 */
static void apart(unsigned int own, unsigned int peer)
{
	struct xsock_pair pair;
	int times;

	for (times = 0; times < 3; times++)
		upgraded(0, &pair, own == peer ? -XSOCK_ESAMEDOMAIN : -XSOCK_ENOTONEHOST);
}

/* ---- */

static unsigned int own_domid(void)
{
	int ctl = xsock_ctl_open(false);
	struct xsock_status status;

	if (ctl < 0 || xsock_ctl_read(ctl, &status))
		die("control device");
	close(ctl);
	return status.domid;
}

static void open_stream(const char *address, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)atoi(port)) };
	int listener, one = 1, tries;

	if (address) {
		inet_pton(AF_INET, address, &in.sin_addr);
		for (tries = 0; tries < 100; tries++) {
			stream = socket(AF_INET, SOCK_STREAM, 0);
			if (!connect(stream, (struct sockaddr *)&in, sizeof(in)))
				break;
			close(stream);
			usleep(100000);
		}
		if (tries == 100)
			die("connect");
	} else {
		listener = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(listener, (struct sockaddr *)&in, sizeof(in)) || listen(listener, 1))
			die("listen");
		stream = accept(listener, NULL, NULL);
		if (stream < 0)
			die("accept");
		close(listener);
	}
	setsockopt(stream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int main(int argc, char **argv)
{
	unsigned int domid, peer;

	server = argc == 4 && !strcmp(argv[1], "serve");
	if (!server && (argc != 5 || strcmp(argv[1], "run"))) {
		fprintf(stderr, "usage: libtest serve PORT MIB | run ADDRESS PORT MIB\n");
		return 2;
	}
	total = (uint64_t)atoi(argv[argc - 1]) << 20;
	make_pattern();
	open_stream(server ? NULL : argv[2], argv[argc - 2]);
	domid = own_domid();
	say(&domid, sizeof(domid));
	hear(&peer, sizeof(peer));

	if (!strcmp(argv[argc - 1], "apart")) {
		apart(domid, peer);
	} else {
		transfer(0, false);
		transfer(0, true);
		transfer(4096, true);
		transfer(1 << 20, true);
		waiting();
		hostile(peer);
		revoked();
	}
	printf("1..%d\n", count);
	return failed ? 1 : 0;
}
