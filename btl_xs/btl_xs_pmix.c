/* SPDX-License-Identifier: BSD-3-Clause */
#include "btl_xs_pmix.h"

#if OPAL_MAJOR_VERSION >= 5

#    include <dlfcn.h>

/* Events that PMIx has not done with. */
#    define MCA_BTL_XS_PMIX_MOST 16

#    define MCA_BTL_XS_PMIX_INFOS 3

static bool mca_btl_xs_pmix_wanted;
static opal_atomic_int32_t mca_btl_xs_pmix_under_way;

void mca_btl_xs_pmix_register(void)
{
    mca_btl_xs_pmix_wanted = false;
    (void) mca_base_component_var_register(&mca_btl_xs_component.super.btl_version, "pmix",
                                           "Notify fault events, which xs-events(1) shows, by "
                                           "PMIx, too (default: false)",
                                           MCA_BASE_VAR_TYPE_BOOL, NULL, 0, 0, OPAL_INFO_LVL_4,
                                           MCA_BASE_VAR_SCOPE_READONLY, &mca_btl_xs_pmix_wanted);
}

bool mca_btl_xs_pmix_ready(void)
{
    return mca_btl_xs_pmix_wanted && mca_btl_xs_pmix_under_way < MCA_BTL_XS_PMIX_MOST;
}

/* PMIx calls back when it likes, perhaps when this component would have been unloaded. */
static void mca_btl_xs_pmix_stay(void)
{
    static bool stays;
    Dl_info info;

    if (!stays && 0 != dladdr(&mca_btl_xs_pmix_wanted, &info)) {
        stays = NULL != dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

/* In a thread of PMIx's. */
static void mca_btl_xs_pmix_done(pmix_status_t status, void *context)
{
    pmix_info_t *info = context;

    PMIX_INFO_FREE(info, MCA_BTL_XS_PMIX_INFOS);
    (void) opal_atomic_add_fetch_32(&mca_btl_xs_pmix_under_way, -1);
}

void mca_btl_xs_pmix_notify(mca_btl_xs_thrown_t kind, const char *name, const char *text)
{
    pmix_info_t *info;
    int rc;

    mca_btl_xs_pmix_stay();
    PMIX_INFO_CREATE(info, MCA_BTL_XS_PMIX_INFOS);
    if (NULL == info) {
        return;
    }
    /* Open MPI's own handler for all events ends the job. */
    PMIX_INFO_LOAD(&info[0], PMIX_EVENT_NON_DEFAULT, NULL, PMIX_BOOL);
    PMIX_INFO_LOAD(&info[1], "xs.event", name, PMIX_STRING);
    PMIX_INFO_LOAD(&info[2], PMIX_EVENT_TEXT_MESSAGE, text, PMIX_STRING);
    (void) opal_atomic_add_fetch_32(&mca_btl_xs_pmix_under_way, 1);
    rc = PMIx_Notify_event(MCA_BTL_XS_PMIX_CODE - (int) kind, &opal_process_info.myprocid,
                           PMIX_RANGE_SESSION, info, MCA_BTL_XS_PMIX_INFOS, mca_btl_xs_pmix_done,
                           info);
    if (PMIX_SUCCESS != rc) {
        mca_btl_xs_pmix_done(rc, info);
    }
}

#else

void mca_btl_xs_pmix_register(void)
{
}

bool mca_btl_xs_pmix_ready(void)
{
    return false;
}

void mca_btl_xs_pmix_notify(mca_btl_xs_thrown_t kind, const char *name, const char *text)
{
}

#endif
