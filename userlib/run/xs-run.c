/* SPDX-License-Identifier: BSD-3-Clause */
/* xs-run: the command, and the helper's outer loop. run.h says how all of it works. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/* As env(1) and others have it. */
#define EXIT_OURS	125
#define EXIT_NO_EXEC	126
#define EXIT_NO_PROGRAM	127

static bool verbose;

static void usage(FILE *to)
{
	fputs("Usage: xs-run [-v] PROGRAM [ARGUMENT]...\n"
	      "\n"
	      "Runs a program whose TCP connections with other programs under xs-run, in other\n"
	      "guests of this Xen host, go over xensockets. All others stay TCP.\n"
	      "\n"
	      "  -v, --verbose  say on standard error what each connection uses\n"
	      "  -h, --help     this text\n"
	      "  -V, --version  version\n"
	      "\n"
	      "Exit status: the program's; 125 xs-run failed, 126 the program could not be\n"
	      "run, 127 there is none.\n", to);
}

/* ---- what its parts share ---- */

void run_say(const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (!verbose)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	dprintf(STDERR_FILENO, "xs-run: %s\n", line);
}

const char *run_text(const struct sockaddr_in6 *address)
{
	static __thread char texts[4][INET6_ADDRSTRLEN + 8];
	static __thread unsigned int next;
	char host[INET6_ADDRSTRLEN];
	char *text = texts[next++ % 4];

	if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr))
		inet_ntop(AF_INET, address->sin6_addr.s6_addr + 12, host, sizeof(host));
	else
		inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof(host));
	snprintf(text, sizeof(texts[0]), "%s:%u", host, ntohs(address->sin6_port));
	return text;
}

int64_t run_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool run_wait(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t end = run_now_ms() + ms, left = ms;
	int n;

	do {
		n = poll(&pfd, 1, (int)left);
		if (ms >= 0)
			left = end - run_now_ms();
	} while (n < 0 && errno == EINTR && (ms < 0 || left > 0));
	return n > 0;
}

bool run_send(int fd, const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len) {
		ssize_t n = send(fd, from, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR && !(errno == EAGAIN && run_wait(fd, POLLOUT, -1)))
			return false;
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		}
	}
	return true;
}

bool run_receive(int fd, void *bytes, size_t len, int ms)
{
	int64_t end = run_now_ms() + ms;
	char *to = bytes;

	while (len) {
		int64_t left = ms < 0 ? -1 : end - run_now_ms();
		ssize_t n;

		if ((ms >= 0 && left <= 0) || !run_wait(fd, POLLIN, (int)left))
			return false;
		n = recv(fd, to, len, MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EINTR && errno != EAGAIN))
			return false;
		if (n > 0) {
			to += n;
			len -= (size_t)n;
		}
	}
	return true;
}

bool run_thread(void *(*function)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int err;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 128 * 1024);
	err = pthread_create(&thread, &attributes, function, argument);
	pthread_attr_destroy(&attributes);
	return !err;
}

/* ---- the helper ---- */

/* What a question needs: the socket that it comes by, the one that it is about, the new one. */
#define QUESTION_PLACES	3
/* What help() has open, and the next question, before it is known whether it can be answered. */
#define OWN_PLACES	8

static atomic_int places;

static bool take(int wanted, int left_over)
{
	int left = places;

	while (left >= wanted + left_over)
		if (atomic_compare_exchange_weak(&places, &left, left - wanted))
			return true;
	return false;
}

/* A peer whose call has been answered relies on an accept() that is asked about. */
bool run_take(int wanted)
{
	return take(wanted, QUESTION_PLACES);
}

void run_give(int given)
{
	places += given;
}

static void *answer_question(void *argument)
{
	int s = (int)(intptr_t)argument, fd = -1, moved = -1;
	struct run_request request;
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
	struct cmsghdr *cmsg;
	ssize_t n;

	n = recvmsg(s, &message, MSG_CMSG_CLOEXEC);
	cmsg = n < 0 ? NULL : CMSG_FIRSTHDR(&message);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	if (n == sizeof(request) && fd >= 0)
		switch (request.kind) {
		case RUN_LISTEN:
			run_listen(fd);
			break;
		case RUN_CONNECT:
			moved = run_connect(fd, &request.peer);
			break;
		case RUN_ACCEPT:
			moved = run_accept(fd);
			break;
		}
	/* Without a socket to pass the answer is that there is none. */
	answer.moved = moved >= 0;
	iov = (struct iovec){ &answer, sizeof(answer) };
	message.msg_controllen = moved >= 0 ? sizeof(control) : 0;
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg) {
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &moved, sizeof(int));
	}
	sendmsg(s, &message, MSG_NOSIGNAL);
	if (moved >= 0)
		close(moved);
	if (fd >= 0)
		close(fd);
	close(s);
	run_give(QUESTION_PLACES);
	return NULL;
}

/* Another user's questions are not answered: his connections would be ours. */
static bool same_user(int s)
{
	struct ucred user;
	socklen_t len = sizeof(user);

	return !getsockopt(s, SOL_SOCKET, SO_PEERCRED, &user, &len) && user.uid == geteuid();
}

/* As many descriptors as can be had, all places for which are free. */
static void many_files(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	places = getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur > INT_MAX ? INT_MAX : (int)files.rlim_cur;
	places -= OWN_PLACES;
}

