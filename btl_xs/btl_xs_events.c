/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_events.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "btl_xs_bus.h"
#include "btl_xs_endpoint.h"
#include "btl_xs_host.h"
#include "btl_xs_pmix.h"

/* Events that are kept: who falls behind by more has lost some. */
#define MCA_BTL_XS_EVENTS_KEPT 128

/* Events that a subscriber is sent before it says that it has read any of them. */
#define MCA_BTL_XS_EVENTS_AHEAD 16

#define MCA_BTL_XS_EVENTS_SUBSCRIBERS 64

/* Longest id of a subscriber. */
#define MCA_BTL_XS_EVENTS_ID 32

static const struct {
    const char *name;
    const char *severity; /* of the fault-tolerance backplane */
    int priority;         /* of syslog */
} mca_btl_xs_events_kinds[MCA_BTL_XS_THROWN_KINDS]
    = {[MCA_BTL_XS_THROWN_INIT] = {"MPI_INIT", "info", LOG_INFO},
       [MCA_BTL_XS_THROWN_FINALIZE] = {"MPI_FINALIZE", "info", LOG_INFO},
       [MCA_BTL_XS_THROWN_IFACE_DEAD] = {"MPI_IFACE_DEAD", "warning", LOG_WARNING},
       [MCA_BTL_XS_THROWN_IFACE_RESTORED] = {"MPI_IFACE_RESTORED", "info", LOG_INFO},
       [MCA_BTL_XS_THROWN_NODE_MIGRATE_DONE] = {"MPI_NODE_MIGRATE_DONE", "info", LOG_NOTICE},
       [MCA_BTL_XS_THROWN_NODE_DEAD] = {"MPI_NODE_DEAD", "error", LOG_ERR},
       [MCA_BTL_XS_THROWN_NODE_RESTORED] = {"MPI_NODE_RESTORED", "info", LOG_NOTICE},
       [MCA_BTL_XS_THROWN_RANK_DEAD] = {"MPI_RANK_DEAD", "error", LOG_ERR},
       [MCA_BTL_XS_THROWN_MSG_CORRUPT] = {"MPI_MSG_CORRUPT", "error", LOG_ERR},
       [MCA_BTL_XS_CAUGHT_NODE_MIGRATE] = {"NODE_MIGRATE", "info", LOG_NOTICE},
       [MCA_BTL_XS_CAUGHT_IFACE_DEAD] = {"IFACE_DEAD", "warning", LOG_NOTICE},
       [MCA_BTL_XS_CAUGHT_IFACE_RESTORED] = {"IFACE_RESTORED", "info", LOG_NOTICE},
       [MCA_BTL_XS_CAUGHT_JOB_ABORT] = {"JOB_ABORT", "fatal", LOG_CRIT},
       [MCA_BTL_XS_CAUGHT_JOB_RESUME] = {"JOB_RESUME", "info", LOG_NOTICE},
       [MCA_BTL_XS_THROWN_QUIESCED] = {"XS_QUIESCED", "info", LOG_NOTICE},
       [MCA_BTL_XS_THROWN_RESUMED] = {"XS_RESUMED", "info", LOG_NOTICE}};

struct mca_btl_xs_subscriber_t {
    opal_list_item_t super;
    uint32_t gate;
    char id[MCA_BTL_XS_EVENTS_ID];
    uint64_t next; /* number of the event that it is told next */
    uint64_t read; /* it has read all up to this one */
};
typedef struct mca_btl_xs_subscriber_t mca_btl_xs_subscriber_t;
OBJ_CLASS_DECLARATION(mca_btl_xs_subscriber_t);
OBJ_CLASS_INSTANCE(mca_btl_xs_subscriber_t, opal_list_item_t, NULL, NULL);

static struct {
    pthread_mutex_t lock; /* guards these; nothing else is taken under it */
    bool open;
    bool closing;
    struct {
        mca_btl_xs_thrown_t kind;
        char *text;
    } kept[MCA_BTL_XS_EVENTS_KEPT]; /* by number */
    uint64_t last;                      /* number of the newest one, from 1 */
    bool due;                           /* mca_btl_xs_events_due() will be called */
    int log;                            /* socket of syslog, or -1 */
    unsigned int unlogged;

    opal_list_t subscribers;
    mca_btl_xs_subscriber_t pmix;
    opal_event_t timer; /* while there are peers that nothing is heard of */
} events = {.lock = PTHREAD_MUTEX_INITIALIZER, .log = -1};

/*
 * Not by syslog(): that waits if the daemon does not read. What finds no room is counted, and
 * the next one that does says so. The lock is held.
 */
