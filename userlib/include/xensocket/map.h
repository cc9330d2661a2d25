/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Using the ring of a xensocket through a mapping, without system calls. Included by
 * xensocket.h. What is inline here is the fast path; it is made of the same ring.h
 * that the kernel uses.
 *
 *	transmitter				receiver
 *	n = xsock_map_reserve(m, 1, &at);	n = xsock_map_peek(m, 1, &at);
 *	... write n bytes or fewer at "at" ...	... read n bytes or fewer at "at" ...
 *	xsock_map_commit(m, n);			xsock_map_consume(m, n);
 *
 * -EAGAIN: try again later, or xsock_map_wait(), or wait for the socket's descriptor
 * with poll, epoll or libevent: the kernel announces the sleep by itself there. The end
 * of a stream is sent with shutdown(fd, SHUT_WR).
 *
 * The peer can write what it likes into its pages at any time, also under the eyes of a
 * receiver: what has been checked must have been copied before.
 */
#ifndef XENSOCKET_MAP_H
#define XENSOCKET_MAP_H

#ifndef XENSOCKET_H
#error include <xensocket.h>
#endif

/**
 * struct xsock_map - a mapped ring
 * @idx: own view of the indices; read only
 * @tx: control page of the transmitter
 * @rx: control page of the receiver
 * @data: data pages, twice in a row
 * @fd: the socket; not owned
 * @role: XSOCK_ROLE_TX or XSOCK_ROLE_RX
 * @error: errno value once the peer has broken the protocol
 * @spin: times that xsock_map_wait() looks before it sleeps; may be changed
 * @lowat: private
 * @area: private
 * @length: private
 *
 * Made by the library only, so that it can grow at its end.
 */
struct xsock_map {
	struct xsock_idx idx;
	struct xsock_tx_page *tx;
	struct xsock_rx_page *rx;
	unsigned char *data;
	int fd;
	int role;
	int error;
	unsigned int spin;
	int lowat;
	void *area;
	size_t length;
};

/**
 * xsock_map_open - map the ring of a bound or connected xensocket
 * @fd: the socket; it is used until xsock_map_close(), and not closed by it
 * @map: gets the map
 *
 * While it is mapped, nobody may send() or recv() on the socket, but after such calls
 * by the same thread see xsock_map_resync(). A child made by fork() does not have the
 * mapping. -EOPNOTSUPP: a receiver in a PV guest cannot map; use recv(). -ENOTCONN:
 * neither bound nor connected. -EPROTO: the peer has broken the protocol.
 */
int xsock_map_open(int fd, struct xsock_map **map);

/* Gives the mapping back. @map may be NULL. Nothing is committed or consumed. */
void xsock_map_close(struct xsock_map *map);

/* Take over what send() or recv() on the socket have done. 0 or -EPROTO. */
int xsock_map_resync(struct xsock_map *map);

/**
 * xsock_map_wait - sleep until there is something to do
 * @map: the map
 * @least: transmitter: bytes of room, 1 to a quarter of the ring's size; receiver:
 *	bytes to read, 1 to three quarters. (With more, both sides could sleep.)
 * @timeout_ms: -1 for ever; 0 to look only
 *
 * Returns 1 if xsock_map_reserve() or _peek() with @least has an answer other than
 * -EAGAIN, which may be the end or an error; 0 after the time-out; -EINTR after a
 * signal; -EINVAL for a wrong @least.
 *
 * Sets SO_RCVLOWAT of a receiver's socket to @least, which other pollers of it notice.
 */
int xsock_map_wait(struct xsock_map *map, size_t least, int timeout_ms);

/* Sends the peer an event; commit and consume do so when it asked. 0 or -errno. */
int xsock_map_wake(struct xsock_map *map);

/* The slow halves of reserve and peek: no room, no bytes, or something has happened. */
ssize_t xsock_map_reserve_slow(struct xsock_map *map, size_t least, void **at);
ssize_t xsock_map_peek_slow(struct xsock_map *map, size_t least, const void **at);

/**
 * xsock_map_reserve - transmitter: room for bytes
 * @map: the map
 * @least: bytes wanted, 1 to the ring's size
 * @at: gets where to write
 *
 * Returns how many bytes may be written in a row, @least or more. -EAGAIN: not now.
 * -EPIPE: the receiver reads no more, or the stream has been shut down. -ENETRESET:
 * suspended or quiesced; -EHOSTDOWN: the peer is gone; -EPROTO. Bytes that have been
 * reserved and not committed are reserved again by the next call.
 */
