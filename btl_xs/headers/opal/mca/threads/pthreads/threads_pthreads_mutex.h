/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stands in for a header of Open MPI 5.0 that Debian 13 does not install, although those
 * that it installs need it. It has what they need: mutexes and conditions are those of
 * pthreads, in optimized builds. The Makefile uses it only where the original is missing.
 */
#ifndef MCA_BTL_XS_THREADS_PTHREADS_MUTEX_H
#define MCA_BTL_XS_THREADS_PTHREADS_MUTEX_H

#include <pthread.h>

#include "opal/constants.h"

#if OPAL_ENABLE_DEBUG
#    error "this stands in for the headers of an optimized build only"
#endif

typedef pthread_mutex_t opal_thread_internal_mutex_t;
typedef pthread_cond_t opal_thread_internal_cond_t;

#define OPAL_THREAD_INTERNAL_MUTEX_INITIALIZER           PTHREAD_MUTEX_INITIALIZER
#define OPAL_THREAD_INTERNAL_RECURSIVE_MUTEX_INITIALIZER PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP
#define OPAL_THREAD_INTERNAL_COND_INITIALIZER            PTHREAD_COND_INITIALIZER

#define opal_thread_internal_mutex_lock(mutex)      ((void) pthread_mutex_lock(mutex))
#define opal_thread_internal_mutex_unlock(mutex)    ((void) pthread_mutex_unlock(mutex))
#define opal_thread_internal_mutex_trylock(mutex)   (0 != pthread_mutex_trylock(mutex))
#define opal_thread_internal_mutex_destroy(mutex)   ((void) pthread_mutex_destroy(mutex))
#define opal_thread_internal_cond_wait(cond, mutex) ((void) pthread_cond_wait(cond, mutex))
#define opal_thread_internal_cond_signal(cond)      ((void) pthread_cond_signal(cond))
#define opal_thread_internal_cond_broadcast(cond)   ((void) pthread_cond_broadcast(cond))
#define opal_thread_internal_cond_destroy(cond)     ((void) pthread_cond_destroy(cond))

#endif
