/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Carries a program's connection: between the helper's end of a pair and two xensockets,
 * one thread each way.
 *
 * Where it has to end up if the xensockets are cut off (migration, quiesce): the program's
 * TCP connection, which lies idle until then. What a receiver is sent while it is being cut off
 * may be missing there, and its sender's kernel has it no more (Documentation/protocol.md). So who
 * sends keeps as much as the ring could have: once cut off he says on TCP, in 8 bytes, the number
 * of the first byte that follows, and begins with all that he has kept. The other end has read
 * everything that had been published when it was cut off, and skips what it has. If something is
 * missing even so, the TCP connection is reset; the program here sees its end, as nothing else can be
 * made of an AF_UNIX pair.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "run.h"

#define CHUNK (64 * 1024)
/* How long a peer may keep what the program has closed. */
#define LINGER_MS 60000
/* How long what a peer has sent before may be under way. */
#define REST_MS 1000

static atomic_int pumps;

int run_pumps(void)
{
	return pumps;
}

/**
 * struct kept - the last bytes that the program has written
 * @bytes: those before @end, each at its number modulo @size
 * @size: as many as the ring has and as are read at once
 * @end: that there have been
 */
struct kept {
	char *bytes;
	size_t size;
	uint64_t end;
};

/**
 * struct work - one connection
 * @pump: its descriptors
 * @kept: by who carries outward
 * @bytes: of who carries inward: CHUNK of them
 * @app: the program's end
 * @begin, @decided: who carries outward, inward, waits for that
 * @begun: ... and it is to be carried
 * @written: nothing more is to be sent
 * @threads: that are at work
 * @sent, @received: bytes on xensockets
 * @more_sent, @more_received: others, on TCP
 */
struct work {
	struct run_pump pump;
	struct kept kept;
	char *bytes;
	int app;
	sem_t begin, decided;
	bool begun;
	atomic_bool written;
	atomic_int threads;
	uint64_t sent, received;
	uint64_t more_sent, more_received;
};

static void work_free(struct work *work)
{
	free(work->kept.bytes);
	free(work->bytes);
	free(work);
}

static void work_end(struct work *work)
{
	struct run_pump *pump = &work->pump;

	if (--work->threads)
		return;
	if (!work->begun) {
		work_free(work);
		return;
	}
	run_say("done: %s: sent %llu + %llu, received %llu + %llu bytes (xensockets + TCP)",
		run_text(&pump->name.peer), (unsigned long long)work->sent,
		(unsigned long long)work->more_sent, (unsigned long long)work->received,
		(unsigned long long)work->more_received);
	close(pump->app);
	if (pump->xs.tx >= 0)
		close(pump->xs.tx);
	if (pump->xs.rx >= 0)
		close(pump->xs.rx);
	close(pump->tcp);
	work_free(work);
	run_give(RUN_PUMP_PLACES);
	pumps--;
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

static ssize_t receive(int fd, char *bytes, size_t len)
{
	ssize_t n;

	do
		n = recv(fd, bytes, len, 0);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && run_wait(fd, POLLIN, -1))));
	return n;
}

/* The other program is to see an error, not an end: now, whoever waits for this connection. */
static void reset_connection(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	connect(fd, &none, sizeof(none));
}

/* The peer has all that was to be sent on TCP. */
static bool arrived(struct work *work)
{
	int bytes;

	return work->written && !ioctl(work->pump.tcp, SIOCOUTQ, &bytes) && !bytes;
}

/*
 * Reads what still comes, for a while, and throws it away: a connection that is closed with something
 * unread is reset, which might cost the peer what we have sent last. If the program has @closed, no
 * longer than that is so: who still sends is to hear of it, as of any socket that is closed.
 */
static void drain(struct work *work, bool closed)
{
	int64_t end = run_now_ms() + LINGER_MS, left;
	int fd = work->pump.tcp;

	while ((left = end - run_now_ms()) > 0 && !(closed && arrived(work))) {
		if (closed && left > 20)
			left = 20;
		if (run_wait(fd, POLLIN, (int)left) && receive(fd, work->bytes, CHUNK) <= 0)
			break;
	}
}

static struct kept keep(int tx)
{
	struct kept kept = { .size = CHUNK };
	struct xsock_info info;

	if (tx >= 0 && !xsock_get_info(tx, &info))
		kept.size += info.size;
	kept.bytes = malloc(kept.size);
	return kept;
}

static char *kept_at(const struct kept *kept, uint64_t number)
{
	return kept->bytes + number % kept->size;
}

/* How many lie in one piece. */
static size_t kept_piece(const struct kept *kept, uint64_t number, uint64_t most)
{
	size_t piece = kept->size - number % kept->size;

	return piece < most ? piece : most;
}

