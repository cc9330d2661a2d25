// SPDX-License-Identifier: BSD-3-Clause
/*
 * Much data: by system calls and through mapped rings, one way and both ways, on one
 * socket and on many. Every byte is compared with what belongs to its place.
 */
#include <pthread.h>
#include <sys/epoll.h>

#include "xsocktest.h"

#define MIB		(1024 * 1024)
/* The longest piece; longer than the default ring. */
#define PIECE		200000
/* Sockets of the case with many, half of them each way. */
#define MANY		64

/* Ring for so many bytes: with a short one much data takes long, by sleeping. */
static int ring_for(uint64_t bytes)
{
	return bytes >= 64 * MIB ? MIB : 0;
}

/* Where stream number n begins in the pattern. */
#define STREAM(n)	((uint64_t)(n) * 1000003)

/* Bytes to move, as A has it. */
static uint64_t total(void)
{
	const char *text = getenv("XSOCK_MIB");
	uint64_t bytes = (uint64_t)(text ? atoi(text) : MIB_DEFAULT) * MIB;

	if (side == 'A')
		ctl_write(&bytes, sizeof(bytes));
	else
		ctl_read(&bytes, sizeof(bytes));
	check(bytes);
	/* Three seconds a MiB is a hang. */
	alarm(patience(120 + bytes / MIB * 3));
	return bytes;
}

/**
 * struct stream - what one thread moves
 * @fd: socket
 * @first: place of its first byte in the pattern
 * @bytes: how many
 * @mapped: through the ring
 * @seed: of the sizes
 * @result: bytes moved, and right
 */
struct stream {
	int fd;
	uint64_t first;
	uint64_t bytes;
	int mapped;
	uint64_t seed;
	uint64_t result;
};

static size_t piece(struct stream *s, size_t most)
{
	uint64_t left = s->bytes - s->result, n;

	/* As many short ones as long ones. */
	n = 1 + rnd(&s->seed) % (rnd(&s->seed) % 2 ? most : 300);
	return n < left ? n : left;
}

static void send_calls(struct stream *s)
{
	uint8_t *data = malloc(PIECE);

	while (s->result < s->bytes) {
		size_t n = piece(s, PIECE);

		fill(data, n, s->first + s->result);
		if (!same(send(s->fd, data, n, MSG_NOSIGNAL), n))
			break;
		s->result += n;
	}
	free(data);
}

static void recv_calls(struct stream *s)
{
	uint8_t *data = malloc(PIECE);

	while (s->result < s->bytes) {
		ssize_t n = recv(s->fd, data, piece(s, PIECE), 0);

		if (!check(n > 0) || !same(wrong(data, n, s->first + s->result), 0))
			break;
		s->result += n;
	}
	free(data);
}

static void send_mapped(struct stream *s, struct xsock_map *map)
{
	ssize_t n, room;
	void *at;

	while (s->result < s->bytes) {
		n = piece(s, map->idx.size / 4);
		room = xsock_map_reserve(map, n, &at);
		if (room == -EAGAIN) {
			if (!same(xsock_map_wait(map, n, -1), 1))
				break;
			room = xsock_map_reserve(map, n, &at);
		}
		if (!check(room >= n))
			break;
		fill(at, n, s->first + s->result);
		xsock_map_commit(map, n);
		s->result += n;
	}
}

static void recv_mapped(struct stream *s, struct xsock_map *map)
{
	ssize_t n, there;
	const void *at;

	while (s->result < s->bytes) {
		n = piece(s, map->idx.size / 4 * 3);
		there = xsock_map_peek(map, n, &at);
		if (there == -EAGAIN) {
			if (!same(xsock_map_wait(map, n, -1), 1))
				break;
			there = xsock_map_peek(map, n, &at);
		}
		if (!check(there >= n) || !same(wrong(at, n, s->first + s->result), 0))
			break;
		xsock_map_consume(map, n);
		s->result += n;
	}
}

static void *move(void *arg)
{
	struct stream *s = arg;
	struct xsock_map *map = NULL;
	int tx = xs_info(s->fd).role == XSOCK_ROLE_TX;

	/* A receiver in a PV guest has to take the other way. */
	if (s->mapped && (tx || can_map_rx()))
		same(xsock_map_open(s->fd, &map), 0);
	if (map && tx)
		send_mapped(s, map);
	else if (map)
		recv_mapped(s, map);
	else if (tx)
		send_calls(s);
	else
		recv_calls(s);
	xsock_map_close(map);
	same(s->result, s->bytes);
	return NULL;
}

