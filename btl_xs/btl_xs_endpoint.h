/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MCA_BTL_XS_ENDPOINT_H
#define MCA_BTL_XS_ENDPOINT_H

#include "btl_xs.h"
#include "btl_xs_counters.h"
#include "btl_xs_path.h"
#include "btl_xs_ring.h"
#include "btl_xs_tcp.h"

BEGIN_C_DECLS

/* What is heard of a peer whose ring a kernel has revoked (btl_xs_events.c). */
enum mca_btl_xs_silence_t {
    MCA_BTL_XS_SILENCE_NONE,   /* that is not in question */
    MCA_BTL_XS_SILENCE_BEGINS, /* it has just been revoked */
    MCA_BTL_XS_SILENCE_LASTS,  /* nothing since then */
    MCA_BTL_XS_SILENCE_LONG,   /* ... for so long that its guest counts as dead */
};
typedef enum mca_btl_xs_silence_t mca_btl_xs_silence_t;

/* See btl_xs_failover.h. */
enum mca_btl_xs_tcp_state_t {
    MCA_BTL_XS_TCP_UP,
    MCA_BTL_XS_TCP_DOWN,
    MCA_BTL_XS_TCP_BEGINNING,
};
typedef enum mca_btl_xs_tcp_state_t mca_btl_xs_tcp_state_t;

/**
 * A peer. Two processes may send to each other at the same time, and do not know of each
 * other's locks: what belongs to sending and what belongs to receiving is independent.
 *
 * @tx_busy and @rx_busy are taken under the lock and then allow to work without it: who
 * finds one taken leaves the work in a list and the owner does it. So nobody holds a lock
 * while he calls the layer above, or tcp, and either may call us again.
 */
struct mca_btl_base_endpoint_t {
    opal_list_item_t super;
    opal_proc_t *proc;
    mca_btl_xs_link_t *links; /**< ways over TCP */
    int link_count;
    unsigned int next_link;
    opal_mutex_t lock;
    mca_btl_xs_counters_t counters;
    bool met;  /**< something has been said to it, or by it, over TCP */
    bool lost; /**< TCP has failed for good, which has been said */
    bool quiet;    /**< nothing is sent to it any more: it has left, or we are leaving */
    bool released; /**< nothing more comes from it: it has said BYE, or BYE_TOO */
    unsigned int users; /**< how often the layer above has asked for it and not given it back */
    unsigned int added; /**< mca_btl_xs_progress_calls() when the layer above asked for it */
    bool declined; /**< the layer above has another way to it */
    bool checksum; /**< frames to and from it have one */
    bool corrupt_said; /**< the user has been told that one was damaged */
    bool get;      /**< large messages to it, and from it, may be got */

    /* sending */
    bool tx_busy;             /**< somebody moves fragments from tx_pending to a wire */
    bool tx_special;          /**< to a ring with a checksum, or for tests damaged */
    opal_list_t tx_pending;   /**< not numbered yet */
    uint64_t tx_next;         /**< number of the next fragment */
    unsigned int tx_damaged;  /**< counts, for debug_corrupt */
    opal_list_t tx_retained;  /**< by number: sent over TCP, or with a checksum, and not covered */
    uint64_t tx_covered;      /**< the peer has all fragments with lower numbers */
    size_t tx_held;           /**< bytes in tx_pending and tx_retained that were taken over */
    mca_btl_xs_path_t tx_path;
    mca_btl_xs_ring_t *tx_ring; /**< there in states offered and xs, and for resync */
    bool tx_resync;           /**< what is left on tx_ring is to be sent over TCP */
    uint64_t tx_resync_end;   /**< number behind the last fragment of the resync */
    uint32_t tx_generation;   /**< of the last offer */
    uint32_t tx_port;         /**< of the last ring, which may be closed; 0: none */
    bool tx_again;            /**< what is in tx_retained is to be sent again when TCP is up */
    struct mca_btl_xs_frag_t *tx_flying; /**< frames that tcp has */
    opal_list_t tx_failed;    /**< tcp's descriptors that its endpoints may still know */
    opal_list_t tx_told;      /**< frames without number that libevent is to give to tcp */
    bool tx_told_cover;       /**< ... with a COVER among them */
    opal_event_t tx_event;    /**< ... by calling this */

