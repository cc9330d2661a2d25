// SPDX-License-Identifier: GPL-2.0-only
/* Granting own pages to the peer, and mapping those of the peer. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include <xen/page.h>

#include "xsock.h"

/* How long page references of others may delay an unmapping. */
#define XSOCK_STRAY_MS	200

/* How often to try to end what only the handshake needed; a copy takes microseconds. */
#define XSOCK_HEAD_TRIES	16

/* Foreign pages that were still referenced when they were unmapped, by pfn. */
static DEFINE_XARRAY(strays);

/* ---- transmitter ---- */

/* Pages and references: head, lists, tx, rx, data, regions. */
static unsigned int xsock_list_pages(unsigned int npages)
{
	return npages <= XSOCK_HEAD_REFS ? 0 : DIV_ROUND_UP(npages, XSOCK_LIST_REFS);
}

static void xsock_fill_head(struct xsock_ring *ring, unsigned int lists)
{
	struct xsock_head *head = page_address(ring->granted[0]);
	const grant_ref_t *data = ring->refs + 1 + lists + 2;
	unsigned int i;

	head->magic = XSOCK_HEAD_MAGIC;
	head->version = XSOCK_VERSION;
	head->port = ring->port;
	head->data_pages = ring->npages;
	memcpy(head->cookie, ring->addr.sxen_cookie, XSOCK_COOKIE_SIZE);
	head->tx_ref = ring->refs[1 + lists];
	head->rx_ref = ring->refs[1 + lists + 1];
	head->list_pages = lists;
	head->regions_ref = data[ring->npages];
	if (!lists) {
		for (i = 0; i < ring->npages; i++)
			head->refs[i] = data[i];
		return;
	}
	for (i = 0; i < lists; i++)
		head->refs[i] = ring->refs[1 + i];
	for (i = 0; i < ring->npages; i++) {
		struct xsock_list *list = page_address(ring->granted[1 + i / XSOCK_LIST_REFS]);

		list->refs[i % XSOCK_LIST_REFS] = data[i];
	}
}

/**
 * xsock_grant_pages - allocate the pages of a transmitter's ring and grant them
 * @ring: with its event channel and its cookie
 *
 * On error nothing is left granted; the pages are freed with the ring.
 */
int xsock_grant_pages(struct xsock_ring *ring)
{
	unsigned int lists = xsock_list_pages(ring->npages);
	unsigned int n = 1 + lists + 2 + ring->npages + 1;
	unsigned int i, tx = 1 + lists, rx = 1 + lists + 1, regions = n - 1;
	grant_ref_t head;
	int err;

	ring->granted = kvcalloc(n, sizeof(*ring->granted), GFP_KERNEL_ACCOUNT);
	ring->refs = kvcalloc(n, sizeof(*ring->refs), GFP_KERNEL_ACCOUNT);
	if (!ring->granted || !ring->refs)
		return -ENOMEM;
	ring->ngrants = n;
	/* Nothing to end so far. */
	ring->ended = n;
	for (i = 0; i < n; i++) {
		/* Whole, dedicated, zeroed: nothing else of ours is shown. */
		ring->granted[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO |
					      __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
		if (!ring->granted[i])
			return -ENOMEM;
	}
	for (i = 0; i < ring->npages; i++)
		ring->pages[i] = ring->granted[1 + lists + 2 + i];
	ring->tx = page_address(ring->granted[tx]);
	ring->rx = page_address(ring->granted[rx]);
	ring->regions = page_address(ring->granted[regions]);

	err = xsock_hyper_refs(n, &head);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		ring->refs[i] = gnttab_claim_grant_reference(&head);
		/* The head page, too, is writable: nobody reads it here, see ring.c. */
		gnttab_grant_foreign_access_ref(ring->refs[i], ring->peer,
						xen_page_to_gfn(ring->granted[i]),
						i != 0 && i != rx && i != regions);
	}
	gnttab_free_grant_references(head);
	ring->ended = 0;
	xsock_fill_head(ring, lists);
	ring->addr.sxen_gref = ring->refs[0];
	return 0;
}

/* End the grants, as far as the peer does not use them. True: all are ended. Without the lock. */
bool xsock_grant_end(struct xsock_ring *ring)
{
	bool none;

	mutex_lock(&ring->lock);
	xsock_regions_end(ring, false);
	mutex_unlock(&ring->lock);
	while (ring->ended < ring->ngrants) {
		if (!gnttab_try_end_foreign_access(ring->refs[ring->ended]))
			return false;
		ring->ended++;
	}
	/* Who has let go of the ring gets nothing any more. */
	mutex_lock(&ring->lock);
	none = xsock_regions_end(ring, true);
	mutex_unlock(&ring->lock);
	return none;
}

