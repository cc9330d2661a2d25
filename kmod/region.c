// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory that the receiver copies from: the transmitter's process exposes it, the
 * receiver's gets it, with one copy, by the hypervisor (GNTTABOP_copy). Nothing of it is
 * mapped by the peer.
 *
 * References are found in the ring's regions page, where kernels alone write. A reference
 * that has been given back may lead to memory of another user's tomorrow, so no get may
 * use one that has been: while it uses a slot it says that it is busy, and has the ring mapped.
 * References are given back when neither is so. A peer that says so for too long cannot
 * copy any more all the same.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>
#include <xen/page.h>

#include "xsock.h"

/* Pages of the destination that are pinned, and copied to, at a time. */
#define XSOCK_GET_PAGES	128

/* How long a get may go on that found a region before it was concealed. */
#define XSOCK_POLITE_MS	1000

/* How often what a peer has mapped is tried to be cut off: each costs a line in the kernel log. */
#define XSOCK_CUT_FIRST_MS	500
#define XSOCK_CUT_LAST_MS	64000

/* How long nobody waits any more for a peer that has let a close wait in vain. */
#define XSOCK_RUDE_MS	60000

/* Until when (jiffies), by domid. */
static DEFINE_XARRAY(rude);

/* ---- transmitter ---- */

/**
 * struct xsock_region - memory that has been exposed
 * @node: in ring->exposed
 * @slot: which it has
 * @id: what is written there, where the peer could, too
 * @npages: its pages
 * @n: ... and list pages behind them
 * @pages: all of them
 * @pinned: so many of them are pinned, from the first on
 * @refs: their grants; 0 when given back
 * @ended: @refs before this have been ended
 * @until: when it does not wait any more for a get to end, and when it tries again then;
 *	0: nobody wants it to end
 * @cuts: how often it has tried to end it in spite of a get
 */
struct xsock_region {
	struct list_head node;
	struct xsock_slot *slot;
	u64 id;
	unsigned int npages;
	unsigned int n;
	struct page **pages;
	unsigned int pinned;
	grant_ref_t *refs;
	unsigned int ended;
	unsigned long until;
	unsigned int cuts;
};

static bool xsock_is_rude(u16 domid)
{
	void *until = xa_load(&rude, domid);

	return until && time_before(jiffies, xa_to_value(until));
}

/* Without memory for that one waits for the next one, too. */
static void xsock_call_rude(u16 domid)
{
	if (!xsock_is_rude(domid))
		xa_store(&rude, domid, xa_mk_value(jiffies + msecs_to_jiffies(XSOCK_RUDE_MS)),
			 GFP_KERNEL);
}

/* Nothing of it is granted. */
static void xsock_region_free(struct xsock_ring *ring, struct xsock_region *region)
{
	unsigned int i;

	unpin_user_pages(region->pages, region->pinned);
	for (i = region->npages; i < region->n; i++)
		if (region->pages[i])
			__free_page(region->pages[i]);
	xsock_uncharge_region(ring, region->n);
	kvfree(region->pages);
	kvfree(region->refs);
	kfree(region);
}

static void xsock_region_drop(struct xsock_ring *ring, struct xsock_region *region)
{
	unsigned int i;

	for (i = 0; i < region->n; i++)
		if (region->refs[i])
			gnttab_free_grant_reference(region->refs[i]);
	list_del(&region->node);
	WRITE_ONCE(ring->nexposed, ring->nexposed - 1);
	xsock_region_free(ring, region);
}

/* No get finds it any more. Says whether none uses what it has found. */
static bool xsock_region_hide(struct xsock_ring *ring, struct xsock_region *region)
{
	xsock_store(&region->slot->id, 0);
	/* Never 0; for who is rude, not after now. */
	if (!region->until)
		region->until = (xsock_is_rude(ring->peer) ? jiffies - 1 :
				 jiffies + msecs_to_jiffies(XSOCK_POLITE_MS)) | 1;
	/* Pairs with the one in xsock_get_begin(): it sees no slot, or we see that it is busy. */
	xsock_full_barrier();
	return !xsock_load(&ring->regions->busy);
}

