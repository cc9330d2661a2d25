// SPDX-License-Identifier: BSD-3-Clause
/*
 * Cases with a hostile peer: end A is the victim, with nothing but the module and its
 * sockets; end B lies, in each way the protocol leaves to it. The victim may see a broken
 * socket, nothing else. Which end transmits is in the names: rx_ has a rogue receiver, tx_ a
 * rogue transmitter.
 */
#include "rogue.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* How often the random cases begin anew: what end A was told. */
static int rounds(void)
{
	const char *text = getenv("XSOCK_ROUNDS");
	int n = text && *text ? atoi(text) : 1;

	if (side == 'A')
		ctl_write(&n, sizeof(n));
	else
		ctl_read(&n, sizeof(n));
	return n;
}

/* All that a call on a socket with such a peer may say. */
static int sane(ssize_t n, ssize_t most)
{
	static const int allowed[] = {
		EAGAIN, EPROTO, EHOSTDOWN, ENETRESET, EPIPE, ECONNRESET,
	};

	if (n >= 0)
		return n <= most;
	for (size_t k = 0; k < COUNT(allowed); k++)
		if (errno == allowed[k])
			return 1;
	return 0;
}

/* Waits until the socket shares nothing any more; the reason for it. */
static unsigned int detached(int fd)
{
	struct xsock_info info;
	int tries;

	for (tries = 0; tries < patience(1000); tries++) {
		info = xs_info(fd);
		if (info.state == XSOCK_STATE_DETACHED)
			return info.reason;
		usleep(10000);
	}
	check(!"detached in time");
	return ~0U;
}

/* The rogue goes on until the victim says that it is done. */
static int more(void)
{
	uint32_t word;

	return recv(ctl, &word, sizeof(word), MSG_PEEK | MSG_DONTWAIT) < 0;
}

static uint64_t seed_of(int round)
{
	return 0x9e3779b97f4a7c15ULL * (uint64_t)(round + 1);
}

static void take_offer(struct prey *p, enum stage stage)
{
	struct sockaddr_xen addr;

	ctl_read(&addr, sizeof(addr));
	prey_take(p, &addr, stage);
}

