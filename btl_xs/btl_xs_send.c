/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_send.h"

#include "btl_xs_crc.h"
#include "btl_xs_failover.h"
#include "btl_xs_progress.h"
#include "btl_xs_receive.h"

/*
 * For tests: whether the next fragment goes by ring, decided at random for each so many, but
 * in each run in the same way.
 */
static bool mca_btl_xs_send_flipped(const mca_btl_xs_endpoint_t *endpoint)
{
    uint64_t group = endpoint->tx_next / mca_btl_xs_component.debug_flip + 1;

    group *= 0x9e3779b97f4a7c15u;
    group = (group ^ (group >> 32)) * 0xd6e8feb86659fd93u;
    return 0 == group >> 63;
}

/* The wire of the next fragment. */
static bool mca_btl_xs_send_by_ring(mca_btl_xs_endpoint_t *endpoint, size_t size)
{
    if (MCA_BTL_XS_PATH_XS != endpoint->tx_path
        || size > mca_btl_xs_ring_most(endpoint->tx_ring->map->idx.size)) {
        return false;
    }
    return OPAL_LIKELY(0 == mca_btl_xs_component.debug_flip)
           || mca_btl_xs_send_flipped(endpoint);
}

/* A fragment of @size bytes has been written to the ring. */
static inline __opal_attribute_always_inline__ void
mca_btl_xs_send_written(mca_btl_xs_endpoint_t *endpoint, size_t size)
{
    mca_btl_xs_ring_commit(endpoint->tx_ring, size);
    endpoint->idle = 0;
    endpoint->counters.xs_frags++;
    endpoint->counters.xs_bytes += size;
    if (OPAL_UNLIKELY(mca_btl_xs_ring_cut(endpoint->tx_ring))) {
        mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_REVOKED);
        return;
    }
    if (OPAL_UNLIKELY(0 != mca_btl_xs_component.debug_revoke)
        && 0 == endpoint->counters.xs_frags % mca_btl_xs_component.debug_revoke) {
        endpoint->tried_epoch = 0;
        mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_REVOKED);
    }
}

/* The next fragment is on the ring, except its head, which is at @hdr. */
static void mca_btl_xs_send_commit(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_hdr_t *hdr,
                                   size_t size, mca_btl_base_tag_t tag)
{
    *hdr = (mca_btl_xs_hdr_t){.number = endpoint->tx_next++,
                              .covered = mca_btl_xs_receive_covered(endpoint),
                              .size = size,
                              .kind = MCA_BTL_XS_DATA,
                              .tag = tag};
    mca_btl_xs_send_written(endpoint, size);
}

/* The data of a fragment, @size bytes, to the ring. 0, or -EAGAIN, or the ring has come to its end. */
static inline __opal_attribute_always_inline__ int
mca_btl_xs_send_write(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag, size_t size,
                      mca_btl_xs_hdr_t **head)
{
    void *at;
    int rc = mca_btl_xs_ring_reserve(endpoint->tx_ring, size, &at);

    if (OPAL_UNLIKELY(0 != rc)) {
        if (-EAGAIN != rc) {
            MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: ring: %s",
                               OPAL_NAME_PRINT(endpoint->proc->proc_name), xsock_strerror(rc));
            mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_REVOKED);
        }
        return rc;
    }
    *head = at;
    at = mca_btl_xs_ring_data(*head);
    memcpy(at, frag->segments[0].seg_addr.pval, frag->segments[0].seg_len);
    if (mca_btl_xs_frag_in_place(frag)) {
        memcpy((char *) at + frag->segments[0].seg_len, frag->segments[1].seg_addr.pval,
               frag->segments[1].seg_len);
    }
    return 0;
}

/* 0: the fragment is on the ring. Or as above. */
static int mca_btl_xs_send_to_ring(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    size_t size = mca_btl_xs_frag_size(frag);
    mca_btl_xs_hdr_t *hdr;
    int rc = mca_btl_xs_send_write(endpoint, frag, size, &hdr);

    if (OPAL_LIKELY(0 == rc)) {
        mca_btl_xs_send_commit(endpoint, hdr, size, frag->frame.hdr.tag);
    }
    return rc;
}

