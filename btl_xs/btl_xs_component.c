/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>

#include "opal/util/show_help.h"

#include "btl_xs_control.h"
#include "btl_xs_counters.h"
#include "btl_xs_endpoint.h"
#include "btl_xs_events.h"
#include "btl_xs_frag.h"
#include "btl_xs_gate.h"
#include "btl_xs_get.h"
#include "btl_xs_host.h"
#include "btl_xs_path.h"
#include "btl_xs_receive.h"
#include "btl_xs_send.h"
#include "btl_xs_tcp.h"

static int mca_btl_xs_component_register(void);
static int mca_btl_xs_component_open(void);
static int mca_btl_xs_component_close(void);
static mca_btl_base_module_t **mca_btl_xs_component_init(int *num_btls,
                                                         bool enable_progress_threads,
                                                         bool enable_mpi_threads);

mca_btl_xs_component_t mca_btl_xs_component = {
    .super =
        {
            .btl_version =
                {
                    MCA_BTL_DEFAULT_VERSION("xs"),
                    .mca_open_component = mca_btl_xs_component_open,
                    .mca_close_component = mca_btl_xs_component_close,
                    .mca_register_component_params = mca_btl_xs_component_register,
                },
            .btl_data = {.param_field = MCA_BASE_METADATA_PARAM_NONE},
            .btl_init = mca_btl_xs_component_init,
        },
};

#ifdef MCA_BASE_COMPONENT_INIT
MCA_BASE_COMPONENT_INIT(opal, btl, xs)
#endif

static void mca_btl_xs_param(const char *name, const char *help, mca_base_var_type_t type,
                             mca_base_var_info_lvl_t level, void *storage)
{
    (void) mca_base_component_var_register(&mca_btl_xs_component.super.btl_version, name, help,
                                           type, NULL, 0, 0, level, MCA_BASE_VAR_SCOPE_READONLY,
                                           storage);
}

/* Of a value that makes no sense the nearest one that does is taken, and that is said. */
static long long mca_btl_xs_param_within(const char *name, long long value, long long least,
                                         long long most)
{
    long long used = value < least ? least : value > most ? most : value;

    if (used != value) {
        opal_show_help("help-mpi-btl-xs.txt", "bad value", true, name, value, least, most, used,
                       opal_process_info.nodename);
    }
    return used;
}

static void mca_btl_xs_param_progress(void)
{
    static const mca_base_var_enum_value_t values[] = {{MCA_BTL_XS_PROGRESS_AUTO, "auto"},
                                                       {MCA_BTL_XS_PROGRESS_POLL, "poll"},
                                                       {MCA_BTL_XS_PROGRESS_EVENT, "event"},
                                                       {0, NULL}};
    mca_base_var_enum_t *names = NULL;

    mca_btl_xs_component.progress = MCA_BTL_XS_PROGRESS_AUTO;
    (void) mca_base_var_enum_create("btl_xs_progress", values, &names);
    (void) mca_base_component_var_register(
        &mca_btl_xs_component.super.btl_version, "progress",
        "How arrivals over shared memory are noticed. poll: by a look at it whenever MPI makes "
        "progress, which is fastest. event: the kernel says so, and nothing is looked at in "
        "vain. auto: poll, but event in PV guests, where each look would be a system call "
        "(default: auto)",
        MCA_BASE_VAR_TYPE_INT, names, 0, 0, OPAL_INFO_LVL_4, MCA_BASE_VAR_SCOPE_READONLY,
        &mca_btl_xs_component.progress);
    if (NULL != names) {
        OBJ_RELEASE(names);
    }
}

static void mca_btl_xs_params_check(void)
{
    mca_btl_xs_component_t *c = &mca_btl_xs_component;

    c->ring_size = mca_btl_xs_param_within("btl_xs_ring_size", c->ring_size, XSOCK_RING_MIN,
                                           XSOCK_RING_MAX);
    c->window = mca_btl_xs_param_within("btl_xs_window", c->window, 0, LLONG_MAX);
    c->free_list_num = mca_btl_xs_param_within("btl_xs_free_list_num", c->free_list_num, 0,
                                               INT_MAX);
    c->free_list_inc = mca_btl_xs_param_within("btl_xs_free_list_inc", c->free_list_inc, 1,
                                               INT_MAX);
    c->free_list_max = mca_btl_xs_param_within("btl_xs_free_list_max", c->free_list_max, -1,
                                               INT_MAX);
}

