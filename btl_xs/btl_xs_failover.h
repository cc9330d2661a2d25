/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of a peer whose TCP connection has broken. For all its connections:
 *
 *                    broken
 *          up ────────────────▶ down
 *          ▲                    │  ▲
 *    BEGUN │     tcp has closed │  │ broken
 *          │                    ▼  │
 *          └────────────── beginning
 *
 * down: nothing is given to tcp. When it has closed what it has, its endpoints are thrown away
 * and new ones are made: neither version of it gives up what it has sent or received half.
 * beginning: if something has to be sent, one connects and says BEGIN, again if need be, until
 * BEGUN comes back. Then all that has gone over TCP and is not covered goes again.
 */
#ifndef MCA_BTL_XS_FAILOVER_H
#define MCA_BTL_XS_FAILOVER_H

#include "btl_xs_endpoint.h"

BEGIN_C_DECLS

void mca_btl_xs_failover_init(mca_btl_xs_endpoint_t *endpoint);

/* Before the endpoint is freed. */
void mca_btl_xs_failover_fini(mca_btl_xs_endpoint_t *endpoint);

/*
 * A connection has broken, tcp says. False: this is nothing that can be mended. Any thread; the
 * lock is not held, perhaps one of tcp's.
 */
bool mca_btl_xs_failover_broken(mca_btl_xs_endpoint_t *endpoint);

/* ... the kernel says. Called by libevent. */
void mca_btl_xs_failover_ended(mca_btl_xs_link_t *link);

/*
 * tcp has been given a connection by a peer. One that has another already may have found that
 * broken: its kernel is asked. By libevent only.
 */
void mca_btl_xs_failover_doubt(void);

/* Something has to be sent over TCP, and it is not up. */
void mca_btl_xs_failover_want(mca_btl_xs_endpoint_t *endpoint);

/* BEGIN, or BEGUN, has come. */
void mca_btl_xs_failover_begin(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_begin_t *begin);
void mca_btl_xs_failover_begun(mca_btl_xs_endpoint_t *endpoint, const mca_btl_xs_begin_t *begin);

END_C_DECLS

#endif /* MCA_BTL_XS_FAILOVER_H */
