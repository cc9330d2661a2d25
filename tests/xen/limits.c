// SPDX-License-Identifier: BSD-3-Clause
/* Running out of things, and several CPUs and threads on one socket. */
#include <pthread.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "xsocktest.h"

/* Binds until it is refused or @most sockets are there; how many, and why not more. */
static int bind_many(int *fds, int most, int size, int *err)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };
	int n;

	*err = 0;
	for (n = 0; n < most && !*err; n++) {
		fds[n] = xs_socket();
		if (setsockopt(fds[n], SOL_XEN, XSOCK_SO_RING, &size, sizeof(size)) ||
		    bind(fds[n], (struct sockaddr *)&addr, sizeof(addr))) {
			*err = errno;
			close(fds[n--]);
		}
	}
	return n;
}

static void close_many(int *fds, int n)
{
	while (n--)
		check(!close(fds[n]));
}

/* ---- RLIMIT_MEMLOCK ---- */

/* Half a MiB for rings of 64 KiB and four pages each: six of them. */
#define LOCKED	(512 * 1024)
#define FIT	6

static void drop_privileges(void)
{
	struct rlimit limit = { LOCKED, LOCKED };

	check(!setrlimit(RLIMIT_MEMLOCK, &limit));
	check(!setresuid(65534, 65534, 65534));
}

/* In a child, since there is no way back. */
static void in_child(void (*run)(void))
{
	int status;

	if (!fork()) {
		failures = 0;
		run();
		fflush(stdout);
		_exit(failures != 0);
	}
	check(wait(&status) > 0);
	same(status, 0);
}

static void memlock_binds(void)
{
	int fds[FIT + 1], err, n;

	drop_privileges();
	n = bind_many(fds, FIT + 1, 65536, &err);
	same(n, FIT);
	same(err, ENOBUFS);
	/* What is given back can be had again. */
	check(!close(fds[--n]));
	n += bind_many(fds + n, 2, 65536, &err);
	same(n, FIT);
	same(err, ENOBUFS);
	close_many(fds, n);
	/* A ring that is too large on its own. */
	same(bind_many(fds, 1, LOCKED, &err), 0);
	same(err, ENOBUFS);
}

static void a_memlock(void)
{
	int fds[FIT + 1];

	in_child(memlock_binds);
	for (int k = 0; k <= FIT; k++) {
		fds[k] = xs_transmitter(0);
		xs_offer(fds[k]);
	}
	sync_ends();
	close_many(fds, FIT + 1);
}

/* A receiver pays, too. */
static void memlock_connects(void)
{
	struct sockaddr_xen offer;
	int fds[FIT + 1], n;

	drop_privileges();
	for (n = 0; n <= FIT; n++) {
		fds[n] = xs_socket();
		ctl_read(&offer, sizeof(offer));
		if (n < FIT)
			check(!connect(fds[n], (struct sockaddr *)&offer, sizeof(offer)));
		else
			fails(connect(fds[n], (struct sockaddr *)&offer, sizeof(offer)), ENOBUFS);
	}
	/* Refused for a reason of ours: the offer is good still. */
	check(!close(fds[0]));
	check(!connect(fds[FIT], (struct sockaddr *)&offer, sizeof(offer)));
}

static void b_memlock(void)
{
	in_child(memlock_connects);
	sync_ends();
}

/* ---- module parameters ---- */

#define PARAMETERS "/sys/module/xensocket/parameters/"

/* Sets one, and returns what it was. */
static unsigned int parameter(const char *path, unsigned int value)
{
	unsigned int was = 0;
	FILE *f = fopen(path, "r+");

	if (!check(f != NULL))
		return 0;
	same(fscanf(f, "%u", &was), 1);
	rewind(f);
	check(fprintf(f, "%u\n", value) > 0);
	check(!fclose(f));
	return was;
}

static void allow_users(char yes)
{
	int fd = open(PARAMETERS "users", O_WRONLY | O_CLOEXEC);

	same(write(fd, &yes, 1), 1);
	close(fd);
}

/* Rings of 64 KiB and four pages: three of them fit, for a user with all capabilities, too. */
static const struct {
	const char *path;
	unsigned int three;
} caps[] = {
	{ PARAMETERS "max_user_sockets", 3 },
	{ PARAMETERS "max_peer_pages", 3 * 20 + 19 },
	{ PARAMETERS "max_pages", 3 * 20 + 19 },
};
#define CAPS (sizeof(caps) / sizeof(caps[0]))

