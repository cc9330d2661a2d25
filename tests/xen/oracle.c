// SPDX-License-Identifier: BSD-3-Clause
/* Runs the tables of unix.c: end A has the transmitter, end B the receiver. */
#include <liburing.h>
#include <pthread.h>
#include <sys/select.h>

#include "xsocktest.h"
#include "oracle.h"

/* How long something that does not happen is awaited. */
#define QUIET_MS	60
/* A call that should end, and does not, fails by the frame's alarm; this is less. */
#define LONG_MS		20000
/* No table is longer. */
#define STEPS		64

/**
 * struct end - one end of a pair
 * @fd: the socket, -1 if closed
 * @ep: epoll descriptor, -1 if none
 * @uring: with a ring, if @has_uring
 * @sent: bytes so far
 * @got: likewise
 * @call: what the thread runs
 * @thread: runs it
 * @outcome: of it
 * @tid: the thread's number, 0 until it runs
 * @done: it has returned
 */
struct end {
	int fd;
	int ep;
	struct io_uring uring;
	int has_uring;
	uint64_t sent;
	uint64_t got;
	const struct step *call;
	pthread_t thread;
	struct outcome outcome;
	volatile pid_t tid;
	volatile int done;
};

/* SIGPIPEs of this thread: it comes to the one that writes. */
static __thread volatile sig_atomic_t pipes;

static void count_pipe(int number)
{
	(void)number;
	pipes++;
}

static void nothing(int number)
{
	(void)number;
}

/* SIGIO has come for this descriptor. */
static volatile sig_atomic_t told[1024];

static void note_io(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (info->si_fd >= 0 && info->si_fd < 1024)
		told[info->si_fd] = 1;
}

/* ---- steps ---- */

static int do_send(struct end *e, size_t len, int flags, int by_write)
{
	uint8_t *data = malloc(len + 1);
	ssize_t n;

	fill(data, len, e->sent);
	n = by_write ? write(e->fd, data, len) : send(e->fd, data, len, flags);
	if (n > 0)
		e->sent += n;
	free(data);
	return n;
}

static int do_recv(struct end *e, size_t len, int flags, int by_read)
{
	uint8_t *data = malloc(len + 1);
	ssize_t n = by_read ? read(e->fd, data, len) : recv(e->fd, data, len, flags);
	int err = errno;

	if (n > 0) {
		same(wrong(data, n, e->got), 0);
		if (!(flags & MSG_PEEK))
			e->got += n;
	}
	free(data);
	errno = err;
	return n;
}

/* A poll() that is not woken finds the events at last, all the same: that does not count. */
static int do_await(int fd, int events)
{
	double t = now();
	int bits = poll_bits(fd, events, LONG_MS);

	return now() - t < LONG_MS / 1000 ? bits : 0;
}

static int do_select(int fd)
{
	struct timeval tv = { 0 };
	fd_set r, w, x;

	FD_ZERO(&r);
	FD_SET(fd, &r);
	w = x = r;
	if (select(fd + 1, &r, &w, &x, &tv) < 0)
		return -1;
	return (FD_ISSET(fd, &r) ? 1 : 0) + (FD_ISSET(fd, &w) ? 2 : 0) +
	       (FD_ISSET(fd, &x) ? 4 : 0);
}

static int do_epoll(struct end *e, int op, uint32_t events)
{
	struct epoll_event event = { .events = events };

	if (op == EPOLL_CTL_ADD) {
		if (e->ep >= 0)
			close(e->ep);
		e->ep = epoll_create1(EPOLL_CLOEXEC);
	}
	return epoll_ctl(e->ep, op, e->fd, &event);
}

static int do_event(int ep, int timeout_ms)
{
	struct epoll_event event = { 0 };
	int n = epoll_wait(ep, &event, 1, timeout_ms);

	return n == 1 ? (int)event.events : n;
}