/* On TCP, the last @count bytes that were kept, or as many as there are, with their number. */
static bool send_again(const struct work *work, const struct kept *kept, uint64_t count)
{
	uint64_t at, most = kept->end < kept->size ? kept->end : kept->size;
	uint8_t number[8];
	bool sent;

	at = kept->end - (count < most ? count : most);
	for (int i = 0; i < 8; i++)
		number[i] = (uint8_t)(at >> 8 * i);
	sent = run_send(work->pump.tcp, number, sizeof(number));
	while (sent && at < kept->end) {
		size_t piece = kept_piece(kept, at, kept->end - at);

		sent = run_send(work->pump.tcp, kept_at(kept, at), piece);
		at += piece;
	}
	return sent;
}

/* How many bytes that follow on TCP have been received already. False: some have not, and do not. */
static bool sent_again(const struct work *work, uint64_t *again)
{
	uint64_t number = 0;
	uint8_t bytes[8];

	if (!run_receive(work->pump.tcp, bytes, sizeof(bytes), -1))
		return false;
	for (int i = 0; i < 8; i++)
		number |= (uint64_t)bytes[i] << 8 * i;
	if (number > work->received) {
		run_say("lost: %s: %llu bytes after %llu", run_text(&work->pump.name.peer),
			(unsigned long long)(number - work->received),
			(unsigned long long)work->received);
		return false;
	}
	*again = work->received - number;
	return true;
}

/* Waits until the program has something to say. False: cut off, and it has perhaps said it all. */
static bool program_says(const struct run_pump *pump)
{
	struct pollfd pfd[2] = { { .fd = pump->app, .events = POLLIN }, { .fd = pump->xs.tx } };

	while (poll(pfd, 2, -1) < 0 && errno == EINTR)
		;
	return !(pfd[1].revents & (POLLERR | POLLHUP)) || !cut_off(pump->xs.tx);
}

/* Not more bytes than these may be missing at the peer's. */
static uint64_t unread(int tx)
{
	int bytes;

	/* One that is cut off does not know. */
	return ioctl(tx, SIOCOUTQ, &bytes) || cut_off(tx) ? UINT64_MAX : (uint64_t)bytes;
}

/* False: it cannot. */
static bool back_to_tcp(struct work *work, const struct kept *kept)
{
	run_say("back to TCP: %s: after sending %llu bytes", run_text(&work->pump.name.peer),
		(unsigned long long)work->sent);
	if (!send_again(work, kept, UINT64_MAX))
		return false;
	work->more_sent = kept->end - work->sent;
	/* It has memory of the kernel's. */
	close(work->pump.xs.tx);
	work->pump.xs.tx = -1;
	return true;
}

/* What the program writes. */
static void outward(struct work *work)
{
	struct run_pump *pump = &work->pump;
	bool xs = pump->xs.tx >= 0, wanted = true;
	struct kept *kept = &work->kept;

	while (wanted) {
		char *bytes = kept_at(kept, kept->end);
		ssize_t n = 0;
		size_t part;

		if (!xs || program_says(pump)) {
			n = receive(pump->app, bytes, kept_piece(kept, kept->end, CHUNK));
			if (n <= 0)
				break;
		}
		kept->end += (uint64_t)n;
		if (!xs) {
			wanted = run_send(pump->tcp, bytes, (size_t)n);
			work->more_sent += wanted ? (size_t)n : 0;
			continue;
		}
		part = send_some(pump->xs.tx, bytes, (size_t)n);
		work->sent += part;
		if (n && part == (size_t)n)
			continue;
		wanted = cut_off(pump->xs.tx) && back_to_tcp(work, kept);
		xs = !wanted;
	}
	/* The peer wants no more: nor do we of the program. */
	if (!wanted)
		shutdown(pump->app, SHUT_RD);
	if (xs) {
		shutdown(pump->xs.tx, SHUT_WR);
		/* That, and what has not been read yet, might not get through any more. */
		send_again(work, kept, unread(pump->xs.tx));
	}
	shutdown(pump->tcp, SHUT_WR);
	work->written = true;
}

/*
 * From @fd to the program, but for the first @skip bytes. Returns as recv(): 0 at the end, or why
 * it does not go on.
 */
static ssize_t carry(struct work *work, int fd, uint64_t skip, uint64_t *counter)
{
	struct pollfd pfd[2] = { { .fd = fd, .events = POLLIN }, { .fd = work->pump.app } };
	char *bytes = work->bytes;
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
		if (skip >= (uint64_t)n) {
			skip -= (uint64_t)n;
			continue;
		}
		n -= (ssize_t)skip;
		*counter += (size_t)n;
		/* A program that only reads no more may still have something to say. */
		wanted = wanted && run_send(work->pump.app, bytes + skip, (size_t)n);
		skip = 0;
	}
	errno = EPIPE;
	return -1;
}

/*
 * Why @rx goes no further, does its sender's helper have the rest? If it had ended before, and not
 * all could be kept here, @rx was not cut off, but the rest is on its way.
 */
