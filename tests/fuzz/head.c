// SPDX-License-Identifier: BSD-3-Clause
/* A receiver whose offer, head page and list pages are the fuzzer's. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uapi/xensocket.h"

/* What head.h asks of the kernel. */
typedef uint16_t u16;
typedef uint32_t u32;
#define XSOCK_RING_PAGES_MAX	(XSOCK_RING_MAX / XSOCK_PAGE_SIZE)
#define GFP_KERNEL		0
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define min_t(type, x, y)	((type)(x) < (type)(y) ? (type)(x) : (type)(y))
#define crypto_memneq(x, y, n)	(memcmp((x), (y), (n)) != 0)
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))

static unsigned long get_zeroed_page(int flags);
static void free_page(unsigned long page);
static int xsock_grant_read(u16 domid, u32 ref, void *copy);

#include "head.h"

#include "input.h"

#define PEER	7

static struct xsock_head head;
static struct sockaddr_xen offer;
/* List pages read so far, and pages allocated. */
static unsigned int reads, pages;

static unsigned long get_zeroed_page(int flags)
{
	(void)flags;
	if (take(1) % 16 == 1)
		return 0;
	pages++;
	return (unsigned long)calloc(1, XSOCK_PAGE_SIZE);
}

static void free_page(unsigned long page)
{
	pages--;
	free((void *)page);
}

/* Reference number @k of list page @page. */
static u32 listed(unsigned int page, unsigned int k)
{
	return 0x5eed0000u + page * XSOCK_LIST_REFS * 3 + k;
}

/* Each list page once, in order, by the reference that is in the head page. */
static int xsock_grant_read(u16 domid, u32 ref, void *copy)
{
	u32 *refs = copy;

	must(domid == PEER);
	must(reads < XSOCK_RING_PAGES_MAX / XSOCK_LIST_REFS);
	must(ref == head.refs[reads]);
	if (take(1) % 16 == 1)
		return -ECONNREFUSED;
	for (unsigned int k = 0; k < XSOCK_LIST_REFS; k++)
		refs[k] = listed(reads, k);
	reads++;
	return 0;
}

static u32 some_number(u32 right)
{
	switch (take(1) % 8) {
	case 0:
		return 1u << take(1) % 32;
	case 1:
		return (1u << take(1) % 14) + take(1) % 3 - 1;
	case 2:
		return (u32)take(4);
	default:
		return right;
	}
}

/* An honest page with lies in it, perhaps. */
static void make_head(void)
{
	memset(&offer, 0xc0, sizeof(offer));
	offer.sxen_port = (u32)take(1);
	memset(&head, 0, sizeof(head));
	head.magic = XSOCK_HEAD_MAGIC;
	head.version = XSOCK_VERSION;
	head.port = offer.sxen_port;
	memcpy(head.cookie, offer.sxen_cookie, sizeof(head.cookie));
	head.tx_ref = 0x7e57;
	head.rx_ref = 0x7e58;
	for (u32 k = 0; k < XSOCK_HEAD_REFS; k++)
		head.refs[k] = 0x10000 + k;
	head.data_pages = some_number(1u << take(1) % 13);
	head.list_pages = some_number(head.data_pages <= XSOCK_HEAD_REFS ? 0 :
				      DIV_ROUND_UP(head.data_pages, XSOCK_LIST_REFS));
	for (int lies = take(1) % 4; lies; lies--)
		((uint8_t *)&head)[take(2) % 64] ^= take(1);
}

static bool right_head(void)
{
	bool size = false;

	for (u32 n = 1; n <= 4096; n *= 2)
		size |= head.data_pages == n;
	if (!size || head.magic != 0x314b5358 || head.version != XSOCK_VERSION ||
	    head.port != offer.sxen_port)
		return false;
	for (int k = 0; k < XSOCK_COOKIE_SIZE; k++)
		if (head.cookie[k] != 0xc0)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	u32 n, *refs;
	int err;

	input = data;
	input_left = len;
	reads = pages = 0;
	make_head();
	must(xsock_head_ok(&head, &offer) == right_head());
	if (!xsock_head_ok(&head, &offer))
		return 0;
	n = head.data_pages;
	/* Exactly so many: one beyond them is found by the sanitizer. */
	refs = malloc((2 + n) * sizeof(*refs));
	must(refs);
	err = xsock_read_refs(PEER, &head, refs);
	must(!pages);
	if (!err) {
		must(refs[0] == head.tx_ref && refs[1] == head.rx_ref);
		must(head.list_pages ? head.list_pages == (n + 1023) / 1024 : n <= 1008);
		must(reads == head.list_pages);
		for (u32 k = 0; k < n; k++)
			must(refs[2 + k] == (head.list_pages ?
				listed(k / XSOCK_LIST_REFS, k % XSOCK_LIST_REFS) : head.refs[k]));
	} else {
		must(err == -ECONNREFUSED || err == -ENOMEM);
	}
	free(refs);
	return 0;
}
