/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_frag.h"

#include "btl_xs_endpoint.h"

/* The frame is sent from here, and data of any type is packed behind it. */
_Static_assert(0 == sizeof(mca_btl_xs_frag_t) % 8
                   && offsetof(mca_btl_xs_frag_t, frame) + sizeof(mca_btl_xs_tcp_hdr_t)
                          == sizeof(mca_btl_xs_frag_t),
               "data follows its frame, aligned");

OBJ_CLASS_INSTANCE(mca_btl_xs_frag_t, mca_btl_base_descriptor_t, NULL, NULL);

struct mca_btl_xs_frag_kind_t {
    opal_free_list_t *list;
    size_t capacity;
};
typedef struct mca_btl_xs_frag_kind_t mca_btl_xs_frag_kind_t;

static mca_btl_xs_frag_kind_t mca_btl_xs_frag_kinds[3];

static int mca_btl_xs_frag_item_init(opal_free_list_item_t *item, void *context)
{
    mca_btl_xs_frag_t *frag = (mca_btl_xs_frag_t *) item;
    const mca_btl_xs_frag_kind_t *kind = context;

    frag->list = kind->list;
    frag->capacity = kind->capacity;
    frag->base.des_segments = frag->segments;
    frag->des = NULL;
    return OPAL_SUCCESS;
}

int mca_btl_xs_frag_init(void)
{
    const mca_btl_xs_frag_kind_t kinds[3]
        = {{&mca_btl_xs_component.frags_small, MCA_BTL_XS_SMALL},
           {&mca_btl_xs_component.frags_eager, mca_btl_xs.super.btl_eager_limit},
           {&mca_btl_xs_component.frags_max, mca_btl_xs.super.btl_max_send_size}};
    int rc;

    for (int i = 0; i < 3; i++) {
        mca_btl_xs_frag_kinds[i] = kinds[i];
        rc = opal_free_list_init(kinds[i].list, sizeof(mca_btl_xs_frag_t) + kinds[i].capacity,
                                 opal_cache_line_size, OBJ_CLASS(mca_btl_xs_frag_t), 0,
                                 opal_cache_line_size, mca_btl_xs_component.free_list_num,
                                 mca_btl_xs_component.free_list_max,
                                 mca_btl_xs_component.free_list_inc, NULL, 0, NULL,
                                 mca_btl_xs_frag_item_init, &mca_btl_xs_frag_kinds[i]);
        if (OPAL_SUCCESS != rc) {
            return rc;
        }
    }
    return OPAL_SUCCESS;
}

mca_btl_xs_frag_t *mca_btl_xs_frag_alloc(size_t size, uint32_t flags)
{
    mca_btl_xs_frag_t *frag = NULL;

    for (int i = 0; i < 3; i++) {
        if (size <= mca_btl_xs_frag_kinds[i].capacity) {
            frag = (mca_btl_xs_frag_t *) opal_free_list_get(mca_btl_xs_frag_kinds[i].list);
            break;
        }
    }
    if (OPAL_UNLIKELY(NULL == frag)) {
        return NULL;
    }
    frag->segments[0].seg_addr.pval = mca_btl_xs_frag_data(frag);
    frag->segments[0].seg_len = size;
    frag->base.des_segment_count = 1;
    frag->base.des_flags = flags;
    frag->base.order = MCA_BTL_NO_ORDER;
    frag->base.des_cbfunc = NULL;
    frag->references = 1;
    frag->owed = MCA_BTL_XS_OWED_NOTHING;
    frag->held = false;
    return frag;
}

static void mca_btl_xs_frag_pay(mca_btl_xs_frag_t *frag)
{
    /* Not everybody wants to know: one-sided communication of 5.0 does not. */
    if (MCA_BTL_XS_OWED_NOTHING != opal_atomic_swap_32(&frag->owed, MCA_BTL_XS_OWED_NOTHING)
        && NULL != frag->base.des_cbfunc) {
        frag->base.des_cbfunc(&mca_btl_xs.super, frag->endpoint, &frag->base, OPAL_SUCCESS);
    }
}

void mca_btl_xs_frag_sent(mca_btl_xs_frag_t *frag)
{
    if (MCA_BTL_XS_OWED_SENT == frag->owed) {
        mca_btl_xs_frag_pay(frag);
    }
}

void mca_btl_xs_frag_release(mca_btl_xs_frag_t *frag)
{
    /* Not of the descriptor after the callback, which may free it. */
    bool ours = frag->base.des_flags & MCA_BTL_DES_FLAGS_BTL_OWNERSHIP;

    if (0 != opal_atomic_add_fetch_32(&frag->references, -1)) {
        return;
    }
    mca_btl_xs_frag_pay(frag);
    if (ours) {
        mca_btl_xs_frag_return(frag);
    }
}