/* The lock is held, and given up while tcp works. tx_busy is ours. */
static void mca_btl_xs_send_to_tcp(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    int rc;

    endpoint->counters.tcp_frags++;
    endpoint->counters.tcp_bytes += frag->frame.hdr.size;
    /* It could be covered, and gone, before tcp comes back. */
    mca_btl_xs_frag_retain(frag);
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    rc = mca_btl_xs_tcp_send(endpoint, frag);
    /* What could not be sent now is retained, and tx_again is set. */
    if (OPAL_UNLIKELY(OPAL_SUCCESS != rc)
        && (OPAL_ERR_UNREACH != rc || !endpoint->tcp_known)) {
        mca_btl_xs_endpoint_lost(endpoint);
    }
    mca_btl_xs_frag_release(frag);
    OPAL_THREAD_LOCK(&endpoint->lock);
}

/* Memory of ours that a peer may keep in use: there is a limit to it. */
static void mca_btl_xs_send_hold(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    endpoint->tx_held += mca_btl_xs_frag_size(frag);
    frag->held = true;
}

static void mca_btl_xs_send_let_go(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    if (frag->held) {
        endpoint->tx_held -= mca_btl_xs_frag_size(frag);
        frag->held = false;
    }
}

/* Into tx_retained by number; nearly always at the end. */
static void mca_btl_xs_send_keep(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    opal_list_item_t *item = opal_list_get_last(&endpoint->tx_retained);

    while (opal_list_get_begin(&endpoint->tx_retained) != item
           && ((mca_btl_xs_frag_t *) item)->frame.hdr.number > frag->frame.hdr.number) {
        item = opal_list_get_prev(item);
    }
    opal_list_insert_pos(&endpoint->tx_retained, opal_list_get_next(item),
                         (opal_list_item_t *) frag);
}

/* Gives a fragment on the ring its checksum: of what is retained, not of the copy there. */
static void mca_btl_xs_send_check(mca_btl_xs_frag_t *frag, mca_btl_xs_hdr_t *hdr)
{
    mca_btl_xs_check_t *check = &((mca_btl_xs_ring_hdr_t *) hdr)->check;

    hdr->kind = MCA_BTL_XS_CHECKED;
    check->head = mca_btl_xs_crc(0, hdr, sizeof(*hdr));
    check->all = mca_btl_xs_frag_crc(frag, check->head);
}

/*
 * The first one of tx_pending, to a ring: with a checksum, or, for tests, damaged. What has a checksum
 * is also retained, as what lies on the ring may be what gets damaged. As mca_btl_xs_send_to_ring().
 */
static int mca_btl_xs_send_specially(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    size_t size = mca_btl_xs_frag_size(frag);
    mca_btl_xs_hdr_t *hdr;
    int rc = mca_btl_xs_send_write(endpoint, frag, size, &hdr);

    if (0 != rc) {
        return rc;
    }
    frag->frame.hdr = (mca_btl_xs_hdr_t){.number = endpoint->tx_next++,
                                         .covered = mca_btl_xs_receive_covered(endpoint),
                                         .size = size,
                                         .kind = MCA_BTL_XS_DATA,
                                         .tag = frag->frame.hdr.tag};
    if (endpoint->checksum && MCA_BTL_XS_OWED_COVERED == frag->owed) {
        frag->frame.hdr.flags = MCA_BTL_XS_FLAG_WAITING;
    }
    *hdr = frag->frame.hdr;
    opal_list_remove_first(&endpoint->tx_pending);
    if (endpoint->checksum) {
        mca_btl_xs_send_check(frag, hdr);
        frag->on_ring = true;
        mca_btl_xs_send_keep(endpoint, frag);
    }
    if (0 != mca_btl_xs_component.debug_corrupt && 0 != size
        && 0 == ++endpoint->tx_damaged % mca_btl_xs_component.debug_corrupt) {
        ((unsigned char *) mca_btl_xs_ring_data(hdr))[size - 1] ^= 1;
    }
    mca_btl_xs_send_written(endpoint, size);
    return 0;
}

/* The last one retained that is not on the ring, or, with @on_ring, that is; or NULL. */
static mca_btl_xs_frag_t *mca_btl_xs_send_last(mca_btl_xs_endpoint_t *endpoint, bool on_ring)
{
    opal_list_item_t *item = opal_list_get_last(&endpoint->tx_retained);

    while (opal_list_get_begin(&endpoint->tx_retained) != item
           && ((mca_btl_xs_frag_t *) item)->on_ring != on_ring) {
        item = opal_list_get_prev(item);
    }
    return opal_list_get_begin(&endpoint->tx_retained) == item ? NULL : (mca_btl_xs_frag_t *) item;
}

