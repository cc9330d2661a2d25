/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between a program and the C library: see run.h. Nothing is kept here but where the real
 * functions are, so that fork(), dup(), exec and threads need no care; whatever fails leaves
 * the program with TCP.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "run.h"

#define PUBLIC __attribute__((visibility("default")))
#define REAL(function) ((__typeof__(&function))real(&at.function, #function))

/* How long the helper may think, in s: beyond all of its own limits. */
#define PATIENCE 30

/* The functions that are here, in the C library. */
static struct {
	void *accept, *accept4, *connect, *epoll_ctl, *getpeername, *getsockname, *getsockopt, *listen,
		*setsockopt;
} at;

/* The helper's address, as it was at the beginning: a program may make itself another environment. */
static char at_first[sizeof(((struct sockaddr_un *)0)->sun_path) - 1];

/*
 * Asked for once: dlsym() takes a lock, which a child of a program with threads may find taken
 * for ever, and loses what dlerror() would have said.
 */
static void *real(void **place, const char *name)
{
	void *function = __atomic_load_n(place, __ATOMIC_RELAXED);

	if (!function) {
		function = dlsym(RTLD_NEXT, name);
		__atomic_store_n(place, function, __ATOMIC_RELAXED);
	}
	return function;
}

/* Other libraries' constructors may have come before. */
static void __attribute__((constructor)) find(void)
{
	const char *name = getenv(RUN_ENV);

	if (name && strlen(name) < sizeof(at_first))
		strcpy(at_first, name);
	real(&at.accept, "accept");
	real(&at.accept4, "accept4");
	real(&at.connect, "connect");
	real(&at.epoll_ctl, "epoll_ctl");
	real(&at.getpeername, "getpeername");
	real(&at.getsockname, "getsockname");
	real(&at.getsockopt, "getsockopt");
	real(&at.listen, "listen");
	real(&at.setsockopt, "setsockopt");
}

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return REAL(getsockopt)(fd, level, name, &value, &len) ? -1 : value;
}

static bool is_tcp(int fd)
{
	int domain = option(fd, SOL_SOCKET, SO_DOMAIN);

	return (domain == AF_INET || domain == AF_INET6) &&
		option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
}

/* A socket that has been put in the place of one: with whom it is connected. */
static bool is_moved(int fd, struct run_name *name)
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	int saved = errno;
	bool moved;

	moved = !REAL(getpeername)(fd, (struct sockaddr *)&address, &len) &&
		address.sun_family == AF_UNIX &&
		len == offsetof(struct sockaddr_un, sun_path) + sizeof(*name) &&
		!memcmp(address.sun_path, RUN_NAME, sizeof(RUN_NAME));
	if (moved)
		memcpy(name, address.sun_path, sizeof(*name));
	errno = saved;
	return moved;
}

/* Is it our user's helper, or did somebody else take its address when it had gone? */
static bool is_ours(int s)
{
	struct ucred user;
	socklen_t len = sizeof(user);

	return !REAL(getsockopt)(s, SOL_SOCKET, SO_PEERCRED, &user, &len) && user.uid == geteuid();
}

