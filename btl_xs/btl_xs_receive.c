/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_receive.h"

#include "opal/util/show_help.h"

#include "btl_xs_events.h"
#include "btl_xs_host.h"
#include "btl_xs_progress.h"
#include "btl_xs_send.h"

OBJ_CLASS_INSTANCE(mca_btl_xs_early_t, opal_list_item_t, NULL, NULL);

/* Without an answer the peer would keep more than this. */
#define MCA_BTL_XS_SILENT_FRAGS 32

/* Most fragments of one ring, and other things to be done, before others have their turn. */
#define MCA_BTL_XS_TURN 64

/* Does anybody want it? Frames of xs over TCP do not come inside of each other. */
static inline bool mca_btl_xs_receive_wanted(mca_btl_base_tag_t tag)
{
    return MCA_BTL_TAG_MAX > tag && MCA_BTL_XS_TCP_CHECKED_TAG != (tag | 1)
           && NULL != mca_btl_base_active_message_trigger[tag].cbfunc;
}

static void mca_btl_xs_receive_deliver(mca_btl_xs_endpoint_t *endpoint,
                                       const mca_btl_xs_hdr_t *hdr, void *data)
{
    mca_btl_base_segment_t segment = {.seg_addr.pval = data, .seg_len = hdr->size};

    if (OPAL_UNLIKELY(mca_btl_xs_component.ended)) {
        return;
    }
    if (OPAL_UNLIKELY(!mca_btl_xs_receive_wanted(hdr->tag))) {
        MCA_BTL_XS_VERBOSE(0, "%s: a fragment with tag %u has been dropped",
                           OPAL_NAME_PRINT(endpoint->proc->proc_name), hdr->tag);
        return;
    }
    mca_btl_xs_compat_deliver(&mca_btl_xs.super, endpoint, hdr->tag, &segment);
}

/* Keeps a fragment until its turn. The lock is held. */
static void mca_btl_xs_receive_keep(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
                                    const void *data)
{
    opal_list_item_t *item = opal_list_get_last(&endpoint->rx_early);
    mca_btl_xs_early_t *early;

    while (opal_list_get_begin(&endpoint->rx_early) != item
           && ((mca_btl_xs_early_t *) item)->hdr.number > hdr->number) {
        item = opal_list_get_prev(item);
    }
    if (opal_list_get_begin(&endpoint->rx_early) != item
        && ((mca_btl_xs_early_t *) item)->hdr.number == hdr->number) {
        endpoint->counters.duplicates++;
        return;
    }
    early = malloc(sizeof(*early) + hdr->size);
    if (OPAL_UNLIKELY(NULL == early)) {
        /* Not covered, so the peer still has it, but nobody would ask for it. */
        mca_btl_xs_endpoint_no_memory(endpoint);
        return;
    }
    OBJ_CONSTRUCT(early, mca_btl_xs_early_t);
    early->hdr = *hdr;
    memcpy(early + 1, data, hdr->size);
    opal_list_insert_pos(&endpoint->rx_early, opal_list_get_next(item), &early->super);
    endpoint->counters.early++;
}

/* The fragment that has been kept for now, or NULL. The lock is held. */
static mca_btl_xs_early_t *mca_btl_xs_receive_kept(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_early_t *early;

    while (!opal_list_is_empty(&endpoint->rx_early)) {
        early = (mca_btl_xs_early_t *) opal_list_get_first(&endpoint->rx_early);
        if (early->hdr.number > endpoint->rx_next) {
            break;
        }
        opal_list_remove_first(&endpoint->rx_early);
        if (early->hdr.number == endpoint->rx_next) {
            return early;
        }
        endpoint->counters.duplicates++;
        free(early);
    }
    return NULL;
}

void mca_btl_xs_receive_unwatch(mca_btl_xs_endpoint_t *endpoint)
{
    /* A callback that comes late believes that it is not watched any more: so in any case. */
    if (endpoint->rx_events) {
        endpoint->rx_watched = false;
        /* Another thread may be in the callback, and wait for the lock that we hold. */
        event_del_noblock(&endpoint->rx_event);
    }
}

void mca_btl_xs_receive_corrupt(mca_btl_xs_endpoint_t *endpoint, const char *transport,
                                const char *reason)
{
    bool said;
    char *host;

    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->counters.corrupt++;
    said = endpoint->corrupt_said || !mca_btl_xs_component.warn;
    endpoint->corrupt_said = true;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: a frame has come damaged over %s: %s",
                       OPAL_NAME_PRINT(endpoint->proc->proc_name), transport, reason);
    mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_MSG_CORRUPT, endpoint, transport, reason);
    if (!said) {
        host = mca_btl_xs_compat_hostname(endpoint->proc);
        opal_show_help("help-mpi-btl-xs.txt", "damaged", true, opal_process_info.nodename,
                       getpid(), OPAL_NAME_PRINT(endpoint->proc->proc_name), host,
                       0 == strcmp(transport, "xs") ? "shared memory" : "TCP");
        free(host);
    }
}

