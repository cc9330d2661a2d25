/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapped rings: the slow half. The fast one is in xensocket/map.h. */
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "internal.h"

/* Looks before sleeping: an event costs more than these. */
#define SPIN_DEFAULT	100

int64_t xsock_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

XSOCK_PUBLIC int xsock_map_resync(struct xsock_map *map)
{
	__u64 prod, cons;
	bool fits;

	/* The own index first: the peer's is then beyond it, or as near as allowed. */
	if (map->role == XSOCK_ROLE_TX) {
		prod = xsock_load_acquire(&map->tx->prod);
		cons = xsock_load_acquire(&map->rx->cons);
	} else {
		cons = xsock_load_acquire(&map->rx->cons);
		prod = xsock_load_acquire(&map->tx->prod);
	}
	fits = xsock_adopt(&map->idx, prod, cons);
	if (!fits)
		map->error = EPROTO;
	return fits ? 0 : -EPROTO;
}

/*
 * Two mappings, since either side may write a part only, side by side in address space
 * that is taken for both at once.
 */
static int map_area(struct xsock_map *map)
{
	bool tx = map->role == XSOCK_ROLE_TX;
	int first = tx ? PROT_READ : PROT_READ | PROT_WRITE;
	int rest = tx ? PROT_READ | PROT_WRITE : PROT_READ;
	unsigned char *area;
	int err;

	map->length = XSOCK_PAGE_SIZE * XSOCK_MMAP_PAGES(map->idx.size / XSOCK_PAGE_SIZE);
	area = mmap(NULL, map->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	if (mmap(area, XSOCK_PAGE_SIZE, first, MAP_SHARED | MAP_FIXED, map->fd,
		 XSOCK_MMAP_RX_PAGE * XSOCK_PAGE_SIZE) == MAP_FAILED ||
	    mmap(area + XSOCK_PAGE_SIZE, map->length - XSOCK_PAGE_SIZE, rest,
		 MAP_SHARED | MAP_FIXED, map->fd,
		 XSOCK_MMAP_TX_PAGE * XSOCK_PAGE_SIZE) == MAP_FAILED) {
		err = errno;
		munmap(area, map->length);
		return -err;
	}
	map->area = area;
	map->rx = (struct xsock_rx_page *)(area + XSOCK_MMAP_RX_PAGE * XSOCK_PAGE_SIZE);
	map->tx = (struct xsock_tx_page *)(area + XSOCK_MMAP_TX_PAGE * XSOCK_PAGE_SIZE);
	map->data = area + XSOCK_MMAP_DATA * XSOCK_PAGE_SIZE;
	return 0;
}

XSOCK_PUBLIC int xsock_map_open(int fd, struct xsock_map **result)
{
	struct xsock_info info;
	struct xsock_map *map;
	int err;

	*result = NULL;
	err = xsock_get_info(fd, &info);
	if (err)
		return err;
	if (info.role != XSOCK_ROLE_TX && info.role != XSOCK_ROLE_RX)
		return -ENOTCONN;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->fd = fd;
	map->role = (int)info.role;
	map->spin = SPIN_DEFAULT;
	/* From the kernel: the number in the tx page is the peer's to write. */
	map->idx.size = info.size;
	err = map_area(map);
	if (!err)
		err = xsock_map_resync(map);
	if (err) {
		xsock_map_close(map);
		return err;
	}
	*result = map;
	return 0;
}

XSOCK_PUBLIC void xsock_map_close(struct xsock_map *map)
{
	if (!map)
		return;
	if (map->area)
		munmap(map->area, map->length);
	free(map);
}

/* As the kernel translates it; an unknown reason is no reason to trust. */
static int reason_error(__u32 reason)
{
	switch (reason) {
	case XSOCK_REASON_GONE:
		return -EHOSTDOWN;
	case XSOCK_REASON_PROTOCOL:
		return -EPROTO;
	default:
		return -ENETRESET;
	}
}

XSOCK_PUBLIC ssize_t xsock_map_reserve_slow(struct xsock_map *map, size_t least, void **at)
{
	__u32 own = xsock_load_acquire(&map->tx->state);
	__u32 peer = xsock_load_acquire(&map->rx->state);

	if (!least || least > map->idx.size || map->role != XSOCK_ROLE_TX)
		return -EINVAL;
	if (map->error)
		return -map->error;
	/* As send() has it: a revocation first, then the end. */
	if (own & XSOCK_TX_REVOKED)
		return reason_error(xsock_load(&map->tx->reason));
	if (own || peer & (XSOCK_RX_SHUT | XSOCK_RX_CLOSED))
		return -EPIPE;
	if (peer & XSOCK_RX_REVOKED)
		return reason_error(xsock_load(&map->rx->reason));
	if (!xsock_tx_look(&map->idx, map->rx)) {
		map->error = EPROTO;
		return -EPROTO;
	}
	if (xsock_free(&map->idx) < least)
		return -EAGAIN;
	*at = map->data + xsock_position(&map->idx, map->idx.prod);
	return (ssize_t)xsock_free(&map->idx);
}

XSOCK_PUBLIC ssize_t xsock_map_peek_slow(struct xsock_map *map, size_t least, const void **at)
{
	/* State before index: nothing can come in between. */
	__u32 peer = xsock_load_acquire(&map->tx->state);
	__u32 own = xsock_load_acquire(&map->rx->state);
	bool end = peer & (XSOCK_TX_FIN | XSOCK_TX_CLOSED) || own & XSOCK_RX_SHUT;

	if (!least || least > map->idx.size || map->role != XSOCK_ROLE_RX)
		return -EINVAL;
	if (!map->error && !xsock_rx_look(&map->idx, map->tx))
		map->error = EPROTO;
	*at = map->data + xsock_position(&map->idx, map->idx.cons);
	if (xsock_used(&map->idx) >= least)
		return (ssize_t)xsock_used(&map->idx);
	if (!map->error && !end && !(peer & XSOCK_TX_REVOKED))
		return -EAGAIN;
	/* Nothing more will come: what is there, then why. */
	if (xsock_used(&map->idx))
		return (ssize_t)xsock_used(&map->idx);
	if (map->error)
		return -map->error;
	return end ? 0 : reason_error(xsock_load(&map->tx->reason));
}

XSOCK_PUBLIC int xsock_map_wake(struct xsock_map *map)
{
	return ioctl(map->fd, XSOCK_IOC_WAKE) ? -errno : 0;
}

static bool map_ready(struct xsock_map *map, size_t least)
{
	const void *from;
	void *to;

	if (map->role == XSOCK_ROLE_TX)
		return xsock_map_reserve(map, least, &to) != -EAGAIN;
	return xsock_map_peek(map, least, &from) != -EAGAIN;
}

/* Sleeps until the kernel finds the socket ready, by the measure of the caller. */
static int map_sleep(struct xsock_map *map, size_t least, int timeout_ms)
{
	bool tx = map->role == XSOCK_ROLE_TX;
	struct pollfd pfd = { .fd = map->fd, .events = tx ? POLLOUT : POLLIN };
	int low = (int)least;

	/* A transmitter's measure is a quarter of the ring, and no caller's is larger. */
	if (!tx && low != map->lowat) {
		if (setsockopt(map->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)))
			return -errno;
		map->lowat = low;
	}
	return poll(&pfd, 1, timeout_ms) < 0 ? -errno : 0;
}