static void mca_btl_xs_events_log(mca_btl_xs_thrown_t kind, const char *text)
{
    const char *job = mca_btl_xs_compat_job_name();
    char line[1024], lost[32] = "";
    int length;

    if (-1 == events.log) {
        return;
    }
    if (0 != events.unlogged) {
        snprintf(lost, sizeof(lost), " (%u events lost)", events.unlogged);
    }
    length = snprintf(line, sizeof(line), "<%d>btl_xs[%d]: %s job=%s rank=%u %s%s",
                      LOG_USER | mca_btl_xs_events_kinds[kind].priority, (int) getpid(),
                      mca_btl_xs_events_kinds[kind].name, NULL == job ? "-" : job,
                      OPAL_PROC_MY_NAME.vpid, text, lost);
    if (length >= (int) sizeof(line)) {
        length = sizeof(line) - 1;
    }
    events.unlogged = send(events.log, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) == length
                          ? 0
                          : events.unlogged + 1;
}

static void mca_btl_xs_events_log_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

    if (!mca_btl_xs_component.syslog) {
        return;
    }
    events.log = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (-1 != events.log
        && 0 != connect(events.log, (struct sockaddr *) &address, sizeof(address))) {
        close(events.log);
        events.log = -1;
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "no syslog");
    }
}

/* "host=HOST peer=RANK peer_host=HOST ...": a rank of another job by its whole name. */
static char *mca_btl_xs_events_text(const mca_btl_xs_endpoint_t *endpoint, const char *transport,
                                    const char *reason)
{
    char peer[64] = "-", *host = NULL, *text;

    if (NULL != endpoint) {
        opal_process_name_t name = endpoint->proc->proc_name;

        if (name.jobid == OPAL_PROC_MY_NAME.jobid) {
            snprintf(peer, sizeof(peer), "%u", name.vpid);
        } else {
            snprintf(peer, sizeof(peer), "%s", OPAL_NAME_PRINT(name));
        }
        host = mca_btl_xs_compat_hostname(endpoint->proc);
    }
    if (asprintf(&text, "host=%s peer=%s peer_host=%s transport=%s reason=%s",
                 opal_process_info.nodename, peer, NULL == host ? "-" : host,
                 NULL == transport ? "-" : transport, NULL == reason ? "-" : reason)
        < 0) {
        text = NULL;
    }
    free(host);
    return text;
}

/* Numbers and keeps it; true: nobody has been asked yet to tell of it. The lock is held. */
static bool mca_btl_xs_events_keep(mca_btl_xs_thrown_t kind, const char *text)
{
    uint64_t place = (events.last + 1) % MCA_BTL_XS_EVENTS_KEPT;
    struct timespec now;
    bool due = events.due;
    char *line;

    clock_gettime(CLOCK_REALTIME, &now);
    if (asprintf(&line, "%lu %ld.%03ld %s %s %s", (unsigned long) events.last + 1,
                 (long) now.tv_sec, now.tv_nsec / 1000000, mca_btl_xs_events_kinds[kind].name,
                 mca_btl_xs_events_kinds[kind].severity, text)
        < 0) {
        return false;
    }
    free(events.kept[place].text);
    events.kept[place].text = line;
    events.kept[place].kind = kind;
    events.last++;
    events.due = true;
    return !due;
}

void mca_btl_xs_events_throw(mca_btl_xs_thrown_t kind, mca_btl_xs_endpoint_t *endpoint,
                             const char *transport, const char *reason)
{
    char *text = events.open ? mca_btl_xs_events_text(endpoint, transport, reason) : NULL;
    bool tell = false;

    if (NULL == text) {
        return;
    }
    pthread_mutex_lock(&events.lock);
    if (events.open) {
        mca_btl_xs_events_log(kind, text);
        tell = mca_btl_xs_events_keep(kind, text);
    }
    pthread_mutex_unlock(&events.lock);
    free(text);
    if (tell) {
        mca_btl_xs_bus_came(MCA_BTL_XS_EVENTS_DUE, OPAL_PROC_MY_NAME, "", 0);
    }
}

static void mca_btl_xs_events_say(const mca_btl_xs_subscriber_t *subscriber, const char *state,
                                  const char *text)
{
    char *line;

    if (0 < asprintf(&line, "%s %s %s", subscriber->id, state, text)) {
        mca_btl_xs_bus_say(MCA_BTL_XS_ANSWER, subscriber->gate, line);
        free(line);
    }
}