static int mca_btl_xs_component_register(void)
{
    (void) mca_base_var_group_component_register(&mca_btl_xs_component.super.btl_version,
                                                 "TCP and, between guests of one Xen host, "
                                                 "shared memory by xensockets");

    mca_btl_xs_component.enable = true;
    mca_btl_xs_param("enable",
                     "Use xensockets where both processes are in guests of one Xen host "
                     "(default: true). With false all traffic goes over TCP.",
                     MCA_BASE_VAR_TYPE_BOOL, OPAL_INFO_LVL_2, &mca_btl_xs_component.enable);
    mca_btl_xs_component.warn = true;
    mca_btl_xs_param("warn",
                     "Say why xensockets cannot be used, if that can be changed: module not "
                     "loaded in a Xen guest, another version of it, no permission, a limit; and "
                     "that a connection was made again, or something damaged dropped "
                     "(default: true)",
                     MCA_BASE_VAR_TYPE_BOOL, OPAL_INFO_LVL_3, &mca_btl_xs_component.warn);
    mca_btl_xs_component.ring_size = 128 * 1024;
    mca_btl_xs_param("ring_size",
                     "Bytes of shared memory by peer and direction, rounded up to a power of two, "
                     "4096 to 16777216 (default: 131072). Memory is shared with peers that there "
                     "is traffic with, and counts against the limits of the kernel module and "
                     "the locked memory of the user (ulimit -l).",
                     MCA_BASE_VAR_TYPE_SIZE_T, OPAL_INFO_LVL_4, &mca_btl_xs_component.ring_size);
    mca_btl_xs_component.window = 4 * 1024 * 1024;
    mca_btl_xs_param("window",
                     "Bytes that may be on their way to a peer over TCP before a send of a small "
                     "message waits for the peer (default: 4194304). As much memory may be used "
                     "for each peer.",
                     MCA_BASE_VAR_TYPE_SIZE_T, OPAL_INFO_LVL_5, &mca_btl_xs_component.window);
    mca_btl_xs_component.get_size = 0;
    mca_btl_xs_param("get_size",
                     "Messages of so many bytes or more, up to 32 MiB and contiguous at both ends, "
                     "are copied once, from the sender's memory, where there is shared memory; "
                     "those up to the eager limit never. The memory is locked for the time, and "
                     "counts against the same limits as the ring. Both processes need it; not with "
                     "btl_xs_checksum (default: 0, never)",
                     MCA_BASE_VAR_TYPE_SIZE_T, OPAL_INFO_LVL_4, &mca_btl_xs_component.get_size);
    mca_btl_xs_component.failover = MCA_BTL_XS_COMPAT_FAILOVER;
    mca_btl_xs_param("failover",
                     "Seconds in which a TCP connection that has broken between two live "
                     "processes is tried to be made again, and what was lost with it sent again, "
                     "before the job is ended. 0: not at all; then no connection takes a second "
                     "descriptor (default: 60; with Open MPI 4.1 0, as jobs have hung or crashed "
                     "there when a connection was made again)",
                     MCA_BASE_VAR_TYPE_UNSIGNED_INT, OPAL_INFO_LVL_4,
                     &mca_btl_xs_component.failover);
    mca_btl_xs_param_progress();
    mca_btl_xs_component.free_list_num = 8;
    mca_btl_xs_param("free_list_num", "Descriptors of each size made at the start (default: 8)",
                     MCA_BASE_VAR_TYPE_INT, OPAL_INFO_LVL_9, &mca_btl_xs_component.free_list_num);
    mca_btl_xs_component.free_list_max = -1;
    mca_btl_xs_param("free_list_max",
                     "Most descriptors of each size, -1: no limit (default: -1). What has to be "
                     "sent again after the end of a ring needs some, and a job that has none "
                     "then is ended.",
                     MCA_BASE_VAR_TYPE_INT, OPAL_INFO_LVL_9, &mca_btl_xs_component.free_list_max);
    mca_btl_xs_component.free_list_inc = 32;
    mca_btl_xs_param("free_list_inc", "Descriptors made at a time (default: 32)",
                     MCA_BASE_VAR_TYPE_INT, OPAL_INFO_LVL_9, &mca_btl_xs_component.free_list_inc);
    mca_btl_xs_component.debug_flip = 0;
    mca_btl_xs_param("debug_flip",
                     "For tests: while there is shared memory, choose at random between it and TCP, anew "
                     "for each so many fragments (default: 0, never)",
                     MCA_BASE_VAR_TYPE_UNSIGNED_INT, OPAL_INFO_LVL_9,
                     &mca_btl_xs_component.debug_flip);
    mca_btl_xs_component.debug_revoke = 0;
    mca_btl_xs_param("debug_revoke",
                     "For tests: after each so many fragments through shared memory give it up, "
                     "fall back to TCP and begin anew (default: 0, never)",
                     MCA_BASE_VAR_TYPE_UNSIGNED_INT, OPAL_INFO_LVL_9,
                     &mca_btl_xs_component.debug_revoke);
    mca_btl_xs_component.checksum = false;
    mca_btl_xs_param("checksum",
                     "Give each fragment a checksum (CRC32C), look at it when it arrives, and have "
                     "what is damaged sent again; over TCP that needs btl_xs_failover. All "
                     "processes should have the same: between two that differ there are no "
                     "checksums, and that is said (default: false)",
                     MCA_BASE_VAR_TYPE_BOOL, OPAL_INFO_LVL_4, &mca_btl_xs_component.checksum);
    mca_btl_xs_component.debug_corrupt = 0;
    mca_btl_xs_param("debug_corrupt",
                     "For tests: damage each so many fragments in shared memory. With "
                     "btl_xs_checksum that is found, without it the job gets wrong data (default: "
                     "0, never)",
                     MCA_BASE_VAR_TYPE_UNSIGNED_INT, OPAL_INFO_LVL_9,
                     &mca_btl_xs_component.debug_corrupt);
    mca_btl_xs_component.debug_corrupt_tcp = 0;
    mca_btl_xs_param("debug_corrupt_tcp",
                     "Likewise of those that come over TCP (default: 0, never)",
                     MCA_BASE_VAR_TYPE_UNSIGNED_INT, OPAL_INFO_LVL_9,
                     &mca_btl_xs_component.debug_corrupt_tcp);
    mca_btl_xs_params_check();

    /* Above tcp, below shared memory inside one guest. */
    mca_btl_xs.super.btl_exclusivity = MCA_BTL_EXCLUSIVITY_LOW + 200;
    mca_btl_xs.super.btl_eager_limit = 9 * 1024;
    /* Less, so that ob1 begins large messages with just that: what follows stays aligned. */
    mca_btl_xs.super.btl_rndv_eager_limit = 8 * 1024;
    mca_btl_xs.super.btl_max_send_size = 128 * 1024;
    mca_btl_xs.super.btl_flags = MCA_BTL_FLAGS_SEND;
    mca_btl_xs.super.btl_bandwidth = 10000;
    mca_btl_xs.super.btl_latency = 2;
    mca_btl_xs_get_register();
    (void) mca_btl_base_param_register(&mca_btl_xs_component.super.btl_version, &mca_btl_xs.super);
    /* Whatever the user has set: ob1 loses a message of which some gets fail and some do not. */
    mca_btl_xs.super.btl_get_limit = SIZE_MAX;
    mca_btl_xs_counters_register();
    mca_btl_xs_control_register();
    mca_btl_xs_events_register();
    return OPAL_SUCCESS;
}