static int do_uring(struct end *e, int events, int multishot)
{
	struct io_uring_sqe *sqe;
	int err;

	if (!e->has_uring) {
		err = io_uring_queue_init(8, &e->uring, 0);
		if (!same(err, 0))
			return err;
		e->has_uring = 1;
	}
	sqe = io_uring_get_sqe(&e->uring);
	if (multishot)
		io_uring_prep_poll_multishot(sqe, e->fd, events);
	else
		io_uring_prep_poll_add(sqe, e->fd, events);
	return io_uring_submit(&e->uring);
}

static int do_completed(struct end *e, int timeout_ms)
{
	struct __kernel_timespec ts = { .tv_sec = timeout_ms / 1000,
					.tv_nsec = timeout_ms % 1000 * 1000000LL };
	struct io_uring_cqe *cqe;
	int result;

	result = io_uring_wait_cqe_timeout(&e->uring, &cqe, &ts);
	if (result)
		return result == -ETIME ? 0 : result;
	result = cqe->res;
	io_uring_cqe_seen(&e->uring, cqe);
	return result;
}

static int do_timeout(int fd, int name, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	return setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv));
}

static int do_peername(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	return getpeername(fd, (struct sockaddr *)&addr, &len);
}

static int do_asyncio(int fd)
{
	struct sigaction sa = { .sa_sigaction = note_io, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };

	sigaction(SIGIO, &sa, NULL);
	told[fd] = 0;
	/* SIGIO as it is, but with the descriptor. */
	if (fcntl(fd, F_SETOWN_EX, &owner) || fcntl(fd, F_SETSIG, SIGIO))
		return -1;
	return fcntl(fd, F_SETFL, O_RDWR | O_ASYNC);
}

/* The thread sleeps in its call: on a busy machine it may come to that late. */
static void await_sleep(struct end *e)
{
	char path[64], text[256], *state;
	ssize_t n;
	int i, fd;

	for (i = 0; i < LONG_MS && !e->done; i++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)e->tid);
		fd = e->tid ? open(path, O_RDONLY) : -1;
		if (fd >= 0) {
			n = read(fd, text, sizeof(text) - 1);
			close(fd);
			text[n > 0 ? n : 0] = 0;
			state = strrchr(text, ')');
			if (state && !strncmp(state, ") S", 3))
				return;
		}
		usleep(1000);
	}
}

static int do_signalled(int fd, int timeout_ms)
{
	int k, was;

	for (k = 0; k < timeout_ms / 10 && !told[fd]; k++)
		usleep(10000);
	was = told[fd];
	told[fd] = 0;
	return was;
}

/* Until it has ended, or should long have. */
static int do_signal(struct end *e, int restart)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = restart };
	int tries = restart ? 3 : LONG_MS / 20, k;

	sigaction(SIGUSR1, &sa, NULL);
	/* More than one: the first may come before the call sleeps. */
	for (k = 0; k < tries && !e->done; k++) {
		pthread_kill(e->thread, SIGUSR1);
		usleep(20000);
	}
	return !e->done;
}

