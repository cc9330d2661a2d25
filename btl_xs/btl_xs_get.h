/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large messages with one copy: the sender exposes them on its ring, and the receiver has the
 * hypervisor copy from there.
 */
#ifndef MCA_BTL_XS_GET_H
#define MCA_BTL_XS_GET_H

#include "btl_xs.h"

BEGIN_C_DECLS

/* Has the layer above use it, if the user wants that. Before the module's parameters. */
void mca_btl_xs_get_register(void);

END_C_DECLS

#endif /* MCA_BTL_XS_GET_H */