/* Connects to what the other end tells, and tells it the errno. */
static int try_connect(int *fd, const struct sockaddr_xen *addr)
{
	int err;

	*fd = xs_socket();
	err = connect(*fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	if (err) {
		close(*fd);
		*fd = -1;
	}
	return err;
}

static int connect_told(int *fd)
{
	struct sockaddr_xen addr;
	int err;

	ctl_read(&addr, sizeof(addr));
	err = try_connect(fd, &addr);
	ctl_write(&err, sizeof(err));
	return err;
}

/* Offers; the errno that the victim got. */
static int offer_told(const struct bait *b)
{
	int err;

	ctl_write(&b->addr, sizeof(b->addr));
	ctl_read(&err, sizeof(err));
	return err;
}

/* ---- a rogue receiver: chosen indices ---- */

#define CHOSEN_SIZE 8192
#define CHOSEN_SENT 100

/* After 100 bytes were sent and the first 50 of them were consumed. */
static const uint64_t bad_cons[] = {
	CHOSEN_SENT + 1, CHOSEN_SIZE, CHOSEN_SIZE + 1, CHOSEN_SENT + CHOSEN_SIZE, 49, 0,
	1ULL << 31, 1ULL << 32, (1ULL << 32) + CHOSEN_SENT, 1ULL << 63, ~0ULL, ~0ULL - 50,
};

static void a_rx_chosen(void)
{
	uint8_t data[CHOSEN_SENT];
	int fd;

	fill(data, sizeof(data), 0);
	for (size_t k = 0; k < COUNT(bad_cons); k++) {
		fd = xs_transmitter(CHOSEN_SIZE);
		xs_offer(fd);
		check(poll_bits(fd, POLLOUT, 10000) & POLLOUT);
		same(send(fd, data, sizeof(data), 0), sizeof(data));
		sync_ends();
		/* half of it is consumed */
		sync_ends();
		same(xs_info(fd).cons, CHOSEN_SENT / 2);
		sync_ends();
		/* the lie is there; with an event every other time, then nobody need look */
		sync_ends();
		if (k % 2)
			same(detached(fd), XSOCK_REASON_PROTOCOL);
		fails(send(fd, data, 1, MSG_NOSIGNAL), EPROTO);
		fails(send(fd, data, 1, MSG_NOSIGNAL), EPROTO);
		same(poll_bits(fd, POLLOUT, 0) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
		same(sock_error_of(fd), EPROTO);
		same(xs_info(fd).cons, CHOSEN_SENT / 2);
		sync_ends();
		close(fd);
	}
}

static void b_rx_chosen(void)
{
	uint8_t data[CHOSEN_SENT];
	struct prey p;

	for (size_t k = 0; k < COUNT(bad_cons); k++) {
		take_offer(&p, STAGE_CONNECTED);
		same(p.size, CHOSEN_SIZE);
		sync_ends();
		same(xsock_load_acquire(&p.tx->prod), CHOSEN_SENT);
		memcpy(data, p.data, sizeof(data));
		check(!wrong(data, sizeof(data), 0));
		xsock_store(&p.rx->cons, CHOSEN_SENT / 2);
		rogue_notify(p.events, p.port);
		sync_ends();
		sync_ends();
		xsock_store(&p.rx->cons, bad_cons[k]);
		if (k % 2)
			rogue_notify(p.events, p.port);
		sync_ends();
		sync_ends();
		/* The victim has said why. */
		check(xsock_load(&p.tx->state) & XSOCK_TX_REVOKED);
		same(xsock_load(&p.tx->reason), XSOCK_REASON_PROTOCOL);
		prey_drop(&p);
	}
}

/* ---- a rogue receiver: random bytes while traffic runs ---- */

enum scribble { NEAR, FAR, SLEEPERS, STATES, UNKNOWN_BITS, ANYWHERE, SCRIBBLES };

/* Sends whatever can be sent, in each way there is, until the socket breaks. */
static int use_transmitter(int fd, uint64_t *seed, int mapped)
{
	static uint8_t data[40000];
	struct mapped m;
	int broken = 0, queued;

	if (mapped)
		check(!map_ring(&m, fd, 1));
	for (int k = 0; k < 400 && !broken; k++) {
		size_t len = 1 + rnd(seed) % sizeof(data);
		ssize_t n;

		switch (rnd(seed) % 4) {
		case 0:
			poll_bits(fd, POLLOUT, 0);
			break;
		case 1:
			check(!ioctl(fd, TIOCOUTQ, &queued));
			check(queued >= 0 && (uint64_t)queued <= xs_info(fd).size);
			break;
		case 2:
			if (mapped && xsock_tx_look(&m.i, m.rx)) {
				uint64_t room = xsock_free(&m.i);

				if (xsock_tx_publish(&m.i, m.tx, m.rx, len < room ? len : room))
					ioctl(fd, XSOCK_IOC_WAKE);
			}
			break;
		case 3:
			/* One writer at a time: not while the ring is mapped. */
			if (mapped)
				break;
			n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
			check(sane(n, len));
			broken = n < 0 && errno != EAGAIN;
			break;
		}
		if (mapped)
			broken = poll_bits(fd, POLLOUT, 0) & POLLERR;
	}
	if (mapped)
		unmap_ring(&m);
	return broken;
}

static void a_rx_scribble(void)
{
	int fd, broken;

	for (int round = 0, end = rounds() * SCRIBBLES; round < end; round++) {
		int how = round % SCRIBBLES;
		uint64_t seed = seed_of(round);

		fd = xs_transmitter(4096 << rnd(&seed) % 5);
		xs_offer(fd);
		check(poll_bits(fd, POLLOUT, 10000) & POLLOUT);
		sync_ends();
		broken = use_transmitter(fd, &seed, (round + round / SCRIBBLES) % 2);
		if (how == SLEEPERS || how == UNKNOWN_BITS)
			check(!broken);
		sync_ends();
		close(fd);
	}
}

/* One random lie in the rx page. */
static void scribble_rx(struct prey *p, int how, uint64_t *seed)
{
	uint64_t prod = xsock_load_acquire(&p->tx->prod), value = rnd(seed);

	switch (how) {
	case NEAR:
		xsock_store(&p->rx->cons, prod - p->size + value % (2 * p->size + 2));
		break;
	case FAR:
		xsock_store(&p->rx->cons, value);
		break;
	case SLEEPERS:
		/* Honest but for its sleep. */
		xsock_store(&p->rx->wake_at, value % 2 ? value : prod + value % 64);
		xsock_store_release(&p->rx->cons, prod);
		break;
	case STATES:
		xsock_store(&p->rx->reason, (uint32_t)rnd(seed));
		xsock_store(&p->rx->state, (uint32_t)value);
		break;
	case UNKNOWN_BITS:
		xsock_store(&p->rx->reason, (uint32_t)rnd(seed));
		xsock_store(&p->rx->state, (uint32_t)value << 8 | XSOCK_RX_CONNECTED);
		xsock_store_release(&p->rx->cons, prod);
		break;
	default:
		((volatile uint8_t *)p->rx)[value % 256] = (uint8_t)(value >> 32);
		break;
	}
}

static void b_rx_scribble(void)
{
	struct prey p;

	for (int round = 0, end = rounds() * SCRIBBLES; round < end; round++) {
		uint64_t seed = seed_of(1000 + round);

		take_offer(&p, STAGE_CONNECTED);
		sync_ends();
		for (int k = 0; more(); k++) {
			scribble_rx(&p, round % SCRIBBLES, &seed);
			if (k % 8 == 0)
				rogue_notify(p.events, p.port);
		}
		sync_ends();
		prey_drop(&p);
	}
}

/* ---- a rogue transmitter: heads ---- */

struct lie {
	const char *name;
	void (*tell)(struct bait *b);
	int err;		/* of connect() */
};

static void lie_nothing(struct bait *b) { (void)b; }
static void lie_magic(struct bait *b) { b->head->magic++; }
static void lie_version(struct bait *b) { b->head->version++; }
static void lie_cookie(struct bait *b) { b->head->cookie[15] ^= 0x80; }
static void lie_port(struct bait *b) { b->head->port++; }
static void lie_far_port(struct bait *b) { b->head->port = b->addr.sxen_port = 0x7fffffff; }
static void lie_offered_version(struct bait *b) { b->addr.sxen_version++; }
static void lie_size_0(struct bait *b) { b->head->data_pages = 0; }
static void lie_size_3(struct bait *b) { b->head->data_pages = 3; }
static void lie_size_8192(struct bait *b) { b->head->data_pages = 8192; }
static void lie_size_top(struct bait *b) { b->head->data_pages = 0x80000000; }
static void lie_size_max(struct bait *b) { b->head->data_pages = ~0U; }
static void lie_size_more(struct bait *b) { b->head->data_pages = 2 * BAIT_PAGES; }
static void lie_size_less(struct bait *b) { b->head->data_pages = BAIT_PAGES / 2; }
static void lie_no_lists(struct bait *b) { b->head->data_pages = 2048; }
static void lie_many_lists(struct bait *b) { b->head->list_pages = ~0U; }
static void lie_two_lists(struct bait *b) { b->head->list_pages = 2; }
static void lie_bad_list(struct bait *b) { b->head->list_pages = 1; b->head->refs[0] = 0xfffff; }
static void lie_tx_0(struct bait *b) { b->head->tx_ref = 0; }
static void lie_tx_far(struct bait *b) { b->head->tx_ref = ~0U; }
static void lie_rx_readonly(struct bait *b) { b->head->rx_ref = b->refs[0]; }
static void lie_data_far(struct bait *b) { b->head->refs[BAIT_PAGES - 1] = 0x7fffffff; }
static void lie_data_nothing(struct bait *b) { b->head->refs[3] = 0xfffff; }

/* The references lie in a list page, as if the head page were too small. */
static void lie_list(struct bait *b)
{
	memcpy(b->data, &b->refs[2], BAIT_PAGES * sizeof(uint32_t));
	b->head->list_pages = 1;
}

/* A big ring of few pages, each many times over. */
static void lie_big(struct bait *b)
{
	uint32_t *list = (uint32_t *)b->data;

	/* 1024 references fill a page, which is not among them. */
	for (int k = 0; k < 1024; k++)
		list[k] = b->refs[2 + 1 + k % (BAIT_PAGES - 1)];
	b->head->data_pages = 1024;
	b->head->list_pages = 1;
}

/* Xen allows so many mappings of one reference. */
static void lie_too_often(struct bait *b)
{
	uint32_t *list = (uint32_t *)b->data;

	for (int k = 0; k < 2048; k++)
		list[k] = b->refs[2 + 2];
	b->head->data_pages = 2048;
	b->head->list_pages = 2;
}

static void lie_list_ends(struct bait *b)
{
	memcpy(b->data, &b->refs[2], BAIT_PAGES / 2 * sizeof(uint32_t));
	b->head->list_pages = 1;
}

/* One page is everything: what the victim writes is what it reads. */
static void lie_one_page(struct bait *b)
{
	b->head->tx_ref = b->refs[1];
	for (int k = 0; k < BAIT_PAGES; k++)
		b->head->refs[k] = b->refs[1];
}

static void lie_rx_is_tx(struct bait *b) { b->head->tx_ref = b->refs[1]; }
static void lie_data_is_head(struct bait *b) { b->head->refs[0] = b->head_ref; }
static void lie_data_writable(struct bait *b) { b->head->refs[1] = b->refs[1]; }

static void lie_head_readonly(struct bait *b)
{
	memcpy(b->data, b->head, XSOCK_PAGE_SIZE);
	b->addr.sxen_gref = b->refs[2];
}

static void lie_other_domain(struct bait *b)
{
	uint64_t index;

	/* Granted to dom0, not to the victim. */
	check(!munmap(rogue_grant(b->grants, 0, 0, 1, &b->head->refs[0], &index),
		      XSOCK_PAGE_SIZE));
}

static void lie_garbage(struct bait *b)
{
	uint64_t seed = 42, *word = (uint64_t *)b->tx;

	/* With the handshake in order, and all of the tx page nonsense from the beginning. */
	for (size_t k = 0; k < XSOCK_PAGE_SIZE / sizeof(*word); k++)
		word[k] = rnd(&seed);
}

static const struct lie lies[] = {
	{ "none", lie_nothing, 0 },
	{ "magic", lie_magic, ECONNREFUSED },
	{ "version", lie_version, ECONNREFUSED },
	{ "version in the offer", lie_offered_version, ECONNREFUSED },
	{ "cookie", lie_cookie, ECONNREFUSED },
	{ "port", lie_port, ECONNREFUSED },
	{ "port nowhere", lie_far_port, ECONNREFUSED },
	{ "0 pages", lie_size_0, ECONNREFUSED },
	{ "3 pages", lie_size_3, ECONNREFUSED },
	{ "8192 pages", lie_size_8192, ECONNREFUSED },
	{ "2^31 pages", lie_size_top, ECONNREFUSED },
	{ "2^32-1 pages", lie_size_max, ECONNREFUSED },
	{ "more pages than references", lie_size_more, ECONNREFUSED },
	{ "fewer pages than references", lie_size_less, 0 },
	{ "lists missing", lie_no_lists, ECONNREFUSED },
	{ "2^32-1 lists", lie_many_lists, ECONNREFUSED },
	{ "too many lists", lie_two_lists, ECONNREFUSED },
	{ "list nowhere", lie_bad_list, ECONNREFUSED },
	{ "list that ends early", lie_list_ends, ECONNREFUSED },
	{ "list without need", lie_list, 0 },
	{ "tx page 0", lie_tx_0, ECONNREFUSED },
	{ "tx page nowhere", lie_tx_far, ECONNREFUSED },
	{ "rx page read-only", lie_rx_readonly, ECONNREFUSED },
	{ "last data page nowhere", lie_data_far, ECONNREFUSED },
	{ "a data page never granted", lie_data_nothing, ECONNREFUSED },
	{ "a data page granted to another domain", lie_other_domain, ECONNREFUSED },
	{ "head page read-only", lie_head_readonly, ECONNREFUSED },
	{ "rx page is the tx page", lie_rx_is_tx, 0 },
	{ "a data page is the head page", lie_data_is_head, 0 },
	{ "a data page is writable", lie_data_writable, 0 },
	{ "one page is all of them", lie_one_page, 0 },
	{ "4 MiB of 15 pages", lie_big, 0 },
	{ "a page mapped too often", lie_too_often, ECONNREFUSED },
	{ "a tx page full of garbage", lie_garbage, 0 },
};

/* Receives in each way there is, until the socket breaks or nothing comes. */
static void use_receiver(int fd, uint64_t *seed, int most)
{
	static uint8_t data[40000];
	int queued, broken = 0;

	for (int k = 0; k < most && !broken; k++) {
		size_t len = 1 + rnd(seed) % sizeof(data);
		int flags = rnd(seed) % 3 ? 0 : MSG_PEEK;
		ssize_t n;

		switch (rnd(seed) % 4) {
		case 0:
			poll_bits(fd, POLLIN, 0);
			break;
		case 1:
			check(!ioctl(fd, FIONREAD, &queued));
			check(queued >= 0 && (uint64_t)queued <= xs_info(fd).size);
			break;
		default:
			n = recv(fd, data, len, flags | MSG_DONTWAIT);
			check(sane(n, len));
			broken = !n || (n < 0 && errno != EAGAIN);
			break;
		}
	}
}

static void a_tx_heads(void)
{
	uint64_t seed = 7;
	int fd;

	for (size_t k = 0; k < COUNT(lies); k++) {
		if (!connect_told(&fd)) {
			use_receiver(fd, &seed, 50);
			close(fd);
		}
		sync_ends();
	}
}

static void b_tx_heads(void)
{
	struct bait b;

	for (size_t k = 0; k < COUNT(lies); k++) {
		bait_make(&b);
		lies[k].tell(&b);
		if (!same(offer_told(&b), lies[k].err))
			printf("# %c %s: ... by the lie \"%s\"\n", side, running, lies[k].name);
		sync_ends();
		bait_drop(&b);
	}
}

/* ---- a rogue transmitter: chosen indices ---- */

/* After 100 bytes were published and the first 40 of them were read. */
#define CHOSEN_READ 40
static const uint64_t bad_prod[] = {
	CHOSEN_SENT - 1, CHOSEN_READ, 0, CHOSEN_READ + BAIT_PAGES * XSOCK_PAGE_SIZE + 1,
	CHOSEN_SENT + BAIT_PAGES * XSOCK_PAGE_SIZE, 1ULL << 31, 1ULL << 32,
	(1ULL << 32) + CHOSEN_SENT, 1ULL << 63, ~0ULL,
};

static void a_tx_chosen(void)
{
	uint8_t data[2 * CHOSEN_SENT];
	int fd;

	for (size_t k = 0; k < COUNT(bad_prod); k++) {
		same(connect_told(&fd), 0);
		same(recv(fd, data, CHOSEN_READ, 0), CHOSEN_READ);
		check(!wrong(data, CHOSEN_READ, 0));
		same(xs_info(fd).prod, CHOSEN_SENT);
		sync_ends();
		sync_ends();
		if (k % 2)
			same(detached(fd), XSOCK_REASON_PROTOCOL);
		/* What was believed before the lie can be read, then it is over for good. */
		same(recv(fd, data, sizeof(data), 0), CHOSEN_SENT - CHOSEN_READ);
		check(!wrong(data, CHOSEN_SENT - CHOSEN_READ, CHOSEN_READ));
		fails(recv(fd, data, sizeof(data), 0), EPROTO);
		fails(recv(fd, data, sizeof(data), MSG_PEEK), EPROTO);
		same(sock_error_of(fd), EPROTO);
		check(poll_bits(fd, POLLIN, 0) & POLLHUP);
		sync_ends();
		close(fd);
	}
}

static void b_tx_chosen(void)
{
	struct bait b;

	for (size_t k = 0; k < COUNT(bad_prod); k++) {
		bait_make(&b);
		fill(b.data, CHOSEN_SENT, 0);
		xsock_store_release(&b.tx->prod, CHOSEN_SENT);
		same(offer_told(&b), 0);
		sync_ends();
		/* Nothing of it may show in what was published before. */
		xsock_store(&b.tx->prod, bad_prod[k]);
		if (k % 2)
			rogue_notify(b.events, b.port);
		sync_ends();
		sync_ends();
		check(xsock_load(&b.rx->state) & XSOCK_RX_REVOKED);
		same(xsock_load(&b.rx->reason), XSOCK_REASON_PROTOCOL);
		bait_drop(&b);
	}
}

/* ---- a rogue transmitter: random bytes while the victim reads ---- */

static void a_tx_scribble(void)
{
	struct mapped m;
	int fd;

	for (int round = 0, end = rounds() * SCRIBBLES; round < end; round++) {
		uint64_t seed = seed_of(2000 + round);
		int mapped = 0;

		if (!same(connect_told(&fd), 0)) {
			sync_ends();
			sync_ends();
			continue;
		}
		if ((round + round / SCRIBBLES) % 2 && can_map_rx()) {
			check(!map_ring(&m, fd, 0));
			mapped = 1;
		}
		sync_ends();
		if (mapped)
			/* What a process believes is checked by the same source. */
			for (int k = 0; k < 2000 && xsock_rx_look(&m.i, m.tx); k++)
				if (xsock_rx_consume(&m.i, m.rx, m.tx, xsock_used(&m.i)))
					ioctl(fd, XSOCK_IOC_WAKE);
		use_receiver(fd, &seed, 400);
		sync_ends();
		if (mapped)
			unmap_ring(&m);
		close(fd);
	}
}

static void scribble_tx(struct bait *b, int how, uint64_t *seed)
{
	uint64_t cons = xsock_load_acquire(&b->rx->cons), value = rnd(seed);

	switch (how) {
	case NEAR:
		xsock_store(&b->tx->prod, cons + value % (b->size + 2));
		break;
	case FAR:
		xsock_store(&b->tx->prod, value);
		break;
	case SLEEPERS:
		xsock_store(&b->tx->wake_at, value % 2 ? value : cons + value % 64);
		xsock_store_release(&b->tx->prod, cons + b->size);
		break;
	case STATES:
		xsock_store(&b->tx->reason, (uint32_t)rnd(seed));
		xsock_store(&b->tx->state, (uint32_t)value);
		break;
	case UNKNOWN_BITS:
		xsock_store(&b->tx->reason, (uint32_t)rnd(seed));
		xsock_store(&b->tx->state, (uint32_t)value << 8);
		xsock_store_release(&b->tx->prod, cons + b->size);
		break;
	default:
		/* The rx page, too: it lies in the rogue's memory. */
		((volatile uint8_t *)(value % 4 ? (void *)b->tx : (void *)b->rx))
			[(value >> 8) % 256] = (uint8_t)(value >> 32);
		break;
	}
	b->data[(value >> 16) % b->size] = (uint8_t)value;
}

static void b_tx_scribble(void)
{
	struct bait b;

	for (int round = 0, end = rounds() * SCRIBBLES; round < end; round++) {
		uint64_t seed = seed_of(3000 + round);

		bait_make(&b);
		same(offer_told(&b), 0);
		sync_ends();
		for (int k = 0; more(); k++) {
			scribble_tx(&b, round % SCRIBBLES, &seed);
			if (k % 8 == 0)
				rogue_notify(b.events, b.port);
		}
		sync_ends();
		bait_drop(&b);
	}
}

/* ---- references that end while they are being mapped ---- */

#define ENDED_TRIES 200

static void a_ended(void)
{
	struct sockaddr_xen addr;
	int fd, err, good = 0;
	uint64_t seed = 11;

	ctl_read(&addr, sizeof(addr));
	for (int k = 0; k < ENDED_TRIES; k++) {
		err = try_connect(&fd, &addr);
		if (!err) {
			good++;
			use_receiver(fd, &seed, 5);
			close(fd);
		} else {
			same(err, ECONNREFUSED);
		}
	}
	printf("# %c %s: %d of %d were complete\n", side, running, good, ENDED_TRIES);
	sync_ends();
}

static void b_ended(void)
{
	uint32_t refs[2];
	uint64_t index[2];
	struct bait b;
	pid_t child;

	bait_make(&b);
	child = fork();
	if (!child) {
		/* Two of the pages come and go; with other references as it happens. */
		for (int k = 0;; k++) {
			void *page = rogue_grant(b.grants, peer_domid, 0, 1, &refs[k % 2],
						 &index[k % 2]);

			b.head->refs[3 + k % 2 * 9] = refs[k % 2];
			munmap(page, XSOCK_PAGE_SIZE);
			if (k)
				rogue_ungrant(b.grants, index[(k + 1) % 2], 1);
		}
	}
	ctl_write(&b.addr, sizeof(b.addr));
	sync_ends();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	bait_drop(&b);
}

/* ---- what else is on the pages that are shared ---- */

#define SHARED_ROUNDS	4
#define SECRET		0x5e

/*
 * Leaves pages full of secrets to whoever gets them next. Debian's kernel zeroes each page that
 * it hands out (init_on_alloc): there only what is written later would be seen, with the debug
 * kernel also what has been there before.
 */
static void a_shared(void)
{
	size_t len = 32 << 20;
	uint8_t *memory;
	int fd;

	for (int k = 0; k < SHARED_ROUNDS; k++) {
		memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		check(memory != MAP_FAILED);
		memset(memory, SECRET, len);
		check(!munmap(memory, len));
		fd = xs_transmitter(65536 << k % 3);
		xs_offer(fd);
		sync_ends();
		close(fd);
		sync_ends();
	}
}

/* Bytes that are not zero. */
static size_t more_than_zero(const void *memory, size_t from, size_t to)
{
	const uint8_t *bytes = memory;
	size_t n = 0;

	for (; from < to; from++)
		n += bytes[from] != 0;
	return n;
}

static void b_shared(void)
{
	size_t page = XSOCK_PAGE_SIZE, refs = offsetof(struct xsock_head, refs);
	struct prey p;

	for (int k = 0; k < SHARED_ROUNDS; k++) {
		take_offer(&p, STAGE_MAPPED);
		same(p.size, 65536 << k % 3);
		same(p.head.taken, 0);
		same(more_than_zero(&p.head, offsetof(struct xsock_head, reserved), refs), 0);
		same(more_than_zero(&p.head, refs + p.head.data_pages * sizeof(uint32_t), page), 0);
		same(more_than_zero(p.tx, offsetof(struct xsock_tx_page, pad0), page), 0);
		same(more_than_zero(p.rx, 0, page), 0);
		same(more_than_zero(p.regions, 0, page), 0);
		same(more_than_zero(p.data, 0, p.size), 0);
		prey_drop(&p);
		sync_ends();
		sync_ends();
	}
}

/* ---- the same pages in several offers, and an offer taken twice ---- */

#define REUSED 4

static void a_reused(void)
{
	int fd[REUSED], again, k;
	uint64_t seed = 13;

	for (k = 0; k < REUSED; k++)
		same(connect_told(&fd[k]), 0);
	/* The last one once more: its port is in use. */
	same(connect_told(&again), ECONNREFUSED);
	for (k = 0; k < REUSED; k++)
		use_receiver(fd[k], &seed, 20);
	sync_ends();
	for (k = 0; k < REUSED; k++)
		close(fd[k]);
}

static void b_reused(void)
{
	struct bait b[REUSED];
	int k;

	for (k = 0; k < REUSED; k++) {
		bait_make(&b[k]);
		b[k].head->tx_ref = b[0].refs[0];
		b[k].head->rx_ref = b[0].refs[1];
		memcpy(b[k].head->refs, &b[0].refs[2], BAIT_PAGES * sizeof(uint32_t));
		same(offer_told(&b[k]), 0);
	}
	same(offer_told(&b[REUSED - 1]), ECONNREFUSED);
	xsock_store_release(&b[0].tx->prod, 1000);
	sync_ends();
	for (k = 0; k < REUSED; k++)
		bait_drop(&b[k]);
}

/* ---- floods of events ---- */

#define FLOOD_BYTES (1 << 20)
#define FLOOD_EVENTS 2000

/* Events at full speed, and those that were slowed down. */
struct events {
	uint64_t news, empty;
};

/*
 * ... of the ring with this role and port of ours (0: any), by the module's list: asking
 * the socket would be looking at it. It is there until the rogue lets go of it.
 */
static struct events events_of(const char *role, unsigned int port)
{
	unsigned long long received, empty;
	struct events sum = { 0, 0 };
	char line[256], its_role[8];
	FILE *f = fopen("/proc/net/xensocket", "r");
	unsigned int its_port;
	int found = 0;

	check(f != NULL);
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%7s %*u %u %*s %*d %*u %*u %*u %*u %*d %*u %*u %llu %llu",
			   its_role, &its_port, &received, &empty) == 4 &&
		    !strcmp(its_role, role) && (!port || port == its_port)) {
			sum = (struct events){ received - empty, empty };
			found++;
		}
	if (f)
		fclose(f);
	same(found, 1);
	return sum;
}