/* The call itself. @expected: what it should return, as far as it is known. */
static int call(struct end *e, const struct step *s, int family, int expected)
{
	int value = s->b, n;
	socklen_t len = sizeof(value);

	switch (s->op) {
	case SEND:
		return do_send(e, s->a, s->b, 0);
	case RECV:
		return do_recv(e, s->a, s->b, 0);
	case WRITE:
		return do_send(e, s->a, 0, 1);
	case READ:
		return do_recv(e, s->a, 0, 1);
	case BAD_SEND:
		return send(e->fd, (void *)4096, 10, MSG_DONTWAIT);
	case BAD_RECV:
		return recv(e->fd, (void *)4096, 10, MSG_DONTWAIT);
	case FILL:
		while ((n = do_send(e, 3000, MSG_DONTWAIT, 0)) > 0)
			;
		return n;
	case DRAIN:
		while ((n = do_recv(e, 3000, MSG_DONTWAIT, 0)) > 0)
			;
		return n;
	case POLL:
		return poll_bits(e->fd, s->a, 0);
	case AWAIT:
		return do_await(e->fd, s->a);
	case SPIN:
		while (!(n = poll_bits(e->fd, s->a, 0)))
			;
		return n;
	case SELECT:
		return do_select(e->fd);
	case EPOLL:
		return do_epoll(e, EPOLL_CTL_ADD, s->a);
	case MODIFY:
		return do_epoll(e, EPOLL_CTL_MOD, s->a);
	case EVENT:
		return do_event(e->ep, expected ? LONG_MS : QUIET_MS);
	case URING:
		return do_uring(e, s->a, 0);
	case MULTISHOT:
		return do_uring(e, s->a, 1);
	case COMPLETED:
		return do_completed(e, expected ? LONG_MS : QUIET_MS);
	case SHUT:
		return shutdown(e->fd, s->a);
	case CLOSE:
		n = close(e->fd);
		e->fd = -1;
		return n;
	case OPTION:
		return setsockopt(e->fd, SOL_SOCKET, s->a, &value, len);
	case TIMEOUT:
		return do_timeout(e->fd, s->a, s->b);
	case NONBLOCK:
		return fcntl(e->fd, F_SETFL, O_RDWR | O_NONBLOCK);
	case ASYNCIO:
		return do_asyncio(e->fd);
	case SIGNALLED:
		return do_signalled(e->fd, expected ? LONG_MS : QUIET_MS);
	case ERROR:
		return getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &value, &len) ? -1 : value;
	case QUEUED:
		return ioctl(e->fd, FIONREAD, &value) ? -1 : value;
	case LISTEN:
		return listen(e->fd, 1);
	case ACCEPT:
		return accept(e->fd, NULL, NULL);
	case PEERNAME:
		return do_peername(e->fd);
	case FRESH:
		close(e->fd);
		e->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		return e->fd < 0 ? -1 : 0;
	case WAITING:
		await_sleep(e);
		usleep(QUIET_MS * 1000);
		return !e->done;
	case SIGNAL:
		return do_signal(e, s->a);
	case JOIN:
		break;
	}
	return -1;
}

static struct outcome outcome_of(struct end *e, const struct step *s, int family, int expected)
{
	struct outcome o = { .pipes = pipes };

	errno = 0;
	o.ret = call(e, s, family, expected);
	o.err = o.ret == -1 ? errno : 0;
	o.pipes = pipes - o.pipes;
	if (s->some)
		o.ret = o.ret > 0 ? 1 : o.ret;
	return o;
}

static void *call_thread(void *arg)
{
	struct end *e = arg;

	e->tid = gettid();
	e->outcome = outcome_of(e, e->call, AF_UNSPEC, 0);
	e->done = 1;
	return NULL;
}

static struct outcome run_step(struct end *e, const struct step *s, int family, int expected)
{
	struct outcome o = { 0 };

	if (s->async) {
		e->call = s;
		e->done = 0;
		e->tid = 0;
		o.ret = pthread_create(&e->thread, NULL, call_thread, e);
		return o;
	}
	if (s->op == JOIN) {
		pthread_join(e->thread, NULL);
		return e->outcome;
	}
	return outcome_of(e, s, family, expected);
}

/* ---- tables ---- */

static void end_open(struct end *e, int fd)
{
	memset(e, 0, sizeof(*e));
	e->fd = fd;
	e->ep = -1;
}

static void end_close(struct end *e)
{
	if (e->has_uring)
		io_uring_queue_exit(&e->uring);
	if (e->ep >= 0)
		close(e->ep);
	if (e->fd >= 0)
		close(e->fd);
}

static int steps_in(const struct step *steps)
{
	int n = 0;

	while (steps[n].end)
		n++;
	check(n < STEPS);
	return n;
}

/* What AF_UNIX does, both ends of it here. */
static void run_unix(const struct step *steps, struct outcome *outcomes)
{
	struct end ends[2];
	int fds[2];

	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	end_open(&ends[0], fds[0]);
	end_open(&ends[1], fds[1]);
	for (int k = 0; steps[k].end; k++)
		outcomes[k] = run_step(&ends[steps[k].end == 'R'], &steps[k], AF_UNIX,
				       /* It is there at once, if at all. */ 0);
	end_close(&ends[0]);
	end_close(&ends[1]);
}

/* What B is asked to do: steps without one of A's in between. */
struct request {
	int step;
	int count;	/* 0: no more */
};

