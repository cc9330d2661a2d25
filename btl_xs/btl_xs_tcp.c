/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_tcp.h"

#include <errno.h>
#include <fcntl.h>

#include "opal/runtime/opal_progress.h"
#include "opal/util/show_help.h"

#include "btl_xs_accept.h"
#include "btl_xs_crc.h"
#include "btl_xs_endpoint.h"
#include "btl_xs_failover.h"
#include "btl_xs_path.h"
#include "btl_xs_progress.h"
#include "btl_xs_receive.h"
#include "btl_xs_send.h"
#include "btl_xs_watch.h"

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

_Thread_local bool mca_btl_xs_tcp_here;

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

/* Who has sent it, or NULL. */
static mca_btl_xs_endpoint_t *mca_btl_xs_tcp_sender(const mca_btl_xs_tcp_hdr_t *frame)
{
    opal_process_name_t name;
    mca_btl_xs_endpoint_t *endpoint;

    name.jobid = frame->jobid;
    name.vpid = frame->vpid;
    endpoint = mca_btl_xs_endpoint_find(name);
    if (OPAL_UNLIKELY(NULL == endpoint)) {
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_DETAIL, "a frame of %s has been dropped",
                           OPAL_NAME_PRINT(name));
    }
    return endpoint;
}

/* Of so many bytes? */
static bool mca_btl_xs_tcp_whole(const mca_btl_xs_tcp_hdr_t *frame, size_t size)
{
    if (size < sizeof(*frame) || frame->hdr.size != size - sizeof(*frame)) {
        MCA_BTL_XS_VERBOSE(0, "a frame of wrong size has been dropped");
        return false;
    }
    return true;
}

static void mca_btl_xs_tcp_came(const mca_btl_xs_tcp_hdr_t *frame)
{
    const bool here = mca_btl_xs_tcp_here;
    mca_btl_xs_endpoint_t *endpoint = mca_btl_xs_tcp_sender(frame);

    if (OPAL_UNLIKELY(NULL == endpoint)) {
        return;
    }
    mca_btl_xs_progress_wake(endpoint);
    mca_btl_xs_tcp_here = true;
    if (MCA_BTL_XS_DATA == frame->hdr.kind) {
        mca_btl_xs_receive_tcp(endpoint, &frame->hdr, (void *) (frame + 1));
    } else {
        mca_btl_xs_path_told(endpoint, &frame->hdr, frame + 1);
    }
    mca_btl_xs_tcp_here = here;
}

static MCA_BTL_XS_RECEIVE_CALLBACK(mca_btl_xs_tcp_arrived, received)
{
    const mca_btl_base_segment_t *segment = received->des_segments;

    if (1 == received->des_segment_count
        && mca_btl_xs_tcp_whole(segment->seg_addr.pval, segment->seg_len)) {
        mca_btl_xs_tcp_came(segment->seg_addr.pval);
    }
}

/*
 * A frame of a peer's has come damaged. Nothing on its connections can be trusted any more: they are
 * given up as if they had broken, so all that has not arrived comes again.
 */
static void mca_btl_xs_tcp_spoilt(mca_btl_xs_endpoint_t *endpoint, const char *reason)
{
    mca_btl_xs_progress_wake(endpoint);
    mca_btl_xs_tcp_learn(endpoint);
    mca_btl_xs_receive_corrupt(endpoint, "tcp", reason);
    if (!mca_btl_xs_failover_broken(endpoint)) {
        mca_btl_xs_endpoint_spoilt(endpoint);
    }
}

/* One of them has sent it: which one is what is damaged. */
static void mca_btl_xs_tcp_spoilt_perhaps(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->checksum && endpoint->met) {
        mca_btl_xs_tcp_spoilt(endpoint, "sender-unknown");
    }
}

