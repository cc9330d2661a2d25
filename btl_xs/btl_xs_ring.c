/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_ring.h"

#include <sys/socket.h>
#include <unistd.h>

#include "btl_xs_crc.h"

/* With heads of 16 and 32 bytes behind it: see mca_btl_xs_ring_hdr_t. */
_Static_assert(32 == sizeof(mca_btl_xs_ring_hdr_t), "what the user sends would not be aligned");

static int mca_btl_xs_ring_new(int fd, mca_btl_xs_ring_t **result)
{
    mca_btl_xs_ring_t *ring = calloc(1, sizeof(*ring));
    struct xsock_info info;
    int rc;

    if (NULL == ring) {
        close(fd);
        return -ENOMEM;
    }
    ring->fd = fd;
    rc = xsock_map_open(fd, &ring->map);
    if (-EOPNOTSUPP == rc) {
        /* A receiver in a PV guest: it reads. */
        rc = xsock_get_info(fd, &info);
        if (0 == rc) {
            ring->size = info.size;
            ring->bytes = malloc(ring->size);
            rc = NULL == ring->bytes ? -ENOMEM : 0;
        }
    }
    if (0 != rc) {
        mca_btl_xs_ring_close(ring);
        return rc;
    }
    mca_btl_xs_ring_check(ring, false);
    *result = ring;
    return 0;
}

int mca_btl_xs_ring_offer(uint16_t peer, size_t size, uint8_t bytes[XSOCK_OFFER_SIZE],
                          mca_btl_xs_ring_t **ring)
{
    struct xsock_offer offer;
    int rc, fd = xsock_offer_create(peer, size, SOCK_NONBLOCK, &offer);

    if (fd < 0) {
        return fd;
    }
    xsock_offer_encode(&offer, bytes);
    rc = mca_btl_xs_ring_new(fd, ring);
    if (0 == rc) {
        (*ring)->port = offer.port;
    }
    return rc;
}

int mca_btl_xs_ring_connect(const uint8_t bytes[XSOCK_OFFER_SIZE], uint16_t peer,
                            mca_btl_xs_ring_t **ring)
{
    struct xsock_offer offer;
    int rc = xsock_offer_decode(bytes, XSOCK_OFFER_SIZE, &offer);

    if (0 != rc) {
        return rc;
    }
    if (offer.domid != peer) {
        return -EBADMSG;
    }
    rc = xsock_connect(&offer, SOCK_NONBLOCK);
    return rc < 0 ? rc : mca_btl_xs_ring_new(rc, ring);
}

void mca_btl_xs_ring_close(mca_btl_xs_ring_t *ring)
{
    if (NULL == ring) {
        return;
    }
    mca_btl_xs_ring_flush(ring);
    xsock_map_close(ring->map);
    close(ring->fd);
    free(ring->bytes);
    free(ring);
}

static void mca_btl_xs_ring_move_tail(mca_btl_xs_ring_t *ring)
{
    const struct xsock_idx *idx = &ring->map->idx;

    if (ring->checked) {
        ring->tail = idx->cons;
        return;
    }
    /* The heads are our own writing: nobody else can write here. */
    while (ring->tail != idx->cons) {
        uint64_t next = ring->tail
                        + mca_btl_xs_ring_need(mca_btl_xs_ring_at(ring, ring->tail)->size);

        if (next > idx->cons) {
            break;
        }
        ring->tail = next;
    }
}

int mca_btl_xs_ring_reserve_slow(mca_btl_xs_ring_t *ring, size_t need)
{
    struct xsock_idx *idx = &ring->map->idx;

    mca_btl_xs_ring_move_tail(ring);
    if (idx->prod + need - ring->tail > idx->size && xsock_tx_look(idx, ring->map->rx)) {
        /* A receiver that reads may have consumed part of a frame when we last looked. */
        mca_btl_xs_ring_move_tail(ring);
    }
    return idx->prod + need - ring->tail <= idx->size ? 0 : -EAGAIN;
}

int mca_btl_xs_ring_end(mca_btl_xs_ring_t *ring)
{
    void *at;
    ssize_t rc = xsock_map_reserve(ring->map, 1, &at);

    return rc >= 0 || -EAGAIN == rc ? 0 : (int) rc;
}

bool mca_btl_xs_ring_left(mca_btl_xs_ring_t *ring, uint64_t *at, mca_btl_xs_hdr_t **hdr)
{
    if (MCA_BTL_XS_RING_OLDEST == *at) {
        /* The newest that is known. If it is impossible the last possible one counts. */
        (void) xsock_tx_look(&ring->map->idx, ring->map->rx);
        mca_btl_xs_ring_move_tail(ring);
        *at = ring->tail;
    } else {
        *at += mca_btl_xs_ring_need(mca_btl_xs_ring_at(ring, *at)->size);
    }
    if (*at == ring->map->idx.prod) {
        return false;
    }
    *hdr = mca_btl_xs_ring_at(ring, *at);
    return true;
}