static bool goes_on(const struct work *work, int rx, uint64_t *again)
{
	return (cut_off(rx) || run_wait(work->pump.tcp, POLLIN, REST_MS)) && sent_again(work, again);
}

/* What the program reads. */
static void inward(struct work *work)
{
	struct run_pump *pump = &work->pump;
	bool closed = false;
	uint64_t again;
	ssize_t n;

	if (pump->xs.rx >= 0) {
		n = carry(work, pump->xs.rx, 0, &work->received);
		closed = n < 0 && errno == EPIPE;
		if (n < 0 && !closed && goes_on(work, pump->xs.rx, &again)) {
			run_say("back to TCP: %s: after receiving %llu bytes",
				run_text(&pump->name.peer), (unsigned long long)work->received);
			close(pump->xs.rx);
			pump->xs.rx = -1;
			n = carry(work, pump->tcp, again, &work->more_received);
			closed = n < 0 && errno == EPIPE;
		} else if (n < 0) {
			/* That nobody reads any more is for the peer to hear. */
			shutdown(pump->xs.rx, SHUT_RD);
		}
	} else {
		n = carry(work, pump->tcp, 0, &work->more_received);
		closed = n < 0 && errno == EPIPE;
	}
	if (n < 0 && !closed)
		reset_connection(pump->tcp);
	shutdown(pump->app, n ? SHUT_RDWR : SHUT_WR);
	drain(work, closed);
}

static void *inward_thread(void *argument)
{
	struct work *work = argument;

	while (sem_wait(&work->decided))
		;
	if (work->begun)
		inward(work);
	work_end(work);
	return NULL;
}

static void *outward_thread(void *argument)
{
	struct work *work = argument;
	struct run_pump *pump = &work->pump;
	enum run_verdict verdict = RUN_TAKEN;

	while (sem_wait(&work->begin))
		;
	if (!work->begun) {
		work_end(work);
		return NULL;
	}
	if (pump->side >= 0) {
		verdict = run_verdict(pump->side);
		close(pump->side);
		run_give(1);
	}
	if (verdict != RUN_TAKEN) {
		close(pump->xs.tx);
		close(pump->xs.rx);
		pump->xs = (struct xsock_pair){ -1, -1 };
		run_refuse(&pump->name.peer,
			   verdict == RUN_PLAIN ? "not accepted in time" : "the helper there is gone");
		/* Whether that has accepted is not known. */
		if (verdict == RUN_LOST)
			shutdown(pump->tcp, SHUT_RDWR);
	}
	sem_post(&work->decided);
	outward(work);
	work_end(work);
	return NULL;
}

/* The program's end, or -1. */
static int make_pair(struct work *work)
{
	int pair[2], size = 1024 * 1024;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	work->pump.app = pair[0];
	return pair[1];
}

/* Nothing is to be carried. Who waits for @begin is there, and @work until it has been told. */
void run_pump_cancel(struct work *work)
{
	close(work->pump.app);
	close(work->app);
	sem_post(&work->decided);
	sem_post(&work->begin);
}

struct work *run_pump_prepare(const struct xsock_pair *xs)
{
	struct work *work = calloc(1, sizeof(*work));

	if (!work)
		return NULL;
	work->kept = keep(xs->tx);
	work->bytes = malloc(CHUNK);
	work->app = work->kept.bytes && work->bytes ? make_pair(work) : -1;
	if (work->app < 0) {
		work_free(work);
		return NULL;
	}
	sem_init(&work->begin, 0, 0);
	sem_init(&work->decided, 0, 0);
	work->threads = 2;
	if (run_thread(outward_thread, work)) {
		if (run_thread(inward_thread, work))
			return work;
		work->threads--;
		run_pump_cancel(work);
	} else {
		close(work->pump.app);
		close(work->app);
		work_free(work);
	}
	return NULL;
}

int run_pump_begin(struct work *work, const struct run_pump *from, int family)
{
	static atomic_uint number;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int helpers = work->pump.app, programs = work->app, on = 1;
	struct run_pump *pump = &work->pump;

	*pump = *from;
	pump->app = helpers;
	memcpy(pump->name.magic, RUN_NAME, sizeof(pump->name.magic));
	pump->name.number = ++number;
	pump->name.helper = (uint32_t)getpid();
	pump->name.family = (uint8_t)family;
	memcpy(address.sun_path, &pump->name, sizeof(pump->name));
	if (bind(helpers, (struct sockaddr *)&address,
		 offsetof(struct sockaddr_un, sun_path) + sizeof(pump->name))) {
		close(pump->xs.tx);
		close(pump->xs.rx);
		close(pump->tcp);
		if (pump->side >= 0)
			close(pump->side);
		run_pump_cancel(work);
		return -1;
	}
	/* It lies idle, perhaps for long, and what the program asks for is asked of the pair. */
	setsockopt(pump->tcp, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	pumps++;
	work->begun = true;
	sem_post(&work->begin);
	return programs;
}