/* The lock is held. */
static uint64_t mca_btl_xs_events_oldest(void)
{
    return events.last < MCA_BTL_XS_EVENTS_KEPT ? 1 : events.last - MCA_BTL_XS_EVENTS_KEPT + 1;
}

/* The next event for a subscriber, to be freed, or NULL, and how many it has lost before. */
static char *mca_btl_xs_events_next(mca_btl_xs_subscriber_t *subscriber, uint64_t *lost,
                                    mca_btl_xs_thrown_t *kind)
{
    char *text = NULL;

    pthread_mutex_lock(&events.lock);
    *lost = 0;
    if (subscriber->next <= events.last
        && (events.closing || subscriber->next <= subscriber->read + MCA_BTL_XS_EVENTS_AHEAD)) {
        uint64_t oldest = mca_btl_xs_events_oldest();

        if (subscriber->next < oldest) {
            *lost = oldest - subscriber->next;
            subscriber->next = oldest;
        }
        *kind = events.kept[subscriber->next % MCA_BTL_XS_EVENTS_KEPT].kind;
        text = strdup(events.kept[subscriber->next++ % MCA_BTL_XS_EVENTS_KEPT].text);
    }
    pthread_mutex_unlock(&events.lock);
    return text;
}

static void mca_btl_xs_events_serve(mca_btl_xs_subscriber_t *subscriber)
{
    mca_btl_xs_thrown_t kind;
    char *text, count[24];
    uint64_t lost;

    while (NULL != (text = mca_btl_xs_events_next(subscriber, &lost, &kind))) {
        if (0 != lost) {
            snprintf(count, sizeof(count), "%lu", (unsigned long) lost);
            mca_btl_xs_events_say(subscriber, "lost", count);
        }
        mca_btl_xs_events_say(subscriber, "event", text);
        free(text);
    }
}

/* What PMIx has no time for is lost, as the events' numbers show. */
static void mca_btl_xs_events_notify(void)
{
    mca_btl_xs_thrown_t kind;
    uint64_t lost;
    char *text;

    while (mca_btl_xs_pmix_ready()
           && NULL != (text = mca_btl_xs_events_next(&events.pmix, &lost, &kind))) {
        mca_btl_xs_pmix_notify(kind, mca_btl_xs_events_kinds[kind].name, text);
        free(text);
    }
}

void mca_btl_xs_events_due(void)
{
    mca_btl_xs_subscriber_t *subscriber;

    if (!events.open) {
        return;
    }
    pthread_mutex_lock(&events.lock);
    events.due = false;
    pthread_mutex_unlock(&events.lock);
    OPAL_LIST_FOREACH (subscriber, &events.subscribers, mca_btl_xs_subscriber_t) {
        mca_btl_xs_events_serve(subscriber);
    }
    mca_btl_xs_events_notify();
}

static mca_btl_xs_subscriber_t *mca_btl_xs_events_subscriber(uint32_t gate, const char *id)
{
    mca_btl_xs_subscriber_t *subscriber;

    OPAL_LIST_FOREACH (subscriber, &events.subscribers, mca_btl_xs_subscriber_t) {
        if (subscriber->gate == gate && 0 == strcmp(subscriber->id, id)) {
            return subscriber;
        }
    }
    return NULL;
}

const char *mca_btl_xs_events_subscribe(uint32_t gate, const char *id, const char *first,
                                        uint64_t *last)
{
    mca_btl_xs_subscriber_t *subscriber;
    uint64_t oldest, number;

    if (!events.open || sizeof(subscriber->id) <= strlen(id)) {
        return "not now";
    }
    subscriber = mca_btl_xs_events_subscriber(gate, id);
    if (NULL == subscriber) {
        if (MCA_BTL_XS_EVENTS_SUBSCRIBERS <= opal_list_get_size(&events.subscribers)) {
            return "too many subscribers";
        }
        subscriber = OBJ_NEW(mca_btl_xs_subscriber_t);
        if (NULL == subscriber) {
            return "not now";
        }
        subscriber->gate = gate;
        strcpy(subscriber->id, id);
        opal_list_append(&events.subscribers, &subscriber->super);
    }
    pthread_mutex_lock(&events.lock);
    oldest = mca_btl_xs_events_oldest();
    number = '\0' == first[0] ? events.last + 1 : strtoull(first, NULL, 10);
    /* 0: all that there are, and what is forgotten already is not lost. */
    subscriber->next = 0 == number ? oldest : number > events.last ? events.last + 1 : number;
    subscriber->read = *last = subscriber->next - 1;
    pthread_mutex_unlock(&events.lock);
    /* Not at once: first it is to hear that it has subscribed. */
    mca_btl_xs_bus_came(MCA_BTL_XS_EVENTS_DUE, OPAL_PROC_MY_NAME, "", 0);
    return NULL;
}

