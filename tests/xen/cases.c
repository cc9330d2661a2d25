// SPDX-License-Identifier: BSD-3-Clause
/*
 * The cases. What A and B expect is what an AF_UNIX stream does, unless a comment
 * says otherwise. Every case leaves nothing behind, which the runner checks.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "xsocktest.h"

#define MIB (1024 * 1024)

/* The end of a stream does not wait until its pages have been given back. */
static int detached(int fd)
{
	int tries;

	for (tries = 0; tries < patience(500) && xs_info(fd).state != XSOCK_STATE_DETACHED; tries++)
		usleep(10000);
	return tries < patience(500);
}

/* ---- stream ---- */

/* Sends @total bytes of the pattern in random pieces. */
static void stream_out(int fd, uint64_t total, size_t most)
{
	uint8_t *data = malloc(most);
	uint64_t seed = 4711, offset = 0;

	while (offset < total) {
		size_t n = 1 + rnd(&seed) % most;
		ssize_t sent;

		if (n > total - offset)
			n = total - offset;
		fill(data, n, offset);
		sent = send(fd, data, n, 0);
		/* A blocking send is complete. */
		if (!same(sent, n))
			break;
		offset += n;
	}
	free(data);
}

static void stream_in(int fd, uint64_t total, size_t most)
{
	uint8_t *data = malloc(most);
	uint64_t seed = 815, offset = 0;

	while (offset < total) {
		size_t n = 1 + rnd(&seed) % most;
		ssize_t got = recv(fd, data, n, 0);

		if (!check(got > 0) || !same(wrong(data, got, offset), 0))
			break;
		offset += got;
	}
	same(offset, total);
	free(data);
}

static void a_stream(void)
{
	int fd = xs_pair(0);

	stream_out(fd, 8 * MIB, 100000);
	check(!close(fd));
}

static void b_stream(void)
{
	uint8_t byte;
	int fd = xs_pair(0);

	stream_in(fd, 8 * MIB, 100000);
	same(recv(fd, &byte, 1, 0), 0);
	same(recv(fd, &byte, 1, 0), 0);
	check(!close(fd));
}

/* More than a pipe holds lies in the ring, and begins in the middle of a page. */
#define SPLICE_RING	(128 * 1024)
#define SPLICE_AT	100
#define SPLICE_QUEUED	70000

static void a_splice(void)
{
	int fd = xs_pair(SPLICE_RING);

	stream_out(fd, MIB, 5000);
	check(!close(fd));
}

static void b_splice(void)
{
	static uint8_t data[65536];
	int fd = xs_pair(0), lowat = SPLICE_QUEUED, one = 1, p[2];
	uint64_t offset = SPLICE_AT;
	ssize_t n;

	check(!pipe2(p, O_NONBLOCK | O_CLOEXEC));
	same(recv(fd, data, SPLICE_AT, MSG_WAITALL), SPLICE_AT);
	check(!wrong(data, SPLICE_AT, 0));
	check(!setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
	check(poll_bits(fd, POLLIN, 20000) & POLLIN);
	check(!setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)));
	while ((n = splice(fd, NULL, p[1], NULL, sizeof(data), 0)) > 0) {
		/* What has been read may be written again before the pipe is read. */
		usleep(1000);
		if (!same(read(p[0], data, sizeof(data)), n) ||
		    !same(wrong(data, n, offset), 0))
			break;
		offset += n;
	}
	same(n, 0);
	same(offset, MIB);
	close(p[0]);
	close(p[1]);
	check(!close(fd));
}

static const int sizes[] = { 4096, 8192, 65536, MIB, 16 * MIB };

static void a_sizes(void)
{
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		int fd = xs_pair(sizes[k]);

		same(xs_info(fd).size, sizes[k]);
		stream_out(fd, 2 * MIB + 2 * (uint64_t)sizes[k] / 3, 30000);
		check(!close(fd));
		sync_ends();
	}
}

static void b_sizes(void)
{
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		int fd = xs_pair(0);

		same(xs_info(fd).size, sizes[k]);
		stream_in(fd, 2 * MIB + 2 * (uint64_t)sizes[k] / 3, 30000);
		check(!close(fd));
		sync_ends();
	}
}

/* ---- not blocking ---- */

static void a_nonblock(void)
{
	static uint8_t data[70000];
	int fd = xs_transmitter(0), queued = -1;
	ssize_t n, sent = 0;

	nonblock(fd);
	/* Nobody has connected: no room, and no hang-up either. */
	fails(send(fd, data, 1, 0), EAGAIN);
	same(poll_bits(fd, POLLOUT | POLLIN | POLLRDHUP, 0), 0);
	same(xs_info(fd).state, XSOCK_STATE_OFFERED);
	xs_offer(fd);
	same(poll_bits(fd, POLLOUT | POLLIN | POLLRDHUP, 5000), POLLOUT);
	sync_ends();
	sync_ends();

	fill(data, sizeof(data), 0);
	while ((n = send(fd, data + sent, sizeof(data) - sent, 0)) > 0)
		sent += n;
	same(errno, EAGAIN);
	same(sent, 65536);
	same(poll_bits(fd, POLLOUT, 0), 0);
	check(!ioctl(fd, FIONREAD, &queued) && queued == 0);
	check(!ioctl(fd, TIOCOUTQ, &queued) && queued == 65536);
	sync_ends();	/* full */
	sync_ends();	/* one byte read: below the mark */
	same(poll_bits(fd, POLLOUT, 0), 0);
	same(send(fd, data + sent, 2, 0), 1);
	sent++;
	sync_ends();
	/* B reads half of it while we wait. */
	same(poll_bits(fd, POLLOUT, 5000), POLLOUT);
	sync_ends();
	check(!close(fd));
}

static void b_nonblock(void)
{
	static uint8_t data[70000];
	int fd = xs_receiver(), queued = -1;

	nonblock(fd);
	sync_ends();
	fails(recv(fd, data, 1, 0), EAGAIN);
	same(poll_bits(fd, POLLIN | POLLOUT | POLLRDHUP, 0), 0);
	sync_ends();
	sync_ends();	/* full */
	check(!ioctl(fd, FIONREAD, &queued) && queued == 65536);
	same(poll_bits(fd, POLLIN | POLLOUT | POLLRDHUP, 0), POLLIN);
	same(recv(fd, data, 1, 0), 1);
	sync_ends();
	sync_ends();
	usleep(200000);
	same(recv(fd, data + 1, 32768, 0), 32768);
	same(wrong(data, 32769, 0), 0);
	sync_ends();
	check(!close(fd));
}

