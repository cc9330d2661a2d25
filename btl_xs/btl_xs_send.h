/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MCA_BTL_XS_SEND_H
#define MCA_BTL_XS_SEND_H

#include "btl_xs_endpoint.h"

BEGIN_C_DECLS

/* 1: done, as far as the layer above is concerned; 0: it will be called back. */
int mca_btl_xs_send_frag(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag);

/*
 * Room on the ring for the data of a fragment that are written there right away; NULL if
 * that cannot be. The second one sends it. The lock is held in between. The ring may come
 * to its end meanwhile: then the fragment is one of those left on it.
 */
void *mca_btl_xs_send_begin(mca_btl_xs_endpoint_t *endpoint, size_t size);
void mca_btl_xs_send_end(mca_btl_xs_endpoint_t *endpoint, void *data, size_t size,
                         mca_btl_base_tag_t tag);

/* Puts on a wire what has been waiting, as far as possible. */
void mca_btl_xs_send_pending(mca_btl_xs_endpoint_t *endpoint);

/* Does the next fragment that waits have no way but TCP? The lock is held. */
bool mca_btl_xs_send_waits_for_tcp(mca_btl_xs_endpoint_t *endpoint);

/* A frame without number, which becomes libevent's (mca_btl_xs_tcp_elsewhere()). */
void mca_btl_xs_send_told(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag);

/* Gives tcp what has been told so far, but to a peer that is to hear nothing any more. */
void mca_btl_xs_send_flush_told(mca_btl_xs_endpoint_t *endpoint);

/* With an endpoint, and before it is freed. */
void mca_btl_xs_send_init(mca_btl_xs_endpoint_t *endpoint);
void mca_btl_xs_send_fini(mca_btl_xs_endpoint_t *endpoint);

/* The peer has received everything before @number. */
void mca_btl_xs_send_covered(mca_btl_xs_endpoint_t *endpoint, uint64_t number);

/* ... if nothing follows from that, which is usual on a ring; else false. The lock is held. */
static inline bool mca_btl_xs_send_covered_quick(mca_btl_xs_endpoint_t *endpoint, uint64_t number)
{
    if (OPAL_UNLIKELY(!opal_list_is_empty(&endpoint->tx_retained)
                      || MCA_BTL_XS_PATH_RESYNC == endpoint->tx_path)) {
        return false;
    }
    /* What has not been sent cannot have arrived. */
    if (number <= endpoint->tx_next && endpoint->tx_covered < number) {
        endpoint->tx_covered = number;
    }
    return true;
}

END_C_DECLS

#endif /* MCA_BTL_XS_SEND_H */
