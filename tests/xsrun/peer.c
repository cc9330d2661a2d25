/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TCP program for tests of xs-run, strict about what it sees of its socket.
 *
 *	peer serve ADDRESS PORT DELAY		one connection, accepted after DELAY s: says
 *						"hello" first, then echoes to the end
 *	peer deny ADDRESS PORT 0		listens, and does not when it says "ready"; waits for the
 *						end of its standard input
 *	peer call ADDRESS PORT BYTES [now]	calls it; now: without waiting. Checks the echo.
 *						PEER_BOUND, PEER_EPOLL and others: see below
 *	peer other ADDRESS PORT 0		calls it with a socket of the other family: an error
 *	peer closed ADDRESS PORT 0		calls it; meanwhile another thread puts a file in the socket's
 *						place, which has to stay there
 *	peer cancelled ADDRESS PORT 0		calls it in a thread that is cancelled meanwhile: nothing stays
 *						open
 *	peer ports ADDRESS PORT N		listens on N ports, and no more, then on PORT until the end
 *						of its standard input
 *	peer pour ADDRESS PORT BYTES		calls it; sends so many bytes, each when there may be an
 *						echo of the one before, which it does not want to read
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(int good, const char *what)
{
	if (!good) {
		printf("peer: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

/* Options of which some are longer than a number, or empty, or not there. */
static void has_options(int fd)
{
	char bytes[64];
	socklen_t len = sizeof(bytes);
	int number = 0;

	check(!getsockopt(fd, IPPROTO_IP, IP_OPTIONS, bytes, &len) && !len, "IP_OPTIONS");
	len = sizeof(number);
	check(!getsockopt(fd, IPPROTO_IP, IP_TTL, &number, &len) && number > 0, "IP_TTL");
	check(!getsockopt(fd, IPPROTO_IP, IP_TOS, &number, &len) && !number, "IP_TOS");
	check(!getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &number, &len) && number, "TCP_NODELAY");
	check(!getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &number, &len) && number > 500, "TCP_MAXSEG");
	check(!getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &number, &len) && number > 1, "TCP_KEEPINTVL");
	check(getsockopt(fd, IPPROTO_TCP, 9999, &number, &len) && errno == ENOPROTOOPT, "no option");
	check(setsockopt(fd, IPPROTO_TCP, 9999, &number, len) && errno == ENOPROTOOPT, "no option to set");
}

/* Who it is connected to, what it says it is. */
static void looks_like_tcp(int fd, const struct addrinfo *wanted)
{
	struct sockaddr_storage address;
	struct tcp_info info;
	socklen_t len = sizeof(address);
	int on = 1;

	check(!getpeername(fd, (struct sockaddr *)&address, &len) &&
	      address.ss_family == wanted->ai_family && len == wanted->ai_addrlen, "getpeername");
	if (wanted->ai_flags)
		check(!memcmp((char *)&address + 2, (char *)wanted->ai_addr + 2, 6), "it is another peer");
	len = sizeof(address);
	check(!getsockname(fd, (struct sockaddr *)&address, &len) &&
	      address.ss_family == wanted->ai_family && ((struct sockaddr_in *)&address)->sin_port,
	      "getsockname");
	check(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
	len = sizeof(info);
	check(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	      info.tcpi_state == TCP_ESTABLISHED, "TCP_INFO");
	len = sizeof(on);
	check(!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &on, &len) && on == wanted->ai_family, "SO_DOMAIN");
	check(!getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &on, &len) && on == IPPROTO_TCP, "SO_PROTOCOL");
	if (wanted->ai_family == AF_INET)
		has_options(fd);
}

static void keeps_flags(int fd, int nonblocking)
{
	check(!(fcntl(fd, F_GETFL) & O_NONBLOCK) == !nonblocking, "flags");
}

/* PEER_FILES=N: so many descriptors may be added to those that there are. */
static void limit_files(void)
{
	const char *more = getenv("PEER_FILES");
	struct rlimit files;
	int next = dup(STDIN_FILENO);

	close(next);
	if (more && !getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = (rlim_t)(next + atoi(more));
		check(!setrlimit(RLIMIT_NOFILE, &files), "limit");
	}
}

