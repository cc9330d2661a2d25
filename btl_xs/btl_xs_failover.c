/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_failover.h"

#include "opal/util/show_help.h"

#include "btl_xs_events.h"
#include "btl_xs_gate.h"
#include "btl_xs_host.h"
#include "btl_xs_path.h"
#include "btl_xs_progress.h"
#include "btl_xs_send.h"
#include "btl_xs_watch.h"

/*
 * Seconds between two tries to connect: the first, and the most. Of two processes that both
 * find the connection broken one leaves the first try to the other, and waits longer between
 * its own, by this factor, lest they meet each time.
 */
#define MCA_BTL_XS_FAILOVER_FIRST 0.1
#define MCA_BTL_XS_FAILOVER_MOST 1.0
#define MCA_BTL_XS_FAILOVER_HIGHER 1.5

/*
 * Seconds after which another try is begun though the kernel still tries: it does so at times
 * that are further and further apart, and the network may be there again long before the next.
 */
#define MCA_BTL_XS_FAILOVER_STALE 5.0

static void mca_btl_xs_failover_step(mca_btl_xs_endpoint_t *endpoint);

static void mca_btl_xs_failover_later(mca_btl_xs_endpoint_t *endpoint, double seconds)
{
    const struct timeval when = {(time_t) seconds, (seconds - (time_t) seconds) * 1e6};

    opal_event_evtimer_add(&endpoint->tcp_timer, &when);
}

static void mca_btl_xs_failover_timer(int fd, short flags, void *context)
{
    mca_btl_xs_failover_step(context);
}

void mca_btl_xs_failover_init(mca_btl_xs_endpoint_t *endpoint)
{
    opal_event_evtimer_set(opal_sync_event_base, &endpoint->tcp_timer, mca_btl_xs_failover_timer,
                           endpoint);
}

void mca_btl_xs_failover_fini(mca_btl_xs_endpoint_t *endpoint)
{
    opal_event_del(&endpoint->tcp_timer);
}

bool mca_btl_xs_failover_broken(mca_btl_xs_endpoint_t *endpoint)
{
    bool possible, news;

    OPAL_THREAD_LOCK(&endpoint->lock);
    possible = endpoint->tcp_known && !endpoint->lost;
    news = possible && MCA_BTL_XS_TCP_DOWN != endpoint->tcp_state && !endpoint->quiet;
    if (news) {
        if (MCA_BTL_XS_TCP_UP == endpoint->tcp_state) {
            MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: a TCP connection has broken, %.3f",
                               OPAL_NAME_PRINT(endpoint->proc->proc_name),
                               mca_btl_xs_host_now());
        }
        endpoint->tcp_state = MCA_BTL_XS_TCP_DOWN;
        endpoint->tcp_tried = 0;
        endpoint->tx_again = true;
        if (MCA_BTL_XS_PATH_OFFERED == endpoint->tx_path) {
            /* The offer may be lost, or its answer. */
            endpoint->tried_epoch = 0;
            mca_btl_xs_path_event(endpoint, MCA_BTL_XS_EVENT_REVOKED);
        }
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (news) {
        mca_btl_xs_progress_wake(endpoint);
        mca_btl_xs_failover_later(endpoint, 0);
    }
    return possible;
}

void mca_btl_xs_failover_ended(mca_btl_xs_link_t *link)
{
    mca_btl_xs_endpoint_t *endpoint = link->peer;
    mca_btl_xs_watch_seen_t seen = mca_btl_xs_watch_look(link);

    if (MCA_BTL_XS_TCP_BEGINNING == endpoint->tcp_state && !endpoint->begin_gone && seen.fd >= 0
        && !mca_btl_xs_watch_same(link, seen.fd)) {
        /* Both have connected, and tcp has taken the other connection: BEGIN goes by that. */
        OPAL_THREAD_LOCK(&endpoint->lock);
        mca_btl_xs_tcp_forget(link);
        (void) mca_btl_xs_watch_begin(link, seen.fd);
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        return;
    }
    mca_btl_xs_watch_pause(link);
    /* Now: a later connection must not find what is left of this one in tcp's endpoint. */
    if (mca_btl_xs_failover_broken(endpoint)) {
        mca_btl_xs_failover_step(endpoint);
    }
}

static void mca_btl_xs_failover_doubt_one(mca_btl_xs_endpoint_t *endpoint)
{
    for (int i = 0; i < endpoint->link_count && MCA_BTL_XS_TCP_UP == endpoint->tcp_state; i++) {
        if (-1 != endpoint->links[i].fd && mca_btl_xs_watch_look(&endpoint->links[i]).accepting) {
            mca_btl_xs_watch_ask(&endpoint->links[i]);
        }
    }
}

