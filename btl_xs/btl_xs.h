/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BTL xs: a byte transfer layer that bundles TCP and xensockets.
 *
 * Every fragment has a number, by peer and direction, above both wires. A receiver
 * delivers them in this order, each once, from whichever wire has the next one; a sender
 * keeps each until it knows that it has arrived. So a sender may choose the wire anew for
 * each fragment, and what lay on a wire that fails is sent over the other.
 * Documentation/btl.md has the protocol, who owns a descriptor when, and the locks.
 *
 *  btl_xs_component.c  parameters, start and end
 *  btl_xs_module.c     the BTL interface
 *  btl_xs_endpoint.c   peers
 *  btl_xs_send.c       numbering, retention, completion
 *  btl_xs_receive.c    delivery in order
 *  btl_xs_get.c        large messages with one copy
 *  btl_xs_path.c       which wire: states, and the conversation about rings
 *  btl_xs_control.c    what a user wants of that: peers held on TCP
 *  btl_xs_gate.c       a socket for commands of the user's
 *  btl_xs_command.c    carries them out
 *  btl_xs_bus.c        tells all processes of the job of them
 *  btl_xs_events.c     fault events, and who has subscribed to them
 *  btl_xs_pmix.c       the same as events of PMIx
 *  btl_xs_ring.c       a ring as a queue of frames
 *  btl_xs_progress.c   where we look for what has come, and how often
 *  btl_xs_host.c       what is known of this domain: /dev/xensocket
 *  btl_xs_tcp.c        the wrapped tcp component
 *  btl_xs_accept.c     connections that come to it
 *  btl_xs_watch.c      its sockets
 *  btl_xs_failover.c   what becomes of a peer whose connection has broken
 *  btl_xs_frag.c       descriptors
 *  btl_xs_crc.c        checksums
 *  btl_xs_counters.c   what is counted, and MPI_T
 */
#ifndef MCA_BTL_XS_H
#define MCA_BTL_XS_H

#include "btl_xs_compat.h"

#include "opal/class/opal_free_list.h"
#include "opal/class/opal_hash_table.h"
#include "opal/util/output.h"

BEGIN_C_DECLS

/* How it is found out that something has come over a ring. */
enum mca_btl_xs_progress_t {
    MCA_BTL_XS_PROGRESS_AUTO,  /* poll where that needs no system call, else event */
    MCA_BTL_XS_PROGRESS_POLL,  /* whenever MPI makes progress we look */
    MCA_BTL_XS_PROGRESS_EVENT, /* the kernel tells libevent */
};

/**
 * XS BTL component
 */
struct mca_btl_xs_component_t {
    mca_btl_base_component_3_0_0_t super;

    /* parameters */
    int free_list_num;         /**< descriptors made at the start, by list */
    int free_list_max;         /**< most descriptors, by list */
    int free_list_inc;         /**< descriptors made at a time */
    bool enable;               /**< use xensockets at all */
    bool warn;                 /**< say why they cannot be used */
    size_t ring_size;          /**< bytes in a ring */
    size_t window;             /**< bytes for a peer that are taken over at once */
    size_t get_size;           /**< messages from so many bytes on are got; 0: none */
    unsigned int failover;     /**< seconds that a broken TCP connection is tried to be mended */
    int progress;              /**< mca_btl_xs_progress_t */
    unsigned int debug_flip;   /**< choose the wire anew each so many fragments */
    unsigned int debug_revoke; /**< give the ring up each so many fragments */
    bool checksum;             /**< fragments have one, if the peer wants that, too */
    unsigned int debug_corrupt; /**< damage each so many fragments on rings */
    unsigned int debug_corrupt_tcp; /**< ... and of those that come over TCP */
    int hold;                  /**< keep all peers on TCP; can be changed at any time */
    bool syslog;               /**< events go there, too */
    unsigned int node_silence; /**< seconds until a silent guest counts as dead; 0: never */

    bool quiesced;                /**< all peers are kept on TCP, for somebody else */
    bool ended;                   /**< the layer above is gone */
    opal_mutex_t lock;            /**< endpoints, by_name */
    opal_list_t endpoints;        /**< all peers */
    opal_hash_table_t by_name;    /**< ... by process name */
    opal_event_t talk;                     /**< see mca_btl_xs_component_talk_later() */

    opal_free_list_t frags_small; /**< control frames and small fragments */
    opal_free_list_t frags_eager;
    opal_free_list_t frags_max;
};
typedef struct mca_btl_xs_component_t mca_btl_xs_component_t;

OPAL_DECLSPEC extern mca_btl_xs_component_t mca_btl_xs_component;

/**
 * XS BTL module: there is one
 */
struct mca_btl_xs_module_t {
    mca_btl_base_module_t super;
    mca_btl_base_module_error_cb_fn_t error_cb;
};
typedef struct mca_btl_xs_module_t mca_btl_xs_module_t;

extern mca_btl_xs_module_t mca_btl_xs;

/* Data of a small descriptor; the usual size of a message is less. */
#define MCA_BTL_XS_SMALL 1024

/* Levels of verbosity (btl_base_verbose). */
#define MCA_BTL_XS_VERBOSE_PATH 10
#define MCA_BTL_XS_VERBOSE_DETAIL 30

#define MCA_BTL_XS_VERBOSE(level, ...) \
    opal_output_verbose(level, opal_btl_base_framework.framework_output, "btl:xs: " __VA_ARGS__)

/* Has the user named this component? */
bool mca_btl_xs_component_wanted(void);

/*
 * Has mca_btl_xs_path_talk() called for @endpoint, after tcp has read what has come: the
 * peer may have left, and then tcp closes the connection at our first word, unread.
 */
void mca_btl_xs_component_talk_later(struct mca_btl_base_endpoint_t *endpoint);

/* Calls @function for all peers, with no lock held. Peers may come meanwhile. */
void mca_btl_xs_component_for_all(void (*function)(struct mca_btl_base_endpoint_t *endpoint));

END_C_DECLS

#endif /* MCA_BTL_XS_H */
