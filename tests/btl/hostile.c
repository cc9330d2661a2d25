// SPDX-License-Identifier: BSD-3-Clause
/*
 * Makes a rank hostile to the other one of its job: preloaded into that one process, it puts
 * frames of its own between those that the component has Open MPI's tcp send, and knows from
 * these, and from what comes back, what would make sense. Nothing else of the process is changed,
 * so the rest of what it sends is honest.
 *
 *	HOSTILE=ATTACK,...	which of the attacks below
 *	HOSTILE_FRAMES=N	so many frames (1000) and no more
 *	HOSTILE_AFTER=N		... after N honest ones (0)
 *	HOSTILE_SEED=N		for random numbers (1)
 *	HOSTILE_CUT=N		after one of N times that it has sent some its connection breaks
 *	HOSTILE_SUM=N		one of N frames with checksums has a wrong one
 *	HOSTILE_DONE=FILE	is written when it is done: "HOSTILE seed=N ATTACK=FRAMES ..."
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "opal_config.h"

#include "opal/mca/btl/btl.h"

#include "btl_xs_crc.c"
#include "btl_xs_wire.h"

#include "fakexen.h"

#define FDS 1024
#define FAR (1ull << 40)
#define MOST 100000 /* bytes that tcp has room for */

/* What Open MPI's tcp puts before a frame. */
struct tcp_head {
	uint8_t tag;
	uint8_t type; /* 1: a message */
	uint16_t count;
	uint32_t size;
};

/* One direction of a connection, cut into frames of which the beginning is kept. */
struct stream {
	size_t have;	/* of the frame's bytes so far */
	unsigned char bytes[sizeof(struct tcp_head) + sizeof(mca_btl_xs_check_t) +
			    sizeof(mca_btl_xs_tcp_hdr_t) + sizeof(mca_btl_xs_offer_t)];
};

