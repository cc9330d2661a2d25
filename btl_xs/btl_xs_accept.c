/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_accept.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

/* Sockets that tcp listens to: one for each version of IP. */
#define MCA_BTL_XS_ACCEPT_LISTENERS 2

/*
 * Microseconds until one looks again whether any of those that wait has said who it is: at first,
 * and, twice as long each time, at most. Who connects and says nothing is not to cost more.
 */
#define MCA_BTL_XS_ACCEPT_PAUSE 1000
#define MCA_BTL_XS_ACCEPT_PAUSE_MOST 64000

struct mca_btl_xs_listener_t {
    struct event *theirs; /* tcp's, which ours takes the place of */
    opal_event_t ours;
    in_port_t port;
};
typedef struct mca_btl_xs_listener_t mca_btl_xs_listener_t;

static struct {
    mca_btl_xs_listener_t listeners[MCA_BTL_XS_ACCEPT_LISTENERS];
    int count;
    struct event **waiting; /* tcp's, of connections that it has not read from */
    int waits;
    int room;
    bool pause; /* tcp is busy with one */
    long idle;  /* microseconds, the next pause if none of them has said so */
    void (*given)(void);
    opal_event_t turn;
} incoming;

/* The local port of a socket of TCP's; else 0. */
static in_port_t mca_btl_xs_accept_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t length = sizeof(address);

    if (0 > fd || 0 != getsockname(fd, &address.any, &length)) {
        return 0;
    }
    switch (address.any.sa_family) {
    case AF_INET:
        return address.v4.sin_port;
    case AF_INET6:
        return address.v6.sin6_port;
    default:
        return 0;
    }
}

static void mca_btl_xs_accept_later(long microseconds)
{
    const struct timeval when = {0, microseconds};

    opal_event_evtimer_add(&incoming.turn, &when);
}

static int mca_btl_xs_accept_listens(const struct event_base *base, const struct event *event,
                                     void *context)
{
    in_port_t port = mca_btl_xs_accept_port(event_get_fd(event));
    int listens = 0;
    socklen_t length = sizeof(listens);

    if (0 != port && MCA_BTL_XS_ACCEPT_LISTENERS > incoming.count
        && 0 == getsockopt(event_get_fd(event), SOL_SOCKET, SO_ACCEPTCONN, &listens, &length)
        && 0 != listens) {
        incoming.listeners[incoming.count++]
            = (mca_btl_xs_listener_t){.theirs = (struct event *) event, .port = port};
    }
    return 0;
}

/* One that tcp waits for to say who it is: it does so once, as with no other socket. */
static int mca_btl_xs_accept_found(const struct event_base *base, const struct event *event,
                                   void *context)
{
    const mca_btl_xs_listener_t *listener = context;
    struct event **more;

    if (0 != (event_get_events(event) & EV_PERSIST)
        || listener->port != mca_btl_xs_accept_port(event_get_fd(event))) {
        return 0;
    }
    if (incoming.waits == incoming.room) {
        more = realloc(incoming.waiting, (2 * incoming.room + 8) * sizeof(*more));
        if (NULL == more) {
            return 0;
        }
        incoming.waiting = more;
        incoming.room = 2 * incoming.room + 8;
    }
    incoming.waiting[incoming.waits++] = (struct event *) event;
    return 0;
}

static void mca_btl_xs_accept_call(struct event *event, int fd, short flags)
{
    event_get_callback(event)(fd, flags, event_get_callback_arg(event));
}

/* In place of tcp's own handler: has it accept all, and takes them away from it. */
static void mca_btl_xs_accept_came(int fd, short flags, void *context)
{
    mca_btl_xs_listener_t *listener = context;
    int before = incoming.waits;

    mca_btl_xs_accept_call(listener->theirs, fd, flags);
    (void) event_base_foreach_event(opal_sync_event_base, mca_btl_xs_accept_found, listener);
    for (int i = before; i < incoming.waits; i++) {
        opal_event_del(incoming.waiting[i]);
    }
    incoming.idle = MCA_BTL_XS_ACCEPT_PAUSE;
    if (0 < incoming.waits) {
        mca_btl_xs_accept_later(0);
    }
}

static bool mca_btl_xs_accept_ready(const struct event *event)
{
    struct pollfd look = {.fd = event_get_fd(event), .events = POLLIN};

    return poll(&look, 1, 0) > 0;
}

/*
 * Behind all that libevent has found to be read, an end of an earlier connection among that. tcp's
 * timer for what it is given now is due in libevent's next turn, so the next one can be
 * given in the one after it.
 */
static void mca_btl_xs_accept_turn(int fd, short flags, void *context)
{
    struct event *event;

    if (incoming.pause) {
        incoming.pause = false;
        mca_btl_xs_accept_later(0);
        return;
    }
    for (int i = 0; i < incoming.waits; i++) {
        event = incoming.waiting[i];
        if (mca_btl_xs_accept_ready(event)) {
            incoming.waits--;
            memmove(incoming.waiting + i, incoming.waiting + i + 1,
                    (incoming.waits - i) * sizeof(event));
            incoming.pause = true;
            incoming.idle = MCA_BTL_XS_ACCEPT_PAUSE;
            mca_btl_xs_accept_later(0);
            mca_btl_xs_accept_call(event, event_get_fd(event), EV_READ);
            incoming.given();
            return;
        }
    }
    if (0 < incoming.waits) {
        mca_btl_xs_accept_later(incoming.idle);
        if (MCA_BTL_XS_ACCEPT_PAUSE_MOST > incoming.idle) {
            incoming.idle *= 2;
        }
    }
}

void mca_btl_xs_accept_open(void (*given)(void))
{
    incoming.given = given;
    opal_event_evtimer_set(opal_sync_event_base, &incoming.turn, mca_btl_xs_accept_turn, NULL);
    (void) event_base_foreach_event(opal_sync_event_base, mca_btl_xs_accept_listens, NULL);
    for (int i = 0; i < incoming.count; i++) {
        mca_btl_xs_listener_t *listener = &incoming.listeners[i];

        opal_event_del(listener->theirs);
        opal_event_set(opal_sync_event_base, &listener->ours, event_get_fd(listener->theirs),
                       OPAL_EV_READ | OPAL_EV_PERSIST, mca_btl_xs_accept_came, listener);
        opal_event_add(&listener->ours, NULL);
    }
}

void mca_btl_xs_accept_close(void)
{
    if (0 < incoming.count) {
        opal_event_del(&incoming.turn);
    }
    while (0 < incoming.count) {
        mca_btl_xs_listener_t *listener = &incoming.listeners[--incoming.count];

        opal_event_del(&listener->ours);
        opal_event_add(listener->theirs, NULL);
    }
    while (0 < incoming.waits) {
        opal_event_add(incoming.waiting[--incoming.waits], NULL);
    }
    free(incoming.waiting);
    memset(&incoming, 0, sizeof(incoming));
}