static int serve(struct addrinfo *to, int delay)
{
	int s = socket(to->ai_family, SOCK_STREAM, 0), on = 1, late = 30, fd;
	char bytes[10000];
	ssize_t n;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* PEER_DEFERRED: accept() only with the first bytes, or after half a minute. */
	if (getenv("PEER_DEFERRED"))
		check(!setsockopt(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, &late, sizeof(late)), "TCP_DEFER_ACCEPT");
	check(!bind(s, to->ai_addr, to->ai_addrlen) && !listen(s, 5), "listen");
	puts("ready");
	fflush(stdout);
	/* PEER_CLEARENV: as some make themselves another environment. */
	if (getenv("PEER_CLEARENV"))
		clearenv();
	sleep((unsigned int)delay);
	limit_files();
	fd = accept4(s, NULL, NULL, SOCK_NONBLOCK);
	check(fd >= 0, "accept");
	keeps_flags(fd, 1);
	fcntl(fd, F_SETFL, 0);
	to->ai_flags = 0;
	looks_like_tcp(fd, to);
	check(write(fd, "hello", 5) == 5, "write");
	/* Who does not want the echo may close. */
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		check(send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n || errno == EPIPE, "send");
	check(!n, "read");
	return 0;
}

static int deny(struct addrinfo *to)
{
	int s = socket(to->ai_family, SOCK_STREAM, 0);
	char byte;

	check(!bind(s, to->ai_addr, to->ai_addrlen) && !listen(s, 5), "listen");
	close(s);
	puts("ready");
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) != 0;
}

static unsigned char byte_at(long offset)
{
	return (unsigned char)(offset * 7 + offset / 251);
}

/* PEER_BOUND: to this machine's address, and to a port when it is connected. */
static void bind_early(int fd)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;

	if (getenv("PEER_BOUND"))
		check(!setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) &&
		      !bind(fd, (struct sockaddr *)&own, sizeof(own)), "bind");
}

/* PEER_MARK, PEER_DEVICE: what rules for its packets ask for. PEER_FAST: connected with the first byte. */
static void set_early(int fd)
{
	const char *mark = getenv("PEER_MARK"), *device = getenv("PEER_DEVICE");
	int number = mark ? atoi(mark) : 0, on = 1;

	if (mark)
		check(!setsockopt(fd, SOL_SOCKET, SO_MARK, &number, sizeof(number)), "SO_MARK");
	if (device)
		check(!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)),
		      "SO_BINDTODEVICE");
	if (getenv("PEER_FAST"))
		check(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)),
		      "TCP_FASTOPEN_CONNECT");
}