static void mca_btl_xs_receive_close(mca_btl_xs_endpoint_t *endpoint, int rc)
{
    MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: the peer's ring has come to its end: %s",
                       OPAL_NAME_PRINT(endpoint->proc->proc_name), xsock_strerror(rc));
    mca_btl_xs_receive_unwatch(endpoint);
    mca_btl_xs_ring_close(endpoint->rx_ring);
    endpoint->rx_ring = NULL;
    mca_btl_xs_progress_wake(endpoint);
}

/*
 * None will come on the ring any more. If what is next there is damaged, the peer is told another
 * epoch: so it sends over TCP what has not arrived, and offers another ring. The lock is held, and
 * given up meanwhile; rx_busy is ours.
 */
static void mca_btl_xs_receive_end(mca_btl_xs_endpoint_t *endpoint, int rc)
{
    mca_btl_xs_receive_close(endpoint, rc);
    if (OPAL_LIKELY(!endpoint->checksum) || (-EBADMSG != rc && -EPROTO != rc)) {
        return;
    }
    endpoint->turns++;
    endpoint->hello_due = true;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_receive_corrupt(endpoint, "xs", "checksum");
    mca_btl_xs_component_talk_later(endpoint);
    OPAL_THREAD_LOCK(&endpoint->lock);
}

/* The peer waits for this one to be covered, perhaps. The lock is held. */
static void mca_btl_xs_receive_note(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr)
{
    endpoint->rx_silent_frags++;
    endpoint->rx_silent_bytes += hdr->size;
    /* The last number that there is, which only who lies has, has none behind it. */
    if (hdr->flags & MCA_BTL_XS_FLAG_WAITING && endpoint->rx_waited <= hdr->number
        && UINT64_MAX != hdr->number) {
        endpoint->rx_waited = hdr->number + 1;
    }
}

/*
 * Keeps what is on the ring and gives it up, if it has come to its end or the peer has
 * @replaced it: what it writes to one that is good must not be thrown away. A mapped ring
 * could do without, as the peer would send it again; what has been read out of one it
 * believes to be here, and with it there may be two rings' worth. A peer that goes on writing does
 * not have us keep more.
 */
static void mca_btl_xs_receive_forget(mca_btl_xs_endpoint_t *endpoint, bool replaced)
{
    mca_btl_xs_hdr_t hdr;
    size_t most, kept = 0;
    void *data;
    int rc;

    endpoint->rx_forget = false;
    if (NULL == endpoint->rx_ring) {
        return;
    }
    most = mca_btl_xs_ring_size(endpoint->rx_ring);
    if (!mca_btl_xs_ring_mapped(endpoint->rx_ring)) {
        most *= 2;
    }
    while ((rc = mca_btl_xs_ring_peek(endpoint->rx_ring, &hdr, &data)) > 0
           && kept < most) {
        if (hdr.number >= endpoint->rx_next) {
            mca_btl_xs_receive_keep(endpoint, &hdr, data);
        }
        if (MCA_BTL_XS_RING_CHECKED == rc) {
            mca_btl_xs_receive_note(endpoint, &hdr);
        }
        mca_btl_xs_ring_consume(endpoint->rx_ring, hdr.size);
        kept += mca_btl_xs_ring_need(hdr.size);
    }
    if (replaced || 0 > rc) {
        mca_btl_xs_receive_end(endpoint, 0 > rc ? rc : 0);
    }
}

static void mca_btl_xs_receive_event(int fd, short flags, void *context)
{
    mca_btl_xs_endpoint_t *endpoint = context;

    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->rx_watched = false;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    (void) mca_btl_xs_receive_all(endpoint);
}

/*
 * Has libevent call us when there is more; in its next turn, if there may be @more already: what
 * has been read out of a ring does not make its socket readable again. Not while the next frame
 * waits for its turn: it would call all the time, and what the frame waits for comes over TCP.
 * The lock is held.
 */
static void mca_btl_xs_receive_watch(mca_btl_xs_endpoint_t *endpoint, bool more)
{
    const struct timeval now = {0, 0};

    if (NULL == endpoint->rx_ring || !endpoint->rx_events) {
        return;
    }
    mca_btl_xs_ring_flush(endpoint->rx_ring);
    if (!endpoint->rx_ring_early && (more || !endpoint->rx_watched)) {
        endpoint->rx_watched = true;
        opal_event_add(&endpoint->rx_event, more ? &now : NULL);
    }
}

