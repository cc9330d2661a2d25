/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What differs between Open MPI 4.1 (BTL 3.1) and 5.0 (BTL 3.3), all of it.
 */
#ifndef MCA_BTL_XS_COMPAT_H
#define MCA_BTL_XS_COMPAT_H

#include "opal_config.h"

#include "opal/mca/base/base.h"
#include "opal/mca/base/mca_base_component_repository.h"
#include "opal/mca/btl/base/base.h"
#include "opal/mca/btl/btl.h"
#include "opal/util/proc.h"

#if OPAL_MAJOR_VERSION >= 5

#    include "opal/mca/pmix/pmix-internal.h"
#    include "opal/mca/threads/mutex.h"
#    include "opal/util/event.h"

#    define MCA_BTL_XS_MODEX_SCOPE PMIX_GLOBAL

typedef opal_atomic_int32_t mca_btl_xs_atomic_t;

/* Has it to be packed? Also what is in the memory of a device, which 4.1's own function asks for, too. */
static inline bool mca_btl_xs_compat_needs_buffers(const opal_convertor_t *convertor)
{
    return opal_convertor_need_buffers(convertor) || opal_convertor_on_device(convertor);
}

/* Names the parameters of a receive callback, of which only the segments are used. */
#    define MCA_BTL_XS_RECEIVE_CALLBACK(name, received) \
        void name(struct mca_btl_base_module_t *btl, const mca_btl_base_receive_descriptor_t *received)

/* Likewise of the function that prints the values of an enumeration. */
#    define MCA_BTL_XS_ENUM_DUMP(name) \
        int name(mca_base_var_enum_t *names, char **out, mca_base_var_enum_dump_type_t kind)

static inline char *mca_btl_xs_compat_hostname(const opal_proc_t *proc)
{
    return opal_get_proc_hostname(proc);
}

static inline uint32_t mca_btl_xs_compat_job_size(void)
{
    return opal_process_info.num_procs;
}

static inline const char *mca_btl_xs_compat_job_name(void)
{
    return opal_process_info.myprocid.nspace;
}

/* Is there such a job? For one that it does not know PMIx says what it knows of our own. */
static inline bool mca_btl_xs_compat_job_known(opal_jobid_t jobid)
{
    pmix_nspace_t name;

    return OPAL_SUCCESS == opal_pmix_convert_jobid(name, jobid);
}

/* Ends the whole job. */
static inline void mca_btl_xs_compat_abort(const char *why)
{
    (void) PMIx_Abort(1, why, NULL, 0);
}

/*
 * Open MPI is being taken apart: tcp cannot connect any more. Processes are forgotten behind
 * that, but when all of them have been in MPI_Finalize.
 */
static inline bool mca_btl_xs_compat_late(void)
{
    return 0 >= opal_initialized;
}

/* btl_xs_failover if the user does not say */
#    define MCA_BTL_XS_COMPAT_FAILOVER 60

/* Can connections be made again while other threads are in MPI? */
static inline bool mca_btl_xs_compat_mends_with_threads(void)
{
    return true;
}

/* Does tcp free a descriptor that it has called back for as a connection has broken? */
static inline bool mca_btl_xs_compat_tcp_frees(void)
{
    return true;
}

#else

#    include "opal/mca/event/event.h"
#    include "opal/mca/pmix/pmix.h"
#    include "opal/threads/mutex.h"

#    define MCA_BTL_XS_MODEX_SCOPE OPAL_PMIX_GLOBAL

typedef volatile int32_t mca_btl_xs_atomic_t;

static inline bool mca_btl_xs_compat_needs_buffers(const opal_convertor_t *convertor)
{
    return opal_convertor_need_buffers(convertor);
}

#    define MCA_BTL_XS_RECEIVE_CALLBACK(name, received)                    \
        void name(struct mca_btl_base_module_t *btl, mca_btl_base_tag_t tag, \
                  mca_btl_base_descriptor_t *received, void *cbdata)

#    define MCA_BTL_XS_ENUM_DUMP(name) int name(mca_base_var_enum_t *names, char **out)

static inline char *mca_btl_xs_compat_hostname(const opal_proc_t *proc)
{
    return strdup(NULL == proc->proc_hostname ? "unknown" : proc->proc_hostname);
}

/* 0 before MPI_Init. */
static inline uint32_t mca_btl_xs_compat_job_size(void)
{
    opal_process_name_t all = {.jobid = OPAL_PROC_MY_NAME.jobid, .vpid = OPAL_VPID_WILDCARD};
    static uint32_t size;
    uint32_t *found = &size;
    int rc;

    if (0 == size && NULL != opal_pmix.get) {
        OPAL_MODEX_RECV_VALUE_OPTIONAL(rc, OPAL_PMIX_JOB_SIZE, &all, &found, OPAL_UINT32);
        (void) rc;
    }
    return size;
}

static inline const char *mca_btl_xs_compat_job_name(void)
{
    return NULL == opal_pmix.get_nspace ? NULL : opal_pmix.get_nspace(OPAL_PROC_MY_NAME.jobid);
}

static inline bool mca_btl_xs_compat_job_known(opal_jobid_t jobid)
{
    return NULL == opal_pmix.get_nspace || NULL != opal_pmix.get_nspace(jobid);
}

static inline void mca_btl_xs_compat_abort(const char *why)
{
    if (NULL != opal_pmix.abort) {
        (void) opal_pmix.abort(1, why, NULL);
    }
}

static inline bool mca_btl_xs_compat_late(void)
{
    return false;
}

/*
 * Jobs with this tcp whose connections were cut again and again have hung, or crashed: only for
 * who asks for it.
 */
#    define MCA_BTL_XS_COMPAT_FAILOVER 0

/* One break in a hundred or so was the end of all progress. */
static inline bool mca_btl_xs_compat_mends_with_threads(void)
{
    return false;
}

/* No, and its endpoint still has one of them, and may call back for it again. */
static inline bool mca_btl_xs_compat_tcp_frees(void)
{
    return false;
}

#endif

/* Hands a fragment to whoever has registered for its tag. */
static inline void mca_btl_xs_compat_deliver(mca_btl_base_module_t *btl,
                                             struct mca_btl_base_endpoint_t *endpoint,
                                             mca_btl_base_tag_t tag,
                                             mca_btl_base_segment_t *segment)
{
    mca_btl_active_message_callback_t *reg = mca_btl_base_active_message_trigger + tag;
#if OPAL_MAJOR_VERSION >= 5
    const mca_btl_base_receive_descriptor_t received = {.endpoint = endpoint,
                                                        .des_segments = segment,
                                                        .des_segment_count = 1,
                                                        .tag = tag,
                                                        .cbdata = reg->cbdata};

    reg->cbfunc(btl, &received);
#else
    mca_btl_base_descriptor_t received;

    /* Receivers look at nothing else, and all of it is large. */
    received.des_segments = segment;
    received.des_segment_count = 1;
    (void) endpoint;
    reg->cbfunc(btl, tag, &received, reg->cbdata);
#endif
}

#endif /* MCA_BTL_XS_COMPAT_H */