/* ---- flags and options ---- */

static void a_peek(void)
{
	uint8_t data[200];
	int fd = xs_pair(4096);

	fill(data, sizeof(data), 0);
	same(send(fd, data, 100, 0), 100);
	sync_ends();
	sync_ends();
	usleep(300000);
	same(send(fd, data + 100, 50, 0), 50);
	usleep(300000);
	same(send(fd, data + 150, 50, 0), 50);
	sync_ends();
	check(!close(fd));
}

static void b_peek(void)
{
	uint8_t data[200];
	int fd = xs_pair(0), low = 60, value = 0;
	socklen_t len = sizeof(value);

	sync_ends();
	same(recv(fd, data, sizeof(data), MSG_PEEK), 100);
	same(wrong(data, 100, 0), 0);
	same(recv(fd, data, 40, MSG_PEEK), 40);
	same(recv(fd, data, 40, MSG_WAITALL), 40);
	same(wrong(data, 40, 0), 0);
	same(recv(fd, data, 100, MSG_DONTWAIT | MSG_WAITALL), 60);
	same(wrong(data, 60, 40), 0);

	/* Two pieces are to come, the first below the low-water mark. */
	check(!setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	check(!getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, &len) && value == 60);
	sync_ends();
	same(recv(fd, data, 60, MSG_PEEK), 60);
	same(wrong(data, 60, 100), 0);
	/* More than the mark is there: it does not wait for the rest, which never comes. */
	same(recv(fd, data, 200, 0), 100);
	same(wrong(data, 100, 100), 0);
	sync_ends();
	same(recv(fd, data, 1, 0), 0);
	check(!close(fd));
}

static void alarmed(int number)
{
	(void)number;
}

/*
 * Since @t about that long, and not nothing: where another processor should have counted ticks
 * but did not get to it, a time-out is over too early by as many. Alarms see to what is too long.
 */
static int waited(double t, const struct timeval *tv)
{
	return now() - t > tv->tv_sec / 4.0;
}