void mca_btl_xs_events_acknowledge(uint32_t gate, const char *id, const char *number)
{
    mca_btl_xs_subscriber_t *subscriber
        = events.open ? mca_btl_xs_events_subscriber(gate, id) : NULL;
    uint64_t read = strtoull(number, NULL, 10);

    if (NULL != subscriber && read > subscriber->read && read < subscriber->next) {
        subscriber->read = read;
        mca_btl_xs_events_serve(subscriber);
    }
}

/* All of one tool's, whose ids begin with "NUMBER.". */
void mca_btl_xs_events_unsubscribe(uint32_t gate, const char *id)
{
    mca_btl_xs_subscriber_t *subscriber, *next;
    size_t length = strcspn(id, ".");

    if (!events.open) {
        return;
    }
    OPAL_LIST_FOREACH_SAFE (subscriber, next, &events.subscribers, mca_btl_xs_subscriber_t) {
        if (subscriber->gate == gate && 0 == strncmp(subscriber->id, id, length)
            && '.' == subscriber->id[length]) {
            opal_list_remove_item(&events.subscribers, &subscriber->super);
            OBJ_RELEASE(subscriber);
        }
    }
}

/*
 * Nodes. A kernel has revoked the ring to a peer: one of the two guests has been suspended, or
 * is no more. If it is the peer's, all that we can know of it is that we hear from it again;
 * so it is dead if that takes too long, until it does. Looked at each second while there are
 * such peers, and never otherwise. A peer that computes all the time cannot be told from these.
 */

static void mca_btl_xs_events_watch(void)
{
    const struct timeval second = {1, 0};

    if (0 != mca_btl_xs_component.node_silence) {
        opal_event_evtimer_add(&events.timer, &second);
    }
}

/* Rises with each thing that comes from the peer. */
static uint64_t mca_btl_xs_events_heard(mca_btl_xs_endpoint_t *endpoint)
{
    return endpoint->rx_next + endpoint->tx_covered + endpoint->peer_epoch;
}

void mca_btl_xs_events_path(mca_btl_xs_endpoint_t *endpoint, bool there, const char *reason)
{
    /* Whoever leaves has no fault. */
    if (!events.open || endpoint->quiet) {
        return;
    }
    mca_btl_xs_events_throw(there ? MCA_BTL_XS_THROWN_IFACE_RESTORED : MCA_BTL_XS_THROWN_IFACE_DEAD,
                            endpoint, "xs", reason);
    if (!there && MCA_BTL_XS_SILENCE_NONE == endpoint->silence
        && (0 == strcmp(reason, "revoked") || 0 == strcmp(reason, "peer-gone"))) {
        endpoint->silence = MCA_BTL_XS_SILENCE_BEGINS;
        endpoint->silent_epoch = mca_btl_xs_host.epoch;
        endpoint->silent_mark = endpoint->peer_epoch;
        mca_btl_xs_events_watch();
    }
}

/* Is there a process on the same host that we have heard of? */
static bool mca_btl_xs_events_neighbour(const char *host)
{
    mca_btl_xs_endpoint_t *endpoint;
    bool found = false;

    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
        if (endpoint->met && !endpoint->quiet && MCA_BTL_XS_SILENCE_NONE == endpoint->silence) {
            char *name = mca_btl_xs_compat_hostname(endpoint->proc);

            found = found || 0 == strcmp(name, host);
            free(name);
        }
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    return found;
}

/* One node is one event, of the first of its processes. */
static void mca_btl_xs_events_node_died(mca_btl_xs_endpoint_t *endpoint)
{
    char *host = mca_btl_xs_compat_hostname(endpoint->proc);
    mca_btl_xs_endpoint_t *other;
    /* Ours lives: it is the process that is silent. */
    bool known = OPAL_PROC_ON_LOCAL_NODE(endpoint->proc->proc_flags)
                 || mca_btl_xs_events_neighbour(host);

    if (!known) {
        OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
        OPAL_LIST_FOREACH (other, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
            char *name = mca_btl_xs_compat_hostname(other->proc);

            known = known || (other->node_dead && 0 == strcmp(name, host));
            free(name);
        }
        OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    }
    free(host);
    endpoint->silence = MCA_BTL_XS_SILENCE_LONG;
    if (!known) {
        endpoint->node_dead = true;
        mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_NODE_DEAD, endpoint, NULL, "silent");
    }
}

