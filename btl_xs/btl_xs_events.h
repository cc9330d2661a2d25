/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault events: what happens to this process, its guest and its paths, in the words of the
 * CIFTS fault-tolerance backplane (Documentation/events.md has the table).
 *
 * An event is thrown at any place, in any thread, with any lock of a peer's held: it is
 * numbered, kept in a list of limited length, and nothing else. Later, from libevent, those who
 * have subscribed are told. A subscriber is a place in that list. It says what it has read, and
 * is not sent more than a few events ahead of that; if the list's end overtakes it, it is told
 * how many events it has lost. So nobody waits for a subscriber, and none of them takes memory.
 */
#ifndef MCA_BTL_XS_EVENTS_H
#define MCA_BTL_XS_EVENTS_H

#include "btl_xs.h"

BEGIN_C_DECLS

/* Kind of a text on the bus, from a process to itself: there are events. */
#define MCA_BTL_XS_EVENTS_DUE 0

enum mca_btl_xs_thrown_t {
    MCA_BTL_XS_THROWN_INIT,
    MCA_BTL_XS_THROWN_FINALIZE,
    MCA_BTL_XS_THROWN_IFACE_DEAD,
    MCA_BTL_XS_THROWN_IFACE_RESTORED,
    MCA_BTL_XS_THROWN_NODE_MIGRATE_DONE,
    MCA_BTL_XS_THROWN_NODE_DEAD,
    MCA_BTL_XS_THROWN_NODE_RESTORED,
    MCA_BTL_XS_THROWN_RANK_DEAD,
    MCA_BTL_XS_THROWN_MSG_CORRUPT,
    /* what somebody else has thrown, and this process has caught */
    MCA_BTL_XS_CAUGHT_NODE_MIGRATE,
    MCA_BTL_XS_CAUGHT_IFACE_DEAD,
    MCA_BTL_XS_CAUGHT_IFACE_RESTORED,
    MCA_BTL_XS_CAUGHT_JOB_ABORT,
    MCA_BTL_XS_CAUGHT_JOB_RESUME,
    /* of our own; behind the others, as codes of PMIx are counted by these */
    MCA_BTL_XS_THROWN_QUIESCED,
    MCA_BTL_XS_THROWN_RESUMED,
    MCA_BTL_XS_THROWN_KINDS
};
typedef enum mca_btl_xs_thrown_t mca_btl_xs_thrown_t;

/* Makes the parameters. */
void mca_btl_xs_events_register(void);

/* From MPI_Init to MPI_Finalize, which are events themselves. The gate is open. */
void mca_btl_xs_events_open(void);
void mca_btl_xs_events_close(void);

/*
 * Throws an event. @endpoint: the peer that it is about, or NULL; @transport: "xs", "tcp" or
 * NULL; @reason: a word, or NULL.
 */
void mca_btl_xs_events_throw(mca_btl_xs_thrown_t kind, struct mca_btl_base_endpoint_t *endpoint,
                             const char *transport, const char *reason);

/* The ring to a peer is there, or has come to its end. Its lock is held. */
void mca_btl_xs_events_path(struct mca_btl_base_endpoint_t *endpoint, bool there,
                            const char *reason);

/* What subscribers ask for (btl_xs_command.h). NULL, or why it cannot be. */
const char *mca_btl_xs_events_subscribe(uint32_t gate, const char *id, const char *first);
void mca_btl_xs_events_acknowledge(uint32_t gate, const char *id, const char *number);
void mca_btl_xs_events_unsubscribe(uint32_t gate, const char *id);

/* Tells subscribers. By libevent only. */
void mca_btl_xs_events_due(void);

END_C_DECLS

#endif /* MCA_BTL_XS_EVENTS_H */
