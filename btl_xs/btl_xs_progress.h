/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where we look when MPI makes progress, and how often: rings, and sockets.
 *
 * A look at a ring is a load from memory, a look at sockets (libevent) a system call. tcp has
 * the sockets looked at each time, for each peer that it could ever talk to. That would be
 * most of the latency of a ring, so here a peer is *awake* while something over TCP is to be
 * expected, and only then are sockets looked at each time. Otherwise they are after a number
 * of looks in vain, and each 10 ms (Open MPI's own tick rate).
 */
#ifndef MCA_BTL_XS_PROGRESS_H
#define MCA_BTL_XS_PROGRESS_H

#include "btl_xs_endpoint.h"

BEGIN_C_DECLS

/* Looks after all rings; returns how many fragments have come. */
int mca_btl_xs_progress(void);

/* Counts the calls of it that have done so. */
unsigned int mca_btl_xs_progress_calls(void);

/* There are peers; or there are none any more. */
void mca_btl_xs_progress_begin(void);
void mca_btl_xs_progress_end(void);

/* From now on the rings of @endpoint are looked at. Its lock is held. */
void mca_btl_xs_progress_add(mca_btl_xs_endpoint_t *endpoint);

/* Forgets @endpoint, which is about to be freed. Not from within progress. */
void mca_btl_xs_progress_remove(mca_btl_xs_endpoint_t *endpoint);

void mca_btl_xs_progress_wake_slow(mca_btl_xs_endpoint_t *endpoint);

/* Something goes over TCP or has come, or will soon. Any thread, any lock. */
static inline void mca_btl_xs_progress_wake(mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->still = 0;
    if (OPAL_UNLIKELY(!endpoint->awake)) {
        mca_btl_xs_progress_wake_slow(endpoint);
    }
}

END_C_DECLS

#endif /* MCA_BTL_XS_PROGRESS_H */
