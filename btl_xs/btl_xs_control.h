/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a user wants of the paths: a peer, or all, "held" on TCP. A process that holds a
 * peer says that it has no xensockets, gives up the ring that it writes and refuses
 * offers; the peer gives up its own when it hears that. So nothing is cut off, and both
 * rings of the pair are closed as soon as both have been in MPI.
 *
 * Who asks: btl_xs_command.c, and any program by MPI_T (control variables).
 */
#ifndef MCA_BTL_XS_CONTROL_H
#define MCA_BTL_XS_CONTROL_H

#include "btl_xs.h"

BEGIN_C_DECLS

/* Makes the control variables. */
void mca_btl_xs_control_register(void);

/* From the opening of the component to its close there are peers. */
void mca_btl_xs_control_open(void);
void mca_btl_xs_control_close(void);

/* Does anybody want this peer held? The component's lock is held, or nobody else there. */
bool mca_btl_xs_control_wanted(const struct mca_btl_base_endpoint_t *endpoint);

/*
 * These are requests: they come into effect while MPI makes progress, and asking for what
 * is there already changes nothing.
 */

/* All peers. false: also those that are held one by one. */
void mca_btl_xs_control_hold(bool hold);

/* One rank of this job; OPAL_ERR_NOT_FOUND if xs does not connect to it (yet). */
int mca_btl_xs_control_hold_peer(uint32_t rank, bool hold);

/* All peers, for somebody who saves or replaces what lies below. Apart from the above. */
void mca_btl_xs_control_quiesce(bool quiesce);

/* "no", or who wants any peer held: "hold", "peers", "quiesce", with commas in between. */
const char *mca_btl_xs_control_holders(char text[32]);

/* Rings that there are: to and from all peers, or those that are held. */
unsigned int mca_btl_xs_control_rings(bool held);

/*
 * Closed rings to peers that are held whose memory is still granted: the kernel of the peer's
 * guest lets go of it when it hears of that, whether the peer is in MPI or not.
 */
unsigned int mca_btl_xs_control_lingering(void);

END_C_DECLS

#endif /* MCA_BTL_XS_CONTROL_H */