static void other_user_binds(void)
{
	int fds[4], err;

	check(!setresuid(65534, 65534, 65534));
	same(bind_many(fds, 1, 65536, &err), 1);
	close_many(fds, 1);
}

static void no_users(void)
{
	check(!setresuid(65534, 65534, 65534));
	fails(socket(af, SOCK_STREAM, 0), EPERM);
}

static void a_caps(void)
{
	int fds[4], err;
	unsigned int was;

	for (size_t k = 0; k < CAPS; k++) {
		was = parameter(caps[k].path, caps[k].three);
		check(was > caps[k].three);
		same(bind_many(fds, 4, 65536, &err), 3);
		same(err, ENOBUFS);
		/* The number of sockets is each user's own. */
		if (!k)
			in_child(other_user_binds);
		close_many(fds, 3);
		same(bind_many(fds, 3, 65536, &err), 3);
		same(err, 0);
		close_many(fds, 3);
		same(parameter(caps[k].path, was), caps[k].three);
		same(bind_many(fds, 4, 65536, &err), 4);
		close_many(fds, 4);
	}
	allow_users('N');
	in_child(no_users);
	close(xs_socket());
	allow_users('Y');
	in_child(other_user_binds);
}

/* ---- memory cgroup ---- */

#define CGROUPS		"/sys/fs/cgroup"
#define CGROUP		CGROUPS "/xsocktest"
#define CGROUP_MAX	(8 * 1024 * 1024)

static void cgroup_write(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	check(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value));
	close(fd);
}

static long cgroup_read(const char *file)
{
	FILE *f = fopen(file, "re");
	long value = -1;

	check(f && fscanf(f, "%ld", &value) == 1);
	if (f)
		fclose(f);
	return value;
}

static void cgroup_binds(void)
{
	static const int size = 1024 * 1024;
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };
	int fds[16], err, n, big = 16 * 1024 * 1024, fd;
	long before, after;

	cgroup_write(CGROUP "/cgroup.procs", "0");
	before = cgroup_read(CGROUP "/memory.current");
	n = bind_many(fds, 1, size, &err);
	same(n, 1);
	after = cgroup_read(CGROUP "/memory.current");
	check(after - before >= size);
	/* More than the group may have: an error, and nobody is killed. */
	fd = xs_socket();
	check(!setsockopt(fd, SOL_XEN, XSOCK_SO_RING, &big, sizeof(big)));
	fails(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ENOMEM);
	close(fd);
	n += bind_many(fds + 1, 15, size, &err);
	same(err, ENOMEM);
	check(n >= 4 && n < 8);
	close_many(fds, n);
	n = bind_many(fds, 4, size, &err);
	same(n, 4);
	close_many(fds, n);
}

static void a_cgroup(void)
{
	char text[20];

	if (access(CGROUPS "/cgroup.controllers", R_OK))
		check(!mount("none", CGROUPS, "cgroup2", 0, NULL));
	cgroup_write(CGROUPS "/cgroup.subtree_control", "+memory");
	check(!mkdir(CGROUP, 0755));
	snprintf(text, sizeof(text), "%d", CGROUP_MAX);
	cgroup_write(CGROUP "/memory.max", text);
	in_child(cgroup_binds);
	check(!rmdir(CGROUP));
}

static void nothing(void)
{
}

/* ---- thousands of sockets ---- */

#define THOUSANDS	8192

/* Small rings: event channels run out. Both ends are connected as far as it goes. */
static void a_thousands(void)
{
	static int fds[THOUSANDS];
	struct sockaddr_xen addr;
	int n, err, taken;
	uint8_t data[64];

	n = bind_many(fds, THOUSANDS, 4096, &err);
	printf("# A %s: %d sockets, then %s\n", running, n, strerror(err));
	check(err == ENOSPC || err == ENOBUFS);
	check(n > 500);
	ctl_write(&n, sizeof(n));
	for (int k = 0; k < n; k++) {
		addr = xs_name(fds[k]);
		ctl_write(&addr, sizeof(addr));
	}
	ctl_read(&taken, sizeof(taken));
	for (int k = 0; k < taken; k++) {
		fill(data, sizeof(data), (uint64_t)k * 64);
		same(send(fds[k], data, sizeof(data), 0), sizeof(data));
	}
	sync_ends();
	close_many(fds, n);
}

