/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel module for tests without Xen: processes of one machine, each of which is a
 * domain. It stands below libxensocket, whose system calls lead here (ld --wrap), so that
 * the component and the library are those that go into the product. The rings are real
 * shared memory; a revocation takes them away as the module does, at any moment.
 *
 * Not for a program: linked into a test build of the component.
 *
 *	FAKEXEN_EPOCH_MS=N	about each N ms this domain "migrates": all its rings are
 *				revoked, the epoch rises
 *	FAKEXEN_SUSPEND=1	at SIGUSR2 this domain is suspended: all its rings are revoked and
 *				the process stops; after SIGCONT the epoch rises
 *	FAKEXEN_REVOKE_MS=N	about each N ms one ring is revoked; the epoch rises a little
 *				later
 *	FAKEXEN_REFUSE=N	of 100 connections N are refused
 *	FAKEXEN_NOBUFS=N	of 100 rings N are not made, for want of memory
 *	FAKEXEN_PV=1		a receiver cannot map; at the end it is said how often it has
 *				asked in vain: "FAKEXEN vain=N"
 *	FAKEXEN_ABSENT=N	of 100 domains N have no module
 *	FAKEXEN_LATE_MS=N	the module is loaded N ms after the start
 *	FAKEXEN_GETFAIL=N	of 100 pieces of regions that are got N cannot be
 *	FAKEXEN_EVENTS=1	a receiver's descriptor is readable when there is something (always
 *				so if it cannot map)
 *	FAKEXEN_APART=1		dom0 says that each domain is on a host of its own
 *	FAKEXEN_LOG=PATH	who connects to /dev/log gets there
 *	FAKEXEN_LINGER=PATH	while there is this file nobody lets go of the rings that have been
 *				closed: /proc/net/xensocket says so
 *	FAKEXEN_DENIED=1	nobody may open the device
 *	FAKEXEN_VERSION=N	the module is of version N
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <xensocket.h>

#include "fakexen.h"

#define RINGS 256
#define PORTS 4096
#define FAMILY 19

#define STRING_OF(text) #text
#define STRING(text) STRING_OF(text)

/* Behind what only kernels know: what the transmitter exposes. */
struct regions {
	pid_t pid;
	uint32_t busy;
	uint64_t ids;
	struct region {
		uint64_t id, addr, length;
	} slots[XSOCK_REGIONS];
};

/* So many bytes are got at a time. */
#define PIECE 65536

struct ring {
	int fd;			/* an eventfd that stands for the socket; -1: free */
	int memory;
	int role;
	size_t size;
	bool revoked;
	bool signalled;		/* the descriptor is readable */
	unsigned char *pages;	/* all of it, for the fake itself */
	void *first, *rest;	/* what the library has mapped */
	size_t rest_length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring rings[RINGS];
static bool closed[PORTS];	/* transmitters' rings, by port */
static int control = -1;	/* an eventfd that stands for the device */
static int notify = -1;		/* ... for inotify, where it is said that the device has come */
static uint64_t epoch = 1;
static bool present;
static unsigned int seed;
static sem_t suspended;
static unsigned long vain;	/* recv() without anything to receive */

static void __attribute__((destructor)) tell(void)
{
	if (vain)
		fprintf(stderr, "FAKEXEN vain=%lu\n", vain);
}

int __real_connect(int fd, const struct sockaddr *addr, socklen_t length);
int __real_bind(int fd, const struct sockaddr *addr, socklen_t length);
int __real_getsockname(int fd, struct sockaddr *addr, socklen_t *length);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __real_open(const char *path, int flags, ...);
FILE *__real_fopen(const char *path, const char *mode);
int __real_close(int fd);
ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __real_recv(int fd, void *buf, size_t n, int flags);
void *__real_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t length);
int __real_socket(int domain, int type, int protocol);

static int setting(const char *name)
{
	const char *value = getenv(name);

	return value ? atoi(value) : 0;
}

/* True in @percent of 100 cases. The lock is held. */
static bool chance(int percent)
{
	return percent && rand_r(&seed) % 100 < percent;
}

