// SPDX-License-Identifier: BSD-3-Clause
/*
 * What is not to be had: each allocation of a call fails in turn, by the kernel's fault
 * injection (fail-nth), or each hypercall, if it has been told to (fail_function;
 * XSOCK_HYPERCALLS=1), of which not every call has any. A call either does without, or fails
 * with an errno that says so, and its second try succeeds.
 */
#include <sys/mman.h>

#include "xsocktest.h"

/* Far from all else, so that it needs page tables of its own, and they go with it. */
#define SPOT	((uint8_t *)(1ul << 45))

static int fail_nth;

static void inject(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	check(write(fail_nth, text, len) == len);
}

/* Has the failure come? If not, it does not come any more. */
static int injected(void)
{
	char text[16] = "";

	check(pread(fail_nth, text, sizeof(text) - 1, 0) > 0);
	inject(0);
	return atoi(text) == 0;
}

static int expected(int err)
{
	/* Xen does not let us at what is the peer's. */
	if (getenv("XSOCK_HYPERCALLS") && (err == ECONNREFUSED || err == EREMOTEIO))
		return 1;
	/* ENFILE: what socket() says of an inode that it does not get. */
	return err == ENOMEM || err == ENOBUFS || err == ENOSPC || err == ENFILE;
}

/* A call in which the n-th thing fails, n rising until there is none. */
#define EACH_FAILURE(what, call, again, undo) do {			\
	int n_, hit_ = 1, bad_ = 0;					\
									\
	for (n_ = 1; hit_ && n_ < 1000 && !failures; n_++) {		\
		int result_, err_;					\
									\
		inject(n_);						\
		result_ = (call);					\
		err_ = errno;						\
		hit_ = injected();					\
		if (result_ < 0) {					\
			bad_++;						\
			check(hit_);					\
			errno = err_;					\
			check(expected(err_));			\
			result_ = (again);				\
		}							\
		if (check(result_ >= 0))				\
			undo;						\
	}								\
	check(!hit_ && (bad_ || getenv("XSOCK_HYPERCALLS")));		\
	printf("# %c faults: %s: %d failures, %d of them matter\n",	\
	       side, what, n_ - 2, bad_);				\
} while (0)

static int bind_peer(int fd)
{
	struct sockaddr_xen addr = { .sxen_family = af, .sxen_domid = peer_domid };

	return bind(fd, (struct sockaddr *)&addr, sizeof(addr));
}

static void begin(void)
{
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	check(fail_nth >= 0);
}

/*
 * The pages of a ring from @first on, each touched. A touch that lacks a page table is made
 * again by the processor, when the kernel returns: only mmap() itself can fail.
 */
static int map_and_touch(int fd, int first, size_t len, int protection)
{
	volatile uint8_t *pages = mmap(SPOT, len, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
				       first * XSOCK_PAGE_SIZE);

	if (pages == MAP_FAILED)
		return -1;
	for (size_t at = 0; at < len; at += XSOCK_PAGE_SIZE) {
		if (protection & PROT_WRITE)
			pages[at] = pages[at];
		else
			(void)pages[at];
	}
	return 0;
}

/* @first: the rx page for who only reads, the tx page for a transmitter. */
static void each_mapping(int fd, int first, int protection)
{
	size_t len = (XSOCK_MMAP_DATA - first) * XSOCK_PAGE_SIZE + xs_info(fd).size;
	const struct xsock_tx_page *tx;

	tx = (void *)(SPOT + (XSOCK_MMAP_TX_PAGE - first) * XSOCK_PAGE_SIZE);
	EACH_FAILURE("mmap", map_and_touch(fd, first, len, protection),
		     map_and_touch(fd, first, len, protection),
		     { same(tx->version, XSOCK_VERSION); check(!munmap(SPOT, len)); });
}

/* What B asks for and tells. */
enum { OFFER = 'o', CONNECTED = 'c', REFUSED = 'r', EXPOSE = 'x', END = 'e' };