static MCA_BTL_XS_RECEIVE_CALLBACK(mca_btl_xs_tcp_arrived_checked, received)
{
    const mca_btl_base_segment_t *segment = received->des_segments;
    const mca_btl_xs_check_t *check = segment->seg_addr.pval;
    const mca_btl_xs_tcp_hdr_t *frame = (const void *) (check + 1);
    mca_btl_xs_endpoint_t *endpoint;
    uint32_t head = 0;
    bool heads = 1 == received->des_segment_count
                 && segment->seg_len >= sizeof(*check) + sizeof(*frame);

    if (OPAL_LIKELY(heads)) {
        head = mca_btl_xs_crc(0, frame, sizeof(*frame));
    }
    /* What has a wrong size is damaged, too: nobody else would ask for it. */
    if (OPAL_UNLIKELY(!heads || check->head != head)) {
        mca_btl_xs_component_for_all(mca_btl_xs_tcp_spoilt_perhaps);
        return;
    }
    if (OPAL_LIKELY(mca_btl_xs_tcp_whole(frame, segment->seg_len - sizeof(*check))
                    && check->all == mca_btl_xs_crc(head, frame + 1, frame->hdr.size))) {
        mca_btl_xs_tcp_came(frame);
        return;
    }
    endpoint = mca_btl_xs_tcp_sender(frame);
    if (NULL != endpoint) {
        mca_btl_xs_tcp_spoilt(endpoint, "checksum");
    }
}

/* For tests: of each so many fragments that come the last byte is another one. */
static void mca_btl_xs_tcp_damage(const mca_btl_base_segment_t *segment, size_t before)
{
    static unsigned int came;
    const mca_btl_xs_tcp_hdr_t *frame = (void *) ((char *) segment->seg_addr.pval + before);

    if (segment->seg_len > before + sizeof(*frame) && MCA_BTL_XS_DATA == frame->hdr.kind
        && 0 == ++came % mca_btl_xs_component.debug_corrupt_tcp) {
        ((unsigned char *) segment->seg_addr.pval)[segment->seg_len - 1] ^= 1;
    }
}

/* Calls one of the two above with what it has been called with. */
#if OPAL_MAJOR_VERSION >= 5
#    define MCA_BTL_XS_TCP_HAND_ON(to) to(btl, received)
#else
#    define MCA_BTL_XS_TCP_HAND_ON(to) to(btl, tag, received, cbdata)
#endif

static MCA_BTL_XS_RECEIVE_CALLBACK(mca_btl_xs_tcp_arrived_damaged, received)
{
    mca_btl_xs_tcp_damage(received->des_segments, 0);
    MCA_BTL_XS_TCP_HAND_ON(mca_btl_xs_tcp_arrived);
}

static MCA_BTL_XS_RECEIVE_CALLBACK(mca_btl_xs_tcp_arrived_checked_damaged, received)
{
    mca_btl_xs_tcp_damage(received->des_segments, sizeof(mca_btl_xs_check_t));
    MCA_BTL_XS_TCP_HAND_ON(mca_btl_xs_tcp_arrived_checked);
}

/* Nobody sends that to a process without checksums: it says so before. */
static MCA_BTL_XS_RECEIVE_CALLBACK(mca_btl_xs_tcp_arrived_unasked, received)
{
    MCA_BTL_XS_VERBOSE(0, "a frame with a checksum has been dropped");
}

/* tcp calls whatever there is for a tag, also if there is nothing. */
static void mca_btl_xs_tcp_listen(void)
{
    const bool damage = 0 != mca_btl_xs_component.debug_corrupt_tcp;

    mca_btl_base_active_message_trigger[MCA_BTL_XS_TCP_TAG].cbfunc
        = damage ? mca_btl_xs_tcp_arrived_damaged : mca_btl_xs_tcp_arrived;
    mca_btl_base_active_message_trigger[MCA_BTL_XS_TCP_CHECKED_TAG].cbfunc
        = mca_btl_xs_tcp_arrived_unasked;
    if (mca_btl_xs_component.checksum) {
        mca_btl_base_active_message_trigger[MCA_BTL_XS_TCP_CHECKED_TAG].cbfunc
            = damage ? mca_btl_xs_tcp_arrived_checked_damaged : mca_btl_xs_tcp_arrived_checked;
    }
}