/* Nobody uses it. False: part of it is mapped. Else the region is gone. */
static bool xsock_region_end_idle(struct xsock_ring *ring, struct xsock_region *region)
{
	for (; region->ended < region->n; region->ended++) {
		if (!gnttab_try_end_foreign_access(region->refs[region->ended]))
			return false;
		region->refs[region->ended] = 0;
	}
	xsock_region_drop(ring, region);
	return true;
}

/*
 * Somebody says that he uses it, and for too long: the references lead nowhere then, but are not
 * given back. False: not yet.
 */
static bool xsock_region_cut_off(struct xsock_ring *ring, struct xsock_region *region)
{
	unsigned int pause;

	if (time_before(jiffies, region->until))
		return false;
	for (; region->ended < region->n; region->ended++)
		if (!gnttab_end_foreign_access_ref(region->refs[region->ended])) {
			pause = min(XSOCK_CUT_FIRST_MS << min(region->cuts, 7U), XSOCK_CUT_LAST_MS);
			region->until = (jiffies + msecs_to_jiffies(pause)) | 1;
			region->cuts++;
			return false;
		}
	return true;
}

/*
 * Ends a region as far as that is possible now. @gone: the receiver has let go of the ring.
 * True: the receiver cannot copy from it any more. Then the region may be gone, too.
 */
static bool xsock_region_end(struct xsock_ring *ring, struct xsock_region *region, bool gone)
{
	if (xsock_region_hide(ring, region) || gone)
		return xsock_region_end_idle(ring, region);
	return xsock_region_cut_off(ring, region);
}

/* All regions of a ring, likewise. The lock is held. */
static bool xsock_regions_try(struct xsock_ring *ring, bool gone)
{
	struct xsock_region *region, *next;
	bool all = true;

	list_for_each_entry_safe(region, next, &ring->exposed, node)
		all &= xsock_region_end(ring, region, gone);
	return all;
}

/**
 * xsock_regions_end - end all regions of a ring
 * @ring: with its lock held
 * @gone: the receiver has let go of it
 *
 * True: there are none any more.
 */
bool xsock_regions_end(struct xsock_ring *ring, bool gone)
{
	xsock_regions_try(ring, gone);
	return list_empty(&ring->exposed);
}

/*
 * The socket is about to be closed, and its process may change the memory then: a get that goes
 * on has its time to end, but once in a while only, as processes that close may not be frozen.
 */
void xsock_regions_close(struct xsock_ring *ring)
{
	unsigned long end = jiffies + msecs_to_jiffies(XSOCK_POLITE_MS);
	bool safe;

	for (;;) {
		mutex_lock(&ring->lock);
		safe = xsock_regions_try(ring, false);
		mutex_unlock(&ring->lock);
		if (safe || xsock_is_rude(ring->peer) || time_after(jiffies, end + HZ / 10))
			break;
		fsleep(USEC_PER_MSEC);
	}
	/* Not what conceals it, whose user could see to it that there is always a get. */
	if (!time_before(jiffies, end))
		xsock_call_rude(ring->peer);
}

/* Domains have other numbers now. */
void xsock_rude_forget(void)
{
	xa_destroy(&rude);
}

/* Ends what has been concealed and could not be ended then. The lock is held. */
void xsock_regions_reap(struct xsock_ring *ring)
{
	struct xsock_region *region, *next;

	if (!ring->attached)
		return;
	list_for_each_entry_safe(region, next, &ring->exposed, node)
		if (region->until)
			xsock_region_end(ring, region, false);
}