void mca_btl_xs_failover_doubt(void)
{
    mca_btl_xs_component_for_all(mca_btl_xs_failover_doubt_one);
}

/* Is there anything for which a connection is needed? */
static bool mca_btl_xs_failover_wanted(mca_btl_xs_endpoint_t *endpoint)
{
    return endpoint->tcp_wanted || endpoint->tx_resync
           || !opal_list_is_empty(&endpoint->tx_retained);
}

/* Nobody answers: only what has been promised is worth ending the job. */
static void mca_btl_xs_failover_give_up(mca_btl_xs_endpoint_t *endpoint)
{
    bool promised;

    OPAL_THREAD_LOCK(&endpoint->lock);
    promised = endpoint->tx_resync || !opal_list_is_empty(&endpoint->tx_retained)
               || mca_btl_xs_send_waits_for_tcp(endpoint);
    endpoint->tcp_wanted = false;
    endpoint->tcp_since = 0;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (promised) {
        mca_btl_xs_endpoint_lost(endpoint);
    }
}

/* What can only begin anew. */
static void mca_btl_xs_failover_anew(mca_btl_xs_endpoint_t *endpoint)
{
    if (!mca_btl_xs_failover_broken(endpoint)) {
        mca_btl_xs_endpoint_lost(endpoint);
    }
}

/*
 * The connection is there, and the answer is not: a process that does something else answers when
 * it is in MPI again. False: it will not answer.
 */
static bool mca_btl_xs_failover_stands(mca_btl_xs_endpoint_t *endpoint, double now)
{
    if (0 == endpoint->tcp_stands) {
        endpoint->tcp_stands = now;
    } else if (now - endpoint->tcp_stands > MCA_BTL_XS_FAILOVER_STALE) {
        if (endpoint->begin_come && !endpoint->begin_gone && 1 == endpoint->link_count) {
            /* tcp reads what comes by it, and cannot even write so little. */
            mca_btl_xs_failover_anew(endpoint);
            return false;
        }
        if (endpoint->begin_gone && 0 == endpoint->links[0].flying) {
            /* The answer may have been spared for want of memory. */
            mca_btl_xs_tcp_begin_again(endpoint);
        }
        endpoint->tcp_stands = now;
    }
    return true;
}

/* Is it time to give up, or to begin another try? Then false. */
static bool mca_btl_xs_failover_patient(mca_btl_xs_endpoint_t *endpoint, double now)
{
    mca_btl_xs_link_t *link = &endpoint->links[0];
    double away = now - endpoint->tcp_looked;

    endpoint->tcp_looked = now;
    /* While this process did something else, or stood still, nobody tried. */
    if (away > 2 * MCA_BTL_XS_FAILOVER_MOST) {
        endpoint->tcp_since += away;
    }
    if (link->begun && mca_btl_xs_watch_connected(link)) {
        endpoint->tcp_since = now;
        endpoint->tcp_tried = 0;
        return mca_btl_xs_failover_stands(endpoint, now);
    }
    endpoint->tcp_stands = 0;
    if (now - endpoint->tcp_since > mca_btl_xs_component.failover) {
        mca_btl_xs_failover_give_up(endpoint);
        return false;
    }
    if (!link->begun) {
        endpoint->tcp_tried = 0;
    } else if (0 == endpoint->tcp_tried) {
        endpoint->tcp_tried = now;
    } else if (now - endpoint->tcp_tried > MCA_BTL_XS_FAILOVER_STALE) {
        mca_btl_xs_failover_anew(endpoint);
        return false;
    }
    return true;
}

static void mca_btl_xs_failover_try(mca_btl_xs_endpoint_t *endpoint)
{
    double now = mca_btl_xs_host_passed();
    bool lower;

    if (!mca_btl_xs_failover_wanted(endpoint)) {
        endpoint->tcp_since = 0;
        return;
    }
    mca_btl_xs_progress_wake(endpoint);
    if (0 == endpoint->tcp_since) {
        lower = 0 > opal_compare_proc(OPAL_PROC_MY_NAME, endpoint->proc->proc_name);
        endpoint->tcp_since = endpoint->tcp_looked = now;
        endpoint->tcp_pause = (lower ? 1 : MCA_BTL_XS_FAILOVER_HIGHER) * MCA_BTL_XS_FAILOVER_FIRST;
        endpoint->tcp_next = lower ? now : now + MCA_BTL_XS_FAILOVER_FIRST;
    }
    if (!mca_btl_xs_failover_patient(endpoint, now)) {
        return;
    }
    if (!endpoint->links[0].begun && now >= endpoint->tcp_next) {
        endpoint->tcp_next = now + endpoint->tcp_pause;
        endpoint->tcp_pause = 2 * endpoint->tcp_pause < MCA_BTL_XS_FAILOVER_MOST
                                  ? 2 * endpoint->tcp_pause
                                  : MCA_BTL_XS_FAILOVER_MOST;
        mca_btl_xs_tcp_begin(endpoint);
    }
    /* If it has failed at once that is seen to already. */
    if (MCA_BTL_XS_TCP_BEGINNING == endpoint->tcp_state) {
        mca_btl_xs_failover_later(endpoint, endpoint->tcp_next > now ? endpoint->tcp_next - now
                                                                     : MCA_BTL_XS_FAILOVER_MOST);
    }
}

