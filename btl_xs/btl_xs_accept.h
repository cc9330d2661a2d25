/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that come to the wrapped tcp component. It takes all up that there are, and makes the
 * process known that it has accepted one from by a timer for each of its endpoints: with a second one of
 * the same peer's before that is due it sets the timer anew while it runs, and libevent never gets
 * out of its loop any more. A peer whose connection is cut may connect a second time before
 * the first try has been looked at. So they are given to tcp one after the other.
 */
#ifndef MCA_BTL_XS_ACCEPT_H
#define MCA_BTL_XS_ACCEPT_H

#include "btl_xs.h"

BEGIN_C_DECLS

/* When tcp listens; @given is called each time that it has been given one. */
void mca_btl_xs_accept_open(void (*given)(void));

/* Before it is done: it is given back what waits. */
void mca_btl_xs_accept_close(void);

END_C_DECLS

#endif /* MCA_BTL_XS_ACCEPT_H */