static void mca_btl_xs_events_look(mca_btl_xs_endpoint_t *endpoint)
{
    uint64_t heard, epoch;
    bool quiet;

    if (MCA_BTL_XS_SILENCE_NONE == endpoint->silence) {
        return;
    }
    OPAL_THREAD_LOCK(&endpoint->lock);
    heard = mca_btl_xs_events_heard(endpoint);
    epoch = endpoint->peer_epoch;
    quiet = endpoint->quiet;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (MCA_BTL_XS_SILENCE_BEGINS == endpoint->silence) {
        /* By now all that had been on its ring has been counted. Perhaps it was us who left. */
        bool over = endpoint->silent_epoch != mca_btl_xs_host.epoch
                    || endpoint->silent_mark != epoch;

        endpoint->silence = over || quiet ? MCA_BTL_XS_SILENCE_NONE : MCA_BTL_XS_SILENCE_LASTS;
        endpoint->silent_mark = heard;
        endpoint->silent_seconds = 1;
    } else if (quiet || endpoint->silent_mark != heard
               || (!endpoint->node_dead && endpoint->silent_epoch != mca_btl_xs_host.epoch)) {
        endpoint->silence = MCA_BTL_XS_SILENCE_NONE;
        if (endpoint->node_dead && !quiet) {
            mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_NODE_RESTORED, endpoint, NULL, "heard");
        }
        endpoint->node_dead = false;
    } else if (MCA_BTL_XS_SILENCE_LASTS == endpoint->silence
               && ++endpoint->silent_seconds >= mca_btl_xs_component.node_silence) {
        mca_btl_xs_events_node_died(endpoint);
    }
    if (MCA_BTL_XS_SILENCE_NONE != endpoint->silence) {
        mca_btl_xs_events_watch();
    }
}

static void mca_btl_xs_events_timer(int fd, short flags, void *context)
{
    mca_btl_xs_component_for_all(mca_btl_xs_events_look);
}

void mca_btl_xs_events_register(void)
{
    mca_btl_xs_component.syslog = false;
    (void) mca_base_component_var_register(
        &mca_btl_xs_component.super.btl_version, "syslog",
        "Tell fault events, which xs-events(1) shows, to the system's log, too (default: false)",
        MCA_BASE_VAR_TYPE_BOOL, NULL, 0, 0, OPAL_INFO_LVL_4, MCA_BASE_VAR_SCOPE_READONLY,
        &mca_btl_xs_component.syslog);
    mca_btl_xs_component.node_silence = 60;
    (void) mca_base_component_var_register(
        &mca_btl_xs_component.super.btl_version, "node_silence",
        "The event MPI_NODE_DEAD is thrown if nothing is heard for so many seconds from any "
        "process of a guest whose shared memory has been revoked by the kernel; 0: never "
        "(default: 60)",
        MCA_BASE_VAR_TYPE_UNSIGNED_INT, NULL, 0, 0, OPAL_INFO_LVL_5,
        MCA_BASE_VAR_SCOPE_READONLY, &mca_btl_xs_component.node_silence);
    mca_btl_xs_pmix_register();
}

void mca_btl_xs_events_open(void)
{
    OBJ_CONSTRUCT(&events.subscribers, opal_list_t);
    opal_event_evtimer_set(opal_sync_event_base, &events.timer, mca_btl_xs_events_timer, NULL);
    mca_btl_xs_events_log_open();
    events.pmix.next = 1;
    events.pmix.read = UINT64_MAX - MCA_BTL_XS_EVENTS_AHEAD;
    events.open = true;
    mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_INIT, NULL, NULL, NULL);
}

void mca_btl_xs_events_close(void)
{
    if (!events.open) {
        return;
    }
    mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_FINALIZE, NULL, NULL, NULL);
    /* All that there is: there will be no other time. */
    events.closing = true;
    mca_btl_xs_events_due();
    /* Through the bus to our own gate; nobody else will do that any more. */
    (void) opal_event_loop(opal_sync_event_base, OPAL_EVLOOP_ONCE | OPAL_EVLOOP_NONBLOCK);
    pthread_mutex_lock(&events.lock);
    events.open = events.closing = events.due = false;
    events.last = 0;
    for (int i = 0; i < MCA_BTL_XS_EVENTS_KEPT; i++) {
        free(events.kept[i].text);
        events.kept[i].text = NULL;
    }
    if (-1 != events.log) {
        close(events.log);
        events.log = -1;
    }
    pthread_mutex_unlock(&events.lock);
    opal_event_del(&events.timer);
    OPAL_LIST_DESTRUCT(&events.subscribers);
}
