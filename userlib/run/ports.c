/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which sockets the program listens on, and where the helper answers calls for them: at the side
 * port of each port, see rendezvous.c. Nobody tells the helper that the program listens no more. So
 * it looks, by the kernel's list, whenever somebody wants to know: the port may be another program's
 * by then, and who listens on ever new ones would use up ports and threads.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

/* Below the ports that Linux gives to connections. */
#define SIDE_BASE	21000
#define SIDE_SPAN	10000

/* How often it is looked, for who calls. Who is told of a port too long goes on over TCP. */
#define SWEEP_MS	1000

/* For the listener of a side port, and for the call that it is about to take. */
#define SIDE_PLACES	2

/**
 * struct side - a side port that the helper listens on
 * @next: in the list
 * @address: where
 * @family: of the socket
 * @listener: the socket; whoever waits there closes it
 * @users: sockets of the program's that it is for; 0: it is about to end
 */
struct side {
	struct side *next;
	struct sockaddr_in6 address;
	int family;
	int listener;
	unsigned int users;
};

/**
 * struct listening - a socket that the program listens on
 * @next: in the list
 * @inode: by which the kernel's list knows it
 * @port: as the network has it
 * @side: where calls for it come
 * @there: it was in that list
 */
struct listening {
	struct listening *next;
	ino_t inode;
	uint16_t port;
	struct side *side;
	bool there;
};

/* Of these. Taken for what may last (another helper leaves a port), so not together with others. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t swept_ms;
static struct side *sides;
static struct listening *listening[256];

static struct listening **all_of(uint16_t port)
{
	return &listening[ntohs(port) % 256];
}

uint16_t run_side_port(uint16_t port)
{
	return htons((uint16_t)(SIDE_BASE + ntohs(port) % SIDE_SPAN));
}

/* Marks those that the kernel has in @path, where they come first. */
static bool look(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned int port, state;
	unsigned long inode;
	char line[256];
	bool read;

	if (!file)
		return false;
	/* Its head. Without that it is something else that has been put there. */
	read = fgets(line, sizeof(line), file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*d %lu",
			   &port, &state, &inode) != 3)
			continue;
		if (state != TCP_LISTEN)
			break;
		for (struct listening *l = *all_of(htons((uint16_t)port)); l; l = l->next)
			l->there = l->there || l->inode == inode;
	}
	read = read && !ferror(file);
	fclose(file);
	return read;
}

static void let_go(struct side *side)
{
	/* Who waits there notices. */
	if (!--side->users)
		shutdown(side->listener, SHUT_RDWR);
}

/* Forgets sockets that are there no more. The list can be long: it has all connections behind these. */
static void sweep(void)
{
	bool known;

	swept_ms = run_now_ms();
	for (int i = 0; i < 256; i++)
		for (struct listening *l = listening[i]; l; l = l->next)
			l->there = false;
	if (!run_take(1))
		return;
	/* Without IPv6 there is none of it. */
	known = look("/proc/net/tcp") && (access("/proc/net/tcp6", F_OK) || look("/proc/net/tcp6"));
	run_give(1);
	for (int i = 0; i < 256 && known; i++)
		for (struct listening **p = &listening[i], *l; (l = *p);) {
			if (l->there) {
				p = &l->next;
				continue;
			}
			*p = l->next;
			run_say("port %u: is closed", ntohs(l->port));
			let_go(l->side);
			free(l);
		}
}

bool run_listens(uint16_t port)
{
	struct listening *l;

	pthread_mutex_lock(&lock);
	if (run_now_ms() - swept_ms >= SWEEP_MS)
		sweep();
	for (l = *all_of(port); l && l->port != port; l = l->next)
		;
	pthread_mutex_unlock(&lock);
	return l;
}

