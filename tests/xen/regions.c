/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions: memory of end A that end B copies from. What is told about one goes over the
 * control stream.
 */
#include <sys/resource.h>

#include "xsocktest.h"

#define PAGE	XSOCK_PAGE_SIZE
#define MIB	(1024 * 1024)

/* Memory, page-aligned. */
static uint8_t *memory(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(at != MAP_FAILED);
	return at;
}

static unsigned int locked(int fd)
{
	return xs_info(fd).regions;
}

/* What B's kernel uses it lets go of in a while. */
static void nothing_locked(int fd)
{
	for (int n = 0; n < 100 && locked(fd); n++)
		usleep(100000);
	same(locked(fd), 0);
}

/* Tells B of what is at @at, and exposes it; what that says. */
static int expose(int fd, const void *at, uint64_t length, struct xsock_handle *handle)
{
	int rc = xsock_expose(fd, at, length, handle);

	ctl_write(&rc, sizeof(rc));
	ctl_write(handle, sizeof(*handle));
	ctl_write(&length, sizeof(length));
	return rc;
}

static int told(struct xsock_handle *handle, uint64_t *length)
{
	int rc;

	ctl_read(&rc, sizeof(rc));
	ctl_read(handle, sizeof(*handle));
	ctl_read(length, sizeof(*length));
	return rc;
}

/* ---- content ---- */

static const uint64_t lengths[] = {
	1, 2, 63, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 10000, 127 * PAGE, 128 * PAGE + 1, 300 * PAGE + 77,
};
static const unsigned int offsets[] = { 0, 1, 8, 2047, PAGE - 1 };
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))
#define OFFSETS (sizeof(offsets) / sizeof(offsets[0]))

static void a_alignments(void)
{
	int fd = xs_pair(0);
	uint8_t *from = memory(302 * PAGE);
	struct xsock_handle handle;

	for (size_t l = 0; l < LENGTHS; l++)
		for (size_t o = 0; o < OFFSETS; o++) {
			fill(from + offsets[o], lengths[l], l * 1000 + o);
			same(expose(fd, from + offsets[o], lengths[l], &handle), 0);
			/* Before: with the last one B closes its end. */
			same(locked(fd), 1);
			sync_ends();
			same(xsock_conceal(fd, &handle), 0);
			same(locked(fd), 0);
		}
	close(fd);
	munmap(from, 302 * PAGE);
}

/* Nothing beside what was asked for has changed. */
static int untouched(const uint8_t *at, size_t n)
{
	while (n && *at == 0xee) {
		at++;
		n--;
	}
	return !n;
}

static void b_alignments(void)
{
	int fd = xs_pair(0);
	uint8_t *to = memory(303 * PAGE);
	struct xsock_handle handle;
	uint64_t length;

	for (size_t l = 0; l < LENGTHS; l++)
		for (size_t o = 0; o < OFFSETS; o++) {
			same(told(&handle, &length), 0);
			for (size_t d = 0; d < OFFSETS; d++) {
				uint8_t *at = to + PAGE / 2 + offsets[d];

				memset(to, 0xee, length + 2 * PAGE);
				same(xsock_get(fd, &handle, 0, at, length), 0);
				same(wrong(at, length, l * 1000 + o), 0);
				check(untouched(to, at - to));
				check(untouched(at + length, PAGE / 2));
			}
			/* A part of it. */
			memset(to, 0xee, length + 2 * PAGE);
			same(xsock_get(fd, &handle, length / 3, to + 5, length / 2), 0);
			same(wrong(to + 5, length / 2, l * 1000 + o + length / 3), 0);
			check(untouched(to + 5 + length / 2, 100));
			same(xsock_get(fd, &handle, length, to, 0), 0);
			same(xsock_get(fd, &handle, 0, to, length + 1), -EINVAL);
			same(xsock_get(fd, &handle, length, to, 1), -EINVAL);
			same(xsock_get(fd, &handle, ~0ULL, to, 1), -EINVAL);
			sync_ends();
		}
	same(xs_info(fd).gets, LENGTHS * OFFSETS * (OFFSETS + 2));
	close(fd);
	munmap(to, 303 * PAGE);
}

#define LARGE	XSOCK_REGION_MAX

static void a_large(void)
{
	int fd = xs_pair(0);
	uint8_t *from = memory(LARGE + PAGE);
	struct xsock_handle handle;

	for (unsigned int size = MIB; size <= LARGE; size *= 4) {
		fill(from + 3, size, size);
		same(expose(fd, from + 3, size, &handle), 0);
		sync_ends();
		same(xsock_conceal(fd, &handle), 0);
	}
	same(xsock_expose(fd, from, LARGE + 1, &handle), -EINVAL);
	same(xsock_expose(fd, from, 0, &handle), -EINVAL);
	fill(from + 1, LARGE, 1);
	same(expose(fd, from + 1, LARGE, &handle), 0);
	sync_ends();
	/* Closed with a region: that ends it. */
	close(fd);
	munmap(from, LARGE + PAGE);
	sync_ends();
}

