/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_counters.h"

#include <stdio.h>
#include <stdlib.h>

#include "opal/mca/base/mca_base_pvar.h"
#include "opal/mca/base/mca_base_var_enum.h"

#include "btl_xs_control.h"
#include "btl_xs_endpoint.h"

struct mca_btl_xs_counter_t {
    const char *name;
    size_t offset; /* in mca_btl_xs_counters_t */
    const char *help;
};
typedef struct mca_btl_xs_counter_t mca_btl_xs_counter_t;

#define COUNTER(name, help) {#name, offsetof(mca_btl_xs_counters_t, name), help}
static const mca_btl_xs_counter_t mca_btl_xs_counters[]
    = {COUNTER(tcp_frags, "Fragments sent over TCP, repeated ones included"),
       COUNTER(tcp_bytes, "Bytes of these fragments, without the heads that xs and tcp add"),
       COUNTER(xs_frags, "Fragments sent over rings of shared memory"),
       COUNTER(xs_bytes, "Bytes of these fragments, without the heads that xs adds"),
       COUNTER(probes, "Rings that this process has tried to offer to a peer"),
       COUNTER(refusals, "Rings that could not be made, or that the peer has refused"),
       COUNTER(switches, "Changes from TCP to a ring"),
       COUNTER(fallbacks, "Changes from a ring back to TCP"),
       COUNTER(resent, "Fragments that were left on a ring and were sent again over TCP"),
       COUNTER(reconnects, "Times that a TCP connection had broken and there was one again"),
       COUNTER(repeated, "Fragments sent over TCP again after that"),
       COUNTER(ring_full, "Fragments that had to wait for room on a ring"),
       COUNTER(duplicates, "Fragments received that had arrived before, and were dropped"),
       COUNTER(early, "Fragments received before their turn, and kept until then"),
       COUNTER(corrupt, "Frames received with a wrong checksum, and dropped"),
       COUNTER(gets, "Messages received with one copy, from the sender's memory"),
       COUNTER(get_bytes, "Bytes of these messages"),
       COUNTER(gets_failed, "Messages that were to be received so, and then came in fragments")};
#undef COUNTER
#define MCA_BTL_XS_COUNTERS (sizeof(mca_btl_xs_counters) / sizeof(mca_btl_xs_counters[0]))
_Static_assert(MCA_BTL_XS_COUNTERS * sizeof(uint64_t) == sizeof(mca_btl_xs_counters_t),
               "each counter has a name");

/* Who has asked before the component is opened, or after its close, is told 0. */
static bool mca_btl_xs_counters_opened;
static mca_btl_xs_counters_t mca_btl_xs_counters_gone; /* of peers that have left */

static uint64_t mca_btl_xs_counters_value(const mca_btl_xs_counters_t *counters,
                                          const mca_btl_xs_counter_t *counter)
{
    return *(const uint64_t *) ((const char *) counters + counter->offset);
}

static uint64_t mca_btl_xs_counters_total(const mca_btl_xs_counter_t *counter)
{
    mca_btl_xs_endpoint_t *endpoint;
    uint64_t sum = 0;

    if (mca_btl_xs_counters_opened) {
        OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
        sum = mca_btl_xs_counters_value(&mca_btl_xs_counters_gone, counter);
        OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
            sum += mca_btl_xs_counters_value(&endpoint->counters, counter);
        }
        OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    }
    return sum;
}

static int mca_btl_xs_counters_sum(const mca_base_pvar_t *pvar, void *value, void *object)
{
    *(unsigned long long *) value = mca_btl_xs_counters_total(pvar->ctx);
    return OPAL_SUCCESS;
}

static int mca_btl_xs_counters_path(const mca_btl_xs_endpoint_t *endpoint)
{
    return NULL == endpoint ? MCA_BTL_XS_PATH_STATES : endpoint->tx_path;
}

static int mca_btl_xs_counters_held(const mca_btl_xs_endpoint_t *endpoint)
{
    return NULL != endpoint && endpoint->held;
}