bool mca_btl_xs_tcp_elsewhere(const mca_btl_xs_endpoint_t *endpoint)
{
    return opal_using_threads() && endpoint->tcp_mend && !mca_btl_xs_tcp_here;
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
    /* Sockets of a thread of its own are not ours to be seen. */
    if (0 != mca_btl_xs_component.failover
        && !(mca_btl_xs_tcp_flags() & MCA_BTL_FLAGS_BTL_PROGRESS_THREAD_ENABLED)
        && (!enable_mpi_threads || mca_btl_xs_compat_mends_with_threads())) {
        if (OPAL_SUCCESS == mca_btl_xs_watch_open()) {
            mca_btl_xs_accept_open(mca_btl_xs_failover_doubt);
        }
    }
    mca_btl_xs_tcp_listen();
    return OPAL_SUCCESS;
}

void mca_btl_xs_tcp_fini(void)
{
    mca_btl_xs_accept_close();
    mca_btl_xs_watch_close();
    for (int i = 0; i < tcp.count; i++) {
        tcp.modules[i]->btl_finalize(tcp.modules[i]);
    }
    free(tcp.modules);
    tcp.modules = NULL;
    tcp.count = 0;
}

size_t mca_btl_xs_tcp_limit(void)
{
    const size_t heads = sizeof(mca_btl_xs_tcp_hdr_t)
                         + (mca_btl_xs_component.checksum ? sizeof(mca_btl_xs_check_t) : 0);
    size_t limit = SIZE_MAX;

    for (int i = 0; i < tcp.count; i++) {
        /* Its receive buffer, too, has the larger of the two sizes. */
        size_t most = tcp.modules[i]->btl_max_send_size > tcp.modules[i]->btl_eager_limit
                          ? tcp.modules[i]->btl_max_send_size
                          : tcp.modules[i]->btl_eager_limit;

        limit = most < limit ? most : limit;
    }
    return limit > heads ? limit - heads : 0;
}

uint32_t mca_btl_xs_tcp_flags(void)
{
    uint32_t flags = 0;

    for (int i = 0; i < tcp.count; i++) {
        flags |= tcp.modules[i]->btl_flags
                 & (MCA_BTL_FLAGS_BTL_PROGRESS_THREAD_ENABLED | MCA_BTL_FLAGS_SINGLE_ADD_PROCS);
    }
    return flags;
}

int mca_btl_xs_tcp_add_proc(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_link_t *links = calloc(tcp.count, sizeof(*links));
    int count = 0;

    if (NULL == links) {
        return 0;
    }
    for (int i = 0; i < tcp.count; i++) {
        struct mca_btl_base_endpoint_t *theirs = NULL;

        (void) tcp.modules[i]->btl_add_procs(tcp.modules[i], 1, &endpoint->proc, &theirs, NULL);
        if (NULL != theirs) {
            links[count++] = (mca_btl_xs_link_t){.module = tcp.modules[i],
                                                 .endpoint = theirs,
                                                 .peer = endpoint,
                                                 .fd = -1};
        }
    }
    endpoint->links = links;
    endpoint->link_count = count;
    return count;
}

/* tcp has a frame from here ... The lock is held. */
static void mca_btl_xs_tcp_fly(mca_btl_xs_link_t *link, mca_btl_xs_frag_t *frag,
                               mca_btl_base_descriptor_t *des)
{
    mca_btl_xs_frag_t **first = &link->peer->tx_flying;

    frag->des = des;
    frag->link = link;
    frag->fly_at = first;
    frag->fly_next = *first;
    if (NULL != frag->fly_next) {
        frag->fly_next->fly_at = &frag->fly_next;
    }
    *first = frag;
    link->flying++;
}

/* ... to here. The lock is held. */
static void mca_btl_xs_tcp_land(mca_btl_xs_frag_t *frag)
{
    *frag->fly_at = frag->fly_next;
    if (NULL != frag->fly_next) {
        frag->fly_next->fly_at = frag->fly_at;
    }
    frag->link->flying--;
    frag->des = NULL;
}

