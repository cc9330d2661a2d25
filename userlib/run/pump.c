/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Carries a program's connection: between the helper's end of a pair and two xensockets,
 * one thread each way.
 *
 * Where it has to end up if the xensockets are cut off (migration, quiesce): the program's
 * TCP connection, which lies idle until then. An end that can send no more on its
 * xensocket says there how many bytes it had sent, in 8 bytes, and goes on behind them. The
 * other end has read everything that had been published when it was cut off; if that is not as
 * many, bytes were lost, and the connection is reset.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define CHUNK (64 * 1024)
/* How long a peer may keep what the program has closed. */
#define LINGER_MS 60000

static atomic_int count;

int run_pumps(void)
{
	return count;
}

/**
 * struct work - one connection
 * @pump: its descriptors
 * @threads: that are at work
 * @sent, @received: bytes on xensockets
 * @more_sent, @more_received: on TCP
 */
struct work {
	struct run_pump pump;
	atomic_int threads;
	uint64_t sent, received;
	uint64_t more_sent, more_received;
};

static void work_end(struct work *work)
{
	struct run_pump *pump = &work->pump;

	if (--work->threads)
		return;
	run_say("done: %s: sent %llu + %llu, received %llu + %llu bytes (xensockets + TCP)",
		run_text(&pump->name.peer), (unsigned long long)work->sent,
		(unsigned long long)work->more_sent, (unsigned long long)work->received,
		(unsigned long long)work->more_received);
	close(pump->app);
	if (pump->xs.tx >= 0) {
		close(pump->xs.tx);
		close(pump->xs.rx);
	}
	close(pump->tcp);
	free(work);
	run_give(RUN_PUMP_PLACES);
	count--;
}

/* A xensocket that was cut off while its peer lives: there is TCP. */
static bool cut_off(int fd)
{
	struct xsock_info info;

	return !xsock_get_info(fd, &info) && (info.reason == XSOCK_REASON_SUSPEND ||
					      info.reason == XSOCK_REASON_QUIESCE);
}

/* As much of @bytes as goes; the rest was not sent. */
static size_t send_some(int fd, const char *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = send(fd, bytes + done, len - done, MSG_NOSIGNAL);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			run_wait(fd, POLLOUT, -1);
		else if (errno != EINTR)
			break;
	}
	return done;
}

static ssize_t receive(int fd, char *bytes)
{
	ssize_t n;

	do
		n = recv(fd, bytes, CHUNK, 0);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && run_wait(fd, POLLIN, -1))));
	return n;
}

/* Both programs are to see an error, not an end: now, whoever waits for this connection. */
static void reset_connection(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	connect(fd, &none, sizeof(none));
}

/* Reads what still comes, for a while, and throws it away. */
static void drain(int fd, char *bytes)
{
	int64_t end = run_now_ms() + LINGER_MS, left;

	while ((left = end - run_now_ms()) > 0 && run_wait(fd, POLLIN, (int)left) &&
	       receive(fd, bytes) > 0)
		;
}

static bool announce(struct work *work)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(work->sent >> 8 * i);
	return run_send(work->pump.tcp, bytes, sizeof(bytes));
}

static bool announced(struct work *work)
{
	uint64_t sent = 0;
	uint8_t bytes[8];

	if (!run_receive(work->pump.tcp, bytes, sizeof(bytes), -1))
		return false;
	for (int i = 0; i < 8; i++)
		sent |= (uint64_t)bytes[i] << 8 * i;
	if (sent != work->received)
		run_say("lost: %s: %llu of %llu bytes", run_text(&work->pump.name.peer),
			(unsigned long long)(sent - work->received), (unsigned long long)sent);
	return sent == work->received;
}

/* What the program writes. */
static void outward(struct work *work)
{
	struct run_pump *pump = &work->pump;
	bool xs = pump->xs.tx >= 0, moved = xs;
	char *bytes = malloc(CHUNK);
	ssize_t n = 0;
	size_t part;

	while (bytes && (n = receive(pump->app, bytes)) > 0) {
		part = 0;
		if (xs) {
			part = send_some(pump->xs.tx, bytes, (size_t)n);
			work->sent += part;
			if (part == (size_t)n)
				continue;
			if (!cut_off(pump->xs.tx))
				break;
			run_say("back to TCP: %s: after sending %llu bytes",
				run_text(&pump->name.peer), (unsigned long long)work->sent);
			xs = false;
			if (!announce(work))
				break;
		}
		if (!run_send(pump->tcp, bytes + part, (size_t)n - part))
			break;
		work->more_sent += (size_t)n - part;
	}
	/* The peer wants no more: nor do we of the program. */
	if (n > 0)
		shutdown(pump->app, SHUT_RD);
	if (xs)
		shutdown(pump->xs.tx, SHUT_WR);
	/* Also if the end has been said: it might not get through any more. */
	if (xs && moved)
		announce(work);
	shutdown(pump->tcp, SHUT_WR);
	free(bytes);
}