/*
 * Whoever is subscribed to events is told once, and not before tcp has read all that had come: it
 * may have been the peer's BYE.
 */
static void mca_btl_xs_failover_dead(mca_btl_xs_endpoint_t *endpoint)
{
    if (!endpoint->tcp_dead) {
        endpoint->tcp_dead = true;
        mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_IFACE_DEAD, endpoint, "tcp",
                                "connection-broken");
    }
}

/* What is next to be done. Called by libevent, so not from within tcp. */
static void mca_btl_xs_failover_step(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->quiet || endpoint->lost || mca_btl_xs_compat_late()) {
        for (int i = 0; i < endpoint->link_count; i++) {
            mca_btl_xs_watch_end(&endpoint->links[i]);
        }
        return;
    }
    if (MCA_BTL_XS_TCP_DOWN == endpoint->tcp_state) {
        switch (mca_btl_xs_tcp_renew(endpoint)) {
        case OPAL_SUCCESS:
            mca_btl_xs_failover_dead(endpoint);
            break;
        case OPAL_ERR_RESOURCE_BUSY:
            mca_btl_xs_failover_later(endpoint, 0);
            return;
        case OPAL_ERR_WOULD_BLOCK:
            /* Behind the others that libevent calls in this turn. */
            event_active(&endpoint->tcp_timer, OPAL_EV_TIMEOUT, 1);
            return;
        default:
            mca_btl_xs_endpoint_lost(endpoint);
            return;
        }
    }
    if (MCA_BTL_XS_TCP_BEGINNING == endpoint->tcp_state) {
        mca_btl_xs_failover_try(endpoint);
    }
}

void mca_btl_xs_failover_want(mca_btl_xs_endpoint_t *endpoint)
{
    if (!endpoint->tcp_wanted) {
        endpoint->tcp_wanted = true;
        mca_btl_xs_progress_wake(endpoint);
        mca_btl_xs_failover_later(endpoint, 0);
    }
}

void mca_btl_xs_failover_begin(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_begin_t *begin)
{
    const mca_btl_xs_begin_t answer = *begin;

    mca_btl_xs_tcp_learn(endpoint);
    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->begin_come = true;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    /* Down: the connection that it has come by is about to be thrown away. */
    if (0 != begin->generation && MCA_BTL_XS_TCP_DOWN != endpoint->tcp_state) {
        mca_btl_xs_tcp_tell(endpoint, MCA_BTL_XS_BEGUN, &answer, sizeof(answer));
    }
}

static void mca_btl_xs_failover_said(mca_btl_xs_endpoint_t *endpoint)
{
    char *host;

    if (!mca_btl_xs_component.warn || endpoint->tcp_said) {
        return;
    }
    endpoint->tcp_said = true;
    host = mca_btl_xs_compat_hostname(endpoint->proc);
    opal_show_help("help-mpi-btl-xs.txt", "connection broken", true, opal_process_info.nodename,
                   getpid(), OPAL_NAME_PRINT(endpoint->proc->proc_name), host);
    free(host);
}

void mca_btl_xs_failover_begun(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_begin_t *begin)
{
    bool up;

    OPAL_THREAD_LOCK(&endpoint->lock);
    up = MCA_BTL_XS_TCP_BEGINNING == endpoint->tcp_state
         && begin->generation == endpoint->tcp_generation;
    if (up) {
        endpoint->tcp_state = MCA_BTL_XS_TCP_UP;
        endpoint->tcp_wanted = false;
        endpoint->tcp_since = 0;
        endpoint->hello_due = endpoint->hello_due || 0 != endpoint->told_epoch;
        endpoint->counters.reconnects++;
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (up) {
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: connected again at fragment %lu, %.3f",
                           OPAL_NAME_PRINT(endpoint->proc->proc_name),
                           (unsigned long) endpoint->tx_covered, mca_btl_xs_host_now());
        mca_btl_xs_failover_said(endpoint);
        endpoint->tcp_dead = false;
        mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_IFACE_RESTORED, endpoint, "tcp", NULL);
        if (endpoint->proc->proc_name.jobid == OPAL_PROC_MY_NAME.jobid) {
            mca_btl_xs_gate_mended(endpoint->proc->proc_name.vpid);
        }
        mca_btl_xs_component_talk_later(endpoint);
    }
}