/*
 * How many values handles have room for, the least that any was told. One that is made before
 * MPI_Init has to know, too; the variable is mpirun's.
 */
static uint32_t mca_btl_xs_counters_room = UINT32_MAX;

static uint32_t mca_btl_xs_counters_count(void)
{
    uint32_t count = mca_btl_xs_compat_job_size();
    const char *told = 0 == count ? getenv("OMPI_COMM_WORLD_SIZE") : NULL;

    if (NULL != told) {
        count = strtoul(told, NULL, 10);
    }
    if (count < mca_btl_xs_counters_room) {
        mca_btl_xs_counters_room = count;
    }
    return mca_btl_xs_counters_room;
}

/* One value for each process of this job; of NULL for those that xs does not connect to. */
static int mca_btl_xs_counters_peers(const mca_base_pvar_t *pvar, void *value, void *object)
{
    int (*state)(const mca_btl_xs_endpoint_t *endpoint) = pvar->ctx;
    mca_btl_xs_endpoint_t *endpoint;
    uint32_t count = mca_btl_xs_counters_count();
    int *states = value;

    for (uint32_t i = 0; i < count; i++) {
        states[i] = state(NULL);
    }
    if (!mca_btl_xs_counters_opened) {
        return OPAL_SUCCESS;
    }
    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
        opal_process_name_t name = endpoint->proc->proc_name;

        if (name.jobid == OPAL_PROC_MY_NAME.jobid && name.vpid < count) {
            states[name.vpid] = state(endpoint);
        }
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    return OPAL_SUCCESS;
}

static int mca_btl_xs_counters_rings(const mca_base_pvar_t *pvar, void *value, void *object)
{
    *(unsigned int *) value = mca_btl_xs_control_rings(false);
    return OPAL_SUCCESS;
}

static int mca_btl_xs_counters_peers_notify(mca_base_pvar_t *pvar, mca_base_pvar_event_t event,
                                            void *object, int *count)
{
    if (MCA_BASE_PVAR_HANDLE_BIND == event) {
        *count = mca_btl_xs_counters_count();
    }
    return OPAL_SUCCESS;
}

/*
 * For ompi_info: the help has the values, too. Open MPI's mca_base_pvar_dump() has room for the
 * variable, its help and its values, and none for the end of the list.
 */
static MCA_BTL_XS_ENUM_DUMP(mca_btl_xs_counters_no_dump)
{
    return OPAL_ERR_NOT_SUPPORTED;
}

static void mca_btl_xs_counters_register_peers(const char *name, const char *help,
                                               const mca_base_var_enum_value_t *values,
                                               int (*state)(const mca_btl_xs_endpoint_t *))
{
    mca_base_var_enum_t *names;

    if (OPAL_SUCCESS != mca_base_var_enum_create(name, values, &names)) {
        return;
    }
    names->dump = mca_btl_xs_counters_no_dump;
    (void) mca_base_component_pvar_register(
        &mca_btl_xs_component.super.btl_version, name, help, OPAL_INFO_LVL_4,
        MCA_BASE_PVAR_CLASS_STATE, MCA_BASE_VAR_TYPE_INT, names, MCA_BASE_VAR_BIND_NO_OBJECT,
        MCA_BASE_PVAR_FLAG_READONLY | MCA_BASE_PVAR_FLAG_CONTINUOUS, mca_btl_xs_counters_peers,
        NULL, mca_btl_xs_counters_peers_notify, (void *) state);
    OBJ_RELEASE(names);
}