/* The one after @frag, which had this number and may be gone by now, as may all before it. */
static mca_btl_xs_frag_t *mca_btl_xs_send_following(mca_btl_xs_endpoint_t *endpoint,
                                                    mca_btl_xs_frag_t *frag, uint64_t number)
{
    return (mca_btl_xs_frag_t *) (number < endpoint->tx_covered
                                      ? opal_list_get_first(&endpoint->tx_retained)
                                      : opal_list_get_next(&frag->base.super.super));
}

/* ... and all that was on it is retained, as it has checksums. */
static void mca_btl_xs_send_resync_checked(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_frag_t *frag = mca_btl_xs_send_last(endpoint, true);
    uint64_t number;

    if (NULL == frag || endpoint->quiet) {
        mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_COVERED);
        return;
    }
    frag->frame.hdr.flags |= MCA_BTL_XS_FLAG_WAITING;
    endpoint->tx_resync_end = frag->frame.hdr.number + 1;
    frag = (mca_btl_xs_frag_t *) opal_list_get_first(&endpoint->tx_retained);
    while ((opal_list_item_t *) frag != opal_list_get_end(&endpoint->tx_retained)) {
        number = frag->frame.hdr.number;
        if (frag->on_ring) {
            frag->on_ring = false;
            endpoint->counters.resent++;
            mca_btl_xs_send_to_tcp(endpoint, frag);
        }
        frag = mca_btl_xs_send_following(endpoint, frag, number);
    }
}

/*
 * The ring has come to its end: what the peer may not have seen goes over TCP. Here it
 * does not matter whether it sees a fragment twice.
 */
static void mca_btl_xs_send_resync(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_ring_t *ring = endpoint->tx_ring;
    uint64_t at = MCA_BTL_XS_RING_OLDEST;
    mca_btl_xs_frag_t *frag;
    mca_btl_xs_hdr_t *hdr;
    opal_list_t left;

    endpoint->tx_resync = false;
    endpoint->tx_ring = NULL;
    if (OPAL_UNLIKELY(endpoint->checksum)) {
        mca_btl_xs_ring_close(ring);
        mca_btl_xs_send_resync_checked(endpoint);
        return;
    }
    OBJ_CONSTRUCT(&left, opal_list_t);
    while (!endpoint->quiet && mca_btl_xs_ring_left(ring, &at, &hdr)) {
        if (hdr->number < endpoint->tx_covered) {
            continue;
        }
        frag = mca_btl_xs_frag_alloc(hdr->size, MCA_BTL_DES_FLAGS_BTL_OWNERSHIP);
        if (OPAL_UNLIKELY(NULL == frag)) {
            mca_btl_xs_endpoint_no_memory(endpoint);
            break;
        }
        frag->endpoint = endpoint;
        frag->frame.hdr = *hdr;
        frag->frame.hdr.flags &= ~MCA_BTL_XS_FLAG_READY;
        memcpy(mca_btl_xs_frag_data(frag), mca_btl_xs_ring_data(hdr), hdr->size);
        opal_list_append(&left, (opal_list_item_t *) frag);
    }
    mca_btl_xs_ring_close(ring);
    if (opal_list_is_empty(&left)) {
        mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_COVERED);
    } else {
        frag = (mca_btl_xs_frag_t *) opal_list_get_last(&left);
        frag->frame.hdr.flags |= MCA_BTL_XS_FLAG_WAITING;
        endpoint->tx_resync_end = frag->frame.hdr.number + 1;
    }
    while (NULL != (frag = (mca_btl_xs_frag_t *) opal_list_remove_first(&left))) {
        if (OPAL_UNLIKELY(frag->frame.hdr.number < endpoint->tx_covered)) {
            /* Meanwhile, by another thread: nobody would take it out of tx_retained. */
            mca_btl_xs_frag_return(frag);
            continue;
        }
        endpoint->counters.resent++;
        mca_btl_xs_send_hold(endpoint, frag);
        mca_btl_xs_send_keep(endpoint, frag);
        mca_btl_xs_send_to_tcp(endpoint, frag);
    }
    OBJ_DESTRUCT(&left);
}

/*
 * A connection has broken, and there is a new one: what the peer does not have goes there. The
 * lock is held, and given up meanwhile.
 */