/* A megabyte between honest sockets, checked by position. */
static void honest(int fd, int sender)
{
	static uint8_t data[30000];
	uint64_t done = 0;
	ssize_t n;

	while (done < FLOOD_BYTES) {
		if (sender)
			fill(data, sizeof(data), done);
		n = sender ? send(fd, data, sizeof(data), 0) : recv(fd, data, sizeof(data), 0);
		if (!check(n > 0))
			return;
		if (!sender && !check(!wrong(data, n, done)))
			return;
		done += n;
	}
}

/* Until so many have come that it can be called a flood, however slow the machine. */
static void wait_for_flood(const char *role, unsigned int port, struct events before)
{
	struct events is = before;

	while (!failures && is.news + is.empty - before.news - before.empty <= 10) {
		usleep(10000);
		is = events_of(role, port);
	}
}

/*
 * What gets through at full speed, which are those with news while nobody looks, and a
 * few of the handshake. Of empty ones Linux lets two pass for each tick of its clock.
 */
static void few_events(const char *what, struct events got, double seconds, uint64_t news)
{
	printf("# %c %s: %s got %llu and %llu empty events in %.1f s\n", side, running, what,
	       (unsigned long long)got.news, (unsigned long long)got.empty, seconds);
	check(got.news <= news + 4);
	check((double)got.empty <= 30 + 500 * seconds);
}