/* The module goes: leave grants that are in use, and their pages, to the grant table. */
void xsock_regions_abandon(struct xsock_ring *ring)
{
	struct xsock_region *region, *next;

	mutex_lock(&ring->lock);
	list_for_each_entry_safe(region, next, &ring->exposed, node) {
		for (; region->ended < region->n; region->ended++) {
			get_page(region->pages[region->ended]);
			gnttab_end_foreign_access(region->refs[region->ended],
						  region->pages[region->ended]);
			region->refs[region->ended] = 0;
		}
		xsock_region_drop(ring, region);
	}
	mutex_unlock(&ring->lock);
}

static int xsock_region_pin(struct xsock_region *region, unsigned long addr)
{
	int n;

	while (region->pinned < region->npages) {
		n = pin_user_pages_fast(addr + region->pinned * PAGE_SIZE,
					region->npages - region->pinned, FOLL_LONGTERM,
					region->pages + region->pinned);
		if (n <= 0)
			return n == -ENOMEM || n == -EINTR ? n : -EFAULT;
		region->pinned += n;
	}
	return 0;
}

/* Pins memory, charged to the ring's user. */
static struct xsock_region *xsock_region_make(struct xsock_ring *ring, unsigned long addr,
					      unsigned long length)
{
	struct xsock_region *region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	unsigned int i;
	int err;

	if (!region)
		return ERR_PTR(-ENOMEM);
	region->npages = DIV_ROUND_UP(offset_in_page(addr) + length, PAGE_SIZE);
	region->n = region->npages + DIV_ROUND_UP(region->npages, XSOCK_LIST_REFS);
	region->pages = kvcalloc(region->n, sizeof(*region->pages), GFP_KERNEL_ACCOUNT);
	region->refs = kvcalloc(region->n, sizeof(*region->refs), GFP_KERNEL_ACCOUNT);
	err = region->pages && region->refs ? xsock_charge_region(ring, region->n) : -ENOMEM;
	if (err) {
		kvfree(region->pages);
		kvfree(region->refs);
		kfree(region);
		return ERR_PTR(err);
	}
	err = xsock_region_pin(region, addr & PAGE_MASK);
	for (i = region->npages; !err && i < region->n; i++) {
		region->pages[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!region->pages[i])
			err = -ENOMEM;
	}
	if (err) {
		xsock_region_free(ring, region);
		return ERR_PTR(err);
	}
	return region;
}

static struct xsock_slot *xsock_free_slot(struct xsock_ring *ring)
{
	DECLARE_BITMAP(used, XSOCK_REGIONS) = { 0 };
	struct xsock_region *region;
	unsigned int i;

	list_for_each_entry(region, &ring->exposed, node)
		__set_bit(region->slot - ring->regions->slots, used);
	i = find_first_zero_bit(used, XSOCK_REGIONS);
	return i < XSOCK_REGIONS ? &ring->regions->slots[i] : NULL;
}

/* Grants it, and shows it to the receiver. The lock is held. */
static int xsock_region_show(struct sock *sk, struct xsock_ring *ring,
			     struct xsock_region *region, struct xsock_exposure *expose)
{
	struct xsock_list *list;
	grant_ref_t head;
	unsigned int i;
	int err;

	if (ring->attached)
		xsock_peer_check(ring);
	if (!ring->attached || READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)
		return ring->err ? -ring->err : -EPIPE;
	if (!(READ_ONCE(ring->peer_state) & XSOCK_RX_CONNECTED))
		return -ENOTCONN;
	xsock_regions_reap(ring);
	region->slot = xsock_free_slot(ring);
	if (!region->slot)
		return -ENOSPC;
	err = xsock_hyper_refs(region->n, &head);
	if (err)
		return err;
	for (i = 0; i < region->n; i++) {
		region->refs[i] = gnttab_claim_grant_reference(&head);
		gnttab_grant_foreign_access_ref(region->refs[i], ring->peer,
						xen_page_to_gfn(region->pages[i]), true);
	}
	gnttab_free_grant_references(head);
	for (i = 0; i < region->npages; i++) {
		list = page_address(region->pages[region->npages + i / XSOCK_LIST_REFS]);
		list->refs[i % XSOCK_LIST_REFS] = region->refs[i];
	}
	for (i = region->npages; i < region->n; i++)
		xsock_store(&region->slot->lists[i - region->npages], region->refs[i]);
	xsock_store(&region->slot->length, expose->length);
	xsock_store(&region->slot->offset, offset_in_page(expose->addr));
	do {
		region->id = get_random_u64();
	} while (!region->id);
	/* Release: the rest, and the list pages. */
	xsock_store_release(&region->slot->id, region->id);
	expose->handle.id = region->id;
	expose->handle.slot = region->slot - ring->regions->slots;
	expose->handle.reserved = 0;
	list_add(&region->node, &ring->exposed);
	WRITE_ONCE(ring->nexposed, ring->nexposed + 1);
	return 0;
}