static struct xsock_rx_page *rx_page(struct ring *r)
{
	return (struct xsock_rx_page *)r->pages;
}

static struct xsock_tx_page *tx_page(struct ring *r)
{
	return (struct xsock_tx_page *)(r->pages + PAGE);
}

static struct secret *secret(struct ring *r)
{
	return (struct secret *)(r->pages + r->size + 2 * PAGE);
}

static struct regions *regions(struct ring *r)
{
	return (struct regions *)(r->pages + r->size + 3 * PAGE);
}

static struct ring *ring_of(int fd)
{
	int i;

	for (i = 0; fd >= 0 && i < RINGS; i++)
		if (rings[i].fd == fd)
			return &rings[i];
	return NULL;
}

static int fail(int err)
{
	errno = err;
	return -1;
}

/* Maps the data pages, and the same again. */
static void map_rest(void *at, size_t length, int prot, int memory, size_t size)
{
	size_t part = length < size + PAGE ? length : size + PAGE;

	__real_mmap(at, part, prot, MAP_SHARED | MAP_FIXED, memory, PAGE);
	if (length > part)
		__real_mmap((char *)at + part, length - part, prot, MAP_SHARED | MAP_FIXED, memory,
			    2 * PAGE);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/*
 * A receiver keeps a copy of what is published now, and sees nothing that comes after.
 * The module does that while the receiver cannot look. Here it may be reading: so first
 * the index stands still, and it is said that nothing behind it counts, though the peer may mark
 * it as ready; then everything that it may have seen before is copied. In the middle of that a
 * frame that is just being written may be marked at the ring's end and not be there at its begin.
 */
static void take_copy(struct ring *r)
{
	int memory = memfd_create("copy", MFD_CLOEXEC);
	size_t length = file_length(r->size);
	struct xsock_tx_page *tx;
	unsigned char *copy;

	if (memory < 0 || ftruncate(memory, length))
		abort();
	copy = __real_mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (copy == MAP_FAILED)
		abort();
	tx = (struct xsock_tx_page *)(copy + PAGE);
	memcpy(tx, tx_page(r), PAGE);
	if (r->rest)
		__real_mmap(r->rest, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, memory, PAGE);
	__atomic_or_fetch(&rx_page(r)->state, XSOCK_RX_LEAVING, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	tx->prod = __atomic_load_n(&tx_page(r)->prod, __ATOMIC_ACQUIRE);
	tx->reason = XSOCK_REASON_SUSPEND;
	__atomic_store_n(&tx->state, XSOCK_TX_REVOKED, __ATOMIC_SEQ_CST);
	memcpy(copy + 2 * PAGE, r->pages + 2 * PAGE, length - 2 * PAGE);
	if (r->rest)
		map_rest(r->rest, r->rest_length, PROT_READ, memory, r->size);
	memcpy(copy, r->pages, PAGE);
	if (r->first)
		__real_mmap(r->first, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0);
	/* Time in which the peer writes on, for nobody. */
	sleep_ms(1);
	/* Only now: what has been consumed meanwhile its peer does not hear of. */
	rx_page(r)->reason = XSOCK_REASON_SUSPEND;
	__atomic_or_fetch(&rx_page(r)->state, XSOCK_RX_REVOKED, __ATOMIC_SEQ_CST);
	__real_munmap(r->pages, length);
	__real_close(r->memory);
	r->pages = copy;
	r->memory = memory;
}

/* Ends one. Who gets a piece of it just now is waited for, but not one that is stopped. */
static void conceal(struct ring *r, unsigned int slot)
{
	int tries;

	__atomic_store_n(&regions(r)->slots[slot].id, 0, __ATOMIC_SEQ_CST);
	for (tries = 0; tries < 1000 && __atomic_load_n(&regions(r)->busy, __ATOMIC_SEQ_CST); tries++)
		sleep_ms(1);
}

static void conceal_all(struct ring *r)
{
	unsigned int slot;

	for (slot = 0; slot < XSOCK_REGIONS; slot++)
		if (regions(r)->slots[slot].id)
			conceal(r, slot);
}

/* The lock is held. */
static void revoke_ring(struct ring *r)
{
	if (r->fd < 0 || r->revoked || r->role == XSOCK_ROLE_NONE)
		return;
	r->revoked = true;
	if (r->role == XSOCK_ROLE_RX) {
		take_copy(r);
	} else {
		conceal_all(r);
		tx_page(r)->reason = XSOCK_REASON_SUSPEND;
		__atomic_or_fetch(&tx_page(r)->state, XSOCK_TX_REVOKED, __ATOMIC_SEQ_CST);
	}
}

/* A time around the mean. The lock is not held: only one thread asks. */
static unsigned int about(int mean)
{
	static unsigned int own;

	if (!own)
		own = (unsigned int)getpid() * 7919;
	return (unsigned int)mean / 2 + (unsigned int)rand_r(&own) % (unsigned int)(mean + 1);
}

static void changed(void)
{
	uint64_t one = 1;

	epoch++;
	if ((control >= 0 && write(control, &one, sizeof(one)) != sizeof(one)) ||
	    (notify >= 0 && write(notify, &one, sizeof(one)) != sizeof(one)))
		abort();
}

static void *fate(void *unused)
{
	int epoch_ms = setting("FAKEXEN_EPOCH_MS"), revoke_ms = setting("FAKEXEN_REVOKE_MS");
	int i;

	(void)unused;
	if (setting("FAKEXEN_LATE_MS")) {
		sleep_ms((unsigned int)setting("FAKEXEN_LATE_MS"));
		pthread_mutex_lock(&lock);
		present = true;
		changed();
		pthread_mutex_unlock(&lock);
	}
	while (epoch_ms || revoke_ms) {
		sleep_ms(about(epoch_ms ? epoch_ms : revoke_ms));
		pthread_mutex_lock(&lock);
		for (i = 0; i < RINGS; i++)
			if (epoch_ms || i % RINGS == rand_r(&seed) % RINGS)
				revoke_ring(&rings[i]);
		pthread_mutex_unlock(&lock);
		if (!epoch_ms)
			sleep_ms(about(3));
		pthread_mutex_lock(&lock);
		changed();
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void suspend(int unused)
{
	(void)unused;
	sem_post(&suspended);
}

static void *suspends(void *unused)
{
	int i;

	(void)unused;
	for (;;) {
		while (sem_wait(&suspended))
			continue;
		pthread_mutex_lock(&lock);
		for (i = 0; i < RINGS; i++)
			revoke_ring(&rings[i]);
		pthread_mutex_unlock(&lock);
		kill(getpid(), SIGSTOP);
		/* Another thread may have been the first to stop. */
		sleep_ms(20);
		pthread_mutex_lock(&lock);
		changed();
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

/* What poll() would say of a receiver's socket. The lock is held. */
static bool readable(struct ring *r)
{
	return __atomic_load_n(&tx_page(r)->state, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&tx_page(r)->prod, __ATOMIC_ACQUIRE) !=
		       __atomic_load_n(&rx_page(r)->cons, __ATOMIC_ACQUIRE);
}

static void signal_change(struct ring *r)
{
	uint64_t count = 1;

	r->signalled = !r->signalled;
	if ((r->signalled ? write(r->fd, &count, sizeof(count)) :
			    __real_read(r->fd, &count, sizeof(count))) != sizeof(count))
		abort();
}

/* Keeps the descriptors, eventfds, as readable as sockets would be. */
static void *events(void *unused)
{
	int i;

	(void)unused;
	for (;;) {
		struct timespec ts = { .tv_nsec = 200000 };

		nanosleep(&ts, NULL);
		pthread_mutex_lock(&lock);
		for (i = 0; i < RINGS; i++) {
			struct ring *r = &rings[i];

			if (r->fd >= 0 && r->role == XSOCK_ROLE_RX && readable(r) != r->signalled)
				signal_change(r);
		}
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void start(void)
{
	static bool started;
	pthread_t thread;
	int i;

	if (started)
		return;
	started = true;
	seed = (unsigned int)getpid() + (unsigned int)setting("FAKEXEN_SEED");
	for (i = 0; i < RINGS; i++)
		rings[i].fd = -1;
	/* Who gets reads our memory. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	present = !chance(setting("FAKEXEN_ABSENT")) && !setting("FAKEXEN_LATE_MS");
	if (pthread_create(&thread, NULL, fate, NULL) || pthread_detach(thread))
		abort();
	if (setting("FAKEXEN_SUSPEND")) {
		struct sigaction action = { .sa_handler = suspend, .sa_flags = SA_RESTART };

		if (sem_init(&suspended, 0, 0) || sigaction(SIGUSR2, &action, NULL) ||
		    pthread_create(&thread, NULL, suspends, NULL) || pthread_detach(thread))
			abort();
	}
	if ((setting("FAKEXEN_EVENTS") || setting("FAKEXEN_PV")) &&
	    (pthread_create(&thread, NULL, events, NULL) || pthread_detach(thread)))
		abort();
}

static int file_of(const char *text)
{
	ssize_t length = (ssize_t)strlen(text);
	int fd = memfd_create("file", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, (size_t)length) != length || lseek(fd, 0, SEEK_SET))
		abort();
	return fd;
}

/* /proc/net/xensocket, as far as it is about rings that linger. */
static FILE *file_of_sockets(void)
{
	const char *lingers = getenv("FAKEXEN_LINGER");
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int i;

	if (!out)
		abort();
	fputs("role peer port state linger uid size prod cons err\n", out);
	for (i = 0; i < PORTS; i++)
		if (closed[i])
			fprintf(out, "tx 1 %d detached %d 0 65536 0 0 0\n", i,
				lingers && !access(lingers, F_OK));
	fclose(out);
	out = fdopen(file_of(text), "r");
	free(text);
	return out;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	FILE *file;

	if (strcmp(path, "/proc/net/xensocket"))
		return __real_fopen(path, mode);
	pthread_mutex_lock(&lock);
	file = file_of_sockets();
	pthread_mutex_unlock(&lock);
	return file;
}

int __wrap_open(const char *path, int flags, ...)
{
	int fd = -1;
	mode_t mode;
	va_list args;

	pthread_mutex_lock(&lock);
	start();
	if (!strcmp(path, XSOCK_SYSFS_FAMILY)) {
		fd = present ? file_of(STRING(FAMILY) "\n") : fail(ENOENT);
	} else if (!strcmp(path, "/sys/hypervisor/type")) {
		fd = file_of("xen\n");
	} else if (!strcmp(path, XSOCK_DEVICE)) {
		fd = !present ? fail(ENOENT) : setting("FAKEXEN_DENIED") ? fail(EACCES) :
							eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		control = fd;
	} else {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
		fd = __real_open(path, flags, mode);
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	struct xsock_status *status = buf;
	uint64_t count;

	pthread_mutex_lock(&lock);
	if (fd < 0 || fd != control) {
		pthread_mutex_unlock(&lock);
		return __real_read(fd, buf, n);
	}
	if (__real_read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
	memset(status, 0, sizeof(*status));
	status->version = setting("FAKEXEN_VERSION") ? : XSOCK_VERSION;
	status->state = XSOCK_CTL_RUNNING;
	status->epoch = epoch;
	status->domid = own_domid();
	if (setting("FAKEXEN_APART"))
		memcpy(status->host, &status->domid, sizeof(status->domid));
	pthread_mutex_unlock(&lock);
	return sizeof(*status);
}

int __wrap_inotify_init1(int flags)
{
	(void)flags;
	pthread_mutex_lock(&lock);
	start();
	notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_unlock(&lock);
	return notify;
}

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	(void)path;
	(void)mask;
	return fd == notify ? 1 : fail(EBADF);
}

int __wrap_socket(int domain, int type, int protocol)
{
	struct ring *r = NULL;
	int i;

	if (domain != FAMILY)
		return __real_socket(domain, type, protocol);
	pthread_mutex_lock(&lock);
	for (i = 0; i < RINGS && !r; i++)
		if (rings[i].fd < 0)
			r = &rings[i];
	if (r) {
		memset(r, 0, sizeof(*r));
		r->size = XSOCK_RING_DEFAULT;
		r->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		r->memory = -1;
	}
	pthread_mutex_unlock(&lock);
	return r ? r->fd : fail(ENFILE);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	size_t want, size = XSOCK_RING_MIN;
	struct ring *r = ring_of(fd);

	if (!r)
		return __real_setsockopt(fd, level, name, value, length);
	if (level != SOL_XEN || name != XSOCK_SO_RING || length != sizeof(int))
		return fail(EINVAL);
	want = (size_t)*(const int *)value;
	while (size < want)
		size *= 2;
	r->size = size;
	return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct xsock_info *info = value;
	struct ring *r = ring_of(fd);

	if (!r)
		return __real_getsockopt(fd, level, name, value, length);
	if (level != SOL_XEN || name != XSOCK_SO_INFO || *length != sizeof(*info))
		return fail(EINVAL);
	memset(info, 0, sizeof(*info));
	info->role = (__u32)r->role;
	info->size = r->size;
	return 0;
}

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t length)
{
	const struct sockaddr_xen *to = (const void *)addr;
	struct ring *r;
	int err = 0;

	pthread_mutex_lock(&lock);
	r = ring_of(fd);
	if (!r) {
		pthread_mutex_unlock(&lock);
		return __real_bind(fd, addr, length);
	}
	if (to->sxen_domid == own_domid()) {
		err = EADDRNOTAVAIL;
	} else if (chance(setting("FAKEXEN_NOBUFS"))) {
		err = ENOBUFS;
	} else {
		r->memory = memfd_create("ring", MFD_CLOEXEC);
		if (r->memory < 0 || ftruncate(r->memory, file_length(r->size)))
			abort();
		r->pages = __real_mmap(NULL, file_length(r->size), PROT_READ | PROT_WRITE,
				       MAP_SHARED, r->memory, 0);
		if (r->pages == MAP_FAILED)
			abort();
		r->role = XSOCK_ROLE_TX;
		secret(r)->size = r->size;
		secret(r)->domid = own_domid();
		secret(r)->peer = to->sxen_domid;
		regions(r)->pid = getpid();
		if (getrandom(secret(r)->cookie, XSOCK_COOKIE_SIZE, 0) != XSOCK_COOKIE_SIZE)
			abort();
	}
	pthread_mutex_unlock(&lock);
	return err ? fail(err) : 0;
}

int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *length)
{
	struct sockaddr_xen *name = (void *)addr;
	struct ring *r;

	pthread_mutex_lock(&lock);
	r = ring_of(fd);
	if (!r) {
		pthread_mutex_unlock(&lock);
		return __real_getsockname(fd, addr, length);
	}
	memset(name, 0, sizeof(*name));
	name->sxen_domid = own_domid();
	name->sxen_gref = (uint32_t)getpid();
	name->sxen_port = (uint32_t)r->memory;
	name->sxen_version = XSOCK_VERSION;
	memcpy(name->sxen_cookie, secret(r)->cookie, XSOCK_COOKIE_SIZE);
	*length = sizeof(*name);
	pthread_mutex_unlock(&lock);
	return 0;
}

static int connect_unix(int fd, const struct sockaddr *addr, socklen_t length)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const char *log = getenv("FAKEXEN_LOG");

	if (!log || strcmp(((const struct sockaddr_un *)addr)->sun_path, "/dev/log"))
		return __real_connect(fd, addr, length);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", log);
	return __real_connect(fd, (struct sockaddr *)&name, sizeof(name));
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t length)
{
	const struct sockaddr_xen *offer = (const void *)addr;
	struct ring *r;
	off_t end;
	char path[64];

	if (addr->sa_family == AF_UNIX)
		return connect_unix(fd, addr, length);
	pthread_mutex_lock(&lock);
	r = ring_of(fd);
	snprintf(path, sizeof(path), "/proc/%u/fd/%u", offer->sxen_gref, offer->sxen_port);
	r->memory = chance(setting("FAKEXEN_REFUSE")) ? -1 : __real_open(path, O_RDWR | O_CLOEXEC);
	end = r->memory < 0 ? 0 : lseek(r->memory, 0, SEEK_END);
	if (end < (off_t)file_length(XSOCK_RING_MIN))
		goto refused;
	r->size = (size_t)end - file_length(0);
	r->pages = __real_mmap(NULL, (size_t)end, PROT_READ | PROT_WRITE, MAP_SHARED, r->memory, 0);
	if (r->pages == MAP_FAILED)
		abort();
	if (memcmp(secret(r)->cookie, offer->sxen_cookie, XSOCK_COOKIE_SIZE) ||
	    secret(r)->peer != own_domid() || secret(r)->domid != offer->sxen_domid ||
	    __atomic_exchange_n(&secret(r)->taken, 1, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&tx_page(r)->state, __ATOMIC_SEQ_CST)) {
		__real_munmap(r->pages, (size_t)end);
		goto refused;
	}
	r->role = XSOCK_ROLE_RX;
	__atomic_or_fetch(&rx_page(r)->state, XSOCK_RX_CONNECTED, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&lock);
	return 0;
refused:
	if (r->memory >= 0)
		__real_close(r->memory);
	r->memory = -1;
	pthread_mutex_unlock(&lock);
	return fail(ECONNREFUSED);
}

void *__wrap_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	struct ring *r;

	pthread_mutex_lock(&lock);
	r = ring_of(fd);
	if (!r) {
		at = __real_mmap(at, length, prot, flags, fd, offset);
	} else if (r->role == XSOCK_ROLE_RX && setting("FAKEXEN_PV")) {
		errno = EOPNOTSUPP;
		at = MAP_FAILED;
	} else if (!offset) {
		r->first = at;
		__real_mmap(at, length, prot, MAP_SHARED | MAP_FIXED, r->memory, 0);
	} else {
		r->rest = at;
		r->rest_length = length;
		map_rest(at, length, prot, r->memory, r->size);
	}
	pthread_mutex_unlock(&lock);
	return at;
}

int __wrap_munmap(void *at, size_t length)
{
	int i, rc;

	pthread_mutex_lock(&lock);
	for (i = 0; i < RINGS; i++)
		if (rings[i].fd >= 0 && rings[i].first == at)
			rings[i].first = rings[i].rest = NULL;
	rc = __real_munmap(at, length);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* The errno. The lock is held. */
static int expose(struct ring *r, struct xsock_exposure *what)
{
	struct region *region = regions(r)->slots;

	if (r->revoked)
		return ENETRESET;
	while (region < regions(r)->slots + XSOCK_REGIONS && region->id)
		region++;
	if (region == regions(r)->slots + XSOCK_REGIONS)
		return ENOSPC;
	region->addr = what->addr;
	region->length = what->length;
	what->handle.id = ++regions(r)->ids;
	what->handle.slot = (uint32_t)(region - regions(r)->slots);
	what->handle.reserved = 0;
	__atomic_store_n(&region->id, what->handle.id, __ATOMIC_RELEASE);
	return 0;
}

/* Likewise. A piece that could not be got has left something else there. */
static int get_piece(struct ring *r, const struct xsock_fetch *fetch, uint64_t done, uint64_t n)
{
	struct region *region = &regions(r)->slots[fetch->handle.slot];
	struct iovec to = { (void *)(uintptr_t)(fetch->addr + done), n };
	struct iovec from = { (void *)(uintptr_t)(region->addr + fetch->offset + done), n };
	int err = 0;

	if (r->revoked)
		return ENETRESET;
	__atomic_store_n(&regions(r)->busy, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&region->id, __ATOMIC_SEQ_CST) != fetch->handle.id)
		err = ESTALE;
	else if (fetch->offset + fetch->length > region->length)
		err = EINVAL;
	else if (chance(setting("FAKEXEN_GETFAIL")) ||
		 process_vm_readv(regions(r)->pid, &to, 1, &from, 1, 0) != (ssize_t)n)
		err = EREMOTEIO;
	/* Stopped for so long that nobody has waited for us. */
	else if (__atomic_load_n(&region->id, __ATOMIC_SEQ_CST) != fetch->handle.id)
		err = ESTALE;
	__atomic_store_n(&regions(r)->busy, 0, __ATOMIC_SEQ_CST);
	if (err)
		memset(to.iov_base, 0xee, n);
	return err;
}

/* The lock is held, and given up between pieces, as by the module. */
static int get(int fd, const struct xsock_fetch *fetch)
{
	uint64_t done, n;
	int err = 0;

	for (done = 0; !err && done < fetch->length; done += n) {
		struct ring *r = ring_of(fd);

		n = fetch->length - done < PIECE ? fetch->length - done : PIECE;
		err = get_piece(r, fetch, done, n);
		pthread_mutex_unlock(&lock);
		sched_yield();
		pthread_mutex_lock(&lock);
	}
	return err;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct ring *r;
	va_list args;
	void *arg;
	int err;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	pthread_mutex_lock(&lock);
	r = ring_of(fd);
	switch (request) {
	case XSOCK_IOC_WAKE:
		err = 0;
		break;
	case XSOCK_IOC_EXPOSE:
		err = expose(r, arg);
		break;
	case XSOCK_IOC_CONCEAL:
		if (!r->revoked)
			conceal(r, ((const struct xsock_handle *)arg)->slot);
		err = 0;
		break;
	case XSOCK_IOC_GET:
		err = get(fd, arg);
		break;
	default:
		err = ENOTTY;
	}
	pthread_mutex_unlock(&lock);
	return err ? fail(err) : 0;
}

ssize_t __wrap_recv(int fd, void *buf, size_t n, int flags)
{
	struct ring *r;
	uint64_t prod, cons;
	ssize_t got;
	uint32_t state;

	pthread_mutex_lock(&lock);
	r = ring_of(fd);
	if (!r) {
		pthread_mutex_unlock(&lock);
		return __real_recv(fd, buf, n, flags);
	}
	state = __atomic_load_n(&tx_page(r)->state, __ATOMIC_ACQUIRE);
	prod = __atomic_load_n(&tx_page(r)->prod, __ATOMIC_ACQUIRE);
	cons = rx_page(r)->cons;
	/* Any number of bytes, to try all ways of cutting a frame. */
	if (n > 1)
		n = 1 + (size_t)rand_r(&seed) % n;
	got = (ssize_t)(n < prod - cons ? n : prod - cons);
	if (got) {
		size_t from = cons & (r->size - 1), part = r->size - from;

		if (part > (size_t)got)
			part = (size_t)got;
		memcpy(buf, r->pages + 2 * PAGE + from, part);
		memcpy((char *)buf + part, r->pages + 2 * PAGE, (size_t)got - part);
		__atomic_store_n(&rx_page(r)->cons, cons + (uint64_t)got, __ATOMIC_RELEASE);
		/* At once, as with the module: who counts on a later look is to find out. */
		if (r->signalled && !readable(r))
			signal_change(r);
	} else if (state & XSOCK_TX_REVOKED) {
		got = fail(ENETRESET);
	} else if (!state) {
		vain++;
		if (r->signalled)
			signal_change(r);
		got = fail(EAGAIN);
	}
	pthread_mutex_unlock(&lock);
	return got;
}

int __wrap_close(int fd)
{
	struct ring *r;

	pthread_mutex_lock(&lock);
	r = ring_of(fd);
	if (r) {
		if (r->role == XSOCK_ROLE_TX) {
			conceal_all(r);
			__atomic_or_fetch(&tx_page(r)->state, XSOCK_TX_CLOSED, __ATOMIC_SEQ_CST);
			if (r->memory < PORTS)
				closed[r->memory] = true;
		} else if (r->role == XSOCK_ROLE_RX) {
			__atomic_or_fetch(&rx_page(r)->state, XSOCK_RX_CLOSED, __ATOMIC_SEQ_CST);
		}
		if (r->role != XSOCK_ROLE_NONE)
			__real_munmap(r->pages, file_length(r->size));
		if (r->memory >= 0)
			__real_close(r->memory);
		r->fd = -1;
	}
	if (fd == control)
		control = -1;
	if (fd == notify)
		notify = -1;
	pthread_mutex_unlock(&lock);
	return __real_close(fd);
}
