/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_path.h"

#include "btl_xs_bus.h"
#include "btl_xs_events.h"
#include "btl_xs_host.h"
#include "btl_xs_progress.h"
#include "btl_xs_receive.h"
#include "btl_xs_send.h"

static const char *const mca_btl_xs_path_names[MCA_BTL_XS_PATH_STATES]
    = {[MCA_BTL_XS_PATH_TCP] = "tcp",
       [MCA_BTL_XS_PATH_OFFERED] = "offered",
       [MCA_BTL_XS_PATH_XS] = "xs",
       [MCA_BTL_XS_PATH_RESYNC] = "resync"};

static const char *const mca_btl_xs_event_names[MCA_BTL_XS_EVENTS]
    = {[MCA_BTL_XS_EVENT_OFFERED] = "OFFERED",
       [MCA_BTL_XS_EVENT_ACCEPTED] = "ACCEPTED",
       [MCA_BTL_XS_EVENT_REFUSED] = "REFUSED",
       [MCA_BTL_XS_EVENT_REVOKED] = "REVOKED",
       [MCA_BTL_XS_EVENT_COVERED] = "COVERED"};

/* Next state, plus one; 0: the event means nothing in this state. */
#define TO(state) (MCA_BTL_XS_PATH_##state + 1)
static const unsigned char mca_btl_xs_path_table[MCA_BTL_XS_PATH_STATES][MCA_BTL_XS_EVENTS]
    = {[MCA_BTL_XS_PATH_TCP] = {[MCA_BTL_XS_EVENT_OFFERED] = TO(OFFERED)},
       [MCA_BTL_XS_PATH_OFFERED] = {[MCA_BTL_XS_EVENT_ACCEPTED] = TO(XS),
                                    [MCA_BTL_XS_EVENT_REFUSED] = TO(TCP),
                                    [MCA_BTL_XS_EVENT_REVOKED] = TO(TCP)},
       [MCA_BTL_XS_PATH_XS] = {[MCA_BTL_XS_EVENT_REVOKED] = TO(RESYNC)},
       [MCA_BTL_XS_PATH_RESYNC] = {[MCA_BTL_XS_EVENT_COVERED] = TO(TCP)}};
#undef TO

const char *mca_btl_xs_path_name(mca_btl_xs_path_t path)
{
    return mca_btl_xs_path_names[path];
}

/* Why the ring that is written to comes to its end, in a word. */
static const char *mca_btl_xs_path_reason(const mca_btl_xs_endpoint_t *endpoint)
{
    if (NULL != endpoint->tx_reason) {
        return endpoint->tx_reason;
    }
    switch (-mca_btl_xs_ring_end(endpoint->tx_ring)) {
    case 0:
        /* The peer's kernel may be about to revoke it. */
        return mca_btl_xs_ring_cut(endpoint->tx_ring) ? "revoked" : "given-up";
    case ENETRESET:
        return "revoked";
    case EHOSTDOWN:
        return "peer-gone";
    case EPIPE:
        return "closed";
    default:
        return "broken";
    }
}

bool mca_btl_xs_path_event(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_event_t event)
{
    mca_btl_xs_path_t before = endpoint->tx_path;
    unsigned char next = mca_btl_xs_path_table[before][event];

    if (0 == next) {
        return false;
    }
    endpoint->tx_path = next - 1;
    MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: %s: %s -> %s at fragment %lu, %.3f",
                       OPAL_NAME_PRINT(endpoint->proc->proc_name), mca_btl_xs_event_names[event],
                       mca_btl_xs_path_names[before], mca_btl_xs_path_names[endpoint->tx_path],
                       (unsigned long) endpoint->tx_next, mca_btl_xs_host_now());
    if (MCA_BTL_XS_PATH_XS == endpoint->tx_path) {
        endpoint->counters.switches++;
        mca_btl_xs_events_path(endpoint, true, NULL);
    }
    if (MCA_BTL_XS_PATH_XS == before) {
        endpoint->counters.fallbacks++;
        mca_btl_xs_events_path(endpoint, false, mca_btl_xs_path_reason(endpoint));
        mca_btl_xs_progress_wake(endpoint);
        endpoint->tx_resync = true;
    }
    if (MCA_BTL_XS_PATH_OFFERED == before && MCA_BTL_XS_PATH_TCP == endpoint->tx_path) {
        /* Nothing has been written there. */
        mca_btl_xs_ring_close(endpoint->tx_ring);
        endpoint->tx_ring = NULL;
    }
    return true;
}