/* The ring of a socket that has this role. */
static struct xsock_ring *xsock_ring_as(struct sock *sk, u8 role)
{
	struct xsock_ring *ring = xsock_ring_of(sk);

	if (!ring)
		return ERR_PTR(-ENOTCONN);
	return ring->role == role ? ring : ERR_PTR(-EOPNOTSUPP);
}

static struct xsock_region *xsock_region_of(struct xsock_ring *ring, u64 id)
{
	struct xsock_region *region;

	list_for_each_entry(region, &ring->exposed, node)
		if (region->id == id)
			return region;
	return NULL;
}

/* Is it time to say that the peer does not let go of a region that is to end? */
static bool xsock_region_stuck(const struct xsock_region *region)
{
	return region->cuts > 1 ||
	       time_after(jiffies, region->until + msecs_to_jiffies(XSOCK_CUT_FIRST_MS));
}

/* -EAGAIN: once more, until the peer cannot copy from it. */
static int xsock_conceal(struct xsock_ring *ring, const struct xsock_handle *handle)
{
	struct xsock_region *region;
	int err = 0;

	mutex_lock(&ring->lock);
	region = xsock_region_of(ring, handle->id);
	/* Detached, all regions are being ended. */
	if (!region)
		err = ring->attached ? -ESTALE : 0;
	else if (!xsock_region_end(ring, region, false))
		err = xsock_region_stuck(region) ? -EBUSY : -EAGAIN;
	mutex_unlock(&ring->lock);
	return err;
}

int xsock_ioc_conceal(struct sock *sk, const struct xsock_handle __user *arg)
{
	struct xsock_ring *ring = xsock_ring_as(sk, XSOCK_ROLE_TX);
	struct xsock_handle handle;
	int err;

	if (IS_ERR(ring))
		return PTR_ERR(ring);
	if (copy_from_user(&handle, arg, sizeof(handle)))
		return -EFAULT;
	if (handle.slot >= XSOCK_REGIONS || !handle.id || handle.reserved)
		return -EINVAL;
	while ((err = xsock_conceal(ring, &handle)) == -EAGAIN)
		fsleep(USEC_PER_MSEC);
	return err;
}

int xsock_ioc_expose(struct sock *sk, struct xsock_exposure __user *arg)
{
	struct xsock_ring *ring = xsock_ring_as(sk, XSOCK_ROLE_TX);
	struct xsock_region *region;
	struct xsock_exposure expose;
	int err;

	if (IS_ERR(ring))
		return PTR_ERR(ring);
	if (copy_from_user(&expose, arg, sizeof(expose)))
		return -EFAULT;
	if (!expose.length || expose.length > XSOCK_REGION_MAX)
		return -EINVAL;
	if (expose.addr != (unsigned long)expose.addr ||
	    expose.addr + expose.length < expose.addr)
		return -EFAULT;
	region = xsock_region_make(ring, expose.addr, expose.length);
	if (IS_ERR(region))
		return PTR_ERR(region);
	mutex_lock(&ring->lock);
	err = xsock_region_show(sk, ring, region, &expose);
	mutex_unlock(&ring->lock);
	if (err) {
		xsock_region_free(ring, region);
		return err;
	}
	if (copy_to_user(arg, &expose, sizeof(expose))) {
		xsock_conceal(ring, &expose.handle);
		return -EFAULT;
	}
	return 0;
}

