// SPDX-License-Identifier: BSD-3-Clause
/*
 * Programs as users write them: libevent, libuv, socat, io_uring. Each case moves the
 * same bytes both ways at once, over a socket for each direction, and ends the streams.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <liburing.h>
#include <uv.h>

#include "xsocktest.h"

#define BYTES	(2 * 1024 * 1024 + 12345)
#define PIECE	16384

/* Place of the first byte in the pattern: each direction has its own. */
static uint64_t first(int from)
{
	return from == 'A' ? 0 : 500000;
}

static int other(void)
{
	return 'A' + 'B' - side;
}

/**
 * struct flow - both directions, as this end sees them
 * @tx: to the peer
 * @rx: from the peer
 * @sent: bytes handed over
 * @got: bytes received
 * @ended: the peer has ended its stream
 * @wrong: it was not what was sent
 */
struct flow {
	int tx;
	int rx;
	uint64_t sent;
	uint64_t got;
	int ended;
	int wrong;
};

static void flow_open(struct flow *f)
{
	memset(f, 0, sizeof(*f));
	xs_both(0, &f->tx, &f->rx);
}

/* The next bytes to send. */
static size_t flow_next(struct flow *f, uint8_t *data, size_t most)
{
	size_t n = BYTES - f->sent < most ? BYTES - f->sent : most;

	fill(data, n, first(side) + f->sent);
	return n;
}

static void flow_got(struct flow *f, const uint8_t *data, size_t n)
{
	if (!f->wrong)
		f->wrong = wrong(data, n, first(other()) + f->got);
	f->got += n;
}

static void flow_check(struct flow *f)
{
	same(f->sent, BYTES);
	same(f->got, BYTES);
	same(f->ended, 1);
	same(f->wrong, 0);
}

/* ---- libevent: bufferevents ---- */

#define LOW	1000
#define HIGH	9000

struct buffered {
	struct flow flow;
	struct event_base *base;
	struct bufferevent *in;
	struct bufferevent *out;
	int error;
};

static void buffered_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct buffered *b = arg;
	uint8_t data[HIGH];
	int n;

	/* The marks: never less, but for the rest, and never more. */
	check(evbuffer_get_length(input) >= LOW || b->flow.got + LOW > BYTES);
	check(evbuffer_get_length(input) <= HIGH);
	while ((n = evbuffer_remove(input, data, sizeof(data))) > 0)
		flow_got(&b->flow, data, n);
}

/* Less than the mark is left to be written. */
static void buffered_write(struct bufferevent *bev, void *arg)
{
	struct buffered *b = arg;
	uint8_t data[PIECE];
	size_t n;

	check(evbuffer_get_length(bufferevent_get_output(bev)) <= LOW);
	n = flow_next(&b->flow, data, sizeof(data));
	if (n) {
		same(bufferevent_write(bev, data, n), 0);
		b->flow.sent += n;
	} else if (!evbuffer_get_length(bufferevent_get_output(bev))) {
		shutdown(b->flow.tx, SHUT_WR);
		bufferevent_disable(bev, EV_WRITE);
	} else {
		/* Call again when nothing is left. */
		bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
	}
}

static void buffered_event(struct bufferevent *bev, short events, void *arg)
{
	struct buffered *b = arg;

	if (bev == b->in) {
		same(events, BEV_EVENT_READING | BEV_EVENT_EOF);
		buffered_read(bev, arg);
		b->flow.ended = 1;
	} else {
		b->error = EVUTIL_SOCKET_ERROR();
		same(events, BEV_EVENT_WRITING | BEV_EVENT_ERROR);
	}
	event_base_loopbreak(b->base);
}