/* What each step should give. */
static void wanted(const struct step *steps, const struct outcome *is_unix, int *want, int n)
{
	for (int k = 0; k < n; k++)
		want[k] = steps[k].why ? steps[k].xen.ret : is_unix[k].ret;
}

static int run_remote(const struct step *steps, int step, const int *want,
		      struct outcome *outcomes)
{
	struct request request = { step, 0 };

	while (steps[step + request.count].end == 'R')
		request.count++;
	ctl_write(&request, sizeof(request));
	ctl_write(want + step, request.count * sizeof(*want));
	ctl_read(outcomes + step, request.count * sizeof(*outcomes));
	return request.count;
}

static int outcomes_equal(const struct outcome *x, const struct outcome *y)
{
	return x->ret == y->ret && x->err == y->err && x->pipes == y->pipes;
}

static void show(const char *who, const struct outcome *o)
{
	printf(" %s %d", who, o->ret);
	if (o->err)
		printf(" (%s)", strerror(o->err));
	if (o->pipes)
		printf(" and %d SIGPIPE", o->pipes);
}

/* One step on both families. */
static void compare(const struct step *steps, int k, const struct outcome *is_unix,
		    const struct outcome *is_xen)
{
	const struct step *s = &steps[k];
	const struct outcome *want = s->why ? &s->xen : is_unix;

	if (outcomes_equal(is_xen, want) &&
	    (!s->why || s->chance || !outcomes_equal(want, is_unix)))
		return;
	failures++;
	printf("# A %s: step %d, %s of %s:", running, k + 1, s->name,
	       s->end == 'T' ? "the transmitter" : "the receiver");
	show("AF_UNIX", is_unix);
	show(", AF_XEN", is_xen);
	if (s->why) {
		show(", declared", want);
		printf(": %s", s->why);
	}
	printf("\n");
}

static void signals(void (*pipe_handler)(int))
{
	struct sigaction sa = { .sa_handler = pipe_handler, .sa_flags = SA_RESTART };

	sigaction(SIGPIPE, &sa, NULL);
}

void oracle_a(const struct test_case *c)
{
	const struct step *steps = c->steps;
	struct outcome is_unix[STEPS], is_xen[STEPS];
	int n = steps_in(steps), k, want[STEPS];
	struct end t;

	signals(count_pipe);
	for (int round = 0; round < (c->times ? c->times : 1); round++) {
		run_unix(steps, is_unix);
		wanted(steps, is_unix, want, n);
		end_open(&t, xs_pair(0));
		for (k = 0; k < n;) {
			if (steps[k].end == 'R') {
				k += run_remote(steps, k, want, is_xen);
			} else {
				is_xen[k] = run_step(&t, &steps[k], af, want[k]);
				k++;
			}
		}
		ctl_write(&(struct request){ 0 }, sizeof(struct request));
		for (k = 0; k < n; k++)
			compare(steps, k, &is_unix[k], &is_xen[k]);
		end_close(&t);
	}
	signals(SIG_IGN);
}

void oracle_b(const struct test_case *c)
{
	struct outcome outcomes[STEPS];
	struct request request;
	int want[STEPS];
	struct end r;

	signals(count_pipe);
	for (int round = 0; round < (c->times ? c->times : 1); round++) {
		end_open(&r, xs_pair(0));
		for (;;) {
			ctl_read(&request, sizeof(request));
			if (!request.count)
				break;
			ctl_read(want, request.count * sizeof(*want));
			for (int k = 0; k < request.count; k++)
				outcomes[k] = run_step(&r, &c->steps[request.step + k], af, want[k]);
			ctl_write(outcomes, request.count * sizeof(*outcomes));
		}
		end_close(&r);
	}
	signals(SIG_IGN);
}

/* What is declared to be different, a line each. */
void oracle_differences(const struct test_case *list)
{
	for (; list->name; list++)
		for (int k = 0; list->steps && list->steps[k].end; k++)
			if (list->steps[k].why)
				printf("%-16s %-9s %s\n", list->name, list->steps[k].name,
				       list->steps[k].why);
}
