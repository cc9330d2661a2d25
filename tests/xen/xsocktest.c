// SPDX-License-Identifier: BSD-3-Clause
/* xsocktest: runs the cases of cases.c, see usage(). Prints TAP at end A. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

#include "xsocktest.h"

/* No case takes as long: it hangs. */
#define LIMIT_S	600

int ctl, af, peer_domid, own_domid, side, failures;
const char *running = "-";

static void die(const char *what)
{
	fprintf(stderr, "xsocktest: %s: %s\n", what, strerror(errno));
	exit(99);
}

void ctl_write(const void *data, size_t len)
{
	if (send(ctl, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("control stream");
}

void ctl_read(void *data, size_t len)
{
	if (recv(ctl, data, len, MSG_WAITALL) != (ssize_t)len)
		die("control stream");
}

void sync_ends(void)
{
	uint32_t mine = 0x600d, theirs = 0;

	ctl_write(&mine, sizeof(mine));
	ctl_read(&theirs, sizeof(theirs));
	if (theirs != mine) {
		errno = EPROTO;
		die("the ends are out of step");
	}
}

int xs_socket(void)
{
	int fd = socket(af, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

int xs_transmitter(int size)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };
	int fd = xs_socket();

	if (size)
		check(!setsockopt(fd, SOL_XEN, XSOCK_SO_RING, &size, sizeof(size)));
	check(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	return fd;
}

struct sockaddr_xen xs_name(int fd)
{
	struct sockaddr_xen addr;
	socklen_t len = sizeof(addr);

	memset(&addr, 0, sizeof(addr));
	check(!getsockname(fd, (struct sockaddr *)&addr, &len));
	same(len, sizeof(addr));
	return addr;
}

void xs_offer(int fd)
{
	struct sockaddr_xen addr = xs_name(fd);

	ctl_write(&addr, sizeof(addr));
}

int xs_receiver(void)
{
	struct sockaddr_xen addr;
	int fd = xs_socket();

	ctl_read(&addr, sizeof(addr));
	check(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	return fd;
}

int xs_pair(int size)
{
	int fd;

	if (side == 'A') {
		fd = xs_transmitter(size);
		xs_offer(fd);
	} else {
		fd = xs_receiver();
	}
	sync_ends();
	return fd;
}

void xs_both(int size, int *tx, int *rx)
{
	*tx = xs_transmitter(size);
	xs_offer(*tx);
	*rx = xs_receiver();
	sync_ends();
}

int can_map_rx(void)
{
	return access("/sys/hypervisor/guest_type", R_OK) ||
	       system("grep -q PV$ /sys/hypervisor/guest_type") != 0;
}

int patience(int seconds)
{
	const char *text = getenv("XSOCK_SLOW");
	int times = text ? atoi(text) : 1;

	return seconds * (times > 1 ? times : 1);
}

int poll_bits(int fd, int events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	/* So long only if what is waited for does not come. */
	if (timeout_ms >= 1000)
		timeout_ms = patience(timeout_ms);
	if (poll(&p, 1, timeout_ms) < 0)
		return -1;
	return p.revents;
}

int sock_error_of(int fd)
{
	int err = -1;
	socklen_t len = sizeof(err);

	check(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

struct xsock_info xs_info(int fd)
{
	struct xsock_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	check(!getsockopt(fd, SOL_XEN, XSOCK_SO_INFO, &info, &len));
	return info;
}

void nonblock(int fd)
{
	check(!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

/*
 * Pseudo-random bytes that repeat after a prime number of them: bytes that are in the wrong
 * place by a page, a ring or anything else shorter than 2^32 are wrong bytes. A table,
 * since working out each byte would take longer than moving it.
 */
#define PERIOD	1048583

static const uint8_t *period(void)
{
	static uint8_t bytes[PERIOD];
	uint64_t seed = 0x9e3779b97f4a7c15ULL;

	if (!bytes[0]) {
		for (size_t k = 1; k < PERIOD; k++)
			bytes[k] = rnd(&seed) >> 24;
		bytes[0] = 1;
	}
	return bytes;
}

/* The longest part of a piece that lies in one period. */
static size_t in_period(uint64_t offset, size_t len)
{
	size_t left = PERIOD - offset % PERIOD;

	return len < left ? len : left;
}

void fill(uint8_t *data, size_t len, uint64_t offset)
{
	for (size_t n; len; data += n, offset += n, len -= n) {
		n = in_period(offset, len);
		memcpy(data, period() + offset % PERIOD, n);
	}
}

int wrong(const uint8_t *data, size_t len, uint64_t offset)
{
	const uint8_t *want;

	for (size_t n; len; data += n, offset += n, len -= n) {
		n = in_period(offset, len);
		want = period() + offset % PERIOD;
		if (!memcmp(data, want, n))
			continue;
		for (n = 0; data[n] == want[n]; n++)
			;
		printf("# %c %s: byte %llu is %#x, not %#x\n", side, running,
		       (unsigned long long)(offset + n), data[n], want[n]);
		return 1;
	}
	return 0;
}

uint64_t rnd(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int map_ring(struct mapped *m, int fd, int transmitter)
{
	struct xsock_info info = xs_info(fd);
	size_t page = XSOCK_PAGE_SIZE, n = info.size / page;
	uint8_t *base;

	memset(m, 0, sizeof(*m));
	m->fd = fd;
	m->i.size = info.size;
	m->i.prod = info.prod;
	m->i.cons = info.cons;
	m->length = XSOCK_MMAP_PAGES(n) * page;
	base = mmap(NULL, m->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return -1;
	if (mmap(base, page, PROT_READ | (transmitter ? 0 : PROT_WRITE), MAP_SHARED | MAP_FIXED,
		 fd, 0) == MAP_FAILED ||
	    mmap(base + page, m->length - page, PROT_READ | (transmitter ? PROT_WRITE : 0),
		 MAP_SHARED | MAP_FIXED, fd, page) == MAP_FAILED) {
		int err = errno;

		munmap(base, m->length);
		errno = err;
		return -1;
	}
	m->rx = (struct xsock_rx_page *)base;
	m->tx = (struct xsock_tx_page *)(base + page);
	m->data = base + 2 * page;
	return 0;
}

void unmap_ring(struct mapped *m)
{
	check(!munmap(m->rx, m->length));
}

/* Waits by poll() until the other side has moved; 0 if it will not any more. */
static int mapped_wait(struct mapped *m, int events)
{
	return !(poll_bits(m->fd, events, 20000) & (POLLHUP | POLLERR));
}

/* Sends a piece of the pattern through the mapping; less than @len at a hang-up. */
size_t mapped_send(struct mapped *m, uint64_t offset, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t n = len - done;

		switch (xsock_tx_prepare(&m->i, m->tx, m->rx, 1)) {
		case XSOCK_BROKEN:
			return done;
		case XSOCK_SLEEP:
			if (xsock_load(&m->rx->state) & (XSOCK_RX_CLOSED | XSOCK_RX_REVOKED) ||
			    xsock_load(&m->tx->state) & XSOCK_TX_REVOKED ||
			    !mapped_wait(m, POLLOUT))
				return done;
			continue;
		case XSOCK_READY:
			break;
		}
		if (n > xsock_free(&m->i))
			n = xsock_free(&m->i);
		/* Without a split: the second mapping continues the first. */
		fill(m->data + xsock_position(&m->i, m->i.prod), n, offset + done);
		if (xsock_tx_publish(&m->i, m->tx, m->rx, n)) {
			m->wakes++;
			ioctl(m->fd, XSOCK_IOC_WAKE);
		}
		done += n;
	}
	return done;
}

/* Receives and compares a piece of the pattern; less than @len at the end. */
size_t mapped_recv(struct mapped *m, uint64_t offset, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t n = len - done;

		switch (xsock_rx_prepare(&m->i, m->rx, m->tx, 1)) {
		case XSOCK_BROKEN:
			return done;
		case XSOCK_SLEEP:
			if (!mapped_wait(m, POLLIN) && xsock_rx_look(&m->i, m->tx) &&
			    !xsock_used(&m->i))
				return done;
			continue;
		case XSOCK_READY:
			break;
		}
		if (n > xsock_used(&m->i))
			n = xsock_used(&m->i);
		if (!same(wrong(m->data + xsock_position(&m->i, m->i.cons), n, offset + done), 0))
			return done;
		if (xsock_rx_consume(&m->i, m->rx, m->tx, n)) {
			m->wakes++;
			ioctl(m->fd, XSOCK_IOC_WAKE);
		}
		done += n;
	}
	return done;
}

/* ---- running ---- */

static int family(void)
{
	FILE *f = fopen(XSOCK_SYSFS_FAMILY, "r");
	int number;

	if (!f || fscanf(f, "%d", &number) != 1)
		die(XSOCK_SYSFS_FAMILY);
	fclose(f);
	return number;
}

static void hello(void)
{
	struct xsock_status status;
	int dev = open(XSOCK_DEVICE, O_RDONLY | O_CLOEXEC);

	if (dev < 0 || read(dev, &status, sizeof(status)) != sizeof(status))
		die(XSOCK_DEVICE);
	close(dev);
	own_domid = status.domid;
	ctl_write(&own_domid, sizeof(own_domid));
	ctl_read(&peer_domid, sizeof(peer_domid));
}

/* What the module holds; a leak shows as a difference. */
static struct xsock_status held(void)
{
	struct xsock_status status = { 0 };
	int dev = open(XSOCK_DEVICE, O_RDONLY | O_CLOEXEC), tries;

	/* Peers let go of rings asynchronously. */
	for (tries = 0; tries < patience(30); tries++) {
		if (dev < 0 || read(dev, &status, sizeof(status)) != sizeof(status))
			die(XSOCK_DEVICE);
		if (!status.sockets && !status.lingering && !status.pages)
			break;
		usleep(100000);
	}
	close(dev);
	return status;
}

/* One case, at this end. */
static int run_case(const struct test_case *c)
{
	struct xsock_status status;
	int theirs = 0;

	running = c->name;
	failures = 0;
	alarm(patience(LIMIT_S));
	sync_ends();
	if (c->steps)
		side == 'A' ? oracle_a(c) : oracle_b(c);
	else
		side == 'A' ? c->a() : c->b();
	status = held();
	check(!status.sockets && !status.lingering && !status.pages);
	alarm(0);
	ctl_write(&failures, sizeof(failures));
	ctl_read(&theirs, sizeof(theirs));
	return failures + theirs;
}

static const struct group {
	const char *name;
	const struct test_case *cases;
} groups[] = {
	{ "semantics", cases },
	{ "unix", unix_cases },
	{ "clients", client_cases },
	{ "bulk", bulk_cases },
	{ "limits", limit_cases },
	{ "regions", region_cases },
	{ "hostile", hostile_cases },
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* End B: A says which. */
static int serve(void)
{
	const struct test_case *c;
	char name[32];

	for (;;) {
		ctl_read(name, sizeof(name));
		if (!name[0])
			return 0;
		for (size_t g = 0; g < GROUPS; g++)
			for (c = groups[g].cases; c->name; c++)
				if (!strcmp(c->name, name))
					run_case(c);
	}
}

static int among(const char *name, int argc, char **argv)
{
	for (int k = 0; k < argc; k++)
		if (!strcmp(argv[k], name))
			return 1;
	return 0;
}

/* End A. Cases with a plus need somebody who does something meanwhile. */
static int run_cases(int argc, char **argv)
{
	int number = 0, bad = 0, result;
	const struct test_case *c;
	char name[32];
	double t;

	for (size_t g = 0; g < GROUPS; g++)
		for (c = groups[g].cases; c->name; c++) {
			if (!among(c->name, argc, argv) &&
			    (c->name[0] == '+' || (argc && !among(groups[g].name, argc, argv))))
				continue;
			memset(name, 0, sizeof(name));
			snprintf(name, sizeof(name), "%s", c->name);
			ctl_write(name, sizeof(name));
			t = now();
			result = run_case(c);
			bad += !!result;
			printf("%sok %d - %s: %s # %.1f s\n", result ? "not " : "", ++number,
			       c->name, c->says, now() - t);
		}
	memset(name, 0, sizeof(name));
	ctl_write(name, sizeof(name));
	printf("1..%d\n", number);
	return bad || !number;
}

static int run(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	af = family();
	period();
	hello();
	return side == 'A' ? run_cases(argc, argv) : serve();
}

/* ---- ways to have two ends ---- */

static void tcp_ready(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ctl = fd;
}

static int tcp_accept(const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, conn;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
		die("listen");
	conn = accept(fd, NULL, NULL);
	if (conn < 0)
		die("accept");
	close(fd);
	return conn;
}

static int tcp_connect(const char *host, const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int fd, tries;

	if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
		die(host);
	for (tries = 0; tries < 100; tries++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		close(fd);
		usleep(100000);
	}
	die("connect");
	return -1;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: xsocktest serve PORT                 end B, waits for end A\n"
		"       xsocktest run HOST PORT [NAME]...    end A, prints TAP; a NAME is that of\n"
		"                                            a case or a group, default: all\n"
		"       xsocktest list                       groups and cases\n"
		"       xsocktest differences                what AF_XEN does on purpose otherwise\n"
		"                                            than AF_UNIX\n"
		"XSOCK_MIB at end A: how much each bulk case moves, default %d\n"
		"XSOCK_ROUNDS at end A: how often random hostile cases begin anew, default 1\n"
		"XSOCK_SEED, XSOCK_CALLS at end A: of +callfuzz, calls of each thread\n"
		"XSOCK_SLOW at both ends: times as much time for everything\n",
		MIB_DEFAULT);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "list")) {
		for (size_t g = 0; g < GROUPS; g++) {
			printf("%s:\n", groups[g].name);
			for (const struct test_case *c = groups[g].cases; c->name; c++)
				printf("  %-16s %s\n", c->name, c->says);
		}
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "differences")) {
		oracle_differences(unix_cases);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		side = 'B';
		tcp_ready(tcp_accept(argv[2]));
		return run(0, NULL);
	}
	if (argc >= 4 && !strcmp(argv[1], "run")) {
		side = 'A';
		tcp_ready(tcp_connect(argv[2], argv[3]));
		return run(argc - 4, argv + 4);
	}
	return usage();
}
