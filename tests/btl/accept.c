/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that come at once, to btl_xs_accept.c above something that is like Open MPI's tcp there:
 * all are accepted, each is waited for to say who it is, and then one timer is set. tcp does not look
 * whether that runs already; this does.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "btl_xs_accept.h"

#define MUST(x)                                                       \
    do {                                                              \
        if (!(x)) {                                                   \
            fprintf(stderr, "accept: line %d: %s\n", __LINE__, #x); \
            exit(1);                                                  \
        }                                                             \
    } while (0)

static struct event listens, timer;
static struct sockaddr_in address;
static int said, done, gave;

static void given(void)
{
    gave++;
}

static void completes(int fd, short flags, void *context)
{
    done++;
}

static void says(int fd, short flags, void *context)
{
    const struct timeval now = {0, 0};
    char who;

    event_free(context);
    MUST(1 == recv(fd, &who, 1, MSG_DONTWAIT));
    close(fd);
    said++;
    MUST(!evtimer_pending(&timer, NULL));
    opal_event_evtimer_set(opal_sync_event_base, &timer, completes, NULL);
    opal_event_evtimer_add(&timer, &now);
}

static void accepts(int fd, short flags, void *context)
{
    struct event *event;
    int got;

    while (0 <= (got = accept(fd, NULL, NULL))) {
        event = event_new(opal_sync_event_base, got, EV_READ, says, event_self_cbarg());
        event_add(event, NULL);
    }
}

static int comes(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    MUST(0 == connect(fd, (struct sockaddr *) &address, sizeof(address)));
    return fd;
}

static void speaks(int fd)
{
    MUST(1 == write(fd, "x", 1));
}

static void turns(int count)
{
    while (0 < count--) {
        event_base_loop(opal_sync_event_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        usleep(1000);
    }
}

int main(void)
{
    socklen_t length = sizeof(address);
    int fd, silent, late;

    alarm(60);
    opal_sync_event_base = event_base_new();
    opal_event_evtimer_set(opal_sync_event_base, &timer, completes, NULL);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(0 == bind(fd, (struct sockaddr *) &address, sizeof(address)) && 0 == listen(fd, 8));
    MUST(0 == getsockname(fd, (struct sockaddr *) &address, &length));
    opal_event_set(opal_sync_event_base, &listens, fd, EV_READ | EV_PERSIST, accepts, NULL);
    opal_event_add(&listens, NULL);
    mca_btl_xs_accept_open(given);

    silent = comes();
    for (int i = 0; i < 5; i++) {
        speaks(comes());
    }
    turns(100);
    MUST(5 == said && 5 == done);
    speaks(silent);
    turns(100);
    MUST(6 == said && 6 == done && 6 == gave);

    late = comes();
    turns(100);
    mca_btl_xs_accept_close();
    speaks(late);
    turns(100);
    MUST(7 == said && 7 == done);
    speaks(comes());
    turns(100);
    MUST(8 == said && 8 == done);
    return 0;
}
