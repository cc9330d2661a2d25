/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for a header that Debian 13 does not install; see threads_pthreads_mutex.h. */
#ifndef MCA_BTL_XS_THREADS_PTHREADS_TSD_H
#define MCA_BTL_XS_THREADS_PTHREADS_TSD_H

#include <pthread.h>

typedef pthread_key_t opal_tsd_key_t;

#endif
