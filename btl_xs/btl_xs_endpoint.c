/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_endpoint.h"

#include "opal/util/show_help.h"

#include "btl_xs_control.h"
#include "btl_xs_events.h"
#include "btl_xs_failover.h"
#include "btl_xs_host.h"
#include "btl_xs_progress.h"
#include "btl_xs_receive.h"
#include "btl_xs_send.h"
#include "btl_xs_watch.h"

/* How long a leaving process tries to send what it has promised to send. */
#define MCA_BTL_XS_DRAIN_SECONDS 10.0

/* How long it waits, in all, for peers to take leave of it. */
#define MCA_BTL_XS_LEAVE_SECONDS 1.0

/* It can connect again after a TCP connection has broken. */
#define MCA_BTL_XS_MODEX_FAILOVER 0x1
/* It wants checksums. */
#define MCA_BTL_XS_MODEX_CHECKSUM 0x2
/* It gets large messages. */
#define MCA_BTL_XS_MODEX_GET 0x4

/**
 * What a process says of itself before there is a connection.
 */
struct mca_btl_xs_modex_t {
    uint32_t version; /**< MCA_BTL_XS_WIRE_VERSION */
    uint32_t flags;   /**< MCA_BTL_XS_MODEX_* */
};
typedef struct mca_btl_xs_modex_t mca_btl_xs_modex_t;

static void mca_btl_xs_endpoint_construct(mca_btl_xs_endpoint_t *endpoint)
{
    memset((char *) endpoint + sizeof(endpoint->super), 0,
           sizeof(*endpoint) - sizeof(endpoint->super));
    OBJ_CONSTRUCT(&endpoint->lock, opal_mutex_t);
    OBJ_CONSTRUCT(&endpoint->tx_pending, opal_list_t);
    OBJ_CONSTRUCT(&endpoint->tx_retained, opal_list_t);
    OBJ_CONSTRUCT(&endpoint->tx_failed, opal_list_t);
    OBJ_CONSTRUCT(&endpoint->tx_told, opal_list_t);
    OBJ_CONSTRUCT(&endpoint->rx_early, opal_list_t);
}

static void mca_btl_xs_endpoint_destruct(mca_btl_xs_endpoint_t *endpoint)
{
    opal_list_item_t *item;

    mca_btl_xs_ring_close(endpoint->tx_ring);
    mca_btl_xs_receive_unwatch(endpoint);
    mca_btl_xs_ring_close(endpoint->rx_ring);
    free(endpoint->links);
    while (NULL != (item = opal_list_remove_first(&endpoint->rx_early))) {
        free(item);
    }
    opal_list_join(&endpoint->tx_pending, opal_list_get_end(&endpoint->tx_pending),
                   &endpoint->tx_retained);
    opal_list_join(&endpoint->tx_pending, opal_list_get_end(&endpoint->tx_pending),
                   &endpoint->tx_told);
    while (NULL != (item = opal_list_remove_first(&endpoint->tx_pending))) {
        mca_btl_xs_frag_return((mca_btl_xs_frag_t *) item);
    }
    OBJ_DESTRUCT(&endpoint->tx_pending);
    OBJ_DESTRUCT(&endpoint->tx_retained);
    OBJ_DESTRUCT(&endpoint->tx_failed);
    OBJ_DESTRUCT(&endpoint->tx_told);
    OBJ_DESTRUCT(&endpoint->rx_early);
    OBJ_DESTRUCT(&endpoint->lock);
}

OBJ_CLASS_INSTANCE(mca_btl_xs_endpoint_t, opal_list_item_t, mca_btl_xs_endpoint_construct,
                   mca_btl_xs_endpoint_destruct);

int mca_btl_xs_endpoint_publish(void)
{
    mca_btl_xs_modex_t modex = {.version = MCA_BTL_XS_WIRE_VERSION};
    int rc;

    if (mca_btl_xs_watch_possible()) {
        modex.flags |= MCA_BTL_XS_MODEX_FAILOVER;
    }
    if (mca_btl_xs_component.checksum) {
        modex.flags |= MCA_BTL_XS_MODEX_CHECKSUM;
    }
    if (0 != mca_btl_xs_component.get_size) {
        modex.flags |= MCA_BTL_XS_MODEX_GET;
    }

    OPAL_MODEX_SEND(rc, MCA_BTL_XS_MODEX_SCOPE, &mca_btl_xs_component.super.btl_version, &modex,
                    sizeof(modex));
    return rc;
}