static int ask(enum run_kind kind, int fd, const struct sockaddr_in6 *peer)
{
	struct run_request request = { .kind = kind };
	struct run_answer answer = { 0 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE };
	const char *helper = getenv(RUN_ENV);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	int s, place = -1, moved = -1;
	ssize_t n;

	if (!helper)
		helper = at_first;
	if (!*helper || strlen(helper) >= sizeof(address.sun_path) - 1)
		return -1;
	strcpy(address.sun_path + 1, helper);
	s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -1;
	if (peer)
		request.peer = *peer;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	if (REAL(setsockopt)(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    REAL(setsockopt)(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    REAL(connect)(s, (struct sockaddr *)&address,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(helper))) ||
	    !is_ours(s))
		goto out;
	/* A socket that comes and finds no place is lost, and the connection with it. */
	place = fcntl(s, F_DUPFD_CLOEXEC, 0);
	if (place < 0 || sendmsg(s, &message, MSG_NOSIGNAL) != sizeof(request))
		goto out;
	do
		n = recv(s, &answer, sizeof(answer), MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(answer))
		goto out;
	close(place);
	place = -1;
	iov = (struct iovec){ &answer, sizeof(answer) };
	message.msg_controllen = sizeof(control);
	do
		n = recvmsg(s, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	cmsg = CMSG_FIRSTHDR(&message);
	if (n == sizeof(answer) && answer.moved && cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&moved, CMSG_DATA(cmsg), sizeof(int));
out:
	if (place >= 0)
		close(place);
	close(s);
	return moved;
}

/* What a program has asked of its socket, and keeps. */
static void inherit(int to, int from)
{
	static const int names[] = { SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT };
	struct f_owner_ex owner;
	struct timeval value;
	socklen_t len;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = sizeof(value);
		if (!REAL(getsockopt)(from, SOL_SOCKET, names[i], &value, &len))
			REAL(setsockopt)(to, SOL_SOCKET, names[i], &value, len);
	}
	/* Who is to be told of what is there, before it may be. */
	if (!fcntl(from, F_GETOWN_EX, &owner) && owner.pid) {
		fcntl(to, F_SETOWN_EX, &owner);
		fcntl(to, F_SETSIG, fcntl(from, F_GETSIG));
	}
	fcntl(to, F_SETFL, fcntl(from, F_GETFL));
}

/* Tells sockets apart; 0: it is none. */
static uint64_t cookie(int fd)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	return REAL(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, &value, &len) ? 0 : value;
}

enum moved { MOVED, STAYS, CLOSED };

/*
 * Asks the helper about a socket, and puts the one that it may get in its place. Another thread may have
 * closed it meanwhile, and opened something else there, which is not ours. A thread that is cancelled
 * meanwhile ends at its next opportunity: what is open here nobody else would close.
 */
static enum moved move(enum run_kind kind, int fd, const struct sockaddr_in6 *peer)
{
	uint64_t before = cookie(fd);
	int state, moved, flags;
	enum moved result;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	moved = ask(kind, fd, peer);
	result = cookie(fd) != before ? CLOSED : moved >= 0 ? MOVED : STAYS;
	if (result == MOVED) {
		inherit(moved, fd);
		flags = fcntl(fd, F_GETFD);
		if (dup3(moved, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) != fd)
			result = CLOSED;
	}
	if (moved >= 0)
		close(moved);
	pthread_setcancelstate(state, NULL);
	return result;
}

PUBLIC int listen(int fd, int backlog)
{
	int result = REAL(listen)(fd, backlog);
	int saved = errno;

	if (!result && is_tcp(fd))
		move(RUN_LISTEN, fd, NULL);
	errno = saved;
	return result;
}

static int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	return REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &info, &size) ? -1 : info.tcpi_state;
}

/*
 * A socket that epoll knows cannot be replaced: epoll would go on with the one that it was given,
 * which the helper keeps. So that it stays on TCP, this is noted where all copies of the
 * descriptor have it, in an option of the socket that changes nothing by itself. (A program that
 * sets it wants MSG_ZEROCOPY, which TCP alone has.)
 */
PUBLIC int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	int saved = errno, on = 1;

	if (op == EPOLL_CTL_ADD && is_tcp(fd) && tcp_state(fd) == TCP_CLOSE)
		REAL(setsockopt)(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on));
	errno = saved;
	return REAL(epoll_ctl)(epfd, op, fd, event);
}

static bool stays(int fd)
{
	return option(fd, SOL_SOCKET, SO_ZEROCOPY) == 1;
}

PUBLIC int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	struct sockaddr_in6 peer;
	struct run_name name;
	int saved = errno;

	if (run_address(&peer, address, len)) {
		/* "Is it done?" */
		if (is_moved(fd, &name)) {
			errno = EISCONN;
			return -1;
		}
		/* It might be asked again, while it is under way. Another family is the kernel's error. */
		if (is_tcp(fd) && address->sa_family == option(fd, SOL_SOCKET, SO_DOMAIN) &&
		    tcp_state(fd) == TCP_CLOSE && !stays(fd))
			switch (move(RUN_CONNECT, fd, &peer)) {
			case MOVED:
				errno = saved;
				return 0;
			case CLOSED:
				errno = EBADF;
				return -1;
			case STAYS:
				break;
			}
	}
	errno = saved;
	return REAL(connect)(fd, address, len);
}

