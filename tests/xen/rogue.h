/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain that keeps to no rule: it speaks the protocol by hand, through the kernel's
 * devices for grants and event channels, so that every step can be left out and every
 * byte be a lie.
 */
#ifndef ROGUE_H
#define ROGUE_H

#include "xsocktest.h"

/* How far a rogue receiver goes into the handshake. */
enum stage {
	STAGE_READ,		/* has read the head page */
	STAGE_BOUND,		/* ... and taken the event channel */
	STAGE_MAPPED,		/* ... and mapped the ring */
	STAGE_CONNECTED,	/* ... and said so */
};

/* A ring of the victim's. */
struct prey {
	struct sockaddr_xen addr;
	struct xsock_head head;
	int grants;			/* gntdev */
	int events;			/* evtchn */
	unsigned int port;
	uint64_t size;
	struct xsock_tx_page *tx;
	struct xsock_rx_page *rx;
	struct xsock_regions *regions;
	uint8_t *data;
};

/* A ring made for a victim. */
#define BAIT_PAGES 16
struct bait {
	struct sockaddr_xen addr;
	int grants;			/* gntalloc */
	int events;
	unsigned int port;
	uint64_t size;
	struct xsock_head *head;
	struct xsock_tx_page *tx;
	struct xsock_rx_page *rx;
	struct xsock_regions *regions;
	uint8_t *data;
	uint32_t head_ref;
	uint32_t refs[2 + BAIT_PAGES + 1];	/* tx, rx, data, regions */
};

/* Grants @n pages to @domid and maps them. @index is for rogue_ungrant(). */
void *rogue_grant(int fd, int domid, int writable, unsigned int n, uint32_t *refs,
		  uint64_t *index);
void rogue_ungrant(int fd, uint64_t index, unsigned int n);
int rogue_gntalloc(void);

/* Maps @n pages that @domid grants. */
void *rogue_map(int fd, int domid, const uint32_t *refs, unsigned int n, int writable);

/* Copies a granted page; 0, or the status that Xen gave. */
int rogue_read(int domid, uint32_t ref, void *copy);

void rogue_notify(int events, unsigned int port);

void prey_take(struct prey *p, const struct sockaddr_xen *addr, enum stage stage);
void prey_drop(struct prey *p);

/* Everything as it should be, ready to be offered. */
void bait_make(struct bait *b);
void bait_drop(struct bait *b);

#endif
