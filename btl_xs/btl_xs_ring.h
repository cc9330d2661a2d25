/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of a ring, as a queue of frames. A frame is an mca_btl_xs_ring_hdr_t and its data.
 * libxensocket does the rest.
 */
#ifndef MCA_BTL_XS_RING_H
#define MCA_BTL_XS_RING_H

#include <errno.h>
#include <string.h>

#include "btl_xs.h"
#include "btl_xs_wire.h"

BEGIN_C_DECLS

struct mca_btl_xs_ring_t {
    int fd;                /**< the xensocket */
    uint32_t port;         /**< transmitter: what its kernel knows it by */
    struct xsock_map *map; /**< NULL: a receiver that cannot map */
    bool checked;          /**< its frames have checksums: see mca_btl_xs_ring_check() */
    size_t limit;          /**< receiver: from this size on none is taken as it is */
    uint64_t tail;         /**< transmitter: offset of a frame not after the oldest that the
                                peer may still need */
    uint64_t head;         /**< receiver: offset of the next frame; the transmitter may believe
                                that we are not there yet */
    /* receiver without mapping: bytes that have been read and not consumed */
    unsigned char *bytes;
    size_t size;
    size_t begin;
    size_t end;
};
typedef struct mca_btl_xs_ring_t mca_btl_xs_ring_t;

/* Can one look at it without a system call? */
static inline bool mca_btl_xs_ring_mapped(const mca_btl_xs_ring_t *ring)
{
    return NULL != ring->map;
}

/* The frame that begins at this offset. */
static inline mca_btl_xs_hdr_t *mca_btl_xs_ring_at(const mca_btl_xs_ring_t *ring, uint64_t offset)
{
    return (mca_btl_xs_hdr_t *) (ring->map->data + xsock_position(&ring->map->idx, offset));
}

/* The data of a frame. */
static inline void *mca_btl_xs_ring_data(mca_btl_xs_hdr_t *hdr)
{
    return (mca_btl_xs_ring_hdr_t *) hdr + 1;
}

/* Receiver: is it certain that nothing new is there? */
static inline bool mca_btl_xs_ring_quiet(const mca_btl_xs_ring_t *ring)
{
    return NULL != ring->map
           && !(xsock_load(&mca_btl_xs_ring_at(ring, ring->head)->flags) & MCA_BTL_XS_FLAG_READY);
}

/* Bytes that it has. */
static inline size_t mca_btl_xs_ring_size(const mca_btl_xs_ring_t *ring)
{
    return NULL != ring->map ? ring->map->idx.size : ring->size;
}

/*
 * A new ring: with checksums no frame is taken as it is, and what a transmitter has written need not
 * stay there for the peer.
 */
static inline void mca_btl_xs_ring_check(mca_btl_xs_ring_t *ring, bool checksum)
{
    ring->checked = checksum;
    ring->limit = checksum ? 0 : mca_btl_xs_ring_size(ring) - sizeof(mca_btl_xs_ring_hdr_t) + 1;
}

/* Where a frame can begin. */
static inline uint64_t mca_btl_xs_ring_align(uint64_t offset)
{
    return (offset + MCA_BTL_XS_RING_ALIGN - 1) & ~(uint64_t) (MCA_BTL_XS_RING_ALIGN - 1);
}

/* Bytes that a frame takes in a ring. */
static inline size_t mca_btl_xs_ring_need(size_t size)
{
    return mca_btl_xs_ring_align(sizeof(mca_btl_xs_ring_hdr_t) + size);
}

/*
 * Largest @size of a frame: there is room for four of them, and for the head that follows, so that
 * both sides always have work.
 */
static inline size_t mca_btl_xs_ring_most(size_t ring_size)
{
    return mca_btl_xs_ring_align(ring_size / 4) - MCA_BTL_XS_RING_ALIGN
           - sizeof(mca_btl_xs_ring_hdr_t);
}

/*
 * Transmitter: makes a ring for a domain, and the offer; 0 or a code of libxensocket.
 */