static void a_timeouts(void)
{
	static uint8_t data[65536];
	struct timeval tv = { .tv_sec = patience(1) };
	struct sigaction sa = { .sa_handler = alarmed };
	int fd = xs_transmitter(0);
	double t = now();

	check(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	/* Nobody connects. */
	fails(send(fd, data, 1, 0), EAGAIN);
	check(waited(t, &tv));
	xs_offer(fd);
	sync_ends();
	same(send(fd, data, sizeof(data), 0), sizeof(data));
	t = now();
	fails(send(fd, data, 1, 0), EAGAIN);
	check(waited(t, &tv));
	/* Interrupted, with a finite time-out: EINTR whatever SA_RESTART says. */
	sigaction(SIGALRM, &sa, NULL);
	tv.tv_sec = 20;
	check(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	alarm(1);
	fails(send(fd, data, 1, 0), EINTR);
	tv.tv_sec = 0;
	check(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	alarm(1);
	fails(send(fd, data, 1, 0), EINTR);
	signal(SIGALRM, SIG_DFL);
	alarm(patience(180));
	sync_ends();
	sync_ends();
	check(!close(fd));
}

static void b_timeouts(void)
{
	struct timeval tv = { .tv_sec = patience(1) };
	struct sigaction sa = { .sa_handler = alarmed };
	static uint8_t data[65536];
	int fd = xs_receiver();
	double t;

	sync_ends();
	check(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	sync_ends();
	same(recv(fd, data, sizeof(data), MSG_WAITALL), sizeof(data));
	t = now();
	fails(recv(fd, data, 1, 0), EAGAIN);
	check(waited(t, &tv));
	tv.tv_sec = 0;
	check(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	fails(recv(fd, data, 1, 0), EINTR);
	signal(SIGALRM, SIG_DFL);
	alarm(patience(180));
	sync_ends();
	check(!close(fd));
}

/* ---- ends ---- */

static void a_halfclose(void)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };
	uint8_t data[100];
	int fd = xs_pair(0);

	fill(data, sizeof(data), 0);
	same(send(fd, data, 100, 0), 100);
	check(!shutdown(fd, SHUT_WR));
	fails(send(fd, data, 1, MSG_NOSIGNAL), EPIPE);
	same(poll_bits(fd, POLLOUT | POLLIN | POLLRDHUP, 0), POLLOUT);
	sync_ends();
	sync_ends();
	/* B has shut down its reading end, then closes. */
	same(poll_bits(fd, POLLIN | POLLRDHUP, 0) & (POLLHUP | POLLERR), 0);
	sync_ends();
	same(poll_bits(fd, POLLIN, 5000), POLLIN | POLLHUP);
	same(sock_error_of(fd), 0);
	check(!close(fd));

	/* Reader shuts down: EPIPE, no hang-up. */
	fd = xs_pair(0);
	sync_ends();
	usleep(300000);
	fails(send(fd, data, 1, MSG_NOSIGNAL), EPIPE);
	same(poll_bits(fd, POLLOUT | POLLIN | POLLRDHUP, 0), POLLOUT);
	sync_ends();
	check(!close(fd));

	/* ... and has done so before there was anybody to tell. */
	fd = xs_transmitter(0);
	xs_offer(fd);
	sync_ends();
	fails(send(fd, data, 1, MSG_NOSIGNAL), EPIPE);
	sync_ends();
	check(!close(fd));

	/* So has the writer. */
	fd = xs_socket();
	check(!shutdown(fd, SHUT_WR));
	check(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	fails(send(fd, data, 1, MSG_NOSIGNAL), EPIPE);
	xs_offer(fd);
	sync_ends();
	check(!close(fd));
}

static void b_halfclose(void)
{
	struct sockaddr_xen addr;
	uint8_t data[100];
	int fd = xs_pair(0);

	sync_ends();
	same(poll_bits(fd, POLLIN | POLLRDHUP, 5000), POLLIN | POLLRDHUP);
	same(recv(fd, data, 100, 0), 100);
	same(wrong(data, 100, 0), 0);
	same(recv(fd, data, 100, 0), 0);
	same(poll_bits(fd, POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP);
	fails(send(fd, data, 1, MSG_NOSIGNAL), EOPNOTSUPP);
	check(!shutdown(fd, SHUT_RD));
	sync_ends();
	sync_ends();
	check(!close(fd));

	fd = xs_pair(0);
	check(!shutdown(fd, SHUT_RD));
	same(recv(fd, data, 100, 0), 0);
	sync_ends();
	sync_ends();
	check(!close(fd));

	fd = xs_socket();
	check(!shutdown(fd, SHUT_RD));
	ctl_read(&addr, sizeof(addr));
	check(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	sync_ends();
	sync_ends();
	check(!close(fd));

	fd = xs_receiver();
	same(poll_bits(fd, POLLIN | POLLRDHUP, 5000), POLLIN | POLLRDHUP);
	same(recv(fd, data, 100, 0), 0);
	sync_ends();
	check(!close(fd));
}

/* Bytes and the end right behind them, while the reader looks again and again. */
#define TAILS 20

static void a_tails(void)
{
	for (int k = 0; k < TAILS; k++) {
		int fd = xs_pair(0);

		sync_ends();
		usleep(k * 250);
		same(send(fd, "tail", 4, 0), 4);
		check(!(k % 2 ? shutdown(fd, SHUT_WR) : close(fd)));
		sync_ends();
		if (k % 2)
			check(!close(fd));
	}
}

static void b_tails(void)
{
	for (int k = 0; k < TAILS; k++) {
		int fd = xs_pair(0), got = 0, n;
		char data[8];

		sync_ends();
		while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0 || (n < 0 && errno == EAGAIN))
			got += n > 0 ? n : 0;
		same(n, 0);
		same(got, 4);
		sync_ends();
		check(!close(fd));
	}
}

static volatile sig_atomic_t pipes;

static void count_pipe(int number)
{
	(void)number;
	pipes++;
}

static void a_closed(void)
{
	static uint8_t data[65536];
	int fd = xs_pair(0);

	/* B closes with everything read. */
	same(send(fd, data, 10, 0), 10);
	sync_ends();
	same(poll_bits(fd, POLLIN | POLLRDHUP, 5000),
	     POLLIN | POLLRDHUP | POLLHUP);
	pipes = 0;
	signal(SIGPIPE, count_pipe);
	fails(send(fd, data, 1, MSG_NOSIGNAL), EPIPE);
	same(pipes, 0);
	fails(send(fd, data, 1, 0), EPIPE);
	same(pipes, 1);
	signal(SIGPIPE, SIG_IGN);
	same(sock_error_of(fd), 0);
	check(!close(fd));

	/* B closes with bytes unread: a reset. */
	fd = xs_pair(0);
	same(send(fd, data, 10, 0), 10);
	sync_ends();
	same(poll_bits(fd, POLLIN | POLLRDHUP, 5000),
	     POLLIN | POLLRDHUP | POLLHUP | POLLERR);
	same(sock_error_of(fd), ECONNRESET);
	same(sock_error_of(fd), 0);
	fails(send(fd, data, 1, 0), EPIPE);
	check(!close(fd));

	/* B closes while we sleep in send(). */
	fd = xs_pair(4096);
	same(send(fd, data, sizeof(data), 0), 4096);
	fails(send(fd, data, 1, 0), EPIPE);
	check(!close(fd));

	/* We close, B reads what is there, hung up or not. */
	fd = xs_pair(0);
	fill(data, sizeof(data), 0);
	same(send(fd, data, sizeof(data), 0), sizeof(data));
	check(!close(fd));
	sync_ends();
}

static void b_closed(void)
{
	static uint8_t data[65536];
	int fd = xs_pair(0);

	same(recv(fd, data, 10, MSG_WAITALL), 10);
	sync_ends();
	check(!close(fd));

	fd = xs_pair(0);
	sync_ends();
	check(!close(fd));

	fd = xs_pair(0);
	while (xs_info(fd).prod < 4096)
		usleep(10000);
	usleep(200000);
	check(!close(fd));

	fd = xs_pair(0);
	sync_ends();
	same(poll_bits(fd, POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP | POLLHUP);
	check(detached(fd));
	same(recv(fd, data, sizeof(data), MSG_WAITALL), sizeof(data));
	same(wrong(data, sizeof(data), 0), 0);
	same(recv(fd, data, 1, 0), 0);
	same(sock_error_of(fd), 0);
	check(!close(fd));
}

/* ---- addresses ---- */

static int try_connect(const struct sockaddr_xen *addr)
{
	int fd = xs_socket(), err;

	err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	return err;
}

static void a_addresses(void)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid }, name;
	socklen_t len = sizeof(name);
	char byte = 0;
	int fd = xs_socket(), size = 8192, large = 65536;

	/* Neither bound nor connected. */
	fails(send(fd, &byte, 1, MSG_NOSIGNAL), ENOTCONN);
	fails(recv(fd, &byte, 1, 0), EINVAL);
	same(poll_bits(fd, POLLIN | POLLOUT, 0), POLLOUT | POLLHUP);
	fails(listen(fd, 1), EOPNOTSUPP);
	fails(bind(fd, (struct sockaddr *)&addr, sizeof(addr) - 1), EINVAL);
	addr.sxen_domid = 0x7ff4;
	fails(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), EADDRNOTAVAIL);
	addr.sxen_domid = own_domid;
	fails(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), EADDRNOTAVAIL);
	addr.sxen_domid = 30000;
	fails(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), EHOSTUNREACH);
	addr.sxen_domid = peer_domid;
	/* Of several sizes the last one counts. */
	check(!setsockopt(fd, SOL_XEN, XSOCK_SO_RING, &large, sizeof(large)));
	check(!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	fails(ioctl(fd, XSOCK_IOC_WAKE), ENOTCONN);
	check(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	fails(ioctl(fd, XSOCK_IOC_WAKE), ENOTCONN);
	fails(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), EINVAL);
	fails(getpeername(fd, (struct sockaddr *)&name, &len), ENOTCONN);
	same(xs_info(fd).size, 8192);
	addr = xs_name(fd);
	same(addr.sxen_domid, own_domid);
	check(addr.sxen_gref && addr.sxen_port && addr.sxen_version == XSOCK_VERSION);
	fails(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), EINVAL);

	ctl_write(&addr, sizeof(addr));
	sync_ends();	/* all wrong ones refused, the right one accepted */
	check(!getpeername(fd, (struct sockaddr *)&name, &len));
	same(name.sxen_domid, peer_domid);
	check(!ioctl(fd, XSOCK_IOC_WAKE));
	check(!close(fd));
	sync_ends();	/* stale now */

	/* A stale offer that was never taken. */
	fd = xs_socket();
	check(!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	check(!setsockopt(fd, SOL_XEN, XSOCK_SO_RING, &large, sizeof(large)));
	addr = (struct sockaddr_xen){ .sxen_family = af, .sxen_domid = peer_domid };
	check(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	same(xs_info(fd).size, large);
	addr = xs_name(fd);
	check(!close(fd));
	ctl_write(&addr, sizeof(addr));
	sync_ends();

	fails(socket(af, SOCK_DGRAM, 0), ESOCKTNOSUPPORT);
	fails(socket(af, SOCK_STREAM, 77), EPROTONOSUPPORT);
}

static void b_addresses(void)
{
	struct sockaddr_xen addr, bad, name;
	socklen_t len = sizeof(name);
	int fd;

	ctl_read(&addr, sizeof(addr));
	for (int k = 0; k < 16; k++) {
		bad = addr;
		bad.sxen_cookie[k] ^= 1 << (k % 8);
		same(try_connect(&bad), ECONNREFUSED);
	}
	bad = addr;
	bad.sxen_gref += 1;
	same(try_connect(&bad), ECONNREFUSED);
	bad.sxen_gref = 0xffffffff;
	same(try_connect(&bad), ECONNREFUSED);
	bad.sxen_gref = 0;
	same(try_connect(&bad), ECONNREFUSED);
	bad = addr;
	bad.sxen_port += 1;
	same(try_connect(&bad), ECONNREFUSED);
	bad = addr;
	bad.sxen_version += 1;
	same(try_connect(&bad), ECONNREFUSED);
	bad = addr;
	bad.sxen_domid = 30000;
	same(try_connect(&bad), ECONNREFUSED);
	bad.sxen_domid = 0;
	same(try_connect(&bad), ECONNREFUSED);
	bad.sxen_domid = own_domid;
	same(try_connect(&bad), ECONNREFUSED);
	bad.sxen_domid = 0xffff;
	same(try_connect(&bad), ECONNREFUSED);

	fd = xs_socket();
	bad.sxen_family = AF_INET;
	fails(connect(fd, (struct sockaddr *)&bad, sizeof(bad)), EINVAL);
	fails(connect(fd, (struct sockaddr *)&addr, 8), EINVAL);
	/* After all that the offer is still good, for one. */
	check(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	fails(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), EISCONN);
	same(try_connect(&addr), ECONNREFUSED);
	check(!getpeername(fd, (struct sockaddr *)&name, &len));
	same(name.sxen_domid, peer_domid);
	for (int k = 0; k < 16; k++)
		same(name.sxen_cookie[k], 0);
	sync_ends();
	sync_ends();
	check(!close(fd));
	same(try_connect(&addr), ECONNREFUSED);

	ctl_read(&addr, sizeof(addr));
	same(try_connect(&addr), ECONNREFUSED);
	sync_ends();
}

/* ---- epoll ---- */

static int epoll_one(int ep, int timeout_ms)
{
	struct epoll_event event = { 0 };
	int n = epoll_wait(ep, &event, 1, timeout_ms);

	return n == 1 ? (int)event.events : n;
}

static int epoll_on(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	check(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	return ep;
}

static void a_epoll(void)
{
	static uint8_t data[65536];
	int fd = xs_transmitter(0), ep = epoll_on(fd, EPOLLOUT | EPOLLET), sent, n;

	same(epoll_one(ep, 0), 0);
	xs_offer(fd);
	same(epoll_one(ep, 5000), EPOLLOUT);	/* connected */
	sync_ends();

	/* Reader: an edge for each arrival, read or not. */
	for (int k = 0; k < 3; k++) {
		same(send(fd, data, 10, 0), 10);
		sync_ends();
		sync_ends();
	}
	sync_ends();	/* B has read the rest */
	/* The same with ONESHOT. */
	same(send(fd, data, 10, 0), 10);
	sync_ends();
	sync_ends();
	same(send(fd, data, 10, 0), 10);
	sync_ends();
	sync_ends();

	/* Writer: full, then an edge when room comes; many times. */
	nonblock(fd);
	while (epoll_one(ep, 0) > 0)
		;
	for (int k = 0; k < 50; k++) {
		sent = 0;
		while ((n = send(fd, data, sizeof(data), 0)) > 0)
			sent += n;
		same(errno, EAGAIN);
		check(sent > 0);
		ctl_write(&sent, sizeof(sent));
		if (!same(epoll_one(ep, 5000), EPOLLOUT))
			break;
	}
	sent = 0;
	ctl_write(&sent, sizeof(sent));
	sync_ends();
	close(ep);
	check(!close(fd));
}

static void b_epoll(void)
{
	static uint8_t data[65536];
	int fd = xs_receiver(), ep = epoll_on(fd, EPOLLIN | EPOLLET), n, total = 0;
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };

	sync_ends();
	for (int k = 0; k < 3; k++) {
		sync_ends();
		same(epoll_one(ep, 5000), EPOLLIN);
		same(epoll_one(ep, 100), 0);	/* the edge is over */
		/* Partial: something is always left. */
		same(recv(fd, data, 1, 0), 1);
		sync_ends();
	}
	close(ep);
	same(recv(fd, data, 100, 0), 27);
	sync_ends();

	ep = epoll_on(fd, EPOLLIN | EPOLLONESHOT);
	sync_ends();
	same(epoll_one(ep, 5000), EPOLLIN);
	same(recv(fd, data, 100, 0), 10);
	sync_ends();
	sync_ends();
	same(epoll_one(ep, 200), 0);	/* disarmed */
	check(!epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event));
	same(epoll_one(ep, 5000), EPOLLIN);
	same(recv(fd, data, 100, 0), 10);
	sync_ends();
	close(ep);

	for (;;) {
		ctl_read(&n, sizeof(n));
		if (!n)
			break;
		for (total = 0; total < n;) {
			int got = recv(fd, data, n - total < 20000 ? n - total : 20000, 0);

			if (!check(got > 0))
				break;
			total += got;
		}
	}
	sync_ends();
	check(!close(fd));
}

/* An edge-triggered reader that reads until EAGAIN, against a bursty writer. */
static void a_edges(void)
{
	uint8_t data[5000];
	uint64_t seed = 99, offset = 0;
	int fd = xs_pair(0);

	while (offset < 2 * MIB) {
		size_t n = 1 + rnd(&seed) % sizeof(data);

		if (n > 2 * MIB - offset)
			n = 2 * MIB - offset;
		fill(data, n, offset);
		if (!same(send(fd, data, n, 0), n))
			break;
		offset += n;
		if (rnd(&seed) % 16 == 0)
			usleep(rnd(&seed) % 3000);
	}
	sync_ends();
	check(!close(fd));
}

static void b_edges(void)
{
	uint8_t data[3000];
	uint64_t offset = 0;
	int fd = xs_pair(0), ep = epoll_on(fd, EPOLLIN | EPOLLET);
	ssize_t n = 0;

	nonblock(fd);
	while (offset < 2 * MIB) {
		if (!check(epoll_one(ep, 10000) & EPOLLIN))
			break;
		while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
			if (!same(wrong(data, n, offset), 0))
				break;
			offset += n;
		}
		if (offset < 2 * MIB && !same(errno, EAGAIN))
			break;
	}
	same(offset, 2 * MIB);
	sync_ends();
	close(ep);
	check(!close(fd));
}

/* ---- mapped ---- */

static void a_mapped(void)
{
	struct mapped m;
	int fd = xs_pair(0);
	uint8_t *p;

	check(!map_ring(&m, fd, 1));
	same(m.tx->version, XSOCK_VERSION);
	same(m.tx->data_pages, 16);
	fails((intptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	fails((intptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
	fails((intptr_t)mmap(NULL, 35 * 4096, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	fails((intptr_t)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 34 * 4096), EINVAL);
	fails((intptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0), EINVAL);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	check(p != MAP_FAILED);
	fails(mprotect(p, 4096, PROT_READ | PROT_WRITE), EACCES);
	munmap(p, 4096);
	/* The second mapping of the data is the first. */
	m.data[5] = 77;
	same(m.data[65536 + 5], 77);

	same(mapped_send(&m, 0, 16 * MIB), 16 * MIB);
	sync_ends();
	printf("# A %s: %llu wake-ups, %llu waits for 16 MiB\n", running,
	       (unsigned long long)m.wakes, (unsigned long long)xs_info(fd).events_received);
	check(!close(fd));	/* the mapping holds the file */
	unmap_ring(&m);
}

static void b_mapped(void)
{
	static uint8_t data[4096];
	struct mapped m;
	int fd = xs_pair(0), err;

	if (can_map_rx()) {
		if (!check(!map_ring(&m, fd, 0)))
			exit(1);
		/* Nothing but the rx page can be made writable. */
		fails(mprotect(m.tx, 4096, PROT_READ | PROT_WRITE), EACCES);
		fails(mprotect(m.data, 4096, PROT_READ | PROT_WRITE), EACCES);
		same(mapped_recv(&m, 0, 16 * MIB), 16 * MIB);
		sync_ends();
		unmap_ring(&m);
	} else {
		err = map_ring(&m, fd, 0) ? errno : 0;
		same(err, EOPNOTSUPP);
		for (uint64_t offset = 0; offset < 16 * MIB; offset += sizeof(data)) {
			if (!same(recv(fd, data, sizeof(data), MSG_WAITALL), sizeof(data)))
				break;
			if (!same(wrong(data, sizeof(data), offset), 0))
				break;
		}
		sync_ends();
	}
	check(!close(fd));
}

/* A thread that polls while another one uses the mapping. */
static atomic_bool watch_over;

static void *watch(void *argument)
{
	long looks = 0;
	int fd = *(int *)argument;

	while (!watch_over) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };

		poll(&pfd, 1, 0);
		looks++;
	}
	printf("# %c %s: looked %ld times\n", side, running, looks);
	return NULL;
}

/* What is moved: more where both threads can run at once, which is where it could go wrong. */
static uint64_t watched_bytes(void)
{
	int own = sysconf(_SC_NPROCESSORS_ONLN) > 1, other;

	ctl_write(&own, sizeof(own));
	ctl_read(&other, sizeof(other));
	return (own || other ? 96 : 4) * MIB;
}

/* So many bytes the one way; a receiver that cannot map calls. */
static int watched_step(struct mapped *m, int fd, uint64_t offset, size_t n)
{
	static uint8_t data[4096];

	if (side == 'A')
		return same(mapped_send(m, offset, n), n);
	if (m)
		return same(mapped_recv(m, offset, n), n);
	return same(recv(fd, data, n, MSG_WAITALL), n) && same(wrong(data, n, offset), 0);
}

/* In pieces of a page or less, so that the ring is nearly empty, in turn with nearly full. */
static void watched(void)
{
	int fd = xs_pair(0), map = side == 'A' || can_map_rx();
	uint64_t offset = 0, n, total = watched_bytes();
	struct mapped m;
	pthread_t thread;

	if (map)
		check(!map_ring(&m, fd, side == 'A'));
	watch_over = false;
	pthread_create(&thread, NULL, watch, &fd);
	while (offset < total) {
		n = 1 + (uint64_t)random() % 4096;
		n = n < total - offset ? n : total - offset;
		if (!watched_step(map ? &m : NULL, fd, offset, n))
			break;
		offset += n;
	}
	watch_over = true;
	pthread_join(thread, NULL);
	same(sock_error_of(fd), 0);
	sync_ends();
	if (map)
		unmap_ring(&m);
	check(!close(fd));
}

/* Published through the mapping, read after the end: the private copy. */
static void a_copy(void)
{
	struct mapped m;
	int fd = xs_pair(0);

	check(!map_ring(&m, fd, 1));
	/* Not from the beginning of the ring, and around its end. */
	same(mapped_send(&m, 0, 60000), 60000);
	sync_ends();
	sync_ends();
	same(mapped_send(&m, 60000, 50000), 50000);
	unmap_ring(&m);
	check(!close(fd));
	sync_ends();
}

static void b_copy(void)
{
	static uint8_t data[110000];
	struct mapped m;
	int fd = xs_pair(0), map = can_map_rx();

	sync_ends();
	if (map) {
		check(!map_ring(&m, fd, 0));
		same(mapped_recv(&m, 0, 55000), 55000);
	} else {
		same(recv(fd, data, 55000, MSG_WAITALL), 55000);
	}
	sync_ends();
	sync_ends();	/* A has closed */
	check(poll_bits(fd, 0, 5000) & POLLHUP);
	check(detached(fd));
	if (map) {
		same(mapped_recv(&m, 55000, 55000), 55000);
		check(m.tx->state & XSOCK_TX_FIN);
		same(m.tx->state & XSOCK_TX_REVOKED, 0);
		unmap_ring(&m);
	} else {
		same(recv(fd, data, 55000, MSG_WAITALL), 55000);
		same(wrong(data, 55000, 55000), 0);
	}
	same(recv(fd, data, 1, 0), 0);
	check(!close(fd));
}

/* ---- lies ---- */

static const int64_t lies[] = {
	-1, -4096, 1LL << 31, 1LL << 32, INT64_MAX, INT64_MIN, 65537, 1 << 20,
};
#define LIES ((int)(sizeof(lies) / sizeof(lies[0])))

/* A process writes nonsense into its own index: its kernel and the peer's say EPROTO. */
static void a_lies(void)
{
	char byte = 0;
	struct mapped m;
	int fd, b_maps;

	for (int k = 0; k < LIES; k++) {
		fd = xs_pair(0);
		check(!map_ring(&m, fd, 1));
		same(mapped_send(&m, 0, 100), 100);
		sync_ends();
		sync_ends();
		m.tx->prod += lies[k];
		ioctl(fd, XSOCK_IOC_WAKE);
		sync_ends();
		/* B has noticed, and revoked; we learn of it, or find out ourselves. */
		check(poll_bits(fd, 0, 5000) & POLLERR);
		same(sock_error_of(fd), EPROTO);
		fails(send(fd, &byte, 1, MSG_NOSIGNAL), EPROTO);
		unmap_ring(&m);
		check(!close(fd));
	}
	/* The own kernel alone. */
	for (int k = 0; k < LIES; k++) {
		fd = xs_pair(0);
		check(!map_ring(&m, fd, 1));
		m.tx->prod += lies[k];
		fails(send(fd, &byte, 1, MSG_NOSIGNAL), EPROTO);
		same(sock_error_of(fd), EPROTO);
		sync_ends();
		unmap_ring(&m);
		check(!close(fd));
	}
	/* The receiver lies. */
	ctl_read(&b_maps, sizeof(b_maps));
	for (int k = 0; b_maps && k < LIES; k++) {
		fd = xs_pair(0);
		same(send(fd, &byte, 1, 0), 1);
		sync_ends();
		sync_ends();
		fails(send(fd, &byte, 1, MSG_NOSIGNAL), EPROTO);
		check(poll_bits(fd, POLLIN, 0) & POLLERR);
		same(sock_error_of(fd), EPROTO);
		sync_ends();
		check(!close(fd));
	}
}

static void b_lies(void)
{
	uint8_t data[200];
	struct mapped m;
	int fd, maps = can_map_rx();

	for (int k = 0; k < LIES; k++) {
		fd = xs_pair(0);
		sync_ends();
		same(recv(fd, data, 50, 0), 50);
		sync_ends();
		sync_ends();
		/* What was believed can be read, then the reason. */
		same(recv(fd, data, sizeof(data), 0), 50);
		same(wrong(data, 50, 50), 0);
		fails(recv(fd, data, 1, 0), EPROTO);
		check(poll_bits(fd, POLLIN, 0) & POLLERR);
		same(sock_error_of(fd), EPROTO);
		fails(recv(fd, data, 1, 0), EPROTO);
		check(!close(fd));
	}
	for (int k = 0; k < LIES; k++) {
		fd = xs_pair(0);
		sync_ends();
		check(poll_bits(fd, 0, 5000) & POLLERR);
		same(sock_error_of(fd), EPROTO);
		check(!close(fd));
	}
	ctl_write(&maps, sizeof(maps));
	for (int k = 0; maps && k < LIES; k++) {
		fd = xs_pair(0);
		sync_ends();
		check(!map_ring(&m, fd, 0));
		m.rx->cons += lies[k] == 1 << 20 ? 2 : lies[k];
		sync_ends();
		sync_ends();
		check(poll_bits(fd, 0, 5000) & POLLERR);
		unmap_ring(&m);
		check(!close(fd));
	}
}

/*
 * A process says in its mapped ring that it has closed, and has not: its peer's memory is given back
 * none the less, when that believes it.
 */
static void a_pretends(void)
{
	struct xsock_status status;
	int fd, b_maps, dev, tries = 0;
	char byte = 0;

	ctl_read(&b_maps, sizeof(b_maps));
	if (!b_maps)
		return;
	dev = open(XSOCK_DEVICE, O_RDWR | O_CLOEXEC);
	check(dev >= 0);
	fd = xs_pair(0);
	same(send(fd, &byte, 1, 0), 1);
	sync_ends();
	sync_ends();
	check(poll_bits(fd, 0, 5000) & POLLHUP);
	fails(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
	do {
		usleep(20000);
		check(!ioctl(dev, XSOCK_CTL_STATUS, &status));
	} while ((status.attached || status.lingering) && ++tries < 250);
	same(status.attached, 0);
	same(status.lingering, 0);
	sync_ends();
	check(!close(fd));
	close(dev);
}

static void b_pretends(void)
{
	int fd, maps = can_map_rx();
	struct mapped m;
	char bytes[2];

	ctl_write(&maps, sizeof(maps));
	if (!maps)
		return;
	fd = xs_pair(0);
	check(!map_ring(&m, fd, 0));
	sync_ends();
	m.rx->state |= XSOCK_RX_CLOSED;
	check(!ioctl(fd, XSOCK_IOC_WAKE));
	sync_ends();
	same(poll_bits(fd, POLLRDHUP, 5000), POLLRDHUP | POLLHUP);
	same(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), 1);
	same(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), 0);
	sync_ends();
	unmap_ring(&m);
	check(!close(fd));
}

/* ---- quiesce ---- */

static int control(void)
{
	int dev = open(XSOCK_DEVICE, O_RDWR | O_CLOEXEC);

	check(dev >= 0);
	return dev;
}

/* At the end that runs it. */
static void quiesce(void)
{
	struct xsock_status before, after;
	int dev = control();

	check(read(dev, &before, sizeof(before)) == sizeof(before));
	same(before.state, XSOCK_CTL_RUNNING);
	same(poll_bits(dev, POLLIN, 0), 0);
	check(!ioctl(dev, XSOCK_CTL_QUIESCE));
	do {
		same(poll_bits(dev, POLLIN, 5000), POLLIN);
		check(read(dev, &after, sizeof(after)) == sizeof(after));
	} while (after.state == XSOCK_CTL_QUIESCING);
	same(after.state, XSOCK_CTL_QUIESCED);
	same(after.epoch, before.epoch + 1);
	same(after.attached, 0);
	same(after.lingering, 0);
	close(dev);
}

static void release(void)
{
	int dev = control();

	check(!ioctl(dev, XSOCK_CTL_RELEASE));
	close(dev);
}

static void a_quiesce(void)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };
	uint8_t data[1000];
	struct mapped m;
	int fd = xs_pair(0), offered = xs_transmitter(0), other = xs_socket(), dev;

	check(!map_ring(&m, fd, 1));
	same(mapped_send(&m, 0, 1000), 1000);
	sync_ends();
	quiesce();
	same(poll_bits(fd, POLLIN, 5000), POLLIN | POLLHUP | POLLERR);
	same(sock_error_of(fd), ENETRESET);
	fails(send(fd, data, 1, MSG_NOSIGNAL), ENETRESET);
	same(xs_info(fd).reason, XSOCK_REASON_QUIESCE);
	fails(ioctl(fd, XSOCK_IOC_WAKE), ENETRESET);
	/* What was published is still there for us. */
	same(m.tx->prod, 1000);
	check(m.tx->state & XSOCK_TX_REVOKED);
	fails(bind(other, (struct sockaddr *)&addr, sizeof(addr)), ENETDOWN);
	sync_ends();
	dev = open(XSOCK_DEVICE, O_RDONLY | O_CLOEXEC);
	fails(ioctl(dev, XSOCK_CTL_RELEASE), EBADF);
	close(dev);
	release();
	check(!bind(other, (struct sockaddr *)&addr, sizeof(addr)));
	unmap_ring(&m);
	close(other);
	close(offered);
	close(fd);

	/* B quiesces. */
	fd = xs_pair(0);
	fill(data, sizeof(data), 0);
	same(send(fd, data, sizeof(data), 0), sizeof(data));
	sync_ends();
	check(poll_bits(fd, 0, 5000) & POLLERR);
	same(sock_error_of(fd), ENETRESET);
	sync_ends();
	close(fd);
}

static void b_quiesce(void)
{
	static uint8_t data[2000];
	struct mapped m;
	int fd = xs_pair(0), map = can_map_rx();

	if (map)
		check(!map_ring(&m, fd, 0));
	sync_ends();
	check(poll_bits(fd, 0, 5000) & POLLHUP);
	same(sock_error_of(fd), ENETRESET);
	if (map) {
		same(mapped_recv(&m, 0, 2000), 1000);
		check(m.tx->state & XSOCK_TX_REVOKED);
		same(m.tx->reason, XSOCK_REASON_QUIESCE);
		unmap_ring(&m);
	} else {
		same(recv(fd, data, sizeof(data), 0), 1000);
		same(wrong(data, 1000, 0), 0);
	}
	fails(recv(fd, data, 1, 0), ENETRESET);
	sync_ends();
	close(fd);

	fd = xs_pair(0);
	sync_ends();
	quiesce();
	same(recv(fd, data, sizeof(data), 0), 1000);
	same(wrong(data, 1000, 0), 0);
	fails(recv(fd, data, 1, 0), ENETRESET);
	sync_ends();
	close(fd);
	release();
}

/* ---- killed ---- */

static void a_killed(void)
{
	uint8_t data[100];
	int fd = xs_pair(0);

	sync_ends();
	check(poll_bits(fd, POLLIN, 10000) & POLLHUP);
	fails(send(fd, data, 1, MSG_NOSIGNAL), EPIPE);
	close(fd);

	/* Our child is the transmitter and is killed. */
	fd = xs_pair(0);
	fill(data, sizeof(data), 0);
	if (!fork()) {
		same(send(fd, data, sizeof(data), 0), sizeof(data));
		sleep(1);
		raise(SIGKILL);
	}
	close(fd);
	wait(NULL);
	sync_ends();
}

static void b_killed(void)
{
	uint8_t data[100];
	int fd = xs_pair(0);

	if (!fork()) {
		usleep(500000);
		raise(SIGKILL);
	}
	close(fd);
	sync_ends();
	wait(NULL);

	fd = xs_pair(0);
	same(recv(fd, data, sizeof(data), MSG_WAITALL), sizeof(data));
	same(wrong(data, sizeof(data), 0), 0);
	same(recv(fd, data, 1, 0), 0);
	check(poll_bits(fd, POLLIN, 0) & POLLHUP);
	sync_ends();
	close(fd);
}

/* ---- something happens to a domain while sockets are busy ---- */

/* What the caller of this end expects: the errno, in the environment. */
static int expected(void)
{
	const char *text = getenv("XSOCK_EXPECT");

	return text ? atoi(text) : ENETRESET;
}

/* Runs until the socket ends, in a child. Says how. */
static void busy_result(const char *what, int fd, uint64_t bytes, double last)
{
	int events = poll_bits(fd, POLLIN | POLLRDHUP, 10000), err = sock_error_of(fd);

	printf("# %c busy: %s: %llu bytes, errno %d after %.1f s of silence\n", side, what,
	       (unsigned long long)bytes, err, now() - last);
	check((events & (POLLHUP | POLLERR)) == (POLLHUP | POLLERR));
	same(err, expected());
	exit(failures != 0);
}

static void busy_mapped_out(int fd)
{
	uint64_t offset = 0;
	double last = now();
	struct mapped m;
	size_t n;

	check(!map_ring(&m, fd, 1));
	while ((n = mapped_send(&m, offset, 1 + offset % 5000)) > 0) {
		offset += n;
		last = now();
		if (offset % 7 == 0)
			usleep(1000);
	}
	check(m.tx->prod == offset && m.rx->cons <= offset);
	busy_result("mapped, out", fd, offset, last);
}

static void busy_mapped_in(int fd)
{
	uint64_t offset = 0;
	double last = now();
	struct mapped m;
	size_t n;

	check(!map_ring(&m, fd, 0));
	while ((n = mapped_recv(&m, offset, 1 + offset % 3000)) > 0) {
		offset += n;
		last = now();
	}
	/* All that was published has been drained. */
	same(m.tx->prod, offset);
	busy_result("mapped, in", fd, offset, last);
}

static void busy_out(int fd)
{
	uint8_t data[5000];
	uint64_t offset = 0;
	double last = now();

	for (;;) {
		ssize_t n = 1 + offset % sizeof(data);

		fill(data, n, offset);
		n = send(fd, data, n, MSG_NOSIGNAL);
		if (n < 0)
			break;
		offset += n;
		last = now();
		if (offset % 7 == 0)
			usleep(1000);
	}
	same(errno, expected());
	busy_result("calls, out", fd, offset, last);
}

static void busy_in(int fd)
{
	uint8_t data[3000];
	uint64_t offset = 0;
	double last = now();
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
		if (!same(wrong(data, n, offset), 0))
			break;
		offset += n;
		last = now();
	}
	check(n < 0);
	same(errno, expected());
	busy_result("calls, in", fd, offset, last);
}