/* A new ring: who looks at it, and when? The lock is held. */
static void mca_btl_xs_receive_begin(mca_btl_xs_endpoint_t *endpoint)
{
    int progress = mca_btl_xs_component.progress;

    endpoint->rx_events = MCA_BTL_XS_PROGRESS_EVENT == progress
                          || (MCA_BTL_XS_PROGRESS_AUTO == progress
                              && !mca_btl_xs_ring_mapped(endpoint->rx_ring));
    if (endpoint->rx_events) {
        opal_event_set(opal_sync_event_base, &endpoint->rx_event, endpoint->rx_ring->fd,
                       OPAL_EV_READ, mca_btl_xs_receive_event, endpoint);
    }
    mca_btl_xs_progress_add(endpoint);
}

/* Takes up the offer that has come. The lock is held. */
static void mca_btl_xs_receive_offer(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_answer_t answer;

    /* The peer makes one ring at a time, so it has given up the one before. */
    mca_btl_xs_receive_forget(endpoint, true);
    /* Now: the lock may have been given up. */
    endpoint->rx_offered = false;
    answer.generation = endpoint->rx_offer.generation;
    answer.reason = mca_btl_xs_component.enable && !endpoint->held
                        ? mca_btl_xs_ring_connect(endpoint->rx_offer.offer, endpoint->peer_domid,
                                                  &endpoint->rx_ring)
                        : -XSOCK_EUNAVAILABLE;
    if (0 == answer.reason) {
        endpoint->rx_generation = answer.generation;
        mca_btl_xs_ring_check(endpoint->rx_ring, endpoint->checksum);
        mca_btl_xs_receive_begin(endpoint);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_host_complain(answer.reason);
    mca_btl_xs_tcp_tell(endpoint, 0 == answer.reason ? MCA_BTL_XS_ACCEPT : MCA_BTL_XS_REFUSE,
                        &answer, sizeof(answer));
    OPAL_THREAD_LOCK(&endpoint->lock);
}

/* What is next on the ring. As mca_btl_xs_receive_one(). */
static inline __opal_attribute_always_inline__ bool
mca_btl_xs_receive_next(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr, void *data,
                        int *delivered)
{
    if (OPAL_UNLIKELY(hdr->number > endpoint->rx_next)) {
        /* Its turn comes when TCP has brought what is missing. */
        endpoint->rx_ring_early = true;
        return false;
    }
    if (OPAL_LIKELY(hdr->number == endpoint->rx_next)) {
        bool covered = mca_btl_xs_send_covered_quick(endpoint, hdr->covered);

        endpoint->rx_next++;
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        if (OPAL_UNLIKELY(!covered)) {
            mca_btl_xs_send_covered(endpoint, hdr->covered);
        }
        mca_btl_xs_receive_deliver(endpoint, hdr, data);
        OPAL_THREAD_LOCK(&endpoint->lock);
        ++*delivered;
    } else {
        endpoint->counters.duplicates++;
    }
    mca_btl_xs_ring_consume(endpoint->rx_ring, hdr->size);
    return true;
}

/*
 * ... is not a plain fragment: one with a checksum, which the peer retains as if it had gone over
 * TCP, or the end. 0: nothing; 2: delivered; 1: something else. Not by a pointer: who delivers plain
 * ones has the count in a register.
 */
static __opal_attribute_noinline__ int
mca_btl_xs_receive_odd(mca_btl_xs_endpoint_t *endpoint, int rc, const mca_btl_xs_hdr_t *hdr,
                       void *data)
{
    int delivered = 0;
    bool done;

    if (MCA_BTL_XS_RING_CHECKED != rc) {
        mca_btl_xs_receive_end(endpoint, rc);
        return 0;
    }
    if (hdr->number <= endpoint->rx_next) {
        mca_btl_xs_receive_note(endpoint, hdr);
    }
    done = mca_btl_xs_receive_next(endpoint, hdr, data, &delivered);
    return done + delivered;
}

/* One fragment, or one thing to be done. False: nothing. The lock and rx_busy are ours. */
static bool mca_btl_xs_receive_one(mca_btl_xs_endpoint_t *endpoint, int *delivered)
{
    mca_btl_xs_early_t *early;
    mca_btl_xs_hdr_t hdr;
    void *data;
    int rc;

    if (OPAL_UNLIKELY(endpoint->rx_offered)) {
        mca_btl_xs_receive_offer(endpoint);
        return true;
    }
    if (OPAL_UNLIKELY(endpoint->rx_forget)) {
        mca_btl_xs_receive_forget(endpoint, false);
        return true;
    }
    if (OPAL_UNLIKELY(!opal_list_is_empty(&endpoint->rx_early))
        && NULL != (early = mca_btl_xs_receive_kept(endpoint))) {
        endpoint->rx_next++;
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        /* Of one that was kept from a ring nobody has looked at it yet. */
        mca_btl_xs_send_covered(endpoint, early->hdr.covered);
        mca_btl_xs_receive_deliver(endpoint, &early->hdr, early + 1);
        free(early);
        OPAL_THREAD_LOCK(&endpoint->lock);
        ++*delivered;
        return true;
    }
    if (NULL == endpoint->rx_ring) {
        return false;
    }
    rc = mca_btl_xs_ring_peek(endpoint->rx_ring, &hdr, &data);
    if (OPAL_LIKELY(1 == rc)) {
        return mca_btl_xs_receive_next(endpoint, &hdr, data, delivered);
    }
    if (OPAL_LIKELY(0 == rc)) {
        return false;
    }
    rc = mca_btl_xs_receive_odd(endpoint, rc, &hdr, data);
    *delivered += 2 == rc;
    return 0 != rc;
}

/* Does the peer have to be told what has arrived, though nothing is sent to it? */
static bool mca_btl_xs_receive_silent(mca_btl_xs_endpoint_t *endpoint)
{
    uint64_t waited = endpoint->rx_waited < endpoint->rx_next ? endpoint->rx_waited
                                                             : endpoint->rx_next;

    return endpoint->rx_said < waited || endpoint->rx_silent_frags >= MCA_BTL_XS_SILENT_FRAGS
           || endpoint->rx_silent_bytes > mca_btl_xs_component.window / 4;
}

/* Is there what nobody else would come back for, if there is no ring? */
static bool mca_btl_xs_receive_due(mca_btl_xs_endpoint_t *endpoint)
{
    return endpoint->rx_offered
           || (!opal_list_is_empty(&endpoint->rx_early)
               && ((mca_btl_xs_early_t *) opal_list_get_first(&endpoint->rx_early))->hdr.number
                      <= endpoint->rx_next);
}

int mca_btl_xs_receive_all(mca_btl_xs_endpoint_t *endpoint)
{
    int delivered = 0, turns = 0;
    bool more = true, tell;

    OPAL_THREAD_LOCK(&endpoint->lock);
    if (endpoint->rx_busy) {
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        return 0;
    }
    endpoint->rx_busy = true;
    endpoint->rx_ring_early = false;
    /* Also of what is not delivered, or a peer could keep us here. */
    while (more && (turns++ < MCA_BTL_XS_TURN || mca_btl_xs_receive_due(endpoint))) {
        more = mca_btl_xs_receive_one(endpoint, &delivered);
    }
    endpoint->rx_busy = false;
    mca_btl_xs_receive_watch(endpoint, more);
    tell = mca_btl_xs_receive_silent(endpoint);
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (OPAL_UNLIKELY(tell)) {
        mca_btl_xs_tcp_tell(endpoint, MCA_BTL_XS_COVER, NULL, 0);
    }
    return delivered;
}

void mca_btl_xs_receive_tcp(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
                            void *data)
{
    bool deliver;

    mca_btl_xs_send_covered(endpoint, hdr->covered);
    if (OPAL_UNLIKELY(!endpoint->contacted)) {
        mca_btl_xs_path_contact(endpoint);
    }

    OPAL_THREAD_LOCK(&endpoint->lock);
    mca_btl_xs_receive_note(endpoint, hdr);
    deliver = hdr->number == endpoint->rx_next && !endpoint->rx_busy;
    if (OPAL_LIKELY(deliver)) {
        endpoint->rx_busy = true;
        endpoint->rx_next++;
    } else if (hdr->number < endpoint->rx_next) {
        endpoint->counters.duplicates++;
        /* Who sends it again and waits has not heard. */
        if (hdr->flags & MCA_BTL_XS_FLAG_WAITING) {
            endpoint->rx_said = 0;
        }
    } else {
        mca_btl_xs_receive_keep(endpoint, hdr, data);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (OPAL_LIKELY(deliver)) {
        mca_btl_xs_receive_deliver(endpoint, hdr, data);
        OPAL_THREAD_LOCK(&endpoint->lock);
        endpoint->rx_busy = false;
        OPAL_THREAD_UNLOCK(&endpoint->lock);
    }
    /* What has waited for this one, also on the ring. */
    (void) mca_btl_xs_receive_all(endpoint);
}
