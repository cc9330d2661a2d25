/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs.h"

#include "opal/class/opal_bitmap.h"
#include "opal/datatype/opal_convertor.h"
#include "opal/mca/btl/base/btl_base_error.h"

#include "btl_xs_endpoint.h"
#include "btl_xs_events.h"
#include "btl_xs_gate.h"
#include "btl_xs_host.h"
#include "btl_xs_progress.h"
#include "btl_xs_send.h"

static int mca_btl_xs_add_procs(mca_btl_base_module_t *btl, size_t nprocs, opal_proc_t **procs,
                                mca_btl_xs_endpoint_t **peers, opal_bitmap_t *reachable)
{
    const opal_proc_t *self = opal_proc_local_get();
    int rc;

    for (size_t i = 0; i < nprocs; i++) {
        peers[i] = procs[i] == self ? NULL : mca_btl_xs_endpoint_get(procs[i]);
        if (NULL == peers[i]) {
            continue;
        }
        peers[i]->users++;
        peers[i]->added = mca_btl_xs_progress_calls();
        if (NULL != reachable) {
            rc = opal_bitmap_set_bit(reachable, (int) i);
            if (OPAL_SUCCESS != rc) {
                return rc;
            }
        }
    }
    return OPAL_SUCCESS;
}

/*
 * MPI_Finalize. Where a program has left MPI_T open that does not finalize us, but it has us
 * forget the processes of our own job, which nobody else does.
 */
static void mca_btl_xs_leave(void)
{
    mca_btl_xs_events_close();
    mca_btl_xs_gate_close();
}

/*
 * The layer above asks for a peer, finds that something has a higher exclusivity (shared memory
 * inside a guest), and gives it back at once, within MPI_Init. Later there has been progress.
 */
static bool mca_btl_xs_declined(const mca_btl_xs_endpoint_t *peer)
{
    return !peer->contacted && !peer->met && mca_btl_xs_progress_calls() == peer->added;
}

static int mca_btl_xs_del_procs(mca_btl_base_module_t *btl, size_t nprocs, opal_proc_t **procs,
                                mca_btl_xs_endpoint_t **peers)
{
    for (size_t i = 0; i < nprocs; i++) {
        /*
         * Where a frame of a process came before Open MPI knew of the process, it has two of that
         * one, and both have asked for the same peer.
         */
        if (NULL != peers[i] && 0 == --peers[i]->users) {
            peers[i]->declined = mca_btl_xs_declined(peers[i]);
            if (!peers[i]->declined && procs[i]->proc_name.jobid == OPAL_PROC_MY_NAME.jobid) {
                mca_btl_xs_leave();
            }
            mca_btl_xs_endpoint_put(peers[i]);
        }
        peers[i] = NULL;
    }
    return OPAL_SUCCESS;
}

static mca_btl_base_descriptor_t *mca_btl_xs_alloc(mca_btl_base_module_t *btl,
                                                   mca_btl_xs_endpoint_t *endpoint,
                                                   uint8_t order, size_t size, uint32_t flags)
{
    mca_btl_xs_frag_t *frag = mca_btl_xs_frag_alloc(size, flags);

    return NULL == frag ? NULL : &frag->base;
}

static int mca_btl_xs_free(mca_btl_base_module_t *btl, mca_btl_base_descriptor_t *des)
{
    mca_btl_xs_frag_return((mca_btl_xs_frag_t *) des);
    return OPAL_SUCCESS;
}