static void busy_idle(int fd)
{
	double last = now();

	check(poll_bits(fd, POLLIN, 560000) & POLLHUP);
	busy_result("idle", fd, 0, last);
}

/*
 * splice() waits for bytes with the lock of a pipe, and somebody else for that: neither keeps the guest
 * from being suspended.
 */
static void busy_spliced(int fd)
{
	double last = now();
	char byte;
	int p[2];

	check(!pipe(p));
	if (!fork()) {
		alarm(patience(580));
		close(p[1]);
		usleep(500000);
		exit(read(p[0], &byte, 1) != 0);
	}
	fails(splice(fd, NULL, p[1], NULL, 1000, 0), expected());
	close(p[1]);
	close(p[0]);
	busy_result("spliced", fd, 0, last);
}

static void busy_child(void (*run)(int), int fd)
{
	if (!fork()) {
		alarm(patience(580));
		run(fd);
		exit(1);
	}
	close(fd);
}

/* Each way of using a socket, in both directions. */
static void busy(void)
{
	int tx[3], rx[3], status, k;

	for (k = 0; k < 3; k++) {
		tx[k] = xs_transmitter(0);
		xs_offer(tx[k]);
	}
	for (k = 0; k < 3; k++)
		rx[k] = xs_receiver();
	sync_ends();
	busy_child(busy_mapped_out, tx[0]);
	busy_child(busy_out, tx[1]);
	busy_child(busy_idle, tx[2]);
	busy_child(can_map_rx() ? busy_mapped_in : busy_in, rx[0]);
	busy_child(busy_in, rx[1]);
	busy_child(busy_spliced, rx[2]);
	printf("# %c busy: begun\n", side);
	for (k = 0; k < 6; k++) {
		check(wait(&status) > 0);
		same(status, 0);
	}
	printf("# %c busy: %s\n", side, failures ? "FAILED" : "passed");
}

