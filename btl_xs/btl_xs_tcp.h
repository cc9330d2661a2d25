/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wrapped tcp component. Interfaces, addresses, connecting and accepting are its
 * business; xs uses its modules through the BTL interface and nobody else does.
 */
#ifndef MCA_BTL_XS_TCP_H
#define MCA_BTL_XS_TCP_H

#include "btl_xs.h"
#include "btl_xs_frag.h"

BEGIN_C_DECLS

/**
 * A way to a peer: one tcp module's endpoint.
 */
struct mca_btl_xs_link_t {
    mca_btl_base_module_t *module;
    struct mca_btl_base_endpoint_t *endpoint;
    struct mca_btl_base_endpoint_t *peer; /**< ours, not tcp's */
    bool begun;                           /**< tcp has been given BEGIN */
    bool counted;                         /**< we have taken back that tcp counts its socket */
    int fd;                               /**< btl_xs_watch.c: its socket, or -1 */
    unsigned int flying;                  /**< frames that tcp has */
};
typedef struct mca_btl_xs_link_t mca_btl_xs_link_t;

/* Finds the component and takes it over, or loads it. */
int mca_btl_xs_tcp_open(void);
void mca_btl_xs_tcp_close(void);

/* Makes the modules: one for each interface. Without any, OPAL_ERR_NOT_AVAILABLE. */
int mca_btl_xs_tcp_init(bool enable_progress_threads, bool enable_mpi_threads);
void mca_btl_xs_tcp_fini(void);

/* Largest number of bytes that a frame may carry. */
size_t mca_btl_xs_tcp_limit(void);

/* Flags of the BTL interface that follow from the modules'. */
uint32_t mca_btl_xs_tcp_flags(void);

/* Makes links to a peer; returns how many. */
int mca_btl_xs_tcp_add_proc(struct mca_btl_base_endpoint_t *endpoint);
void mca_btl_xs_tcp_del_proc(struct mca_btl_base_endpoint_t *endpoint);

/*
 * Throws the links to a peer away and makes new ones. OPAL_ERR_RESOURCE_BUSY: not before the
 * next turn of libevent's; OPAL_ERR_WOULD_BLOCK: not before the end of this one. Not from
 * within tcp.
 */
int mca_btl_xs_tcp_renew(struct mca_btl_base_endpoint_t *endpoint);

/* Connects, if need be, and says BEGIN. */
void mca_btl_xs_tcp_begin(struct mca_btl_base_endpoint_t *endpoint);

/* Says it once more. */
void mca_btl_xs_tcp_begin_again(struct mca_btl_base_endpoint_t *endpoint);

/* A connection is there: finds its socket. */
void mca_btl_xs_tcp_learn(struct mca_btl_base_endpoint_t *endpoint);

/* Is tcp about to take up a connection from it? */
bool mca_btl_xs_tcp_accepting(struct mca_btl_base_endpoint_t *endpoint);

/* tcp has closed the socket that is watched. */
void mca_btl_xs_tcp_forget(mca_btl_xs_link_t *link);

/*
 * With threads tcp is given frames by libevent only: a thread that finds a connection broken, and
 * has tcp close it, waits with a lock of tcp's for libevent to be done with it, which may be
 * waiting for that lock. True: this is another thread.
 */
extern _Thread_local bool mca_btl_xs_tcp_here;
bool mca_btl_xs_tcp_elsewhere(const struct mca_btl_base_endpoint_t *endpoint);

/*
 * Sends a frame, of which frame.hdr and the segments have been filled in, with no lock
 * held. Keeps a reference until tcp has let go of it. In the end OPAL_SUCCESS, or
 * the frame has not been taken; OPAL_ERR_UNREACH: it may be again when there is a connection.
 */
int mca_btl_xs_tcp_send(struct mca_btl_base_endpoint_t *endpoint, mca_btl_xs_frag_t *frag);

/* Sends a frame without number. @body may be NULL. */
void mca_btl_xs_tcp_tell(struct mca_btl_base_endpoint_t *endpoint, int kind, const void *body,
                         size_t size);

END_C_DECLS

#endif /* MCA_BTL_XS_TCP_H */