/* At least @least bytes in a row, as xsock_map_peek() has it. */
static ssize_t mca_btl_xs_ring_read(mca_btl_xs_ring_t *ring, size_t least, const void **at)
{
    ssize_t rc = 1;

    while (ring->end - ring->begin < least && rc > 0) {
        if (0 != ring->begin) {
            memmove(ring->bytes, ring->bytes + ring->begin, ring->end - ring->begin);
            ring->end -= ring->begin;
            ring->begin = 0;
        }
        rc = recv(ring->fd, ring->bytes + ring->end, ring->size - ring->end, MSG_DONTWAIT);
        if (rc > 0) {
            ring->end += rc;
        } else if (rc < 0) {
            rc = -errno;
        }
    }
    *at = ring->bytes + ring->begin;
    return ring->end - ring->begin >= least || rc >= 0 ? (ssize_t) (ring->end - ring->begin)
                                                       : rc;
}

/*
 * The next frame of a mapped ring has not been marked as ready, though the ring may have come to its end.
 * What has been published without a mark is neither delivered nor consumed: the transmitter, which
 * knows that it was cut off, sends again what it does not see consumed, and may still see that.
 * 0: not yet; 1: it has been marked meanwhile; or why none will come.
 */
static __opal_attribute_noinline__ ssize_t mca_btl_xs_ring_ended(mca_btl_xs_ring_t *ring)
{
    const void *at;
    ssize_t rc;

    if (!mca_btl_xs_ring_quiet(ring)) {
        return 1;
    }
    mca_btl_xs_ring_flush(ring);
    rc = xsock_map_peek_slow(ring->map, 1, &at);
    if (rc > 0) {
        return mca_btl_xs_ring_quiet(ring) ? -ENETRESET : 1;
    }
    /* Frames are aligned, but what a peer has published need not be. */
    ring->head = mca_btl_xs_ring_align(ring->map->idx.cons);
    return -EAGAIN == rc ? 0 : 0 == rc ? -EPIPE : rc;
}

/* Will nothing new come on a mapped ring? */
static inline bool mca_btl_xs_ring_closed(const mca_btl_xs_ring_t *ring)
{
    return 0 != (xsock_load_acquire(&ring->map->tx->state)
                 & (XSOCK_TX_FIN | XSOCK_TX_CLOSED | XSOCK_TX_REVOKED));
}

/* Is the next frame of a mapped ring there? 1, 0, or why none will come. */
static inline ssize_t mca_btl_xs_ring_ready(mca_btl_xs_ring_t *ring)
{
    /* Acquire: what was written before the mark. */
    if (OPAL_LIKELY(xsock_load_acquire(&mca_btl_xs_ring_at(ring, ring->head)->flags)
                    & MCA_BTL_XS_FLAG_READY)) {
        return 1;
    }
    /* Not the index: the transmitter would wait for its line the next time. */
    if (OPAL_LIKELY(0 == ring->map->error && !mca_btl_xs_ring_closed(ring))) {
        return 0;
    }
    return mca_btl_xs_ring_ended(ring);
}

/* How many bytes can be looked at; @least or more, or no frame is there, or it is cut short. */
static inline ssize_t mca_btl_xs_ring_bytes(mca_btl_xs_ring_t *ring, size_t least, const void **at)
{
    const struct xsock_map *map = ring->map;
    uint64_t there;
    ssize_t rc;

    if (OPAL_UNLIKELY(NULL == map)) {
        return mca_btl_xs_ring_read(ring, least, at);
    }
    rc = mca_btl_xs_ring_ready(ring);
    if (rc <= 0) {
        return 0 == rc ? -EAGAIN : rc;
    }
    *at = mca_btl_xs_ring_at(ring, ring->head);
    if (OPAL_LIKELY(!mca_btl_xs_ring_closed(ring))) {
        /* A frame is ready as a whole, and its size is compared with the ring's. */
        return (ssize_t) map->idx.size;
    }
    /* These may be copies, which end early if the kernel had no memory. */
    there = xsock_load_acquire(&map->tx->prod) - ring->head;
    return there <= map->idx.size ? (ssize_t) there : 0;
}

/* There are less bytes than a frame needs: not yet, or why it will not come: a part is the end. */
static int mca_btl_xs_ring_short(ssize_t rc)
{
    return -EAGAIN == rc || -EINTR == rc ? 0 : rc < 0 ? (int) rc : -EPIPE;
}

/*
 * A frame that is not plain data: as mca_btl_xs_ring_peek(). Nothing in the head is believed before
 * its checksum, least of all how long to wait for what follows.
 */