static void mca_btl_xs_send_again(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_frag_t *frag, *last = mca_btl_xs_send_last(endpoint, false);
    uint64_t number;

    endpoint->tx_again = false;
    if (NULL != last) {
        /* Nobody might ever say that it has come. */
        last->frame.hdr.flags |= MCA_BTL_XS_FLAG_WAITING;
    }
    frag = (mca_btl_xs_frag_t *) opal_list_get_first(&endpoint->tx_retained);
    while ((opal_list_item_t *) frag != opal_list_get_end(&endpoint->tx_retained)
           && MCA_BTL_XS_TCP_UP == endpoint->tcp_state) {
        number = frag->frame.hdr.number;
        /* One that tcp has been given by the new connection already is on its way there. */
        if (NULL == frag->des && !frag->on_ring) {
            endpoint->counters.repeated++;
            mca_btl_xs_send_to_tcp(endpoint, frag);
        }
        frag = mca_btl_xs_send_following(endpoint, frag, number);
    }
}

/* Libevent is to send what this thread must not. */
static void mca_btl_xs_send_later(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_progress_wake(endpoint);
    event_active(&endpoint->tx_event, OPAL_EV_TIMEOUT, 0);
}

bool mca_btl_xs_send_waits_for_tcp(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_frag_t *frag;

    if (opal_list_is_empty(&endpoint->tx_pending)) {
        return false;
    }
    frag = (mca_btl_xs_frag_t *) opal_list_get_first(&endpoint->tx_pending);
    return !mca_btl_xs_send_by_ring(endpoint, mca_btl_xs_frag_size(frag));
}