/*
 * The receiver has come: head and list pages need not be shown any longer. A receiver that
 * keeps them mapped has them until the ring goes; one whose other process happens to copy one
 * at this moment is waited for.
 */
void xsock_grant_end_handshake(struct xsock_ring *ring)
{
	unsigned int n = 1 + xsock_list_pages(ring->npages), tries = XSOCK_HEAD_TRIES;
	bool again;

	do {
		mutex_lock(&ring->lock);
		/* Detached, all grants are being ended. */
		while (ring->attached && ring->ended < n &&
		       gnttab_try_end_foreign_access(ring->refs[ring->ended])) {
			__free_page(ring->granted[ring->ended]);
			ring->granted[ring->ended++] = NULL;
		}
		again = ring->attached && ring->ended < n && --tries;
		mutex_unlock(&ring->lock);
		if (again)
			usleep_range(200, 1000);
	} while (again);
}

/*
 * The module goes, or nobody knows of the ring yet: leave pages and references that are in
 * use to the grant table.
 */
void xsock_grant_abandon(struct xsock_ring *ring)
{
	xsock_regions_abandon(ring);
	while (ring->ended < ring->ngrants) {
		gnttab_end_foreign_access(ring->refs[ring->ended],
					  ring->granted[ring->ended]);
		ring->granted[ring->ended++] = NULL;
	}
}

/* All grants have been ended, or abandoned. */
void xsock_grant_free(struct xsock_ring *ring)
{
	unsigned int i;

	for (i = 0; ring->granted && i < ring->ngrants; i++)
		if (ring->granted[i])
			__free_page(ring->granted[i]);
	kvfree(ring->granted);
	kvfree(ring->refs);
}

/* ---- receiver ---- */

/**
 * xsock_grant_read - copy a granted page
 * @domid: domain that grants
 * @ref: its reference
 * @copy: a page of ours
 *
 * A copy by the hypervisor: what was checked in it cannot change any more.
 */
int xsock_grant_read(u16 domid, grant_ref_t ref, void *copy)
{
	struct gnttab_copy op = {
		.source = { .u.ref = ref, .domid = domid },
		.dest = { .u.gmfn = virt_to_gfn(copy), .domid = DOMID_SELF },
		.len = XEN_PAGE_SIZE,
		.flags = GNTCOPY_source_gref,
	};

	return xsock_hyper_copy(&op, 1) ? -ECONNREFUSED : 0;
}

/**
 * xsock_grant_write - write into a granted page
 * @domid: domain that grants
 * @ref: its reference
 * @offset: in the page
 * @data: what to write
 * @len: bytes
 */
int xsock_grant_write(u16 domid, grant_ref_t ref, unsigned int offset, const void *data,
		      unsigned int len)
{
	struct gnttab_copy op = {
		.dest = { .u.ref = ref, .domid = domid, .offset = offset },
		.len = len,
		.flags = GNTCOPY_dest_gref,
	};
	void *page = (void *)get_zeroed_page(GFP_KERNEL);
	int err;

	if (!page)
		return -ENOMEM;
	memcpy(page, data, len);
	op.source.u.gmfn = virt_to_gfn(page);
	op.source.domid = DOMID_SELF;
	err = xsock_hyper_copy(&op, 1);
	free_page((unsigned long)page);
	return err ? -ECONNREFUSED : 0;
}

/* The rx page is about to be mapped by @ref; or, 0, no process can write it any more. */
void xsock_set_rx_ref(struct xsock_ring *ring, grant_ref_t ref)
{
	mutex_lock(&xsock_rings_lock);
	ring->rx_ref = ref;
	mutex_unlock(&xsock_rings_lock);
}

/**
 * xsock_map_ring - map tx page, rx page, data pages and regions page of a peer
 * @ring: a receiver's, with @npages set
 * @refs: 2 + npages references, and that of the regions page
 * @regions: there is one
 *
 * Only the rx page and the regions page are mapped writable. All or nothing.
 */
