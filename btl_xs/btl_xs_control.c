/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_control.h"

#include <stdio.h>
#include <stdlib.h>

#include "opal/mca/base/mca_base_var_enum.h"

#include "btl_xs_endpoint.h"
#include "btl_xs_host.h"

static bool mca_btl_xs_control_opened;

bool mca_btl_xs_control_wanted(const mca_btl_xs_endpoint_t *endpoint)
{
    return 0 != mca_btl_xs_component.hold || mca_btl_xs_component.quiesced || endpoint->hold;
}

static void mca_btl_xs_control_apply(mca_btl_xs_endpoint_t *endpoint)
{
    bool changed;

    OPAL_THREAD_LOCK(&endpoint->lock);
    changed = endpoint->held != mca_btl_xs_control_wanted(endpoint);
    if (changed) {
        endpoint->held = !endpoint->held;
        endpoint->turns++;
        MCA_BTL_XS_VERBOSE(MCA_BTL_XS_VERBOSE_PATH, "%s: %s, %.3f",
                           OPAL_NAME_PRINT(endpoint->proc->proc_name),
                           endpoint->held ? "held" : "released", mca_btl_xs_host_now());
    }
    OPAL_THREAD_UNLOCK(&endpoint->lock);
    if (changed) {
        mca_btl_xs_path_held_changed(endpoint);
    }
}

static void mca_btl_xs_control_release_one(mca_btl_xs_endpoint_t *endpoint)
{
    endpoint->hold = false;
    mca_btl_xs_control_apply(endpoint);
}

void mca_btl_xs_control_hold(bool hold)
{
    mca_btl_xs_component.hold = hold;
    if (mca_btl_xs_control_opened) {
        mca_btl_xs_component_for_all(hold ? mca_btl_xs_control_apply
                                          : mca_btl_xs_control_release_one);
    }
}

int mca_btl_xs_control_hold_peer(uint32_t rank, bool hold)
{
    opal_process_name_t name = {.jobid = OPAL_PROC_MY_NAME.jobid, .vpid = rank};
    mca_btl_xs_endpoint_t *endpoint
        = mca_btl_xs_control_opened ? mca_btl_xs_endpoint_known(name) : NULL;

    if (NULL == endpoint) {
        return OPAL_ERR_NOT_FOUND;
    }
    endpoint->hold = hold;
    mca_btl_xs_control_apply(endpoint);
    return OPAL_SUCCESS;
}

void mca_btl_xs_control_quiesce(bool quiesce)
{
    mca_btl_xs_component.quiesced = quiesce;
    if (mca_btl_xs_control_opened) {
        mca_btl_xs_component_for_all(mca_btl_xs_control_apply);
    }
}

const char *mca_btl_xs_control_holders(char text[32])
{
    mca_btl_xs_endpoint_t *endpoint;
    bool peers = false;

    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
        peers = peers || endpoint->hold;
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    snprintf(text, 32, "%s%s%s", 0 != mca_btl_xs_component.hold ? ",hold" : "",
             peers ? ",peers" : "", mca_btl_xs_component.quiesced ? ",quiesce" : "");
    return '\0' == text[0] ? "no" : text + 1;
}

unsigned int mca_btl_xs_control_rings(bool held)
{
    mca_btl_xs_endpoint_t *endpoint;
    unsigned int rings = 0;

    if (!mca_btl_xs_control_opened) {
        return 0;
    }
    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
        if (!held || endpoint->held) {
            rings += (NULL != endpoint->tx_ring) + (NULL != endpoint->rx_ring);
        }
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    return rings;
}

/* One that is there counts as a ring. */
static unsigned int mca_btl_xs_control_closed(uint32_t port)
{
    mca_btl_xs_endpoint_t *endpoint;
    unsigned int closed = 0;

    OPAL_THREAD_LOCK(&mca_btl_xs_component.lock);
    OPAL_LIST_FOREACH (endpoint, &mca_btl_xs_component.endpoints, mca_btl_xs_endpoint_t) {
        closed += endpoint->held && NULL == endpoint->tx_ring && endpoint->tx_port == port;
    }
    OPAL_THREAD_UNLOCK(&mca_btl_xs_component.lock);
    return closed;
}

