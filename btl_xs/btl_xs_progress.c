/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_progress.h"

#include "opal/runtime/opal_progress.h"

#include "btl_xs_receive.h"
#include "btl_xs_send.h"

/* After so many looks at a ring one looks whether it is still good. */
#define MCA_BTL_XS_LOOKS 64

/* A peer with rings that so many of these found without TCP traffic is not awake any more. */
#define MCA_BTL_XS_STILL 16

/* So many looks in vain, and the ring is only looked at in turn with others like it. */
#define MCA_BTL_XS_COLD 4096

/* So many calls in a row in vain, and the sockets are looked at. */
#define MCA_BTL_XS_SOCKETS 256

static struct {
    mca_btl_xs_atomic_t busy;    /* a thread is in mca_btl_xs_progress(), or a peer leaves */
    mca_btl_xs_endpoint_t *hot;  /* peers whose rings are looked at in each call */
    mca_btl_xs_endpoint_t *cold; /* ... of which one is, in each call */
    mca_btl_xs_endpoint_t *turn; /* the next of these, or NULL */
    unsigned int calls;
    unsigned int vain;           /* ... in a row that found nothing */
    bool sockets;                /* this call has sockets looked at */
} progress;

void mca_btl_xs_progress_wake_slow(mca_btl_xs_endpoint_t *endpoint)
{
    if (0 == opal_atomic_swap_32(&endpoint->awake, 1)) {
        opal_progress_event_users_increment();
    }
}

static void mca_btl_xs_progress_sleep(mca_btl_xs_endpoint_t *endpoint)
{
    if (0 != opal_atomic_swap_32(&endpoint->awake, 0)) {
        opal_progress_event_users_decrement();
    }
}

/* Does all traffic go over rings that we look at? The lock is held. */
static bool mca_btl_xs_progress_settled(mca_btl_xs_endpoint_t *endpoint)
{
    return MCA_BTL_XS_PATH_XS == endpoint->tx_path && NULL != endpoint->rx_ring
           && !endpoint->rx_events && opal_list_is_empty(&endpoint->tx_retained)
           && opal_list_is_empty(&endpoint->tx_pending)
           && opal_list_is_empty(&endpoint->rx_early);
}

/* What need not be done at each look. */
static void mca_btl_xs_progress_check(mca_btl_xs_endpoint_t *endpoint)
{
    bool settled;

    OPAL_THREAD_LOCK(&endpoint->lock);
    /* A ring that has ended is also found by the next who sends: no need to hurry. */
    if (MCA_BTL_XS_PATH_XS == endpoint->tx_path && 0 != mca_btl_xs_ring_end(endpoint->tx_ring)) {
        mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_REVOKED);
        mca_btl_xs_component_talk_later(endpoint);
    }
    settled = mca_btl_xs_progress_settled(endpoint);
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (!settled) {
        mca_btl_xs_progress_wake(endpoint);
    } else if (endpoint->awake && ++endpoint->still >= MCA_BTL_XS_STILL) {
        mca_btl_xs_progress_sleep(endpoint);
    }
}

/*
 * Certainly nothing to be received, by one load from the ring? Whether that has ended is seen
 * at one of the next checks. Another thread may be about to give the ring up: then not this way.
 */
static inline bool mca_btl_xs_progress_quiet(mca_btl_xs_endpoint_t *endpoint)
{
    return !opal_using_threads() && opal_list_is_empty(&endpoint->rx_early)
           && mca_btl_xs_ring_quiet(endpoint->rx_ring);
}

/* Rings of one peer; returns the number of fragments that have come. */
static int mca_btl_xs_progress_one(mca_btl_xs_endpoint_t *endpoint)
{
    bool check = 0 == ++endpoint->looks % MCA_BTL_XS_LOOKS;
    int delivered = 0;

    if (NULL != endpoint->rx_ring && !endpoint->rx_events
        && (OPAL_UNLIKELY(check) || !mca_btl_xs_progress_quiet(endpoint))) {
        delivered = mca_btl_xs_receive_all(endpoint);
    }
    if (OPAL_UNLIKELY(check)) {
        mca_btl_xs_progress_check(endpoint);
    }
    if (OPAL_UNLIKELY(!opal_list_is_empty(&endpoint->tx_pending) && !endpoint->tx_resync)) {
        mca_btl_xs_send_pending(endpoint);
    }
    if (0 != delivered) {
        endpoint->idle = 0;
    }
    return delivered;
}

static void mca_btl_xs_progress_take(mca_btl_xs_endpoint_t **list, mca_btl_xs_endpoint_t *endpoint)
{
    while (*list != endpoint) {
        list = &(*list)->next_ring;
    }
    *list = endpoint->next_ring;
}

