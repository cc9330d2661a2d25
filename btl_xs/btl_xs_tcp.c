/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_tcp.h"

#include "opal/runtime/opal_progress.h"
#include "opal/util/show_help.h"

#include "btl_xs_endpoint.h"
#include "btl_xs_path.h"
#include "btl_xs_progress.h"
#include "btl_xs_receive.h"

static const char mca_btl_xs_tcp_name[] = "tcp";

/* Fragments from this size on are spread over all links. */
#define MCA_BTL_XS_TCP_SPREAD 16384

static struct {
    mca_btl_base_component_t *component;
    mca_btl_base_component_init_fn_t init; /* its btl_init */
    bool opened;                           /* ... by us, so to be closed by us */
    mca_btl_base_module_t **modules;
    int count;
} tcp;

static const mca_base_component_t *
mca_btl_xs_tcp_find_listed(mca_base_component_list_item_t **where)
{
    mca_base_component_list_item_t *item;

    OPAL_LIST_FOREACH (item, &opal_btl_base_framework.framework_components,
                       mca_base_component_list_item_t) {
        if (0 == strcmp(item->cli_component->mca_component_name, mca_btl_xs_tcp_name)) {
            *where = item;
            return item->cli_component;
        }
    }
    return NULL;
}

/* Compiled into the library. */
static const mca_base_component_t *mca_btl_xs_tcp_find_static(void)
{
    const mca_base_component_t **component
        = opal_btl_base_framework.framework_static_components;

    for (; NULL != component && NULL != *component; component++) {
        if (0 == strcmp((*component)->mca_component_name, mca_btl_xs_tcp_name)) {
            return *component;
        }
    }
    return NULL;
}

/* A file that is not loaded as the user has not named it. */
static const mca_base_component_t *mca_btl_xs_tcp_load(void)
{
    mca_base_component_repository_item_t *file;
    mca_base_component_list_item_t *item = NULL;
    const mca_base_component_t *component = NULL;
    opal_list_t *files;

    if (OPAL_SUCCESS
        != mca_base_component_repository_get_components(&opal_btl_base_framework, &files)) {
        return NULL;
    }
    OPAL_LIST_FOREACH (file, files, mca_base_component_repository_item_t) {
        if (0 == strcmp(file->ri_name, mca_btl_xs_tcp_name)
            && OPAL_SUCCESS
                   == mca_base_component_repository_open(&opal_btl_base_framework, file)) {
            component = mca_btl_xs_tcp_find_listed(&item);
            break;
        }
    }
    if (NULL != component) {
        /* Or the framework would initialize it for use beside us. */
        opal_list_remove_item(&opal_btl_base_framework.framework_components, &item->super);
        OBJ_RELEASE(item);
    }
    return component;
}

int mca_btl_xs_tcp_open(void)
{
    const mca_base_component_t *component;
    mca_base_component_list_item_t *item;

    memset(&tcp, 0, sizeof(tcp));
    component = mca_btl_xs_tcp_find_listed(&item);
    if (NULL == component) {
        component = mca_btl_xs_tcp_find_static();
        if (NULL == component) {
            component = mca_btl_xs_tcp_load();
        }
        if (NULL == component) {
            opal_show_help("help-mpi-btl-xs.txt", "no tcp component", true,
                           opal_process_info.nodename);
            return OPAL_ERR_NOT_AVAILABLE;
        }
        if ((NULL != component->mca_register_component_params
             && OPAL_SUCCESS != component->mca_register_component_params())
            || (NULL != component->mca_open_component
                && OPAL_SUCCESS != component->mca_open_component())) {
            mca_base_component_unload(component, opal_btl_base_framework.framework_output);
            return OPAL_ERR_NOT_AVAILABLE;
        }
        tcp.opened = true;
    }
    tcp.component = (mca_btl_base_component_t *) component;
    tcp.init = tcp.component->btl_init;
    /* If the framework has it listed it is to find nothing to initialize. */
    tcp.component->btl_init = NULL;
    return OPAL_SUCCESS;
}

void mca_btl_xs_tcp_close(void)
{
    mca_base_component_list_item_t *item;

    if (NULL == tcp.component) {
        return;
    }
    /* The framework may have closed it before us, and unloaded it. */
    if (tcp.opened || NULL != mca_btl_xs_tcp_find_listed(&item)) {
        tcp.component->btl_init = tcp.init;
    }
    if (tcp.opened) {
        mca_base_component_close(&tcp.component->btl_version,
                                 opal_btl_base_framework.framework_output);
    }
    tcp.component = NULL;
}