/* How long to sleep: 0 if the time is over. */
static int time_left(int timeout_ms, int64_t start)
{
	int64_t gone;

	if (timeout_ms <= 0)
		return timeout_ms;
	gone = xsock_now_ms() - start;
	return gone >= timeout_ms ? 0 : (int)(timeout_ms - gone);
}

XSOCK_PUBLIC int xsock_map_wait(struct xsock_map *map, size_t least, int timeout_ms)
{
	bool tx = map->role == XSOCK_ROLE_TX;
	enum xsock_prepared prepared;
	unsigned int i;
	int64_t start;
	int err, left;

	if (!least || least > (tx ? xsock_write_mark(&map->idx) : xsock_read_mark(&map->idx)))
		return -EINVAL;
	for (i = 0; i <= map->spin; i++)
		if (map_ready(map, least))
			return 1;
	start = timeout_ms > 0 ? xsock_now_ms() : 0;
	for (;;) {
		left = time_left(timeout_ms, start);
		if (!left)
			return 0;
		prepared = tx ? xsock_tx_prepare(&map->idx, map->tx, map->rx, least) :
				xsock_rx_prepare(&map->idx, map->rx, map->tx, least);
		if (prepared == XSOCK_BROKEN)
			map->error = EPROTO;
		/* Also for states: those are looked at here only. */
		if (map_ready(map, least))
			return 1;
		err = map_sleep(map, least, left);
		if (err)
			return err;
		if (map_ready(map, least))
			return 1;
	}
}