    /* btl_xs_failover.c */
    mca_btl_xs_tcp_state_t tcp_state;
    bool tcp_mend;            /**< it and we can connect again */
    bool tcp_known;           /**< sockets are watched, so that TCP can come up again */
    bool tcp_wanted;          /**< something is to be sent when it is up */
    bool tcp_said;            /**< the user has been told */
    bool tcp_dead;            /**< MPI_IFACE_DEAD has been thrown for it */
    unsigned int tcp_users;   /**< threads that give tcp something */
    uint32_t tcp_generation;  /**< how often the links have been thrown away */
    double tcp_since;         /**< when one began to try to connect; 0: not now */
    double tcp_looked;        /**< when one last looked how far that had got */
    double tcp_tried;         /**< when a try was found that goes on; 0: none */
    double tcp_stands;        /**< since when a connection stands, and nobody answers; 0: none */
    bool begin_gone;          /**< the kernel has BEGIN for the first link of this generation */
    bool begin_come;          /**< the peer's has come since it began */
    double tcp_next;          /**< when one tries next */
    double tcp_pause;         /**< and after how long again */
    opal_event_t tcp_timer;

    /* receiving */
    bool rx_busy;             /**< somebody delivers */
    uint64_t rx_next;         /**< number of the fragment whose turn it is */
    opal_list_t rx_early;     /**< by number: came before their turn */
    mca_btl_xs_ring_t *rx_ring;
    uint32_t rx_generation;   /**< of its offer */
    bool rx_events;           /**< libevent says when something has come over rx_ring */
    bool rx_ring_early;       /**< what is next on rx_ring has to wait for its turn */
    bool rx_watched;          /**< rx_event has been added */
    opal_event_t rx_event;
    bool rx_offered;          /**< rx_offer waits to be taken up by the next who delivers */
    bool rx_forget;           /**< rx_ring is to be given up, after what is on it */
    mca_btl_xs_offer_t rx_offer;
    uint64_t rx_said;         /**< covered number last sent */
    uint64_t rx_waited;       /**< number behind the last one that the peer waits for */
    unsigned int rx_silent_frags; /**< fragments over TCP since rx_said was sent */
    size_t rx_silent_bytes;

    /* whether to use rings */
    bool hold;                /**< the user wants this peer held on TCP */
    bool held;                /**< it is, for this reason or another */
    uint64_t turns;           /**< how often held has changed, or its ring was found damaged */
    bool contacted;           /**< there has been traffic */
    uint64_t told_epoch;      /**< of this domain, last HELLO sent; 0: none */
    bool peer_available;
    uint16_t peer_domid;
    uint64_t peer_epoch;      /**< of its last HELLO; 0: none */
    uint8_t peer_host[16];    /**< as its dom0 says; all zero if it does not */
    uint64_t tried_epoch;     /**< of this domain and ... */
    uint64_t tried_peer_epoch; /**< ... of the peer's when a ring was last offered */

    bool due;                 /**< mca_btl_xs_path_talk() is to be called */
    bool hello_due;           /**< ... and to say HELLO */

    /* btl_xs_events.c */
    const char *tx_reason;    /**< why tx_ring is given up right now, or NULL: ask the ring */
    mca_btl_xs_silence_t silence;
    bool node_dead;           /**< MPI_NODE_DEAD has been thrown for its guest, by it */
    unsigned int silent_seconds;
    uint64_t silent_mark;     /**< what had been heard by then */
    uint64_t silent_epoch;    /**< of this domain at the beginning */

    /* btl_xs_progress.c */
    struct mca_btl_base_endpoint_t *next_ring; /**< in one of its lists */
    bool has_rings;            /**< is in one */
    unsigned int looks;        /**< at its rings */
    unsigned int idle;         /**< ... since something was sent or came there */
    mca_btl_xs_atomic_t awake; /**< something over TCP is to be expected */
    unsigned int still;        /**< checks of its rings since something went over TCP */
};
typedef struct mca_btl_base_endpoint_t mca_btl_xs_endpoint_t;

OBJ_CLASS_DECLARATION(mca_btl_xs_endpoint_t);

/* Tells all processes that this one has xs. */
int mca_btl_xs_endpoint_publish(void);

/* The peer, made if it is reachable and not there yet. */
mca_btl_xs_endpoint_t *mca_btl_xs_endpoint_get(opal_proc_t *proc);

/* ... by its name, as it has sent something. */
mca_btl_xs_endpoint_t *mca_btl_xs_endpoint_find(opal_process_name_t name);

/* ... by its name, if it is there. */
mca_btl_xs_endpoint_t *mca_btl_xs_endpoint_known(opal_process_name_t name);

/* Sends what can still be sent, and frees it. */
void mca_btl_xs_endpoint_put(mca_btl_xs_endpoint_t *endpoint);

/* TCP has failed. */
void mca_btl_xs_endpoint_lost(mca_btl_xs_endpoint_t *endpoint);

/*
 * There is no memory for a fragment that has to be kept. The lock is held, but not while the layer
 * above is told.
 */
void mca_btl_xs_endpoint_no_memory(mca_btl_xs_endpoint_t *endpoint);

/* It has brought something damaged, which nobody will send again. */
void mca_btl_xs_endpoint_spoilt(mca_btl_xs_endpoint_t *endpoint);

END_C_DECLS

#endif /* MCA_BTL_XS_ENDPOINT_H */