/* PEER_EPOLL: an epoll descriptor that knows the socket before it is connected, or -1. */
static int watch_early(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epfd = getenv("PEER_EPOLL") ? epoll_create1(0) : -1;

	if (epfd >= 0)
		check(!epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
	return epfd;
}

static int call(struct addrinfo *to, long bytes, int now)
{
	int fd = socket(to->ai_family, SOCK_STREAM | (now ? SOCK_NONBLOCK : 0), 0);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	long sent = 0, received = -5;
	int epfd = watch_early(fd);
	struct epoll_event event;
	unsigned char buffer[7001];
	ssize_t n;

	bind_early(fd);
	set_early(fd);
	check(!fcntl(fd, F_SETOWN, getpid()) && !fcntl(fd, F_SETSIG, SIGUSR2), "F_SETOWN");
	check(!connect(fd, to->ai_addr, to->ai_addrlen) || errno == EINPROGRESS, "connect");
	check(fcntl(fd, F_GETOWN) == getpid() && fcntl(fd, F_GETSIG) == SIGUSR2, "F_GETOWN");
	check(poll(&pfd, 1, 10000) == 1 && pfd.revents == POLLOUT, "poll");
	/* The "hello". */
	if (epfd >= 0)
		check(epoll_wait(epfd, &event, 1, 10000) == 1 && event.events == EPOLLIN, "epoll_wait");
	keeps_flags(fd, now);
	to->ai_flags = 1;
	looks_like_tcp(fd, to);
	if (now)
		check(connect(fd, to->ai_addr, to->ai_addrlen) && errno == EISCONN, "connect again");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (received < bytes) {
		pfd.events = (short)(POLLIN | (sent < bytes ? POLLOUT : 0));
		check(poll(&pfd, 1, 20000) == 1, "poll");
		if (pfd.revents & POLLIN) {
			n = recv(fd, buffer, received < 0 ? (size_t)-received : sizeof(buffer), 0);
			check(n > 0, "recv");
			for (ssize_t i = 0; i < n; i++, received++)
				check(buffer[i] == (received < 0 ? (unsigned char)"hello"[received + 5] :
						    byte_at(received)), "content");
		} else if (sent < bytes) {
			for (n = 0; n < (ssize_t)sizeof(buffer) && sent + n < bytes; n++)
				buffer[n] = byte_at(sent + n);
			n = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
			check(n > 0 || errno == EAGAIN, "send");
			sent += n > 0 ? n : 0;
		}
	}
	check(!shutdown(fd, SHUT_WR), "shutdown");
	pfd.events = POLLIN;
	check(poll(&pfd, 1, 20000) == 1 && !recv(fd, buffer, 1, 0), "end");
	printf("echoed %ld\n", received);
	return 0;
}

static int pour(struct addrinfo *to, long bytes)
{
	int fd = socket(to->ai_family, SOCK_STREAM, 0);
	char hello[5];

	check(!connect(fd, to->ai_addr, to->ai_addrlen), "connect");
	check(recv(fd, hello, 5, MSG_WAITALL) == 5 && !shutdown(fd, SHUT_RD), "hello");
	while (bytes--) {
		check(send(fd, "x", 1, MSG_NOSIGNAL) == 1, "send");
		usleep(20000);
	}
	close(fd);
	return 0;
}

static int other(struct addrinfo *to)
{
	int fd = socket(to->ai_family == AF_INET ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	check(fd >= 0, "socket");
	errno = 0;
	/* An IPv4 address is too short for IPv6, in the first place. */
	check(connect(fd, to->ai_addr, to->ai_addrlen) && (errno == EAFNOSUPPORT || errno == EINVAL), "connect");
	return 0;
}

static int ports(struct addrinfo *to, int number)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int s;

	while (number--) {
		s = socket(AF_INET, SOCK_STREAM, 0);
		check(!bind(s, (struct sockaddr *)&any, sizeof(any)) && !listen(s, 5), "listen");
		close(s);
	}
	s = socket(to->ai_family, SOCK_STREAM, 0);
	check(!bind(s, to->ai_addr, to->ai_addrlen) && !listen(s, 5), "listen");
	puts("ready");
	fflush(stdout);
	return read(STDIN_FILENO, &any, 1) != 0;
}

/* In a thread of its own: a call of a peer whose helper takes its time. */
static struct {
	struct addrinfo *to;
	int fd;
	int result;
	int error;
} late;

static void *call_late(void *argument)
{
	(void)argument;
	late.result = connect(late.fd, late.to->ai_addr, late.to->ai_addrlen);
	late.error = errno;
	pthread_testcancel();
	return NULL;
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int number = 0;

	while (readdir(dir))
		number++;
	closedir(dir);
	return number;
}

static int meanwhile(struct addrinfo *to, int cancel)
{
	int null = open("/dev/null", O_RDWR), before;
	pthread_t thread;
	struct stat st;
	void *ended;

	late.to = to;
	late.fd = socket(to->ai_family, SOCK_STREAM, 0);
	before = open_files();
	check(!pthread_create(&thread, NULL, call_late, NULL), "thread");
	puts("calls");
	fflush(stdout);
	usleep(500000);
	if (cancel)
		pthread_cancel(thread);
	else
		check(dup2(null, late.fd) == late.fd, "dup2");
	puts("meanwhile");
	fflush(stdout);
	pthread_join(thread, &ended);
	if (cancel) {
		check(ended == PTHREAD_CANCELED, "it was not cancelled");
	} else {
		check(!late.result || late.error == EBADF, "connect");
		check(!fstat(late.fd, &st) && S_ISCHR(st.st_mode), "it is another file");
	}
	check(open_files() == before, "files are open");
	return 0;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *to;

	if (argc < 5 || getaddrinfo(argv[2], argv[3], &hints, &to))
		return 2;
	if (!strcmp(argv[1], "serve"))
		return serve(to, atoi(argv[4]));
	if (!strcmp(argv[1], "deny"))
		return deny(to);
	if (!strcmp(argv[1], "pour"))
		return pour(to, atol(argv[4]));
	if (!strcmp(argv[1], "other"))
		return other(to);
	if (!strcmp(argv[1], "ports"))
		return ports(to, atoi(argv[4]));
	if (!strcmp(argv[1], "closed") || !strcmp(argv[1], "cancelled"))
		return meanwhile(to, !strcmp(argv[1], "cancelled"));
	return call(to, atol(argv[4]), argc > 5);
}
