/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake where there is no module: both ends learn of it, the stream stays
 * usable, and no peer can make it hang or read too much. What comes after the first
 * round needs Xen, and is in tests/xen/.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xensocket.h>

#include "tap.h"

#define MESSAGE	48

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void open_pair(int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd)) {
		perror("socketpair");
		exit(1);
	}
}

static struct end {
	int fd;
	int result;
	struct xsock_pair pair;
} far_end;

static void *upgrade(void *argument)
{
	struct end *end = argument;

	end->result = xsock_upgrade(end->fd, 0, 0, 5000, &end->pair);
	return NULL;
}

/* Two real ends, each followed by bytes of the conversation. */
static void both_ends(bool nonblocking)
{
	const char *what = nonblocking ? "non-blocking" : "blocking";
	struct xsock_pair pair = { 7, 7 };
	char text[16] = "";
	pthread_t thread;
	int fd[2], err, flags;

	open_pair(fd);
	if (nonblocking)
		fcntl(fd[0], F_SETFL, O_NONBLOCK);
	flags = fcntl(fd[0], F_GETFL);
	far_end.fd = fd[1];
	pthread_create(&thread, NULL, upgrade, &far_end);
	err = xsock_upgrade(fd[0], 0, 0, 5000, &pair);
	pthread_join(thread, NULL);
	tap(err == -XSOCK_EUNAVAILABLE && far_end.result == -XSOCK_EUNAVAILABLE,
	    "%s: not available at either end", what);
	tap(pair.tx == -1 && pair.rx == -1 && far_end.pair.tx == -1 && far_end.pair.rx == -1,
	    "%s: no descriptors", what);
	tap(xsock_upgrade_clean(err), "%s: the stream is said to be usable", what);
	tap(write(fd[0], "near", 4) == 4 && write(fd[1], "far", 3) == 3 &&
	    read(fd[0], text, sizeof(text)) == 3 && !memcmp(text, "far", 3) &&
	    read(fd[1], text, sizeof(text)) == 4 && !memcmp(text, "near", 4),
	    "%s: and it is", what);
	tap(fcntl(fd[0], F_GETFL) == flags, "%s: flags as before", what);
	close(fd[0]);
	close(fd[1]);
}

/* A valid first message of a peer that has everything. */
static void hello(uint8_t *message)
{
	memset(message, 0, MESSAGE);
	memcpy(message, "XSKU\1\1", 6);
	message[8] = 7;
}

/* What the library makes of these bytes; the peer's end stays open unless @end. */
static int with_peer(const void *bytes, size_t len, bool end, int timeout_ms, int fd[2])
{
	struct xsock_pair pair;
	int err;

	open_pair(fd);
	if (len && write(fd[1], bytes, len) != (ssize_t)len)
		exit(1);
	if (end)
		shutdown(fd[1], SHUT_WR);
	err = xsock_upgrade(fd[0], 0, 0, timeout_ms, &pair);
	if (pair.tx != -1 || pair.rx != -1)
		printf("# descriptors after %d\n", err);
	return err;
}