static void a_flood(void)
{
	int pair = xs_pair(0), tx = xs_transmitter(0), rx;
	unsigned int port = xs_name(tx).sxen_port;
	struct events got, before = { 0, 0 };
	double begin;
	char byte;

	xs_offer(tx);
	same(connect_told(&rx), 0);
	check(poll_bits(tx, POLLOUT, 10000) & POLLOUT);
	begin = now();
	sync_ends();
	/* the rogue at its fastest */
	wait_for_flood("tx", port, before);
	wait_for_flood("rx", 0, before);
	sync_ends();
	few_events("an idle transmitter", events_of("tx", port), now() - begin, 0);
	few_events("an idle receiver", events_of("rx", 0), now() - begin, 64);
	check(xs_info(tx).state == XSOCK_STATE_OPEN);
	check(xs_info(rx).state == XSOCK_STATE_OPEN);
	honest(pair, 1);
	/* Closed, while the rogue keeps its mappings and goes on. */
	begin = now();
	close(tx);
	before = events_of("tx", port);
	sync_ends();
	wait_for_flood("tx", port, before);
	sync_ends();
	got = events_of("tx", port);
	got.empty -= before.empty;
	got.news -= before.news;
	few_events("a lingering transmitter", got, now() - begin, 0);
	honest(pair, 1);
	/* Whoever looks sees the bytes that came with the events. */
	same(recv(rx, &byte, 1, MSG_DONTWAIT), 1);
	sync_ends();
	close(rx);
	close(pair);
}