static mca_btl_base_descriptor_t *
mca_btl_xs_prepare_src(mca_btl_base_module_t *btl, mca_btl_xs_endpoint_t *endpoint,
                       opal_convertor_t *convertor, uint8_t order, size_t reserve, size_t *size,
                       uint32_t flags)
{
    size_t most = mca_btl_xs_ring_most(mca_btl_xs_component.ring_size);
    size_t length = *size;
    mca_btl_xs_frag_t *frag;
    uint32_t count = 1;
    struct iovec iov;
    bool in_place;

    /* Smaller ones than over TCP, so that both sides of a ring have work. */
    if (MCA_BTL_XS_PATH_XS == endpoint->tx_path && reserve + length > most && reserve < most) {
        length = most - reserve;
    } else if (reserve + length > btl->btl_max_send_size) {
        length = btl->btl_max_send_size - reserve;
    }
    in_place = !mca_btl_xs_compat_needs_buffers(convertor)
               && reserve + length > MCA_BTL_XS_SMALL;
    frag = mca_btl_xs_frag_alloc(in_place ? reserve : reserve + length, flags);
    if (OPAL_UNLIKELY(NULL == frag)) {
        return NULL;
    }
    iov.iov_len = length;
    iov.iov_base = in_place ? NULL : (char *) frag->segments[0].seg_addr.pval + reserve;
    if (OPAL_UNLIKELY(opal_convertor_pack(convertor, &iov, &count, &length) < 0)) {
        mca_btl_xs_frag_return(frag);
        return NULL;
    }
    if (in_place) {
        frag->segments[1].seg_addr.pval = iov.iov_base;
        frag->segments[1].seg_len = length;
        frag->base.des_segment_count = 2;
    } else {
        frag->segments[0].seg_len = reserve + length;
    }
    *size = length;
    return &frag->base;
}

static int mca_btl_xs_send(mca_btl_base_module_t *btl, mca_btl_xs_endpoint_t *endpoint,
                           mca_btl_base_descriptor_t *des, mca_btl_base_tag_t tag)
{
    mca_btl_xs_frag_t *frag = (mca_btl_xs_frag_t *) des;

    frag->frame.hdr.tag = tag;
    return mca_btl_xs_send_frag(endpoint, frag);
}

static int mca_btl_xs_sendi(mca_btl_base_module_t *btl, mca_btl_xs_endpoint_t *endpoint,
                            opal_convertor_t *convertor, void *header, size_t header_size,
                            size_t payload_size, uint8_t order, uint32_t flags,
                            mca_btl_base_tag_t tag, mca_btl_base_descriptor_t **descriptor)
{
    char *at = mca_btl_xs_send_begin(endpoint, header_size + payload_size);

    if (OPAL_UNLIKELY(NULL == at)) {
        if (NULL != descriptor) {
            *descriptor = mca_btl_xs_alloc(btl, endpoint, order, header_size + payload_size, flags);
        }
        return OPAL_ERR_OUT_OF_RESOURCE;
    }
    memcpy(at, header, header_size);
    if (0 != payload_size && OPAL_LIKELY(!mca_btl_xs_compat_needs_buffers(convertor))) {
        void *from;

        opal_convertor_get_current_pointer(convertor, &from);
        memcpy(at + header_size, from, payload_size);
    } else if (0 != payload_size) {
        struct iovec iov = {.iov_base = at + header_size, .iov_len = payload_size};
        size_t length = payload_size;
        uint32_t count = 1;

        (void) opal_convertor_pack(convertor, &iov, &count, &length);
    }
    mca_btl_xs_send_end(endpoint, at, header_size + payload_size, tag);
    return OPAL_SUCCESS;
}

static int mca_btl_xs_register_error(mca_btl_base_module_t *btl,
                                     mca_btl_base_module_error_cb_fn_t error_cb)
{
    mca_btl_xs.error_cb = error_cb;
    return OPAL_SUCCESS;
}

static int mca_btl_xs_finalize(mca_btl_base_module_t *btl)
{
    mca_btl_xs_component.ended = true;
    mca_btl_xs_leave();
    while (!opal_list_is_empty(&mca_btl_xs_component.endpoints)) {
        mca_btl_xs_endpoint_put(
            (mca_btl_xs_endpoint_t *) opal_list_get_first(&mca_btl_xs_component.endpoints));
    }
    mca_btl_xs_host_fini();
    opal_event_del(&mca_btl_xs_component.talk);
    mca_btl_xs_tcp_fini();
    return OPAL_SUCCESS;
}

mca_btl_xs_module_t mca_btl_xs = {
    .super =
        {
            .btl_component = &mca_btl_xs_component.super,
            .btl_add_procs = mca_btl_xs_add_procs,
            .btl_del_procs = mca_btl_xs_del_procs,
            .btl_finalize = mca_btl_xs_finalize,
            .btl_alloc = mca_btl_xs_alloc,
            .btl_free = mca_btl_xs_free,
            .btl_prepare_src = mca_btl_xs_prepare_src,
            .btl_send = mca_btl_xs_send,
            .btl_sendi = mca_btl_xs_sendi,
            .btl_dump = mca_btl_base_dump,
            .btl_register_error = mca_btl_xs_register_error,
        },
};