int run_over = -1;

/*
 * Until the program has ended, nobody has the pipe open, and nothing is left to be carried. The
 * program's children may outlive it, with the pipe; and it may close what it does not know.
 */
static void __attribute__((noreturn)) help(int listener, int alive, int program)
{
	struct pollfd pfd[3] = { { .fd = listener, .events = POLLIN }, { .fd = alive },
				 { .fd = program, .events = POLLIN } };
	int s;

	signal(SIGPIPE, SIG_IGN);
	/* Meant for the program, by who tells all processes of a service: what it has written goes on. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	many_files();
	run_over = eventfd(0, EFD_CLOEXEC);
	while (poll(pfd, 3, -1) >= 0 || errno == EINTR) {
		for (int i = 1; i < 3; i++)
			if (pfd[i].revents)
				pfd[i].fd = -1;
		if (pfd[1].fd < 0 && pfd[2].fd < 0)
			break;
		s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (s >= 0) {
			/* Who has asked is told that there is no descriptor, rather than left to wait. */
			if (!same_user(s) || !take(QUESTION_PLACES, 0)) {
				close(s);
			} else if (!run_thread(answer_question, (void *)(intptr_t)s)) {
				close(s);
				run_give(QUESTION_PLACES);
			}
		} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			usleep(10000);
		}
	}
	close(listener);
	eventfd_write(run_over, 1);
	while (run_pumps())
		usleep(10000);
	_exit(0);
}

/* ---- the command ---- */

static int __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "xs-run: %s: %s\n", what, strerror(errno));
	exit(EXIT_OURS);
}

/* The library lies beside this program, as it was built, or where it is installed. */
static const char *library(void)
{
	static char path[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
	char *slash;

	if (n > 0) {
		path[n] = 0;
		slash = strrchr(path, '/');
		strcpy(slash + 1, "xs-run.so");
		if (!access(path, R_OK))
			return path;
	}
	return RUN_LIBRARY;
}

static void preload(void)
{
	const char *before = getenv("LD_PRELOAD"), *path = library();
	char *value;

	if (access(path, R_OK))
		die(path);
	if (asprintf(&value, "%s%s%s", path, before && *before ? ":" : "", before ? before : "") < 0 ||
	    setenv("LD_PRELOAD", value, 1))
		die("environment");
	free(value);
}

/*
 * Of what is open, the helper has three descriptors, standard error, and /dev/null for the rest:
 * a lock or a pipe of the caller's it would hold longer than the program.
 */
static void become_helper(int listener, int alive, int program)
{
	int null;

	/* First out of the way of the places that they are to have. */
	listener = fcntl(listener, F_DUPFD, 6);
	alive = fcntl(alive, F_DUPFD, 6);
	program = fcntl(program, F_DUPFD, 6);
	null = fcntl(open("/dev/null", O_RDWR), F_DUPFD, 6);
	/*
	 * If this xs-run is itself the program of one, the helper's calls are not to go through that,
	 * whose library knows it without the variable.
	 */
	if (listener < 0 || alive < 0 || program < 0 || null < 0 || setsid() < 0 || chdir("/") ||
	    setenv(RUN_ENV, "", 1))
		_exit(1);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!verbose)
		dup2(null, STDERR_FILENO);
	dup2(listener, 3);
	dup2(alive, 4);
	dup2(program, 5);
	close_range(6, ~0U, 0);
	help(3, 4, 5);
}

/* Starts the helper; returns the descriptor that keeps it alive. */
static int start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener, alive[2], program, high, status = 0;
	uint64_t random[2];
	char name[48];
	pid_t child;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		die("random numbers");
	snprintf(name, sizeof(name), "xs-run-%016llx%016llx", (unsigned long long)random[0],
		 (unsigned long long)random[1]);
	strcpy(address.sun_path + 1, name);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) ||
	    listen(listener, 128))
		die("socket");
	if (pipe2(alive, O_CLOEXEC))
		die("pipe");
	/* What is this process becomes the program. */
	program = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (program < 0)
		die("pidfd_open");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		/* A grandchild: the program is to have no child that it does not know. */
		child = fork();
		if (child)
			_exit(child < 0);
		close(alive[1]);
		become_helper(listener, alive[0], program);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (status) {
		errno = EAGAIN;
		die("fork");
	}
	if (setenv(RUN_ENV, name, 1))
		die("environment");
	/* Out of the program's way, if there are as many. */
	high = fcntl(alive[1], F_DUPFD, 100);
	return high < 0 ? fcntl(alive[1], F_DUPFD, 3) : high;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+vhV", options, NULL)) != -1)
		switch (c) {
		case 'v':
			verbose = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("xs-run (libxensocket) " XSOCK_LIB_VERSION);
			return 0;
		default:
			usage(stderr);
			return EXIT_OURS;
		}
	if (optind == argc) {
		usage(stderr);
		return EXIT_OURS;
	}
	preload();
	if (start() < 0)
		die("pipe");
	execvp(argv[optind], argv + optind);
	fprintf(stderr, "xs-run: %s: %s\n", argv[optind], strerror(errno));
	return errno == ENOENT ? EXIT_NO_PROGRAM : EXIT_NO_EXEC;
}