static void b_large(void)
{
	int fd = xs_pair(0);
	uint8_t *to = memory(LARGE + PAGE);
	struct xsock_handle handle;
	uint64_t length;

	for (unsigned int size = MIB; size <= LARGE; size *= 4) {
		same(told(&handle, &length), 0);
		same(xsock_get(fd, &handle, 0, to + 1000, length), 0);
		same(wrong(to + 1000, length, size), 0);
		sync_ends();
	}
	same(told(&handle, &length), 0);
	same(xsock_get(fd, &handle, 0, to, length), 0);
	same(wrong(to, length, 1), 0);
	sync_ends();
	sync_ends();
	check(poll_bits(fd, POLLIN, 10000) & POLLHUP);
	same(xsock_get(fd, &handle, 0, to, length), -ESTALE);
	close(fd);
	munmap(to, LARGE + PAGE);
}

/* ---- handles and errors ---- */

static void a_handles(void)
{
	uint8_t *from = memory(17 * PAGE), *no = memory(PAGE);
	struct xsock_handle handles[XSOCK_REGIONS] = { 0 }, extra;
	int fd = xs_transmitter(0), other, n;

	same(xsock_expose(fd, from, 1, &extra), -ENOTCONN);
	other = xs_socket();
	same(xsock_expose(other, from, 1, &extra), -ENOTCONN);
	same(xsock_conceal(other, &handles[0]), -ENOTCONN);
	close(other);
	xs_offer(fd);
	sync_ends();
	other = xs_pair(0);
	munmap(no, PAGE);
	munmap(from + 16 * PAGE, PAGE);
	same(xsock_expose(fd, no, 1, &extra), -EFAULT);
	same(xsock_expose(fd, from + 8 * PAGE, 9 * PAGE, &extra), -EFAULT);
	same(xsock_expose(fd, (void *)-4096L, 4096, &extra), -EFAULT);
	same(xsock_expose(fd, (void *)~0xfffUL, 2 * PAGE, &extra), -EFAULT);
	fails(ioctl(fd, XSOCK_IOC_EXPOSE, NULL), EFAULT);
	fails(ioctl(fd, XSOCK_IOC_CONCEAL, NULL), EFAULT);
	same(xsock_get(fd, &handles[0], 0, from, 1), -EOPNOTSUPP);
	same(locked(fd), 0);
	fill(from, 16 * PAGE, 7);
	for (n = 0; n < XSOCK_REGIONS; n++)
		same(xsock_expose(fd, from + n, 100, &handles[n]), 0);
	same(xsock_expose(fd, from, 100, &extra), -ENOSPC);
	same(locked(fd), XSOCK_REGIONS);
	/* One of another socket's. */
	same(xsock_expose(other, from, 100, &extra), 0);
	same(xsock_conceal(fd, &extra), -ESTALE);
	ctl_write(handles, sizeof(handles));
	ctl_write(&extra, sizeof(extra));
	sync_ends();
	for (n = 0; n < XSOCK_REGIONS; n += 2)
		same(xsock_conceal(fd, &handles[n]), 0);
	same(xsock_conceal(fd, &handles[0]), -ESTALE);
	same(locked(fd), XSOCK_REGIONS / 2);
	/* Its slot again, with another name. */
	same(xsock_expose(fd, from + 1000, 100, &extra), 0);
	ctl_write(&extra, sizeof(extra));
	sync_ends();
	sync_ends();
	/* The peer closes: everything has ended, and may be concealed. */
	check(poll_bits(fd, POLLOUT, 10000) & POLLHUP);
	same(xsock_conceal(fd, &extra), 0);
	same(xsock_expose(fd, from, 100, &extra), -EPIPE);
	close(fd);
	close(other);
	munmap(from, 16 * PAGE);
}