const struct test_case cases[] = {
	{ .name = "stream", .says = "8 MiB in random pieces, by position, end of file", .a = a_stream, .b = b_stream },
	{ .name = "splice", .says = "1 MiB through a pipe, by position", .a = a_splice, .b = b_splice },
	{ .name = "sizes", .says = "rings of 4 KiB to 16 MiB", .a = a_sizes, .b = b_sizes },
	{ .name = "nonblock", .says = "EAGAIN, exact filling, poll bits, SIOCINQ, SIOCOUTQ", .a = a_nonblock, .b = b_nonblock },
	{ .name = "peek", .says = "MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, SO_RCVLOWAT", .a = a_peek, .b = b_peek },
	{ .name = "timeouts", .says = "SO_RCVTIMEO, SO_SNDTIMEO, signals", .a = a_timeouts, .b = b_timeouts },
	{ .name = "halfclose", .says = "shutdown of either end", .a = a_halfclose, .b = b_halfclose },
	{ .name = "tails", .says = "the end comes behind the last byte", .a = a_tails, .b = b_tails },
	{ .name = "closed", .says = "close, ECONNRESET, EPIPE, SIGPIPE, data after the close", .a = a_closed, .b = b_closed },
	{ .name = "addresses", .says = "offers good, wrong, stale, taken", .a = a_addresses, .b = b_addresses },
	{ .name = "epoll", .says = "edges, one shot, room, connection", .a = a_epoll, .b = b_epoll },
	{ .name = "edges", .says = "2 MiB to an edge-triggered reader", .a = a_edges, .b = b_edges },
	{ .name = "mapped", .says = "16 MiB through mapped rings, protection of mappings", .a = a_mapped, .b = b_mapped },
	{ .name = "watched", .says = "mapped rings that other threads poll", .a = watched, .b = watched },
	{ .name = "copy", .says = "the private copy after the transmitter's close", .a = a_copy, .b = b_copy },
	{ .name = "lies", .says = "indices out of range in mapped pages", .a = a_lies, .b = b_lies },
	{ .name = "pretends", .says = "a receiver's process that says it has closed", .a = a_pretends, .b = b_pretends },
	{ .name = "quiesce", .says = "quiesce and release at either end", .a = a_quiesce, .b = b_quiesce },
	{ .name = "killed", .says = "SIGKILL of either end", .a = a_killed, .b = b_killed },
	{ .name = "+busy", .says = "busy sockets while something happens to a domain", .a = busy, .b = busy },
	{ .name = "+callfuzz", .says = "random system calls in both guests at once", .a = callfuzz, .b = callfuzz },
	{ .name = "+faults", .says = "each allocation fails once", .a = a_faults, .b = b_faults },
	{ .name = 0 },
};
