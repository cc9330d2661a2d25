/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sockets of the wrapped tcp component, whose interface says neither when a connection is
 * there nor, in Open MPI 4.1, when it has come to its end. libevent knows: tcp's events have
 * the endpoint that they belong to as their argument.
 *
 * A socket that has been found gets a second descriptor, and a set of epoll's has it watched
 * for its end alone. So its end is heard of once, before anything that comes by a later
 * connection is read, and whoever closes the first descriptor.
 */
#ifndef MCA_BTL_XS_WATCH_H
#define MCA_BTL_XS_WATCH_H

#include "btl_xs_tcp.h"

BEGIN_C_DECLS

/**
 * What libevent knows of an endpoint of tcp's.
 */
struct mca_btl_xs_watch_seen_t {
    int fd;         /**< its socket, -1: none */
    bool accepting; /**< it is about to take up a connection */
    bool active;    /**< ... in this turn of libevent's */
};
typedef struct mca_btl_xs_watch_seen_t mca_btl_xs_watch_seen_t;

/* Without it no connection is watched, and none is made again. */
int mca_btl_xs_watch_open(void);
void mca_btl_xs_watch_close(void);
bool mca_btl_xs_watch_possible(void);

mca_btl_xs_watch_seen_t mca_btl_xs_watch_look(const mca_btl_xs_link_t *link);

/* Watches the socket @fd, tcp's descriptor. False: there is no descriptor left for that. */
bool mca_btl_xs_watch_begin(mca_btl_xs_link_t *link, int fd);

/*
 * Has the kernel ask the peer's whether it knows of the connection: now, or when nothing has come
 * by it for some seconds. Otherwise that may take a minute.
 */
void mca_btl_xs_watch_ask(const mca_btl_xs_link_t *link);

/* Says nothing more; the socket is not forgotten. */
void mca_btl_xs_watch_pause(mca_btl_xs_link_t *link);

/* Forgets the socket. */
void mca_btl_xs_watch_end(mca_btl_xs_link_t *link);

/* Is @fd the socket that is watched? */
bool mca_btl_xs_watch_same(const mca_btl_xs_link_t *link, int fd);

/* Has the connection come to its end, though that may not have been said yet? */
bool mca_btl_xs_watch_dead(const mca_btl_xs_link_t *link);

/*
 * tcp that finds a connection broken while it sends closes the socket, and then has libevent
 * look whether it can be written to. What libevent has in its tables must not be set anew for
 * the next socket: forgets that.
 */
void mca_btl_xs_watch_clean(const mca_btl_xs_link_t *link);

/* Is there a process at its other end, as far as the kernel knows? */
bool mca_btl_xs_watch_connected(const mca_btl_xs_link_t *link);

/* Has nothing ever been written to it? */
bool mca_btl_xs_watch_unused(const mca_btl_xs_link_t *link);

/* Ends the connection of a socket, and throws away what has come by it. */
void mca_btl_xs_watch_cut(int fd);

END_C_DECLS

#endif /* MCA_BTL_XS_WATCH_H */