static int accepted(int fd)
{
	int saved = errno;

	if (fd >= 0 && is_tcp(fd))
		move(RUN_ACCEPT, fd, NULL);
	errno = saved;
	return fd;
}

PUBLIC int accept(int fd, struct sockaddr *address, socklen_t *len)
{
	return accepted(REAL(accept)(fd, address, len));
}

PUBLIC int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return accepted(REAL(accept4)(fd, address, len, flags));
}

/* ---- that it is TCP, as far as a program can ask ---- */

static void answer(void *to, socklen_t *len, const void *from, socklen_t size)
{
	memcpy(to, from, *len < size ? *len : size);
	*len = size;
}

static int name_of(bool peer, int fd, struct sockaddr *address, socklen_t *len)
{
	struct sockaddr_storage storage;
	struct run_name name;
	socklen_t size;

	if (is_moved(fd, &name)) {
		size = run_sockaddr(&storage, peer ? &name.peer : &name.own, name.family);
		answer(address, len, &storage, size);
		return 0;
	}
	return peer ? REAL(getpeername)(fd, address, len) : REAL(getsockname)(fd, address, len);
}

PUBLIC int getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
	return name_of(true, fd, address, len);
}

PUBLIC int getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
	return name_of(false, fd, address, len);
}

static bool of_tcp(int level)
{
	return level == IPPROTO_TCP || level == IPPROTO_IP || level == IPPROTO_IPV6;
}

/*
 * What is not answered here a new socket of the program's family is asked: there are many options, and
 * each has its length and its default, or is unknown to this kernel.
 */
static int new_socket(const struct run_name *moved)
{
	return socket(moved->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
}

/* Options may be asked for where no thread can be cancelled, as close() could. */
static int close_keeping(int fd, int result)
{
	int saved = errno;

	syscall(SYS_close, fd);
	errno = saved;
	return result;
}

PUBLIC int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct run_name moved;

	/* Accepted, if it is one, and without effect. */
	if (of_tcp(level) && is_moved(fd, &moved)) {
		/* What some set with each message. */
		if (level == IPPROTO_TCP && len >= sizeof(int) &&
		    (name == TCP_NODELAY || name == TCP_CORK || name == TCP_QUICKACK))
			return 0;
		fd = new_socket(&moved);
		return fd < 0 ? 0 : close_keeping(fd, REAL(setsockopt)(fd, level, name, value, len));
	}
	/* The client sends nothing before the server has accepted. */
	if (level == IPPROTO_TCP && name == TCP_DEFER_ACCEPT && is_tcp(fd))
		return 0;
	return REAL(setsockopt)(fd, level, name, value, len);
}

PUBLIC int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	static const struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED, .tcpi_snd_mss = 32768 };
	static const char algorithm[16] = "xensocket";
	struct run_name moved;
	int number = 0;

	if (!(of_tcp(level) || (level == SOL_SOCKET && (name == SO_DOMAIN || name == SO_PROTOCOL))) ||
	    !is_moved(fd, &moved))
		return REAL(getsockopt)(fd, level, name, value, len);
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		answer(value, len, &info, *len < sizeof(info) ? *len : (socklen_t)sizeof(info));
	} else if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
		answer(value, len, algorithm, *len < sizeof(algorithm) ? *len : (socklen_t)sizeof(algorithm));
	} else if (level == SOL_SOCKET) {
		number = name == SO_DOMAIN ? moved.family : IPPROTO_TCP;
		answer(value, len, &number, sizeof(number));
	} else if (level == IPPROTO_TCP && (name == TCP_MAXSEG || name == TCP_NODELAY)) {
		number = name == TCP_MAXSEG ? (int)info.tcpi_snd_mss : 1;
		answer(value, len, &number, sizeof(number));
	} else {
		fd = new_socket(&moved);
		if (fd >= 0)
			return close_keeping(fd, REAL(getsockopt)(fd, level, name, value, len));
		answer(value, len, &number, sizeof(number));
	}
	return 0;
}