/* Rises whenever what has been said to this peer is void. */
static uint64_t mca_btl_xs_path_epoch(const mca_btl_xs_endpoint_t *endpoint)
{
    return mca_btl_xs_host.epoch + endpoint->turns;
}

static void mca_btl_xs_path_say_hello(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_hello_t hello = {.epoch = mca_btl_xs_path_epoch(endpoint),
                                .domid = mca_btl_xs_host.domid,
                                .available = mca_btl_xs_host.available && !endpoint->held};

    memcpy(hello.host, mca_btl_xs_host.id, sizeof(hello.host));
    endpoint->told_epoch = hello.epoch;
    mca_btl_xs_tcp_tell(endpoint, MCA_BTL_XS_HELLO, &hello, sizeof(hello));
}

void mca_btl_xs_path_contact(mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->contacted = true;
    mca_btl_xs_progress_wake(endpoint);
    if (mca_btl_xs_host.available) {
        mca_btl_xs_path_say_hello(endpoint);
    }
}

/* Offers a ring if both ends can and have not failed since anything changed. */
static void mca_btl_xs_path_consider(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_offer_t offer = {.reserved = 0};
    int rc;

    OPAL_THREAD_LOCK(&endpoint->lock);
    if (MCA_BTL_XS_PATH_TCP != endpoint->tx_path || endpoint->quiet || endpoint->held
        || !mca_btl_xs_host.available || !endpoint->peer_available
        || endpoint->peer_domid == mca_btl_xs_host.domid
        || mca_btl_xs_host_differs(endpoint->peer_host)
        || (endpoint->tried_epoch == mca_btl_xs_path_epoch(endpoint)
            && endpoint->tried_peer_epoch == endpoint->peer_epoch)) {
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        return;
    }
    endpoint->tried_epoch = mca_btl_xs_path_epoch(endpoint);
    endpoint->tried_peer_epoch = endpoint->peer_epoch;
    endpoint->counters.probes++;
    rc = mca_btl_xs_ring_offer(endpoint->peer_domid, mca_btl_xs_component.ring_size, offer.offer,
                               &endpoint->tx_ring);
    if (0 != rc) {
        endpoint->counters.refusals++;
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: no ring to domain %u: %s",
                           OPAL_NAME_PRINT(endpoint->proc->proc_name), endpoint->peer_domid,
                           xsock_strerror(rc));
        mca_btl_xs_host_complain(rc);
        return;
    }
    endpoint->tx_port = endpoint->tx_ring->port;
    offer.generation = ++endpoint->tx_generation;
    mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_OFFERED);
    mca_btl_xs_progress_add(endpoint);
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_tcp_tell(endpoint, MCA_BTL_XS_OFFER, &offer, sizeof(offer));
}

/* No ring that there may be is good any more. */
static void mca_btl_xs_path_revoke(mca_btl_xs_endpoint_t *endpoint, const char *reason)
{
    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->tx_reason = reason;
    mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_REVOKED);
    endpoint->tx_reason = NULL;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_component_talk_later(endpoint);
}

void mca_btl_xs_path_talk(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->hello_due) {
        endpoint->hello_due = false;
        mca_btl_xs_path_say_hello(endpoint);
    }
    mca_btl_xs_send_pending(endpoint);
    mca_btl_xs_path_consider(endpoint);
}

void mca_btl_xs_path_host_changed(mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->hello_due = endpoint->contacted;
    mca_btl_xs_path_revoke(endpoint, !mca_btl_xs_host.available ? "unavailable"
                                     : mca_btl_xs_host.arrived  ? "suspended"
                                                                : "restarted");
    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->rx_forget = NULL != endpoint->rx_ring;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    (void) mca_btl_xs_receive_all(endpoint);
}

void mca_btl_xs_path_host_named(mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->hello_due = endpoint->contacted;
    mca_btl_xs_component_talk_later(endpoint);
}

void mca_btl_xs_path_held_changed(mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->hello_due = endpoint->contacted;
    if (endpoint->held) {
        mca_btl_xs_path_revoke(endpoint, "held");
    } else {
        mca_btl_xs_component_talk_later(endpoint);
    }
}

