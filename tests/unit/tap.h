/* SPDX-License-Identifier: BSD-3-Clause */
/* Test Anything Protocol, as little of it as the unit tests need. */
#ifndef TAP_H
#define TAP_H

#include <stdio.h>

static int tap_count, tap_failed;

/* One test point; @ok decides. */
#define tap(ok, ...) do {						\
	int tap_ok = !!(ok);						\
	tap_failed += !tap_ok;						\
	printf("%sok %d - ", tap_ok ? "" : "not ", ++tap_count);	\
	printf(__VA_ARGS__);						\
	putchar('\n');							\
	if (!tap_ok)							\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #ok);	\
} while (0)

static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif
