/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault events as events of PMIx, for whoever has registered for their codes: with Open MPI 5
 * only, as one such event hangs mpirun of Open MPI 4.1.4 (Documentation/control.md).
 */
#ifndef MCA_BTL_XS_PMIX_H
#define MCA_BTL_XS_PMIX_H

#include "btl_xs_events.h"

BEGIN_C_DECLS

/* Code of the first kind of event; the others follow downwards. */
#define MCA_BTL_XS_PMIX_CODE -22600

/* Makes the parameter, if there is any use for it. */
void mca_btl_xs_pmix_register(void);

/* May an event be notified now? Not if it is not wanted, or PMIx is too slow. */
bool mca_btl_xs_pmix_ready(void);

/* Notifies one, and does not wait. */
void mca_btl_xs_pmix_notify(mca_btl_xs_thrown_t kind, const char *name, const char *text);

END_C_DECLS

#endif /* MCA_BTL_XS_PMIX_H */