/* Waits for so many more, and leaves the processor to them meanwhile. */
static void flooded(const uint64_t *sent)
{
	uint64_t until = xsock_load(sent) + FLOOD_EVENTS;

	while (xsock_load(sent) < until)
		usleep(10000);
	sync_ends();
}

static void b_flood(void)
{
	int pair = xs_pair(0);
	uint64_t *sent = mmap(NULL, XSOCK_PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct prey p;
	struct bait b;
	pid_t child;

	take_offer(&p, STAGE_CONNECTED);
	bait_make(&b);
	same(offer_told(&b), 0);
	sync_ends();
	child = fork();
	if (!child)
		for (;; ++*sent) {
			rogue_notify(p.events, p.port);
			/* News with every event, as long as the ring has room. */
			if (b.tx->prod < b.size)
				xsock_store_release(&b.tx->prod, b.tx->prod + 1);
			rogue_notify(b.events, b.port);
		}
	flooded(sent);
	honest(pair, 0);
	sync_ends();
	flooded(sent);
	honest(pair, 0);
	sync_ends();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("# %c %s: %llu events to each\n", side, running, (unsigned long long)*sent);
	prey_drop(&p);
	bait_drop(&b);
	close(pair);
}

/* ---- disappearing halfway through the handshake ---- */

static void a_halfway(void)
{
	struct sockaddr_xen addr;
	uint8_t data[CHOSEN_SENT];
	int fd, err;

	fill(data, sizeof(data), 0);
	for (int stage = STAGE_READ; stage <= STAGE_CONNECTED; stage++) {
		fd = xs_transmitter(0);
		xs_offer(fd);
		sync_ends();
		/* The rogue is dead. */
		if (stage < STAGE_CONNECTED) {
			/* The offer is as good as before. */
			xs_offer(fd);
			check(poll_bits(fd, POLLOUT, 10000) & POLLOUT);
			same(send(fd, data, sizeof(data), 0), sizeof(data));
		} else {
			same(poll_bits(fd, 0, 20000), POLLERR | POLLHUP);
			fails(send(fd, data, 1, MSG_NOSIGNAL), EHOSTDOWN);
			same(sock_error_of(fd), EHOSTDOWN);
		}
		sync_ends();
		close(fd);
	}

	/* Gone before we connect. */
	ctl_read(&addr, sizeof(addr));
	sync_ends();
	same(try_connect(&fd, &addr), ECONNREFUSED);
	/* Gone just after. */
	ctl_read(&addr, sizeof(addr));
	err = try_connect(&fd, &addr);
	same(err, 0);
	sync_ends();
	if (!err) {
		same(recv(fd, data, sizeof(data), MSG_WAITALL), sizeof(data));
		check(!wrong(data, sizeof(data), 0));
		fails(recv(fd, data, sizeof(data), 0), EHOSTDOWN);
		close(fd);
	}
}

/* Does so much in a process of its own, which is then killed. */
static void b_taken_and_killed(enum stage stage)
{
	int done[2];
	pid_t child;
	char byte = 0;

	check(!pipe(done));
	child = fork();
	if (!child) {
		struct prey p;

		take_offer(&p, stage);
		byte = failures;
		if (write(done[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	same(read(done[0], &byte, 1), 1);
	same(byte, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(done[0]);
	close(done[1]);
}

static void b_halfway(void)
{
	uint8_t data[CHOSEN_SENT];
	struct bait b;
	int fd;

	for (int stage = STAGE_READ; stage <= STAGE_CONNECTED; stage++) {
		b_taken_and_killed(stage);
		sync_ends();
		if (stage < STAGE_CONNECTED) {
			fd = xs_receiver();
			same(recv(fd, data, sizeof(data), MSG_WAITALL), sizeof(data));
			check(!wrong(data, sizeof(data), 0));
			sync_ends();
			close(fd);
		} else {
			sync_ends();
		}
	}

	bait_make(&b);
	ctl_write(&b.addr, sizeof(b.addr));
	bait_drop(&b);
	sync_ends();
	bait_make(&b);
	fill(b.data, CHOSEN_SENT, 0);
	xsock_store_release(&b.tx->prod, CHOSEN_SENT);
	ctl_write(&b.addr, sizeof(b.addr));
	sync_ends();
	bait_drop(&b);
}

/* ---- pages that processes write, passed off as head pages ---- */

/* A head page for an offer: that of another ring, by its references. */
static void forge(void *page, struct sockaddr_xen *addr, const struct xsock_head *of)
{
	struct xsock_head head = *of;

	memset(addr->sxen_cookie, 0x66, XSOCK_COOKIE_SIZE);
	memset(head.cookie, 0x66, XSOCK_COOKIE_SIZE);
	head.port = addr->sxen_port;
	/* One page, all that is left to a forger in a control page. */
	head.data_pages = 1;
	memcpy(page, &head, offsetof(struct xsock_head, refs) + sizeof(head.refs[0]));
}

static void a_forged(void)
{
	struct sockaddr_xen addr;
	struct xsock_head head;
	struct xsock_rx_page *rx;
	int fd, other;

	/* In a data page: by a process of an honest transmitter's. */
	ctl_read(&addr, sizeof(addr));
	check(!rogue_read(addr.sxen_domid, addr.sxen_gref, &head));
	ctl_write(&head, sizeof(head));
	same(connect_told(&fd), ECONNREFUSED);
	/* Its true offer is as good as before; the head page goes with the handshake. */
	same(connect_told(&fd), 0);
	for (int k = 0; k < 500 && !rogue_read(addr.sxen_domid, addr.sxen_gref, &head); k++)
		usleep(10000);
	check(rogue_read(addr.sxen_domid, addr.sxen_gref, &head));
	sync_ends();
	close(fd);

	/* In an rx page: by ourselves, to have what belongs to another offer. */
	ctl_read(&addr, sizeof(addr));
	ctl_read(&head, sizeof(head));
	same(connect_told(&fd), 0);
	if (can_map_rx()) {
		rx = mmap(NULL, XSOCK_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		check(rx != MAP_FAILED);
		forge(rx, &addr, &head);
		same(try_connect(&other, &addr), ECONNREFUSED);
		check(!munmap(rx, XSOCK_PAGE_SIZE));
		close(fd);
		/* Not ours any more, and blank. */
		same(try_connect(&other, &addr), ECONNREFUSED);
	} else {
		close(fd);
	}
	sync_ends();
}

static void b_forged(void)
{
	struct sockaddr_xen addr, fake;
	struct xsock_head head;
	struct mapped m;
	struct bait b, c;
	int fd, err, k;

	fd = xs_transmitter(4096);
	addr = xs_name(fd);
	check(!map_ring(&m, fd, 1));
	ctl_write(&addr, sizeof(addr));
	ctl_read(&head, sizeof(head));
	fake = addr;
	fake.sxen_gref = head.refs[0];
	forge(m.data, &fake, &head);
	ctl_write(&fake, sizeof(fake));
	ctl_read(&err, sizeof(err));
	same(err, ECONNREFUSED);
	ctl_write(&addr, sizeof(addr));
	ctl_read(&err, sizeof(err));
	same(err, 0);
	sync_ends();
	unmap_ring(&m);
	close(fd);

	/* Two offers; the references are told, a forger would have to guess them. */
	bait_make(&b);
	bait_make(&c);
	fake = c.addr;
	fake.sxen_gref = b.refs[1];
	ctl_write(&fake, sizeof(fake));
	ctl_write(c.head, sizeof(*c.head));
	same(offer_told(&b), 0);
	sync_ends();
	for (k = 0; k < 64; k++)
		same(b.rx->pad0[k], 0);
	bait_drop(&b);
	bait_drop(&c);
}

/* ---- no memory for the private copy; with xsfail loaded at the victim ---- */

#define FAIL_AFTER "/sys/module/xsfail/parameters/after"

static void fail_after(int pages)
{
	FILE *f = fopen(FAIL_AFTER, "w");

	if (check(f != NULL)) {
		fprintf(f, "%d\n", pages);
		check(!fclose(f));
	}
}

#define LOST_SENT 40000
#define LOST_READ 1000
#define LOST_PAGES 3

static void a_lost(void)
{
	static uint8_t data[LOST_SENT];
	int fd = xs_receiver(), kept = LOST_PAGES * XSOCK_PAGE_SIZE - LOST_READ;

	same(recv(fd, data, LOST_READ, MSG_WAITALL), LOST_READ);
	sync_ends();
	fail_after(LOST_PAGES);
	sync_ends();
	/* An orderly close, and only a part could be kept: that is not the end of file. */
	detached(fd);
	fail_after(-1);
	same(recv(fd, data, sizeof(data), MSG_WAITALL), kept);
	check(!wrong(data, kept, LOST_READ));
	fails(recv(fd, data, sizeof(data), 0), EHOSTDOWN);
	fails(recv(fd, data, sizeof(data), 0), EHOSTDOWN);
	same(sock_error_of(fd), EHOSTDOWN);
	close(fd);

	/* With memory, all of it and the end of file. */
	fd = xs_receiver();
	same(recv(fd, data, LOST_READ, MSG_WAITALL), LOST_READ);
	sync_ends();
	sync_ends();
	detached(fd);
	same(recv(fd, data, sizeof(data), MSG_WAITALL), LOST_SENT - LOST_READ);
	check(!wrong(data, LOST_SENT - LOST_READ, LOST_READ));
	same(recv(fd, data, sizeof(data), 0), 0);
	close(fd);
}

static void b_lost(void)
{
	static uint8_t data[LOST_SENT];
	int fd;

	fill(data, sizeof(data), 0);
	for (int k = 0; k < 2; k++) {
		fd = xs_transmitter(0);
		xs_offer(fd);
		same(send(fd, data, sizeof(data), 0), sizeof(data));
		sync_ends();
		sync_ends();
		close(fd);
	}
}

/* ---- regions ---- */

#define REGION	(2 * XSOCK_PAGE_SIZE)

/* A receiver that is always busy, and names what it likes: it cannot keep what was concealed. */
static void a_rx_busy(void)
{
	struct xsock_handle handle, other;
	uint8_t *at = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = xs_transmitter(0);
	double begin;

	xs_offer(fd);
	sync_ends();
	fill(at, REGION, 5);
	same(xsock_expose(fd, at, REGION, &handle), 0);
	ctl_write(&handle, sizeof(handle));
	sync_ends();
	begin = now();
	same(xsock_conceal(fd, &handle), 0);
	check(now() - begin > 0.5);
	/* Its references are not others' yet. */
	same(xs_info(fd).regions, 1);
	same(xsock_expose(fd, at, REGION, &other), 0);
	same(xs_info(fd).regions, 2);
	sync_ends();
	sync_ends();
	close(fd);
	sync_ends();
	munmap(at, REGION);
}

static void b_rx_busy(void)
{
	uint32_t list[XSOCK_LIST_REFS], first, ref;
	uint8_t page[XSOCK_PAGE_SIZE];
	struct xsock_handle handle;
	struct xsock_slot slot;
	struct prey p;

	take_offer(&p, STAGE_CONNECTED);
	sync_ends();
	ctl_read(&handle, sizeof(handle));
	slot = p.regions->slots[handle.slot];
	same(slot.id, handle.id);
	same(slot.length, REGION);
	first = slot.lists[0];
	same(rogue_read(p.addr.sxen_domid, first, list), 0);
	ref = list[0];
	same(rogue_read(p.addr.sxen_domid, ref, page), 0);
	same(wrong(page, sizeof(page), 5), 0);
	p.regions->busy = 1;
	sync_ends();
	/* It has been concealed. */
	sync_ends();
	same(p.regions->slots[handle.slot].id == handle.id, 0);
	check(rogue_read(p.addr.sxen_domid, first, list));
	check(rogue_read(p.addr.sxen_domid, ref, page));
	memset(p.regions, 0xff, sizeof(*p.regions));
	sync_ends();
	/* Its owner has closed. */
	prey_drop(&p);
	sync_ends();
}

/*
 * A receiver that maps what it should copy, and is busy, and then is not: it is not given back, and
 * not said to be; nor does the log get a line each time that somebody asks.
 */
static void a_rx_maps(void)
{
	uint8_t *at = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = xs_transmitter(0), closed = xs_transmitter(0);
	struct xsock_handle handle;
	double begin;
	int err;

	xs_offer(fd);
	xs_offer(closed);
	sync_ends();
	same(xsock_expose(fd, at, REGION, &handle), 0);
	ctl_write(&handle, sizeof(handle));
	same(xsock_expose(closed, at, REGION, &handle), 0);
	ctl_write(&handle, sizeof(handle));
	ctl_read(&handle, sizeof(handle));
	sync_ends();
	begin = now();
	same(xsock_conceal(fd, &handle), -EBUSY);
	check(now() - begin > 0.3);
	for (int k = 0; k < 1000; k++)
		same(xsock_conceal(fd, &handle), -EBUSY);
	close(closed);
	sync_ends();
	sync_ends();
	/* It is not busy any more. */
	same(xsock_conceal(fd, &handle), -EBUSY);
	same(xs_info(fd).regions, 1);
	sync_ends();
	sync_ends();
	/* It has let go: the first call ends it, unless the kernel's own look has been earlier. */
	err = xsock_conceal(fd, &handle);
	check(err == 0 || err == -ESTALE);
	same(xsock_conceal(fd, &handle), -ESTALE);
	same(xs_info(fd).regions, 0);
	close(fd);
	sync_ends();
	sync_ends();
	munmap(at, REGION);
}

static void b_rx_maps(void)
{
	struct xsock_handle handle[2];
	uint32_t list[XSOCK_LIST_REFS];
	struct prey p[2];
	void *page[2];

	for (int k = 0; k < 2; k++)
		take_offer(&p[k], STAGE_CONNECTED);
	sync_ends();
	for (int k = 0; k < 2; k++) {
		ctl_read(&handle[k], sizeof(handle[k]));
		same(rogue_read(p[k].addr.sxen_domid, p[k].regions->slots[handle[k].slot].lists[0], list), 0);
		/* Given back when that descriptor is closed. */
		page[k] = rogue_map(p[1].grants, p[k].addr.sxen_domid, list, 1, 0);
		p[k].regions->busy = 1;
	}
	ctl_write(&handle[0], sizeof(handle[0]));
	sync_ends();
	sync_ends();
	p[0].regions->busy = 0;
	sync_ends();
	sync_ends();
	for (int k = 0; k < 2; k++)
		check(!munmap(page[k], XSOCK_PAGE_SIZE));
	prey_drop(&p[1]);
	sync_ends();
	sync_ends();
	prey_drop(&p[0]);
	sync_ends();
}

/* A transmitter with slots of all kinds. */
static void a_tx_slots(void)
{
	uint64_t seed = seed_of(0);
	struct xsock_handle handle = { .id = 0 };
	uint8_t *to = malloc(64 * XSOCK_PAGE_SIZE);
	uint32_t kind;
	int fd, rc;

	same(connect_told(&fd), 0);
	/* None has an id yet. */
	handle.id = 1;
	same(xsock_get(fd, &handle, 0, to, 1), -ESTALE);
	sync_ends();
	for (;;) {
		ctl_read(&kind, sizeof(kind));
		if (!kind)
			break;
		rc = xsock_get(fd, &handle, rnd(&seed) % XSOCK_PAGE_SIZE, to, XSOCK_PAGE_SIZE);
		check(rc == 0 || rc == -EREMOTEIO || rc == -EINVAL);
		ctl_write(&rc, sizeof(rc));
	}
	close(fd);
	free(to);
	sync_ends();
}

/* Sets the one slot, and has the victim get a page from it; what that says. */
static int try_slot(struct bait *b, uint64_t length, uint32_t offset, uint32_t list)
{
	struct xsock_slot *slot = &b->regions->slots[0];
	uint32_t kind = 1;
	int rc;

	slot->length = length;
	slot->offset = offset;
	for (int k = 0; k < XSOCK_REGION_LISTS; k++)
		slot->lists[k] = list;
	slot->id = 1;
	ctl_write(&kind, sizeof(kind));
	ctl_read(&rc, sizeof(rc));
	same(b->regions->busy, 0);
	return rc;
}

static void b_tx_slots(void)
{
	struct xsock_list *list;
	uint32_t kind = 0, ref;
	uint64_t index, seed = seed_of(1);
	struct bait b;

	bait_make(&b);
	list = rogue_grant(b.grants, peer_domid, 0, 1, &ref, &index);
	same(offer_told(&b), 0);
	sync_ends();
	/* Lists of nothing. */
	same(try_slot(&b, 2 * XSOCK_PAGE_SIZE, 0, ref), -EREMOTEIO);
	for (int k = 0; k < XSOCK_LIST_REFS; k++)
		list->refs[k] = b.refs[2 + k % BAIT_PAGES];
	same(try_slot(&b, 2 * XSOCK_PAGE_SIZE, 0, ref), 0);
	same(try_slot(&b, XSOCK_REGION_MAX, XSOCK_PAGE_SIZE - 1, ref), 0);
	/* No such page, nowhere, too large. */
	same(try_slot(&b, 2 * XSOCK_PAGE_SIZE, 0, ~0U), -EREMOTEIO);
	same(try_slot(&b, 2 * XSOCK_PAGE_SIZE, 0, 0), -EREMOTEIO);
	same(try_slot(&b, 2 * XSOCK_PAGE_SIZE, XSOCK_PAGE_SIZE, ref), -EREMOTEIO);
	same(try_slot(&b, 2 * XSOCK_PAGE_SIZE, ~0U, ref), -EREMOTEIO);
	same(try_slot(&b, 0, 0, ref), -EREMOTEIO);
	same(try_slot(&b, XSOCK_REGION_MAX + 1ULL, 0, ref), -EREMOTEIO);
	same(try_slot(&b, ~0ULL, 0, ref), -EREMOTEIO);
	same(try_slot(&b, 1, 0, ref), -EINVAL);
	for (int k = 0; k < 200; k++) {
		for (int n = 0; n < XSOCK_LIST_REFS; n++)
			list->refs[n] = (uint32_t)rnd(&seed) >> rnd(&seed) % 32;
		try_slot(&b, rnd(&seed) >> rnd(&seed) % 64, (uint32_t)rnd(&seed) >> rnd(&seed) % 32,
			 rnd(&seed) % 4 ? ref : (uint32_t)rnd(&seed) >> rnd(&seed) % 32);
	}
	ctl_write(&kind, sizeof(kind));
	sync_ends();
	check(!munmap(list, XSOCK_PAGE_SIZE));
	bait_drop(&b);
}

/* ---- a peer that does not let go ---- */

static void control_read(int dev, struct xsock_status *status)
{
	same(poll_bits(dev, POLLIN, 20000), POLLIN);
	same(read(dev, status, sizeof(*status)), sizeof(*status));
}

/* A quiesce does not wait for it for long, and whoever has quiesced learns when it goes. */
static void a_clings(void)
{
	int fd = xs_transmitter(0), dev = open(XSOCK_DEVICE, O_RDWR | O_CLOEXEC);
	struct xsock_status status;
	char byte = 'x';

	xs_offer(fd);
	check(poll_bits(fd, POLLOUT, 10000) & POLLOUT);
	same(send(fd, &byte, 1, 0), 1);
	sync_ends();
	check(!ioctl(dev, XSOCK_CTL_QUIESCE));
	do
		control_read(dev, &status);
	while (!failures && status.state == XSOCK_CTL_QUIESCING);
	same(status.state, XSOCK_CTL_QUIESCED);
	same(status.attached, 0);
	same(status.lingering, 1);
	fails(send(fd, &byte, 1, MSG_NOSIGNAL), ENETRESET);
	close(fd);
	/* Its memory is still ours to pay. */
	check(!ioctl(dev, XSOCK_CTL_STATUS, &status));
	same(status.sockets, 0);
	same(status.lingering, 1);
	same(status.pages, XSOCK_RING_DEFAULT / XSOCK_PAGE_SIZE + 4);
	sync_ends();
	do
		control_read(dev, &status);
	while (!failures && status.lingering);
	same(status.state, XSOCK_CTL_QUIESCED);
	same(status.pages, 0);
	check(!ioctl(dev, XSOCK_CTL_RELEASE));
	close(dev);
	sync_ends();
	fd = xs_pair(0);
	same(send(fd, &byte, 1, 0), 1);
	sync_ends();
	close(fd);
}

static void b_clings(void)
{
	struct prey p;
	char byte = 0;
	int fd;

	take_offer(&p, STAGE_CONNECTED);
	sync_ends();
	sync_ends();
	check(xsock_load(&p.tx->state) & XSOCK_TX_REVOKED);
	same(xsock_load(&p.tx->reason), XSOCK_REASON_QUIESCE);
	/* The pages are nobody else's as long as they are mapped. */
	same(p.data[0], 'x');
	same(p.tx->prod, 1);
	prey_drop(&p);
	sync_ends();
	fd = xs_pair(0);
	same(recv(fd, &byte, 1, 0), 1);
	same(byte, 'x');
	sync_ends();
	close(fd);
}

/* The module goes, and comes back, while the rogue maps pages that were the module's. */
static void a_unloaded(void)
{
	int fd = xs_transmitter(0);

	xs_offer(fd);
	check(poll_bits(fd, POLLOUT, 10000) & POLLOUT);
	sync_ends();
	close(fd);
	printf("# %c unloaded: begun\n", side);
	while (!access(XSOCK_DEVICE, F_OK))
		usleep(10000);
	while (access(XSOCK_DEVICE, F_OK))
		usleep(10000);
	sync_ends();
}

static void b_unloaded(void)
{
	struct prey p;

	take_offer(&p, STAGE_CONNECTED);
	p.rx->cons = 0x600d;
	sync_ends();
	sync_ends();
	same(p.rx->cons, 0x600d);
	prey_drop(&p);
}

/* ---- the rogue's domain is destroyed, in each stage of the handshake at once ---- */

static void a_gone(void)
{
	int tx[STAGE_CONNECTED + 1], rx, stage;
	char byte;

	for (stage = STAGE_READ; stage <= STAGE_CONNECTED; stage++) {
		tx[stage] = xs_transmitter(0);
		xs_offer(tx[stage]);
	}
	same(connect_told(&rx), 0);
	sync_ends();
	printf("# %c gone: begun\n", side);
	/* First: as long as pages of the dead domain are mapped, it is there. */
	fails(recv(rx, &byte, 1, 0), EHOSTDOWN);
	for (stage = STAGE_READ; stage <= STAGE_CONNECTED; stage++) {
		/* Somebody has to wait for the absence to be noticed. */
		check(poll_bits(tx[stage], 0, 60000) & POLLERR);
		fails(send(tx[stage], "", 1, MSG_NOSIGNAL), EHOSTDOWN);
	}
	for (stage = STAGE_READ; stage <= STAGE_CONNECTED; stage++)
		close(tx[stage]);
	close(rx);
	printf("# %c gone: %s\n", side, failures ? "FAILED" : "passed");
}

static void b_gone(void)
{
	struct prey p[STAGE_CONNECTED + 1];
	struct bait b;

	for (int stage = STAGE_READ; stage <= STAGE_CONNECTED; stage++)
		take_offer(&p[stage], stage);
	bait_make(&b);
	same(offer_told(&b), 0);
	sync_ends();
	alarm(0);
	for (;;)
		pause();
}

const struct test_case hostile_cases[] = {
	{ .name = "rx_chosen", .says = "a receiver with indices out of range", .a = a_rx_chosen, .b = b_rx_chosen },
	{ .name = "rx_scribble", .says = "a receiver that scribbles", .a = a_rx_scribble, .b = b_rx_scribble },
	{ .name = "tx_heads", .says = "offers that lie", .a = a_tx_heads, .b = b_tx_heads },
	{ .name = "tx_chosen", .says = "a transmitter with indices out of range", .a = a_tx_chosen, .b = b_tx_chosen },
	{ .name = "tx_scribble", .says = "a transmitter that scribbles", .a = a_tx_scribble, .b = b_tx_scribble },
	{ .name = "ended", .says = "references that end meanwhile", .a = a_ended, .b = b_ended },
	{ .name = "shared", .says = "what else is on the pages of an offer", .a = a_shared, .b = b_shared },
	{ .name = "reused", .says = "pages in several offers", .a = a_reused, .b = b_reused },
	{ .name = "flood", .says = "events without end, beside honest traffic", .a = a_flood, .b = b_flood },
	{ .name = "halfway", .says = "death in each step of the handshake", .a = a_halfway, .b = b_halfway },
	{ .name = "forged", .says = "pages of processes as head pages", .a = a_forged, .b = b_forged },
	{ .name = "rx_busy", .says = "a receiver that is busy with a region for ever", .a = a_rx_busy, .b = b_rx_busy },
	{ .name = "+rx_maps", .says = "a receiver that maps a region", .a = a_rx_maps, .b = b_rx_maps },
	{ .name = "tx_slots", .says = "a transmitter whose regions lie", .a = a_tx_slots, .b = b_tx_slots },
	{ .name = "clings", .says = "a quiesce, and the peer keeps its mappings", .a = a_clings, .b = b_clings },
	{ .name = "+unloaded", .says = "rmmod, and the peer keeps its mappings", .a = a_unloaded, .b = b_unloaded },
	{ .name = "+lost", .says = "no memory for what was published", .a = a_lost, .b = b_lost },
	{ .name = "+gone", .says = "the rogue's domain is destroyed", .a = a_gone, .b = b_gone },
	{ .name = 0 },
};
