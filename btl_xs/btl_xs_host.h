/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of this domain and its kernel module. Nothing is ever asked for
 * regularly: the module says when something has changed, and inotify when it comes.
 */
#ifndef MCA_BTL_XS_HOST_H
#define MCA_BTL_XS_HOST_H

#include "btl_xs.h"

BEGIN_C_DECLS

/**
 * @epoch is our own count of changes: also a module that has been loaded anew counts.
 */
struct mca_btl_xs_host_t {
    bool available; /**< xensockets can be made */
    bool arrived;   /**< the last change was that it had been suspended: migration, restore */
    uint16_t domid;
    uint64_t epoch;
    uint8_t id[16]; /**< of the host, as dom0 says; all zero if it does not */
};
typedef struct mca_btl_xs_host_t mca_btl_xs_host_t;

extern mca_btl_xs_host_t mca_btl_xs_host;

/* Whether dom0 says that something with this id is on another host than this domain. */
static inline bool mca_btl_xs_host_differs(const uint8_t id[16])
{
    static const uint8_t unknown[16];

    return 0 != memcmp(id, mca_btl_xs_host.id, 16) && 0 != memcmp(id, unknown, 16)
           && 0 != memcmp(mca_btl_xs_host.id, unknown, 16);
}

/* Time of day in seconds, for messages that are compared with those of other programs. */
double mca_btl_xs_host_now(void);

/* Seconds of a clock that nobody sets, for what takes time. */
double mca_btl_xs_host_passed(void);

void mca_btl_xs_host_init(void);
void mca_btl_xs_host_fini(void);

/* Tells the user why there is no ring, if there is something that he could do about it. */
void mca_btl_xs_host_complain(int rc);

END_C_DECLS

#endif /* MCA_BTL_XS_HOST_H */