static inline ssize_t xsock_map_reserve(struct xsock_map *map, size_t least, void **at)
{
	/* Own bits are set by our kernel, the receiver's by its own. */
	__u32 state = xsock_load(&map->tx->state) |
		      (xsock_load(&map->rx->state) & ~(__u32)XSOCK_RX_CONNECTED);

	if (__builtin_expect(state != 0, 0))
		return xsock_map_reserve_slow(map, least, at);
	if (xsock_free(&map->idx) < least &&
	    (!xsock_tx_look(&map->idx, map->rx) || xsock_free(&map->idx) < least))
		return xsock_map_reserve_slow(map, least, at);
	*at = map->data + xsock_position(&map->idx, map->idx.prod);
	return (ssize_t)xsock_free(&map->idx);
}

/* Transmitter: publish the first @n of the bytes reserved. Wakes who asked for it. */
static inline void xsock_map_commit(struct xsock_map *map, size_t n)
{
	if (xsock_tx_publish(&map->idx, map->tx, map->rx, n))
		xsock_map_wake(map);
}

/**
 * xsock_map_commit_marked - the same, for a receiver that looks for a mark among the bytes
 * @map: the map
 * @n: bytes to publish
 * @mark: a place among them, which has to have held something else when the receiver could first
 *	look there: before this commit, and when what precedes it in the ring was committed
 * @value: what is stored there, after all else has been published
 *
 * A receiver that finds the mark finds all @n bytes, and can rely on them as on published ones,
 * without having looked at the index: a cache line less that has to come from the transmitter's
 * processor before it can begin. If the ring is cut off in between, bytes are published
 * whose mark never comes; then xsock_map_cut() is true.
 */
static inline void xsock_map_commit_marked(struct xsock_map *map, size_t n, __u16 *mark,
					   __u16 value)
{
	__u64 old = xsock_tx_store(&map->idx, map->tx, n);

	/* Release: the index first, so that a receiver's kernel keeps what its process has seen. */
	xsock_store_release(mark, value);
	if (xsock_tx_wanted(&map->idx, map->rx, old))
		xsock_map_wake(map);
}

/**
 * xsock_map_cut - transmitter: has the ring come to its end, perhaps before the last bytes?
 * @map: the map
 *
 * Asked after a commit: false means that all bytes committed so far will be
 * there for the receiver, even if the ring is revoked at once and this process never
 * looks again. True: the last of them may not; what has not been consumed is still here.
 */
static inline bool xsock_map_cut(const struct xsock_map *map)
{
	/* Behind the barrier of xsock_tx_wanted(), which pairs with that of who leaves. */
	return (xsock_load(&map->tx->state) |
		(xsock_load(&map->rx->state) & ~(__u32)XSOCK_RX_CONNECTED)) != 0;
}

/**
 * xsock_map_peek - receiver: bytes that have come
 * @map: the map
 * @least: bytes wanted, 1 to the ring's size
 * @at: gets where to read
 *
 * Returns how many bytes may be read in a row, @least or more; fewer, if more will
 * never come; 0 at the end of the stream. -EAGAIN: not yet. Once everything that had
 * been published is consumed, -ENETRESET (suspended or quiesced), -EHOSTDOWN (the peer
 * is gone), -EPROTO. The bytes stay where they are until xsock_map_consume().
 */
static inline ssize_t xsock_map_peek(struct xsock_map *map, size_t least, const void **at)
{
	if (xsock_used(&map->idx) < least &&
	    (!xsock_rx_look(&map->idx, map->tx) || xsock_used(&map->idx) < least))
		return xsock_map_peek_slow(map, least, at);
	*at = map->data + xsock_position(&map->idx, map->idx.cons);
	return (ssize_t)xsock_used(&map->idx);
}

/* Receiver: give back the first @n of the bytes peeked at. Wakes who asked for it. */
static inline void xsock_map_consume(struct xsock_map *map, size_t n)
{
	if (xsock_rx_consume(&map->idx, map->rx, map->tx, n))
		xsock_map_wake(map);
}

#endif /* XENSOCKET_MAP_H */
