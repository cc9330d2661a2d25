// SPDX-License-Identifier: BSD-3-Clause
/*
 * Frames on a mapped ring. A good transmitter: each frame comes as soon as it has been committed,
 * once, in order, and whole, whatever the ring's end looks like; and the transmitter always gets
 * its room back. Then the fuzzer in its place: nothing that it writes leads out of the ring.
 */
#include "btl_xs_ring.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "input.h"

#define RING 4096

static struct xsock_map tx_map, rx_map;
static mca_btl_xs_ring_t tx, rx;
static unsigned char *area;
static uint64_t sent, received;
static unsigned long inputs, whole, ended, hostile;

/* The data twice in a row, and behind it nothing. */
static void prepare(void)
{
    int memory = memfd_create("ring", MFD_CLOEXEC);

    must(memory >= 0 && 0 == ftruncate(memory, 3 * RING));
    area = mmap(NULL, 5 * RING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(MAP_FAILED != area);
    must(area == mmap(area, 3 * RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0));
    must(MAP_FAILED != mmap(area + 3 * RING, RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                            memory, 2 * RING));
    close(memory);
}

static void begin(struct xsock_map *map, mca_btl_xs_ring_t *ring, int role)
{
    *map = (struct xsock_map){.idx = {.size = RING},
                              .rx = (struct xsock_rx_page *) area,
                              .tx = (struct xsock_tx_page *) (area + RING),
                              .data = area + 2 * RING,
                              .fd = -1,
                              .role = role};
    *ring = (mca_btl_xs_ring_t){.fd = -1, .map = map};
    mca_btl_xs_ring_check(ring, false);
}

static unsigned char content(uint64_t number, size_t at)
{
    return number * 31 + at;
}

static size_t size_of(uint64_t number)
{
    return (number * 0x9e3779b97f4a7c15u >> 40) % (mca_btl_xs_ring_most(RING) + 1);
}

static void sends(void)
{
    size_t size = size_of(sent);
    unsigned char *data;
    void *at;

    if (0 != mca_btl_xs_ring_reserve(&tx, size, &at)) {
        /* Else neither could go on, as nobody would wake the other. */
        must(sent != received);
        return;
    }
    *(mca_btl_xs_hdr_t *) at = (mca_btl_xs_hdr_t){.number = sent, .size = size,
                                                  .kind = MCA_BTL_XS_DATA};
    data = mca_btl_xs_ring_data(at);
    for (size_t i = 0; i < size; i++) {
        data[i] = content(sent, i);
    }
    mca_btl_xs_ring_commit(&tx, size);
    must(!mca_btl_xs_ring_cut(&tx));
    sent++;
}

static bool receives(void)
{
    mca_btl_xs_hdr_t hdr;
    unsigned char *data;
    void *at;
    int rc;

    must(mca_btl_xs_ring_quiet(&rx) == (sent == received));
    rc = mca_btl_xs_ring_peek(&rx, &hdr, &at);
    if (1 != rc) {
        must(sent == received);
        return false;
    }
    must(sent != received && hdr.number == received && hdr.size == size_of(received)
         && 0 == hdr.flags);
    data = at;
    for (size_t i = 0; i < hdr.size; i++) {
        must(data[i] == content(received, i));
    }
    mca_btl_xs_ring_consume(&rx, hdr.size);
    received++;
    whole++;
    return true;
}

/*
 * The ring is cut off: behind a frame, between a frame and its mark, or, as the kernel had no memory
 * for a copy of it, within a frame.
 */
static void ends(void)
{
    const unsigned int how = take(1) % 3, missing = 0 == take(1) % 2 ? 8 : MCA_BTL_XS_RING_ALIGN;
    mca_btl_xs_hdr_t *last = NULL, hdr;
    uint64_t at = MCA_BTL_XS_RING_OLDEST;
    bool within = false;
    void *data;

    if (0 != how && sent != received) {
        while (mca_btl_xs_ring_left(&tx, &at, &last)) {
            continue;
        }
        sent--;
        if (2 == how) {
            tx_map.tx->prod -= missing;
            memset((char *) last + mca_btl_xs_ring_need(last->size) - missing, 0, missing);
            /* That was all of it if there is little data. */
            within = 0 != last->flags;
        } else {
            last->flags &= ~MCA_BTL_XS_FLAG_READY;
        }
    }
    tx_map.tx->reason = XSOCK_REASON_SUSPEND;
    xsock_store_release(&tx_map.tx->state, XSOCK_TX_REVOKED);
    while (sent != received) {
        must(receives());
    }
    must((within ? -EPIPE : -ENETRESET) == mca_btl_xs_ring_peek(&rx, &hdr, &data));
    /* Of what has not been delivered the transmitter still knows, also when the receiver has left. */
    mca_btl_xs_ring_flush(&rx);
    if (1 == how && NULL != last) {
        at = MCA_BTL_XS_RING_OLDEST;
        must(mca_btl_xs_ring_left(&tx, &at, &last) && last->number == received);
        must(!mca_btl_xs_ring_left(&tx, &at, &last));
    }
    ended++;
}

/* The receiver's kernel puts its copy in the place of the ring, just when we look at the next frame. */
static void replaces(int number)
{
    (void) number;
    must(0 == mprotect(area + 2 * RING, 2 * RING, PROT_READ | PROT_WRITE));
    tx_map.tx->prod = rx.head;
    tx_map.tx->reason = XSOCK_REASON_QUIESCE;
    xsock_store_release(&tx_map.tx->state, XSOCK_TX_REVOKED);
}

/* A frame that was published too late for the copy, but with its mark in a page that is copied. */
static void comes_late(void)
{
    struct sigaction action = {.sa_handler = replaces}, before;
    mca_btl_xs_hdr_t hdr;
    void *data;

    while (sent != received) {
        must(receives());
    }
    mca_btl_xs_ring_flush(&rx);
    sends();
    must(sent != received && 0 == sigaction(SIGSEGV, &action, &before)
         && 0 == mprotect(area + 2 * RING, 2 * RING, PROT_NONE));
    must(0 > mca_btl_xs_ring_peek(&rx, &hdr, &data));
    must(0 == sigaction(SIGSEGV, &before, NULL) && XSOCK_TX_REVOKED == tx_map.tx->state);
    ended++;
}

static void attacks(void)
{
    mca_btl_xs_hdr_t *next = mca_btl_xs_ring_at(&rx, rx.head), hdr;
    volatile unsigned char *data;
    void *at;

    switch (take(1) % 8) {
    case 0:
        tx_map.tx->prod = rx_map.idx.prod + take(2);
        break;
    case 1:
        tx_map.tx->prod = take(8);
        break;
    case 2:
        tx_map.tx->state = take(1) % 16;
        tx_map.tx->reason = take(1);
        break;
    case 3:
        next->size = take(4);
        break;
    default:
        *next = (mca_btl_xs_hdr_t){.number = take(1), .size = take(2),
                                   .kind = 0 == take(1) % 8 ? take(1) : MCA_BTL_XS_DATA};
        next->flags = 0 == take(1) % 4 ? take(2) : MCA_BTL_XS_FLAG_READY;
        break;
    }
    if (mca_btl_xs_ring_peek(&rx, &hdr, &at) > 0) {
        data = at;
        must(data >= area + 2 * RING && data + hdr.size <= area + 4 * RING);
        for (size_t i = 0; i < hdr.size; i++) {
            (void) data[i];
        }
        mca_btl_xs_ring_consume(&rx, hdr.size);
        hostile++;
    }
    must(xsock_used(&rx_map.idx) <= RING);
    must(rx_map.rx->cons == rx_map.idx.cons);
}

/* Has it got anywhere? */
static void __attribute__((destructor)) look_back(void)
{
    must(1000 > inputs || (inputs < whole && inputs / 10 < ended && inputs / 4 < hostile));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (NULL == area) {
        prepare();
    }
    inputs++;
    input = data;
    input_left = len;
    memset(area, 0, 3 * RING);
    begin(&tx_map, &tx, XSOCK_ROLE_TX);
    begin(&rx_map, &rx, XSOCK_ROLE_RX);
    sent = received = take(2);
    for (unsigned int good = take(1); 0 != good && input_left; good--) {
        switch (take(1) % 4) {
        case 0:
            receives();
            break;
        case 1:
            mca_btl_xs_ring_flush(&rx);
            break;
        default:
            sends();
            break;
        }
    }
    switch (take(1) % 6) {
    case 0:
    case 3:
        ends();
        break;
    case 1:
        comes_late();
        break;
    default:
        break;
    }
    while (input_left) {
        attacks();
    }
    return 0;
}