/* From @fd to the program. Returns as recv(): 0 at the end, or why it does not go on. */
static ssize_t carry(struct work *work, int fd, char *bytes, uint64_t *counter)
{
	struct pollfd pfd[2] = { { .fd = fd, .events = POLLIN }, { .fd = work->pump.app } };
	bool wanted = true;
	ssize_t n;

	for (;;) {
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			return -1;
		/* The program has closed, and the peer is to hear of it. */
		if (pfd[1].revents & (POLLHUP | POLLERR))
			break;
		n = recv(fd, bytes, CHUNK, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n;
		*counter += (size_t)n;
		/* A program that only reads no more may still have something to say. */
		wanted = wanted && run_send(work->pump.app, bytes, (size_t)n);
	}
	errno = EPIPE;
	return -1;
}

/* What the program reads. */
static void inward(struct work *work)
{
	struct run_pump *pump = &work->pump;
	char *bytes = malloc(CHUNK);
	bool closed = false;
	ssize_t n = -1;

	if (bytes && pump->xs.rx >= 0) {
		n = carry(work, pump->xs.rx, bytes, &work->received);
		closed = n < 0 && errno == EPIPE;
		if (n < 0 && !closed && cut_off(pump->xs.rx) && announced(work)) {
			run_say("back to TCP: %s: after receiving %llu bytes",
				run_text(&pump->name.peer), (unsigned long long)work->received);
			n = carry(work, pump->tcp, bytes, &work->more_received);
			closed = n < 0 && errno == EPIPE;
		} else if (n < 0) {
			/* That nobody reads any more is for the peer to hear. */
			shutdown(pump->xs.rx, SHUT_RD);
		}
	} else if (bytes) {
		n = carry(work, pump->tcp, bytes, &work->more_received);
		closed = n < 0 && errno == EPIPE;
	}
	if (n < 0 && !closed)
		reset_connection(pump->tcp);
	shutdown(pump->app, n ? SHUT_RDWR : SHUT_WR);
	/*
	 * A connection that is closed with something unread is reset, which might cost the
	 * peer what we have sent last.
	 */
	if (bytes)
		drain(pump->tcp, bytes);
	free(bytes);
}

static void *inward_thread(void *argument)
{
	inward(argument);
	work_end(argument);
	return NULL;
}

static void *outward_thread(void *argument)
{
	struct work *work = argument;
	struct run_pump *pump = &work->pump;
	enum run_verdict verdict = RUN_TAKEN;

	if (pump->side >= 0) {
		verdict = run_verdict(pump->side);
		close(pump->side);
		run_give(1);
	}
	if (verdict != RUN_TAKEN) {
		close(pump->xs.tx);
		close(pump->xs.rx);
		pump->xs = (struct xsock_pair){ -1, -1 };
		run_say("on TCP: %s: %s", run_text(&pump->name.peer),
			verdict == RUN_PLAIN ? "not accepted in time" : "the helper there is gone");
		/* Whether that has accepted is not known. */
		if (verdict == RUN_LOST)
			shutdown(pump->tcp, SHUT_RDWR);
	}
	work->threads++;
	if (run_thread(inward_thread, work))
		outward(work);
	else
		work->threads--;
	work_end(work);
	return NULL;
}

int run_pump_start(const struct run_pump *from, int family)
{
	static atomic_uint number;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct work *work = calloc(1, sizeof(*work));
	int pair[2], size = 1024 * 1024, on = 1;
	struct run_pump *pump;

	if (!work || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		pair[0] = pair[1] = -1;
		goto failed;
	}
	work->pump = *from;
	pump = &work->pump;
	pump->app = pair[0];
	memcpy(pump->name.magic, RUN_NAME, sizeof(pump->name.magic));
	pump->name.number = ++number;
	pump->name.helper = (uint32_t)getpid();
	pump->name.family = (uint8_t)family;
	memcpy(address.sun_path, &pump->name, sizeof(pump->name));
	if (bind(pair[0], (struct sockaddr *)&address,
		 offsetof(struct sockaddr_un, sun_path) + sizeof(pump->name)))
		goto failed;
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* It lies idle, perhaps for long, and what the program asks for is asked of the pair. */
	setsockopt(pump->tcp, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	work->threads = 1;
	count++;
	if (run_thread(outward_thread, work))
		return pair[1];
	count--;
failed:
	close(pair[0]);
	close(pair[1]);
	close(from->xs.tx);
	close(from->xs.rx);
	close(from->tcp);
	if (from->side >= 0)
		close(from->side);
	free(work);
	return -1;
}
