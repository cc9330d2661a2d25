/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_counters.h"

#include <stdio.h>

#include "opal/mca/base/mca_base_pvar.h"
#include "opal/mca/base/mca_base_var_enum.h"

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
       COUNTER(ring_full, "Fragments that had to wait for room on a ring"),
       COUNTER(duplicates, "Fragments received that had arrived before, and were dropped"),
       COUNTER(early, "Fragments received before their turn, and kept until then")};
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

static int mca_btl_xs_counters_sum(const mca_base_pvar_t *pvar, void *value, void *object)
{
    const mca_btl_xs_counter_t *counter = pvar->ctx;
    mca_btl_xs_endpoint_t *endpoint;
    unsigned long long sum = 0;

    if (mca_btl_xs_counters_opened) {
        OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
        sum = mca_btl_xs_counters_value(&mca_btl_xs_counters_gone, counter);
        OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
            sum += mca_btl_xs_counters_value(&endpoint->counters, counter);
        }
        OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    }
    *(unsigned long long *) value = sum;
    return OPAL_SUCCESS;
}

/* One value for each process of this job. */
static int mca_btl_xs_counters_paths(const mca_base_pvar_t *pvar, void *value, void *object)
{
    mca_btl_xs_endpoint_t *endpoint;
    uint32_t count = mca_btl_xs_compat_job_size();
    int *paths = value;

    for (uint32_t i = 0; i < count; i++) {
        paths[i] = MCA_BTL_XS_PATH_STATES;
    }
    if (!mca_btl_xs_counters_opened) {
        return OPAL_SUCCESS;
    }
    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
        opal_process_name_t name = endpoint->proc->proc_name;

        if (name.jobid == OPAL_PROC_MY_NAME.jobid && name.vpid < count) {
            paths[name.vpid] = endpoint->tx_path;
        }
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    return OPAL_SUCCESS;
}

static int mca_btl_xs_counters_paths_notify(mca_base_pvar_t *pvar, mca_base_pvar_event_t event,
                                            void *object, int *count)
{
    if (MCA_BASE_PVAR_HANDLE_BIND == event) {
        *count = mca_btl_xs_compat_job_size();
    }
    return OPAL_SUCCESS;
}

static void mca_btl_xs_counters_register_paths(void)
{
    mca_base_var_enum_value_t values[MCA_BTL_XS_PATH_STATES + 2];
    mca_base_var_enum_t *names;

    for (int i = 0; i < MCA_BTL_XS_PATH_STATES; i++) {
        values[i] = (mca_base_var_enum_value_t){i, mca_btl_xs_path_name(i)};
    }
    values[MCA_BTL_XS_PATH_STATES]
        = (mca_base_var_enum_value_t){MCA_BTL_XS_PATH_STATES, "none"};
    values[MCA_BTL_XS_PATH_STATES + 1] = (mca_base_var_enum_value_t){0, NULL};
    if (OPAL_SUCCESS != mca_base_var_enum_create("btl_xs_peer_path", values, &names)) {
        return;
    }
    (void) mca_base_component_pvar_register(
        &mca_btl_xs_component.super.btl_version, "peer_path",
        "Path that fragments to each rank of MPI_COMM_WORLD take now: tcp; offered (TCP, and a "
        "ring has been offered); xs (a ring); resync (TCP, after the end of a ring); none (there "
        "is no connection by xs)",
        OPAL_INFO_LVL_4, MCA_BASE_PVAR_CLASS_STATE, MCA_BASE_VAR_TYPE_INT, names,
        MCA_BASE_VAR_BIND_NO_OBJECT, MCA_BASE_PVAR_FLAG_READONLY | MCA_BASE_PVAR_FLAG_CONTINUOUS,
        mca_btl_xs_counters_paths, NULL, mca_btl_xs_counters_paths_notify, NULL);
    OBJ_RELEASE(names);
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
    mca_btl_xs_counters_register_paths();
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

void mca_btl_xs_counters_report(const mca_btl_xs_endpoint_t *endpoint)
{
    char text[1024] = "";
    size_t length = 0;

    for (size_t i = 0; i < MCA_BTL_XS_COUNTERS && length < sizeof(text); i++) {
        const mca_btl_xs_counter_t *counter = &mca_btl_xs_counters[i];

        length += snprintf(text + length, sizeof(text) - length, " %s=%lu", counter->name,
                           (unsigned long) mca_btl_xs_counters_value(&endpoint->counters, counter));
    }
    MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s:%s",
                       OPAL_NAME_PRINT(endpoint->proc->proc_name), text);
}