/* ---- one socket ---- */

static void one_way(int mapped)
{
	struct stream s = { .bytes = total(), .mapped = mapped, .seed = 4711 + side };
	uint8_t byte;
	double t;

	s.fd = xs_pair(ring_for(s.bytes));
	t = now();
	move(&s);
	if (side == 'B')
		printf("# %c %s: %.1f MiB/s\n", side, running,
		       (double)s.bytes / MIB / (now() - t));
	sync_ends();
	if (side == 'A')
		check(!close(s.fd));
	sync_ends();
	if (side == 'B') {
		/* Not a byte more. */
		same(recv(s.fd, &byte, 1, 0), 0);
		same(xs_info(s.fd).cons, s.bytes);
		check(!close(s.fd));
	}
}

static void calls(void)
{
	one_way(0);
}

static void mapped(void)
{
	one_way(1);
}

/* ---- both directions ---- */

static void both_ways(int map)
{
	uint64_t bytes = total();
	struct stream out = { .bytes = bytes, .mapped = map, .seed = 1 + side },
		      in = { .bytes = bytes, .mapped = map, .seed = 1000 + side };
	pthread_t thread;

	xs_both(ring_for(bytes), &out.fd, &in.fd);
	out.first = STREAM(side);
	in.first = STREAM('A' + 'B' - side);
	pthread_create(&thread, NULL, move, &out);
	move(&in);
	pthread_join(thread, NULL);
	same(xs_info(in.fd).cons, bytes);
	sync_ends();
	check(!close(out.fd));
	check(!close(in.fd));
}

static void duplex(void)
{
	both_ways(0);
}

static void duplex_mapped(void)
{
	both_ways(1);
}

/* ---- many sockets ---- */

/* As much as goes without waiting; true when all has gone. */
static int move_some(struct stream *s, int tx, uint8_t *data)
{
	while (s->result < s->bytes) {
		size_t len = piece(s, 20000);
		ssize_t n;

		if (tx) {
			fill(data, len, s->first + s->result);
			n = send(s->fd, data, len, MSG_NOSIGNAL);
		} else {
			n = recv(s->fd, data, len, 0);
		}
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (!check(n > 0) || (!tx && !same(wrong(data, n, s->first + s->result), 0)))
			return 1;
		s->result += n;
	}
	return 1;
}

/* One loop at either end, edge-triggered; even numbers go from A to B. */
static void many(void)
{
	static uint8_t data[20000];
	struct epoll_event event;
	struct stream s[MANY] = { 0 };
	uint64_t bytes = total() / MANY;
	int ep = epoll_create1(EPOLL_CLOEXEC), left = MANY, k, tx;

	for (k = 0; k < MANY; k++) {
		tx = k % 2 == (side == 'B');
		s[k].bytes = bytes;
		s[k].first = STREAM(k);
		s[k].seed = 77 + k;
		if (tx) {
			/* From 4 KiB to 64 KiB. */
			s[k].fd = xs_transmitter(4096 << k / 2 % 5);
			xs_offer(s[k].fd);
		} else {
			s[k].fd = xs_receiver();
		}
		nonblock(s[k].fd);
		event.events = (tx ? EPOLLOUT : EPOLLIN) | EPOLLET;
		event.data.u32 = k;
		check(!epoll_ctl(ep, EPOLL_CTL_ADD, s[k].fd, &event));
	}
	while (left) {
		if (!same(epoll_wait(ep, &event, 1, 60000), 1))
			break;
		k = event.data.u32;
		tx = k % 2 == (side == 'B');
		if (s[k].result < s[k].bytes && move_some(&s[k], tx, data))
			left--;
	}
	sync_ends();
	for (k = 0; k < MANY; k++) {
		same(s[k].result, bytes);
		check(!close(s[k].fd));
	}
	close(ep);
}

const struct test_case bulk_cases[] = {
	{ .name = "calls", .says = "one stream by send and recv", .a = calls, .b = calls },
	{ .name = "maps", .says = "one stream through mapped rings", .a = mapped, .b = mapped },
	{ .name = "duplex", .says = "both directions at once", .a = duplex, .b = duplex },
	{ .name = "duplex-maps", .says = "both directions through mapped rings",
	  .a = duplex_mapped, .b = duplex_mapped },
	{ .name = "sixty-four", .says = "64 sockets at once, both directions", .a = many,
	  .b = many },
	{ .name = 0 },
};