/* Takes back what endpoints of tcp's had that are no more: it does not give it back. */
static void mca_btl_xs_tcp_reclaim(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_base_descriptor_t *des;
    mca_btl_base_module_t *module;
    mca_btl_xs_frag_t *frag;

    OPAL_THREAD_LOCK(&endpoint->lock);
    while (NULL != (frag = endpoint->tx_flying)) {
        des = frag->des;
        module = frag->link->module;
        mca_btl_xs_tcp_land(frag);
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        module->btl_free(module, des);
        mca_btl_xs_frag_release(frag);
        OPAL_THREAD_LOCK(&endpoint->lock);
    }
    while (!opal_list_is_empty(&endpoint->tx_failed)) {
        des = (mca_btl_base_descriptor_t *) opal_list_remove_first(&endpoint->tx_failed);
        tcp.modules[0]->btl_free(tcp.modules[0], des);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
}

void mca_btl_xs_tcp_forget(mca_btl_xs_link_t *link)
{
    /* tcp counts itself out when it closes a socket, and has not counted itself in before. */
    if (mca_btl_xs_watch_unused(link)) {
        opal_progress_event_users_increment();
    }
    mca_btl_xs_watch_end(link);
}

void mca_btl_xs_tcp_del_proc(mca_btl_xs_endpoint_t *endpoint)
{
    for (int i = 0; i < endpoint->link_count; i++) {
        mca_btl_xs_link_t *link = &endpoint->links[i];

        mca_btl_xs_watch_end(link);
        if (link->counted) {
            opal_progress_event_users_increment();
        }
        (void) link->module->btl_del_procs(link->module, 1, &endpoint->proc, &link->endpoint);
    }
    mca_btl_xs_tcp_reclaim(endpoint);
    free(endpoint->links);
    endpoint->links = NULL;
    endpoint->link_count = 0;
}

bool mca_btl_xs_tcp_accepting(mca_btl_xs_endpoint_t *endpoint)
{
    bool accepting = false;

    for (int i = 0; i < endpoint->link_count; i++) {
        accepting = accepting || mca_btl_xs_watch_look(&endpoint->links[i]).accepting;
    }
    return accepting;
}

/* Has tcp closed all that it had? Else has it closed. As mca_btl_xs_tcp_renew(). */
static int mca_btl_xs_tcp_closed(mca_btl_xs_endpoint_t *endpoint)
{
    int rc = OPAL_SUCCESS;

    for (int i = 0; i < endpoint->link_count; i++) {
        mca_btl_xs_link_t *link = &endpoint->links[i];
        mca_btl_xs_watch_seen_t seen = mca_btl_xs_watch_look(link);

        /* A later connection is not read by tcp: half a frame may be left of this one. */
        if (seen.fd >= 0
            && (!mca_btl_xs_watch_same(link, seen.fd) || !mca_btl_xs_watch_dead(link))) {
            mca_btl_xs_watch_cut(seen.fd);
        }
        if (seen.accepting && seen.active) {
            return OPAL_ERR_WOULD_BLOCK;
        }
        if (seen.accepting || seen.fd >= 0) {
            rc = OPAL_ERR_RESOURCE_BUSY;
        }
    }
    return rc;
}

int mca_btl_xs_tcp_renew(mca_btl_xs_endpoint_t *endpoint)
{
    int rc = mca_btl_xs_tcp_closed(endpoint);

    if (OPAL_SUCCESS != rc) {
        return rc;
    }
    /* Another thread may be about to give tcp something. */
    OPAL_THREAD_LOCK(&endpoint->lock);
    rc = 0 == endpoint->tcp_users ? OPAL_SUCCESS : OPAL_ERR_RESOURCE_BUSY;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (OPAL_SUCCESS != rc) {
        return rc;
    }
    for (int i = 0; i < endpoint->link_count; i++) {
        mca_btl_xs_tcp_forget(&endpoint->links[i]);
    }
    mca_btl_xs_tcp_del_proc(endpoint);
    if (0 == mca_btl_xs_tcp_add_proc(endpoint)) {
        return OPAL_ERR_UNREACH;
    }
    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->tcp_generation++;
    endpoint->begin_gone = endpoint->begin_come = false;
    endpoint->tcp_stands = 0;
    endpoint->tcp_state = MCA_BTL_XS_TCP_BEGINNING;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    return OPAL_SUCCESS;
}

/* False: another thread of ours has found the connection broken meanwhile. The lock is held. */
static bool mca_btl_xs_tcp_learn_link(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_link_t *link)
{
    bool watch = endpoint->tcp_mend && -1 == link->fd;
    mca_btl_xs_watch_seen_t seen;

    if (link->counted && !watch) {
        return true;
    }
    seen = mca_btl_xs_watch_look(link);
    if (seen.fd < 0) {
        return true;
    }
    if (!link->counted) {
        /* tcp has sockets looked at each time while it has one: that is our business. */
        link->counted = true;
        opal_progress_event_users_decrement();
    }
    if (watch) {
        /* One that is not watched might go on, when it has broken, where it was. */
        endpoint->tcp_known = mca_btl_xs_watch_begin(link, seen.fd) || EBADF == errno;
    }
    return !watch || -1 != link->fd || !endpoint->tcp_known;
}

void mca_btl_xs_tcp_learn(mca_btl_xs_endpoint_t *endpoint)
{
    bool good = true;

    OPAL_THREAD_LOCK(&endpoint->lock);
    for (int i = 0; i < endpoint->link_count; i++) {
        good = mca_btl_xs_tcp_learn_link(endpoint, &endpoint->links[i]) && good;
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (!good) {
        (void) mca_btl_xs_failover_broken(endpoint);
    }
}

/* A frame that could not be sent. Without an answer a control frame can be spared. */
static void mca_btl_xs_tcp_failed(mca_btl_xs_endpoint_t *endpoint, bool data)
{
    if (!mca_btl_xs_failover_broken(endpoint) && data) {
        mca_btl_xs_endpoint_lost(endpoint);
    }
}

/* The kernel has it. */
static void mca_btl_xs_tcp_gone(mca_btl_xs_frag_t *frag)
{
    mca_btl_xs_endpoint_t *endpoint = frag->endpoint;

    if (OPAL_UNLIKELY(MCA_BTL_XS_BEGIN == frag->frame.hdr.kind)) {
        mca_btl_xs_tcp_learn(endpoint);
        OPAL_THREAD_LOCK(&endpoint->lock);
        endpoint->begin_gone = endpoint->begin_gone || frag->link == endpoint->links;
        OPAL_THREAD_UNLOCK(&endpoint->lock);
    }
    mca_btl_xs_frag_sent(frag);
    mca_btl_xs_frag_release(frag);
}

static void mca_btl_xs_tcp_complete(mca_btl_base_module_t *module,
                                    struct mca_btl_base_endpoint_t *theirs,
                                    mca_btl_base_descriptor_t *des, int status)
{
    mca_btl_xs_frag_t *frag = des->des_cbdata;
    mca_btl_xs_endpoint_t *endpoint;

    if (OPAL_UNLIKELY(NULL == frag)) {
        /* Again: one of tx_failed. */
        return;
    }
    endpoint = frag->endpoint;
    OPAL_THREAD_LOCK(&endpoint->lock);
    mca_btl_xs_tcp_land(frag);
    if (OPAL_UNLIKELY(OPAL_SUCCESS != status) && !mca_btl_xs_compat_tcp_frees()) {
        des->des_cbdata = NULL;
        opal_list_append(&endpoint->tx_failed, (opal_list_item_t *) des);
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (OPAL_LIKELY(OPAL_SUCCESS == status)) {
        mca_btl_xs_tcp_gone(frag);
    } else {
        mca_btl_xs_tcp_failed(endpoint, MCA_BTL_XS_DATA == frag->frame.hdr.kind);
        mca_btl_xs_frag_release(frag);
    }
}

/* Control frames and small fragments take the first link, where they do not overtake. */
static mca_btl_xs_link_t *mca_btl_xs_tcp_link(mca_btl_xs_endpoint_t *endpoint, size_t size)
{
    if (size < MCA_BTL_XS_TCP_SPREAD) {
        return endpoint->links;
    }
    return endpoint->links + endpoint->next_link++ % endpoint->link_count;
}

/* Puts the checksum before the frame. */
static mca_btl_base_tag_t mca_btl_xs_tcp_check(mca_btl_xs_frag_t *frag,
                                               mca_btl_base_descriptor_t *des)
{
    frag->check.head = mca_btl_xs_crc(0, &frag->frame, sizeof(frag->frame));
    frag->check.all = mca_btl_xs_frag_crc(frag, frag->check.head);
    des->des_segments[0].seg_addr.pval = &frag->check;
    des->des_segments[0].seg_len += sizeof(frag->check);
    return MCA_BTL_XS_TCP_CHECKED_TAG;
}

/*
 * There is no local address, or no port, for a connection: tcp has closed the socket, and closes
 * what has its number then, whosever that is, once more with its endpoint. So something that is
 * nobody's gets it, unless another thread is quicker: tcp does not say which it is. tcp also counts
 * itself out then, and has not counted itself in.
 */
static void mca_btl_xs_tcp_occupy(void)
{
    (void) open("/dev/null", O_RDONLY | O_CLOEXEC);
    opal_progress_event_users_increment();
}

/* Gives tcp a frame. Not without a place in tcp_users. */
static int mca_btl_xs_tcp_give(mca_btl_xs_link_t *link, mca_btl_xs_frag_t *frag)
{
    mca_btl_xs_endpoint_t *endpoint = link->peer;
    mca_btl_base_tag_t tag = MCA_BTL_XS_TCP_TAG;
    mca_btl_base_descriptor_t *des;
    bool first, called;
    int rc;

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
    if (OPAL_UNLIKELY(endpoint->checksum)) {
        tag = mca_btl_xs_tcp_check(frag, des);
    }
    des->des_cbfunc = mca_btl_xs_tcp_complete;
    des->des_cbdata = frag;
    mca_btl_xs_frag_retain(frag);
    OPAL_THREAD_LOCK(&endpoint->lock);
    first = 0 == link->flying;
    mca_btl_xs_tcp_fly(link, frag, des);
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    rc = link->module->btl_send(link->module, link->endpoint, des, tag);
    if (OPAL_LIKELY(0 < rc)) {
        OPAL_THREAD_LOCK(&endpoint->lock);
        mca_btl_xs_tcp_land(frag);
        OPAL_THREAD_UNLOCK(&endpoint->lock);
        mca_btl_xs_tcp_gone(frag);
        return OPAL_SUCCESS;
    }
    if (OPAL_LIKELY(0 == rc)) {
        /* Or it has found the connection broken and does not say so. */
        if (first && mca_btl_xs_watch_dead(link)) {
            mca_btl_xs_watch_clean(link);
            mca_btl_xs_tcp_failed(endpoint, false);
        }
        return OPAL_SUCCESS;
    }
    /*
     * If tcp has not called back it may have kept it, and does not say so: so it stays tcp's until its
     * endpoint is no more.
     */
    OPAL_THREAD_LOCK(&endpoint->lock);
    called = des != frag->des;
    if (OPAL_ERROR == rc && !called && endpoint->tcp_known) {
        mca_btl_xs_tcp_occupy();
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (called && -1 == link->fd) {
        /* It has closed the socket that it had just made: mca_btl_xs_tcp_forget(). */
        opal_progress_event_users_increment();
    }
    return mca_btl_xs_failover_broken(endpoint) ? OPAL_ERR_UNREACH : rc;
}

/* Not without a place in tcp_users. */
static int mca_btl_xs_tcp_say_begin(mca_btl_xs_link_t *link)
{
    const mca_btl_xs_begin_t begin = {.generation = link->peer->tcp_generation};
    mca_btl_xs_frag_t *frag = mca_btl_xs_frag_alloc(sizeof(begin), MCA_BTL_DES_FLAGS_BTL_OWNERSHIP);
    int rc;

    if (OPAL_UNLIKELY(NULL == frag)) {
        return OPAL_ERR_OUT_OF_RESOURCE;
    }
    frag->endpoint = link->peer;
    frag->frame.hdr = (mca_btl_xs_hdr_t){.size = sizeof(begin), .kind = MCA_BTL_XS_BEGIN};
    memcpy(mca_btl_xs_frag_data(frag), &begin, sizeof(begin));
    rc = mca_btl_xs_tcp_give(link, frag);
    mca_btl_xs_frag_release(frag);
    return rc;
}

/* The first frame on a link is small: so tcp has it, and the socket is known, in one go. */
static void mca_btl_xs_tcp_first(mca_btl_xs_link_t *link)
{
    mca_btl_xs_endpoint_t *endpoint = link->peer;
    mca_btl_xs_watch_seen_t seen;
    int rc;

    if (MCA_BTL_XS_TCP_BEGINNING == endpoint->tcp_state) {
        /*
         * The peer may have connected. If that connection breaks when tcp writes this frame, tcp
         * keeps it, and sends nothing by a later one either: only the socket tells.
         */
        mca_btl_xs_tcp_learn(endpoint);
    }
    rc = mca_btl_xs_tcp_say_begin(link);
    OPAL_THREAD_LOCK(&endpoint->lock);
    if (OPAL_UNLIKELY(OPAL_ERR_OUT_OF_RESOURCE == rc)) {
        link->begun = false;
    }
    if (MCA_BTL_XS_TCP_BEGINNING == endpoint->tcp_state && -1 == link->fd) {
        /* Also while it is being connected. */
        seen = mca_btl_xs_watch_look(link);
        if (seen.fd >= 0) {
            (void) mca_btl_xs_watch_begin(link, seen.fd);
        }
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
}

/* A link that may be used for a frame of @size bytes; NULL: none. Then it is in use. */
static mca_btl_xs_link_t *mca_btl_xs_tcp_take(mca_btl_xs_endpoint_t *endpoint, bool data,
                                              size_t size)
{
    mca_btl_xs_link_t *link = NULL;
    bool first = false;

    OPAL_THREAD_LOCK(&endpoint->lock);
    if (OPAL_LIKELY(MCA_BTL_XS_TCP_UP == endpoint->tcp_state)
        || (MCA_BTL_XS_TCP_BEGINNING == endpoint->tcp_state && !data
            && !mca_btl_xs_compat_late())) {
        link = mca_btl_xs_tcp_link(endpoint, size);
        endpoint->tcp_users++;
        first = !link->begun;
        link->begun = true;
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (OPAL_UNLIKELY(first)) {
        mca_btl_xs_tcp_first(link);
    }
    return link;
}

static void mca_btl_xs_tcp_leave(mca_btl_xs_endpoint_t *endpoint)
{
    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->tcp_users--;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
}

void mca_btl_xs_tcp_begin(mca_btl_xs_endpoint_t *endpoint)
{
    if (NULL != mca_btl_xs_tcp_take(endpoint, false, 0)) {
        mca_btl_xs_tcp_leave(endpoint);
    }
}

void mca_btl_xs_tcp_begin_again(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_link_t *link = mca_btl_xs_tcp_take(endpoint, false, 0);

    if (NULL != link) {
        (void) mca_btl_xs_tcp_say_begin(link);
        mca_btl_xs_tcp_leave(endpoint);
    }
}

int mca_btl_xs_tcp_send(mca_btl_xs_endpoint_t *endpoint, mca_btl_xs_frag_t *frag)
{
    mca_btl_xs_link_t *link;
    int rc;

    mca_btl_xs_progress_wake(endpoint);
    link = mca_btl_xs_tcp_take(endpoint, MCA_BTL_XS_DATA == frag->frame.hdr.kind,
                               frag->frame.hdr.size);
    if (OPAL_UNLIKELY(MCA_BTL_XS_TCP_UP != endpoint->tcp_state)) {
        mca_btl_xs_failover_want(endpoint);
    }
    if (OPAL_UNLIKELY(NULL == link)) {
        return OPAL_ERR_UNREACH;
    }
    /* It may have broken at the first frame. */
    rc = OPAL_LIKELY(MCA_BTL_XS_TCP_DOWN != endpoint->tcp_state) ? mca_btl_xs_tcp_give(link, frag)
                                                                 : OPAL_ERR_UNREACH;
    mca_btl_xs_tcp_leave(endpoint);
    return rc;
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
    if (OPAL_UNLIKELY(mca_btl_xs_tcp_elsewhere(endpoint))) {
        mca_btl_xs_send_told(endpoint, frag);
        return;
    }
    (void) mca_btl_xs_tcp_send(endpoint, frag);
    mca_btl_xs_frag_release(frag);
}
