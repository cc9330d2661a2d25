/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Texts from one process of a job to others, for what is said seldom: frames over TCP. (Not
 * events of PMIx: one hangs mpirun of Open MPI 4.1.4 with PMIx 4.2.2; Documentation/control.md.)
 */
#ifndef MCA_BTL_XS_BUS_H
#define MCA_BTL_XS_BUS_H

#include "btl_xs.h"

BEGIN_C_DECLS

struct mca_btl_xs_bus_text_t {
    struct mca_btl_xs_bus_text_t *next;
    int kind;                 /**< MCA_BTL_XS_REQUEST, _ANSWER, or our own _EVENTS_DUE */
    opal_process_name_t from; /**< a process of this job */
    char text[];              /**< may be taken apart */
};
typedef struct mca_btl_xs_bus_text_t mca_btl_xs_bus_text_t;

/* @heard is called by libevent, while MPI makes progress, in each sender's order. */
void mca_btl_xs_bus_open(void (*heard)(mca_btl_xs_bus_text_t *item));
void mca_btl_xs_bus_close(void);

/* Tells a process of this job, perhaps ourselves. */
void mca_btl_xs_bus_say(int kind, uint32_t rank, const char *text);

/* A text has come, in whatever thread. */
void mca_btl_xs_bus_came(int kind, opal_process_name_t from, const void *text, size_t size);

END_C_DECLS

#endif /* MCA_BTL_XS_BUS_H */