/* The peer has left. It wants nothing more, so whatever waits for it is done. */
static void mca_btl_xs_path_left(mca_btl_xs_endpoint_t *endpoint)
{
    MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: has left",
                       OPAL_NAME_PRINT(endpoint->proc->proc_name));
    mca_btl_xs_tcp_tell(endpoint, MCA_BTL_XS_BYE_TOO, NULL, 0);
    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->quiet = true;
    endpoint->released = true;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_path_revoke(endpoint, "left");
    mca_btl_xs_send_pending(endpoint);
    mca_btl_xs_send_covered(endpoint, endpoint->tx_next);
}

static void mca_btl_xs_path_hello(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hello_t *hello)
{
    bool changed;

    OPAL_THREAD_LOCK(&endpoint->lock);
    changed = 0 != endpoint->peer_epoch && endpoint->peer_epoch != hello->epoch;
    endpoint->peer_epoch = hello->epoch;
    endpoint->peer_domid = hello->domid;
    endpoint->peer_available = hello->available;
    memcpy(endpoint->peer_host, hello->host, sizeof(endpoint->peer_host));
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (changed) {
        /* Perhaps we hear of it here before our own kernel does. */
        mca_btl_xs_path_revoke(endpoint, "peer");
    }
    if (mca_btl_xs_host.available
        && endpoint->told_epoch != mca_btl_xs_path_epoch(endpoint)) {
        endpoint->hello_due = true;
    }
    mca_btl_xs_component_talk_later(endpoint);
}

static void mca_btl_xs_path_answered(mca_btl_xs_endpoint_t *endpoint,
                                     const mca_btl_xs_answer_t *answer, mca_btl_xs_event_t event)
{
    OPAL_THREAD_LOCK(&endpoint->lock);
    if (answer->generation == endpoint->tx_generation) {
        if (MCA_BTL_XS_EVENT_REFUSED == event) {
            endpoint->counters.refusals++;
            MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: refused: %s",
                               OPAL_NAME_PRINT(endpoint->proc->proc_name),
                               xsock_strerror(answer->reason));
        }
        mca_btl_xs_path_event(endpoint, event);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
}

void mca_btl_xs_path_told(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
                          const void *body)
{
    static const size_t sizes[] = {[MCA_BTL_XS_COVER] = 0,
                                   [MCA_BTL_XS_HELLO] = sizeof(mca_btl_xs_hello_t),
                                   [MCA_BTL_XS_OFFER] = sizeof(mca_btl_xs_offer_t),
                                   [MCA_BTL_XS_ACCEPT] = sizeof(mca_btl_xs_answer_t),
                                   [MCA_BTL_XS_REFUSE] = sizeof(mca_btl_xs_answer_t),
                                   [MCA_BTL_XS_BYE] = 0,
                                   [MCA_BTL_XS_BYE_TOO] = 0};

    endpoint->met = true;
    if (MCA_BTL_XS_REQUEST == hdr->kind || MCA_BTL_XS_ANSWER == hdr->kind) {
        mca_btl_xs_send_covered(endpoint, hdr->covered);
        mca_btl_xs_bus_came(hdr->kind, endpoint->proc->proc_name, body, hdr->size);
        return;
    }
    if (hdr->kind < MCA_BTL_XS_COVER || hdr->kind > MCA_BTL_XS_BYE_TOO
        || hdr->size != sizes[hdr->kind]) {
        MCA_BTL_XS_VERBOSE(0, "%s: frame of kind %d with %u bytes has been dropped",
                           OPAL_NAME_PRINT(endpoint->proc->proc_name), hdr->kind, hdr->size);
        return;
    }
    mca_btl_xs_send_covered(endpoint, hdr->covered);
    switch (hdr->kind) {
    case MCA_BTL_XS_HELLO:
        mca_btl_xs_path_hello(endpoint, body);
        break;
    case MCA_BTL_XS_OFFER:
        OPAL_THREAD_LOCK(&endpoint->lock);
        memcpy(&endpoint->rx_offer, body, sizeof(endpoint->rx_offer));
        endpoint->rx_offered = true;
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        (void) mca_btl_xs_receive_all(endpoint);
        break;
    case MCA_BTL_XS_ACCEPT:
        mca_btl_xs_path_answered(endpoint, body, MCA_BTL_XS_EVENT_ACCEPTED);
        break;
    case MCA_BTL_XS_REFUSE:
        mca_btl_xs_path_answered(endpoint, body, MCA_BTL_XS_EVENT_REFUSED);
        break;
    case MCA_BTL_XS_BYE:
        mca_btl_xs_path_left(endpoint);
        break;
    case MCA_BTL_XS_BYE_TOO:
        endpoint->released = true;
        break;
    }
}
