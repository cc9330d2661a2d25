/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Reading an offer's head page and list pages, copies of what a peer has written. The
 * same source is compiled into the kernel module and into the fuzzer, which brings its
 * own xsock_grant_read().
 */
#ifndef _XSOCK_HEAD_H
#define _XSOCK_HEAD_H

/* Does the head page belong to the offer, and can we serve it? */
static bool xsock_head_ok(const struct xsock_head *head, const struct sockaddr_xen *addr)
{
	return head->magic == XSOCK_HEAD_MAGIC && head->version == XSOCK_VERSION &&
	       !crypto_memneq(head->cookie, addr->sxen_cookie, XSOCK_COOKIE_SIZE) &&
	       head->port == addr->sxen_port &&
	       is_power_of_2(head->data_pages) && head->data_pages <= XSOCK_RING_PAGES_MAX;
}

/*
 * All references of the ring, of a head that is ok: tx, rx, data, into 2 + data_pages of
 * @refs. Each page of them is read once.
 */
static int xsock_read_refs(u16 peer, const struct xsock_head *head, u32 *refs)
{
	unsigned int n = head->data_pages, i, part;
	struct xsock_list *list;
	int err = 0;

	refs[0] = head->tx_ref;
	refs[1] = head->rx_ref;
	refs += 2;
	if (!head->list_pages) {
		if (n > XSOCK_HEAD_REFS)
			return -ECONNREFUSED;
		memcpy(refs, head->refs, n * sizeof(*refs));
		return 0;
	}
	if (head->list_pages != DIV_ROUND_UP(n, XSOCK_LIST_REFS))
		return -ECONNREFUSED;
	list = (struct xsock_list *)get_zeroed_page(GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	for (i = 0; !err && i < head->list_pages; i++) {
		err = xsock_grant_read(peer, head->refs[i], list);
		part = min_t(unsigned int, n - i * XSOCK_LIST_REFS, XSOCK_LIST_REFS);
		memcpy(refs + i * XSOCK_LIST_REFS, list->refs, part * sizeof(*refs));
	}
	free_page((unsigned long)list);
	return err;
}

#endif /* _XSOCK_HEAD_H */
