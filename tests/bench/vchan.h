/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A libxenvchan pair, to be measured: Xen's own library for streams between two domains,
 * with a ring for each direction. Errors end the program.
 */
#ifndef VCHAN_H
#define VCHAN_H

#include <stdbool.h>
#include <stddef.h>

struct libxenvchan;

/* The server's end, for a domain; NULL, and it is said why, where this cannot be. */
struct libxenvchan *vchan_offer(unsigned int own, unsigned int peer, size_t ring);

/* The client's end of what a domain offers, as above. */
struct libxenvchan *vchan_connect(unsigned int peer);

/*
 * At most @n bytes; how many. With @sleep it returns when there are some, without at once,
 * perhaps 0.
 */
size_t vchan_write(struct libxenvchan *vchan, const void *from, size_t n, bool sleep);
size_t vchan_read(struct libxenvchan *vchan, void *to, size_t n, bool sleep);

/* Sleeps until something has happened since the last time. */
void vchan_sleep(struct libxenvchan *vchan);

void vchan_close(struct libxenvchan *vchan);

#endif