static void b_thousands(void)
{
	static int fds[THOUSANDS];
	struct sockaddr_xen *offers;
	int n, k, taken, err = 0;
	uint8_t data[64];

	ctl_read(&n, sizeof(n));
	offers = calloc(n, sizeof(*offers));
	ctl_read(offers, n * sizeof(*offers));
	for (taken = 0; taken < n && !err; taken++) {
		fds[taken] = xs_socket();
		if (connect(fds[taken], (struct sockaddr *)&offers[taken], sizeof(*offers))) {
			err = errno;
			close(fds[taken--]);
		}
	}
	printf("# B %s: %d of %d taken, then %s\n", running, taken, n, strerror(err));
	check(!err || err == ENOSPC || err == ENOBUFS);
	check(taken > 500);
	ctl_write(&taken, sizeof(taken));
	for (k = 0; k < taken; k++) {
		same(recv(fds[k], data, sizeof(data), MSG_WAITALL), sizeof(data));
		same(wrong(data, sizeof(data), (uint64_t)k * 64), 0);
	}
	sync_ends();
	close_many(fds, taken);
	free(offers);
}

/* Binds until something is used up, and gives it back. */
static void use_up(int size)
{
	static int fds[THOUSANDS];
	int n, again, err;

	n = bind_many(fds, THOUSANDS, size, &err);
	printf("# A %s: %d sockets, then %s\n", running, n, strerror(err));
	check(err == ENOSPC || err == ENOMEM);
	check(n > 16);
	close_many(fds, n);
	again = bind_many(fds, n, size, &err);
	same(again, n);
	same(err, 0);
	close_many(fds, again);
}

static void a_grants(void)
{
	use_up(262144);
}

static void a_channels(void)
{
	use_up(4096);
}

/* ---- threads ---- */

#define THREADS	4
#define RECORDS	2000
#define RECORD	64

static int shared;
static long counts[THREADS];

static void *send_records(void *arg)
{
	uint8_t data[RECORD];
	long number = (long)(intptr_t)arg;

	memset(data, number, sizeof(data));
	for (int k = 0; k < RECORDS; k++)
		if (!same(send(shared, data, sizeof(data), MSG_NOSIGNAL), sizeof(data)))
			break;
	return NULL;
}

static void *recv_records(void *arg)
{
	long seen[THREADS] = { 0 };
	uint8_t data[1000];
	ssize_t n;

	(void)arg;
	while ((n = recv(shared, data, sizeof(data), 0)) > 0)
		for (ssize_t k = 0; k < n; k++)
			if (!check(data[k] < THREADS))
				return NULL;
			else
				seen[data[k]]++;
	same(n, 0);
	for (int k = 0; k < THREADS; k++)
		__atomic_add_fetch(&counts[k], seen[k], __ATOMIC_RELAXED);
	return NULL;
}

/* Polls at the same time, as a watcher would. */
static void *watch(void *arg)
{
	volatile int *stop = arg;

	while (!*stop)
		poll_bits(shared, POLLIN | POLLOUT | POLLRDHUP, 1);
	return NULL;
}

/* All bytes of each thread arrive once; their order among threads is nobody's. */
static void threads(void)
{
	pthread_t workers[THREADS], watcher;
	int stop = 0;

	shared = xs_pair(8192);
	memset(counts, 0, sizeof(counts));
	pthread_create(&watcher, NULL, watch, &stop);
	for (long k = 0; k < THREADS; k++)
		pthread_create(&workers[k], NULL, side == 'A' ? send_records : recv_records,
			       (void *)(intptr_t)k);
	for (int k = 0; k < THREADS; k++) {
		pthread_join(workers[k], NULL);
		if (side == 'A' && k == THREADS - 1)
			check(!shutdown(shared, SHUT_WR));
	}
	stop = 1;
	pthread_join(watcher, NULL);
	for (int k = 0; side == 'B' && k < THREADS; k++)
		same(counts[k], RECORDS * RECORD);
	sync_ends();
	check(!close(shared));
}

const struct test_case limit_cases[] = {
	{ .name = "memlock", .says = "RLIMIT_MEMLOCK at either end", .a = a_memlock,
	  .b = b_memlock },
	{ .name = "caps", .says = "module parameters: sockets, pages, users", .a = a_caps,
	  .b = nothing },
	{ .name = "cgroup", .says = "rings count in the memory cgroup", .a = a_cgroup,
	  .b = nothing },
	{ .name = "threads", .says = "several threads at each end of one socket", .a = threads,
	  .b = threads },
	{ .name = "grants", .says = "large rings until grants or memory are used up",
	  .a = a_grants, .b = nothing },
	{ .name = "channels", .says = "small rings until event channels are used up",
	  .a = a_channels, .b = nothing },
	{ .name = "thousands", .says = "... with the other ends connected",
	  .a = a_thousands, .b = b_thousands },
	{ .name = 0 },
};