bool mca_btl_xs_component_wanted(void)
{
    const char *selection = opal_btl_base_framework.framework_selection;

    return NULL != selection && '^' != selection[0];
}

static int mca_btl_xs_component_open(void)
{
    OBJ_CONSTRUCT(&mca_btl_xs_component.lock, opal_mutex_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.endpoints, opal_list_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.by_name, opal_hash_table_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.frags_small, opal_free_list_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.frags_eager, opal_free_list_t);
    OBJ_CONSTRUCT(&mca_btl_xs_component.frags_max, opal_free_list_t);
    mca_btl_xs_component.ended = false;
    mca_btl_xs_counters_open();
    mca_btl_xs_control_open();
    return mca_btl_xs_tcp_open();
}

static int mca_btl_xs_component_close(void)
{
    mca_btl_xs_tcp_close();
    mca_btl_xs_control_close();
    mca_btl_xs_counters_close();
    OBJ_DESTRUCT(&mca_btl_xs_component.frags_max);
    OBJ_DESTRUCT(&mca_btl_xs_component.frags_eager);
    OBJ_DESTRUCT(&mca_btl_xs_component.frags_small);
    OBJ_DESTRUCT(&mca_btl_xs_component.by_name);
    OBJ_DESTRUCT(&mca_btl_xs_component.endpoints);
    OBJ_DESTRUCT(&mca_btl_xs_component.lock);
    return OPAL_SUCCESS;
}