static void buffered(void)
{
	struct buffered b = { .base = event_base_new() };

	flow_open(&b.flow);
	nonblock(b.flow.tx);
	nonblock(b.flow.rx);
	b.in = bufferevent_socket_new(b.base, b.flow.rx, BEV_OPT_CLOSE_ON_FREE);
	b.out = bufferevent_socket_new(b.base, b.flow.tx, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(b.in, buffered_read, NULL, buffered_event, &b);
	bufferevent_setcb(b.out, NULL, buffered_write, buffered_event, &b);
	bufferevent_setwatermark(b.in, EV_READ, LOW, HIGH);
	bufferevent_setwatermark(b.out, EV_WRITE, LOW, 0);
	bufferevent_enable(b.in, EV_READ);
	buffered_write(b.out, &b);
	/* Until the peer has ended, and then as long as we have something to send. */
	event_base_dispatch(b.base);
	while (b.flow.ended && (b.flow.sent < BYTES || evbuffer_get_length(bufferevent_get_output(b.out))))
		event_base_loop(b.base, EVLOOP_ONCE);
	shutdown(b.flow.tx, SHUT_WR);
	flow_check(&b.flow);
	sync_ends();
	bufferevent_free(b.in);
	sync_ends();
	bufferevent_free(b.out);

	/* A receiver that goes away is an error of the writer. */
	b.error = 0;
	b.flow.tx = xs_pair(0);
	if (side == 'B') {
		close(b.flow.tx);
		sync_ends();
	} else {
		sync_ends();
		nonblock(b.flow.tx);
		b.out = bufferevent_socket_new(b.base, b.flow.tx, BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(b.out, NULL, NULL, buffered_event, &b);
		same(bufferevent_write(b.out, "x", 1), 0);
		event_base_dispatch(b.base);
		same(b.error, EPIPE);
		bufferevent_free(b.out);
	}
	event_base_free(b.base);
}

/* ---- libevent: edge-triggered events ---- */

static void edge_read(evutil_socket_t fd, short what, void *arg)
{
	struct flow *f = arg;
	uint8_t data[3000];
	ssize_t n;

	(void)what;
	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		flow_got(f, data, n);
	if (!n)
		f->ended = 1;
	else
		same(errno, EAGAIN);
}

static void edge_write(evutil_socket_t fd, short what, void *arg)
{
	struct flow *f = arg;
	uint8_t data[PIECE];
	size_t n;
	ssize_t done;

	(void)what;
	while ((n = flow_next(f, data, sizeof(data)))) {
		done = send(fd, data, n, MSG_NOSIGNAL);
		if (done < 0) {
			same(errno, EAGAIN);
			return;
		}
		f->sent += done;
	}
	shutdown(fd, SHUT_WR);
}

static void edges(void)
{
	struct event_config *config = event_config_new();
	struct event *in, *out;
	struct event_base *base;
	struct flow f;

	check(!event_config_require_features(config, EV_FEATURE_ET));
	base = event_base_new_with_config(config);
	if (!check(base != NULL))
		exit(1);
	flow_open(&f);
	nonblock(f.tx);
	nonblock(f.rx);
	in = event_new(base, f.rx, EV_READ | EV_ET | EV_PERSIST, edge_read, &f);
	out = event_new(base, f.tx, EV_WRITE | EV_ET | EV_PERSIST, edge_write, &f);
	event_add(in, NULL);
	event_add(out, NULL);
	while (!f.ended || f.sent < BYTES)
		event_base_loop(base, EVLOOP_ONCE);
	flow_check(&f);
	event_free(in);
	event_free(out);
	event_base_free(base);
	event_config_free(config);
	sync_ends();
	close(f.tx);
	close(f.rx);
}

/* ---- libuv: A writes a stream and polls for reading, B the other way round ---- */

struct uv {
	struct flow flow;
	uv_loop_t loop;
	uv_pipe_t pipe;
	uv_poll_t poll;
	uv_write_t write;
	uv_shutdown_t shutdown;
	uint8_t data[PIECE];
};

static void uv_shut(uv_shutdown_t *request, int status)
{
	same(status, 0);
	uv_close((uv_handle_t *)request->handle, NULL);
}

static void uv_write_next(struct uv *u);

static void uv_written(uv_write_t *request, int status)
{
	same(status, 0);
	uv_write_next(request->data);
}

static void uv_write_next(struct uv *u)
{
	size_t n = flow_next(&u->flow, u->data, sizeof(u->data));
	uv_buf_t buf = uv_buf_init((char *)u->data, n);

	if (!n) {
		same(uv_shutdown(&u->shutdown, (uv_stream_t *)&u->pipe, uv_shut), 0);
		return;
	}
	u->flow.sent += n;
	same(uv_write(&u->write, (uv_stream_t *)&u->pipe, &buf, 1, uv_written), 0);
}

static void uv_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct uv *u = handle->data;

	(void)size;
	*buf = uv_buf_init((char *)u->data, sizeof(u->data));
}

static void uv_read_some(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct uv *u = stream->data;

	if (n > 0) {
		flow_got(&u->flow, (uint8_t *)buf->base, n);
	} else if (n < 0) {
		same(n, UV_EOF);
		u->flow.ended = 1;
		uv_close((uv_handle_t *)stream, NULL);
	}
}

static void uv_poll_read(uv_poll_t *poll, int status, int events)
{
	struct uv *u = poll->data;
	uint8_t data[3000];
	ssize_t n;

	same(status, 0);
	check(events & (UV_READABLE | UV_DISCONNECT));
	/* Level-triggered: a part only. */
	n = recv(u->flow.rx, data, sizeof(data), 0);
	if (n > 0) {
		flow_got(&u->flow, data, n);
	} else if (same(n, 0)) {
		u->flow.ended = 1;
		uv_close((uv_handle_t *)poll, NULL);
	}
}

static void uv_poll_write(uv_poll_t *poll, int status, int events)
{
	struct uv *u = poll->data;
	size_t n = flow_next(&u->flow, u->data, sizeof(u->data));
	ssize_t done;

	same(status, 0);
	same(events, UV_WRITABLE);
	done = send(u->flow.tx, u->data, n, MSG_NOSIGNAL);
	check(done > 0);
	u->flow.sent += done;
	if (u->flow.sent == BYTES) {
		shutdown(u->flow.tx, SHUT_WR);
		uv_close((uv_handle_t *)poll, NULL);
	}
}

static void libuv(void)
{
	static struct uv u;

	flow_open(&u.flow);
	uv_loop_init(&u.loop);
	uv_pipe_init(&u.loop, &u.pipe, 0);
	u.pipe.data = u.poll.data = u.write.data = &u;
	if (side == 'A') {
		same(uv_pipe_open(&u.pipe, u.flow.tx), 0);
		uv_write_next(&u);
		same(uv_poll_init(&u.loop, &u.poll, u.flow.rx), 0);
		same(uv_poll_start(&u.poll, UV_READABLE | UV_DISCONNECT, uv_poll_read), 0);
	} else {
		same(uv_pipe_open(&u.pipe, u.flow.rx), 0);
		same(uv_read_start((uv_stream_t *)&u.pipe, uv_alloc, uv_read_some), 0);
		same(uv_poll_init(&u.loop, &u.poll, u.flow.tx), 0);
		same(uv_poll_start(&u.poll, UV_WRITABLE, uv_poll_write), 0);
	}
	same(uv_run(&u.loop, UV_RUN_DEFAULT), 0);
	same(uv_loop_close(&u.loop), 0);
	flow_check(&u.flow);
	sync_ends();
	/* The pipe has closed its descriptor, the poll handle has not. */
	close(side == 'A' ? u.flow.rx : u.flow.tx);
}

/* ---- io_uring: the calls themselves ---- */

static void uring_submit(struct io_uring *ring, struct flow *f, int tx, uint8_t *data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (tx)
		io_uring_prep_send(sqe, f->tx, data, flow_next(f, data, PIECE), MSG_NOSIGNAL);
	else
		io_uring_prep_recv(sqe, f->rx, data, PIECE, 0);
	sqe->user_data = tx;
	same(io_uring_submit(ring), 1);
}

static void uring(void)
{
	static uint8_t out[PIECE], in[PIECE];
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct flow f;
	int n, tx;

	flow_open(&f);
	if (!same(io_uring_queue_init(8, &ring, 0), 0))
		exit(1);
	uring_submit(&ring, &f, 0, in);
	uring_submit(&ring, &f, 1, out);
	while (!f.ended || f.sent < BYTES) {
		if (!same(io_uring_wait_cqe(&ring, &cqe), 0))
			break;
		n = cqe->res;
		tx = cqe->user_data;
		io_uring_cqe_seen(&ring, cqe);
		if (!check(n > 0 || (!n && !tx)))
			break;
		if (tx) {
			f.sent += n;
			if (f.sent < BYTES)
				uring_submit(&ring, &f, 1, out);
			else
				shutdown(f.tx, SHUT_WR);
		} else if (n) {
			flow_got(&f, in, n);
			uring_submit(&ring, &f, 0, in);
		} else {
			f.ended = 1;
		}
	}
	flow_check(&f);
	io_uring_queue_exit(&ring);
	sync_ends();
	close(f.tx);
	close(f.rx);
}

/* ---- socat: knows nothing of the family but a number and the bytes of an address ---- */

/* Runs socat with these addresses, its standard input or output on a pipe to us. */
static pid_t socat(const char *from, const char *to, int number, int *pipe_end)
{
	int fds[2], mine = number == STDIN_FILENO;
	pid_t child;

	check(!pipe(fds));
	child = fork();
	if (!child) {
		dup2(fds[!mine], number);
		close(fds[0]);
		close(fds[1]);
		execlp("socat", "socat", "-u", from, to, NULL);
		_exit(127);
	}
	close(fds[!mine]);
	*pipe_end = fds[mine];
	return child;
}

static void socat_ends(pid_t child)
{
	int status;

	same(waitpid(child, &status, 0), child);
	same(status, 0);
}

/* A hands a bound socket over and feeds it. */
static void a_socat(void)
{
	struct flow f = { .tx = xs_transmitter(0) };
	uint8_t data[PIECE];
	char address[20];
	pid_t child;
	size_t n;
	int in;

	fcntl(f.tx, F_SETFD, 0);
	snprintf(address, sizeof(address), "FD:%d", f.tx);
	child = socat("STDIN", address, STDIN_FILENO, &in);
	xs_offer(f.tx);
	close(f.tx);
	while ((n = flow_next(&f, data, sizeof(data)))) {
		if (!same(write(in, data, n), n))
			break;
		f.sent += n;
	}
	close(in);
	socat_ends(child);
}

/* B's socat connects to the offer by itself. */
static void b_socat(void)
{
	struct sockaddr_xen offer;
	struct flow f = { 0 };
	uint8_t data[PIECE];
	char address[120];
	pid_t child;
	ssize_t n;
	int out, at;

	ctl_read(&offer, sizeof(offer));
	at = snprintf(address, sizeof(address), "SOCKET-CONNECT:%d:0:x", af);
	/* What follows after the family. */
	for (size_t k = sizeof(offer.sxen_family); k < sizeof(offer); k++)
		at += snprintf(address + at, sizeof(address) - at, "%02x",
			       ((uint8_t *)&offer)[k]);
	child = socat(address, "STDOUT", STDOUT_FILENO, &out);
	while ((n = read(out, data, sizeof(data))) > 0)
		flow_got(&f, data, n);
	close(out);
	socat_ends(child);
	same(f.got, BYTES);
	same(f.wrong, 0);
}

const struct test_case client_cases[] = {
	{ .name = "bufferevent", .says = "libevent: bufferevents with watermarks", .a = buffered,
	  .b = buffered },
	{ .name = "libevent-edge", .says = "libevent: edge-triggered events", .a = edges,
	  .b = edges },
	{ .name = "libuv", .says = "libuv: streams and uv_poll", .a = libuv, .b = libuv },
	{ .name = "io_uring", .says = "io_uring: SEND and RECV that wait", .a = uring,
	  .b = uring },
	{ .name = "socat", .says = "socat, with the family as a number", .a = a_socat,
	  .b = b_socat },
	{ .name = 0 },
};
