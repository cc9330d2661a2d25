/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MCA_BTL_XS_FRAG_H
#define MCA_BTL_XS_FRAG_H

#include "btl_xs.h"
#include "btl_xs_wire.h"

BEGIN_C_DECLS

/**
 * A descriptor, with room for its frame behind it.
 *
 * References: one of whoever prepares it, until it has been covered or, on a ring or
 * without a number, sent; one while it is with the tcp component. When the
 * last one goes the layer above is called back, if it is still owed that, and the
 * descriptor goes back to its list, if it is ours.
 */
enum mca_btl_xs_owed_t {
    MCA_BTL_XS_OWED_NOTHING,
    MCA_BTL_XS_OWED_SENT,    /* the callback, as soon as it needs us no more to get there */
    MCA_BTL_XS_OWED_COVERED, /* ... when it has arrived: memory of others is in use */
};

struct mca_btl_xs_frag_t {
    mca_btl_base_descriptor_t base;
    mca_btl_base_segment_t segments[2];       /**< 0: buffer; 1: memory of the user */
    struct mca_btl_base_endpoint_t *endpoint; /**< peer */
    opal_free_list_t *list;                   /**< where it comes from */
    size_t capacity;                          /**< bytes of data in the buffer */
    mca_btl_xs_atomic_t references;
    mca_btl_xs_atomic_t owed;                 /**< mca_btl_xs_owed_t */
    bool held;                                /**< counted in tx_held */
    /* btl_xs_tcp.c: while tcp has it */
    mca_btl_base_descriptor_t *des;           /**< tcp's; else NULL */
    struct mca_btl_xs_link_t *link;
    struct mca_btl_xs_frag_t *fly_next, **fly_at;
    mca_btl_xs_tcp_hdr_t frame;               /**< the buffer follows */
};
typedef struct mca_btl_xs_frag_t mca_btl_xs_frag_t;

OBJ_CLASS_DECLARATION(mca_btl_xs_frag_t);

/* Makes the lists, when the limits of the module are known. */
int mca_btl_xs_frag_init(void);

/* A descriptor with room for @size bytes of data, @size of them in use; NULL: too large. */
mca_btl_xs_frag_t *mca_btl_xs_frag_alloc(size_t size, uint32_t flags);

static inline void mca_btl_xs_frag_return(mca_btl_xs_frag_t *frag)
{
    opal_free_list_return(frag->list, &frag->base.super);
}

static inline void *mca_btl_xs_frag_data(mca_btl_xs_frag_t *frag)
{
    return frag + 1;
}

static inline size_t mca_btl_xs_frag_size(const mca_btl_xs_frag_t *frag)
{
    return frag->segments[0].seg_len
           + (2 == frag->base.des_segment_count ? frag->segments[1].seg_len : 0);
}

/* Does part of it lie in memory that is not ours? */
static inline bool mca_btl_xs_frag_in_place(const mca_btl_xs_frag_t *frag)
{
    return 2 == frag->base.des_segment_count;
}

static inline void mca_btl_xs_frag_retain(mca_btl_xs_frag_t *frag)
{
    (void) opal_atomic_add_fetch_32(&frag->references, 1);
}

/* These two call back what is owed, with no lock held by the caller. */
void mca_btl_xs_frag_release(mca_btl_xs_frag_t *frag);

/* The kernel has it: it gets there without us, unless the connection fails. */
void mca_btl_xs_frag_sent(mca_btl_xs_frag_t *frag);

END_C_DECLS

#endif /* MCA_BTL_XS_FRAG_H */
