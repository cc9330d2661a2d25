/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * xscat: bytes from one domain to another. A small netcat, and an example of the
 * library: socket calls, or the mapped ring with --map.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xensocket.h>

/* Exit codes, as the manual has them. */
#define EXIT_USAGE	2
#define EXIT_NO_MODULE	3
#define EXIT_TIMEOUT	4
#define EXIT_LOST	5

#define CHUNK		(64 * 1024)

static void usage(FILE *to)
{
	fputs("Usage: xscat -l DOMID [-o FILE] [-r BYTES] [-t SECONDS] [-mv]\n"
	      "       xscat [-mv] OFFER\n"
	      "\n"
	      "With -l, offers a xensocket to a domain of this host, prints the offer on\n"
	      "standard error, and sends standard input to who takes it up. With an offer,\n"
	      "takes it up and writes what comes to standard output.\n"
	      "\n"
	      "  -l, --listen DOMID     domain that may receive\n"
	      "  -o, --offer-file FILE  write the offer to a new file instead\n"
	      "  -r, --ring BYTES       size of the ring: 4096 to 16777216 (65536)\n"
	      "  -t, --timeout SECONDS  wait no longer for the receiver (for ever)\n"
	      "  -m, --map              use the mapped ring, not socket calls\n"
	      "  -v, --verbose          say on standard error what was transferred\n"
	      "  -h, --help             this text\n"
	      "  -V, --version          version\n"
	      "\n"
	      "Exit status: 0 everything was sent and read, or received to its end;\n"
	      "1 another error; 2 wrong usage; 3 the module is not loaded; 4 nobody\n"
	      "took the offer up in time; 5 the peer was lost, or left before the end.\n", to);
}

/* The exit status for an error, and its message. */
static int fail(const char *what, int err)
{
	fprintf(stderr, "xscat: %s: %s%s\n", what, xsock_strerror(err),
		err == -EPERM ? " (the module's parameter \"users\" is 0)" : "");
	switch (-err) {
	case EAFNOSUPPORT:
		return EXIT_NO_MODULE;
	case ENETRESET:
	case EHOSTDOWN:
	case EPROTO:
	case EPIPE:
	case ECONNRESET:
		return EXIT_LOST;
	default:
		return EXIT_FAILURE;
	}
}

/* Likewise for what is not the socket: an EPIPE of standard output is no lost peer. */
static int fail_here(const char *what, int err)
{
	fprintf(stderr, "xscat: %s: %s\n", what, strerror(-err));
	return EXIT_FAILURE;
}

static int socket_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