static MCA_BTL_XS_RECEIVE_CALLBACK(mca_btl_xs_tcp_arrived, received)
{
    const mca_btl_base_segment_t *segment = received->des_segments;
    const mca_btl_xs_tcp_hdr_t *frame = segment->seg_addr.pval;
    opal_process_name_t name;
    mca_btl_xs_endpoint_t *endpoint;

    if (1 != received->des_segment_count || segment->seg_len < sizeof(*frame)
        || frame->hdr.size != segment->seg_len - sizeof(*frame)) {
        MCA_BTL_XS_VERBOSE(0, "a frame of wrong size has been dropped");
        return;
    }
    name.jobid = frame->jobid;
    name.vpid = frame->vpid;
    endpoint = mca_btl_xs_endpoint_find(name);
    if (OPAL_UNLIKELY(NULL == endpoint)) {
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_DETAIL, "a frame of %s has been dropped",
                           OPAL_NAME_PRINT(name));
        return;
    }
    mca_btl_xs_progress_wake(endpoint);
    if (MCA_BTL_XS_DATA == frame->hdr.kind) {
        mca_btl_xs_receive_tcp(endpoint, &frame->hdr, (void *) (frame + 1));
    } else {
        mca_btl_xs_path_told(endpoint, &frame->hdr, frame + 1);
    }
}

int mca_btl_xs_tcp_init(bool enable_progress_threads, bool enable_mpi_threads)
{
    mca_base_component_list_item_t *item;

    /* It has been listed and has failed to open meanwhile. */
    if (!tcp.opened && NULL == mca_btl_xs_tcp_find_listed(&item)) {
        tcp.component = NULL;
        return OPAL_ERR_NOT_AVAILABLE;
    }
    tcp.modules = tcp.init(&tcp.count, enable_progress_threads, enable_mpi_threads);
    if (NULL == tcp.modules || 0 == tcp.count) {
        return OPAL_ERR_NOT_AVAILABLE;
    }
    mca_btl_base_active_message_trigger[MCA_BTL_XS_TCP_TAG].cbfunc = mca_btl_xs_tcp_arrived;
    return OPAL_SUCCESS;
}

void mca_btl_xs_tcp_fini(void)
{
    for (int i = 0; i < tcp.count; i++) {
        tcp.modules[i]->btl_finalize(tcp.modules[i]);
    }
    free(tcp.modules);
    tcp.modules = NULL;
    tcp.count = 0;
}

size_t mca_btl_xs_tcp_limit(void)
{
    size_t limit = SIZE_MAX;

    for (int i = 0; i < tcp.count; i++) {
        /* Its receive buffer, too, has the larger of the two sizes. */
        size_t most = tcp.modules[i]->btl_max_send_size > tcp.modules[i]->btl_eager_limit
                          ? tcp.modules[i]->btl_max_send_size
                          : tcp.modules[i]->btl_eager_limit;

        limit = most < limit ? most : limit;
    }
    return limit > sizeof(mca_btl_xs_tcp_hdr_t) ? limit - sizeof(mca_btl_xs_tcp_hdr_t) : 0;
}

uint32_t mca_btl_xs_tcp_flags(void)
{
    uint32_t flags = 0;

    for (int i = 0; i < tcp.count; i++) {
        flags |= tcp.modules[i]->btl_flags & MCA_BTL_FLAGS_BTL_PROGRESS_THREAD_ENABLED;
    }
    return flags;
}

int mca_btl_xs_tcp_add_proc(opal_proc_t *proc, mca_btl_xs_link_t **result)
{
    mca_btl_xs_link_t *links = calloc(tcp.count, sizeof(*links));
    int count = 0;

    *result = links;
    if (NULL == links) {
        return 0;
    }
    for (int i = 0; i < tcp.count; i++) {
        mca_btl_xs_endpoint_t *endpoint = NULL;

        (void) tcp.modules[i]->btl_add_procs(tcp.modules[i], 1, &proc, &endpoint, NULL);
        if (NULL != endpoint) {
            links[count].module = tcp.modules[i];
            links[count++].endpoint = endpoint;
            /* It has sockets looked at each time from now on: that is our business. */
            opal_progress_event_users_decrement();
        }
    }
    return count;
}

