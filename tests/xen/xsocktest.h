/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Test cases for AF_XEN sockets with two ends: A and B run the same list of cases in
 * two guests, joined by a control stream.
 */
#ifndef XSOCKTEST_H
#define XSOCKTEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xensocket.h>

extern int ctl;			/* control stream to the other end */
extern int af;			/* family number */
extern int peer_domid;		/* of the other end */
extern int own_domid;
extern int side;		/* 'A' or 'B' */
extern int failures;		/* of this case at this end */
extern const char *running;	/* name of the case */

/* Says what differs; returns whether it held. */
#define check(cond) check_at((cond), #cond, __FILE__, __LINE__)
static inline int check_at(int ok, const char *what, const char *file, int line)
{
	int err = errno;

	if (!ok) {
		failures++;
		printf("# %c %s: %s:%d: %s (errno %d, %s)\n", side, running, file, line, what,
		       err, strerror(err));
		fflush(stdout);
	}
	return ok;
}

/* Compares two numbers, and shows them. */
#define same(is, should) same_at((long long)(is), (long long)(should), #is, __FILE__, __LINE__)
static inline int same_at(long long is, long long should, const char *what, const char *file,
			  int line)
{
	int err = errno;

	if (is == should)
		return 1;
	failures++;
	printf("# %c %s: %s:%d: %s is %lld, not %lld (errno %d, %s)\n", side, running, file,
	       line, what, is, should, err, strerror(err));
	fflush(stdout);
	return 0;
}

/* The call fails with that errno. */
#define fails(call, error) do {						\
	errno = 0;							\
	if (check((long long)(call) == -1))				\
		same(errno, error);					\
} while (0)

/* control stream */
/* How much a bulk case moves unless XSOCK_MIB says otherwise. */
#define MIB_DEFAULT	8

/* So many seconds, or more of them on a slow machine (XSOCK_SLOW). */
int patience(int seconds);

void ctl_write(const void *data, size_t len);
void ctl_read(void *data, size_t len);
void sync_ends(void);		/* both ends have come here */

/* sockets */
int xs_socket(void);
int xs_transmitter(int size);	/* bound to the peer, not offered; size 0: default */
void xs_offer(int fd);		/* tell the other end */
int xs_receiver(void);		/* connect to what the other end tells */
int xs_pair(int size);		/* A gets the transmitter, B the receiver, connected */
void xs_both(int size, int *tx, int *rx);	/* one each way */
int can_map_rx(void);		/* does this guest map receivers? PV guests do not */
struct sockaddr_xen xs_name(int fd);
int poll_bits(int fd, int events, int timeout_ms);
int sock_error_of(int fd);
struct xsock_info xs_info(int fd);
void nonblock(int fd);

/* data by position */
void fill(uint8_t *data, size_t len, uint64_t offset);
int wrong(const uint8_t *data, size_t len, uint64_t offset);
uint64_t rnd(uint64_t *seed);
double now(void);

/* mapped rings */
struct mapped {
	int fd;
	struct xsock_idx i;
	struct xsock_tx_page *tx;
	struct xsock_rx_page *rx;
	uint8_t *data;		/* twice in a row */
	size_t length;
	uint64_t wakes;
};

int map_ring(struct mapped *m, int fd, int transmitter);
void unmap_ring(struct mapped *m);
size_t mapped_send(struct mapped *m, uint64_t offset, size_t len);
size_t mapped_recv(struct mapped *m, uint64_t offset, size_t len);

/**
 * struct test_case - something that both ends do at the same time
 * @name: of the case
 * @says: what it is about
 * @a: what A does
 * @b: what B does
 * @steps: ... or a table for oracle.c
 * @times: how often the table is run, once if 0
 */
struct test_case {
	const char *name;
	const char *says;
	void (*a)(void);
	void (*b)(void);
	const struct step *steps;
	int times;
};

/* Ended by a case without a name; each list is a group that can be asked for. */
extern const struct test_case cases[];
extern const struct test_case unix_cases[];
extern const struct test_case client_cases[];
extern const struct test_case bulk_cases[];
extern const struct test_case limit_cases[];
extern const struct test_case region_cases[];
extern const struct test_case hostile_cases[];

void oracle_a(const struct test_case *c);
void oracle_b(const struct test_case *c);
void oracle_differences(const struct test_case *list);

/* faults.c */
void a_faults(void);
void b_faults(void);

/* callfuzz.c */
void callfuzz(void);

#endif
