/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread: the order of accesses is that of the calls. */
#define virt_load_acquire(p)		READ_ONCE(*(p))
#define virt_store_release(p, v)	WRITE_ONCE(*(p), (v))
#define virt_mb()			do { } while (0)