static void mca_btl_xs_endpoint_mismatch(opal_proc_t *proc, uint32_t version)
{
    char *host = mca_btl_xs_compat_hostname(proc);

    opal_show_help("help-mpi-btl-xs.txt", "peer version", true, opal_process_info.nodename,
                   MCA_BTL_XS_WIRE_VERSION, host, version);
    free(host);
}

static void mca_btl_xs_endpoint_disagree(opal_proc_t *proc)
{
    char *host = mca_btl_xs_compat_hostname(proc);

    opal_show_help("help-mpi-btl-xs.txt", "peer checksum", true, opal_process_info.nodename,
                   mca_btl_xs_component.checksum ? "true" : "false", host,
                   mca_btl_xs_component.checksum ? "false" : "true");
    free(host);
}

/* Does the peer have xs, of our version? Then *@flags are what it says of itself. */
static bool mca_btl_xs_endpoint_possible(opal_proc_t *proc, uint32_t *flags)
{
    mca_btl_xs_modex_t *modex = NULL;
    size_t size = 0;
    bool possible;
    int rc;

    OPAL_MODEX_RECV(rc, &mca_btl_xs_component.super.btl_version, &proc->proc_name,
                    (void **) &modex, &size);
    possible = OPAL_SUCCESS == rc && sizeof(*modex) <= size
               && MCA_BTL_XS_WIRE_VERSION == modex->version;
    if (OPAL_SUCCESS == rc) {
        if (!possible) {
            mca_btl_xs_endpoint_mismatch(proc, size < sizeof(*modex) ? 0 : modex->version);
        } else {
            *flags = modex->flags;
        }
        free(modex);
    }
    return possible;
}

static uint64_t mca_btl_xs_endpoint_key(opal_process_name_t name)
{
    return (uint64_t) name.jobid << 32 | name.vpid;
}

static mca_btl_xs_endpoint_t *mca_btl_xs_endpoint_create(opal_proc_t *proc, uint32_t flags)
{
    mca_btl_xs_endpoint_t *endpoint = OBJ_NEW(mca_btl_xs_endpoint_t);

    if (NULL == endpoint) {
        return NULL;
    }
    endpoint->proc = proc;
    endpoint->held = mca_btl_xs_control_wanted(endpoint);
    endpoint->checksum = mca_btl_xs_component.checksum
                         && 0 != (flags & MCA_BTL_XS_MODEX_CHECKSUM);
    /* What is got has no checksum. */
    endpoint->get = 0 != mca_btl_xs_component.get_size && 0 != (flags & MCA_BTL_XS_MODEX_GET)
                    && !endpoint->checksum;
    endpoint->tx_special = endpoint->checksum || 0 != mca_btl_xs_component.debug_corrupt;
    /* Both, or a connection that one makes again would find the rest of the old one. */
    endpoint->tcp_mend = mca_btl_xs_watch_possible()
                         && 0 != (flags & MCA_BTL_XS_MODEX_FAILOVER);
    if (0 == mca_btl_xs_tcp_add_proc(endpoint)) {
        OBJ_RELEASE(endpoint);
        return NULL;
    }
    if (mca_btl_xs_component.checksum != (0 != (flags & MCA_BTL_XS_MODEX_CHECKSUM))) {
        mca_btl_xs_endpoint_disagree(proc);
    }
    mca_btl_xs_failover_init(endpoint);
    mca_btl_xs_send_init(endpoint);
    if (opal_list_is_empty(&mca_btl_xs_component.endpoints)) {
        mca_btl_xs_progress_begin();
    }
    opal_list_append(&mca_btl_xs_component.endpoints, &endpoint->super);
    opal_hash_table_set_value_uint64(&mca_btl_xs_component.by_name,
                                     mca_btl_xs_endpoint_key(proc->proc_name), endpoint);
    return endpoint;
}