/* ---- receiver ---- */

/**
 * struct xsock_get - a get on its way
 * @handle: of the region
 * @from: where the next byte is, counted from the beginning of the region's first page
 * @to: where it goes, in user space
 * @left: bytes
 * @refs: of the region's pages
 * @pages: pinned pages of the destination
 * @ops: two for each of them, and one more where they end elsewhere
 */
struct xsock_get {
	struct xsock_handle handle;
	u64 from;
	unsigned long to;
	u64 left;
	grant_ref_t *refs;
	struct page *pages[XSOCK_GET_PAGES];
	struct gnttab_copy ops[2 * XSOCK_GET_PAGES + 1];
};

/*
 * Until xsock_get_end() the region's references lead to it, if the peer's kernel is honest.
 * The lock is held in between.
 */
static int xsock_get_begin(struct xsock_ring *ring, const struct xsock_handle *handle,
			   struct xsock_slot *slot)
{
	struct xsock_slot *theirs;
	unsigned int i;

	if (!ring->attached)
		return ring->err ? -ring->err : -ESTALE;
	if (!ring->regions)
		return -EOPNOTSUPP;
	theirs = &ring->regions->slots[array_index_nospec(handle->slot, XSOCK_REGIONS)];
	xsock_store(&ring->regions->busy, 1);
	/* Pairs with the one in xsock_region_hide(). */
	xsock_full_barrier();
	slot->id = xsock_load_acquire(&theirs->id);
	slot->length = xsock_load(&theirs->length);
	slot->offset = xsock_load(&theirs->offset);
	for (i = 0; i < XSOCK_REGION_LISTS; i++)
		slot->lists[i] = xsock_load(&theirs->lists[i]);
	return slot->id == handle->id ? 0 : -ESTALE;
}

/* In any case. */
static void xsock_get_end(struct xsock_ring *ring)
{
	/* Release: all use of the slot. */
	if (ring->regions)
		xsock_store_release(&ring->regions->busy, 0);
}

/* Checks what the fetch asks for, and has the references read. */
static int xsock_get_refs(struct xsock_ring *ring, struct xsock_get *get,
			  const struct xsock_slot *slot, u64 offset)
{
	unsigned int npages, part, i;
	struct xsock_list *list;
	int err = 0;

	/* A peer that lies makes a region that nothing can be got from. */
	if (!slot->length || slot->length > XSOCK_REGION_MAX || slot->offset >= PAGE_SIZE)
		return -EREMOTEIO;
	if (offset > slot->length || get->left > slot->length - offset)
		return -EINVAL;
	get->from = slot->offset + offset;
	npages = DIV_ROUND_UP(slot->offset + slot->length, PAGE_SIZE);
	get->refs = kvcalloc(npages, sizeof(*get->refs), GFP_KERNEL);
	list = (struct xsock_list *)__get_free_page(GFP_KERNEL);
	if (!get->refs || !list)
		err = -ENOMEM;
	for (i = 0; !err && i < npages; i += part) {
		part = min_t(unsigned int, npages - i, XSOCK_LIST_REFS);
		if (xsock_grant_read(ring->peer, slot->lists[i / XSOCK_LIST_REFS], list))
			err = -EREMOTEIO;
		else
			memcpy(get->refs + i, list->refs, part * sizeof(*get->refs));
	}
	free_page((unsigned long)list);
	return err;
}

