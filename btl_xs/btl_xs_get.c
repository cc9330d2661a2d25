/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_get.h"

#include "btl_xs_endpoint.h"

/**
 * What the peer gets to know, in a message of the layer above.
 */
struct mca_btl_base_registration_handle_t {
    uint64_t base;              /**< address of the first byte, here */
    struct xsock_handle region;
    uint32_t generation;        /**< of the ring that it is good on */
    uint32_t reserved;
};

/**
 * Memory of ours that is exposed.
 */
struct mca_btl_xs_region_t {
    mca_btl_base_registration_handle_t handle;
    mca_btl_xs_endpoint_t *endpoint;
};
typedef struct mca_btl_xs_region_t mca_btl_xs_region_t;

/* Of all memory that is copied to: nothing has to be done for that. */
static mca_btl_base_registration_handle_t mca_btl_xs_get_local;

/* 0, or why it cannot be exposed now. */
static int mca_btl_xs_get_expose(mca_btl_xs_endpoint_t *endpoint, const void *base, size_t size,
                                 mca_btl_base_registration_handle_t *handle)
{
    int rc = -ENOTCONN;

    OPAL_THREAD_LOCK(&endpoint->lock);
    if (MCA_BTL_XS_PATH_XS == endpoint->tx_path) {
        rc = xsock_expose(endpoint->tx_ring->fd, base, size, &handle->region);
        handle->base = (uintptr_t) base;
        handle->generation = endpoint->tx_generation;
        handle->reserved = 0;
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (0 != rc) {
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_DETAIL, "%s: %lu bytes are not exposed: %s",
                           OPAL_NAME_PRINT(endpoint->proc->proc_name), (unsigned long) size,
                           xsock_strerror(rc));
    }
    return rc;
}

/* NULL: the layer above sends the message in fragments. */
static mca_btl_base_registration_handle_t *
mca_btl_xs_get_register_mem(mca_btl_base_module_t *btl, mca_btl_xs_endpoint_t *endpoint,
                            void *base, size_t size, uint32_t flags)
{
    mca_btl_xs_region_t *region;

    if (0 == (flags & MCA_BTL_REG_FLAG_REMOTE_READ)) {
        return &mca_btl_xs_get_local;
    }
    /* MCA_BTL_ENDPOINT_ANY is no address. */
    if (NULL == endpoint || MCA_BTL_ENDPOINT_ANY == endpoint || !endpoint->get
        || size < mca_btl_xs_component.get_size || size > XSOCK_REGION_MAX) {
        return NULL;
    }
    region = malloc(sizeof(*region));
    if (NULL == region) {
        return NULL;
    }
    region->endpoint = endpoint;
    if (0 != mca_btl_xs_get_expose(endpoint, base, size, &region->handle)) {
        free(region);
        return NULL;
    }
    return &region->handle;
}

static int mca_btl_xs_get_deregister_mem(mca_btl_base_module_t *btl,
                                         mca_btl_base_registration_handle_t *handle)
{
    mca_btl_xs_region_t *region = (mca_btl_xs_region_t *) handle;
    mca_btl_xs_endpoint_t *endpoint;

    if (&mca_btl_xs_get_local == handle) {
        return OPAL_SUCCESS;
    }
    endpoint = region->endpoint;
    OPAL_THREAD_LOCK(&endpoint->lock);
    /* With its ring it has come to its end. */
    if (NULL != endpoint->tx_ring && endpoint->tx_generation == handle->generation) {
        (void) xsock_conceal(endpoint->tx_ring->fd, &handle->region);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    free(region);
    return OPAL_SUCCESS;
}

/*
 * All or nothing, at once. If it fails (the ring has come to its end, mostly) ob1 asks the sender
 * for the message in fragments, if it is told so by the callback: what fails by the value that is
 * returned it tries again, when something else has been sent, which may be never.
 */
static int mca_btl_xs_get_get(mca_btl_base_module_t *btl, mca_btl_xs_endpoint_t *endpoint,
                              void *local_address, uint64_t remote_address,
                              mca_btl_base_registration_handle_t *local_handle,
                              mca_btl_base_registration_handle_t *remote_handle, size_t size,
                              int flags, int order, mca_btl_base_rdma_completion_fn_t cbfunc,
                              void *cbcontext, void *cbdata)
{
    int rc = -ESTALE;

    OPAL_THREAD_LOCK(&endpoint->lock);
    if (NULL != endpoint->rx_ring && endpoint->rx_generation == remote_handle->generation) {
        rc = xsock_get(endpoint->rx_ring->fd, &remote_handle->region,
                       remote_address - remote_handle->base, local_address, size);
    }
    if (OPAL_LIKELY(0 == rc)) {
        endpoint->counters.gets++;
        endpoint->counters.get_bytes += size;
    } else {
        endpoint->counters.gets_failed++;
    }
    endpoint->idle = 0;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (OPAL_UNLIKELY(0 != rc)) {
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: a get of %lu bytes has failed: %s",
                           OPAL_NAME_PRINT(endpoint->proc->proc_name), (unsigned long) size,
                           xsock_strerror(rc));
    }
    cbfunc(btl, endpoint, local_address, local_handle, cbcontext, cbdata,
           0 == rc ? OPAL_SUCCESS : OPAL_ERROR);
    return OPAL_SUCCESS;
}

void mca_btl_xs_get_register(void)
{
    mca_btl_base_module_t *btl = &mca_btl_xs.super;

    if (0 == mca_btl_xs_component.get_size) {
        return;
    }
    btl->btl_flags |= MCA_BTL_FLAGS_GET;
    btl->btl_get = mca_btl_xs_get_get;
    btl->btl_register_mem = mca_btl_xs_get_register_mem;
    btl->btl_deregister_mem = mca_btl_xs_get_deregister_mem;
    btl->btl_registration_handle_size = sizeof(mca_btl_base_registration_handle_t);
    /* What is not got is sent, and never put. */
    btl->btl_min_rdma_pipeline_size = SIZE_MAX;
}
