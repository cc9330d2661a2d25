/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into a program of which parts begin and end with a write() of their names to
 * descriptor -1 (tests/mpi/counts.c): counts the bytes that are copied meanwhile, by the C
 * library's functions and by system calls that move bytes between processes or in and out of
 * the kernel. Copies of a few bytes that the compiler has made itself are not seen, nor what
 * the kernel copies within itself. At the end of a part "COPIES NAME BYTES" on stderr.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define PUBLIC __attribute__((visibility("default")))

static __thread int inside;
static __thread uint64_t bytes;

static void *(*move)(void *, const void *, size_t);

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static void __attribute__((constructor)) begin(void)
{
	move = real("memmove");
}

/* What is called before the constructor is copied byte by byte, forwards or backwards. */
static void *copy(void *to, const void *from, size_t n)
{
	volatile unsigned char *t = to;
	const unsigned char *f = from;
	size_t i;

	if (inside)
		bytes += n;
	if (move)
		return move(to, from, n);
	for (i = 0; i < n; i++)
		if ((uintptr_t)to < (uintptr_t)from)
			t[i] = f[i];
		else
			t[n - 1 - i] = f[n - 1 - i];
	return to;
}

PUBLIC void *memcpy(void *to, const void *from, size_t n)
{
	return copy(to, from, n);
}

PUBLIC void *memmove(void *to, const void *from, size_t n)
{
	return copy(to, from, n);
}

PUBLIC void *mempcpy(void *to, const void *from, size_t n)
{
	return (char *)copy(to, from, n) + n;
}

PUBLIC void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
	(void)room;
	return copy(to, from, n);
}

PUBLIC void *__memmove_chk(void *to, const void *from, size_t n, size_t room)
{
	(void)room;
	return copy(to, from, n);
}

/* The part's name is followed by " begin" or " end". */
static void mark(const char *text, size_t n)
{
	if (n > 6 && !strncmp(text + n - 6, " begin", 6)) {
		bytes = 0;
		inside = 1;
	} else if (n > 4 && !strncmp(text + n - 4, " end", 4)) {
		inside = 0;
		fprintf(stderr, "COPIES %.*s %llu\n", (int)n - 4, text, (unsigned long long)bytes);
	}
}

static ssize_t counted(ssize_t n)
{
	if (inside && n > 0)
		bytes += (uint64_t)n;
	return n;
}

#define FORWARD(name, parameters, arguments)                                                       \
	PUBLIC ssize_t name parameters                                                             \
	{                                                                                          \
		static ssize_t(*next) parameters;                                                  \
                                                                                                   \
		if (!next)                                                                         \
			next = (ssize_t(*) parameters)real(#name);                                 \
		return counted(next arguments);                                                    \
	}

FORWARD(read, (int fd, void *to, size_t n), (fd, to, n))
FORWARD(readv, (int fd, const struct iovec *v, int n), (fd, v, n))
FORWARD(writev, (int fd, const struct iovec *v, int n), (fd, v, n))
FORWARD(recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
FORWARD(send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))
FORWARD(process_vm_readv,
	(pid_t pid, const struct iovec *mine, unsigned long n, const struct iovec *theirs,
	 unsigned long m, unsigned long flags),
	(pid, mine, n, theirs, m, flags))
FORWARD(process_vm_writev,
	(pid_t pid, const struct iovec *mine, unsigned long n, const struct iovec *theirs,
	 unsigned long m, unsigned long flags),
	(pid, mine, n, theirs, m, flags))

PUBLIC ssize_t write(int fd, const void *from, size_t n)
{
	static ssize_t (*next)(int, const void *, size_t);

	if (!next)
		next = (ssize_t(*)(int, const void *, size_t))real("write");
	if (fd == -1)
		mark(from, n);
	return counted(next(fd, from, n));
}