/* What has been sent, or has come. */
struct side {
	mca_btl_xs_tcp_hdr_t last;	/* head of the last frame */
	bool there;
	uint64_t number;		/* of the last fragment over TCP */
	uint64_t covered;		/* the highest that has been said */
	mca_btl_xs_hello_t hello;	/* the last one */
	mca_btl_xs_offer_t offer;	/* likewise */
	uint32_t begun;			/* generation of the last BEGIN */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stream out[FDS], in[FDS];
static struct side own, peer;
static uint8_t tag;			/* of tcp's, for honest frames */
static unsigned long honest, sent, frames, after, cut, bad_sum;
static uint64_t seed;
static bool done;

/* The frame that is made. */
static struct {
	struct tcp_head tcp;
	unsigned char bytes[sizeof(mca_btl_xs_check_t) + sizeof(mca_btl_xs_tcp_hdr_t) + MOST];
} raw;
static mca_btl_xs_tcp_hdr_t head;
static unsigned char body[MOST];
static size_t length;		/* of the body; what the head says is another matter */
static size_t cut_off;		/* bytes at the end, of head or body, that are not sent */

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull >> 16;
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

static void fill(void *to, size_t size)
{
	unsigned char *at = to;

	for (size_t i = 0; i < size; i++)
		at[i] = (unsigned char)rnd();
}

/* ---- attacks: each fills in head, body and length, or returns false: not now ---- */

static bool is(uint8_t kind, const void *data, size_t size)
{
	head.hdr.kind = kind;
	if (data)
		memcpy(body, data, size);
	length = size;
	return true;
}

static uint8_t some_tag(void)
{
	return below(2) ? (uint8_t)rnd() : MCA_BTL_TAG_PML + 1 + below(9);
}

static size_t some_length(void)
{
	return below(8) ? below(200) : below(60000);
}

static bool some_data(uint64_t number)
{
	head.hdr.number = number;
	head.hdr.tag = some_tag();
	head.hdr.flags = (uint16_t)rnd();
	length = some_length();
	fill(body, length);
	return is(MCA_BTL_XS_DATA, NULL, length);
}

/* What the peer has had. */
static bool data_old(void)
{
	return peer.covered && some_data(below(4) ? below(peer.covered) : peer.covered - 1);
}

/* What it has to keep for ever. */
static bool data_far(void)
{
	some_data(below(4) ? FAR + (rnd() << 8) : UINT64_MAX);
	length %= 100;
	return true;
}

static bool cover_far(void)
{
	head.hdr.covered = below(4) ? FAR + (rnd() << 8) : UINT64_MAX;
	return is(MCA_BTL_XS_COVER, NULL, 0);
}

static bool cover_old(void)
{
	head.hdr.covered = own.covered ? below(own.covered) : 0;
	return is(MCA_BTL_XS_COVER, NULL, 0);
}

static bool hello(void)
{
	mca_btl_xs_hello_t hello;

	fill(&hello, sizeof(hello));
	if (below(2))
		hello.domid %= 40000;
	if (!below(4))
		hello.epoch = below(3);
	hello.available = below(4) ? 1 : hello.available;
	if (below(2))
		memset(hello.host, 0, sizeof(hello.host));
	return is(MCA_BTL_XS_HELLO, &hello, sizeof(hello));
}

/* What libxensocket makes of an offer, without a cookie. */
static void encode(uint8_t to[XSOCK_OFFER_SIZE], uint16_t domid, uint32_t gref, uint32_t port)
{
	const struct {
		uint8_t magic[4];
		uint16_t domid, zero;
		uint32_t gref, port;
	} bytes = { { 'X', 'S', 'O', 1 }, domid, 0, gref, port };

	memcpy(to, &bytes, sizeof(bytes));
}

/* A ring that is not there: of this domain, or of one that cannot be. */
static bool offer(void)
{
	mca_btl_xs_offer_t offer;

	fill(&offer, sizeof(offer));
	if (below(4))
		encode(offer.offer, below(4) ? own.hello.domid : (uint16_t)rnd(),
		       below(4) ? (uint32_t)getpid() : (uint32_t)rnd(),
		       below(2) ? 900 + (uint32_t)below(100) : (uint32_t)rnd());
	return is(MCA_BTL_XS_OFFER, &offer, sizeof(offer));
}

/* A ring that is taken already, or nearly that one. */
static bool offer_again(void)
{
	mca_btl_xs_offer_t offer = own.offer;

	if (!own.offer.generation)
		return false;
	if (below(2))
		offer.offer[below(sizeof(offer.offer))] ^= 1 << below(8);
	offer.generation += (uint32_t)below(5) - 2;
	return is(MCA_BTL_XS_OFFER, &offer, sizeof(offer));
}

/* Of a ring that has never been offered, or not of late. */
static bool answer(void)
{
	mca_btl_xs_answer_t answer = { .reason = (int32_t)rnd() };

	if (!below(4))
		answer.reason = INT32_MIN;
	answer.generation = peer.offer.generation + 100 + (uint32_t)below(1u << 30);
	if (peer.offer.generation > 1 && below(2))
		answer.generation = (uint32_t)below(peer.offer.generation);
	return is(below(2) ? MCA_BTL_XS_ACCEPT : MCA_BTL_XS_REFUSE, &answer, sizeof(answer));
}

static bool bye_too(void)
{
	return is(MCA_BTL_XS_BYE_TOO, NULL, 0);
}

static bool begin(void)
{
	mca_btl_xs_begin_t begin = { below(2) ? (uint32_t)below(8) : (uint32_t)rnd(), (uint32_t)rnd() };

	return is(MCA_BTL_XS_BEGIN, &begin, sizeof(begin));
}

/* To a question that has not been asked. */
static bool begun(void)
{
	mca_btl_xs_begin_t begun = { peer.begun + 1 + (uint32_t)below(1u << 30), (uint32_t)rnd() };

	return is(MCA_BTL_XS_BEGUN, &begun, sizeof(begun));
}

/* Text that is none, or of any length; not terminated in any case. */
static bool text(void)
{
	static const char *const words[] = { "1", "0", "*", "0-3", "0-4294967295", ",,,", "-", "1.1",
		"status", "counters", "peers", "hold", "release", "subscribe", "unsubscribe",
		"acknowledge", "throw", "NODE_NONE", "done", "more", "event", "%s%n", "", "\n",
		"99999999999999999999999999" };
	uint8_t kind = below(2) ? MCA_BTL_XS_REQUEST : MCA_BTL_XS_ANSWER;
	size_t end = below(16) ? below(100) : below(MOST);

	if (!below(4)) {
		fill(body, end);
		return is(kind, NULL, end);
	}
	for (length = 0; length < end;) {
		const char *word = words[below(sizeof(words) / sizeof(words[0]))];

		length += (size_t)snprintf((char *)body + length, MOST - length, "%s ", word);
		if (length >= MOST)
			length = MOST - 1;
	}
	return is(kind, NULL, length);
}

/* Requests that are understood. */
static bool request(void)
{
	static const char *const verbs[] = { "status", "counters peers", "hold", "release", "hold 1",
		"release 1", "subscribe", "subscribe 0", "unsubscribe", "acknowledge 1",
		"throw IFACE_DEAD", "throw IFACE_RESTORED", "quiesce", "resume" };
	int n = snprintf((char *)body, MOST, "%u.%u * %s", (unsigned int)below(200),
			 (unsigned int)below(5), verbs[below(sizeof(verbs) / sizeof(verbs[0]))]);

	return is(MCA_BTL_XS_REQUEST, NULL, (size_t)n);
}

/* A frame that is decent but for its size: not that of its kind, or not what its head says. */
static bool size(void)
{
	uint8_t kind = 1 + (uint8_t)below(MCA_BTL_XS_BEGUN);

	fill(body, 200);
	is(kind, NULL, below(200));
	head.hdr.number = peer.covered + FAR;
	switch (below(4)) {
	case 0:
		head.hdr.size = (uint32_t)length + 1 + (uint32_t)(below(2) ? below(100) : rnd());
		break;
	case 1:
		head.hdr.size = 0;
		length += 1;
		break;
	case 2:
		/* Not even a head. */
		head.hdr.size = 0;
		length = 0;
		cut_off = 1 + below(sizeof(head) - 1);
		break;
	default:
		/* Of the head's size, but no kind has that much. */
		length += 60;
		if (kind == MCA_BTL_XS_DATA || kind == MCA_BTL_XS_REQUEST || kind == MCA_BTL_XS_ANSWER)
			head.hdr.kind = MCA_BTL_XS_HELLO;
		head.hdr.size = (uint32_t)length;
	}
	return true;
}

static bool kind(void)
{
	length = some_length();
	fill(body, length);
	return is(below(4) ? MCA_BTL_XS_BEGUN + 1 + below(255 - MCA_BTL_XS_BEGUN) : 0, NULL, length);
}

/* In the name of the peer itself, of a rank that there is not, or of a job that there is not. */
static bool name(void)
{
	static bool (*const some[])(void) = { data_old, hello, offer, bye_too, begin, request };

	if (!some[below(sizeof(some) / sizeof(some[0]))]())
		return false;
	switch (below(3)) {
	case 0:
		if (!peer.there)
			return false;
		head.jobid = peer.last.jobid;
		head.vpid = peer.last.vpid;
		break;
	case 1:
		head.vpid = 2 + (uint32_t)below(UINT32_MAX - 2);
		break;
	default:
		head.jobid += 1 + (uint32_t)below(100);
	}
	return true;
}

/* What follows may cost the job. */

static bool bye(void)
{
	return is(MCA_BTL_XS_BYE, NULL, 0);
}

/* In place of the next honest fragment, for nobody, or for xs itself. */
static bool data_next(void)
{
	some_data(own.number + below(3));
	head.hdr.tag = below(2) ? MCA_BTL_XS_TCP_TAG + below(2) : MCA_BTL_TAG_BTL + 1 + below(4);
	return true;
}

/* Fragments have arrived that are still on their way. */
static bool cover_early(void)
{
	head.hdr.covered = peer.number + below(3);
	return is(MCA_BTL_XS_COVER, NULL, 0);
}

/* The last offer is taken up by nobody, or refused though it has been. */
static bool answer_wrong(void)
{
	mca_btl_xs_answer_t answer = { peer.offer.generation, (int32_t)rnd() };

	return peer.offer.generation &&
	       is(below(2) ? MCA_BTL_XS_ACCEPT : MCA_BTL_XS_REFUSE, &answer, sizeof(answer));
}

/* An answer to a BEGIN, once more. */
static bool begun_again(void)
{
	mca_btl_xs_begin_t begun = { peer.begun + (uint32_t)below(2), 0 };

	return is(MCA_BTL_XS_BEGUN, &begun, sizeof(begun));
}

/* ---- a ring that never ends ---- */

static struct {
	unsigned char *pages;
	int memory;		/* 0: none */
	size_t size;
	bool old;
	pthread_t writer;
} ring;

static void close_own(int fd);

static bool ring_closed(void)
{
	const struct xsock_rx_page *rx = (const void *)ring.pages;

	return __atomic_load_n(&rx->state, __ATOMIC_ACQUIRE) & XSOCK_RX_CLOSED;
}

/* Faster than it is read there is more: fragments that the peer has had, or for later. */
static void *writes(void *unused)
{
	const struct xsock_rx_page *rx = (const void *)ring.pages;
	struct xsock_tx_page *tx = (void *)(ring.pages + PAGE);
	struct {
		mca_btl_xs_hdr_t hdr;
		mca_btl_xs_check_t none;
		unsigned char data[32];
	} *frames = (void *)(ring.pages + 2 * PAGE), frame = {
		.hdr = { .size = sizeof(frame.data), .kind = MCA_BTL_XS_DATA,
			 .flags = MCA_BTL_XS_FLAG_READY } };
	const uint64_t room = ring.size / sizeof(frame);
	static uint64_t later = FAR; /* rising, as all are kept in order */
	uint64_t prod = 0;

	(void)unused;
	while (!ring_closed()) {
		uint64_t end = __atomic_load_n(&rx->cons, __ATOMIC_ACQUIRE) / sizeof(frame) + room;

		/* The same again, if it is old. */
		for (; prod < end && (!ring.old || prod < room); prod++) {
			frame.hdr.number = ring.old ? 0 : later++;
			frames[prod % room] = frame;
		}
		prod = end;
		__atomic_store_n(&tx->prod, prod * sizeof(frame), __ATOMIC_RELEASE);
	}
	return NULL;
}

/* The peer has closed it. */
static void ring_ends(void)
{
	pthread_join(ring.writer, NULL);
	munmap(ring.pages, file_length(ring.size));
	close_own(ring.memory);
	ring.memory = 0;
}

static bool ring_begins(bool old)
{
	mca_btl_xs_offer_t offer = { .generation = 1 };
	struct secret *secret;

	ring.old = old;
	/* Large, so that the end is not reached while others have the processor. */
	ring.size = old ? XSOCK_RING_MAX : 1 << 20;
	ring.memory = memfd_create("hostile", MFD_CLOEXEC);
	if (ring.memory < 0 || ftruncate(ring.memory, (off_t)file_length(ring.size)))
		abort();
	ring.pages = mmap(NULL, file_length(ring.size), PROT_READ | PROT_WRITE, MAP_SHARED,
			  ring.memory, 0);
	if (ring.pages == MAP_FAILED)
		abort();
	secret = (void *)(ring.pages + 2 * PAGE + ring.size);
	*secret = (struct secret) { .size = ring.size, .domid = own_domid(), .peer = peer.hello.domid };
	if (pthread_create(&ring.writer, NULL, writes, NULL))
		abort();
	encode(offer.offer, own_domid(), (uint32_t)getpid(), (uint32_t)ring.memory);
	return is(MCA_BTL_XS_OFFER, &offer, sizeof(offer));
}

/* Behind the honest one, which would replace it. */
static bool ring_possible(void)
{
	return peer.hello.domid && own.offer.generation && !below(50);
}

/*
 * It is read for as long as there is something. Only once fragment 0 has arrived: it would be taken
 * for that, and the job wait for the real one.
 */
static bool ring_old(void)
{
	return ring_possible() && peer.covered && !ring.memory && ring_begins(true);
}

/* The next offer ends it, but what is there is kept. */
static bool ring_far(void)
{
	static int left = 5; /* a ringful of memory each */

	if (!ring_possible())
		return false;
	if (ring.memory && ring_closed())
		ring_ends();
	if (ring.memory)
		return offer();
	return left-- > 0 && ring_begins(false);
}

/* With a checksum, where there are none, and the other way round. */
static bool other_tag(void)
{
	raw.tcp.tag = tag ^ 1;
	return hello();
}

static const struct attack {
	const char *name;
	bool (*make)(void);
} attacks[] = {
	{ "data-old", data_old },
	{ "data-far", data_far },
	{ "cover-far", cover_far },
	{ "cover-old", cover_old },
	{ "hello", hello },
	{ "offer", offer },
	{ "offer-again", offer_again },
	{ "answer", answer },
	{ "bye-too", bye_too },
	{ "begin", begin },
	{ "begun", begun },
	{ "text", text },
	{ "request", request },
	{ "size", size },
	{ "kind", kind },
	{ "name", name },
	{ "ring-old", ring_old },
	{ "ring-far", ring_far },
	{ "other-tag", other_tag },
	{ "bye", bye },
	{ "data-next", data_next },
	{ "cover-early", cover_early },
	{ "answer-wrong", answer_wrong },
	{ "begun-again", begun_again },
};

#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static struct {
	bool chosen;
	unsigned long sent;
} state[ATTACKS];
static size_t some[ATTACKS], number;	/* those that are chosen */

