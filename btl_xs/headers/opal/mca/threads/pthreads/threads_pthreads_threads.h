/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for a header that Debian 13 does not install; see threads_pthreads_mutex.h. */
#ifndef MCA_BTL_XS_THREADS_PTHREADS_THREADS_H
#define MCA_BTL_XS_THREADS_PTHREADS_THREADS_H

#include <pthread.h>
#include <sched.h>

static inline void opal_thread_yield(void)
{
    (void) sched_yield();
}

#endif