static ssize_t read_input(void *to, size_t len)
{
	ssize_t n;

	do
		n = read(STDIN_FILENO, to, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int write_output(const char *from, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, from, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* ---- sending ---- */

static int send_calls(int fd)
{
	static char buffer[CHUNK];

	for (;;) {
		ssize_t n = read_input(buffer, sizeof(buffer)), done = 0;

		if (n <= 0)
			return n ? fail_here("standard input", (int)n) : 0;
		while (done < n) {
			ssize_t part = send(fd, buffer + done, (size_t)(n - done),
					    MSG_NOSIGNAL);

			if (part < 0 && errno != EINTR)
				return fail("send", -errno);
			done += part > 0 ? part : 0;
		}
	}
}

/* Reads into the ring itself: no other copy is made. */
static int send_mapped(int fd)
{
	struct xsock_map *map;
	ssize_t room, n;
	void *at;
	int err;

	err = xsock_map_open(fd, &map);
	if (err)
		return fail("map", err);
	for (;;) {
		room = xsock_map_reserve(map, 1, &at);
		if (room == -EAGAIN) {
			err = xsock_map_wait(map, 1, -1);
			if (err >= 0 || err == -EINTR)
				continue;
			room = err;
		}
		if (room < 0) {
			err = fail("send", (int)room);
			break;
		}
		n = read_input(at, room < CHUNK ? (size_t)room : CHUNK);
		if (n <= 0) {
			err = n ? fail_here("standard input", (int)n) : 0;
			break;
		}
		xsock_map_commit(map, (size_t)n);
	}
	xsock_map_close(map);
	return err;
}

/* Until the receiver has come, or the offer can no longer be taken up. */
static int wait_receiver(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int n = poll(&pfd, 1, timeout_ms);

	if (n < 0)
		return fail("poll", -errno);
	if (!n) {
		fprintf(stderr, "xscat: nobody has taken up the offer\n");
		return EXIT_TIMEOUT;
	}
	/* A receiver that has come and gone is found out by sending. */
	return pfd.revents & POLLERR ? fail("waiting for the receiver", socket_error(fd)) : 0;
}

/*
 * Says that this was all, and waits until the receiver has closed its end: only then it
 * is known what it has read.
 */
static int wait_read(int fd)
{
	struct pollfd pfd = { .fd = fd };
	struct xsock_info info;
	int err;

	if (shutdown(fd, SHUT_WR))
		return fail("shutdown", -errno);
	while (!(pfd.revents & (POLLHUP | POLLERR)))
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			return fail("poll", -errno);
	err = xsock_get_info(fd, &info);
	if (err)
		return fail("socket", err);
	if (info.cons == info.prod)
		return 0;
	err = socket_error(fd);
	return fail("the receiver left before the end", err ? err : -ECONNRESET);
}

static int print_offer(const struct xsock_offer *offer, const char *file)
{
	char text[XSOCK_OFFER_TEXT];
	FILE *out = stderr;
	bool failed;

	xsock_offer_format(offer, text);
	/* Whoever can read it can take it up: for the owner's eyes; a new file. */
	if (file) {
		umask(077);
		out = fopen(file, "wxe");
		if (!out)
			return fail(file, -errno);
	}
	failed = fprintf(out, "%s\n", text) < 0 || fflush(out);
	if (file && (fclose(out) || failed))
		return fail(file, -EIO);
	return 0;
}

static int transmit(unsigned int domid, size_t ring, const char *file, int timeout_ms,
		    bool map, int *fd)
{
	struct xsock_offer offer;
	int status;

	*fd = xsock_offer_create(domid, ring, 0, &offer);
	if (*fd < 0)
		return fail("offer", *fd);
	status = print_offer(&offer, file);
	if (!status)
		status = wait_receiver(*fd, timeout_ms);
	if (!status)
		status = map ? send_mapped(*fd) : send_calls(*fd);
	return status ? status : wait_read(*fd);
}

/* ---- receiving ---- */

static int receive_calls(int fd)
{
	static char buffer[CHUNK];

	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? fail("receive", -errno) : 0;
		err = write_output(buffer, (size_t)n);
		if (err)
			return fail_here("standard output", err);
	}
}

static int receive_mapped(int fd)
{
	struct xsock_map *map;
	const void *at;
	ssize_t n;
	int err;

	err = xsock_map_open(fd, &map);
	if (err)
		return fail("map", err);
	for (;;) {
		n = xsock_map_peek(map, 1, &at);
		if (n == -EAGAIN) {
			err = xsock_map_wait(map, 1, -1);
			if (err >= 0 || err == -EINTR)
				continue;
			n = err;
		}
		if (n <= 0) {
			err = n ? fail("receive", (int)n) : 0;
			break;
		}
		/* In pieces, so that the transmitter can go on meanwhile. */
		if (n > CHUNK)
			n = CHUNK;
		err = write_output(at, (size_t)n);
		if (err) {
			err = fail_here("standard output", err);
			break;
		}
		xsock_map_consume(map, (size_t)n);
	}
	xsock_map_close(map);
	return err;
}

static int receive(const char *text, bool map, int *fd)
{
	struct xsock_offer offer;
	int err = xsock_offer_parse(text, &offer);

	if (err) {
		fprintf(stderr, "xscat: offer: %s\n", xsock_strerror(err));
		return EXIT_USAGE;
	}
	*fd = xsock_connect(&offer, 0);
	if (*fd < 0)
		return fail("connect", *fd);
	return map ? receive_mapped(*fd) : receive_calls(*fd);
}

static void report(int fd)
{
	struct xsock_info info;

	if (xsock_get_info(fd, &info))
		return;
	fprintf(stderr, "xscat: %llu bytes, %llu read, %llu events sent, %llu spared, "
		"%llu received, %llu waits\n",
		(unsigned long long)info.prod, (unsigned long long)info.cons,
		(unsigned long long)info.events_sent, (unsigned long long)info.events_spared,
		(unsigned long long)info.events_received, (unsigned long long)info.waits);
}

/* A decimal number up to @max, or exit. */
static unsigned long number(const char *text, unsigned long max, const char *what)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value > max) {
		fprintf(stderr, "xscat: '%s' is no %s\n", text, what);
		exit(EXIT_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "offer-file", required_argument, NULL, 'o' },
		{ "ring", required_argument, NULL, 'r' },
		{ "timeout", required_argument, NULL, 't' },
		{ "map", no_argument, NULL, 'm' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	bool listen = false, map = false, verbose = false, transmitter_only = false;
	int timeout_ms = -1, status, fd = -1, c;
	unsigned int domid = 0;
	const char *file = NULL;
	size_t ring = 0;

	while ((c = getopt_long(argc, argv, "l:o:r:t:mvhV", options, NULL)) != -1) {
		transmitter_only |= c == 'o' || c == 'r' || c == 't';
		switch (c) {
		case 'l':
			listen = true;
			domid = (unsigned int)number(optarg, 0x7fef, "domid");
			break;
		case 'o':
			file = optarg;
			break;
		case 'r':
			ring = number(optarg, XSOCK_RING_MAX, "size of a ring");
			break;
		case 't':
			timeout_ms = 1000 * (int)number(optarg, 1000000, "time in seconds");
			break;
		case 'm':
			map = true;
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("xscat (libxensocket) " XSOCK_LIB_VERSION);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != !listen || (transmitter_only && !listen)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	/* A closed standard output is an error like others. */
	signal(SIGPIPE, SIG_IGN);
	status = listen ? transmit(domid, ring, file, timeout_ms, map, &fd) :
			  receive(argv[optind], map, &fd);
	if (verbose && fd >= 0)
		report(fd);
	return status;
}
