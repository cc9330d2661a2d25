/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is counted, and who may read it: performance variables of MPI_T, and at verbose
 * level 10 what has been counted for a peer when it leaves.
 */
#ifndef MCA_BTL_XS_COUNTERS_H
#define MCA_BTL_XS_COUNTERS_H

#include <stdint.h>

/**
 * Of one peer, or of all. btl_xs_counters.c says what each means.
 */
struct mca_btl_xs_counters_t {
    uint64_t tcp_frags;
    uint64_t tcp_bytes;
    uint64_t xs_frags;
    uint64_t xs_bytes;
    uint64_t probes;
    uint64_t refusals;
    uint64_t switches;
    uint64_t fallbacks;
    uint64_t resent;
    uint64_t reconnects;
    uint64_t repeated;
    uint64_t ring_full;
    uint64_t duplicates;
    uint64_t early;
    uint64_t corrupt;
    uint64_t gets;
    uint64_t get_bytes;
    uint64_t gets_failed;
};
typedef struct mca_btl_xs_counters_t mca_btl_xs_counters_t;

struct mca_btl_base_endpoint_t;

/* Makes them known to MPI_T. They may be read at once. */
void mca_btl_xs_counters_register(void);

/* From the opening of the component to its close there are peers to ask. */
void mca_btl_xs_counters_open(void);
void mca_btl_xs_counters_close(void);

/* A peer leaves; its part of the sums stays. The component's lock is held. */
void mca_btl_xs_counters_keep(const struct mca_btl_base_endpoint_t *endpoint);

/* " NAME=VALUE ..." of some counters, or, with NULL, of the sums. */
#define MCA_BTL_XS_COUNTERS_TEXT 1024
void mca_btl_xs_counters_text(const mca_btl_xs_counters_t *counters,
                              char text[MCA_BTL_XS_COUNTERS_TEXT]);

/* Says what has been counted for a peer. */
void mca_btl_xs_counters_report(const struct mca_btl_base_endpoint_t *endpoint);

#endif /* MCA_BTL_XS_COUNTERS_H */
