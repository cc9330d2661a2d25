/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MCA_BTL_XS_RECEIVE_H
#define MCA_BTL_XS_RECEIVE_H

#include "btl_xs_endpoint.h"

BEGIN_C_DECLS

/**
 * A fragment that has come before its turn; data follow.
 */
struct mca_btl_xs_early_t {
    opal_list_item_t super;
    mca_btl_xs_hdr_t hdr;
};
typedef struct mca_btl_xs_early_t mca_btl_xs_early_t;

OBJ_CLASS_DECLARATION(mca_btl_xs_early_t);

/* A DATA frame has come over TCP. @data are valid during the call. */
void mca_btl_xs_receive_tcp(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
                            void *data);

/* Delivers all that is there in its turn, from either wire; returns how many. */
int mca_btl_xs_receive_all(mca_btl_xs_endpoint_t *endpoint);

/*
 * A frame has come damaged over @transport, and is dropped: counts and tells. Who calls sees that it
 * comes again. The lock is not held.
 */
void mca_btl_xs_receive_corrupt(mca_btl_xs_endpoint_t *endpoint, const char *transport,
                                const char *reason);

/* Before rx_ring is closed: libevent forgets it. The lock is held. */
void mca_btl_xs_receive_unwatch(mca_btl_xs_endpoint_t *endpoint);

/* What to tell the peer in a frame that is about to be sent: see mca_btl_xs_hdr_t. */
static inline uint64_t mca_btl_xs_receive_covered(mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->rx_silent_frags = 0;
    endpoint->rx_silent_bytes = 0;
    endpoint->rx_said = endpoint->rx_next;
    return endpoint->rx_said;
}

END_C_DECLS

#endif /* MCA_BTL_XS_RECEIVE_H */
