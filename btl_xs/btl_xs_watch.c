/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_watch.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btl_xs_failover.h"

/*
 * A connection of which the peer's kernel knows nothing any more is found after so many
 * seconds without traffic. One whose peer just does not answer is not given up for hours: it
 * may be a guest that stands still.
 */
#define MCA_BTL_XS_WATCH_IDLE 5
#define MCA_BTL_XS_WATCH_INTERVAL 60
#define MCA_BTL_XS_WATCH_COUNT 127

/* State of a socket in struct tcp_info. */
#define MCA_BTL_XS_WATCH_ESTABLISHED 1

static struct {
    int set; /* epoll */
    opal_event_t ready;
} watch = {.set = -1};

struct mca_btl_xs_watch_search_t {
    const mca_btl_xs_link_t *link;
    mca_btl_xs_watch_seen_t seen;
    struct event *stale;
};
typedef struct mca_btl_xs_watch_search_t mca_btl_xs_watch_search_t;

static int mca_btl_xs_watch_event(const struct event_base *base, const struct event *event,
                                  void *context)
{
    mca_btl_xs_watch_search_t *search = context;
    int flags = event->ev_evcallback.evcb_flags;

    if (event_get_callback_arg(event) != search->link->endpoint) {
        return 0;
    }
    if (event_get_fd(event) >= 0) {
        search->seen.fd = event_get_fd(event);
    } else {
        search->seen.accepting = true;
        search->seen.active |= 0 != (flags & (EVLIST_ACTIVE | EVLIST_ACTIVE_LATER));
    }
    return 0;
}

mca_btl_xs_watch_seen_t mca_btl_xs_watch_look(const mca_btl_xs_link_t *link)
{
    mca_btl_xs_watch_search_t search = {.link = link, .seen = {.fd = -1}};

    (void) event_base_foreach_event(opal_sync_event_base, mca_btl_xs_watch_event, &search);
    return search.seen;
}

bool mca_btl_xs_watch_begin(mca_btl_xs_link_t *link, int fd)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = link};
    const int on = 1, idle = MCA_BTL_XS_WATCH_IDLE, interval = MCA_BTL_XS_WATCH_INTERVAL,
              count = MCA_BTL_XS_WATCH_COUNT;

    link->fd = -1 == watch.set ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (-1 == link->fd) {
        return false;
    }
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (0 != epoll_ctl(watch.set, EPOLL_CTL_ADD, link->fd, &event)) {
        mca_btl_xs_watch_end(link);
        return false;
    }
    return true;
}

void mca_btl_xs_watch_ask(const mca_btl_xs_link_t *link)
{
    const int idle = MCA_BTL_XS_WATCH_IDLE;

    /* Linux begins to count anew, and what has been idle for so long is over at once. */
    (void) setsockopt(link->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
}

void mca_btl_xs_watch_pause(mca_btl_xs_link_t *link)
{
    if (-1 != link->fd) {
        (void) epoll_ctl(watch.set, EPOLL_CTL_DEL, link->fd, NULL);
    }
}

void mca_btl_xs_watch_end(mca_btl_xs_link_t *link)
{
    if (-1 != link->fd) {
        mca_btl_xs_watch_pause(link);
        close(link->fd);
        link->fd = -1;
    }
}

bool mca_btl_xs_watch_same(const mca_btl_xs_link_t *link, int fd)
{
    struct stat watched, other;

    return -1 != link->fd && 0 == fstat(link->fd, &watched) && 0 == fstat(fd, &other)
           && watched.st_ino == other.st_ino && watched.st_dev == other.st_dev;
}

static int mca_btl_xs_watch_stale(const struct event_base *base, const struct event *event,
                                  void *context)
{
    mca_btl_xs_watch_search_t *search = context;

    if (event_get_callback_arg(event) == search->link->endpoint && event_get_fd(event) >= 0
        && !mca_btl_xs_watch_same(search->link, event_get_fd(event))) {
        search->stale = (struct event *) event;
    }
    return 0;
}

void mca_btl_xs_watch_clean(const mca_btl_xs_link_t *link)
{
    mca_btl_xs_watch_search_t search = {.link = link};

    if (-1 != link->fd) {
        (void) event_base_foreach_event(opal_sync_event_base, mca_btl_xs_watch_stale, &search);
    }
    if (NULL != search.stale) {
        opal_event_del(search.stale);
    }
}

bool mca_btl_xs_watch_dead(const mca_btl_xs_link_t *link)
{
    struct pollfd look = {.fd = link->fd, .events = POLLRDHUP};

    return -1 != link->fd && poll(&look, 1, 0) > 0;
}

static bool mca_btl_xs_watch_info(const mca_btl_xs_link_t *link, struct tcp_info *info)
{
    socklen_t length = sizeof(*info);

    memset(info, 0, sizeof(*info));
    return -1 != link->fd && 0 == getsockopt(link->fd, IPPROTO_TCP, TCP_INFO, info, &length);
}

bool mca_btl_xs_watch_connected(const mca_btl_xs_link_t *link)
{
    struct tcp_info info;

    return mca_btl_xs_watch_info(link, &info) && MCA_BTL_XS_WATCH_ESTABLISHED == info.tcpi_state;
}

bool mca_btl_xs_watch_unused(const mca_btl_xs_link_t *link)
{
    struct tcp_info info;

    return mca_btl_xs_watch_info(link, &info) && 0 == info.tcpi_bytes_sent;
}

void mca_btl_xs_watch_cut(int fd)
{
    char away[4096];

    (void) shutdown(fd, SHUT_RDWR);
    while (recv(fd, away, sizeof(away), MSG_DONTWAIT) > 0) {
        continue;
    }
}

static void mca_btl_xs_watch_ready(int fd, short flags, void *context)
{
    struct epoll_event event;

    /*
     * All now, before a later connection is read. But asked for one at a time: what is done
     * about one may be the end of others.
     */
    while (1 == epoll_wait(watch.set, &event, 1, 0)) {
        mca_btl_xs_failover_ended(event.data.ptr);
    }
}

int mca_btl_xs_watch_open(void)
{
    watch.set = epoll_create1(EPOLL_CLOEXEC);
    if (-1 == watch.set) {
        return OPAL_ERR_NOT_AVAILABLE;
    }
    opal_event_set(opal_sync_event_base, &watch.ready, watch.set, OPAL_EV_READ | OPAL_EV_PERSIST,
                   mca_btl_xs_watch_ready, NULL);
    opal_event_add(&watch.ready, NULL);
    return OPAL_SUCCESS;
}

bool mca_btl_xs_watch_possible(void)
{
    return -1 != watch.set;
}

void mca_btl_xs_watch_close(void)
{
    if (-1 != watch.set) {
        opal_event_del(&watch.ready);
        close(watch.set);
        watch.set = -1;
    }
}