void mca_btl_xs_component_for_all(void (*function)(mca_btl_xs_endpoint_t *endpoint))
{
    mca_btl_xs_endpoint_t *endpoint, **all;
    size_t count = 0;

    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    all = malloc(opal_list_get_size(&mca_btl_xs_component.endpoints) * sizeof(*all));
    if (NULL != all) {
        OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
            all[count++] = endpoint;
        }
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    for (size_t i = 0; i < count; i++) {
        function(all[i]);
    }
    free(all);
}

static void mca_btl_xs_component_talk_one(mca_btl_xs_endpoint_t *endpoint)
{
    if (endpoint->due) {
        endpoint->due = false;
        mca_btl_xs_path_talk(endpoint);
    }
}

static void mca_btl_xs_component_talk(int fd, short flags, void *context)
{
    mca_btl_xs_component_for_all(mca_btl_xs_component_talk_one);
}

void mca_btl_xs_component_talk_later(mca_btl_xs_endpoint_t *endpoint)
{
    /* Libevent calls those whose time has come after those whose sockets are ready. */
    const struct timeval now = {0, 0};

    endpoint->due = true;
    opal_event_evtimer_add(&mca_btl_xs_component.talk, &now);
}

/* tcp writes to connections whose peer may have died; that is an error, not the end. */
static void mca_btl_xs_component_ignore_sigpipe(void)
{
    struct sigaction action;

    if (0 == sigaction(SIGPIPE, NULL, &action) && SIG_DFL == action.sa_handler) {
        action.sa_handler = SIG_IGN;
        (void) sigaction(SIGPIPE, &action, NULL);
    }
}

static mca_btl_base_module_t **mca_btl_xs_component_init(int *num_btls,
                                                         bool enable_progress_threads,
                                                         bool enable_mpi_threads)
{
    mca_btl_base_module_t **btls;
    size_t limit;

    *num_btls = 0;
    if (OPAL_SUCCESS != mca_btl_xs_tcp_init(enable_progress_threads, enable_mpi_threads)) {
        if (mca_btl_xs_component_wanted()) {
            opal_show_help("help-mpi-btl-xs.txt", "no interface", true,
                           opal_process_info.nodename);
        }
        return NULL;
    }
    limit = mca_btl_xs_tcp_limit();
    if (mca_btl_xs.super.btl_max_send_size > limit) {
        mca_btl_xs.super.btl_max_send_size = limit;
    }
    if (mca_btl_xs.super.btl_eager_limit > mca_btl_xs.super.btl_max_send_size) {
        mca_btl_xs.super.btl_eager_limit = mca_btl_xs.super.btl_max_send_size;
    }
    if (mca_btl_xs.super.btl_rndv_eager_limit > mca_btl_xs.super.btl_eager_limit) {
        mca_btl_xs.super.btl_rndv_eager_limit = mca_btl_xs.super.btl_eager_limit;
    }
    mca_btl_xs.super.btl_flags |= mca_btl_xs_tcp_flags();
    /* Would have small messages prepared, of which no part may be left to a second fragment. */
    mca_btl_xs.super.btl_flags &= ~MCA_BTL_FLAGS_SEND_INPLACE;
    btls = malloc(sizeof(*btls));
    if (NULL == btls || OPAL_SUCCESS != mca_btl_xs_frag_init()
        || OPAL_SUCCESS != opal_hash_table_init(&mca_btl_xs_component.by_name, 64)
        || OPAL_SUCCESS != mca_btl_xs_endpoint_publish()) {
        free(btls);
        mca_btl_xs_tcp_fini();
        return NULL;
    }
    if (mca_btl_xs_component.checksum || 0 != mca_btl_xs_component.debug_corrupt) {
        /* It writes data to where they cannot be kept. */
        mca_btl_xs.super.btl_sendi = NULL;
    }
    mca_btl_xs_component_ignore_sigpipe();
    opal_event_evtimer_set(opal_sync_event_base, &mca_btl_xs_component.talk,
                           mca_btl_xs_component_talk, NULL);
    mca_btl_xs_host_init();
    mca_btl_xs_gate_open();
    mca_btl_xs_events_open();
    btls[0] = &mca_btl_xs.super;
    *num_btls = 1;
    return btls;
}