static void b_handles(void)
{
	uint8_t to[PAGE], *no = memory(2 * PAGE);
	struct xsock_handle handles[XSOCK_REGIONS], extra, lie;
	int fd = xs_receiver(), other, n;

	sync_ends();
	other = xs_pair(0);
	ctl_read(handles, sizeof(handles));
	ctl_read(&extra, sizeof(extra));
	for (n = 0; n < XSOCK_REGIONS; n++) {
		same(xsock_get(fd, &handles[n], 0, to, 100), 0);
		same(wrong(to, 100, 7 + n), 0);
	}
	same(xsock_get(fd, &extra, 0, to, 100), -ESTALE);
	same(xsock_get(other, &handles[0], 0, to, 100), -ESTALE);
	same(xsock_get(other, &extra, 0, to, 100), 0);
	same(xsock_expose(fd, to, 1, &lie), -EOPNOTSUPP);
	same(xsock_conceal(fd, &handles[0]), -EOPNOTSUPP);
	for (n = 0; n < 64; n++) {
		lie = handles[n % XSOCK_REGIONS];
		lie.id ^= 1ULL << n;
		same(xsock_get(fd, &lie, 0, to, 1), -ESTALE);
	}
	lie = handles[1];
	lie.slot = 2;
	same(xsock_get(fd, &lie, 0, to, 1), -ESTALE);
	lie.slot = XSOCK_REGIONS;
	same(xsock_get(fd, &lie, 0, to, 1), -EINVAL);
	lie.slot = ~0U;
	same(xsock_get(fd, &lie, 0, to, 1), -EINVAL);
	lie = handles[1];
	lie.id = 0;
	same(xsock_get(fd, &lie, 0, to, 1), -EINVAL);
	lie = handles[1];
	lie.reserved = 1;
	same(xsock_get(fd, &lie, 0, to, 1), -EINVAL);
	fails(ioctl(fd, XSOCK_IOC_GET, NULL), EFAULT);
	/* No place for it, or not enough, or one that cannot be written. */
	munmap(no + PAGE, PAGE);
	same(xsock_get(fd, &handles[1], 0, no + PAGE, 100), -EFAULT);
	same(xsock_get(fd, &handles[1], 0, (void *)-4096L, 100), -EFAULT);
	check(!mprotect(no, PAGE, PROT_READ));
	same(xsock_get(fd, &handles[1], 0, no, 100), -EFAULT);
	sync_ends();
	ctl_read(&extra, sizeof(extra));
	for (n = 0; n < XSOCK_REGIONS; n++)
		same(xsock_get(fd, &handles[n], 0, to, 100), n % 2 ? 0 : -ESTALE);
	same(xsock_get(fd, &extra, 0, to, 100), 0);
	same(wrong(to, 100, 1007), 0);
	sync_ends();
	close(fd);
	sync_ends();
	close(other);
	munmap(no, PAGE);
}

/* ---- limits ---- */

/* What a user may lock: a ring and half a MiB. */
static void expose_as_user(int fd, uint8_t *from)
{
	struct rlimit limit = { 1 * MIB, 1 * MIB };
	struct xsock_handle handle;
	int status;

	if (!fork()) {
		failures = 0;
		check(!setrlimit(RLIMIT_MEMLOCK, &limit));
		check(!setresuid(65534, 65534, 65534));
		same(xsock_expose(fd, from, 2 * MIB, &handle), -ENOBUFS);
		same(locked(fd), 0);
		same(xsock_expose(fd, from, MIB / 2, &handle), 0);
		same(locked(fd), 1);
		same(xsock_expose(fd, from, MIB / 2, &handle), -ENOBUFS);
		_exit(failures != 0);
	}
	check(wait(&status) > 0);
	same(status, 0);
}

static void a_charged(void)
{
	struct xsock_status before, now;
	uint8_t *from = memory(2 * MIB);
	int fd = xs_pair(0), dev = open(XSOCK_DEVICE, O_RDONLY | O_CLOEXEC);

	check(!ioctl(dev, XSOCK_CTL_STATUS, &before));
	expose_as_user(fd, from);
	/* Of the socket, not of the process that has gone. */
	same(locked(fd), 1);
	check(!ioctl(dev, XSOCK_CTL_STATUS, &now));
	/* Its pages, and one with their references. */
	same(now.pages - before.pages, MIB / 2 / PAGE + 1);
	close(fd);
	sync_ends();
	for (int k = 0; k < patience(1000) && now.pages >= before.pages; k++) {
		usleep(10000);
		check(!ioctl(dev, XSOCK_CTL_STATUS, &now));
	}
	check(now.pages < before.pages);
	close(dev);
	munmap(from, 2 * MIB);
}

static void b_charged(void)
{
	int fd = xs_pair(0);

	check(poll_bits(fd, POLLIN, 10000) & POLLHUP);
	close(fd);
	sync_ends();
}

/* ---- something happens in the middle of gets ---- */

#define MIDDLE	(4 * MIB)

/* Gets until that fails; all that succeed have the right bytes. Returns how it failed. */
static int get_until_it_fails(int fd, uint8_t *to, const struct xsock_handle *handle)
{
	unsigned int done = 0;
	int rc;

	do {
		memset(to, 0xee, MIDDLE);
		rc = xsock_get(fd, handle, 0, to, MIDDLE);
		done += !rc;
		if (done == 1 && !rc)
			sync_ends();
	} while (!rc && same(wrong(to, MIDDLE, 99), 0));
	printf("# %c %s: %u gets\n", side, running, done);
	return rc;
}