void mca_btl_xs_send_told(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    const bool cover = MCA_BTL_XS_COVER == frag->frame.hdr.kind;
    bool known;

    OPAL_THREAD_LOCK(&endpoint->lock);
    /* What one says is written when it goes to tcp, so that a second one would say nothing else. */
    known = cover && endpoint->tx_told_cover;
    if (!known) {
        endpoint->tx_told_cover |= cover;
        opal_list_append(&endpoint->tx_told, (opal_list_item_t *) frag);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (known) {
        mca_btl_xs_frag_release(frag);
        return;
    }
    mca_btl_xs_send_later(endpoint);
}

static mca_btl_xs_frag_t *mca_btl_xs_send_next_told(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_frag_t *frag;

    OPAL_THREAD_LOCK(&endpoint->lock);
    frag = (mca_btl_xs_frag_t *) opal_list_remove_first(&endpoint->tx_told);
    if (NULL != frag && MCA_BTL_XS_COVER == frag->frame.hdr.kind) {
        endpoint->tx_told_cover = false;
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    return frag;
}

void mca_btl_xs_send_flush_told(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_frag_t *frag;

    while (NULL != (frag = mca_btl_xs_send_next_told(endpoint))) {
        if (!endpoint->quiet) {
            (void) mca_btl_xs_tcp_send(endpoint, frag);
        }
        mca_btl_xs_frag_release(frag);
    }
}

static void mca_btl_xs_send_event(int fd, short flags, void *context)
{
    mca_btl_xs_endpoint_t *endpoint = context;
    const bool here = mca_btl_xs_tcp_here;

    mca_btl_xs_tcp_here = true;
    mca_btl_xs_send_flush_told(endpoint);
    mca_btl_xs_send_pending(endpoint);
    mca_btl_xs_tcp_here = here;
}

void mca_btl_xs_send_init(mca_btl_xs_endpoint_t *endpoint)
{
    opal_event_evtimer_set(opal_sync_event_base, &endpoint->tx_event, mca_btl_xs_send_event,
                           endpoint);
}

void mca_btl_xs_send_fini(mca_btl_xs_endpoint_t *endpoint)
{
    opal_event_del(&endpoint->tx_event);
}

/* Calls back, with no lock held, what a ring has taken. */
static void mca_btl_xs_send_complete(opal_list_t *done)
{
    mca_btl_xs_frag_t *frag;

    while (NULL != (frag = (mca_btl_xs_frag_t *) opal_list_remove_first(done))) {
        mca_btl_xs_frag_release(frag);
    }
}

/* A fragment is on the ring, and retained. The lock is held, and given up meanwhile. */
static void mca_btl_xs_send_checked_sent(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    mca_btl_xs_frag_retain(frag);
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_frag_sent(frag);
    mca_btl_xs_frag_release(frag);
    OPAL_THREAD_LOCK(&endpoint->lock);
}

void mca_btl_xs_send_pending(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_frag_t *frag;
    bool again = false;
    opal_list_t done;

    OBJ_CONSTRUCT(&done, opal_list_t);
    OPAL_THREAD_LOCK(&endpoint->lock);
    if (endpoint->tx_busy) {
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        OBJ_DESTRUCT(&done);
        return;
    }
    endpoint->tx_busy = true;
    for (;;) {
        if (OPAL_UNLIKELY(endpoint->tx_resync)) {
            if (OPAL_UNLIKELY(mca_btl_xs_tcp_elsewhere(endpoint)) && !endpoint->quiet) {
                mca_btl_xs_send_later(endpoint);
                break;
            }
            mca_btl_xs_send_resync(endpoint);
            again = true;
            continue;
        }
        if (OPAL_UNLIKELY(endpoint->tx_again) && MCA_BTL_XS_TCP_UP == endpoint->tcp_state
            && !endpoint->quiet) {
            if (OPAL_UNLIKELY(mca_btl_xs_tcp_elsewhere(endpoint))) {
                mca_btl_xs_send_later(endpoint);
                break;
            }
            mca_btl_xs_send_again(endpoint);
            continue;
        }
        if (opal_list_is_empty(&endpoint->tx_pending)) {
            break;
        }
        frag = (mca_btl_xs_frag_t *) opal_list_get_first(&endpoint->tx_pending);
        if (OPAL_UNLIKELY(endpoint->quiet)) {
            opal_list_remove_first(&endpoint->tx_pending);
            mca_btl_xs_send_let_go(endpoint, frag);
            opal_list_append(&done, (opal_list_item_t *) frag);
            continue;
        }
        if (mca_btl_xs_send_by_ring(endpoint, mca_btl_xs_frag_size(frag))) {
            const bool special = endpoint->tx_special;
            int rc = OPAL_UNLIKELY(special) ? mca_btl_xs_send_specially(endpoint, frag)
                                            : mca_btl_xs_send_to_ring(endpoint, frag);

            if (-EAGAIN == rc) {
                break;
            }
            if (0 != rc) {
                continue;
            }
            if (OPAL_UNLIKELY(endpoint->checksum)) {
                mca_btl_xs_send_checked_sent(endpoint, frag);
                continue;
            }
            if (OPAL_LIKELY(!special)) {
                opal_list_remove_first(&endpoint->tx_pending);
            }
            mca_btl_xs_send_let_go(endpoint, frag);
            opal_list_append(&done, (opal_list_item_t *) frag);
            continue;
        }
        if (OPAL_UNLIKELY(MCA_BTL_XS_TCP_UP != endpoint->tcp_state)) {
            mca_btl_xs_failover_want(endpoint);
            break;
        }
        if (OPAL_UNLIKELY(mca_btl_xs_tcp_elsewhere(endpoint))) {
            mca_btl_xs_send_later(endpoint);
            break;
        }
        opal_list_remove_first(&endpoint->tx_pending);
        frag->on_ring = false;
        frag->frame.hdr.number = endpoint->tx_next++;
        frag->frame.hdr.size = mca_btl_xs_frag_size(frag);
        frag->frame.hdr.kind = MCA_BTL_XS_DATA;
        frag->frame.hdr.flags = MCA_BTL_XS_OWED_COVERED == frag->owed ? MCA_BTL_XS_FLAG_WAITING
                                                                    : 0;
        mca_btl_xs_send_keep(endpoint, frag);
        mca_btl_xs_send_to_tcp(endpoint, frag);
    }
    endpoint->tx_busy = false;
    again = again && MCA_BTL_XS_PATH_TCP == endpoint->tx_path;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_send_complete(&done);
    OBJ_DESTRUCT(&done);
    if (OPAL_UNLIKELY(again)) {
        mca_btl_xs_component_talk_later(endpoint);
    }
}

/*
 * After something has been written to a ring. If that has come to its end, what is left on
 * it is sent now: we cannot know whether this process looks at it again soon. But with threads
 * libevent has to send it (mca_btl_xs_tcp_elsewhere()), so it waits for who makes progress next.
 */
static void mca_btl_xs_send_unlock(mca_btl_xs_endpoint_t *endpoint)
{
    bool resync = endpoint->tx_resync;

    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (OPAL_UNLIKELY(resync)) {
        mca_btl_xs_send_pending(endpoint);
    }
}

int mca_btl_xs_send_frag(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    uint32_t flags = frag->base.des_flags;
    size_t size = mca_btl_xs_frag_size(frag);

    frag->endpoint = endpoint;
    frag->references = 1;
    if (OPAL_UNLIKELY(!endpoint->contacted)) {
        mca_btl_xs_path_contact(endpoint);
    }

    OPAL_THREAD_LOCK(&endpoint->lock);
    if (OPAL_LIKELY(!endpoint->tx_busy && opal_list_is_empty(&endpoint->tx_pending)
                    && mca_btl_xs_send_by_ring(endpoint, size) && !endpoint->tx_special
                    && 0 == mca_btl_xs_send_to_ring(endpoint, frag))) {
        mca_btl_xs_send_unlock(endpoint);
        frag->owed = flags & MCA_BTL_DES_SEND_ALWAYS_CALLBACK ? MCA_BTL_XS_OWED_SENT
                                                              : MCA_BTL_XS_OWED_NOTHING;
        mca_btl_xs_frag_release(frag);
        return 1;
    }
    /*
     * With a copy of ours the layer above need not wait until it has arrived, unless the
     * peer is so far behind that it should. Who may use the descriptor again has to.
     */
    if (flags & MCA_BTL_DES_FLAGS_BTL_OWNERSHIP && !mca_btl_xs_frag_in_place(frag)
        && endpoint->tx_held + size <= mca_btl_xs_component.window) {
        frag->owed = MCA_BTL_XS_OWED_SENT;
        mca_btl_xs_send_hold(endpoint, frag);
    } else {
        frag->owed = MCA_BTL_XS_OWED_COVERED;
    }
    if (mca_btl_xs_send_by_ring(endpoint, size) && !endpoint->tx_special) {
        endpoint->counters.ring_full++;
    }
    opal_list_append(&endpoint->tx_pending, (opal_list_item_t *) frag);
    OPAL_THREAD_UNLOCK(&endpoint->lock);

    mca_btl_xs_send_pending(endpoint);
    return 0;
}

void *mca_btl_xs_send_begin(mca_btl_xs_endpoint_t *endpoint, size_t size)
{
    void *at;

    OPAL_THREAD_LOCK(&endpoint->lock);
    if (!endpoint->tx_busy && opal_list_is_empty(&endpoint->tx_pending)
        && mca_btl_xs_send_by_ring(endpoint, size)
        && 0 == mca_btl_xs_ring_reserve(endpoint->tx_ring, size, &at)) {
        return mca_btl_xs_ring_data(at);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    return NULL;
}

void mca_btl_xs_send_end(mca_btl_xs_endpoint_t *endpoint, void *data, size_t size,
                         mca_btl_base_tag_t tag)
{
    mca_btl_xs_send_commit(endpoint, &((mca_btl_xs_ring_hdr_t *) data - 1)->hdr, size, tag);
    mca_btl_xs_send_unlock(endpoint);
}

void mca_btl_xs_send_covered(mca_btl_xs_endpoint_t *endpoint, uint64_t number)
{
    mca_btl_xs_frag_t *frag;
    bool again = false;
    opal_list_t done;

    OBJ_CONSTRUCT(&done, opal_list_t);
    OPAL_THREAD_LOCK(&endpoint->lock);
    /* What has not been sent cannot have arrived. */
    if (number <= endpoint->tx_next) {
        if (endpoint->tx_covered < number) {
            endpoint->tx_covered = number;
        }
        while (!opal_list_is_empty(&endpoint->tx_retained)) {
            frag = (mca_btl_xs_frag_t *) opal_list_get_first(&endpoint->tx_retained);
            if (frag->frame.hdr.number >= number) {
                break;
            }
            opal_list_remove_first(&endpoint->tx_retained);
            mca_btl_xs_send_let_go(endpoint, frag);
            opal_list_append(&done, (opal_list_item_t *) frag);
        }
        again = MCA_BTL_XS_PATH_RESYNC == endpoint->tx_path && !endpoint->tx_resync
                && number >= endpoint->tx_resync_end
                && mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_COVERED);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_send_complete(&done);
    OBJ_DESTRUCT(&done);
    if (again) {
        mca_btl_xs_component_talk_later(endpoint);
    }
}