/* Operations for so many bytes, within one page at either end each. Returns their number. */
static unsigned int xsock_get_ops(struct xsock_ring *ring, struct xsock_get *get, size_t len)
{
	size_t to = offset_in_page(get->to), part;
	struct gnttab_copy *op = get->ops;
	u64 from = get->from;

	for (; len; len -= part, from += part, to += part, op++) {
		part = min3(len, PAGE_SIZE - offset_in_page(from), PAGE_SIZE - offset_in_page(to));
		*op = (struct gnttab_copy){
			.source = { .u.ref = get->refs[from >> PAGE_SHIFT], .domid = ring->peer,
				    .offset = offset_in_page(from) },
			.dest = { .u.gmfn = xen_page_to_gfn(get->pages[to >> PAGE_SHIFT]),
				  .domid = DOMID_SELF, .offset = offset_in_page(to) },
			.len = part,
			.flags = GNTCOPY_source_gref,
		};
	}
	return op - get->ops;
}

/* Copies to what is pinned, @len bytes. The lock is held. */
static int xsock_get_copy(struct xsock_ring *ring, struct xsock_get *get, size_t len)
{
	if (xsock_hyper_copy(get->ops, xsock_get_ops(ring, get, len)))
		return -EREMOTEIO;
	xsock_count(&ring->stats.get_bytes, len);
	return 0;
}

/* Nobody faults in memory under the lock: pinned before, it need not be. */
static int xsock_get_step(struct xsock_ring *ring, struct xsock_get *get)
{
	size_t offset = offset_in_page(get->to), len;
	struct xsock_slot slot;
	int n, err;

	if (fatal_signal_pending(current))
		return -EINTR;
	n = min_t(u64, DIV_ROUND_UP(offset + get->left, PAGE_SIZE), XSOCK_GET_PAGES);
	n = pin_user_pages_fast(get->to - offset, n, FOLL_WRITE, get->pages);
	if (n <= 0)
		return n == -ENOMEM || n == -EINTR ? n : -EFAULT;
	len = min_t(u64, get->left, n * PAGE_SIZE - offset);
	mutex_lock(&ring->lock);
	err = xsock_get_begin(ring, &get->handle, &slot);
	if (!err)
		err = xsock_get_copy(ring, get, len);
	xsock_get_end(ring);
	mutex_unlock(&ring->lock);
	unpin_user_pages_dirty_lock(get->pages, n, true);
	get->from += len;
	get->to += len;
	get->left -= len;
	return err;
}

static int xsock_get_run(struct xsock_ring *ring, struct xsock_get *get, u64 offset)
{
	struct xsock_slot slot;
	int err;

	mutex_lock(&ring->lock);
	err = xsock_get_begin(ring, &get->handle, &slot);
	if (!err)
		err = xsock_get_refs(ring, get, &slot, offset);
	xsock_get_end(ring);
	mutex_unlock(&ring->lock);
	while (!err && get->left)
		err = xsock_get_step(ring, get);
	if (err)
		return err;
	mutex_lock(&ring->lock);
	xsock_count(&ring->stats.gets, 1);
	mutex_unlock(&ring->lock);
	return 0;
}

int xsock_ioc_get(struct sock *sk, const struct xsock_fetch __user *arg)
{
	struct xsock_ring *ring = xsock_ring_as(sk, XSOCK_ROLE_RX);
	struct xsock_fetch fetch;
	struct xsock_get *get;
	int err;

	if (IS_ERR(ring))
		return PTR_ERR(ring);
	if (copy_from_user(&fetch, arg, sizeof(fetch)))
		return -EFAULT;
	if (fetch.handle.slot >= XSOCK_REGIONS || !fetch.handle.id || fetch.handle.reserved ||
	    fetch.length > XSOCK_REGION_MAX)
		return -EINVAL;
	if (fetch.addr != (unsigned long)fetch.addr || fetch.addr + fetch.length < fetch.addr)
		return -EFAULT;
	get = kvzalloc(sizeof(*get), GFP_KERNEL);
	if (!get)
		return -ENOMEM;
	get->handle = fetch.handle;
	get->to = fetch.addr;
	get->left = fetch.length;
	err = xsock_get_run(ring, get, fetch.offset);
	kvfree(get->refs);
	kvfree(get);
	return err;
}
