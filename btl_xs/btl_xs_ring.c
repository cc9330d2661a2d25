/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_ring.h"

#include <sys/socket.h>
#include <unistd.h>

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
    xsock_map_close(ring->map);
    close(ring->fd);
    free(ring->bytes);
    free(ring);
}

static mca_btl_xs_hdr_t *mca_btl_xs_ring_at(mca_btl_xs_ring_t *ring, uint64_t offset)
{
    return (mca_btl_xs_hdr_t *) (ring->map->data + xsock_position(&ring->map->idx, offset));
}

static void mca_btl_xs_ring_move_tail(mca_btl_xs_ring_t *ring)
{
    const struct xsock_idx *idx = &ring->map->idx;

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

static inline ssize_t mca_btl_xs_ring_bytes(mca_btl_xs_ring_t *ring, size_t least, const void **at)
{
    return NULL != ring->map ? xsock_map_peek(ring->map, least, at)
                             : mca_btl_xs_ring_read(ring, least, at);
}

int mca_btl_xs_ring_peek(mca_btl_xs_ring_t *ring, mca_btl_xs_hdr_t *hdr, void **data)
{
    size_t size = NULL != ring->map ? ring->map->idx.size : ring->size;
    const void *at;
    ssize_t rc, need;

    rc = mca_btl_xs_ring_bytes(ring, sizeof(*hdr), &at);
    if (rc < (ssize_t) sizeof(*hdr)) {
        if (-EAGAIN == rc || -EINTR == rc) {
            return 0;
        }
        /* The end, or part of a head and then the end. */
        return rc < 0 ? (int) rc : -EPIPE;
    }
    /* Once: the peer's domain could change it under our eyes. */
    memcpy(hdr, at, sizeof(*hdr));
    if (hdr->size > size - sizeof(*hdr) || MCA_BTL_XS_DATA != hdr->kind) {
        return -EPROTO;
    }
    need = mca_btl_xs_ring_need(hdr->size);
    if (OPAL_UNLIKELY(rc < need)) {
        /* A frame is published in one go; a reader may still get it in pieces. */
        rc = mca_btl_xs_ring_bytes(ring, need, &at);
    }
    if (OPAL_UNLIKELY(rc < need)) {
        return -EAGAIN == rc || -EINTR == rc ? 0 : rc < 0 ? (int) rc : -EPIPE;
    }
    *data = (unsigned char *) at + sizeof(*hdr);
    return 1;
}

void mca_btl_xs_ring_consume(mca_btl_xs_ring_t *ring, size_t size)
{
    if (NULL != ring->map) {
        xsock_map_consume(ring->map, mca_btl_xs_ring_need(size));
    } else {
        ring->begin += mca_btl_xs_ring_need(size);
    }
}