static void *answer_calls(void *argument)
{
	struct side *side = argument, **p;
	struct pollfd pfd[2] = { { .fd = side->listener, .events = POLLIN },
				 { .fd = run_over, .events = POLLIN } };

	while ((poll(pfd, 2, -1) > 0 || errno == EINTR) && !pfd[1].revents &&
	       !(pfd[0].revents & (POLLHUP | POLLERR | POLLNVAL)))
		if (pfd[0].revents)
			run_answer_call(side->listener);
	pthread_mutex_lock(&lock);
	for (p = &sides; *p != side; p = &(*p)->next)
		;
	*p = side->next;
	/* Once there is no program. */
	for (int i = 0; i < 256; i++)
		for (struct listening **q = &listening[i], *l; (l = *q);) {
			if (l->side != side) {
				q = &l->next;
				continue;
			}
			*q = l->next;
			free(l);
		}
	close(side->listener);
	pthread_mutex_unlock(&lock);
	free(side);
	run_give(SIDE_PLACES);
	return NULL;
}

/* The helper of the program's last run may be about to leave the port, for which so many tries are. */
static bool bind_soon(const struct side *side, int tries)
{
	struct sockaddr_storage address;
	socklen_t len = run_sockaddr(&address, &side->address, side->family);

	for (;;) {
		if (!bind(side->listener, (const struct sockaddr *)&address, len) &&
		    !listen(side->listener, 128))
			return true;
		if (errno != EADDRINUSE || !--tries)
			return false;
		usleep(10000);
	}
}

/* A side port for @fd, a socket that listens at @own; NULL: there is none, errno says why. */
static struct side *side_new(int fd, const struct sockaddr_in6 *own, int tries)
{
	struct side *side = calloc(1, sizeof(*side));
	int on = 1, saved;
	socklen_t len = sizeof(on);

	if (!side || !run_take(SIDE_PLACES)) {
		free(side);
		errno = EMFILE;
		return NULL;
	}
	side->address = *own;
	side->family = run_family_of(fd);
	side->users = 1;
	side->listener = socket(side->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(side->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (side->family == AF_INET6 && !getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, &len))
		setsockopt(side->listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (side->listener >= 0 && bind_soon(side, tries)) {
		side->next = sides;
		sides = side;
		if (run_thread(answer_calls, side))
			return side;
		sides = side->next;
	}
	saved = errno;
	if (side->listener >= 0)
		close(side->listener);
	free(side);
	run_give(SIDE_PLACES);
	errno = saved;
	return NULL;
}

/* The one that is there for @own already, or else one with the same port. */
static struct side *side_find(const struct sockaddr_in6 *own, bool *same)
{
	struct side *found = NULL;

	for (struct side *side = sides; side; side = side->next) {
		if (!side->users || side->address.sin6_port != own->sin6_port)
			continue;
		found = side;
		*same = !memcmp(&side->address.sin6_addr, &own->sin6_addr, sizeof(own->sin6_addr));
		if (*same)
			break;
	}
	return found;
}

void run_listen(int fd)
{
	struct sockaddr_in6 own;
	struct listening *l;
	struct side *side, *another = NULL;
	bool same = false;
	struct stat st;
	uint16_t port;

	if (!run_names(fd, &own, NULL) || !own.sin6_port || fstat(fd, &st))
		return;
	port = own.sin6_port;
	own.sin6_port = run_side_port(port);
	pthread_mutex_lock(&lock);
	for (l = *all_of(port); l && l->inode != st.st_ino; l = l->next)
		;
	/* It may change how many may wait. */
	if (l)
		goto out;
	side = side_find(&own, &same);
	/* Another port of the program's may have the same one at another address, or at all of them. */
	if (!same)
		another = side_new(fd, &own, side ? 1 : 50);
	if (another)
		side = another;
	else if (side)
		side->users++;
	l = side ? calloc(1, sizeof(*l)) : NULL;
	if (!l) {
		run_say("port %u: cannot listen on port %u: %s", ntohs(port), ntohs(own.sin6_port),
			strerror(errno));
		if (side)
			let_go(side);
		goto out;
	}
	*l = (struct listening){ .next = *all_of(port), .inode = st.st_ino, .port = port, .side = side };
	*all_of(port) = l;
	run_say("port %u: who asks at port %u gets xensockets", ntohs(port), ntohs(own.sin6_port));
	/* Not before: the side port may be one that is there, for a socket that has just been closed. */
	sweep();
out:
	pthread_mutex_unlock(&lock);
}