static void mca_btl_xs_counters_register_states(void)
{
    static const mca_base_var_enum_value_t yes_no[] = {{0, "no"}, {1, "yes"}, {0, NULL}};
    mca_base_var_enum_value_t values[MCA_BTL_XS_PATH_STATES + 2];

    for (int i = 0; i < MCA_BTL_XS_PATH_STATES; i++) {
        values[i] = (mca_base_var_enum_value_t){i, mca_btl_xs_path_name(i)};
    }
    values[MCA_BTL_XS_PATH_STATES]
        = (mca_base_var_enum_value_t){MCA_BTL_XS_PATH_STATES, "none"};
    values[MCA_BTL_XS_PATH_STATES + 1] = (mca_base_var_enum_value_t){0, NULL};
    mca_btl_xs_counters_register_peers(
        "peer_path",
        "Path that fragments to each rank of MPI_COMM_WORLD take now: tcp; offered (TCP, and a "
        "ring has been offered); xs (a ring); resync (TCP, after the end of a ring); none (there "
        "is no connection by xs)",
        values, mca_btl_xs_counters_path);
    mca_btl_xs_counters_register_peers(
        "peer_held", "Whether this process holds each rank of MPI_COMM_WORLD on TCP", yes_no,
        mca_btl_xs_counters_held);
    (void) mca_base_component_pvar_register(
        &mca_btl_xs_component.super.btl_version, "rings",
        "Rings of shared memory that there are, to and from all peers. 0 when all are held and "
        "have heard of it",
        OPAL_INFO_LVL_4, MCA_BASE_PVAR_CLASS_LEVEL, MCA_BASE_VAR_TYPE_UNSIGNED_INT, NULL,
        MCA_BASE_VAR_BIND_NO_OBJECT, MCA_BASE_PVAR_FLAG_READONLY | MCA_BASE_PVAR_FLAG_CONTINUOUS,
        mca_btl_xs_counters_rings, NULL, NULL, NULL);
}

void mca_btl_xs_counters_register(void)
{
    for (size_t i = 0; i < MCA_BTL_XS_COUNTERS; i++) {
        (void) mca_base_component_pvar_register(
            &mca_btl_xs_component.super.btl_version, mca_btl_xs_counters[i].name,
            mca_btl_xs_counters[i].help, OPAL_INFO_LVL_4, MCA_BASE_PVAR_CLASS_COUNTER,
            MCA_BASE_VAR_TYPE_UNSIGNED_LONG_LONG, NULL, MCA_BASE_VAR_BIND_NO_OBJECT,
            MCA_BASE_PVAR_FLAG_READONLY | MCA_BASE_PVAR_FLAG_CONTINUOUS, mca_btl_xs_counters_sum,
            NULL, NULL, (void *) &mca_btl_xs_counters[i]);
    }
    mca_btl_xs_counters_register_states();
}

void mca_btl_xs_counters_open(void)
{
    memset(&mca_btl_xs_counters_gone, 0, sizeof(mca_btl_xs_counters_gone));
    mca_btl_xs_counters_opened = true;
}

void mca_btl_xs_counters_close(void)
{
    mca_btl_xs_counters_opened = false;
}

void mca_btl_xs_counters_keep(const mca_btl_xs_endpoint_t *endpoint)
{
    uint64_t *sums = (uint64_t *) &mca_btl_xs_counters_gone;
    const uint64_t *counted = (const uint64_t *) &endpoint->counters;

    for (size_t i = 0; i < MCA_BTL_XS_COUNTERS; i++) {
        sums[i] += counted[i];
    }
}

void mca_btl_xs_counters_text(const mca_btl_xs_counters_t *counters,
                              char text[MCA_BTL_XS_COUNTERS_TEXT])
{
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < MCA_BTL_XS_COUNTERS && length < MCA_BTL_XS_COUNTERS_TEXT; i++) {
        const mca_btl_xs_counter_t *counter = &mca_btl_xs_counters[i];
        uint64_t value = NULL == counters ? mca_btl_xs_counters_total(counter)
                                          : mca_btl_xs_counters_value(counters, counter);

        length += snprintf(text + length, MCA_BTL_XS_COUNTERS_TEXT - length, " %s=%lu",
                           counter->name, (unsigned long) value);
    }
}

void mca_btl_xs_counters_report(const mca_btl_xs_endpoint_t *endpoint)
{
    char text[MCA_BTL_XS_COUNTERS_TEXT];

    mca_btl_xs_counters_text(&endpoint->counters, text);
    MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s:%s",
                       OPAL_NAME_PRINT(endpoint->proc->proc_name), text);
}