void mca_btl_xs_tcp_del_proc(opal_proc_t *proc, mca_btl_xs_link_t *links, int count)
{
    for (int i = 0; i < count; i++) {
        opal_progress_event_users_increment();
        (void) links[i].module->btl_del_procs(links[i].module, 1, &proc, &links[i].endpoint);
    }
}

static void mca_btl_xs_tcp_complete(mca_btl_base_module_t *module,
                                    struct mca_btl_base_endpoint_t *endpoint,
                                    mca_btl_base_descriptor_t *des, int status)
{
    mca_btl_xs_frag_t *frag = des->des_cbdata;

    /* Without an answer a control frame can be spared: the peer may have left. */
    if (OPAL_UNLIKELY(OPAL_SUCCESS != status) && MCA_BTL_XS_DATA == frag->frame.hdr.kind) {
        mca_btl_xs_endpoint_lost(frag->endpoint);
    }
    mca_btl_xs_frag_sent(frag);
    mca_btl_xs_frag_release(frag);
}

/* Control frames and small fragments take the first link, where they do not overtake. */
static mca_btl_xs_link_t *mca_btl_xs_tcp_link(mca_btl_xs_endpoint_t *endpoint, size_t size)
{
    if (size < MCA_BTL_XS_TCP_SPREAD) {
        return endpoint->links;
    }
    return endpoint->links + endpoint->next_link++ % endpoint->link_count;
}

int mca_btl_xs_tcp_send(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    mca_btl_xs_link_t *link = mca_btl_xs_tcp_link(endpoint, frag->frame.hdr.size);
    mca_btl_base_descriptor_t *des;
    int rc;

    mca_btl_xs_progress_wake(endpoint);
    des = link->module->btl_alloc(link->module, link->endpoint, MCA_BTL_NO_ORDER, 0,
                                  MCA_BTL_DES_FLAGS_PRIORITY | MCA_BTL_DES_FLAGS_BTL_OWNERSHIP);
    if (OPAL_UNLIKELY(NULL == des)) {
        return OPAL_ERR_OUT_OF_RESOURCE;
    }
    frag->frame.jobid = OPAL_PROC_MY_NAME.jobid;
    frag->frame.vpid = OPAL_PROC_MY_NAME.vpid;
    frag->frame.hdr.covered = mca_btl_xs_receive_covered(endpoint);
    /* From where it lies: tcp copies nothing. */
    des->des_segments[0].seg_addr.pval = &frag->frame;
    des->des_segments[0].seg_len = sizeof(frag->frame) + frag->segments[0].seg_len;
    if (mca_btl_xs_frag_in_place(frag)) {
        des->des_segments[1] = frag->segments[1];
    }
    des->des_segment_count = frag->base.des_segment_count;
    des->des_cbfunc = mca_btl_xs_tcp_complete;
    des->des_cbdata = frag;
    mca_btl_xs_frag_retain(frag);
    rc = link->module->btl_send(link->module, link->endpoint, des, MCA_BTL_XS_TCP_TAG);
    if (OPAL_LIKELY(0 == rc)) {
        return OPAL_SUCCESS;
    }
    if (OPAL_UNLIKELY(0 > rc)) {
        link->module->btl_free(link->module, des);
    } else {
        mca_btl_xs_frag_sent(frag);
    }
    mca_btl_xs_frag_release(frag);
    return 0 > rc ? rc : OPAL_SUCCESS;
}

void mca_btl_xs_tcp_tell(mca_btl_xs_endpoint_t *endpoint, int kind, const void *body,
                         size_t size)
{
    mca_btl_xs_frag_t *frag;

    /* Its connection is closed, and tcp would try to make another one. */
    if (OPAL_UNLIKELY(endpoint->quiet)) {
        return;
    }
    endpoint->met = true;
    frag = mca_btl_xs_frag_alloc(size, MCA_BTL_DES_FLAGS_BTL_OWNERSHIP);
    if (OPAL_UNLIKELY(NULL == frag)) {
        return;
    }
    frag->endpoint = endpoint;
    frag->frame.hdr = (mca_btl_xs_hdr_t){.size = size, .kind = kind};
    if (0 != size) {
        memcpy(mca_btl_xs_frag_data(frag), body, size);
    }
    (void) mca_btl_xs_tcp_send(endpoint, frag);
    mca_btl_xs_frag_release(frag);
}