mca_btl_xs_endpoint_t *mca_btl_xs_endpoint_get(opal_proc_t *proc)
{
    mca_btl_xs_endpoint_t *endpoint = NULL;
    uint32_t flags;

    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    (void) opal_hash_table_get_value_uint64(&mca_btl_xs_component.by_name,
                                            mca_btl_xs_endpoint_key(proc->proc_name),
                                            (void **) &endpoint);
    if (NULL == endpoint && mca_btl_xs_endpoint_possible(proc, &flags)) {
        endpoint = mca_btl_xs_endpoint_create(proc, flags);
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    return endpoint;
}

mca_btl_xs_endpoint_t *mca_btl_xs_endpoint_known(opal_process_name_t name)
{
    mca_btl_xs_endpoint_t *endpoint = NULL;

    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    (void) opal_hash_table_get_value_uint64(&mca_btl_xs_component.by_name,
                                            mca_btl_xs_endpoint_key(name), (void **) &endpoint);
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    return endpoint;
}

/* Whoever asks Open MPI for a process of a name gets one made. Of how many another job has we do not know. */
static bool mca_btl_xs_endpoint_exists(opal_process_name_t name)
{
    uint32_t count = mca_btl_xs_compat_job_size();

    if (name.jobid != OPAL_PROC_MY_NAME.jobid) {
        return mca_btl_xs_compat_job_known(name.jobid);
    }
    return name.vpid != OPAL_PROC_MY_NAME.vpid && (0 == count || name.vpid < count);
}

mca_btl_xs_endpoint_t *mca_btl_xs_endpoint_find(opal_process_name_t name)
{
    mca_btl_xs_endpoint_t *endpoint = NULL;
    opal_proc_t *proc;
    int rc;

    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    rc = opal_hash_table_get_value_uint64(&mca_btl_xs_component.by_name,
                                          mca_btl_xs_endpoint_key(name), (void **) &endpoint);
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    /* None, though known: the layer above has done with it. */
    if (OPAL_LIKELY(OPAL_SUCCESS == rc)) {
        return endpoint;
    }
    /* It was faster than the layer above, if it is a process at all. */
    proc = mca_btl_xs_endpoint_exists(name) ? opal_proc_for_name(name) : NULL;
    return NULL == proc ? NULL : mca_btl_xs_endpoint_get(proc);
}

/* Is there no connection, and will there be none? */
static bool mca_btl_xs_endpoint_cut_off(const mca_btl_xs_endpoint_t *endpoint)
{
    return MCA_BTL_XS_TCP_UP != endpoint->tcp_state && mca_btl_xs_compat_late();
}

/* Is anything that the layer above believes to be sent still here? */
static bool mca_btl_xs_endpoint_unsent(mca_btl_xs_endpoint_t *endpoint)
{
    mca_btl_xs_frag_t *frag;
    bool unsent;

    OPAL_THREAD_LOCK(&endpoint->lock);
    unsent = !opal_list_is_empty(&endpoint->tx_pending) || endpoint->tx_resync;
    OPAL_LIST_FOREACH (frag, &endpoint->tx_retained, mca_btl_xs_frag_t) {
        unsent = unsent || endpoint->tx_again || 1 < frag->references;
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    return unsent && !endpoint->lost && !endpoint->quiet && !mca_btl_xs_endpoint_cut_off(endpoint);
}

/* Of us and tcp alone: other components may have been taken apart already. */
static void mca_btl_xs_endpoint_progress(void)
{
    (void) mca_btl_xs_progress();
    (void) opal_event_loop(opal_sync_event_base, OPAL_EVLOOP_ONCE | OPAL_EVLOOP_NONBLOCK);
}

/*
 * A connection that is closed while the peer still sends is reset, which may cost it what
 * we have sent last. A peer that is busy otherwise sends nothing, so it need not answer.
 */
static void mca_btl_xs_endpoint_leave(mca_btl_xs_endpoint_t *endpoint)
{
    static double patience = MCA_BTL_XS_LEAVE_SECONDS;
    double begin = mca_btl_xs_host_passed(), passed = 0;

    while (MCA_BTL_XS_TCP_DOWN == endpoint->tcp_state && !mca_btl_xs_endpoint_cut_off(endpoint)
           && passed < patience) {
        mca_btl_xs_endpoint_progress();
        passed = mca_btl_xs_host_passed() - begin;
    }
    mca_btl_xs_send_flush_told(endpoint);
    mca_btl_xs_tcp_tell(endpoint, MCA_BTL_XS_BYE, NULL, 0);
    OPAL_THREAD_LOCK(&endpoint->lock);
    endpoint->quiet = true;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    while (!endpoint->released && !mca_btl_xs_endpoint_cut_off(endpoint) && passed < patience) {
        mca_btl_xs_endpoint_progress();
        passed = mca_btl_xs_host_passed() - begin;
    }
    patience -= passed;
}

void mca_btl_xs_endpoint_put(mca_btl_xs_endpoint_t *endpoint)
{
    double end = mca_btl_xs_host_passed() + MCA_BTL_XS_DRAIN_SECONDS;
    const bool here = mca_btl_xs_tcp_here;

    /* Nobody else is there to do it. */
    mca_btl_xs_tcp_here = true;
    while (mca_btl_xs_endpoint_unsent(endpoint) && mca_btl_xs_host_passed() <= end) {
        mca_btl_xs_endpoint_progress();
        mca_btl_xs_send_pending(endpoint);
    }
    if (endpoint->contacted || endpoint->met) {
        mca_btl_xs_endpoint_leave(endpoint);
    }
    /* tcp forgets, when it frees an endpoint, that libevent is about to call it for that. */
    while (mca_btl_xs_tcp_accepting(endpoint) && mca_btl_xs_host_passed() <= end) {
        mca_btl_xs_endpoint_progress();
    }
    mca_btl_xs_counters_report(endpoint);
    mca_btl_xs_progress_remove(endpoint);
    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    opal_list_remove_item(&mca_btl_xs_component.endpoints, &endpoint->super);
    if (opal_list_is_empty(&mca_btl_xs_component.endpoints)) {
        mca_btl_xs_progress_end();
    }
    mca_btl_xs_counters_keep(endpoint);
    if (endpoint->declined) {
        /* Commands may still need it. */
        opal_hash_table_remove_value_uint64(&mca_btl_xs_component.by_name,
                                            mca_btl_xs_endpoint_key(endpoint->proc->proc_name));
    } else {
        /* Not forgotten: what it has still sent must not bring it back. */
        opal_hash_table_set_value_uint64(&mca_btl_xs_component.by_name,
                                         mca_btl_xs_endpoint_key(endpoint->proc->proc_name), NULL);
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    mca_btl_xs_tcp_del_proc(endpoint);
    mca_btl_xs_failover_fini(endpoint);
    mca_btl_xs_send_fini(endpoint);
    OBJ_RELEASE(endpoint);
    mca_btl_xs_tcp_here = here;
}

/* @topic is what the user is told, @text what the layer above is. */
static void mca_btl_xs_endpoint_fatal(mca_btl_xs_endpoint_t *endpoint, const char *topic,
                                      const char *text)
{
    char *host = mca_btl_xs_compat_hostname(endpoint->proc);

    opal_show_help("help-mpi-btl-xs.txt", topic, true, opal_process_info.nodename, getpid(),
                   OPAL_NAME_PRINT(endpoint->proc->proc_name), host);
    free(host);
    if (NULL != mca_btl_xs.error_cb) {
        mca_btl_xs.error_cb(&mca_btl_xs.super, MCA_BTL_ERROR_FLAGS_FATAL, endpoint->proc,
                            (char *) text);
    }
}

void mca_btl_xs_endpoint_lost(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->lost || endpoint->quiet) {
        return;
    }
    endpoint->lost = true;
    mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_RANK_DEAD, endpoint, "tcp", "connection-lost");
    mca_btl_xs_endpoint_fatal(endpoint, "connection lost", "TCP connection lost");
}

void mca_btl_xs_endpoint_no_memory(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->lost || endpoint->quiet) {
        return;
    }
    endpoint->lost = true;
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    mca_btl_xs_events_throw(MCA_BTL_XS_THROWN_RANK_DEAD, endpoint, "tcp", "no-memory");
    mca_btl_xs_endpoint_fatal(endpoint, "no memory", "no memory for a fragment");
    OPAL_THREAD_LOCK(&endpoint->lock);
}

void mca_btl_xs_endpoint_spoilt(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->lost || endpoint->quiet) {
        return;
    }
    endpoint->lost = true;
    mca_btl_xs_endpoint_fatal(endpoint, "damaged for good", "a fragment has come damaged");
}