int xsock_map_ring(struct xsock_ring *ring, const grant_ref_t *refs, bool regions)
{
	unsigned int n = 2 + ring->npages + regions, i, mapped = 0;
	struct gnttab_map_grant_ref *ops;
	struct page **done;
	int err = -ENOMEM;
	u32 flags;

	ops = kvcalloc(n, sizeof(*ops), GFP_KERNEL);
	done = kvcalloc(n, sizeof(*done), GFP_KERNEL);
	ring->foreign = kvcalloc(n, sizeof(*ring->foreign), GFP_KERNEL_ACCOUNT);
	ring->unmap_ops = kvcalloc(n, sizeof(*ring->unmap_ops), GFP_KERNEL_ACCOUNT);
	if (!ops || !done || !ring->foreign || !ring->unmap_ops)
		goto out;
	err = gnttab_alloc_pages(n, ring->foreign);
	if (err)
		goto out;

	for (i = 0; i < n; i++) {
		flags = GNTMAP_host_map;
		if (i != 1 && i != 2 + ring->npages)
			flags |= GNTMAP_readonly;
		gnttab_set_map_op(&ops[i], (unsigned long)page_address(ring->foreign[i]),
				  flags, refs[i], ring->peer);
		/* Nothing is mapped by a call that is not made. */
		ops[i].status = GNTST_general_error;
	}
	/* Each operation has its own status, which the result says nothing of. */
	err = xsock_hyper_map(ops, ring->foreign, n);
	for (i = 0; i < n; i++) {
		if (ops[i].status != GNTST_okay) {
			/* This domain has too many mappings, or the offer is not good. */
			if (!err)
				err = ops[i].status == GNTST_no_device_space ? -ENOSPC :
									       -ECONNREFUSED;
			continue;
		}
		gnttab_set_unmap_op(&ring->unmap_ops[mapped],
				    (unsigned long)page_address(ring->foreign[i]),
				    ops[i].flags, ops[i].handle);
		done[mapped++] = ring->foreign[i];
	}
	if (err) {
		if (mapped)
			gnttab_unmap_refs(ring->unmap_ops, NULL, done, mapped);
		gnttab_free_pages(n, ring->foreign);
		goto out;
	}
	ring->nforeign = n;
	ring->tx = page_address(ring->foreign[0]);
	ring->rx = page_address(ring->foreign[1]);
	for (i = 0; i < ring->npages; i++)
		ring->pages[i] = ring->foreign[2 + i];
	if (regions)
		ring->regions = page_address(ring->foreign[2 + ring->npages]);
out:
	kvfree(done);
	kvfree(ops);
	return err;
}

static bool xsock_referenced(struct xsock_ring *ring)
{
	unsigned int i;

	for (i = 0; i < ring->nforeign; i++)
		if (page_count(ring->foreign[i]) > 1)
			return true;
	return false;
}

/**
 * xsock_unmap_ring - give the peer's pages back
 * @ring: nobody uses the mapping any more, in the kernel or by a page table
 *
 * Somebody may still hold a reference to a page (direct I/O out of a mapped ring).
 * That is waited for, but not for long, because a suspend must not hang; then the
 * page is unmapped and kept out of use, and the module loaded, until it is free. Only
 * auto-translated guests map rings for users, and there such a page reads as ones.
 */
void xsock_unmap_ring(struct xsock_ring *ring)
{
	static const u8 blank[sizeof(((struct xsock_rx_page *)0)->pad0)];
	unsigned int i, kept = 0, n = ring->nforeign, waited;
	bool pinned;

	if (!n)
		return;
	/* Once, not for each of many rings, lest one process delay a suspend for long. */
	for (waited = 0; waited < XSOCK_STRAY_MS && !xsock_strays_left() &&
	     xsock_referenced(ring); waited += 10)
		fsleep(10 * USEC_PER_MSEC);
	/*
	 * What a process has written where a head page begins must not outlive the
	 * mapping, see xsock_head_read(). Direct I/O may write it once more until then.
	 */
	pinned = page_count(ring->foreign[1]) > 1;
	memcpy(page_address(ring->foreign[1]), blank, sizeof(blank));
	gnttab_unmap_refs(ring->unmap_ops, NULL, ring->foreign, n);
	ring->nforeign = 0;
	if (pinned)
		/* If it fails the peer has ended the grant. */
		xsock_grant_write(ring->peer, ring->rx_ref, 0, blank, sizeof(blank));
	for (i = 0; i < n; i++) {
		struct page *page = ring->foreign[i];

		if (page_count(page) <= 1)
			ring->foreign[kept++] = page;
		/* If it cannot even be noted it is lost, which is still safe. */
		else if (!xa_err(xa_store(&strays, page_to_pfn(page), page, GFP_KERNEL)))
			__module_get(THIS_MODULE);
	}
	gnttab_free_pages(kept, ring->foreign);
}

/* Free the strays that nobody refers to any more. */
void xsock_strays_reap(void)
{
	unsigned long pfn;
	struct page *page;

	xa_for_each(&strays, pfn, page) {
		if (page_count(page) > 1)
			continue;
		xa_erase(&strays, pfn);
		gnttab_free_pages(1, &page);
		module_put(THIS_MODULE);
	}
}

bool xsock_strays_left(void)
{
	return !xa_empty(&strays);
}