int mca_btl_xs_ring_offer(uint16_t peer, size_t size, uint8_t offer[XSOCK_OFFER_SIZE],
                          mca_btl_xs_ring_t **ring);

/* Receiver: takes up an offer, which has to come from domain @peer. As above. */
int mca_btl_xs_ring_connect(const uint8_t offer[XSOCK_OFFER_SIZE], uint16_t peer,
                            mca_btl_xs_ring_t **ring);

/* Gives back all. A peer can still read what has been written. NULL is fine. */
void mca_btl_xs_ring_close(mca_btl_xs_ring_t *ring);

/*
 * Transmitter: lets go of frames that have been consumed to their last byte, so that @need
 * bytes of their place can be used again; 0 or -EAGAIN.
 */
int mca_btl_xs_ring_reserve_slow(mca_btl_xs_ring_t *ring, size_t need);

/*
 * Transmitter: room for a frame, and the head of the next one; 0, -EAGAIN, or why the ring has come to its end.
 */
static inline int mca_btl_xs_ring_reserve(mca_btl_xs_ring_t *ring, size_t size, void **at)
{
    size_t need = mca_btl_xs_ring_need(size) + sizeof(mca_btl_xs_hdr_t);
    struct xsock_map *map = ring->map;
    ssize_t room = xsock_map_reserve(map, need, at);

    if (OPAL_UNLIKELY(room < 0)) {
        return (int) room;
    }
    if (map->idx.prod + need - ring->tail <= map->idx.size) {
        return 0;
    }
    return mca_btl_xs_ring_reserve_slow(ring, need);
}

/* Transmitter: sends what has been written at the place that was reserved. */
static inline void mca_btl_xs_ring_commit(mca_btl_xs_ring_t *ring, size_t size)
{
    size_t need = mca_btl_xs_ring_need(size);
    mca_btl_xs_hdr_t *hdr = mca_btl_xs_ring_at(ring, ring->map->idx.prod);

    xsock_store(&((mca_btl_xs_hdr_t *) ((char *) hdr + need))->flags, 0);
    xsock_map_commit_marked(ring->map, need, &hdr->flags, hdr->flags | MCA_BTL_XS_FLAG_READY);
}

/*
 * Transmitter, after a commit: may that have come too late? If not it gets there, though
 * nobody here looks at the ring again.
 */
static inline bool mca_btl_xs_ring_cut(const mca_btl_xs_ring_t *ring)
{
    return xsock_map_cut(ring->map);
}

/* Transmitter: 0, or why the peer cannot read here any more. Needs no system call. */
int mca_btl_xs_ring_end(mca_btl_xs_ring_t *ring);

/*
 * Transmitter: the frames that the peer may not have consumed, oldest first, also when
 * the ring has come to its end. *@at begins with MCA_BTL_XS_RING_OLDEST; false: no more.
 */
#define MCA_BTL_XS_RING_OLDEST UINT64_MAX
bool mca_btl_xs_ring_left(mca_btl_xs_ring_t *ring, uint64_t *at, mca_btl_xs_hdr_t **hdr);

/*
 * Receiver: the next frame. 1, with a copy of its head, and its data, which stay where
 * they are until mca_btl_xs_ring_consume(); 0: not yet; or why none will come.
 * MCA_BTL_XS_RING_CHECKED: as 1, with a checksum, which is right. -EBADMSG: it is wrong.
 */
#define MCA_BTL_XS_RING_CHECKED 2
int mca_btl_xs_ring_peek(mca_btl_xs_ring_t *ring, mca_btl_xs_hdr_t *hdr, void **data);
void mca_btl_xs_ring_consume(mca_btl_xs_ring_t *ring, size_t size);

/*
 * Receiver: tells the transmitter how far it has got, which else is told now and then only. Before
 * the kernel is asked whether there is more.
 */
void mca_btl_xs_ring_flush(mca_btl_xs_ring_t *ring);

END_C_DECLS

#endif /* MCA_BTL_XS_RING_H */