static void mca_btl_xs_progress_put(mca_btl_xs_endpoint_t **list, mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->next_ring = *list;
    opal_atomic_wmb();
    *list = endpoint;
}

/* Only by whom progress.busy belongs to; others may add to @to meanwhile, under the lock. */
static void mca_btl_xs_progress_move(mca_btl_xs_endpoint_t *endpoint,
                                     mca_btl_xs_endpoint_t **from, mca_btl_xs_endpoint_t **to)
{
    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    mca_btl_xs_progress_take(from, endpoint);
    mca_btl_xs_progress_put(to, endpoint);
    endpoint->idle = 1;
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
}

static int mca_btl_xs_progress_hot(void)
{
    mca_btl_xs_endpoint_t *endpoint, *next;
    int delivered = 0;

    for (endpoint = progress.hot; NULL != endpoint; endpoint = next) {
        delivered += mca_btl_xs_progress_one(endpoint);
        next = endpoint->next_ring;
        if (OPAL_UNLIKELY(++endpoint->idle > MCA_BTL_XS_COLD)) {
            mca_btl_xs_progress_move(endpoint, &progress.hot, &progress.cold);
        }
    }
    return delivered;
}

static int mca_btl_xs_progress_cold(void)
{
    mca_btl_xs_endpoint_t *endpoint = NULL != progress.turn ? progress.turn : progress.cold;
    int delivered;

    if (NULL == endpoint) {
        return 0;
    }
    delivered = mca_btl_xs_progress_one(endpoint);
    progress.turn = endpoint->next_ring;
    /* Who is sent to is likely to answer. */
    if (0 == endpoint->idle) {
        mca_btl_xs_progress_move(endpoint, &progress.cold, &progress.hot);
    }
    return delivered;
}

/* Called within opal_progress(), which looks at sockets behind us if there is a user. */
static void mca_btl_xs_progress_sockets(void)
{
    if (OPAL_UNLIKELY(progress.sockets)) {
        progress.sockets = false;
        opal_progress_event_users_decrement();
    } else if (OPAL_UNLIKELY(progress.vain >= MCA_BTL_XS_SOCKETS)) {
        progress.vain = 0;
        progress.sockets = true;
        opal_progress_event_users_increment();
    }
}

/* Is nobody else in mca_btl_xs_progress()? Then it is ours. */
static inline bool mca_btl_xs_progress_enter(void)
{
    if (OPAL_LIKELY(!opal_using_threads())) {
        /* The other way it waits until all stores have got to the cache, at each look. */
        const bool busy = 0 != progress.busy;

        progress.busy = 1;
        return !busy;
    }
    return 0 == opal_atomic_swap_32(&progress.busy, 1);
}

int mca_btl_xs_progress(void)
{
    int delivered;

    /* Others may do so when we are through, also those that we call. */
    if (!mca_btl_xs_progress_enter()) {
        return 0;
    }
    progress.calls++;
    delivered = mca_btl_xs_progress_hot();
    delivered += mca_btl_xs_progress_cold();
    progress.vain = 0 == delivered ? progress.vain + 1 : 0;
    mca_btl_xs_progress_sockets();
    opal_atomic_wmb();
    progress.busy = 0;
    return delivered;
}

unsigned int mca_btl_xs_progress_calls(void)
{
    return progress.calls;
}

void mca_btl_xs_progress_begin(void)
{
    opal_progress_register(mca_btl_xs_progress);
}

void mca_btl_xs_progress_end(void)
{
    opal_progress_unregister(mca_btl_xs_progress);
    if (progress.sockets) {
        progress.sockets = false;
        opal_progress_event_users_decrement();
    }
}

void mca_btl_xs_progress_add(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->has_rings) {
        return;
    }
    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    endpoint->has_rings = true;
    endpoint->idle = 0;
    mca_btl_xs_progress_put(&progress.hot, endpoint);
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
}

static bool mca_btl_xs_progress_listed(const mca_btl_xs_endpoint_t *at,
                                       const mca_btl_xs_endpoint_t *endpoint)
{
    while (NULL != at && at != endpoint) {
        at = at->next_ring;
    }
    return NULL != at;
}

void mca_btl_xs_progress_remove(mca_btl_xs_endpoint_t *endpoint)
{
    while (0 != opal_atomic_swap_32(&progress.busy, 1)) {
        continue;
    }
    mca_btl_xs_progress_sleep(endpoint);
    if (endpoint->has_rings) {
        OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
        mca_btl_xs_progress_take(mca_btl_xs_progress_listed(progress.hot, endpoint)
                                     ? &progress.hot
                                     : &progress.cold,
                                 endpoint);
        endpoint->has_rings = false;
        progress.turn = NULL;
        OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    }
    opal_atomic_wmb();
    progress.busy = 0;
}