/* As a system call has it. */
static int result(int code)
{
	errno = code < 0 ? -code : 0;
	return code < 0 ? -1 : 0;
}

/* What is got: some pages that begin and end within one. */
static uint8_t memory[5 * XSOCK_PAGE_SIZE + 100];

static void each_exposure(int fd)
{
	struct xsock_handle handle;

	fill(memory, sizeof(memory), 0);
	EACH_FAILURE("expose", result(xsock_expose(fd, memory, sizeof(memory), &handle)),
		     result(xsock_expose(fd, memory, sizeof(memory), &handle)),
		     same(xsock_conceal(fd, &handle), 0));
	same(xsock_expose(fd, memory, sizeof(memory), &handle), 0);
	ctl_write(&handle, sizeof(handle));
}

static void each_get(int fd)
{
	struct xsock_handle handle;
	char word = EXPOSE;

	ctl_write(&word, 1);
	ctl_read(&handle, sizeof(handle));
	EACH_FAILURE("get", result(xsock_get(fd, &handle, 0, memory, sizeof(memory))),
		     result(xsock_get(fd, &handle, 0, memory, sizeof(memory))),
		     { same(wrong(memory, sizeof(memory), 0), 0);
		       memset(memory, 0, sizeof(memory)); });
}

void a_faults(void)
{
	uint8_t data[100];
	char word = 0;
	int fd;

	begin();
	EACH_FAILURE("socket", fd = socket(af, SOCK_STREAM, 0), fd = socket(af, SOCK_STREAM, 0),
		     close(fd));
	fd = xs_socket();
	EACH_FAILURE("bind", bind_peer(fd), bind_peer(fd),
		     { close(fd); fd = xs_socket(); });
	close(fd);
	EACH_FAILURE("control device", fd = open(XSOCK_DEVICE, O_RDONLY),
		     fd = open(XSOCK_DEVICE, O_RDONLY), close(fd));
	fd = xs_transmitter(0);
	each_mapping(fd, XSOCK_MMAP_TX_PAGE, PROT_READ | PROT_WRITE);
	close(fd);

	fill(data, sizeof(data), 0);
	for (ctl_read(&word, 1); word != END && check(word == OFFER); ) {
		fd = xs_transmitter(0);
		xs_offer(fd);
		ctl_read(&word, 1);
		if (word == CONNECTED)
			same(send(fd, data, sizeof(data), MSG_NOSIGNAL), sizeof(data));
		ctl_read(&word, 1);
		if (word == EXPOSE) {
			each_exposure(fd);
			ctl_read(&word, 1);
		}
		close(fd);
	}
	close(fail_nth);
}

static struct sockaddr_xen next_offer(void)
{
	struct sockaddr_xen addr;
	char word = OFFER;

	ctl_write(&word, 1);
	ctl_read(&addr, sizeof(addr));
	return addr;
}

/* An offer is good for one connection, perhaps for none if that has failed. */
static int connect_anew(int fd, struct sockaddr_xen *addr)
{
	char word = REFUSED;

	ctl_write(&word, 1);
	*addr = next_offer();
	return connect(fd, (struct sockaddr *)addr, sizeof(*addr));
}

static void receive(int fd)
{
	uint8_t data[100];
	char word = CONNECTED;

	ctl_write(&word, 1);
	same(recv(fd, data, sizeof(data), MSG_WAITALL), sizeof(data));
	same(wrong(data, sizeof(data), 0), 0);
}

void b_faults(void)
{
	struct sockaddr_xen addr;
	char word = REFUSED;
	int fd;

	begin();
	fd = xs_socket();
	addr = next_offer();
	EACH_FAILURE("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
		     connect_anew(fd, &addr),
		     { receive(fd); close(fd); fd = xs_socket(); addr = next_offer(); });
	if (check(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))) {
		each_mapping(fd, XSOCK_MMAP_RX_PAGE, PROT_READ);
		receive(fd);
		each_get(fd);
	} else {
		ctl_write(&word, 1);
	}
	close(fd);
	word = END;
	ctl_write(&word, 1);
	close(fail_nth);
}