/* @or: what it may say as long as it has not heard of the reason. */
static void b_middle(int want, int or)
{
	uint8_t *to = memory(MIDDLE);
	struct xsock_handle handle;
	uint64_t length;
	int fd = xs_pair(0), rc;

	same(told(&handle, &length), 0);
	rc = get_until_it_fails(fd, to, &handle);
	if (rc != or)
		same(rc, want);
	/* A exposes more before it loses its peer. */
	sync_ends();
	close(fd);
	munmap(to, MIDDLE);
}

static int a_middle(uint8_t **from, struct xsock_handle *handle)
{
	int fd = xs_pair(0);

	*from = memory(MIDDLE);
	fill(*from, MIDDLE, 99);
	same(expose(fd, *from, MIDDLE, handle), 0);
	sync_ends();
	usleep(100000);
	return fd;
}

/* Concealed while it is got from; the memory is other's at once, and has other bytes. */
static void a_concealed(void)
{
	struct xsock_handle handle, next[8];
	uint8_t *from, *other = memory(MIDDLE);
	int fd = a_middle(&from, &handle), n;

	memset(other, 0x11, MIDDLE);
	same(xsock_conceal(fd, &handle), 0);
	same(xsock_conceal(fd, &handle), -ESTALE);
	for (n = 0; n < 8; n++)
		same(xsock_expose(fd, other, MIB, &next[n]), 0);
	memset(from, 0x22, MIDDLE);
	sync_ends();
	for (n = 0; n < 8; n++)
		same(xsock_conceal(fd, &next[n]), 0);
	nothing_locked(fd);
	close(fd);
	munmap(from, MIDDLE);
	munmap(other, MIDDLE);
}

static void b_concealed(void)
{
	b_middle(-ESTALE, -ESTALE);
}

static void a_closed_region(void)
{
	struct xsock_handle handle;
	uint8_t *from;

	close(a_middle(&from, &handle));
	memset(from, 0x22, MIDDLE);
	munmap(from, MIDDLE);
	sync_ends();
}

static void b_closed_region(void)
{
	b_middle(-ESTALE, -ESTALE);
}

static void a_quiesced(void)
{
	struct xsock_handle handle;
	uint8_t *from;
	int fd = a_middle(&from, &handle), dev = open(XSOCK_DEVICE, O_RDWR | O_CLOEXEC);

	check(!ioctl(dev, XSOCK_CTL_QUIESCE));
	sync_ends();
	check(poll_bits(fd, POLLOUT, 10000) & POLLERR);
	same(xsock_conceal(fd, &handle), 0);
	/* A get that goes on has had its time, too. */
	memset(from, 0x22, MIDDLE);
	same(xsock_expose(fd, from, 1, &handle), -ENETRESET);
	nothing_locked(fd);
	check(!ioctl(dev, XSOCK_CTL_RELEASE));
	close(dev);
	close(fd);
	munmap(from, MIDDLE);
}

static void b_quiesced(void)
{
	b_middle(-ENETRESET, -ESTALE);
}

/* Killed, with all that it has exposed. */
static void a_killed_region(void)
{
	struct xsock_handle handle;
	int fd = xs_pair(0), status;
	uint8_t *from;
	pid_t child;

	child = fork();
	if (!child) {
		from = memory(MIDDLE);
		fill(from, MIDDLE, 99);
		same(expose(fd, from, MIDDLE, &handle), 0);
		raise(SIGSTOP);
		_exit(1);
	}
	check(waitpid(child, &status, WUNTRACED) == child);
	close(fd);
	sync_ends();
	usleep(100000);
	kill(child, SIGKILL);
	check(waitpid(child, &status, 0) == child);
	sync_ends();
}

static void b_killed_region(void)
{
	b_middle(-ESTALE, -ESTALE);
}

const struct test_case region_cases[] = {
	{ .name = "alignments", .says = "regions of 1 byte to 1.2 MiB at all alignments", .a = a_alignments, .b = b_alignments },
	{ .name = "large", .says = "regions of 1 to 32 MiB; closed with one", .a = a_large, .b = b_large },
	{ .name = "handles", .says = "handles good, stale, forged, another socket's; errors", .a = a_handles, .b = b_handles },
	{ .name = "charged", .says = "regions count against RLIMIT_MEMLOCK", .a = a_charged, .b = b_charged },
	{ .name = "concealed", .says = "concealed in the middle of gets", .a = a_concealed, .b = b_concealed },
	{ .name = "region-closed", .says = "closed in the middle of gets", .a = a_closed_region, .b = b_closed_region },
	{ .name = "region-quiesced", .says = "quiesced in the middle of gets", .a = a_quiesced, .b = b_quiesced },
	{ .name = "region-killed", .says = "killed in the middle of gets", .a = a_killed_region, .b = b_killed_region },
	{ .name = 0 },
};