/* ---- how they get there ---- */

static unsigned long setting(const char *which, unsigned long otherwise)
{
	const char *value = getenv(which);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static void __attribute__((constructor)) choose(void)
{
	const char *list = getenv("HOSTILE") ? getenv("HOSTILE") : "";

	frames = setting("HOSTILE_FRAMES", 1000);
	after = setting("HOSTILE_AFTER", 0);
	cut = setting("HOSTILE_CUT", 0);
	bad_sum = setting("HOSTILE_SUM", 0);
	seed = setting("HOSTILE_SEED", 1) * 0x9e3779b97f4a7c15ull | 1;
	for (size_t i = 0; i < ATTACKS; i++) {
		size_t size = strlen(attacks[i].name);
		const char *at = list;

		for (; (at = strstr(at, attacks[i].name)); at++)
			if ((at == list || at[-1] == ',') && (!at[size] || at[size] == ','))
				state[i].chosen = true;
		if (state[i].chosen)
			some[number++] = i;
	}
}

static void __attribute__((destructor)) say(void)
{
	const char *path = getenv("HOSTILE_DONE");
	FILE *file = path && number && !done ? fopen(path, "w") : NULL;

	done = true;
	if (!file)
		return;
	fprintf(file, "HOSTILE seed=%lu", setting("HOSTILE_SEED", 1));
	for (size_t i = 0; i < ATTACKS; i++)
		if (state[i].chosen)
			fprintf(file, " %s=%lu", attacks[i].name, state[i].sent);
	fputc('\n', file);
	fclose(file);
}

static bool put(int fd, const unsigned char *at, size_t size)
{
	while (size) {
		ssize_t n = send(fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		struct pollfd wait = { .fd = fd, .events = POLLOUT };

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n < 0) {
			poll(&wait, 1, 1000);
			continue;
		}
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static bool put_frame(int fd)
{
	mca_btl_xs_check_t check;
	unsigned char *at = raw.bytes;

	if (raw.tcp.tag == MCA_BTL_XS_TCP_CHECKED_TAG) {
		check.head = mca_btl_xs_crc(0, &head, sizeof(head));
		check.all = mca_btl_xs_crc(check.head, body, length);
		if (bad_sum && !below(bad_sum))
			*(below(2) ? &check.head : &check.all) ^= 1u << below(32);
		memcpy(at, &check, sizeof(check));
		at += sizeof(check);
	}
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), body, length);
	raw.tcp.type = 1;
	raw.tcp.size = (uint32_t)(at + sizeof(head) + length - cut_off - raw.bytes);
	return put(fd, (unsigned char *)&raw, sizeof(raw.tcp) + raw.tcp.size);
}

/* One frame of an attack that is possible now. */
static bool attack(int fd)
{
	size_t i = some[below(number)];

	head = own.last;
	head.hdr = (mca_btl_xs_hdr_t) { .covered = own.last.hdr.covered };
	head.hdr.size = UINT32_MAX;
	length = cut_off = 0;
	raw.tcp.tag = tag;
	if (!attacks[i].make())
		return true;
	if (head.hdr.size == UINT32_MAX)
		head.hdr.size = (uint32_t)length;
	state[i].sent++;
	sent++;
	return put_frame(fd);
}

/* Between two honest frames. The lock is held. */
static void attacks_now(int fd)
{
	size_t more = below(32);

	if (done || !number || !own.there || honest < after)
		return;
	while (more-- && sent < frames)
		if (!attack(fd))
			return;
	if (sent >= frames)
		say();
	else if (cut && !below(cut))
		shutdown(fd, SHUT_RDWR);
}

/* ---- what is overheard ---- */

static void learn(struct side *side, const struct stream *stream, size_t size)
{
	const struct tcp_head *tcp = (const void *)stream->bytes;
	const unsigned char *at = stream->bytes + sizeof(*tcp);
	uint32_t first;

	if ((tcp->tag | 1) != MCA_BTL_XS_TCP_CHECKED_TAG || tcp->type != 1)
		return;
	tag = tcp->tag;
	if (tcp->tag == MCA_BTL_XS_TCP_CHECKED_TAG)
		at += sizeof(mca_btl_xs_check_t);
	if (size < (size_t)(at - stream->bytes) + sizeof(side->last))
		return;
	memcpy(&side->last, at, sizeof(side->last));
	at += sizeof(side->last);
	side->there = true;
	if (side->last.hdr.covered > side->covered)
		side->covered = side->last.hdr.covered;
	memcpy(&first, at, sizeof(first));
	switch (side->last.hdr.kind) {
	case MCA_BTL_XS_DATA:
		side->number = side->last.hdr.number;
		break;
	case MCA_BTL_XS_HELLO:
		memcpy(&side->hello, at, sizeof(side->hello));
		break;
	case MCA_BTL_XS_OFFER:
		memcpy(&side->offer, at, sizeof(side->offer));
		break;
	case MCA_BTL_XS_BEGIN:
		side->begun = first;
		break;
	}
}

static void follow(struct side *side, struct stream *stream, const unsigned char *at, size_t n)
{
	const struct tcp_head *tcp = (const void *)stream->bytes;

	for (size_t part; n; at += part, n -= part) {
		size_t want = stream->have < sizeof(*tcp) ? sizeof(*tcp) : sizeof(*tcp) + tcp->size;

		part = want - stream->have < n ? want - stream->have : n;
		if (stream->have < sizeof(stream->bytes)) {
			size_t room = sizeof(stream->bytes) - stream->have;

			memcpy(stream->bytes + stream->have, at, part < room ? part : room);
		}
		stream->have += part;
		if (stream->have >= sizeof(*tcp) && stream->have == sizeof(*tcp) + tcp->size) {
			learn(side, stream, stream->have < sizeof(stream->bytes) ?
						   stream->have : sizeof(stream->bytes));
			stream->have = 0;
		}
	}
}

static void follow_all(struct side *side, struct stream *stream, const struct iovec *iov,
		       size_t count, ssize_t n)
{
	for (size_t i = 0; i < count && n > 0; i++) {
		size_t part = iov[i].iov_len < (size_t)n ? iov[i].iov_len : (size_t)n;

		follow(side, stream, iov[i].iov_base, part);
		n -= (ssize_t)part;
	}
}

/* Only Open MPI's tcp does that with sockets of the Internet, and with frames alone. */
static bool ours(int fd)
{
	int domain = 0, error = errno;
	socklen_t size = sizeof(domain);

	if (fd < 0 || fd >= FDS ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size))
		domain = 0;
	errno = error;
	return domain == AF_INET || domain == AF_INET6;
}