static __opal_attribute_noinline__ int
mca_btl_xs_ring_peek_checked(mca_btl_xs_ring_t *ring, mca_btl_xs_hdr_t *hdr, void **data)
{
    mca_btl_xs_ring_hdr_t frame;
    const void *at;
    ssize_t rc, need;

    if (!ring->checked) {
        return -EPROTO;
    }
    rc = mca_btl_xs_ring_bytes(ring, sizeof(frame), &at);
    if (rc < (ssize_t) sizeof(frame)) {
        return mca_btl_xs_ring_short(rc);
    }
    memcpy(&frame, at, sizeof(frame));
    if (frame.check.head != mca_btl_xs_crc(0, hdr, sizeof(*hdr))) {
        return -EBADMSG;
    }
    if (MCA_BTL_XS_CHECKED != hdr->kind
        || hdr->size > mca_btl_xs_ring_size(ring) - sizeof(frame)) {
        return -EPROTO;
    }
    need = mca_btl_xs_ring_need(hdr->size);
    rc = mca_btl_xs_ring_bytes(ring, need, &at);
    if (rc < need) {
        return mca_btl_xs_ring_short(rc);
    }
    hdr->kind = MCA_BTL_XS_DATA;
    *data = (char *) at + sizeof(frame);
    return frame.check.all == mca_btl_xs_crc(frame.check.head, *data, hdr->size)
               ? MCA_BTL_XS_RING_CHECKED
               : -EBADMSG;
}

/* ... of a ring that is not mapped, or that has come to its end, or with checksums; or an odd one. */
static __opal_attribute_noinline__ int
mca_btl_xs_ring_peek_slow(mca_btl_xs_ring_t *ring, mca_btl_xs_hdr_t *hdr, void **data)
{
    const void *at;
    ssize_t rc, need;

    rc = mca_btl_xs_ring_bytes(ring, sizeof(*hdr), &at);
    if (rc < (ssize_t) sizeof(*hdr)) {
        return mca_btl_xs_ring_short(rc);
    }
    /* Once: the peer's domain could change it under our eyes. */
    memcpy(hdr, at, sizeof(*hdr));
    hdr->flags &= ~MCA_BTL_XS_FLAG_READY;
    if (hdr->size >= ring->limit || MCA_BTL_XS_DATA != hdr->kind) {
        return mca_btl_xs_ring_peek_checked(ring, hdr, data);
    }
    need = mca_btl_xs_ring_need(hdr->size);
    if (rc < need) {
        /* A frame is published in one go; a reader may still get it in pieces. */
        rc = mca_btl_xs_ring_bytes(ring, need, &at);
    }
    if (rc < need) {
        return mca_btl_xs_ring_short(rc);
    }
    *data = (unsigned char *) at + sizeof(mca_btl_xs_ring_hdr_t);
    return 1;
}

int mca_btl_xs_ring_peek(mca_btl_xs_ring_t *ring, mca_btl_xs_hdr_t *hdr, void **data)
{
    mca_btl_xs_hdr_t *at;
    uint16_t flags;

    if (OPAL_UNLIKELY(NULL == ring->map)) {
        return mca_btl_xs_ring_peek_slow(ring, hdr, data);
    }
    at = mca_btl_xs_ring_at(ring, ring->head);
    /*
     * Acquire: what was written before the mark. The end is looked for after it: in the kernel's copy
     * there may be a mark, and the frame's first bytes, of a frame that was published too late for it.
     */
    flags = xsock_load_acquire(&at->flags);
    if (OPAL_UNLIKELY(mca_btl_xs_ring_closed(ring))) {
        return mca_btl_xs_ring_peek_slow(ring, hdr, data);
    }
    if (!(flags & MCA_BTL_XS_FLAG_READY)) {
        /* Not the index: the transmitter would wait for its line the next time. */
        return OPAL_LIKELY(0 == ring->map->error) ? 0 : mca_btl_xs_ring_peek_slow(ring, hdr, data);
    }
    /* Once: the peer's domain could change it under our eyes. */
    memcpy(hdr, at, sizeof(*hdr));
    hdr->flags &= ~MCA_BTL_XS_FLAG_READY;
    if (OPAL_UNLIKELY(hdr->size >= ring->limit || MCA_BTL_XS_DATA != hdr->kind)) {
        return mca_btl_xs_ring_peek_slow(ring, hdr, data);
    }
    *data = mca_btl_xs_ring_data(at);
    return 1;
}

void mca_btl_xs_ring_flush(mca_btl_xs_ring_t *ring)
{
    const void *at;
    ssize_t rc;
    size_t n;

    if (NULL == ring->map || XSOCK_ROLE_RX != ring->map->role
        || 0 == (n = ring->head - ring->map->idx.cons)) {
        return;
    }
    /* A transmitter that marks what it has not published may wait until it does. */
    rc = xsock_map_peek(ring->map, n, &at);
    if (rc > 0) {
        xsock_map_consume(ring->map, rc < (ssize_t) n ? (size_t) rc : n);
    }
}

void mca_btl_xs_ring_consume(mca_btl_xs_ring_t *ring, size_t size)
{
    size_t need = mca_btl_xs_ring_need(size);

    if (OPAL_UNLIKELY(NULL == ring->map)) {
        ring->begin += need;
        return;
    }
    ring->head += need;
    /* Each time would be a line that goes back and forth, and a barrier before the answer. */
    if (OPAL_UNLIKELY(ring->head - ring->map->idx.cons > ring->map->idx.size / 8)) {
        mca_btl_xs_ring_flush(ring);
    }
}