static void close_pair(int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static void raw_peer(void)
{
	uint8_t message[MESSAGE + 8], got[MESSAGE + 1];
	char text[16];
	int fd[2], err;
	ssize_t n;

	hello(message);
	memcpy(message + MESSAGE, "and more", 8);
	err = with_peer(message, sizeof(message), false, 2000, fd);
	tap(err == -XSOCK_EUNAVAILABLE, "a peer that has xensockets: %s", xsock_strerror(err));
	n = recv(fd[0], text, sizeof(text), MSG_DONTWAIT);
	tap(n == 8 && !memcmp(text, "and more", 8), "nothing behind the handshake is read");
	n = recv(fd[1], got, sizeof(got), MSG_DONTWAIT);
	tap(n == MESSAGE && !memcmp(got, "XSKU\1\1\1\0", 8),
	    "it is told that there is nothing here");
	close_pair(fd);

	hello(message);
	message[4] = 2;
	err = with_peer(message, MESSAGE, false, 2000, fd);
	tap(err == -XSOCK_EVERSION && xsock_upgrade_clean(err), "another version: %s",
	    xsock_strerror(err));
	close_pair(fd);

	hello(message);
	message[5] = 2;
	err = with_peer(message, MESSAGE, false, 2000, fd);
	tap(err == -XSOCK_EHANDSHAKE && !xsock_upgrade_clean(err), "the wrong message: %s",
	    xsock_strerror(err));
	close_pair(fd);

	err = with_peer("HTTP/1.0 400", 12, false, 5000, fd);
	tap(err == -XSOCK_EHANDSHAKE, "a peer of another kind: %s", xsock_strerror(err));
	close_pair(fd);

	err = with_peer("X?", 2, false, 5000, fd);
	tap(err == -XSOCK_EHANDSHAKE, "... that says little: %s", xsock_strerror(err));
	close_pair(fd);
}

/* Each length of a message that never becomes complete. */
static void truncated(void)
{
	uint8_t message[MESSAGE];
	int fd[2], len, ended = 0, late = 0, early = 0;

	hello(message);
	for (len = 0; len < MESSAGE; len++) {
		ended += with_peer(message, (size_t)len, true, 5000, fd) == -ECONNRESET;
		close_pair(fd);
	}
	tap(ended == MESSAGE, "the stream ends within the message, at every byte");
	for (len = 0; len < MESSAGE; len += 47) {
		long start = now_ms(), took;
		int err = with_peer(message, (size_t)len, false, 200, fd);

		took = now_ms() - start;
		early += err != -ETIMEDOUT || took < 200;
		late += took > 2000;
		close_pair(fd);
	}
	tap(!early && !late, "a silent peer costs the time-out, no more and no less");
	tap(!xsock_upgrade_clean(-ETIMEDOUT) && !xsock_upgrade_clean(-ECONNRESET),
	    "after which the stream is not usable");
}

/* One byte at a time, each before the time-out by itself would be over. */
static void *drip(void *argument)
{
	uint8_t message[MESSAGE];
	int fd = *(int *)argument, i;

	hello(message);
	for (i = 0; i < MESSAGE; i++) {
		struct timespec pause = { 0, 50 * 1000000 };

		nanosleep(&pause, NULL);
		if (send(fd, message + i, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	return NULL;
}

static void slow(void)
{
	struct xsock_pair pair;
	pthread_t thread;
	long start, took;
	int fd[2], err;

	open_pair(fd);
	pthread_create(&thread, NULL, drip, &fd[1]);
	start = now_ms();
	err = xsock_upgrade(fd[0], 0, 0, 500, &pair);
	took = now_ms() - start;
	close(fd[0]);
	pthread_join(thread, NULL);
	close(fd[1]);
	tap(err == -ETIMEDOUT && took >= 500 && took < 2000,
	    "the time-out is for all of it, also with a peer that drips");

	open_pair(fd);
	pthread_create(&thread, NULL, drip, &fd[1]);
	err = xsock_upgrade(fd[0], 0, 0, 20000, &pair);
	pthread_join(thread, NULL);
	close_pair(fd);
	tap(err == -XSOCK_EUNAVAILABLE, "with time enough, dripping is no harm");
}

/* A peer that reads nothing, with all buffers full. */
static void stuck(void)
{
	static char filler[65536];
	struct xsock_pair pair;
	long start, took;
	int fd[2], err;

	open_pair(fd);
	while (send(fd[0], filler, sizeof(filler), MSG_DONTWAIT) > 0)
		;
	start = now_ms();
	err = xsock_upgrade(fd[0], 0, 0, 300, &pair);
	took = now_ms() - start;
	tap(err == -ETIMEDOUT && took >= 300 && took < 2000,
	    "a blocking stream with full buffers is no trap");
	close_pair(fd);
}

static void ignore_signal(int number)
{
	(void)number;
}

/* Signals that interrupt calls make it neither fail nor last longer. */
static void interrupted(void)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct itimerspec often = { { 0, 5000000 }, { 0, 5000000 } };
	timer_t timer;
	long start, took;
	int fd[2], err;

	sigaction(SIGALRM, &action, NULL);
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	timer_settime(timer, 0, &often, NULL);
	start = now_ms();
	err = with_peer("XSKU", 4, false, 300, fd);
	took = now_ms() - start;
	timer_delete(timer);
	tap(err == -ETIMEDOUT && took >= 300 && took < 2000, "signals change nothing: %s",
	    xsock_strerror(err));
	close_pair(fd);
}

static void wrong_arguments(void)
{
	struct xsock_pair pair;
	struct xsock_offer offer;
	struct xsock_map *map = (struct xsock_map *)1;
	int fd[2], err;
	char byte;

	open_pair(fd);
	tap(xsock_upgrade(fd[0], 0, 0, 0, &pair) == -EINVAL &&
	    xsock_upgrade(fd[0], 0, 0, -1, &pair) == -EINVAL &&
	    xsock_upgrade(fd[0], 0, SOCK_CLOEXEC, 1000, &pair) == -EINVAL &&
	    xsock_upgrade(fd[0], XSOCK_RING_MAX + 1, 0, 1000, &pair) == -EINVAL &&
	    recv(fd[1], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN,
	    "wrong arguments: refused before anything is sent");
	close(fd[1]);
	err = xsock_upgrade(fd[0], 0, 0, 1000, &pair);
	tap(err == -ECONNRESET, "a peer that has gone, without SIGPIPE: %s",
	    xsock_strerror(err));
	close(fd[0]);
	err = xsock_upgrade(fd[0], 0, 0, 1000, &pair);
	tap(err == -EBADF && !xsock_upgrade_clean(err), "no descriptor: %s",
	    xsock_strerror(err));
	if (pipe(fd))
		exit(1);
	err = xsock_upgrade(fd[0], 0, 0, 1000, &pair);
	tap(err == -ENOTSOCK, "no socket: %s", xsock_strerror(err));
	close_pair(fd);

	tap(xsock_offer_create(1, 0, 0, &offer) == -EAFNOSUPPORT &&
	    xsock_family() == -EAFNOSUPPORT && xsock_ctl_open(false) == -ENOENT,
	    "without the module: not available");
	open_pair(fd);
	err = xsock_map_open(fd[0], &map);
	tap(err < 0 && !map, "mapping another socket: %s", xsock_strerror(err));
	close_pair(fd);
	xsock_map_close(NULL);
}

/* Random bytes after a good beginning: always an error, never a hang. */
static void garbage(void)
{
	int round, good = 0;

	srandom(1);
	for (round = 0; round < 2000; round++) {
		uint8_t message[MESSAGE];
		int fd[2], err, i;

		hello(message);
		for (i = 4; i < MESSAGE; i++)
			if (random() % 2)
				message[i] = (uint8_t)random();
		err = with_peer(message, MESSAGE, true, 5000, fd);
		good += err == -XSOCK_EUNAVAILABLE || err == -XSOCK_EVERSION ||
			err == -XSOCK_EHANDSHAKE;
		close_pair(fd);
	}
	tap(good == 2000, "random messages: an error that fits, each time");
}

int main(void)
{
	if (xsock_family() >= 0) {
		/* These cases need a host without the module. */
		printf("1..0 # SKIP the xensocket module is loaded\n");
		return 1;
	}
	both_ends(false);
	both_ends(true);
	raw_peer();
	truncated();
	slow();
	stuck();
	interrupted();
	wrong_arguments();
	garbage();
	return tap_done();
}