unsigned int mca_btl_xs_control_lingering(void)
{
    unsigned int lingering = 0, port, lingers;
    char *line = NULL;
    size_t size = 0;
    FILE *in;

    if (!mca_btl_xs_control_opened) {
        return 0;
    }
    in = fopen("/proc/net/xensocket", "re");
    if (NULL == in) {
        /* No module, no grants; or a container's network, where this cannot be known. */
        return 0;
    }
    while (-1 != getline(&line, &size, in)) {
        if (2 == sscanf(line, "tx %*u %u %*s %u", &port, &lingers) && 0 != lingers) {
            lingering += mca_btl_xs_control_closed(port);
        }
    }
    free(line);
    fclose(in);
    return lingering;
}

/*
 * Open MPI has no callback for a control variable that is written. It has the value's
 * enumerator check it first, though, and that is the only time that this one is asked for
 * the name of a value without a place to put it.
 */
static mca_base_var_enum_sfv_fn_t mca_btl_xs_control_name;

static int mca_btl_xs_control_hold_written(mca_base_var_enum_t *self, const int value,
                                           char **text)
{
    int rc = mca_btl_xs_control_name(self, value, text);

    if (OPAL_SUCCESS == rc && NULL == text) {
        mca_btl_xs_control_hold(0 != value);
    }
    return rc;
}

static int mca_btl_xs_control_peer_written(mca_base_var_enum_t *self, const int value,
                                           char **text, bool hold)
{
    if (value < 0) {
        return mca_btl_xs_control_name(self, value, text);
    }
    if (NULL == text) {
        return mca_btl_xs_control_hold_peer(value, hold);
    }
    return asprintf(text, "%d", value) < 0 ? OPAL_ERR_OUT_OF_RESOURCE : OPAL_SUCCESS;
}

static int mca_btl_xs_control_hold_peer_written(mca_base_var_enum_t *self, const int value,
                                                char **text)
{
    return mca_btl_xs_control_peer_written(self, value, text, true);
}

static int mca_btl_xs_control_release_peer_written(mca_base_var_enum_t *self, const int value,
                                                   char **text)
{
    return mca_btl_xs_control_peer_written(self, value, text, false);
}

static void mca_btl_xs_control_variable(const char *name, const char *help,
                                        const mca_base_var_enum_value_t *values,
                                        mca_base_var_enum_sfv_fn_t written, int *storage)
{
    mca_base_var_enum_t *checks;

    if (OPAL_SUCCESS != mca_base_var_enum_create(name, values, &checks)) {
        return;
    }
    mca_btl_xs_control_name = checks->string_from_value;
    checks->string_from_value = written;
    (void) mca_base_component_var_register(&mca_btl_xs_component.super.btl_version, name, help,
                                           MCA_BASE_VAR_TYPE_INT, checks, 0,
                                           MCA_BASE_VAR_FLAG_SETTABLE, OPAL_INFO_LVL_4,
                                           MCA_BASE_VAR_SCOPE_LOCAL, storage);
    OBJ_RELEASE(checks);
}

void mca_btl_xs_control_register(void)
{
    static const mca_base_var_enum_value_t yes_no[] = {{0, "no"}, {1, "yes"}, {0, NULL}};
    static const mca_base_var_enum_value_t ranks[] = {{-1, "none"}, {0, NULL}};
    static int hold_peer, release_peer;

    mca_btl_xs_component.hold = 0;
    mca_btl_xs_control_variable("hold",
                                "Keep to TCP: rings are drained, closed and refused until this "
                                "is set to no. Can be set while the job runs, by MPI_T; "
                                "xs-btlctl(1) does it from outside (default: no)",
                                yes_no, mca_btl_xs_control_hold_written,
                                &mca_btl_xs_component.hold);
    hold_peer = release_peer = -1;
    mca_btl_xs_control_variable("hold_peer",
                                "For MPI_T: a rank of MPI_COMM_WORLD that is written here is "
                                "held on TCP, like all with btl_xs_hold; the value that is read "
                                "is the last one written",
                                ranks, mca_btl_xs_control_hold_peer_written, &hold_peer);
    mca_btl_xs_control_variable("release_peer",
                                "For MPI_T: a rank that is written here is held no longer, "
                                "unless all are",
                                ranks, mca_btl_xs_control_release_peer_written, &release_peer);
}

void mca_btl_xs_control_open(void)
{
    mca_btl_xs_component.quiesced = false;
    mca_btl_xs_control_opened = true;
}

void mca_btl_xs_control_close(void)
{
    mca_btl_xs_control_opened = false;
}