static void before(int fd)
{
	if (!out[fd].have)
		attacks_now(fd);
}

static void sends(int fd, const struct iovec *iov, size_t count, ssize_t n)
{
	int error = errno;

	honest++;
	follow_all(&own, &out[fd], iov, count, n);
	errno = error;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	ssize_t n;

	if (!ours(fd))
		return REAL(writev)(fd, iov, count);
	pthread_mutex_lock(&lock);
	before(fd);
	n = REAL(writev)(fd, iov, count);
	sends(fd, iov, (size_t)count, n);
	pthread_mutex_unlock(&lock);
	return n;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t n;

	if (!ours(fd))
		return REAL(sendmsg)(fd, message, flags);
	pthread_mutex_lock(&lock);
	before(fd);
	n = REAL(sendmsg)(fd, message, flags);
	sends(fd, message->msg_iov, message->msg_iovlen, n);
	pthread_mutex_unlock(&lock);
	return n;
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
	ssize_t n = REAL(readv)(fd, iov, count);
	int error = errno;

	if (ours(fd)) {
		pthread_mutex_lock(&lock);
		follow_all(&peer, &in[fd], iov, (size_t)count, n);
		pthread_mutex_unlock(&lock);
	}
	errno = error;
	return n;
}

/* The lock is held already. */
static void close_own(int fd)
{
	REAL(close)(fd);
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS) {
		pthread_mutex_lock(&lock);
		out[fd].have = in[fd].have = 0;
		pthread_mutex_unlock(&lock);
	}
	return REAL(close)(fd);
}
