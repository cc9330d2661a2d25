/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which wire fragments to a peer take: the state of one direction, seen from its sender.
 *
 *             OFFERED              ACCEPTED
 *     tcp ───────────────▶ offered ───────────▶ xs
 *      ▲  ◀───────────────    │                 │
 *      │   REFUSED, REVOKED ──┘                 │ REVOKED
 *      │                                        ▼
 *      └──────────────────────────────────── resync
 *                      COVERED
 *
 * tests/model/ proves what is built on it, with the same names.
 */
#ifndef MCA_BTL_XS_PATH_H
#define MCA_BTL_XS_PATH_H

#include "btl_xs.h"
#include "btl_xs_wire.h"

BEGIN_C_DECLS

enum mca_btl_xs_path_t {
    MCA_BTL_XS_PATH_TCP,     /* fragments go over TCP */
    MCA_BTL_XS_PATH_OFFERED, /* ... and the peer has been offered a ring */
    MCA_BTL_XS_PATH_XS,      /* they go over the ring */
    MCA_BTL_XS_PATH_RESYNC,  /* over TCP; so has what was left on the ring, not covered yet */
    MCA_BTL_XS_PATH_STATES
};
typedef enum mca_btl_xs_path_t mca_btl_xs_path_t;

enum mca_btl_xs_event_t {
    MCA_BTL_XS_EVENT_OFFERED,  /* a ring has been made */
    MCA_BTL_XS_EVENT_ACCEPTED, /* the peer has taken it up */
    MCA_BTL_XS_EVENT_REFUSED,  /* it has not */
    MCA_BTL_XS_EVENT_REVOKED,  /* the ring has come to its end, or is to */
    MCA_BTL_XS_EVENT_COVERED,  /* all that was on the ring has arrived */
    MCA_BTL_XS_EVENTS
};
typedef enum mca_btl_xs_event_t mca_btl_xs_event_t;

/*
 * The only place where the state changes. The endpoint's lock is held. False: the event
 * means nothing in this state.
 */
bool mca_btl_xs_path_event(struct mca_btl_base_endpoint_t *endpoint, mca_btl_xs_event_t event);

const char *mca_btl_xs_path_name(mca_btl_xs_path_t path);

/* The first fragment to or from the peer: time to say where we are. */
void mca_btl_xs_path_contact(struct mca_btl_base_endpoint_t *endpoint);

/* A frame without number has come. */
void mca_btl_xs_path_told(struct mca_btl_base_endpoint_t *endpoint, const mca_btl_xs_hdr_t *hdr,
                          const void *body);

/* Tells the peer what there is to tell, sends what has to be sent again, offers a ring. */
void mca_btl_xs_path_talk(struct mca_btl_base_endpoint_t *endpoint);

/* All that has been said of this domain is void, and so are its rings (btl_xs_host.h). */
void mca_btl_xs_path_host_changed(struct mca_btl_base_endpoint_t *endpoint);

/* dom0 has said which host this is; nothing else has changed. */
void mca_btl_xs_path_host_named(struct mca_btl_base_endpoint_t *endpoint);

/* The peer is held on TCP from now on, or no longer (btl_xs_control.h). */
void mca_btl_xs_path_held_changed(struct mca_btl_base_endpoint_t *endpoint);

END_C_DECLS

#endif /* MCA_BTL_XS_PATH_H */
