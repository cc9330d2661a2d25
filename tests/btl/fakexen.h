/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a ring of fakexen.c is: a file in memory with rx page, tx page, data pages, and two pages with
 * what only kernels know, which a mapping does not show.
 */
#ifndef FAKEXEN_H
#define FAKEXEN_H

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <xensocket.h>

#define PAGE ((size_t)XSOCK_PAGE_SIZE)

struct secret {
	uint8_t cookie[XSOCK_COOKIE_SIZE];
	uint64_t size;
	uint16_t domid, peer;
	int taken;
};

static inline size_t file_length(size_t size)
{
	return size + 4 * PAGE;
}

/* Each process is a domain. */
static inline uint16_t own_domid(void)
{
	return (uint16_t)(1 + getpid() % 32000);
}

#endif /* FAKEXEN_H */
