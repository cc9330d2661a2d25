/* SPDX-License-Identifier: BSD-3-Clause */
/* What the source files of the library share. */
#ifndef XSOCK_INTERNAL_H
#define XSOCK_INTERNAL_H

#include <errno.h>
#include <xensocket.h>

/* Everything else is hidden (-fvisibility=hidden, libxensocket.map). */
#define XSOCK_PUBLIC __attribute__((visibility("default")))

/* Milliseconds of a clock that never jumps. */
int64_t xsock_now_ms(void);

#endif
